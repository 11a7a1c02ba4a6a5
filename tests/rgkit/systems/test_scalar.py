"""The transfer operator of the chain of fields against closed forms, integrals and samples."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import FIELD_CHAIN, OSCILLATOR
from scipy.special import gamma
from scipy.stats import chi2

import rgkit as rg
from rgkit.systems.field_sampler import field_sampler
from rgkit.systems.transfer_operator import TransferOperator

SYSTEMS = [
    ((3.0,), 1.0),
    ((1.0, 1.0), -0.7),
    ((-2.0, 0.5), 0.5),
    ((-6.0, 1.0), -0.5),
    ((1.0, -3.0, 1.0), 1.0),
    ((0.0, 0.0, 0.2, 0.1), -1.0),
]
potentials = st.one_of(
    st.tuples(st.floats(-6, 6), st.floats(0.1, 3)),
    st.tuples(st.floats(-3, 3), st.floats(-1, 1), st.floats(0.2, 2)),
    st.tuples(st.floats(4.5, 9)),
)
couplings = st.floats(-2, 2)


def chain(potential, coupling=0.0, n_sites=4, periodic=True):
    return rg.ScalarChain(potential, coupling, n_sites=n_sites, periodic=periodic)


@pytest.mark.parametrize("row", FIELD_CHAIN, ids=str)
def test_reference_table(row):
    r, u = row.arguments
    system = chain((r + 2.0, float(u)), 1.0)
    values = {
        "log_eigenvalue": system.log_partition_per_site(),
        "ratio": system.spectrum(2)[1],
        "second_moment": system.moment(2),
        "fourth_moment": system.moment(4),
    }
    assert values[row.quantity] == pytest.approx(row.value, abs=max(1e-13, row.tolerance))


def gaussian(r, coupling):
    """ln lambda_0, lambda_1/lambda_0 and <phi^2> of the quadratic chain."""
    root = np.sqrt(r**2 - 4 * coupling**2)
    return np.log(2 * np.pi) / 2 - np.log((r + root) / 2) / 2, 2 * coupling / (r + root), 1 / root


@given(st.floats(0.01, 100), st.floats(-0.99, 0.99))
def test_the_quadratic_chain_lies_within_the_error_estimate(r, share):
    coupling = share * r / 2
    system = chain((r,), coupling)
    log_eigenvalue, ratio, variance = gaussian(r, coupling)
    estimate = system.error_estimate()
    conditioning = 1 / (1 - abs(share))
    assert abs(system.log_partition_per_site() - log_eigenvalue) <= estimate * max(
        1, abs(log_eigenvalue)
    )
    assert abs(system.spectrum(2)[1] - ratio) <= estimate
    assert abs(system.moment(2) / variance - 1) <= estimate * conditioning
    np.testing.assert_allclose(system.spectrum(5), ratio ** np.arange(5), atol=estimate)


@given(st.integers(2, 5), st.floats(0.01, 100))
def test_single_sites_lie_within_the_error_estimate(power, strength):
    system = chain((0.0,) * (power - 1) + (strength,))
    scale = strength ** (-1 / (2 * power))
    moments = [gamma((2 * j + 1) / (2 * power)) * scale ** (2 * j + 1) / power for j in range(3)]
    estimate = system.error_estimate()
    assert abs(system.log_partition_per_site() - np.log(moments[0])) <= estimate * max(
        1, abs(np.log(moments[0]))
    )
    for j in (1, 2):
        assert system.moment(2 * j) == pytest.approx(moments[j] / moments[0], rel=estimate)


def test_the_error_estimate_sees_a_grid_that_is_too_coarse():
    system = chain((-6.0, 1.0), 0.5)
    errors = []
    for n_points in (6, 12):
        coarse = dataclasses.replace(system.operator, n_points=n_points)
        error = np.max(abs(coarse.summary() - system.operator.summary()))
        estimate = np.max(
            abs(coarse.summary() - dataclasses.replace(coarse, n_points=n_points // 2).summary())
        )
        assert error < estimate
        errors.append(error)
    assert errors[0] > 1e-3 > 1e-4 > errors[1] > 1e-15


@given(st.integers(2, 12), st.booleans(), st.floats(-0.9, 0.9))
def test_quadratic_chains_of_any_length(n, periodic, share):
    r, coupling = 2.0, share
    matrix = r * np.eye(n)
    for i in range(n if periodic else n - 1):
        matrix[i, (i + 1) % n] -= coupling
        matrix[(i + 1) % n, i] -= coupling
    covariance = np.linalg.inv(matrix)
    system = chain((r,), coupling, n, periodic)
    log_z = (n * np.log(2 * np.pi) - np.linalg.slogdet(matrix)[1]) / 2
    assert system.log_partition() == pytest.approx(log_z, abs=1e-11)
    assert system.entropy() == pytest.approx(log_z + n / 2, abs=1e-11)
    for j in range(n):
        assert system.correlation(j) == pytest.approx(covariance[0, j], abs=1e-11)


def by_integration(system):
    """ln Z, means and covariance of the statistics, <phi_0 phi_r> and entropy of three sites."""
    end = system.grid[-1] * 0.9
    nodes, weights = np.polynomial.legendre.leggauss(110)
    x = np.stack(np.meshgrid(*[end * nodes] * 3, indexing="ij"), -1).reshape(-1, 3)
    w = np.prod(np.meshgrid(*[end * weights] * 3, indexing="ij"), 0).ravel()
    with jax.enable_x64(True):
        statistics, energy = (np.asarray(f(x)) for f in (system.statistics, system.energy))
    w = w * np.exp(-energy)
    mean = w @ statistics / w.sum()
    covariance = (w[:, None] * (statistics - mean)).T @ (statistics - mean) / w.sum()
    return (
        np.log(w.sum()),
        mean,
        covariance,
        w @ (x[:, :1] * x) / w.sum(),
        np.log(w.sum()) + w @ energy / w.sum(),
    )


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(("potential", "coupling"), SYSTEMS)
def test_three_sites_by_direct_integration(potential, coupling, periodic):
    system = chain(potential, coupling, 3, periodic)
    log_z, mean, covariance, correlations, entropy = by_integration(system)
    assert system.log_partition() == pytest.approx(log_z, abs=1e-11)
    np.testing.assert_allclose([*system.mean_parameters().values()], mean, rtol=1e-10)
    np.testing.assert_allclose(system.fisher_information(), covariance, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose([system.correlation(r) for r in range(3)], correlations, atol=1e-10)
    assert system.entropy() == pytest.approx(entropy, abs=1e-10)


@settings(max_examples=20)
@given(potentials, couplings, st.integers(2, 40), st.booleans())
def test_the_fisher_information_is_the_slope_of_the_means(potential, coupling, n, periodic):
    step, index = 1e-4, len(potential)
    means = [
        [*chain(potential, coupling + s * step, n, periodic).mean_parameters().values()]
        for s in (-2, -1, 1, 2)
    ]
    slope = np.array([1, -8, 8, -1]) @ means / (12 * step)
    fisher = chain(potential, coupling, n, periodic).fisher_information()
    np.testing.assert_allclose(fisher[index], slope, atol=1e-7 * abs(fisher[index]).max() + 1e-8)
    assert np.linalg.eigvalsh(fisher)[0] > 0


@settings(max_examples=20)
@given(potentials, couplings)
def test_flipping_every_second_site_flips_the_coupling(potential, coupling):
    one, other = (chain(potential, sign * coupling, 6) for sign in (1, -1))
    assert other.log_partition() == pytest.approx(one.log_partition(), abs=1e-12)
    assert other.correlation(1) == pytest.approx(-one.correlation(1), abs=1e-11)
    assert other.correlation_length() == pytest.approx(one.correlation_length(), rel=1e-10)
    np.testing.assert_allclose(abs(other.spectrum(6)), abs(one.spectrum(6)), atol=1e-13)


def test_long_rings_become_the_infinite_chain():
    ring = chain((-2.0, 0.5), 0.5, 200)
    assert ring.log_partition() / 200 == pytest.approx(ring.log_partition_per_site(), abs=1e-14)
    assert ring.entropy() / 200 == pytest.approx(ring.entropy_rate(), abs=1e-12)
    assert sum(ring.correlation(r) for r in range(200)) == pytest.approx(
        ring.susceptibility(), rel=1e-12
    )
    assert -np.log(ring.correlation(31) / ring.correlation(30)) == pytest.approx(
        1 / ring.correlation_length(), rel=1e-10
    )


@pytest.mark.parametrize("a", [1.0, 2.0, 4.0])
def test_tunnelling_keeps_its_digits(a):
    """A gap far below float64's epsilon, twice the density of kinks, on two grids."""
    system = chain((4 - 4 * a**2, 1.0), 2.0)
    doubled = dataclasses.replace(system.operator, n_points=2 * system.operator.n_points)
    assert doubled.gap == pytest.approx(system.operator.gap, rel=1e-9)
    positive = system.grid > 0
    kinks = (
        2
        * system.decimated(1).pair_density()[np.ix_(positive, ~positive)].sum()
        * (2 * system.grid[-1] / (len(positive) - 1)) ** 2
    )
    ratio = 1 / system.correlation_length() / -np.log1p(-2 * kinks)
    assert ratio == pytest.approx({1.0: 0.67, 2.0: 1.0, 4.0: 1.0}[a], abs=0.01)
    assert a < 4 or 0 < system.operator.gap < 1e-18


def richardson(values):
    """Limit of values at lattice steps halved each time, with errors in even powers of the step."""
    for order in range(1, len(values)):
        values = (4**order * values[1:] - values[:-1]) / (4**order - 1)
    return values[0]


@pytest.mark.parametrize("row", OSCILLATOR, ids=str)
def test_levels_of_the_anharmonic_oscillator(row):
    stiffness, level = row.arguments
    energies = []
    for e in 0.4 / 2.0 ** np.arange(6):
        system = chain((1 / e + 2 * stiffness * e, e), 1 / (2 * e))
        log_eigenvalue = system.log_partition_per_site() + np.log(system.spectrum(level + 1)[level])
        energies.append(-(log_eigenvalue - np.log(4 * np.pi * e) / 2) / e)
    assert abs(energies[-1] - row.value) > 1e-6
    assert richardson(np.array(energies)) == pytest.approx(row.value, abs=1e-8)


def power_by_brute_force(operator, b):
    """The transfer operator to the power b on the whole grid, over its largest eigenvalue."""
    line = np.concatenate([-operator.points[::-1], operator.points])
    v = np.polynomial.polynomial.polyval(line**2, [0.0, *operator.coefficients]) / 2
    kernel = np.exp(operator.coupling * np.outer(line, line) - v[:, None] - v) * operator.spacing
    power = np.linalg.matrix_power(kernel / np.linalg.eigvalsh(kernel)[-1], b)
    return line, power


@pytest.mark.parametrize("b", [2, 3, 7])
@pytest.mark.parametrize(("potential", "coupling"), SYSTEMS[:5])
def test_decimation_raises_the_operator_to_a_power(potential, coupling, b):
    system = chain(potential, coupling)
    line, power = power_by_brute_force(system.operator, b)
    values, vectors = np.linalg.eigh((power + power.T) / 2)
    kept = system.decimated(b)
    np.testing.assert_allclose(kept.spectrum(6), system.spectrum(6) ** b, rtol=0, atol=1e-15)
    np.testing.assert_allclose(
        np.sort(abs(kept.spectrum(6)))[::-1], np.sort(abs(values))[::-1][:6], atol=1e-12
    )
    np.testing.assert_allclose(
        kept.density(line), vectors[:, -1] ** 2 / system.operator.spacing, atol=1e-11
    )
    state = vectors[:, -1]
    assert kept.neighbour_correlation() == pytest.approx(
        line * state @ power @ (line * state) / (line**2 @ state**2), abs=1e-11
    )
    assert kept.correlation_length() == pytest.approx(system.correlation_length() / b, rel=1e-12)
    assert kept.log_partition_per_site() == b * system.log_partition_per_site()


def test_decimation_leads_to_the_product_of_its_densities():
    system = chain((3.0,), 1.0)
    for b in (1, 2, 5):
        correlation = system.decimated(b).neighbour_correlation()
        exact = -np.log1p(-(correlation**2)) / 2
        assert system.decimated(b).mutual_information() == pytest.approx(exact, rel=1e-8)
    wells = chain((-6.0, 1.0), 1.0)
    distances = [wells.decimated(b).mutual_information() for b in range(1, 12)]
    assert np.all(np.diff(distances) < 0)
    surplus = np.sum(entropy_of(wells.grid, wells.density(wells.grid))) - wells.entropy_rate()
    assert distances[0] == pytest.approx(surplus, abs=1e-10)


def entropy_of(points, density):
    seen = density > 1e-300
    return -np.sum(density[seen] * np.log(density[seen])) * (points[1] - points[0])


@pytest.mark.parametrize("b", [1, 2, 5, 32])
@pytest.mark.parametrize(("potential", "coupling"), [*SYSTEMS[:5], ((-6.0, 1.0), 0.0)])
def test_block_averages(potential, coupling, b):
    system = chain(potential, coupling)
    points, density = system.block_average_density(b)
    step = points[1] - points[0]
    correlations = [
        system.moment(2) * system.decimated(r).neighbour_correlation() for r in range(1, b)
    ]
    variance = system.moment(2) + 2 * sum((1 - r / b) * c for r, c in enumerate(correlations, 1))
    assert density.sum() * step == pytest.approx(1, abs=1e-11)
    assert points**2 @ density * step == pytest.approx(variance, rel=1e-10)
    assert density.min() > -1e-13
    independent = system.block_average_density(b, independent=True)[1]
    assert points**2 @ independent * step == pytest.approx(system.moment(2), rel=1e-10)
    fourth = (system.moment(4) - 3 * system.moment(2) ** 2) / b + 3 * system.moment(2) ** 2
    inner = abs(points) < 10 * np.sqrt(
        system.moment(2)
    )  # beyond lies only rounding, which the fourth power would raise
    assert points[inner] ** 4 @ independent[inner] * step == pytest.approx(fourth, rel=1e-9)
    if b == 1 or coupling == 0:
        np.testing.assert_allclose(independent, density, atol=1e-12)
    if b == 1:
        np.testing.assert_allclose(density, system.density(points), atol=1e-12)


def test_block_averages_of_a_quadratic_chain_are_gaussian():
    system = chain((3.0,), -1.0)
    points, density = system.block_average_density(6)
    variance = points**2 @ density * (points[1] - points[0])
    np.testing.assert_allclose(
        density, np.exp(-(points**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance), atol=1e-12
    )


def deviations(system, x):
    """Sample means of all statistics and of the pairs (0, r), less the exact, in errors."""
    x = np.asarray(x, float)
    with jax.enable_x64(True):
        seen = np.concatenate(
            [
                np.asarray(system.statistics(x)),
                x[:, :1] * x,
                x[:, :1] ** 3 * x[:, 1:2],
                x[:, -1:] * x[:, :1],
            ],
            1,
        )
    exact = [
        *system.mean_parameters().values(),
        *(system.correlation(r) for r in range(system.n_sites)),
    ]
    error = seen.std(0) / np.sqrt(len(x))
    return (seen.mean(0)[: len(exact)] - exact) / error[: len(exact)]


@pytest.mark.parametrize(
    ("potential", "coupling", "periodic"),
    [*((*system, True) for system in SYSTEMS), *((*system, False) for system in SYSTEMS[:5:2])],
)
def test_samples(potential, coupling, periodic):
    system = chain(potential, coupling, 5, periodic)
    x = system.sample(jax.random.key(7), 250_000)
    assert x.dtype == np.float32 and x.shape == (250_000, 5)
    assert np.max(abs(deviations(system, x))) < 4


def test_the_histogram_of_a_site(n_samples=200_000, n_bins=200):
    """The first, second and last site of a long ring, in bins of equal probability."""
    system = chain((-6.0, 1.0), 0.5, 24)
    fine = np.linspace(system.grid[0], system.grid[-1], 40001)
    cumulative = np.cumsum(system.density((fine[1:] + fine[:-1]) / 2)) * (fine[1] - fine[0])
    draws = np.asarray(system.sample(jax.random.key(3), n_samples), float)
    for x in draws.T[[0, 1, 23]]:
        bins = np.floor(np.interp(x, fine, np.append(0.0, cumulative)) * n_bins).astype(int)
        counts = np.bincount(np.clip(bins, 0, n_bins - 1), minlength=n_bins)
        statistic = np.sum((counts - n_samples / n_bins) ** 2) / (n_samples / n_bins)
        assert 1e-3 < chi2.cdf(statistic, n_bins - 1) < 1 - 1e-3


@pytest.mark.parametrize(("potential", "coupling"), [*SYSTEMS, ((-20.0, 5.0), 3.0), ((2.2,), 1.0)])
def test_the_bias_of_the_samples_is_that_of_a_sum_over_the_coarse_grid(potential, coupling):
    """At any shift the coarse grid integrates moments of the field to a part in 10**6."""
    system = chain(potential, coupling, 6)
    operator, sampler = system.operator, system.sampler()
    grid, spacing = np.asarray(sampler.grid, float), float(sampler.spacing)
    line = np.concatenate([-operator.points[::-1], operator.points])
    state = np.concatenate([operator.ground_state[::-1], operator.ground_state]) * operator.spacing

    def average(phi, step, power):
        bond = np.exp(operator.log_kernel(line[:, None], phi))
        return (bond * phi**power * step) @ bond.T

    for power in (0, 1, 2, 4):
        exact = average(line, operator.spacing, power)
        scale = state @ abs(average(abs(line), operator.spacing, power)) @ state
        for shift in (0.0, 0.2, 0.5):
            assert (
                state @ abs(average(grid + shift * spacing, spacing, power) - exact) @ state
                < 1e-6 * scale
            )


def test_a_grid_that_is_too_coarse_is_seen_in_the_samples():
    system = chain((-20.0, 5.0), 3.0, 5)
    coarse = field_sampler(system.operator, 5, True, aliasing=2.0)
    assert np.max(abs(deviations(system, coarse.sample(jax.random.key(7), 200_000)))) > 4


def test_samples_inside_jit_and_scan():
    system = chain((-2.0, 0.5), 0.5, 8)

    @jax.jit
    def second_moments(key):
        return jax.lax.map(
            lambda k: jnp.mean(system.sample(k, 1024) ** 2), jax.random.split(key, 50)
        )

    moments = np.asarray(second_moments(jax.random.key(0)))
    assert len(set(moments.tolist())) == 50
    assert moments.mean() == pytest.approx(
        system.correlation(0), abs=4 * moments.std() / np.sqrt(50)
    )
    assert np.all(system.sample(jax.random.key(1), 9) == system.sample(jax.random.key(1), 9))


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("periodic", [True, False])
def test_samples_of_short_chains(n, periodic):
    system = chain((-2.0, 0.5), -0.8, n, periodic)
    x = system.sample(jax.random.key(5), 20_001)
    assert x.shape == (20_001, n)
    assert np.max(abs(deviations(system, x))) < 4


def test_energy_and_statistics_are_one():
    system = chain((1.0, -3.0, 1.0, 0.5, 0.2), -0.3, 6, periodic=False)
    assert list(system.parameters) == ["r", "u", "w", "u8", "u10", "K"]
    x = jax.random.normal(jax.random.key(0), (2, 3, 6))
    assert system.statistics(x).shape == (2, 3, 6) and system.energy(x).shape == (2, 3)
    by_hand = sum(
        c * np.asarray(x, float) ** (2 * j) for j, c in enumerate((0.5, -3.0, 1.0, 0.5, 0.2), 1)
    ).sum(-1)
    by_hand = by_hand + 0.3 * np.sum(
        np.asarray(x, float)[..., 1:] * np.asarray(x, float)[..., :-1], -1
    )
    np.testing.assert_allclose(system.energy(x), by_hand, rtol=1e-4)
    with pytest.raises(ValueError, match="x must have 6 sites in its last axis, got shape"):
        system.energy(x[..., :5])


@pytest.mark.parametrize(
    ("potential", "coupling", "message"),
    [
        ((2.0,), 1.0, r"purely quadratic chain needs r > 2\|K\|; raise r"),
        ((2.0, 0.0), -1.5, r"purely quadratic chain needs r > 2\|K\|"),
        ((1.0, -0.1), 0.0, "u = -0.1 cannot be normalised.*make u positive or add a higher term"),
        ((1.0, 1.0, 0.0, -2.0), 0.0, "u8 = -2.0 cannot be normalised"),
        ((1.0, float("nan")), 0.0, r"potential\[1\] \(u\) must be finite"),
        ((1.0, 1.0), float("inf"), "coupling must be finite"),
    ],
)
def test_what_cannot_be_normalised_says_so(potential, coupling, message):
    with pytest.raises(ValueError, match=message):
        chain(potential, coupling)


@pytest.mark.as_a_user
def test_wrong_arguments_say_so():
    with pytest.raises(TypeError, match=r"potential must be a tuple \(r, u, w, ...\)"):
        chain(1.0)
    for wrong in ((), "ru", {"r": 1.0}, np.array(1.0), np.ones((2, 2))):
        with pytest.raises(TypeError, match=r"potential must be a tuple"):
            chain(wrong)
    with pytest.raises(TypeError, match="periodic must be True or False, got 'False'"):
        chain((1.0, 1.0), periodic="False")
    with pytest.raises(TypeError, match=r"potential\[0\] \(r\) must be a real number"):
        chain(("a", 1.0))
    with pytest.raises(ValueError, match="n_sites must be at least 2"):
        chain((1.0, 1.0), 0.0, 1)
    with pytest.raises(ValueError, match="r must be below n_sites = 4"):
        chain((1.0, 1.0)).correlation(4)
    with pytest.raises(TypeError, match="typed JAX key"):
        chain((1.0, 1.0)).sample(0, 10)
    with pytest.raises(ValueError, match="grid points do not resolve the transfer operator"):
        chain((2.0 + 1e-9,), 1.0).moment(2)
    assert chain((3.0, 0.0), 1.0).moment(2) == chain((3.0,), 1.0).moment(2)


def test_the_grid_is_symmetric_and_the_operator_positive():
    system = chain((-2.0, 0.5), 0.5)
    np.testing.assert_array_equal(system.grid, -system.grid[::-1])
    assert isinstance(system.operator, TransferOperator)
    assert np.all(system.operator.even > 0) and np.all(system.operator.odd >= 0)


@pytest.mark.parametrize("periodic", [True, False])
def test_the_density_is_normalised(periodic):
    system = chain((-2.0, 0.5), 0.5, 2, periodic)
    x, weights = np.polynomial.legendre.leggauss(120)
    x = 0.9 * system.grid[-1] * x
    pairs = np.stack(np.meshgrid(x, x, indexing="ij"), -1)
    density = np.exp(system.log_density(pairs))
    assert density.dtype == np.float64 and density.shape == (120, 120)
    total = weights @ density @ weights * (0.9 * system.grid[-1]) ** 2
    assert total == pytest.approx(1, abs=1e-11)
    assert system.log_density(pairs[3, 4]) == pytest.approx(np.log(density[3, 4]), rel=1e-12)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("n", [2, 5])
def test_derivatives_of_the_statistics(periodic, n):
    system = chain((1.0, -3.0, 1.0, 0.5), -0.3, n, periodic)
    x = np.random.default_rng(0).normal(size=(7, n))
    gradients, laplacians = system.statistics_derivatives(x)
    with jax.enable_x64(True):
        exact = jax.vmap(jax.jacrev(system.statistics))(x)
        hessians = jax.vmap(jax.hessian(system.statistics))(x)
        np.testing.assert_allclose(gradients, np.moveaxis(exact, 1, 0), rtol=1e-12)
        traces = np.trace(hessians, axis1=-2, axis2=-1)
    np.testing.assert_allclose(laplacians, traces.T, rtol=1e-11, atol=1e-13)


def test_the_same_couplings_at_other_sizes():
    system = chain((1.0, 0.5), -0.3, 4, periodic=False)
    assert system.at(system.parameters, n_sites=9) == chain((1.0, 0.5), -0.3, 9, periodic=False)
    assert system.at({"u": 2.0}) == chain((0.0, 2.0), 0.0, 4, periodic=False)
    with pytest.raises(ValueError, match="parameters has no 'w': the names are r, u, K"):
        system.at({"w": 1.0})
    with pytest.raises(ValueError, match="u = 0.0 cannot be normalised|needs r > 2"):
        system.at({"r": 1.0, "K": 1.0})


@pytest.mark.parametrize("potential", [[1.0, 0.5], np.array([1.0, 0.5]), jnp.array([1.0, 0.5])])
def test_a_potential_is_any_row_of_numbers(potential):
    assert rg.ScalarChain(potential, np.float32(0.5), n_sites=4) == chain((1.0, 0.5), 0.5)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(
    ("potential", "coupling"), [((1e4, 1e-3), 10.0), ((-300.0, 10.0), 1.0), ((1e-6, 1e-6), 0.0)]
)
def test_bounds_hold_at_extreme_couplings(potential, coupling, periodic):
    system = chain(potential, coupling, 50, periodic)
    fisher = system.fisher_information()
    assert np.all(np.isfinite([*system.mean_parameters().values()])) and np.isfinite(fisher).all()
    assert np.all(np.diag(fisher) >= 0)
    # the ends of an open chain vary less than its other sites
    assert not periodic or abs(system.correlation(1)) <= system.correlation(0) * (1 + 1e-12)
    assert np.isfinite([system.log_partition(), system.entropy(), system.entropy_rate()]).all()
