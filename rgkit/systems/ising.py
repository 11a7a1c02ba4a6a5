"""The one-dimensional Ising chain, solved exactly by its transfer matrix."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int8, Num, PRNGKeyArray
from scipy.special import expit, logsumexp

from rgkit import _validation
from rgkit.enumeration import check_enumerable, spin_configurations
from rgkit.systems import ising_spectrum
from rgkit.systems.base import Values, checked_draw
from rgkit.systems.chain_moments import Stretch
from rgkit.systems.levels import levels_without_field, open_levels, ring_levels
from rgkit.systems.log_matrices import log_power, log_powers
from rgkit.systems.spin_samplers import TABULATED_SITES, AliasSampler, MarkovSampler

SPINS = np.array([1.0, -1.0])


@dataclasses.dataclass(frozen=True)
class IsingChain:
    r"""Ising spins on a chain, exactly.

    .. math:: H(s) = -K \sum_i s_i s_{i+1} - h \sum_i s_i, \qquad p(s) = e^{-H(s)}/Z,
              \qquad s_i = \pm 1.

    The coupling :math:`K` and the field :math:`h` are dimensionless (the temperature is absorbed).
    Everything follows from powers of the transfer matrix :math:`T_{ss'} = e^{K s s' + h(s+s')/2}`,
    taken in logarithms, so that no coupling or length overflows. Values are in nats.

    Arguments:
        coupling: the nearest-neighbour coupling K, of either sign.
        field: the magnetic field h.
        n_sites: the number of sites N (at least 2; a ring of two sites has two bonds).
        periodic: a ring if true, an open chain if false.

    Raises:
        TypeError, ValueError: where a coupling is not a finite real number, ``n_sites`` is not an
            integer above 1 or ``periodic`` is not a bool.

    Reference: H. A. Kramers, G. H. Wannier, Phys. Rev. 60, 252 (1941), doi:10.1103/PhysRev.60.252.
    """

    coupling: float
    field: float = 0.0
    n_sites: int = dataclasses.field(kw_only=True)
    periodic: bool = dataclasses.field(default=True, kw_only=True)

    def __init__(
        self,
        coupling: _validation.Real,
        field: _validation.Real = 0.0,
        *,
        n_sites: _validation.Integer,
        periodic: _validation.Boolean = True,
    ):
        checked = {
            "coupling": _validation.real("coupling", coupling),
            "field": _validation.real("field", field),
            "n_sites": _validation.positive_integer("n_sites", n_sites, 2),
            "periodic": _validation.boolean("periodic", periodic),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def values(self) -> Values:
        """Spins, +1 or -1."""
        return Values.SPINS

    @property
    def parameters(self) -> dict[str, float]:
        """The characteristic (natural) parameters by name, ``{"K": ..., "h": ...}``."""
        return {"K": self.coupling, "h": self.field}

    def at(self, parameters: Mapping[str, float], *, n_sites: int | None = None) -> "IsingChain":
        """The chain with these parameters, of as many sites unless told otherwise.

        Arguments:
            parameters: K and h by name; one that is not named is 0.
            n_sites: the number of sites, by default as many as here.

        Raises:
            TypeError, ValueError: naming the argument; for other names.
        """
        values = _validation.named_reals("parameters", parameters, ("K", "h"))
        n_sites = self.n_sites if n_sites is None else n_sites
        return dataclasses.replace(self, coupling=values["K"], field=values["h"], n_sites=n_sites)

    @property
    def n_bonds(self) -> int:
        """How many bonds there are, N on a ring and N - 1 on an open chain."""
        return self.n_sites if self.periodic else self.n_sites - 1

    def statistics(self, x: Num[ArrayLike, "... N"]) -> Float[Array, "... 2"]:
        r"""Sufficient statistics of spins x: ``(sum of s_i s_{i+1} over the bonds, sum of s_i)``.

        ``(..., N)`` to ``(..., 2)``, in the order of `parameters`:
        :math:`p \propto e^{\theta \cdot T}` with :math:`\theta = (K, h)`; float arithmetic of JAX.
        """
        x = jnp.asarray(x)
        if x.shape[-1:] != (self.n_sites,):
            raise ValueError(
                f"x must have {self.n_sites} spins in its last axis, got shape {x.shape}."
            )
        x = x.astype(jnp.result_type(float))
        bonds = x[..., : self.n_bonds] * jnp.roll(x, -1, axis=-1)[..., : self.n_bonds]
        return jnp.stack([bonds.sum(-1), x.sum(-1)], axis=-1)

    def energy(self, x: Num[ArrayLike, "... N"]) -> Float[Array, "..."]:
        """Dimensionless energy H of spins ``(..., N)``, ``(...)``; float arithmetic of JAX."""
        bonds, spins = jnp.moveaxis(self.statistics(x), -1, 0)
        return -self.coupling * bonds - self.field * spins

    @functools.cached_property
    def _log_step(self) -> Float[np.ndarray, "2 2"]:
        """ln of T over its largest eigenvalue: powers neither grow nor shrink, and keep digits."""
        bond = self.coupling * np.outer(SPINS, SPINS)
        return bond + self.field * np.add.outer(SPINS, SPINS) / 2 - self.log_largest_eigenvalue()

    @property
    def _log_end(self) -> Float[np.ndarray, "2"]:
        return self.field * SPINS / 2

    def log_partition(self) -> float:
        """ln Z of this chain: ``ln tr T**N``, or if open ``ln u.T**(N-1).u``, u_s = exp(h s/2)."""
        return self._log_partition

    @functools.cached_property
    def _log_partition(self) -> float:
        power = log_power(self._log_step, self.n_bonds)
        ends = np.add.outer(self._log_end, self._log_end)
        weights = np.diag(power) if self.periodic else power + ends
        return float(logsumexp(weights)) + self.n_bonds * self.log_largest_eigenvalue()

    def _pair_probabilities(self, first: int, second: int) -> Float[np.ndarray, "2 2"]:
        """Joint law ``(2, 2)`` of the spins at two sites, ``first <= second``."""
        between = log_power(self._log_step, second - first)
        if self.periodic:
            weights = between + log_power(self._log_step, self.n_sites - second + first).T
        else:
            left, right = (
                logsumexp(log_power(self._log_step, bonds) + self._log_end, axis=1)
                for bonds in (first, self.n_sites - 1 - second)
            )
            weights = left[:, None] + between + right
        return np.exp(weights - logsumexp(weights))

    @functools.cached_property
    def _centre(self) -> Float[np.ndarray, "2"]:
        """Means of the statistics of the first bond, half of the field of each end with it."""
        return np.tensordot(_bond_statistics(), self._pair_probabilities(0, 1), 2)

    @functools.cached_property
    def _whole(self) -> Stretch:
        """The sufficient statistics, less their means on the first bond, over the whole chain."""
        # centred, so that no variance is a small difference of large numbers
        centred = _bond_statistics() - self._centre[:, None, None]
        stretch = Stretch.bond(self._log_step, centred).power(self.n_bonds)
        if self.periodic:
            return stretch.closed()
        return stretch.opened(self._log_end, np.stack([np.zeros(2), SPINS / 2]))

    @functools.cached_property
    def _means(self) -> Float[np.ndarray, "2"]:
        largest = np.array([self.n_bonds, self.n_sites])
        return np.clip(self._whole.mean + self.n_bonds * self._centre, -largest, largest)

    def magnetization(self) -> float:
        """Mean spin over the sites; a long ring gives ``sinh h / sqrt(sinh(h)**2 + exp(-4K))``."""
        return float(self._means[1]) / self.n_sites

    def mean_parameters(self) -> dict[str, float]:
        """Means of the statistics by name: ``{"K": sum <s_i s_{i+1}>, "h": sum <s_i>}``.

        They are the gradient of ln Z.
        """
        return dict(zip(self.parameters, self._means.tolist(), strict=True))

    def fisher_information(self) -> Float[np.ndarray, "2 2"]:
        """Covariance of the sufficient statistics, the Hessian of ln Z, as `parameters`."""
        return self._whole.covariance.copy()

    def correlation(self, r: int) -> float:
        """``<s_0 s_r>``, not connected; site 0 is an end of an open chain.

        Raises:
            TypeError, ValueError: unless r is an integer and ``0 <= r < N``.
        """
        r = _validation.positive_integer("r", r, 0)
        if r >= self.n_sites:
            raise ValueError(
                f"r must be below n_sites = {self.n_sites}, got {r}: pass a distance in the chain."
            )
        if self.field == 0.0:
            return ising_spectrum.zero_field_correlation(
                self.coupling, r, self.n_sites if self.periodic else None
            )
        return float(np.clip(SPINS @ self._pair_probabilities(0, r) @ SPINS, -1.0, 1.0))

    def entropy(self) -> float:
        """Shannon entropy of the whole chain, ``ln Z + <H>``, in nats."""
        return float(self._whole.entropy)

    def correlation_length(self) -> float:
        r"""Correlation length of the infinite chain, :math:`\xi = -1/\ln|\lambda_-/\lambda_+|`."""
        return ising_spectrum.correlation_length(self.coupling, self.field)

    def log_largest_eigenvalue(self) -> float:
        """``ln lambda_+``: minus the free energy per site of the infinite chain."""
        return ising_spectrum.log_largest_eigenvalue(self.coupling, self.field)

    def entropy_rate(self) -> float:
        r"""Entropy per site of the infinite chain, nats; at h=0 :math:`\ln(2\cosh K)-K\tanh K`."""
        return ising_spectrum.entropy_rate(self.coupling, self.field)

    def renyi2_rate(self) -> float:
        r"""Renyi-2 entropy per site, :math:`2\ln\lambda_+(K,h)-\ln\lambda_+(2K,2h)`, in nats."""
        return ising_spectrum.renyi2_rate(self.coupling, self.field)

    def energy_levels(
        self,
    ) -> tuple[Float[np.ndarray, " levels"], Float[np.ndarray, " levels"]]:
        """Classes of equal weight: ``ln p`` of one configuration, and ln of their number.

        Both are ``(levels,)``, heaviest first. They are counted by walls and spins down, without a
        field by walls alone, so that chains of any length have them.
        """
        if self.field == 0:
            walls, down, log_count = levels_without_field(self.n_bonds, self.periodic)
        else:
            counted = ring_levels if self.periodic else open_levels
            walls, down, log_count = counted(self.n_sites)
        log_weight = self.coupling * (self.n_bonds - 2 * walls)
        log_weight = log_weight + self.field * (self.n_sites - 2 * down)
        order = np.argsort(-log_weight, kind="stable")
        return log_weight[order] - self.log_partition(), log_count[order]

    def configurations(self) -> Int8[np.ndarray, "rows N"]:
        """All configurations, ``(2**N, N)``: row i has spin j equal to +1 if bit j of i is 0.

        Raises:
            ValueError: above 24 sites, on an accelerator above 28.
        """
        return spin_configurations(check_enumerable(self.n_sites))

    def probabilities(self) -> Float[np.ndarray, " rows"]:
        """Exact probability of each row of `configurations`, ``(2**N,)`` float64.

        Raises:
            ValueError: above 24 sites, on an accelerator above 28.
        """
        log_weight = np.zeros(2 ** check_enumerable(self.n_sites))
        # site by site and in place, so that memory stays that of the answer
        for site in range(self.n_sites):
            done, following = log_weight[: 2**site], log_weight[2**site : 2 ** (site + 1)]
            before = np.repeat(SPINS, 2 ** (site - 1)) if site else 0.0
            local = self.field + self.coupling * before
            np.subtract(done, local, out=following)
            done += local
        if self.periodic:
            log_weight.reshape(2, -1, 2)[:] += self.coupling * np.outer(SPINS, SPINS)[:, None, :]
        log_weight -= self.log_partition()
        return np.exp(log_weight, out=log_weight)

    @functools.cached_property
    def _conditional_log_odds(self) -> tuple[Any, Float[np.ndarray, "bonds 2 2"]]:
        """Log-odds of s_0 = +1, and of s_{i+1} = +1 given s_0 and s_i, with axes (i, s_0, s_i)."""
        powers = log_powers(self._log_step, self.n_bonds + 1)
        if self.periodic:
            # axes (i, s_0, s_i): weight of the way back to s_0
            to_end = np.swapaxes(powers[1:][::-1], 1, 2)
            first = np.diagonal(to_end[0])
        else:
            free = logsumexp(powers + self._log_end, axis=-1)[::-1]
            to_end = np.broadcast_to(free[:, None, :], (self.n_sites, 2, 2))
            first = free[0] + self._log_end
        log_next = self._log_step[None, None] + to_end[1:, :, None, :]
        return first[0] - first[1], log_next[..., 0] - log_next[..., 1]

    def sample(self, key: PRNGKeyArray, n_samples: int) -> Int8[Array, "n_samples N"]:
        """Independent exact samples, ``(n_samples, N)``, in O(N) each.

        Spin after spin is drawn from the transfer matrix: nothing is rejected and nothing burns in.
        Conditional probabilities are those of float64, in steps of ``2**-64``.

        Arguments:
            key: a typed JAX key, ``jax.random.key(0)``.
            n_samples: how many configurations to draw.

        Raises:
            TypeError, ValueError: naming the argument; for draws beyond 8 GiB.
        """
        # a spin takes a word of four bytes and itself
        return self._markov_sampler().sample(*checked_draw(key, n_samples, 5 * self.n_sites))

    def _markov_sampler(self) -> MarkovSampler:
        first, following = self._conditional_log_odds
        return MarkovSampler.of(
            (expit(first), expit(-first)), (expit(following), expit(-following))
        )

    def sampler(self) -> AliasSampler | MarkovSampler:
        """What draws minibatches: up to 12 sites from a table of all configurations."""
        return _sampler(self)


def _bond_statistics() -> Float[np.ndarray, "2 2 2"]:
    """The statistics of a bond as functions of its two spins, half of the field of each with it."""
    return np.stack([np.outer(SPINS, SPINS), np.add.outer(SPINS, SPINS) / 2])


@functools.lru_cache(maxsize=256)
def _sampler(chain: IsingChain) -> AliasSampler | MarkovSampler:
    """Members of an ensemble that have equal chains share a sampler."""
    with jax.ensure_compile_time_eval():
        if chain.n_sites <= TABULATED_SITES:
            return AliasSampler.of(chain.probabilities())
        return chain._markov_sampler()
