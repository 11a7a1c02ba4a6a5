"""The law of feature spins: entropies, divergences and effective couplings."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
from scipy.special import rel_entr, xlogy

from rgkit.enumeration import spin_configurations, spins_of, subsets
from rgkit.laws.walsh_hadamard import walsh_hadamard

MAX_COUPLED_FEATURES = 10


@dataclasses.dataclass(frozen=True)
class SpinLaw:
    """The law q of n feature spins, with what is known of the noise that the kernel adds.

    Arguments:
        probabilities: ``(2**n,)`` float64; outcome i has spin j equal to +1 if bit j of i is 0, else -1.
        conditional_entropy: ``H(y|x)`` in nats (zero for a deterministic map).
        covariance: covariance matrix ``(2**n, 2**n)`` of sampled probabilities; None for an exact law.
    """

    probabilities: np.ndarray
    conditional_entropy: float = 0.0
    covariance: np.ndarray | None = None

    @property
    def n_features(self) -> int:
        return len(self.probabilities).bit_length() - 1

    @property
    def standard_errors(self) -> np.ndarray | None:
        """Standard errors of the probabilities, ``(2**n,)``; None for an exact law."""
        return None if self.covariance is None else np.sqrt(np.diag(self.covariance))

    def entropy(self) -> float:
        """``H(y)`` in nats."""
        return float(-xlogy(self.probabilities, self.probabilities).sum())

    def information(self) -> float:
        """``I(x;y) = H(y) - H(y|x)`` in nats."""
        return self.entropy() - self.conditional_entropy

    def gap(self) -> float:
        """``G = n ln 2 - I(x;y)`` in nats: capacity less information, ``D(q||u_n) + H(y|x)``."""
        return self.n_features * float(np.log(2)) - self.information()

    def _reference(self, reference):
        if reference is None:
            return np.full_like(self.probabilities, 1 / len(self.probabilities))
        reference = np.asarray(getattr(reference, "probabilities", reference), dtype=float)
        if reference.shape != self.probabilities.shape:
            raise ValueError(
                f"reference must have shape {self.probabilities.shape}, got {reference.shape}."
            )
        return reference

    def divergence(self, reference=None) -> float:
        """Kullback-Leibler divergence ``D(q||reference)`` in nats, to the uniform law unless a law is given.

        Infinite where the reference misses a state of q. A sampled law's estimate is corrected for its bias to
        first order in one over the number of samples, so it may come out slightly negative.
        """
        value = float(rel_entr(self.probabilities, self._reference(reference)).sum())
        return (
            value
            if self.covariance is None
            else value - float(np.trace(self._relative_covariance())) / 2
        )

    def divergence_standard_error(self, reference=None) -> float:
        """Standard error of `divergence`, by the delta method to second order; zero for an exact law."""
        if self.covariance is None:
            return 0.0
        slope = np.where(
            self.probabilities > 0,
            np.log(np.maximum(self.probabilities, 1e-300) / self._reference(reference)),
            0,
        )
        quadratic = self._relative_covariance()
        return float(np.sqrt(slope @ self.covariance @ slope + np.sum(quadratic * quadratic.T) / 2))

    def _relative_covariance(self) -> np.ndarray:
        scale = np.sqrt(
            np.divide(
                1,
                self.probabilities,
                out=np.zeros_like(self.probabilities),
                where=self.probabilities > 0,
            )
        )
        return self.covariance * np.outer(scale, scale)

    def couplings(self) -> pd.DataFrame:
        r"""All effective couplings, :math:`\ln q(y) = \sum_S K_S \prod_{j \in S} y_j`, for at most 10 features.

        Returns:
            A table with columns ``subset`` (tuple of features), ``order`` and ``value``, for a sampled law
            ``standard_error`` too; the empty subset holds the constant.

        Raises:
            ValueError: for more than 10 features, or where a state has probability zero (its log is no coupling).
        """
        if self.n_features > MAX_COUPLED_FEATURES:
            raise ValueError(
                f"couplings() lists all 2**n couplings for n <= {MAX_COUPLED_FEATURES}, this law has n = "
                f"{self.n_features}: use `correlations`, or a kernel with fewer features."
            )
        names = subsets(self.n_features)
        table = pd.DataFrame(
            {"subset": names, "order": [len(s) for s in names], "value": self._coupling_values()}
        )
        if self.covariance is not None:
            slopes = walsh_hadamard(np.diag(1 / self.probabilities)) / len(self.probabilities)
            table["standard_error"] = np.sqrt(
                np.einsum("ys,yz,zs->s", slopes, self.covariance, slopes)
            )
        return table

    def _coupling_values(self) -> np.ndarray:
        empty = np.flatnonzero(self.probabilities <= 0)
        if len(empty):
            state = np.asarray(spins_of(empty[0], self.n_features), int).tolist()
            raise ValueError(
                f"{len(empty)} of {len(self.probabilities)} feature states have probability zero (state {state} is one): "
                "their couplings are infinite. Use a soft channel, or `correlations` and `divergence`, which stay finite."
            )
        return walsh_hadamard(np.log(self.probabilities)) / len(self.probabilities)

    def pair_couplings(self) -> np.ndarray:
        """Two-spin couplings ``K_{jk}`` among all the couplings, symmetric ``(n, n)`` with zero diagonal."""
        values, matrix = self._coupling_values(), np.zeros((self.n_features,) * 2)
        for j, k in itertools.combinations(range(self.n_features), 2):
            matrix[j, k] = matrix[k, j] = values[2**j + 2**k]
        return matrix

    def pair_marginal_couplings(self) -> np.ndarray:
        """``artanh <y_j y_k>``, symmetric ``(n, n)`` with zero diagonal: the coupling of the two spins seen alone.

        Infinite where two features always agree or always differ. Unlike `pair_couplings` it needs no full support.
        """
        correlations = np.clip(self.correlations(), -1, 1)
        np.fill_diagonal(correlations, 0)
        with np.errstate(divide="ignore"):
            return np.arctanh(correlations)

    def marginal_fields(self) -> np.ndarray:
        """``artanh <y_j>``, ``(n,)``: the field on each spin seen alone; infinite where a feature is constant."""
        with np.errstate(divide="ignore"):
            return np.arctanh(np.clip(self.means(), -1, 1))

    def means(self) -> np.ndarray:
        """``<y_j>``, ``(n,)``."""
        return self.probabilities @ spin_configurations(self.n_features)

    def correlations(self) -> np.ndarray:
        """``<y_j y_k>``, not connected, ``(n, n)`` with unit diagonal."""
        spins = spin_configurations(self.n_features).astype(float)
        return spins.T @ (self.probabilities[:, None] * spins)
