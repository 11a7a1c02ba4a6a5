"""Dyson's hierarchical model as data: fields on a tree's leaves, drawn exactly from the top."""

import functools
import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from rgkit import _validation as check
from rgkit.enumeration import check_enumerable, spin_configurations
from rgkit.systems.base import Values, checked_draw
from rgkit.systems.block_laws import (
    BlockLaw,
    block_laws,
    joined,
    sibling_weights,
    surroundings,
)
from rgkit.systems.measures import site_measure
from rgkit.systems.pair_law import LEAST_PROBABILITY, PairLaw

Numbers = ArrayLike | Sequence[float]
SPLIT_AT_ONCE = 2**20
# the sums of a window are drawn from lattices that are never thinned
LARGEST_WINDOW = 2**15
OFF_THE_LATTICE = 1e-6


class TreeSampler(eqx.Module):
    r"""Draws windows of a tree: the sum of all sites, then the sum of the left half of each block.

    Given the sum of a block, that of its left half has a weight which is a product of two free
    laws, :math:`P(S_1 \mid S) \propto w(S_1)\, w(S - S_1)`, since what is above sees S alone.

    Arguments:
        top: the distribution function of the sum of the window, ``(points,)``.
        log_weights: of the sums of blocks of each lower level, from the sites up.
        spacing: of the values of a site.
    """

    top: Float[Array, " points"]
    log_weights: tuple[Float[Array, " _points"], ...]
    spacing: Float[Array, ""]

    @eqx.filter_jit
    def sample(self, key: PRNGKeyArray, n_samples: int) -> Float[Array, "n_samples N"]:
        """Independent windows, a row for each."""
        keys = jax.random.split(key, len(self.log_weights) + 1)
        uniform = jax.random.uniform(keys[0], (n_samples, 1))
        sums = jnp.searchsorted(self.top, uniform * self.top[-1], side="right").astype(jnp.int32)
        for log_weights, split_key in zip(self.log_weights[::-1], keys[1:], strict=True):
            uniform = jax.random.uniform(split_key, sums.shape)
            left = _split(log_weights, sums.ravel(), uniform.ravel()).reshape(sums.shape)
            sums = jnp.stack([left, sums - left], axis=-1).reshape(n_samples, -1)
        middle = (len(self.log_weights[0]) - 1) / 2
        return self.spacing * (sums - middle)


def _split(log_weights, sums, uniform):
    """The number of the left half's sum for each number of a block's sum, ``(nodes,)``."""
    size = len(log_weights)

    def chunk(nodes):
        totals, parts = nodes
        left = jnp.arange(size)
        right = totals[:, None] - left[None]
        exponent = log_weights[None] + log_weights[jnp.clip(right, 0, size - 1)]
        exponent = jnp.where((right >= 0) & (right < size), exponent, -jnp.inf)
        cumulative = jnp.cumsum(jnp.exp(exponent - exponent.max(1, keepdims=True)), axis=1)
        return jnp.sum(cumulative <= (parts * cumulative[:, -1])[:, None], axis=1)

    at_once = max(1, SPLIT_AT_ONCE // size)
    fill = (0, -len(sums) % at_once)
    nodes = (jnp.pad(values, fill).reshape(-1, at_once) for values in (sums, uniform))
    return jax.lax.map(chunk, tuple(nodes)).ravel()[: len(sums)]


class HierarchicalTree:
    r"""A window of ``2**levels`` sites of Dyson's hierarchical model.

    The energy rewards the squared sum of each block of :math:`2^p` sites,

    .. math::

        \mathcal{H} = -\frac\beta2 \sum_{p} \Big(\frac c4\Big)^p \sum_B
        \Big(\sum_{i \in B} \phi_i\Big)^2, \qquad c = 2^{1 - 2/D},

    over blocks of all levels, those above the window included. With ``levels_above=0`` the window
    stands alone; with twenty or so it is a piece of a magnet that is as good as infinite. The two
    have different universal numbers.

    Arguments:
        dimension: D, a real number with 2 < D <= 4.
        beta: the inverse temperature, at least 0, dimensionless.
        levels: of the window, at least 1.
        points: values :math:`\phi_i` of the field of a site, ``(p,)``, that stand for
            :math:`\pm\phi_i`; all of them, with both signs, on one equidistant lattice. 1 is the
            Ising spin.
        weights: their weights, ``(p,)``, equal if not given; as in `rgkit.hierarchical`.
        levels_above: how many levels of blocks contain the window.

    Raises:
        TypeError, ValueError: naming the argument.

    Reference: F. J. Dyson, Commun. Math. Phys. 12, 91 (1969), doi:10.1007/BF01645907.
    """

    def __init__(
        self,
        dimension: check.Real,
        beta: check.Real,
        levels: check.Integer,
        points: Numbers = (1.0,),
        weights: Numbers | None = None,
        *,
        levels_above: check.Integer = 0,
    ):
        self.dimension = check.real("dimension", dimension)
        if not 2 < self.dimension <= 4:
            raise ValueError(f"dimension must be above 2 and at most 4, got {dimension}: pass 3.")
        self.beta = check.real("beta", beta)
        if self.beta <= 0:
            raise ValueError(f"beta must be above 0, got {beta}: without it sites are independent.")
        self.levels = check.positive_integer("levels", levels)
        self.levels_above = check.positive_integer("levels_above", levels_above, minimum=0)
        self._site, self._spacing = _site_law(points, weights, self.beta)

    @property
    def c(self) -> float:
        r"""The parameter :math:`c = 2^{1 - 2/D}` of the interaction."""
        return 2 ** (1 - 2 / self.dimension)

    @property
    def n_sites(self) -> int:
        """The number of sites of the window, ``2**levels``."""
        return 2**self.levels

    @property
    def values(self) -> Values:
        """Spins for the Ising site law, else real numbers."""
        spins = len(self._site.m) == 2 and math.isclose(self._spacing, 2)
        return Values.SPINS if spins else Values.REALS

    def block_law(self, level: check.Integer) -> BlockLaw:
        """The law of the scaled sum of a block that interacts with nothing outside it.

        Arguments:
            level: of the block, from 0, a site, to ``levels + levels_above``.

        Raises:
            TypeError, ValueError: where there is no such level.
        """
        return self._laws[self._level(level, self.levels + self.levels_above)]

    def sibling_law(self, level: check.Integer) -> PairLaw:
        """The joint law of the scaled sums of two blocks that make one, all that is above included.

        Arguments:
            level: of the blocks, from 0 to ``levels + levels_above - 1``.

        Raises:
            TypeError, ValueError: where there is no such level, or where blocks are so far in the
                ordered phase that lattices are too coarse for them.
        """
        level = self._level(level, self.levels + self.levels_above - 1)
        law = self._laws[level]
        return _likely(PairLaw(law.m, sibling_weights(law, self.c, self._above[level + 1])))

    def sampler(self) -> TreeSampler:
        """What draws windows inside a compiled step.

        Raises:
            ValueError: where the window has too many sums.
        """
        return self._sampler

    def sample(self, key: PRNGKeyArray, n_samples: int) -> Float[Array, "n_samples N"]:
        """Independent windows, ``(n_samples, 2**levels)``, drawn exactly, from the top down.

        Arguments:
            key: a typed JAX key.
            n_samples: how many.

        Raises:
            TypeError, ValueError: naming the argument; as `sampler`.
        """
        key, n_samples = checked_draw(key, n_samples, 16 * self.n_sites)
        return self._sampler.sample(key, n_samples)

    def configurations(self) -> np.ndarray:
        """All configurations of a window of Ising spins, ``(2**N, N)``."""
        if self.values is not Values.SPINS:
            raise TypeError("points must be 1.0, the Ising spin, to list configurations.")
        return spin_configurations(check_enumerable(self.n_sites))

    def probabilities(self) -> Float[np.ndarray, " rows"]:
        """The probability of each row of `configurations`, ``(2**N,)``."""
        x = self.configurations().astype(float)
        exponent = np.zeros(len(x))
        for p in range(1, self.levels + 1):
            sums = x.reshape(len(x), -1, 2**p).sum(2)
            exponent += self.beta / 2 * (self.c / 4) ** p * (sums**2).sum(1)
        scale = math.sqrt(self.beta) * (self.c / 4) ** (self.levels / 2)
        exponent += self._above[self.levels](scale * x.sum(1))
        weights = np.exp(exponent - exponent.max())
        return weights / weights.sum()

    def scaled_sums(self, x: ArrayLike, level: check.Integer) -> Float[np.ndarray, "rows blocks"]:
        r"""The sums :math:`m = \sqrt\beta (c/4)^{p/2} \sum \phi` of all blocks of a level.

        Arguments:
            x: configurations, ``(rows, 2**levels)``.
            level: p.

        Raises:
            TypeError, ValueError: where there is no such level, or x has another shape.
        """
        level, x = self._level(level, self.levels), np.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.n_sites:
            raise ValueError(f"x must have shape (rows, {self.n_sites}), got {x.shape}.")
        sums = x.reshape(len(x), -1, 2**level).sum(2, dtype=np.float64)
        return math.sqrt(self.beta) * (self.c / 4) ** (level / 2) * sums

    @functools.cached_property
    def _laws(self) -> list[BlockLaw]:
        return block_laws(self._site, self.c, self.levels + self.levels_above)

    @functools.cached_property
    def _above(self):
        return surroundings(self._laws, self.c)

    @functools.cached_property
    def _sampler(self) -> TreeSampler:
        if (len(self._site.m) - 1) * self.n_sites > LARGEST_WINDOW:
            raise ValueError(
                f"levels = {self.levels} make a window with {(len(self._site.m) - 1)} * "
                f"{self.n_sites} sums, more than {LARGEST_WINDOW}: pass fewer levels, and more "
                "levels_above, for a piece of the same magnet."
            )
        laws = [self._site]
        for _ in range(self.levels):
            laws.append(joined(laws[-1], self.c))
        exponent = laws[-1].log_probabilities + self._above[self.levels](laws[-1].m)
        top = np.cumsum(np.exp(exponent - exponent.max()))
        return TreeSampler(
            jnp.asarray(top / top[-1], jnp.float32),
            tuple(
                jnp.asarray(law.log_probabilities - law.log_probabilities.max(), jnp.float32)
                for law in laws[:-1]
            ),
            jnp.asarray(self._spacing, jnp.float32),
        )

    def _level(self, level, largest):
        number = check.positive_integer("level", level, minimum=0)
        if number > largest:
            raise ValueError(f"level must be at most {largest}, got {level}.")
        return number


def _likely(pair: PairLaw) -> PairLaw:
    """The pair without values that never occur."""
    some = pair.marginal > 10 * LEAST_PROBABILITY
    return PairLaw(pair.values[some], pair.joint[np.ix_(some, some)])


def _site_law(points: Numbers, weights: Numbers | None, beta: float) -> tuple[BlockLaw, float]:
    """The law of a site on the lattice of its values, and the spacing of the field."""
    values, shares = site_measure(points, weights)
    values = np.abs(values)
    both = np.concatenate([-values, values])
    different = np.unique(both.round(12))
    spacing = float(np.diff(different).min())
    places = (both - different[0]) / spacing
    if np.abs(places - places.round()).max() > OFF_THE_LATTICE:
        raise ValueError(
            "points, with both signs, must lie on one equidistant lattice, such as "
            f"np.linspace(0, 3, 13); got {values.tolist()}: sums of blocks stay on it."
        )
    numbers = places.round().astype(int)
    law = np.bincount(numbers, np.concatenate([shares, shares]))
    field = spacing * (np.arange(len(law)) - (len(law) - 1) / 2)
    return BlockLaw(math.sqrt(beta) * field, law / law.sum()), spacing
