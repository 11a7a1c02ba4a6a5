"""The chain of real fields with an even polynomial potential, solved by its transfer operator."""

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float, Num

from rgkit import _validation
from rgkit.systems.base import Values, checked_draw
from rgkit.systems.decimated import DecimatedChain, block_average_density
from rgkit.systems.field_sampler import FieldSampler, field_sampler
from rgkit.systems.transfer_operator import TransferOperator, potential, resolved, whole_line


@dataclasses.dataclass(frozen=True)
class ScalarChain:
    r"""Real fields on a chain, with an even polynomial at each site.

    .. math:: H(\phi) = \sum_i \Big[\frac r2 \phi_i^2 + u \phi_i^4 + w \phi_i^6 + \dots\Big] - K \sum_i \phi_i \phi_{i+1},
              \qquad p(\phi) = e^{-H(\phi)}/Z.

    All couplings are dimensionless. Everything follows from the transfer operator
    :math:`T(a,b) = e^{-V(a)/2 - V(b)/2 + Kab}`, V the potential of a site, on a grid chosen from V and K. Values are in
    nats; entropies are differential and may be negative. Methods that speak of the infinite chain do not depend on
    ``n_sites`` and ``periodic``.

    Arguments:
        potential: (r, u, w, ...), coefficients of :math:`\phi^2/2, \phi^4, \phi^6, \dots`, named r, u, w, u8, u10, ...
        coupling: K, of either sign.
        n_sites: the number of sites N (at least 2; a ring of two sites has two bonds).
        periodic: a ring if true, an open chain if false.

    Raises:
        TypeError, ValueError: naming the argument; where the density cannot be normalised (the last coefficient that
            is not zero must be positive, a purely quadratic potential needs :math:`r > 2|K|`); on first use, where no
            grid of reasonable size resolves the operator.

    Reference: D. J. Scalapino, M. Sears, R. A. Ferrell, Phys. Rev. B 6, 3409 (1972), doi:10.1103/PhysRevB.6.3409.
    """

    potential: tuple
    coupling: float
    n_sites: int = dataclasses.field(kw_only=True)
    periodic: bool = dataclasses.field(default=True, kw_only=True)

    def __post_init__(self):
        if (
            isinstance(self.potential, str)
            or not hasattr(self.potential, "__len__")
            or not len(self.potential)
        ):
            raise TypeError(
                f"potential must be a tuple (r, u, w, ...), got {self.potential!r}: pass at least (r,)."
            )
        names = _names(len(self.potential))
        coefficients = tuple(
            _validation.real(f"potential[{i}] ({names[i]})", c)
            for i, c in enumerate(self.potential)
        )
        object.__setattr__(self, "potential", coefficients)
        object.__setattr__(self, "coupling", _validation.real("coupling", self.coupling))
        object.__setattr__(
            self, "n_sites", _validation.positive_integer("n_sites", self.n_sites, 2)
        )
        self._check_normalisable()

    def _check_normalisable(self):
        last = max((i for i, c in enumerate(self.potential) if c), default=0)
        name, value = _names(last + 1)[last], self.potential[last]
        if last == 0 and value <= 2 * abs(self.coupling):
            raise ValueError(
                f"potential with r = {value} and coupling K = {self.coupling} cannot be normalised: a purely quadratic chain "
                "needs r > 2|K|; raise r, weaken K, or add a quartic term u > 0."
            )
        if value <= 0:
            raise ValueError(
                f"potential with {name} = {value} cannot be normalised: exp(-H) grows without bound; its last coefficient "
                f"that is not zero must be positive: make {name} positive or add a higher term."
            )

    @property
    def values(self) -> Values:
        """What a site can be: any real number."""
        return Values.REALS

    @property
    def parameters(self) -> dict[str, float]:
        """The characteristic (natural) parameters by name, ``{"r": ..., "u": ..., "w": ..., "K": ...}``."""
        return dict(zip(_names(len(self.potential)), self.potential, strict=True)) | {
            "K": self.coupling
        }

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

    def statistics(self, x):
        r"""Sufficient statistics of fields ``x``, ``(..., N)`` to ``(..., k)``, in the order of `parameters`.

        :math:`p \propto e^{\theta\cdot T}` with :math:`T_r = -\sum\phi^2/2`, :math:`T_u = -\sum\phi^4`,
        :math:`T_w = -\sum\phi^6, \dots` and :math:`T_K = \sum\phi_i\phi_{i+1}`; float arithmetic of JAX.
        """
        x = jnp.asarray(x)
        if x.shape[-1:] != (self.n_sites,):
            raise ValueError(
                f"x must have {self.n_sites} sites in its last axis, got shape {x.shape}."
            )
        x = x.astype(jnp.result_type(float))
        powers = [
            -(scale * x ** (2 * j)).sum(-1)
            for j, scale in enumerate(_scales(len(self.potential)), 1)
        ]
        bonds = x[..., : self.n_bonds] * jnp.roll(x, -1, axis=-1)[..., : self.n_bonds]
        return jnp.stack([*powers, bonds.sum(-1)], axis=-1)

    def energy(self, x):
        """Dimensionless energy H of fields ``x``, shape ``(..., N)`` to ``(...)``; float arithmetic of JAX."""
        return -self.statistics(x) @ jnp.array([*self.parameters.values()])

    def statistics_derivatives(
        self, x: Num[ArrayLike, "M N"]
    ) -> tuple[Float[np.ndarray, "k M N"], Float[np.ndarray, "k M"]]:
        r"""Gradients and Laplacians of the sufficient statistics, for score matching; float64.

        Arguments:
            x: configurations, ``(M, N)``.

        Returns:
            :math:`\partial T_k/\partial\phi_i`, ``(k, M, N)``, and
            :math:`\sum_i \partial^2 T_k/\partial\phi_i^2`, ``(k, M)``, in the order of `parameters`.

        Reference: A. Hyvarinen, J. Mach. Learn. Res. 6, 695 (2005).
        """
        x = self._fields(x)
        orders = 2 * np.arange(1, len(self.potential) + 1)
        factors = -np.array(_scales(len(self.potential))) * orders
        powers = np.cumprod([np.ones_like(x)] + [x] * (orders[-1] - 1), axis=0)
        neighbours = np.roll(x, 1, axis=1) + np.roll(x, -1, axis=1)
        if not self.periodic:
            neighbours[:, [0, -1]] -= x[:, [-1, 0]]
        gradients = np.concatenate([factors[:, None, None] * powers[orders - 1], neighbours[None]])
        laplacians = (factors * (orders - 1))[:, None] * powers[orders - 2].sum(-1)
        return gradients, np.append(laplacians, np.zeros((1, len(x))), axis=0)

    def log_density(self, x: Num[ArrayLike, "... N"]) -> Float[np.ndarray, "..."]:
        """``ln p`` of fields ``x``, normalised, ``(..., N)`` to ``(...)`` float64."""
        x = self._fields(x)
        with jax.enable_x64(True):
            statistics = np.asarray(self.statistics(x))
        return statistics @ np.array([*self.parameters.values()]) - self.log_partition()

    def _fields(self, x: Num[ArrayLike, "... N"]) -> Float[np.ndarray, "... N"]:
        """Configurations in float64, if they have as many sites as this chain."""
        fields = np.asarray(x, float)
        if fields.shape[-1:] != (self.n_sites,):
            raise ValueError(
                f"x must have {self.n_sites} sites in its last axis, got shape {fields.shape}."
            )
        return fields

    @functools.cached_property
    def _resolved(self) -> tuple[TransferOperator, float]:
        return resolved(
            tuple(c * s for c, s in zip(self.potential, _scales(len(self.potential)), strict=True)),
            self.coupling,
        )

    @property
    def operator(self) -> TransferOperator:
        """The transfer operator on its grid."""
        return self._resolved[0]

    @property
    def grid(self) -> np.ndarray:
        """Points of the grid, ``(n,)``, symmetric about zero."""
        return whole_line(self.operator.points, -1)

    def error_estimate(self) -> float:
        """The change that the last doubling of the grid made, and the rounding of float64.

        It bounds the errors of ``ln lambda_0``, of the ratios of eigenvalues and the relative errors of low moments.
        """
        return self._resolved[1] + 1e-14

    def log_partition_per_site(self) -> float:
        """``ln lambda_0``, minus the free energy per site of the infinite chain."""
        return self.operator.log_largest_eigenvalue

    def spectrum(self, k: int) -> np.ndarray:
        """The first k eigenvalues over the largest, ``(k,)``, in the order of their size (for K < 0 every second is negative)."""
        values = np.concatenate([self.operator.even_states[0], self.operator.odd_states[0]])
        if _validation.positive_integer("k", k) > len(values):
            raise ValueError(
                f"k must be at most {len(values)}, the number of grid points, got {k}."
            )
        return values[np.argsort(-abs(values), kind="stable")][:k]

    def moment(self, p: int) -> float:
        r""":math:`\langle\phi^p\rangle` in the infinite chain; 0 for odd p."""
        return 0.0 if _validation.positive_integer("p", p, 0) % 2 else self.operator.moment(p)

    def density(self, phi) -> np.ndarray:
        r"""Density :math:`\psi_0(\phi)^2` of one site of the infinite chain at ``phi`` of any shape."""
        return self.operator.extended(phi) ** 2

    def correlation_length(self) -> float:
        r"""Correlation length of the infinite chain, :math:`\xi = -1/\ln|\lambda_1/\lambda_0|`, in sites."""
        return -1 / self.operator.log_ratio

    @functools.cached_property
    def _field_elements(self) -> np.ndarray:
        """Matrix elements of the field between even (rows) and odd states, ``(n, n)``."""
        (_, even), (_, odd) = self.operator.even_states, self.operator.odd_states
        return even.T @ (self.operator.points[:, None] * odd)

    def susceptibility(self) -> float:
        r""":math:`\sum_r \langle\phi_0\phi_r\rangle` over all r of either sign, in the infinite chain."""
        ratios = self.operator.odd_states[0]
        distance = 1 - ratios
        distance[0] = self.operator.gap if self.coupling > 0 else distance[0]
        return float(self._field_elements[0] ** 2 @ ((1 + ratios) / distance))

    def entropy_rate(self) -> float:
        r"""Differential entropy per site of the infinite chain, :math:`\ln\lambda_0 + \langle H\rangle/N`."""
        means = [
            -scale * self.moment(2 * j) for j, scale in enumerate(_scales(len(self.potential)), 1)
        ]
        neighbours = float(self._field_elements[0] ** 2 @ self.operator.odd_states[0])
        return self.log_partition_per_site() - float(
            np.dot([*self.parameters.values()], [*means, neighbours])
        )

    def log_partition(self) -> float:
        """ln Z of this chain: ``ln tr T**N`` on a ring; if open, ``ln u.T**(N-1).u`` with ``u = exp(-V/2)``."""
        operator = self.operator
        (even, states), (odd, _) = operator.even_states, operator.odd_states
        if self.periodic:
            weight = np.sum(even**self.n_sites) + np.sum(odd**self.n_sites)
            return float(np.log(weight) + self.n_sites * operator.log_largest_eigenvalue)
        end, log_scale = self._end
        weight = 2 * operator.spacing * np.sum(even**self.n_bonds * (end @ states) ** 2)
        return float(
            np.log(weight) + 2 * log_scale + self.n_bonds * operator.log_largest_eigenvalue
        )

    @property
    def _end(self) -> tuple[np.ndarray, float]:
        """``exp(-V/2)`` on the grid points above zero, ``(n,)``, over its largest value, and the logarithm of that."""
        log_weight = -potential(self.operator.coefficients, self.operator.points) / 2
        return np.exp(log_weight - log_weight.max()), log_weight.max()

    @functools.cached_property
    def _statistics_moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean ``(k,)`` and covariance ``(k, k)`` of the sufficient statistics."""
        weight, first, second = self._ring_moments() if self.periodic else self._open_moments()
        mean = first / weight
        return mean, second / weight - np.outer(mean, mean)

    def _site_statistics(self) -> np.ndarray:
        """The statistics of one site on the grid points above zero, ``(k - 1, n)``."""
        scales = _scales(len(self.potential))
        return np.stack(
            [-scale * self.operator.points ** (2 * j) for j, scale in enumerate(scales, 1)]
        )

    def _bond_operators(self, parity):
        """One part of T ``(n, n)``, times the statistics of a bond ``(k, n, n)``, times their products ``(k, k, n, n)``.

        The product of neighbours is odd in each of them, so that T times it has the other part of T.
        """
        site = self._site_statistics()
        bond = (site[:, :, None] + site[:, None, :]) / 2
        statistics = np.concatenate(
            [bond, np.multiply.outer(self.operator.points, self.operator.points)[None]]
        )
        same, other = (self.operator.even, self.operator.odd)[:: 1 if parity > 0 else -1]
        is_odd = np.arange(len(statistics)) == len(site)
        first = np.where(is_odd[:, None, None], other, same) * statistics
        mixed = is_odd[:, None] ^ is_odd
        second = np.where(mixed[..., None, None], other, same) * statistics[:, None] * statistics
        return same, first, second

    def _ring_moments(self):
        """Traces over the ring of 1, of the statistics and of their products, with ``lambda_0 = 1``."""
        totals = [
            self._sector_moments(1, *self.operator.even_states),
            self._sector_moments(-1, *self.operator.odd_states),
        ]
        return (sum(parts) for parts in zip(*totals, strict=True))

    def _sector_moments(self, parity, values, states):
        n = self.n_sites
        _, first, second = self._bond_operators(parity)
        elements = states.T @ first @ states
        around = states * values ** (n - 1) @ states.T
        powers = values ** np.arange(n - 1)[:, None]
        # two different bonds cut the ring into stretches of r and N - 2 - r bonds
        apart = powers.T @ powers[::-1]
        pairs = np.einsum("ikl,jlk,kl->ij", elements, elements, apart, optimize=True)
        traces = np.einsum("ikk,k->i", elements, values ** (n - 1))
        return np.sum(values**n), n * traces, n * (np.tensordot(second, around, 2) + pairs)

    def _open_moments(self):
        """Sums over the open chain of 1, of the statistics and of their products, site after site, with ``lambda_0 = 1``."""
        part, first, second = self._bond_operators(1)
        end, _ = self._end
        at_end = np.concatenate([self._site_statistics() / 2, np.zeros_like(end)[None]])
        state = _with_end(
            (end, np.zeros_like(at_end), np.zeros((len(at_end), *at_end.shape))), at_end
        )
        for _ in range(self.n_bonds):
            cross = np.einsum("iab,jb->ija", first, state[1])
            state = (
                part @ state[0],
                first @ state[0] + state[1] @ part,
                second @ state[0] + cross + np.swapaxes(cross, 0, 1) + state[2] @ part,
            )
        return (moment @ end for moment in _with_end(state, at_end))

    def mean_parameters(self) -> dict[str, float]:
        """Means of `statistics` by name, the gradient of ln Z: ``{"r": -sum <phi**2>/2, ..., "K": sum <phi phi'>}``."""
        return dict(zip(self.parameters, self._statistics_moments[0].tolist(), strict=True))

    def fisher_information(self) -> np.ndarray:
        """Covariance of the sufficient statistics, the Hessian of ln Z, ``(k, k)`` in the order of `parameters`."""
        return self._statistics_moments[1].copy()

    def entropy(self) -> float:
        """Differential entropy of the whole chain, ``ln Z + <H>`` in nats."""
        return self.log_partition() - float(
            np.dot([*self.parameters.values()], self._statistics_moments[0])
        )

    def correlation(self, r: int) -> float:
        """``<phi_0 phi_r>`` of this chain; site 0 is an end of an open chain. Raises ValueError unless ``0 <= r < N``."""
        r = _validation.positive_integer("r", r, 0)
        if r >= self.n_sites:
            raise ValueError(f"r must be below n_sites = {self.n_sites}, got {r}.")
        (even, states), (odd, _) = self.operator.even_states, self.operator.odd_states
        rest = self.n_bonds - r
        if self.periodic:
            both = np.outer(even**rest, odd**r) + np.outer(even**r, odd**rest)
            return float(
                np.sum(self._field_elements**2 * both)
                / (np.sum(even**self.n_sites) + np.sum(odd**self.n_sites))
            )
        return self._open_correlation(r, even, odd, self._end[0] @ states, states)

    def _open_correlation(self, r, even, odd, end, states):
        weighted = (self._end[0] * self.operator.points) @ self.operator.odd_states[1]
        beyond = (even ** (self.n_bonds - r) * end) @ self._field_elements
        if r == 0:
            square = (self._end[0] * self.operator.points**2) @ states
            return float(square @ (even**self.n_bonds * end) / np.sum(even**self.n_bonds * end**2))
        return float(weighted @ (odd**r * beyond) / np.sum(even**self.n_bonds * end**2))

    def decimated(self, b: int) -> DecimatedChain:
        """The infinite chain with every b-th site kept, whose transfer operator is ``T**b``."""
        return DecimatedChain(self.operator, _validation.positive_integer("b", b))

    def block_average_density(
        self, b: int, *, independent: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        r"""Exact law of the block average :math:`b^{-1/2}\sum\phi_i` over b neighbours in the infinite chain.

        Arguments:
            b: the block size.
            independent: take the sites as independent, each with the density of one site of the chain.

        Returns:
            Points and density, both ``(q,)``, the points equally spaced, by Fourier transform of the characteristic function
            :math:`\langle\psi_0|(e^{ik\phi}T)^{b-1}e^{ik\phi}|\psi_0\rangle/\lambda_0^{b-1}`, or of a power of that of one site.
        """
        return block_average_density(
            self.operator, _validation.positive_integer("b", b), independent
        )

    def sample(self, key, n_samples: int):
        """Independent samples, ``(n_samples, N)`` float32, site after site; nothing is rejected and nothing burns in.

        Their law differs from the exact one by less than a part in 10**6. Works inside ``jax.jit`` (``n_samples`` static).

        Arguments:
            key: a typed JAX key, ``jax.random.key(0)``.
            n_samples: how many configurations to draw.
        """
        # 8192 rows at a time, so that it is the answer that counts
        return self.sampler().sample(*checked_draw(key, n_samples, 4 * self.n_sites))

    def sampler(self) -> FieldSampler:
        """The tables of `sample` as arrays: chains of one shape share its compiled programs."""
        return self._sampler

    @functools.cached_property
    def _sampler(self) -> FieldSampler:
        return field_sampler(self)


def _names(n: int) -> list[str]:
    return [*"ruw", *(f"u{2 * j}" for j in range(4, n + 1))][:n]


def _scales(n: int) -> list[float]:
    """What multiplies the powers of the field in H: 1/2 for the square, 1 for the others."""
    return [0.5] + [1.0] * (n - 1)


def _with_end(state, statistics):
    """Moments of a stretch of chain ``((n,), (k, n), (k, k, n))`` with the statistics ``(k, n)`` of its last site added."""
    weight, first, second = state
    cross = statistics[:, None] * first
    products = statistics[:, None] * statistics * weight
    return weight, first + statistics * weight, second + cross + np.swapaxes(cross, 0, 1) + products
