"""Local potential: reference exponents, exact limits, any flow equation, symmetries of the flow."""

import math

import numpy as np
import pytest
import reference
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from rgkit.renormalizations.local_potential import RHO, litim, lpa
from rgkit.renormalizations.momentum_shell import one_loop

ABOUT = ["minimum", "origin"]
LIMIT = {
    row.quantity: row.value for row in reference.LOCAL_POTENTIAL if row.arguments == (math.inf,)
}
dimensions = st.floats(2.01, 6)
orders = st.integers(2, 25)


def sharp(rho, slope, curvature):
    """The loop of a sharp cutoff (Wegner and Houghton)."""
    return -sp.log(1 + slope + 2 * rho * curvature) / 2


def large_n(rho, slope, curvature):
    """The loop of N fields as N goes to infinity, the potential and rho measured in units of N."""
    return 1 / (1 + slope)


def wilson_fisher(flow):
    return flow.fixed_points()[1]


@pytest.fixture(scope="module")
def sequence():
    """Flow, Wilson-Fisher point and dimensions at every order in three dimensions."""
    found = {}
    for order in range(2, 26):
        flow = lpa(3, order)
        point = wilson_fisher(flow)
        found[order] = flow, point, flow.scaling_dimensions(point)
    return found


# Exponents in three dimensions


@pytest.mark.parametrize(
    "row", [row for row in reference.LOCAL_POTENTIAL if row.arguments[0] < math.inf], ids=str
)
def test_reference_order_by_order(sequence, row):
    _, point, (thermal, *irrelevant) = sequence[row.arguments[0]]
    computed = {
        "nu": 1 / thermal,
        "kappa": point["kappa"],
        "omega": -irrelevant[0].real,
        "imaginary_omega": complex(irrelevant[0]).imag,
    }
    assert computed[row.quantity] == pytest.approx(row.value, abs=2 * row.tolerance, rel=0)


def test_exponents_reach_the_limit_and_stay(sequence):
    found = sequence
    for order in range(18, 26):
        thermal, correction, *_ = found[order][2]
        assert abs(1 / thermal - LIMIT["nu"]) < 1e-8
        assert abs(-correction - LIMIT["omega"]) < 1e-6
    assert abs(1 / found[17][2][0] - LIMIT["nu"]) > 1e-8, "order 18 is the first of them"


def test_agreement_at_one_order_can_be_luck(sequence):
    error = {
        order: abs(1 / dimensions[0] - LIMIT["nu"])
        for order, (_, _, dimensions) in sequence.items()
    }
    assert error[13] < 1e-8 < 1e-7 < error[14]


def test_last_order_against_the_literature(sequence):
    flow, point, dimensions = sequence[25]
    assert point["kappa"] == pytest.approx(LIMIT["kappa"], abs=1e-10)
    assert -dimensions[2] == pytest.approx(LIMIT["omega_2"], abs=1e-4)
    assert flow.potential(point).deriv()(0) == pytest.approx(LIMIT["slope_at_origin"], abs=1e-6)


def test_both_expansions_have_the_same_limit():
    flow = lpa(3, 20, "origin")
    point = wilson_fisher(flow)
    assert point["l1"] == pytest.approx(LIMIT["slope_at_origin"], abs=1e-5)
    assert 1 / flow.scaling_dimensions(point)[0] == pytest.approx(LIMIT["nu"], abs=1e-5)


def test_order_two_about_the_minimum_by_hand():
    kappa, quartic = sp.symbols("kappa l2", real=True)
    stiffness = 1 + 2 * kappa * quartic
    expressions = lpa(3, 2).expressions
    assert sp.simplify(expressions["kappa"] - (kappa - 3 / stiffness**2)) == 0
    assert sp.simplify(expressions["l2"] - (quartic - 18 * quartic**2 / stiffness**3)) == 0
    assert wilson_fisher(lpa(3, 2)) == pytest.approx({"kappa": 4 / 3, "l2": 3 / 16}, rel=1e-13)


# Near four dimensions, and where the point is lost


@pytest.mark.parametrize("about", ABOUT)
@pytest.mark.parametrize("order", [2, 3, 6, 12])
def test_slopes_at_small_epsilon(about, order):
    slopes = {}
    for epsilon in (1e-3, 2e-3):
        flow = lpa(4 - epsilon, order, about)
        thermal, correction, *_ = flow.scaling_dimensions(wilson_fisher(flow))
        slopes[epsilon] = np.array([thermal - 2, correction]) / epsilon
    limit = 2 * slopes[1e-3] - slopes[2e-3]
    assert limit == pytest.approx([-1 / 3, -1], abs=1e-5)


@pytest.mark.parametrize("about", ABOUT)
def test_four_dimensions_and_above_are_free(about):
    for dimension in (4, 4.5):
        assert len(lpa(dimension, 5, about).fixed_points()) == 1


@pytest.mark.parametrize("epsilon", [1e-5, 0.01, 0.5, 1.0, 1.2])
def test_wilson_fisher_has_one_relevant_direction_at_every_order(epsilon):
    for about, order in [("minimum", 4), ("minimum", 15), ("origin", 4), ("origin", 10)]:
        flow = lpa(4 - epsilon, order, about)
        point = wilson_fisher(flow)
        dimensions = flow.scaling_dimensions(point)
        assert sum(value.real > 0 for value in dimensions) == 1
        # beta in units of the Taylor coefficients
        assert np.abs(np.array(list(flow.beta(point).values())) / flow.unit).max() < 1e-12


@pytest.mark.parametrize("dimension", [2.1, 2.3, 2.6, 2.9])
def test_the_origin_reaches_low_dimensions(dimension):
    flow = lpa(dimension, 10, "origin")
    assert sum(value.real > 0 for value in flow.scaling_dimensions(wilson_fisher(flow))) == 1


@pytest.mark.parametrize(
    ("dimension", "order", "words"),
    [(2.3, 4, "ends before"), (2.6, 12, "has 7 relevant directions")],
)
def test_a_point_that_is_lost_is_not_listed_and_the_note_says_so(dimension, order, words):
    (gaussian,) = lpa(dimension, order).fixed_points()
    assert words in gaussian.note and "raise the order or the dimension" in gaussian.note


# The Gaussian point


@settings(max_examples=20)
@given(dimensions, orders, st.sampled_from(ABOUT))
def test_gaussian_dimensions_are_those_of_counting(dimension, order, about):
    flow = lpa(dimension, order, about)
    expected = [dimension - n * (dimension - 2) for n in range(1, order + 1)]
    assert flow.scaling_dimensions(flow.fixed_points()[0]) == pytest.approx(expected, abs=1e-10)


def test_gaussian_minimum_is_where_a_quartic_potential_has_it():
    assert [lpa(d, 4).fixed_points()[0]["kappa"] for d in (2.5, 3.5, 4)] == pytest.approx(
        [6, 2, 1.5], rel=1e-14
    )


# Derived: another loop gives another flow


def test_large_n_is_exact_at_every_order():
    for dimension in (2.5, 3, 3.5):
        flow = lpa(dimension, 8, loop=large_n)
        point = wilson_fisher(flow)
        assert point["kappa"] == pytest.approx(1 / (dimension - 2), rel=1e-12)
        assert flow.scaling_dimensions(point) == pytest.approx(
            [dimension - 2 * n for n in range(1, 9)], abs=1e-9
        )


def test_three_components():
    def loop(rho, slope, curvature):
        return litim(rho, slope, curvature) + 2 * large_n(rho, slope, curvature)

    flow = lpa(3, 12, loop=loop)
    assert 1 / flow.scaling_dimensions(wilson_fisher(flow))[0] == pytest.approx(0.7611, abs=5e-5)


def test_a_sharp_cutoff_has_its_own_exponent():
    flow = lpa(3, 12, loop=sharp)
    assert 1 / flow.scaling_dimensions(wilson_fisher(flow))[0] == pytest.approx(0.6895, abs=5e-5)


@pytest.mark.parametrize("epsilon", [0.5, 1.0])
def test_a_sharp_cutoff_at_order_two_is_wilsons_shell(epsilon):
    potential, shell = lpa(4 - epsilon, 2, "origin", loop=sharp), one_loop(epsilon)
    r, u = sp.symbols("r u", real=True)
    both = dict(zip(potential.couplings, (r, 8 * u), strict=True))
    assert sp.simplify(potential.expressions["l1"].subs(both) - shell.expressions["r"]) == 0
    assert sp.simplify(potential.expressions["l2"].subs(both) / 8 - shell.expressions["u"]) == 0


def of_powers(rho, slope, curvature):
    """A loop without a meaning, for the arithmetic."""
    return rho**2 * slope + (1 + slope) ** sp.Rational(-3, 2) + sp.Rational(1, 3) * curvature


@pytest.mark.parametrize("loop", [litim, sharp, large_n, of_powers])
@pytest.mark.parametrize("about", ABOUT)
def test_series_are_the_derivatives_of_the_flow_equation(about, loop):
    flow = lpa(sp.Rational(5, 2), 3, about, loop=loop)
    values = dict(zip(flow.names, (0.3, 0.2, -0.1), strict=True))
    centre, u = (
        (0.3, 0.1 * (RHO - 0.3) ** 2 - (RHO - 0.3) ** 3 / 60) if about == "minimum" else (0, None)
    )
    u = u or 0.3 * RHO + 0.1 * RHO**2 - RHO**3 / 60
    change = 2.5 * u - 0.5 * RHO * sp.diff(u, RHO) - loop(RHO, sp.diff(u, RHO), sp.diff(u, RHO, 2))
    drift = -float(sp.diff(change, RHO).subs(RHO, centre)) / 0.2 if about == "minimum" else 0.0
    expected = [
        float(sp.diff(change + drift * sp.diff(u, RHO), RHO, n).subs(RHO, centre))
        for n in (1, 2, 3)
    ]
    expected[0] = drift or expected[0]
    assert list(flow.beta(values).values()) == pytest.approx(expected, rel=1e-9)
    symbols = {symbol: values[symbol.name] for symbol in flow.couplings}
    exact = [float(expression.subs(symbols)) for expression in flow.expressions.values()]
    assert exact == pytest.approx(expected, rel=1e-9)


def test_a_loop_of_another_kind_is_refused():
    flow = lpa(3, 3, "origin", loop=lambda rho, slope, curvature: sp.cos(slope))
    with pytest.raises(ValueError, match=r"loop contains cos\(U'\): make it of its arguments"):
        flow.beta({"l1": 0.1, "l2": 0.1, "l3": 0.1})


# Symbols and numbers


def evaluated(expression, values, known):
    """Evaluate an expression whose parts are shared: each part once."""
    if expression.is_Atom:
        return values[expression.name] if expression.is_Symbol else sp.Float(expression)
    if expression not in known:
        known[expression] = expression.func(
            *(evaluated(argument, values, known) for argument in expression.args)
        )
    return known[expression]


@pytest.mark.parametrize("about", ABOUT)
@pytest.mark.parametrize("order", [2, 5, 17, 25])
def test_expressions_are_the_numbers_at_any_order(about, order):
    flow = lpa(3, order, about)
    point = wilson_fisher(flow)
    shifted = {name: sp.Float(value * 1.01) for name, value in point.items()}
    known, beta = {}, flow.beta(shifted)
    for unit, (name, expression) in zip(flow.unit, flow.expressions.items(), strict=True):
        assert float(evaluated(expression, shifted, known)) / unit == pytest.approx(
            beta[name] / unit, abs=1e-12
        )
    assert len(flow.latex()) < 40_000


@pytest.mark.parametrize("about", ABOUT)
@pytest.mark.parametrize("loop", [litim, sharp])
def test_jacobian_is_the_derivative_of_beta(about, loop):
    flow = lpa(3, 6, about, loop=loop)
    point = np.array(list(wilson_fisher(flow).values())) * 1.1
    slopes = flow.linearization(dict(zip(flow.names, point, strict=True)))
    for column, step in enumerate(np.diag(1e-6 * np.abs(point))):
        there, back = (
            list(flow.beta(dict(zip(flow.names, point + sign * step, strict=True))).values())
            for sign in (1, -1)
        )
        difference = np.subtract(there, back) / (2 * step[column])
        np.testing.assert_allclose(slopes[:, column], difference, rtol=1e-6, atol=1e-6)


def test_latex():
    assert lpa(3, 2).latex() == (
        r"\begin{aligned}c_{0} &= 2 \kappa l_{2} + 1 \\ "
        r"\frac{d \kappa}{d\ell} &= \kappa - \frac{3}{c_{0}^{2}} \\ "
        r"\frac{d l_{2}}{d\ell} &= l_{2} - \frac{18 l_{2}^{2}}{c_{0}^{3}}\end{aligned}"
    )


# Flows


@given(st.floats(0.9, 1.1), st.floats(0.9, 1.1), st.floats(0.05, 0.5), st.floats(0.05, 0.5))
def test_flow_is_a_semigroup(scale_kappa, scale_quartic, first, second):
    flow, point = FLOW
    start = point | {"kappa": point["kappa"] * scale_kappa, "l2": point["l2"] * scale_quartic}
    whole = flow.flow(start, first + second, n_points=2)
    half = flow.flow(start, first, n_points=2)
    both = flow.flow(dict(half[list(flow.names)].iloc[-1]), second, n_points=2)
    ends = [table[list(flow.names)].iloc[-1].to_numpy() / flow.unit for table in (whole, both)]
    np.testing.assert_allclose(*ends, rtol=1e-6, atol=1e-9)


FLOW = lpa(3, 5), wilson_fisher(lpa(3, 5))


def test_the_two_expansions_flow_together():
    # one potential near the fixed point, carried by either expansion, is one potential later
    minimum, origin = lpa(3, 12), lpa(3, 12, "origin")
    start = wilson_fisher(origin)
    start = start | {"l1": start["l1"] + 0.01}
    kappa = newton_minimum(origin.potential(start))
    slopes = [origin.potential(start).deriv(n)(kappa) for n in range(2, 13)]
    ends = []
    for flow, couplings in (
        (origin, start),
        (minimum, dict(zip(minimum.names, [kappa, *slopes], strict=True))),
    ):
        last = flow.flow(couplings, 0.5, n_points=2)[list(flow.names)].iloc[-1]
        ends.append(flow.potential(dict(last)).deriv())
    rho = np.linspace(0.5, 2.5, 9)
    moved = np.abs(ends[0](rho) - origin.potential(start).deriv()(rho)).max()
    assert np.abs(ends[0](rho) - ends[1](rho)).max() < moved / 20


def newton_minimum(potential):
    kappa = 1.8
    for _ in range(20):
        kappa -= potential.deriv()(kappa) / potential.deriv(2)(kappa)
    return kappa


def test_flow_leaves_the_fixed_point_with_the_thermal_dimension():
    flow, point = FLOW
    table = flow.flow(point | {"kappa": point["kappa"] * (1 + 1e-7)}, 6.0)
    distance = np.log(table["kappa"] / point["kappa"] - 1).to_numpy()
    rate = np.polyfit(table["log_scale"][60:], distance[60:], 1)[0]
    assert rate == pytest.approx(flow.scaling_dimensions(point)[0], abs=1e-3)


def test_flow_stops_where_the_minimum_reaches_the_origin():
    flow, point = FLOW
    table = flow.flow(point | {"kappa": point["kappa"] * 0.9}, 20.0)
    assert (
        "the minimum has reached the origin" in table.attrs["stopped"]
        and (table["kappa"] > 0).all()
    )


def test_flow_stops_where_the_modes_have_lost_their_stiffness():
    flow = lpa(3, 2, "origin")
    table = flow.flow({"l1": -0.4, "l2": 0.1}, 10.0)
    assert "lost their stiffness" in table.attrs["stopped"] and (table["l1"] > -1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lpa(2, 4), "dimension must be above 2, got 2.0: at d = 2 every power"),
        (lambda: lpa(1.5, 4), "dimension must be above 2"),
        (lambda: lpa(math.inf, 4), "dimension must be finite"),
        (lambda: lpa(3, 1), "order must be at least 2"),
        (lambda: lpa(3, 4, "middle"), 'about must be "minimum" or "origin"'),
        (
            lambda: lpa(3, 2).beta({"kappa": 1.0, "l2": 0.0}),
            "not defined at .* flat at its minimum",
        ),
        (lambda: lpa(3, 2).flow({"kappa": -1.0, "l2": 0.1}, 1.0), "go on with about='origin'"),
        (
            lambda: lpa(3, 2).scaling_dimensions({"kappa": 1.0, "l2": 0.1}),
            r"take it from `\.fixed_points\(\)`",
        ),
        (
            lambda: lpa(3, 2).scaling_dimensions({"kappa": 1.0, "l2": 0.0}),
            r"take it from `\.fixed_points\(\)`",
        ),
    ],
)
def test_arguments_are_checked(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.as_a_user
def test_an_order_is_an_integer():
    with pytest.raises(TypeError, match="order must be an integer"):
        lpa(3, 2.5)


def test_a_fixed_point_given_by_its_numbers_is_recognised():
    point = {name: round(value, 14) for name, value in wilson_fisher(lpa(3, 4)).items()}
    assert lpa(3, 4).scaling_dimensions(point) == pytest.approx(
        lpa(3, 4).scaling_dimensions(wilson_fisher(lpa(3, 4)))
    )
