"""Dyson's hierarchical model: a renormalization by blocks of two that is exact, in any dimension."""

import functools
import math

import numpy as np
import pandas as pd
import sympy as sp

from rgkit import _validation as check
from rgkit.renormalizations.base import FixedPoint, RGMap


def hierarchical(dimension: float, order: int) -> "HierarchicalModel":
    r"""Renormalize Dyson's hierarchical model: two blocks make one, with a ferromagnetic weight.

    The law of the scaled field :math:`m` of a block has the characteristic function
    :math:`R(k) = \langle e^{ikm} \rangle = 1 + a_1 k^2 + a_2 k^4 + \dots`, and one step is

    .. math:: R'(k) = C\, e^{-\frac12 d^2/dk^2} \left[R(\tfrac{\sqrt c}{2} k)\right]^2, \quad c = 2^{1 - 2/D}.

    The inverse temperature :math:`\beta` is absorbed in the unit of the field, :math:`m = \sqrt\beta \phi` for
    one site, so that it is a property of the start (see ``start``) and not of the step. In the convention of
    the literature the exponent is :math:`-\frac\beta2 d^2/dk^2` and the coefficients are
    :math:`a_l \beta^{-l}`. A step doubles the number of sites, so that the linear scale factor is
    :math:`2^{1/D}`. Scaling dimensions refer to it: :math:`y = D \ln\lambda/\ln 2` for an eigenvalue
    :math:`\lambda`, and :math:`\nu = 1/y_t = \gamma/2`, since :math:`\eta = 0`.

    ``dimension``: D, a real number with 2 < D <= 4. ``order``: how many dimensionless coefficients
    :math:`a_1, a_2, \dots` are kept, from 3 to 50; at D = 3, 25 of them leave nothing but rounding. Raises
    ``TypeError`` or ``ValueError`` where one is out of range.

    Source: Y. Meurice, J. Phys. A 40, R39 (2007), arXiv:hep-th/0701191, section 2.
    """
    return HierarchicalModel(dimension, order)


class HierarchicalModel(RGMap):
    r"""The recursion for the coefficients :math:`a_l` of the characteristic function of a block.

    In the even moments :math:`\mu_l = (-1)^l (2l)!\, a_l` every term of the recursion is positive, so that the
    numerical map loses no digits; the square of R is kept to its full degree. Values are float64: the
    moments leave the range of float32. Of the scaling dimensions at the critical point the last ones are
    artefacts of the truncation: compare two orders.
    """

    _LARGEST_ORDER = 50

    def __init__(self, dimension, order):
        self.dimension = check.real("dimension", dimension)
        if not 2 < self.dimension <= 4:
            raise ValueError(
                f"dimension must be above 2 and at most 4, got {dimension}: at 2 the transition is lost."
            )
        self.order = check.positive_integer("order", order, minimum=3)
        if self.order > self._LARGEST_ORDER:
            raise ValueError(
                f"order must be at most {self._LARGEST_ORDER}, got {order}: higher moments leave float64."
            )
        self.scale_factor = 2 ** (1 / self.dimension)
        self.couplings = sp.symbols(f"a_1:{self.order + 1}", real=True)
        self._factor, self._tilt = self._convolution(), self._block_weights()
        rows, columns = np.indices(self._factor.shape)
        self._other_block = np.clip(rows - columns, 0, self.order)

    @staticmethod
    def block_weight(power: int) -> sp.Rational:
        r"""Return the coefficient of :math:`m^{2j}` in the weight :math:`e^{m^2/2}` of a block, j = ``power``."""
        return sp.Rational(1, 2**power * math.factorial(power))

    @property
    def c(self) -> float:
        r"""The parameter :math:`c = 2^{1 - 2/D}` of the interaction."""
        return 2 ** (1 - 2 / self.dimension)

    @functools.cached_property
    def expressions(self) -> dict:
        """The new coefficients by name, rational functions of the old ones, derived when first asked for."""
        k, scale = sp.symbols("k scale")
        block = 1 + sum(a * (scale * k) ** (2 * l) for l, a in enumerate(self.couplings, 1))
        pair = sp.Poly(sp.Poly(block, k) ** 2, k)
        # m^2 under the Fourier integral is minus the second derivative in k
        weighted = sum(
            (-1) ** j * self.block_weight(j) * pair.diff((k, 2 * j))
            for j in range(2 * self.order + 1)
        )
        exact = sp.Integer(2) ** (1 - 2 / sp.nsimplify(self.dimension, rational=True))
        new = [
            weighted.coeff_monomial(k ** (2 * l)).subs(scale, sp.sqrt(exact) / 2)
            for l in range(self.order + 1)
        ]
        return {name: value / new[0] for name, value in zip(self.names, new[1:], strict=True)}

    def start(self, beta: float, points, weights=None) -> dict:
        r"""Return the coefficients of one site, whose field has an even law, at inverse temperature ``beta``.

        ``points``: values :math:`\phi_i` of the field, shape ``(p,)``, which stand for :math:`\pm\phi_i`;
        ``weights``: their weights, ``(p,)``, equal if not given. One point, 1, is the Ising spin,
        :math:`R_0(k) = \cos\sqrt\beta k`; an equidistant grid with the values of a density, small at its ends,
        is an integral by the trapezoid rule. Raises ``ValueError`` where ``beta`` is negative or the weights are
        no measure.
        """
        if check.real("beta", beta) < 0:
            raise ValueError(f"beta must be at least 0, got {beta}: the blocks are ferromagnetic.")
        moments = _even_moments(points, weights, self.order)
        return self._named(self._coefficients(moments * self._powers(float(beta))))

    def moments(self, values) -> np.ndarray:
        r"""Return :math:`\langle m^2 \rangle, \langle m^4 \rangle, \dots` of a block, shape ``(order,)``."""
        return self._moments(self._vector(values))[1:]

    def critical_beta(self, points, weights=None) -> float:
        """Return the inverse temperature that separates the two sinks, by bisection to the last bit.

        ``points``, ``weights``: the law of one site, as in ``start``.
        """
        moments = _even_moments(points, weights, self.order)
        high = float(self._gaussian_variance / moments[1])
        while self._ends_disordered(moments * self._powers(high)):
            high *= 2
        return self._critical_factor(moments, 0.0, high)

    def critical_flow(self, n_steps: int, points, weights=None) -> pd.DataFrame:
        """Return the flow that starts at the critical temperature and stays critical, as `flow` does.

        Rounding is a relevant perturbation, which a plain flow amplifies. So the temperature is set anew to
        its critical value every few steps, by a factor that differs from 1 by rounding only. ``points``,
        ``weights``: the law of one site, as in ``start``.
        """
        moments = _even_moments(points, weights, self.order)
        trajectory = [moments * self._powers(self.critical_beta(points, weights))]
        for step in range(check.positive_integer("n_steps", n_steps, minimum=0)):
            new = self._step(trajectory[-1])
            trajectory.append(
                new
                if step % 4
                else new * self._powers(self._critical_factor(new, 1 - 1e-12, 1 + 1e-12))
            )
        steps, values = (
            np.arange(len(trajectory)),
            (np.array(trajectory) / self._signed_factorials)[:, 1:],
        )
        return pd.DataFrame(
            {"step": steps, "scale": self.scale_factor**steps}
            | dict(zip(self.names, values.T, strict=True))
        )

    def fixed_points(self) -> list:
        """Return the sink at high temperature, the Gaussian fixed point, below D = 4 also the critical one.

        The sink at low temperature is not among them: there the scaled field of a block grows without
        bound, by a factor sqrt(c) in a step, and no finite number of coefficients follows it. A truncated flow
        saturates at a point that moves with ``order``.
        """
        sink = FixedPoint(dict.fromkeys(self.names, 0.0), "high temperature, stable")
        gaussian = FixedPoint(self._named(self._gaussian()), "Gaussian")
        return [sink, gaussian] + ([self._critical_point] if self.dimension < 4 else [])

    def fixed_point_near(self, values) -> FixedPoint:
        """Return the fixed point that Newton's method finds from ``values``, coefficients by name.

        It works with the logarithms of the moments, which must be positive. Raises ``ValueError`` where the
        iteration does not converge.
        """
        moments = self._moments(self._vector(values))
        if not (moments > 0).all():
            raise ValueError(
                "values must have positive moments (-1)^l (2l)! a_l: take them from a flow."
            )
        for _ in range(60):
            change = self._newton_change(moments)
            moments[1:] *= np.exp(change / max(1.0, 2 * np.abs(change).max()))
            if np.abs(change).max() < 1e-14:
                break
        if not np.abs(self._newton_change(moments)).max() < 1e-9:
            raise ValueError(
                "Newton's method did not converge from values: start nearer, or raise order."
            )
        return FixedPoint(self._named(self._coefficients(moments)), "found by Newton's method")

    @functools.cached_property
    def _critical_point(self):
        flow = self.critical_flow(100, (1.0,))
        found = self.fixed_point_near(flow[list(self.names)].iloc[-1].to_dict())
        return FixedPoint(found, "critical, one relevant direction")

    def _critical_factor(self, moments, low, high):
        """Return the factor of the temperature's inverse, between two bounds, that separates the two sinks."""
        return _bisect(
            lambda factor: self._ends_disordered(moments * self._powers(factor)), low, high
        )

    def _powers(self, beta):
        return beta ** np.arange(self.order + 1.0)

    @property
    def _gaussian_variance(self):
        """The variance v of the Gaussian fixed point: 1/v = 2/(c v) - 1."""
        return 2 / self.c - 1

    def _gaussian(self):
        powers = np.arange(self.order + 1)
        factorials = np.array([math.factorial(l) for l in powers], dtype=float)
        return (-self._gaussian_variance / 2) ** powers / factorials

    def _ends_disordered(self, moments):
        """Whether the second moment goes to zero, where the field of a block is noise."""
        small, large = self._gaussian_variance / 100, self._gaussian_variance * 10
        # at low order, or on the critical point to the last bit, the flow stops between the two
        for _ in range(1000):
            if not small < moments[1] < large:
                break
            moments = self._step(moments)
        return moments[1] < self._gaussian_variance

    def _map(self, theta):
        return self._coefficients(self._step(self._moments(theta)))[1:]

    def _linearization(self, point):
        theta = np.array(list(point.values()))
        if not theta.any():
            # R^2 is 1 + 2 sum a_l (c k^2 / 4)^l, and the derivatives only lower the degree
            return np.diag(2 * (self.c / 4) ** np.arange(1, self.order + 1))
        if (theta == self._gaussian()[1:]).all():
            return np.diag(2 * self.c ** -np.arange(1.0, self.order + 1))
        return self._relative_slopes(self._moments(theta))

    def _step(self, moments):
        new = self._tilt @ (self._convolved(moments) @ moments)
        return new / new[0]

    def _convolved(self, moments):
        """Return the matrix whose product with the moments gives those of the scaled sum of two blocks."""
        return self._factor * moments[self._other_block]

    def _relative_slopes(self, moments):
        r"""Return :math:`\partial \ln\mu_l' / \partial \ln\mu_j`, of shape ``(order, order)``."""
        convolved = self._tilt @ self._convolved(moments)
        new = convolved @ moments
        slopes = 2 * convolved / new[:, None] * moments
        return (slopes - slopes[0])[1:, 1:]

    def _newton_change(self, moments):
        slopes = self._relative_slopes(moments)
        return np.linalg.solve(
            np.eye(self.order) - slopes, np.log(self._step(moments)[1:] / moments[1:])
        )

    def _convolution(self):
        r"""Return :math:`(c/4)^l \binom{2l}{2j}`: moment l of the scaled sum from j of one block, l - j of the other."""
        top, order, quarter = 2 * self.order, self.order, self.c / 4
        rows = range(top + 1)
        return np.array(
            [
                [quarter**l * math.comb(2 * l, 2 * j) * (l - j <= order) for j in range(order + 1)]
                for l in rows
            ]
        )

    def _block_weights(self):
        """Return the matrix that takes the moments of the sum to those under the weight, up to a factor."""
        weights = [float(self.block_weight(j)) for j in range(2 * self.order + 1)]
        rows = [
            np.concatenate([np.zeros(l), weights[: len(weights) - l]])
            for l in range(self.order + 1)
        ]
        return np.array(rows)

    @functools.cached_property
    def _signed_factorials(self):
        return np.array(
            [(-1) ** l * math.factorial(2 * l) for l in range(self.order + 1)], dtype=float
        )

    def _moments(self, theta):
        return np.concatenate([[1.0], theta]) * self._signed_factorials

    def _coefficients(self, moments):
        return moments / self._signed_factorials

    def _named(self, coefficients):
        return dict(zip(self.names, map(float, coefficients[1:]), strict=True))


def _even_moments(points, weights, order):
    """Return the moments of degree 0, 2, ..., 2 order of a law, shape ``(order + 1,)``."""
    points = np.asarray(points, dtype=np.float64)
    weights = np.ones(points.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if points.ndim != 1 or weights.shape != points.shape:
        raise ValueError(
            f"points and weights must have one shape (p,), got {points.shape} and {weights.shape}."
        )
    if not (np.isfinite(points).all() and (weights >= 0).all() and 0 < weights.sum() < math.inf):
        raise ValueError(
            "points must be finite and weights finite, not negative and not all zero: pass a measure."
        )
    moments = (weights / weights.sum()) @ points[:, None] ** (2 * np.arange(order + 1))
    if not moments[1] > 0:
        raise ValueError("points must not all be zero: the field of a site would be constant.")
    return moments


def _bisect(is_below, low, high):
    """Return the largest float64 below the threshold that lies between ``low`` and ``high``."""
    middle = (low + high) / 2
    while low < middle < high:
        low, high = (middle, high) if is_below(middle) else (low, middle)
        middle = (low + high) / 2
    return low
