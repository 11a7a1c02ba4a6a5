"""Networks trained on the ring of 12 spins, over couplings and numbers of features, with the controls at the same points."""

import itertools
import time

import jax
import pandas as pd

import rgkit as rg

N_SITES, HIDDEN, STEPS = 12, 64, 500
COUPLINGS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
FEATURES = (2, 3, 4, 6, 8)
SEEDS = range(8)


def member(n: int, coupling: float, seed: int) -> dict:
    """Divergences in nats, hard features: the trained network, its start, a random map, all of the same seed."""
    system, key = rg.IsingChain(coupling, n_sites=N_SITES), jax.random.key(seed)
    network = rg.FCNetwork((N_SITES, HIDDEN, n), rg.SpinChannel(), key=key)
    result = rg.train(network, system, rg.Infomax(), steps=STEPS, records=1, key=key)
    untrained, trained = result.history.divergence
    random = rg.pushforward(system, rg.random_map(n, key)).divergence()
    return {"n": n, "K": coupling, "seed": seed, "trained": trained, "untrained": untrained, "random map": random}


if __name__ == "__main__":
    start = time.perf_counter()
    table = pd.DataFrame([member(*point) for point in itertools.product(FEATURES, COUPLINGS, SEEDS)])
    rg.sweeps.save("phase_diagram", table, __file__, time.perf_counter() - start)
