"""The samplers that training draws its minibatches from, against the law they stand for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgkit as rg
from rgkit.systems.spin_samplers import (
    AliasSampler,
    MarkovSampler,
    TreeSampler,
    coin,
    is_below,
    probability_words,
)

CHAINS = [
    rg.IsingChain(0.7, n_sites=12),
    rg.IsingChain(2.0, 0.3, n_sites=9),
    rg.IsingChain(-0.8, n_sites=7, periodic=False),
    rg.IsingChain(0.0, n_sites=6),
    rg.IsingChain(1.0, n_sites=2, periodic=False),
    rg.IsingChain(0.2, 9.0, n_sites=3),
    rg.IsingChain(7.0, -2.0, n_sites=8),
]


def number(words):
    """What two words stand for, in units of 1."""
    high, low = np.asarray(words, float)
    return high * 2.0**-32 + low * 2.0**-64


def law_of(sampler):
    """What an alias table draws, each row with its probability, counted over all words."""
    columns = len(sampler.thresholds)
    kept = number((sampler.thresholds, sampler.remainders)) * columns
    law = kept.copy()
    np.add.at(law, np.asarray(sampler.aliases), 1 - kept)
    return law / columns


@pytest.mark.parametrize("chain", CHAINS)
def test_the_table_holds_the_law_also_of_rare_states(chain):
    np.testing.assert_allclose(
        law_of(chain.sampler()), chain.probabilities(), rtol=1e-9, atol=1e-17
    )


@pytest.mark.parametrize("chain", CHAINS)
def test_draws_follow_the_law(chain):
    n_samples = 200_000
    tree = TreeSampler.of(chain.probabilities())
    for sampler in (chain.sampler(), tree):
        samples = np.asarray(sampler.sample(jax.random.key(0), n_samples))
        assert samples.dtype == np.int8 and samples.shape == (n_samples, chain.n_sites)
        counts = np.bincount(
            (samples < 0) @ (1 << np.arange(chain.n_sites)), minlength=2**chain.n_sites
        )
        expected = chain.probabilities() * n_samples
        common = expected > 5
        deviations = (counts - expected)[common]
        chi_squared = np.sum(deviations**2 / expected[common])
        assert abs(chi_squared - common.sum()) < 5 * np.sqrt(2 * common.sum()) + 5
        rare = expected[~common].sum()
        assert abs(counts[~common].sum() - rare) < 5 * np.sqrt(rare + 1)


@given(st.floats(-45, 45))
def test_the_words_of_a_probability_keep_both_of_its_ends(log_odds):
    up, down = 1 / (1 + np.exp(-log_odds)), 1 / (1 + np.exp(log_odds))
    words = probability_words(np.float64(up), np.float64(down))
    mirrored = probability_words(np.float64(down), np.float64(up))
    assert number(words) == pytest.approx(up, rel=1e-9, abs=2.0**-64)
    # what is missing to 1, counted in the complements of the words
    assert number(~words) == pytest.approx(down, rel=1e-9, abs=2.0**-63)
    if up != down:
        np.testing.assert_array_equal(mirrored, ~words)
    in_float32 = probability_words(jnp.float32(up), jnp.float32(down))
    assert number(in_float32) == pytest.approx(up, rel=2e-7, abs=2.0**-64)
    assert number(~np.asarray(in_float32)) == pytest.approx(down, rel=2e-7, abs=2.0**-63)


@pytest.mark.parametrize("rate", [1e-7, 3e-9, 1e-11, 4e-15])
def test_decisions_come_with_a_rare_rate_from_either_side(rate):
    """The rate over all numbers of 64 bits, the low word in 2**16 strata."""
    strata = (np.arange(2**16) * 2.0**16 + 2.0**15).astype(np.uint32)
    for words, wanted in (
        (probability_words(np.float64(rate), np.float64(1 - rate)), True),
        (probability_words(np.float64(1 - rate), np.float64(rate)), False),
    ):
        high, low = words
        edge = 2**12 if wanted else 2**32 - 2**12
        first = np.arange(2**12, dtype=np.uint32) + np.uint32(0 if wanted else edge)
        tied = first == high
        decided = is_below(first, None, high, low)[~tied] == wanted
        in_the_tie = is_below(high, strata, high, low) == wanted
        total = (decided.sum() + tied.sum() * in_the_tie.mean()) * 2.0**-32
        assert tied.sum() == 1
        assert total == pytest.approx(rate, abs=2.0**-32 * 2.0**-15)


def test_a_coin_is_the_comparison_with_a_uniform_number_up_to_rare_events():
    key, up = jax.random.key(3), jnp.linspace(0.0, 1.0, 100_001)
    expected = jax.random.uniform(key, up.shape, jnp.float32) < up
    np.testing.assert_array_equal(coin(key, up, 1 - up), expected)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(coin(key, up, 1 - up), expected)
    assert not coin(key, jnp.zeros(1000), jnp.ones(1000)).any()
    assert coin(key, jnp.ones(1000), jnp.zeros(1000)).all()


def test_ties_of_the_first_word_are_decided_by_a_second():
    """Thresholds that every first word ties with, of whose next numbers 3/4 are below."""
    keys = jax.random.split(jax.random.key(0), 4000)

    @jax.vmap
    def keeps_its_column(key):
        word = jax.random.bits(key, (1,), jnp.uint32)
        column, rest = word >> 31, word & 2**31 - 1
        three_quarters = jnp.full(2, 3 * 2**30, jnp.uint32)
        other = jnp.array([1, 0], jnp.uint32)
        drawn = AliasSampler(jnp.tile(rest, 2), three_quarters, other).sample(key, 1)
        return (drawn[0, 0] < 0) == (column[0] == 1)

    assert np.mean(keeps_its_column(keys)) == pytest.approx(0.75, abs=5 * np.sqrt(3 / 16 / 4000))


@pytest.mark.parametrize("field", [9.0, -9.0])
def test_the_minority_comes_at_its_rate(field):
    """Rates of 1e-8 that a comparison of 23 bits would round to 0 or to 1.2e-7."""
    chain = rg.IsingChain(0.0, field, n_sites=2)
    rare = 1 / (1 + np.exp(2 * abs(field)))
    law = law_of(chain.sampler())
    minority = law[3] + law[1] if field > 0 else law[0] + law[2]
    assert minority == pytest.approx(rare, rel=1e-9)
    markov = MarkovSampler.of((0.5, 0.5), tuple(np.full((1, 2, 2), p) for p in (rare, 1 - rare)))
    words = np.moveaxis(np.asarray(markov.following), 1, 0)
    np.testing.assert_allclose(number(words), rare, rtol=1e-9)


def test_rare_spins_are_seen_in_many_rows():
    rate, n_samples = 2e-7, 2**24
    # the first spin follows a fair coin, the second is up with the rare probability, or down
    for ups in (rate, 1 - rate):
        tables = tuple(np.full((1, 2, 2), p) for p in (ups, 1 - ups))
        draws = MarkovSampler.of((0.5, 0.5), tables).sample(jax.random.key(5), n_samples)
        seen = int((draws[:, 1] == (1 if ups < 0.5 else -1)).sum())
        assert abs(seen - rate * n_samples) < 5 * np.sqrt(rate * n_samples)


def test_equal_chains_share_a_sampler_and_long_ones_go_spin_by_spin():
    assert rg.IsingChain(0.4, n_sites=8).sampler() is rg.IsingChain(0.4, n_sites=8).sampler()
    assert isinstance(rg.IsingChain(0.4, n_sites=12).sampler(), AliasSampler)
    assert isinstance(rg.IsingChain(0.4, n_sites=13).sampler(), MarkovSampler)


def test_a_sampler_first_asked_for_inside_a_compiled_function_is_kept_whole():
    chain = rg.IsingChain(0.123, n_sites=5)
    inside = jax.jit(lambda key: chain.sampler().sample(key, 8))(jax.random.key(0))
    np.testing.assert_array_equal(inside, chain.sampler().sample(jax.random.key(0), 8))


def test_vectorised_samplers_draw_what_each_draws():
    keys = jax.random.split(jax.random.key(0), 4)
    sampler = rg.IsingChain(0.7, 0.2, n_sites=14).sampler()
    together = jax.vmap(lambda key: sampler.sample(key, 16))(keys)
    np.testing.assert_array_equal(together, jnp.stack([sampler.sample(k, 16) for k in keys]))
