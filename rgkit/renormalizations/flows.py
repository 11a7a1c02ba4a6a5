"""Continuous renormalization: a flow of couplings, and what follows from it."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import pandas as pd
import sympy as sp
from jaxtyping import Float

from rgkit import _validation as check
from rgkit.renormalizations import _couplings
from rgkit.renormalizations._integration import Integration, automatic_slopes
from rgkit.renormalizations.base import Renormalization, Values


class RGFlow(Renormalization):
    r"""A continuous renormalization :math:`d\theta/d\ell = \beta(\theta)` towards the infrared.

    :math:`\ell` is the logarithm of the scale: at :math:`\ell` one looks from :math:`e^\ell` times
    as far. A relevant coupling grows. A flow of one's own is a subclass with ``names`` and the
    rates: as formulas in `derive`, or as numbers in `velocity`. For instance, the flow of
    Kosterlitz and Thouless::

        class Vortices(rg.RGFlow):
            names = ("x", "y")

            def derive(self):
                x, y = self.couplings
                return {"x": -(y**2), "y": -x * y}
    """

    def velocity(self, theta: Any) -> Sequence[Any]:
        r"""The rates :math:`\beta(\theta)` in order; by default from `derive`.

        Arguments:
            theta: the couplings, ``(k,)``: a NumPy array, or a JAX array while the flow is
                integrated, so that only arithmetic and `jax.numpy` can be used.
        """
        numeric = isinstance(theta, np.ndarray)
        return self._compiled["floats" if numeric else "arrays"](*in_order(theta))

    def domain(self, theta: Any) -> dict[str, Any]:
        """Numbers that must stay positive, each by the sentence that says what it means if not.

        None by default. The flow is not defined where one is not positive, and stops there.

        Arguments:
            theta: the couplings, ``(k,)``, as for `velocity`.
        """
        return {}

    @property
    def unit(self) -> Float[np.ndarray, " k"]:
        """The natural size of each coupling, ``(k,)``, in which `flow` measures it."""
        return np.ones(len(self._names))

    def beta(self, values: Values) -> dict[str, float]:
        r"""The rates :math:`\beta(\theta)` by name, computed in float64, as Python floats.

        Arguments:
            values: dimensionless couplings by name.

        Raises:
            TypeError: where they are no mapping of names to real numbers.
            ValueError: for a name that is unknown or missing, a number that is not finite, or a
                point where the flow is not defined.
        """
        return self._by_name(self._motion(self._start(values, "values")))

    def flow(
        self,
        start: Values,
        log_scale: check.Real,
        *,
        n_points: check.Integer = 101,
        largest: check.Real = 1e6,
    ) -> pd.DataFrame:
        r"""Integrate the flow over :math:`\ell` = 0 to ``log_scale`` (below 0: to the ultraviolet).

        The method is that of Tsitouras, 5(4), in float64 with relative tolerance 1e-10.

        Arguments:
            start: dimensionless couplings by name.
            log_scale: the end of :math:`\ell`.
            n_points: the number of equal steps to report, and 1.
            largest: the size, in the natural `unit` of a coupling, at which it has run away.

        Returns:
            A table with the columns log_scale, scale (:math:`e^\ell`) and the couplings. Where a
            coupling passes ``largest`` in size, or the flow runs into a singularity of
            :math:`\beta`, the table ends there, and ``table.attrs["stopped"]`` says in a sentence
            where and why; it is None for a flow that was integrated to its end.

        Raises:
            TypeError, ValueError: as `beta` does, and where another argument is out of range.

        Reference: P. Kidger, arXiv:2202.02435 (diffrax).
        """
        theta, end = self._start(start, "start"), check.real("log_scale", log_scale)
        times = np.linspace(0.0, end, check.positive_integer("n_points", n_points, minimum=2))
        bound = check.real("largest", largest)
        if bound <= 0:
            raise ValueError(f"largest must be above 0, got {bound}: pass a size of couplings.")
        if (np.abs(theta / self.unit) >= bound).any() or not end:
            reached, states, ended = times[:1], theta[None], not end
        else:
            integration = Integration(self.velocity, self.domain, tuple(self.unit.tolist()))
            reached, states, ended = integration.states(theta, times, bound)
        return self._table(reached, states, ended, bound)

    def linearization(self, values: Values) -> Float[np.ndarray, "k k"]:
        r"""The matrix :math:`\partial\beta_i/\partial\theta_j` at couplings by name, ``(k, k)``.

        By default from `derive` where that is given, else by automatic differentiation.
        """
        theta = self._vector(values)
        if self.expressions:
            return np.array(self._compiled["slopes"](*theta.tolist()), dtype=float)
        return automatic_slopes(self.velocity, theta)

    def _equations(self) -> dict[str, Any]:
        left = (rf"\frac{{d {sp.latex(symbol)}}}{{d\ell}}" for symbol in self.couplings)
        return dict(zip(left, self.expressions.values(), strict=True))

    def _dimension(self, eigenvalue: complex) -> complex:
        return eigenvalue

    def _motion(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        # a velocity written in jax.numpy would be rounded to float32
        with jax.enable_x64(True):
            return _couplings.evaluated(
                f"the velocity of {type(self).__name__}", self.velocity, self._names, theta
            )

    def _motion_slopes(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k k"]:
        return self.linearization(self._by_name(theta))

    def _crossed(self, theta: Float[np.ndarray, " k"]) -> list[str]:
        return [sentence for sentence, n in self.domain(theta).items() if not n > 0]

    def _start(self, values: Any, argument: str) -> Float[np.ndarray, " k"]:
        theta = self._vector(values, argument)
        crossed = self._crossed(theta)
        if crossed:
            raise ValueError(f"the flow is not defined at {self._by_name(theta)}: {crossed[0]}.")
        return theta

    def _stays(self, point: dict[str, float]) -> bool:
        theta = np.array(list(point.values()))
        if not np.isfinite(theta).all() or self._crossed(theta):
            return False
        # how far Newton's method would move it: beta itself is small wherever the flow is slow
        moved = np.linalg.lstsq(self.linearization(point), self._motion(theta))[0]
        return bool(np.all(np.abs(moved) <= 1e-10 * (self.unit + np.abs(theta))))

    def _reason(self, last: Float[np.ndarray, " k"], largest: float) -> str:
        sizes = np.abs(last / self.unit)
        if self._crossed(last):
            return self._crossed(last)[0]
        if sizes.max() >= largest:
            return f"coupling {self._names[sizes.argmax()]} has passed {largest:g} in size"
        return "the step size has vanished at a singularity of beta"

    def _table(
        self,
        reached: Float[np.ndarray, " t"],
        states: Float[np.ndarray, "t k"],
        ended: bool,
        largest: float,
    ) -> pd.DataFrame:
        keep = np.array([not self._crossed(state) for state in states])
        # the last state is where the integration ended: a repetition, unless it was stopped early
        keep[-1] &= not ended or len(keep) == 1
        table = pd.DataFrame(states[keep], columns=list(self._names))
        table.insert(0, "log_scale", reached[keep])
        table.insert(1, "scale", np.exp(reached[keep]))
        reason = self._reason(states[-1], largest)
        sentence = f"stopped after log_scale = {reached[keep][-1]:.6g}: {reason}."
        table.attrs["stopped"] = None if ended else sentence
        return table


def in_order(theta: Any) -> list[Any]:
    """The couplings of a vector, as Python floats or as tracers of JAX."""
    return theta.tolist() if isinstance(theta, np.ndarray) else list(theta)
