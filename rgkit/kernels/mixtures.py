"""Mean log densities of mixtures of noisy features, streamed over tiles: value and gradient."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

TILE_ENTRIES = 2**20


def mean_log_mixture(
    log_density: Callable,
    y: Float[Array, "R n"],
    centres: Float[Array, "M n"],
    row_weights: Float[Array, " R"],
    weights: Float[Array, " M"],
) -> Float[Array, ""]:
    r"""Mean log density over points of a mixture of noisy features.

    .. math:: \sum_m v_m \ln \sum_k w_k \prod_j g(y_{mj} - f_{kj})

    Tiles of rows are streamed and computed anew for the gradient.

    Arguments:
        log_density: ``ln g`` of the noise of one feature, entry by entry.
        y: points, ``(R, n)``.
        centres: features f without noise, ``(M, n)``.
        row_weights: v, ``(R,)``.
        weights: w, ``(M,)``; centres of weight zero count nowhere.
    """
    log_weights = jnp.log(weights)

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def tile(total, part):
        points, share = part
        logits = log_density(points[:, None] - centres[None]).sum(-1) + log_weights[None]
        return total + share @ jax.nn.logsumexp(logits, axis=1), None

    parts = tiles(len(centres) * y.shape[1], y, row_weights)
    return jax.lax.scan(tile, jnp.zeros((), y.dtype), parts)[0]


def log_weighted_gaussian(
    y: Float[Array, "R n"],
    centres: Float[Array, "M n"],
    log_weights: Float[Array, " M"],
    noise: float,
) -> Float[Array, "R M"]:
    """``ln w_k - |y_m - f_k|**2 / (2 noise)`` for rows m and centres k, as one matrix product."""
    constant = log_weights - jnp.sum(centres**2, axis=1) / (2 * noise)
    keys = jnp.concatenate([centres / noise, constant[:, None]], axis=1)
    products = jnp.matmul(_with_ones(y), keys.T, precision=jax.lax.Precision.HIGHEST)
    return products - jnp.sum(y**2, axis=1, keepdims=True) / (2 * noise)


def _with_ones(rows):
    return jnp.concatenate([rows, jnp.ones((len(rows), 1), rows.dtype)], axis=1)


def tiles(n_entries: int, *rows: Array) -> tuple[Array, ...]:
    """Rows cut into tiles, ``(M, ...)`` to ``(tiles, size, ...)``, with zeros behind.

    Arguments:
        n_entries: what one row makes, of which a tile has at most `TILE_ENTRIES`.
        rows: arrays of equally many rows.
    """
    size = max(1, min(len(rows[0]), TILE_ENTRIES // n_entries))
    count = -(-len(rows[0]) // size)
    padded = (
        jnp.pad(array, ((0, count * size - len(array)),) + ((0, 0),) * (array.ndim - 1))
        for array in rows
    )
    return tuple(array.reshape(count, size, *array.shape[1:]) for array in padded)


def mean_log_gaussians(
    y: Float[Array, "R n"],
    centres: Float[Array, "M n"],
    row_weights: Float[Array, " R"],
    weights: Float[Array, " M"],
    noise: float,
) -> Float[Array, ""]:
    r"""The same for Gaussian noise, up to the constant of the density.

    .. math:: \sum_m v_m \ln \sum_k w_k\, e^{-|y_m - f_k|^2/(2\sigma^2)}

    Tiles of rows are streamed, each three matrix products, so that memory grows as the batch and
    not as its square. The gradient in y and f is gathered in the same pass (the exponentials are
    computed once); none is passed to the weights.

    Arguments:
        y: points, ``(R, n)``.
        centres: centres f of the mixture, ``(M, n)``.
        row_weights: v, ``(R,)``.
        weights: w, ``(M,)``; centres of weight zero count nowhere.
        noise: variance of the channel, a Python float.
    """
    return jnp.asarray(_mean_log_gaussians(y, centres, row_weights, weights, noise))


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def _mean_log_gaussians(y, centres, row_weights, weights, noise):
    log_weights = jnp.log(weights)

    def tile(total, part):
        points, share = part
        logits = log_weighted_gaussian(points, centres, log_weights, noise)
        return total + share @ jax.nn.logsumexp(logits, axis=1), None

    return jax.lax.scan(tile, jnp.zeros((), y.dtype), tiles(len(centres), y, row_weights))[0]


def _mean_log_gaussians_forward(y, centres, row_weights, weights, noise):
    log_weights, extended = jnp.log(weights), _with_ones(centres)

    def tile(carry, part):
        total, pulls = carry
        points, share = part
        logits = log_weighted_gaussian(points, centres, log_weights, noise)
        top = jax.lax.stop_gradient(jnp.max(logits, axis=1, keepdims=True))
        masses = jnp.exp(logits - top)
        sums = masses @ extended
        scale = share / sums[:, -1]
        total += share @ (top[:, 0] + jnp.log(sums[:, -1]))
        pulls += masses.T @ (scale[:, None] * _with_ones(points))
        return (total, pulls), scale[:, None] * sums[:, :-1] - share[:, None] * points

    start = jnp.zeros((), y.dtype), jnp.zeros_like(extended)
    (total, pulls), slopes = jax.lax.scan(tile, start, tiles(len(centres), y, row_weights))
    in_y = slopes.reshape(-1, y.shape[1])[: len(y)] / noise
    in_centres = (pulls[:, :-1] - pulls[:, -1:] * centres) / noise
    return total, (in_y, in_centres)


def _mean_log_gaussians_backward(noise, slopes, cotangent):
    in_y, in_centres = slopes
    none = (jnp.zeros(len(slope), slope.dtype) for slope in slopes)
    return cotangent * in_y, cotangent * in_centres, *none


_mean_log_gaussians.defvjp(_mean_log_gaussians_forward, _mean_log_gaussians_backward)
