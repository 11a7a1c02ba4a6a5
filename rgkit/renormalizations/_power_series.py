"""Truncated power series: of numbers, SymPy expressions or JAX tracers, from a SymPy formula."""

import collections
import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import sympy as sp

Series = list[Any]


def expand(expression: sp.Expr, known: Mapping[Any, Series]) -> Series:
    """Return the coefficients of an expression, given those of its symbols.

    Coefficients are never multiplied out: each is formed once from earlier ones.

    Arguments:
        expression: a SymPy expression in the symbols.
        known: SymPy symbol to coefficients, from order 0 on, all of one length. A coefficient that
            is the Python integer 0 is taken for a structural zero.

    Raises:
        ValueError: for a part that is not a sum, a product, a constant power or a logarithm.
    """
    exact = any(isinstance(value, sp.Basic) for series in known.values() for value in series)
    return _series(expression if exact else _in_floats(expression), dict(known))


def derivative(series: Series) -> Series:
    """Return the coefficients of the derivative, as many as before."""
    return [n * coefficient for n, coefficient in enumerate(series)][1:] + [0]


def common_parts(expressions: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    """Return names (LaTeX) of parts that occur more than once, and expressions in terms of them.

    ``sympy.cse`` walks every occurrence of a part, which are exponentially many here; this visits
    each once.
    """
    uses, parts, short = collections.Counter(), {}, {}

    def count(expression: Any) -> None:
        uses[expression] += 1
        if uses[expression] == 1:
            for argument in expression.args:
                count(argument)

    def shorten(expression: Any) -> Any:
        if expression.is_Atom:
            return expression
        if expression not in short:
            written = expression.func(*map(shorten, expression.args))
            named = uses[expression] > 1 and not (
                expression.is_Mul and all(part.is_Atom for part in expression.args)
            )
            short[expression] = sp.Symbol(f"c_{{{len(parts)}}}") if named else written
            if named:
                parts[short[expression].name] = written
        return short[expression]

    for expression in expressions:
        count(expression)
    return parts, [shorten(expression) for expression in expressions]


@functools.lru_cache
def _in_floats(expression: sp.Expr) -> Any:
    return expression.evalf()


def _series(expression: Any, known: dict[Any, Series]) -> Series:
    """Return an expression of series as a series; ``known`` holds those found so far."""
    if expression not in known:
        known[expression] = _evaluated(expression, known)
    return known[expression]


def _evaluated(expression: Any, known: dict[Any, Series]) -> Series:
    if expression.is_Number:
        return [_number(expression)] + [0] * (len(next(iter(known.values()))) - 1)
    if expression.is_Add:
        return [
            sum(column)
            for column in zip(*(_series(term, known) for term in expression.args), strict=True)
        ]
    factor, rest = expression.as_coeff_Mul()
    if factor != 1:
        return [_number(factor) * coefficient for coefficient in _series(rest, known)]
    if expression.is_Mul:
        return functools.reduce(_product, (_series(part, known) for part in expression.args))
    if expression.is_Pow and expression.exp.is_Number:
        return _power(_series(expression.base, known), _number(expression.exp))
    if expression.func is sp.log:
        return _logarithm(_series(expression.args[0], known))
    raise ValueError(
        f"loop contains {expression}: make it of its arguments by sums, products, constant powers "
        "and logarithms."
    )


def _number(value: Any) -> Any:
    if value.is_Integer:
        return int(value)
    return float(value) if value.is_Float else value


def _product(left: Series, right: Series) -> Series:
    nonzero = [
        (k, value) for k, value in enumerate(left) if not (isinstance(value, int) and value == 0)
    ]
    return [sum(value * right[n - k] for k, value in nonzero if k <= n) for n in range(len(right))]


def _power(base: Series, exponent: Any) -> Series:
    r"""Raise to a power (Miller): :math:`n D_0 P_n = \sum_k (\alpha k - n + k)\,D_k P_{n-k}` ."""
    if isinstance(exponent, int) and exponent >= 0:
        return functools.reduce(_product, [base] * exponent, [1] + [0] * (len(base) - 1))
    result = [base[0] ** exponent]
    for n in range(1, len(base)):
        terms = (((exponent + 1) * k - n) * base[k] * result[n - k] for k in range(1, n + 1))
        result.append(sum(terms) / base[0] / n)
    return result


def _logarithm(series: Series) -> Series:
    r"""Take the logarithm of a series by :math:`n D_0 L_n = n D_n - \sum_k k\,L_k D_{n-k}`."""
    result = [_log(series[0])]
    for n in range(1, len(series)):
        terms = (k * result[k] * series[n - k] for k in range(1, n))
        result.append((n * series[n] - sum(terms)) / series[0] / n)
    return result


def _log(value: Any) -> Any:
    if isinstance(value, sp.Basic):
        return sp.log(value)
    return (
        jnp.log(value)
        if isinstance(value, jax.Array)
        else math.log(value)
        if value > 0
        else math.nan
    )
