"""Characteristic (natural) parameters of a law: the nearest member of an exponential family."""

import dataclasses
from typing import Any

from rgkit.parameters.fields import field_parameters
from rgkit.parameters.spins import spin_parameters
from rgkit.systems.base import Family, Values


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Estimated parameters of a law.

    Attributes:
        values: the parameters by name, dimensionless; infinite or NaN on the boundary of a family
            of spins, see `characteristic_parameters`.
        standard_errors: their standard errors by name: 0 for an exact law, NaN where the value is
            infinite or NaN.
        flags: reasons for caution, each a sentence; empty where there are none.
    """

    values: dict[str, float]
    standard_errors: dict[str, float]
    flags: tuple[str, ...] = ()


def characteristic_parameters(
    law_or_samples: Any, family: Family, *, method: str | None = None
) -> Estimate:
    r"""Parameters of the member of an exponential family that is nearest to a law q.

    Members are :math:`p_\theta \propto e^{\theta \cdot T}`. "likelihood" minimises
    :math:`D(q\|p_\theta)`: the means of the sufficient statistics T are equal in q and in
    :math:`p_\theta`. "score" (fields only) minimises
    :math:`\langle|\nabla\ln q - \nabla\ln p_\theta|^2\rangle_q`,

    .. math:: \theta = -A^{-1} b, \qquad A_{kl} = \langle\nabla T_k \cdot \nabla T_l\rangle_q,
              \qquad b_k = \langle\Delta T_k\rangle_q,

    without a partition function. For a member of the family both give its couplings (dimensionless:
    ``K``, ``h`` of an Ising chain; ``r``, ``u``, ``w``, ..., ``K`` of a chain of fields); for
    another law they differ. Features are taken in the order and with the signs given. Standard
    errors are those of independent configurations and hold outside the family too:
    :math:`J^{-1} C J^{-1} / M` with the Hessian J (Fisher information, or A) and the covariance C
    of the gradient.

    **On the boundary of a family of spins.** Means of T lie in the convex hull of its values. On
    the boundary of the hull no member has them, and the likelihood keeps rising as
    :math:`\theta = t\,d + \theta_0`, :math:`t \to \infty`. Here d is the outward normal of the face
    that the means lie on, and :math:`\theta_0` is the nearest member of the family on that face. A
    parameter with :math:`d_i \ne 0` is returned as infinite, with the sign of :math:`d_i`. Where
    many normals belong to a face (a corner), d is the direction in which estimates go as ever less
    of the uniform law is mixed into q; a flag names signs that rest on this. A parameter with
    :math:`d_i = 0` is returned as its value in :math:`\theta_0`, or as NaN with a flag if the
    normals leave it open. A flag gives the combinations of infinite parameters that are finite.

    Arguments:
        law_or_samples: configurations ``(M, n)``, as an array, a list or a table; a law with such
            ``.samples``; for spins also a law with ``.probabilities`` ``(2**n,)`` in the order of
            `rgkit.enumeration` (`SpinLaw`), or any system that lists its configurations, as exact
            laws; for fields a `ScalarChain` as an exact law.
        family: any `Family` with ``n_sites = n``, of whose parameters only the names are used. One
            of spins must list its configurations (`IsingChain`, `EnumeratedFamily`); one of fields
            must know the derivatives of its statistics (`ScalarChain`), and for "likelihood" its
            ``log_partition()``.
        method: "likelihood" (default for spins) or "score" (default for fields).

    Returns:
        An `Estimate`. Flags tell of means on the boundary, or so near that few configurations or
        few digits decide. For fields they tell of a leading coefficient near its boundary, of
        parameters that trade for each other, of samples that are off centre though the family is
        even, and of samples with few different values. Beyond the boundary score matching returns
        what it finds; likelihood stops there, where its errors are not normal (Self, Liang 1987).

    Raises:
        TypeError: for a family, a law or data of another kind than these.
        ValueError: for another method, features that do not match the family, statistics that are
            linearly dependent, spins that are not +1 or -1, or samples of fields that do not
            determine the parameters (it names the row, the feature or the statistic).

    Reference: M. J. Wainwright, M. I. Jordan, Found. Trends Mach. Learn. 1, 1 (2008),
        doi:10.1561/2200000001, sec. 3; O. Barndorff-Nielsen, Information and Exponential Families
        (Wiley, 1978), sec. 9.3, doi:10.1002/9781118857281, for the boundary; A. Hyvarinen, J. Mach.
        Learn. Res. 6, 695 (2005); S. G. Self, K.-Y. Liang, J. Am. Stat. Assoc. 82, 605 (1987),
        doi:10.1080/01621459.1987.10478472.
    """
    if not isinstance(family, Family):
        raise TypeError(
            f"family must be a family of laws (parameters, statistics, at, ...), got "
            f"{type(family).__name__}: for spins take `rg.IsingChain`, for fields `rg.ScalarChain`."
        )
    if family.values is Values.SPINS:
        return Estimate(*spin_parameters(law_or_samples, family, method or "likelihood"))
    return Estimate(*field_parameters(law_or_samples, family, method or "score"))
