"""The law of the field of one site: its moments, checked."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float


def even_moments(points: Any, weights: Any, order: int) -> Float[np.ndarray, " m"]:
    """Return the moments of degree 0, 2, ..., 2 order of a law, shape ``(order + 1,)``."""
    points = _real_array("points", points)
    weights = np.ones(points.shape) if weights is None else _real_array("weights", weights)
    if points.ndim != 1 or weights.shape != points.shape or not points.size:
        raise ValueError(
            f"points and weights must have one shape (p,), got {points.shape} and {weights.shape}: "
            "pass a weight for each point."
        )
    if not (np.isfinite(points).all() and (weights >= 0).all() and 0 < weights.sum() < math.inf):
        raise ValueError(
            "points must be finite and weights finite, not negative and not all zero: pass a "
            "measure."
        )
    with np.errstate(over="ignore", under="ignore"):
        moments = (weights / weights.sum()) @ points[:, None] ** (2 * np.arange(order + 1))
    if not points[weights > 0].any():
        raise ValueError(
            "points must not all be zero: the field of a site would be constant; pass one that is "
            "not."
        )
    if not (np.isfinite(moments).all() and moments[1] > 0):
        raise ValueError(
            f"points reach {np.abs(points).max():.3g}, and their moments leave float64: measure "
            "the field in a unit of its size."
        )
    return moments


def _real_array(name: str, values: Any) -> Float[np.ndarray, "..."]:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(
            f"{name} must be real numbers, got dtype {array.dtype}: pass a list or an array of "
            "floats."
        )
    return array.astype(np.float64)
