"""Infomax whose pull reaches features that are decided already."""

import dataclasses
from typing import ClassVar

import jax
import numpy as np
from jaxtyping import Array, Float, Num

from rgkit import _validation
from rgkit.kernels.base import product_law
from rgkit.kernels.network import Network
from rgkit.systems.base import Values
from rgkit.training.objectives import Infomax


@dataclasses.dataclass(frozen=True, eq=False)
class LeakyInfomax(Infomax):
    r"""`Infomax` over spin features with a leak in the gradient: the loss itself is the same.

    The pull of :math:`H(y)` on an activation goes through the slope
    :math:`d\langle y\rangle/da = 1 - \langle y\rangle^2` of the channel, which vanishes once the
    feature is decided. Here the slope on this way is larger by the leak; the way of
    :math:`H(y|x)` is left as it is. Such a gradient is that of no function, and with it training
    does not settle: end with steps of another kind, such as those of `Polish`.

    Arguments:
        leak: what is added to the slope (dimensionless).

    Raises:
        TypeError, ValueError: for a ``leak`` that is no real number of at least 0.
    """

    draws: int | None = dataclasses.field(default=None, init=False)
    leak: float = 0.05

    channels: ClassVar[tuple[Values, ...]] = (Values.SPINS,)

    def __post_init__(self):
        if _validation.real("leak", self.leak) < 0:
            raise ValueError(
                f"leak must be at least 0, got {self.leak}: pass 0.05, or use rgkit.Infomax()."
            )

    def push(
        self,
        network: Network,
        x: Num[Array | np.ndarray, "rows N"],
        weights: Float[Array, " rows"],
    ) -> tuple[Float[Array, " outcomes"], Float[Array, ""]]:
        """Law and noise of spin features; the leak is in the slope of the law."""
        channel = network.spin_channel("LeakyInfomax")
        activations = network.columns(x)
        leaked = self.leak * (activations - jax.lax.stop_gradient(activations))
        law = product_law(channel.means(activations) + leaked, weights)
        return law, weights @ channel.conditional_entropy(activations)
