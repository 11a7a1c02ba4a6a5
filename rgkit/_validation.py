"""Checks of arguments: each error names the argument, what was wrong and the mend."""

import math
import numbers
import operator
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

Real: TypeAlias = float | numbers.Real | np.number | ArrayLike
Integer: TypeAlias = int | numbers.Integral | np.integer | ArrayLike
Boolean: TypeAlias = bool | np.bool_ | ArrayLike
LARGEST_SEED = 2**31 - 1
NOT_NUMBERS = "bSUmM"  # NumPy's letters for truth, text and times
ROUNDING = 1e-6  # that of sums in float32


def real(name: str, value: Any, mend: str = "pass a finite number") -> float:
    """Return ``value`` as a Python float, or say why it is not one finite real number.

    Arguments:
        name: of the argument.
        value: a number of Python, NumPy or JAX, or an array of them without axes.
        mend: what helps where the number is infinite or no number.
    """
    if isinstance(value, complex) or _kind(value) == "c":
        raise TypeError(
            f"{name} must be real, got the complex number {value!r}: pass its real part."
        )
    number = None
    if _kind(value) not in NOT_NUMBERS and not _shape(value):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = None
    if number is None:
        raise TypeError(f"{name} must be a real number, got {_shown(value)}: pass a float.")
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}: {mend}.")
    return number


def reals(name: str, value: Any, parts: Sequence[str]) -> tuple[float, ...]:
    """Return a sequence as a tuple of floats; ``parts`` says what each of them is, for errors."""
    return tuple(
        real(f"{name}[{i}] ({part})", entry)
        for i, (part, entry) in enumerate(zip(parts, value, strict=True))
    )


def named_reals(name: str, value: Any, names: Sequence[str]) -> dict[str, float]:
    """Return a mapping as floats by all of ``names``: those it does not have are 0."""
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{name} must be a mapping from names to numbers, got {_shown(value)}: "
            f"pass a dict such as {{{names[0]!r}: 1.0}}."
        )
    unknown = [repr(key) for key in value if key not in names]
    if unknown:
        raise ValueError(
            f"{name} has no {', '.join(unknown)}: the names are {', '.join(names)}; "
            "leave out the others."
        )
    return {key: real(f"{name}[{key!r}]", value.get(key, 0.0)) for key in names}


def positive_integer(name: str, value: Any, minimum: int = 1) -> int:
    """Return ``value`` as an int of at least ``minimum``, or say why it is not one."""
    number = None
    if _kind(value) not in NOT_NUMBERS and not _shape(value):
        try:
            number = operator.index(value)
        except TypeError:
            number = None
    if number is None:
        raise TypeError(
            f"{name} must be an integer, got {_shown(value)}: pass an int of at least {minimum}."
        )
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}: pass a larger integer.")
    return number


def seed(name: str, value: Any) -> int:
    """Return ``value`` as a seed, an int that `jax.random.fold_in` takes: 0 to ``2**31 - 1``."""
    number = positive_integer(name, value, 0)
    if number > LARGEST_SEED:
        raise ValueError(
            f"{name} must be at most 2**31 - 1 = {LARGEST_SEED}, got {_shown(number)}: pass a "
            "smaller one."
        )
    return number


def boolean(name: str, value: Any) -> bool:
    """Return ``value`` as a Python bool, or say why it is neither True nor False."""
    if _kind(value) != "b" or _shape(value):
        raise TypeError(
            f"{name} must be True or False, got {_shown(value)}: pass a bool, not its name or "
            "a number."
        )
    return bool(value)


def configurations(name: str, value: Any) -> Array:
    """Return configurations as an array of JAX, or say what to pass in their place."""
    try:
        return jnp.asarray(value)
    except TypeError:
        raise TypeError(
            f"{name} must be configurations, a row of numbers for each, got {_shown(value)}: pass "
            "an array, such as system.sample(key, 4096)."
        ) from None


def probabilities(name: str, value: Any) -> Float[np.ndarray, " outcomes"]:
    """Return a law of n spins as an array ``(2**n,)`` float64, or say why it is none.

    Negative values of the size of rounding (above -1e-6) become 0; larger ones, and a sum that is
    farther than 1e-6 from 1, are refused.
    """
    law = np.array(value)
    if law.dtype.kind not in "iuf":
        raise TypeError(
            f"{name} must be real numbers, got dtype {law.dtype}: pass an array of floats."
        )
    law = law.astype(float)
    if law.ndim != 1 or len(law) < 2 or len(law) & (len(law) - 1):
        raise ValueError(
            f"{name} must have shape (2**n,), one entry for each state of n spins, got shape "
            f"{law.shape}: pass all states, those that never occur with 0."
        )
    bad = np.flatnonzero(~np.isfinite(law) | (law < -ROUNDING))
    if len(bad):
        raise ValueError(
            f"{name} must be finite and not negative, entry {bad[0]} is {law[bad[0]]}: mend what "
            "made it."
        )
    if abs(law.sum() - 1) > ROUNDING:
        raise ValueError(
            f"{name} must sum to 1 within {ROUNDING:.0e}, the sum is {law.sum():.12g}: divide them "
            "by it."
        )
    return np.maximum(law, 0.0)


def key(name: str, value: Any) -> PRNGKeyArray:
    """Return ``value`` if it is one typed JAX key; the old style (uint32 arrays) is refused."""
    if not isinstance(value, jax.Array) or not jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        raise TypeError(
            f"{name} must be a typed JAX key, got {type(value).__name__}: make one with "
            "`jax.random.key(0)`."
        )
    if value.shape:
        raise ValueError(
            f"{name} must be a single key, got an array of shape {value.shape}: pass one of its "
            "elements."
        )
    return value


def _kind(value: Any) -> str:
    """NumPy's letter for the type of a value, "O" where it has none of its own."""
    if isinstance(value, bool | str | bytes):
        return np.dtype(type(value)).kind
    return getattr(getattr(value, "dtype", None), "kind", "O")


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))


def _shown(value: Any) -> str:
    return f"an array of shape {_shape(value)}" if _shape(value) else reprlib.repr(value)
