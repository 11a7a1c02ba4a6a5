"""Tensor renormalization of models on a square lattice: higher-order singular values (HOTRG)."""

import dataclasses
import math

import numpy as np
import pandas as pd
from jaxtyping import Float

from rgkit import _validation as check

LARGEST_BOND_DIMENSION = 32
N_DIMENSIONS = 3


@dataclasses.dataclass(frozen=True, eq=False)
class TensorFlow:
    r"""What repeated contraction of a tensor leaves: a row for each step.

    Attributes:
        table: ``step``; ``sites``, :math:`2^{step}`; ``log_partition``, :math:`\ln Z` per site of
            a torus of so many sites; ``discarded``, the share of weight that the truncation of the
            step threw away; and on square tori, after even steps, ``dimension_1``, ..., the scaling
            dimensions :math:`x_i = -\ln(\lambda_i/\lambda_0)/2\pi` that the transfer matrix of the
            tensor shows at a critical point (missing on others).
        tensor: the last one, ``(d, d, d, d)``, with largest entry 1.
    """

    table: pd.DataFrame
    tensor: Float[np.ndarray, "l r u d"]


def ising_tensor(coupling: check.Real) -> Float[np.ndarray, "2 2 2 2"]:
    r"""The tensor of one site of the square Ising lattice, whose contraction is its Z.

    :math:`T_{lrud} = \sum_s W_{sl} W_{sr} W_{su} W_{sd}` with :math:`W W^T` the Boltzmann factor of
    a bond, :math:`e^{K s s'}`.

    Arguments:
        coupling: K, dimensionless, not negative.

    Raises:
        TypeError, ValueError: naming the argument.
    """
    coupling = check.real("coupling", coupling)
    if coupling < 0:
        raise ValueError(
            f"coupling must not be negative, got {coupling}: W would be complex. On an even "
            "lattice flip every other spin instead, which changes the sign of K."
        )
    even, odd = math.sqrt(math.cosh(coupling)), math.sqrt(math.sinh(coupling))
    bond = np.array([[even, odd], [even, -odd]])
    return np.einsum("sl,sr,su,sd->lrud", bond, bond, bond, bond)


def hotrg(
    tensor: Float[np.ndarray, "l r u d"], *, bond_dimension: check.Integer, steps: check.Integer
) -> TensorFlow:
    r"""Renormalize a tensor: join two, keep the best part of the doubled bond, turn, repeat.

    Two tensors, one above the other, have left and right bonds of dimension :math:`d^2`. Of these
    the space of the largest singular values of the pair is kept, ``bond_dimension`` of them, as
    seen from the left or the right, whichever loses less. After two steps the lattice has a
    quarter of its sites.

    Arguments:
        tensor: ``(d, d, d, d)`` with the bonds left, right, up, down, of a model on a square
            lattice whose left and right bonds match, and up and down; `ising_tensor` for example.
        bond_dimension: the most that is kept, at most 32; time grows as its seventh power (16 take
            some seconds for 30 steps).
        steps: how often the number of sites doubles.

    Raises:
        TypeError, ValueError: naming the argument.

    Reference: Z. Y. Xie, J. Chen, M. P. Qin, J. W. Zhu, L. P. Yang, T. Xiang, Phys. Rev. B 86,
    045139 (2012), doi:10.1103/PhysRevB.86.045139; Z.-C. Gu, X.-G. Wen, Phys. Rev. B 80, 155131
    (2009), doi:10.1103/PhysRevB.80.155131 (scaling dimensions).
    """
    tensor = np.asarray(tensor, float)
    left, right, up, down = tensor.shape if tensor.ndim == 4 else (0, 1, 0, 1)
    if left != right or up != down or not np.isfinite(tensor).all():
        raise ValueError(
            f"tensor must be finite, of shape (d, d, e, e): bonds left, right, up, down, got shape "
            f"{tensor.shape}."
        )
    kept = check.positive_integer("bond_dimension", bond_dimension, 2)
    if kept > LARGEST_BOND_DIMENSION:
        raise ValueError(
            f"bond_dimension = {kept} is too large, since time grows as its seventh power: use at "
            f"most {LARGEST_BOND_DIMENSION}."
        )
    log_partition, rows = 0.0, []
    for step in range(1, check.positive_integer("steps", steps) + 1):
        tensor, discarded = _joined(tensor, kept)
        tensor = tensor.transpose(2, 3, 0, 1)
        largest = np.abs(tensor).max()
        tensor = tensor / largest
        log_partition += math.log(largest) / 2**step
        traced = math.log(np.einsum("llud->ud", tensor).trace()) / 2**step
        row = {"step": step, "sites": 2**step, "log_partition": log_partition + traced}
        dimensions = _dimensions(tensor) if step % 2 == 0 else np.full(N_DIMENSIONS, np.nan)
        row |= {"discarded": discarded}
        row |= {f"dimension_{i + 1}": float(x) for i, x in enumerate(dimensions)}
        rows.append(row)
    return TensorFlow(pd.DataFrame(rows), tensor)


def _joined(tensor, kept):
    """Two tensors, one above the other, as one with shortened bonds left and right."""
    seen = [_isometry(tensor, kept), _isometry(tensor.transpose(1, 0, 2, 3), kept)]
    isometry, discarded = min(seen, key=lambda pair: pair[1])
    half = np.tensordot(isometry, tensor, ((0,), (0,)))  # l2 l r1 u k
    half = np.tensordot(half, tensor, ((0, 4), (0, 2)))  # l r1 u r2 d
    return np.tensordot(half, isometry, ((1, 3), (0, 1))).transpose(0, 3, 1, 2), discarded


def _isometry(tensor, kept):
    """The best part of the doubled left bond, ``(d, d, kept)``, and the share that it misses."""
    above = np.tensordot(tensor, tensor, ((1, 2), (1, 2)))  # l1 k l1' k'
    below = np.tensordot(tensor, tensor, ((1, 3), (1, 3)))  # l2 k l2' k'
    square = np.tensordot(above, below, ((1, 3), (1, 3)))  # l1 l1' l2 l2'
    d = len(square)
    values, vectors = np.linalg.eigh(square.transpose(0, 2, 1, 3).reshape(d * d, d * d))
    values, vectors = values[::-1], vectors[:, ::-1]
    missed = max(float(values[kept:].sum() / values.sum()), 0.0)
    return vectors[:, :kept].reshape(d, d, -1), missed


def _dimensions(tensor):
    """From the transfer matrix of the tensor, closed in one direction; two rows at least."""
    values = np.linalg.eigvals(np.einsum("lruu->lr", tensor))
    sizes = np.sort(np.abs(values))[::-1][: N_DIMENSIONS + 1]
    with np.errstate(divide="ignore"):
        found = -np.log(sizes[1:] / sizes[0]) / (2 * np.pi)
    found = np.where(np.isfinite(found), found, np.nan)
    return np.pad(found, (0, N_DIMENSIONS - len(found)), constant_values=np.nan)
