"""Moment matching: the member of a family of fields whose statistics have the means of the data."""

import dataclasses
from typing import Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Float

from rgkit.enumeration import ROWS_AT_ONCE
from rgkit.parameters.scores import check_independent
from rgkit.parameters.solved_chains import EvenChain, ExactMeans
from rgkit.systems.base import Family

CONVERGED = 1e-12
PATIENCE = 40
SHORTEST = 1e-8
BOUNDED = EvenChain  # families whose leading coefficient has a boundary that is known


@runtime_checkable
class Normalised(Family, Protocol):
    """A family that knows its partition function."""

    def log_partition(self) -> float:
        """``ln Z``."""
        ...


@dataclasses.dataclass(frozen=True)
class Restricted:
    """A family of which some parameters are free, in the order of `names`, and the others are 0."""

    family: Normalised
    names: tuple[str, ...]

    def at(self, parameters: Float[np.ndarray, " k"]) -> Normalised:
        """The member with these parameters; ValueError where there is none."""
        return self.family.at(dict(zip(self.names, parameters.tolist(), strict=True)))

    def means(self, member: Normalised) -> Float[np.ndarray, " k"]:
        """Means of the statistics of the free parameters."""
        means = member.mean_parameters()
        return np.array([means[name] for name in self.names])

    def fisher_information(self, member: Normalised) -> Float[np.ndarray, "k k"]:
        """Covariance of the statistics of the free parameters."""
        free = [[*self.family.parameters].index(name) for name in self.names]
        return member.fisher_information()[np.ix_(free, free)]

    def margin(self, parameters: Float[np.ndarray, " k"]) -> float:
        """Distance from the boundary, infinite where none is known."""
        return margin(parameters) if isinstance(self.family, BOUNDED) else np.inf

    def is_bounded(self) -> bool:
        """Whether its boundary is itself a family, of one parameter less."""
        return isinstance(self.family, BOUNDED) and len(self.names) > 2

    def boundary(self) -> "Restricted":
        """The family on the boundary, without the leading coefficient."""
        return Restricted(self.family, (*self.names[:-2], self.names[-1]))


def margin(parameters: Float[np.ndarray, " k"]) -> float:
    """Distance of an even chain from its boundary: its leading coefficient, or ``r - 2|K|``."""
    return float(parameters[-2] - (2 * abs(parameters[-1]) if len(parameters) == 2 else 0.0))


def match_moments(
    data: ExactMeans | Float[np.ndarray, "M n"], family: Family, start: Float[np.ndarray, " k"]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k k"], tuple[str, ...]]:
    """The member whose statistics have the same means, ``F^{-1} C F^{-1} / M``, and flags."""
    if not isinstance(family, Normalised):
        raise TypeError(
            f"family must have log_partition() for method 'likelihood', and "
            f"{type(family).__name__} has not: use method='score'."
        )
    if isinstance(data, ExactMeans):
        moments, spread = data.moments(), np.zeros((len(start),) * 2)
    else:
        statistics = _statistics(family, data)
        moments, spread = statistics.mean(0), np.atleast_2d(np.cov(statistics.T)) / len(data)
        check_independent(spread, family, data)
    free = Restricted(family, tuple(family.parameters))
    parameters, flags = _nearest_member(free, moments, start)
    inverse = np.linalg.inv(free.fisher_information(free.at(parameters)))
    return parameters, inverse @ spread @ inverse, flags


def _statistics(family: Family, x: Float[np.ndarray, "M n"]) -> Float[np.ndarray, "M k"]:
    with jax.enable_x64(True):
        chunks = (x[start : start + ROWS_AT_ONCE] for start in range(0, len(x), ROWS_AT_ONCE))
        return np.concatenate([np.asarray(family.statistics(chunk), float) for chunk in chunks])


def _nearest_member(
    free: Restricted, moments: Float[np.ndarray, " k"], start: Float[np.ndarray, " k"]
) -> tuple[Float[np.ndarray, " k"], tuple[str, ...]]:
    """The minimum of the convex ``ln Z(theta) - theta . moments``, inside or on the boundary."""
    start = _member_near(free, moments, start)
    parameters = _inside(free, moments, start, patience=0)
    if parameters is None and free.is_bounded():
        start, is_nearest = _edge(free, moments, start)
        if is_nearest:
            name = free.names[-2]
            return start, (
                f"{name} is on its boundary {name} = 0: errors, those of a free estimate, are not "
                "normal there",
            )
    if parameters is None:
        parameters = _inside(free, moments, start, PATIENCE)
    if parameters is None:
        raise ValueError(
            "likelihood finds no member of the family with these moments: use method='score', or "
            "another family."
        )
    return parameters, ()


def _edge(
    free: Restricted, moments: Float[np.ndarray, " k"], start: Float[np.ndarray, " k"]
) -> tuple[Float[np.ndarray, " k"], bool]:
    """The nearest member of one degree less, and whether none of full degree is nearer still."""
    nearest, flags = _nearest_member(free.boundary(), np.delete(moments, -2), np.delete(start, -2))
    edge = np.insert(nearest, -1, 0.0)
    excess = free.means(free.at(edge))[-2] - moments[-2]
    return edge, not flags and bool(excess >= 1e-9 * moments[-2])


def _inside(
    free: Restricted,
    moments: Float[np.ndarray, " k"],
    start: Float[np.ndarray, " k"],
    patience: int,
) -> Float[np.ndarray, " k"] | None:
    """The member with these moments, by Newton's method; None once its patience is at an end.

    The patience is how many steps may be shortened.
    """
    parameters, member = start, free.at(start)
    while patience >= 0:
        slope = free.means(member) - moments
        step = -np.linalg.solve(free.fisher_information(member), slope)
        if -slope @ step < CONVERGED:
            return parameters + step if free.margin(parameters + step) >= 0 else parameters
        value = member.log_partition() - float(parameters @ moments)
        length = _length(free, moments, parameters, step, value + 1e-4 * float(slope @ step))
        parameters, patience = parameters + length * step, patience - (length < 1)
        member = free.at(parameters)
    return None


def _length(free: Restricted, moments, parameters, step, value: float) -> float:
    """How much of a Newton step to take: halved until it stays inside and leads below a value."""
    length = 1.0
    while length > SHORTEST and not _dual(free, moments, parameters + length * step) < value:
        length /= 2
    return length if length > SHORTEST else 0.0


def _dual(free: Restricted, moments, parameters) -> float:
    try:
        return free.at(parameters).log_partition() - float(parameters @ moments)
    except ValueError:  # outside the family, or in need of an unreasonable grid
        return np.inf


def _member_near(
    free: Restricted, moments: Float[np.ndarray, " k"], start: Float[np.ndarray, " k"]
) -> Float[np.ndarray, " k"]:
    """The start, moved inside the family if it lies outside.

    Of a chain the leading coefficient becomes a tenth of one over the mean of its power of the
    field. Of a family whose boundary is not known it is the member at hand.
    """
    inside = np.array(start)
    if not isinstance(free.family, BOUNDED):
        known = free.family.parameters
        here = np.array([known[name] for name in free.names])
        return inside if np.isfinite(_dual(free, moments, inside)) else here
    if free.margin(inside) <= 0:
        inside[-2] = 0.1 * free.family.n_sites / -moments[-2] + (
            2.1 * abs(inside[-1]) if len(inside) == 2 else 0.0
        )
    return inside
