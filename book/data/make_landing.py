"""The gap along training, for the picture that opens the book: couplings and seeds 0 to 7."""

import time
from typing import Any

import jax
import numpy as np
import pandas as pd

import rgkit as rg

STEPS, RECORDS = 400, 40
KEYS = ("K", "seed", "step")
GRID = {
    "K": np.linspace(0.1, 2.0, 20).round(1),
    "n_sites": 12,
    "n_features": 4,
    "width": 64,
    "seed": range(8),
}


def gaps(**members: Any) -> pd.DataFrame:
    """Gap of the features in nats at each recorded step, a row for each."""
    result = rg.train_ensemble(
        GRID | members, rg.Infomax(), steps=STEPS, records=RECORDS, progress=True,
        key=jax.random.key(0),
    )  # fmt: skip
    return result.history[["K", "seed", "step", "gap"]].round(4)


def replay(row: dict[str, Any]) -> pd.DataFrame:
    """All steps of the run that the row is from, run again."""
    return gaps(K=row["K"], seed=row["seed"])


if __name__ == "__main__":
    start = time.perf_counter()
    rg.sweeps.save("landing", gaps(), __file__, time.perf_counter() - start)
