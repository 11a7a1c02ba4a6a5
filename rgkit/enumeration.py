"""Sums over all configurations of a chain, streamed in chunks of rows: value and gradient in bounded memory."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp

from rgkit.systems.spin_samplers import spins_of

ROWS_AT_ONCE = 2**15


class Enumeration(eqx.Module):
    """All ``2**N`` configurations, made from their row numbers when they are needed.

    Row i, site j is +1 if bit j of i is 0, else -1, as in `rgkit.IsingChain.configurations`.

    Arguments:
        n_sites: the number of sites N, at most 32.
        rows_at_once: rows of a chunk in `sum_over_rows`, a power of two.
    """

    n_sites: int = eqx.field(static=True)
    rows_at_once: int = eqx.field(static=True, default=ROWS_AT_ONCE)

    @property
    def shape(self) -> tuple[int, int]:
        return 2**self.n_sites, self.n_sites

    def rows(self, start, count: int):
        """Rows ``start, ..., start + count - 1``, ``(count, N)`` int8."""
        index = start + jnp.arange(count, dtype=jnp.uint32)
        return spins_of(index, self.n_sites)


def sum_over_rows(function, x, weights):
    """``function(x, weights)``, a sum over rows, of which an `Enumeration` is streamed.

    Chunks are computed anew for the gradient, so that what is kept is one chunk and not all of them. The
    result is that of all rows at once up to the rounding of the sums.

    Arguments:
        function: of configurations ``(rows, N)`` and weights ``(rows,)`` to a pytree of sums over the rows.
        x: configurations ``(rows, N)``, or an `Enumeration`.
        weights: ``(rows,)``.
    """
    if not isinstance(x, Enumeration):
        return function(x, weights)
    rows = min(x.rows_at_once, len(weights))

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def chunk(start, chunk_weights):
        return function(x.rows(start, rows), chunk_weights)

    def add(total, part):
        return jax.tree.map(jnp.add, total, chunk(*part)), None

    parts = jnp.arange(0, len(weights), rows, dtype=jnp.uint32), weights.reshape(-1, rows)
    shapes = jax.eval_shape(chunk, parts[0][0], parts[1][0])
    return jax.lax.scan(
        add, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes), parts
    )[0]
