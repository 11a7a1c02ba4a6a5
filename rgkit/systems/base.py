"""What data come from: systems draw configurations; some list all of theirs, some are families."""

import enum
from collections.abc import Mapping
from typing import Any, Protocol, TypeGuard, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit import _validation
from rgkit.enumeration import Enumeration, check_enumerable, rows_of, spin_configurations

CHECKED_SITES = 12
UNNORMALISED = 1e-6
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


def enumerable(system: System, what: str) -> Enumerable:
    """The system if it lists its configurations, else a TypeError that says what needs it."""
    if not isinstance(system, System) or not is_enumerable(system):
        raise TypeError(
            f"{what} needs a system of spins with configurations() and probabilities(), got "
            f"{type(system).__name__}: pass a rgkit.IsingChain, recorded spins, or a "
            "rgkit.EnumeratedSystem of your own."
        )
    return system


def listed(system: Enumerable) -> tuple[Enumeration | np.ndarray, Float[np.ndarray, " rows"]]:
    """The configurations of a system and their probabilities, checked.

    Returns:
        An `Enumeration` where the system lists all ``2**N`` configurations, else its rows; and the
        probability of each.

    Raises:
        ValueError: where the probabilities are none, the rows are not spins or not as many, or all
            ``2**N`` of them are in another order than that of bits.
    """
    name, n_sites = type(system).__name__, system.n_sites
    weights = np.asarray(system.probabilities(), float)
    if weights.ndim != 1 or not weights.min() >= 0 or not abs(weights.sum() - 1) < UNNORMALISED:
        raise ValueError(
            f"{name}.probabilities() must be (rows,) numbers that are not negative and sum to 1, "
            f"got shape {weights.shape}, least {weights.min():.3g}, sum {weights.sum():.9g}: "
            "divide the weights by their sum."
        )
    if len(weights) == 2**n_sites and n_sites > CHECKED_SITES:
        return Enumeration(n_sites), weights
    rows = np.asarray(system.configurations())
    if rows.shape != (len(weights), n_sites) or not np.all(np.abs(rows) == 1):
        raise ValueError(
            f"{name}.configurations() must be spins +1 or -1 of shape ({len(weights)}, {n_sites}), "
            f"a row for each probability, got shape {rows.shape} and values from {rows.min()} to "
            f"{rows.max()}: write 0 and 1 as 1 - 2*s."
        )
    if len(weights) != 2**n_sites:
        return rows, weights
    if not np.array_equal(rows, spin_configurations(n_sites)):
        raise ValueError(
            f"{name}.configurations() must list all 2**{n_sites} rows in the order of bits: pass "
            "rgkit.enumeration.spin_configurations(n_sites), and probabilities in this order."
        )
    return Enumeration(n_sites), weights


def full_law(system: Enumerable) -> Float[np.ndarray, " outcomes"]:
    """The probabilities of all ``2**N`` configurations, in the order of bits, ``(2**N,)``.

    Raises:
        ValueError: for a system too large to enumerate; as `listed`.
    """
    size = 2 ** check_enumerable(system.n_sites)
    rows, weights = listed(system)
    if isinstance(rows, Enumeration):
        return weights
    return np.bincount(rows_of(rows), weights, minlength=size)


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
