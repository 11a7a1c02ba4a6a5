"""The local potential approximation: the flow of a whole potential, derived to any order."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from rgkit import _validation as check
from rgkit.renormalizations._continuation import follow
from rgkit.renormalizations._expansions import CURVATURE, EXPANSIONS, RHO, SLOPE, Expansion
from rgkit.renormalizations._power_series import common_parts
from rgkit.renormalizations.base import FixedPoint, Values, typeset
from rgkit.renormalizations.flows import RGFlow, in_order

LARGEST_ORDER = 150


def litim(rho: Any, slope: Any, curvature: Any) -> Any:
    r"""The loop of Litim's optimized regulator, :math:`1/(1 + U' + 2\rho U'')`.

    Arguments:
        rho: half the square of the field.
        slope: the first derivative U'.
        curvature: the second derivative U''.
    """
    return 1 / (1 + slope + 2 * rho * curvature)


def lpa(
    dimension: check.Real,
    order: check.Integer,
    about: str = "minimum",
    *,
    loop: Callable[[Any, Any, Any], Any] = litim,
) -> "LocalPotential":
    r"""Derive the flow of an even local potential :math:`U(\rho)`, :math:`\rho = \phi^2/2`.

    .. math:: \frac{dU}{d\ell} = d\,U - (d-2)\rho\,U' - \frac{1}{1 + U' + 2\rho U''}

    towards the infrared, with the optimized regulator and the field's own anomalous dimension
    neglected. The potential is a polynomial. The number of the loop integral is absorbed in U and
    the field. Couplings are dimensionless:

    - ``about="minimum"``: ``kappa``, the place of the minimum, which moves, and ``l2`` to
      ``l{order}`` with :math:`U = \sum_{n \ge 2} l_n (\rho - \kappa)^n / n!`;
    - ``about="origin"``: ``l1`` to ``l{order}`` with :math:`U = \sum_{n \ge 1} l_n \rho^n / n!`.

    The constant of U couples to nothing and is left out.

    Arguments:
        dimension: a real number above 2.
        order: the highest power of :math:`\rho` that is kept, from 2 to 150.
        about: where the potential is expanded.
        loop: the loop term as a function of the SymPy symbols :math:`\rho`, :math:`U'` and
            :math:`U''`, made of them by sums, products, constant powers and logarithms.

    Raises:
        TypeError: where an argument is of another kind.
        ValueError: for a dimension of 2 or less, an order out of range, or another ``about``.

    Reference: D. F. Litim, Phys. Rev. D 64, 105007 (2001), arXiv:hep-th/0103195.
    """
    if not isinstance(about, str) or about not in EXPANSIONS:
        raise ValueError(f'about must be "minimum" or "origin", got {about!r}: pass one of them.')
    order = check.positive_integer("order", order, minimum=2)
    if order > LARGEST_ORDER:
        raise ValueError(
            f"order must be at most {LARGEST_ORDER}, got {order}: the factorials of higher "
            "couplings leave float64."
        )
    return LocalPotential(_above_two(dimension), EXPANSIONS[about](_checked_loop(loop), order))


def _above_two(dimension: Any) -> float:
    value = check.real("dimension", dimension)
    if value <= 2:
        raise ValueError(
            f"dimension must be above 2, got {value}: at d = 2 every power of the field is "
            "relevant, and without an anomalous dimension the approximation has no Ising fixed "
            "point there; take a dimension between 2 and 4."
        )
    return value


def _checked_loop(loop: Any) -> sp.Expr:
    if not callable(loop):
        raise TypeError(
            f"loop must be a function of rho, U' and U'', got {loop!r}: write "
            "def loop(rho, slope, curvature): ..."
        )
    term = loop(RHO, SLOPE, CURVATURE)
    expression = None if isinstance(term, str) else sp.sympify(term)
    if not isinstance(expression, sp.Expr):
        raise TypeError(
            f"loop must return a SymPy expression, got {term!r}: make it of its arguments, with "
            "functions of SymPy."
        )
    foreign = expression.free_symbols - {RHO, SLOPE, CURVATURE}
    if foreign:
        raise ValueError(
            f"loop contains {', '.join(sorted(map(str, foreign)))}: make it of its arguments and "
            "numbers alone."
        )
    return expression


class LocalPotential(RGFlow):
    """The flow of a local potential cut at a power of the field; made by `rgkit.lpa`.

    Arguments:
        dimension: a real number above 2.
        expansion: the couplings of the potential and their flow.
    """

    def __init__(self, dimension: float, expansion: Expansion):
        self.dimension = dimension
        self.expansion = expansion
        self.names = expansion.names

    def derive(self) -> dict[str, Any]:
        r"""The rates by name. Their common parts are shared and not expanded.

        Written out in full they grow exponentially with the order; `latex` names the common parts.
        """
        theta = [
            symbol / sp.Integer(unit)
            for symbol, unit in zip(self.couplings, self._factorials, strict=True)
        ]
        dimension = sp.nsimplify(self.dimension, rational=True)
        change = self.expansion.beta(theta, dimension)
        return {
            name: unit * b
            for name, unit, b in zip(self.names, self._factorials, change, strict=True)
        }

    def latex(self) -> str:
        r"""The flow as LaTeX, after the common parts :math:`c_0, c_1, \dots` of the equations."""
        parts, reduced = common_parts(list(self.expressions.values()))
        return typeset(parts | dict(zip(self._equations(), reduced, strict=True)))

    def potential(self, values: Values) -> np.polynomial.Polynomial:
        r"""The potential :math:`U(\rho)` less its constant, a NumPy polynomial with ``.deriv()``.

        Arguments:
            values: dimensionless couplings by name.

        Raises:
            TypeError, ValueError: as `beta` does.
        """
        centre, taylor = self.expansion.taylor(self._scaled(self._vector(values)))
        return np.polynomial.Polynomial(taylor, domain=[centre - 1, centre + 1], window=[-1, 1])

    def fixed_points(self) -> list[FixedPoint]:
        r"""The Gaussian point and, below four dimensions, the Wilson-Fisher point.

        The equations of a truncation have many roots. The Wilson-Fisher point is the one that
        leaves the Gaussian point at d = 4 and is followed down to this dimension; it is listed if
        it arrives there with exactly one relevant direction. Otherwise the note of the Gaussian
        point says that it did not.
        """
        return [FixedPoint(point, point.note) for point in self._fixed_points]

    def velocity(self, theta: Any) -> list[Any]:
        """The rates of the couplings, by arithmetic with power series."""
        units = self.unit.tolist()
        change = self.expansion.beta(self._scaled(theta), self.dimension)
        return [b * unit for b, unit in zip(change, units, strict=True)]

    def linearization(self, values: Values) -> Float[np.ndarray, "k k"]:
        r"""The matrix :math:`\partial\beta_i/\partial\theta_j` at couplings by name, ``(k, k)``.

        A flat potential has no minimum to follow: there it is the matrix of its coefficients about
        a point at rest.
        """
        theta = self._scaled(self._vector(values))
        if any(theta[1:]):
            scaled = self.expansion.jacobian(theta, self.dimension)
            return scaled * self.unit[:, None] / self.unit
        return self.expansion.at_rest(theta, self.dimension)

    def domain(self, theta: Any) -> dict[str, Any]:
        """What must stay positive for the expansion to describe the potential."""
        return self.expansion.domain(self._scaled(theta))

    @functools.cached_property
    def _fixed_points(self) -> list[FixedPoint]:
        if self.dimension >= 4:
            return [self._gaussian("a free field")]
        theta = follow(self.expansion, self.dimension)
        if theta is None:
            return [self._gaussian(self._lost("ends before it reaches this dimension"))]
        slopes = np.linalg.eigvals(self.expansion.jacobian(theta.tolist(), self.dimension))
        relevant = np.sum(slopes.real > 0)
        if relevant != 1:
            return [self._gaussian(self._lost(f"has {relevant} relevant directions"))]
        note = "Wilson-Fisher: one relevant direction; followed from d = 4 at this order"
        return [self._gaussian("a free field"), self._point(theta, note)]

    def _lost(self, found: str) -> str:
        return (
            "a free field. The Wilson-Fisher point of this truncation, followed down from d = 4, "
            f"{found}, so none is listed: the expansion does not describe it here; raise the order "
            "or the dimension"
        )

    def _gaussian(self, text: str) -> FixedPoint:
        return self._point(self.expansion.gaussian(self.dimension), f"Gaussian: {text}")

    def _point(self, theta: Float[np.ndarray, " k"], note: str) -> FixedPoint:
        return FixedPoint(self._by_name(theta * self.unit), note)

    def _scaled(self, theta: Any) -> list[Any]:
        """Couplings as the Taylor coefficients of the potential."""
        units = self.unit.tolist()
        return [value / unit for value, unit in zip(in_order(theta), units, strict=True)]

    @property
    def _factorials(self) -> Sequence[int]:
        orders = (1 if name == "kappa" else int(name[1:]) for name in self.names)
        return [math.factorial(order) for order in orders]

    @property
    def unit(self) -> Float[np.ndarray, " k"]:
        """The natural size of each coupling, ``(k,)``: n! for ``ln``, the coefficients' unit."""
        return np.array(self._factorials, dtype=float)
