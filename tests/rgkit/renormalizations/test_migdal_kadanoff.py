"""Migdal-Kadanoff: reference values, limits, exactness in one dimension, extremes."""

import math

import numpy as np
import pytest
import reference
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from rgkit.renormalizations.decimation import H, K, ising_decimation
from rgkit.renormalizations.migdal_kadanoff import migdal_kadanoff

scale_factors = st.floats(1.01, 8)
dimensions = st.floats(1, 4)
REFERENCE = {(row.quantity, row.arguments[0]): row for row in reference.MIGDAL_KADANOFF}


def critical_point(step):
    return step.fixed_points()[1]


def exact(expression, coupling, digits):
    """Put in a coupling, in rationals; digits must resolve 1 - tanh of the strongest drawn."""
    rational = expression.xreplace(
        {number: sp.Rational(number) for number in expression.atoms(sp.Float)}
    )
    return float(rational.subs(K, sp.Rational(coupling)).evalf(digits))


def even_limit(quantity):
    """Return the limit b -> 1 of a quantity even in ln b, from two values (Richardson)."""
    near, far = (quantity(migdal_kadanoff(math.exp(x), 2)) for x in (1e-3, 2e-3))
    return (4 * near - far) / 3


def test_two_dimensions_at_b_2_has_the_textbook_form():
    new = migdal_kadanoff(2, 2).expressions["K"]
    assert (
        sp.simplify(
            sp.exp(2 * new.rewrite(sp.log)).rewrite(sp.exp) - sp.cosh(4 * K).rewrite(sp.exp)
        )
        == 0
    )


def test_reference_critical_coupling():
    row = REFERENCE["critical_coupling", 2]
    assert critical_point(migdal_kadanoff(2, 2))["K"] == pytest.approx(
        row.value, abs=row.tolerance, rel=0
    )


def test_reference_thermal_dimension():
    step, row = migdal_kadanoff(2, 2), REFERENCE["thermal_dimension", 2]
    (dimension,) = step.scaling_dimensions(critical_point(step))
    assert dimension == pytest.approx(row.value, abs=1e-14, rel=0)
    assert 2**dimension == pytest.approx(REFERENCE["eigenvalue", 2].value, abs=1e-14, rel=0)


def test_infinitesimal_step_gives_the_exact_critical_coupling_in_two_dimensions():
    # K* sqrt(b), half-way through moving the bonds, makes the step its own mirror image in b -> 1/b
    limit = even_limit(lambda step: critical_point(step)["K"] * math.sqrt(step.scale_factor))
    row = REFERENCE["critical_coupling", 1]
    assert row.value == pytest.approx(math.asinh(1) / 2, abs=row.tolerance)
    assert limit == pytest.approx(row.value, abs=1e-12, rel=0)


def test_infinitesimal_step_gives_the_limit_of_the_thermal_dimension():
    # the steps for b and 1/b are conjugate, so the dimension is even in ln b
    limit = even_limit(lambda step: step.scaling_dimensions(critical_point(step))[0])
    row = REFERENCE["thermal_dimension", 1]
    assert row.value == pytest.approx(2 - math.sqrt(2) * math.asinh(1), abs=row.tolerance)
    assert limit == pytest.approx(row.value, abs=1e-12, rel=0)


@given(st.integers(2, 8), st.floats(-3, 3))
def test_one_dimension_is_the_exact_decimation(b, coupling):
    decimated = ising_decimation(b).step({"K": coupling})["K"]
    assert migdal_kadanoff(b, 1).step({"K": coupling})["K"] == pytest.approx(
        decimated, rel=1e-12, abs=1e-300
    )


@pytest.mark.parametrize("b", range(2, 6))
def test_one_dimension_has_the_expression_of_decimation(b):
    ours, decimated = (
        migdal_kadanoff(b, 1).expressions["K"],
        ising_decimation(b).expressions["K"].subs(H, 0),
    )
    assert (
        sp.simplify(
            sp.exp(4 * ours.rewrite(sp.log)).rewrite(sp.exp) - sp.exp(4 * decimated).rewrite(sp.exp)
        )
        == 0
    )


@given(scale_factors, dimensions, st.floats(1e-3, 3))
def test_step_agrees_with_expression(b, dimension, coupling):
    step = migdal_kadanoff(b, dimension)
    expected = exact(step.expressions["K"], coupling, digits=1400)
    assert step.step({"K": coupling})["K"] == pytest.approx(expected, rel=1e-12, abs=1e-300)


@given(st.floats(1.01, 8), st.floats(1.05, 4))
def test_critical_point_is_fixed_and_repels(b, dimension):
    step = migdal_kadanoff(b, dimension)
    point = critical_point(step)
    assert step.step(point)["K"] == pytest.approx(point["K"], rel=1e-13)
    (y_t,) = step.scaling_dimensions(point)
    assert y_t > 0
    assert step.step({"K": point["K"] * 0.99})["K"] < point["K"] * 0.99
    assert step.step({"K": point["K"] * 1.01})["K"] > point["K"] * 1.01


@given(st.floats(1.1, 4), st.floats(1.2, 3))
def test_thermal_dimension_is_the_slope_of_the_expression(b, dimension):
    step = migdal_kadanoff(b, dimension)
    point = critical_point(step)
    slope = exact(sp.diff(step.expressions["K"], K), point["K"], digits=80)
    assert step.scaling_dimensions(point) == pytest.approx(
        [math.log(slope) / math.log(b)], abs=1e-12
    )


@pytest.mark.parametrize(("b", "dimension"), [(2, 2), (1.5, 2.5), (3, 3), (2, 1), (1.5, 1)])
def test_dimensions_at_the_ends(b, dimension):
    step = migdal_kadanoff(b, dimension)
    assert step.scaling_dimensions({"K": 0.0}) == [-math.inf]
    expected = 1.0 if dimension == 1 else 1.0 - dimension
    assert step.scaling_dimensions({"K": math.inf}) == pytest.approx([expected], abs=1e-12)


def test_one_dimension_has_no_critical_point():
    assert [point["K"] for point in migdal_kadanoff(2, 1).fixed_points()] == [0.0, math.inf]


def test_odd_b_has_the_antiferromagnetic_images():
    step = migdal_kadanoff(3, 2)
    positive = critical_point(step)["K"]
    assert [point["K"] for point in step.fixed_points()] == [
        0.0,
        positive,
        math.inf,
        -positive,
        -math.inf,
    ]
    assert step.step({"K": -positive})["K"] == pytest.approx(-positive, rel=1e-13)
    assert len({tuple(step.scaling_dimensions({"K": sign * positive})) for sign in (1, -1)}) == 1


@pytest.mark.parametrize("coupling", [100.0, 1000.0, 1e8])
def test_strong_coupling_moves_all_bonds_and_loses_one_wall(coupling):
    assert migdal_kadanoff(3, 2).step({"K": coupling})["K"] == pytest.approx(
        3 * coupling - math.log(3) / 2, rel=1e-15
    )


def test_flow_separates_at_the_critical_point():
    step = migdal_kadanoff(2, 2)
    critical = critical_point(step)["K"]
    below, above = (step.flow({"K": critical + shift}, 60)["K"] for shift in (-1e-6, 1e-6))
    assert below.iloc[-1] == 0 and above.iloc[-1] > 1e6
    assert np.all(np.diff(below) <= 0) and np.all(np.diff(above) > 0)


def test_latex():
    assert migdal_kadanoff(2, 2).latex() == (
        r"\begin{aligned}K' &= \operatorname{atanh}{\left(\tanh^{2}{\left(2 K \right)} \right)}"
        r"\end{aligned}"
    )


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    ("b", "dimension", "error", "message"),
    [
        (1, 2, ValueError, "b must be above 1"),
        (math.nan, 2, ValueError, "b must be finite"),
        (2j, 2, TypeError, "b must be real"),
        (2, 0.5, ValueError, "dimension must be at least 1"),
        (2, math.inf, ValueError, "dimension must be finite"),
    ],
)
def test_arguments_are_checked(b, dimension, error, message):
    with pytest.raises(error, match=message):
        migdal_kadanoff(b, dimension)


def test_negative_coupling_needs_an_integer_b():
    with pytest.raises(ValueError, match="coupling K must be at least 0 for b=1.5"):
        migdal_kadanoff(1.5, 2).step({"K": -1.0})


@pytest.mark.parametrize("point", [{"K": 0.3}, {"K": -math.inf}, {"K": math.nan}])
def test_only_fixed_points_have_dimensions(point):
    with pytest.raises(ValueError, match=r"take it from `\.fixed_points\(\)`"):
        migdal_kadanoff(2, 2).scaling_dimensions(point)
