"""Distance to the uniform law along training, over couplings, numbers of features and seeds 0 to 7."""

import time

import jax
import numpy as np
import pandas as pd

import rgkit as rg

STEPS, RECORDS = 160, 8
COUPLINGS = np.linspace(0.1, 2.0, 20).round(1)
GRID = {"n_features": (2, 4, 6), "K": COUPLINGS, "n_sites": 12, "width": 64, "seed": range(8)}


def curves() -> pd.DataFrame:
    """Divergence of the hard features in nats, in a column for each recorded step."""
    result = rg.train_ensemble(
        GRID, rg.Infomax(), steps=STEPS, records=RECORDS, progress=True, key=jax.random.key(0)
    )
    history = result.history.rename(columns={"n_features": "n"})
    return (
        history.pivot(index=["n", "K", "seed"], columns="step", values="divergence")
        .round(4)
        .reset_index()
    )


if __name__ == "__main__":
    start = time.perf_counter()
    rg.sweeps.save("training_curves", curves(), __file__, time.perf_counter() - start)
