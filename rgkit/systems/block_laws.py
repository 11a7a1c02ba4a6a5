"""Laws of the sums of blocks on a tree, level by level, on lattices that hold all their values."""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline

LARGEST_LATTICE, LARGEST_AT_ALL = 1500, 20_000
# a lattice whose spacing is this part of the width of a peak integrates it to rounding
COARSEST = 0.7
NEGLIGIBLE = 1e-250
TARGETS = 1025


@dataclasses.dataclass(frozen=True)
class BlockLaw:
    r"""The law of the scaled sum m of a block that interacts with nothing outside.

    Attributes:
        m: its values, an equidistant lattice symmetric about 0, ``(n,)``, dimensionless.
        probabilities: of each, ``(n,)``.
    """

    m: Float[np.ndarray, " n"]
    probabilities: Float[np.ndarray, " n"]

    def moment(self, power: int) -> float:
        """The mean of a power of m."""
        return float(self.probabilities @ self.m**power)

    @property
    def excess_kurtosis(self) -> float:
        """Fourth cumulant over the squared second."""
        return self.moment(4) / self.moment(2) ** 2 - 3

    @functools.cached_property
    def log_probabilities(self) -> Float[np.ndarray, " n"]:
        """Their logarithms, -inf where there is nothing."""
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities)


def joined(law: BlockLaw, c: float) -> BlockLaw:
    r"""The law of two blocks that interact: convolve, scale by :math:`\sqrt c/2`, reward."""
    weights = np.convolve(law.probabilities, law.probabilities)
    spacing = (law.m[1] - law.m[0]) * math.sqrt(c) / 2
    m = spacing * (np.arange(len(weights)) - (len(weights) - 1) / 2)
    with np.errstate(divide="ignore"):
        return BlockLaw(m, _normalized(np.log(weights) + m**2 / 2))


def thinned(law: BlockLaw) -> BlockLaw:
    """The law on a coarser lattice that integrates as well, where it has many points.

    Raises:
        ValueError: where its peaks are too narrow for that.
    """
    some = np.flatnonzero(law.probabilities > NEGLIGIBLE * law.probabilities.max())
    edge = min(some[0], len(law.m) - 1 - some[-1])
    m, weights = (values[edge : len(values) - edge] for values in (law.m, law.probabilities))
    while len(m) > LARGEST_LATTICE and 2 * (m[1] - m[0]) < COARSEST * _width(m, weights):
        # an even number of intervals keeps the lattice symmetric
        m, weights = _even(m, weights)
        m, weights = m[::2], weights[::2]
    if len(m) > LARGEST_AT_ALL:
        raise ValueError(
            "levels (with levels_above) are too many so far in the ordered phase: peaks "
            f"{_width(m, weights):.1g} wide lie {2 * m[-1]:.3g} apart. Pass fewer levels_above, or "
            "a beta nearer to the critical one."
        )
    return BlockLaw(m, weights / weights.sum())


def block_laws(site: BlockLaw, c: float, levels: int) -> list[BlockLaw]:
    """The laws of blocks of level 0 to ``levels``, on thinned lattices."""
    laws = [site]
    for _ in range(levels):
        laws.append(thinned(joined(laws[-1], c)))
    return laws


def surroundings(laws: list[BlockLaw], c: float) -> list[Callable[[np.ndarray], np.ndarray]]:
    """For every level the log of what the rest of the tree makes of a block's m, up to a constant.

    The last block is the whole tree. Outside the lattice of a level the answer is -inf: there the
    law has no weight, and nothing is extrapolated.
    """
    above: list[Callable[[np.ndarray], np.ndarray]] = [np.zeros_like]
    for law in laws[-2::-1]:
        targets = law.m[:: max(1, (len(law.m) - 1) // (TARGETS - 1))]
        targets = np.union1d(targets, law.m[-1:])
        sums = targets[:, None] + law.m
        exponent = law.log_probabilities + c / 8 * sums**2 + above[0](math.sqrt(c) / 2 * sums)
        peak = exponent.max(1)
        values = peak + np.log(np.exp(exponent - peak[:, None]).sum(1))
        above.insert(0, _inside(targets, values - values.max()))
    return above


def sibling_weights(
    law: BlockLaw, c: float, above: Callable[[np.ndarray], np.ndarray]
) -> Float[np.ndarray, "n n"]:
    """The joint law of the m of two siblings, ``(n, n)``, what is above their parent included."""
    sums = law.m[:, None] + law.m
    exponent = law.log_probabilities[:, None] + law.log_probabilities + c / 8 * sums**2
    exponent = exponent + above(math.sqrt(c) / 2 * sums)
    return np.exp(exponent - exponent.max())


def _inside(points: np.ndarray, values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    cubic = CubicSpline(points, values) if len(points) > 3 else None

    def curve(m: np.ndarray) -> np.ndarray:
        return np.interp(m, points, values) if cubic is None else cubic(m)

    edge = points[-1] * (1 + 1e-9)
    return lambda m: np.where(np.abs(m) <= edge, curve(np.clip(m, points[0], points[-1])), -np.inf)


def _normalized(exponent: np.ndarray) -> np.ndarray:
    weights = np.exp(exponent - exponent.max())
    weights = (weights + weights[::-1]) / 2
    return weights / weights.sum()


def _width(m: np.ndarray, weights: np.ndarray) -> float:
    """The width of the highest peak, that of a normal law with its curvature."""
    top = int(np.clip(np.argmax(weights), 1, len(m) - 2))
    with np.errstate(divide="ignore"):
        logs = np.log(weights[top - 1 : top + 2])
    bend = 2 * logs[1] - logs[0] - logs[2]
    return (m[1] - m[0]) / math.sqrt(bend) if bend > 0 else m[-1]


def _even(m: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same lattice with 4k + 1 points, which has 2k + 1 when thinned: points are added."""
    spacing, side = m[1] - m[0], -(len(m) - 1) % 4 // 2
    half = (len(m) - 1) // 2 + side
    return spacing * np.arange(-half, half + 1), np.pad(weights, side)
