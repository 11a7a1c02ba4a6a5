"""Systems of spins that are given by their energy alone, and solved by enumeration."""

import abc
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import Array, Float, Int8, Num, PRNGKeyArray
from scipy.special import logsumexp, xlogy

from rgkit import _validation
from rgkit.enumeration import ROWS_AT_ONCE, check_enumerable, spin_configurations
from rgkit.systems.base import Values, checked_draw
from rgkit.systems.spin_samplers import TABULATED_SITES, AliasSampler, TreeSampler

Member = TypeVar("Member", bound="EnumeratedFamily")


class EnumeratedSystem(abc.ABC):
    r"""Spins with any energy, :math:`p(s) = e^{-H(s)}/Z`, exactly, by a sum over all ``2**N``.

    A system of one's own is a frozen dataclass with `n_sites`, the number of spins N, and `energy`.
    What follows from them is worked out once, in float64, chunk by chunk of the configurations, and
    kept. At most 24 sites (28 on an accelerator). For instance::

        @dataclasses.dataclass(frozen=True)
        class TwoCopies(rg.EnumeratedSystem):
            coupling: float
            between: float
            n_sites: int

            def energy(self, x):
                a, b = x[..., : self.n_sites // 2], x[..., self.n_sites // 2 :]
                bonds = (a[..., 1:] * a[..., :-1] + b[..., 1:] * b[..., :-1]).sum(-1)
                return -self.coupling * bonds - self.between * (a * b).sum(-1)
    """

    n_sites: int

    @abc.abstractmethod
    def energy(self, x: Any) -> Any:
        """Dimensionless energy H of spins ``(..., N)``, ``(...)``, in operations of NumPy or JAX.

        Infinity forbids a configuration.
        """

    @property
    def values(self) -> Values:
        """Spins, +1 or -1."""
        return Values.SPINS

    def configurations(self) -> Int8[np.ndarray, "rows N"]:
        """All configurations, ``(2**N, N)``: row i has spin j equal to +1 if bit j of i is 0."""
        return spin_configurations(check_enumerable(self.n_sites))

    def probabilities(self) -> Float[np.ndarray, " rows"]:
        """The probability of each row of `configurations`, ``(2**N,)`` float64."""
        return np.exp(self._log_probabilities)

    def log_partition(self) -> float:
        """``ln Z``."""
        return self._solved[0]

    def entropy(self) -> float:
        """Shannon entropy in nats."""
        probabilities = self.probabilities()
        return float(-xlogy(probabilities, probabilities).sum())

    def sample(self, key: PRNGKeyArray, n_samples: int) -> Int8[Array, "n_samples N"]:
        """Independent exact samples, ``(n_samples, N)``.

        Arguments:
            key: a typed JAX key, ``jax.random.key(0)``.
            n_samples: how many configurations to draw.

        Raises:
            TypeError, ValueError: naming the argument; for draws beyond 8 GiB.
        """
        # a spin takes a word of four bytes and itself
        return self.sampler().sample(*checked_draw(key, n_samples, 5 * self.n_sites))

    def sampler(self) -> AliasSampler | TreeSampler:
        """What draws minibatches in compiled training, from tables of all configurations."""
        return self._sampler

    def _sum_over_chunks(self, function, size: int) -> np.ndarray:
        """What a function of configurations ``(rows, N)`` gives for all, ``(2**N, ...)``."""
        chunks = []
        # in float64 also where the energy computes in JAX, and once and for all where it is traced
        with jax.enable_x64(True), jax.ensure_compile_time_eval():
            for start in range(0, size, ROWS_AT_ONCE):
                x = spin_configurations(self.n_sites, slice(start, start + ROWS_AT_ONCE))
                chunks.append(np.asarray(function(x.astype(float)), float))
        return np.concatenate(chunks)

    @functools.cached_property
    def _solved(self) -> tuple[float, np.ndarray]:
        _check_frozen(self)
        size = 2 ** check_enumerable(self.n_sites)
        energies = self._sum_over_chunks(self._checked_energy, size)
        if not np.isfinite(energies).any():
            raise ValueError("energy is infinite for all configurations: allow at least one.")
        log_partition = float(logsumexp(-energies))
        return log_partition, -energies - log_partition

    @property
    def _log_probabilities(self) -> np.ndarray:
        return self._solved[1]

    def _checked_energy(self, x: Num[np.ndarray, "rows N"]) -> np.ndarray:
        energies = np.asarray(self.energy(x))
        if energies.shape != x.shape[:1]:
            raise ValueError(
                f"energy must map spins (..., {self.n_sites}) to shape (...), got shape "
                f"{energies.shape} for spins {x.shape}: sum over the last axis, `.sum(-1)`."
            )
        wrong = np.isnan(energies) | (energies == -np.inf)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"energy must be a number or infinity, got {energies[row]} for the spins "
                f"{x[row].astype(int).tolist()}: mend its parameters."
            )
        return energies

    @functools.cached_property
    def _sampler(self) -> AliasSampler | TreeSampler:
        kind = AliasSampler if self.n_sites <= TABULATED_SITES else TreeSampler
        with jax.ensure_compile_time_eval():
            return kind.of(self.probabilities())


class EnumeratedFamily(EnumeratedSystem):
    r"""Spins with :math:`p_\theta(s) = e^{\theta\cdot T(s)}/Z`, an exponential family, exactly.

    A family of one's own is a frozen dataclass with `n_sites`, `parameters` and `statistics`. Where
    the names of the parameters are those of its fields, `at` needs no more. For instance::

        @dataclasses.dataclass(frozen=True)
        class NextNearestNeighbours(rg.EnumeratedFamily):
            K: float
            L: float
            n_sites: int

            @property
            def parameters(self):
                return {"K": self.K, "L": self.L}

            def statistics(self, x):
                bonds = [(x * np.roll(x, r, axis=-1)).sum(-1) for r in (1, 2)]
                return np.stack(bonds, axis=-1)
    """

    @property
    @abc.abstractmethod
    def parameters(self) -> dict[str, float]:
        r"""The characteristic (natural) parameters :math:`\theta` by name, dimensionless."""

    @abc.abstractmethod
    def statistics(self, x: Any) -> Any:
        """Sufficient statistics T, ``(..., N)`` to ``(..., k)``, in the order of `parameters`."""

    def energy(self, x: Any) -> Any:
        r"""Dimensionless energy :math:`-\theta\cdot T` of spins, ``(..., N)`` to ``(...)``."""
        return -(self.statistics(x) @ np.array([*self.parameters.values()]))

    def mean_parameters(self) -> dict[str, float]:
        """Means of the sufficient statistics by name, the gradient of ln Z."""
        return dict(zip(self.parameters, self._moments[0].tolist(), strict=True))

    def fisher_information(self) -> Float[np.ndarray, "k k"]:
        """Covariance of the sufficient statistics, the Hessian of ln Z, as `parameters`."""
        return self._moments[1].copy()

    def at(self: Member, parameters: Mapping[str, float], *, n_sites: int | None = None) -> Member:
        """The member with these parameters, on as many sites unless told otherwise.

        Arguments:
            parameters: by name; those not named are 0.
            n_sites: the number of sites, by default as many as here.

        Raises:
            TypeError, ValueError: for names that are none of `parameters`; where the parameters are
                not fields of a dataclass, so that a family must say itself how it is built.
        """
        values = _validation.named_reals("parameters", parameters, list(self.parameters))
        sites = {} if n_sites is None else {"n_sites": n_sites}
        fields = {*getattr(self, "__dataclass_fields__", {})}
        missing = sorted({*values, *sites} - fields)
        if missing:
            raise TypeError(
                f"{type(self).__name__} has no fields {', '.join(missing)}: name its fields as its "
                "parameters, or write its method at(parameters, *, n_sites=None)."
            )
        member: Any = self
        return dataclasses.replace(member, **values, **sites)

    @functools.cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        probabilities = self.probabilities()
        statistics = self._sum_over_chunks(self.statistics, len(probabilities))
        mean = probabilities @ statistics
        centred = statistics - mean
        return mean, centred.T @ (probabilities[:, None] * centred)


def _check_frozen(system: EnumeratedSystem) -> None:
    """Refuse a dataclass whose fields can change, since what follows from them is kept."""
    options = getattr(system, "__dataclass_params__", None)
    if options is not None and not options.frozen:
        raise TypeError(
            f"{type(system).__name__} must be a frozen dataclass, since what is worked out is "
            "kept: write @dataclasses.dataclass(frozen=True)."
        )
