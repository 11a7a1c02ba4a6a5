"""Decimation of the Ising chain, derived from its transfer matrix."""

import math
from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from rgkit import _validation as check
from rgkit.renormalizations import _couplings
from rgkit.renormalizations.base import FixedPoint, Values
from rgkit.renormalizations.transfer_matrices import TransferMatrixDecimation
from rgkit.systems.log_matrices import log_power

K, H = sp.symbols("K h", real=True)
WEIGHT = sp.Symbol("w", positive=True)


def ising_bond(s: Any, t: Any) -> sp.Expr:
    r"""Minus the energy of one Ising bond with half of the field of each end, dimensionless.

    .. math:: -H(s, t) = K s t + h (s + t)/2

    Arguments:
        s: the spin at one end, 1 or -1.
        t: the spin at the other.
    """
    return K * s * t + H * sp.Rational(s + t, 2)


def ising_decimation(b: check.Integer) -> "IsingDecimation":
    r"""Decimate the Ising chain: keep every ``b``-th spin and sum out the others.

    The transfer matrix obeys :math:`A_b T(K', h') = T(K, h)^b`. The couplings are the dimensionless
    ``K`` (bond) and ``h`` (field), with weight :math:`\exp(K s s' + h s)`.

    Arguments:
        b: scale factor, an integer from 2 to 100000.

    Raises:
        TypeError, ValueError: where ``b`` is not such an integer.

    Reference: D. R. Nelson, M. E. Fisher, Ann. Phys. 91, 226 (1975),
    doi:10.1016/0003-4916(75)90284-5.
    """
    return IsingDecimation(b)


class IsingDecimation(TransferMatrixDecimation):
    r"""Decimation of the Ising chain in (K, h); made by `rgkit.ising_decimation`."""

    def __init__(self, b: check.Integer):
        super().__init__(ising_bond, (1, -1), (K, H), b)

    def in_tanh(self, t: sp.Expr) -> sp.Expr:
        r"""The new :math:`\tanh K'` at h = 0 in terms of the old.

        Arguments:
            t: a SymPy expression, which stands for :math:`\tanh K`.
        """
        square = sp.exp(4 * self.expressions["K"].subs(H, 0)).rewrite(sp.exp)
        ratio = sp.sqrt(_in_boltzmann_weight(square, K, 2))
        return sp.cancel(((ratio - 1) / (ratio + 1)).subs(WEIGHT, (1 - t) / (1 + t)))

    def fixed_points(self) -> list[FixedPoint]:
        r"""The fixed points: the line K = 0 by its representative, K = inf, and for odd b K = -inf.

        They are the transfer matrices that are proportional to their own b-th power: of rank one,
        the identity, and for odd b the exchange of the two states. The line ends in the fixed
        points h = inf and h = -inf, about which (K, h) are not coordinates.
        """
        line = FixedPoint(
            {"K": 0.0, "h": 0.0}, "stable in K; a line of fixed points: (0, h) for every h"
        )
        ordered = FixedPoint({"K": math.inf, "h": 0.0}, "zero temperature, ferromagnet")
        alternating = FixedPoint(
            {"K": -math.inf, "h": 0.0}, "zero temperature, antiferromagnet; b odd"
        )
        return [line, ordered, alternating] if self.scale_factor % 2 else [line, ordered]

    def image(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """The couplings after one step, with all digits of a weak new coupling."""
        k_new, h_new = super().image(theta)
        # near the line K = 0 the logarithms cancel, and leave a rounding error for K' ~ K**b
        return np.array([self._weak_coupling(theta) if abs(k_new) < 0.1 else k_new, h_new])

    def _weak_coupling(self, theta: Float[np.ndarray, " k"]) -> float:
        r"""K' from :math:`e^{4K'} - 1 = (\det T)^b / ((T^b)_{+-})^2`, where nothing cancels."""
        bond = self._bond(theta)
        contrast = bond[0, 0] + bond[1, 1] - bond[0, 1] - bond[1, 0]
        if contrast == 0:
            return 0.0
        log_det = (
            bond[0, 1] + bond[1, 0] + max(contrast, 0.0) + math.log(-math.expm1(-abs(contrast)))
        )
        b, sign = self._block, math.copysign(1, contrast)
        walls = log_power(bond, b)[0, 1]
        return math.log1p(sign**b * math.exp(b * log_det - 2 * walls)) / 4

    def _stays(self, point: dict[str, float]) -> bool:
        # the line: exact zero, since the map itself contracts K towards it
        return point["K"] == 0 and math.isfinite(point["h"])

    def linearization(self, values: Values) -> Float[np.ndarray, "k k"]:
        r"""The matrix of the linearized map, ``(2, 2)``, at couplings by name.

        At K = inf and K = -inf in the coordinates w and h, where :math:`w = e^{-2|K|}` is the
        weight of a domain wall; elsewhere in (K, h).
        """
        point = _couplings.point(self.names, values, "values")
        if math.isinf(point["K"]):
            return self._linearization_at_infinity(1 if point["K"] > 0 else -1)
        if point["K"]:
            return super().linearization(point)
        matrix = sp.Matrix(list(self.expressions.values())).jacobian(self.couplings).subs(K, 0)
        exact = matrix.applyfunc(lambda entry: _in_boltzmann_weight(entry, H, 1))
        return np.array(exact.subs(WEIGHT, sp.exp(-point["h"])).evalf().tolist(), dtype=float)

    def _linearization_at_infinity(self, sign: int) -> Float[np.ndarray, "k k"]:
        k_new, h_new = (self.expressions[name] for name in self.names)
        wall = sp.sqrt(_in_boltzmann_weight(sp.exp(-4 * sign * k_new.subs(H, 0)), K, 2 * sign))
        field = _in_boltzmann_weight(sp.diff(h_new, H).subs(H, 0), K, 2 * sign)
        # h -> -h leaves w' even and h' odd, so the mixed derivatives vanish at h = 0
        return np.diag(
            [float(sp.limit(wall / WEIGHT, WEIGHT, 0)), float(sp.limit(field, WEIGHT, 0))]
        )


def _in_boltzmann_weight(expression: Any, symbol: sp.Symbol, scale: int) -> sp.Expr:
    """Return the rational function of w = exp(-scale * symbol) that an expression is, factored."""
    return sp.factor(sp.cancel(expression.rewrite(sp.exp).subs(symbol, -sp.log(WEIGHT) / scale)))
