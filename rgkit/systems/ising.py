"""The one-dimensional Ising chain, solved exactly by its transfer matrix."""

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from rgkit import _validation
from rgkit.enumeration import check_enumerable, spin_configurations
from rgkit.systems.base import Values, checked_draw
from rgkit.systems.chain_moments import moment_power, moment_product, weighted_moments
from rgkit.systems.levels import levels_without_field, open_levels, ring_levels
from rgkit.systems.spin_samplers import AliasSampler, MarkovSampler

TABULATED_SITES = 12
SPINS = np.array([1.0, -1.0])


def _log_product(log_a, log_b):
    """Matrix product of positive matrices given by their logarithms, ``(..., q, q)``."""
    return logsumexp(log_a[..., :, :, None] + log_b[..., None, :, :], axis=-2)


@dataclasses.dataclass(frozen=True)
class IsingChain:
    r"""Ising spins on a chain, exactly.

    .. math:: H(s) = -K \sum_i s_i s_{i+1} - h \sum_i s_i, \qquad p(s) = e^{-H(s)}/Z, \qquad s_i = \pm 1.

    The coupling :math:`K` and the field :math:`h` are dimensionless (the temperature is absorbed).
    Everything follows from powers of the transfer matrix :math:`T_{ss'} = e^{K s s' + h(s+s')/2}`, taken
    in logarithms, so that no coupling or length overflows. Values are in nats.

    Arguments:
        coupling: the nearest-neighbour coupling K, of either sign.
        field: the magnetic field h.
        n_sites: the number of sites N (at least 2; a ring of two sites has two bonds).
        periodic: a ring if true, an open chain if false.

    Raises:
        TypeError, ValueError: where a coupling is not a finite real number or ``n_sites`` is not an integer above 1.

    Reference: H. A. Kramers, G. H. Wannier, Phys. Rev. 60, 252 (1941), doi:10.1103/PhysRev.60.252.
    """

    coupling: float
    field: float = 0.0
    n_sites: int = dataclasses.field(kw_only=True)
    periodic: bool = dataclasses.field(default=True, kw_only=True)

    def __post_init__(self):
        object.__setattr__(self, "coupling", _validation.real("coupling", self.coupling))
        object.__setattr__(self, "field", _validation.real("field", self.field))
        object.__setattr__(
            self, "n_sites", _validation.positive_integer("n_sites", self.n_sites, 2)
        )

    @property
    def values(self) -> Values:
        """What a site can be: +1 or -1."""
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

    def statistics(self, x):
        r"""Sufficient statistics of spins ``x``: ``(sum of s_i s_{i+1} over the bonds, sum of s_i)``.

        ``(..., N)`` to ``(..., 2)``, in the order of `parameters`: :math:`p \propto e^{\theta \cdot T}` with
        :math:`\theta = (K, h)`; float arithmetic of JAX.
        """
        x = jnp.asarray(x)
        if x.shape[-1:] != (self.n_sites,):
            raise ValueError(
                f"x must have {self.n_sites} spins in its last axis, got shape {x.shape}."
            )
        x = x.astype(jnp.result_type(float))
        bonds = x[..., : self.n_bonds] * jnp.roll(x, -1, axis=-1)[..., : self.n_bonds]
        return jnp.stack([bonds.sum(-1), x.sum(-1)], axis=-1)

    def energy(self, x):
        """Dimensionless energy H of spins ``x``, shape ``(..., N)`` to ``(...)``; float arithmetic of JAX."""
        bonds, spins = jnp.moveaxis(self.statistics(x), -1, 0)
        return -self.coupling * bonds - self.field * spins

    @functools.cached_property
    def _log_transfer_matrix(self) -> np.ndarray:
        return self.coupling * np.outer(SPINS, SPINS) + self.field * np.add.outer(SPINS, SPINS) / 2

    @functools.cached_property
    def _log_step(self) -> np.ndarray:
        """ln of T over its largest eigenvalue: powers then neither grow nor shrink, and keep their digits."""
        return self._log_transfer_matrix - self.log_largest_eigenvalue()

    @property
    def _log_end(self) -> np.ndarray:
        return self.field * SPINS / 2

    def _log_power(self, exponent: int) -> np.ndarray:
        """ln of (T/lambda_+)**exponent, ``(2, 2)``, by repeated squaring."""
        power, square = np.where(np.eye(2), 0.0, -np.inf), self._log_step
        while exponent:
            if exponent & 1:
                power = _log_product(power, square)
            square, exponent = _log_product(square, square), exponent >> 1
        return power

    def _log_powers(self, count: int) -> np.ndarray:
        """ln of (T/lambda_+)**0 ... **(count - 1), ``(count, 2, 2)``, by doubling."""
        powers = self._log_power(0)[None]
        while len(powers) < count:
            powers = np.concatenate([powers, _log_product(powers, self._log_power(len(powers)))])
        return powers[:count]

    def log_partition(self) -> float:
        """ln Z of this chain: ``ln tr T**N`` on a ring, ``ln u.T**(N-1).u`` if open, with ``u_s = exp(h s/2)``."""
        return self._log_partition

    @functools.cached_property
    def _log_partition(self) -> float:
        power = self._log_power(self.n_bonds)
        weights = (
            np.diag(power) if self.periodic else power + np.add.outer(self._log_end, self._log_end)
        )
        return float(logsumexp(weights)) + self.n_bonds * self.log_largest_eigenvalue()

    def _pair_probabilities(self, first: int, second: int) -> np.ndarray:
        """Joint law ``(2, 2)`` of the spins at two sites, ``first <= second``."""
        between = self._log_power(second - first)
        if self.periodic:
            weights = between + self._log_power(self.n_sites - second + first).T
        else:
            left = logsumexp(self._log_power(first) + self._log_end, axis=1)
            right = logsumexp(self._log_power(self.n_sites - 1 - second) + self._log_end, axis=1)
            weights = left[:, None] + between + right
        return np.exp(weights - logsumexp(weights))

    def magnetization(self) -> float:
        """Mean spin of this chain, averaged over its sites; a long ring gives ``sinh h / sqrt(sinh(h)**2 + exp(-4K))``."""
        if self.periodic:
            return float(SPINS @ self._pair_probabilities(0, 0).sum(1))
        ends = logsumexp(self._log_powers(self.n_sites) + self._log_end, axis=-1)
        weights = ends + ends[::-1]
        return float(np.mean(np.exp(weights - logsumexp(weights, axis=1, keepdims=True)) @ SPINS))

    @functools.cached_property
    def _statistics_moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean ``(2,)`` and covariance ``(2, 2)`` of the sufficient statistics, by a power of the transfer matrix."""
        bond = np.stack([np.outer(SPINS, SPINS), np.add.outer(SPINS, SPINS) / 2])
        # centred, so that no variance is a small difference of large numbers
        centre = np.tensordot(bond, self._pair_probabilities(0, 1), 2)
        moments = moment_power(
            weighted_moments(np.exp(self._log_step), bond - centre[:, None, None]), self.n_bonds
        )
        if not self.periodic:
            end = weighted_moments(
                np.diag(np.exp(self._log_end)), np.stack([np.zeros((2, 2)), np.diag(SPINS) / 2])
            )
            moments = moment_product(moment_product(end, moments), end)
        weight, first, second = (
            np.trace(m, axis1=-2, axis2=-1) if self.periodic else m.sum((-2, -1)) for m in moments
        )
        mean = first / weight
        return mean + self.n_bonds * centre, second / weight - np.outer(mean, mean)

    def mean_parameters(self) -> dict[str, float]:
        """Means of the sufficient statistics by name, the gradient of ln Z: ``{"K": sum <s_i s_{i+1}>, "h": sum <s_i>}``."""
        return dict(zip(self.parameters, self._statistics_moments[0].tolist(), strict=True))

    def fisher_information(self) -> np.ndarray:
        """Covariance of the sufficient statistics, the Hessian of ln Z, ``(2, 2)`` in the order of `parameters`."""
        return self._statistics_moments[1].copy()

    def correlation(self, r: int) -> float:
        """``<s_0 s_r>``, not connected; site 0 is an end of an open chain. Raises ValueError unless ``0 <= r < N``."""
        r = _validation.positive_integer("r", r, 0)
        if r >= self.n_sites:
            raise ValueError(f"r must be below n_sites = {self.n_sites}, got {r}.")
        if self.field == 0.0:
            return self._zero_field_correlation(r)
        return float(SPINS @ self._pair_probabilities(0, r) @ SPINS)

    def _zero_field_correlation(self, r: int) -> float:
        """``(t**r + t**(N-r)) / (1 + t**N)`` on a ring, accurate where ``|t|**r`` is tiny and where ``|t|`` is nearly 1."""
        r = min(r, self.n_sites - r) if self.periodic else r
        if r == 0 or self.coupling == 0.0:
            return float(r == 0)
        # never quite 0, so that the limit of infinite coupling comes out
        log_t, sign = min(_log_tanh(abs(self.coupling)), -1e-300), np.sign(self.coupling)
        direct = sign**r * np.exp(r * log_t)
        if not self.periodic:
            return float(direct)
        # 1 + t**m for m = N - 2r and N, both of the parity of N
        near, far = (
            1 + np.exp(m * log_t) if sign**m > 0 else -np.expm1(m * log_t)
            for m in (self.n_sites - 2 * r, self.n_sites)
        )
        return float(direct * near / far)

    def entropy(self) -> float:
        """Shannon entropy of the whole chain, ``ln Z + <H>`` in nats."""
        normalized = self.log_partition() - self.n_bonds * self.log_largest_eigenvalue()
        return normalized - self._mean_log_weight()

    def _mean_log_weight(self) -> float:
        """Mean of ``-H - n_bonds ln(lambda_+)``, bond by bond."""
        if self.periodic:
            return self.n_sites * float(np.sum(self._pair_probabilities(0, 1) * self._log_step))
        start = logsumexp(self._log_powers(self.n_bonds) + self._log_end, axis=-1)
        weights = start[:, :, None] + self._log_step + start[::-1][:, None, :]
        bonds = np.exp(weights - logsumexp(weights, axis=(1, 2), keepdims=True))
        ends = self._pair_probabilities(0, self.n_sites - 1) * np.add.outer(
            self._log_end, self._log_end
        )
        return float(np.sum(bonds * self._log_step) + ends.sum())

    @functools.cached_property
    def _log_spectrum(self) -> tuple[float, float, float, float]:
        """ln of ``exp(K) cosh h``, ``exp(K) |sinh h|``, the square root in the eigenvalues, and the larger eigenvalue."""
        strength = abs(self.field)
        log_cosh = np.logaddexp(strength, -strength) - np.log(2)
        log_sinh = strength + np.log(-np.expm1(-2 * strength)) - np.log(2) if strength else -np.inf
        mean, tilt = self.coupling + log_cosh, self.coupling + log_sinh
        root = np.logaddexp(2 * tilt, -2 * self.coupling) / 2
        return mean, tilt, root, np.logaddexp(mean, root)

    def correlation_length(self) -> float:
        r"""Correlation length of the infinite chain, :math:`\xi = -1/\ln|\lambda_-/\lambda_+|`, in sites."""
        if self.coupling == 0.0:
            return 0.0
        mean, _, root, largest = self._log_spectrum
        strength = 2 * abs(self.coupling)
        log_ratio = strength + np.log(-np.expm1(-2 * strength)) - 2 * largest
        if log_ratio > -0.5:  # a ratio near one is known better from 1 - ratio
            closeness = np.log(2) + (root if self.coupling > 0 else mean) - largest
            log_ratio = np.log1p(-np.exp(closeness))
        return float(-1 / log_ratio) if log_ratio else np.inf

    def log_largest_eigenvalue(self) -> float:
        """``ln lambda_+``: minus the free energy per site of the infinite chain."""
        return float(self._log_spectrum[3])

    def entropy_rate(self) -> float:
        r"""Entropy per site of the infinite chain, nats; at h=0 :math:`\ln(2\cosh K) - K \tanh K`."""
        _, tilt, root, largest = self._log_spectrum
        vector = np.array([np.logaddexp(root, tilt), -self.coupling])[
            :: 1 if self.field >= 0 else -1
        ]
        stationary = np.exp(2 * vector - logsumexp(2 * vector))
        log_step = np.minimum(self._log_transfer_matrix + vector - vector[:, None] - largest, 0.0)
        return float(np.sum(stationary[:, None] * np.exp(log_step) * -log_step))

    def renyi2_rate(self) -> float:
        r"""Renyi-2 entropy per site of the infinite chain, :math:`2\ln\lambda_+(K,h) - \ln\lambda_+(2K,2h)`, nats."""
        double = dataclasses.replace(self, coupling=2 * self.coupling, field=2 * self.field)
        return 2 * self.log_largest_eigenvalue() - double.log_largest_eigenvalue()

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

    def configurations(self) -> np.ndarray:
        """All configurations, ``(2**N, N)`` int8: row i, site j is +1 if bit j of i is 0, else -1."""
        return spin_configurations(check_enumerable(self.n_sites))

    def probabilities(self) -> np.ndarray:
        """Exact probability of each row of `configurations`, ``(2**N,)`` float64."""
        check_enumerable(self.n_sites)
        log_weight = np.zeros(2**self.n_sites)
        for site in range(
            self.n_sites
        ):  # site by site and in place, so that memory stays that of the answer
            done, following = log_weight[: 2**site], log_weight[2**site : 2 ** (site + 1)]
            local = self.field + (
                self.coupling * np.repeat(SPINS, 2 ** (site - 1)) if site else 0.0
            )
            np.subtract(done, local, out=following)
            done += local
        if self.periodic:
            log_weight.reshape(2, -1, 2)[:] += self.coupling * np.outer(SPINS, SPINS)[:, None, :]
        log_weight -= self.log_partition()
        return np.exp(log_weight, out=log_weight)

    @functools.cached_property
    def _conditionals(self) -> tuple[np.ndarray, np.ndarray]:
        """P(s_0 = +1), and P(s_{i+1} = +1 | s_0, s_i) as ``(N-1, 2, 2)`` with axes (i, s_0, s_i)."""
        powers = self._log_powers(self.n_bonds + 1)
        if self.periodic:
            to_end = np.swapaxes(
                powers[1:][::-1], 1, 2
            )  # [i, s_0, s_i]: weight of the way back to s_0
        else:
            free = logsumexp(powers + self._log_end, axis=-1)[::-1]
            to_end = np.broadcast_to(free[:, None, :], (self.n_sites, 2, 2))
        first = np.diagonal(to_end[0]) if self.periodic else to_end[0, 0] + self._log_end
        log_next = self._log_step[None, None] + to_end[1:, :, None, :]
        return np.exp(first[0] - logsumexp(first)), np.exp(
            log_next[..., 0] - logsumexp(log_next, axis=-1)
        )

    def sample(self, key, n_samples: int):
        """Independent exact samples, ``(n_samples, N)`` int8, in O(N) each: spin after spin from the transfer matrix.

        Nothing is rejected and nothing burns in; conditional probabilities are rounded to float32.

        Arguments:
            key: a typed JAX key, ``jax.random.key(0)``.
            n_samples: how many configurations to draw.
        """
        # a spin takes a word of four bytes and itself
        return self._markov_sampler().sample(*checked_draw(key, n_samples, 5 * self.n_sites))

    def _markov_sampler(self) -> MarkovSampler:
        first, following = self._conditionals
        return MarkovSampler(jnp.float32(first), jnp.asarray(following, jnp.float32))

    def sampler(self) -> AliasSampler | MarkovSampler:
        """What draws minibatches: up to 12 sites from a table of all configurations, which takes one random word for each."""
        return _sampler(self)


def _log_tanh(x: float) -> float:
    """``ln tanh x`` for x >= 0."""
    if x < 0.5:
        return float(np.log(np.tanh(x))) if x else -np.inf
    return float(np.log1p(-np.exp(-2 * x)) - np.log1p(np.exp(-2 * x)))


@functools.lru_cache(maxsize=256)
def _sampler(chain) -> AliasSampler | MarkovSampler:
    """Members of an ensemble that have equal chains share a sampler."""
    with jax.ensure_compile_time_eval():
        return (
            AliasSampler.of(chain.probabilities())
            if chain.n_sites <= TABULATED_SITES
            else chain._markov_sampler()
        )
