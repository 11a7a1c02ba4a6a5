"""Exact samplers of spins as arrays, for use inside compiled training.

A spin is drawn by comparing a random number of 64 bits with a probability of 64 bits, so that also
an event of probability 1e-12 comes with its rate. The first 32 bits nearly always decide; the other
32 are drawn only where they are equal.

Chains of one length share the programs of their samplers.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int8, PRNGKeyArray, UInt32

from rgkit.enumeration import WORD_BITS, spins_of

TABULATED_SITES = 12


def coin(
    key: PRNGKeyArray, up: Float[Array, "..."], down: Float[Array, "..."]
) -> Bool[Array, "..."]:
    r"""Independent coins, true with probability ``up``, also where that is close to 0 or to 1.

    It decides as ``jax.random.uniform(key, up.shape, jnp.float32) < up`` does, up to an event of
    probability about :math:`2^{-23}`. That comparison knows no probabilities between multiples of
    :math:`2^{-23}`; this one has the smaller of the two to :math:`2^{-64}` and to its own rounding.

    Arguments:
        key: a typed JAX key.
        up, down: probabilities that sum to 1, each accurate on its own: of log-odds x,
            ``jax.nn.sigmoid(x)`` and ``jax.nn.sigmoid(-x)``, and not 1 less the other.
    """
    high, low = probability_words(up, down)
    first = jax.random.bits(key, high.shape, jnp.uint32)

    def decide(second: Any) -> tuple[Any, Any]:
        return is_below(first, second, high, low), jnp.any(first == high)

    def draw(number: Any) -> UInt32[Array, "..."]:
        return jax.random.bits(jax.random.fold_in(key, number), high.shape, jnp.uint32)

    return _decided(decide, draw)


def probability_words(up: Any, down: Any) -> UInt32[Array | np.ndarray, "2 ..."]:
    """A probability in units of ``2**-64`` as two words, the high one first, ``(2, ...)`` uint32.

    Arguments:
        up, down: the probability and its complement, ``(...)``; the smaller one determines the
            words. NumPy gives NumPy, JAX gives JAX.
    """
    xp: Any = np if isinstance(up, np.ndarray | np.generic) else jnp
    rare = xp.minimum(up, down)
    rare = rare.astype(xp.promote_types(rare.dtype, xp.float32))
    scaled = rare * 2.0**WORD_BITS
    high = xp.floor(scaled)
    # all exact: a scaled float, its whole part, and the digits after it
    words = xp.stack([high, xp.floor((scaled - high) * 2.0**WORD_BITS)]).astype(xp.uint32)
    return xp.where((up <= down)[None], words, ~words)


def is_below(
    first: Any, second: Any, high: Any, low: Any
) -> Bool[Array | np.ndarray | np.bool_, "..."]:
    """Whether the number of 64 bits (first, second) is below the number (high, low).

    Without a second word (None) a tie of the first is not below.
    """
    below = first < high
    return below if second is None else below | ((first == high) & (second < low))


def _decided(decide: Callable[[Any], tuple[Any, Any]], draw: Callable[[Any], Any]) -> Any:
    """What ``decide`` makes of first words, or where it reports a tie, of second words too.

    Arguments:
        decide: from second words, or None, to a result and whether there was a tie.
        draw: draws the second words, from the number that is folded into their keys.
    """

    def again(state: Any) -> tuple[Any, Any, Any]:
        # the number is part of the state, or the compiler would draw the words before the loop
        return decide(draw(state[2]))[0], jnp.array(False), state[2] + 1

    # a loop of at most one round: where it is vectorised it still ends at once without ties, while
    # both branches of a condition would be computed
    start = (*decide(None), jnp.uint32(1))
    return jax.lax.while_loop(lambda state: state[1], again, start)[0]


def _spin_by_spin(key: PRNGKeyArray, n_samples: int, walk: Callable, n_sites: int) -> Any:
    """What a walk over the sites makes of their words ``(N, n_samples)``; second ones for ties."""
    first_key, key = jax.random.split(key)
    keys = jnp.concatenate([first_key[None], jax.random.split(key, n_sites - 1)])

    def words(site_keys: Any) -> UInt32[Array, "N n_samples"]:
        return jax.vmap(lambda k: jax.random.bits(k, (n_samples,), jnp.uint32))(site_keys)

    first = words(keys)
    return _decided(
        lambda second: walk(first, second),
        lambda number: words(jax.vmap(lambda k: jax.random.fold_in(k, number))(keys)),
    )


class MarkovSampler(eqx.Module):
    """Draws chains spin by spin, each given the one before and the first; index 1 means spin -1.

    Arguments:
        first: the words of P(s_0 = +1), ``(2,)``, as of `probability_words`.
        following: those of P(s_{i+1} = +1 | s_0, s_i), ``(N-1, 2, 2, 2)`` with axes (i, word, s_0,
            s_i).
    """

    first: UInt32[Array, "2"]
    following: UInt32[Array, "bonds 2 2 2"]

    @classmethod
    def of(
        cls, first: tuple[Any, Any], following: tuple[np.ndarray, np.ndarray]
    ) -> "MarkovSampler":
        """The sampler of the probabilities of +1 and -1, scalars and ``(N-1, 2, 2)``."""
        words = probability_words(*following).swapaxes(0, 1)
        return cls(jnp.asarray(probability_words(*map(np.asarray, first))), jnp.asarray(words))

    @functools.partial(jax.jit, static_argnames="n_samples")
    def sample(self, key: PRNGKeyArray, n_samples: int) -> Int8[Array, "n_samples N"]:
        """Independent samples, ``(n_samples, N)``."""
        down = _spin_by_spin(key, n_samples, self._walk, len(self.following) + 1)
        return 1 - 2 * down.T.astype(jnp.int8)

    def _walk(self, first: Any, second: Any) -> tuple[Any, Any]:
        """Which spins are down, ``(N, n_samples)``, and whether a first word was a tie."""

        def decide(words: Any, high: Any, low: Any) -> tuple[Any, Any]:
            return ~is_below(words[0], words[1], high, low), words[0] == high

        def step(carry: Any, inputs: Any) -> tuple[Any, Any]:
            (current, tied), (words, levels) = carry, inputs

            def given(level: Any) -> Any:
                # selects, since a gather for every sample is slow
                return jnp.where(
                    start,
                    jnp.where(current, level[1, 1], level[1, 0]),
                    jnp.where(current, level[0, 1], level[0, 0]),
                )

            new, ties = decide(words, *map(given, levels))
            return (new, tied | ties), new

        words = first, second
        start, tied = decide(jax.tree.map(lambda word: word[0], words), *self.first)
        rest = jax.tree.map(lambda word: word[1:], words)
        (_, tied), down = jax.lax.scan(step, (start, tied), (rest, self.following))
        return jnp.concatenate([start[None], down]), tied.any()


class TreeSampler(eqx.Module):
    """Draws configurations spin by spin from all conditional probabilities of a law of N spins.

    Arguments:
        levels: the words of P(s_j = +1 | s_0 ... s_{j-1}), ``(2, 2**N)``, at the place
            ``2**j + i`` with i the row number of the spins before.
    """

    levels: UInt32[Array, "2 states"]

    @classmethod
    def of(cls, probabilities: Float[np.ndarray, " states"]) -> "TreeSampler":
        """The sampler of a law ``(2**N,)``, in the order of `rgkit.enumeration`."""
        mass, up, down = np.asarray(probabilities, float), [], []
        while len(mass) > 1:
            halves = mass.reshape(2, -1)
            mass = halves.sum(0)
            # where a state has no weight nothing leads there
            shares = np.divide(halves, mass, out=np.full_like(halves, 0.5), where=mass > 0)
            up.append(shares[0])
            down.append(shares[1])
        half = [np.array([0.5])]
        tables = (np.concatenate(half + table[::-1]) for table in (up, down))
        return cls(jnp.asarray(probability_words(*tables)))

    @functools.partial(jax.jit, static_argnames="n_samples")
    def sample(self, key: PRNGKeyArray, n_samples: int) -> Int8[Array, "n_samples N"]:
        """Independent samples, ``(n_samples, N)``."""
        n_sites = self.levels.shape[1].bit_length() - 1
        rows = _spin_by_spin(key, n_samples, self._walk, n_sites)
        return spins_of(rows, n_sites)

    def _walk(self, first: Any, second: Any) -> tuple[Any, Any]:
        """The row numbers drawn, ``(n_samples,)``, and whether a first word was a tie."""

        def step(carry: Any, inputs: Any) -> tuple[Any, None]:
            (rows, tied), (place, *words) = carry, inputs
            high, low = self.levels[:, place + rows]
            down = ~is_below(words[0], words[1], high, low)
            return (rows + place * down, tied | (words[0] == high)), None

        places = 2 ** jnp.arange(len(first), dtype=jnp.uint32)
        start = jnp.zeros(first.shape[1], jnp.uint32), jnp.zeros(first.shape[1], bool)
        (rows, tied), _ = jax.lax.scan(step, start, (places, first, second))
        return rows, tied.any()


class AliasSampler(eqx.Module):
    """Draws configurations from a table of all ``2**N`` by Walker's alias method.

    The first N bits of a random word choose a column; the rest, below its threshold, keep it, else
    its alias is taken. Where the rest equals the threshold a second word goes on.

    Arguments:
        thresholds: ``(2**N,)`` uint32, in units of ``2**(N-32)``, rounded down.
        remainders: what the rounding left, ``(2**N,)`` uint32, in units of ``2**(N-64)``.
        aliases: ``(2**N,)`` uint32, row numbers.

    Reference: A. J. Walker, ACM Trans. Math. Softw. 3, 253 (1977), doi:10.1145/355744.355749.
    """

    thresholds: UInt32[Array, " states"]
    remainders: UInt32[Array, " states"]
    aliases: UInt32[Array, " states"]

    @classmethod
    def of(cls, probabilities: Float[np.ndarray, " states"]) -> "AliasSampler":
        """The sampler of a law ``(2**N,)``, in the order of `rgkit.enumeration`."""
        share, aliases = _alias_table(np.asarray(probabilities, float))
        scaled = np.minimum(share, 1.0) * (2**WORD_BITS // len(share))
        thresholds = np.floor(scaled)
        remainders = np.floor((scaled - thresholds) * 2.0**WORD_BITS)
        return cls(*(jnp.asarray(a, jnp.uint32) for a in (thresholds, remainders, aliases)))

    def sample(self, key: PRNGKeyArray, n_samples: int) -> Int8[Array, "n_samples N"]:
        """Independent samples, ``(n_samples, N)``."""
        n_sites = len(self.thresholds).bit_length() - 1
        word = jax.random.bits(key, (n_samples,), jnp.uint32)
        column, rest = word >> (WORD_BITS - n_sites), word & (2 ** (WORD_BITS - n_sites) - 1)
        high, low = self.thresholds[column], self.remainders[column]

        def decide(second: Any) -> tuple[Any, Any]:
            return is_below(rest, second, high, low), jnp.any(rest == high)

        def draw(number: Any) -> UInt32[Array, " n_samples"]:
            return jax.random.bits(jax.random.fold_in(key, number), (n_samples,), jnp.uint32)

        kept = _decided(decide, draw)
        return spins_of(jnp.where(kept, column, self.aliases[column]), n_sites)


def _alias_table(probabilities: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Of columns of equal weight, the share that each keeps, and where the rest of it goes."""
    share, aliases = (probabilities * len(probabilities)).tolist(), list(range(len(probabilities)))
    short = [i for i, value in enumerate(share) if value < 1]
    long = [i for i, value in enumerate(share) if value >= 1]
    while short and long:
        i, j = short.pop(), long[-1]
        aliases[i] = j
        share[j] -= 1 - share[i]
        if share[j] < 1:
            short.append(long.pop())
    return np.array(share), aliases
