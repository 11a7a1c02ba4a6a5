"""The certificate on the best deterministic map, by enumeration and by classes of equal weight."""

import dataclasses
import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgkit as rg
from rgkit.kernels.best_map import water_filling_law

LN2 = np.log(2)


@given(st.floats(-2, 2), st.floats(-1, 1), st.integers(2, 12))
def test_levels_are_those_of_the_enumeration(coupling, field, n):
    chain = rg.IsingChain(coupling, field, n_sites=n)
    log_weight, log_count = rg.energy_levels(chain)
    assert (np.diff(log_weight) <= 0).all()
    assert np.exp(log_count).sum() == pytest.approx(2**n, rel=1e-10)
    weights = np.repeat(np.exp(log_weight), np.rint(np.exp(log_count)).astype(int))
    np.testing.assert_allclose(np.sort(weights), np.sort(chain.probabilities()), rtol=1e-9)


@given(st.floats(-2, 2), st.sampled_from([0.0, 0.5, -1.2]), st.integers(2, 12))
def test_levels_of_an_open_chain(coupling, field, n):
    chain = rg.IsingChain(coupling, field, n_sites=n, periodic=False)
    log_weight, log_count = rg.energy_levels(chain)
    weights = np.repeat(np.exp(log_weight), np.rint(np.exp(log_count)).astype(int))
    np.testing.assert_allclose(np.sort(weights), np.sort(chain.probabilities()), rtol=1e-9)


@given(st.floats(0, 2), st.sampled_from([0.0, 0.4]), st.integers(4, 11), st.integers(1, 5))
def test_the_bounds_enclose(coupling, field, n_sites, n):
    chain = rg.IsingChain(coupling, field, n_sites=n_sites)
    greedy = rg.pushforward(chain, rg.greedy_map(chain, n))
    assert rg.water_filling_divergence(chain, n) <= greedy.divergence() + 1e-12


@pytest.mark.parametrize("coupling, field", [(0.3, 0.0), (1.0, 0.0), (0.5, 0.7)])
def test_no_map_of_a_tiny_chain_beats_the_lower_bound(coupling, field):
    chain = rg.IsingChain(coupling, field, n_sites=3)
    p = chain.probabilities()
    laws = np.array([np.bincount(image, p, 4) for image in itertools.product(range(4), repeat=8)])
    best = (
        2 * LN2
        + np.sum(np.where(laws > 0, laws * np.log(np.where(laws > 0, laws, 1)), 0), axis=1).min()
    )
    assert rg.water_filling_divergence(chain, 2) <= best + 1e-12
    assert best <= rg.pushforward(chain, rg.greedy_map(chain, 2)).divergence() + 1e-12


def test_water_filling_by_hand():
    # a ring of two bonds: e^{2K} : e^{-2K}, so that the weights are 3, 3, 1, 1 over 8; into two
    # bins nothing is lost, into four all stand alone
    chain = rg.IsingChain(np.log(3) / 4, n_sites=2)
    np.testing.assert_allclose(np.sort(chain.probabilities()), [1 / 8, 1 / 8, 3 / 8, 3 / 8])
    assert rg.water_filling_divergence(chain, 1) == pytest.approx(0, abs=1e-12)
    entropy = -(0.75 * np.log(3 / 8) + 0.25 * np.log(1 / 8))
    assert rg.water_filling_divergence(chain, 2) == pytest.approx(2 * LN2 - entropy, abs=1e-12)
    assert rg.water_filling_divergence(chain, 3) == pytest.approx(3 * LN2 - entropy, abs=1e-12)


@pytest.mark.parametrize("coupling, value, tolerance", [(1.0, 0.2706, 5e-5), (0.5, 0.0, 1e-11)])
def test_the_ring_of_twelve_into_four(coupling, value, tolerance):
    chain = rg.IsingChain(coupling, n_sites=12)
    law = rg.pushforward(chain, rg.greedy_map(chain, 4))
    assert rg.water_filling_divergence(chain, 4) == pytest.approx(value, abs=tolerance)
    assert law.divergence() == pytest.approx(rg.water_filling_divergence(chain, 4), abs=1e-11)


FINITE_SIZE = [  # K = 1, N/n near b: D / (n ln 2); computed for this project
    (1.5, 16, 0.2710), (1.5, 64, 0.2195), (1.5, 1024, 0.2098),
    (2, 16, 0.1246), (2, 64, 0.0568), (2, 1024, 0.0050), (2, 8192, 0.0000),
]  # fmt: skip


@pytest.mark.parametrize("ratio, n_sites, value", FINITE_SIZE)
def test_finite_size_scaling(ratio, n_sites, value):
    n = round(n_sites / ratio)
    chain = rg.IsingChain(1.0, n_sites=n_sites)
    assert rg.water_filling_divergence(chain, n) / (n * LN2) == pytest.approx(value, abs=5.1e-5)


def test_the_limit_law_at_ten_thousand_sites():
    for coupling, ratio in ((0.5, 1.0), (1.0, 1.5), (1.5, 2.0), (1.0, 2.5)):
        chain = rg.IsingChain(coupling, n_sites=10_000)
        n = round(10_000 / ratio)
        limit = max(0.0, 1 - 10_000 / n / rg.critical_ratio(chain))
        assert rg.water_filling_divergence(chain, n) / (n * LN2) == pytest.approx(limit, abs=2e-3)


@pytest.mark.parametrize(
    "coupling, value", [(0.25, 1.0457), (0.5, 1.1906), (1, 1.8973), (1.5, 3.6316), (2, 7.6935)]
)
def test_critical_ratios(coupling, value):
    assert rg.critical_ratio(rg.IsingChain(coupling, n_sites=2)) == pytest.approx(value, abs=5e-5)


def listing(chain):
    """The same law, known by its list alone."""

    @dataclasses.dataclass(frozen=True)
    class Listed:
        n_sites: int = chain.n_sites
        values: rg.Values = rg.Values.SPINS

        def sample(self, key, n_samples):
            return chain.sample(key, n_samples)

        def configurations(self):
            return chain.configurations()

        def probabilities(self):
            return chain.probabilities()

    return Listed()


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("field", [0.0, 0.3])
@pytest.mark.parametrize("n", [1, 3, 8, 11])
def test_a_system_that_lists_its_configurations_needs_no_closed_form(periodic, field, n):
    chain = rg.IsingChain(0.7, field, n_sites=8, periodic=periodic)
    listed = listing(chain)
    closed = rg.water_filling_divergence(chain, n)
    assert rg.water_filling_divergence(listed, n) == pytest.approx(closed, abs=1e-12)
    np.testing.assert_array_equal(rg.greedy_map(listed, 3).table, rg.greedy_map(chain, 3).table)


def test_recorded_spins_have_a_best_map_too():
    rows = np.where(np.random.default_rng(0).normal(size=(60, 5)) > 0.3, 1, -1)
    system = rg.EmpiricalSystem(rows)
    greedy = rg.pushforward(system, rg.greedy_map(system, 2)).divergence()
    assert 0 <= rg.water_filling_divergence(system, 2) <= greedy < 0.01
    log_weight, log_count = rg.energy_levels(system)
    assert np.exp(log_count).sum() == pytest.approx(len(np.unique(rows, axis=0)))
    assert np.exp(log_weight + log_count).sum() == pytest.approx(1)


def test_a_frozen_chain_has_no_critical_ratio():
    assert rg.critical_ratio(rg.IsingChain(1e3, n_sites=4)) == np.inf


FIELDS = rg.ScalarChain((3.0,), 1.0, n_sites=4)


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "ask, error, message",
    [
        (
            lambda: rg.critical_ratio(FIELDS),
            TypeError,
            r"a method entropy_rate\(\).*got ScalarChain",
        ),
        (lambda: rg.energy_levels(FIELDS), TypeError, "energy_levels needs a system of spins with"),
        (lambda: rg.water_filling_divergence(FIELDS, 2), TypeError, "pass a rgkit.IsingChain"),
        (
            lambda: rg.greedy_map(FIELDS, 2),
            TypeError,
            "the greedy map needs a system of spins with",
        ),
        (lambda: rg.greedy_map(0.5, 2), TypeError, "got float"),
        (
            lambda: rg.greedy_map(rg.IsingChain(1.0, n_sites=21), 4),
            ValueError,
            "n_sites = 21 is too large for the greedy map",
        ),
        (
            lambda: rg.greedy_map(rg.IsingChain(1.0, n_sites=4), 30),
            ValueError,
            "n = 30 is too large for the greedy map",
        ),
        (
            lambda: rg.water_filling_divergence(rg.IsingChain(1.0, n_sites=4), 0),
            ValueError,
            "n must be at least 1",
        ),
    ],
)
def test_errors_say_what_to_do(ask, error, message):
    with pytest.raises(error, match=message):
        ask()


@given(st.floats(0, 2), st.sampled_from([0.0, 0.4]), st.integers(2, 8), st.integers(1, 5))
def test_the_law_of_water_filling_has_its_divergence(coupling, field, n_sites, n):
    chain = rg.IsingChain(coupling, field, n_sites=n_sites)
    law = np.asarray(water_filling_law(jnp.asarray(chain.probabilities()), 2**n), float)
    assert law.sum() == pytest.approx(1, abs=1e-5) and (np.diff(law) <= 1e-7).all()
    divergence = rg.SpinLaw(law / law.sum()).divergence()
    assert divergence == pytest.approx(rg.water_filling_divergence(chain, n), abs=2e-6)
