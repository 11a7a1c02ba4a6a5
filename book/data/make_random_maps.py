"""How near random maps from rings of 12 spins to 4 features come to the fixed point."""

import time
from typing import Any

import jax
import numpy as np
import pandas as pd

import rgkit as rg

N_SITES, N_FEATURES, N_MAPS = 12, 4, 400
KEYS = ("K",)
COUPLINGS = np.round(np.arange(0.1, 2.01, 0.1), 1)


def ensemble(coupling: float) -> dict[str, float]:
    """Divergence from the uniform law, in nats, of the features of 400 maps (keys 0 to 399).

    ``nearer`` is how many of them end nearer than decimation does.
    """
    ring = rg.IsingChain(coupling, n_sites=N_SITES)
    maps = (rg.random_map(N_FEATURES, jax.random.key(seed)) for seed in range(N_MAPS))
    found = pd.Series([rg.pushforward(ring, each).divergence() for each in maps])
    decimated = rg.pushforward(ring, rg.decimation(N_SITES // N_FEATURES)).divergence()
    low, median, high = found.quantile([0.25, 0.5, 0.75])
    return {
        "K": coupling,
        "mean": found.mean(),
        "standard_error": found.sem(),
        "lower": low,
        "median": median,
        "upper": high,
        "nearer": (found < decimated).sum(),
    }


def replay(row: dict[str, Any]) -> pd.DataFrame:
    """The row, run again."""
    return pd.DataFrame([ensemble(row["K"])])


if __name__ == "__main__":
    start = time.perf_counter()
    table = pd.DataFrame([ensemble(float(coupling)) for coupling in COUPLINGS])
    rg.sweeps.save("random_maps", table, __file__, time.perf_counter() - start)
