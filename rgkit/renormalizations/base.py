"""What all renormalizations share: couplings, flow, fixed points, scaling dimensions."""

import abc
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import sympy as sp
from jaxtyping import Float

from rgkit.renormalizations import _couplings, _newton

Values = Mapping[str, Any] | pd.Series


class FixedPoint(dict[str, float]):
    """A fixed point: couplings by name, `inf` where one diverges, and a ``note`` on what it is.

    Arguments:
        values: the couplings by name.
        note: what is known of the point, in words.
    """

    note: str

    def __init__(self, values: Any, note: str):
        super().__init__(values)
        self.note = note


class Renormalization(abc.ABC):
    """A flow of dimensionless couplings: what `rgkit.RGMap` and `rgkit.RGFlow` share.

    A subclass gives ``names``, the names of its couplings in order, and the flow as formulas in
    `derive` or as numbers (see there). One whose fixed points or slopes have a closed form gives
    it in `fixed_points` and `linearization`. A renormalization is copied and pickled by what it was
    made of: what it has derived is derived anew when asked for.
    """

    names: tuple[str, ...]

    @property
    def couplings(self) -> tuple[sp.Symbol, ...]:
        """The SymPy symbols of the couplings, in order."""
        return tuple(sp.Symbol(name, real=True) for name in self._names)

    def derive(self) -> dict[str, Any]:
        """The flow of each coupling by name, in SymPy; empty where it has no closed form.

        For a subclass to give: the right-hand sides, made of ``self.couplings``. For a map the new
        couplings, for a flow the rates.
        """
        return {}

    @functools.cached_property
    def expressions(self) -> dict[str, Any]:
        """The right-hand side of the flow of each coupling by name, in SymPy, as it was derived."""
        derived = self.derive()
        if derived and set(derived) != set(self._names):
            raise ValueError(
                f"{type(self).__name__}.derive must give an expression for each of "
                f"{', '.join(self._names)}, got {', '.join(map(str, derived))}: name them so."
            )
        return {name: derived[name] for name in self._names} if derived else {}

    def latex(self) -> str:
        """The flow as LaTeX, one aligned line for each coupling.

        Raises:
            ValueError: where no closed form was given.
        """
        self._require_closed_form()
        return typeset(self._equations())

    def fixed_points(self) -> list[FixedPoint]:
        """All known fixed points; a line of them as one representative whose note says so.

        Where no others are listed, those that Newton's method finds from the origin and 32 starts
        with couplings between -2 and 2, nearest first. It finds none at infinity, and of a line at
        most a few points.

        Raises:
            ValueError: where the flow is defined at none of the starts.
        """
        found, errors = [], []
        for start in _newton.starts(len(self._names)):
            try:
                theta = _newton.root(self._motion, self._motion_slopes, start)
            # a start, or a step of the search, may lie where the flow is not defined
            except ValueError as error:
                errors.append(error)
                continue
            known = theta is None or any(np.allclose(theta, t, 1e-6, 1e-8) for t in found)
            if theta is not None and not known and self._stays(self._by_name(theta)):
                found.append(theta)
        if len(errors) > _newton.N_STARTS:
            raise errors[0]
        found.sort(key=lambda theta: np.linalg.norm(theta))
        note = "found by Newton's method from couplings between -2 and 2; there may be others"
        return [FixedPoint(self._by_name(theta), note) for theta in found]

    def scaling_dimensions(self, fixed_point: Values) -> list[Any]:
        r"""The scaling dimensions at a fixed point, largest real part first.

        For a map with eigenvalues :math:`\lambda` they are :math:`\ln|\lambda| / \ln b`, and `-inf`
        where an eigenvalue vanishes, a direction that is super-attractive. For a flow they are the
        eigenvalues of :math:`\partial\beta/\partial\theta`.

        Arguments:
            fixed_point: couplings by name, `inf` where one diverges.

        Returns:
            Python floats, and complex numbers where those of a flow come in conjugate pairs.

        Raises:
            ValueError: where the couplings are not a fixed point, or are unknown or missing.
            TypeError: where they are no mapping of names to real numbers.
        """
        point = _couplings.point(self._names, fixed_point, "fixed_point")
        if not (any(point == known for known in self.fixed_points()) or self._stays(point)):
            raise ValueError(
                f"fixed_point {point} is not one: take it from `.fixed_points()`, or near it."
            )
        eigenvalues = np.linalg.eigvals(self.linearization(point)).tolist()
        dimensions = [self._dimension(value) for value in eigenvalues]
        dimensions.sort(key=lambda value: (-value.real, -value.imag))
        return [value if value.imag else value.real for value in dimensions]

    @abc.abstractmethod
    def linearization(self, values: Values) -> Float[np.ndarray, "k k"]:
        """The matrix of the derivatives of the flow, row by row, at couplings by name.

        A subclass may give it in closed form, and at couplings that are infinite in coordinates
        that are regular there.
        """

    @abc.abstractmethod
    def _motion(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """How the flow moves a point: zero where it is fixed."""

    @abc.abstractmethod
    def _motion_slopes(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k k"]:
        """The derivatives of the motion."""

    @abc.abstractmethod
    def _stays(self, point: dict[str, float]) -> bool:
        """Whether a point is fixed, to rounding."""

    @abc.abstractmethod
    def _dimension(self, eigenvalue: complex) -> complex:
        """The scaling dimension of an eigenvalue of the linearization."""

    @abc.abstractmethod
    def _equations(self) -> dict[str, Any]:
        """Right-hand sides by left-hand sides in LaTeX."""

    def __getstate__(self) -> dict[str, Any]:
        """What the renormalization was made of, without what it has derived since."""
        return {name: value for name, value in vars(self).items() if not self._is_derived(name)}

    def _is_derived(self, name: str) -> bool:
        return isinstance(getattr(type(self), name, None), functools.cached_property)

    @property
    def _names(self) -> tuple[str, ...]:
        return _couplings.checked_names(type(self).__name__, getattr(self, "names", None))

    def _by_name(self, theta: Any) -> dict[str, float]:
        return dict(zip(self._names, map(float, theta), strict=True))

    def _vector(self, values: Any, argument: str = "values") -> Float[np.ndarray, " k"]:
        return _couplings.vector(self._names, values, argument)

    def _require_closed_form(self) -> None:
        if not self.expressions:
            raise ValueError(
                f"{type(self).__name__} has no closed form: give it a method `derive` that returns "
                "SymPy expressions by name."
            )

    @functools.cached_property
    def _compiled(self) -> dict[str, Callable]:
        """The expressions as functions of Python floats and of JAX arrays, and their slopes."""
        self._require_closed_form()
        equations = list(self.expressions.values())
        foreign = set().union(*(sp.sympify(e).free_symbols for e in equations)) - set(
            self.couplings
        )
        if foreign:
            raise ValueError(
                f"{type(self).__name__}.derive contains {', '.join(sorted(map(str, foreign)))}, "
                "which is none of the symbols in self.couplings: build the expressions of these."
            )
        compiled = functools.partial(sp.lambdify, self.couplings, cse=True)
        slopes = [
            [sp.diff(equation, coupling) for coupling in self.couplings] for equation in equations
        ]
        return {
            "floats": compiled(equations, modules="math"),
            "arrays": compiled(equations, modules="jax"),
            "slopes": compiled(slopes, modules="math"),
        }


def typeset(equations: Mapping[str, Any]) -> str:
    """LaTeX with one aligned line for each left-hand side (LaTeX) and right-hand side (SymPy)."""
    style = {"ln_notation": True, "long_frac_ratio": 8}
    lines = (f"{left} &= {sp.latex(right, **style)}" for left, right in equations.items())
    return r"\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}"
