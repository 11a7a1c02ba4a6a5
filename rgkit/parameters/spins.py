"""Natural parameters of families of spins that can be enumerated, by maximum likelihood."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Num

from rgkit.enumeration import ROWS_AT_ONCE, spin_configurations
from rgkit.parameters.hull import simplest, tangent
from rgkit.parameters.likelihood import MATCHED, Masses, Nearest, Points, nearest_member
from rgkit.parameters.samples import recorded_rows
from rgkit.systems.base import Enumerable, Family, Values, is_enumerable

FEW_COUNTS = 10
WITHIN_ROUNDING = 1e-12
MATERIAL_ROUNDING = 1e-6
NORMALISED = 1e-6
DEPENDENT = 1e-12


@runtime_checkable
class EnumerableFamily(Enumerable, Family, Protocol):
    """A family of spins that lists its configurations."""


def spin_parameters(
    law_or_samples: Any, family: Family, method: str
) -> tuple[dict[str, float], dict[str, float], tuple[str, ...]]:
    """Values, standard errors and flags for `rgkit.characteristic_parameters`."""
    if method != "likelihood":
        raise ValueError(
            f"method must be 'likelihood' for spins, got {method!r}: score matching needs a "
            "density."
        )
    if not (is_enumerable(family) and isinstance(family, EnumerableFamily)):
        raise TypeError(
            f"family must list its configurations and probabilities, and {type(family).__name__} "
            "does not: take `rg.IsingChain`, or give it `configurations()` and `probabilities()`."
        )
    names = list(family.parameters)
    masses = _masses(law_or_samples, family)
    points = _points(family)
    _check_independent(points.values, names)
    low, width = points.values.min(0), np.ptp(points.values, axis=0)
    found = nearest_member(
        Points((points.values - low) / width, points.counts),
        Masses((masses.values - low) / width, masses.weights, masses.n_samples, masses.covariance),
    )
    values, errors = _limits(found)
    return (
        dict(zip(names, (values / width).tolist(), strict=True)),
        dict(zip(names, (errors / width).tolist(), strict=True)),
        _flags(found, names, width) + _unknown_errors(found, masses, names),
    )


def _chunks(rows: Num[np.ndarray, "rows n"]) -> Iterator[tuple[slice, Num[np.ndarray, "chunk n"]]]:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        yield part, rows[part]


def _statistics(family: Family, rows: Num[np.ndarray, "rows n"]) -> Float[np.ndarray, "rows k"]:
    with jax.enable_x64(True):
        # adding zero makes -0.0 the same value as 0.0
        statistics = np.asarray(family.statistics(np.asarray(rows, float)), float) + 0.0
    expected = len(rows), len(family.parameters)
    if statistics.shape != expected or not np.isfinite(statistics).all():
        raise ValueError(
            f"family.statistics must give finite numbers of shape {expected}, one for each of "
            f"{', '.join(family.parameters)}, got shape {statistics.shape}."
        )
    return statistics


def _gathered(
    parts: list[tuple[Float[np.ndarray, "rows k"], Float[np.ndarray, " rows"]]],
) -> tuple[Float[np.ndarray, "u k"], Float[np.ndarray, " u"]]:
    """Different values, and the sums of their weights."""
    values, weights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.lexsort(values.T)
    values = values[order]
    starts = np.flatnonzero(np.append(True, (values[1:] != values[:-1]).any(1)))
    return values[starts], np.add.reduceat(weights[order], starts)


def _weighted(
    family: Family, rows: Num[np.ndarray, "rows n"], weights: Float[np.ndarray, " rows"]
) -> tuple[Float[np.ndarray, "u k"], Float[np.ndarray, " u"]]:
    """Values of the statistics of rows, and the weight of each value."""
    return _gathered(
        [_gathered([(_statistics(family, chunk), weights[part])]) for part, chunk in _chunks(rows)]
    )


def _points(family: EnumerableFamily) -> Points:
    rows = np.asarray(family.configurations())
    return Points(*_weighted(family, rows, np.ones(len(rows))))


def _masses(law: Any, family: Family) -> Masses:
    """The law of the statistics: exact, from sampled probabilities, or from counts."""
    n = family.n_sites
    if isinstance(law, Enumerable) and is_enumerable(law):
        _check_sites(law.n_sites, n)
        rows, probabilities = np.asarray(law.configurations()), _normalised(law.probabilities())
        return Masses(*_weighted(family, rows, probabilities))
    if isinstance(law, Family) and law.values is Values.REALS:
        raise TypeError(
            f"family is one of spins, and {type(law).__name__} one of real numbers: pass a family "
            "of real numbers."
        )
    probabilities = getattr(law, "probabilities", None)
    if probabilities is not None and not isinstance(law, pd.DataFrame):
        return _masses_of_outcomes(law, _normalised(probabilities), family)
    return _counts(recorded_rows(law, n), family)


def _check_sites(found: int, n: int) -> None:
    if found != n:
        raise ValueError(f"family must have n_sites = {found}, got {n}.")


def _normalised(probabilities: Any) -> Float[np.ndarray, " rows"]:
    p = np.asarray(probabilities, float)
    if p.ndim != 1 or not (p.min() > -WITHIN_ROUNDING and abs(p.sum() - 1) < NORMALISED):
        raise ValueError(
            f"probabilities must be non-negative, of shape (rows,), and add up to 1, got shape "
            f"{p.shape} and the sum {p.sum():.6g}: divide them by their sum."
        )
    p = np.maximum(p, 0.0)
    return p / p.sum()


def _masses_of_outcomes(
    law: Any, probabilities: Float[np.ndarray, " rows"], family: Family
) -> Masses:
    n, count = family.n_sites, len(probabilities)
    if count != 2**n:
        _check_sites(count.bit_length() - 1, n)
    rows = spin_configurations(n)
    covariance = getattr(law, "covariance", None)
    if covariance is None:
        return Masses(*_weighted(family, rows, probabilities))
    return Masses(_statistics(family, rows), probabilities, covariance=np.asarray(covariance))


def _counts(samples: Num[np.ndarray, "M n"], family: Family) -> Masses:
    if len(samples) < 2 or not np.all(abs(samples.astype(float)) == 1):
        found = np.unique(samples)[:3]
        binary = len(samples) > 1 and np.isin(samples, (0, 1)).all()
        raise ValueError(
            f"samples must be spins +1 or -1 of shape (M >= 2, {family.n_sites}), got shape "
            f"{samples.shape} with values {', '.join(f'{value:.3g}' for value in found)}"
            + (": pass 2 * samples - 1." if binary else ", ...: pass the signs of the fields.")
        )
    values, counts = _weighted(family, samples, np.ones(len(samples)))
    return Masses(values, counts / len(samples), n_samples=len(samples))


def _check_independent(values: Float[np.ndarray, "u k"], names: list[str]) -> None:
    """Refuse statistics of which one, or a combination, is the same in all configurations."""
    width = np.ptp(values, axis=0)
    if not width.all():
        raise ValueError(
            f"the statistic of {names[int(np.argmin(width))]} is the same in all configurations "
            "of the family: take a family without it."
        )
    centred = (values - values.mean(0)) / width
    sizes, directions = np.linalg.eigh(centred.T @ centred)
    dependent = directions[:, sizes < DEPENDENT * sizes[-1]]
    if dependent.size:
        involved = ", ".join(np.array(names)[(abs(dependent) > 0.1).any(1)])
        raise ValueError(
            f"the statistics of {involved} are linearly dependent in all configurations of the "
            "family, so that no law tells their parameters apart: leave one of them out."
        )


def _limits(found: Nearest) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Where the parameters tend to, and their standard errors."""
    open_ended = (found.normals != 0).any(0)
    values = np.where(open_ended, np.nan, found.finite)
    values = np.where(found.direction != 0, np.copysign(np.inf, found.direction), values)
    return values, np.where(open_ended, np.nan, np.sqrt(_variances(found)))


def _variances(found: Nearest) -> Float[np.ndarray, " k"]:
    """Variances of the parameters; 0, and not what rounding makes of it, where samples agree."""
    variances = np.diag(found.covariance)
    return np.where(variances > WITHIN_ROUNDING * variances.max(), variances, 0.0)


def _flags(found: Nearest, names: list[str], width: Float[np.ndarray, " k"]) -> tuple[str, ...]:
    flags = _face_flags(found, names, width) if len(found.normals) else []
    if found.closest is not None:
        flags += _near_flags(found, names, width)
    if found.mismatch > MATCHED:
        flags.append(
            f"the likelihood is not at its maximum: mean statistics differ by {found.mismatch:.0e}"
        )
    return tuple(flags)


def _unknown_errors(found: Nearest, masses: Masses, names: list[str]) -> tuple[str, ...]:
    """Samples that are all alike say nothing of how others would scatter."""
    finite = (tangent(found.normals) != 0).any(1)
    without = finite & (_variances(found) == 0)
    if masses.n_samples is None or not without.any():
        return ()
    return (
        f"samples are all alike in what determines {_listed(names, without)}, so that its standard "
        "error is not known, and not 0",
    )


def _listed(names: list[str], which: Bool[np.ndarray, " k"]) -> str:
    return ", ".join(name for name, is_one in zip(names, which, strict=True) if is_one)


def _towards(direction: Float[np.ndarray, " k"], names: list[str]) -> str:
    ways = (
        f"{n} -> {'+' if d > 0 else '-'}inf" for n, d in zip(names, direction, strict=True) if d
    )
    return ", ".join(ways)


def _face_flags(found: Nearest, names: list[str], width: Float[np.ndarray, " k"]) -> list[str]:
    """On the boundary: the limits, what their signs rest on, and what stays finite or unknown."""
    flags = [
        "moments on the boundary of the family: the likelihood keeps rising as "
        + _towards(found.direction, names)
    ]
    up, down = (found.normals > 0).any(0), (found.normals < 0).any(0)
    chosen, unknown = up & down & (found.direction != 0), (up | down) & (found.direction == 0)
    if chosen.any():
        flags.append(
            f"the data leave the sign of {_listed(names, chosen)} open: it is the one that "
            "estimates have when a little of the uniform law is mixed in, less and less of it"
        )
    if unknown.any():
        flags.append(
            f"{_listed(names, unknown)} is undetermined: in the limit every value gives the same "
            "law"
        )
    return flags + _finite_combinations(found, names, width)


def _finite_combinations(
    found: Nearest, names: list[str], width: Float[np.ndarray, " k"]
) -> list[str]:
    """Combinations of infinite parameters that the face determines."""
    flags, normals = [], found.normals / width
    finite, covariance = found.finite / width, found.covariance / np.outer(width, width)
    for row in simplest(tangent(normals / np.linalg.norm(normals, axis=1, keepdims=True))):
        if np.count_nonzero(row) > 1:
            terms = (f"{c:+.4g} {n}" for c, n in zip(row, names, strict=True) if c)
            error = np.sqrt(max(row @ covariance @ row, 0.0))
            flags.append(
                f"finite on the boundary: {' '.join(terms)} = {row @ finite:.6g} ± {error:.2g}"
            )
    return flags


def _near_flags(found: Nearest, names: list[str], width: Float[np.ndarray, " k"]) -> list[str]:
    """What a nearby face means for the errors: few counts, or few digits."""
    assert found.closest is not None and found.rounding is not None
    flags, limits = [], _towards(found.closest, names)
    if found.deviations < FEW_COUNTS**0.5:
        flags.append(
            f"moments are only {found.deviations:.1f} standard errors from the boundary where "
            f"{limits}: a few configurations decide, errors are not normal there, and other "
            "samples may give infinite values"
        )
    if found.deviations < np.inf:
        return flags
    if found.slack < WITHIN_ROUNDING:
        flags.append(
            f"moments are within {found.slack:.0e} of the boundary where {limits}: the estimate "
            "rests on probabilities as small as this, and is right only as far as their digits are"
        )
    lost = found.rounding > MATERIAL_ROUNDING * np.maximum(width, abs(found.finite))
    if lost.any():
        worst = (found.rounding / width)[lost].max()
        flags.append(
            f"the moments determine {_listed(names, lost)} only to within {worst:.0e}, by the "
            "rounding of float64: other combinations may be known better"
        )
    return flags
