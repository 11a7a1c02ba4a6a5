"""What a network is trained for: an objective has a head (decoder or readout) and a loss in nats."""

import abc
import dataclasses
import functools
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import entr
from jaxtyping import Array, Float

from rgkit import _validation
from rgkit.enumeration import spins_of, sum_over_rows
from rgkit.systems.base import Values


@dataclasses.dataclass(frozen=True)
class Objective(abc.ABC):
    """A loss over weighted configurations.

    Over spin features the expectation given x is exact, and the loss is called without a key; over the features of a
    Gaussian channel it is one draw, made with the key. `channels` lists the channels that the loss is defined for.
    """

    channels: ClassVar[tuple[Values, ...]] = (Values.SPINS,)

    def init(self, network, key):
        """The head's parameters at the start: a pytree of arrays, None if the objective has no head."""
        return None

    @abc.abstractmethod
    def loss(self, network, head, x, weights, key=None) -> Float[Array, ""]:
        """Loss on configurations ``x``, ``(rows, N)``, with weights ``(rows,)`` that sum to one; ``key`` draws the noise.

        Trained on all configurations of more than 16 spins, x is an `rgkit.enumeration.Enumeration`: sums over its rows
        go through `rgkit.enumeration.sum_over_rows`, which streams them.
        """


@dataclasses.dataclass(frozen=True)
class Infomax(Objective):
    r"""Maximise the mutual information: the loss is :math:`-I(x;y) = H(y|x) - H(y)` in nats.

    With all configurations and their probabilities it is exact; on a minibatch it is the information within the batch.

    Through a Gaussian channel the features are shifted and scaled to mean zero and mean :math:`|f|^2 = nP` over the
    rows, and draws of the noise estimate I (`AbstractNoiseChannel.batch_information`): on M rows at most ``ln M``, and too
    little by a bias that features with short tails make smaller. A large batch with few draws keeps the bias small.

    Arguments:
        draws: through a Gaussian channel, how many rows of a batch make a draw of the noise; None for all.

    Reference: R. Linsker, Computer 21(3), 105 (1988), doi:10.1109/2.36.
    """

    draws: int | None = None

    channels = (Values.SPINS, Values.REALS)

    def __post_init__(self):
        if self.draws is not None:
            _validation.positive_integer("draws", self.draws)

    def loss(self, network, head, x, weights, key=None):
        if network.channel.values is Values.REALS:
            features = jax.vmap(network)(x)
            shift, scale = network.channel.normalization(features, weights)
            return -network.channel.batch_information(
                scale * (features - shift[None]), weights, key, self.draws
            )
        law, noise = sum_over_rows(network.push, x, weights)
        return noise - jnp.sum(entr(jnp.maximum(law, jnp.finfo(law.dtype).tiny)))


def _conditional(network, x):
    """``P(y|x)``, ``(rows, 2**n)``."""
    return jnp.exp(jax.vmap(network.log_probability)(x))


def _outcomes(network):
    """The ``2**n`` feature states as spins, ``(2**n, n)``."""
    n = network.widths[-1]
    return spins_of(jnp.arange(2**n), n).astype(network.dtype)


class Reconstruction(Objective):
    r"""Reconstruct x from y, site by site: the loss is that of the best factorised decoder.

    .. math:: -\sum_i \langle \ln P(x_i|y) \rangle = \sum_i H(x_i|y) = \sum_i [H(x_i) - I(x_i;y)].

    The best decoder predicts each site by its conditional mean given y: it is known (`decoder`), not trained.
    """

    def decoder(self, network, x, weights):
        """``E[x_i|y]``, ``(2**n, N)``, for configurations ``(rows, N)`` with weights ``(rows,)``."""
        law, moments = sum_over_rows(functools.partial(self._moments, network), x, weights)
        return moments / jnp.maximum(law, jnp.finfo(law.dtype).tiny)

    def _moments(self, network, x, weights):
        """``q(y)``, ``(2**n, 1)``, and ``q(y) E[x_i|y]``, ``(2**n, N)``."""
        joint = weights[:, None] * _conditional(network, x)
        return joint.sum(0)[:, None], joint.T @ x.astype(joint.dtype)

    def loss(self, network, head, x, weights, key=None):
        law, moments = sum_over_rows(functools.partial(self._moments, network), x, weights)
        tiny = jnp.finfo(law.dtype).tiny
        up, down = jnp.maximum((law + moments) / 2, tiny), jnp.maximum((law - moments) / 2, tiny)
        return jnp.sum(entr(up) + entr(down)) - moments.shape[1] * jnp.sum(
            entr(jnp.maximum(law, tiny))
        )


@dataclasses.dataclass(frozen=True)
class Classification(Objective):
    r"""Cross-entropy of a label under a linear readout of the features, ``softmax(W y)`` without bias.

    Arguments:
        label: function of one configuration ``(N,)`` to an int in ``range(n_classes)``, in JAX operations.
        n_classes: number of classes C; the head is W, ``(C, n)``.
    """

    label: Callable
    n_classes: int = 2

    def __post_init__(self):
        _validation.positive_integer("n_classes", self.n_classes, 2)

    def init(self, network, key):
        n = network.widths[-1]
        return jax.random.normal(key, (self.n_classes, n), network.dtype) / n**0.5

    def loss(self, network, head, x, weights, key=None):
        def joint(x, weights):
            labels = jax.nn.one_hot(jax.vmap(self.label)(x), self.n_classes, dtype=head.dtype)
            return _conditional(network, x).T @ (weights[:, None] * labels)

        log_posterior = jax.nn.log_softmax(_outcomes(network) @ head.T)
        return -jnp.sum(sum_over_rows(joint, x, weights) * log_posterior)


@dataclasses.dataclass(frozen=True)
class Regression(Objective):
    """Mean squared error of a target under a linear readout ``w.y + c`` of the features.

    Arguments:
        target: function of one configuration ``(N,)`` to a float, in JAX operations; the head is ``(w, c)``.
    """

    target: Callable

    def init(self, network, key):
        return jnp.zeros(network.widths[-1], network.dtype), jnp.zeros((), network.dtype)

    def loss(self, network, head, x, weights, key=None):
        predictions = _outcomes(network) @ head[0] + head[1]

        def squares(x, weights):
            errors = jax.vmap(self.target)(x).astype(network.dtype)[:, None] - predictions[None]
            return weights @ jnp.sum(_conditional(network, x) * errors**2, axis=1)

        return sum_over_rows(squares, x, weights)
