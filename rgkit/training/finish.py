"""What is done to a trained network at the end, on all configurations and their probabilities."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from rgkit._content import Constant, Contentful
from rgkit.kernels.network import Network
from rgkit.training.objectives import Objective


class Finish(Contentful, abc.ABC):
    """Steps of another kind that end a training; two are equal where their attributes are."""

    @property
    @abc.abstractmethod
    def steps(self) -> int:
        """How many steps it makes, for the history."""

    @abc.abstractmethod
    def check(self, network: Network, objective: Objective) -> None:
        """Raise where it does not fit a network or what the network was trained for."""

    @abc.abstractmethod
    def __call__(self, network: Network, x: Any, weights: Float[Array, " rows"]) -> Network:
        """The finished network, in JAX operations.

        Arguments:
            network: the trained one.
            x: configurations ``(rows, N)``, or an `rgkit.enumeration.Enumeration` of them.
            weights: ``(rows,)``, summing to one.
        """


@eqx.filter_jit
def finished(finish: Constant, network: Network, x: Any, weights: Float[Array, "..."]) -> Network:
    """A network finished, in one compiled program."""
    return finish.value(network, x, weights)
