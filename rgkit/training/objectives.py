"""What a network is trained for: an objective has a head (decoder or readout) and a loss."""

import abc
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit import _validation
from rgkit._content import Contentful
from rgkit.enumeration import Enumeration, spins_of, sum_over_rows
from rgkit.kernels.network import Network
from rgkit.systems.base import Values


class Objective(Contentful, abc.ABC):
    """A loss over weighted configurations.

    An objective of one's own gives `loss`, and `init` if it has a head. Two objectives are equal
    where their class and attributes are the same; functions among these are compared as objects.
    The attributes are constants of a compiled program: do not change them during training.

    Attributes:
        channels: the features that the loss is defined for, those of a channel to spins by default.
        fewest_rows: the least number of rows that the loss can learn from.
        is_information: whether the loss is minus the information I(x;y), in nats.
    """

    channels: ClassVar[tuple[Values, ...]] = (Values.SPINS,)
    fewest_rows: ClassVar[int] = 1
    is_information: ClassVar[bool] = False

    def init(self, network: Network, key: PRNGKeyArray) -> Any:
        """The head's parameters at the start: a pytree of arrays, None without a head."""
        return None

    def check(self, network: Network, x: Num[Array | np.ndarray, "rows N"]) -> None:
        """Raise where the objective does not fit configurations that it is about to learn from."""

    @abc.abstractmethod
    def loss(
        self,
        network: Network,
        head: Any,
        x: Num[Array | np.ndarray, "rows N"] | Enumeration,
        weights: Float[Array, " rows"],
        key: PRNGKeyArray,
    ) -> Float[Array, ""]:
        """The loss on weighted configurations, a scalar that JAX can differentiate.

        Arguments:
            network: the network; over spin features an expectation given x can be exact.
            head: as `init` made it.
            x: configurations ``(rows, N)``. Trained on all configurations of more than 16 spins it
                is an `rgkit.enumeration.Enumeration`: sums over its rows go through
                `rgkit.enumeration.sum_over_rows`, which streams them.
            weights: ``(rows,)``, summing to one.
            key: for draws, of the noise of a channel to real features for example.
        """


@dataclasses.dataclass(frozen=True, eq=False)
class Infomax(Objective):
    r"""Maximise the mutual information: the loss is :math:`-I(x;y) = H(y|x) - H(y)` in nats.

    With all configurations and their probabilities it is exact; on a minibatch it is the
    information within the batch.

    Through a Gaussian channel the features are shifted and scaled to mean zero and mean
    :math:`|f|^2 = nP` over the rows, and draws of the noise estimate I
    (`AbstractNoiseChannel.batch_information`): on M rows at most ``ln M``, and too little by a bias
    that features with short tails make smaller. A large batch with few draws keeps the bias small.

    Arguments:
        draws: through a Gaussian channel, how many rows of a batch make a draw of the noise; None
            for all.

    Raises:
        TypeError, ValueError: for ``draws`` that is no integer of at least 1.

    Reference: R. Linsker, Computer 21(3), 105 (1988), doi:10.1109/2.36.
    """

    draws: int | None = None

    channels: ClassVar[tuple[Values, ...]] = (Values.SPINS, Values.REALS)
    # one row carries no information on which row it is
    fewest_rows: ClassVar[int] = 2
    is_information: ClassVar[bool] = True

    def __post_init__(self):
        if self.draws is not None:
            _validation.positive_integer("draws", self.draws)

    def loss(
        self,
        network: Network,
        head: None,
        x: Num[Array | np.ndarray, "rows N"] | Enumeration,
        weights: Float[Array, " rows"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, ""]:
        """:math:`-I(x;y)` in nats; spin features need no key."""
        if network.channel.values is Values.REALS:
            channel = network.noise_channel("infomax of real features")
            if key is None or isinstance(x, Enumeration):
                raise TypeError(
                    "key must be a typed JAX key where features are real, for draws of their "
                    "noise, and x their rows: pass jax.random.key(0) and (rows, N) configurations."
                )
            features = jax.vmap(network)(x)
            shift, scale = channel.normalization(features, weights)
            return -channel.batch_information(
                scale * (features - shift[None]), weights, key, self.draws
            )
        law, noise = sum_over_rows(functools.partial(self.push, network), x, weights)
        return noise - entropy(law)

    def push(
        self,
        network: Network,
        x: Num[Array | np.ndarray, "rows N"],
        weights: Float[Array, " rows"],
    ) -> tuple[Float[Array, " outcomes"], Float[Array, ""]]:
        """Law and noise of spin features, as `SpinKernel.push`."""
        return network.push(x, weights)


def entropy(law: Float[Array, "..."]) -> Float[Array, ""]:
    """The entropy of a law in nats, with a finite slope where an outcome does not occur."""
    return jnp.sum(entr(jnp.maximum(law, jnp.finfo(law.dtype).tiny)))


def _conditional(network, x):
    """``P(y|x)``, ``(rows, 2**n)``."""
    return jnp.exp(jax.vmap(network.log_probability)(x))


def _outcomes(network):
    """The ``2**n`` feature states as spins, ``(2**n, n)``."""
    n = network.widths[-1]
    return spins_of(jnp.arange(2**n), n).astype(network.dtype)


@dataclasses.dataclass(frozen=True, eq=False)
class Reconstruction(Objective):
    r"""Reconstruct x from y, site by site: the loss is that of the best factorised decoder.

    .. math:: -\sum_i \langle \ln P(x_i|y) \rangle = \sum_i H(x_i|y) = \sum_i [H(x_i) - I(x_i;y)].

    The best decoder predicts each site by its conditional mean given y: it is known (`decoder`),
    not trained. The loss is in nats.
    """

    def decoder(
        self,
        network: Network,
        x: Num[Array | np.ndarray, "rows N"] | Enumeration,
        weights: Float[Array, " rows"],
    ) -> Float[Array, "outcomes N"]:
        """``E[x_i|y]``, ``(2**n, N)``, over configurations with weights that sum to one."""
        law, moments = sum_over_rows(functools.partial(self._moments, network), x, weights)
        return moments / jnp.maximum(law, jnp.finfo(law.dtype).tiny)

    def _moments(self, network, x, weights):
        """``q(y)``, ``(2**n, 1)``, and ``q(y) E[x_i|y]``, ``(2**n, N)``."""
        joint = weights[:, None] * _conditional(network, x)
        return joint.sum(0)[:, None], joint.T @ x.astype(joint.dtype)

    def check(self, network: Network, x: Num[Array | np.ndarray, "rows N"]) -> None:
        """Raise where sites are not spins: a real number is not found again by a mean alone."""
        if not np.all(np.abs(np.asarray(x)) == 1):
            raise ValueError(
                "objective Reconstruction is defined for configurations of spins +1 or -1, the "
                "system draws other numbers: use rgkit.Infomax, or write its loss for fields."
            )

    def loss(
        self,
        network: Network,
        head: None,
        x: Num[Array | np.ndarray, "rows N"] | Enumeration,
        weights: Float[Array, " rows"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, ""]:
        r""":math:`\sum_i H(x_i|y)` in nats; the key is not used."""
        law, moments = sum_over_rows(functools.partial(self._moments, network), x, weights)
        tiny = jnp.finfo(law.dtype).tiny
        up, down = jnp.maximum((law + moments) / 2, tiny), jnp.maximum((law - moments) / 2, tiny)
        return jnp.sum(entr(up) + entr(down)) - moments.shape[1] * entropy(law)


@dataclasses.dataclass(frozen=True, eq=False)
class Classification(Objective):
    r"""Cross-entropy of a label under a linear readout of the features, ``softmax(W y)``, no bias.

    Arguments:
        label: function of one configuration ``(N,)`` to an int in ``range(n_classes)``, in JAX
            operations.
        n_classes: number of classes C; the head is W, ``(C, n)``.

    Raises:
        TypeError, ValueError: for ``n_classes`` that is no integer of at least 2, and in training
            for labels that are no integers in this range.
    """

    label: Callable
    n_classes: int = 2

    def __post_init__(self):
        _callable("label", self.label, "an int")
        _validation.positive_integer("n_classes", self.n_classes, 2)

    def init(self, network: Network, key: PRNGKeyArray) -> Float[Array, "classes n"]:
        """W, ``(C, n)``, of normal numbers of variance 1/n."""
        n = network.widths[-1]
        return jax.random.normal(key, (self.n_classes, n), network.dtype) / n**0.5

    def check(self, network: Network, x: Num[Array | np.ndarray, "rows N"]) -> None:
        """Raise where a label is no integer in ``range(n_classes)``."""
        labels = _of_rows("label", self.label, x, "iub", "an int: use .astype(int)")
        outside = np.flatnonzero((labels < 0) | (labels >= self.n_classes))
        if len(outside):
            raise ValueError(
                f"label must be in range({self.n_classes}), got {labels[outside[0]]} for the "
                f"configuration {np.asarray(x)[outside[0]].tolist()}: raise n_classes, or shift "
                "the labels."
            )

    def loss(
        self,
        network: Network,
        head: Float[Array, "classes n"],
        x: Num[Array | np.ndarray, "rows N"] | Enumeration,
        weights: Float[Array, " rows"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, ""]:
        """Cross-entropy in nats; the key is not used."""

        def joint(x, weights):
            labels = jax.nn.one_hot(jax.vmap(self.label)(x), self.n_classes, dtype=head.dtype)
            return _conditional(network, x).T @ (weights[:, None] * labels)

        log_posterior = jax.nn.log_softmax(_outcomes(network) @ head.T)
        return -jnp.sum(sum_over_rows(joint, x, weights) * log_posterior)


@dataclasses.dataclass(frozen=True, eq=False)
class Regression(Objective):
    """Mean squared error of a target under a linear readout ``w.y + c`` of the features.

    Arguments:
        target: function of one configuration ``(N,)`` to a float, in JAX operations; the head is
            ``(w, c)``. The loss is in the square of its unit.

    Raises:
        TypeError, ValueError: where it is no function, and in training where it returns no finite
            real number.
    """

    target: Callable

    def __post_init__(self):
        _callable("target", self.target, "a float")

    def init(
        self, network: Network, key: PRNGKeyArray
    ) -> tuple[Float[Array, " n"], Float[Array, ""]]:
        """``(w, c)``, zero."""
        return jnp.zeros(network.widths[-1], network.dtype), jnp.zeros((), network.dtype)

    def check(self, network: Network, x: Num[Array | np.ndarray, "rows N"]) -> None:
        """Raise where the target is no finite real number."""
        targets = _of_rows("target", self.target, x, "iubf", "one real number")
        if not np.isfinite(targets).all():
            row = np.asarray(x)[np.flatnonzero(~np.isfinite(targets))[0]]
            raise ValueError(
                f"target must be finite, but is not for the configuration {row.tolist()}: mend it "
                "there."
            )

    def loss(
        self,
        network: Network,
        head: tuple[Float[Array, " n"], Float[Array, ""]],
        x: Num[Array | np.ndarray, "rows N"] | Enumeration,
        weights: Float[Array, " rows"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, ""]:
        """Mean squared error; the key is not used."""
        predictions = _outcomes(network) @ head[0] + head[1]

        def squares(x, weights):
            errors = jax.vmap(self.target)(x).astype(network.dtype)[:, None] - predictions[None]
            return weights @ jnp.sum(_conditional(network, x) * errors**2, axis=1)

        return sum_over_rows(squares, x, weights)


def _callable(name, value, returns):
    if not callable(value):
        raise TypeError(
            f"{name} must be a function of one configuration (N,) to {returns}, got {value!r}."
        )


def _of_rows(name, function, x, kinds, mend) -> np.ndarray:
    """What a function of one configuration makes of rows, a number for each, or raise."""
    values = np.asarray(jax.vmap(function)(jnp.asarray(x)))
    if values.shape != x.shape[:1] or values.dtype.kind not in kinds:
        raise TypeError(
            f"{name} must return one number, got shape {values.shape[1:]} and dtype {values.dtype} "
            f"for one configuration ({x.shape[1]},): return {mend}."
        )
    return values
