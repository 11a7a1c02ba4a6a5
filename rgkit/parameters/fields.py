"""Natural parameters of families of real fields: what is asked of the data, and the flags."""

from typing import Any

import numpy as np
from jaxtyping import Float, Num

from rgkit.enumeration import ROWS_AT_ONCE
from rgkit.parameters.moments import BOUNDED, margin, match_moments
from rgkit.parameters.samples import recorded_rows
from rgkit.parameters.scores import Differentiable, match_scores, solve_scores
from rgkit.parameters.solved_chains import ExactMeans, exact_means
from rgkit.systems.base import Family, Values

CORRELATED = 0.95
ROUNDING = 1e-9
SIGNIFICANT, MATERIAL = 5.0, 2.0
FEW_VALUES = 100


def field_parameters(
    law_or_samples: Any, family: Family, method: str
) -> tuple[dict[str, float], dict[str, float], tuple[str, ...]]:
    """Values, standard errors and flags for `rgkit.characteristic_parameters`, by either method."""
    if method not in ("score", "likelihood"):
        raise ValueError(f"method must be 'score' or 'likelihood', got {method!r}.")
    if not isinstance(family, Differentiable):
        raise TypeError(
            f"family must have statistics_derivatives(x), and {type(family).__name__} has not: "
            "give it this method, which returns the gradients (k, M, n) and the Laplacians (k, M) "
            "of its statistics, as that of `rg.ScalarChain` does."
        )
    data, notes = _data(law_or_samples, family)
    values, covariance = match_scores(data, family)
    if not isinstance(data, ExactMeans):
        notes += _off_centre(data, family, values, covariance)
    flags = ()
    if method == "likelihood":
        values, covariance, flags = match_moments(data, family, start=values)
    values_by_name, errors_by_name = (
        dict(zip(family.parameters, v.tolist(), strict=True))
        for v in (values, np.sqrt(np.diag(covariance)))
    )
    flags = flags or _flags(family, values, covariance, method)
    return values_by_name, errors_by_name, (*notes, *flags)


def _data(
    law: Any, family: Family
) -> tuple[ExactMeans | Float[np.ndarray, "M n"], tuple[str, ...]]:
    """An exact law, or samples ``(M, n)`` with notes on their precision."""
    if isinstance(law, Family):
        if law.values is not Values.REALS:
            raise TypeError(
                f"family is one of real numbers, and {type(law).__name__} one of spins: pass a "
                "family of spins."
            )
        return exact_means(law, family), ()
    rows = recorded_rows(law, family.n_sites)
    samples = _determining(rows.astype(float), family)
    return samples, _quantised(rows)


def _determining(samples: Float[np.ndarray, "M n"], family: Family) -> Float[np.ndarray, "M n"]:
    """Samples that can determine the parameters, or the reason why they cannot."""
    if len(samples) <= len(family.parameters):
        raise ValueError(
            f"samples has too few rows ({len(samples)}) for the statistics of "
            f"{', '.join(family.parameters)}: pass more configurations."
        )
    bad = np.flatnonzero(~np.isfinite(samples).all(1))
    if len(bad):
        raise ValueError(
            f"samples must be finite, row {bad[0]} (of {len(bad)} such rows) is not: mend what "
            "made it."
        )
    constant = np.flatnonzero(np.ptp(samples, axis=0) == 0)
    if len(constant):
        raise ValueError(
            f"feature {constant[0]} of samples is constant ({samples[0, constant[0]]:.3g}): leave "
            "it out."
        )
    return samples


def _quantised(rows: Num[np.ndarray, "M n"]) -> tuple[str, ...]:
    """A note where a feature has so few values that it has no density, by rounding or by nature."""
    some = rows[:ROWS_AT_ONCE]
    found = [np.unique(column) for column in some.T]
    counts = np.array([len(values) for values in found])
    feature = int(counts.argmin())
    if counts[feature] >= min(FEW_VALUES, len(some) / 2):
        return ()
    step = np.diff(found[feature].astype(float)).min()
    return (
        f"feature {feature} of samples has only {counts[feature]} different values in {len(some)} "
        f"rows, at least {step:.1g} apart, and a family of fields has a density: subtract the mean "
        f"before numbers are rounded to {rows.dtype}, take them with more digits, or add uniform "
        "noise of the size of a step",
    )


def _off_centre(
    samples: Float[np.ndarray, "M n"],
    family: Differentiable,
    values: Float[np.ndarray, " k"],
    covariance: Float[np.ndarray, "k k"],
) -> tuple[str, ...]:
    """A note where means that are not 0 move the estimates, though the family has none."""
    few = samples[:8]
    if not np.allclose(family.statistics(few), family.statistics(-few)):
        return ()
    # the means of the features, and that of all together, which is known best
    means = np.append(samples.mean(0), samples.mean())
    rows = np.column_stack([samples, samples.mean(1)])
    errors = rows.std(0) / len(samples) ** 0.5
    pulls = np.divide(abs(means), errors, out=np.zeros_like(means), where=errors > 0)
    if pulls.max() < SIGNIFICANT:
        return ()
    moved = abs(values - solve_scores(samples - samples.mean(0), family))
    shift = moved / np.sqrt(np.diag(covariance))
    if shift.max() < MATERIAL:
        return ()
    feature, name = int(pulls.argmax()), [*family.parameters][int(shift.argmax())]
    which = f"feature {feature}" if feature < samples.shape[1] else "the mean over the features"
    return (
        f"samples are off centre ({which} has mean {means[feature]:.3g} ± {errors[feature]:.1g}) "
        f"and the family is even, so that the mean is taken for couplings and moves {name} by "
        f"{shift.max():.0f} standard errors: centre them, samples - samples.mean(0)",
    )


def _flags(
    family: Family,
    values: Float[np.ndarray, " k"],
    covariance: Float[np.ndarray, "k k"],
    method: str,
) -> tuple[str, ...]:
    """Reasons for caution: a nearby boundary, parameters that the data hardly tell apart."""
    names, errors = list(family.parameters), np.sqrt(np.diag(covariance))
    flags = []
    if isinstance(family, BOUNDED):
        flags += _boundary_flags(names, values, errors, method)
    if errors.all():
        strong = np.abs(covariance) > CORRELATED * np.outer(errors, errors)
        for i, j in zip(*np.nonzero(np.triu(strong, 1)), strict=True):
            correlation = covariance[i, j] / (errors[i] * errors[j])
            flags.append(
                f"errors of {names[i]} and {names[j]} are correlated ({correlation:.3f}): each "
                "trades for the other"
            )
    return tuple(flags)


def _boundary_flags(
    names: list[str],
    values: Float[np.ndarray, " k"],
    errors: Float[np.ndarray, " k"],
    method: str,
) -> list[str]:
    distance, name = margin(values), names[-2]
    where = f"{name} = 0" if len(values) > 2 else "r = 2|K|"
    flags = (
        [f"{name} is beyond its boundary {where}: no member of the family has it"]
        if distance < -ROUNDING
        else []
    )
    if abs(distance) <= max(2 * errors[-2], ROUNDING):
        advice = "the law may lie on it" if method == "score" else "errors are not normal there"
        flags.append(f"{name} is within two standard errors of its boundary {where}: {advice}")
    return flags
