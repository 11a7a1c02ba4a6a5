"""Mutual information through a channel that adds noise, from below and from above."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit import _validation
from rgkit.kernels.channels import AbstractNoiseChannel
from rgkit.kernels.mixtures import tiles
from rgkit.kernels.network import Network

SHARED_NEIGHBOURS = 10
FEWEST_ROWS = 5
ROUNDED = 0.05  # of the noise: then the information moves by about a thousandth of a nat
DISAGREEMENT = 7  # standard errors
ENOUGH_DRAWS = 1000


@dataclasses.dataclass(frozen=True)
class InformationBounds:
    """Lower and upper estimates of I(x;y), and of the distance to white noise, in nats.

    Attributes:
        lower, upper: the estimates of I; each is a bound in expectation over the sample.
        lower_error, upper_error: their standard errors.
        divergence_lower, divergence_upper: estimates of ``D(q||N(0, (P + noise) 1))`` for the law q
            of the noisy features, which follow from those of I.
        divergence_lower_error, divergence_upper_error: their standard errors. Near the capacity
            they are far smaller than those of I, whose spread is mostly that of the power; the
            divergence depends on the power in second order only.
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


def information_bounds(
    network: Network, samples: Num[Array | np.ndarray, "M N"], key: PRNGKeyArray
) -> InformationBounds:
    r"""Lower and upper estimates of I(x;y) through added noise, from independent configurations.

    .. math:: \frac1M \sum_m \Big[ \ln P(y_m|x_m) - \ln \frac{1}{M} \sum_k P(y_m|x_k) \Big]
              \qquad \text{(lower)}

    The upper one leaves ``k = m`` out of the sum and divides by ``M - 1``. The truth lies between
    their expectations. The terms are regressed on what is known to have mean zero: the logarithm of
    the density of the noise plus its entropy, and :math:`f_m \cdot z_m`. Memory grows as M, time as
    its square. The features are computed in the precision of the network, all else is float64
    whatever ``jax_enable_x64`` says. By the gap identity the divergence of the noisy features from
    white noise is, with C the capacity of a feature,

    .. math:: D = n C - I - \frac{nP - \langle |f|^2 \rangle}{2 (P + \sigma^2)}.

    Arguments:
        network: a network with a `GaussianChannel` or a noise of your own, with its power
            frozen (see `rgkit.Network.normalized`).
        samples: configurations, ``(M, N)`` with M at least 5, none of them used in training.
        key: a typed JAX key for the noise.

    Returns:
        `InformationBounds`; a flag where the lower estimate is within ``ln 10`` of ``ln M``: then
        fewer than about ten rows share the noise of one, and the two estimates part; and one where
        the precision of the network rounds its features by more than 1/20 of the noise.

    Raises:
        TypeError, ValueError: naming the argument, for a spin channel, samples that do not fit, or
            a channel whose noise has not the variance or the entropy that it states.

    Reference: B. Poole et al., ICML 2019, arXiv:1905.06922, sec. 2.
    """
    channel, key = network.noise_channel("information_bounds"), _validation.key("key", key)
    features = network.batch(_validation.configurations("samples", samples))
    if len(features) < FEWEST_ROWS:
        raise ValueError(
            f"samples must have at least {FEWEST_ROWS} rows, got {len(features)}: pass (M, N) "
            "configurations."
        )
    noise = channel.draw_noise(key, features.shape, features.dtype)
    f, z = np.asarray(features, float), np.asarray(noise, float)
    if not np.isfinite(f).all():
        raise ValueError(
            "samples must have finite features under the network, row "
            f"{np.flatnonzero(~np.isfinite(f).all(1))[0]} has {f[~np.isfinite(f)][0]}: mend the "
            "samples, or the weights of the network."
        )
    with jax.enable_x64(True):
        own, others = (
            np.asarray(rows) for rows in _log_densities(channel, *map(jnp.asarray, (f, z)))
        )
        rounding = _rounding(network, samples, f)
    (M, n), limit = f.shape, math.log(len(f))
    surprise = own + n * channel.noise_entropy()
    _check_noise(channel, z, surprise)
    lower, upper = own - np.logaddexp(own, others) + limit, own - others + math.log(M - 1)
    variance = channel.output_variance
    at_capacity = n * channel.capacity() - (n * channel.power - np.sum(f**2, axis=1)) / 2 / variance
    # in units of their size, so that none is taken for rounding
    products = np.sum(f * z, axis=1) / (channel.power * channel.noise) ** 0.5
    controls = np.stack([surprise, products], axis=1)
    (low, low_error), (high, high_error) = _intercept(lower, controls), _intercept(upper, controls)
    (near, near_error), (far, far_error) = (
        _intercept(at_capacity - terms, controls) for terms in (upper, lower)
    )
    flags = _flags(low, high, limit, rounding / channel.noise**0.5, network.dtype)
    return InformationBounds(
        low, high, low_error, high_error, near, far, near_error, far_error, limit, flags
    )


def _flags(
    lower: float, upper: float, limit: float, rounding: float, dtype: np.dtype
) -> tuple[str, ...]:
    reasons = (
        (
            lower > limit - math.log(SHARED_NEIGHBOURS),
            f"lower is near its limit ln M = {limit:.2f}: pass more samples",
        ),
        (
            math.isinf(upper),
            "upper is infinite: some row lies beyond the noise of all others; pass more samples",
        ),
        (
            rounding > ROUNDED,
            f"{dtype} rounds the features by {rounding:.2g} of the noise: raise the noise, or "
            "build the network with dtype='float64'",
        ),
    )
    return tuple(reason for holds, reason in reasons if holds)


def _intercept(
    terms: Float[np.ndarray, " M"], controls: Float[np.ndarray, "M c"]
) -> tuple[float, float]:
    """Mean of the terms with the controls, of mean zero, regressed out; and its standard error."""
    if not np.isfinite(terms).all():
        return float(terms.sum()), math.inf
    design = np.concatenate([np.ones((len(terms), 1)), controls], axis=1)
    fit = np.linalg.lstsq(design, terms, rcond=None)[0]
    rest = terms - design @ fit
    return float(fit[0]), float(np.sqrt(rest @ rest / (len(terms) - design.shape[1]) / len(terms)))


@eqx.filter_jit
def _log_densities(
    channel: AbstractNoiseChannel, f: Float[Array, "M n"], z: Float[Array, "M n"]
) -> tuple[Float[Array, " M"], Float[Array, " M"]]:
    """``ln P(y_m|x_m)``, and ``ln sum_k P(y_m|x_k)`` over the other rows."""
    rows = jnp.arange(len(f))

    def others(part):
        y, own = part

        def add(total, feature):
            # differences of y and f, since expanded squares lose the digits of small noise
            y_j, f_j = feature
            return total + channel.noise_log_density(y_j[:, None] - f_j[None]), None

        start = jnp.where(own[:, None] == rows[None], -jnp.inf, 0.0)
        return jax.nn.logsumexp(jax.lax.scan(add, start, (y.T, f.T))[0], axis=1)

    sums = jax.lax.map(others, tiles(len(f), f + z, rows))
    return channel.noise_log_density(z).sum(1), sums.reshape(-1)[: len(f)]


def _rounding(network: Network, samples, f: Float[np.ndarray, "M n"]) -> float:
    """Root mean square of what the network's precision rounds off its features."""
    kind, other = network.dtype, "float32" if network.dtype == "float64" else "float64"
    same = jax.tree.map(lambda leaf: leaf.astype(other) if eqx.is_array(leaf) else leaf, network)
    scale = np.finfo(kind).eps / np.finfo("float32").eps
    return float(np.sqrt(np.mean((np.asarray(same.batch(samples), float) - f) ** 2)) * scale)


def _check_noise(
    channel: AbstractNoiseChannel, z: Float[np.ndarray, "M n"], surprise: Float[np.ndarray, " M"]
) -> None:
    """Refuse a noise that is not what its channel states, where there are enough draws to tell."""
    unit = z / channel.noise**0.5
    means = {
        "mean 0": unit,
        f"variance noise = {channel.noise}": unit**2 - 1,
        f"entropy noise_entropy() = {channel.noise_entropy():.6g}": surprise,
    }
    for stated, excess in means.items():
        error = excess.std() / excess.size**0.5
        if z.size >= ENOUGH_DRAWS and abs(excess.mean()) > DISAGREEMENT * error + ROUNDED**2:
            raise ValueError(
                f"channel {type(channel).__name__} states noise of {stated}, which is not what it "
                "draws: mend draw_noise, noise_log_density or noise_entropy."
            )
