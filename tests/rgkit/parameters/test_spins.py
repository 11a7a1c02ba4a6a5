"""Families of spins: couplings to the digits of the moments, and limits on the boundary."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

import rgkit as rg

CHAINS = [
    rg.IsingChain(0.0, n_sites=n, periodic=periodic)
    for n, periodic in itertools.product((2, 3, 4, 5), (True, False))
]
name_of = "{0.n_sites}-{0.periodic}".format


@dataclasses.dataclass(frozen=True)
class Spins(rg.EnumeratedFamily):
    """A ring with bonds of some ranges, and a field."""

    n_sites: int
    ranges: tuple[int, ...]
    couplings: tuple[float, ...]

    @property
    def parameters(self):
        return dict(zip([*(f"K{r}" for r in self.ranges), "field"], self.couplings, strict=True))

    def statistics(self, x):
        bonds = [(x * np.roll(x, r, axis=-1)).sum(-1) for r in self.ranges]
        return np.stack([*bonds, x.sum(-1)], axis=-1)

    def at(self, parameters, *, n_sites=None):
        couplings = tuple(parameters.get(name, 0.0) for name in self.parameters)
        return dataclasses.replace(self, n_sites=n_sites or self.n_sites, couplings=couplings)


def table(chain):
    """The configurations, their statistics, and the different values of these."""
    x = chain.configurations()
    statistics = np.asarray(chain.statistics(x), float)
    return x, statistics, np.unique(statistics, axis=0)


def most_likely(chain, moments, reach, step=0.05):
    """Maximum likelihood by brute force, on a grid of K and h."""
    axis = np.arange(-reach, reach + step / 2, step)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)
    _, statistics, _ = table(chain)
    points, counts = np.unique(statistics, axis=0, return_counts=True)
    log_z = logsumexp(grid @ points.T + np.log(counts), axis=-1)
    best = np.argmax(grid @ moments - log_z)
    return dict(zip("Kh", grid.reshape(-1, 2)[best], strict=True))


# inside


@given(
    st.floats(-7, 7), st.floats(-4, 4), st.integers(2, 6), st.booleans(), st.sampled_from([0, 1])
)
def test_strong_couplings_come_back_to_the_digits_of_the_probabilities(k, h, n, periodic, as_law):
    chain = rg.IsingChain(k, h, n_sites=n, periodic=periodic)
    law = rg.SpinLaw(chain.probabilities()) if as_law else chain
    estimate = rg.characteristic_parameters(law, chain)
    assert estimate.values == pytest.approx({"K": k, "h": h}, abs=1e-9)
    assert estimate.standard_errors == {"K": 0, "h": 0}


def test_a_coupling_of_6_on_4_sites_is_no_infinite_one():
    chain = rg.IsingChain(6.0, n_sites=4)
    assert 1 - chain.mean_parameters()["K"] / 4 < 1e-9
    estimate = rg.characteristic_parameters(chain, chain)
    assert estimate.values == pytest.approx({"K": 6.0, "h": 0.0}, abs=1e-13)
    assert estimate.flags == ()


@pytest.mark.parametrize("coupling, flagged", [(6.0, 0), (30.0, 1), (170.0, 1)])
def test_moments_within_rounding_of_a_face_are_flagged_and_still_read(coupling, flagged):
    chain = rg.IsingChain(coupling, 0.25, n_sites=4)
    estimate = rg.characteristic_parameters(chain, chain)
    assert estimate.values == pytest.approx({"K": coupling, "h": 0.25}, abs=1e-11)
    assert len(estimate.flags) == flagged
    assert all(
        "of the boundary where K -> +inf: the estimate rests on" in f for f in estimate.flags
    )


def test_probabilities_too_small_for_a_float_leave_a_face():
    chain = rg.IsingChain(300.0, 0.25, n_sites=4)
    estimate = rg.characteristic_parameters(chain, chain)
    assert estimate.values == {"K": np.inf, "h": pytest.approx(0.25, abs=1e-13)}
    assert estimate.standard_errors == {"K": pytest.approx(np.nan, nan_ok=True), "h": 0.0}


def test_what_rounding_has_lost_is_said():
    # flips inside the chain are rarer than those at its ends by exp(-40), and leave no digit
    chain = rg.IsingChain(20.0, 12.0, n_sites=5, periodic=False)
    estimate = rg.characteristic_parameters(chain, chain)
    assert any("determine K, h only to within" in flag for flag in estimate.flags)
    # what the flips at the ends know is known: 2K + 2h
    total = 2 * (estimate.values["K"] + estimate.values["h"])
    assert total == pytest.approx(2 * (20.0 + 12.0), abs=1e-9)


@given(st.tuples(*[st.floats(-1.5, 1.5)] * 3), st.integers(5, 7))
def test_a_family_of_three_parameters_is_recovered_by_name(couplings, n):
    family = Spins(n, (1, 2), couplings)
    estimate = rg.characteristic_parameters(family, Spins(n, (1, 2), (0.0, 0.0, 0.0)))
    assert estimate.values == pytest.approx(family.parameters, abs=1e-9)


@given(st.floats(-3, 3))
def test_a_family_of_one_parameter_is_recovered(field):
    family = Spins(3, (), (field,))
    estimate = rg.characteristic_parameters(family, family)
    assert estimate.values == pytest.approx({"field": field}, abs=1e-12)
    assert np.tanh(field) == pytest.approx(family.mean_parameters()["field"] / 3)


def test_a_law_on_other_bonds_has_its_nearest_member():
    law = Spins(6, (1, 2), (0.5, -0.2, 0.1))
    chain = rg.IsingChain(0.0, n_sites=6)
    nearest = chain.at(rg.characteristic_parameters(law, chain).values)
    expected = law.probabilities() @ np.asarray(chain.statistics(law.configurations()), float)
    np.testing.assert_allclose([*nearest.mean_parameters().values()], expected, atol=1e-6)


# on the boundary


@pytest.mark.parametrize("chain", CHAINS, ids=name_of)
def test_limits_at_all_corners_are_those_of_slightly_mixed_moments(chain):
    x, statistics, points = table(chain)
    uniform = statistics.mean(0)
    for point in points:
        rows = x[(statistics == point).all(1)]
        estimate = rg.characteristic_parameters(rows[[0, 0]], chain)
        if not any("boundary of the family" in flag for flag in estimate.flags):
            continue
        on_edge = any("finite on the boundary" in flag for flag in estimate.flags)
        best = most_likely(chain, point + 1e-6 * (uniform - point), 14.0)
        for name, value in estimate.values.items():
            if np.isnan(value):
                assert not on_edge and any(f"{name} is undetermined" in f for f in estimate.flags)
            else:
                assert np.isinf(value) and np.sign(value) == np.sign(best[name])
                assert abs(best[name]) > 1


@given(st.sampled_from(CHAINS), st.data())
def test_any_two_configurations_are_read_as_brute_force_reads_them(chain, data):
    x, statistics, points = table(chain)
    first, second = (data.draw(st.integers(0, len(x) - 1)) for _ in range(2))
    estimate = rg.characteristic_parameters(x[[first, first, second]], chain)
    moments = statistics[[first, first, second]].mean(0)
    mixed = moments + 1e-6 * (statistics.mean(0) - moments)
    best = most_likely(chain, mixed, 14.0, 0.1)
    for name, value in estimate.values.items():
        if np.isinf(value):
            assert np.sign(best[name]) == np.sign(value)
        elif np.isfinite(value):
            assert value == pytest.approx(best[name], abs=0.06)
        else:
            assert any(f"{name} is undetermined" in flag for flag in estimate.flags)


@pytest.mark.parametrize(
    "periodic, flipped, combination", [(True, [1, 1, -1], 6.0), (False, [1, -1, 1], 2.0)]
)
def test_a_face_with_an_oblique_normal_has_two_signs_and_a_finite_combination(
    periodic, flipped, combination
):
    chain = rg.IsingChain(0.0, n_sites=3, periodic=periodic)
    estimate = rg.characteristic_parameters([[1, 1, 1], [1, 1, 1], flipped], chain)
    assert estimate.values == {"K": -np.inf, "h": np.inf}
    # the two values of the statistics differ by (4, 2), and the second is had by 3 states or 1
    value = np.log(combination) / 4
    assert f"finite on the boundary: +1 K +0.5 h = {value:.6g} ± " in estimate.flags[1]


def test_a_flip_at_the_end_of_an_open_chain_is_inside():
    chain = rg.IsingChain(0.0, n_sites=3, periodic=False)
    samples = np.array([[1, 1, 1], [1, 1, 1], [1, 1, -1]])
    estimate = rg.characteristic_parameters(samples, chain)
    best = most_likely(chain, np.array([4 / 3, 7 / 3]), 3.0, 0.01)
    assert estimate.values == pytest.approx(best, abs=0.006)
    assert np.isfinite([*estimate.standard_errors.values()]).all()


def test_a_field_stays_finite_where_all_bonds_are_satisfied():
    up, down = [1] * 5, [-1] * 5
    estimate = rg.characteristic_parameters([up] * 30 + [down] * 10, CHAINS[6])
    # two states: h is a tenth of the logarithm of their odds
    assert estimate.values == {"K": np.inf, "h": pytest.approx(np.log(3) / 10)}
    assert estimate.standard_errors["h"] == pytest.approx((40 / (30 * 10)) ** 0.5 / 10, rel=0.02)
    assert estimate.flags == (
        "moments on the boundary of the family: the likelihood keeps rising as K -> +inf",
    )


def test_a_sign_that_the_data_leave_open_is_said_to_be():
    estimate = rg.characteristic_parameters(np.ones((9, 4)), CHAINS[4])
    assert estimate.values == {"K": np.inf, "h": np.inf}
    assert "the data leave the sign of K open" in estimate.flags[1]


def test_a_field_that_no_limit_determines_is_not_a_number():
    estimate = rg.characteristic_parameters([[1, -1, 1, -1], [-1, 1, -1, 1]], CHAINS[4])
    assert estimate.values["K"] == -np.inf and np.isnan(estimate.values["h"])
    assert "h is undetermined" in estimate.flags[1]


def test_faces_in_three_dimensions():
    family = Spins(6, (1, 2), (0.0, 0.0, 0.0))
    x = family.configurations()
    # all that is least in the first bond and any field: only K1 is driven to infinity
    bonds = family.statistics(x.astype(float))
    aligned = x[bonds[:, 0] == 6]
    estimate = rg.characteristic_parameters(aligned, family)
    assert estimate.values["field"] == pytest.approx(0.0, abs=1e-12)
    assert "inf" in str(estimate.values["K1"])
    # a facet: its normal from the hull, found again as the limit of mixed moments
    moments = bonds[[0, 1, 0]].mean(0)
    facet = rg.characteristic_parameters(x[[0, 1, 0]], family)
    mixed = (1 - 1e-9) * np.bincount([0, 1, 0], minlength=64) / 3 + 1e-9 / 64
    near = rg.characteristic_parameters(rg.SpinLaw(mixed), family)
    assert moments[0] < 6 and any("on the boundary of the family" in f for f in facet.flags)
    for name, value in facet.values.items():
        assert np.isinf(value) and np.sign(value) == np.sign(near.values[name])
        assert abs(near.values[name]) > 1


@settings(max_examples=30)
@given(st.sampled_from(CHAINS), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_likelihood_is_at_its_maximum_or_flagged(chain, m, seed):
    rows = np.random.default_rng(seed).choice([-1, 1], size=(m + 1, chain.n_sites), p=[0.1, 0.9])
    estimate = rg.characteristic_parameters(rows, chain)
    if np.isfinite([*estimate.values.values()]).all():
        means = chain.at(estimate.values).mean_parameters()
        expected = np.asarray(chain.statistics(rows), float).mean(0)
        np.testing.assert_allclose([*means.values()], expected, atol=1e-5)
    else:
        assert estimate.flags[0].startswith("moments on the boundary of the family")


# near, in samples


def test_few_counts_are_flagged_and_many_are_not():
    up, down, wall = [1] * 4, [-1] * 4, [1, 1, -1, -1]
    for count, flagged in ((3, True), (30, False)):
        rows = [up] * 500 + [down] * 500 + [wall] * count
        estimate = rg.characteristic_parameters(rows, CHAINS[4])
        few = [flag for flag in estimate.flags if "a few configurations decide" in flag]
        assert bool(few) is flagged
        # two walls cost 4 K: the odds of the 12 states with them to the 2 without
        assert estimate.values["K"] == pytest.approx(np.log(6 * 1000 / count) / 4, abs=0.05)
        assert all(f"{count**0.5:.1f} standard errors from" in f for f in few)
        assert all("where K -> +inf" in f for f in few)


def test_sampled_probabilities_are_flagged_as_their_counts_are():
    counts = np.zeros(16)
    counts[[0, 15, 3]] = 500, 500, 3
    p = counts / counts.sum()
    law = rg.SpinLaw(p, covariance=(np.diag(p) - np.outer(p, p)) / counts.sum())
    rows = np.repeat(CHAINS[4].configurations(), counts.astype(int), axis=0)
    of_law, of_rows = (rg.characteristic_parameters(data, CHAINS[4]) for data in (law, rows))
    assert of_law.values == pytest.approx(of_rows.values, abs=1e-12)
    assert of_law.standard_errors == pytest.approx(of_rows.standard_errors, rel=1e-2)
    assert of_law.flags == of_rows.flags != ()


def test_equal_samples_have_no_known_error():
    alike = rg.characteristic_parameters([[1, 1, 1, -1]] * 5, CHAINS[5])
    assert "samples are all alike in what determines K, h" in alike.flags[-1]


# what may be passed


def test_arrays_lists_and_tables_are_the_same_samples():
    rows = np.random.default_rng(0).choice([-1, 1], size=(50, 3))
    columns = ["samples", "probabilities", "values"]
    data = [rows, rows.tolist(), rows.astype(np.int8), pd.DataFrame(rows, columns=columns)]
    estimates = [rg.characteristic_parameters(some, CHAINS[2]) for some in data]
    assert all(estimate == estimates[0] for estimate in estimates)


def test_statistics_that_depend_on_one_another_are_refused_by_name():
    # on a ring of three sites the second neighbour is the first
    message = "the statistics of K1, K2 are linearly dependent"
    with pytest.raises(ValueError, match=message):
        rg.characteristic_parameters(np.eye(3) * 2 - 1, Spins(3, (1, 2), (0.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="the statistic of K3 is the same in all configurations"):
        rg.characteristic_parameters(np.eye(3) * 2 - 1, Spins(3, (3,), (0.0, 0.0)))


@pytest.mark.parametrize(
    "data, error, message",
    [
        (rg.SpinLaw(np.full(8, 1 / 8)), ValueError, "family must have n_sites = 3, got 5"),
        (rg.IsingChain(1.0, n_sites=3), ValueError, "family must have n_sites = 3, got 5"),
        (np.zeros((10, 5)), ValueError, r"samples must be spins \+1 or -1"),
        (np.eye(5), ValueError, r"with values 0, 1: pass 2 \* samples - 1"),
        (np.eye(5) > 0, ValueError, r"with values 0, 1: pass 2 \* samples - 1"),
        (np.ones((1, 5)), ValueError, r"spins \+1 or -1 of shape \(M >= 2, 5\)"),
        (np.ones((9, 4)), ValueError, r"samples must have shape \(M, 5\)"),
        ([[1] * 5, [1] * 4], ValueError, "their rows differ in length"),
        (np.full((9, 5), np.nan), ValueError, r"samples must be spins \+1 or -1"),
        (np.full((9, 5), "up"), TypeError, "samples must be real numbers"),
        (object(), TypeError, "samples must be real numbers, got object"),
        (rg.ScalarChain((1.0,), 0.0, n_sites=5), TypeError, "family is one of spins, and Scalar"),
    ],
)
def test_bad_data_are_refused(data, error, message):
    with pytest.raises(error, match=message):
        rg.characteristic_parameters(data, CHAINS[6])


@pytest.mark.as_a_user
def test_bad_families_and_methods_are_refused():
    with pytest.raises(ValueError, match="method must be 'likelihood' for spins, got 'score'"):
        rg.characteristic_parameters(np.ones((9, 5)), CHAINS[6], method="score")
    with pytest.raises(TypeError, match="family must be a family of laws"):
        rg.characteristic_parameters(np.ones((9, 5)), rg.SpinLaw(np.full(32, 1 / 32)))
