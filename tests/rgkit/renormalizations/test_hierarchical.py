"""The hierarchical model: reference values, a sum over all configurations, limits, universality."""

import itertools
import math

import numpy as np
import pytest
import reference
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import rgkit as rg
from rgkit.renormalizations.hierarchical import HierarchicalModel

REFERENCE = {row.quantity: row for row in reference.HIERARCHICAL}
GRID = np.linspace(-6, 6, 1201)
ISING = (np.array([1.0]), None)
MEASURES = {
    "ising": ISING,
    "uniform": (np.linspace(-1, 1, 2001), None),
    "quartic": (GRID, np.exp(-(GRID**4))),
    "double well": (GRID, np.exp(2 * GRID**2 - GRID**4)),
    "spin one": (np.array([0.0, 1.0]), np.array([1.0, 2.0])),
}


@pytest.fixture(scope="module")
def model():
    return rg.hierarchical(3, 25)


def vector(values):
    return np.array(list(values.values()))


def dimensions(model):
    return model.scaling_dimensions(model.fixed_points()[-1])


def gaussian_moments(variance, order):
    return np.array([math.prod(range(1, 2 * l, 2)) * variance**l for l in range(1, order + 1)])


def test_critical_temperature_of_the_ising_model(model):
    row = REFERENCE["critical_beta"]
    assert model.critical_beta(*ISING) == pytest.approx(row.value, abs=1e-15, rel=0)


def test_relevant_eigenvalue(model):
    (y_t, *irrelevant) = dimensions(model)
    assert model.scale_factor**y_t == pytest.approx(REFERENCE["eigenvalue"].value, abs=2e-14, rel=0)
    assert all(y < 0 for y in irrelevant)


def test_gamma(model):
    gamma = 2 / dimensions(model)[0]
    assert gamma == pytest.approx(REFERENCE["gamma"].value, abs=3e-14, rel=0)
    assert gamma == pytest.approx(
        math.log(2 / model.c) / math.log(REFERENCE["eigenvalue"].value), abs=3e-14, rel=0
    )


def test_leading_dimensions_do_not_depend_on_the_order(model):
    assert np.allclose(
        dimensions(model)[:4], dimensions(rg.hierarchical(3, 35))[:4], atol=1e-10, rtol=0
    )
    assert abs(2 / dimensions(rg.hierarchical(3, 10))[0] - REFERENCE["gamma"].value) > 1e-6


def total_moments(levels, beta, dimension, order):
    """Moments of the scaled total spin from the Hamiltonian, summed over all configurations."""
    c, n = 2 ** (1 - 2 / dimension), 2**levels
    spins = np.array(list(itertools.product((1, -1), repeat=n)))
    energy = np.zeros(len(spins))
    for level in range(1, levels + 1):
        blocks = spins.reshape(len(spins), -1, 2**level).sum(2)
        energy -= (c / 4) ** level * (blocks**2).sum(1) / 2
    weight = np.exp(-beta * energy)
    scaled = math.sqrt(beta) * (c / 4) ** (levels / 2) * spins.sum(1)
    return np.array([weight @ scaled ** (2 * l) for l in range(1, order + 1)]) / weight.sum()


@pytest.mark.parametrize(
    ("levels", "beta", "dimension"),
    [(1, 0.7, 3), (2, 1.5, 3), (3, 1.2, 3), (4, 0.4, 2.5), (3, 0.6, 4)],
)
def test_steps_agree_with_the_sum_over_all_configurations(levels, beta, dimension):
    model = rg.hierarchical(dimension, 30)
    end = model.flow(model.start(beta, *ISING), levels).iloc[-1]
    exact = total_moments(levels, beta, dimension, 5)
    assert np.allclose(model.moments(end[list(model.names)].to_dict())[:5], exact, rtol=1e-12)


@settings(max_examples=12)
@given(st.floats(2.1, 4), st.lists(st.floats(-1, 1), min_size=4, max_size=4))
def test_step_agrees_with_expressions(dimension, tilt):
    model = rg.hierarchical(dimension, 4)
    start = dict(zip(model.names, vector(model.start(0.5, *ISING)) * np.exp(tilt), strict=True))
    exact = {symbol: sp.Float(start[symbol.name], 40) for symbol in model.couplings}
    expected = [float(model.expressions[name].subs(exact).evalf(30)) for name in model.names]
    assert np.allclose(vector(model.step(start)), expected, rtol=1e-12, atol=0)


class QuarticWeight(HierarchicalModel):
    """Blocks with the weight exp(m^2/2 - m^4/10)."""

    @staticmethod
    def block_weight(power):
        m = sp.Symbol("m")
        return (
            sp.series(sp.exp(m**2 / 2 - m**4 / 10), m, 0, 2 * power + 2)
            .removeO()
            .coeff(m, 2 * power)
        )


def test_another_block_weight_gives_another_recursion():
    ours, other = HierarchicalModel(3, 3), QuarticWeight(3, 3)
    start = ours.start(0.3, *ISING)
    changed = {symbol: start[symbol.name] for symbol in other.couplings}
    expected = [float(other.expressions[name].subs(changed)) for name in other.names]
    assert np.allclose(vector(other.step(start)), expected, rtol=1e-12)
    assert not np.allclose(vector(ours.step(start)), expected, rtol=1e-3)


def test_block_weight_is_the_series_of_the_exponential():
    m = sp.Symbol("m")
    series = sp.series(sp.exp(m**2 / 2), m, 0, 13).removeO()
    assert [HierarchicalModel.block_weight(j) for j in range(7)] == [
        series.coeff(m, 2 * j) for j in range(7)
    ]


@given(st.floats(2.1, 4), st.floats(0.05, 0.5))
def test_a_gaussian_block_stays_gaussian(dimension, variance):
    model = rg.hierarchical(dimension, 40)
    signs = [(-1) ** l * math.factorial(2 * l) for l in range(1, 41)]
    start = dict(zip(model.names, gaussian_moments(variance, 40) / signs, strict=True))
    expected = 1 / (2 / (model.c * variance) - 1)
    assert np.allclose(
        model.moments(model.step(start))[:4], gaussian_moments(expected, 4), rtol=1e-8
    )


@pytest.mark.parametrize("dimension", [2.2, 3, 3.7, 4])
def test_the_sink_and_the_gaussian_fixed_point(dimension):
    model = rg.hierarchical(dimension, 40)
    sink, gaussian = model.fixed_points()[:2]
    powers = np.arange(1, 41)
    assert vector(model.step(sink)).tolist() == [0.0] * 40
    assert model.moments(model.step(gaussian))[0] == pytest.approx(
        model.moments(gaussian)[0], rel=1e-3
    )
    assert np.allclose(model.scaling_dimensions(gaussian), dimension - powers * (dimension - 2))
    assert np.allclose(model.scaling_dimensions(sink), dimension - powers * (dimension + 2))


def stepped(model, power, epsilon):
    """The first moments after a step from the Gaussian density times 1 + epsilon m^(2 power)."""
    variance = 2 / model.c - 1
    signs = np.array(
        [(-1) ** l * math.factorial(2 * l) for l in range(model.order + 1)], dtype=float
    )
    moments = np.concatenate([[1.0], gaussian_moments(variance, model.order + power)])
    perturbed = moments[: model.order + 1] + epsilon * moments[power : model.order + 1 + power]
    start = perturbed / perturbed[0] / signs
    return model.moments(model.step(dict(zip(model.names, start[1:], strict=True))))[:3]


@pytest.mark.parametrize("power", [1, 2, 3])
def test_gaussian_dimensions_by_perturbing_its_density(power):
    # a step takes h to 2 E[h(m_1) | m]: m_1 given m is normal about m/sqrt(c) with variance v/2
    model = rg.hierarchical(3.4, 40)
    variance = 2 / model.c - 1
    moments = np.concatenate([[1.0], gaussian_moments(variance, 10)])
    halves, powers = np.concatenate([[1.0], gaussian_moments(variance / 2, 3)]), range(power + 1)
    new = [
        2 * math.comb(2 * power, 2 * j) * halves[power - j] * model.c ** -float(j) for j in powers
    ]
    expected = [
        sum(new[j] * (moments[l + j] - moments[l] * moments[j]) for j in powers) for l in (1, 2, 3)
    ]
    measured = (stepped(model, power, 1e-5) - stepped(model, power, -1e-5)) / 2e-5
    assert np.allclose(measured, expected, rtol=1e-4)
    dimension = math.log(new[power]) / math.log(model.scale_factor)
    assert model.scaling_dimensions(model.fixed_points()[1])[power - 1] == pytest.approx(
        dimension, abs=1e-12
    )


def test_dimensions_of_the_sink_by_finite_differences():
    model = rg.hierarchical(3, 4)
    columns = [
        vector(model.step({other: 1e-9 * (other == name) for other in model.names})) / 1e-9
        for name in model.names
    ]
    eigenvalues = np.sort(np.linalg.eigvals(np.transpose(columns)).real)[::-1]
    expected = model.scaling_dimensions(model.fixed_points()[0])
    assert np.allclose(np.log(eigenvalues) / math.log(model.scale_factor), expected, atol=1e-5)


def test_four_dimensions_has_the_gaussian_exponent_and_no_critical_point():
    model = rg.hierarchical(4, 25)
    assert [point.note for point in model.fixed_points()] == [
        "high temperature, stable",
        "Gaussian",
    ]
    assert 2 / dimensions(model)[0] == pytest.approx(1, abs=1e-14)


def test_slopes_near_four_dimensions():
    def slopes(epsilon):
        y_t, y_u = dimensions(rg.hierarchical(4 - epsilon, 50))[:2]
        return np.array([(2 - y_t) / epsilon, y_u / epsilon])

    extrapolated = 2 * slopes(0.01) - slopes(0.02)
    assert np.allclose(extrapolated, [1 / 3, -1], atol=1e-3, rtol=0)


@pytest.mark.parametrize("dimension", [2.1, 2.5, 3, 3.5, 3.9])
def test_the_critical_point_is_fixed_and_has_one_relevant_direction(dimension):
    model = rg.hierarchical(dimension, 30)
    point = model.fixed_points()[-1]
    moments = model.moments(point)
    assert np.allclose(model.moments(model.step(point)), moments, rtol=1e-9)
    assert moments[1] < 3 * moments[0] ** 2
    assert sum(y > 0 for y in model.scaling_dimensions(point)) == 1


@pytest.mark.parametrize("name", MEASURES)
def test_all_measures_end_at_one_fixed_point(model, name):
    flow = model.critical_flow(130, *MEASURES[name])
    point, reached = model.fixed_points()[-1], flow[list(model.names)]
    distance = np.abs(reached / point - 1)["a_1"]
    assert distance.iloc[-1] < 1e-8
    slope = math.log(distance.iloc[-1] / distance.iloc[-31]) / 30
    assert slope / math.log(model.scale_factor) == pytest.approx(dimensions(model)[1], abs=1e-3)


def test_newton_finds_the_same_point_from_every_measure(model):
    point = vector(model.fixed_points()[-1])
    for measure in MEASURES.values():
        start = model.critical_flow(30, *measure)[list(model.names)].iloc[-1].to_dict()
        assert np.allclose(vector(model.fixed_point_near(start)), point, rtol=1e-12)


@pytest.mark.parametrize("name", MEASURES)
def test_flow_separates_at_the_critical_temperature(model, name):
    beta = model.critical_beta(*MEASURES[name])
    below, above = (
        model.flow(model.start(factor * beta, *MEASURES[name]), 120)["a_1"].iloc[-1]
        for factor in (1 - 1e-12, 1 + 1e-12)
    )
    assert -1e-2 < below < 0 and above < -10


def test_gaussian_sites_are_critical_where_the_gaussian_fixed_point_is(model):
    density = np.exp(-(GRID**2) / 0.5)
    assert model.critical_beta(GRID, density) * 0.25 == pytest.approx(2 / model.c - 1, rel=1e-5)


def test_ordered_blocks_grow_by_root_c_until_the_truncation_stops_them():
    ends = {}
    for order in (25, 40):
        model = rg.hierarchical(3, order)
        second = -2 * model.flow(model.start(1.5, *ISING), 60)["a_1"]
        ends[order] = second.iloc[-1]
        growth = second[12] / second[11]
        assert growth == pytest.approx(model.c, rel=0.02)
    assert ends[40] > 1.5 * ends[25]


def susceptibility(model, beta):
    flow = model.flow(model.start(beta, *ISING), 300)
    return -2 * flow["a_1"].iloc[-1] * (2 / model.c) ** 300 / beta


def test_the_susceptibility_diverges_with_gamma(model):
    critical = model.critical_beta(*ISING)
    near, far = (susceptibility(model, critical * (1 - distance)) for distance in (1e-9, 4e-9))
    assert math.log(near / far) / math.log(4) == pytest.approx(REFERENCE["gamma"].value, abs=1e-4)


def test_independent_sites_have_the_susceptibility_of_one(model):
    start = model.start(1e-9, *ISING)
    assert -2 * start["a_1"] / 1e-9 == pytest.approx(1, rel=1e-15)
    assert susceptibility(model, 1e-9) == pytest.approx(1, rel=1e-8)


def test_values_are_python_floats_also_from_single_precision(model):
    beta = np.float32(1.25)
    start = model.start(beta, np.float32([1.0]))
    assert start == model.start(1.25, [1.0])
    assert {type(value) for value in (start | model.step(start)).values()} == {float}
    assert type(model.critical_beta(*ISING)) is float


def test_latex_of_a_small_order():
    text = rg.hierarchical(4, 3).latex()
    assert text.startswith(r"\begin{aligned}a_{1}' &= \frac{") and text.count("&=") == 3


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    ("dimension", "order", "error", "message"),
    [
        (2, 25, ValueError, "dimension must be above 2 and at most 4"),
        (4.1, 25, ValueError, "dimension must be above 2 and at most 4"),
        ("three", 25, TypeError, "dimension must be a real number"),
        (3, 2, ValueError, "order must be at least 3"),
        (3, 51, ValueError, "order must be at most 50"),
        (3, 25.0, TypeError, "order must be an integer"),
    ],
)
def test_arguments_are_checked(dimension, order, error, message):
    with pytest.raises(error, match=message):
        rg.hierarchical(dimension, order)


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, [1.0]), "beta must be at least 0"),
        ((1.0, [[1.0]]), "must have one shape"),
        ((1.0, [1.0, 2.0], [1.0]), "must have one shape"),
        ((1.0, [1.0, 2.0], [1.0, -1.0]), "pass a measure"),
        ((1.0, [math.nan]), "pass a measure"),
        ((1.0, [0.0]), "the field of a site would be constant"),
    ],
)
def test_the_law_of_a_site_is_checked(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model.start(*arguments)


def test_newton_says_what_it_needs(model):
    with pytest.raises(ValueError, match="values must have positive moments"):
        model.fixed_point_near(model.fixed_points()[0])
    with pytest.raises(ValueError, match="start nearer, or raise order"):
        model.fixed_point_near(model.start(0.01, *ISING))


def test_only_fixed_points_have_dimensions(model):
    with pytest.raises(ValueError, match=r"take it from `\.fixed_points\(\)`"):
        model.scaling_dimensions(model.start(1.0, *ISING))
