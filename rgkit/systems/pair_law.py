"""The joint law of two partners, and what the best feature of one tells about the other."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg
from jaxtyping import ArrayLike, Float

from rgkit import _validation as check
from rgkit.systems.measures import real_array

Numbers = ArrayLike | Sequence[Any]
ASYMMETRY = 1e-9
# states of smaller probability do not enter the spectrum: they change it by less than rounding
LEAST_PROBABILITY = 1e-22
SHARP = 1e-6


@dataclasses.dataclass(frozen=True)
class Spectrum:
    r"""Maximal correlations of two partners, largest first, without the trivial one of constants.

    Attributes:
        correlations: :math:`\rho_1 \ge \rho_2 \ge \dots`, ``(k,)``.
        features: the functions :math:`\psi_j` that attain them, ``(states, k)``, with mean 0 and
            mean square 1, :math:`\psi_1` growing on average with the values of the states.
    """

    correlations: Float[np.ndarray, " k"]
    features: Float[np.ndarray, "states k"]


@dataclasses.dataclass(frozen=True, eq=False)
class PairLaw:
    r"""The joint law :math:`P(s, s')` of two partners with the same states, symmetric.

    A feature f of both has the correlation :math:`\mathbb{E}[f f'] / \mathbb{E}[f^2]` at mean zero.
    Its maximum, the maximal correlation, is the second eigenvalue of the operator
    :math:`(Tf)(s) = \mathbb{E}[f(s') \mid s]`.

    Arguments:
        values: a number for each state, ``(states,)``, such as the sum of a block.
        joint: weights, ``(states, states)``, not negative and symmetric; they are divided by their
            sum.

    Raises:
        TypeError, ValueError: where they are not such arrays.

    Reference: A. Renyi, Acta Math. Acad. Sci. Hung. 10, 441 (1959), doi:10.1007/BF02024507.
    """

    values: Float[np.ndarray, " states"]
    joint: Float[np.ndarray, "states states"]

    def __init__(self, values: Numbers, joint: Numbers):
        states, weights = real_array("values", values), real_array("joint", joint)
        if states.ndim != 1 or weights.shape != (len(states), len(states)) or len(states) < 2:
            raise ValueError(
                f"joint must be (states, states) for values of shape (states,), at least 2, got "
                f"{weights.shape} and {states.shape}: pass a weight for each pair of states."
            )
        if not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
            raise ValueError("joint must be weights, not negative, finite and not all zero.")
        weights = weights / weights.sum()
        if np.abs(weights - weights.T).max() > ASYMMETRY:
            raise ValueError(
                "joint must be symmetric: partners can be exchanged. Pass (joint + joint.T) / 2 "
                "where either of two is the partner of the other."
            )
        marginal = weights.sum(1)
        if (marginal > LEAST_PROBABILITY).sum() < 2:
            raise ValueError(
                "joint must give at least two states a probability: a constant tells nothing."
            )
        object.__setattr__(self, "values", states)
        object.__setattr__(self, "joint", (weights + weights.T) / 2)

    @property
    def marginal(self) -> Float[np.ndarray, " states"]:
        """The law of one partner, ``(states,)``."""
        return self.joint.sum(1)

    @functools.cached_property
    def _likely(self) -> np.ndarray:
        return self.marginal > LEAST_PROBABILITY

    def spectrum(self, k: check.Integer = 3) -> Spectrum:
        r"""The largest k maximal correlations and their features.

        On states of no probability a feature is nan.

        Arguments:
            k: how many; where there are fewer states, as many as there are.

        Raises:
            TypeError, ValueError: where it is no integer of at least 1.
        """
        likely = self._likely
        joint, root = self.joint[np.ix_(likely, likely)], np.sqrt(self.marginal[likely])
        n = len(root)
        k = min(check.positive_integer("k", k), n - 1)
        # sqrt(p) is the eigenvector of constants: moved from 1 to -1, out of the way of the others
        matrix = joint / root[:, None] / root - 2 * np.outer(root, root)
        correlations, vectors = scipy.linalg.eigh(
            (matrix + matrix.T) / 2, subset_by_index=(n - k, n - 1)
        )
        correlations, features = correlations[::-1], vectors[:, ::-1] / root[:, None]
        # rare states are computed from likely ones, where the vector has its digits
        sharp = np.abs(correlations) > SHARP
        features[:, sharp] = (joint / (root**2)[:, None]) @ features[:, sharp]
        features -= root**2 @ features
        features /= np.sqrt(root**2 @ features**2)
        features *= np.where((root**2 * self.values[likely]) @ features < 0, -1, 1)
        every = np.full((len(self.values), k), np.nan)
        every[likely] = features
        return Spectrum(correlations, every)

    def correlation(self, feature: Numbers) -> float:
        """The correlation of a feature with itself on the partner.

        Arguments:
            feature: ``(states,)``; nan is allowed where the state has no probability.

        Raises:
            TypeError, ValueError: for another shape, or a constant.
        """
        f, joint = self._standardized(feature), self.joint[np.ix_(self._likely, self._likely)]
        return float(f @ joint @ f)

    def overlap(self, feature: Numbers, other: Numbers) -> float:
        """The correlation of two features of one partner.

        Arguments:
            feature, other: ``(states,)`` each.

        Raises:
            TypeError, ValueError: for another shape, or a constant.
        """
        weights = self.marginal[self._likely]
        return float(weights @ (self._standardized(feature) * self._standardized(other)))

    def kurtosis(self, feature: Numbers) -> float:
        """The excess kurtosis of a feature: 0 for a normal law, -2 for two points.

        Arguments:
            feature: ``(states,)``.

        Raises:
            TypeError, ValueError: for another shape, or a constant.
        """
        return float(self.marginal[self._likely] @ self._standardized(feature) ** 4) - 3

    def mutual_information(self) -> float:
        """The information that one partner has about the other, in nats."""
        product = np.outer(self.marginal, self.marginal)
        some = self.joint > 0
        return float(self.joint[some] @ np.log(self.joint[some] / product[some]))

    def pushed(self, kernel: Numbers, values: Numbers) -> "PairLaw":
        """The law of the pair after the same kernel on both partners.

        Arguments:
            kernel: the probability of each new state given each old one, ``(states, new)``.
            values: a number for each new state, ``(new,)``.

        Raises:
            TypeError, ValueError: where the kernel is no such matrix.
        """
        kernel = real_array("kernel", kernel)
        if kernel.ndim != 2 or len(kernel) != len(self.values) or (kernel < 0).any():
            raise ValueError(
                f"kernel must be probabilities ({len(self.values)}, new), got {kernel.shape}."
            )
        if np.abs(kernel.sum(1) - 1).max() > ASYMMETRY:
            raise ValueError("kernel must have rows that sum to 1: divide each by its sum.")
        return PairLaw(values, kernel.T @ self.joint @ kernel)

    def _standardized(self, feature):
        f = real_array("feature", feature)
        if f.shape != self.values.shape:
            raise ValueError(
                f"feature must have shape {self.values.shape}, got {f.shape}: a number for each "
                "state."
            )
        f, weights = f[self._likely], self.marginal[self._likely]
        f = f - weights @ f
        variance = weights @ f**2
        if not variance > 0:
            raise ValueError("feature must vary, and be finite on states that occur.")
        return f / np.sqrt(variance)
