"""Fully connected networks."""

import itertools
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit import _validation
from rgkit.kernels.channels import Channel
from rgkit.kernels.network import Network

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


class FCNetwork(Network):
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

    def columns(self, x: Num[Array | np.ndarray, "M N"]) -> Float[Array, "n M"]:
        """Feature activations ``(n, M)`` of configurations ``(M, N)``, a column for each."""
        x = _validation.configurations("x", x).astype(self.dtype)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = ACTIVATIONS[self.activation](_dense(weight, bias, x))
        return _read_out(self.weights[-1], self.biases[-1], x)

    def rescaled(self, scale: Float[Array, ""], shift: Float[Array, " n"]) -> "FCNetwork":
        """The network with activations ``scale * (f - shift)``, by its last layer."""
        last = scale * self.weights[-1], scale * (self.biases[-1] - shift)
        return eqx.tree_at(lambda network: (network.weights[-1], network.biases[-1]), self, last)
