"""One process of an ensemble, for the tests.

``ensemble_process.py GRID SETUP OPTIONS OUT``, the first three as JSON.
"""

import json
import sys

import equinox as eqx
import jax
import numpy as np
import optax

import rgkit as rg

grid, setup, options = map(json.loads, sys.argv[1:4])
if "port" in setup:
    jax.distributed.initialize(f"localhost:{setup['port']}", 2, setup["process"])
result = rg.train_ensemble(
    grid, rg.Infomax(), optimizer=optax.sgd(0.1), key=jax.random.key(0), **options
)
history = {name: result.history[name].to_numpy() for name in result.history}
weights = {
    f"weights {i}": np.asarray(leaf)
    for i, leaf in enumerate(jax.tree.leaves(eqx.filter(result.networks, eqx.is_array)))
}
np.savez(sys.argv[4], devices=jax.device_count(), **history, **weights)
