"""The Ising model on a square torus: cluster samples, and the exact partition function."""

import dataclasses
import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Int8, Num, PRNGKeyArray

from rgkit import _validation as check
from rgkit.enumeration import check_enumerable, spin_configurations
from rgkit.systems.base import Values, checked_draw

CHAINS = 128
BYTES_OF_A_SITE = 64


class ClusterSampler(eqx.Module):
    """Swendsen-Wang chains on a square torus, many side by side.

    Arguments:
        coupling: K, dimensionless.
        size: the side L.
        sweeps: sweeps before the first configuration of a chain, and between two of them.
    """

    coupling: Float[Array, ""]
    size: int = eqx.field(static=True)
    sweeps: tuple[int, int] = eqx.field(static=True)

    @eqx.filter_jit
    def sample(self, key: PRNGKeyArray, n_samples: int) -> Int8[Array, "n_samples N"]:
        """Configurations, a row for each; those of one chain are not next to each other."""
        chains = min(n_samples, CHAINS)
        rounds = -(-n_samples // chains)
        start_key, sweep_key = jax.random.split(key)
        shape = chains, self.size, self.size
        spins = jax.random.rademacher(start_key, shape, jnp.int8)
        first, between = self.sweeps

        def sweeps(spins, number, key):
            def sweep(i, spins):
                return _swept(spins, self.coupling, jax.random.fold_in(key, i))

            return jax.lax.fori_loop(0, number, sweep, spins)

        def draw(spins, key):
            spins = sweeps(spins, between, key)
            return spins, spins

        burn_key, *keys = jax.random.split(sweep_key, rounds + 1)
        spins = sweeps(spins, first, burn_key)
        _, drawn = jax.lax.scan(draw, spins, jnp.stack(keys))
        return drawn.reshape(-1, self.size**2)[:n_samples]


def _swept(spins, coupling, key):
    """One sweep: bonds between equal spins, clusters, and a coin for every cluster."""
    chains, size, _ = spins.shape
    bond_key, coin_key = jax.random.split(key)
    chance = -jnp.expm1(-2 * coupling)
    uniform = jax.random.uniform(bond_key, (2, *spins.shape))
    bonds = tuple(
        (uniform[axis] < chance) & (spins == jnp.roll(spins, -1, axis=1 + axis))
        for axis in range(2)
    )
    root = _clusters(bonds)
    coins = jax.random.rademacher(coin_key, (chains, size * size), jnp.int8)
    return jnp.take_along_axis(coins, root, axis=1).reshape(spins.shape)


def _clusters(
    bonds: tuple[Bool[Array, "chains L L"], Bool[Array, "chains L L"]],
) -> Int[Array, "chains N"]:
    """For each site the least site of its cluster, by hooking roots and shortening paths."""
    chains, size, _ = bonds[0].shape
    own = jnp.broadcast_to(jnp.arange(size * size, dtype=jnp.int32), (chains, size * size))

    def least(labels):
        """The least label among a site and those it is bound to."""
        grid = labels.reshape(chains, size, size)
        best = grid
        for axis, bond in enumerate(bonds, start=1):
            ahead = jnp.roll(grid, -1, axis)
            best = jnp.where(bond, jnp.minimum(best, ahead), best)
            behind, bound = jnp.roll(grid, 1, axis), jnp.roll(bond, 1, axis)
            best = jnp.where(bound, jnp.minimum(best, behind), best)
        return best.reshape(chains, -1)

    def hooked(labels, better):
        return jax.vmap(lambda label, least: label.at[label].min(least))(labels, better)

    def step(state):
        labels, _ = state
        new = hooked(labels, least(labels))
        for _ in range(2):
            new = jnp.take_along_axis(new, new, axis=1)
        return new, jnp.any(new != labels)

    return jax.lax.while_loop(lambda state: state[1], step, (own, jnp.array(True)))[0]


@dataclasses.dataclass(frozen=True, eq=False)
class IsingTorus:
    r"""Ising spins on an L x L square lattice with periodic boundaries, at dimensionless coupling.

    .. math:: p(x) = e^{K \sum_{\langle ij \rangle} x_i x_j}/Z .

    Site ``L*i + j`` is in row i and column j. For L = 2 neighbours are joined by two bonds.

    Arguments:
        coupling: K, dimensionless (the inverse temperature is absorbed), not negative.
        size: L, at least 2.
        sweeps: Swendsen-Wang sweeps from a random start to the first configuration of each of up
            to 128 chains, and between two of a chain. Configurations of different chains are
            independent. At the critical coupling the energy forgets within about five sweeps for
            L = 64, so that the default leaves a correlation of a few per cent; small tori can be
            listed and need none of this.

    Raises:
        TypeError, ValueError: naming the argument.

    Reference: R. H. Swendsen, J.-S. Wang, Phys. Rev. Lett. 58, 86 (1987),
    doi:10.1103/PhysRevLett.58.86; B. Kaufman, Phys. Rev. 76, 1232 (1949),
    doi:10.1103/PhysRev.76.1232.
    """

    coupling: float
    size: int
    sweeps: tuple[int, int] = (100, 15)

    def __post_init__(self):
        coupling = check.real("coupling", self.coupling)
        if coupling < 0:
            raise ValueError(
                f"coupling must not be negative, got {coupling}: clusters are of equal spins. On a "
                "torus of even size flip every other spin instead, which changes the sign of K."
            )
        object.__setattr__(self, "coupling", coupling)
        object.__setattr__(self, "size", check.positive_integer("size", self.size, 2))
        if not isinstance(self.sweeps, tuple) or len(self.sweeps) != 2:
            raise TypeError(f"sweeps must be two integers, got {self.sweeps!r}: pass (100, 15).")
        sweeps = (check.positive_integer(f"sweeps[{i}]", n) for i, n in enumerate(self.sweeps))
        object.__setattr__(self, "sweeps", tuple(sweeps))

    @property
    def n_sites(self) -> int:
        """L squared."""
        return self.size**2

    @property
    def values(self) -> Values:
        """Spins."""
        return Values.SPINS

    def sampler(self) -> ClusterSampler:
        """What draws configurations inside a compiled step."""
        return ClusterSampler(jnp.asarray(self.coupling, jnp.float32), self.size, self.sweeps)

    def sample(self, key: PRNGKeyArray, n_samples: check.Integer) -> Int8[Array, "n_samples N"]:
        """Configurations ``(n_samples, N)`` by cluster updates on the device.

        They are equally good for means; those of one chain are 128 rows apart.

        Raises:
            TypeError, ValueError: naming the argument, or where the draw takes above 8 GiB.
        """
        key, n_samples = checked_draw(key, n_samples, BYTES_OF_A_SITE * self.n_sites)
        return self.sampler().sample(key, n_samples)

    def configurations(self) -> Int8[np.ndarray, "rows N"]:
        """All ``2**N`` configurations, for L up to 4 (5 on an accelerator)."""
        return spin_configurations(check_enumerable(self.n_sites))

    def probabilities(self) -> Float[np.ndarray, " rows"]:
        """The probability of each configuration, ``(2**N,)`` float64."""
        bonds = self.bond_sum(self.configurations())
        weights = np.exp(self.coupling * (bonds - 2 * self.n_sites))
        return weights / weights.sum()

    def bond_sum(self, x: Num[ArrayLike, "... N"]) -> Float[np.ndarray, "..."]:
        """``sum x_i x_j`` over the 2N bonds of configurations ``(..., N)``: minus the energy by K.

        Raises:
            ValueError: where the last axis is not the sites.
        """
        spins = np.asarray(x, np.float64)
        if spins.shape[-1:] != (self.n_sites,):
            raise ValueError(
                f"x must have {self.n_sites} sites on its last axis, got shape {spins.shape}."
            )
        grid = spins.reshape(*spins.shape[:-1], self.size, self.size)
        right, below = np.roll(grid, -1, -1), np.roll(grid, -1, -2)
        return (grid * (right + below)).sum((-2, -1))

    @functools.cached_property
    def _partition(self) -> tuple[float, float]:
        """``ln Z`` and the mean of the sum of bonds, its derivative."""
        return _kaufman(self.coupling, self.size)

    def log_partition(self) -> float:
        """``ln Z`` of the torus, exactly (Kaufman's four products)."""
        return self._partition[0]

    def mean_bond_sum(self) -> float:
        """The exact mean of `bond_sum`, the derivative of ``ln Z`` by K."""
        return self._partition[1]


def _kaufman(coupling: float, size: int) -> tuple[float, float]:
    r"""``ln Z`` and its derivative on an L x L torus, by forward derivatives of every factor.

    :math:`2Z = (2\sinh 2K)^{L^2/2} \sum_{i=1}^4 \pm Z_i` with products of
    :math:`2\cosh(L\gamma_l/2)` and :math:`2\sinh(L\gamma_l/2)` over odd and over even l.
    """
    if coupling == 0:
        return size**2 * math.log(2), 0.0
    two = 2 * coupling
    sinh, cosh = math.sinh(two), math.cosh(two)
    c, dc = cosh**2 / sinh, 2 * cosh * (2 - cosh**2 / sinh**2)
    logs, slopes, signs = [], [], []
    for parity in (1, 0):
        modes = 2 * np.arange(size) + parity
        value = c - np.cos(np.pi * modes / size)
        gamma = np.arccosh(np.maximum(value, 1))
        slope = dc / np.sqrt(np.maximum(value**2 - 1, np.finfo(float).tiny))
        if parity == 0:  # the one mode whose sign tells the two phases apart
            gamma[0], slope[0] = two + math.log(math.tanh(coupling)), 2 + 2 / sinh
        # never exactly zero, so that its product, which is, keeps its slope
        half = np.where(gamma == 0, np.finfo(float).tiny, size * gamma / 2)
        for log, factor, sign in (
            (np.logaddexp(half, -half), np.tanh(half), 1.0),
            (_log_sinh(half), 1 / np.tanh(half), np.prod(np.sign(half))),
        ):
            logs.append(log.sum())
            slopes.append((size / 2 * factor * slope).sum())
            signs.append(sign)
    top = max(logs)
    weights = np.array(signs) * np.exp(np.array(logs) - top)
    n = size**2
    log_partition = n / 2 * math.log(2 * sinh) + top + math.log(weights.sum() / 2)
    energy = n * cosh / sinh + weights @ np.array(slopes) / weights.sum()
    return float(log_partition), float(energy)


def _log_sinh(half):
    return np.abs(half) + np.log(-np.expm1(-2 * np.abs(half)))
