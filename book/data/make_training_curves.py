"""Distance to the uniform law along training: couplings, numbers of features, seeds 0 to 7."""

import time
from typing import Any

import jax
import numpy as np
import pandas as pd

import rgkit as rg

STEPS, RECORDS = 160, 8
KEYS = ("n", "K", "seed")
COUPLINGS = np.linspace(0.1, 2.0, 20).round(1)
GRID = {"n_features": (2, 4, 6), "K": COUPLINGS, "n_sites": 12, "width": 64, "seed": range(8)}


def curves(**members: Any) -> pd.DataFrame:
    """Divergence of the hard features in nats, in a column for each recorded step."""
    result = rg.train_ensemble(
        GRID | members, rg.Infomax(), steps=STEPS, records=RECORDS, progress=True,
        key=jax.random.key(0),
    )  # fmt: skip
    history = result.history.rename(columns={"n_features": "n"})
    return (
        history.pivot(index=["n", "K", "seed"], columns="step", values="divergence")
        .round(4)
        .reset_index()
    )


def replay(row: dict[str, Any]) -> pd.DataFrame:
    """The row, run again."""
    return curves(n_features=row["n"], K=row["K"], seed=row["seed"])


if __name__ == "__main__":
    start = time.perf_counter()
    rg.sweeps.save("training_curves", curves(), __file__, time.perf_counter() - start)
