"""Characteristic parameters: recovered from members, from other laws, and with honest errors."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rgkit as rg

family = rg.IsingChain(0.0, n_sites=5)


@given(st.floats(-2, 2), st.floats(-1, 1), st.booleans())
def test_members_of_the_family_are_recovered(coupling, field, periodic):
    chain = rg.IsingChain(coupling, field, n_sites=5, periodic=periodic)
    estimate = rg.characteristic_parameters(rg.SpinLaw(chain.probabilities()), chain)
    assert estimate.values == pytest.approx({"K": coupling, "h": field}, abs=1e-10)
    assert estimate.standard_errors == {"K": 0, "h": 0} and estimate.flags == ()


def test_the_estimate_is_the_nearest_member():
    law = rg.SpinLaw(np.random.default_rng(0).dirichlet(np.ones(32)))
    best = rg.characteristic_parameters(law, family).values

    def distance(k, h):
        return law.divergence(rg.IsingChain(k, h, n_sites=5).probabilities())

    nearest = distance(best["K"], best["h"])
    for shift in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)):
        assert distance(best["K"] + shift[0], best["h"] + shift[1]) > nearest


def test_pythagoras_bounds_the_fitted_coupling():
    for seed in range(20):
        law = rg.SpinLaw(np.random.default_rng(seed).dirichlet(np.ones(16)))
        even = rg.SpinLaw((law.probabilities + law.probabilities[::-1]) / 2)
        fitted = rg.characteristic_parameters(
            even, rg.IsingChain(0.0, n_sites=4, periodic=False)
        ).values
        chain = rg.IsingChain(fitted["K"], n_sites=2)
        assert 3 * (np.log(2) - chain.entropy_rate()) <= even.divergence() + 1e-10


def test_standard_errors_cover():
    chain = rg.IsingChain(0.6, 0.2, n_sites=6)
    estimates = [
        rg.characteristic_parameters(chain.sample(k, 2000), chain)
        for k in jax.random.split(jax.random.key(0), 60)
    ]
    for name, truth in chain.parameters.items():
        pulls = np.array([(e.values[name] - truth) / e.standard_errors[name] for e in estimates])
        assert 0.75 < pulls.std() < 1.3 and abs(pulls.mean()) < 0.45


def test_sampled_laws_and_samples_agree():
    chain = rg.IsingChain(0.6, 0.2, n_sites=12)
    law = rg.pushforward(chain, rg.decimation(3), n_samples=5000, key=jax.random.key(0))
    samples = np.asarray(chain.sample(jax.random.key(0), 5000))[:, ::3]
    ring = rg.IsingChain(0.0, n_sites=4)
    of_law, of_samples = (rg.characteristic_parameters(data, ring) for data in (law, samples))
    assert of_law.values == pytest.approx(of_samples.values, rel=1e-6)
    assert of_law.standard_errors == pytest.approx(of_samples.standard_errors, rel=1e-3)


# spins: the statistics and the first two derivatives of ln Z

chains = st.builds(
    rg.IsingChain,
    st.floats(-3, 3),
    st.floats(-2, 2),
    n_sites=st.integers(2, 9),
    periodic=st.booleans(),
)


@given(chains)
def test_spins_mean_parameters_and_fisher_information_are_those_of_the_sum_over_states(chain):
    x, p = chain.configurations(), chain.probabilities()
    statistics = np.asarray(chain.statistics(x), float)
    np.testing.assert_allclose(
        statistics @ [chain.coupling, chain.field],
        -np.asarray(chain.energy(x)),
        rtol=1e-5,
        atol=1e-5,
    )
    means = p @ statistics
    np.testing.assert_allclose(list(chain.mean_parameters().values()), means, atol=1e-12)
    covariance = (statistics - means).T @ (p[:, None] * (statistics - means))
    np.testing.assert_allclose(chain.fisher_information(), covariance, atol=1e-11)


def test_a_long_ring_has_the_derivatives_of_its_eigenvalue():
    ring = rg.IsingChain(0.7, 0.0, n_sites=10**6)
    t = np.tanh(0.7)
    means, fisher = ring.mean_parameters(), ring.fisher_information()
    assert means == pytest.approx({"K": 1e6 * t, "h": 0.0}, rel=1e-12, abs=1e-6)
    np.testing.assert_allclose(fisher, 1e6 * np.diag([1 - t**2, np.exp(1.4)]), rtol=1e-9, atol=1e-4)
