"""Mean and covariance of the sufficient statistics of a chain of fields, on the grid.

All weights are over the largest eigenvalue of the transfer operator, ``lambda_0 = 1``.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Float

from rgkit.systems.transfer_operator import TransferOperator

# orders 0, 1 and 2 in the statistics
Moments = tuple[Any, np.ndarray, np.ndarray]


def statistics_moments(
    operator: TransferOperator,
    scales: Float[np.ndarray, " powers"],
    n_sites: int,
    end: Float[np.ndarray, " n"] | None,
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k k"]]:
    """Mean ``(k,)`` and covariance ``(k, k)`` of the sufficient statistics.

    Arguments:
        operator: the transfer operator T.
        scales: what multiplies the even powers of the field in H.
        n_sites: the number of sites N.
        end: the weight of an end of an open chain on the grid points above zero; None for a ring.
    """
    site = -scales[:, None] * operator.points ** (2 * np.arange(1, len(scales) + 1)[:, None])
    ring = end is None
    moments = _ring(operator, site, n_sites) if ring else _open(operator, site, n_sites - 1, end)
    weight, first, second = moments
    mean = first / weight
    covariance = second / weight - np.outer(mean, mean)
    # a variance below the rounding of its square is no less than zero
    np.fill_diagonal(covariance, np.maximum(np.diag(covariance), 0.0))
    return mean, covariance


def _bond_operators(operator: TransferOperator, site: np.ndarray, parity: int) -> Moments:
    """One part of T ``(n, n)``, times the statistics of a bond, and times their products.

    The statistics come as ``(k, n, n)``, their products as ``(k, k, n, n)``. The product of
    neighbours is odd in each of them, so that T times it has the other part of T.
    """
    bond = (site[:, :, None] + site[:, None, :]) / 2
    neighbours = np.multiply.outer(operator.points, operator.points)
    statistics = np.concatenate([bond, neighbours[None]])
    same, other = (operator.even, operator.odd)[:: 1 if parity > 0 else -1]
    is_odd = np.arange(len(statistics)) == len(site)
    first = np.where(is_odd[:, None, None], other, same) * statistics
    mixed = is_odd[:, None] ^ is_odd
    second = np.where(mixed[..., None, None], other, same) * statistics[:, None] * statistics
    return same, first, second


def _ring(operator: TransferOperator, site: np.ndarray, n_sites: int) -> Moments:
    """Traces over the ring of 1, of the statistics and of their products."""
    even = _sector(operator, site, n_sites, 1, *operator.even_states)
    odd = _sector(operator, site, n_sites, -1, *operator.odd_states)
    return even[0] + odd[0], even[1] + odd[1], even[2] + odd[2]


def _sector(
    operator: TransferOperator,
    site: np.ndarray,
    n_sites: int,
    parity: int,
    values: np.ndarray,
    states: np.ndarray,
) -> Moments:
    """What the even or the odd states give to the traces."""
    _, first, second = _bond_operators(operator, site, parity)
    elements = states.T @ first @ states
    around = states * values ** (n_sites - 1) @ states.T
    powers = values ** np.arange(n_sites - 1)[:, None]
    # two different bonds cut the ring into stretches of r and N - 2 - r bonds
    apart = powers.T @ powers[::-1]
    pairs = np.einsum("ikl,jlk,kl->ij", elements, elements, apart, optimize=True)
    traces = np.einsum("ikk,k->i", elements, values ** (n_sites - 1))
    squares = np.tensordot(second, around, 2)
    return np.sum(values**n_sites), n_sites * traces, n_sites * (squares + pairs)


def _open(operator: TransferOperator, site: np.ndarray, n_bonds: int, end: np.ndarray) -> Moments:
    """Sums over the open chain of 1, of the statistics and of their products, site after site."""
    part, first, second = _bond_operators(operator, site, 1)
    at_end = np.concatenate([site / 2, np.zeros_like(end)[None]])
    nothing = np.zeros_like(at_end), np.zeros((len(at_end), *at_end.shape))
    state = _with_end((end, *nothing), at_end)
    for _ in range(n_bonds):
        cross = np.einsum("iab,jb->ija", first, state[1])
        state = (
            part @ state[0],
            first @ state[0] + state[1] @ part,
            second @ state[0] + cross + np.swapaxes(cross, 0, 1) + state[2] @ part,
        )
    weight, mean, square = (moment @ end for moment in _with_end(state, at_end))
    return weight, mean, square


def _with_end(state: Iterable[np.ndarray], statistics: np.ndarray) -> tuple[np.ndarray, ...]:
    """Moments of a stretch of chain with the statistics ``(k, n)`` of its last site added.

    They are ``(n,)``, ``(k, n)`` and ``(k, k, n)`` over the field at the last site.
    """
    weight, first, second = state
    cross = statistics[:, None] * first
    products = statistics[:, None] * statistics * weight
    return weight, first + statistics * weight, second + cross + np.swapaxes(cross, 0, 1) + products
