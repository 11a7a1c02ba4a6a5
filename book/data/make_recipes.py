"""Infomax plain, with a leak, hardened and fitted: the entropy of the signs on 32 keys."""

import time
from typing import Any

import jax
import numpy as np
import pandas as pd

import rgkit as rg

SEEDS = range(32)
# K, sites, hidden units, features
SHAPES = ((1.0, 12, 64, 4), (0.5, 12, 64, 4), (0.8, 14, 64, 5))
NARROW = tuple((1.0, 12, width, 4) for width in (8, 16, 32))
LEAKY = {"objective": rg.LeakyInfomax(), "steps": 540}
RECIPES = {
    "plain": {"objective": rg.Infomax(), "steps": 1000},
    "leak": LEAKY | {"finish": rg.Polish(fit=0, harden=0)},
    "hardened": LEAKY | {"finish": rg.Polish(fit=0)},
    "fitted": LEAKY | {"finish": rg.Polish()},
    "fitted, leak 0.1": LEAKY | {"objective": rg.LeakyInfomax(0.1), "finish": rg.Polish()},
}
KEYS = ("K", "width", "recipe", "seed")
REPLAYED = "K == 0.5"


def run(K: float, n_sites: int, width: int, n: int, seed: int) -> list[dict[str, Any]]:
    """Entropy in bits of the hard features of every recipe from one start, and CPU seconds."""
    ring = rg.IsingChain(K, n_sites=n_sites)
    start, training = jax.random.split(jax.random.key(seed))
    network = rg.FCNetwork((n_sites, width, n), rg.SpinChannel(), key=start)
    rows = []
    for recipe, options in RECIPES.items():
        begun = time.process_time()
        result = rg.train(network, ring, records=1, key=training, **options)
        divergence = result.history.divergence.iloc[-1]
        row = {"K": K, "n_sites": n_sites, "width": width, "n": n, "seed": seed, "recipe": recipe}
        row |= {"entropy": n - divergence / np.log(2), "seconds": time.process_time() - begun}
        rows.append(row)
    return rows


def replay(row: dict[str, Any]) -> pd.DataFrame:
    """The rows of one start, run again."""
    of = row["K"], row["width"]
    shape = next(shape for shape in (*SHAPES, *NARROW) if shape[::2] == of)
    return pd.DataFrame(run(*shape, int(row["seed"])))


if __name__ == "__main__":
    start = time.perf_counter()
    shapes = *SHAPES, *NARROW
    for shape in shapes:
        run(*shape, 0)  # compiles, so that the seconds of the first key are those of training
    rows = [row for shape in shapes for seed in SEEDS for row in run(*shape, seed)]
    rg.sweeps.save("recipes", pd.DataFrame(rows), __file__, time.perf_counter() - start)
