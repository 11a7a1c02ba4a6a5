"""Networks on the ring of 12 spins, by couplings and numbers of features, and their controls."""

import time
from typing import Any

import jax
import pandas as pd

import rgkit as rg

N_SITES, STEPS = 12, 500
KEYS = ("n", "K", "seed")
COUPLINGS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
FEATURES = (2, 3, 4, 6, 8)
GRID = {"n_features": FEATURES, "K": COUPLINGS, "n_sites": N_SITES, "width": 64, "seed": range(8)}


def random_divergence(row: Any) -> float:
    """Divergence of a random map in nats, drawn by the seed of the row."""
    random_map = rg.random_map(row.n, jax.random.key(row.seed))
    return rg.pushforward(rg.IsingChain(row.K, n_sites=N_SITES), random_map).divergence()


def divergences(**members: Any) -> pd.DataFrame:
    """Divergences in nats of hard features, by seed: trained, at the start, a random map."""
    result = rg.train_ensemble(
        GRID | members, rg.Infomax(), steps=STEPS, progress=True, key=jax.random.key(0)
    )
    table = result.table[["n_features", "K", "seed"]].rename(columns={"n_features": "n"})
    along = result.history.pivot(index="member", columns="step", values="divergence")
    table["trained"], table["untrained"] = along[STEPS], along[0]
    table["random map"] = [random_divergence(row) for row in table.itertuples()]
    return table


def replay(row: dict[str, Any]) -> pd.DataFrame:
    """The row, run again."""
    return divergences(n_features=row["n"], K=row["K"], seed=row["seed"])


if __name__ == "__main__":
    start = time.perf_counter()
    rg.sweeps.save("phase_diagram", divergences(), __file__, time.perf_counter() - start)
