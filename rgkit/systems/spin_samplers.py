"""Exact samplers of spins as arrays, for use inside compiled training: chains of one length share its programs."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from rgkit.enumeration import spins_of

WORD_BITS = 32


class MarkovSampler(eqx.Module):
    """Draws chains with P(s_0 = +1) = first and P(s_{i+1} = +1 | s_0, s_i) = following[i]; index 1 means spin -1.

    Arguments:
        first: a scalar.
        following: ``(N-1, 2, 2)`` with axes (i, s_0, s_i).
    """

    first: jax.Array
    following: jax.Array

    @functools.partial(jax.jit, static_argnames="n_samples")
    def sample(self, key, n_samples: int):
        """Independent samples, ``(n_samples, N)`` int8."""
        first_key, key = jax.random.split(key)
        keys = jax.random.split(key, len(self.following))
        uniform = jax.vmap(lambda site_key: jax.random.uniform(site_key, (n_samples,)))(keys)
        start = jax.random.uniform(first_key, (n_samples,)) >= self.first

        def step(current, inputs):
            u, up = inputs
            # selects, since a gather for every sample is slow
            new = u >= jnp.where(
                start,
                jnp.where(current, up[1, 1], up[1, 0]),
                jnp.where(current, up[0, 1], up[0, 0]),
            )
            return new, new

        _, rest = jax.lax.scan(step, start, (uniform, self.following))
        return 1 - 2 * jnp.concatenate([start[None], rest]).T.astype(jnp.int8)


class AliasSampler(eqx.Module):
    """Draws configurations from a table of all ``2**N`` by Walker's alias method, with one random word for each.

    The first N bits of the word choose a column; the rest, below its threshold, keep it, else its alias is taken.

    Arguments:
        thresholds: ``(2**N,)`` uint32, in units of ``2**(N-32)``.
        aliases: ``(2**N,)`` uint32, row numbers.

    Reference: A. J. Walker, ACM Trans. Math. Softw. 3, 253 (1977), doi:10.1145/355744.355749.
    """

    thresholds: jax.Array
    aliases: jax.Array

    @classmethod
    def of(cls, probabilities) -> "AliasSampler":
        """The sampler of a law ``(2**N,)``, rounded to multiples of ``2**-32``."""
        share, aliases = _alias_table(np.asarray(probabilities, float))
        below = 2**WORD_BITS // len(share)
        thresholds = np.minimum(np.rint(share * below), below - 1)
        return cls(jnp.asarray(thresholds, jnp.uint32), jnp.asarray(aliases, jnp.uint32))

    def sample(self, key, n_samples: int):
        """Independent samples, ``(n_samples, N)`` int8."""
        n_sites = len(self.thresholds).bit_length() - 1
        word = jax.random.bits(key, (n_samples,), jnp.uint32)
        column, rest = word >> (WORD_BITS - n_sites), word & (2 ** (WORD_BITS - n_sites) - 1)
        return spins_of(
            jnp.where(rest < self.thresholds[column], column, self.aliases[column]), n_sites
        )


def _alias_table(probabilities) -> tuple[np.ndarray, list[int]]:
    """For columns of equal weight, the share that each keeps for itself, and where the rest of it goes."""
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
