"""Mean and covariance of sums along a chain: products of transfer matrices that carry two orders of their statistics."""

import numpy as np


def weighted_moments(weights, statistics):
    """Weights ``(q, q)``, weights times statistics ``(k, q, q)``, and times their products ``(k, k, q, q)``."""
    return weights, statistics * weights, statistics[:, None] * statistics * weights


def moment_product(a, b):
    """Moments of the sum of the statistics of two stretches of a chain, from the `weighted_moments` of each."""
    cross = a[1][:, None] @ b[1]
    return (
        a[0] @ b[0],
        a[1] @ b[0] + a[0] @ b[1],
        a[2] @ b[0] + a[0] @ b[2] + cross + np.swapaxes(cross, 0, 1),
    )


def moment_power(moments, exponent: int):
    """Moments of ``exponent`` equal stretches, by repeated squaring."""
    if exponent == 1:
        return moments
    half = moment_power(moments, exponent // 2)
    square = moment_product(half, half)
    return moment_product(square, moments) if exponent % 2 else square
