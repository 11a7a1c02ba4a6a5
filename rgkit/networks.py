"""Fully connected networks and the channel at their output: a network is a kernel."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rgkit import _validation
from rgkit.kernels import ProductKernel, over_outcomes

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "gelu": jax.nn.gelu, "identity": lambda a: a}


@dataclasses.dataclass(frozen=True)
class SpinChannel:
    r"""Feature spins from activations: :math:`P(y_j = +1|a_j) = 1/(1 + e^{-2 a_j})`, or ``y_j = sign a_j`` if hard.

    The activation is the local (dimensionless) field on the feature spin. A hard spin with ``a_j = 0`` is +1.
    """

    hard: bool = False

    def means(self, activations):
        """``E[y_j|a_j]``, ``(n,)`` to ``(n,)``: ``tanh a_j``, or its sign."""
        return jnp.where(activations < 0, -1.0, 1.0).astype(activations.dtype) if self.hard else jnp.tanh(activations)


class FCNetwork(ProductKernel):
    r"""A fully connected network with a spin channel at its output: the kernel :math:`\prod_j P(y_j|a_j(x))`.

    .. math:: x^{(l)} = \phi(W^{(l)} x^{(l-1)} + c^{(l)}), \qquad a = W^{(L)} x^{(L-1)} + c^{(L)}, \qquad x^{(0)} = x.

    Weights start Gaussian with variance ``gain**2 / fan_in``, biases Gaussian with standard deviation ``bias_std``.

    Arguments:
        widths: ``(N, ..., n)``, from the number of sites to the number of features; two entries are a linear layer.
        channel: ``rgkit.SpinChannel()``.
        activation: "tanh", "relu", "gelu" or "identity", applied on hidden layers.
        key: a typed JAX key for the start.
        gain, bias_std: scale of the start (dimensionless).
        dtype: "float32" or "float64" (the latter needs ``jax.config.update("jax_enable_x64", True)``).

    Raises:
        ValueError, TypeError: naming the argument, for widths, activation or dtype that make no network.
    """

    weights: tuple[Float[Array, "out in"], ...]
    biases: tuple[Float[Array, " out"], ...]
    channel: SpinChannel
    activation: str = eqx.field(static=True)
    gain: float = eqx.field(static=True)
    bias_std: float = eqx.field(static=True)

    def __init__(self, widths, channel, *, activation="tanh", key, gain=1.0, bias_std=0.0, dtype="float32"):
        widths = tuple(_validation.positive_integer("widths", width) for width in widths)
        if len(widths) < 2:
            raise ValueError(f"widths must name at least the input and the features, got {widths}: pass (N, ..., n).")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {activation!r}.")
        if not isinstance(channel, SpinChannel):
            raise TypeError(f"channel must be a rgkit.SpinChannel, got {channel!r}: pass rgkit.SpinChannel().")
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
        if dtype == "float64" and not jax.config.jax_enable_x64:
            raise ValueError("dtype='float64' needs jax.config.update('jax_enable_x64', True) before the first array.")
        self.channel, self.activation = channel, activation
        self.gain, self.bias_std = _validation.real("gain", gain), _validation.real("bias_std", bias_std)
        self.weights, self.biases = self._start(widths, _validation.key("key", key), dtype)

    def _start(self, widths, key, dtype):
        weights, biases = [], []
        for fan_in, fan_out in itertools.pairwise(widths):
            key, weight_key, bias_key = jax.random.split(key, 3)
            weights.append(jax.random.normal(weight_key, (fan_out, fan_in), dtype) * (self.gain / fan_in**0.5))
            biases.append(jax.random.normal(bias_key, (fan_out,), dtype) * self.bias_std)
        return tuple(weights), tuple(biases)

    @property
    def widths(self) -> tuple[int, ...]:
        """``(N, ..., n)``."""
        return (self.weights[0].shape[1], *(weight.shape[0] for weight in self.weights))

    @property
    def dtype(self):
        """The dtype of the parameters and of all the network computes."""
        return self.weights[0].dtype

    def reinitialized(self, key) -> "FCNetwork":
        """The same architecture with a fresh start."""
        weights, biases = self._start(self.widths, key, self.dtype)
        return eqx.tree_at(lambda network: (network.weights, network.biases), self, (weights, biases))

    def layers(self, x) -> list[Float[Array, " width"]]:
        """Hidden activations and, last, the feature activations, for ``x`` of shape ``(N,)``."""
        x = jnp.asarray(x)
        if x.shape != self.widths[:1]:
            raise ValueError(f"x must have shape ({self.widths[0]},), got {x.shape}: batches go through jax.vmap(network).")
        outputs = [x.astype(self.dtype)]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            outputs.append(ACTIVATIONS[self.activation](weight @ outputs[-1] + bias))
        return outputs[1:] + [self.weights[-1] @ outputs[-1] + self.biases[-1]]

    def __call__(self, x) -> Float[Array, " n"]:
        """Feature activations ``(n,)`` of one configuration ``(N,)``."""
        return self.layers(x)[-1]

    def means(self, x):
        return self.channel.means(self(x))

    def log_probability(self, x):
        if self.channel.hard:
            return super().log_probability(x)
        activations = self(x)
        return over_outcomes(jnp.add, jax.nn.log_sigmoid(2 * activations), jax.nn.log_sigmoid(-2 * activations))

    def conditional_entropy(self, x):
        if self.channel.hard:
            return jnp.zeros((), self.dtype)
        activations = self(x)
        return jnp.sum(jnp.logaddexp(activations, -activations) - activations * jnp.tanh(activations))

    def n_features(self, n_sites):
        if n_sites != self.widths[0]:
            raise ValueError(
                f"widths start with {self.widths[0]} but the system has {n_sites} sites: pass widths=({n_sites}, ...)."
            )
        return self.widths[-1]

    @property
    def preserves_fixed_point(self):
        return False

    def hard(self) -> "FCNetwork":
        """The same network with deterministic sign features."""
        return eqx.tree_at(lambda network: network.channel, self, SpinChannel(hard=True))
