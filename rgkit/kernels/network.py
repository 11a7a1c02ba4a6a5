"""Fully connected networks: a network with a channel at its output is a kernel."""

import itertools
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit import _validation
from rgkit.enumeration import ROWS_AT_ONCE
from rgkit.kernels.base import ProductKernel, over_outcomes, product_law
from rgkit.kernels.channels import AbstractNoiseChannel, AbstractSpinChannel, Channel
from rgkit.systems.base import Values

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "gelu": jax.nn.gelu, "identity": lambda a: a}


@jax.custom_vjp
def _dense(weight, bias, x):
    """A layer on rows, ``(rows, in)`` to ``(rows, out)``.

    The gradients of both layers are written out for the order of their factors: with the one that
    JAX derives, the products of long and narrow matrices take up to four times as long on a CPU.
    """
    return x @ weight.T + bias[None]


def _dense_gradients(factors, slope):
    weight, x = factors
    # the barrier keeps the compiler from turning the product round
    of_weight = jax.lax.optimization_barrier(jnp.einsum("ri,ro->io", x, slope)).T
    return of_weight, slope.sum(0), slope @ weight


@jax.custom_vjp
def _read_out(weight, bias, x):
    """The last layer on rows, ``(rows, in)`` to ``(out, rows)``.

    What is made of the features then has long contiguous axes.
    """
    return jnp.einsum("oi,ri->or", weight, x) + bias[:, None]


def _read_out_gradients(factors, slope):
    weight, x = factors
    return jnp.einsum("or,ri->oi", slope, x), slope.sum(1), jnp.einsum("oi,or->ri", weight, slope)


_dense.defvjp(lambda weight, bias, x: (_dense(weight, bias, x), (weight, x)), _dense_gradients)
_read_out.defvjp(
    lambda weight, bias, x: (_read_out(weight, bias, x), (weight, x)), _read_out_gradients
)


class FCNetwork(ProductKernel):
    r"""A fully connected network with a channel at its output: :math:`\prod_j P(y_j|a_j(x))`.

    .. math:: x^{(l)} = \phi(W^{(l)} x^{(l-1)} + c^{(l)}), \qquad a = W^{(L)} x^{(L-1)} + c^{(L)},
              \qquad x^{(0)} = x.

    With a `SpinChannel` the features are spins; with a `GaussianChannel` they are real,
    :math:`f = a`. Weights start Gaussian with variance ``gain**2 / fan_in``, biases Gaussian with
    standard deviation ``bias_std``.

    Arguments:
        widths: ``(N, ..., n)``, from the number of sites to that of features; two entries are a
            linear layer.
        channel: ``rgkit.SpinChannel()``, ``rgkit.GaussianChannel()``, or one of your own.
        activation: "tanh", "relu", "gelu" or "identity", applied on hidden layers.
        key: a typed JAX key for the start.
        gain, bias_std: scale of the start (dimensionless).
        dtype: "float32" or "float64" (the latter needs
            ``jax.config.update("jax_enable_x64", True)``).

    Raises:
        ValueError, TypeError: naming the argument, for what makes no network.
    """

    weights: tuple[Float[Array, "_out _in"], ...]
    biases: tuple[Float[Array, " _out"], ...]
    channel: Channel
    activation: str = eqx.field(static=True)
    gain: float = eqx.field(static=True)
    bias_std: float = eqx.field(static=True)

    def __init__(
        self,
        widths: Sequence[int],
        channel: Channel,
        *,
        activation: str = "tanh",
        key: PRNGKeyArray,
        gain: float = 1.0,
        bias_std: float = 0.0,
        dtype: str = "float32",
    ):
        if isinstance(widths, str) or np.ndim(widths) != 1 or len(widths) < 2:
            raise ValueError(
                "widths must name at least the input and the features, got "
                f"{widths!r}: pass (N, ..., n)."
            )
        widths = tuple(_validation.positive_integer("widths", width) for width in widths)
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {sorted(ACTIVATIONS)}, got {activation!r}."
            )
        if not isinstance(channel, Channel):
            raise TypeError(
                "channel must be a rgkit.SpinChannel, a rgkit.GaussianChannel or one of your own, "
                f"got {channel!r}: pass rgkit.SpinChannel()."
            )
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
        if dtype == "float64" and not jax.config.read("jax_enable_x64"):
            raise ValueError(
                "dtype='float64' needs jax.config.update('jax_enable_x64', True) before the "
                "first array."
            )
        self.channel, self.activation = channel, activation
        scale = "pass the scale of the start, such as 1.0"
        self.gain = _validation.real("gain", gain, mend=scale)
        self.bias_std = _validation.real("bias_std", bias_std, mend=scale)
        self.weights, self.biases = self._start(widths, _validation.key("key", key), dtype)

    def _start(self, widths, key, dtype):
        weights, biases = [], []
        for fan_in, fan_out in itertools.pairwise(widths):
            key, weight_key, bias_key = jax.random.split(key, 3)
            scale = self.gain / fan_in**0.5
            weights.append(jax.random.normal(weight_key, (fan_out, fan_in), dtype) * scale)
            biases.append(jax.random.normal(bias_key, (fan_out,), dtype) * self.bias_std)
        return tuple(weights), tuple(biases)

    @property
    def widths(self) -> tuple[int, ...]:
        """``(N, ..., n)``."""
        return (self.weights[0].shape[1], *(weight.shape[0] for weight in self.weights))

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the parameters and of all the network computes."""
        return self.weights[0].dtype

    def reinitialized(self, key: PRNGKeyArray) -> "FCNetwork":
        """The same architecture with a fresh start."""
        weights, biases = self._start(self.widths, key, self.dtype)
        return eqx.tree_at(
            lambda network: (network.weights, network.biases), self, (weights, biases)
        )

    def layers(self, x: Num[Array | np.ndarray, " N"]) -> list[Float[Array, " width"]]:
        """Hidden activations and, last, the feature activations, of one configuration ``(N,)``."""
        x = jnp.asarray(x)
        if x.shape != self.widths[:1]:
            raise ValueError(
                f"x must have shape ({self.widths[0]},), got {x.shape}: batches go through "
                "jax.vmap(network)."
            )
        outputs = [x.astype(self.dtype)]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            outputs.append(ACTIVATIONS[self.activation](weight @ outputs[-1] + bias))
        return outputs[1:] + [self.weights[-1] @ outputs[-1] + self.biases[-1]]

    def __call__(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, " n"]:
        """Feature activations ``(n,)`` of one configuration ``(N,)``."""
        return self.layers(x)[-1]

    def batch(self, x: Num[Array | np.ndarray, "M N"]) -> Float[Array, "M n"]:
        """Feature activations ``(M, n)`` of configurations ``(M, N)``, in bounded memory."""
        x = jnp.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.widths[0]:
            raise ValueError(
                f"x must have shape (M, {self.widths[0]}), got {x.shape}: a row for each "
                "configuration."
            )
        return _batch(self, x)

    def columns(self, x: Num[Array | np.ndarray, "M N"]) -> Float[Array, "n M"]:
        """Feature activations ``(n, M)`` of configurations ``(M, N)``, a column for each."""
        x = jnp.asarray(x).astype(self.dtype)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = ACTIVATIONS[self.activation](_dense(weight, bias, x))
        return _read_out(self.weights[-1], self.biases[-1], x)

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

    def means(self, x: Num[Array, " N"]) -> Float[Array, " n"]:
        """``E[y_j|x]``, ``(n,)``."""
        return self.channel.means(self(x))

    def conditional_entropy(self, x: Num[Array, " N"]) -> Float[Array, ""]:
        """``H(y|x)`` in nats for one configuration; differential for real features."""
        return self.channel.conditional_entropy(self(x))

    def sample(self, x: Num[Array, " N"], key: PRNGKeyArray) -> Float[Array, " n"]:
        """One draw of the features, ``(n,)``, given a configuration ``(N,)``."""
        return self.channel.sample(self(x), key)

    def log_probability(self, x: Num[Array, " N"]) -> Float[Array, " outcomes"]:
        """``ln P(y|x)`` of the ``2**n`` outcomes; TypeError unless the features are spins."""
        channel = self.spin_channel("log_probability over 2**n outcomes")
        return over_outcomes(jnp.add, *channel.log_probabilities(self(x)))

    def push(
        self, x: Num[Array, "rows N"], weights: Float[Array, " rows"]
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

    def hard(self) -> "FCNetwork":
        """The same network with deterministic sign features; TypeError unless they are spins."""
        channel = self.spin_channel("hard()").hardened()
        return eqx.tree_at(lambda network: network.channel, self, channel)

    def normalized(self, x: Num[Array | np.ndarray, "M N"]) -> "FCNetwork":
        r"""The same network with its power frozen: mean zero and mean :math:`|f|^2 = nP` over x.

        The last layer is shifted and scaled, so that ``network(x)`` is a function of x alone. On
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
        last = scale * self.weights[-1], scale * (self.biases[-1] - shift)
        return eqx.tree_at(lambda network: (network.weights[-1], network.biases[-1]), self, last)


@eqx.filter_jit
def _batch(network, x):
    return jax.lax.map(network, x, batch_size=ROWS_AT_ONCE)
