"""Joint laws of two partners and their maximal correlations, on cases that are known."""

import numpy as np
import pytest

import rgkit as rg
from rgkit.enumeration import rows_of, spin_configurations


def two_spins(c):
    return rg.PairLaw([1, -1], [[1 + c, 1 - c], [1 - c, 1 + c]])


def chain_blocks(K, b, g):
    chain = rg.IsingChain(K, n_sites=2 * b + g, periodic=False)
    x = np.asarray(chain.configurations())
    joint = np.zeros((2**b, 2**b))
    np.add.at(joint, (rows_of(x[:, :b]), rows_of(x[:, b + g :])), chain.probabilities())
    return rg.PairLaw(spin_configurations(b).sum(1), (joint + joint.T) / 2)


@pytest.mark.parametrize("c", [0.0, 0.3, 0.99])
def test_two_spins(c):
    pair = two_spins(c)
    spectrum = pair.spectrum(3)
    assert spectrum.correlations == pytest.approx([c], abs=1e-12)
    np.testing.assert_allclose(spectrum.features, [[1], [-1]], atol=1e-12)
    information = sum((1 + s * c) / 2 * np.log(1 + s * c) for s in (1, -1))
    assert pair.mutual_information() == pytest.approx(information, abs=1e-12)
    assert pair.kurtosis([1, -1]) == pytest.approx(-2)


def test_normal_variables_have_powers_of_their_correlation():
    """Mehler: correlations c, c^2, c^3, and Hermite polynomials."""
    x = np.linspace(-9, 9, 401)
    c = 0.6
    joint = np.exp(-(x[:, None] ** 2 - 2 * c * np.outer(x, x) + x**2) / (2 * (1 - c**2)))
    pair = rg.PairLaw(x, joint)
    spectrum = pair.spectrum(3)
    np.testing.assert_allclose(spectrum.correlations, [c, c**2, c**3], atol=1e-10)
    assert pair.overlap(spectrum.features[:, 0], x) == pytest.approx(1, abs=1e-10)
    assert abs(pair.overlap(spectrum.features[:, 1], x**2)) == pytest.approx(1, abs=1e-10)
    assert pair.mutual_information() == pytest.approx(-0.5 * np.log(1 - c**2), abs=1e-8)


@pytest.mark.parametrize("K, b, g", [(1, 1, 1), (1, 3, 3), (0.5, 4, 0), (2, 2, 5)])
def test_blocks_of_a_chain(K, b, g):
    t = np.tanh(K)
    pair = chain_blocks(K, b, g)
    best = t ** (g + 1) * (1 + t ** (b - 1)) / 2
    assert pair.spectrum(1).correlations[0] == pytest.approx(best, abs=1e-12)
    ends = spin_configurations(b)[:, [0, -1]].sum(1)
    assert pair.correlation(ends) == pytest.approx(best, abs=1e-12)


def test_no_feature_is_better_than_the_best():
    pair = chain_blocks(1.0, 4, 2)
    random = np.random.default_rng(0).normal(size=(200, 16))
    found = [pair.correlation(feature) for feature in random]
    assert max(found) <= pair.spectrum(1).correlations[0] + 1e-12
    # and none overlaps with the best one by less than its certificate says
    rho_1, rho_2 = pair.spectrum(2).correlations
    best = pair.spectrum(1).features[:, 0]
    for feature, correlation in zip(random, found, strict=True):
        missing = 1 - pair.overlap(feature, best) ** 2
        assert missing <= (rho_1 - correlation) / (rho_1 - rho_2) + 1e-9


def test_a_kernel_on_both_partners():
    pair = chain_blocks(1.0, 3, 0)
    majority = (pair.values > 0)[:, None] == [[True, False]]
    bits = pair.pushed(majority.astype(float), [1, -1])
    assert bits.correlation([1, -1]) == pytest.approx(pair.correlation(np.sign(pair.values)))
    assert bits.mutual_information() <= pair.mutual_information()


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "values, joint, sentence",
    [
        ([1, -1], [[1, 0]], "states, states"),
        ([1], [[1]], "at least 2"),
        (["a", "b"], [[1, 0], [0, 1]], "real numbers"),
        ([1, -1], [[1, -1], [-1, 1]], "not negative"),
        ([1, -1], [[0, 0], [0, 0]], "not all zero"),
        ([1, -1], [[1, 2], [0, 1]], "symmetric"),
        ([1, -1], [[1, 0], [0, 0]], "two states"),
    ],
)
def test_bad_laws_are_named(values, joint, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        rg.PairLaw(values, joint)


@pytest.mark.as_a_user
def test_bad_features_and_kernels_are_named():
    pair = two_spins(0.5)
    for feature, sentence in (([1, 2, 3], "shape"), ([1, 1], "vary"), ([1, np.nan], "vary")):
        with pytest.raises(ValueError, match=sentence):
            pair.correlation(feature)
    with pytest.raises(ValueError, match="sum to 1"):
        pair.pushed([[0.5, 0], [0, 1]], [0, 1])
    with pytest.raises(ValueError, match="kernel must be probabilities"):
        pair.pushed([[1, 0]], [0, 1])
    with pytest.raises(ValueError, match="k must be at least 1"):
        pair.spectrum(0)
