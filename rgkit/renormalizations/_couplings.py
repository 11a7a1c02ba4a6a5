"""Couplings by name, as users give them: checked, and put in the order of the renormalization."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import sympy as sp
from jaxtyping import Float

from rgkit import _validation as check

MAY_BE_LEFT_OUT = "h"


def checked_names(owner: str, names: Any) -> tuple[str, ...]:
    """Return the names that a renormalization gives its couplings, or say how they are written."""
    well = isinstance(names, tuple) and all(isinstance(name, str) and name for name in names)
    if not well or len(set(names)) != len(names) or not names:
        raise TypeError(
            f"{owner}.names must be a tuple of different names of the couplings, got {names!r}: "
            'write names = ("K",).'
        )
    return names


def checked_symbols(name: str, symbols: Any) -> tuple[sp.Symbol, ...]:
    """Return SymPy symbols as a tuple, or say what is wrong with them."""
    if isinstance(symbols, str | sp.Basic) or not hasattr(symbols, "__iter__"):
        raise TypeError(
            f"{name} must be a tuple of SymPy symbols, got {symbols!r}: write "
            'sympy.symbols("K h") for two, (sympy.Symbol("K"),) for one.'
        )
    symbols = tuple(symbols)
    for symbol in symbols:
        if not isinstance(symbol, sp.Symbol):
            raise TypeError(
                f"{name} must be SymPy symbols, got {symbol!r} among them: make one with "
                f"sympy.Symbol({str(symbol)!r}, real=True)."
            )
    written = [symbol.name for symbol in symbols]
    if not written or len(set(written)) != len(written):
        raise ValueError(
            f"{name} must be different symbols, at least one, got {symbols}: give each its name."
        )
    return symbols


def named(names: Sequence[str], values: Any, argument: str = "values") -> dict[str, Any]:
    """Return couplings in order, a missing field ``h`` as 0; refuse unknown and missing names."""
    if not isinstance(values, Mapping | pd.Series):
        raise TypeError(
            f"{argument} must map the names of the couplings to numbers, got "
            f"{type(values).__name__}: pass a dict such as "
            f"{{{', '.join(f'{name!r}: 1.0' for name in names[:2])}}}."
        )
    given = dict(values.items())
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(
            f"unknown coupling {unknown[0]!r}: this renormalization has {', '.join(names)}; "
            "leave out the others."
        )
    missing = [name for name in names if name not in given and name != MAY_BE_LEFT_OUT]
    if missing:
        raise ValueError(f"coupling {missing[0]!r} is missing: give a value for it.")
    return {name: given.get(name, 0.0) for name in names}


def vector(names: Sequence[str], values: Any, argument: str = "values") -> Float[np.ndarray, " k"]:
    """Return finite couplings as a vector, ``(k,)`` float64."""
    mend = "fixed points at infinity are in `.fixed_points()`"
    complete = named(names, values, argument)
    return np.array([check.real(f"coupling {name}", v, mend) for name, v in complete.items()])


def point(names: Sequence[str], values: Any, argument: str) -> dict[str, float]:
    """Return couplings as floats that may be infinite (or not a number, which is fixed nowhere)."""
    complete = named(names, values, argument)
    return {name: _extended(f"coupling {name}", value) for name, value in complete.items()}


def evaluated(
    what: str, function: Callable, names: Sequence[str], theta: Float[np.ndarray, " k"]
) -> Float[np.ndarray, " k"]:
    """Return a function of the couplings as a vector, or say where and why it has no value.

    Raises:
        ValueError: where the function fails, is not a number, or gives another number of numbers.
    """
    where = f"{what} at {dict(zip(names, theta.tolist(), strict=True))}"
    try:
        values = np.asarray(function(theta), dtype=float)
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"{where} is not defined: {error}") from error
    if values.shape != theta.shape:
        raise ValueError(
            f"{where} must be {len(theta)} numbers, one for each of {', '.join(names)}, got an "
            f"array of shape {values.shape}: return them in this order."
        )
    if np.isnan(values).any():
        raise ValueError(f"{where} is {values.tolist()}: start from other couplings.")
    return values


def _extended(name: str, value: Any) -> float:
    plain = value.item() if getattr(value, "shape", None) == () else value
    if isinstance(plain, float) and not math.isfinite(plain):
        return plain
    return check.real(name, value)
