"""Products and powers of positive matrices, by the logarithms of their elements."""

import numpy as np
from jaxtyping import Float


def log_product(
    log_a: Float[np.ndarray, "... p q"], log_b: Float[np.ndarray, "... q r"]
) -> Float[np.ndarray, "... p r"]:
    """Elementwise logarithm of AB from those of A and B, whose leading axes broadcast."""
    return np.logaddexp.reduce(log_a[..., :, :, None] + log_b[..., None, :, :], axis=-2)


def log_power(log_matrix: Float[np.ndarray, "q q"], exponent: int) -> Float[np.ndarray, "q q"]:
    """Elementwise logarithm of ``T**exponent`` from that of T, by repeated squaring.

    Arguments:
        log_matrix: ``ln T``, ``(q, q)``, finite.
        exponent: at least 0; the power 0 is the identity, with -inf off its diagonal.
    """
    if exponent == 0:
        return np.where(np.eye(len(log_matrix)), 0.0, -np.inf)
    if exponent == 1:
        return log_matrix
    half = log_power(log_matrix, exponent // 2)
    square = log_product(half, half)
    return log_product(square, log_matrix) if exponent % 2 else square


def log_powers(log_matrix: Float[np.ndarray, "q q"], count: int) -> Float[np.ndarray, "count q q"]:
    """Elementwise logarithms of ``T**0, ..., T**(count - 1)``, ``(count, q, q)``, by doubling."""
    powers, next_power = log_power(log_matrix, 0)[None], log_matrix
    while len(powers) < count:
        powers = np.concatenate([powers, log_product(powers, next_power)])
        next_power = log_product(next_power, next_power)
    return powers[:count]
