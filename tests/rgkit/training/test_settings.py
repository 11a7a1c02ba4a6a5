"""What a user may have set in JAX: draws, laws and training work under it, each in a process."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
import jax
import numpy as np
import optax
import rgkit as rg

{setting}
key = jax.random.key(0)
ring = rg.IsingChain(0.5, n_sites=4)
wells = rg.ScalarChain((-2.0, 0.5), 0.5, n_sites=4)
network = rg.FCNetwork((4, 4, 2), rg.SpinChannel(), key=key)

assert set(np.unique(ring.sample(key, 8))) == {{-1, 1}}
assert np.isfinite(wells.sample(key, 8)).all()
law = rg.pushforward(ring, network)
assert abs(law.probabilities.sum() - 1) < 1e-12
assert np.isfinite(rg.pushforward(wells, rg.decimation(2), n_samples=400, key=key).samples).all()


def close(a, b):
    leaves = zip(*map(jax.tree.leaves, (a.weights, b.weights)), strict=True)
    return all(np.allclose(x, y, rtol=0, atol=1e-5) for x, y in leaves)


def trained_alike(grid, objective, **options):
    # not Adam, which makes steps of rounding where symmetry makes a gradient zero
    options = {{"steps": 2, "records": 1, "optimizer": optax.sgd(0.1)}} | options
    together = rg.train_ensemble(grid, objective, key=key, **options)
    alone = rg.train(**together.arguments(1), **options)
    assert close(together.network(1), alone.network), "a member differs from train"
    assert np.isfinite(alone.history[["loss", "gap"]]).all(axis=None)
    assert np.isfinite(together.table.gap).all()


spins = {{"K": [0.5, 1.0], "n_sites": 4, "n_features": 2, "width": 4}}
trained_alike(spins, rg.Infomax())
trained_alike(spins, rg.Classification(lambda x: (x[0] > 0).astype(int)), batch_size=16)
if {forked}: sys.exit()
trained_alike(spins, rg.Reconstruction())
trained_alike(spins, rg.Regression(lambda x: x[0].astype(np.float32)))
fields = {{"r": -2.0, "u": [0.5, 0.6], "K": 0.5, "n_sites": 4, "n_features": 2, "width": 4}}
trained_alike(fields, rg.Infomax(draws=8), batch_size=32, pool=64)
"""

FORK = """
child = os.fork()
if child: sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
# settings that do not touch one another stand together, for each process takes its time
SETTINGS = {
    "strict promotion and rbg": {
        "jax_numpy_dtype_promotion": "strict",
        "jax_default_prng_impl": "rbg",
    },
    "the same with float64, debug_nans and unsafe_rbg": {
        "jax_numpy_dtype_promotion": "strict",
        "jax_enable_x64": True,
        "jax_debug_nans": True,
        "jax_default_prng_impl": "unsafe_rbg",
    },
    "forked with other draws": {"jax_threefry_partitionable": False},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_training_works_under_settings_of_the_user(name):
    settings = [f"jax.config.update({key!r}, {value!r})" for key, value in SETTINGS[name].items()]
    forked = name.startswith("forked")
    setting = "\n".join(settings + [FORK] * forked)
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(setting=setting, forked=forked)],
        env=os.environ | {"PYTHONPATH": ":".join(filter(None, sys.path))},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.returncode == 0, run.stderr
