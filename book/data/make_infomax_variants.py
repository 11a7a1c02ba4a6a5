"""Infomax on the ring of 12 spins with networks that are too narrow, too short of time, or wide, seeds 0 to 7."""

import itertools
import time

import jax
import pandas as pd

import rgkit as rg

N_SITES, N_FEATURES = 12, 4
COUPLINGS = (0.5, 1.0)
VARIANTS = {
    "no hidden layer": ((), 1000),
    "4 hidden units": ((4,), 1000),
    "16 hidden units": ((16,), 1000),
    "50 steps": ((64,), 50),
    "256 hidden units": ((256,), 1000),
}
SEEDS = range(8)


def member(variant: str, coupling: float, seed: int) -> dict:
    """Divergence of the hard features in nats, and the gap of the soft ones."""
    hidden, steps = VARIANTS[variant]
    system, key = rg.IsingChain(coupling, n_sites=N_SITES), jax.random.key(seed)
    network = rg.FCNetwork((N_SITES, *hidden, N_FEATURES), rg.SpinChannel(), key=key)
    last = rg.train(network, system, rg.Infomax(), steps=steps, records=1, key=key).history.iloc[-1]
    return {"variant": variant, "K": coupling, "seed": seed, "divergence": last.divergence, "gap": last.gap}


if __name__ == "__main__":
    start = time.perf_counter()
    table = pd.DataFrame([member(*point) for point in itertools.product(VARIANTS, COUPLINGS, SEEDS)])
    rg.sweeps.save("infomax_variants", table, __file__, time.perf_counter() - start)
