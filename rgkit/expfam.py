"""Characteristic (natural) parameters of a law: the nearest member of an exponential family."""

import dataclasses

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import ConvexHull
from scipy.special import softmax

from rgkit.ising import IsingChain
from rgkit.laws import SpinLaw


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Estimated parameters by name, their standard errors (zero for an exact law) and flags (reasons for caution)."""

    values: dict[str, float]
    standard_errors: dict[str, float]
    flags: tuple[str, ...] = ()


def characteristic_parameters(law_or_samples, family: IsingChain, *, method: str = "likelihood") -> Estimate:
    r"""Parameters of the family member nearest to q, :math:`\operatorname{argmin}_\theta D(q\|p_\theta)`: moment matching.

    For the Ising chain these are the dimensionless ``K`` and ``h`` with
    :math:`\langle\sum_i y_i y_{i+1}\rangle` and :math:`\langle\sum_i y_i\rangle` equal in q and in the chain.
    Features are taken in the order and with the signs given.

    Arguments:
        law_or_samples: a `SpinLaw`, or spins ``(M, n)``.
        family: an `IsingChain` with ``n_sites = n``; its boundary gives the bonds, its couplings are not used.
        method: "likelihood".

    Returns:
        An `Estimate`; at the edge of the family (moments that only an infinite coupling has) parameters are
        infinite and a flag says so.

    Raises:
        ValueError: for another method, or features that do not match the family.

    Reference: M. J. Wainwright, M. I. Jordan, Found. Trends Mach. Learn. 1, 1 (2008), doi:10.1561/2200000001, sec. 3.
    """
    if method != "likelihood":
        raise ValueError(f"method must be 'likelihood' for spins, got {method!r}: score matching needs a density.")
    configurations = family.configurations().astype(float)
    statistics = _statistics(family, configurations)
    moments, covariance = _moments(law_or_samples, family)
    if _on_boundary(statistics, moments):
        infinite = {"K": float(np.sign(moments[0]) * np.inf), "h": float("nan")}
        return Estimate(infinite, {"K": float("nan"), "h": float("nan")}, ("moments on the boundary of the family",))
    parameters = _match(statistics, moments)
    inverse = np.linalg.inv(_fisher(statistics, parameters))
    errors = np.sqrt(np.diag(inverse @ covariance @ inverse))
    return Estimate(dict(zip("Kh", parameters.tolist(), strict=True)), dict(zip("Kh", errors.tolist(), strict=True)))


def _statistics(family, spins):
    bonds = spins[:, : family.n_bonds] * np.roll(spins, -1, axis=1)[:, : family.n_bonds]
    return np.stack([bonds.sum(1), spins.sum(1)], axis=1)


def _moments(law_or_samples, family):
    """Means of the statistics and the covariance matrix of these means."""
    if isinstance(law_or_samples, SpinLaw):
        if law_or_samples.n_features != family.n_sites:
            raise ValueError(f"family must have n_sites = {law_or_samples.n_features}, got {family.n_sites}.")
        statistics = _statistics(family, family.configurations().astype(float))
        covariance = law_or_samples.covariance
        spread = np.zeros((2, 2)) if covariance is None else statistics.T @ covariance @ statistics
        return law_or_samples.probabilities @ statistics, spread
    samples = np.asarray(law_or_samples, dtype=float)
    if samples.ndim != 2 or samples.shape[1] != family.n_sites or len(samples) < 2 or not np.all(abs(samples) == 1):
        raise ValueError(f"samples must be spins +1 or -1 of shape (M >= 2, {family.n_sites}), got shape {samples.shape}.")
    statistics = _statistics(family, samples)
    return statistics.mean(0), np.cov(statistics.T) / len(samples)


def _on_boundary(statistics, moments, tolerance=1e-9):
    """Whether the moments lie on the edge of the convex hull of the statistics."""
    slack = ConvexHull(np.unique(statistics, axis=0)).equations @ np.append(moments, 1.0)
    return bool(slack.max() > -tolerance)


def _fisher(statistics, parameters):
    weights = softmax(statistics @ parameters)
    centred = statistics - weights @ statistics
    return centred.T @ (weights[:, None] * centred)


def _match(statistics, moments):
    """Newton's method on the convex dual ``A(theta) - theta . moments``."""

    def dual(parameters):
        energies = statistics @ parameters
        top = energies.max()
        return top + np.log(np.exp(energies - top).sum()) - parameters @ moments

    def slope(parameters):
        return softmax(statistics @ parameters) @ statistics - moments

    fit = minimize(
        dual, np.zeros(2), jac=slope, hess=lambda p: _fisher(statistics, p), method="trust-exact", options={"gtol": 1e-12}
    )
    return fit.x
