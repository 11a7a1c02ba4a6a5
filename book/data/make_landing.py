"""The gap along training, for the picture that opens the book: couplings and seeds 0 to 7."""

import itertools
import time

import jax
import numpy as np
import pandas as pd

import rgkit as rg

N_SITES, HIDDEN, N_FEATURES, STEPS, RECORDS = 12, 64, 4, 400, 40
COUPLINGS = np.linspace(0.1, 2.0, 20).round(1)
SEEDS = range(8)


def member(coupling: float, seed: int) -> pd.DataFrame:
    """Gap of the features in nats at each recorded step, a row for each."""
    system = rg.IsingChain(coupling, n_sites=N_SITES)
    start_key, train_key = jax.random.split(jax.random.key(seed))
    network = rg.FCNetwork((N_SITES, HIDDEN, N_FEATURES), rg.SpinChannel(), key=start_key)
    result = rg.train(network, system, rg.Infomax(), steps=STEPS, records=RECORDS, key=train_key)
    return result.history[["step", "gap"]].round(4).assign(K=coupling, seed=seed)


if __name__ == "__main__":
    start = time.perf_counter()
    table = pd.concat([member(*point) for point in itertools.product(COUPLINGS, SEEDS)])
    rg.sweeps.save("landing", table[["K", "seed", "step", "gap"]], __file__, time.perf_counter() - start)
