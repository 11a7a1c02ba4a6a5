"""Infomax on two fields in a double well, as chapter 13 trains it, from 16 starts."""

import time
from typing import Any

import jax
import pandas as pd

import rgkit as rg

PAIR = rg.ScalarChain((-2.0, 0.5), 0.5, n_sites=2, periodic=False)
WIDTHS, STEPS, BATCH, POOL, DRAWS, ROWS = (2, 64, 2), 600, 2**13, 2**17, 128, 2**14
KEYS = ("rule", "seed")
SEEDS = range(100, 116)
MEASURED = ["divergence_lower", "divergence_upper", "divergence_upper_error"]


def runs(seeds: Any) -> pd.DataFrame:
    """Distance of the features to white noise, from below and above, of a network for each seed."""
    result = rg.train_ensemble(
        [{"seed": seed} for seed in seeds],
        rg.Infomax(draws=DRAWS),
        system=lambda row: PAIR,
        network=lambda row, key: rg.FCNetwork(WIDTHS, rg.GaussianChannel(), key=key),
        steps=STEPS,
        batch_size=BATCH,
        pool=POOL,
        progress=True,
        key=jax.random.key(0),
    )
    configurations = PAIR.sample(jax.random.key(10), ROWS)
    rows = []
    for member, seed in enumerate(seeds):
        bounds = rg.information_bounds(result.network(member), configurations, jax.random.key(11))
        rows.append(
            {"rule": "trained", "seed": seed} | {name: getattr(bounds, name) for name in MEASURED}
        )
    return pd.DataFrame(rows)


def replay(row: dict[str, Any]) -> pd.DataFrame:
    """The row, run again."""
    return runs([int(row["seed"])])


if __name__ == "__main__":
    start = time.perf_counter()
    rg.sweeps.save("starts_on_fields", runs(SEEDS), __file__, time.perf_counter() - start)
