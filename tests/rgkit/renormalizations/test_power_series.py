"""Truncated power series: identities of products, powers and logarithms, exact and in floats."""

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from rgkit.renormalizations._power_series import common_parts, derivative, expand

F, G, X = sp.symbols("f g x")
series = st.tuples(st.floats(0.5, 2), *[st.floats(-1, 1)] * 5).map(list)


def near(expected):
    return pytest.approx(expected, rel=1e-9, abs=1e-8)


@given(series, st.sampled_from([sp.Rational(1, 2), sp.Rational(-3, 2), -1, -2, 3]))
def test_a_power_is_undone_by_its_inverse(f, exponent):
    raised = expand(F**exponent, {F: f})
    positive = {sp.Symbol("p", positive=True): raised}
    (symbol,) = positive
    assert expand(symbol ** (1 / sp.sympify(exponent)), positive) == near(f)


@given(series, series)
def test_the_logarithm_of_a_product_is_the_sum(f, g):
    assert expand(sp.log(F * G), {F: f, G: g}) == near(expand(sp.log(F) + sp.log(G), {F: f, G: g}))


@given(series)
def test_the_derivative_of_a_logarithm(f):
    # the last coefficient of a derivative is not known from a truncated series
    left = derivative(expand(sp.log(F), {F: f}))[:-1]
    assert left == near(expand(G / F, {F: f, G: derivative(f)})[:-1])


def test_symbols_and_floats_agree_with_taylor():
    order, expression = 5, (1 + X) ** sp.Rational(-3, 2) * sp.log(2 + X) + X**2 / 3
    exact = expand(expression, {X: [sp.Integer(0), sp.Integer(1)] + [0] * (order - 1)})
    taylor = [sp.diff(expression, X, n).subs(X, 0) / sp.factorial(n) for n in range(order + 1)]
    assert [sp.simplify(a - b) for a, b in zip(exact, taylor, strict=True)] == [0] * (order + 1)
    assert expand(expression, {X: [0.0, 1.0] + [0] * (order - 1)}) == near(
        [float(value) for value in taylor]
    )


def test_common_parts_put_back_give_the_expressions():
    expressions = [(1 + F) ** 2 + G * F, sp.log(1 + F) * (1 + F) ** 2]
    parts, short = common_parts(expressions)
    assert len(parts) == 2
    for name, part in reversed(parts.items()):
        short = [expression.subs(sp.Symbol(name), part) for expression in short]
    assert short == expressions
