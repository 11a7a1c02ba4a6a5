"""Characteristic parameters: recovered from members, from other laws, and with honest errors."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rgkit as rg
from rgkit.parameters import fields as matching

family = rg.IsingChain(0.0, n_sites=5)


@given(st.floats(-2, 2), st.floats(-1, 1), st.booleans())
def test_members_of_the_family_are_recovered(coupling, field, periodic):
    chain = rg.IsingChain(coupling, field, n_sites=5, periodic=periodic)
    estimate = rg.characteristic_parameters(rg.SpinLaw(chain.probabilities()), chain)
    # a frustrated or saturated chain determines its couplings only through small moments
    assert estimate.values == pytest.approx({"K": coupling, "h": field}, abs=1e-5)
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


def test_the_edge_of_the_family_is_flagged():
    aligned = np.array([[1, 1, 1, 1, 1], [-1, -1, -1, -1, -1]])
    estimate = rg.characteristic_parameters(aligned, family)
    assert estimate.values["K"] == np.inf and estimate.flags == (
        "moments on the boundary of the family",
    )


@pytest.mark.parametrize(
    "data, options, message",
    [
        (rg.SpinLaw(np.full(8, 1 / 8)), {}, "family must have n_sites = 3, got 5"),
        (np.zeros((10, 5)), {}, r"samples must be spins \+1 or -1"),
        (np.ones((1, 5)), {}, r"samples must be spins \+1 or -1 of shape \(M >= 2, 5\)"),
        (
            np.ones((10, 5)),
            {"method": "score"},
            "method must be 'likelihood' for spins, got 'score'",
        ),
    ],
)
def test_bad_data_are_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        rg.characteristic_parameters(data, family, **options)


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


# fields


def ring(*potential, coupling, n_sites=4, periodic=True):
    return rg.ScalarChain(potential, coupling, n_sites=n_sites, periodic=periodic)


SEXTIC = ring(-1.0, 0.2, 0.1, coupling=0.4)
DOUBLE_WELL = ring(-2.0, 0.5, coupling=0.5)
GAUSSIAN = ring(1.0, coupling=0.2)
METHODS = ("score", "likelihood")


@pytest.mark.parametrize("n_sites", [2, 3, 5])
@pytest.mark.parametrize("periodic", [True, False])
def test_gradients_and_laplacians_are_those_of_the_statistics(n_sites, periodic):
    family = ring(1.0, 1.0, 1.0, coupling=0.0, n_sites=n_sites, periodic=periodic)
    x = np.random.default_rng(0).normal(size=(3, n_sites))
    gradients, laplacians = matching._derivatives(family, x)
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            gradients, np.moveaxis(jax.vmap(jax.jacrev(family.statistics))(x), 1, 0), atol=1e-12
        )
        hessians = np.asarray(jax.vmap(jax.hessian(family.statistics))(x))
    np.testing.assert_allclose(laplacians, np.trace(hessians, axis1=-2, axis2=-1).T, atol=1e-11)


shapes = {"coupling": st.floats(-0.7, 0.7), "n_sites": st.integers(2, 6), "periodic": st.booleans()}
members = st.one_of(
    st.builds(ring, st.floats(1.5, 4), **shapes),
    st.builds(ring, st.floats(-3, 2), st.floats(0.2, 2), **shapes),
    st.builds(ring, st.floats(-2, 2), st.floats(-1, 1), st.floats(0.1, 1), **shapes),
)


@settings(max_examples=20)
@given(members, st.sampled_from(METHODS))
def test_exact_members_are_recovered(member, method):
    estimate = rg.characteristic_parameters(member, member, method=method)
    assert estimate.values == pytest.approx(member.parameters, abs=1e-6)
    assert set(estimate.standard_errors.values()) == {0.0}


def test_a_sextic_chain_is_read_off_a_million_samples():
    samples = SEXTIC.sample(jax.random.key(0), 10**6)
    for method in METHODS:
        estimate = rg.characteristic_parameters(samples, SEXTIC, method=method)
        for name, truth in SEXTIC.parameters.items():
            assert abs(estimate.values[name] - truth) < 3 * estimate.standard_errors[name]
            assert estimate.standard_errors[name] < 0.02


@pytest.mark.parametrize("method", METHODS)
def test_nominal_95_per_cent_intervals_cover(method):
    repetitions = np.asarray(DOUBLE_WELL.sample(jax.random.key(1), 200 * 2000)).reshape(
        200, 2000, 4
    )
    estimates = [
        rg.characteristic_parameters(samples, DOUBLE_WELL, method=method) for samples in repetitions
    ]
    for name, truth in DOUBLE_WELL.parameters.items():
        hits = [abs(e.values[name] - truth) < 1.96 * e.standard_errors[name] for e in estimates]
        assert 0.90 <= np.mean(hits) <= 0.98


@pytest.mark.parametrize("method", METHODS)
def test_outside_the_family_errors_are_about_the_nearest_member(method):
    family = ring(1.0, 1.0, coupling=0.0)
    exact = rg.characteristic_parameters(SEXTIC, family, method=method)
    samples = np.asarray(SEXTIC.sample(jax.random.key(2), 60 * 4000)).reshape(60, 4000, 4)
    estimates = [rg.characteristic_parameters(rows, family, method=method) for rows in samples]
    for name, value in exact.values.items():
        pulls = np.array([(e.values[name] - value) / e.standard_errors[name] for e in estimates])
        assert 0.75 < pulls.std() < 1.3 and abs(pulls.mean()) < 0.45


def test_outside_the_family_the_two_methods_disagree():
    family = ring(1.0, 1.0, coupling=0.0)
    score, likelihood = (
        rg.characteristic_parameters(SEXTIC, family, method=m).values for m in METHODS
    )
    assert abs(score["u"] - likelihood["u"]) > 0.01
    nearest = ring(likelihood["r"], likelihood["u"], coupling=likelihood["K"])
    means, target = nearest.mean_parameters(), SEXTIC.mean_parameters()
    assert means == pytest.approx({name: target[name] for name in means}, abs=1e-9)


def test_a_field_law_and_its_samples_agree():
    samples = DOUBLE_WELL.sample(jax.random.key(0), 1000)
    of_law = rg.characteristic_parameters(rg.FieldLaw(np.asarray(samples)), DOUBLE_WELL)
    assert of_law == rg.characteristic_parameters(samples, DOUBLE_WELL)


# at the boundary u = 0 of the quartic family

QUARTIC = ring(1.0, 1.0, coupling=0.0)


def test_on_the_boundary_score_matching_goes_beyond_and_likelihood_stops():
    negative = 0
    for key in jax.random.split(jax.random.key(0), 8):
        samples = GAUSSIAN.sample(key, 2000)
        score, likelihood = (
            rg.characteristic_parameters(samples, QUARTIC, method=m) for m in METHODS
        )
        assert any("boundary u = 0: the law may lie on it" in flag for flag in score.flags)
        assert any("errors" in flag and "are not normal there" in flag for flag in likelihood.flags)
        assert (
            abs(score.values["u"]) < 4 * score.standard_errors["u"] and likelihood.values["u"] >= 0
        )
        negative += score.values["u"] < 0
        if likelihood.values["u"] == 0:
            gaussian = rg.characteristic_parameters(samples, GAUSSIAN, method="likelihood").values
            assert likelihood.values == pytest.approx(gaussian | {"u": 0.0})
    assert 0 < negative < 8


def test_near_the_boundary_likelihood_finds_its_place():
    # among these samples are some whose best u is positive and tiny, where Newton's method alone would get stuck
    for samples in np.asarray(GAUSSIAN.sample(jax.random.key(3), 200 * 1000)).reshape(200, 1000, 4)[
        30:50
    ]:
        estimate = rg.characteristic_parameters(samples, QUARTIC, method="likelihood").values
        slope = ring(estimate["r"], estimate["u"], coupling=estimate["K"]).mean_parameters()
        for name, mean in zip(
            "ruK", np.asarray(QUARTIC.statistics(samples), float).mean(0), strict=True
        ):
            assert abs(slope[name] - mean) < 1e-5 * abs(mean) or (
                name == "u" and estimate["u"] == 0 and slope["u"] > mean
            )


def test_heavy_tails_are_beyond_the_boundary():
    samples = np.random.default_rng(0).standard_t(9, size=(4000, 4))
    score, likelihood = (rg.characteristic_parameters(samples, QUARTIC, method=m) for m in METHODS)
    assert (
        score.values["u"] < 0
        and score.flags[0] == "u is beyond its boundary u = 0: no member of the family has it"
    )
    assert likelihood.values["u"] == 0 and "on its boundary" in likelihood.flags[0]


def test_parameters_that_trade_are_flagged():
    samples = SEXTIC.sample(jax.random.key(0), 2000)
    flags = rg.characteristic_parameters(samples, SEXTIC).flags
    assert any(flag.startswith("errors of u and w are correlated (-0.9") for flag in flags)


noise = np.random.default_rng(0).normal(size=(100, 4))


@pytest.mark.parametrize(
    "data, options, message",
    [
        (
            noise[:, :3],
            {},
            r"samples must have shape \(M, 4\), one configuration in each row, got shape \(100, 3\)",
        ),
        (noise[:3], {}, r"samples has too few rows \(3\) for the statistics of r, u, K"),
        (
            np.where(np.arange(400).reshape(100, 4) == 9, np.nan, noise),
            {},
            "samples must be finite, row 2",
        ),
        (noise * [1, 0, 1, 1], {}, "feature 1 of samples is constant"),
        (np.sign(noise), {}, "the statistics of r, u are collinear in samples"),
        (noise, {"method": "moments"}, "method must be 'score' or 'likelihood', got 'moments'"),
        (
            ring(1.0, 1.0, coupling=0.0, n_sites=5),
            {},
            "family must have n_sites = 5 and periodic = True",
        ),
    ],
)
def test_degenerate_fields_are_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        rg.characteristic_parameters(data, QUARTIC, **options)


def test_equal_features_are_collinear():
    pair = ring(1.0, 1.0, coupling=0.0, n_sites=2)
    with pytest.raises(ValueError, match="the statistics of r, K are collinear in samples"):
        rg.characteristic_parameters(np.repeat(noise[:, :1], 2, axis=1), pair)
