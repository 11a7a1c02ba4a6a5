"""Who is whose partner: blocks of the sites of a row, and the pairs of them that are compared."""

import abc
import math

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


class Squares(Partners):
    """Squares of a periodic lattice, and those that begin ``buffer`` sites on, right and below.

    Site ``L*i + j`` of a row is in row i and column j of the lattice, as in `rgkit.IsingTorus`, and
    features of one layer are the lattice of the next.

    Arguments:
        size: the side of a square, at least 2.
        buffer: sites between a square and its partner, a multiple of ``size``.
    """

    fan_in: int = eqx.field(static=True)
    size: int = eqx.field(static=True)
    buffer: int = eqx.field(static=True)

    def __init__(self, size: check.Integer = 2, buffer: check.Integer = 0):
        self.size = check.positive_integer("size", size, minimum=2)
        self.fan_in = self.size**2
        self.buffer = check.positive_integer("buffer", buffer, minimum=0)
        if self.buffer % self.size:
            raise ValueError(
                f"buffer must be a multiple of size = {size}, got {buffer}: then a partner is a "
                "square too."
            )

    def check(self, n_sites: int) -> None:
        """ValueError where the lattice is not made of squares, or a square meets its partner."""
        side = math.isqrt(n_sites)
        # a partner on the other side must not be nearer than one on this side
        least = 2 * (self.size + self.buffer)
        if side**2 != n_sites or side % self.size or side < least:
            raise ValueError(
                f"system has {n_sites} sites at this level: squares of {self.size} with a buffer "
                f"of {self.buffer} need L x L sites, L a multiple of {self.size} and at least "
                f"{least}."
            )

    def blocks(self, x: Num[np.ndarray, "T N"]) -> Num[np.ndarray, "T B b"]:
        """All squares, row by row, ``(T, L**2)`` to ``(T, (L / size)**2, size**2)``."""
        half = math.isqrt(x.shape[1]) // self.size
        grid = x.reshape(len(x), half, self.size, half, self.size).swapaxes(2, 3)
        return grid.reshape(len(x), half**2, self.fan_in)

    def pairs(self, x: Num[np.ndarray, "T N"]) -> Num[np.ndarray, "T P 2 b"]:
        """Squares with partners, ``(T, L**2)`` to ``(T, 2 (L / size)**2, 2, size**2)``."""
        return self._beside(self.blocks(x))

    def paired(self, features: Num[np.ndarray, "T B"]) -> Num[np.ndarray, "T P 2"]:
        """The features of partners, ``(T, B)`` to ``(T, 2 B, 2)``."""
        return self._beside(features)

    def _beside(self, of_squares):
        n_rows, number, *rest = of_squares.shape
        side, apart = math.isqrt(number), 1 + self.buffer // self.size
        lattice = of_squares.reshape(n_rows, side, side, *rest)
        both = [np.stack([lattice, np.roll(lattice, -apart, axis)], axis=3) for axis in (1, 2)]
        return np.stack(both, axis=1).reshape(n_rows, 2 * number, 2, *rest)
