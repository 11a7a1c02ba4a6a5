"""Characteristic (natural) parameters of a law: the nearest member of an exponential family."""

import dataclasses

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import ConvexHull
from scipy.special import softmax

from rgkit.laws.spins import SpinLaw
from rgkit.parameters.fields import field_parameters
from rgkit.systems.ising import IsingChain
from rgkit.systems.scalar import ScalarChain


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Estimated parameters by name, their standard errors (zero for an exact law) and flags (reasons for caution)."""

    values: dict[str, float]
    standard_errors: dict[str, float]
    flags: tuple[str, ...] = ()


def characteristic_parameters(
    law_or_samples, family: IsingChain | ScalarChain, *, method: str | None = None
) -> Estimate:
    r"""Parameters of the member :math:`p_\theta \propto e^{\theta \cdot T}` of a family that is nearest to a law q.

    "likelihood" minimises :math:`D(q\|p_\theta)`: the means of the sufficient statistics T are equal in q and in
    :math:`p_\theta`. "score" (fields only) minimises :math:`\langle|\nabla\ln q - \nabla\ln p_\theta|^2\rangle_q`,

    .. math:: \theta = -A^{-1} b, \qquad A_{kl} = \langle\nabla T_k \cdot \nabla T_l\rangle_q, \qquad
              b_k = \langle\Delta T_k\rangle_q,

    without a partition function. For a member of the family both give its couplings (dimensionless: ``K``, ``h``
    of spins; ``r``, ``u``, ``w``, ..., ``K`` of fields); for another law they differ. Features are taken in the
    order and with the signs given. Standard errors are those of independent configurations and hold outside the
    family too: :math:`J^{-1} C J^{-1} / M` with the Hessian J (Fisher information, or A) and the covariance C of the gradient.

    Arguments:
        law_or_samples: configurations ``(M, n)``, a law with such ``.samples``, a `SpinLaw` for spins, or for fields
            a `ScalarChain` as an exact law.
        family: an `IsingChain` or a `ScalarChain` with ``n_sites = n``; its boundary gives the bonds and its
            potential the degree, its couplings are not used.
        method: "likelihood" (default for spins) or "score" (default for fields).

    Returns:
        An `Estimate`. Spins on the edge of the family (moments that only an infinite coupling has) get infinite
        parameters and a flag. For fields, flags tell of a leading coefficient near its boundary, and of parameters that
        trade for each other. Beyond the boundary score matching returns what it finds; likelihood stops there, where
        its errors are not normal (Self, Liang 1987).

    Raises:
        ValueError: for another method, features that do not match the family, or samples of fields that do not
            determine the parameters (it names the feature or the statistic).

    References: M. J. Wainwright, M. I. Jordan, Found. Trends Mach. Learn. 1, 1 (2008), doi:10.1561/2200000001, sec. 3;
        A. Hyvarinen, J. Mach. Learn. Res. 6, 695 (2005); S. G. Self, K.-Y. Liang, J. Am. Stat. Assoc. 82, 605
        (1987), doi:10.1080/01621459.1987.10478472.
    """
    if isinstance(family, ScalarChain):
        return Estimate(*field_parameters(law_or_samples, family, method or "score"))
    return _spin_parameters(law_or_samples, family, method or "likelihood")


def _spin_parameters(law_or_samples, family, method):
    if method != "likelihood":
        raise ValueError(
            f"method must be 'likelihood' for spins, got {method!r}: score matching needs a density."
        )
    statistics = np.asarray(family.statistics(family.configurations()), float)
    moments, covariance = _moments(law_or_samples, family)
    if _on_boundary(statistics, moments):
        infinite = {"K": float(np.sign(moments[0]) * np.inf), "h": float("nan")}
        return Estimate(
            infinite,
            {"K": float("nan"), "h": float("nan")},
            ("moments on the boundary of the family",),
        )
    parameters = _match(statistics, moments)
    inverse = np.linalg.inv(_fisher(statistics, parameters))
    errors = np.sqrt(np.diag(inverse @ covariance @ inverse))
    return Estimate(
        dict(zip("Kh", parameters.tolist(), strict=True)),
        dict(zip("Kh", errors.tolist(), strict=True)),
    )


def _moments(law_or_samples, family):
    """Means of the statistics and the covariance matrix of these means."""
    if isinstance(law_or_samples, SpinLaw):
        if law_or_samples.n_features != family.n_sites:
            raise ValueError(
                f"family must have n_sites = {law_or_samples.n_features}, got {family.n_sites}."
            )
        statistics = np.asarray(family.statistics(family.configurations()), float)
        covariance = law_or_samples.covariance
        spread = np.zeros((2, 2)) if covariance is None else statistics.T @ covariance @ statistics
        return law_or_samples.probabilities @ statistics, spread
    samples = np.asarray(getattr(law_or_samples, "samples", law_or_samples), dtype=float)
    if (
        samples.ndim != 2
        or samples.shape[1] != family.n_sites
        or len(samples) < 2
        or not np.all(abs(samples) == 1)
    ):
        raise ValueError(
            f"samples must be spins +1 or -1 of shape (M >= 2, {family.n_sites}), got shape {samples.shape}."
        )
    statistics = np.asarray(family.statistics(samples), float)
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
        dual,
        np.zeros(2),
        jac=slope,
        hess=lambda p: _fisher(statistics, p),
        method="trust-exact",
        options={"gtol": 1e-12},
    )
    return fit.x
