"""How many programs training compiles: a loss is called once for each that is traced."""

import jax
import numpy as np
import optax
import pytest

import rgkit as rg

KEY = jax.random.key(0)
GRID = {"K": [0.5, 1.0], "seed": [0, 1], "n_sites": 4, "n_features": 2, "width": 4}


class Counted(rg.Infomax):
    """Infomax that counts how often its loss is called; the count is no part of its content."""

    traces = 0

    def loss(self, network, head, x, weights, key):
        type(self).traces += 1
        return super().loss(network, head, x, weights, key)


def traces(run, *arguments, **options):
    before = Counted.traces
    run(*arguments, **options)
    return Counted.traces - before


def in_ensemble(grid=GRID, **options):
    return traces(rg.train_ensemble, grid, Counted(), **{"steps": 3, "key": KEY} | options)


def alone(steps=3, system=None, optimizer=None, objective=None, **start):
    network = rg.FCNetwork((4, 4, 2), rg.SpinChannel(), key=KEY, **start)
    system = system or rg.IsingChain(0.5, n_sites=4)
    return traces(rg.train, network, system, Counted(), steps=steps, optimizer=optimizer, key=KEY)


def test_a_shape_has_two_programs_whatever_else_changes():
    # one for the steps, one for the records, and the shapes of what a gradient keeps
    assert in_ensemble() <= 3
    assert in_ensemble(steps=5) == in_ensemble(steps=2000) == in_ensemble(steps=7, records=3) == 0
    assert in_ensemble(GRID | {"gain": 2.0}) == in_ensemble(GRID | {"bias_std": 0.1}) == 0
    assert in_ensemble(GRID | {"K": [-1.0, 0.3], "h": 0.2}) == 0
    assert in_ensemble(GRID | {"width": 5}) > 0


def test_an_optimiser_counts_by_what_it_does():
    assert in_ensemble(optimizer=optax.adam(1e-3)) == 1
    assert in_ensemble(optimizer=optax.adam(1e-3)) == 0
    assert in_ensemble(optimizer=optax.adam(1e-4)) == 1
    schedules = [optax.linear_schedule(1e-2, 0.0, steps) for steps in (10, 10, 20)]
    assert [alone(optimizer=optax.sgd(s)) > 0 for s in schedules] == [True, False, True]


def test_single_runs_share_their_programs():
    alone()
    assert alone(steps=1500) == alone(gain=0.5) == alone(bias_std=1.0) == 0
    assert alone(system=rg.IsingChain(1.0, 0.3, n_sites=4)) == 0


class Balanced(rg.Objective):
    """Information times a weight: a plain subclass, with an attribute of its own."""

    def __init__(self, weight):
        self.weight = weight

    def loss(self, network, head, x, weights, key):
        return self.weight * rg.Infomax().loss(network, None, x, weights)


@pytest.mark.parametrize("weight", [0.0, 100.0, np.float32(2.0), np.arange(3.0)[1]])
def test_an_objective_of_ones_own_is_trained_for_as_it_is(weight):
    """Infomax from the same start, with a gradient and so a step that is scaled."""
    network = rg.FCNetwork((4, 4, 2), rg.SpinChannel(), key=KEY)
    options = {"steps": 1, "optimizer": optax.sgd(1e-3), "key": KEY}
    chain = rg.IsingChain(0.5, n_sites=4)
    plain = rg.train(network, chain, rg.Infomax(), **options).network
    scaled = rg.train(network, chain, Balanced(weight), **options).network
    for start, a, b in zip(*map(jax.tree.leaves, (network, plain, scaled)), strict=True):
        np.testing.assert_allclose(b - start, float(weight) * (a - start), atol=3e-7 * (1 + weight))
    ensemble = rg.train_ensemble(
        GRID, Balanced(weight), steps=1, optimizer=optax.sgd(1e-3), key=KEY
    )
    assert (ensemble.table.loss == 0).all() == (weight == 0)


def test_the_start_of_a_trained_network_is_remembered():
    result = rg.train_ensemble(GRID | {"gain": [0.5, 2.0]}, rg.Infomax(), steps=1, key=KEY)
    assert [result.network(i).gain for i in range(4)] == result.table.gain[:4].tolist()
    network = rg.FCNetwork((4, 4, 2), rg.SpinChannel(), key=KEY, gain=0.5, bias_std=0.2)
    chain = rg.IsingChain(0.5, n_sites=4)
    trained = rg.train(network, chain, rg.Infomax(), steps=1, key=KEY).network
    assert (trained.gain, trained.bias_std) == (0.5, 0.2)
    again = trained.reinitialized(jax.random.key(1))
    assert jax.tree.all(
        jax.tree.map(lambda a, b: (a == b).all(), again, network.reinitialized(jax.random.key(1)))
    )
