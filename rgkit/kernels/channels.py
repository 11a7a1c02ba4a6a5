"""What makes features of activations: channels to spins, and channels that add noise."""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from rgkit import _validation
from rgkit.kernels.mixtures import mean_log_gaussians, mean_log_mixture
from rgkit.systems.base import Values
from rgkit.systems.spin_samplers import coin

LARGEST_ROUNDING = 0.01


class Channel(eqx.Module):
    """The conditional law of the features given the activations of a network, feature by feature.

    Arrays have the features in their first axis, ``(n, ...)``. A channel of one's own is an
    `AbstractSpinChannel` or an `AbstractNoiseChannel`.
    """

    @property
    @abc.abstractmethod
    def values(self) -> Values:
        """What a feature can be."""

    @property
    def differentiable(self) -> bool:
        """Whether the law of the features depends smoothly on the activations."""
        return True

    @property
    def output_variance(self) -> float | None:
        """Mean square of a real feature at full power; None for spins."""
        return None

    @abc.abstractmethod
    def means(self, activations: Float[Array, " n ..."]) -> Float[Array, " n ..."]:
        """``E[y_j|a_j]``, of the shape of the activations."""

    @abc.abstractmethod
    def conditional_entropy(self, activations: Float[Array, " n ..."]) -> Float[Array, "..."]:
        """``H(y|a)`` in nats (differential for real features), ``(n, ...)`` to ``(...)``."""

    @abc.abstractmethod
    def sample(
        self, activations: Float[Array, " n ..."], key: PRNGKeyArray
    ) -> Float[Array, " n ..."]:
        """One draw of the features, of the shape of the activations."""

    @abc.abstractmethod
    def capacity(self) -> float:
        """What one feature can tell at most, in nats."""


class AbstractSpinChannel(Channel):
    r"""A channel to spins, :math:`P(y_j|a_j) = e^{y_j f_j} / 2\cosh f_j` with a local field f_j.

    A channel of one's own gives `local_field`; the rest follows.
    """

    @property
    def values(self) -> Values:
        """Spins."""
        return Values.SPINS

    @abc.abstractmethod
    def local_field(self, activations: Float[Array, " n ..."]) -> Float[Array, " n ..."]:
        """The dimensionless field f on each feature spin: half of its log odds."""

    def means(self, activations: Float[Array, " n ..."]) -> Float[Array, " n ..."]:
        """``tanh f_j``."""
        return jnp.tanh(self.local_field(activations))

    def conditional_entropy(self, activations: Float[Array, " n ..."]) -> Float[Array, "..."]:
        """``H(y|a)`` in nats, ``(n, ...)`` to ``(...)``."""
        field = self.local_field(activations)
        return jnp.sum(jnp.logaddexp(field, -field) - field * jnp.tanh(field), axis=0)

    def log_probabilities(
        self, activations: Float[Array, " n ..."]
    ) -> tuple[Float[Array, " n ..."], Float[Array, " n ..."]]:
        """``ln P(y_j = +1|a_j)`` and ``ln P(y_j = -1|a_j)``."""
        field = self.local_field(activations)
        return jax.nn.log_sigmoid(2 * field), jax.nn.log_sigmoid(-2 * field)

    def sample(
        self, activations: Float[Array, " n ..."], key: PRNGKeyArray
    ) -> Float[Array, " n ..."]:
        """Spins +1 or -1; right for rare spins too."""
        up, down = self.log_probabilities(activations)
        spins = jnp.where(coin(key, jnp.exp(up), jnp.exp(down)), 1.0, -1.0)
        return spins.astype(activations.dtype)

    def capacity(self) -> float:
        """``ln 2``."""
        return math.log(2)

    def hardened(self) -> "SpinChannel":
        """The channel of the signs of the activations."""
        return SpinChannel(hard=True)


class SpinChannel(AbstractSpinChannel):
    r"""Feature spins from activations, :math:`P(y_j = +1|a_j) = 1/(1 + e^{-2 a_j})`.

    The activation is the local (dimensionless) field on the feature spin.

    Arguments:
        hard: take ``y_j = sign a_j`` instead; a hard spin with ``a_j = 0`` is +1.

    Raises:
        TypeError: where ``hard`` is neither true nor false.
    """

    hard: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        _validation.boolean("hard", self.hard)

    @property
    def differentiable(self) -> bool:
        """False for hard spins."""
        return not self.hard

    def local_field(self, activations: Float[Array, " n ..."]) -> Float[Array, " n ..."]:
        """The activation itself; infinite, with its sign, if hard."""
        return jnp.where(activations < 0, -jnp.inf, jnp.inf) if self.hard else activations

    def means(self, activations: Float[Array, " n ..."]) -> Float[Array, " n ..."]:
        """``tanh a_j``, or the sign of a_j if hard."""
        if self.hard:
            return jnp.where(activations < 0, -1.0, 1.0).astype(activations.dtype)
        return super().means(activations)

    def conditional_entropy(self, activations: Float[Array, " n ..."]) -> Float[Array, "..."]:
        """``H(y|a)`` in nats, ``(n, ...)`` to ``(...)``; zero if hard."""
        if self.hard:
            return jnp.zeros(activations.shape[1:], activations.dtype)
        return super().conditional_entropy(activations)


class AbstractNoiseChannel(Channel):
    r"""Real features with independent noise, :math:`y_j = f_j(x) + z_j`, at a limited power.

    Infomax needs a limit on the power, :math:`\langle |f|^2 \rangle \le n P`; without one the
    noise could be drowned. A channel of one's own gives `noise_log_density` and `draw_noise`, both
    of noise with mean zero and the variance ``noise``, and `noise_entropy`.

    Arguments:
        power: P, the mean square of a feature before the noise (in the square of its unit).
        noise: the variance of the noise of a feature (the same unit).

    Raises:
        ValueError, TypeError: where one of them is not a positive real number.
    """

    power: float = eqx.field(static=True, default=1.0)
    noise: float = eqx.field(static=True, default=0.02)

    def __post_init__(self):
        for name in ("power", "noise"):
            value = _validation.real(name, getattr(self, name), mend="pass a mean square")
            if value <= 0:
                raise ValueError(f"{name} must be positive, got {value}: it is a mean square.")
            object.__setattr__(self, name, value)

    @property
    def values(self) -> Values:
        """Real numbers."""
        return Values.REALS

    @abc.abstractmethod
    def noise_log_density(
        self, z: Float[Array | np.ndarray, "..."]
    ) -> Float[Array | np.ndarray, "..."]:
        """Log density of the noise of one feature, entry by entry."""

    @abc.abstractmethod
    def draw_noise(
        self, key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any
    ) -> Float[Array, "..."]:
        """Independent noise of this shape."""

    @abc.abstractmethod
    def noise_entropy(self) -> float:
        """Differential entropy of the noise of one feature, in nats."""

    def rounding(self, dtype: jax.typing.DTypeLike) -> float:
        r"""About the relative error that this precision makes in gradients of `batch_information`.

        Differences ``y - f`` are rounded by a part :math:`\epsilon \sqrt{P}/\sigma` of the noise;
        the sums over a batch make up to ten times as much of it.
        """
        return 10 * float(jnp.finfo(dtype).eps) * (self.power / self.noise) ** 0.5

    def check_precision(self, dtype: jax.typing.DTypeLike) -> None:
        """Refuse to train in a precision that cannot carry the ratio of power and noise.

        The bound lies where the gradient of the loss of a few features is wrong by about a part in
        a hundred (measured against float64); the value of the loss then is by less than 0.001.

        Raises:
            ValueError: where `rounding` is above 0.01: for Gaussian noise where P is above
                ``8e4 noise`` in float32, ``4e13 noise`` in float64.
        """
        if self.rounding(dtype) > LARGEST_ROUNDING:
            raise ValueError(
                f"noise = {self.noise} is too small beside power = {self.power} for "
                f"{jnp.dtype(dtype).name}: rounding spoils the gradient. Raise the noise, or build "
                "the network with dtype='float64' (after "
                "jax.config.update('jax_enable_x64', True))."
            )

    @property
    def output_variance(self) -> float:
        """``P + noise``."""
        return self.power + self.noise

    def capacity(self) -> float:
        r"""At most :math:`\tfrac12\ln 2\pi e(P + \sigma^2)` less the entropy of the noise, in nats.

        No law of this mean square has more entropy than the Gaussian, so that no feature tells
        more; the shortfall of the information is the divergence of the features from white noise.
        """
        return math.log(2 * math.pi * math.e * self.output_variance) / 2 - self.noise_entropy()

    def means(self, activations: Float[Array, " n ..."]) -> Float[Array, " n ..."]:
        """``E[y_j|f_j] = f_j``."""
        return activations

    def conditional_entropy(self, activations: Float[Array, " n ..."]) -> Float[Array, "..."]:
        """Differential entropy of the noise in nats, ``(n, ...)`` to ``(...)``."""
        entropy = len(activations) * self.noise_entropy()
        return jnp.full(activations.shape[1:], entropy, activations.dtype)

    def sample(
        self, activations: Float[Array, " n ..."], key: PRNGKeyArray
    ) -> Float[Array, " n ..."]:
        """Activations with noise added."""
        return activations + self.draw_noise(key, activations.shape, activations.dtype)

    def normalization(
        self, features: Float[Array, "M n"], weights: Float[Array, " M"]
    ) -> tuple[Float[Array, " n"], Float[Array, ""]]:
        """Shift and scale at which ``scale * (f - shift)`` has mean zero and mean square nP.

        Arguments:
            features: f, ``(M, n)``.
            weights: ``(M,)``, summing to one.
        """
        shift = weights @ features
        power = weights @ jnp.sum((features - shift[None]) ** 2, axis=1)
        return shift, jnp.sqrt(features.shape[1] * self.power / power)

    def batch_information(
        self,
        features: Float[Array, "M n"],
        weights: Float[Array, " M"],
        key: PRNGKeyArray,
        draws: int | None = None,
    ) -> Float[Array, ""]:
        r"""Information that a noisy draw for a row carries on which row it came from, in nats.

        .. math:: \sum_m v_m \Big[ \ln P(y_m|x_m) - \ln \sum_k w_k P(y_m|x_k) \Big],
                  \qquad y_m = f_m + z_m.

        With independent rows of equal weight it is a lower bound on I(x;y) in expectation, at most
        the logarithm of the batch size. With all configurations and their probabilities its
        expectation over the noise z is I(x;y) itself.

        Arguments:
            features: f, ``(M, n)``.
            weights: w, ``(M,)``, summing to one.
            key: a typed JAX key for the noise.
            draws: how many of the rows, from the first on, make a draw (v is w on these, summing
                to one); None for all. The time is ``draws * M``; the bias falls with M, the spread
                with the draws.

        Reference: B. Poole et al., ICML 2019, arXiv:1905.06922, sec. 2.
        """
        shares = weights[:draws] / jnp.sum(weights[:draws])
        z = self.draw_noise(key, features[:draws].shape, features.dtype)
        own = shares @ jnp.sum(self.noise_log_density(z), axis=1)
        y = features[:draws] + z
        return own - mean_log_mixture(self.noise_log_density, y, features, shares, weights)


class GaussianChannel(AbstractNoiseChannel):
    r"""Real features with Gaussian noise: :math:`y_j = f_j(x) + \sigma z_j`, z standard normal.

    Infomax needs a limit on the power, :math:`\langle |f|^2 \rangle \le n P`; without one the
    noise could be drowned.

    Arguments:
        power: P, the mean square of a feature before the noise (in the square of its unit).
        noise: the variance :math:`\sigma^2` of the noise (the same unit).

    Raises:
        ValueError, TypeError: where one of them is not a positive real number.

    Reference: C. E. Shannon, Bell Syst. Tech. J. 27, 623 (1948),
        doi:10.1002/j.1538-7305.1948.tb00917.x, sec. 25.
    """

    def rounding(self, dtype: jax.typing.DTypeLike) -> float:
        r"""About the relative error of gradients, :math:`\epsilon P/\sigma^2`.

        Matrix products expand the squares of differences, which costs more digits than those.
        """
        return float(jnp.finfo(dtype).eps) * self.power / self.noise

    def capacity(self) -> float:
        r"""Capacity of one feature in nats, :math:`\tfrac12 \ln(1 + P/\sigma^2)`."""
        return math.log1p(self.power / self.noise) / 2

    def noise_log_density(
        self, z: Float[Array | np.ndarray, "..."]
    ) -> Float[Array | np.ndarray, "..."]:
        r""":math:`-z^2/2\sigma^2 - \tfrac12\ln 2\pi\sigma^2`, entry by entry."""
        return -(z**2 / self.noise + math.log(2 * math.pi * self.noise)) / 2

    def draw_noise(
        self, key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any
    ) -> Float[Array, "..."]:
        """Independent Gaussian noise of this shape."""
        return self.noise**0.5 * jax.random.normal(key, shape, dtype)

    def noise_entropy(self) -> float:
        r""":math:`\tfrac12 \ln 2\pi e\sigma^2` in nats."""
        return math.log(2 * math.pi * math.e * self.noise) / 2

    def batch_information(
        self,
        features: Float[Array, "M n"],
        weights: Float[Array, " M"],
        key: PRNGKeyArray,
        draws: int | None = None,
    ) -> Float[Array, ""]:
        """As for any noise, in matrix products."""
        shares = weights[:draws] / jnp.sum(weights[:draws])
        z = jax.random.normal(key, features[:draws].shape, features.dtype)
        own = shares @ jnp.sum(z**2, axis=1) / 2
        y = features[:draws] + self.noise**0.5 * z
        return -own - mean_log_gaussians(y, features, shares, weights, self.noise)
