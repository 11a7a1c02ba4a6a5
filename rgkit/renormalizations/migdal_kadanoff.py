"""Migdal-Kadanoff renormalization of the Ising model: move bonds, then decimate."""

import math

import numpy as np
import scipy.optimize
import sympy as sp

from rgkit import _validation as check
from rgkit.renormalizations.base import FixedPoint, RGMap
from rgkit.renormalizations.decimation import WEIGHT, H, K, ising_bond


def migdal_kadanoff(b: float, dimension: float) -> "MigdalKadanoff":
    r"""Renormalize the Ising model in d dimensions: :math:`\tanh K' = \tanh(b^{d-1} K)^b`.

    Moving bonds makes one bond of :math:`b^{d-1}` parallel ones; decimation then sums out the spins along it.
    In d > 1 moving bonds is an approximation; in d = 1 nothing is moved and the step is the exact decimation.

    ``b``: scale factor, a real number above 1. ``dimension``: d, a real number of at least 1. Coupling:
    dimensionless ``K``, negative only where b is an integer. Raises ``ValueError`` where one is out of range.

    Source: L. P. Kadanoff, Ann. Phys. 100, 359 (1976), doi:10.1016/0003-4916(76)90066-X.
    """
    return MigdalKadanoff(b, dimension)


class MigdalKadanoff(RGMap):
    """The Migdal-Kadanoff recursion for the coupling K."""

    couplings = (K,)

    def __init__(self, b, dimension):
        self.scale_factor, self.dimension = check.real("b", b), check.real("dimension", dimension)
        if self.scale_factor <= 1:
            raise ValueError(f"b must be above 1, got {b}: a step goes to larger scales.")
        if self.dimension < 1:
            raise ValueError(
                f"dimension must be at least 1, got {dimension}: bonds move across a chain."
            )
        self._moved = self.scale_factor ** (self.dimension - 1)
        self.expressions = {"K": self._derive()}

    def fixed_points(self) -> list:
        """Return K = 0, K = inf, in d > 1 the critical point between them; for odd b their images at -K."""
        points = [FixedPoint({"K": 0.0}, "infinite temperature, stable")]
        if self.dimension > 1:
            points.append(FixedPoint({"K": self._critical_coupling()}, "critical point"))
        points.append(FixedPoint({"K": math.inf}, "zero temperature"))
        images = points[1:] if self.scale_factor % 2 == 1 else []
        return points + [
            FixedPoint({"K": -p["K"]}, f"{p.note} of the antiferromagnet, b odd") for p in images
        ]

    def _derive(self):
        """Return K' from the ratio tanh K of the bond's two eigenvalues, which goes to its b-th power."""
        equal, opposite = (sp.exp(ising_bond(1, s).subs(H, 0)) for s in (1, -1))
        ratio = sp.simplify((equal - opposite) / (equal + opposite))
        moved = _exact(self.scale_factor) ** _exact(self.dimension - 1)
        return sp.atanh(ratio.subs(K, moved * K) ** _exact(self.scale_factor))

    def _map(self, theta):
        coupling, b = theta[0], self.scale_factor
        if coupling < 0 and b % 1:
            raise ValueError(
                f"coupling K must be at least 0 for b={b}, got {coupling}: make b an integer."
            )
        sign = -1.0 if coupling < 0 and b % 2 else 1.0
        return np.array([sign * _dual_of_exp(math.log(b) + _log_dual(self._moved * abs(coupling)))])

    def _linearization(self, point):
        if math.isinf(point["K"]):
            return np.array([[self._slope_at_infinity()]])
        return np.array([[self._slope(abs(point["K"]))]])

    def _slope(self, coupling):
        r"""Return :math:`dK'/dK = b^d \sinh 2K' / \sinh(2 b^{d-1} K)`; the dual has the slope -1/sinh 2K."""
        if coupling == 0:
            return 0.0
        moved, new = self._moved * coupling, abs(self._map(np.array([coupling]))[0])
        ratio = math.exp(2 * (new - moved)) * math.expm1(-4 * new) / math.expm1(-4 * moved)
        return self.scale_factor * self._moved * ratio

    def _slope_at_infinity(self):
        r"""Return the slope in :math:`w = e^{-2|K|}` for d = 1, in :math:`1/|K|` for d > 1.

        With :math:`w' = F(w^{b^{d-1}})` the new coupling is :math:`b^{d-1} K - \tfrac12 \ln F'(0) + o(1)`.
        """
        if self.dimension > 1:
            return 1 / self._moved
        power = ((1 - WEIGHT) / (1 + WEIGHT)) ** _exact(self.scale_factor)
        return float(sp.diff((1 - power) / (1 + power), WEIGHT).subs(WEIGHT, 0))

    def _critical_coupling(self):
        def excess(coupling):
            return self._map(np.array([coupling]))[0] - coupling

        # K' >= b^(d-1) K - ln(b)/2, since tanh(b y) <= b tanh(y): positive from here on
        upper = math.log(self.scale_factor) / (self._moved - 1)
        lower = upper / 2
        while excess(lower) >= 0:
            lower /= 2
        return scipy.optimize.brentq(
            excess, lower, upper, xtol=1e-300, rtol=4 * np.finfo(float).eps
        )


def _exact(value):
    return sp.Integer(value) if value == int(value) else sp.Float(value)


def _dual(coupling):
    r"""Return :math:`K^* = -\tfrac12 \ln\tanh K = \mathrm{artanh}\, e^{-2K}`, whichever does not cancel."""
    return (
        math.atanh(math.exp(-2 * coupling)) if coupling >= 1 else -math.log(math.tanh(coupling)) / 2
    )


def _log_dual(coupling):
    """Return the logarithm of the dual, which itself may underflow."""
    if coupling > 10:
        return -2 * coupling
    return math.log(_dual(coupling)) if coupling else math.inf


def _dual_of_exp(log_coupling):
    """Return the dual of exp(log_coupling), which itself may underflow."""
    return -log_coupling / 2 if log_coupling < -20 else _dual(math.exp(log_coupling))
