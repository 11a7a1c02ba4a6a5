"""Infomax for the Gaussian channel on a large batch, in bounded memory."""

import subprocess
import sys
import textwrap

import equinox as eqx
import jax
import jax.numpy as jnp

import rgkit as rg

ROWS, FEATURES = 65_536, 4


def test_gradient_of_a_large_batch(measure, bound):
    chain = rg.ScalarChain((-2.0, 0.5), 0.5, n_sites=8)
    network = rg.FCNetwork((8, 64, FEATURES), rg.GaussianChannel(), key=jax.random.key(0))
    x, weights = chain.sample(jax.random.key(1), ROWS), jnp.full(ROWS, 1 / ROWS)
    slope = jax.jit(
        jax.grad(
            lambda bias: rg.Infomax().loss(
                _shifted(network, bias), None, x, weights, jax.random.key(2)
            )
        )
    )
    # distances by one product, and an exponential each, forward and backward
    cost = bound(flops=3 * 2 * ROWS**2 * FEATURES, tanh=2 * ROWS**2)
    measure(
        "Gaussian infomax, batch 65,536",
        "rgkit",
        lambda: slope(network.biases[0]),
        rounds=3,
        **cost,
    )


def _shifted(network, bias):
    return eqx.tree_at(lambda n: n.biases[0], network, bias)


def test_peak_memory_of_a_large_batch():
    program = textwrap.dedent("""
        import resource, sys
        import test_infomax_of_fields as t
        t.test_gradient_of_a_large_batch(
            lambda *a, rounds, **k: a[2]().block_until_ready(), lambda **k: {}
        )
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=__file__.rpartition("/")[0],
    )
    assert int(done.stdout.split()[-1]) * 1024 < 2e9
