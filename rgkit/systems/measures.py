"""Measures that users give as points and weights, checked."""

from typing import Any

import numpy as np
from jaxtyping import Float


def real_array(name: str, values: Any) -> Float[np.ndarray, "..."]:
    """The values as float64; TypeError naming the argument where they are no real numbers."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(
            f"{name} must be real numbers, got dtype {array.dtype}: pass a list or an array of "
            "floats."
        )
    return array.astype(np.float64)


def site_measure(
    points: Any, weights: Any
) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
    """The values of the field of a site and their probabilities, not all of them at zero.

    Arguments:
        points: values, ``(p,)``.
        weights: their weights, ``(p,)``, equal if None.

    Raises:
        TypeError, ValueError: where they are no such measure.
    """
    points = real_array("points", points)
    weights = np.ones(points.shape) if weights is None else real_array("weights", weights)
    if points.ndim != 1 or weights.shape != points.shape or not points.size:
        raise ValueError(
            f"points and weights must have one shape (p,), got {points.shape} and {weights.shape}: "
            "pass a weight for each point."
        )
    if not (np.isfinite(points).all() and (weights >= 0).all() and 0 < weights.sum() < np.inf):
        raise ValueError(
            "points must be finite and weights finite, not negative and not all zero: pass a "
            "measure."
        )
    if not points[weights > 0].any():
        raise ValueError(
            "points must not all be zero: the field of a site would be constant; pass one that is "
            "not."
        )
    return points, weights / weights.sum()
