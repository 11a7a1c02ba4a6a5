"""Distance to the uniform law of untrained networks: width, depth, gain, coupling."""

import itertools
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import rgkit as rg

N_SITES, N_FEATURES = 12, 4
KEYS = ("width", "depth", "gain", "K")
WIDTHS = (8, 16, 32, 64, 128, 256)
DEPTHS = (1, 2, 4, 8)
GAINS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)
COUPLINGS = np.linspace(0.1, 2.0, 20).round(1)
SEEDS = range(32)


@eqx.filter_jit
def laws(network, gain, x, weights):
    """Laws of the hard features, ``(couplings, 2**n)``; a gain multiplies every weight."""
    network = eqx.tree_at(
        lambda n: n.weights, network, tuple(gain * weight for weight in network.weights)
    )
    return jax.vmap(lambda row: network.push(x, row)[0])(weights)


def divergences(width, depth, gain, x, weights):
    """``D(q||u_n)`` for every seed and coupling, ``(seeds, couplings)``."""
    widths = (N_SITES, *[width] * depth, N_FEATURES)
    rows = []
    for seed in SEEDS:
        network = rg.FCNetwork(widths, rg.SpinChannel(), key=jax.random.key(seed)).hard()
        found = np.asarray(laws(network, gain, x, weights), float)
        # sums of float32 are off by a few 1e-6
        found /= found.sum(1, keepdims=True)
        rows.append([rg.SpinLaw(law).divergence() for law in found])
    return np.array(rows)


def quantiles(width: int, depth: int, gain: float, couplings: np.ndarray) -> pd.DataFrame:
    """Quartiles of the divergence over the seeds in nats, a row for each coupling."""
    chains = [rg.IsingChain(K, n_sites=N_SITES) for K in couplings]
    x = jnp.asarray(chains[0].configurations())
    weights = jnp.asarray(np.stack([chain.probabilities() for chain in chains]), jnp.float32)
    lower, median, upper = np.quantile(
        divergences(width, depth, gain, x, weights), [0.25, 0.5, 0.75], axis=0
    )
    return pd.DataFrame({
        "width": width, "depth": depth, "gain": gain, "K": couplings,
        "lower": lower, "median": median, "upper": upper,
    }).round(5)  # fmt: skip


def replay(row: dict[str, Any]) -> pd.DataFrame:
    """The row and those of all other couplings, run again."""
    return quantiles(row["width"], row["depth"], row["gain"], COUPLINGS)


if __name__ == "__main__":
    start = time.perf_counter()
    points = itertools.product(WIDTHS, DEPTHS, GAINS)
    table = pd.concat([quantiles(*point, COUPLINGS) for point in points])
    rg.sweeps.save("untrained", table, __file__, time.perf_counter() - start)
