"""Migdal-Kadanoff renormalization of the Ising model: move bonds, then decimate."""

import math
from typing import Any

import numpy as np
import scipy.optimize
import sympy as sp
from jaxtyping import Float

from rgkit import _validation as check
from rgkit.renormalizations import _couplings
from rgkit.renormalizations.base import FixedPoint, Values
from rgkit.renormalizations.decimation import WEIGHT, H, K, ising_bond
from rgkit.renormalizations.maps import RGMap

LOG_LARGEST_CELL = 100 * math.log(10)


def migdal_kadanoff(b: check.Real, dimension: check.Real) -> "MigdalKadanoff":
    r"""Renormalize the Ising model in d dimensions: :math:`\tanh K' = \tanh(b^{d-1} K)^b`.

    Moving bonds makes one bond of :math:`b^{d-1}` parallel ones; decimation then sums out the spins
    along it. In d > 1 moving bonds is an approximation; in d = 1 nothing is moved and the step is
    the exact decimation. The coupling is the dimensionless ``K``, negative only where b is an
    integer.

    Arguments:
        b: scale factor, a real number above 1.
        dimension: d, a real number of at least 1.

    Raises:
        TypeError, ValueError: where one is not such a number, or a step moves more bonds than
            float64 can count.

    Reference: L. P. Kadanoff, Ann. Phys. 100, 359 (1976), doi:10.1016/0003-4916(76)90066-X.
    """
    return MigdalKadanoff(b, dimension)


class MigdalKadanoff(RGMap):
    """The Migdal-Kadanoff recursion for the coupling K; made by `rgkit.migdal_kadanoff`."""

    names = ("K",)

    def __init__(self, b: check.Real, dimension: check.Real):
        self.scale_factor, self.dimension = check.real("b", b), check.real("dimension", dimension)
        if self.scale_factor <= 1:
            raise ValueError(f"b must be above 1, got {b}: a step goes to larger scales.")
        if self.dimension < 1:
            raise ValueError(
                f"dimension must be at least 1, got {dimension}: bonds move across a chain."
            )
        if self.dimension * math.log(self.scale_factor) > LOG_LARGEST_CELL:
            raise ValueError(
                f"b**dimension must stay below 1e100, got b={b} and dimension={dimension}: take "
                "several steps of a smaller b."
            )
        self._moved = self.scale_factor ** (self.dimension - 1)

    def fixed_points(self) -> list[FixedPoint]:
        """K = 0, K = inf, in d > 1 the critical point between; for odd b their images at -K."""
        points = [FixedPoint({"K": 0.0}, "infinite temperature, stable")]
        if self.dimension > 1:
            points.append(FixedPoint({"K": self._critical_coupling()}, "critical point"))
        points.append(FixedPoint({"K": math.inf}, "zero temperature"))
        images = points[1:] if self.scale_factor % 2 == 1 else []
        return points + [
            FixedPoint({"K": -p["K"]}, f"{p.note} of the antiferromagnet, b odd") for p in images
        ]

    def derive(self) -> dict[str, Any]:
        """K' from the ratio tanh K of the bond's two eigenvalues, which goes to its b-th power."""
        equal, opposite = (sp.exp(ising_bond(1, s).subs(H, 0)) for s in (1, -1))
        ratio = sp.simplify((equal - opposite) / (equal + opposite))
        moved = _exact(self.scale_factor) ** _exact(self.dimension - 1)
        return {"K": sp.atanh(ratio.subs(K, moved * K) ** _exact(self.scale_factor))}

    def image(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """The coupling after one step, ``(1,)``, through the dual of the moved bond."""
        coupling, b = float(theta[0]), self.scale_factor
        if coupling < 0 and b % 1:
            raise ValueError(
                f"coupling K must be at least 0 for b={b}, got {coupling}: make b an integer."
            )
        sign = -1.0 if coupling < 0 and b % 2 else 1.0
        return np.array([sign * _dual_of_exp(math.log(b) + _log_dual(self._moved * abs(coupling)))])

    def linearization(self, values: Values) -> Float[np.ndarray, "1 1"]:
        r"""The slope of the map at K, ``(1, 1)``.

        At K = inf and K = -inf it is the slope in :math:`w = e^{-2|K|}` for d = 1, in
        :math:`1/|K|` for d > 1.
        """
        coupling = abs(_couplings.point(self.names, values, "values")["K"])
        slope = self._slope_at_infinity() if math.isinf(coupling) else self._slope(coupling)
        return np.array([[slope]])

    def _slope(self, coupling: float) -> float:
        r"""Return :math:`dK'/dK = b^d \sinh 2K' / \sinh(2 b^{d-1} K)`.

        The dual has the slope :math:`-1/\sinh 2K`.
        """
        if coupling == 0:
            return 0.0
        moved, new = self._moved * coupling, abs(self.image(np.array([coupling]))[0])
        ratio = math.exp(2 * (new - moved)) * math.expm1(-4 * new) / math.expm1(-4 * moved)
        return self.scale_factor * self._moved * ratio

    def _slope_at_infinity(self) -> float:
        r"""Return the slope from :math:`w' = F(w^{b^{d-1}})`.

        The new coupling is :math:`b^{d-1} K - \tfrac12 \ln F'(0) + o(1)`.
        """
        if self.dimension > 1:
            return 1 / self._moved
        power = ((1 - WEIGHT) / (1 + WEIGHT)) ** _exact(self.scale_factor)
        return float(sp.diff((1 - power) / (1 + power), WEIGHT).subs(WEIGHT, 0))

    def _critical_coupling(self) -> float:
        def excess(coupling: float) -> float:
            return self.image(np.array([coupling]))[0] - coupling

        # K' >= b^(d-1) K - ln(b)/2, since tanh(b y) <= b tanh(y): positive from here on
        upper = math.log(self.scale_factor) / (self._moved - 1)
        lower = upper / 2
        while excess(lower) >= 0:
            lower /= 2
        closest = {"xtol": 1e-300, "rtol": 4 * np.finfo(float).eps}
        return scipy.optimize.root_scalar(
            excess, bracket=(lower, upper), method="brentq", **closest
        ).root


def _exact(value: float) -> sp.Number:
    return sp.Integer(value) if value == int(value) else sp.Float(value)


def _dual(coupling: float) -> float:
    r"""The dual :math:`K^* = -\tfrac12 \ln\tanh K = \mathrm{artanh}\, e^{-2K}`, as is exact."""
    return (
        math.atanh(math.exp(-2 * coupling)) if coupling >= 1 else -math.log(math.tanh(coupling)) / 2
    )


def _log_dual(coupling: float) -> float:
    """Return the logarithm of the dual, which itself may underflow."""
    if coupling > 10:
        return -2 * coupling
    return math.log(_dual(coupling)) if coupling else math.inf


def _dual_of_exp(log_coupling: float) -> float:
    """Return the dual of exp(log_coupling), which itself may underflow."""
    return -log_coupling / 2 if log_coupling < -20 else _dual(math.exp(log_coupling))
