"""Deterministic maps of spins: at random, or by their table."""

import abc
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Num, PRNGKeyArray

from rgkit import _validation
from rgkit.enumeration import rows_of, words_of
from rgkit.kernels.base import SpinKernel
from rgkit.systems.base import Values


class SpinMap(SpinKernel):
    """A deterministic map of spins: one outcome for each configuration.

    Arguments:
        n: the number of features.
    """

    n: eqx.AbstractVar[int]

    @abc.abstractmethod
    def outcome(self, x: Num[Array | np.ndarray, " N"]) -> Int[Array, ""]:
        """The number of the outcome of one configuration ``(N,)``."""

    def n_features(self, n_sites: int) -> int:
        """n, for any number of sites."""
        return self.n

    def output(self, values: Values) -> Values:
        """Spins of spins; fields are refused."""
        if values is Values.REALS:
            raise TypeError(
                f"{type(self).__name__} maps configurations of spins: fields have no row in its "
                "table. Use a network, or a kernel of your own that takes their signs."
            )
        return Values.SPINS

    def log_probability(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, " outcomes"]:
        """0 for the outcome of x, -inf for the others."""
        return jnp.where(jnp.arange(2**self.n) == self.outcome(x), 0.0, -jnp.inf)

    def push(
        self, x: Num[Array | np.ndarray, "rows N"], weights: Float[Array, " rows"]
    ) -> tuple[Float[Array, " outcomes"], Float[Array, ""]]:
        """As `SpinKernel.push`, by adding up the weights of each outcome."""
        law = jnp.zeros(2**self.n, weights.dtype).at[jax.vmap(self.outcome)(x)].add(weights)
        return law, jnp.zeros((), weights.dtype)


class RandomMap(SpinMap):
    """A map drawn uniformly from all maps to ``2**n`` outcomes: the control "any map at all"."""

    n: int = eqx.field(static=True)
    key: PRNGKeyArray

    def outcome(self, x: Num[Array | np.ndarray, " N"]) -> Int[Array, ""]:
        """A hash of the configuration under the key."""
        # by words of bits, so that the map needs no table
        hashed = functools.reduce(jax.random.fold_in, words_of(x), self.key)
        return jax.random.randint(hashed, (), 0, 2**self.n, jnp.int32)


class TableMap(SpinMap):
    """A map given by its table.

    Arguments:
        n: the number of features.
        table: ``(2**N,)`` outcomes, integers from 0 to ``2**n - 1``, in the order of
            `rgkit.IsingChain.configurations`.

    Raises:
        TypeError, ValueError: for a table that is not of integers in this range, or whose length
            is no power of two; where it is applied to another number of sites.
    """

    n: int = eqx.field(static=True)
    table: Int[Array, " rows"]

    def __check_init__(self):
        _validation.positive_integer("n", self.n)
        if getattr(self.table, "ndim", 0) != 1 or not jnp.issubdtype(self.table.dtype, jnp.integer):
            raise TypeError(
                f"table must be an array (2**N,) of integers, got {type(self.table).__name__} "
                f"of shape {np.shape(self.table)}: pass outcomes from 0 to {2**self.n - 1}."
            )
        if len(self.table) & (len(self.table) - 1) or not len(self.table):
            raise ValueError(
                f"table must have 2**N rows, one for each configuration, got {len(self.table)}."
            )
        if not isinstance(self.table, Tracer):
            outside = np.flatnonzero((self.table < 0) | (self.table >= 2**self.n))
            if len(outside):
                raise ValueError(
                    f"table must have outcomes from 0 to {2**self.n - 1} for n = {self.n}, row "
                    f"{outside[0]} has {self.table[outside[0]]}: mend the table, or raise n."
                )

    def n_features(self, n_sites: int) -> int:
        """n; ValueError where the table is one of another number of sites."""
        if len(self.table) != 2**n_sites:
            raise ValueError(
                f"table has {len(self.table)} rows, {n_sites} sites have {2**n_sites} "
                "configurations: pass a table of as many rows."
            )
        return self.n

    def outcome(self, x: Num[Array | np.ndarray, " N"]) -> Int[Array, ""]:
        """The entry of the table in the row of the configuration."""
        return self.table[rows_of(x)]


def random_map(n: int, key: PRNGKeyArray) -> RandomMap:
    """A uniformly random deterministic map to n feature spins, fixed by a typed JAX key.

    The image of a configuration is a hash of it under the key, so that the map needs no table.

    Arguments:
        n: the number of features.
        key: a typed JAX key, ``jax.random.key(0)``.

    Raises:
        TypeError, ValueError: naming the argument.
    """
    return RandomMap(_validation.positive_integer("n", n), _validation.key("key", key))
