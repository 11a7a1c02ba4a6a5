"""A network without weights: every configuration has activations of its own."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit import _validation as check
from rgkit.enumeration import check_enumerable, rows_of
from rgkit.kernels.channels import Channel, SpinChannel
from rgkit.kernels.network import Network


class TableNetwork(Network):
    """Activations by a table, ``a_j(x)``: any product kernel on spins is one.

    What an `FCNetwork` learns through its weights, this learns configuration by configuration. So
    it tells what is due to the weights from what is due to the objective.

    Arguments:
        table: activations ``(n, 2**N)``, columns in the order of `rgkit.IsingChain.configurations`.
        channel: a channel to spins; ``rgkit.SpinChannel()`` by default.

    Raises:
        ValueError: for a table of another shape, of numbers that are not finite, or of more sites
            than can be listed.
    """

    table: Float[Array, "n configurations"]
    channel: Channel

    def __init__(
        self,
        table: Float[Array | np.ndarray, "n configurations"],
        channel: Channel | None = None,
    ):
        columns = np.shape(table)[1] if np.ndim(table) == 2 else 0
        if columns < 2 or columns & (columns - 1):
            raise ValueError(
                "table must be activations of shape (n, 2**N), a column for each configuration, "
                f"got shape {np.shape(table)}: pass network.columns(system.configurations())."
            )
        check_enumerable(columns.bit_length() - 1)
        if not isinstance(table, Tracer) and not np.isfinite(np.asarray(table)).all():
            raise ValueError("table must be finite: pass activations, at most 1e3 or so in size.")
        self.table = jnp.asarray(table)
        self.channel = SpinChannel() if channel is None else channel

    @property
    def widths(self) -> tuple[int, ...]:
        """``(N, n)``."""
        return self.table.shape[1].bit_length() - 1, self.table.shape[0]

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the activations."""
        return self.table.dtype

    def __call__(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, " n"]:
        """Feature activations ``(n,)`` of one configuration ``(N,)``."""
        return self.table[:, rows_of(check.configurations("x", x))]

    def columns(self, x: Num[Array | np.ndarray, "M N"]) -> Float[Array, "n M"]:
        """Feature activations ``(n, M)`` of configurations ``(M, N)``, a column for each."""
        return self.table[:, rows_of(check.configurations("x", x))]

    def reinitialized(self, key: PRNGKeyArray) -> "TableNetwork":
        """A fresh start: independent standard normal activations."""
        return self._with(jax.random.normal(key, self.table.shape, self.table.dtype))

    def rescaled(self, scale: Float[Array, ""], shift: Float[Array, " n"]) -> "TableNetwork":
        """The network with activations ``scale * (f - shift)``."""
        return self._with(scale * (self.table - shift[:, None]))

    def _with(self, table):
        return eqx.tree_at(lambda network: network.table, self, table)
