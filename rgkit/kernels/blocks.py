"""Block rules: of every block of neighbouring sites one feature is made."""

import abc
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit import _validation
from rgkit.kernels.base import Kernel, ProductKernel
from rgkit.systems.base import Values


class TrivialLaw(eqx.Module):
    """The law that a block rule of fields ends at, as a reference for `rgkit.FieldLaw.divergence`.

    Arguments:
        name: what it is, in words.
        log_density: of features ``(M, n)`` to ``(M,)``.
    """

    name: str = eqx.field(static=True)
    log_density: Callable = eqx.field(static=True)


class BlockRule(Kernel):
    """A kernel on disjoint blocks of b neighbouring sites, one feature for each.

    Arguments:
        block: the block size b.
    """

    block: eqx.AbstractVar[int]

    def n_features(self, n_sites: int) -> int:
        """``N / b``; ValueError where b does not divide N."""
        if n_sites % self.block:
            raise ValueError(
                f"b = {self.block} does not divide the {n_sites} sites: choose b among the "
                f"divisors of {n_sites}, or n_sites = "
                f"{n_sites // self.block * self.block or self.block}."
            )
        return n_sites // self.block

    def blocks(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, "n b"]:
        """The blocks of one configuration, ``(N,)`` to ``(n, b)``."""
        return jnp.reshape(x, (self.n_features(x.shape[-1]), self.block)).astype(
            jnp.result_type(float)
        )


class FieldRule(BlockRule):
    """A block rule that renormalizes fields: applied again and again it ends at a trivial law."""

    @abc.abstractmethod
    def iterated(self, times: int) -> "FieldRule":
        """The kernel applied so many times, as one kernel."""

    @abc.abstractmethod
    def trivial_law(self, family: Any) -> TrivialLaw:
        """Where fields of this family end: a `TrivialLaw` of features."""


class Decimation(ProductKernel, FieldRule):
    """Keeps the first spin, or field, of each block."""

    block: int = eqx.field(static=True)

    def output(self, values: Values) -> Values:
        """What the sites are: spins of spins, fields of fields."""
        return values

    def means(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, " n"]:
        """The spins that are kept, ``(n,)``."""
        return self.blocks(x)[:, 0]

    def sample(self, x: Num[Array | np.ndarray, " N"], key: PRNGKeyArray) -> Float[Array, " n"]:
        """The spins or fields that are kept, ``(n,)``; there is no noise."""
        return self.means(x)

    def iterated(self, times: int) -> "Decimation":
        """Decimation with block size ``b**times``."""
        return Decimation(self.block**times)

    def trivial_law(self, family: Any) -> TrivialLaw:
        """The product of the single-site laws of the infinite chain, which need not be Gaussian."""

        def log_density(rows):
            return np.log(family.density(rows)).sum(-1)

        return TrivialLaw("product of single-site laws", log_density)

    @property
    def preserves_fixed_point(self) -> bool:
        """True: spins of the uniform law are uniform."""
        return True


class Majority(ProductKernel, BlockRule):
    """The sign of each block's magnetization, with a rule for ties."""

    block: int = eqx.field(static=True)
    ties: str | int | None = eqx.field(static=True)

    def means(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, " n"]:
        """The signs, ``(n,)``; 0 for a tie that a coin decides."""
        blocks = self.blocks(x)
        on_tie = {None: 0.0, "random": 0.0, "first": blocks[:, 0], 1: 1.0, -1: -1.0}[self.ties]
        total = blocks.sum(1)
        return jnp.where(total == 0, on_tie, jnp.sign(total))

    @property
    def preserves_fixed_point(self) -> bool:
        """True unless ties are given to one side."""
        return self.ties not in (1, -1)


class BlockAverage(FieldRule):
    """The sum of each block of fields over the root of the block size."""

    block: int = eqx.field(static=True)

    def output(self, values: Values) -> Values:
        """Fields of fields; spins are refused."""
        if values is Values.SPINS:
            raise TypeError(
                "block_average acts on fields: a block average of spins is not a spin, and its "
                "divergence from a Gaussian is infinite. For spins use rgkit.majority or "
                "rgkit.decimation; for block averages a rgkit.ScalarChain."
            )
        return Values.REALS

    def sample(self, x: Num[Array | np.ndarray, " N"], key: PRNGKeyArray) -> Float[Array, " n"]:
        """The block averages, ``(n,)``; there is no noise."""
        return self.blocks(x).sum(1) / self.block**0.5

    def iterated(self, times: int) -> "BlockAverage":
        """Block averages with block size ``b**times``."""
        return BlockAverage(self.block**times)

    def trivial_law(self, family: Any) -> TrivialLaw:
        """White Gaussian noise whose variance is the susceptibility of the infinite chain."""
        variance = family.susceptibility()

        def log_density(rows):
            squares = np.sum(np.square(rows), -1) / variance
            return -(squares + np.shape(rows)[-1] * math.log(2 * math.pi * variance)) / 2

        return TrivialLaw("white noise of variance susceptibility", log_density)


def decimation(b: int) -> Decimation:
    """Decimation: of every block of b neighbouring spins or fields the first is kept.

    The others are summed out.

    Arguments:
        b: the block size.

    Raises:
        TypeError, ValueError: for b that is no integer of at least 2; where it is applied to N
            sites that b does not divide.

    Reference: L. P. Kadanoff, Physics 2, 263 (1966), doi:10.1103/PhysicsPhysiqueFizika.2.263.
    """
    return Decimation(_validation.positive_integer("b", b, 2))


def block_average(b: int) -> BlockAverage:
    r"""Block average of fields, :math:`b^{-1/2} \sum_i \varphi_i` over disjoint blocks of b sites.

    The factor keeps the variance of independent fields, and white Gaussian noise is a fixed point.

    Arguments:
        b: the block size.

    Raises:
        TypeError, ValueError: for b that is no integer of at least 2; where it is applied to spins
            (a block average of spins is not a spin), or to N sites that b does not divide.

    Reference: G. Jona-Lasinio, Nuovo Cimento B 26, 99 (1975), doi:10.1007/BF02755540.
    """
    return BlockAverage(_validation.positive_integer("b", b, 2))


def majority(b: int, ties: str | int | None = None) -> Majority:
    """Majority rule on disjoint blocks of b sites.

    Arguments:
        b: block size. An even block can tie and needs a rule.
        ties: "random" (a fair coin), "first" (the block's first spin), +1 or -1; None for odd b.

    Raises:
        TypeError, ValueError: for b that is no integer of at least 2, an unknown rule, or an even b
            without one. +1 and -1 do not keep the uniform law.

    Reference: Th. Niemeijer, J. M. J. van Leeuwen, Phys. Rev. Lett. 31, 1411 (1973),
        doi:10.1103/PhysRevLett.31.1411.
    """
    b = _validation.positive_integer("b", b, 2)
    if ties not in (None, "random", "first", 1, -1):
        raise ValueError(f"ties must be None, 'random', 'first', +1 or -1, got {ties!r}.")
    if b % 2 == 0 and ties is None:
        raise ValueError(
            f"b = {b} is even, so a block can tie: pass ties='random', 'first', +1 or -1."
        )
    return Majority(b, ties if b % 2 == 0 else None)
