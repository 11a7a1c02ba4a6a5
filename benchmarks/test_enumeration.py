"""Exact enumeration and the Walsh-Hadamard transform, against NumPy and the machine's ceilings."""

import jax
import numpy as np
import peers_numpy
import pytest

import rgkit as rg

WIDTHS = (64, 64, 8)


def _network(n_sites):
    return rg.FCNetwork((n_sites, *WIDTHS), rg.SpinChannel(), key=jax.random.key(0))


def _cost(n_sites):
    """Operations of the matrix products and tanh evaluations, for all configurations."""
    widths = (n_sites, *WIDTHS)
    products = (
        sum(2 * a * b for a, b in zip(widths[:-1], widths[1:], strict=True)) + 2 * 2 ** WIDTHS[-1]
    )
    return {"flops": 2.0**n_sites * products, "tanh": 2.0**n_sites * sum(WIDTHS)}


@pytest.mark.parametrize("implementation", ["rgkit", "NumPy"])
def test_pushforward_18(measure, bound, implementation):
    ring, network = rg.IsingChain(0.7, n_sites=18), _network(18)
    weights, biases = (
        [np.asarray(w) for w in network.weights],
        [np.asarray(c) for c in network.biases],
    )
    law = rg.pushforward(ring, network).probabilities
    assert np.abs(law - peers_numpy.pushforward(ring.probabilities(), weights, biases)).max() < 1e-6
    run = {
        "rgkit": lambda: rg.pushforward(ring, network).probabilities,
        "NumPy": lambda: peers_numpy.pushforward(ring.probabilities(), weights, biases),
    }[implementation]
    measure("pushforward, 18 sites", implementation, run, **bound(**_cost(18)))


def test_pushforward_24(measure, bound):
    ring, network = rg.IsingChain(0.7, n_sites=24), _network(24)
    measure(
        "pushforward, 24 sites",
        "rgkit",
        lambda: rg.pushforward(ring, network).probabilities,
        rounds=3,
        **bound(**_cost(24)),
    )


@pytest.mark.parametrize("implementation", ["rgkit", "NumPy", "one copy"])
def test_walsh_hadamard(measure, implementation):
    values = np.random.default_rng(0).normal(size=2**20)
    assert np.allclose(
        rg.walsh_hadamard(values), peers_numpy.walsh_hadamard(values), rtol=0, atol=1e-9
    )
    run = {"rgkit": rg.walsh_hadamard, "NumPy": peers_numpy.walsh_hadamard, "one copy": np.copy}[
        implementation
    ]
    measure("Walsh-Hadamard, 2^20", implementation, lambda: run(values), rounds=21)
