"""Distance to the uniform law along training, over couplings, numbers of features and seeds 0 to 7."""

import itertools
import time

import jax
import numpy as np
import pandas as pd

import rgkit as rg

N_SITES, HIDDEN, STEPS, RECORDS = 12, 64, 160, 8
COUPLINGS = np.linspace(0.1, 2.0, 20).round(1)
FEATURES = (2, 4, 6)
SEEDS = range(8)


def member(n: int, coupling: float, seed: int) -> dict:
    """Divergence of the hard features in nats, in a column for each recorded step."""
    system, key = rg.IsingChain(coupling, n_sites=N_SITES), jax.random.key(seed)
    network = rg.FCNetwork((N_SITES, HIDDEN, n), rg.SpinChannel(), key=key)
    history = rg.train(network, system, rg.Infomax(), steps=STEPS, records=RECORDS, key=key).history
    steps = history.step.astype(int).astype(str)
    return {"n": n, "K": coupling, "seed": seed, **dict(zip(steps, history.divergence.round(4)))}


if __name__ == "__main__":
    start = time.perf_counter()
    table = pd.DataFrame([member(*point) for point in itertools.product(FEATURES, COUPLINGS, SEEDS)])
    rg.sweeps.save("training_curves", table, __file__, time.perf_counter() - start)
