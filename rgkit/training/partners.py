"""Who is whose partner: blocks of the sites of a row, and the pairs of them that are compared."""

import abc

import equinox as eqx
import numpy as np
from jaxtyping import Num

from rgkit import _validation as check


class Partners(eqx.Module):
    """A geometry: it cuts rows into blocks and says which two are compared.

    One of your own gives `fan_in`, `blocks` and `pairs`; it is applied to the sites and then to the
    features of each layer in turn.

    Attributes:
        fan_in: the number of sites of a block.
    """

    fan_in: eqx.AbstractVar[int]

    @abc.abstractmethod
    def check(self, n_sites: int) -> None:
        """Raise ValueError where rows of so many sites have no two partners."""

    @abc.abstractmethod
    def blocks(self, x: Num[np.ndarray, "T N"]) -> Num[np.ndarray, "T B b"]:
        """All blocks, ``(T, N)`` to ``(T, B, fan_in)``."""

    @abc.abstractmethod
    def pairs(self, x: Num[np.ndarray, "T N"]) -> Num[np.ndarray, "T P 2 b"]:
        """Blocks with their partners, ``(T, N)`` to ``(T, P, 2, fan_in)``."""

    @abc.abstractmethod
    def paired(self, features: Num[np.ndarray, "T B"]) -> Num[np.ndarray, "T P 2"]:
        """The features of all blocks, ``(T, B)``, as those of pairs, ``(T, P, 2)``."""


class Siblings(Partners):
    """Neighbouring blocks of ``fan_in`` sites, two and two: blocks 0 and 1, blocks 2 and 3.

    On a tree these are the two halves of a larger block.

    Arguments:
        fan_in: sites of a block, at least 1.
    """

    fan_in: int = eqx.field(static=True)

    def __init__(self, fan_in: check.Integer = 2):
        self.fan_in = check.positive_integer("fan_in", fan_in)

    def check(self, n_sites: int) -> None:
        """ValueError unless rows are made of whole pairs."""
        if n_sites % (2 * self.fan_in):
            raise ValueError(
                f"system has {n_sites} sites at this level, which are not pairs of blocks of "
                f"{self.fan_in}: pass fewer levels, or a multiple of {2 * self.fan_in} sites."
            )

    def blocks(self, x: Num[np.ndarray, "T N"]) -> Num[np.ndarray, "T B b"]:
        """All blocks, ``(T, N)`` to ``(T, N / fan_in, fan_in)``."""
        return x.reshape(len(x), -1, self.fan_in)

    def pairs(self, x: Num[np.ndarray, "T N"]) -> Num[np.ndarray, "T P 2 b"]:
        """Siblings, ``(T, N)`` to ``(T, N / (2 fan_in), 2, fan_in)``."""
        return x.reshape(len(x), -1, 2, self.fan_in)

    def paired(self, features: Num[np.ndarray, "T B"]) -> Num[np.ndarray, "T P 2"]:
        """The features of siblings, ``(T, B)`` to ``(T, B / 2, 2)``."""
        return features.reshape(len(features), -1, 2)


class Blocks(Partners):
    """Blocks of ``size`` sites of an open chain, and the block that begins ``buffer`` sites on.

    Blocks that are partners never overlap. With a buffer of whole blocks features of one layer are
    sites of the next, at the same relative distance.

    Arguments:
        size: sites of a block, at least 1.
        buffer: sites between a block and its partner, a multiple of ``size``.
    """

    fan_in: int = eqx.field(static=True)
    buffer: int = eqx.field(static=True)

    def __init__(self, size: check.Integer, buffer: check.Integer = 0):
        self.fan_in = check.positive_integer("size", size)
        self.buffer = check.positive_integer("buffer", buffer, minimum=0)
        if self.buffer % self.fan_in:
            raise ValueError(
                f"buffer must be a multiple of size = {size}, got {buffer}: then a partner is a "
                "block too."
            )

    def check(self, n_sites: int) -> None:
        """ValueError where no block has a partner."""
        if n_sites % self.fan_in or n_sites < 2 * self.fan_in + self.buffer:
            raise ValueError(
                f"system has {n_sites} sites at this level: blocks of {self.fan_in} with a buffer "
                f"of {self.buffer} need a multiple of {self.fan_in}, at least "
                f"{2 * self.fan_in + self.buffer}."
            )

    def blocks(self, x: Num[np.ndarray, "T N"]) -> Num[np.ndarray, "T B b"]:
        """All blocks, ``(T, N)`` to ``(T, N / size, size)``."""
        return x.reshape(len(x), -1, self.fan_in)

    def pairs(self, x: Num[np.ndarray, "T N"]) -> Num[np.ndarray, "T P 2 b"]:
        """Blocks with partners, ``(T, N)`` to ``(T, P, 2, size)``."""
        blocks, apart = self.blocks(x), 1 + self.buffer // self.fan_in
        first, second = blocks[:, :-apart, None], blocks[:, apart:, None]
        return np.concatenate([first, second], axis=2)

    def paired(self, features: Num[np.ndarray, "T B"]) -> Num[np.ndarray, "T P 2"]:
        """The features of partners, ``(T, B)`` to ``(T, P, 2)``."""
        apart = 1 + self.buffer // self.fan_in
        return np.stack([features[:, :-apart], features[:, apart:]], axis=2)
