"""The moments of a block of the hierarchical model, and what a step makes of them."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

LARGEST_PLAIN = 1e100


class BlockMoments:
    r"""The recursion of the even moments :math:`\mu_0, \mu_1, \dots` of the field of a block.

    Every term of it is positive, so that no digits are lost; the square of the characteristic
    function is kept to its full degree. Where their products would overflow, moments are taken in a
    unit of the field, a power of two, which rounds nothing.

    Arguments:
        dimension: D.
        order: the highest moment that is kept is that of degree ``2 * order``.
        weights: the coefficients of :math:`m^0, m^2, \dots` in the weight of a block, from 0 to
            ``2 * order``.
    """

    def __init__(self, dimension: float, order: int, weights: Sequence[float]):
        self.order, quarter = order, 2 ** (1 - 2 / dimension) / 4
        top = range(2 * order + 1)
        # moment l of the scaled sum from j of one block and l - j of the other
        self._factor = np.array(
            [
                [quarter**l * math.comb(2 * l, 2 * j) * (l - j <= order) for j in range(order + 1)]
                for l in top
            ]
        )
        rows, columns = np.indices(self._factor.shape)
        self._other_block = np.clip(rows - columns, 0, order)
        # the matrix from the moments of the sum to those under the weight, up to a factor
        self._tilt = np.array(
            [[0.0] * l + list(weights[: len(top) - l]) for l in range(order + 1)], dtype=float
        )
        self._powers = np.arange(order + 1)
        self._degree = np.arange(len(top)) - self._powers[:, None]

    def step(self, moments: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
        """The moments after a step, ``(order + 1,)``, the first of them 1."""
        # a bisection takes half a million steps, nearly all of them of moments that are not large
        if not moments[-1] > LARGEST_PLAIN:
            new = self._tilt @ ((self._factor * moments[self._other_block]) @ moments)
            return new / new[0]
        small, exponent = self._in_their_unit(moments)
        new = self._tilt_in_unit(exponent) @ (self._convolved(small) @ small)
        return np.ldexp(new / new[0], exponent * self._powers)

    def relative_slopes(self, moments: Float[np.ndarray, " m"]) -> Float[np.ndarray, "k k"]:
        r"""The matrix :math:`\partial \ln\mu_l' / \partial \ln\mu_j`, ``(order, order)``."""
        small, exponent = self._in_their_unit(moments)
        convolved = self._tilt_in_unit(exponent) @ self._convolved(small)
        slopes = 2 * convolved / (convolved @ small)[:, None] * small
        return (slopes - slopes[0])[1:, 1:]

    def newton_change(self, moments: Float[np.ndarray, " m"]) -> Float[np.ndarray, " k"]:
        """The change of the logarithms of the moments in a step of Newton's method."""
        slopes = self.relative_slopes(moments)
        residual = np.log(self.step(moments)[1:] / moments[1:])
        return np.linalg.solve(np.eye(self.order) - slopes, residual)

    def _in_their_unit(
        self, moments: Float[np.ndarray, " m"]
    ) -> tuple[Float[np.ndarray, " m"], int]:
        exponent = int(np.frexp(moments[1])[1])
        return np.ldexp(moments, -exponent * self._powers), exponent

    def _tilt_in_unit(self, exponent: int) -> Float[np.ndarray, "m top"]:
        shifts = exponent * self._degree
        sizes = np.where(self._tilt[0] != 0, np.frexp(self._tilt[0])[1] + shifts[0], -(2**30))
        return np.ldexp(self._tilt, shifts - sizes.max())

    def _convolved(self, moments: Float[np.ndarray, " m"]) -> Float[np.ndarray, "top m"]:
        """The matrix whose product with the moments gives those of the scaled sum of two blocks."""
        return self._factor * moments[self._other_block]
