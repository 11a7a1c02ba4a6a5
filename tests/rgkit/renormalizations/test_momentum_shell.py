"""One loop: the textbook flow, slopes at small epsilon, other couplings, a semigroup."""

import math

import jax
import numpy as np
import pandas as pd
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from rgkit.renormalizations.momentum_shell import FIELD, MomentumShell, R, U, one_loop

W = sp.Symbol("w", real=True)
QUARTIC = one_loop(1.0)
epsilons = st.floats(1e-3, 2)


def wilson_fisher(epsilon):
    return one_loop(epsilon).fixed_points()[1]


@pytest.mark.parametrize("epsilon", [0, 1, sp.Rational(1, 2), -1])
def test_the_integral_gives_the_textbook_flow(epsilon):
    flow = one_loop(float(epsilon))
    assert sp.simplify(flow.expressions["r"] - (2 * R + 12 * U / (1 + R))) == 0
    assert sp.simplify(flow.expressions["u"] - (epsilon * U - 36 * U**2 / (1 + R) ** 2)) == 0


def test_latex():
    assert QUARTIC.latex() == (
        r"\begin{aligned}\frac{d r}{d\ell} &= 2 r + \frac{12 u}{r + 1} \\ "
        r"\frac{d u}{d\ell} &= - \frac{36 u^{2}}{\left(r + 1\right)^{2}} + u\end{aligned}"
    )


def test_another_coupling_changes_the_recursion():
    sextic = MomentumShell(R / 2 * FIELD**2 + U * FIELD**4 + W * FIELD**6, (R, U, W), sp.Integer(3))
    stiffness = 1 + R
    expected = {
        "r": 2 * R + 12 * U / stiffness,
        "u": U + 15 * W / stiffness - 36 * U**2 / stiffness**2,
        "w": -180 * U * W / stiffness**2 + 288 * U**3 / stiffness**3,
    }
    for name, expression in sextic.expressions.items():
        assert sp.simplify(expression - expected[name]) == 0
    assert len(sextic.fixed_points()) == 1


@given(epsilons)
def test_fixed_point_in_closed_form(epsilon):
    point = wilson_fisher(epsilon)
    assert point["r"] == pytest.approx(-(epsilon / 6) / (1 + epsilon / 6), rel=1e-12)
    assert point["u"] == pytest.approx(epsilon / 36 / (1 + epsilon / 6) ** 2, rel=1e-12)
    assert list(one_loop(epsilon).beta(point).values()) == pytest.approx([0, 0], abs=1e-14)


def test_slopes_at_small_epsilon():
    slopes = {}
    for epsilon in (1e-3, 2e-3):
        point = wilson_fisher(epsilon)
        y_t, y_u = one_loop(epsilon).scaling_dimensions(point)
        slopes[epsilon] = np.array([point["r"], point["u"], y_t - 2, y_u]) / epsilon
    # what is left is linear in epsilon: take it away
    limit = 2 * slopes[1e-3] - slopes[2e-3]
    assert limit == pytest.approx([-1 / 6, 1 / 36, -1 / 3, -1], abs=1e-6)
    assert slopes[2e-3] != pytest.approx([-1 / 6, 1 / 36, -1 / 3, -1], abs=1e-6)


@given(epsilons)
def test_gaussian_point_has_the_dimensions_of_counting(epsilon):
    flow = one_loop(epsilon)
    assert flow.scaling_dimensions(flow.fixed_points()[0]) == pytest.approx([2, epsilon], abs=1e-14)


@pytest.mark.parametrize("epsilon", [0.0, -0.5])
def test_no_second_point_from_four_dimensions_on(epsilon):
    assert [point.note.split(":")[0] for point in one_loop(epsilon).fixed_points()] == ["Gaussian"]


@given(st.floats(-0.3, 0.3), st.floats(0.0, 0.05), st.floats(0.1, 1.0), st.floats(0.1, 1.0))
def test_flow_is_a_semigroup(r, u, first, second):
    start = {"r": r, "u": u}
    half = QUARTIC.flow(start, first, n_points=2)
    whole = QUARTIC.flow(start, first + second, n_points=2)
    if whole.attrs["stopped"] is None:
        both = QUARTIC.flow(dict(half[["r", "u"]].iloc[-1]), second, n_points=2)
        ends = [table[["r", "u"]].iloc[-1].to_numpy() for table in (both, whole)]
        np.testing.assert_allclose(*ends, rtol=1e-7, atol=1e-9)


@given(st.floats(-0.3, 0.3), st.floats(0.0, 0.05))
def test_flow_runs_backwards(r, u):
    there = QUARTIC.flow({"r": r, "u": u}, 0.2, n_points=2)
    back = QUARTIC.flow(dict(there[["r", "u"]].iloc[-1]), -0.2, n_points=2)
    assert back[["r", "u"]].iloc[-1].tolist() == pytest.approx([r, u], abs=1e-8)


def test_flow_follows_beta():
    table = QUARTIC.flow({"r": 0.1, "u": 0.01}, 1e-3, n_points=3)
    rate = (table[["r", "u"]].iloc[2] - table[["r", "u"]].iloc[0]) / 1e-3
    assert rate.to_dict() == pytest.approx(QUARTIC.beta(dict(table[["r", "u"]].iloc[1])), rel=1e-6)
    assert table.columns.tolist() == ["log_scale", "scale", "r", "u"]
    assert table["scale"].to_numpy() == pytest.approx(np.exp(table["log_scale"]))
    assert all(dtype == np.float64 for dtype in table.dtypes)


def test_a_flow_that_is_not_stopped_says_so():
    table = QUARTIC.flow({"r": 0.0, "u": 0.01}, 2.0)
    assert (
        len(table) == 101 and table["log_scale"].iloc[-1] == 2.0 and table.attrs["stopped"] is None
    )


def test_a_flow_stops_where_a_coupling_has_run_away():
    table = QUARTIC.flow({"r": 0.1, "u": 0.02}, 20.0, largest=1e3)
    assert table.attrs["stopped"].endswith("coupling r has passed 1000 in size.")
    assert table["log_scale"].iloc[-1] < 20 and np.isfinite(table).all(axis=None)


def test_a_flow_stops_where_the_shell_has_lost_its_stiffness():
    table = QUARTIC.flow({"r": -0.3, "u": 0.02}, 15.0)
    assert table.attrs["stopped"].endswith("the fast modes have lost their stiffness.")
    assert (table["r"] > -1).all() and table["log_scale"].iloc[-1] < 1


def test_a_flow_has_no_memory_of_the_precision_of_jax():
    with jax.enable_x64(True):
        inside = QUARTIC.flow({"r": 0.1, "u": 0.02}, 1.0)
    pd.testing.assert_frame_equal(inside, QUARTIC.flow({"r": 0.1, "u": 0.02}, 1.0))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: one_loop(4.0), ValueError, "epsilon must be below 4"),
        (lambda: one_loop(math.nan), ValueError, "epsilon must be finite"),
        (lambda: QUARTIC.beta({"r": 0.0}), ValueError, "coupling 'u' is missing"),
        (lambda: QUARTIC.beta({"r": 0.0, "u": 0.0, "w": 0.0}), ValueError, "unknown coupling 'w'"),
        (
            lambda: QUARTIC.beta({"r": -1.0, "u": 0.1}),
            ValueError,
            "not defined at .* lost their stiffness",
        ),
        (
            lambda: QUARTIC.flow({"r": 0.0, "u": 0.1}, math.inf),
            ValueError,
            "log_scale must be finite",
        ),
        (
            lambda: QUARTIC.flow({"r": 0.0, "u": 0.1}, 1.0, n_points=1),
            ValueError,
            "n_points must be at least 2",
        ),
        (
            lambda: QUARTIC.scaling_dimensions({"r": 0.1, "u": 0.1}),
            ValueError,
            r"take it from `\.fixed_points\(\)`",
        ),
        (
            lambda: QUARTIC.scaling_dimensions({"r": -2.0, "u": 0.1}),
            ValueError,
            r"take it from `\.fixed_points\(\)`",
        ),
    ],
)
def test_arguments_are_checked(call, error, message):
    with pytest.raises(error, match=message):
        call()
