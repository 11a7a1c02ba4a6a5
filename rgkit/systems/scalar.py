"""The chain of real fields with an even polynomial potential, solved by its transfer operator."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, ArrayLike, Float, Num, PRNGKeyArray

from rgkit import _validation
from rgkit.systems.base import Values, checked_draw
from rgkit.systems.decimated import DecimatedChain, block_average_density
from rgkit.systems.field_moments import statistics_moments
from rgkit.systems.field_sampler import FieldSampler, field_sampler
from rgkit.systems.transfer_operator import TransferOperator, potential, resolved, whole_line


@dataclasses.dataclass(frozen=True)
class ScalarChain:
    r"""Real fields on a chain, with an even polynomial at each site.

    .. math:: H(\phi) = \sum_i \Big[\frac r2 \phi_i^2 + u \phi_i^4 + w \phi_i^6 + \dots\Big]
              - K \sum_i \phi_i \phi_{i+1}, \qquad p(\phi) = e^{-H(\phi)}/Z.

    All couplings are dimensionless. Everything follows from the transfer operator
    :math:`T(a,b) = e^{-V(a)/2 - V(b)/2 + Kab}`, V the potential of a site, on a grid chosen from V
    and K. Values are in nats; entropies are differential and may be negative. Methods that speak of
    the infinite chain do not depend on ``n_sites`` and ``periodic``.

    Arguments:
        potential: (r, u, w, ...), coefficients of :math:`\phi^2/2, \phi^4, \phi^6, \dots`, named r,
            u, w, u8, u10, ...
        coupling: K, of either sign.
        n_sites: the number of sites N (at least 2; a ring of two sites has two bonds).
        periodic: a ring if true, an open chain if false.

    Raises:
        TypeError, ValueError: naming the argument; where the density cannot be normalised (the last
            coefficient that is not zero must be positive, a purely quadratic potential needs
            :math:`r > 2|K|`); on first use, where no grid of reasonable size resolves the operator.

    Reference: D. J. Scalapino, M. Sears, R. A. Ferrell, Phys. Rev. B 6, 3409 (1972),
    doi:10.1103/PhysRevB.6.3409.
    """

    potential: tuple[float, ...]
    coupling: float
    n_sites: int = dataclasses.field(kw_only=True)
    periodic: bool = dataclasses.field(default=True, kw_only=True)

    def __init__(
        self,
        potential: Sequence[_validation.Real] | Num[ArrayLike, " powers"] | pd.Series,
        coupling: _validation.Real,
        *,
        n_sites: _validation.Integer,
        periodic: _validation.Boolean = True,
    ):
        checked = {
            "potential": _coefficients(potential),
            "coupling": _validation.real("coupling", coupling),
            "n_sites": _validation.positive_integer("n_sites", n_sites, 2),
            "periodic": _validation.boolean("periodic", periodic),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        _check_normalisable(self.potential, self.coupling)

    @property
    def values(self) -> Values:
        """Real numbers."""
        return Values.REALS

    @property
    def parameters(self) -> dict[str, float]:
        """The characteristic (natural) parameters, ``{"r": ..., "u": ..., ..., "K": ...}``."""
        coefficients = zip(_names(len(self.potential)), self.potential, strict=True)
        return dict(coefficients) | {"K": self.coupling}

    def at(self, parameters: Mapping[str, float], *, n_sites: int | None = None) -> "ScalarChain":
        """The chain with these parameters, of as many sites unless told otherwise.

        Arguments:
            parameters: r, u, w, ... and K by name, up to the degree of this potential; those not
                named are 0.
            n_sites: the number of sites, by default as many as here.

        Raises:
            TypeError, ValueError: naming the argument; for other names; where the density cannot be
                normalised.
        """
        values = _validation.named_reals("parameters", parameters, list(self.parameters))
        *coefficients, coupling = values.values()
        n_sites = self.n_sites if n_sites is None else n_sites
        return dataclasses.replace(
            self, potential=tuple(coefficients), coupling=coupling, n_sites=n_sites
        )

    @property
    def n_bonds(self) -> int:
        """How many bonds there are, N on a ring and N - 1 on an open chain."""
        return self.n_sites if self.periodic else self.n_sites - 1

    @property
    def _scales(self) -> Float[np.ndarray, " powers"]:
        """What multiplies the powers of the field in H: 1/2 for the square, 1 for the others."""
        return np.array([0.5] + [1.0] * (len(self.potential) - 1))

    def statistics(self, x: Num[ArrayLike, "... N"]) -> Float[Array, "... k"]:
        r"""Sufficient statistics of fields ``(..., N)``, ``(..., k)``, ordered as `parameters`.

        :math:`p \propto e^{\theta\cdot T}` with :math:`T_r = -\sum\phi^2/2`,
        :math:`T_u = -\sum\phi^4`, :math:`T_w = -\sum\phi^6, \dots` and
        :math:`T_K = \sum\phi_i\phi_{i+1}`; float arithmetic of JAX.
        """
        x = jnp.asarray(x)
        self._check_sites(x.shape)
        x = x.astype(jnp.result_type(float))
        scales = enumerate(self._scales.tolist(), 1)
        powers = [-(scale * x ** (2 * j)).sum(-1) for j, scale in scales]
        bonds = x[..., : self.n_bonds] * jnp.roll(x, -1, axis=-1)[..., : self.n_bonds]
        return jnp.stack([*powers, bonds.sum(-1)], axis=-1)

    def statistics_derivatives(
        self, x: Num[ArrayLike, "M N"]
    ) -> tuple[Float[np.ndarray, "k M N"], Float[np.ndarray, "k M"]]:
        r"""Gradients and Laplacians of the sufficient statistics, for score matching; float64.

        Arguments:
            x: configurations, ``(M, N)``.

        Returns:
            :math:`\partial T_k/\partial\phi_i`, ``(k, M, N)``, and
            :math:`\sum_i \partial^2 T_k/\partial\phi_i^2`, ``(k, M)``, in the order of
            `parameters`.

        Reference: A. Hyvarinen, J. Mach. Learn. Res. 6, 695 (2005).
        """
        phi = np.asarray(x, float)
        self._check_sites(phi.shape)
        orders = 2 * np.arange(1, len(self.potential) + 1)
        factors = -self._scales * orders
        powers = np.cumprod([np.ones_like(phi)] + [phi] * (orders[-1] - 1), axis=0)
        neighbours = np.roll(phi, 1, axis=1) + np.roll(phi, -1, axis=1)
        if not self.periodic:
            neighbours[:, 0] -= phi[:, -1]
            neighbours[:, -1] -= phi[:, 0]
        gradients = np.concatenate([factors[:, None, None] * powers[orders - 1], neighbours[None]])
        laplacians = (factors * (orders - 1))[:, None] * powers[orders - 2].sum(-1)
        return gradients, np.append(laplacians, np.zeros((1, len(phi))), axis=0)

    def energy(self, x: Num[ArrayLike, "... N"]) -> Float[Array, "..."]:
        """Dimensionless energy H of fields ``(..., N)``, ``(...)``; float arithmetic of JAX."""
        return -self.statistics(x) @ jnp.array([*self.parameters.values()])

    def log_density(self, x: Num[ArrayLike, "... N"]) -> Float[np.ndarray, "..."]:
        """``ln p`` of fields ``x``, normalised, ``(..., N)`` to ``(...)`` float64."""
        with jax.enable_x64(True):
            statistics = np.asarray(self.statistics(np.asarray(x, float)))
        weight = statistics @ np.array([*self.parameters.values()])
        return np.asarray(weight - self.log_partition())

    def _check_sites(self, shape: tuple[int, ...]) -> None:
        if shape[-1:] != (self.n_sites,):
            raise ValueError(
                f"x must have {self.n_sites} sites in its last axis, got shape {shape}."
            )

    @functools.cached_property
    def _resolved(self) -> tuple[TransferOperator, float]:
        coefficients = np.array(self.potential) * self._scales
        return resolved(tuple(coefficients.tolist()), self.coupling)

    @property
    def operator(self) -> TransferOperator:
        """The transfer operator on its grid."""
        return self._resolved[0]

    @property
    def grid(self) -> Float[np.ndarray, " n"]:
        """Points of the grid, ``(n,)``, symmetric about zero."""
        return whole_line(self.operator.points, -1)

    def error_estimate(self) -> float:
        """The change that the last doubling of the grid made, and the rounding of float64.

        It bounds the errors of ``ln lambda_0``, of the ratios of eigenvalues and the relative
        errors of low moments.
        """
        return self._resolved[1] + 1e-14

    def log_partition_per_site(self) -> float:
        """``ln lambda_0``, minus the free energy per site of the infinite chain."""
        return self.operator.log_largest_eigenvalue

    def spectrum(self, k: int) -> Float[np.ndarray, " k"]:
        """The first k eigenvalues over the largest, ``(k,)``, in the order of their size.

        For K < 0 every second is negative.

        Raises:
            TypeError, ValueError: unless k is from 1 to the number of grid points.
        """
        values = np.concatenate([self.operator.even_states[0], self.operator.odd_states[0]])
        if _validation.positive_integer("k", k) > len(values):
            raise ValueError(
                f"k must be at most {len(values)}, the number of grid points, got {k}."
            )
        return values[np.argsort(-abs(values), kind="stable")][:k]

    def moment(self, p: int) -> float:
        r""":math:`\langle\phi^p\rangle` in the infinite chain; 0 for odd p."""
        return 0.0 if _validation.positive_integer("p", p, 0) % 2 else self.operator.moment(p)

    def density(self, phi: Num[ArrayLike, "..."]) -> Float[np.ndarray, "..."]:
        r"""Density :math:`\psi_0(\phi)^2` of one site of the infinite chain, at any shape."""
        return self.operator.extended(phi) ** 2

    def correlation_length(self) -> float:
        r"""Correlation length of the infinite chain, :math:`\xi = -1/\ln|\lambda_1/\lambda_0|`."""
        return -1 / self.operator.log_ratio

    @functools.cached_property
    def _field_elements(self) -> Float[np.ndarray, "n n"]:
        """Matrix elements of the field between even (rows) and odd states, ``(n, n)``."""
        (_, even), (_, odd) = self.operator.even_states, self.operator.odd_states
        return even.T @ (self.operator.points[:, None] * odd)

    def susceptibility(self) -> float:
        r""":math:`\sum_r \langle\phi_0\phi_r\rangle` over all r, in the infinite chain."""
        ratios = self.operator.odd_states[0]
        distance = 1 - ratios
        distance[0] = self.operator.gap if self.coupling > 0 else distance[0]
        return float(self._field_elements[0] ** 2 @ ((1 + ratios) / distance))

    def entropy_rate(self) -> float:
        r"""Differential entropy per site, :math:`\ln\lambda_0 + \langle H\rangle/N`, in nats."""
        scales = enumerate(self._scales.tolist(), 1)
        means = [-scale * self.moment(2 * j) for j, scale in scales]
        neighbours = float(self._field_elements[0] ** 2 @ self.operator.odd_states[0])
        theta = [*self.parameters.values()]
        return self.log_partition_per_site() - float(np.dot(theta, [*means, neighbours]))

    def log_partition(self) -> float:
        """``ln tr T**N`` on a ring; if open ``ln u.T**(N-1).u`` with ``u = exp(-V/2)``."""
        operator = self.operator
        (even, states), (odd, _) = operator.even_states, operator.odd_states
        log_largest = self.n_bonds * operator.log_largest_eigenvalue
        if self.periodic:
            weight = np.sum(even**self.n_sites) + np.sum(odd**self.n_sites)
            return float(np.log(weight) + log_largest)
        end, log_scale = self._end
        weight = 2 * operator.spacing * np.sum(even**self.n_bonds * (end @ states) ** 2)
        return float(np.log(weight) + 2 * log_scale + log_largest)

    @property
    def _end(self) -> tuple[Float[np.ndarray, " n"], float]:
        """``exp(-V/2)`` on the grid points above zero, over its largest value, and ln of that."""
        log_weight = -potential(self.operator.coefficients, self.operator.points) / 2
        return np.exp(log_weight - log_weight.max()), float(log_weight.max())

    @functools.cached_property
    def _statistics_moments(self) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k k"]]:
        """Mean ``(k,)`` and covariance ``(k, k)`` of the sufficient statistics."""
        end = None if self.periodic else self._end[0]
        return statistics_moments(self.operator, self._scales, self.n_sites, end)

    def mean_parameters(self) -> dict[str, float]:
        """Means of the statistics: ``{"r": -sum <phi**2>/2, ..., "K": sum <phi phi'>}``.

        They are the gradient of ln Z.
        """
        return dict(zip(self.parameters, self._statistics_moments[0].tolist(), strict=True))

    def fisher_information(self) -> Float[np.ndarray, "k k"]:
        """Covariance of the statistics, the Hessian of ln Z, ``(k, k)`` as `parameters`."""
        return self._statistics_moments[1].copy()

    def entropy(self) -> float:
        """Differential entropy of the whole chain, ``ln Z + <H>``, in nats."""
        theta = [*self.parameters.values()]
        return self.log_partition() - float(np.dot(theta, self._statistics_moments[0]))

    def correlation(self, r: int) -> float:
        """``<phi_0 phi_r>`` of this chain; site 0 is an end of an open chain.

        Raises:
            TypeError, ValueError: unless r is an integer and ``0 <= r < N``.
        """
        r = _validation.positive_integer("r", r, 0)
        if r >= self.n_sites:
            raise ValueError(
                f"r must be below n_sites = {self.n_sites}, got {r}: pass a distance in the chain."
            )
        (even, _), (odd, _) = self.operator.even_states, self.operator.odd_states
        if not self.periodic:
            return self._open_correlation(r)
        rest = self.n_sites - r
        both = np.outer(even**rest, odd**r) + np.outer(even**r, odd**rest)
        weight = np.sum(even**self.n_sites) + np.sum(odd**self.n_sites)
        return float(np.sum(self._field_elements**2 * both) / weight)

    def _open_correlation(self, r: int) -> float:
        (even, states), (odd, odd_states) = self.operator.even_states, self.operator.odd_states
        points, at_end = self.operator.points, self._end[0]
        end = at_end @ states
        weight = np.sum(even**self.n_bonds * end**2)
        if r == 0:
            square = (at_end * points**2) @ states
            return float(square @ (even**self.n_bonds * end) / weight)
        beyond = (even ** (self.n_bonds - r) * end) @ self._field_elements
        return float(((at_end * points) @ odd_states) @ (odd**r * beyond) / weight)

    def decimated(self, b: int) -> DecimatedChain:
        """The infinite chain with every b-th site kept, whose transfer operator is ``T**b``."""
        return DecimatedChain(self.operator, _validation.positive_integer("b", b))

    def block_average_density(
        self, b: int, *, independent: bool = False
    ) -> tuple[Float[np.ndarray, " q"], Float[np.ndarray, " q"]]:
        r"""Exact law of the block average :math:`b^{-1/2}\sum\phi_i` in the infinite chain.

        Arguments:
            b: the block size, of neighbouring sites.
            independent: take the sites as independent, each with the density of one of the chain.

        Returns:
            Points and density, both ``(q,)``, the points equally spaced, by Fourier transform of
            the characteristic function
            :math:`\langle\psi_0|(e^{ik\phi}T)^{b-1}e^{ik\phi}|\psi_0\rangle/\lambda_0^{b-1}`, or of
            a power of that of one site.
        """
        b = _validation.positive_integer("b", b)
        independent = _validation.boolean("independent", independent)
        return block_average_density(self.operator, b, independent)

    def sample(self, key: PRNGKeyArray, n_samples: int) -> Float[Array, "n_samples N"]:
        """Independent samples, ``(n_samples, N)`` float32, site after site.

        Nothing is rejected and nothing burns in. Their law differs from the exact one by less than
        a part in 10**6. Works inside ``jax.jit`` (``n_samples`` static).

        Arguments:
            key: a typed JAX key, ``jax.random.key(0)``.
            n_samples: how many configurations to draw.

        Raises:
            TypeError, ValueError: naming the argument; for draws beyond 8 GiB.
        """
        # 8192 rows at a time, so that it is the answer that counts
        return self.sampler().sample(*checked_draw(key, n_samples, 4 * self.n_sites))

    def sampler(self) -> FieldSampler:
        """The tables of `sample` as arrays: chains of one shape share its compiled programs."""
        return self._sampler

    @functools.cached_property
    def _sampler(self) -> FieldSampler:
        return field_sampler(self.operator, self.n_sites, self.periodic)


def _coefficients(value: Any) -> tuple[float, ...]:
    """The coefficients of a potential as floats, or the reason why they are none."""
    shape = np.shape(value) if hasattr(value, "__array__") else None
    is_list = isinstance(value, tuple | list) if shape is None else len(shape) == 1
    if not is_list or not len(value):
        raise TypeError(
            f"potential must be a tuple (r, u, w, ...), got {value!r}: pass at least (r,)."
        )
    return _validation.reals("potential", value, _names(len(value)))


def _check_normalisable(coefficients: tuple[float, ...], coupling: float) -> None:
    last = max((i for i, c in enumerate(coefficients) if c), default=0)
    name, value = _names(last + 1)[last], coefficients[last]
    if last == 0 and value <= 2 * abs(coupling):
        raise ValueError(
            f"potential with r = {value} and coupling K = {coupling} cannot be normalised: a "
            "purely quadratic chain needs r > 2|K|; raise r, weaken K, or add a quartic term u > 0."
        )
    if value <= 0:
        raise ValueError(
            f"potential with {name} = {value} cannot be normalised: exp(-H) grows without bound; "
            f"its last coefficient that is not zero must be positive: make {name} positive or add "
            "a higher term."
        )


def _names(n: int) -> list[str]:
    return [*"ruw", *(f"u{2 * j}" for j in range(4, n + 1))][:n]
