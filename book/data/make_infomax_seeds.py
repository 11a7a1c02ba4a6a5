"""Infomax on the ring of 12 spins: single runs of 64 seeds, the best of 16 runs of 8 seeds."""

import time
from typing import Any

import jax
import numpy as np
import pandas as pd

import rgkit as rg

N_FEATURES, STEPS = 4, 1000
GRID = {"K": (0.5, 1.0), "n_sites": 12, "n_features": N_FEATURES, "width": 64}
KEYS = ("K", "restarts", "seed")
SEEDS = {1: range(64), 16: range(8)}  # by restarts
COLUMNS = [
    "K",
    "restarts",
    "seed",
    "entropy",
    "divergence",
    "gap",
    "pair_coupling",
    "untrained",
    "seconds",
]


def runs(restarts: int, **members: Any) -> pd.DataFrame:
    """Entropy (bits), divergence and pair coupling of hard features, gap of soft ones (nats).

    ``seconds`` is that of the whole ensemble, compilation included, over the number of its members.
    """
    grid = GRID | {"seed": SEEDS[restarts]} | members
    result = rg.train_ensemble(
        grid, rg.Infomax(), steps=STEPS, restarts=restarts, progress=True, key=jax.random.key(0)
    )
    start = result.history.query("step == 0").set_index("member")
    return result.table.assign(
        restarts=restarts, entropy=N_FEATURES - result.table.divergence / np.log(2),
        untrained=start.divergence, seconds=result.cost["seconds"] / len(result.table),
    )[COLUMNS]  # fmt: skip


def replay(row: dict[str, Any]) -> pd.DataFrame:
    """The row, run again."""
    return runs(row["restarts"], K=row["K"], seed=row["seed"])


if __name__ == "__main__":
    start = time.perf_counter()
    table = pd.concat([runs(restarts) for restarts in SEEDS]).sort_values(
        ["K", "restarts"], kind="stable"
    )
    rg.sweeps.save("infomax_seeds", table, __file__, time.perf_counter() - start)
