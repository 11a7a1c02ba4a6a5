"""Mean, covariance and entropy along a chain of discrete spins, by stretches given their two ends.

All weights are logarithms, and variances and entropies are sums of positive terms: nothing
overflows, nothing cancels, and what is tiny keeps its digits.
"""

import dataclasses

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True)
class Stretch:
    r"""What is known of the inside of a stretch of chain, for each choice of its end spins.

    Arguments:
        log_weight: ln of the summed weight, ``(...)``; ``(q, q)`` for the end spins s and s'.
        mean: means of the k statistics given the ends, ``(k, ...)``.
        covariance: their covariances given the ends, ``(k, k, ...)``.
        entropy: of the spins inside given the ends, in nats, ``(...)``.
    """

    log_weight: Float[np.ndarray, "..."]
    mean: Float[np.ndarray, "k ..."]
    covariance: Float[np.ndarray, "k k ..."]
    entropy: Float[np.ndarray, "..."]

    @classmethod
    def bond(
        cls, log_weight: Float[np.ndarray, "q q"], statistics: Float[np.ndarray, "k q q"]
    ) -> "Stretch":
        """One bond, whose weight and statistics are functions of its end spins."""
        k, *ends = statistics.shape
        return cls(log_weight, statistics, np.zeros((k, k, *ends)), np.zeros(ends))

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        """Weight, mean, covariance and entropy, whose last axes are the same."""
        return self.log_weight, self.mean, self.covariance, self.entropy

    def then(self, other: "Stretch") -> "Stretch":
        """This stretch and another that begins at its last spin, which is summed out."""
        # axes: s, s', t with t the spin in the middle
        left, right = (..., slice(None), None, slice(None)), (..., None, slice(None), slice(None))
        turned = (np.swapaxes(part, -1, -2) for part in other.parts)
        pairs = zip(self.parts, turned, strict=True)
        return Stretch(*(a[left] + b[right] for a, b in pairs)).mixed()

    def power(self, count: int) -> "Stretch":
        """``count`` equal stretches one after another, by repeated squaring."""
        if count == 1:
            return self
        half = self.power(count // 2)
        square = half.then(half)
        return square.then(self) if count % 2 else square

    def closed(self) -> "Stretch":
        """The ring that this stretch makes where its two ends are the same spin."""
        return Stretch(*(np.diagonal(part, axis1=-2, axis2=-1) for part in self.parts)).mixed()

    def opened(
        self, log_end: Float[np.ndarray, " q"], statistics: Float[np.ndarray, "k q"]
    ) -> "Stretch":
        """The open chain that this stretch is, with a weight and statistics of each end spin."""
        ends = Stretch(
            self.log_weight + np.add.outer(log_end, log_end),
            self.mean + statistics[:, :, None] + statistics[:, None, :],
            self.covariance,
            self.entropy,
        )
        return Stretch(*(part.reshape(*part.shape[:-2], -1) for part in ends.parts)).mixed()

    def mixed(self) -> "Stretch":
        """The mixture over the last axis, each entry with its weight."""
        # of each entry -ln of its probability, with the digits of a probability near 1
        surprise = np.logaddexp.reduce(
            self.log_weight[..., None, :] - self.log_weight[..., :, None], axis=-1
        )
        share = np.exp(-surprise)
        apart = self.mean[..., :, None] - self.mean[..., None, :]
        pairs = share[..., :, None] * share[..., None, :]
        between = np.einsum("i...tu,j...tu,...tu->ij...", apart, apart, pairs) / 2
        # arrays also where no axis is left
        return Stretch(
            np.asarray(np.logaddexp.reduce(self.log_weight, axis=-1)),
            np.sum(share * self.mean, axis=-1),
            np.sum(share * self.covariance, axis=-1) + between,
            np.asarray(np.sum(share * (self.entropy + surprise), axis=-1)),
        )
