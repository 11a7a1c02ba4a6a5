"""Decimation: closed forms, reference values, group structure, conservation, symmetries."""

import itertools
import math

import numpy as np
import pytest
import reference
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from rgkit.renormalizations.decimation import H, K, ising_bond, ising_decimation
from rgkit.renormalizations.transfer_matrices import transfer_matrix_decimation

J = sp.Symbol("J", real=True)
STEPS = {b: ising_decimation(b) for b in range(2, 9)}
scale_factors = st.integers(2, 8)
couplings = st.floats(-3, 3)
fields = st.floats(-3, 3)


def potts_bond(s, t):
    return J * int(s == t)


def ring_partition(bond, n_sites):
    """Sum over all configurations of a ring; bond: matrix of -H, shape (q, q)."""
    states = range(len(bond))
    rings = itertools.product(states, repeat=n_sites)
    return sum(
        math.exp(sum(bond[s][t] for s, t in zip(x, x[1:] + x[:1], strict=True))) for x in rings
    )


def bond_matrix(bond, states, values):
    symbols = {symbol: values[symbol.name] for symbol in (K, H, J) if symbol.name in values}
    return [[float(sp.sympify(bond(s, t)).subs(symbols)) for t in states] for s in states]


def log_eigenvalue(coupling, field):
    root = math.hypot(math.exp(coupling) * math.sinh(field), math.exp(-coupling))
    return math.log(math.exp(coupling) * math.cosh(field) + root)


def eigenvalue_ratio(values):
    coupling, field = values["K"], values["h"]
    low, high = np.linalg.eigvalsh(
        np.exp([[coupling + field, -coupling], [-coupling, coupling - field]])
    )
    return low / high


# Closed forms


def test_two_spin_block_has_the_textbook_form():
    plus, minus = sp.cosh(2 * K + H), sp.cosh(2 * K - H)
    assert STEPS[2].expressions["K"] == sp.log(plus * minus / sp.cosh(H) ** 2) / 4
    assert STEPS[2].expressions["h"] == H + sp.log(plus / minus) / 2
    assert STEPS[2].constant == sp.log(16 * plus * minus * sp.cosh(H) ** 2) / 4


def test_latex_shows_couplings_and_constant():
    text = STEPS[2].latex()
    assert text.startswith(r"\begin{aligned}K' &= \frac{1}{4} \ln{") and text.endswith(
        r"\end{aligned}"
    )
    assert r"h' &= h + \frac{1}{2} \ln" in text and r"\ln A_{2} &= " in text


@pytest.mark.parametrize("b", STEPS)
def test_tanh_recursion_is_a_power(b):
    t = sp.Symbol("t")
    assert STEPS[b].in_tanh(t) == t**b


@pytest.mark.parametrize("b", STEPS)
def test_expression_agrees_with_power_of_tanh(b):
    grid = np.linspace(-3, 3, 121)
    new = sp.lambdify((K, H), STEPS[b].expressions["K"])(grid, 0.0)
    np.testing.assert_allclose(np.tanh(new), np.tanh(grid) ** b, rtol=0, atol=1e-12)


@given(scale_factors, couplings, fields)
def test_step_agrees_with_expressions(b, coupling, field):
    step = STEPS[b].step({"K": coupling, "h": field})
    for name, expression in STEPS[b].expressions.items():
        assert step[name] == pytest.approx(
            sp.lambdify((K, H), expression)(coupling, field), abs=1e-12, rel=1e-12
        )


# Reference values


@pytest.mark.parametrize("row", reference.DECIMATION, ids=str)
def test_reference_step(row):
    b, coupling, field = row.arguments
    values = {"K": coupling, "h": field}
    answer = STEPS[b].step(values) | {"constant": STEPS[b].log_constant(values)}
    assert answer[row.quantity] == pytest.approx(row.value, abs=row.tolerance, rel=0)


@pytest.mark.parametrize("row", reference.named(reference.CHAIN, "log_eigenvalue"), ids=str)
@pytest.mark.parametrize("b", STEPS)
def test_reference_free_energy(row, b):
    coupling, field = row.arguments
    last = STEPS[b].flow({"K": coupling, "h": field}, 50).iloc[-1]
    assert last["free_energy"] == pytest.approx(row.value, abs=1e-14, rel=0)


@pytest.mark.parametrize("row", reference.named(reference.CHAIN, "magnetization"), ids=str)
def test_flow_ends_on_the_line_at_artanh_of_the_magnetization(row):
    coupling, field = row.arguments
    last = STEPS[2].flow({"K": coupling, "h": field}, 50).iloc[-1]
    assert last["K"] == pytest.approx(0, abs=1e-15)
    assert math.tanh(last["h"]) == pytest.approx(row.value, abs=1e-14, rel=0)


# Identities


@given(scale_factors, couplings, fields)
def test_free_energy_is_conserved_along_the_flow(b, coupling, field):
    last = STEPS[b].flow({"K": coupling, "h": field}, 50).iloc[-1]
    assert last["free_energy"] == pytest.approx(log_eigenvalue(coupling, field), abs=1e-12, rel=0)


@given(scale_factors, couplings, fields)
def test_power_of_the_transfer_matrix_is_the_constant_times_the_new_one(b, coupling, field):
    values = {"K": coupling, "h": field}
    new = {"h": 0.0} | STEPS[b].step(values)
    old_matrix = np.exp([[coupling + field, -coupling], [-coupling, coupling - field]])
    new_matrix = np.exp([[new["K"] + new["h"], -new["K"]], [-new["K"], new["K"] - new["h"]]])
    product = np.exp(STEPS[b].log_constant(values)) * new_matrix
    np.testing.assert_allclose(product, np.linalg.matrix_power(old_matrix, b), rtol=1e-12)


@pytest.mark.parametrize(("b", "n_sites"), [(2, 8), (3, 9), (4, 12), (5, 10)])
@pytest.mark.parametrize(
    "values", [{"K": 0.7, "h": 0.2}, {"K": -0.9, "h": 0.4}, {"K": 1.3, "h": 0.0}]
)
def test_ring_partition_function_is_conserved(b, n_sites, values):
    before = ring_partition(bond_matrix(ising_bond, (1, -1), values), n_sites)
    after = ring_partition(bond_matrix(ising_bond, (1, -1), STEPS[b].step(values)), n_sites // b)
    constant = STEPS[b].log_constant(values) * n_sites / b
    assert math.log(after) + constant == pytest.approx(math.log(before), rel=1e-13)


@given(st.integers(2, 4), st.integers(2, 4), couplings, fields)
def test_steps_compose(b, c, coupling, field):
    start = {"K": coupling, "h": field}
    first = STEPS[c].step(start)
    two, one = STEPS[b].step(first), ising_decimation(b * c).step(start)
    assert two["K"] == pytest.approx(one["K"], abs=1e-12)
    assert two["h"] == pytest.approx(one["h"], abs=1e-12)
    constants = STEPS[b].log_constant(first) + b * STEPS[c].log_constant(start)
    assert constants == pytest.approx(
        ising_decimation(b * c).log_constant(start), abs=1e-12, rel=1e-12
    )


@given(scale_factors, couplings, fields)
def test_reversing_the_field_reverses_the_new_field(b, coupling, field):
    up, down = (STEPS[b].step({"K": coupling, "h": sign * field}) for sign in (1, -1))
    assert up["K"] == pytest.approx(down["K"], abs=1e-13)
    assert up["h"] == pytest.approx(-down["h"], abs=1e-13)


@given(scale_factors, couplings)
def test_reversing_the_coupling_reverses_the_new_one_for_odd_b_only(b, coupling):
    ferro, antiferro = (STEPS[b].step({"K": sign * coupling})["K"] for sign in (1, -1))
    assert antiferro == pytest.approx(ferro * (-1) ** b, rel=1e-13, abs=1e-300)


@given(scale_factors, couplings, fields)
def test_field_only_speeds_the_flow_to_the_line(b, coupling, field):
    # Birkhoff: tanh|K| is the contraction coefficient of T whatever h; they at most multiply
    new = STEPS[b].step({"K": coupling, "h": field})["K"]
    assert math.tanh(abs(new)) <= math.tanh(abs(coupling)) ** b * (1 + 1e-12)


@given(scale_factors, couplings, fields)
def test_eigenvalue_ratio_goes_to_its_power(b, coupling, field):
    # the inverse correlation length, -ln of the ratio, is multiplied by b
    values = {"K": coupling, "h": field}
    assert eigenvalue_ratio(STEPS[b].step(values)) == pytest.approx(
        eigenvalue_ratio(values) ** b, abs=1e-12
    )


# Extremes


@pytest.mark.parametrize("b", [2, 3, 8, 64])
@pytest.mark.parametrize("coupling", [50.0, 1000.0])
def test_large_coupling_loses_the_entropy_of_one_wall_only(b, coupling):
    step = ising_decimation(b).step({"K": coupling})
    assert step["K"] == pytest.approx(coupling - math.log(b) / 2, rel=1e-14)


@given(scale_factors, st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_nothing_overflows(b, coupling, field):
    flow = STEPS[b].flow({"K": coupling, "h": field}, 12)
    assert np.isfinite(flow.to_numpy()).all()
    assert abs(flow["K"].iloc[1]) <= abs(coupling) + 1e-9


@pytest.mark.parametrize("b", [2, 3, 8])
@pytest.mark.parametrize("coupling", [1e-3, -1e-3, 0.02])
def test_weak_coupling_keeps_its_relative_precision(b, coupling):
    assert math.tanh(STEPS[b].step({"K": coupling})["K"]) == pytest.approx(
        math.tanh(coupling) ** b, rel=1e-13, abs=0
    )


def test_large_b_needs_no_closed_form():
    assert math.tanh(ising_decimation(1000).step({"K": 4.0})["K"]) == pytest.approx(
        math.tanh(4.0) ** 1000, rel=1e-12
    )


# Fixed points


@pytest.mark.parametrize("b", STEPS)
def test_fixed_points_and_scaling_dimensions(b):
    expected = {0.0: [0.0, -math.inf], math.inf: [1.0, 1.0]} | (
        {-math.inf: [1.0, -1.0]} if b % 2 else {}
    )
    points = STEPS[b].fixed_points()
    assert [point["K"] for point in points] == list(expected)
    for point in points:
        assert STEPS[b].scaling_dimensions(point) == pytest.approx(expected[point["K"]], abs=1e-12)
        assert point.note


@pytest.mark.parametrize("b", [2, 3])
def test_every_point_of_the_line_is_fixed(b):
    point = {"K": 0.0, "h": 0.7}
    assert STEPS[b].step(point) == pytest.approx(point, abs=1e-15)
    assert STEPS[b].scaling_dimensions(point) == [0.0, -math.inf]


@pytest.mark.parametrize("b", [3, 5])
def test_antiferromagnetic_dimensions_against_finite_differences(b):
    step = STEPS[b].step({"K": -12.0, "h": 1e-3})
    assert step["h"] / 1e-3 == pytest.approx(1 / b, rel=1e-5)
    assert math.exp(2 * (STEPS[b].step({"K": -12.0})["K"] + 12.0)) == pytest.approx(b, rel=1e-9)


@pytest.mark.parametrize(
    "point", [{"K": 1.0}, {"K": -math.inf}, {"K": math.inf, "h": 0.2}, {"K": 1e-9}]
)
def test_only_fixed_points_have_dimensions(point):
    with pytest.raises(ValueError, match=r"take it from `\.fixed_points\(\)`"):
        STEPS[2].scaling_dimensions(point)


# Other energies


@pytest.mark.parametrize("q", [2, 3, 5])
def test_potts_chain_has_its_known_recursion(q):
    step = transfer_matrix_decimation(potts_bond, range(q), (J,), 2)
    known = (sp.exp(2 * J) + q - 1) / (2 * sp.exp(J) + q - 2)
    assert sp.simplify((sp.exp(step.expressions["J"]) - known).rewrite(sp.exp)) == 0
    assert step.scaling_dimensions(step.fixed_points()[0]) == [-math.inf]


@pytest.mark.parametrize(("q", "b"), [(3, 2), (3, 3), (4, 2)])
def test_potts_ring_partition_function_is_conserved(q, b):
    step = transfer_matrix_decimation(potts_bond, range(q), (J,), b)
    values = {"J": 0.8}
    before = ring_partition(bond_matrix(potts_bond, range(q), values), 2 * b)
    after = ring_partition(bond_matrix(potts_bond, range(q), step.step(values)), 2)
    assert math.log(after) + 2 * step.log_constant(values) == pytest.approx(
        math.log(before), rel=1e-13
    )


def test_doubled_bond_changes_the_recursion():
    doubled = transfer_matrix_decimation(lambda s, t: 2 * K * s * t, (1, -1), (K,), 2).expressions[
        "K"
    ]
    assert sp.simplify(doubled - sp.log(sp.cosh(4 * K)) / 4) == 0
    assert sp.simplify(doubled - STEPS[2].expressions["K"].subs(H, 0)) != 0


def test_field_convention_changes_the_recursion():
    whole = transfer_matrix_decimation(lambda s, t: K * s * t + H * (s + t), (1, -1), (K, H), 2)
    values = {"K": 0.6, "h": 0.2}
    half = STEPS[2].step({"K": 0.6, "h": 0.4})
    assert whole.step(values) == pytest.approx({"K": half["K"], "h": half["h"] / 2}, abs=1e-14)


def test_bond_with_a_direction():
    def chiral(s, t):
        return K * int(s == t) + J * int((t - s) % 3 == 1)

    step = transfer_matrix_decimation(chiral, range(3), (K, J), 2)
    values = {"K": 0.4, "J": 0.9}
    old, new = (np.exp(bond_matrix(chiral, range(3), v)) for v in (values, step.step(values)))
    np.testing.assert_allclose(math.exp(step.log_constant(values)) * new, old @ old, rtol=1e-14)


# Errors


@pytest.mark.parametrize("b", [2, 3, 50])
def test_couplings_that_do_not_close_name_the_states(b):
    with pytest.raises(
        ValueError, match=r"couplings J do not close under b=\d+.*pair \(1, -1\): add to the bond"
    ):
        transfer_matrix_decimation(lambda s, t: J * s * t, (1, 0, -1), (J,), b)


def test_dependent_couplings_are_refused():
    with pytest.raises(ValueError, match="J, K and the constant are not independent"):
        transfer_matrix_decimation(lambda s, t: (J + K) * s * t, (1, -1), (J, K), 2)


@pytest.mark.parametrize("energy", [J**2, J / 2.0, J + 1])
def test_energy_must_be_linear(energy):
    with pytest.raises(ValueError, match="must be a linear combination"):
        transfer_matrix_decimation(lambda s, t: s * t * energy, (1, -1), (J,), 2)


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    ("b", "error"), [(1, ValueError), (0, ValueError), (2.5, TypeError), (True, TypeError)]
)
def test_scale_factor_must_be_an_integer_of_at_least_two(b, error):
    with pytest.raises(error, match="b must be"):
        ising_decimation(b)


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"K": math.nan}, ValueError, "coupling K must be finite"),
        ({"K": math.inf}, ValueError, "coupling K must be finite"),
        ({"K": 1.0, "h": 1j}, TypeError, "coupling h must be real"),
        ({"K": "strong"}, TypeError, "coupling K must be a real number"),
        ({"h": 0.1}, ValueError, "coupling 'K' is missing"),
        ({"K": 1.0, "J": 0.1}, ValueError, "unknown coupling 'J'.*has K, h"),
    ],
)
def test_couplings_are_checked(values, error, message):
    for call in (STEPS[2].step, STEPS[2].log_constant, lambda start: STEPS[2].flow(start, 3)):
        with pytest.raises(error, match=message):
            call(values)


def test_flow_table():
    flow = STEPS[3].flow({"K": 1.0}, 4)
    assert list(flow.columns) == ["step", "scale", "K", "h", "constant", "free_energy"]
    assert flow["scale"].tolist() == [1.0, 3.0, 9.0, 27.0, 81.0]
    assert flow.loc[0, ["constant", "free_energy"]].tolist() == [0.0, 0.0]
    assert len(STEPS[3].flow({"K": 1.0}, 0)) == 1
    with pytest.raises(ValueError, match="n_steps must be at least 0"):
        STEPS[3].flow({"K": 1.0}, -1)


def test_a_step_gives_plain_floats():
    step = ising_decimation(2).step({"K": 1.0})
    assert [type(value) for value in step.values()] == [float, float]
