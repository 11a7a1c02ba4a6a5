"""The integration of a flow, which stops where the flow ends."""

from collections.abc import Callable, Sequence
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


class Integration(eqx.Module):
    """A flow ready for integration, its couplings measured in units of their natural size.

    Arguments:
        velocity: the couplings to their rates, ``(k,)`` to k numbers, in operations of JAX.
        domain: the couplings to numbers that must stay positive, by the sentence about each.
        unit: the natural size of each coupling.
    """

    velocity: Callable = eqx.field(static=True)
    domain: Callable = eqx.field(static=True)
    unit: tuple[float, ...] = eqx.field(static=True)

    def rate(self, time: Any, scaled: Float[Array, " k"], largest: Any) -> Float[Array, " k"]:
        """The rates in these units."""
        unit = jnp.asarray(self.unit)
        rates = self.velocity(scaled * unit)
        return jnp.stack([jnp.asarray(rate, float) for rate in rates]) / unit

    def has_left(
        self, time: Any, scaled: Float[Array, " k"], largest: Any, **_: Any
    ) -> Bool[Array, ""]:
        """Whether a coupling has run away or left the domain."""
        positive = self.domain(scaled * jnp.asarray(self.unit)).values()
        inside = [jnp.asarray(number) > 0 for number in positive]
        return ~jnp.all(jnp.stack([jnp.all(jnp.abs(scaled) < largest), *inside]))

    def states(
        self, start: Float[np.ndarray, " k"], times: Float[np.ndarray, " t"], largest: float
    ) -> tuple[Float[np.ndarray, " reached"], Float[np.ndarray, "reached k"], bool]:
        """The times that were reached, the couplings there, and whether it went to the end.

        After the states at ``times`` comes the last one, where the integration ended.

        Raises:
            TypeError: where the flow is not made of operations of JAX.
        """
        unit = np.array(self.unit)
        with jax.enable_x64(True):
            try:
                solution = _integrate(
                    self, jnp.asarray(start / unit), jnp.asarray(times), jnp.asarray(largest)
                )
            except jax.errors.JAXTypeError as error:
                raise TypeError(NOT_TRACED) from error
            reached, states = np.asarray(solution.ts), np.asarray(solution.ys) * unit
            ended = bool(solution.result == diffrax.RESULTS.successful)
        filled = np.isfinite(reached)
        return reached[filled], states[filled], ended


NOT_TRACED = (
    "velocity (and domain) must be made of arithmetic and functions of jax.numpy, without "
    "branches, so that JAX can integrate them: write jnp.sin for math.sin or np.sin, jnp.where "
    "for if; or give `derive` in their place."
)


def automatic_slopes(
    velocity: Callable[[Array], Sequence[Array]], theta: Float[np.ndarray, " k"]
) -> Float[np.ndarray, "k k"]:
    """The derivatives of the rates, ``(k, k)``, by automatic differentiation.

    Raises:
        TypeError: where the flow is not made of operations of JAX.
    """
    with jax.enable_x64(True):
        try:
            return np.asarray(_slopes(velocity, jnp.asarray(theta)))
        except jax.errors.JAXTypeError as error:
            raise TypeError(NOT_TRACED) from error


@eqx.filter_jit
def _slopes(velocity: Callable, theta: Float[Array, " k"]) -> Float[Array, "k k"]:
    return jax.jacfwd(lambda point: jnp.stack([jnp.asarray(r) for r in velocity(point)]))(theta)


@eqx.filter_jit
def _integrate(
    flow: Integration, start: Float[Array, " k"], times: Float[Array, " t"], largest: Array
) -> diffrax.Solution:
    return diffrax.diffeqsolve(
        diffrax.ODETerm(flow.rate),
        diffrax.Tsit5(),
        t0=times[0],
        t1=times[-1],
        dt0=None,
        y0=start,
        args=largest,
        saveat=diffrax.SaveAt(ts=times, t1=True),
        stepsize_controller=diffrax.PIDController(rtol=1e-10, atol=1e-12),
        event=diffrax.Event(flow.has_left),
        max_steps=20_000,
        throw=False,
    )
