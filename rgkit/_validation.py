"""Checks of arguments: each error names the argument, what was wrong and the mend."""

import math
import numbers

import jax


def real(name: str, value) -> float:
    """Return ``value`` as a Python float, or say why it is not a finite real number."""
    if isinstance(value, complex) or getattr(getattr(value, "dtype", None), "kind", "") == "c":
        raise TypeError(
            f"{name} must be real, got the complex number {value!r}: pass its real part."
        )
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a real number, got {value!r}: pass a float.") from None
    if not math.isfinite(number):
        raise ValueError(
            f"{name} must be finite, got {number}: fixed points at infinity are in `.fixed_points()`."
        )
    return number


def positive_integer(name: str, value, minimum: int = 1) -> int:
    """Return ``value`` as an int of at least ``minimum``, or say why it is not one."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"{name} must be an integer, got {value!r}: pass an int of at least {minimum}."
        )
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}.")
    return int(value)


def key(name: str, value) -> jax.Array:
    """Return ``value`` if it is one typed JAX key; keys of the old style (uint32 arrays) are refused."""
    if not isinstance(value, jax.Array) or not jax.dtypes.issubdtype(
        value.dtype, jax.dtypes.prng_key
    ):
        raise TypeError(
            f"{name} must be a typed JAX key, got {type(value).__name__}: make one with `jax.random.key(0)`."
        )
    if value.shape:
        raise ValueError(
            f"{name} must be a single key, got an array of shape {value.shape}: pass one of its elements."
        )
    return value
