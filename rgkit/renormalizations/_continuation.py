"""The Wilson-Fisher point of a truncation, followed down from four dimensions."""

import numpy as np
from jaxtyping import Float

from rgkit.renormalizations._expansions import Expansion


def follow(expansion: Expansion, dimension: float) -> Float[np.ndarray, " k"] | None:
    """Return the coefficients of the point that leaves the Gaussian one at d = 4, or None if lost.

    The first point is found by fixing its quartic coefficient, small but not zero, and solving for
    the dimension: that excludes the Gaussian point, which is a root too.
    """
    before, here, step = (4.0, expansion.gaussian(4.0)), _leaving(expansion, quartic=1e-3), 0.1
    while here[0] != dimension:
        reach = min(max(dimension, here[0] - step), here[0] + step)
        theta = _arrived(expansion, _extrapolated(before, here, reach), reach)
        if theta is not None:
            before, here, step = here, (reach, theta), min(2 * step, 0.1)
        elif step < 1e-4:
            return None
        else:
            step /= 2
    return here[1]


def _leaving(expansion: Expansion, quartic: float) -> tuple[float, Float[np.ndarray, " k"]]:
    """Return a dimension just below four, and the point there with this quartic coefficient."""
    theta, dimension = expansion.gaussian(4.0), 4.0
    theta[1] = quartic
    for _ in range(8):
        matrix = expansion.jacobian(theta.tolist(), dimension)
        matrix[:, 1] = expansion.slope_in_dimension(theta.tolist(), dimension)
        step = np.linalg.solve(matrix, expansion.beta(theta.tolist(), dimension))
        dimension, step[1] = float(dimension - step[1]), 0.0
        theta = theta - step
    return dimension, theta


def _extrapolated(
    before: tuple[float, np.ndarray], here: tuple[float, np.ndarray], dimension: float
) -> Float[np.ndarray, " k"]:
    return here[1] + (here[1] - before[1]) * (dimension - here[0]) / (here[0] - before[0])


def _arrived(
    expansion: Expansion, guess: Float[np.ndarray, " k"], dimension: float
) -> Float[np.ndarray, " k"] | None:
    """Return the root that Newton's method reaches, or None where that is not the one meant."""
    theta = guess
    with np.errstate(all="ignore"):
        for _ in range(8):
            step = np.linalg.solve(
                expansion.jacobian(theta.tolist(), dimension),
                expansion.beta(theta.tolist(), dimension),
            )
            theta = theta - step
            if not (np.isfinite(theta).all() and 0.5 < theta[1] / guess[1] < 2):
                return None
            if np.abs(step).max() <= 1e-12 * max(1.0, np.abs(theta).max()):
                return theta
    return None
