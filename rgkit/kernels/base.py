"""Coarse-graining kernels: conditional laws P(y|x) of feature spins y given a configuration x."""

import abc
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import entr
from jaxtyping import Array, Float

from rgkit import _validation


class Kernel(eqx.Module):
    """A Markov kernel from one configuration ``(N,)`` to feature spins ``(n,)``.

    A kernel gives `n_features` and `log_probability`; batches go through ``jax.vmap``. Outcome i of the
    ``2**n`` has spin j equal to +1 if bit j of i is 0, else -1, as in `rgkit.IsingChain.configurations`.
    """

    @abc.abstractmethod
    def n_features(self, n_sites: int) -> int:
        """How many features a configuration of ``n_sites`` spins has; ValueError if the kernel does not fit."""

    @abc.abstractmethod
    def log_probability(self, x) -> Float[Array, " outcomes"]:
        """``ln P(y|x)`` for the ``2**n`` outcomes y, given ``x`` of shape ``(N,)``; impossible outcomes are -inf."""

    @property
    @abc.abstractmethod
    def preserves_fixed_point(self) -> bool:
        """Whether the kernel is known to send the uniform law on N spins to the uniform law on n spins."""

    def sample(self, x, key) -> Float[Array, " n"]:
        """One draw of the features, ``(n,)`` spins, given ``x`` of shape ``(N,)``."""
        outcome = jax.random.categorical(key, self.log_probability(x))
        return outcome_spins(outcome, self.n_features(x.shape[-1]))

    def push(self, x, weights) -> tuple[Float[Array, " outcomes"], Float[Array, ""]]:
        """Weighted sums over rows: ``sum_x w(x) P(y|x)``, ``(2**n,)``, and ``sum_x w(x) H(y|x)`` in nats.

        Arguments:
            x: configurations, ``(rows, N)``.
            weights: ``(rows,)``; their dtype is that of the sums.
        """
        log_conditional = jax.vmap(self.log_probability)(x).astype(weights.dtype)
        conditional = jnp.exp(log_conditional)
        return weights @ conditional, weights @ entr(conditional).sum(-1)


class ProductKernel(Kernel):
    """A kernel whose features are independent given x: fixed by the conditional means alone."""

    @abc.abstractmethod
    def means(self, x) -> Float[Array, " n"]:
        """Conditional means ``E[y_j|x]``, ``(n,)`` in [-1, 1]; plus or minus one for a deterministic feature."""

    def conditional_entropy(self, x) -> Float[Array, ""]:
        """``H(y|x)`` in nats for ``x`` of shape ``(N,)``."""
        means = self.means(x)
        return jnp.sum(entr((1 + means) / 2) + entr((1 - means) / 2))

    def log_probability(self, x):
        means = self.means(x)
        return over_outcomes(jnp.add, jnp.log((1 + means) / 2), jnp.log((1 - means) / 2))

    def sample(self, x, key):
        means = self.means(x)
        return jnp.where(jax.random.uniform(key, means.shape) < (1 + means) / 2, 1.0, -1.0)

    def push(self, x, weights):
        means = jax.vmap(self.means, out_axes=1)(x).astype(weights.dtype)
        return product_law(means, weights), weights @ jax.vmap(self.conditional_entropy)(x).astype(
            weights.dtype
        )


def product_law(means, weights) -> Float[Array, " outcomes"]:
    """``sum_x w(x) P(y|x)``, ``(2**n,)``, from conditional means ``(n, rows)`` and weights ``(rows,)``.

    P(y|x) is an outer product over two halves of the features, so the sum is one matrix product over the rows.
    """
    half = (len(means) + 1) // 2
    low, high = (
        over_outcomes(jnp.multiply, (1 + part) / 2, (1 - part) / 2)
        for part in (means[:half], means[half:])
    )
    return ((weights[None] * high) @ low.T).reshape(-1)


def over_outcomes(combine, up, down):
    """Combine ``up_j`` (where y_j = +1) or ``down_j`` over j, for every outcome y: ``(n, ...)`` twice to ``(2**n, ...)``."""
    table = jnp.full((1, *up.shape[1:]), combine.identity, up.dtype)
    for j in range(len(up)):
        table = jnp.concatenate([combine(table, up[j : j + 1]), combine(table, down[j : j + 1])])
    return table


def outcome_spins(outcome, n: int):
    """Spins ``(..., n)`` of outcome indices ``(...)``."""
    outcome = jnp.asarray(outcome)[..., None]
    return 1.0 - 2.0 * (outcome >> jnp.arange(n).reshape((1,) * (outcome.ndim - 1) + (n,)) & 1)


class _Blocks(ProductKernel):
    """What decimation and majority share: disjoint blocks of b neighbouring sites."""

    block: int = eqx.field(static=True)

    def n_features(self, n_sites):
        if n_sites % self.block:
            raise ValueError(
                f"b = {self.block} does not divide the {n_sites} sites: choose b among the divisors of {n_sites}, "
                f"or n_sites = {n_sites // self.block * self.block or self.block}."
            )
        return n_sites // self.block

    def _blocks(self, x):
        return jnp.reshape(x, (self.n_features(x.shape[-1]), self.block)).astype(
            jnp.result_type(float)
        )


class Decimation(_Blocks):
    """Keeps the first spin, or field, of each block."""

    def means(self, x):
        return self._blocks(x)[:, 0]

    def sample(self, x, key):
        return self.means(x)

    @property
    def preserves_fixed_point(self):
        return True


class Majority(_Blocks):
    """The sign of each block's magnetization, with a rule for ties."""

    ties: str | int | None = eqx.field(static=True)

    def means(self, x):
        blocks = self._blocks(x)
        on_tie = {None: 0.0, "random": 0.0, "first": blocks[:, 0], 1: 1.0, -1: -1.0}[self.ties]
        total = blocks.sum(1)
        return jnp.where(total == 0, on_tie, jnp.sign(total))

    @property
    def preserves_fixed_point(self):
        return self.ties not in (1, -1)


class BlockAverage(_Blocks):
    """The sum of each block of fields over the root of the block size."""

    def means(self, x):
        raise TypeError(
            "block_average acts on fields: a block average of spins is not a spin, and its divergence from a Gaussian is "
            "infinite. For spins use rgkit.majority or rgkit.decimation; for block averages a rgkit.ScalarChain."
        )

    def sample(self, x, key):
        return self._blocks(x).sum(1) / self.block**0.5

    @property
    def preserves_fixed_point(self):
        return False


class _Map(Kernel):
    """What deterministic maps share: one outcome for each configuration."""

    n: int = eqx.field(static=True)

    @abc.abstractmethod
    def outcome(self, x):
        """Index of the outcome of ``x``, shape ``(N,)``."""

    def n_features(self, n_sites):
        return self.n

    def log_probability(self, x):
        return jnp.where(jnp.arange(2**self.n) == self.outcome(x), 0.0, -jnp.inf)

    def push(self, x, weights):
        law = jnp.zeros(2**self.n, weights.dtype).at[jax.vmap(self.outcome)(x)].add(weights)
        return law, jnp.zeros((), weights.dtype)

    @property
    def preserves_fixed_point(self):
        return False


class RandomMap(_Map):
    """A map drawn uniformly from all maps of configurations to ``2**n`` outcomes: the control "any map at all"."""

    key: jax.Array

    def outcome(self, x):
        # a hash of the configuration, 32 spins to a word, so that the map needs no table
        words = jnp.pad(x < 0, (0, -x.shape[-1] % 32)).reshape(-1, 32).astype(jnp.uint32)
        words = (words << jnp.arange(32, dtype=jnp.uint32)[None]).sum(1, dtype=jnp.uint32)
        return jax.random.randint(
            functools.reduce(jax.random.fold_in, words, self.key), (), 0, 2**self.n, jnp.int32
        )


class TableMap(_Map):
    """A map given by its table, ``(2**N,)`` outcome indices in the order of `rgkit.IsingChain.configurations`."""

    table: jax.Array

    def n_features(self, n_sites):
        if len(self.table) != 2**n_sites:
            raise ValueError(
                f"table has {len(self.table)} rows, {n_sites} sites have {2**n_sites} configurations."
            )
        return self.n

    def outcome(self, x):
        return self.table[jnp.sum((x < 0) << jnp.arange(x.shape[-1]))]


def decimation(b: int) -> Decimation:
    """Decimation: of every block of b neighbouring spins or fields the first is kept, the others are summed out.

    Raises ValueError for b below 2, and when it is applied to N sites that b does not divide.

    Reference: L. P. Kadanoff, Physics 2, 263 (1966), doi:10.1103/PhysicsPhysiqueFizika.2.263.
    """
    return Decimation(_validation.positive_integer("b", b, 2))


def block_average(b: int) -> BlockAverage:
    r"""Block average of fields: :math:`b^{-1/2} \sum_i \varphi_i` over disjoint blocks of b neighbouring sites.

    The factor keeps the variance of independent fields, and white Gaussian noise is a fixed point. Spins are refused
    with a TypeError: a block average of spins is not a spin.

    Raises ValueError for b below 2, and when it is applied to N sites that b does not divide.

    Reference: G. Jona-Lasinio, Nuovo Cimento B 26, 99 (1975), doi:10.1007/BF02755540.
    """
    return BlockAverage(_validation.positive_integer("b", b, 2))


def majority(b: int, ties: str | int | None = None) -> Majority:
    """Majority rule on disjoint blocks of b sites.

    Arguments:
        b: block size. An even block can tie and needs a rule.
        ties: "random" (a fair coin), "first" (the block's first spin), +1 or -1; None for odd b.

    Raises:
        ValueError: for an unknown rule, or an even b without one. +1 and -1 do not keep the uniform law.

    Reference: Th. Niemeijer, J. M. J. van Leeuwen, Phys. Rev. Lett. 31, 1411 (1973), doi:10.1103/PhysRevLett.31.1411.
    """
    b = _validation.positive_integer("b", b, 2)
    if ties not in (None, "random", "first", 1, -1):
        raise ValueError(f"ties must be None, 'random', 'first', +1 or -1, got {ties!r}.")
    if b % 2 == 0 and ties is None:
        raise ValueError(
            f"b = {b} is even, so a block can tie: pass ties='random', 'first', +1 or -1."
        )
    return Majority(b, ties if b % 2 == 0 else None)


def random_map(n: int, key) -> RandomMap:
    """A uniformly random deterministic map to n feature spins, fixed by a typed JAX key.

    The image of a configuration is a hash of it under the key, so the map needs no table.
    """
    return RandomMap(_validation.positive_integer("n", n), _validation.key("key", key))
