"""Networks trained by infomax on the ring of 12 spins: single runs of seeds 0 to 31, the best of 16 runs of seeds 0 to 7."""

import itertools
import time

import jax
import numpy as np
import pandas as pd

import rgkit as rg

N_SITES, HIDDEN, N_FEATURES, STEPS = 12, 64, 4, 1000
COUPLINGS = (0.5, 1.0)
SEEDS = {1: range(32), 16: range(8)}  # by restarts


def member(coupling: float, restarts: int, seed: int) -> dict:
    """Entropy (bits), divergence and pair coupling of the hard features, gap of the soft ones (nats), and the cost."""
    system, key = rg.IsingChain(coupling, n_sites=N_SITES), jax.random.key(seed)
    network = rg.FCNetwork((N_SITES, HIDDEN, N_FEATURES), rg.SpinChannel(), key=key)
    result = rg.train(network, system, rg.Infomax(), steps=STEPS, restarts=restarts, records=1, key=key)
    last = result.history.iloc[-1]
    return {
        "K": coupling, "restarts": restarts, "seed": seed, "entropy": N_FEATURES - last.divergence / np.log(2),
        "divergence": last.divergence, "gap": last.gap, "pair_coupling": last.pair_coupling,
        "untrained": result.history.divergence.iloc[0], "seconds": result.cost["seconds"],
    }  # fmt: skip


if __name__ == "__main__":
    start = time.perf_counter()
    points = [(K, restarts, seed) for K, restarts in itertools.product(COUPLINGS, SEEDS) for seed in SEEDS[restarts]]
    table = pd.DataFrame([member(*point) for point in points])
    rg.sweeps.save("infomax_seeds", table, __file__, time.perf_counter() - start)
