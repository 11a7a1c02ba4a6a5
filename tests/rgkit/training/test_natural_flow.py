"""Steepest ascent of information without a network: its formula, its traps, its tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rgkit as rg
from rgkit.enumeration import spins_of
from rgkit.training.natural_flow import fields

RING = rg.IsingChain(0.7, n_sites=6)
WEIGHTS = jnp.asarray(RING.probabilities(), jnp.float32)
X = jnp.asarray(RING.configurations())


def table(key, size=1.0):
    return rg.TableNetwork(size * jax.random.normal(key, (2, 64)))


def test_the_flow_is_the_natural_gradient(key):
    a = table(key).table
    slope = jax.grad(lambda a: rg.Infomax().loss(rg.TableNetwork(a), None, X, WEIGHTS))(a)
    natural = -slope / (WEIGHTS[None] * (1 - jnp.tanh(a) ** 2))
    np.testing.assert_allclose(natural, a - fields(a, WEIGHTS), atol=2e-3)
    # without the field of the crowd it is another flow
    assert float(jnp.abs(natural - a).max()) > 0.02


def test_the_gap_falls_and_the_first_table_is_the_start(key):
    start = rg.FCNetwork((6, 8, 2), rg.SpinChannel(), key=key)
    path = rg.natural_flow(start, RING, np.linspace(0, 5, 21))
    np.testing.assert_allclose(path[0].table, start.columns(X), atol=1e-6)
    gaps = [rg.pushforward(RING, kernel).gap() for kernel in path]
    assert np.diff(gaps).max() < 1e-6 < gaps[0] - gaps[-1]


def test_a_map_that_fills_all_states_returns_and_another_leaves():
    rng = np.random.default_rng(1)
    outcome, tilt = rng.integers(0, 4, 64), 0.1 * rng.normal(size=(2, 64))
    for states, returns in ((4, True), (3, False)):
        spins = np.asarray(spins_of(np.minimum(outcome, states - 1), 2)).T
        shaken = rg.TableNetwork(jnp.asarray(spins + tilt, jnp.float32))
        end = rg.natural_flow(shaken, RING, [10.0])[0]
        assert bool((np.sign(end.table) == spins).all()) is returns


def test_tables_are_networks(key):
    network = rg.FCNetwork((6, 8, 2), rg.SpinChannel(), key=key)
    same = rg.TableNetwork(network.columns(X))
    laws = [rg.pushforward(RING, kernel) for kernel in (network, same)]
    np.testing.assert_allclose(laws[0].probabilities, laws[1].probabilities, atol=1e-6)
    assert laws[0].conditional_entropy == pytest.approx(laws[1].conditional_entropy, abs=1e-5)
    np.testing.assert_allclose(same(X[5]), network(X[5]), atol=1e-5)
    trained = rg.train(same, RING, rg.Infomax(), steps=50, records=1, key=key)
    assert trained.history.gap.iloc[-1] < trained.history.gap.iloc[0] - 0.1
    fresh = same.reinitialized(key)
    assert fresh.widths == (6, 2) and float(jnp.abs(fresh.table - same.table).max()) > 0.1
    moved = same.rescaled(jnp.float32(2), jnp.ones(2))
    np.testing.assert_allclose(moved.table, 2 * (same.table - 1), rtol=1e-6)


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "activations, message",
    [
        (np.zeros((2, 6)), r"table must be activations of shape \(n, 2\*\*N\).*got shape \(2, 6\)"),
        (np.zeros(8), "table must be activations"),
        (np.full((1, 4), np.inf), "table must be finite"),
    ],
)
def test_bad_tables_are_refused(activations, message):
    with pytest.raises(ValueError, match=message):
        rg.TableNetwork(activations)


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"times": [2.0, 1.0]}, ValueError, "times must be increasing"),
        ({"times": []}, ValueError, "times must be increasing"),
        ({"times": [200.0]}, RuntimeError, "activations grow"),
        ({"system": rg.IsingChain(0.7, n_sites=5)}, ValueError, "5 sites"),
        ({"system": rg.ScalarChain((2.0,), 0.5, n_sites=6)}, TypeError, "spins"),
        ({"start": "hard"}, TypeError, "soft features"),
    ],
)
def test_bad_flows_are_refused(change, error, message, key):
    call = {"start": table(key), "system": RING, "times": [0.0, 1.0]} | change
    call["start"] = table(key).hard() if call["start"] == "hard" else call["start"]
    with pytest.raises(error, match=message):
        rg.natural_flow(**call)
