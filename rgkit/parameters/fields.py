"""Natural parameters of chains of fields from data: score matching and moment matching."""

import dataclasses

import jax
import numpy as np

from rgkit.systems.scalar import ScalarChain
from rgkit.systems.transfer_operator import potential

CHUNK_ROWS = 2**15
COLLINEAR = 1e-12
CORRELATED = 0.95
CONVERGED = 1e-12
PATIENCE = 40
SHORTEST = 1e-8
ROUNDING = 1e-9


def _statistics(family, x):
    """Sufficient statistics of configurations ``(M, n)``, ``(M, k)`` float64."""
    with jax.enable_x64(True):
        return np.asarray(family.statistics(np.asarray(x, float)))


def field_parameters(law, family, method):
    """Values, standard errors and flags for `rgkit.characteristic_parameters`, by "score" or "likelihood"."""
    if method not in ("score", "likelihood"):
        raise ValueError(f"method must be 'score' or 'likelihood', got {method!r}.")
    data = (
        _matching_chain(law, family)
        if isinstance(law, ScalarChain)
        else _field_samples(law, family)
    )
    values, covariance, flags = _match_scores(data, family)
    if method == "likelihood":
        values, covariance, flags = _match_moments(data, family, start=values)
    named = (
        dict(zip(family.parameters, v.tolist(), strict=True))
        for v in (values, np.sqrt(np.diag(covariance)))
    )
    return *named, flags or _flags(family, values, covariance, method)


def _matching_chain(law, family):
    if (law.n_sites, law.periodic) != (family.n_sites, family.periodic):
        raise ValueError(
            f"family must have n_sites = {law.n_sites} and periodic = {law.periodic} as the law, got {family}."
        )
    return law


def _field_samples(law, family):
    """Samples ``(M, n)`` that can determine the parameters, or the reason why they cannot."""
    samples, n, names = (
        np.asarray(getattr(law, "samples", law), float),
        family.n_sites,
        ", ".join(family.parameters),
    )
    if samples.ndim != 2 or samples.shape[1] != n:
        raise ValueError(
            f"samples must have shape (M, {n}), one configuration in each row, got shape {samples.shape}."
        )
    if len(samples) <= len(family.parameters):
        raise ValueError(
            f"samples has too few rows ({len(samples)}) for the statistics of {names}: pass more configurations."
        )
    bad = np.flatnonzero(~np.isfinite(samples).all(1))
    if len(bad):
        raise ValueError(
            f"samples must be finite, row {bad[0]} (of {len(bad)} such rows) is not: mend what made it."
        )
    constant = np.flatnonzero(np.ptp(samples, axis=0) == 0)
    if len(constant):
        raise ValueError(
            f"feature {constant[0]} of samples is constant ({samples[0, constant[0]]:.3g}): leave it out."
        )
    return samples


def _check_independent(matrix, family):
    """Refuse a Gram matrix ``(k, k)`` of the statistics (or of their gradients) that is singular, naming the statistics."""
    names, size = np.array(list(family.parameters)), np.sqrt(np.diag(matrix))
    if np.any(size == 0):
        raise ValueError(
            f"the statistic of {names[np.argmin(size)]} is constant in samples: take a family without it."
        )
    values, vectors = np.linalg.eigh(matrix / np.outer(size, size))
    if values[0] < COLLINEAR:
        involved = ", ".join(names[np.abs(vectors[:, 0]) > 0.1])
        raise ValueError(
            f"the statistics of {involved} are collinear in samples (least eigenvalue {values[0]:.0e} of their normalised Gram "
            "matrix): these samples cannot tell them apart. Take a family of lower degree, or more varied configurations."
        )


def _flags(family, values, covariance, method):
    """Reasons for caution: a leading coefficient near its boundary, parameters that the data hardly tell apart."""
    names, errors = list(family.parameters), np.sqrt(np.diag(covariance))
    margin, name = _margin(values), names[-2]
    where = f"{name} = 0" if len(values) > 2 else "r = 2|K|"
    flags = (
        [f"{name} is beyond its boundary {where}: no member of the family has it"]
        if margin < -ROUNDING
        else []
    )
    if abs(margin) <= max(2 * errors[-2], ROUNDING):
        advice = "the law may lie on it" if method == "score" else "errors are not normal there"
        flags.append(f"{name} is within two standard errors of its boundary {where}: {advice}")
    if errors.all():
        for i, j in zip(
            *np.nonzero(np.triu(np.abs(covariance) > CORRELATED * np.outer(errors, errors), 1)),
            strict=True,
        ):
            correlation = covariance[i, j] / (errors[i] * errors[j])
            flags.append(
                f"errors of {names[i]} and {names[j]} are correlated ({correlation:.3f}): each trades for the other"
            )
    return tuple(flags)


def _margin(parameters):
    """Distance of the leading coefficient from its boundary: ``r - 2|K|`` for a quadratic potential, else the coefficient."""
    return parameters[-2] - (2 * abs(parameters[-1]) if len(parameters) == 2 else 0.0)


def _powers(family):
    """Powers of the field in the potential, and the factors of the derivatives of their statistics."""
    orders = 2 * np.arange(1, len(family.potential) + 1)
    return orders, np.where(orders == 2, -0.5, -1.0) * orders


def _derivatives(family, x):
    """Gradients ``(k, M, n)`` and Laplacians ``(k, M)`` of the sufficient statistics of configurations ``(M, n)``."""
    orders, factors = _powers(family)
    powers = np.cumprod([np.ones_like(x)] + [x] * (orders[-1] - 1), axis=0)
    neighbours = np.roll(x, 1, axis=1) + np.roll(x, -1, axis=1)
    if not family.periodic:
        neighbours[:, [0, -1]] -= x[:, [-1, 0]]
    gradients = np.concatenate([factors[:, None, None] * powers[orders - 1], neighbours[None]])
    laplacians = (factors * (orders - 1))[:, None] * powers[orders - 2].sum(-1)
    return gradients, np.append(laplacians, np.zeros((1, len(x))), axis=0)


def _chunks(family, samples):
    return (
        _derivatives(family, samples[start : start + CHUNK_ROWS])
        for start in range(0, len(samples), CHUNK_ROWS)
    )


def _match_scores(data, family):
    """``theta = -A^{-1} b`` and its covariance ``A^{-1} C A^{-1} / M``; C is that of ``A_m theta + b_m``."""
    exact = isinstance(data, ScalarChain)
    matrix, vector = _exact_score_terms(data, family) if exact else _score_terms(data, family)
    _check_independent(matrix, family)
    inverse = np.linalg.inv(matrix)
    parameters = -inverse @ vector
    spread = np.zeros_like(matrix) if exact else _score_spread(data, family, parameters)
    return parameters, inverse @ spread @ inverse, ()


def _score_terms(samples, family):
    """A ``(k, k)`` and b ``(k,)``."""
    matrix, vector = 0.0, 0.0
    for gradients, laplacians in _chunks(family, samples):
        flat = gradients.reshape(len(gradients), -1)
        matrix, vector = matrix + flat @ flat.T, vector + laplacians.sum(1)
    return matrix / len(samples), vector / len(samples)


def _score_spread(samples, family, parameters):
    """Covariance ``(k, k)`` of the mean of ``A_m theta + b_m`` over configurations."""
    spread = 0.0
    for gradients, laplacians in _chunks(family, samples):
        residuals = (gradients * np.tensordot(parameters, gradients, 1)).sum(-1) + laplacians
        spread = spread + residuals @ residuals.T
    return spread / len(samples) ** 2


def _match_moments(data, family, start):
    """The member whose statistics have the same means, ``F^{-1} C F^{-1} / M``, and flags."""
    if isinstance(data, ScalarChain):
        moments, spread = _exact_moments(data, family), np.zeros((len(start),) * 2)
    else:
        statistics = _statistics(family, data)
        moments, spread = statistics.mean(0), np.cov(statistics.T) / len(data)
        _check_independent(spread, family)
    parameters, flags = _nearest_member(family, moments, start)
    inverse = np.linalg.inv(_member(family, parameters).fisher_information())
    return parameters, inverse @ spread @ inverse, flags


def _member(family, parameters):
    *potential, coupling = np.asarray(parameters).tolist()
    return dataclasses.replace(family, potential=tuple(potential), coupling=coupling)


def _nearest_member(family, moments, start):
    """The minimum of the convex ``ln Z(theta) - theta . moments``, inside the family or where its leading coefficient ends."""
    start = _normalisable(family, moments, start)
    parameters = _inside(family, moments, start, patience=0)
    if parameters is None and len(start) > 2:
        start, is_nearest = _edge(family, moments, start)
        if is_nearest:
            name = [*family.parameters][-2]
            return start, (
                f"{name} is on its boundary {name} = 0: errors, those of a free estimate, are not normal there",
            )
    if parameters is None:
        parameters = _inside(family, moments, start, PATIENCE)
    if parameters is None:
        raise ValueError(
            "likelihood finds no member of the family with these moments: use method='score', or another family."
        )
    return parameters, ()


def _edge(family, moments, start):
    """The nearest member of one degree less, and whether no positive leading coefficient brings it nearer still."""
    lower = dataclasses.replace(family, potential=(1.0,) * (len(start) - 2), coupling=0.0)
    nearest, flags = _nearest_member(lower, np.delete(moments, -2), np.delete(start, -2))
    edge = np.insert(nearest, -1, 0.0)
    excess = _means(_member(family, edge))[-2] - moments[-2]
    return edge, not flags and excess >= 1e-9 * moments[-2]


def _inside(family, moments, start, patience):
    """The member with these moments, by Newton's method; None once more than ``patience`` steps had to be shortened."""
    parameters, member = start, _member(family, start)
    while patience >= 0:
        slope = _means(member) - moments
        step = -np.linalg.solve(member.fisher_information(), slope)
        if -slope @ step < CONVERGED:
            return parameters + step if _margin(parameters + step) >= 0 else parameters
        value = member.log_partition() - parameters @ moments
        length = _length(family, moments, parameters, step, value + 1e-4 * slope @ step)
        parameters, patience = parameters + length * step, patience - (length < 1)
        member = _member(family, parameters)
    return None


def _length(family, moments, parameters, step, value):
    """How much of a Newton step to take: halved until it stays in the family and leads below a value."""
    length = 1.0
    while length > SHORTEST and not _dual(family, moments, parameters + length * step) < value:
        length /= 2
    return length if length > SHORTEST else 0.0


def _dual(family, moments, parameters):
    try:
        return _member(family, parameters).log_partition() - parameters @ moments
    except ValueError:  # outside the family, or in need of an unreasonable grid
        return np.inf


def _normalisable(family, moments, start):
    """The start, its leading coefficient moved inside: to a tenth of one over the mean of its power of the field."""
    inside = np.array(start)
    if _margin(inside) <= 0:
        inside[-2] = 0.1 * family.n_sites / -moments[-2] + (
            2.1 * abs(inside[-1]) if len(inside) == 2 else 0.0
        )
    return inside


def _means(chain):
    return np.array([*chain.mean_parameters().values()])


def _moments_of(chain, orders):
    """Sums over the sites of the means of even powers of the field."""
    # a vanishing coefficient changes no law, and its statistic comes with the others
    padded = chain.potential + (0.0,) * (max(orders) // 2 - len(chain.potential))
    means = [*dataclasses.replace(chain, potential=padded).mean_parameters().values()]
    return np.array(
        [
            chain.n_sites if p == 0 else means[p // 2 - 1] * (-2.0 if p == 2 else -1.0)
            for p in orders
        ]
    )


def _exact_moments(law, family):
    """Means of the statistics of the family under a chain of any degree."""
    orders, factors = _powers(family)
    return np.append(factors / orders * _moments_of(law, orders), law.mean_parameters()["K"])


def _exact_score_terms(law, family):
    """A ``(k, k)`` and b ``(k,)`` of `_score_terms` under a chain of any degree."""
    orders, factors = _powers(family)
    even = dict(
        zip(range(0, 2 * orders[-1], 2), _moments_of(law, range(0, 2 * orders[-1], 2)), strict=True)
    )
    sites = factors[:, None] * factors * [[even[p + q - 2] for p in orders] for q in orders]
    bonds = factors * [2 * _odd_pair_sum(law, law.operator.points ** (p - 1), 1) for p in orders]
    ends = 0.0 if law.periodic else 2 * law.correlation(0)
    neighbours = 2 * even[2] - ends + 2 * _odd_pair_sum(law, law.operator.points, 2)
    matrix = np.block([[sites, bonds[:, None]], [bonds, neighbours]])
    return matrix, np.append(factors * (orders - 1) * [even[p - 2] for p in orders], 0.0)


def _odd_pair_sum(chain, f, r):
    """Sum over the sites of ``<f(phi_i) phi_{i+r}>`` for an odd function, given on the grid points above zero."""
    (even, even_states), (odd, odd_states) = chain.operator.even_states, chain.operator.odd_states
    left, right = (
        even_states.T @ (values[:, None] * odd_states) for values in (f, chain.operator.points)
    )
    n = chain.n_sites
    if chain.periodic:
        around = np.outer(even ** (n - r), odd**r) + np.outer(even**r, odd ** (n - r))
        return n * np.sum(left * right * around) / (np.sum(even**n) + np.sum(odd**n))
    potential_there = potential(chain.operator.coefficients, chain.operator.points)
    end = np.exp((potential_there.min() - potential_there) / 2) @ even_states
    reached = end * even ** np.arange(n)[:, None]
    pairs = sum(
        (reached[i] @ left * odd**r) @ (right.T @ reached[n - 1 - r - i]) for i in range(n - r)
    )
    return pairs / (end @ reached[n - 1])
