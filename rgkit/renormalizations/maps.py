"""Renormalization by steps: a map of couplings, and what follows from it."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import sympy as sp
from jaxtyping import Float

from rgkit import _validation as check
from rgkit.renormalizations import _couplings, _newton
from rgkit.renormalizations.base import Renormalization, Values
from rgkit.systems.base import Family

Member = TypeVar("Member", bound=Family)


class RGMap(Renormalization):
    r"""A renormalization by steps :math:`\theta' = R_b(\theta)` with scale factor :math:`b > 1`.

    A map of one's own is a subclass with ``names``, ``scale_factor``, and the map: as numbers in
    `image`, or as formulas in `derive`, or both. Flow, fixed points, scaling dimensions and the
    correspondence with training follow. For instance, decimation of the Ising chain by hand::

        class DecimationByThree(rg.RGMap):
            names = ("K",)
            scale_factor = 3

            def image(self, theta):
                return np.arctanh(np.tanh(theta) ** 3)
    """

    scale_factor: float

    def image(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"] | Sequence[float]:
        """The couplings after one step; by default from `derive`.

        Arguments:
            theta: the couplings in order, ``(k,)`` float64.

        Returns:
            The k new couplings, in a form that does not overflow.
        """
        return self._compiled["floats"](*theta.tolist())

    def step(self, values: Values) -> dict[str, float]:
        """The couplings after one step, computed in float64, as Python floats.

        Arguments:
            values: dimensionless couplings by name; a missing ``h`` is 0.

        Raises:
            TypeError: where they are no mapping of names to real numbers.
            ValueError: for a name that is unknown or missing, a number that is not finite, or
                couplings at which the map is not defined.
        """
        return self._by_name(self._image(self._vector(values)))

    def flow(self, start: Values, n_steps: check.Integer) -> pd.DataFrame:
        """The couplings after 0 to ``n_steps`` steps.

        Arguments:
            start: dimensionless couplings by name; a missing ``h`` is 0.
            n_steps: the last step, at least 0.

        Returns:
            A table with the columns step, scale (``b**step``) and the couplings.

        Raises:
            TypeError, ValueError: as `step` does, and where ``n_steps`` is not such an integer.
        """
        orbit = np.array(list(self._orbit(self._vector(start, "start"), _checked(n_steps))))
        steps = np.arange(len(orbit))
        table = pd.DataFrame(orbit, columns=list(self._names))
        table.insert(0, "step", steps)
        table.insert(1, "scale", self._scale**steps)
        return table

    def systems(
        self, system: Member, n_steps: check.Integer, *, n_sites: check.Integer | None = None
    ) -> Iterator[tuple[float, Member]]:
        """The members of a family that its couplings flow through, one for each step from 0 on.

        A parameter of the family that this map does not have must be 0, and stays 0.

        Arguments:
            system: a member of a family, whose couplings the flow starts from.
            n_steps: the last step, at least 0.
            n_sites: the number of sites of the members, by default that of ``system``.

        Returns:
            Pairs, one after another, of the ratio ``b**step`` of lengths and the member.

        Raises:
            TypeError: where ``system`` is no family or ``n_steps`` is no integer.
            ValueError: where the couplings of the map are not among the family's parameters, or
                one that the map does not have is not 0.
        """
        start, steps = self._vector(self._start_of(system)), _checked(n_steps)
        sites = None if n_sites is None else check.positive_integer("n_sites", n_sites)
        orbit = enumerate(self._orbit(start, steps))
        return (
            (self._scale**step, system.at(self._by_name(theta), n_sites=sites))
            for step, theta in orbit
        )

    def linearization(self, values: Values) -> Float[np.ndarray, "k k"]:
        r"""The matrix :math:`\partial\theta_i'/\partial\theta_j` at couplings by name, ``(k, k)``.

        By default from `derive` where that is given, else by central differences of `image`.

        Raises:
            ValueError: where a coupling is infinite: a subclass that has such a fixed point gives
                the matrix there, in coordinates that are regular.
        """
        point = _couplings.point(self._names, values, "values")
        theta = np.array(list(point.values()))
        if not np.isfinite(theta).all():
            raise ValueError(
                f"the slopes at {point} need coordinates that are regular there: override "
                "`linearization` for this point."
            )
        if self.expressions:
            return np.array(self._compiled["slopes"](*theta.tolist()), dtype=float)
        return _newton.slopes(self._image, theta)

    def _equations(self) -> dict[str, Any]:
        return {f"{sp.latex(symbol)}'": self.expressions[symbol.name] for symbol in self.couplings}

    def _dimension(self, eigenvalue: complex) -> float:
        return math.log(abs(eigenvalue)) / math.log(self._scale) if eigenvalue else -math.inf

    def _image(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        return _couplings.evaluated(
            f"the image under {type(self).__name__}", self.image, self._names, theta
        )

    def _orbit(
        self, theta: Float[np.ndarray, " k"], n_steps: int
    ) -> Iterator[Float[np.ndarray, " k"]]:
        yield theta
        for _ in range(n_steps):
            theta = self._image(theta)
            yield theta

    def _motion(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        return self._image(theta) - theta

    def _motion_slopes(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k k"]:
        return self.linearization(self._by_name(theta)) - np.eye(len(theta))

    def _stays(self, point: dict[str, float]) -> bool:
        theta = np.array(list(point.values()))
        if not np.isfinite(theta).all():
            return False
        return np.allclose(self._image(theta), theta, rtol=1e-12, atol=1e-14)

    @property
    def _scale(self) -> float:
        scale = check.real(
            f"{type(self).__name__}.scale_factor", getattr(self, "scale_factor", None)
        )
        if scale <= 1:
            raise ValueError(
                f"{type(self).__name__}.scale_factor must be above 1, got {scale}: a step goes to "
                "larger scales."
            )
        return scale

    def _start_of(self, system: Any) -> dict[str, float]:
        if not isinstance(system, Family):
            raise TypeError(
                f"system must be a family, whose parameters flow (see rgkit.Family), got "
                f"{type(system).__name__}: pass a rgkit.IsingChain, or give it what it lacks."
            )
        parameters = dict(system.parameters)
        lacking = [name for name in self._names if name not in parameters]
        if lacking:
            raise ValueError(
                f"system must have the couplings {', '.join(self._names)} of the renormalization, "
                f"{type(system).__name__} has no {', '.join(lacking)} among "
                f"{', '.join(parameters)}: take a map of its own couplings."
            )
        others = {n: v for n, v in parameters.items() if n not in self._names and v != 0}
        for name, value in others.items():
            raise ValueError(
                f"system has {name} = {value}, which the renormalization of "
                f"{', '.join(self._names)} does not carry along: set {name} to 0, or take a map "
                "that has it."
            )
        return {name: parameters[name] for name in self._names}


def _checked(n_steps: Any) -> int:
    return check.positive_integer("n_steps", n_steps, minimum=0)
