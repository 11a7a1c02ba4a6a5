"""The natural gradient flow of information over all product kernels: training without a network."""

from collections.abc import Sequence
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rgkit import _validation
from rgkit.enumeration import spin_configurations
from rgkit.kernels.base import over_outcomes, product_law
from rgkit.kernels.network import Network
from rgkit.kernels.table_network import TableNetwork
from rgkit.systems.base import Enumerable, enumerable, full_law

MOST_STEPS = 2**14


def natural_flow(
    start: Network, system: Enumerable, times: Sequence[float] | np.ndarray
) -> tuple[TableNetwork, ...]:
    r"""Follow steepest ascent of :math:`I(x;y)` in Fisher's metric, from the kernel of a network.

    .. math:: \dot a_j(x) = a_j(x) - h_j(x)

    for every configuration x and feature j by itself, where :math:`h_j(x)` is half of the mean,
    given x, of :math:`\ln q(y)` at :math:`y_j = +1` less that at :math:`y_j = -1`, for the law q
    that all configurations make together.
    A decided activation grows as :math:`e^t`, so that a time of 10 is long.

    Arguments:
        start: a network with a soft channel to spins; what its weights can represent plays no
            part after the start.
        system: spins that list all their ``2**N`` configurations.
        times: when to look, not negative and increasing (dimensionless).

    Returns:
        A `TableNetwork` of local fields for each time.

    Raises:
        TypeError, ValueError: naming the argument.
        RuntimeError: where the integration fails, for times of 60 and more for example.

    Reference: S. Amari, Neural Comput. 10, 251 (1998), doi:10.1162/089976698300017746; P. Kidger,
    arXiv:2202.02435 (diffrax).
    """
    times = [_validation.real(f"times[{i}]", time) for i, time in enumerate(times)]
    if not times or times[0] < 0 or np.any(np.diff(times) <= 0):
        raise ValueError(
            f"times must be increasing and not negative, got {times}: pass [0.0, 1.0, 8.0], say."
        )
    channel = start.spin_channel("the natural flow")
    if not channel.differentiable:
        raise TypeError(
            f"start must have soft features, got {channel!r}: the flow moves their local fields, "
            "and those of hard features are infinite. Pass the network before .hard()."
        )
    weights = jnp.asarray(full_law(enumerable(system, "the natural flow")), start.dtype)
    start.n_features(system.n_sites)
    rows = jnp.asarray(spin_configurations(system.n_sites))
    table = channel.local_field(start.columns(rows))
    saved = np.asarray(times, table.dtype)
    tables, ended = _integrated(table, weights, jnp.asarray(saved))
    if not bool(ended):
        raise RuntimeError(
            f"the flow could not be followed to time {times[-1]}: activations grow as e**t. Pass "
            "shorter times."
        )
    return tuple(TableNetwork(table) for table in tables)


def fields(
    activations: Float[Array, "n rows"], weights: Float[Array, " rows"]
) -> Float[Array, "n rows"]:
    """What each feature is pulled away from, ``h_j(x)``, ``(n, rows)``."""
    law = product_law(jnp.tanh(activations), weights)
    log_law = jnp.log(jnp.maximum(law, jnp.finfo(law.dtype).tiny))

    def mean_log(means):
        # linear in every mean, so that its slope is half the difference of the two outcomes
        outcomes = over_outcomes(jnp.multiply, (1 + means) / 2, (1 - means) / 2)
        return jnp.sum(log_law @ outcomes)

    return jax.grad(mean_log)(jnp.tanh(activations))


@eqx.filter_jit
def _integrated(table, weights, times) -> tuple[Any, Any]:
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(
            lambda time, activations, weights: activations - fields(activations, weights)
        ),
        diffrax.Tsit5(),
        t0=jnp.zeros((), table.dtype),
        t1=times[-1],
        dt0=None,
        y0=table,
        args=weights,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=1e-4, atol=1e-4),
        max_steps=MOST_STEPS,
        throw=False,
    )
    return solution.ys, solution.result == diffrax.RESULTS.successful
