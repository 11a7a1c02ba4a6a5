"""Maximum likelihood in a family on finitely many points: inside their hull, and on its faces."""

import dataclasses

import numpy as np
from jaxtyping import Float
from scipy.optimize import root_scalar
from scipy.special import softmax

from rgkit.parameters.hull import Hull, tangent

MOST_SWEEPS, MOST_STEPS, HALVINGS = 1000, 50, 8
CONVERGED, MATCHED = 1e-15, 1e-9
MIXED_IN = 1e-50, 1e-100
FLAT = 1e-6
RELATIVE_ROUNDING, SINGULAR = 1e-14, 1e-18


@dataclasses.dataclass(frozen=True)
class Points:
    """A family as the likelihood sees it: values of its statistics, and how many rows have each.

    Arguments:
        values: statistics ``(u, k)`` float64, all different.
        counts: how many configurations have them, ``(u,)``.
    """

    values: Float[np.ndarray, "u k"]
    counts: Float[np.ndarray, " u"]


@dataclasses.dataclass(frozen=True)
class Masses:
    """A law as the likelihood sees it: probabilities of values of the statistics, and their errors.

    Arguments:
        values: statistics ``(v, k)`` float64.
        weights: their probabilities, ``(v,)``.
        n_samples: the number of independent draws that they were counted from; None for other laws.
        covariance: covariance of the weights ``(v, v)``; None for an exact law and for counts.
    """

    values: Float[np.ndarray, "v k"]
    weights: Float[np.ndarray, " v"]
    n_samples: int | None = None
    covariance: Float[np.ndarray, "v v"] | None = None

    def spread(self, functions: Float[np.ndarray, "v j"]) -> Float[np.ndarray, "j j"]:
        """Covariance of the means of some functions of the values."""
        if self.covariance is not None:
            return functions.T @ self.covariance @ functions
        if self.n_samples is None:
            return np.zeros((functions.shape[1],) * 2)
        centred = functions - self.weights @ functions
        return centred.T @ (self.weights[:, None] * centred) / (self.n_samples - 1)


@dataclasses.dataclass(frozen=True)
class Nearest:
    r"""The limit of maximum likelihood, :math:`\theta = t\,d + \theta_0` as :math:`t \to \infty`.

    Arguments:
        finite: :math:`\theta_0`, ``(k,)``; inside the hull it is the answer.
        covariance: its covariance ``(k, k)``.
        direction: d, ``(k,)``; 0 inside the hull.
        normals: outward normals of the facets that the moments lie on, ``(z, k)``. A change of
            :math:`\theta_0` along them changes no law in the limit.
        closest: the outward normal ``(k,)`` of the nearest facet that they do not lie on, if any.
        slack: how far they are from it, as a share of the width of the hull.
        deviations: the same in standard errors, infinite for an exact law.
        rounding: what the rounding of mean slacks to float64 does to each parameter, ``(k,)``.
        mismatch: the largest relative difference of mean slacks that is left.
    """

    finite: Float[np.ndarray, " k"]
    covariance: Float[np.ndarray, "k k"]
    direction: Float[np.ndarray, " k"]
    normals: Float[np.ndarray, "z k"]
    closest: Float[np.ndarray, " k"] | None = None
    slack: float = np.inf
    deviations: float = np.inf
    rounding: Float[np.ndarray, " k"] | None = None
    mismatch: float = 0.0


def nearest_member(points: Points, masses: Masses) -> Nearest:
    r"""The member :math:`\propto e^{\theta\cdot T}` with the mean T of a law, or where it tends to.

    Raises:
        ValueError: if the law has values outside the hull of those of the family.
    """
    hull = Hull.of(points.values)
    slacks = _mean_slacks(hull, masses)
    if slacks.all():
        return _inside(points, masses, hull, slacks)
    return _on_face(points, masses, hull, np.flatnonzero(slacks == 0))


def _mean_slacks(hull: Hull, masses: Masses) -> Float[np.ndarray, " f"]:
    present = masses.weights > 0
    values, weights = masses.values[present], masses.weights[present]
    means = []
    for facet in range(len(hull.normals)):
        slacks = hull.slacks(values, np.array([facet]))[:, 0]
        if slacks.min() < 0:
            raise ValueError(
                "samples (or the law) have configurations that the family does not have: take a "
                "family that lists them."
            )
        means.append(weights @ slacks)
    return np.array(means)


def _inside(points: Points, masses: Masses, hull: Hull, means: Float[np.ndarray, " f"]) -> Nearest:
    shares = means / hull.widths(points.values)
    basis = hull.independent(np.argsort(shares))
    slacks, normals = hull.slacks(points.values, basis), hull.normals[basis]
    strengths, mismatch = _match(slacks, points.counts, means[basis])
    mean, curvature = _covariance(slacks, _weights(slacks, points.counts, strengths))
    # what a relative change of each mean slack does to the parameters
    slopes = normals.T @ _inverse(curvature / mean[:, None])
    spread = masses.spread(hull.slacks(masses.values, basis))
    errors = np.sqrt(np.diag(spread))
    # a nearness in standard errors where there are some, else in the width of the hull
    nearness = np.divide(means[basis], errors, out=np.full_like(mean, np.inf), where=errors > 0)
    closest = int(np.argmin(nearness)) if errors.any() else 0
    return Nearest(
        finite=normals.T @ strengths,
        covariance=(slopes / mean) @ spread @ (slopes / mean).T,
        direction=np.zeros(normals.shape[1]),
        normals=np.zeros((0, normals.shape[1])),
        closest=normals[closest],
        slack=float(shares[basis][closest]),
        deviations=float(nearness[closest]),
        rounding=RELATIVE_ROUNDING * abs(slopes).sum(1),
        mismatch=mismatch,
    )


def _inverse(matrix: Float[np.ndarray, "k k"]) -> Float[np.ndarray, "k k"]:
    """The inverse; huge, but a number, where rounding has made a matrix singular."""
    left, sizes, right = np.linalg.svd(matrix)
    return (right.T / np.maximum(sizes, SINGULAR * sizes[0])) @ left.T


def _on_face(points: Points, masses: Masses, hull: Hull, touched: np.ndarray) -> Nearest:
    """The likelihood rises towards the family on the face, one in the plane of the face."""
    normals = hull.normals[touched]
    plane = tangent(normals)
    on = (hull.slacks(points.values, touched) == 0).all(1)
    there = masses.weights > 0
    covariance = masses.covariance
    within = Nearest(np.zeros(0), np.zeros((0, 0)), np.zeros(0), np.zeros((0, 0)))
    if plane.shape[1]:
        within = nearest_member(
            Points(points.values[on] @ plane, points.counts[on]),
            Masses(
                masses.values[there] @ plane,
                masses.weights[there],
                masses.n_samples,
                None if covariance is None else covariance[np.ix_(there, there)],
            ),
        )
    corner = plane.shape[1] < len(plane) - 1
    return dataclasses.replace(
        within,
        finite=plane @ within.finite,
        covariance=plane @ within.covariance @ plane.T,
        direction=_regularised_direction(points, masses, hull) if corner else normals[0],
        normals=normals,
        closest=None if within.closest is None else plane @ within.closest,
        rounding=None if within.rounding is None else abs(plane) @ within.rounding,
    )


def _regularised_direction(points: Points, masses: Masses, hull: Hull) -> Float[np.ndarray, " k"]:
    """The direction in which estimates go as ever less of the uniform law is mixed in."""
    uniform = points.counts / points.counts.sum()
    estimates = []
    for share in MIXED_IN:
        mixed = Masses(
            np.concatenate([masses.values, points.values]),
            np.concatenate([(1 - share) * masses.weights, share * uniform]),
        )
        estimates.append(_inside(points, mixed, hull, _mean_slacks(hull, mixed)).finite)
    direction = estimates[1] - estimates[0]
    return np.where(abs(direction) < FLAT * abs(direction).max(), 0.0, direction)


def _weights(slacks, counts, strengths) -> Float[np.ndarray, " u"]:
    return softmax(np.log(counts) - slacks @ strengths)


def _covariance(slacks, weights) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k k"]]:
    mean = weights @ slacks
    centred = slacks - mean
    return mean, centred.T @ (weights[:, None] * centred)


def _match(
    slacks: Float[np.ndarray, "u k"],
    counts: Float[np.ndarray, " u"],
    target: Float[np.ndarray, " k"],
) -> tuple[Float[np.ndarray, " k"], float]:
    r"""Strengths a at which :math:`c_u e^{-a \cdot s_u}` has given mean slacks, and what is amiss.

    There the convex function :math:`\ln\sum_u c_u e^{-a\cdot s_u} + a\cdot\bar s` is least. Mean
    slacks may differ by a hundred orders of magnitude, and a value of the function sees the largest
    alone. So it is lowered in one strength after another, which asks for the mean of one slack
    only, until Newton's method gets the rest of the way.
    """
    strengths = np.zeros_like(target)
    found, mismatch = _newton(slacks, counts, target, strengths)
    for _ in range(MOST_SWEEPS):
        if mismatch < MATCHED:
            break
        for j in range(len(target)):
            strengths[j] += _shift(np.log(counts) - slacks @ strengths, slacks[:, j], target[j])
        found, mismatch = _newton(slacks, counts, target, strengths)
    return found, mismatch


def _shift(
    log_weights: Float[np.ndarray, " u"], slack: Float[np.ndarray, " u"], target: float
) -> float:
    """What to add to the strength of one slack so that its mean is the target."""
    off = slack > 0
    log_slack = np.log(slack[off])

    def excess(shift: float) -> float:
        logits = log_weights - shift * slack
        return _log_sum(logits[off] + log_slack) - _log_sum(logits) - np.log(target)

    reach = float(np.sign(excess(0.0)))
    while reach * excess(reach) > 0:
        reach *= 2
    if not reach:
        return 0.0
    return root_scalar(excess, bracket=(min(0.0, reach), max(0.0, reach))).root


def _log_sum(logits: Float[np.ndarray, " u"]) -> float:
    return float(logits.max() + np.log(np.exp(logits - logits.max()).sum()))


def _newton(slacks, counts, target, strengths) -> tuple[Float[np.ndarray, " k"], float]:
    """Newton's method for the logarithms of the mean slacks, which are nearly linear far out."""
    mean, curvature = _covariance(slacks, _weights(slacks, counts, strengths))
    mismatch = _mismatch(mean, target)
    for _ in range(MOST_STEPS):
        if not CONVERGED < mismatch < np.inf:
            break
        step = np.linalg.lstsq(
            curvature / mean[:, None], np.log(mean) - np.log(target), rcond=None
        )[0]
        tries = (strengths + step * 0.5**halvings for halvings in range(HALVINGS))
        for attempt in tries:
            mean, curvature = _covariance(slacks, _weights(slacks, counts, attempt))
            reached = _mismatch(mean, target)
            if reached < mismatch:
                break
        else:
            break
        strengths, mismatch = attempt, reached
    return strengths, mismatch


def _mismatch(mean, target) -> float:
    """The largest difference of logarithms; infinite where a mean is too small for a float."""
    return float(abs(np.log(mean) - np.log(target)).max()) if mean.all() else np.inf
