"""What a feature tells about its surroundings: objectives that compare a block with its partner."""

import abc
import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit.enumeration import Enumeration
from rgkit.kernels.network import Network
from rgkit.systems.base import Values
from rgkit.training.objectives import Objective


class PartnerObjective(Objective):
    """A loss over pairs of blocks: a row is a block and, after it, its partner.

    One of its own gives `loss_of_features`. `rgkit.train_layers` makes the pairs and trains.
    """

    channels: ClassVar[tuple[Values, ...]] = (Values.SPINS, Values.REALS)
    fewest_rows: ClassVar[int] = 2

    def check(self, network: Network, x: Any) -> None:
        """Raise: `rgkit.train` has no partners to give."""
        raise TypeError(
            f"objective {type(self).__name__} compares blocks with their partners: pass it to "
            "rgkit.train_layers with partners such as rgkit.Siblings(2)."
        )

    def loss(
        self,
        network: Network,
        head: None,
        x: Num[Array | np.ndarray, "rows N"] | Enumeration,
        weights: Float[Array, " rows"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, ""]:
        """The loss of the features of both halves of the rows, ``(rows, 2 b)``."""
        if isinstance(x, Enumeration):
            raise TypeError("x must be rows of pairs of blocks: rgkit.train_layers makes them.")
        both = x.reshape(-1, x.shape[1] // 2)
        features = network.columns(both).reshape(network.widths[-1], -1, 2)
        return self.loss_of_features(features, weights)

    @abc.abstractmethod
    def loss_of_features(
        self, features: Float[Array, "n rows 2"], weights: Float[Array, " rows"]
    ) -> Float[Array, ""]:
        """The loss of activations ``(n, rows, 2)``, the last axis over block and partner."""


@dataclasses.dataclass(frozen=True, eq=False)
class Relevance(PartnerObjective):
    r"""Maximise the correlation of a feature with itself on the partner.

    For one feature :math:`f` of mean zero the loss is :math:`-\mathbb{E}[f f']/\mathbb{E}[f^2]`,
    whose least value is minus the maximal correlation :math:`\rho_1`. For n features it is
    :math:`-\mathrm{tr}(C^{-1} C')` with :math:`C = \mathbb{E}[f f^T]` and :math:`C'` the symmetric
    part of :math:`\mathbb{E}[f f'^T]`: at most :math:`\rho_1 + \dots + \rho_n` by Ky Fan's theorem.
    Noise of a channel is not drawn: at fixed power it would multiply every correlation by the same
    number.

    Reference: H. O. Hirschfeld, Math. Proc. Camb. Philos. Soc. 31, 520 (1935),
    doi:10.1017/S0305004100013517; H. Gebelein, Z. Angew. Math. Mech. 21, 364 (1941),
    doi:10.1002/zamm.19410210604.
    """

    def loss_of_features(
        self, features: Float[Array, "n rows 2"], weights: Float[Array, " rows"]
    ) -> Float[Array, ""]:
        """Minus the sum of the correlations of the best combinations of the features."""
        f = features - jnp.einsum("nrp,r->n", features, weights)[:, None, None] / 2
        weighted = f * weights[None, :, None]
        same = jnp.einsum("irp,jrp->ij", weighted, f) / 2
        across = jnp.einsum("ir,jr->ij", weighted[:, :, 0], f[:, :, 1])
        return -jnp.trace(jnp.linalg.solve(same, (across + across.T) / 2))


@dataclasses.dataclass(frozen=True, eq=False)
class BitRelevance(PartnerObjective):
    r"""Maximise the information :math:`I(y;y')` of one soft spin with that of the partner, in nats.

    The spin is +1 with probability :math:`(1 + \tanh f)/2`, so that a channel to spins is honest
    about what one bit can carry.
    """

    channels: ClassVar[tuple[Values, ...]] = (Values.SPINS,)

    def loss_of_features(
        self, features: Float[Array, "n rows 2"], weights: Float[Array, " rows"]
    ) -> Float[Array, ""]:
        """Minus the information, in nats."""
        up = jax.nn.sigmoid(2 * features[0])
        bits = jnp.stack([up, 1 - up])
        joint = jnp.einsum("ar,br,r->ab", bits[:, :, 0], bits[:, :, 1], weights)
        joint = (joint + joint.T) / 2
        return jnp.sum(entr(joint)) - 2 * jnp.sum(entr(joint.sum(1)))


@dataclasses.dataclass(frozen=True, eq=False)
class ContrastiveRelevance(PartnerObjective):
    r"""InfoNCE: tell the partner of a block from those of the other blocks of the batch, in nats.

    The score of a pair of standardised features is :math:`\beta f f'`, a critic that is chosen and
    not learned: what law the best feature has depends on it.

    Arguments:
        sharpness: :math:`\beta`.

    Reference: A. van den Oord, Y. Li, O. Vinyals, arXiv:1807.03748 (2018).
    """

    sharpness: float = 2.0

    def loss_of_features(
        self, features: Float[Array, "n rows 2"], weights: Float[Array, " rows"]
    ) -> Float[Array, ""]:
        """The cross-entropy of the right partner among those of the batch."""
        f = features[0] - features[0].mean()
        f = f / jnp.sqrt(jnp.mean(f**2))
        scores = self.sharpness * f[:, :1] * f[None, :, 1]
        right = jnp.diagonal(scores)
        ways = jax.nn.logsumexp(scores, axis=1) + jax.nn.logsumexp(scores, axis=0)
        return jnp.mean(ways / 2 - right)
