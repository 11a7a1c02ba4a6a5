"""A checkpoint is taken up by the run it was begun by, in any process, and by no other."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import rgkit as rg

GRID = {"K": 0.5, "n_sites": 4, "n_features": 2, "width": 4}
KEY = jax.random.key(0)


def begin(directory, objective=None, system=None, optimizer=None):
    options = {"system": system} if system else {}
    return rg.train_ensemble(
        GRID,
        objective or rg.Infomax(),
        steps=1,
        optimizer=optimizer or optax.sgd(0.1),
        checkpoint=directory,
        key=KEY,
        **options,
    )


class Weighted(rg.Objective):
    """Information times a number, or a function of it, or with an array in its program."""

    def __init__(self, weight=1.0, function=None):
        self.weight, self.function = weight, function

    def loss(self, network, head, x, weights, key):
        loss = jnp.sum(jnp.asarray(self.weight)) * rg.Infomax().loss(network, None, x, weights)
        return self.function(loss) if self.function else loss


@dataclasses.dataclass(frozen=True)
class Scaled:
    """The rows of a chain with other probabilities, by a function that it holds."""

    coupling: float
    function: Callable
    n_sites: int = 4
    values: object = rg.IsingChain(0.0, n_sites=4).values

    def configurations(self):
        return rg.IsingChain(self.coupling, n_sites=4).configurations()

    def probabilities(self):
        weights = self.function(rg.IsingChain(self.coupling, n_sites=4).probabilities())
        return weights / weights.sum()

    def sample(self, key, n_samples):
        rows = jax.random.choice(key, 16, (n_samples,), p=jnp.asarray(self.probabilities()))
        return jnp.asarray(self.configurations())[rows]


def times(number):
    return lambda loss: number * loss


def power(number):
    return lambda weights: weights**number


def one_of(i, size=5000):
    return np.eye(1, size, i)[0]


CHANGES = {
    "number": ({"objective": Weighted(1.0)}, {"objective": Weighted(2.0)}),
    "enclosed number": (
        {"objective": Weighted(function=times(1.0))},
        {"objective": Weighted(function=times(2.0))},
    ),
    "enclosed array": (
        {"objective": Weighted(function=lambda loss: loss * jnp.asarray(one_of(0))[:9].sum())},
        {"objective": Weighted(function=lambda loss: loss * jnp.asarray(one_of(9))[:9].sum())},
    ),
    "array": ({"objective": Weighted(one_of(1))}, {"objective": Weighted(one_of(2) * 2)}),
    "rate": ({"optimizer": optax.adam(0.1)}, {"optimizer": optax.adam(0.2)}),
    "schedule": (
        {"optimizer": optax.sgd(lambda step: 0.1 * (step < 5))},
        {"optimizer": optax.sgd(lambda step: 0.1 * (step < 6))},
    ),
    "system": ({}, {"system": lambda row: rg.IsingChain(row["K"], 0.1, n_sites=4)}),
    "function of a system": (
        {"system": lambda row: Scaled(row["K"], power(1))},
        {"system": lambda row: Scaled(row["K"], power(2))},
    ),
}


@pytest.mark.parametrize("begun, other", CHANGES.values(), ids=CHANGES)
def test_another_content_is_refused(tmp_path, begun, other):
    first = begin(tmp_path, **begun)
    with pytest.raises(ValueError, match="is of another configuration"):
        begin(tmp_path, **other)
    again = begin(tmp_path, **begun)
    assert again.cost == first.cost
    pd.testing.assert_frame_equal(again.table, first.table, check_exact=True)


SCRIPT = """
import sys
import jax, jax.numpy as jnp, numpy as np, optax
import rgkit as rg
TABLE = np.arange(16) * {number}

class Own(rg.Objective):
    def __init__(self):
        self.function = lambda loss: loss * (1 + jnp.asarray(TABLE)[1])
    def loss(self, network, head, x, weights, key):
        return self.function(rg.Infomax().loss(network, None, x, weights))

class Law:
    n_sites, values = 4, rg.IsingChain(0.5, n_sites=4).values
    def __init__(self):
        self.weight = lambda rows: np.exp({number} * rows.sum(1))
    def configurations(self):
        return rg.IsingChain(0.5, n_sites=4).configurations()
    def probabilities(self):
        weights = self.weight(self.configurations())
        return weights / weights.sum()
    def sample(self, key, n_samples):
        return jax.random.choice(key, self.configurations(), (n_samples,))

grid = {{"seed": [0], "n_sites": 4, "n_features": 2, "width": 4}}
result = rg.train_ensemble(
    grid, Own(), steps=1, optimizer=optax.sgd(lambda step: 0.1), system=lambda row: Law(),
    checkpoint=sys.argv[1], key=jax.random.key(0),
)
print(repr(result.cost["seconds"]))
"""


def apart(directory, number, seed):
    environment = os.environ | {
        "PYTHONHASHSEED": str(seed),
        "PYTHONPATH": ":".join(filter(None, sys.path)),
    }
    command = [sys.executable, "-c", SCRIPT.format(number=number), str(directory)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_the_same_script_takes_up_its_run_in_a_new_process(tmp_path):
    first, again, other = (
        apart(tmp_path, number, seed) for number, seed in ((0.1, 1), (0.1, 2), (0.2, 1))
    )
    assert first.returncode == again.returncode == 0, first.stderr + again.stderr
    # the time that was spent by the first: the second has read it
    assert first.stdout == again.stdout
    assert "is of another configuration: members, programs differ" in other.stderr


def test_a_directory_that_cannot_be_synced_holds_a_checkpoint(tmp_path, monkeypatch):
    """As on Windows, where a directory cannot be opened, and on mounts without fsync."""

    def refuse(*arguments):
        raise PermissionError("not here")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        patch.setattr(os, "fsync", refuse)
        first = begin(tmp_path)
    assert begin(tmp_path).cost == first.cost


def test_a_checkpoint_that_cannot_be_written_says_so(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match="checkpoint must be a directory, .*file is a file"):
        begin(file)

    def refuse(*arguments):
        raise OSError("no replacing")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="configuration.json cannot be written .* pass a checkpoint="):
        begin(tmp_path / "new")
