"""Infomax on the ring of 12 spins: networks too narrow, short of time, or wide, seeds 0 to 7."""

import time
from typing import Any

import jax
import pandas as pd

import rgkit as rg

GRID = {"K": (0.5, 1.0), "n_sites": 12, "n_features": 4, "seed": range(8)}
KEYS = ("variant", "K", "seed")
VARIANTS = {  # hidden layers, and steps
    "no hidden layer": ({"depth": 0}, 1000),
    "4 hidden units": ({"width": 4}, 1000),
    "16 hidden units": ({"width": 16}, 1000),
    "50 steps": ({"width": 64}, 50),
    "256 hidden units": ({"width": 256}, 1000),
}


def runs(variant: str, **members: Any) -> pd.DataFrame:
    """Divergence of the hard features in nats, and the gap of the soft ones."""
    hidden, steps = VARIANTS[variant]
    result = rg.train_ensemble(
        GRID | hidden | members, rg.Infomax(), steps=steps, progress=True, key=jax.random.key(0)
    )
    return result.table.assign(variant=variant)[["variant", "K", "seed", "divergence", "gap"]]


def replay(row: dict[str, Any]) -> pd.DataFrame:
    """The row, run again."""
    return runs(row["variant"], K=row["K"], seed=row["seed"])


if __name__ == "__main__":
    start = time.perf_counter()
    table = pd.concat([runs(variant) for variant in VARIANTS])
    rg.sweeps.save("infomax_variants", table, __file__, time.perf_counter() - start)
