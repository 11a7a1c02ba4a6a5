"""The samplers that training draws its minibatches from, against the law they stand for."""

import jax
import numpy as np
import pytest

import rgkit as rg
from rgkit.systems.spin_samplers import AliasSampler, MarkovSampler

CHAINS = [
    rg.IsingChain(0.7, n_sites=12),
    rg.IsingChain(2.0, 0.3, n_sites=9),
    rg.IsingChain(-0.8, n_sites=7, periodic=False),
    rg.IsingChain(0.0, n_sites=6),
    rg.IsingChain(1.0, n_sites=2, periodic=False),
]


def law_of(sampler):
    """What an alias table draws, each row with its probability, counted over all words."""
    columns = len(sampler.thresholds)
    kept = np.asarray(sampler.thresholds, float) * columns / 2**32
    law = kept.copy()
    np.add.at(law, np.asarray(sampler.aliases), 1 - kept)
    return law / columns


@pytest.mark.parametrize("chain", CHAINS)
def test_the_table_holds_the_law(chain):
    # each column is rounded to a multiple of 2**-32, and a row may be the alias of many
    error = np.abs(law_of(chain.sampler()) - chain.probabilities()).sum()
    assert error < 2**-32 * 2**chain.n_sites


@pytest.mark.parametrize("chain", CHAINS)
def test_draws_follow_the_law(chain):
    n_samples = 200_000
    samples = np.asarray(chain.sampler().sample(jax.random.key(0), n_samples))
    assert samples.dtype == np.int8 and samples.shape == (n_samples, chain.n_sites)
    counts = np.bincount(
        (samples < 0) @ (1 << np.arange(chain.n_sites)), minlength=2**chain.n_sites
    )
    expected = chain.probabilities() * n_samples
    common = expected > 5
    rare = [counts[~common].sum()], [expected[~common].sum()]
    deviations = np.append(counts[common] - expected[common], rare[0][0] - rare[1][0])
    chi_squared = np.sum(deviations**2 / np.maximum(np.append(expected[common], rare[1][0]), 1))
    degrees = common.sum()
    assert abs(chi_squared - degrees) < 5 * np.sqrt(2 * degrees) + 5


def test_equal_chains_share_a_sampler_and_long_ones_go_spin_by_spin():
    assert rg.IsingChain(0.4, n_sites=8).sampler() is rg.IsingChain(0.4, n_sites=8).sampler()
    assert isinstance(rg.IsingChain(0.4, n_sites=12).sampler(), AliasSampler)
    assert isinstance(rg.IsingChain(0.4, n_sites=13).sampler(), MarkovSampler)


def test_a_sampler_first_asked_for_inside_a_compiled_function_is_kept_whole():
    chain = rg.IsingChain(0.123, n_sites=5)
    inside = jax.jit(lambda key: chain.sampler().sample(key, 8))(jax.random.key(0))
    np.testing.assert_array_equal(inside, chain.sampler().sample(jax.random.key(0), 8))
