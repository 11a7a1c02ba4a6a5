"""Partners of one's own: squares of a lattice and, along rows only, the square two further on."""

import math

import numpy as np

import rgkit as rg


class RowSquares(rg.Partners):
    fan_in: int = 4

    def check(self, n_sites):
        if math.isqrt(n_sites) ** 2 != n_sites or n_sites % 16:
            raise ValueError(f"system must be a lattice of 4k times 4k sites, got {n_sites}.")

    def blocks(self, x):
        half = math.isqrt(x.shape[1]) // 2
        squares = x.reshape(len(x), half, 2, half, 2).swapaxes(2, 3)
        return squares.reshape(len(x), half**2, 4)

    def pairs(self, x):
        return self.paired(self.blocks(x))

    def paired(self, features):
        rows, number, *rest = features.shape
        side = math.isqrt(number)
        lattice = features.reshape(rows, side, side, *rest)
        both = np.stack([lattice, np.roll(lattice, -2, axis=2)], axis=3)
        return both.reshape(rows, number, 2, *rest)
