"""How many configurations of an Ising chain have so many walls and spins down."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int
from scipy.special import gammaln

Levels: TypeAlias = tuple[
    Int[np.ndarray, " levels"], Int[np.ndarray, " levels"], Float[np.ndarray, " levels"]
]


def levels_without_field(n_bonds: int, periodic: bool) -> Levels:
    """Walls, spins down (of one member) and ln of the number, of classes of equal walls alone."""
    walls = np.arange(0, n_bonds + 1, 2 if periodic else 1)
    return walls, np.zeros_like(walls), np.log(2) + _log_binomial(n_bonds, walls)


def ring_levels(n_sites: int) -> Levels:
    """Walls, spins down and ln of the number of configurations, of each class of a ring.

    With 2k walls and j spins down there are ``(N/k) C(j-1, k-1) C(N-j-1, k-1)``.
    """
    down, blocks = _grid(n_sites, n_sites // 2)
    fits = (blocks <= down) & (blocks <= n_sites - down)
    down, blocks = down[fits], blocks[fits]
    log_count = np.log(n_sites / blocks)
    log_count += _log_binomial(down - 1, blocks - 1) + _log_binomial(n_sites - down - 1, blocks - 1)
    return _with_aligned(n_sites, 2 * blocks, down, log_count)


def open_levels(n_sites: int) -> Levels:
    """The same of an open chain, whose blocks of equal spins take turns from end to end."""
    down, walls = _grid(n_sites, n_sites - 1)
    many, few = walls // 2, (walls - 1) // 2
    log_count = np.logaddexp(
        _log_binomial(n_sites - down - 1, many) + _log_binomial(down - 1, few),
        _log_binomial(n_sites - down - 1, few) + _log_binomial(down - 1, many),
    )
    fits = log_count > -np.inf
    return _with_aligned(n_sites, walls[fits], down[fits], log_count[fits])


def _grid(n_sites: int, most: int):
    return np.meshgrid(np.arange(1, n_sites), np.arange(1, most + 1))


def _with_aligned(n_sites: int, walls, down, log_count) -> Levels:
    """The classes, and before them the two configurations without a wall."""
    aligned = np.array([0, 0]), np.array([0, n_sites]), np.zeros(2)
    rest = walls, down, log_count
    first, second, third = (np.append(a, b) for a, b in zip(aligned, rest, strict=True))
    return first, second, third


def _log_binomial(n, k) -> Float[np.ndarray, "..."]:
    """``ln C(n, k)``, -inf for k above n."""
    return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
