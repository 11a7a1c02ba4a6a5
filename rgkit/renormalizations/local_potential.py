"""The local potential approximation: the flow of a whole potential, derived as power series of any order."""

import abc
import functools
import math

import numpy as np
import sympy as sp

from rgkit import _validation as check
from rgkit.renormalizations._power_series import common_parts, derivative, expand
from rgkit.renormalizations.base import FixedPoint, RGFlow, typeset

DIMENSION, RHO = sp.symbols("d rho", positive=True)
POTENTIAL, SLOPE, CURVATURE = sp.symbols("U U' U''", real=True)


def litim(rho, slope, curvature):
    r"""Return the loop of Litim's optimized regulator, :math:`1/(1 + U' + 2\rho U'')`."""
    return 1 / (1 + slope + 2 * rho * curvature)


def lpa(dimension: float, order: int, about: str = "minimum", *, loop=litim) -> "LocalPotential":
    r"""Derive the flow of an even local potential :math:`U(\rho)`, :math:`\rho = \phi^2/2`, as a polynomial.

    .. math:: \frac{dU}{d\ell} = d\,U - (d-2)\rho\,U' - \frac{1}{1 + U' + 2\rho U''}

    towards the infrared, with the optimized regulator and the field's own anomalous dimension neglected. The
    number of the loop integral is absorbed in U and the field. Couplings are dimensionless:

    - ``about="minimum"``: ``kappa``, the place of the minimum, which moves, and ``l2`` to ``l{order}`` with
      :math:`U = \sum_{n \ge 2} l_n (\rho - \kappa)^n / n!`;
    - ``about="origin"``: ``l1`` to ``l{order}`` with :math:`U = \sum_{n \ge 1} l_n \rho^n / n!`.

    The constant of U couples to nothing and is left out.

    Args:
        dimension: a real number above 2.
        order: the highest power of :math:`\rho` that is kept, at least 2.
        about: where the potential is expanded.
        loop: the loop term as a function of the SymPy symbols :math:`\rho`, :math:`U'` and :math:`U''`, made
            of them by sums, products, constant powers and logarithms.

    Raises:
        ValueError: for a dimension of 2 or less, an order below 2, or another ``about``.

    Source: D. F. Litim, Phys. Rev. D 64, 105007 (2001), arXiv:hep-th/0103195.
    """
    if about not in _EXPANSIONS:
        raise ValueError(f'about must be "minimum" or "origin", got {about!r}.')
    order = check.positive_integer("order", order, minimum=2)
    return LocalPotential(
        _above_two(dimension), _EXPANSIONS[about](loop(RHO, SLOPE, CURVATURE), order)
    )


def _above_two(dimension):
    value = check.real("dimension", dimension)
    if value <= 2:
        raise ValueError(
            f"dimension must be above 2, got {value}: at d = 2 every power of the field is relevant, and without an "
            "anomalous dimension the approximation has no Ising fixed point there; take a dimension between 2 and 4."
        )
    return value


class LocalPotential(RGFlow):
    """The flow of a local potential cut at a power of the field; made by `lpa`."""

    def __init__(self, dimension, expansion):
        self.dimension = dimension
        self.expansion = expansion
        self.couplings = expansion.couplings

    @functools.cached_property
    def expressions(self) -> dict:
        r"""The right-hand sides by name. Their common parts are shared and not expanded.

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
        r"""Return the flow as LaTeX, after the common parts :math:`c_0, c_1, \dots` of the equations."""
        parts, reduced = common_parts(list(self.expressions.values()))
        return typeset(parts | dict(zip(self._equations(), reduced, strict=True)))

    def potential(self, values) -> np.polynomial.Polynomial:
        r"""Return :math:`U(\rho)` less its constant, a NumPy polynomial with ``.deriv()``, at couplings by name."""
        centre, taylor = self.expansion.taylor((self._vector(values) / self._unit).tolist())
        return np.polynomial.Polynomial(taylor, domain=[centre - 1, centre + 1], window=[-1, 1])

    def fixed_points(self) -> list:
        r"""Return the Gaussian point and, below four dimensions, the Wilson-Fisher point.

        The equations of a truncation have many roots. The Wilson-Fisher point is the one that leaves the
        Gaussian point at d = 4 and is followed down to this dimension; it is listed if it arrives there with
        exactly one relevant direction. Otherwise the note of the Gaussian point says that it did not.
        """
        return [FixedPoint(point, point.note) for point in self._fixed_points]

    @functools.cached_property
    def _fixed_points(self):
        if self.dimension >= 4:
            return [self._gaussian("a free field")]
        theta = follow(self.expansion, self.dimension)
        relevant = (
            0
            if theta is None
            else np.sum(np.linalg.eigvals(self.expansion.jacobian(theta, self.dimension)).real > 0)
        )
        if relevant != 1:
            return [self._gaussian(self._lost(relevant))]
        note = "Wilson-Fisher: one relevant direction; followed from d = 4 at this order"
        return [self._gaussian("a free field"), self._point(theta, note)]

    def _lost(self, relevant):
        found = (
            f"has {relevant} relevant directions"
            if relevant
            else "ends before it reaches this dimension"
        )
        return (
            f"a free field. The Wilson-Fisher point of this truncation, followed down from d = 4, {found}, so none is "
            "listed: the expansion does not describe it here; raise the order or the dimension"
        )

    def _gaussian(self, text):
        return self._point(self.expansion.gaussian(self.dimension), f"Gaussian: {text}")

    def _point(self, theta, note):
        return FixedPoint(
            zip(self.names, (np.array(theta) * self._unit).tolist(), strict=True), note
        )

    @property
    def _factorials(self):
        return [
            1 if symbol.name == "kappa" else math.factorial(int(symbol.name[1:]))
            for symbol in self.couplings
        ]

    @functools.cached_property
    def _unit(self):
        return np.array(self._factorials, dtype=float)

    def _beta(self, theta):
        scaled = [value / unit for value, unit in zip(theta, self._unit.tolist(), strict=True)]
        change = self.expansion.beta(scaled, self.dimension)
        return [b * unit for b, unit in zip(change, self._unit.tolist(), strict=True)]

    def _jacobian(self, theta):
        scaled = (np.array(theta) / self._unit).tolist()
        return self.expansion.jacobian(scaled, self.dimension) * self._unit[:, None] / self._unit

    def _linearization(self, point):
        theta = (np.array(list(point.values())) / self._unit).tolist()
        if any(theta[1:]):
            return super()._linearization(point)
        # a flat potential has no minimum to follow: linearize its coefficients about a point that stays
        return self.expansion.at_rest(theta, self.dimension)

    def _domain(self, theta):
        scaled = [value / unit for value, unit in zip(theta, self._unit.tolist(), strict=True)]
        return self.expansion.domain(scaled)


class Expansion(abc.ABC):
    r"""Couplings of a potential as Taylor coefficients about a point, and the flow that they inherit.

    The flow equation is the SymPy expression ``equation`` in :math:`d, \rho, U, U', U''`. Its value and the
    derivatives that linearize it are evaluated as truncated power series, for numbers, SymPy symbols and JAX
    tracers alike. Vectors ``theta`` hold the Taylor coefficients :math:`U^{(n)}/n!`, so that they stay small.
    """

    def __init__(self, loop, order):
        self.equation = DIMENSION * POTENTIAL - (DIMENSION - 2) * RHO * SLOPE - loop
        self.order = order

    @abc.abstractmethod
    def taylor(self, theta):
        """Return the point of expansion and the coefficients of U there, from 0 to the order."""

    def series(self, expression, theta, dimension):
        """Return the coefficients of an expression in the symbols of the flow equation, from 0 to the order."""
        centre, taylor = self.taylor(theta)
        slope = derivative(taylor)
        constant = [0] * self.order
        known = {
            DIMENSION: [dimension, *constant],
            RHO: [centre, 1, *constant[1:]],
            POTENTIAL: taylor,
            SLOPE: slope,
            CURVATURE: derivative(slope),
        }
        return expand(expression, known)

    def slope_in_dimension(self, theta, dimension):
        """Return the derivative of beta with respect to the dimension."""
        change = self.series(sp.diff(self.equation, DIMENSION), theta, dimension)
        return np.array(self._carried(change, theta), dtype=float)

    def at_rest(self, theta, dimension):
        """Return the linearized flow of the coefficients about a fixed point of expansion, without the constant."""
        return self._linear(theta, dimension)[1:, 1:]

    def beta(self, theta, dimension):
        """Return beta, one number for each coupling."""
        return self._carried(self.series(self.equation, theta, dimension), theta)

    def _linear(self, theta, dimension):
        r"""Return the matrix, (order + 1)^2, of :math:`F_U + F_{U'}\partial + F_{U''}\partial^2` on the powers."""
        derivative = np.diag(np.arange(1.0, self.order + 1), 1)
        parts = [
            self._multiplication(sp.diff(self.equation, s), theta, dimension)
            for s in (POTENTIAL, SLOPE, CURVATURE)
        ]
        return parts[0] + parts[1] @ derivative + parts[2] @ derivative @ derivative

    def _multiplication(self, expression, theta, dimension):
        coefficients = np.array(self.series(expression, theta, dimension), dtype=float)
        shifts = np.subtract.outer(np.arange(self.order + 1), np.arange(self.order + 1))
        return np.where(shifts >= 0, coefficients[shifts], 0.0)


class AboutOrigin(Expansion):
    """Expansion about zero field: the Taylor coefficients change as the flow equation says."""

    @property
    def couplings(self):
        return sp.symbols(f"l1:{self.order + 1}", real=True)

    def taylor(self, theta):
        return 0, [0, *theta]

    def gaussian(self, dimension):
        return np.zeros(self.order)

    def jacobian(self, theta, dimension):
        return self.at_rest(theta, dimension)

    def domain(self, theta):
        return {"the modes have lost their stiffness, 1 + l1 = 0": 1 + theta[0]}

    def _carried(self, change, theta):
        return change[1:]


class AboutMinimum(Expansion):
    r"""Expansion about the minimum :math:`\kappa`, which moves so that :math:`U'(\kappa)` stays zero.

    With :math:`F_n` the coefficients of the flow equation, :math:`\dot\kappa = -F_1/(2a_2)` and
    :math:`\dot a_n = F_n + (n+1)\,a_{n+1}\,\dot\kappa`.
    """

    @property
    def couplings(self):
        return sp.symbols(f"kappa l2:{self.order + 1}", real=True)

    def taylor(self, theta):
        return theta[0], [0, 0, *theta[1:]]

    def gaussian(self, dimension):
        # where the minimum of a quartic potential goes as the potential vanishes
        theta = [1.0, 1e-100] + [0.0] * (self.order - 2)
        for _ in range(3):
            theta[0] -= self.beta(theta, dimension)[0] / self.jacobian(theta, dimension)[0, 0]
        return np.array([theta[0]] + [0.0] * (self.order - 1))

    def jacobian(self, theta, dimension):
        shift = derivative(self.taylor(theta)[1])
        moving = np.array(self.series(sp.diff(self.equation, RHO), theta, dimension), dtype=float)
        rest = self._linear(theta, dimension)
        change = np.column_stack([moving, rest[:, 2:]])
        force = self.series(self.equation, theta, dimension)[1]
        drift = -change[1] / (2 * theta[1])
        drift[1] += force / (2 * theta[1] ** 2)
        velocity = -force / (2 * theta[1])
        change += np.outer(shift, drift)
        change[np.arange(2, self.order), np.arange(2, self.order)] += velocity * np.arange(
            3, self.order + 1
        )
        return np.vstack([drift, change[2:]])

    def domain(self, theta):
        return {
            "the minimum has reached the origin: go on with about='origin'": theta[0],
            "the potential is flat at its minimum": theta[1],
        }

    def _carried(self, change, theta):
        # divided term by term, so that l2 cancels where SymPy can see it
        velocity = sum(-term / (2 * theta[1]) for term in _terms(change[1]))
        shift = derivative(self.taylor(theta)[1])
        return [velocity, *(change[n] + shift[n] * velocity for n in range(2, self.order + 1))]


_EXPANSIONS = {"minimum": AboutMinimum, "origin": AboutOrigin}


def follow(expansion, dimension):
    """Return the coefficients of the fixed point that leaves the Gaussian one at d = 4, or None if it is lost.

    The first point is found by fixing its quartic coefficient, small but not zero, and solving for the
    dimension: that excludes the Gaussian point, which is a root too.
    """
    before, here, step = (4.0, expansion.gaussian(4.0)), _leaving(expansion, quartic=1e-3), 0.1
    while here[0] != dimension:
        reach = min(max(dimension, here[0] - step), here[0] + step)
        theta = _arrived(expansion, _extrapolated(before, here, reach), reach)
        if theta is not None:
            before, here, step = here, (reach, theta), min(2 * step, 0.1)
        elif step < 1e-4:
            return None
        else:
            step /= 2
    return here[1]


def _leaving(expansion, quartic):
    """Return a dimension just below four and the coefficients there of the fixed point with this quartic one."""
    theta, dimension = expansion.gaussian(4.0), 4.0
    theta[1] = quartic
    for _ in range(8):
        matrix = expansion.jacobian(theta.tolist(), dimension)
        matrix[:, 1] = expansion.slope_in_dimension(theta.tolist(), dimension)
        step = np.linalg.solve(matrix, expansion.beta(theta.tolist(), dimension))
        dimension, step[1] = float(dimension - step[1]), 0.0
        theta = theta - step
    return dimension, theta


def _extrapolated(before, here, dimension):
    return here[1] + (here[1] - before[1]) * (dimension - here[0]) / (here[0] - before[0])


def _arrived(expansion, guess, dimension):
    """Return the root that Newton's method reaches from the guess, or None where that is not the one meant."""
    theta = guess
    with np.errstate(all="ignore"):
        for _ in range(8):
            step = np.linalg.solve(
                expansion.jacobian(theta.tolist(), dimension),
                expansion.beta(theta.tolist(), dimension),
            )
            theta = theta - step
            if not (np.isfinite(theta).all() and 0.5 < theta[1] / guess[1] < 2):
                return None
            if np.abs(step).max() <= 1e-12 * max(1.0, np.abs(theta).max()):
                return theta
    return None


def _terms(expression):
    return sp.Add.make_args(expression) if isinstance(expression, sp.Basic) else [expression]
