"""The law of feature spins: entropies, divergences and effective couplings."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import rel_entr, xlogy

from rgkit import _validation
from rgkit.enumeration import spin_configurations, spins_of, subsets
from rgkit.laws.base import Measurement
from rgkit.laws.walsh_hadamard import walsh_hadamard
from rgkit.systems.base import System, full_law, is_enumerable

MAX_COUPLED_FEATURES = 10
ROUNDING = 1e-5  # of entropies that a float32 kernel made


@dataclasses.dataclass(frozen=True, eq=False)
class SpinLaw:
    """The law q of n feature spins, with what is known of the noise that the kernel adds.

    Arguments:
        probabilities: ``(2**n,)``; outcome i has spin j equal to +1 if bit j of i is 0, else -1.
        conditional_entropy: ``H(y|x)`` in nats (zero for a deterministic map), at most ``H(y)``.
        covariance: covariance matrix ``(2**n, 2**n)`` of sampled probabilities; None for an exact
            law.

    Raises:
        TypeError, ValueError: where the probabilities are negative, do not sum to 1 within 1e-9 or
            are not ``2**n``; where the others do not fit them.
    """

    probabilities: Float[np.ndarray, " outcomes"]
    conditional_entropy: float = 0.0
    covariance: Float[np.ndarray, "outcomes outcomes"] | None = None

    def __post_init__(self):
        law = _validation.probabilities("probabilities", self.probabilities)
        object.__setattr__(self, "probabilities", law)
        object.__setattr__(self, "conditional_entropy", self._checked_noise())
        if self.covariance is not None:
            covariance = np.asarray(self.covariance, float)
            if covariance.shape != (len(law), len(law)) or not np.isfinite(covariance).all():
                raise ValueError(
                    f"covariance must be finite numbers of shape ({len(law)}, {len(law)}), got "
                    f"shape {covariance.shape}: pass that of the estimates, or None for an exact "
                    "law."
                )
            object.__setattr__(self, "covariance", covariance)

    def _checked_noise(self) -> float:
        noise = _validation.real("conditional_entropy", self.conditional_entropy)
        if not -ROUNDING <= noise <= self.entropy() + ROUNDING:
            raise ValueError(
                f"conditional_entropy must lie between 0 and H(y) = {self.entropy():.6g} nats, got "
                f"{noise:.6g}: pass the mean entropy of y given x in nats."
            )
        return max(0.0, noise)

    @property
    def n_features(self) -> int:
        """The number of features n."""
        return len(self.probabilities).bit_length() - 1

    @property
    def standard_errors(self) -> Float[np.ndarray, " outcomes"] | None:
        """Standard errors of the probabilities, ``(2**n,)``; None for an exact law."""
        return None if self.covariance is None else np.sqrt(np.diag(self.covariance))

    def entropy(self) -> float:
        """``H(y)`` in nats."""
        return max(0.0, float(-xlogy(self.probabilities, self.probabilities).sum()))

    def information(self) -> float:
        """``I(x;y) = H(y) - H(y|x)`` in nats."""
        return self.entropy() - self.conditional_entropy

    def gap(self) -> float:
        """``G = n ln 2 - I(x;y)`` in nats: capacity less information, ``D(q||u_n) + H(y|x)``."""
        return self.n_features * float(np.log(2)) - self.information()

    def _reference(self, reference: Any) -> Float[np.ndarray, " outcomes"]:
        """The probabilities of a reference, or the reason why it has none."""
        if reference is None:
            return np.full_like(self.probabilities, 1 / len(self.probabilities))
        if isinstance(reference, System):
            if not is_enumerable(reference):
                raise TypeError(
                    f"reference must list its configurations, {type(reference).__name__} does not: "
                    "pass a rgkit.IsingChain, say, or probabilities."
                )
            if reference.n_sites != self.n_features:
                raise ValueError(
                    f"reference must have n_sites = {self.n_features}, one for each feature, got "
                    f"{reference.n_sites}: pass one with n_sites={self.n_features}."
                )
            return full_law(reference)
        law = np.asarray(getattr(reference, "probabilities", reference))
        if law.shape != self.probabilities.shape:
            raise ValueError(
                f"reference must have shape {self.probabilities.shape}, got {law.shape}: pass a "
                f"law of {self.n_features} spins."
            )
        return _validation.probabilities("reference", law)

    def divergence(self, reference: Any = None) -> Measurement:
        """Kullback-Leibler divergence ``D(q||reference)`` in nats, from the uniform law by default.

        Infinite where the reference misses a state of q. A sampled law's estimate is corrected for
        its bias to first order in one over the number of samples, so it may come out slightly
        negative.

        Arguments:
            reference: None for the uniform law; another `SpinLaw`; a system of n sites that lists
                its configurations, such as an `IsingChain`; or probabilities ``(2**n,)``.

        Returns:
            The divergence; its standard error is that of `divergence_standard_error`.

        Raises:
            TypeError, ValueError: for a reference that is no law of n spins.
        """
        other = self._reference(reference)
        value = float(rel_entr(self.probabilities, other).sum())
        if self.covariance is None:
            return Measurement(max(0.0, value))
        bias = float(np.trace(self._relative_covariance())) / 2
        return Measurement(value - bias, self._divergence_error(other), "sampled, less its bias")

    def divergence_standard_error(self, reference: Any = None) -> float:
        """Standard error of `divergence`, by the delta method to second order.

        Zero for an exact law, and where the divergence is infinite.
        """
        return self._divergence_error(self._reference(reference))

    def _divergence_error(self, reference: Float[np.ndarray, " outcomes"]) -> float:
        used = self.probabilities > 0
        if self.covariance is None or np.any(used & (reference == 0)):
            return 0.0
        slope = np.zeros_like(self.probabilities)
        slope[used] = np.log(self.probabilities[used]) - np.log(reference[used])
        quadratic = self._relative_covariance()
        return float(np.sqrt(slope @ self.covariance @ slope + np.sum(quadratic * quadratic.T) / 2))

    def _relative_covariance(self) -> Float[np.ndarray, "outcomes outcomes"]:
        assert self.covariance is not None
        p = self.probabilities
        scale = np.sqrt(np.divide(1, p, out=np.zeros_like(p), where=p > 0))
        return self.covariance * np.outer(scale, scale)

    def couplings(self) -> pd.DataFrame:
        r"""All effective couplings, :math:`\ln q(y) = \sum_S K_S \prod_{j \in S} y_j`.

        Returns:
            A table with columns ``subset`` (tuple of features), ``order`` and ``value``, for a
            sampled law ``standard_error`` too; the empty subset holds the constant.

        Raises:
            ValueError: for more than 10 features, or where a state has probability zero (its log is
                no coupling).
        """
        if self.n_features > MAX_COUPLED_FEATURES:
            raise ValueError(
                f"couplings() lists all 2**n couplings for n <= {MAX_COUPLED_FEATURES}, this law "
                f"has n = {self.n_features}: use `correlations`, or a kernel with fewer features."
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

    def _coupling_values(self) -> Float[np.ndarray, " subsets"]:
        empty = np.flatnonzero(self.probabilities <= 0)
        if len(empty):
            state = np.asarray(spins_of(empty[0], self.n_features), int).tolist()
            raise ValueError(
                f"{len(empty)} of {len(self.probabilities)} feature states have probability zero "
                f"(state {state} is one): their couplings are infinite. Use a soft channel, or "
                "`correlations` and `divergence`, which stay finite."
            )
        return walsh_hadamard(np.log(self.probabilities)) / len(self.probabilities)

    def pair_couplings(self) -> Float[np.ndarray, "n n"]:
        """Two-spin couplings ``K_{jk}`` among all the couplings, symmetric with zero diagonal.

        Raises:
            ValueError: where a state has probability zero.
        """
        values, matrix = self._coupling_values(), np.zeros((self.n_features,) * 2)
        for j, k in itertools.combinations(range(self.n_features), 2):
            matrix[j, k] = matrix[k, j] = values[2**j + 2**k]
        return matrix

    def pair_marginal_couplings(self) -> Float[np.ndarray, "n n"]:
        """``artanh <y_j y_k>``, symmetric with zero diagonal: the coupling of two spins seen alone.

        Infinite where two features always agree or always differ. Unlike `pair_couplings` it needs
        no full support.
        """
        correlations = self.correlations()
        np.fill_diagonal(correlations, 0)
        with np.errstate(divide="ignore"):
            return np.arctanh(correlations)

    def marginal_fields(self) -> Float[np.ndarray, " n"]:
        """``artanh <y_j>``: the field on each spin seen alone; infinite for a constant feature."""
        with np.errstate(divide="ignore"):
            return np.arctanh(self.means())

    def means(self) -> Float[np.ndarray, " n"]:
        """``<y_j>``, ``(n,)``, in [-1, 1]."""
        return np.clip(self.probabilities @ spin_configurations(self.n_features), -1, 1)

    def correlations(self) -> Float[np.ndarray, "n n"]:
        """``<y_j y_k>``, not connected, ``(n, n)`` in [-1, 1] with unit diagonal."""
        spins = spin_configurations(self.n_features).astype(float)
        correlations = np.clip(spins.T @ (self.probabilities[:, None] * spins), -1, 1)
        np.fill_diagonal(correlations, 1)
        return correlations
