"""Ensembles over several devices and processes, killed and resumed.

Also checkpoints that must be refused.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import optax
import pandas as pd
import pytest

import rgkit as rg

GRID = {"K": [0.5, 1.0], "seed": [0, 1, 2, 3, 4], "n_sites": 6, "n_features": 2, "width": 8}
SCRIPT = Path(__file__).with_name("ensemble_process.py")


def start(setup, options, out, **environment):
    environment = os.environ | environment
    command = [
        sys.executable,
        "-W",
        "error",
        SCRIPT,
        *map(json.dumps, (GRID, setup, options)),
        str(out),
    ]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def finish(*runs):
    for run in runs:
        _, errors = run.communicate(timeout=200)
        assert run.returncode == 0, errors


def result(out):
    with np.load(f"{out}.npz") as stored:
        return dict(stored)


def here(options):
    """The same ensemble in this process, on one device and uninterrupted."""
    trained = rg.train_ensemble(
        GRID, rg.Infomax(), optimizer=optax.sgd(0.1), key=jax.random.key(0), **options
    )
    weights = enumerate(jax.tree.leaves(eqx.filter(trained.networks, eqx.is_array)))
    return trained.history.to_dict("series") | {
        f"weights {i}": np.asarray(leaf) for i, leaf in weights
    }


# so little memory that on one device or on many a block has two members, one after the other
OPTIONS = {"steps": 3, "records": 3, "memory": 2**11}


@pytest.fixture(scope="module")
def alone():
    return here(OPTIONS)


def assert_equal(first, second):
    """History and networks agree bit for bit."""
    assert {"loss", "gap", "weights 3"} <= set(second) == set(first) - {"devices"}
    assert all((first[name] == second[name]).all() for name in second)


def test_eight_devices_share_the_members(alone, tmp_path):
    # beside the flags that this process compiles with, or the last bits differ
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    finish(start({}, OPTIONS, tmp_path / "run", XLA_FLAGS=flags))
    eight = result(tmp_path / "run")
    assert eight["devices"] == 8
    assert_equal(eight, alone)


@pytest.mark.parametrize("shared", [False, True], ids=["exchanged", "by checkpoint"])
def test_two_processes_train_one_ensemble(alone, tmp_path, shared):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    options = OPTIONS | ({"checkpoint": str(tmp_path / "blocks")} if shared else {})
    setups = [{"port": port, "process": process} for process in range(2)]
    finish(*[start(setup, options, tmp_path / str(setup["process"])) for setup in setups])
    for process in range(2):
        both = result(tmp_path / str(process))
        assert both["devices"] == 2
        assert_equal(both, alone)


def test_a_killed_run_is_taken_up_where_it_was(tmp_path):
    blocks = tmp_path / "blocks"
    # room for the members of a block side by side, but for the pools of few
    options = {"steps": 4000, "records": 2, "batch_size": 8, "pool": 256, "memory": 2**15}
    run = start({}, options | {"checkpoint": str(blocks)}, tmp_path / "killed")
    while not list(blocks.glob("0-*.json")):
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    finished = {path: path.stat().st_mtime_ns for path in blocks.glob("0-*.npz")}
    assert not (tmp_path / "killed.npz").exists() and 1 <= len(finished) <= 2
    # with more memory one block would be chosen now: those of the checkpoint are kept
    more = options | {"memory": 2**24}
    finish(start({}, more | {"checkpoint": str(blocks)}, tmp_path / "resumed"))
    assert_equal(result(tmp_path / "resumed"), here(options))
    assert all(
        path.stat().st_mtime_ns == written
        for path, written in finished.items()
        if (path.with_suffix(".json")).exists()
    )


def train(directory, **options):
    defaults = {
        "steps": 2,
        "optimizer": optax.sgd(0.1),
        "key": jax.random.key(0),
        "checkpoint": directory,
    }
    return rg.train_ensemble(
        GRID | {"K": 0.5, "seed": [0, 1]},
        options.pop("objective", rg.Infomax()),
        **(defaults | options),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A directory with a finished ensemble, and its result."""
    directory = tmp_path_factory.mktemp("finished")
    return directory, train(directory)


@pytest.fixture
def copied(finished, tmp_path):
    for path in finished[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_a_finished_ensemble_is_read_and_not_trained(finished, copied):
    again = train(copied)
    pd.testing.assert_frame_equal(again.table, finished[1].table, check_exact=True)
    # the time that was spent then: another training would have taken another
    assert again.cost == finished[1].cost


@pytest.mark.parametrize(
    "options, names",
    [
        ({"steps": 3}, "records, steps differ"),
        ({"key": jax.random.key(1)}, "members differs"),
        ({"optimizer": optax.sgd(0.2)}, "programs differs"),
        ({"objective": rg.Reconstruction()}, "programs differs"),
        ({"batch_size": 8}, "batch_size, programs differ"),
        ({"restarts": 2}, "members, restarts differ"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused(copied, options, names):
    with pytest.raises(
        ValueError,
        match=f"configuration.json is of another configuration: {names}.*or another directory",
    ):
        train(copied, **options)


@pytest.mark.parametrize("name", ["0-0.npz", "0-0.json", "configuration.json"])
@pytest.mark.parametrize(
    "damage",
    [lambda content: content[: len(content) // 2], lambda content: flipped(content)],
    ids=["cut", "flipped"],
)
def test_a_damaged_checkpoint_is_refused(copied, name, damage):
    (copied / name).write_bytes(damage((copied / name).read_bytes()))
    with pytest.raises(ValueError, match=f"{name} is damaged.*delete"):
        train(copied)


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def test_a_lost_block_is_refused_and_a_removed_one_trained_again(finished, copied):
    (copied / "0-0.npz").unlink()
    with pytest.raises(ValueError, match="0-0.npz is damaged or missing: delete"):
        train(copied)
    (copied / "0-0.json").unlink()
    pd.testing.assert_frame_equal(train(copied).table, finished[1].table, check_exact=True)


def test_a_checkpoint_holds_no_pickle(finished):
    for path in finished[0].glob("*.npz"):
        with np.load(path, allow_pickle=False) as stored:
            assert all(stored[name].dtype.kind in "fi" for name in stored)
    assert (
        json.loads((finished[0] / "configuration.json").read_text())["content"]["configuration"][
            "steps"
        ]
        == 2
    )
