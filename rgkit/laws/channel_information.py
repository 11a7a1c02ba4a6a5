"""Mutual information through the Gaussian channel: streamed over tiles of the batch, in value and gradient."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from rgkit import _validation
from rgkit.kernels.network import FCNetwork, GaussianChannel

TILE_ENTRIES = 2**20
SHARED_NEIGHBOURS = 10
FEWEST_ROWS = 5


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
