"""Networks trained by infomax on the ring of 12 spins, seeds 0 to 7: one run each, and the best of 16 runs."""

import itertools
import time

import jax
import numpy as np
import pandas as pd

import rgkit as rg

N_SITES, HIDDEN, N_FEATURES, STEPS = 12, 64, 4, 1000
COUPLINGS = (0.5, 1.0)
RESTARTS = (1, 16)
SEEDS = range(8)


def member(coupling: float, restarts: int, seed: int) -> dict:
    """Entropy (bits), divergence and pair coupling of the hard features, gap of the soft ones (nats), and the cost."""
    system = rg.IsingChain(coupling, n_sites=N_SITES)
    start_key, train_key = jax.random.split(jax.random.key(seed))
    network = rg.FCNetwork((N_SITES, HIDDEN, N_FEATURES), rg.SpinChannel(), key=start_key)
    result = rg.train(network, system, rg.Infomax(), steps=STEPS, restarts=restarts, records=1, key=train_key)
    last = result.history.iloc[-1]
    return {
        "K": coupling, "restarts": restarts, "seed": seed, "entropy": N_FEATURES - last.divergence / np.log(2),
        "divergence": last.divergence, "gap": last.gap, "pair_coupling": last.pair_coupling,
        "untrained": result.history.divergence.iloc[0], "seconds": result.cost["seconds"],
    }  # fmt: skip


if __name__ == "__main__":
    start = time.perf_counter()
    table = pd.DataFrame([member(*point) for point in itertools.product(COUPLINGS, RESTARTS, SEEDS)])
    rg.sweeps.save("infomax_seeds", table, __file__, time.perf_counter() - start)
