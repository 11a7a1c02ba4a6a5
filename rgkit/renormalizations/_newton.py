"""Slopes and fixed points of functions that are known as numbers only."""

from collections.abc import Callable

import numpy as np
import scipy.stats
from jaxtyping import Float

N_STARTS, BOX = 32, 2.0
UNRESOLVED = 1e-10


def slopes(function: Callable, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k k"]:
    r"""Return :math:`\partial f_i/\partial\theta_j` by central differences, ``(k, k)``.

    Those of two step sizes are extrapolated (Richardson), which leaves about 1e-11 of the slopes.
    A slope that is smaller than 1e-10 beside them cannot be told from none and is 0: so a direction
    that is super-attractive comes out as one.
    """
    columns = []
    for step in np.diag(1e-3 * np.maximum(np.abs(theta), 1e-2)):
        wide, narrow = (
            (function(theta + part * step) - function(theta - part * step)) / (2 * part)
            for part in (1.0, 0.5)
        )
        columns.append((4 * narrow - wide) / 3 / step.sum())
    matrix = np.column_stack(columns)
    matrix[np.abs(matrix) < UNRESOLVED * max(1.0, np.abs(matrix).max())] = 0.0
    return matrix


def starts(n_couplings: int) -> Float[np.ndarray, "starts k"]:
    """Return the origin, and points spread evenly in the box of couplings from -2 to 2."""
    spread = scipy.stats.qmc.Halton(n_couplings, scramble=False).random(N_STARTS)
    return np.vstack([np.zeros(n_couplings), BOX * (2 * spread - 1)])


def root(
    motion: Callable, matrix: Callable, start: Float[np.ndarray, " k"]
) -> Float[np.ndarray, " k"] | None:
    """Return where Newton's method takes a point, or None where it does not settle.

    Arguments:
        motion: a function of a vector, ``(k,)`` to ``(k,)``, whose root is looked for.
        matrix: its derivatives, ``(k,)`` to ``(k, k)``.
        start: where to begin; a step is at most half a unit long.
    """
    theta = start
    for _ in range(50):
        move = np.linalg.lstsq(matrix(theta), motion(theta))[0]
        theta = theta - move / max(1.0, 2 * np.abs(move).max())
        if not np.isfinite(theta).all():
            return None
        if np.abs(move).max() <= 1e-13 * max(1.0, np.abs(theta).max()):
            return np.where(np.abs(theta) < 1e-12, 0.0, theta)
    return None
