"""What all renormalizations share: couplings, derived expressions, flow, fixed points, scaling dimensions."""

import abc
import functools
import math

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
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
            raise ValueError(
                f"unknown coupling {unknown[0]!r}: this renormalization has {', '.join(self.names)}."
            )
        missing = [name for name in self.names if name not in values and name != "h"]
        if missing:
            raise ValueError(f"coupling {missing[0]!r} is missing: give a value for it.")
        return {name: values.get(name, 0.0) for name in self.names}

    def _vector(self, values) -> np.ndarray:
        complete = self._complete(values)
        mend = "fixed points at infinity are in `.fixed_points()`"
        return np.array([check.real(f"coupling {key}", v, mend) for key, v in complete.items()])


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


class RGFlow(Renormalization):
    r"""A continuous renormalization :math:`d\theta/d\ell = \beta(\theta)` towards the infrared.

    :math:`\ell` is the logarithm of the scale: at :math:`\ell` one looks from :math:`e^\ell` times as far. A
    relevant coupling grows. A subclass derives ``expressions``; one with a faster way to the numbers gives
    it in ``_beta`` and ``_jacobian``.
    """

    def beta(self, values) -> dict:
        r"""Return :math:`\beta(\theta)` by name, computed in float64, as Python floats.

        ``values``: dimensionless couplings by name. Raises ``ValueError`` for an unknown or missing name, a
        value that is not finite or a point where the flow is not defined, ``TypeError`` for a value that is
        not a real number.
        """
        return dict(
            zip(self.names, map(float, self._beta(self._start(values).tolist())), strict=True)
        )

    def flow(
        self, start, log_scale: float, *, n_points: int = 101, largest: float = 1e6
    ) -> pd.DataFrame:
        r"""Integrate the flow from ``start`` over :math:`\ell` = 0 to ``log_scale`` (below 0: to the ultraviolet).

        Returns a table with the columns log_scale, scale (:math:`e^\ell`) and the couplings at ``n_points``
        equal steps. Where a coupling passes ``largest`` in size, or the flow runs into a singularity of
        :math:`\beta`, the table ends there, and ``table.attrs["stopped"]`` says in a sentence where and why; it
        is None for a flow that was integrated to its end. Raises as `beta` does.

        Method: Tsitouras 5(4) in float64, relative tolerance 1e-10 (P. Kidger, arXiv:2202.02435, diffrax).
        """
        theta, end = self._start(start), check.real("log_scale", log_scale)
        times = np.linspace(0.0, end, check.positive_integer("n_points", n_points, minimum=2))
        with jax.enable_x64(True):
            solution = _integrate(
                self._vector_field, self._overrun, theta / self._unit, jnp.asarray(times), largest
            )
            reached, states = np.asarray(solution.ts), np.asarray(solution.ys) * self._unit
            ended = bool(solution.result == diffrax.RESULTS.successful)
        filled = np.isfinite(reached)
        return self._table(reached[filled], states[filled], ended, largest)

    def scaling_dimensions(self, fixed_point) -> list:
        r"""Return the eigenvalues of :math:`\partial\beta/\partial\theta` at ``fixed_point``, largest real part first.

        They are Python floats, and complex numbers where they come in conjugate pairs. ``fixed_point``:
        couplings by name. Raises ``ValueError`` where the couplings are not a fixed point.
        """
        eigenvalues = np.linalg.eigvals(
            self._linearization(self._require_fixed(fixed_point))
        ).tolist()
        ordered = sorted(eigenvalues, key=lambda value: (-value.real, -value.imag))
        return [value if value.imag else value.real for value in ordered]

    def latex(self) -> str:
        """Return the flow equations as LaTeX, one aligned line for each coupling."""
        return typeset(self._equations())

    def _equations(self) -> dict:
        left = (rf"\frac{{d {sp.latex(symbol)}}}{{d\ell}}" for symbol in self.couplings)
        return dict(zip(left, self.expressions.values(), strict=True))

    def _beta(self, theta):
        """Return beta from the couplings as a sequence of numbers; only arithmetic, so that JAX can trace it."""
        return self._compiled[0](*theta)

    def _jacobian(self, theta):
        """Return the matrix, shape ``(k, k)``, of the derivatives of beta."""
        return np.array(self._compiled[1](*theta), dtype=float)

    @property
    def _unit(self):
        """The natural size of each coupling, shape ``(k,)``, in which `flow` measures them."""
        return np.ones(len(self.couplings))

    @functools.cached_property
    def _compiled(self):
        equations = sp.Matrix(list(self.expressions.values()))
        both = list(equations), equations.jacobian(self.couplings).tolist()
        return [
            sp.lambdify(self.couplings, expression, modules="math", cse=True) for expression in both
        ]

    @functools.cached_property
    def _vector_field(self):
        # one function object for each flow, so that the compiled integration is found again
        unit = self._unit
        return lambda _, scaled, __: (
            jnp.stack([jnp.asarray(b) for b in self._beta(list(scaled * unit))]) / unit
        )

    @functools.cached_property
    def _overrun(self):
        def left(_, scaled, largest, **__):
            inside = [number > 0 for number in self._domain(list(scaled * self._unit)).values()]
            return ~jnp.all(jnp.stack([jnp.all(jnp.abs(scaled) < largest), *inside]))

        return left

    def _start(self, values) -> np.ndarray:
        theta = self._vector(values)
        left = [
            sentence for sentence, number in self._domain(theta.tolist()).items() if not number > 0
        ]
        if left:
            raise ValueError(f"the flow is not defined at {dict(values)}: {left[0]}.")
        return theta

    def _domain(self, theta) -> dict:
        """Return numbers that must stay positive, each by the sentence that says what it means if one does not."""
        return {}

    def _reason(self, last, largest):
        crossed = [
            sentence for sentence, number in self._domain(last.tolist()).items() if not number > 0
        ]
        sizes = np.abs(last / self._unit)
        if not crossed and sizes.max() >= largest:
            crossed = [f"coupling {self.names[sizes.argmax()]} has passed {largest:g} in size"]
        return crossed[0] if crossed else "the step size has vanished at a singularity of beta"

    def _table(self, reached, states, ended, largest):
        # the last state is the end of the integration: a repetition, unless the flow was stopped inside the domain
        keep = np.array(
            [
                all(number > 0 for number in self._domain(state).values())
                for state in states.tolist()
            ]
        )
        keep[-1] &= not ended
        table = pd.DataFrame(states[keep], columns=list(self.names))
        table.insert(0, "log_scale", reached[keep])
        table.insert(1, "scale", np.exp(reached[keep]))
        reason = f"stopped after log_scale = {reached[keep][-1]:.6g}: {self._reason(states[-1], largest)}."
        table.attrs["stopped"] = None if ended else reason
        return table

    def _linearization(self, point: dict) -> np.ndarray:
        return self._jacobian(list(point.values()))

    def _require_fixed(self, values) -> dict:
        point = self._complete(values)
        if not (any(point == known for known in self.fixed_points()) or self._stays(point)):
            raise ValueError(f"fixed_point {point} is not one: take it from `.fixed_points()`.")
        return point

    def _stays(self, point: dict) -> bool:
        theta = np.array(list(point.values()), dtype=float)
        if not (
            np.isfinite(theta).all()
            and all(number > 0 for number in self._domain(theta.tolist()).values())
        ):
            return False
        # how far Newton's method would move it: beta itself is small wherever the flow is slow
        moved = np.linalg.lstsq(
            self._jacobian(theta.tolist()), np.array(self._beta(theta.tolist()), dtype=float)
        )[0]
        return bool(np.all(np.abs(moved) <= 1e-10 * (self._unit + np.abs(theta))))


@eqx.filter_jit
def _integrate(field, overrun, start, times, largest):
    return diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Tsit5(),
        t0=times[0],
        t1=times[-1],
        dt0=None,
        y0=start,
        args=largest,
        saveat=diffrax.SaveAt(ts=times, t1=True),
        stepsize_controller=diffrax.PIDController(rtol=1e-10, atol=1e-12),
        event=diffrax.Event(overrun),
        max_steps=20_000,
        throw=False,
    )


def typeset(equations: dict) -> str:
    """Return LaTeX with one aligned line for each left-hand side (LaTeX) and right-hand side (SymPy)."""
    style = {"ln_notation": True, "long_frac_ratio": 8}
    lines = (f"{left} &= {sp.latex(right, **style)}" for left, right in equations.items())
    return r"\begin{aligned}" + r" \\ ".join(lines) + r"\end{aligned}"
