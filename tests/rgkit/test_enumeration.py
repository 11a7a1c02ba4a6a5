"""One convention of bits, and streamed sums: those of all rows at once, in less memory."""

import shlex
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rgkit as rg
from rgkit.enumeration import (
    Enumeration,
    rows_of,
    spin_configurations,
    spins_of,
    subsets,
    sum_over_rows,
    words_of,
)

CHAIN = rg.IsingChain(0.6, 0.1, n_sites=8)
OBJECTIVES = [
    rg.Infomax(),
    rg.Reconstruction(),
    rg.Classification(lambda x: (x.sum() > 0).astype(int)),
    rg.Regression(lambda x: x.sum() / 8),
]


def test_rows_are_those_of_the_configurations():
    rows = Enumeration(7, 16)
    assert rows.shape == (128, 7)
    np.testing.assert_array_equal(
        rows.rows(32, 16), rg.IsingChain(0.0, n_sites=7).configurations()[32:48]
    )
    assert rows.rows(0, 4).dtype == jnp.int8


def test_rows_and_spins_are_one_convention():
    x = spin_configurations(6)
    assert x[11].tolist() == [-1, -1, 1, -1, 1, 1]  # 11 = 1 + 2 + 8
    np.testing.assert_array_equal(spins_of(jnp.arange(64), 6), x)
    np.testing.assert_array_equal(spins_of(np.arange(64).reshape(4, 16), 6), x.reshape(4, 16, 6))
    assert isinstance(rows_of(x), np.ndarray) and isinstance(rows_of(jnp.asarray(x)), jax.Array)
    for spins in (x, jnp.asarray(x), x.reshape(4, 16, 6)):
        np.testing.assert_array_equal(np.ravel(rows_of(spins)), np.arange(64))
    np.testing.assert_array_equal(spin_configurations(6, slice(8, 16)), x[8:16])
    products = [[x[i, list(subset)].prod() for subset in subsets(3)] for i in range(8)]
    signs = [[(-1) ** (row & subset).bit_count() for subset in range(8)] for row in range(8)]
    assert products == signs


def test_long_configurations_have_words():
    x = np.ones((2, 70), np.int8)
    x[1, [0, 33, 69]] = -1
    assert words_of(x).tolist() == [[0, 0, 0], [1, 2, 32]]
    with pytest.raises(ValueError, match="x must have at most 32 spins .* use `words_of`"):
        rows_of(x)


@pytest.mark.parametrize("rows_at_once", [1, 64, 2**15])
def test_a_streamed_sum_is_the_sum(rows_at_once):
    x, weights = CHAIN.configurations(), jnp.asarray(CHAIN.probabilities(), jnp.float32)

    def moments(x, weights):
        return {"first": weights @ x, "second": (weights[:, None] * x).T @ x}

    streamed = sum_over_rows(moments, Enumeration(8, rows_at_once), weights)
    for name, exact in moments(x, weights).items():
        np.testing.assert_allclose(streamed[name], exact, atol=1e-6)
    assert streamed["first"][0] == pytest.approx(CHAIN.magnetization(), abs=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: type(objective).__name__)
def test_losses_and_gradients_are_those_of_all_rows_at_once(objective):
    with jax.enable_x64(True):
        network = rg.FCNetwork((8, 6, 3), rg.SpinChannel(), key=jax.random.key(0), dtype="float64")
        model = network, objective.init(network, jax.random.key(1))
        weights = jnp.asarray(CHAIN.probabilities())

        @eqx.filter_value_and_grad
        def loss(model, x):
            return objective.loss(*model, x, weights)

        value, gradient = loss(model, jnp.asarray(CHAIN.configurations()))
        streamed, streamed_gradient = loss(model, Enumeration(8, 32))
        assert float(streamed) == pytest.approx(float(value), rel=1e-13)
        for leaf, other in zip(
            jax.tree.leaves(gradient), jax.tree.leaves(streamed_gradient), strict=True
        ):
            np.testing.assert_allclose(leaf, other, rtol=1e-10, atol=1e-14)


TRAINING = """
import resource
import jax
import rgkit as rg
class AtOnce(rg.Infomax):
    def loss(self, network, head, x, weights, key):
        return super().loss(network, head, x.rows(0, 2**20), weights, key)
network = rg.FCNetwork((20, 32, 2), rg.SpinChannel(), key=jax.random.key(0))
system = rg.IsingChain(0.5, n_sites=20)
result = rg.train(network, system, {objective}, steps=1, records=1, key=jax.random.key(0))
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(result.history.information.iloc[0], memory)
"""


def train_apart(objective):
    """Information and peak resident memory (MiB) of a step on 2**20 configurations."""
    # in a process of its own
    command = shlex.join([sys.executable, "-c", TRAINING.format(objective=objective)])
    # through a shell, since a process counts the memory of the one it was forked from
    run = subprocess.run(
        f"{command}; exit $?", shell=True, capture_output=True, text=True, check=True
    )
    return map(float, run.stdout.split())


def test_training_on_a_million_configurations_takes_the_memory_of_a_chunk():
    (streamed, little), (at_once, much) = map(train_apart, ("rg.Infomax()", "AtOnce()"))
    assert little < 640 < much
    assert streamed == pytest.approx(at_once, abs=1e-5)
    network = rg.FCNetwork((20, 32, 2), rg.SpinChannel(), key=jax.random.key(0))
    assert streamed == pytest.approx(
        rg.pushforward(rg.IsingChain(0.5, n_sites=20), network).information(), abs=1e-5
    )


def test_accelerators_enumerate_longer_chains(monkeypatch):
    ring = rg.IsingChain(0.9, n_sites=25)
    with pytest.raises(
        ValueError, match="n_sites = 25 is too large to enumerate.*at most 24 sites"
    ):
        ring.probabilities()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    law = rg.pushforward(ring, rg.decimation(5))
    coarse = rg.IsingChain(np.arctanh(np.tanh(0.9) ** 5), n_sites=5)
    np.testing.assert_allclose(law.probabilities, coarse.probabilities(), rtol=1e-10)
