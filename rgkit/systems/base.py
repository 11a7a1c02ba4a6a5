"""What data come from: a system draws configurations; some list all of theirs, some are families."""

import enum
from collections.abc import Mapping
from typing import Any, Protocol, Self, TypeGuard, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Num, PRNGKeyArray


class Values(enum.Enum):
    """What a site of a configuration, or a feature, can be."""

    SPINS = "spins, +1 or -1"
    REALS = "real numbers"


@runtime_checkable
class System(Protocol):
    """The law of configurations of N sites, known at least by independent draws.

    A system may also have ``sampler()``: something with the same `sample`, whose arrays are the
    leaves of a pytree, for use inside compiled training (systems of one shape then share its
    programs). Without one the system itself is used, and must be a pytree or hashable.
    """

    @property
    def n_sites(self) -> int:
        """The number of sites N."""
        ...

    @property
    def values(self) -> Values:
        """What a site can be."""
        ...

    def sample(self, key: PRNGKeyArray, n_samples: int) -> Num[Array, "n_samples N"]:
        """Independent configurations, a row for each."""
        ...


@runtime_checkable
class Enumerable(System, Protocol):
    """A system of spins that lists its configurations with their probabilities.

    Where there are ``2**N`` rows, they are in the order of `rgkit.enumeration`: row i has spin j
    equal to +1 if bit j of i is 0, else -1. Fewer rows may be in any order.
    """

    def configurations(self) -> Num[np.ndarray, "rows N"]:
        """All configurations that have a probability, ``(rows, N)``."""
        ...

    def probabilities(self) -> Float[np.ndarray, " rows"]:
        """The probability of each row, ``(rows,)`` float64."""
        ...


@runtime_checkable
class Family(System, Protocol):
    r"""A member of an exponential family, :math:`p_\theta(x) \propto e^{\theta \cdot T(x)}`."""

    @property
    def parameters(self) -> dict[str, float]:
        r"""The characteristic (natural) parameters :math:`\theta` by name, dimensionless."""
        ...

    def statistics(self, x: Any) -> Float[Array, "... k"]:
        """Sufficient statistics T, ``(..., N)`` to ``(..., k)``, in the order of `parameters`."""
        ...

    def mean_parameters(self) -> dict[str, float]:
        """Means of the sufficient statistics by name."""
        ...

    def fisher_information(self) -> Float[np.ndarray, "k k"]:
        """Covariance of the sufficient statistics, in the order of `parameters`."""
        ...

    def at(self, parameters: Mapping[str, float], *, n_sites: int | None = None) -> Self:
        """The member with these parameters (those not named are 0), on as many sites unless told otherwise."""
        ...


def is_enumerable(system: System) -> TypeGuard[Enumerable]:
    """Whether a system lists its configurations: those of fields have none to list."""
    return system.values is Values.SPINS and isinstance(system, Enumerable)
