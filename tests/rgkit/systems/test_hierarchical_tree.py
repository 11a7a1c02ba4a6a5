"""The hierarchical model as data: its exact flow, its samples, and what its blocks share."""

import itertools
import math

import numpy as np
import pytest

import rgkit as rg
from rgkit.enumeration import rows_of

IMPROVED = [0.0, 1.0], [0.7542, 0.2458]
ISING = [1.0], [1.0]
QUARTIC = np.linspace(0, 2, 5), np.exp(-((np.linspace(0, 2, 5) ** 2 - 1) ** 2))


def critical(points, weights, dimension=3):
    return rg.hierarchical(dimension, 25).critical_beta(points, weights)


def energy_weights(tree, beta):
    """Weights of all configurations of spins, from the energy as it stands."""
    x = np.array(list(itertools.product((1, -1), repeat=tree.n_sites)))
    exponent = sum(
        beta / 2 * (tree.c / 4) ** p * (x.reshape(len(x), -1, 2**p).sum(2) ** 2).sum(1)
        for p in range(1, tree.levels + 1)
    )
    weights = np.exp(exponent)
    return x, weights / weights.sum()


@pytest.mark.parametrize("beta, dimension", [(0.3, 2.5), (1.2, 3), (0.6, 4)])
def test_probabilities_are_those_of_the_energy(beta, dimension):
    tree = rg.HierarchicalTree(dimension, beta, 3)
    x, weights = energy_weights(tree, beta)
    np.testing.assert_allclose(tree.probabilities()[rows_of(x)], weights, rtol=1e-12)


def test_a_window_of_a_larger_tree_is_its_marginal():
    whole, window = rg.HierarchicalTree(3, 1.1, 4), rg.HierarchicalTree(3, 1.1, 2, levels_above=2)
    marginal = whole.probabilities().reshape(-1, 16).sum(0)
    np.testing.assert_allclose(window.probabilities(), marginal, rtol=1e-9)


def test_moments_are_those_of_the_recursion():
    model, beta = rg.hierarchical(3, 25), critical(*IMPROVED)
    flow = model.flow(model.start(beta, *IMPROVED), 24)
    tree = rg.HierarchicalTree(3, beta, 24, *IMPROVED)
    for level in (0, 1, 8, 24):
        law = tree.block_law(level)
        assert law.moment(2) == pytest.approx(-2 * flow["a_1"][level], rel=1e-9)
        assert law.moment(4) == pytest.approx(24 * flow["a_2"][level], rel=1e-9)


# at the fixed point: rho_1, rho_2, rho_3, kurtosis of the feature, kurtosis of the sum
ISOLATED = 0.2650056, 0.0477079, 0.0069505, -0.726689, -0.66248
INFINITE = 0.5906309, 0.1929262, 0.0538034, -1.280436, -0.99264


@pytest.mark.parametrize(
    "level, above, numbers", [(30, 0, ISOLATED), (20, 44, INFINITE)], ids=["isolated", "infinite"]
)
def test_universal_numbers(level, above, numbers):
    tree = rg.HierarchicalTree(3, critical(*IMPROVED), level + 1, *IMPROVED, levels_above=above)
    pair = tree.sibling_law(level)
    spectrum = pair.spectrum(3)
    # the last digit of beta_c grows with the number of levels
    np.testing.assert_allclose(spectrum.correlations, numbers[:3], atol=7e-7)
    assert pair.kurtosis(spectrum.features[:, 0]) == pytest.approx(numbers[3], abs=5e-6)
    assert pair.kurtosis(pair.values) == pytest.approx(numbers[4], abs=6e-6)
    assert (np.diff(spectrum.features[:, 0]) > 0).all()


@pytest.mark.parametrize("site", [ISING, QUARTIC], ids=["Ising", "quartic"])
def test_other_sites_have_them_too(site):
    tree = rg.HierarchicalTree(3, critical(*site), 41, *site)
    assert tree.sibling_law(40).spectrum(1).correlations[0] == pytest.approx(0.265, abs=4e-4)
    assert tree.sibling_law(0).spectrum(1).correlations[0] != pytest.approx(0.265, abs=4e-3)


def test_the_linear_correlation_of_an_infinite_tree():
    tree = rg.HierarchicalTree(3, critical(*IMPROVED), 21, *IMPROVED, levels_above=44)
    pair = tree.sibling_law(20)
    assert pair.correlation(pair.values) == pytest.approx(2 ** (2 / 3) - 1, abs=1e-7)
    alone = rg.HierarchicalTree(3, critical(*IMPROVED), 21, *IMPROVED).sibling_law(20)
    assert abs(alone.correlation(alone.values) - (2 ** (2 / 3) - 1)) > 0.3


def test_spread_of_a_tilted_block_is_bounded():
    """1/s'^2 is at least (2/c)/s^2 - 1, with s^2 the largest variance under a field."""
    tree = rg.HierarchicalTree(3, critical(*IMPROVED), 8, *IMPROVED)

    def largest(law):
        tilts = law.log_probabilities[:, None] + law.m[:, None] * np.linspace(0, 4, 400)
        weights = np.exp(tilts - tilts.max(0))
        weights /= weights.sum(0)
        return (law.m**2 @ weights - (law.m @ weights) ** 2).max()

    spreads = [largest(tree.block_law(level)) for level in range(1, 9)]
    for low, high in itertools.pairwise(spreads):
        assert 1 / high >= (2 / tree.c) / low - 1 - 1e-9


def test_all_states_of_siblings_say_the_same_as_their_sums():
    tree = rg.HierarchicalTree(3, critical(*ISING), 4)
    states = rg.PairLaw(np.arange(256.0), tree.probabilities().reshape(256, 256)).spectrum(2)
    sums = tree.sibling_law(3).spectrum(2)
    np.testing.assert_allclose(states.correlations, sums.correlations, atol=1e-7)
    assert states.correlations[0] == pytest.approx(0.2991096, abs=1e-7)
    assert tree.sibling_law(3).mutual_information() == pytest.approx(0.04629, abs=1e-5)


@pytest.mark.parametrize("site", [ISING, IMPROVED, QUARTIC], ids=["Ising", "improved", "quartic"])
@pytest.mark.parametrize("above", [0, 14])
def test_samples_agree_with_the_flow(site, above, key):
    tree = rg.HierarchicalTree(3, critical(*site), 6, *site, levels_above=above)
    x = np.asarray(tree.sample(key, 4000))
    assert x.shape == (4000, 64)
    for level in (0, 3, 5):
        pair, m = tree.sibling_law(level), tree.scaled_sums(x, level)
        for exact, terms in (
            (pair.values @ pair.joint @ pair.values, (m[:, ::2] * m[:, 1::2]).mean(1)),
            (pair.marginal @ pair.values**4, (m**4).mean(1)),
        ):
            assert abs(terms.mean() - exact) < 5 * terms.std() / math.sqrt(len(x)) + 1e-9


def test_frequencies_are_probabilities(key):
    tree = rg.HierarchicalTree(3, 1.0, 2, levels_above=10)
    x = np.asarray(tree.sample(key, 100_000)).astype(int)
    expected = tree.probabilities()
    found = np.bincount(rows_of(x), minlength=16) / len(x)
    assert (abs(found - expected) < 5 * np.sqrt(expected / len(x))).all()
    # with other couplings they would not agree
    other = rg.HierarchicalTree(3, 1.1, 2, levels_above=10).probabilities()
    assert (abs(found - other) > 5 * np.sqrt(other / len(x))).any()


def test_what_a_site_is():
    assert rg.HierarchicalTree(3, 1.0, 2).values is rg.Values.SPINS
    assert rg.HierarchicalTree(3, 1.0, 2, *IMPROVED).values is rg.Values.REALS
    with pytest.raises(TypeError, match="points must be 1.0"):
        rg.HierarchicalTree(3, 1.0, 2, *IMPROVED).configurations()


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "arguments, changes, sentence",
    [
        ((2, 1.0, 3), {}, "dimension must be above 2"),
        ((3, 0, 3), {}, "beta must be above 0"),
        ((3, 1.0, 0), {}, "levels must be at least 1"),
        ((3, 1.0, 3, ["a"]), {}, "points must be real numbers"),
        ((3, 1.0, 3, [0.0]), {}, "points must not all be zero"),
        ((3, 1.0, 3, [1.0, 2.0, 2.7]), {}, "one equidistant lattice"),
        ((3, 1.0, 3, [1.0], [1.0, 2.0]), {}, "one shape"),
        ((3, 1.0, 3, [1.0], [-1.0]), {}, "weights finite, not negative"),
        ((3, 1.0, 3), {"levels_above": -1}, "levels_above must be at least 0"),
    ],
)
def test_bad_input_is_named(arguments, changes, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        rg.HierarchicalTree(*arguments, **changes)


def test_what_cannot_be_done_is_refused(key):
    with pytest.raises(ValueError, match="level must be at most 3"):
        rg.HierarchicalTree(3, 1.0, 4).sibling_law(4)
    with pytest.raises(ValueError, match="fewer levels_above"):
        rg.HierarchicalTree(3, 1.5 * critical(*ISING), 11, levels_above=24).sibling_law(3)
    with pytest.raises(ValueError, match="more than 32768"):
        rg.HierarchicalTree(3, 1.0, 16).sample(key, 2)
    with pytest.raises(ValueError, match="x must have shape"):
        rg.HierarchicalTree(3, 1.0, 2).scaled_sums(np.ones((3, 5)), 1)
