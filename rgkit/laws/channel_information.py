"""Mutual information through the Gaussian channel: streamed over tiles of the batch, in value and gradient."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rgkit import _validation
from rgkit.kernels.network import FCNetwork, GaussianChannel

TILE_ENTRIES = 2**20
SHARED_NEIGHBOURS = 10
FEWEST_ROWS = 5


def _log_weighted_density(y, centres, log_weights, noise):
    r"""``ln w_k - |y_m - f_k|**2 / (2 noise)`` for rows m and centres k, ``(rows, M)``, as one matrix product."""
    constant = log_weights - jnp.sum(centres**2, axis=1) / (2 * noise)
    keys = jnp.concatenate([centres / noise, constant[:, None]], axis=1)
    products = jnp.matmul(_with_ones(y), keys.T, precision=jax.lax.Precision.HIGHEST)
    return products - jnp.sum(y**2, axis=1, keepdims=True) / (2 * noise)


def _with_ones(rows):
    return jnp.concatenate([rows, jnp.ones((len(rows), 1), rows.dtype)], axis=1)


def _tiles(n_centres, *rows):
    """Arrays of rows cut into tiles of at most `TILE_ENTRIES` entries: ``(M, ...)`` to ``(tiles, size, ...)``, zeros behind."""
    size = max(1, min(len(rows[0]), TILE_ENTRIES // n_centres))
    count = -(-len(rows[0]) // size)
    padded = (
        jnp.pad(array, ((0, count * size - len(array)),) + ((0, 0),) * (array.ndim - 1))
        for array in rows
    )
    return tuple(array.reshape(count, size, *array.shape[1:]) for array in padded)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def mean_log_mixture(y, centres, row_weights, weights, noise: float) -> Float[Array, ""]:
    r"""Mean log density of a Gaussian mixture over points, up to the constant of the density.

    .. math:: \sum_m v_m \ln \sum_k w_k\, e^{-|y_m - f_k|^2/(2\sigma^2)}

    Tiles of rows are streamed, each three matrix products, so memory grows as the batch and not as its square. The
    gradient in y and f is gathered in the same pass (the exponentials are computed once); none is passed to the weights.

    Arguments:
        y: points, ``(R, n)``.
        centres: centres f of the mixture, ``(M, n)``.
        row_weights: v, ``(R,)``.
        weights: w, ``(M,)``; centres of weight zero count nowhere.
        noise: variance of the channel, a Python float.
    """
    log_weights = jnp.log(weights)

    def tile(total, part):
        points, share = part
        logits = _log_weighted_density(points, centres, log_weights, noise)
        return total + share @ jax.nn.logsumexp(logits, axis=1), None

    return jax.lax.scan(tile, jnp.zeros((), y.dtype), _tiles(len(centres), y, row_weights))[0]


def _mean_log_mixture_forward(y, centres, row_weights, weights, noise):
    log_weights, extended = jnp.log(weights), _with_ones(centres)

    def tile(carry, part):
        total, pulls = carry
        points, share = part
        logits = _log_weighted_density(points, centres, log_weights, noise)
        top = jax.lax.stop_gradient(jnp.max(logits, axis=1, keepdims=True))
        masses = jnp.exp(logits - top)
        sums = masses @ extended
        scale = share / sums[:, -1]
        total += share @ (top[:, 0] + jnp.log(sums[:, -1]))
        pulls += masses.T @ (scale[:, None] * _with_ones(points))
        return (total, pulls), scale[:, None] * sums[:, :-1] - share[:, None] * points

    start = jnp.zeros((), y.dtype), jnp.zeros_like(extended)
    (total, pulls), slopes = jax.lax.scan(tile, start, _tiles(len(centres), y, row_weights))
    in_y = slopes.reshape(-1, y.shape[1])[: len(y)] / noise
    in_centres = (pulls[:, :-1] - pulls[:, -1:] * centres) / noise
    return total, (in_y, in_centres)


def _mean_log_mixture_backward(noise, slopes, cotangent):
    in_y, in_centres = slopes
    none = (jnp.zeros(len(slope), slope.dtype) for slope in slopes)
    return cotangent * in_y, cotangent * in_centres, *none


mean_log_mixture.defvjp(_mean_log_mixture_forward, _mean_log_mixture_backward)


def batch_information(
    features, weights, channel: GaussianChannel, key, draws: int | None = None
) -> Float[Array, ""]:
    r"""Information that one noisy draw for a row carries on which row of the batch it came from, in nats.

    .. math:: \sum_m v_m \Big[ \ln P(y_m|x_m) - \ln \sum_k w_k P(y_m|x_k) \Big], \qquad y_m = f_m + \sigma z_m.

    With independent rows of equal weight it is a lower bound on I(x;y) in expectation, at most the logarithm of the
    batch size. With all configurations and their probabilities its expectation over the noise z is I(x;y) itself.

    Arguments:
        features: f, ``(M, n)``.
        weights: w, ``(M,)``, summing to one.
        channel: the `GaussianChannel`; its power is not used here.
        key: a typed JAX key for the noise.
        draws: how many of the rows, from the first on, make a draw (v is w on these, summing to one); None for all. The
            time is ``draws * M``; the bias falls with M, the spread with the draws.

    Reference: B. Poole et al., ICML 2019, arXiv:1905.06922, sec. 2.
    """
    shares = weights[:draws] / jnp.sum(weights[:draws])
    z = jax.random.normal(key, features[:draws].shape, features.dtype)
    own = shares @ jnp.sum(z**2, axis=1) / 2
    return -own - mean_log_mixture(
        features[:draws] + channel.noise**0.5 * z, features, shares, weights, channel.noise
    )


@dataclasses.dataclass(frozen=True)
class InformationBounds:
    """Lower and upper estimates of I(x;y), and of the distance to white noise that follows from them, in nats.

    Attributes:
        lower, upper: the estimates of I; each is a bound in expectation over the sample.
        lower_error, upper_error: their standard errors.
        divergence_lower, divergence_upper: estimates of ``D(q||N(0, (P + noise) 1))`` for the law q of the noisy features.
        divergence_lower_error, divergence_upper_error: their standard errors. Near the capacity they are far smaller than
            those of I, whose spread is mostly that of the power; the divergence depends on the power in second order only.
        limit: ``ln M``, which the lower estimate cannot pass.
        flags: reasons for caution.
    """

    lower: float
    upper: float
    lower_error: float
    upper_error: float
    divergence_lower: float
    divergence_upper: float
    divergence_lower_error: float
    divergence_upper_error: float
    limit: float
    flags: tuple[str, ...] = ()


def information_bounds(network: FCNetwork, samples, key) -> InformationBounds:
    r"""Lower and upper estimates of I(x;y) through a Gaussian channel, from independent configurations.

    .. math:: \frac1M \sum_m \Big[ \ln P(y_m|x_m) - \ln \frac{1}{M} \sum_k P(y_m|x_k) \Big] \qquad \text{(lower)}

    The upper one leaves ``k = m`` out of the sum and divides by ``M - 1``. The truth lies between their expectations.
    The terms are regressed on :math:`|z_m|^2 - n` and :math:`f_m \cdot z_m`, whose means are known to be zero.
    Memory grows as M, time as its square. By the gap identity the divergence of the noisy features from white noise is

    .. math:: D = \tfrac n2 \ln(1 + P/\sigma^2) - I - \frac{nP - \langle |f|^2 \rangle}{2 (P + \sigma^2)}.

    Arguments:
        network: a `FCNetwork` with a `GaussianChannel`, with its power frozen (see `FCNetwork.normalized`).
        samples: configurations, ``(M, N)`` with M at least 5, none of them used in training.
        key: a typed JAX key for the noise.

    Returns:
        `InformationBounds`; a flag where the lower estimate is within ``ln 10`` of ``ln M``: then fewer than about ten
        rows share the noise of one, and the two estimates part.

    Raises:
        TypeError, ValueError: naming the argument, for a spin channel or samples that do not fit.

    Reference: B. Poole et al., ICML 2019, arXiv:1905.06922, sec. 2.
    """
    network.require(GaussianChannel, "information_bounds")
    key, features, channel = _validation.key("key", key), network.batch(samples), network.channel
    if len(features) < FEWEST_ROWS:
        raise ValueError(
            f"samples must have at least {FEWEST_ROWS} rows, got {len(features)}: pass (M, N) configurations."
        )
    lower, upper, controls, squares = (
        np.asarray(rows, float) for rows in _rows(features, key, channel.noise)
    )
    # the logarithms are added in float64, so that rounding lifts no estimate above its limit
    (M, n), limit = features.shape, math.log(len(features))
    lower, upper = lower + limit, upper + math.log(M - 1)
    at_capacity = n * channel.capacity() - (n * channel.power - squares) / (
        2 * (channel.power + channel.noise)
    )
    (low, low_error), (high, high_error) = _intercept(lower, controls), _intercept(upper, controls)
    (near, near_error), (far, far_error) = (
        _intercept(at_capacity - terms, controls) for terms in (upper, lower)
    )
    saturated = low > limit - math.log(SHARED_NEIGHBOURS)
    flags = (f"lower is near its limit ln M = {limit:.2f}: pass more samples",) if saturated else ()
    return InformationBounds(
        low, high, low_error, high_error, near, far, near_error, far_error, limit, flags
    )


def _intercept(terms, controls):
    """Mean of the terms with the controls, ``(M, c)`` of mean zero, regressed out; and its standard error."""
    design = np.concatenate([np.ones((len(terms), 1)), controls], axis=1)
    fit = np.linalg.lstsq(design, terms, rcond=None)[0]
    rest = terms - design @ fit
    return float(fit[0]), float(np.sqrt(rest @ rest / (len(terms) - design.shape[1]) / len(terms)))


@functools.partial(jax.jit, static_argnums=2)
def _rows(features, key, noise):
    """The terms of both estimates, ``(M,)``, without ln M and ln(M - 1); their controls, ``(M, 2)``; and ``|f|**2``."""
    M, n = features.shape
    z = jax.random.normal(key, features.shape, features.dtype)
    own, equal = -jnp.sum(z**2, axis=1) / 2, jnp.zeros(M, features.dtype)

    def tile(part):
        points, rows = part
        logits = _log_weighted_density(points, features, equal, noise)
        return jax.nn.logsumexp(
            jnp.where(rows[:, None] == jnp.arange(M)[None], -jnp.inf, logits), axis=1
        )

    tiles = _tiles(M, features + noise**0.5 * z, jnp.arange(M))
    others = jax.lax.map(tile, tiles).reshape(-1)[:M]
    controls = jnp.stack([-2 * own - n, jnp.sum(features * z, axis=1)], axis=1)
    return own - jnp.logaddexp(own, others), own - others, controls, jnp.sum(features**2, axis=1)
