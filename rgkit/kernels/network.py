"""What a network is to the rest: activations of a configuration, with a channel at its output."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit import _validation as check
from rgkit.enumeration import ROWS_AT_ONCE
from rgkit.kernels.base import ProductKernel, over_outcomes, product_law
from rgkit.kernels.channels import AbstractNoiseChannel, AbstractSpinChannel, Channel
from rgkit.systems.base import Values


class Network(ProductKernel):
    """Activations of one configuration, and a channel that makes features of them.

    A network of one's own gives `widths`, `dtype`, ``__call__``, `reinitialized` and `rescaled`;
    what it learns are the arrays of floats among its fields. It can be trained, and used wherever
    a kernel is.
    """

    channel: eqx.AbstractVar[Channel]

    @property
    @abc.abstractmethod
    def widths(self) -> tuple[int, ...]:
        """From the number of sites to the number of features, ``(N, ..., n)``."""

    @property
    @abc.abstractmethod
    def dtype(self) -> np.dtype:
        """The dtype of the parameters and of all the network computes."""

    @abc.abstractmethod
    def __call__(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, " n"]:
        """Feature activations ``(n,)`` of one configuration ``(N,)``."""

    @abc.abstractmethod
    def reinitialized(self, key: PRNGKeyArray) -> "Network":
        """The same architecture with a fresh start."""

    @abc.abstractmethod
    def rescaled(self, scale: Float[Array, ""], shift: Float[Array, " n"]) -> "Network":
        """The network with activations ``scale * (f - shift)``."""

    def batch(self, x: Num[Array | np.ndarray, "M N"]) -> Float[Array, "M n"]:
        """Feature activations ``(M, n)`` of configurations ``(M, N)``, in bounded memory."""
        x = check.configurations("x", x)
        if x.ndim != 2 or x.shape[1] != self.widths[0]:
            raise ValueError(
                f"x must have shape (M, {self.widths[0]}), got {x.shape}: a row for each "
                "configuration."
            )
        return _batch(self, x)

    def columns(self, x: Num[Array | np.ndarray, "M N"]) -> Float[Array, "n M"]:
        """Feature activations ``(n, M)`` of configurations ``(M, N)``, a column for each."""
        return jax.vmap(self, out_axes=1)(check.configurations("x", x))

    def spin_channel(self, what: str) -> AbstractSpinChannel:
        """The channel if it is one to spins, else a TypeError that says what needs it."""
        if not isinstance(self.channel, AbstractSpinChannel):
            raise TypeError(
                f"{what} needs features that are spins, the network has {self.channel!r}: pass a "
                "network with a rgkit.SpinChannel."
            )
        return self.channel

    def noise_channel(self, what: str) -> AbstractNoiseChannel:
        """The channel if it adds noise to real features, else a TypeError saying what needs it."""
        if not isinstance(self.channel, AbstractNoiseChannel):
            raise TypeError(
                f"{what} needs real features with noise, the network has {self.channel!r}: pass a "
                "network with a rgkit.GaussianChannel."
            )
        return self.channel

    def output(self, values: Values) -> Values:
        """What its channel makes, of spins and of real numbers."""
        return self.channel.values

    @property
    def output_variance(self) -> float | None:
        """Mean square of a feature at full power, noise included; None for spins."""
        return self.channel.output_variance

    def means(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, " n"]:
        """``E[y_j|x]``, ``(n,)``."""
        return self.channel.means(self(x))

    def conditional_entropy(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, ""]:
        """``H(y|x)`` in nats for one configuration; differential for real features."""
        return self.channel.conditional_entropy(self(x))

    def sample(self, x: Num[Array | np.ndarray, " N"], key: PRNGKeyArray) -> Float[Array, " n"]:
        """One draw of the features, ``(n,)``, given a configuration ``(N,)``."""
        return self.channel.sample(self(x), key)

    def log_probability(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, " outcomes"]:
        """``ln P(y|x)`` of the ``2**n`` outcomes; TypeError unless the features are spins."""
        channel = self.spin_channel("log_probability over 2**n outcomes")
        return over_outcomes(jnp.add, *channel.log_probabilities(self(x)))

    def push(
        self, x: Num[Array | np.ndarray, "rows N"], weights: Float[Array, " rows"]
    ) -> tuple[Float[Array, " outcomes"], Float[Array, ""]]:
        """As `SpinKernel.push`; TypeError unless the features are spins."""
        channel = self.spin_channel("push to the law of 2**n outcomes")
        activations = self.columns(x)
        means = channel.means(activations).astype(weights.dtype)
        noise = channel.conditional_entropy(activations).astype(weights.dtype)
        return product_law(means, weights), weights @ noise

    def n_features(self, n_sites: int) -> int:
        """n; ValueError where the network takes another number of sites."""
        if n_sites != self.widths[0]:
            raise ValueError(
                f"widths start with {self.widths[0]} but the system has {n_sites} sites: pass "
                f"widths=({n_sites}, ...)."
            )
        return self.widths[-1]

    def hard(self) -> "Network":
        """The same network with deterministic sign features; TypeError unless they are spins."""
        channel = self.spin_channel("hard()").hardened()
        return eqx.tree_at(lambda network: network.channel, self, channel)

    def normalized(self, x: Num[Array | np.ndarray, "M N"]) -> "Network":
        r"""The same network with its power frozen: mean zero and mean :math:`|f|^2 = nP` over x.

        The activations are shifted and scaled, so that ``network(x)`` is a function of x alone. On
        other data the power differs by the error of a mean over ``M`` rows.

        Arguments:
            x: configurations, ``(M, N)``; name the sample, since the result depends on it.

        Raises:
            TypeError, ValueError: for features that are spins, or that are constant over x.
        """
        channel = self.noise_channel("normalized()")
        features = self.batch(x)
        equal = jnp.full(len(features), 1 / len(features), self.dtype)
        shift, scale = channel.normalization(features, equal)
        if not jnp.isfinite(scale):
            raise ValueError(
                "x must make the features vary: over this sample all of them are constant. Pass "
                "other configurations, or another network."
            )
        return self.rescaled(scale, shift)


@eqx.filter_jit
def _batch(network, x):
    return jax.lax.map(network, x, batch_size=ROWS_AT_ONCE)
