"""The moments of the field of one site."""

from typing import Any

import numpy as np
from jaxtyping import Float

from rgkit.systems.measures import site_measure


def even_moments(points: Any, weights: Any, order: int) -> Float[np.ndarray, " m"]:
    """Return the moments of degree 0, 2, ..., 2 order of a law, shape ``(order + 1,)``."""
    points, weights = site_measure(points, weights)
    with np.errstate(over="ignore", under="ignore"):
        moments = weights @ points[:, None] ** (2 * np.arange(order + 1))
    if not (np.isfinite(moments).all() and moments[1] > 0):
        raise ValueError(
            f"points reach {np.abs(points).max():.3g}, and their moments leave float64: measure "
            "the field in a unit of its size."
        )
    return moments
