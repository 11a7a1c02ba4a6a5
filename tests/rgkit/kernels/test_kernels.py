"""Kernels one by one, and what holds for every one of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgkit as rg

KERNELS = {
    "decimation": lambda key: rg.decimation(3),
    "odd majority": lambda key: rg.majority(3),
    "majority, coin": lambda key: rg.majority(2, "random"),
    "majority, first": lambda key: rg.majority(2, "first"),
    "majority, up": lambda key: rg.majority(2, +1),
    "random map": lambda key: rg.random_map(3, key),
    "soft network": lambda key: rg.FCNetwork((6, 5, 3), rg.SpinChannel(), key=key, bias_std=0.5),
    "hard network": lambda key: rg.FCNetwork((6, 5, 3), rg.SpinChannel(), key=key).hard(),
    "table": lambda key: rg.greedy_map(rg.IsingChain(1.0, n_sites=6), 2),
}


@pytest.fixture(params=KERNELS)
def kernel(request, key):
    return KERNELS[request.param](key)


def test_conditional_laws_are_laws(kernel):
    x = rg.IsingChain(0.0, n_sites=6).configurations()
    conditional = np.exp(np.asarray(jax.vmap(kernel.log_probability)(x)))
    assert conditional.shape == (64, 2 ** kernel.n_features(6))
    np.testing.assert_allclose(conditional.sum(1), 1, atol=2e-6)


def test_push_is_the_sum_over_rows(kernel):
    chain = rg.IsingChain(0.7, 0.2, n_sites=6)
    x, p = chain.configurations(), jnp.asarray(chain.probabilities(), jnp.float32)
    law, noise = kernel.push(x, p)
    conditional = np.exp(np.asarray(jax.vmap(kernel.log_probability)(x), float))
    np.testing.assert_allclose(law, p @ conditional, atol=2e-6)
    entropy = -np.sum(conditional * np.log(np.where(conditional > 0, conditional, 1)), axis=1)
    np.testing.assert_allclose(noise, p @ entropy, atol=5e-6)


def test_samples_follow_the_conditional_law(kernel, key):
    x = jnp.array([1, 1, -1, -1, 1, -1], jnp.int8)
    draws = jax.vmap(lambda k: kernel.sample(x, k))(jax.random.split(key, 20_000))
    n = kernel.n_features(6)
    assert draws.shape == (20_000, n)
    frequencies = (
        np.bincount((np.asarray(draws) < 0) @ (1 << np.arange(n)), minlength=2**n) / 20_000
    )
    probabilities = np.exp(np.asarray(kernel.log_probability(x), float))
    error = np.sqrt(probabilities * (1 - probabilities) / 20_000)
    assert (abs(frequencies - probabilities) <= 5 * error + 1e-6).all()


def test_the_uniform_law_is_kept_where_the_kernel_says_so(kernel):
    law = rg.pushforward(rg.IsingChain(0.0, n_sites=6), kernel)
    if kernel.preserves_fixed_point:
        np.testing.assert_allclose(law.probabilities, 1 / len(law.probabilities), atol=1e-15)


def test_a_biased_tie_rule_does_not_keep_the_uniform_law():
    biased = rg.majority(2, +1)
    assert not biased.preserves_fixed_point
    assert rg.pushforward(rg.IsingChain(0.0, n_sites=6), biased).divergence() > 0.3


@given(st.lists(st.sampled_from([-1, 1]), min_size=6, max_size=6))
def test_blocks_by_hand(spins):
    x = jnp.array(spins, jnp.int8)
    assert rg.decimation(2).means(x).tolist() == spins[::2]
    assert rg.majority(3).means(x).tolist() == [np.sign(sum(spins[:3])), np.sign(sum(spins[3:]))]
    tied = [
        0 if a + b == 0 else np.sign(a + b) for a, b in zip(spins[::2], spins[1::2], strict=True)
    ]
    assert rg.majority(2, "random").means(x).tolist() == tied
    assert rg.majority(2, "first").means(x).tolist() == [
        t or s for t, s in zip(tied, spins[::2], strict=True)
    ]
    assert rg.majority(2, -1).means(x).tolist() == [t or -1 for t in tied]


def test_fields_in_blocks_by_hand():
    x, key = jnp.array([0.5, -2.0, 1.0, 3.0, 0.0, 4.0]), jax.random.key(0)
    np.testing.assert_allclose(rg.decimation(3).sample(x, key), [0.5, 3.0])
    np.testing.assert_allclose(
        rg.block_average(3).sample(x, key), np.array([-0.5, 7.0]) / np.sqrt(3), rtol=1e-6
    )


def test_block_averages_compose():
    x, key = jax.random.normal(jax.random.key(1), (12,)), jax.random.key(0)
    twice = rg.block_average(2).sample(rg.block_average(3).sample(x, key), key)
    np.testing.assert_allclose(rg.block_average(6).sample(x, key), twice, atol=1e-6)


def test_fields_are_pushed_to_laws_of_fields(key):
    chain = rg.ScalarChain((-2.0, 0.5), 0.5, n_sites=8)
    averaged = sum((4 - abs(r)) * chain.correlation(abs(r)) for r in range(-3, 4)) / 4
    for kernel, variance in (
        (rg.decimation(4), chain.correlation(0)),
        (rg.block_average(4), averaged),
    ):
        law = rg.pushforward(chain, kernel, n_samples=4000, key=key)
        assert isinstance(law, rg.FieldLaw) and law.samples.shape == (4000, 2)
        moment = law.second_moment()
        assert abs(moment.value - variance) < 4 * moment.standard_error
    spins = rg.pushforward(chain, rg.majority(4, "random"), n_samples=4000, key=key)
    assert isinstance(spins, rg.SpinLaw)


def test_a_gaussian_channel_makes_fields_of_spins_too(key):
    channel = rg.GaussianChannel(power=2.0, noise=0.5)
    network = rg.FCNetwork((6, 5, 2), channel, key=key)
    law = rg.pushforward(rg.IsingChain(0.5, n_sites=6), network, n_samples=1000, key=key)
    assert law.reference_variance == 2.5 and law.samples.shape == (1000, 2)


def test_block_averages_of_spins_are_refused(key):
    ring = rg.IsingChain(1.0, n_sites=6)
    for sampling in ({}, {"n_samples": 1000, "key": key}):
        with pytest.raises(
            TypeError,
            match="a block average of spins is not a spin.*For spins use rgkit.majority",
        ):
            rg.pushforward(ring, rg.block_average(2), **sampling)
    with pytest.raises(ValueError, match="fields have no enumeration: pass n_samples and key"):
        rg.pushforward(rg.ScalarChain((1.0, 1.0), 0.0, n_sites=6), rg.block_average(2))


def test_a_random_map_is_fixed_by_its_key_and_uniform():
    x = rg.IsingChain(0.0, n_sites=12).configurations()
    kernel = rg.random_map(3, jax.random.key(0))
    outcomes = np.asarray(jax.vmap(kernel.outcome)(x))
    again = np.asarray(jax.vmap(rg.random_map(3, jax.random.key(0)).outcome)(x))
    other = np.asarray(jax.vmap(rg.random_map(3, jax.random.key(1)).outcome)(x))
    np.testing.assert_array_equal(outcomes, again)
    assert 0.05 < np.mean(outcomes == other) < 0.2
    counts = np.bincount(outcomes, minlength=8)
    assert np.sum((counts - 512) ** 2 / 512) < 7 + 5 * np.sqrt(14)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(jax.vmap(kernel.outcome)(x), outcomes)


def test_a_random_map_reads_all_spins_of_a_long_chain():
    kernel = rg.random_map(10, jax.random.key(0))
    x = jnp.ones(100, jnp.int8)
    outcomes = {int(kernel.outcome(x.at[i].set(-1))) for i in range(100)}
    assert len(outcomes) > 80


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: rg.decimation(1), "b must be at least 2"),
        (lambda: rg.block_average(1), "b must be at least 2"),
        (lambda: rg.majority(4), "b = 4 is even, so a block can tie: pass ties="),
        (lambda: rg.majority(4, "last"), "ties must be None, 'random', 'first'"),
        (lambda: rg.decimation(5).n_features(12), "b = 5 does not divide the 12 sites"),
        (
            lambda: rg.pushforward(rg.IsingChain(1.0, n_sites=12), rg.majority(5)),
            "b = 5 does not divide",
        ),
        (
            lambda: rg.greedy_map(rg.IsingChain(1.0, n_sites=4), 2).n_features(5),
            "table has 16 rows",
        ),
    ],
)
def test_bad_kernels_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_old_key_is_refused():
    with pytest.raises(TypeError, match="typed JAX key"):
        rg.random_map(2, jax.random.PRNGKey(0))
