"""The Walsh-Hadamard transform: a function of n spins by its coefficients on all subsets."""

import math

import numpy as np
from jaxtyping import ArrayLike, Float
from scipy.linalg import hadamard

SPINS_AT_ONCE, SMALL_ROWS, SMALL_COLUMNS = 4, 32, 128


def walsh_hadamard(values: ArrayLike) -> Float[np.ndarray, "... outcomes"]:
    r"""Fast Walsh-Hadamard transform, :math:`\hat v_S = \sum_y v(y) \prod_{j \in S} y_j`.

    It takes ``n 2**n`` additions.

    Arguments:
        values: ``(..., 2**n)``, indexed as outcomes: spin j is +1 where bit j of the index is 0.

    Returns:
        ``(..., 2**n)`` float64; bit j of the index of S says whether j is in S. Applied twice it
        multiplies by ``2**n``.

    Raises:
        ValueError: where the last axis is of another length.
    """
    source = np.array(values, dtype=float, order="C")
    if not source.ndim or not source.shape[-1] or source.shape[-1] & (source.shape[-1] - 1):
        raise ValueError(
            f"values must have 2**n entries in their last axis, got shape {source.shape}: pass one "
            "for each of the 2**n states."
        )
    n, target = source.shape[-1].bit_length() - 1, np.empty_like(source)
    for first in range(0, n, SPINS_AT_ONCE):
        _transform_spins(source, target, first, min(SPINS_AT_ONCE, n - first))
        source, target = target, source
    return source


def _transform_spins(source, target, first, count):
    """Transform in some spins: products of small matrices, which stay in the cache."""
    matrix = hadamard(2**count).astype(float)
    if not first:
        shape = -1, math.gcd(source.size // 2**count, SMALL_ROWS), 2**count
        np.matmul(source.reshape(shape), matrix, out=target.reshape(shape))
        return
    width = min(2**first, SMALL_COLUMNS)
    source, target = (
        a.reshape(-1, 2**count, 2**first // width, width).swapaxes(1, 2) for a in (source, target)
    )
    np.matmul(matrix, source, out=target)
