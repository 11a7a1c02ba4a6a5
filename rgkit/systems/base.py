"""What data come from: systems draw configurations; some list all of theirs, some are families."""

import enum
from collections.abc import Mapping
from typing import Any, Protocol, TypeGuard, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit import _validation

LARGEST_DRAW = 2**33  # bytes
# not typing.Self, which checkers of calls cannot resolve in a method
Member = TypeVar("Member", bound="Family")


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

    def at(self: Member, parameters: Mapping[str, float], *, n_sites: int | None = None) -> Member:
        """The member with these parameters (those not named are 0), on as many sites by default."""
        ...


def is_enumerable(system: System) -> TypeGuard[Enumerable]:
    """Whether a system lists its configurations: those of fields have none to list."""
    return system.values is Values.SPINS and isinstance(system, Enumerable)


def checked_draw(key: Any, n_samples: Any, bytes_of_a_row: int) -> tuple[PRNGKeyArray, int]:
    """The key and the number of samples of a draw, if they are such and the draw fits in 8 GiB.

    Arguments:
        key: a typed JAX key.
        n_samples: how many configurations to draw.
        bytes_of_a_row: what drawing one takes, with what is needed on the way.

    Raises:
        TypeError, ValueError: naming the argument.
    """
    key, n_samples = (
        _validation.key("key", key),
        _validation.positive_integer("n_samples", n_samples),
    )
    if n_samples * bytes_of_a_row > LARGEST_DRAW:
        parts = -(-n_samples * bytes_of_a_row // LARGEST_DRAW)
        raise ValueError(
            f"n_samples = {n_samples} is too large for one draw, which would take "
            f"{n_samples * bytes_of_a_row / 2**30:.3g} GiB (at most {LARGEST_DRAW // 2**30}): draw "
            f"at least {parts} parts, each with its own key from jax.random.split(key, {parts})."
        )
    return key, n_samples
