"""Families of fields: couplings by score and moment matching, with honest errors and flags."""

import dataclasses

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rgkit as rg


def ring(*potential, coupling, n_sites=4, periodic=True):
    return rg.ScalarChain(potential, coupling, n_sites=n_sites, periodic=periodic)


SEXTIC = ring(-1.0, 0.2, 0.1, coupling=0.4)
DOUBLE_WELL = ring(-2.0, 0.5, coupling=0.5)
GAUSSIAN = ring(1.0, coupling=0.2)
METHODS = ("score", "likelihood")


@dataclasses.dataclass(frozen=True)
class Tilted:
    """Independent Gaussian fields in a field of their own: exp(sum of -a x**2 / 2 + b x)."""

    a: float
    b: float
    n_sites: int = 3
    values: rg.Values = rg.Values.REALS

    @property
    def parameters(self):
        return {"a": self.a, "b": self.b}

    def at(self, parameters, *, n_sites=None):
        if parameters["a"] <= 0:
            raise ValueError(f"a must be positive, got {parameters['a']}.")
        return dataclasses.replace(self, n_sites=n_sites or self.n_sites, **parameters)

    def sample(self, key, n_samples):
        noise = jax.random.normal(key, (n_samples, self.n_sites))
        return self.b / self.a + noise / self.a**0.5

    def statistics(self, x):
        return np.stack([-(x**2).sum(-1) / 2, x.sum(-1)], axis=-1)

    def log_partition(self):
        return self.n_sites * (self.b**2 / self.a + np.log(2 * np.pi / self.a)) / 2

    def mean_parameters(self):
        mean, n = self.b / self.a, self.n_sites
        return {"a": -n * (mean**2 + 1 / self.a) / 2, "b": n * mean}

    def fisher_information(self):
        mean, variance = self.b / self.a, 1 / self.a
        cross = -mean * variance
        square = mean**2 * variance + variance**2 / 2
        return self.n_sites * np.array([[square, cross], [cross, variance]])


class Scored(Tilted):
    """The same with what score matching asks for."""

    def statistics_derivatives(self, x):
        gradients = np.stack([-x, np.ones_like(x)])
        return gradients, np.stack([np.full(len(x), -x.shape[1]), np.zeros(len(x))])


@pytest.mark.parametrize("n_sites", [2, 3, 5])
@pytest.mark.parametrize("periodic", [True, False])
def test_score_matching_is_that_of_the_derivatives_of_the_statistics(n_sites, periodic):
    family = ring(1.0, 1.0, 1.0, coupling=0.0, n_sites=n_sites, periodic=periodic)
    x = np.random.default_rng(0).normal(size=(300, n_sites))
    with jax.enable_x64(True):
        gradients = np.asarray(jax.vmap(jax.jacrev(family.statistics))(x))
        hessians = np.asarray(jax.vmap(jax.hessian(family.statistics))(x))
    laplacians = np.trace(hessians, axis1=-2, axis2=-1)
    terms = np.einsum("mki,mli->mkl", gradients, gradients)
    inverse = np.linalg.inv(terms.mean(0))
    expected = -inverse @ laplacians.mean(0)
    residuals = terms @ expected + laplacians
    covariance = inverse @ (residuals.T @ residuals) @ inverse / len(x) ** 2
    estimate = rg.characteristic_parameters(x, family)
    np.testing.assert_allclose([*estimate.values.values()], expected, rtol=1e-9)
    np.testing.assert_allclose(
        [*estimate.standard_errors.values()], np.sqrt(np.diag(covariance)), rtol=1e-9
    )


def test_a_family_of_ones_own_is_read_both_ways():
    law = Scored(2.0, 1.5)
    samples = np.asarray(law.sample(jax.random.key(0), 4000), float)
    variance, mean = samples.var(), samples.mean()
    for method in METHODS:
        estimate = rg.characteristic_parameters(samples, Scored(1.0, 0.0), method=method)
        assert estimate.values == pytest.approx({"a": 1 / variance, "b": mean / variance}, rel=1e-6)
        for name, truth in law.parameters.items():
            assert abs(estimate.values[name] - truth) < 4.5 * estimate.standard_errors[name]
        # its mean has a parameter, so that there is no need to centre
        assert not any("off centre" in flag for flag in estimate.flags)


def test_a_family_says_what_it_lacks():
    with pytest.raises(
        TypeError, match=r"must have statistics_derivatives\(x\), and Tilted has not"
    ):
        rg.characteristic_parameters(np.zeros((9, 3)), Tilted(1.0, 0.0))
    with pytest.raises(TypeError, match="an exact law of fields must be an `rg.ScalarChain`"):
        rg.characteristic_parameters(Scored(1.0, 0.0), Scored(1.0, 0.0))


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
    # among these are some whose best u is positive and tiny, where Newton's method alone sticks
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


# off centre, and rounded

WHITE = ring(1.0, coupling=0.0)


def test_samples_off_centre_are_flagged_with_the_mend():
    random = np.random.default_rng(0)
    for mean in (5.0, 0.2):
        samples = random.normal(mean, 1.0, (4000, 4))
        for method in METHODS:
            estimate = rg.characteristic_parameters(samples, WHITE, method=method)
            assert "samples are off centre" in estimate.flags[0]
            assert "centre them, samples - samples.mean(0)" in estimate.flags[0]
            centred = rg.characteristic_parameters(samples - samples.mean(0), WHITE, method=method)
            assert abs(centred.values["K"]) < 4 * centred.standard_errors["K"]
            assert centred.flags == ()


def test_one_feature_off_centre_is_named():
    samples = np.random.default_rng(0).normal([0.0, 0.0, 1.0, 0.0], 1.0, (4000, 4))
    flags = rg.characteristic_parameters(samples, WHITE).flags
    assert flags[0].startswith("samples are off centre (feature 2 has mean ")


def test_a_small_common_mean_of_many_features_is_seen():
    # no feature alone shows it, and all together move the coupling by several errors
    samples = np.random.default_rng(0).normal(0.1, 1.0, (1000, 100))
    flags = rg.characteristic_parameters(samples, ring(1.0, coupling=0.0, n_sites=100)).flags
    assert "(the mean over the features has mean 0.0" in flags[0]


@pytest.mark.parametrize("seed", range(20))
def test_centred_laws_are_not_flagged(seed):
    samples = GAUSSIAN.sample(jax.random.key(seed), 500)
    flags = rg.characteristic_parameters(samples, GAUSSIAN).flags
    assert not any("off centre" in flag for flag in flags)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_offset_is_refused_with_the_mend(dtype):
    samples = (1e4 + 0.01 * np.random.default_rng(0).normal(size=(4000, 4))).astype(dtype)
    with pytest.raises(ValueError, match=r"Centre them, samples - samples\.mean\(0\)"):
        rg.characteristic_parameters(samples, WHITE)


def test_an_offset_that_float32_has_rounded_is_flagged():
    exact = 1e4 + 0.01 * np.random.default_rng(0).normal(size=(4000, 4))
    rounded = exact.astype(np.float32) - np.float32(1e4)
    flags = rg.characteristic_parameters(rounded, WHITE).flags
    few = len(np.unique(rounded[:, 0]))
    assert few < 100 and " different values in 4000 rows, at least 0.001 apart" in flags[0]
    assert rg.characteristic_parameters(exact - 1e4, WHITE).flags == ()


def test_sums_are_those_of_float64_whatever_the_samples_are():
    samples = np.random.default_rng(0).normal(3.0, 0.01, (40000, 4)).astype(np.float32)
    single, double = (
        rg.characteristic_parameters(rows, WHITE) for rows in (samples, samples.astype(float))
    )
    assert single.values == double.values and single.standard_errors == double.standard_errors


def test_tables_and_lists_are_samples():
    rows = np.random.default_rng(0).normal(size=(50, 4))
    table = pd.DataFrame(rows, columns=["samples", "a", "b", "c"])
    estimates = [rg.characteristic_parameters(data, WHITE) for data in (rows, rows.tolist(), table)]
    assert all(estimate == estimates[0] for estimate in estimates)


noise = np.random.default_rng(0).normal(size=(100, 4))


@pytest.mark.parametrize(
    "data, options, message",
    [
        (
            noise[:, :3],
            {},
            r"must have shape \(M, 4\), one configuration in each row, got shape \(100, 3\)",
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


@pytest.mark.parametrize(
    "data, message",
    [
        (rg.IsingChain(1.0, n_sites=4), "family is one of real numbers, and IsingChain one of spi"),
        (rg.SpinLaw(np.full(16, 1 / 16)), "samples must be real numbers, got SpinLaw"),
        (noise + 1j, "samples must be real numbers, got ndarray of dtype complex128"),
    ],
)
def test_data_that_are_no_fields_are_refused(data, message):
    with pytest.raises(TypeError, match=message):
        rg.characteristic_parameters(data, QUARTIC)


def test_equal_features_are_collinear():
    pair = ring(1.0, 1.0, coupling=0.0, n_sites=2)
    with pytest.raises(ValueError, match="the statistics of r, K are collinear in samples"):
        rg.characteristic_parameters(np.repeat(noise[:, :1], 2, axis=1), pair)
