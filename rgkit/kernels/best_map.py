"""How near the best of all deterministic maps can come to the uniform law: a partition problem, with a certificate."""

import heapq

import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln

from rgkit import _validation
from rgkit.kernels.base import TableMap
from rgkit.systems.ising import IsingChain

MAX_GREEDY_SITES = 20


def critical_ratio(system: IsingChain) -> float:
    r"""Threshold :math:`b_c = \ln 2 / s` of the ratio N/n, with s the entropy rate of the infinite chain.

    Infinite where s is 0: a frozen chain.
    """
    rate = system.entropy_rate()
    return float(np.log(2)) / rate if rate else float("inf")


def energy_levels(system: IsingChain) -> tuple[np.ndarray, np.ndarray]:
    """Classes of equal weight: ``ln p`` of one configuration, and ln of their number, ``(levels,)`` each, heaviest first.

    A ring with 2k walls and j spins down has ``(N/k) C(j-1, k-1) C(N-j-1, k-1)`` configurations; without a field
    the levels are those of the walls alone. Raises ValueError for an open chain in a field, which is not counted here.
    """
    n = system.n_sites
    if system.field and not system.periodic:
        raise ValueError("field must be 0 for an open chain here: use periodic=True, or field=0.")
    if system.field:
        log_weight, log_count = _ring_levels_in_field(system)
    else:
        walls = np.arange(0, n + 1, 2) if system.periodic else np.arange(n)
        log_weight = system.coupling * (system.n_bonds - 2 * walls)
        log_count = np.log(2) + _log_binomial(system.n_bonds, walls)
    order = np.argsort(-log_weight, kind="stable")
    return log_weight[order] - system.log_partition(), log_count[order]


def _log_binomial(n, k):
    return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)


def _ring_levels_in_field(system):
    n = system.n_sites
    down, blocks = np.meshgrid(np.arange(1, n), np.arange(1, n // 2 + 1))
    fits = (blocks <= down) & (blocks <= n - down)
    down, blocks = down[fits], blocks[fits]
    log_count = (
        np.log(n / blocks)
        + _log_binomial(down - 1, blocks - 1)
        + _log_binomial(n - down - 1, blocks - 1)
    )
    log_weight = system.coupling * (n - 4 * blocks) + system.field * (n - 2 * down)
    aligned = system.coupling * n + system.field * n * np.array([1, -1])
    return np.append(aligned, log_weight), np.append([0.0, 0.0], log_count)


def water_filling_divergence(system: IsingChain, n: int) -> float:
    r"""Lower bound, in nats, on :math:`D(q\|u_n)` over all deterministic maps (equally on the gap of any kernel).

    Configurations heavier than the level are left alone in a bin; all other mass is spread evenly over the
    remaining bins, as if it could be divided at will. Computed by classes of equal weight, so N = 10**4 is cheap.

    Arguments:
        system: a chain of any length (an open one without field).
        n: number of feature spins.
    """
    log_bins = _validation.positive_integer("n", n) * np.log(2)
    log_weight, log_count = energy_levels(system)
    log_mass = log_weight + log_count
    rest = np.append(np.logaddexp.accumulate(log_mass[::-1])[::-1], -np.inf)
    used = np.append(-np.inf, np.logaddexp.accumulate(log_count))
    heavy = 0
    while heavy < len(log_weight) and log_weight[heavy] > rest[heavy] - _log_difference(
        log_bins, used[heavy]
    ):
        heavy += 1
    alone = np.sum(np.exp(log_mass[:heavy]) * (log_weight[:heavy] + log_bins))
    if heavy == len(log_weight):
        return float(alone)
    log_rest, log_free = rest[heavy], _log_difference(log_bins, used[heavy])
    spread = np.exp(log_rest) * (log_rest + log_bins - log_free)
    return max(float(alone + spread), 0.0)


def _log_difference(log_a, log_b):
    """``ln(a - b)``, -inf where b >= a."""
    return log_a + np.log1p(-np.exp(log_b - log_a)) if log_b < log_a else -np.inf


def greedy_map(system: IsingChain, n: int) -> TableMap:
    """A deterministic map built by longest-processing-time greedy: heaviest configuration first, into the lightest bin.

    Its divergence bounds the best map's from above. Raises ValueError above 20 sites, where the table would not fit.

    Reference: R. L. Graham, SIAM J. Appl. Math. 17, 416 (1969), doi:10.1137/0117039.
    """
    if system.n_sites > MAX_GREEDY_SITES:
        raise ValueError(
            f"n_sites = {system.n_sites} is too large for the greedy map, whose table has 2**n_sites rows: use at most "
            f"{MAX_GREEDY_SITES} sites, or water_filling_divergence, which works by classes."
        )
    n = _validation.positive_integer("n", n)
    probabilities = system.probabilities()
    bins, table = (
        [(0.0, outcome) for outcome in range(2**n)],
        np.empty(len(probabilities), np.int32),
    )
    for row in np.argsort(-probabilities, kind="stable"):
        mass, outcome = bins[0]
        table[row] = outcome
        heapq.heapreplace(bins, (mass + probabilities[row], outcome))
    return TableMap(n, jnp.asarray(table))
