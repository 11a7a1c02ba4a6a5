"""One convention of bits, and sums over all configurations, streamed in bounded memory.

Row i of all ``2**N`` configurations has spin j equal to +1 if bit j of i is 0, else -1. Outcomes of
features are numbered in the same way, and bit j of a subset's number says whether j is in it.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Int8, Integer, Num, UInt32

from rgkit import _validation

ROWS_AT_ONCE = 2**15
ENUMERABLE_SITES, ENUMERABLE_ON_ACCELERATORS = 24, 28
WORD_BITS = 32


def spins_of(rows: Integer[ArrayLike, "..."], n_sites: int) -> Int8[Array, "... N"]:
    """Spins ``(..., N)`` int8 of row numbers ``(...)``, in JAX: spin j is +1 if bit j is 0."""
    index = jnp.asarray(rows)[..., None]
    sites = jnp.arange(n_sites, dtype=index.dtype).reshape((1,) * (index.ndim - 1) + (n_sites,))
    return 1 - 2 * (index >> sites & 1).astype(jnp.int8)


def spin_configurations(n_sites: int, rows: slice = slice(None)) -> Int8[np.ndarray, "rows N"]:
    """Spin configurations, ``(rows, N)`` int8 in NumPy, all of them unless ``rows`` says which."""
    index = np.arange(*rows.indices(2**n_sites))
    spins = np.empty((len(index), n_sites), np.int8)
    # column by column, so that what is held besides the answer is one row number for each row
    for site in range(n_sites):
        spins[:, site] = 1 - 2 * (index >> site & 1)
    return spins


def rows_of(x: Num[Array | np.ndarray, "... N"]) -> UInt32[Array | np.ndarray, "..."]:
    """Row numbers ``(...)`` uint32 of spins ``(..., N)``, N at most 32, in NumPy or JAX."""
    if x.shape[-1] > WORD_BITS:
        raise ValueError(
            f"x must have at most {WORD_BITS} spins in its last axis, got {x.shape[-1]}: "
            "use `words_of` for longer ones."
        )
    return words_of(x)[..., 0]


def words_of(
    x: Num[Array | np.ndarray, "... N"],
) -> UInt32[Array | np.ndarray, "... words"]:
    """The bits of spins ``(..., N)`` of any number, 32 to a word, ``(..., ceil(N/32))`` uint32."""
    xp = np if isinstance(x, np.ndarray) else jnp
    rest = [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % WORD_BITS)]
    bits = xp.pad(x < 0, rest).reshape(*x.shape[:-1], -1, WORD_BITS).astype(xp.uint32)
    places = xp.arange(WORD_BITS, dtype=xp.uint32).reshape((1,) * x.ndim + (WORD_BITS,))
    return (bits << places).sum(-1, dtype=xp.uint32)


def subsets(n: int) -> list[tuple[int, ...]]:
    """The subsets of ``range(n)``, ``2**n`` tuples: bit j of the number of a subset is for j."""
    return [tuple(j for j in range(n) if index >> j & 1) for index in range(2**n)]


def check_enumerable(n_sites: int) -> int:
    """Return ``n_sites`` if the ``2**N`` configurations of so many spins can be listed.

    Raises:
        ValueError: above 24 sites, on an accelerator above 28, with the memory it would take.
    """
    on_cpu = jax.default_backend() == "cpu"
    most = ENUMERABLE_SITES if on_cpu else ENUMERABLE_ON_ACCELERATORS
    if _validation.positive_integer("n_sites", n_sites) > most:
        gibibytes = 2.0 ** (n_sites - 30) * (n_sites + 8)
        raise ValueError(
            f"n_sites = {n_sites} is too large to enumerate: its 2**{n_sites} configurations and "
            f"probabilities take {gibibytes:.3g} GiB. Use at most {most} sites, or samples: "
            "`.sample`, or n_samples and key in `pushforward`, or batch_size in `train`."
        )
    return int(n_sites)


class Enumeration(eqx.Module):
    """All ``2**N`` configurations, made from their row numbers when they are needed.

    Arguments:
        n_sites: the number of sites N, at most 32.
        rows_at_once: rows of a chunk in `sum_over_rows`, a power of two.
    """

    n_sites: int = eqx.field(static=True)
    rows_at_once: int = eqx.field(static=True, default=ROWS_AT_ONCE)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and sites, ``(2**N, N)``."""
        return 2**self.n_sites, self.n_sites

    def rows(self, start: Any, count: int) -> Int8[Array, "count N"]:
        """Rows ``start, ..., start + count - 1``, ``(count, N)`` int8."""
        return spins_of(start + jnp.arange(count, dtype=jnp.uint32), self.n_sites)


def sum_over_rows(function: Callable[[Any, Any], Any], x: Any, weights: Any) -> Any:
    """``function(x, weights)``, a sum over rows, of which an `Enumeration` is streamed.

    Chunks are computed anew for the gradient, so that what is kept is one chunk and not all of
    them. The result is that of all rows at once up to the rounding of the sums.

    Arguments:
        function: of configurations ``(rows, N)`` and weights ``(rows,)`` to a pytree of sums over
            the rows.
        x: configurations ``(rows, N)``, or an `Enumeration`.
        weights: ``(rows,)``.

    Returns:
        The pytree of sums.
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
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.scan(add, zeros, parts)[0]
