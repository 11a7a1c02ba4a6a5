"""The gap along training, for the picture that opens the book: couplings and seeds 0 to 7."""

import time

import jax
import numpy as np
import pandas as pd

import rgkit as rg

STEPS, RECORDS = 400, 40
GRID = {
    "K": np.linspace(0.1, 2.0, 20).round(1),
    "n_sites": 12,
    "n_features": 4,
    "width": 64,
    "seed": range(8),
}


def gaps() -> pd.DataFrame:
    """Gap of the features in nats at each recorded step, a row for each."""
    result = rg.train_ensemble(
        GRID, rg.Infomax(), steps=STEPS, records=RECORDS, progress=True, key=jax.random.key(0)
    )
    return result.history[["K", "seed", "step", "gap"]].round(4)


if __name__ == "__main__":
    start = time.perf_counter()
    rg.sweeps.save("landing", gaps(), __file__, time.perf_counter() - start)
