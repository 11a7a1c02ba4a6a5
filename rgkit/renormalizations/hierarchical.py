"""Dyson's hierarchical model: an exact renormalization by blocks of two, in any dimension."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import sympy as sp
from jaxtyping import ArrayLike, Float

from rgkit import _validation as check
from rgkit.renormalizations._block_moments import BlockMoments
from rgkit.renormalizations._site_law import even_moments
from rgkit.renormalizations.base import FixedPoint, Values
from rgkit.renormalizations.maps import RGMap

Numbers = ArrayLike | Sequence[float]
LARGEST_ORDER = 50


def hierarchical(dimension: check.Real, order: check.Integer) -> "HierarchicalModel":
    r"""Renormalize Dyson's hierarchical model: two blocks make one, with a ferromagnetic weight.

    The law of the scaled field :math:`m` of a block has the characteristic function
    :math:`R(k) = \langle e^{ikm} \rangle = 1 + a_1 k^2 + a_2 k^4 + \dots`, and one step is

    .. math::

        R'(k) = C\, e^{-\frac12 d^2/dk^2} \left[R(\tfrac{\sqrt c}{2} k)\right]^2,
        \quad c = 2^{1 - 2/D}.

    The inverse temperature :math:`\beta` is absorbed in the unit of the field,
    :math:`m = \sqrt\beta \phi` for one site, so that it is a property of the start (see
    `HierarchicalModel.start`) and not of the step. In the convention of the literature the exponent
    is :math:`-\frac\beta2 d^2/dk^2` and the coefficients are :math:`a_l \beta^{-l}`. A step doubles
    the number of sites, so that the linear scale factor is :math:`2^{1/D}`. Scaling dimensions
    refer to it: :math:`y = D \ln\lambda/\ln 2` for an eigenvalue :math:`\lambda`, and
    :math:`\nu = 1/y_t = \gamma/2`, since :math:`\eta = 0`.

    Arguments:
        dimension: D, a real number with 2 < D <= 4.
        order: how many dimensionless coefficients :math:`a_1, a_2, \dots` are kept, from 3 to 50;
            at D = 3, 25 of them leave nothing but rounding.

    Raises:
        TypeError, ValueError: where one is not such a number.

    Reference: Y. Meurice, J. Phys. A 40, R39 (2007), arXiv:hep-th/0701191, section 2.
    """
    return HierarchicalModel(dimension, order)


class HierarchicalModel(RGMap):
    r"""The recursion for the coefficients :math:`a_l` of the characteristic function of a block.

    In the even moments :math:`\mu_l = (-1)^l (2l)!\, a_l` every term of the recursion is positive,
    so that the numerical map loses no digits. Values are float64: the moments leave the range of
    float32. Of the scaling dimensions at the critical point the last ones are artefacts of the
    truncation: compare two orders. A subclass with another `block_weight` is another model. Made by
    `rgkit.hierarchical`, which says what the arguments are.
    """

    def __init__(self, dimension: check.Real, order: check.Integer):
        self.dimension = check.real("dimension", dimension)
        if not 2 < self.dimension <= 4:
            raise ValueError(
                f"dimension must be above 2 and at most 4, got {dimension}: at 2 the transition is "
                "lost."
            )
        self.order = check.positive_integer("order", order, minimum=3)
        if self.order > LARGEST_ORDER:
            raise ValueError(
                f"order must be at most {LARGEST_ORDER}, got {order}: higher moments leave float64."
            )
        self.scale_factor = 2 ** (1 / self.dimension)
        self.names = tuple(f"a_{l}" for l in range(1, self.order + 1))
        weights = [float(self.block_weight(j)) for j in range(2 * self.order + 1)]
        self._blocks = BlockMoments(self.dimension, self.order, weights)

    @staticmethod
    def block_weight(power: int) -> Any:
        r"""The coefficient of :math:`m^{2j}` in the weight :math:`e^{m^2/2}` of a block.

        Arguments:
            power: j.

        Returns:
            A number of SymPy.
        """
        return sp.Rational(1, 2**power * math.factorial(power))

    @property
    def c(self) -> float:
        r"""The parameter :math:`c = 2^{1 - 2/D}` of the interaction."""
        return 2 ** (1 - 2 / self.dimension)

    def derive(self) -> dict[str, sp.Expr]:
        """The new coefficients by name, rational functions of the old ones."""
        k, scale = sp.symbols("k scale")
        block = 1 + sum(a * (scale * k) ** (2 * l) for l, a in enumerate(self.couplings, 1))
        pair = sp.Poly(block**2, k)
        # m^2 under the Fourier integral is minus the second derivative in k
        terms = (
            (-1) ** j * self.block_weight(j) * pair.diff((k, 2 * j))
            for j in range(2 * self.order + 1)
        )
        weighted = sum(terms, start=sp.Poly(0, k))
        exact = sp.Integer(2) ** (1 - 2 / sp.nsimplify(self.dimension, rational=True))
        new = [
            weighted.coeff_monomial(k ** (2 * l)).subs(scale, sp.sqrt(exact) / 2)
            for l in range(self.order + 1)
        ]
        return {name: value / new[0] for name, value in zip(self.names, new[1:], strict=True)}

    def start(self, beta: check.Real, points: Numbers, weights: Numbers | None = None) -> dict:
        r"""The coefficients of one site, whose field has an even law, by name.

        Arguments:
            beta: the inverse temperature, at least 0.
            points: values :math:`\phi_i` of the field, ``(p,)``, which stand for :math:`\pm\phi_i`.
                One point, 1, is the Ising spin, :math:`R_0(k) = \cos\sqrt\beta k`; an equidistant
                grid with the values of a density, small at its ends, is an integral by the
                trapezoid rule.
            weights: their weights, ``(p,)``, equal if not given.

        Raises:
            TypeError: where one is not made of real numbers.
            ValueError: where ``beta`` is negative, the weights are no measure, or the moments
                leave float64.
        """
        inverse_temperature = check.real("beta", beta)
        if inverse_temperature < 0:
            raise ValueError(f"beta must be at least 0, got {beta}: the blocks are ferromagnetic.")
        moments = even_moments(points, weights, self.order)
        with np.errstate(over="ignore"):
            scaled = moments * self._powers(inverse_temperature)
        if not np.isfinite(scaled).all():
            raise ValueError(
                f"beta = {beta} is too large: {self.order} moments of the field leave float64; "
                "lower beta, or the order."
            )
        return self._by_name(self._coefficients(scaled)[1:])

    def moments(self, values: Values) -> Float[np.ndarray, " order"]:
        r"""The moments :math:`\langle m^2 \rangle, \langle m^4 \rangle, \dots` of a block.

        Arguments:
            values: coefficients by name.

        Raises:
            TypeError, ValueError: as `step` does.
        """
        return self._moments(self._vector(values))[1:]

    def critical_beta(self, points: Numbers, weights: Numbers | None = None) -> float:
        """The inverse temperature that separates the two sinks, by bisection to the last bit.

        Arguments:
            points: values of the field of one site, as in `start`.
            weights: their weights.

        Raises:
            TypeError, ValueError: as `start` does.
        """
        moments = even_moments(points, weights, self.order)
        high = float(self._gaussian_variance / moments[1])
        while self._ends_disordered(moments * self._powers(high)):
            high *= 2
        return self._critical_factor(moments, 0.0, high)

    def critical_flow(
        self, n_steps: check.Integer, points: Numbers, weights: Numbers | None = None
    ) -> pd.DataFrame:
        """The flow that starts at the critical temperature and stays critical.

        Rounding is a relevant perturbation, which a plain flow amplifies. So the temperature is set
        anew to its critical value every few steps, by a factor that is 1 but for rounding.

        Arguments:
            n_steps: the last step, at least 0.
            points: values of the field of one site, as in `start`.
            weights: their weights.

        Returns:
            A table with the columns step, scale and the coefficients, as of `flow`.

        Raises:
            TypeError, ValueError: as `start` does, and where ``n_steps`` is not such an integer.
        """
        moments = even_moments(points, weights, self.order)
        trajectory = [moments * self._powers(self.critical_beta(points, weights))]
        for step in range(check.positive_integer("n_steps", n_steps, minimum=0)):
            new = self._blocks.step(trajectory[-1])
            trajectory.append(
                new
                if step % 4
                else new * self._powers(self._critical_factor(new, 1 - 1e-12, 1 + 1e-12))
            )
        steps = np.arange(len(trajectory))
        values = self._coefficients(np.array(trajectory))[:, 1:]
        return pd.DataFrame(
            {"step": steps, "scale": self.scale_factor**steps}
            | dict(zip(self.names, values.T, strict=True))
        )

    def fixed_points(self) -> list[FixedPoint]:
        """The sink at high temperature, the Gaussian point, and below D = 4 the critical one.

        The sink at low temperature is not among them: there the scaled field of a block grows
        without bound, by a factor sqrt(c) in a step, and no finite number of coefficients follows
        it. A truncated flow saturates at a point that moves with ``order``.
        """
        sink = FixedPoint(dict.fromkeys(self.names, 0.0), "high temperature, stable")
        gaussian = FixedPoint(self._by_name(self._gaussian()[1:]), "Gaussian")
        if self.dimension == 4:
            return [sink, gaussian]
        critical = FixedPoint(self._critical_point, "critical, one relevant direction")
        return [sink, gaussian, critical]

    def fixed_point_near(self, values: Values) -> FixedPoint:
        """The fixed point that Newton's method finds, in the logarithms of the moments.

        Arguments:
            values: where to start, coefficients by name with positive moments.

        Raises:
            TypeError: where they are no mapping of names to real numbers.
            ValueError: where a moment is not positive, or the iteration does not converge.
        """
        moments = self._moments(self._vector(values))
        if not (moments > 0).all():
            raise ValueError(
                "values must have positive moments (-1)^l (2l)! a_l: take them from a flow."
            )
        for _ in range(60):
            change = self._blocks.newton_change(moments)
            moments[1:] *= np.exp(change / max(1.0, 2 * np.abs(change).max()))
            if np.abs(change).max() < 1e-14:
                break
        if not np.abs(self._blocks.newton_change(moments)).max() < 1e-9:
            raise ValueError(
                "Newton's method did not converge from values: start nearer, or raise order."
            )
        return FixedPoint(
            self._by_name(self._coefficients(moments)[1:]), "found by Newton's method"
        )

    @functools.cached_property
    def _critical_point(self) -> dict[str, float]:
        flow = self.critical_flow(100, np.ones(1))
        return dict(self.fixed_point_near(flow[list(self.names)].iloc[-1]))

    def _critical_factor(self, moments: Float[np.ndarray, " m"], low: float, high: float) -> float:
        """Return the factor of beta, between two bounds, that separates the two sinks."""
        return _bisect(
            lambda factor: self._ends_disordered(moments * self._powers(factor)), low, high
        )

    def _powers(self, beta: float) -> Float[np.ndarray, " m"]:
        return beta ** np.arange(self.order + 1.0)

    @property
    def _gaussian_variance(self) -> float:
        """The variance v of the Gaussian fixed point: 1/v = 2/(c v) - 1."""
        return 2 / self.c - 1

    def _gaussian(self) -> Float[np.ndarray, " m"]:
        powers = np.arange(self.order + 1)
        factorials = np.array([math.factorial(l) for l in powers], dtype=float)
        return (-self._gaussian_variance / 2) ** powers / factorials

    def _ends_disordered(self, moments: Float[np.ndarray, " m"]) -> bool:
        """Whether the second moment goes to zero, where the field of a block is noise."""
        small, large = self._gaussian_variance / 100, self._gaussian_variance * 10
        # at low order, or on the critical point to the last bit, the flow stops between the two
        for _ in range(1000):
            if not small < moments[1] < large:
                break
            moments = self._blocks.step(moments)
        return bool(moments[1] < self._gaussian_variance)

    def image(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """The coefficients after one step, through the moments."""
        return self._coefficients(self._blocks.step(self._moments(theta)))[1:]

    def linearization(self, values: Values) -> Float[np.ndarray, "k k"]:
        r"""The matrix of the linearized step at coefficients by name, ``(order, order)``.

        It is that of the coefficients at the sink, diagonal in those of the density at the Gaussian
        point, and :math:`\partial \ln\mu_l' / \partial \ln\mu_j` in the moments elsewhere.
        """
        theta = self._vector(values)
        if not theta.any():
            # R^2 is 1 + 2 sum a_l (c k^2 / 4)^l, and the derivatives only lower the degree
            return np.diag(2 * (self.c / 4) ** np.arange(1, self.order + 1))
        if (theta == self._gaussian()[1:]).all():
            return np.diag(2 * self.c ** -np.arange(1.0, self.order + 1))
        return self._blocks.relative_slopes(self._moments(theta))

    @functools.cached_property
    def _signed_factorials(self) -> Float[np.ndarray, " m"]:
        return np.array(
            [(-1) ** l * math.factorial(2 * l) for l in range(self.order + 1)], dtype=float
        )

    def _moments(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, " m"]:
        return np.concatenate([[1.0], theta]) * self._signed_factorials

    def _coefficients(self, moments: Float[np.ndarray, "... m"]) -> Float[np.ndarray, "... m"]:
        return moments / self._signed_factorials


def _bisect(is_below: Callable[[float], bool], low: float, high: float) -> float:
    """Return the largest float64 below the threshold that lies between ``low`` and ``high``."""
    middle = (low + high) / 2
    while low < middle < high:
        low, high = (middle, high) if is_below(middle) else (low, middle)
        middle = (low + high) / 2
    return low
