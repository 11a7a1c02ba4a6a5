"""The transfer matrix against brute force, closed forms and samples."""

import jax
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import CHAIN, named

import rgkit as rg

couplings = st.floats(-3, 3)
fields = st.floats(-2, 2)
chains = st.builds(
    rg.IsingChain, couplings, fields, n_sites=st.integers(2, 9), periodic=st.booleans()
)


def brute_force(chain):
    """Configurations, probabilities and ln Z from the definition, in float64."""
    x = chain.configurations().astype(float)
    bonds = sum(x[:, i] * x[:, (i + 1) % chain.n_sites] for i in range(chain.n_bonds))
    weights = np.exp(chain.coupling * bonds + chain.field * x.sum(1))
    return x, weights / weights.sum(), np.log(weights.sum())


@given(chains)
def test_everything_agrees_with_brute_force(chain):
    x, p, log_z = brute_force(chain)
    np.testing.assert_allclose(chain.log_partition(), log_z, rtol=1e-13, atol=1e-12)
    np.testing.assert_allclose(chain.probabilities(), p, rtol=1e-11, atol=1e-16)
    np.testing.assert_allclose(chain.magnetization(), (p @ x).mean(), atol=1e-13)
    np.testing.assert_allclose(chain.entropy(), -np.sum(p * np.log(p)), atol=1e-11)
    for r in range(chain.n_sites):
        np.testing.assert_allclose(chain.correlation(r), p @ (x[:, 0] * x[:, r]), atol=1e-13)


@given(chains)
def test_flipping_all_spins_flips_the_field(chain):
    flipped = rg.IsingChain(
        chain.coupling, -chain.field, n_sites=chain.n_sites, periodic=chain.periodic
    )
    np.testing.assert_allclose(
        flipped.log_partition(), chain.log_partition(), rtol=1e-13, atol=1e-12
    )
    np.testing.assert_allclose(flipped.magnetization(), -chain.magnetization(), atol=1e-13)
    np.testing.assert_allclose(flipped.entropy_rate(), chain.entropy_rate(), atol=1e-13)


@given(couplings, st.integers(1, 30))
def test_flipping_every_second_spin_of_an_even_ring_flips_the_coupling(coupling, half):
    ring, flipped = (rg.IsingChain(sign * coupling, n_sites=2 * half) for sign in (1, -1))
    np.testing.assert_allclose(
        flipped.log_partition(), ring.log_partition(), rtol=1e-13, atol=1e-12
    )
    np.testing.assert_allclose(flipped.entropy(), ring.entropy(), atol=1e-10)
    np.testing.assert_allclose(flipped.correlation(1), -ring.correlation(1), atol=1e-14)


@given(couplings, st.integers(2, 300))
def test_zero_field_closed_forms(coupling, n):
    t = np.tanh(coupling)
    opened = rg.IsingChain(coupling, n_sites=n, periodic=False)
    np.testing.assert_allclose(
        opened.log_partition(), np.log(2) + (n - 1) * np.log(2 * np.cosh(coupling)), rtol=1e-13
    )
    np.testing.assert_allclose(opened.correlation(n - 1), t ** (n - 1), rtol=1e-10, atol=1e-300)
    rate = np.log(2 * np.cosh(coupling)) - coupling * t
    np.testing.assert_allclose(opened.entropy_rate(), rate, atol=1e-13)
    renyi = 2 * np.log(2 * np.cosh(coupling)) - np.log(2 * np.cosh(2 * coupling))
    np.testing.assert_allclose(opened.renyi2_rate(), renyi, atol=1e-13)


@pytest.mark.parametrize("row", CHAIN, ids=str)
def test_reference_table(row):
    chain = rg.IsingChain(*row.arguments, n_sites=200)
    values = {
        "log_eigenvalue": chain.log_largest_eigenvalue,
        "magnetization": chain.magnetization,
        "correlation_length": chain.correlation_length,
    }
    assert values[row.quantity]() == pytest.approx(row.value, abs=4 * row.tolerance)


def test_the_reference_table_is_used():
    assert {row.quantity for row in CHAIN} == {
        "log_eigenvalue",
        "magnetization",
        "correlation_length",
    }
    assert len(named(CHAIN, "correlation_length")) == 2


@pytest.mark.parametrize("field", [0.0, 0.3, -3.0, 20.0, 500.0])
@pytest.mark.parametrize("coupling", [-1000.0, -30.0, 0.0, 30.0, 1000.0])
@pytest.mark.parametrize("n", [10, 11, 10_000])
def test_extreme_couplings_stay_finite(coupling, field, n):
    for periodic in (True, False):
        chain = rg.IsingChain(coupling, field, n_sites=n, periodic=periodic)
        assert np.isfinite(
            [chain.log_partition(), chain.entropy_rate(), chain.correlation(3)]
        ).all()
        assert -1e-9 <= chain.entropy() <= n * np.log(2) * (1 + 1e-12)
        assert abs(chain.magnetization()) <= 1
        assert chain.correlation_length() >= 0


def test_ground_states_at_strong_coupling():
    assert rg.IsingChain(1000.0, n_sites=50).entropy() == pytest.approx(np.log(2), abs=1e-9)
    frustrated = rg.IsingChain(
        -1000.0, n_sites=51
    )  # one unsatisfied bond, anywhere, and a global flip
    assert frustrated.entropy() == pytest.approx(np.log(2 * 51), abs=1e-9)
    assert frustrated.correlation(1) == pytest.approx(-49 / 51, abs=1e-12)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(
    ("coupling", "field", "n"),
    [
        (0.7, 0.1, 8),
        (-1.4, 0.3, 7),
        (5.0, -4.0, 5),
        (-17.0, 6.0, 9),
        (-400.0, 3.0, 5),
        (2.0, 0.0, 8),
    ],
)
def test_means_covariances_and_entropy_against_long_sums(coupling, field, n, periodic):
    """Sums over all configurations with 400 digits: what is tiny keeps its digits."""
    chain = rg.IsingChain(coupling, field, n_sites=n, periodic=periodic)
    x = chain.configurations().astype(int)
    bonds = sum(x[:, i] * x[:, (i + 1) % n] for i in range(chain.n_bonds))
    with mpmath.workdps(400):
        statistics = list(zip(bonds.tolist(), x.sum(1).tolist(), strict=True))
        weights = [mpmath.exp(coupling * b + field * m) for b, m in statistics]
        total = mpmath.fsum(weights)
        means = [
            mpmath.fsum(w * t[k] for w, t in zip(weights, statistics, strict=True)) / total
            for k in (0, 1)
        ]
        covariance = [
            mpmath.fsum(
                w * (t[j] - means[j]) * (t[k] - means[k])
                for w, t in zip(weights, statistics, strict=True)
            )
            / total
            for j, k in ((0, 0), (0, 1), (1, 1))
        ]
        entropy = mpmath.log(total) - coupling * means[0] - field * means[1]
    found = [*chain.mean_parameters().values()]
    np.testing.assert_allclose(found, np.array(means, float), rtol=1e-12, atol=1e-14)
    fisher = chain.fisher_information()[np.triu_indices(2)]
    exact = np.array(covariance, float)
    np.testing.assert_allclose(fisher[[0, 2]], exact[[0, 2]], rtol=1e-12, atol=1e-25)
    assert abs(fisher[1] - exact[1]) <= 1e-12 * np.sqrt(exact[0] * exact[2]) + 1e-25
    assert chain.entropy() == pytest.approx(float(entropy), rel=1e-12)


def test_a_frustrated_ring_and_a_frozen_chain_have_their_moments():
    ring = rg.IsingChain(-400.0, n_sites=3)
    assert ring.mean_parameters() == pytest.approx({"K": -1.0, "h": 0.0}, abs=1e-14)
    np.testing.assert_allclose(ring.fisher_information(), [[0, 0], [0, 1]], atol=1e-14)
    frozen = rg.IsingChain(0.5, 1500.0, n_sites=5, periodic=False)
    assert frozen.mean_parameters() == {"K": 4.0, "h": 5.0}
    np.testing.assert_array_equal(frozen.fisher_information(), np.zeros((2, 2)))


strong = st.floats(-1000, 1000) | st.sampled_from([0.0, 1e-300, -1e-9, 354.9, -372.0, 1000.0])


@given(strong, strong, st.sampled_from([2, 3, 10, 10_000]), st.booleans())
def test_bounds_hold_at_extreme_couplings(coupling, field, n, periodic):
    chain = rg.IsingChain(coupling, field, n_sites=n, periodic=periodic)
    bonds, spins = chain.mean_parameters().values()
    assert abs(bonds) <= chain.n_bonds and abs(spins) <= n
    fisher = chain.fisher_information()
    assert np.all(np.diag(fisher) >= 0) and fisher[0, 1] ** 2 <= fisher[0, 0] * fisher[1, 1] + 1e-9
    assert 0 <= chain.entropy() <= n * np.log(2) * (1 + 1e-12)
    assert 0 <= chain.renyi2_rate() <= chain.entropy_rate() * (1 + 1e-9) <= np.log(2) * (1 + 2e-9)
    assert all(abs(chain.correlation(r)) <= 1 for r in (0, 1, n - 1))
    assert abs(chain.magnetization()) <= 1
    assert np.isfinite(chain.log_partition()) and chain.correlation_length() >= 0


def rates(coupling, field):
    """Entropy and Renyi-2 rates and correlation length from the eigenvalues, in 900 digits."""
    with mpmath.workdps(900):
        k, h = mpmath.mpf(coupling), mpmath.mpf(field)

        def eigenvalues(k, h):
            root = mpmath.sqrt(mpmath.exp(2 * k) * mpmath.sinh(h) ** 2 + mpmath.exp(-2 * k))
            return mpmath.exp(k) * mpmath.cosh(h) + root, mpmath.exp(k) * mpmath.cosh(h) - root

        largest, other = eigenvalues(k, h)
        spins = mpmath.exp(k) * mpmath.sinh(h) / ((largest - other) / 2)
        walls = (1 - spins**2) * (1 - other / largest) / 2
        entropy = mpmath.log(largest) - k * (1 - 2 * walls) - h * spins
        renyi = 2 * mpmath.log(largest) - mpmath.log(eigenvalues(2 * k, 2 * h)[0])
        return float(entropy), float(renyi), float(-1 / mpmath.log(abs(other / largest)))


@pytest.mark.parametrize(
    ("coupling", "field"),
    [
        (5.0, 5.0),
        (0.6, -0.2),
        (-20.0, 39.0),
        (-20.0, 40.5),
        (-3.0, 2.0),
        (200.0, 1e-3),
        (30.0, 0.0),
    ],
)
def test_rates_keep_their_digits_where_they_are_tiny(coupling, field):
    chain = rg.IsingChain(coupling, field, n_sites=2)
    found = chain.entropy_rate(), chain.renyi2_rate(), chain.correlation_length()
    np.testing.assert_allclose(found, rates(coupling, field), rtol=1e-9)


def test_the_same_couplings_at_other_sizes():
    chain = rg.IsingChain(0.3, 0.2, n_sites=4, periodic=False)
    assert chain.at({"K": 1.5}) == rg.IsingChain(1.5, n_sites=4, periodic=False)
    assert chain.at(chain.parameters, n_sites=9) == rg.IsingChain(
        0.3, 0.2, n_sites=9, periodic=False
    )
    with pytest.raises(ValueError, match="parameters has no 'J': the names are K, h"):
        chain.at({"J": 1.0})


def test_numbers_of_any_kind_are_numbers():
    numbers = np.float32(0.5), np.array(0.25)
    chain = rg.IsingChain(*numbers, n_sites=np.int64(4), periodic=np.bool_(False))
    assert chain == rg.IsingChain(0.5, 0.25, n_sites=4, periodic=False)
    assert rg.IsingChain(jax.numpy.float32(0.5), n_sites=jax.numpy.asarray(4)).n_sites == 4


def test_correlations_far_below_machine_precision():
    chain = rg.IsingChain(0.01, n_sites=40)
    assert chain.correlation(15) == pytest.approx(np.tanh(0.01) ** 15, rel=1e-12)


@given(st.floats(0.01, 3), st.floats(0.01, 2))
def test_rates_are_those_of_a_long_ring(coupling, field):
    chain = rg.IsingChain(coupling, field, n_sites=3)
    longer, long = (rg.IsingChain(coupling, field, n_sites=n) for n in (1500, 1000))
    if chain.correlation_length() < 30:
        assert (longer.entropy() - long.entropy()) / 500 == pytest.approx(
            chain.entropy_rate(), abs=1e-9
        )
        assert (longer.log_partition() - long.log_partition()) / 500 == pytest.approx(
            chain.log_largest_eigenvalue(), abs=1e-9
        )


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("coupling, field", [(0.8, 0.0), (-0.8, 0.0), (0.6, 0.3), (3.0, -0.1)])
def test_samples_follow_the_exact_law(coupling, field, periodic, key):
    chain = rg.IsingChain(coupling, field, n_sites=6, periodic=periodic)
    samples, n_samples = np.asarray(chain.sample(key, 40_000)), 40_000
    counts = np.bincount((samples < 0) @ (1 << np.arange(6)), minlength=64)
    expected = chain.probabilities() * n_samples
    common = expected > 5
    rare = counts[~common].sum() - expected[~common].sum()
    chi2 = np.sum((counts - expected)[common] ** 2 / expected[common])
    assert chi2 < common.sum() + 5 * np.sqrt(2 * common.sum())
    assert abs(rare) < 5 * np.sqrt(expected[~common].sum() + 1)


def test_sampling_a_wrong_chain_is_noticed(key):
    samples = np.asarray(rg.IsingChain(0.8, n_sites=6).sample(key, 40_000)).astype(float)
    other = rg.IsingChain(0.75, n_sites=6)
    error = np.sqrt((1 - other.correlation(1) ** 2) / 40_000)
    assert abs((samples[:, 0] * samples[:, 1]).mean() - other.correlation(1)) > 3 * error


def test_long_chains_are_sampled():
    chain = rg.IsingChain(1.0, n_sites=5000)
    samples = np.asarray(chain.sample(jax.random.key(0), 16)).astype(float)
    assert samples.shape == (16, 5000)
    bonds = (samples * np.roll(samples, -1, axis=1)).mean()
    assert bonds == pytest.approx(np.tanh(1), abs=5 * np.sqrt((1 - np.tanh(1) ** 2) / samples.size))


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "arguments, options, error, message",
    [
        ((float("inf"),), {"n_sites": 4}, ValueError, "coupling must be finite"),
        ((float("nan"),), {"n_sites": 4}, ValueError, "coupling must be finite"),
        ((1 + 2j,), {"n_sites": 4}, TypeError, "coupling must be real"),
        (("strong",), {"n_sites": 4}, TypeError, "coupling must be a real number"),
        ((1.0, float("inf")), {"n_sites": 4}, ValueError, "field must be finite"),
        ((1.0,), {"n_sites": 1}, ValueError, "n_sites must be at least 2"),
        ((1.0,), {"n_sites": 4.0}, TypeError, "n_sites must be an integer"),
        ((1.0,), {"n_sites": True}, TypeError, "n_sites must be an integer"),
        (("1.0",), {"n_sites": 4}, TypeError, "coupling must be a real number"),
        ((np.ones(1),), {"n_sites": 4}, TypeError, r"coupling must be .* an array of shape \(1,\)"),
        ((1.0,), {"n_sites": 4, "periodic": "False"}, TypeError, "periodic must be True or False"),
    ],
)
def test_bad_chains_are_refused(arguments, options, error, message):
    with pytest.raises(error, match=message):
        rg.IsingChain(*arguments, **options)


@pytest.mark.as_a_user
def test_bad_calls_are_refused():
    chain = rg.IsingChain(1.0, n_sites=30)
    with pytest.raises(ValueError, match=r"n_sites = 30 is too large .* 38 GiB"):
        chain.configurations()
    with pytest.raises(ValueError, match="r must be below n_sites = 30"):
        chain.correlation(30)
    with pytest.raises(TypeError, match="typed JAX key"):
        chain.sample(jax.random.PRNGKey(0), 10)
    with pytest.raises(ValueError, match="single key"):
        chain.sample(jax.random.split(jax.random.key(0)), 10)
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        chain.sample(jax.random.key(0), 0)
    with pytest.raises(
        ValueError, match="n_samples = 1000000000 is too large .* 140 GiB .* 18 parts"
    ):
        chain.sample(jax.random.key(0), 10**9)
    with pytest.raises(ValueError, match="30 spins in its last axis"):
        chain.energy(np.ones(4))
