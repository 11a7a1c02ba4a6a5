"""Fully connected networks and the channel at their output: a network is a kernel."""

import dataclasses
import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rgkit import _validation
from rgkit.kernels.base import ProductKernel, over_outcomes, product_law

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "gelu": jax.nn.gelu, "identity": lambda a: a}
ROWS_AT_ONCE = 2**13


@dataclasses.dataclass(frozen=True)
class SpinChannel:
    r"""Feature spins from activations: :math:`P(y_j = +1|a_j) = 1/(1 + e^{-2 a_j})`, or ``y_j = sign a_j`` if hard.

    The activation is the local (dimensionless) field on the feature spin. A hard spin with ``a_j = 0`` is +1.
    """

    hard: bool = False

    def means(self, activations):
        """``E[y_j|a_j]``, ``(n,)`` to ``(n,)``: ``tanh a_j``, or its sign."""
        return (
            jnp.where(activations < 0, -1.0, 1.0).astype(activations.dtype)
            if self.hard
            else jnp.tanh(activations)
        )

    def conditional_entropy(self, activations):
        """``H(y|a)`` in nats, ``(n, ...)`` to ``(...)``; zero if hard."""
        if self.hard:
            return jnp.zeros(activations.shape[1:], activations.dtype)
        return jnp.sum(
            jnp.logaddexp(activations, -activations) - activations * jnp.tanh(activations), axis=0
        )


@dataclasses.dataclass(frozen=True)
class GaussianChannel:
    r"""Real features from activations: :math:`y_j = f_j(x) + \sigma z_j`, with independent standard normal z_j.

    Infomax needs a limit on the power, :math:`\langle |f|^2 \rangle \le n P`; without one the noise could be drowned.

    Arguments:
        power: P, the mean square of a feature before the noise (in the square of the feature's unit).
        noise: the variance :math:`\sigma^2` of the noise (the same unit).

    Raises:
        ValueError, TypeError: where one of them is not a positive real number.

    Reference: C. E. Shannon, Bell Syst. Tech. J. 27, 623 (1948), doi:10.1002/j.1538-7305.1948.tb00917.x, sec. 25.
    """

    power: float = 1.0
    noise: float = 0.02

    def __post_init__(self):
        for name in ("power", "noise"):
            value = _validation.real(name, getattr(self, name))
            if value <= 0:
                raise ValueError(f"{name} must be positive, got {value}: it is a mean square.")
            object.__setattr__(self, name, value)

    def capacity(self) -> float:
        r"""Capacity of one feature in nats, :math:`\tfrac12 \ln(1 + P/\sigma^2)`."""
        return math.log1p(self.power / self.noise) / 2

    def means(self, activations):
        """``E[y_j|f_j] = f_j``, ``(n,)``."""
        return activations

    def conditional_entropy(self, activations):
        r"""Differential entropy of the noise in nats, :math:`\tfrac n2 \ln 2\pi e \sigma^2`."""
        return jnp.full(
            (),
            activations.shape[-1] * math.log(2 * math.pi * math.e * self.noise) / 2,
            activations.dtype,
        )

    def sample(self, activations, key):
        """Activations with noise added, of the same shape."""
        return activations + self.noise**0.5 * jax.random.normal(
            key, activations.shape, activations.dtype
        )

    def normalization(self, features, weights):
        r"""Shift ``(n,)`` and scale with which ``scale * (f - shift)``, ``(M, n)``, has mean zero and mean square nP."""
        shift = weights @ features
        power = weights @ jnp.sum((features - shift[None]) ** 2, axis=1)
        return shift, jnp.sqrt(features.shape[1] * self.power / power)


@jax.custom_vjp
def _dense(weight, bias, x):
    """A layer on rows, ``(rows, in)`` to ``(rows, out)``.

    The gradients of both layers are written out for the order of their factors: with the one that JAX derives the
    products of long and narrow matrices take up to four times as long on a CPU.
    """
    return x @ weight.T + bias[None]


def _dense_gradients(factors, slope):
    weight, x = factors
    # the barrier keeps the compiler from turning the product round
    of_weight = jax.lax.optimization_barrier(jnp.einsum("ri,ro->io", x, slope)).T
    return of_weight, slope.sum(0), slope @ weight


@jax.custom_vjp
def _read_out(weight, bias, x):
    """The last layer on rows, ``(rows, in)`` to ``(out, rows)``: what is made of the features has long contiguous axes."""
    return jnp.einsum("oi,ri->or", weight, x) + bias[:, None]


def _read_out_gradients(factors, slope):
    weight, x = factors
    return jnp.einsum("or,ri->oi", slope, x), slope.sum(1), jnp.einsum("oi,or->ri", weight, slope)


_dense.defvjp(lambda weight, bias, x: (_dense(weight, bias, x), (weight, x)), _dense_gradients)
_read_out.defvjp(
    lambda weight, bias, x: (_read_out(weight, bias, x), (weight, x)), _read_out_gradients
)


class FCNetwork(ProductKernel):
    r"""A fully connected network with a channel at its output: the kernel :math:`\prod_j P(y_j|a_j(x))`.

    .. math:: x^{(l)} = \phi(W^{(l)} x^{(l-1)} + c^{(l)}), \qquad a = W^{(L)} x^{(L-1)} + c^{(L)}, \qquad x^{(0)} = x.

    With a `SpinChannel` the features are spins; with a `GaussianChannel` they are real, :math:`f = a`.

    Weights start Gaussian with variance ``gain**2 / fan_in``, biases Gaussian with standard deviation ``bias_std``.

    Arguments:
        widths: ``(N, ..., n)``, from the number of sites to the number of features; two entries are a linear layer.
        channel: ``rgkit.SpinChannel()`` or ``rgkit.GaussianChannel()``.
        activation: "tanh", "relu", "gelu" or "identity", applied on hidden layers.
        key: a typed JAX key for the start.
        gain, bias_std: scale of the start (dimensionless).
        dtype: "float32" or "float64" (the latter needs ``jax.config.update("jax_enable_x64", True)``).

    Raises:
        ValueError, TypeError: naming the argument, for widths, activation or dtype that make no network.
    """

    weights: tuple[Float[Array, "out in"], ...]
    biases: tuple[Float[Array, " out"], ...]
    channel: SpinChannel | GaussianChannel
    activation: str = eqx.field(static=True)
    gain: float = eqx.field(static=True)
    bias_std: float = eqx.field(static=True)

    def __init__(
        self, widths, channel, *, activation="tanh", key, gain=1.0, bias_std=0.0, dtype="float32"
    ):
        widths = tuple(_validation.positive_integer("widths", width) for width in widths)
        if len(widths) < 2:
            raise ValueError(
                f"widths must name at least the input and the features, got {widths}: pass (N, ..., n)."
            )
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {sorted(ACTIVATIONS)}, got {activation!r}."
            )
        if not isinstance(channel, SpinChannel | GaussianChannel):
            raise TypeError(
                f"channel must be a rgkit.SpinChannel or a rgkit.GaussianChannel, got {channel!r}: pass rgkit.SpinChannel()."
            )
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
        if dtype == "float64" and not jax.config.jax_enable_x64:
            raise ValueError(
                "dtype='float64' needs jax.config.update('jax_enable_x64', True) before the first array."
            )
        self.channel, self.activation = channel, activation
        self.gain, self.bias_std = (
            _validation.real("gain", gain),
            _validation.real("bias_std", bias_std),
        )
        self.weights, self.biases = self._start(widths, _validation.key("key", key), dtype)

    def _start(self, widths, key, dtype):
        weights, biases = [], []
        for fan_in, fan_out in itertools.pairwise(widths):
            key, weight_key, bias_key = jax.random.split(key, 3)
            weights.append(
                jax.random.normal(weight_key, (fan_out, fan_in), dtype) * (self.gain / fan_in**0.5)
            )
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
        return eqx.tree_at(
            lambda network: (network.weights, network.biases), self, (weights, biases)
        )

    def layers(self, x) -> list[Float[Array, " width"]]:
        """Hidden activations and, last, the feature activations, for ``x`` of shape ``(N,)``."""
        x = jnp.asarray(x)
        if x.shape != self.widths[:1]:
            raise ValueError(
                f"x must have shape ({self.widths[0]},), got {x.shape}: batches go through jax.vmap(network)."
            )
        outputs = [x.astype(self.dtype)]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            outputs.append(ACTIVATIONS[self.activation](weight @ outputs[-1] + bias))
        return outputs[1:] + [self.weights[-1] @ outputs[-1] + self.biases[-1]]

    def __call__(self, x) -> Float[Array, " n"]:
        """Feature activations ``(n,)`` of one configuration ``(N,)``."""
        return self.layers(x)[-1]

    def batch(self, x) -> Float[Array, "M n"]:
        """Feature activations ``(M, n)`` of configurations ``(M, N)``, in bounded memory."""
        x = jnp.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.widths[0]:
            raise ValueError(
                f"x must have shape (M, {self.widths[0]}), got {x.shape}: a row for each configuration."
            )
        return _batch(self, x)

    def columns(self, x) -> Float[Array, "n M"]:
        """Feature activations ``(n, M)`` of configurations ``(M, N)``, a column for each."""
        x = jnp.asarray(x).astype(self.dtype)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = ACTIVATIONS[self.activation](_dense(weight, bias, x))
        return _read_out(self.weights[-1], self.biases[-1], x)

    def require(self, channel, what: str) -> None:
        """Raise TypeError unless the channel is of this class."""
        if not isinstance(self.channel, channel):
            raise TypeError(
                f"{what} needs a network with a rgkit.{channel.__name__}, got {self.channel!r}."
            )

    def means(self, x):
        return self.channel.means(self(x))

    def conditional_entropy(self, x):
        return self.channel.conditional_entropy(self(x))

    def sample(self, x, key):
        if isinstance(self.channel, GaussianChannel):
            return self.channel.sample(self(x), key)
        return super().sample(x, key)

    def log_probability(self, x):
        self.require(SpinChannel, "log_probability over 2**n outcomes")
        if self.channel.hard:
            return super().log_probability(x)
        activations = self(x)
        return over_outcomes(
            jnp.add, jax.nn.log_sigmoid(2 * activations), jax.nn.log_sigmoid(-2 * activations)
        )

    def push(self, x, weights):
        self.require(SpinChannel, "push to the law of 2**n outcomes")
        activations = self.columns(x)
        means = self.channel.means(activations).astype(weights.dtype)
        return product_law(means, weights), weights @ self.channel.conditional_entropy(
            activations
        ).astype(weights.dtype)

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
        """The same network with deterministic sign features; TypeError unless its channel is a `SpinChannel`."""
        self.require(SpinChannel, "hard()")
        return eqx.tree_at(lambda network: network.channel, self, SpinChannel(hard=True))

    def normalized(self, x) -> "FCNetwork":
        r"""The same network with its power frozen: mean zero and mean :math:`|f|^2 = nP` over the sample x, exactly.

        The last layer is shifted and scaled, so that ``network(x)`` is a function of x alone. On other data the power
        differs by the error of a mean over ``M`` rows.

        Arguments:
            x: configurations, ``(M, N)``; name the sample, since the result depends on it.

        Raises:
            TypeError, ValueError: for a channel other than `GaussianChannel`, or features that are constant over x.
        """
        self.require(GaussianChannel, "normalized()")
        features = self.batch(x)
        shift, scale = self.channel.normalization(
            features, jnp.full(len(features), 1 / len(features), self.dtype)
        )
        if not jnp.isfinite(scale):
            raise ValueError(
                "x must make the features vary: over this sample all of them are constant."
            )
        last = scale * self.weights[-1], scale * (self.biases[-1] - shift)
        return eqx.tree_at(lambda network: (network.weights[-1], network.biases[-1]), self, last)


@eqx.filter_jit
def _batch(network, x):
    return jax.lax.map(network, x, batch_size=ROWS_AT_ONCE)
