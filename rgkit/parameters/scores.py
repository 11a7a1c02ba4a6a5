r"""Score matching, :math:`\theta = -A^{-1} b`: no partition function is asked for."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from rgkit.enumeration import ROWS_AT_ONCE
from rgkit.parameters.solved_chains import ExactMeans
from rgkit.systems.base import Family

COLLINEAR = 1e-12


@runtime_checkable
class Differentiable(Family, Protocol):
    """A family of real fields that knows the derivatives of its statistics."""

    def statistics_derivatives(
        self, x: Any
    ) -> tuple[Float[np.ndarray, "k M n"], Float[np.ndarray, "k M"]]:
        """Gradients and Laplacians of the statistics of configurations ``(M, n)``."""
        ...


def match_scores(
    data: ExactMeans | Float[np.ndarray, "M n"], family: Differentiable
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k k"]]:
    """``theta = -A^{-1} b`` and its covariance ``A^{-1} C A^{-1} / M``.

    C is the covariance of ``A_m theta + b_m`` over configurations m.
    """
    if isinstance(data, ExactMeans):
        matrix, vector = data.score_terms()
        check_independent(matrix, family)
        return -np.linalg.solve(matrix, vector), np.zeros_like(matrix)
    matrix, vector = _score_terms(data, family)
    check_independent(matrix, family, data)
    inverse = np.linalg.inv(matrix)
    parameters = -inverse @ vector
    return parameters, inverse @ _score_spread(data, family, parameters) @ inverse


def solve_scores(
    samples: Float[np.ndarray, "M n"], family: Differentiable
) -> Float[np.ndarray, " k"]:
    """The estimate alone; of those that fit equally well the smallest."""
    matrix, vector = _score_terms(samples, family)
    return -np.linalg.lstsq(matrix, vector, rcond=None)[0]


def check_independent(
    matrix: Float[np.ndarray, "k k"],
    family: Family,
    samples: Float[np.ndarray, "M n"] | None = None,
) -> None:
    """Refuse a singular Gram matrix of the statistics or of their gradients, naming them."""
    names, size = np.array(list(family.parameters)), np.sqrt(np.diag(matrix))
    if np.any(size == 0):
        raise ValueError(
            f"the statistic of {names[np.argmin(size)]} is constant in samples: take a family "
            "without it."
        )
    values, vectors = np.linalg.eigh(matrix / np.outer(size, size))
    if values[0] < COLLINEAR:
        involved = ", ".join(names[np.abs(vectors[:, 0]) > 0.1])
        far_off = samples is not None and (abs(samples.mean(0)) > samples.std(0)).all()
        mend = (
            "Centre them, samples - samples.mean(0)."
            if far_off
            else "Take a family of lower degree, or more varied configurations."
        )
        raise ValueError(
            f"the statistics of {involved} are collinear in samples (least eigenvalue "
            f"{values[0]:.0e} of their normalised Gram matrix): these samples cannot tell them "
            f"apart. {mend}"
        )


def _derivatives(
    family: Differentiable, samples: Float[np.ndarray, "M n"]
) -> Iterator[tuple[Float[np.ndarray, "k rows n"], Float[np.ndarray, "k rows"]]]:
    for start in range(0, len(samples), ROWS_AT_ONCE):
        gradients, laplacians = family.statistics_derivatives(samples[start : start + ROWS_AT_ONCE])
        yield np.asarray(gradients, float), np.asarray(laplacians, float)


def _score_terms(
    samples: Float[np.ndarray, "M n"], family: Differentiable
) -> tuple[Float[np.ndarray, "k k"], Float[np.ndarray, " k"]]:
    """A ``(k, k)`` and b ``(k,)``."""
    k = len(family.parameters)
    matrix, vector = np.zeros((k, k)), np.zeros(k)
    for gradients, laplacians in _derivatives(family, samples):
        flat = gradients.reshape(k, -1)
        matrix, vector = matrix + flat @ flat.T, vector + laplacians.sum(1)
    return matrix / len(samples), vector / len(samples)


def _score_spread(
    samples: Float[np.ndarray, "M n"],
    family: Differentiable,
    parameters: Float[np.ndarray, " k"],
) -> Float[np.ndarray, "k k"]:
    """Covariance of the mean of ``A_m theta + b_m`` over configurations."""
    spread = np.zeros((len(parameters),) * 2)
    for gradients, laplacians in _derivatives(family, samples):
        residuals = (gradients * np.tensordot(parameters, gradients, 1)).sum(-1) + laplacians
        spread = spread + residuals @ residuals.T
    return spread / len(samples) ** 2
