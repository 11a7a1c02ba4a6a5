"""How near the best of all deterministic maps comes to the uniform law: a partition problem."""

import heapq

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rgkit import _validation
from rgkit.kernels.maps import TableMap
from rgkit.systems.base import System, Values, enumerable, full_law

MAX_GREEDY_SITES = MAX_GREEDY_FEATURES = 20


def critical_ratio(system: System) -> float:
    r"""Threshold :math:`b_c = \ln 2 / s` of the ratio N/n, with s the entropy rate.

    Infinite for a frozen chain, whose entropy rate is 0.

    Arguments:
        system: spins with an ``entropy_rate()``, the entropy per site of the infinite chain in
            nats, such as an `IsingChain`.

    Raises:
        TypeError: for another system.
    """
    rate = getattr(system, "entropy_rate", None)
    if not isinstance(system, System) or system.values is not Values.SPINS or rate is None:
        raise TypeError(
            "system must be spins with a method entropy_rate(), the entropy per site of the "
            f"infinite chain, got {type(system).__name__}: pass a rgkit.IsingChain, or write it."
        )
    entropy_rate = float(rate())
    return float(np.log(2)) / entropy_rate if entropy_rate > 0 else np.inf


def energy_levels(
    system: System,
) -> tuple[Float[np.ndarray, " levels"], Float[np.ndarray, " levels"]]:
    """Classes of equal weight: ``ln p`` of one configuration, and ln of their number.

    Both are ``(levels,)``, heaviest first. A system that counts its classes itself has a method
    ``energy_levels()``, such as an `IsingChain` of any length; of another all configurations are
    listed, and those of probability zero left out.

    Raises:
        TypeError: for a system that does neither.
        ValueError: for one that is too large to be listed.
    """
    counted = getattr(system, "energy_levels", None)
    if counted is not None:
        return counted()
    probabilities = full_law(enumerable(system, "energy_levels"))
    values, counts = np.unique(probabilities[probabilities > 0], return_counts=True)
    return np.log(values[::-1]), np.log(counts[::-1])


def water_filling_divergence(system: System, n: int) -> float:
    r"""Lower bound, in nats, on :math:`D(q\|u_n)` over all deterministic maps.

    It is equally one on the gap of any kernel. Configurations heavier than the level are left alone
    in a bin; all other mass is spread evenly over the remaining bins, as if it could be divided at
    will. Computed by classes of equal weight, so N = 10**4 is cheap.

    Arguments:
        system: a chain of any length, or any other system that lists its configurations.
        n: number of feature spins.

    Raises:
        TypeError, ValueError: naming the argument; for a system without classes to count (see
            `energy_levels`).
    """
    log_bins = _validation.positive_integer("n", n) * np.log(2)
    log_weight, log_count = energy_levels(system)
    log_mass = log_weight + log_count
    rest = np.append(np.logaddexp.accumulate(log_mass[::-1])[::-1], -np.inf)
    used = np.append(-np.inf, np.logaddexp.accumulate(log_count))
    free = _log_difference(log_bins, used)
    # the first class that is not above the level shares its bins; with none left that is infinite
    heavy = int(np.argmax(np.append(log_weight <= rest[:-1] - free[:-1], True)))
    alone = np.sum(np.exp(log_mass[:heavy]) * (log_weight[:heavy] + log_bins))
    if heavy == len(log_weight):
        return max(float(alone), 0.0)
    spread = np.exp(rest[heavy]) * (rest[heavy] + log_bins - free[heavy])
    return max(float(alone + spread), 0.0)


def water_filling_law(
    probabilities: Float[Array, " rows"], n_outcomes: int
) -> Float[Array, " outcomes"]:
    """The law whose divergence from uniform is `water_filling_divergence`, heaviest first, in JAX.

    Arguments:
        probabilities: of the configurations, ``(rows,)``, in any order.
        n_outcomes: the number of bins.

    Returns:
        ``(n_outcomes,)``: the configurations above the level, then the level.
    """
    most = jnp.sort(probabilities)[::-1][:n_outcomes]
    most = jnp.pad(most, (0, n_outcomes - len(most)))
    rest = jnp.maximum(1 - jnp.cumsum(most) + most, 0)
    level = rest / jnp.arange(n_outcomes, 0, -1, dtype=most.dtype)
    # with none left that is not above the level, all stand alone
    heavy = jnp.argmax(jnp.append(most <= level, True))
    return jnp.where(jnp.arange(n_outcomes) < heavy, most, jnp.append(level, 0)[heavy])


def _log_difference(log_a: float, log_b: np.ndarray) -> np.ndarray:
    """``ln(a - b)``, -inf where b >= a."""
    below = log_b < log_a
    difference = log_a + np.log1p(-np.exp(np.where(below, log_b - log_a, -np.inf)))
    return np.where(below, difference, -np.inf)


def greedy_map(system: System, n: int) -> TableMap:
    """A deterministic map built by greedy: heaviest configuration first, into the lightest bin.

    This is "longest processing time" scheduling. The map's divergence bounds the best map's from
    above.

    Arguments:
        system: any system that lists its configurations, of at most 20 sites.
        n: number of feature spins, at most 20.

    Raises:
        TypeError: for a system that does not list its configurations.
        ValueError: above 20 sites, where the table would not fit, or 20 features.

    Reference: R. L. Graham, SIAM J. Appl. Math. 17, 416 (1969), doi:10.1137/0117039.
    """
    listing = enumerable(system, "the greedy map")
    if listing.n_sites > MAX_GREEDY_SITES:
        raise ValueError(
            f"n_sites = {listing.n_sites} is too large for the greedy map, whose table has "
            f"2**n_sites rows: use at most {MAX_GREEDY_SITES} sites, or water_filling_divergence, "
            "which works by classes."
        )
    if _validation.positive_integer("n", n) > MAX_GREEDY_FEATURES:
        raise ValueError(
            f"n = {n} is too large for the greedy map, which keeps 2**n bins: use at most "
            f"{MAX_GREEDY_FEATURES} features."
        )
    probabilities = full_law(listing)
    bins = [(0.0, outcome) for outcome in range(2**n)]
    table = np.empty(len(probabilities), np.int32)
    for row in np.argsort(-probabilities, kind="stable"):
        mass, outcome = bins[0]
        table[row] = outcome
        heapq.heapreplace(bins, (mass + float(probabilities[row]), outcome))
    return TableMap(n, jnp.asarray(table))
