"""What all renormalizations share: couplings, derived expressions, flow, fixed points, scaling dimensions."""

import abc
import math

import numpy as np
import pandas as pd
import sympy as sp

from rgkit import _validation as check


class FixedPoint(dict):
    """A fixed point: couplings by name, `inf` where one diverges, and a ``note`` that says what it is."""

    def __init__(self, values, note):
        super().__init__(values)
        self.note = note


class Renormalization(abc.ABC):
    """A flow of dimensionless couplings.

    Attributes: ``couplings``, the SymPy symbols in order; ``expressions``, for each coupling by name the
    derived right-hand side of its flow.
    """

    couplings: tuple
    expressions: dict

    @abc.abstractmethod
    def latex(self) -> str:
        """Return the flow equations as LaTeX."""

    @abc.abstractmethod
    def fixed_points(self) -> list:
        """Return every known `FixedPoint`; a line of them as one representative whose note says so."""

    @abc.abstractmethod
    def scaling_dimensions(self, fixed_point) -> list:
        """Return the scaling dimensions at ``fixed_point``, largest first."""

    @property
    def names(self) -> tuple:
        """The names of the couplings, in order."""
        return tuple(symbol.name for symbol in self.couplings)

    def _complete(self, values) -> dict:
        """Return ``values`` in order with a missing field ``h`` as 0; refuse unknown and missing names."""
        unknown = [name for name in values if name not in self.names]
        if unknown:
            raise ValueError(f"unknown coupling {unknown[0]!r}: this renormalization has {', '.join(self.names)}.")
        missing = [name for name in self.names if name not in values and name != "h"]
        if missing:
            raise ValueError(f"coupling {missing[0]!r} is missing: give a value for it.")
        return {name: values.get(name, 0.0) for name in self.names}

    def _vector(self, values) -> np.ndarray:
        complete = self._complete(values)
        return np.array([check.real(f"coupling {name}", value) for name, value in complete.items()])


class RGMap(Renormalization):
    r"""A renormalization by steps :math:`\theta' = R_b(\theta)` with scale factor :math:`b > 1`.

    A subclass derives ``expressions`` and gives the same map as numbers in ``_map(theta)``, ``(k,) -> (k,)``.
    """

    scale_factor: float

    @abc.abstractmethod
    def _map(self, theta: np.ndarray) -> np.ndarray:
        """Apply the map to the vector of couplings, shape ``(k,)``, in a form that does not overflow."""

    def step(self, values) -> dict:
        """Return the couplings after one step, computed in float64, as Python floats.

        ``values``: dimensionless couplings by name; a missing ``h`` is 0. Raises ``ValueError`` for an
        unknown or missing name or a value that is not finite, ``TypeError`` for one that is not a real
        number.
        """
        return dict(zip(self.names, map(float, self._map(self._vector(values))), strict=True))

    def flow(self, start, n_steps: int) -> pd.DataFrame:
        """Return the couplings after 0 to ``n_steps`` steps: columns step, scale (``b**step``), couplings.

        ``start``: dimensionless couplings by name; a missing ``h`` is 0. Raises as `step` does.
        """
        trajectory = [self._vector(start)]
        for _ in range(check.positive_integer("n_steps", n_steps, minimum=0)):
            trajectory.append(self._map(trajectory[-1]))
        table = pd.DataFrame(np.array(trajectory), columns=list(self.names))
        steps = np.arange(len(table))
        table.insert(0, "step", steps)
        table.insert(1, "scale", float(self.scale_factor) ** steps)
        return table

    def scaling_dimensions(self, fixed_point) -> list:
        r"""Return :math:`y_i = \ln|\lambda_i| / \ln b`, largest first, of the eigenvalues at ``fixed_point``.

        ``fixed_point``: couplings by name, `inf` where one diverges. A vanishing eigenvalue, a direction that
        is super-attractive, gives `-inf`. Raises ``ValueError`` where the couplings are not a fixed point.
        """
        eigenvalues = np.linalg.eigvals(self._linearization(self._require_fixed(fixed_point)))
        return sorted((self._dimension(abs(value)) for value in eigenvalues), reverse=True)

    def latex(self) -> str:
        """Return the recursion as LaTeX, one aligned line for each coupling."""
        return typeset(self._equations())

    def _equations(self) -> dict:
        return {f"{sp.latex(symbol)}'": self.expressions[symbol.name] for symbol in self.couplings}

    @abc.abstractmethod
    def _linearization(self, point: dict) -> np.ndarray:
        """Return the matrix, shape ``(k, k)``, of the map linearized about ``point``."""

    def _dimension(self, eigenvalue: float) -> float:
        return math.log(eigenvalue) / math.log(self.scale_factor) if eigenvalue else -math.inf

    def _require_fixed(self, values) -> dict:
        point = self._complete(values)
        if not (any(point == known for known in self.fixed_points()) or self._stays(point)):
            raise ValueError(f"fixed_point {point} is not one: take it from `.fixed_points()`.")
        return point

    def _stays(self, point: dict) -> bool:
        theta = np.array(list(point.values()), dtype=float)
        if not np.isfinite(theta).all():
            return False
        return np.allclose(self._map(theta), theta, rtol=1e-12, atol=1e-14)


def typeset(equations: dict) -> str:
    """Return LaTeX with one aligned line for each left-hand side (LaTeX) and right-hand side (SymPy)."""
    style = {"ln_notation": True, "long_frac_ratio": 8}
    lines = (f"{left} &= {sp.latex(right, **style)}" for left, right in equations.items())
    return r"\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}"
