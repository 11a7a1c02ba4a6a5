"""Expansions of a local potential in powers of the field, and the flow of their coefficients."""

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from rgkit.renormalizations._power_series import derivative, expand

DIMENSION, RHO = sp.symbols("d rho", positive=True)
POTENTIAL, SLOPE, CURVATURE = sp.symbols("U U' U''", real=True)


class Expansion(abc.ABC):
    r"""Couplings of a potential as Taylor coefficients about a point, and the flow they inherit.

    The flow equation is the SymPy expression ``equation`` in :math:`d, \rho, U, U', U''`. Its value
    and the derivatives that linearize it are evaluated as truncated power series, for numbers,
    SymPy symbols and JAX tracers alike. Vectors ``theta`` hold the Taylor coefficients
    :math:`U^{(n)}/n!`, so that they stay small.

    Arguments:
        loop: the loop term, a SymPy expression in these symbols.
        order: the highest power of :math:`\rho` that is kept.
    """

    def __init__(self, loop: sp.Expr, order: int):
        self.equation = DIMENSION * POTENTIAL - (DIMENSION - 2) * RHO * SLOPE - loop
        self.order = order

    @property
    @abc.abstractmethod
    def names(self) -> tuple[str, ...]:
        """The names of the couplings, in order."""

    @abc.abstractmethod
    def taylor(self, theta: Sequence[Any]) -> tuple[Any, list[Any]]:
        """The point of expansion and the coefficients of U there, from 0 to the order."""

    @abc.abstractmethod
    def gaussian(self, dimension: float) -> Float[np.ndarray, " k"]:
        """The coefficients of the Gaussian point."""

    @abc.abstractmethod
    def jacobian(self, theta: Sequence[Any], dimension: float) -> Float[np.ndarray, "k k"]:
        """The derivatives of beta."""

    @abc.abstractmethod
    def domain(self, theta: Sequence[Any]) -> dict[str, Any]:
        """Numbers that must stay positive, each by the sentence that says what it means if not."""

    @abc.abstractmethod
    def _carried(self, change: list[Any], theta: Sequence[Any]) -> list[Any]:
        """The change of the couplings from that of the coefficients at a point at rest."""

    def series(self, expression: sp.Expr, theta: Sequence[Any], dimension: Any) -> list[Any]:
        """The coefficients of an expression in the flow equation's symbols, from 0 to the order."""
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

    def slope_in_dimension(self, theta: Sequence[Any], dimension: float) -> Float[np.ndarray, " k"]:
        """The derivative of beta with respect to the dimension."""
        change = self.series(sp.diff(self.equation, DIMENSION), theta, dimension)
        return np.array(self._carried(change, theta), dtype=float)

    def at_rest(self, theta: Sequence[Any], dimension: float) -> Float[np.ndarray, "k k"]:
        """The linearized flow of the coefficients, but the constant, about a point at rest."""
        return self._linear(theta, dimension)[1:, 1:]

    def beta(self, theta: Sequence[Any], dimension: Any) -> list[Any]:
        """The rates of the couplings, one number for each coupling."""
        return self._carried(self.series(self.equation, theta, dimension), theta)

    def _linear(self, theta: Sequence[Any], dimension: float) -> Float[np.ndarray, "m m"]:
        r"""The matrix of :math:`F_U + F_{U'}\partial + F_{U''}\partial^2` on the powers."""
        derivative = np.diag(np.arange(1.0, self.order + 1), 1)
        parts = [
            self._multiplication(sp.diff(self.equation, s), theta, dimension)
            for s in (POTENTIAL, SLOPE, CURVATURE)
        ]
        return parts[0] + parts[1] @ derivative + parts[2] @ derivative @ derivative

    def _multiplication(
        self, expression: sp.Expr, theta: Sequence[Any], dimension: float
    ) -> Float[np.ndarray, "m m"]:
        coefficients = np.array(self.series(expression, theta, dimension), dtype=float)
        shifts = np.subtract.outer(np.arange(self.order + 1), np.arange(self.order + 1))
        return np.where(shifts >= 0, coefficients[shifts], 0.0)


class AboutOrigin(Expansion):
    """Expansion about zero field: the Taylor coefficients change as the flow equation says."""

    @property
    def names(self) -> tuple[str, ...]:
        """``l1`` to the order."""
        return tuple(f"l{n}" for n in range(1, self.order + 1))

    def taylor(self, theta: Sequence[Any]) -> tuple[Any, list[Any]]:
        """The point of expansion and the coefficients of U there, from 0 to the order."""
        return 0, [0, *theta]

    def gaussian(self, dimension: float) -> Float[np.ndarray, " k"]:
        """The coefficients of the Gaussian point."""
        return np.zeros(self.order)

    def jacobian(self, theta: Sequence[Any], dimension: float) -> Float[np.ndarray, "k k"]:
        """The derivatives of beta."""
        return self.at_rest(theta, dimension)

    def domain(self, theta: Sequence[Any]) -> dict[str, Any]:
        """What must stay positive for the flow to be defined."""
        return {"the modes have lost their stiffness, 1 + l1 = 0": 1 + theta[0]}

    def _carried(self, change: list[Any], theta: Sequence[Any]) -> list[Any]:
        return change[1:]


class AboutMinimum(Expansion):
    r"""Expansion about the minimum :math:`\kappa`, which moves so that :math:`U'(\kappa) = 0`.

    With :math:`F_n` the coefficients of the flow equation, :math:`\dot\kappa = -F_1/(2a_2)` and
    :math:`\dot a_n = F_n + (n+1)\,a_{n+1}\,\dot\kappa`.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """``kappa``, then ``l2`` to the order."""
        return ("kappa", *(f"l{n}" for n in range(2, self.order + 1)))

    def taylor(self, theta: Sequence[Any]) -> tuple[Any, list[Any]]:
        """The point of expansion and the coefficients of U there, from 0 to the order."""
        return theta[0], [0, 0, *theta[1:]]

    def gaussian(self, dimension: float) -> Float[np.ndarray, " k"]:
        """The coefficients of the Gaussian point."""
        # where the minimum of a quartic potential goes as the potential vanishes
        theta = [1.0, 1e-100] + [0.0] * (self.order - 2)
        for _ in range(3):
            theta[0] -= self.beta(theta, dimension)[0] / self.jacobian(theta, dimension)[0, 0]
        return np.array([theta[0]] + [0.0] * (self.order - 1))

    def jacobian(self, theta: Sequence[Any], dimension: float) -> Float[np.ndarray, "k k"]:
        """The derivatives of beta."""
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

    def domain(self, theta: Sequence[Any]) -> dict[str, Any]:
        """What must stay positive for the flow to be defined."""
        return {
            "the minimum has reached the origin: go on with about='origin'": theta[0],
            "the potential is flat at its minimum": theta[1],
        }

    def _carried(self, change: list[Any], theta: Sequence[Any]) -> list[Any]:
        # divided term by term, so that l2 cancels where SymPy can see it
        velocity = sum(-term / (2 * theta[1]) for term in _terms(change[1]))
        shift = derivative(self.taylor(theta)[1])
        return [velocity, *(change[n] + shift[n] * velocity for n in range(2, self.order + 1))]


EXPANSIONS = {"minimum": AboutMinimum, "origin": AboutOrigin}


def _terms(expression: Any) -> Sequence[Any]:
    return sp.Add.make_args(expression) if isinstance(expression, sp.Expr) else [expression]
