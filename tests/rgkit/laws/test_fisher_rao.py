"""Distances in Fisher's metric: against closed forms, and as a metric."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgkit as rg

RING = rg.IsingChain(0.4, n_sites=4)
laws = st.integers(0, 2**31).map(lambda seed: np.random.default_rng(seed).dirichlet(np.ones(8)))


@given(laws, laws, laws)
def test_it_is_a_distance(q, r, s):
    distance = rg.fisher_rao_distance
    assert distance(q, q) == 0 and distance(q, r) == pytest.approx(distance(r, q), abs=1e-12)
    assert distance(q, s) <= distance(q, r) + distance(r, s) + 1e-12
    assert distance(q, r) == pytest.approx(2 * np.arccos(min(1, np.sqrt(q * r).sum())), abs=1e-6)


def test_the_farthest_laws_and_near_ones():
    assert rg.fisher_rao_distance([1.0, 0.0], [0.0, 1.0]) == pytest.approx(np.pi)
    q = np.array([0.3, 0.7])
    step = np.array([1e-7, -1e-7])
    near = rg.fisher_rao_distance(q, q + step)
    assert near == pytest.approx(np.sqrt((step**2 / q).sum()), rel=1e-6)


def test_kernels_at_the_corners_of_the_cube(key):
    coin = rg.TableNetwork(jnp.zeros((3, 16)))
    f, g = (rg.TableNetwork(9.0 * jax.random.normal(k, (3, 16))) for k in jax.random.split(key))
    assert rg.kernel_distance(coin, f.hard(), RING) == pytest.approx(np.pi / 2 * np.sqrt(3))
    differ = RING.probabilities() @ (np.sign(f.table) != np.sign(g.table)).sum(0)
    exact = np.pi * np.sqrt(differ)
    assert rg.kernel_distance(f.hard(), g.hard(), RING) == pytest.approx(exact)
    assert rg.kernel_distance(f, g, RING) < exact


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "q, r, message",
    [
        ([0.5, 0.5], [1.0], "same outcomes"),
        ([0.5, 0.4], [0.5, 0.5], "q must be probabilities"),
        ([0.5, 0.5], [1.5, -0.5], "r must be probabilities"),
    ],
)
def test_what_is_no_law_is_refused(q, r, message):
    with pytest.raises(ValueError, match=message):
        rg.fisher_rao_distance(q, r)


def test_kernels_that_do_not_fit_are_refused():
    two, three = (rg.TableNetwork(jnp.zeros((n, 16))) for n in (2, 3))
    with pytest.raises(ValueError, match="as many features as a, got 3 and 2"):
        rg.kernel_distance(two, three, RING)
    real = rg.FCNetwork((4, 2), rg.GaussianChannel(), key=jax.random.key(0))
    with pytest.raises(TypeError, match="features that are spins"):
        rg.kernel_distance(two, real, RING)
