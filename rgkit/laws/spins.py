"""The law of the features: pushforward of a system through a kernel; of spins the couplings and divergences."""

import dataclasses
import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.linalg import hadamard
from scipy.special import rel_entr, xlogy

from rgkit import _validation
from rgkit.enumeration import Enumeration, sum_over_rows
from rgkit.kernels.base import BlockAverage, Decimation, Kernel, outcome_spins
from rgkit.kernels.network import FCNetwork, GaussianChannel
from rgkit.laws.fields import FieldLaw
from rgkit.systems.ising import spin_configurations
from rgkit.systems.scalar import ScalarChain

CHUNK_ROWS = 2**15
MAX_COUPLED_FEATURES = 10
SPINS_AT_ONCE, SMALL_ROWS, SMALL_COLUMNS = 4, 32, 128  # of walsh_hadamard


def walsh_hadamard(values) -> np.ndarray:
    r"""Fast Walsh-Hadamard transform, :math:`\hat v_S = \sum_y v(y) \prod_{j \in S} y_j`, in ``n 2**n`` additions.

    Arguments:
        values: ``(..., 2**n)``, indexed as outcomes: spin j is +1 where bit j of the index is 0.

    Returns:
        ``(..., 2**n)`` float64; bit j of the index of S says whether j is in S. Applied twice it multiplies by ``2**n``.
    """
    source = np.array(values, dtype=float, order="C")
    if source.shape[-1] & (source.shape[-1] - 1) or not source.shape[-1]:
        raise ValueError(
            f"values must have 2**n entries in their last axis, got {source.shape[-1]}."
        )
    n, target = source.shape[-1].bit_length() - 1, np.empty_like(source)
    for first in range(0, n, SPINS_AT_ONCE):
        _transform_spins(source, target, first, min(SPINS_AT_ONCE, n - first))
        source, target = target, source
    return source


def _transform_spins(source, target, first, count):
    """Transform in the spins ``first, ..., first + count - 1``: products of small matrices, which stay in the cache."""
    matrix = hadamard(2**count, float)
    if not first:
        shape = -1, math.gcd(source.size // 2**count, SMALL_ROWS), 2**count
        np.matmul(source.reshape(shape), matrix, out=target.reshape(shape))
        return
    width = min(2**first, SMALL_COLUMNS)
    source, target = (
        a.reshape(-1, 2**count, 2**first // width, width).swapaxes(1, 2) for a in (source, target)
    )
    np.matmul(matrix, source, out=target)


def subsets(n: int) -> list[tuple[int, ...]]:
    """The subsets of ``range(n)`` in the order of `walsh_hadamard`."""
    return [tuple(j for j in range(n) if index >> j & 1) for index in range(2**n)]


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
            state = np.asarray(outcome_spins(empty[0], self.n_features), int).tolist()
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


def pushforward(
    system, kernel: Kernel, *, n_samples: int | None = None, key=None
) -> SpinLaw | FieldLaw:
    r"""The law of the features, :math:`q(y) = \sum_x P(y|x)\, p(x)`; for spin features the noise :math:`H(y|x)` too.

    For spins exact by enumeration in bounded memory for at most 24 sites (28 on an accelerator): rows are streamed, sums
    are float64 whatever ``jax_enable_x64`` says, and a network computes in the dtype of its parameters. Otherwise, and for
    fields always, from samples.

    Arguments:
        system: a `rgkit.IsingChain` or `rgkit.ScalarChain`.
        kernel: a `Kernel`: decimation, majority, block average, random map, network.
        n_samples, key: number of samples and a typed JAX key; both or neither, for fields both.

    Returns:
        A `FieldLaw` where fields are decimated or averaged, or go through a Gaussian channel; its reference variance is
        then P + sigma^2, else that of `FieldLaw`. Otherwise a `SpinLaw`.

    Raises:
        ValueError: where the kernel does not fit the system, the system is too large to enumerate, only one of
            ``n_samples`` and ``key`` is given or none where they are needed, or a sampled law of spins has more than 10.
        TypeError: for block averages of spins.
    """
    n, real = kernel.n_features(system.n_sites), _real_features(system, kernel)
    if (n_samples is None) != (key is None):
        raise ValueError(
            "n_samples and key go together: pass both for a sampled law, neither for an exact one."
        )
    if n_samples is None:
        if real or isinstance(system, ScalarChain):
            raise ValueError(
                "fields have no enumeration: pass n_samples and key, such as n_samples=10**5, key=jax.random.key(0)."
            )
        return _enumerate(system, kernel)
    if real:
        return _field_law(system, kernel, n_samples, key)
    if n > MAX_COUPLED_FEATURES:
        raise ValueError(
            f"a sampled law has at most {MAX_COUPLED_FEATURES} features, this kernel has {n}: use fewer."
        )
    return _estimate(kernel, system.sample(key, n_samples), n)


def _real_features(system, kernel) -> bool:
    if isinstance(kernel, FCNetwork):
        return isinstance(kernel.channel, GaussianChannel)
    return isinstance(system, ScalarChain) and isinstance(kernel, Decimation | BlockAverage)


def _field_law(system, kernel, n_samples, key) -> FieldLaw:
    system_key, kernel_key = jax.random.split(_validation.key("key", key))
    y = _draw_features(
        kernel, system.sample(system_key, n_samples), jax.random.split(kernel_key, n_samples)
    )
    variance = (
        kernel.channel.power + kernel.channel.noise if isinstance(kernel, FCNetwork) else None
    )
    return FieldLaw(np.asarray(y), variance)


@eqx.filter_jit
def _draw_features(kernel, x, keys):
    return jax.lax.map(lambda row: kernel.sample(*row), (x, keys), batch_size=CHUNK_ROWS)


def _enumerate(system, kernel) -> SpinLaw:
    weights, rows = system.probabilities(), Enumeration(system.n_sites, CHUNK_ROWS)
    with jax.enable_x64(True):
        law, noise = _push(kernel, rows, weights)
    return SpinLaw(np.array(law), float(noise))


@eqx.filter_jit
def _push(kernel, rows, weights):
    return sum_over_rows(kernel.push, rows, weights)


def _estimate(kernel, samples, n) -> SpinLaw:
    with jax.enable_x64(True):
        sums = [
            _sum_rows(kernel, samples[i : i + CHUNK_ROWS])
            for i in range(0, len(samples), CHUNK_ROWS)
        ]
    law, noise, second = (
        sum(np.asarray(part) for part in parts) / len(samples) for parts in zip(*sums, strict=True)
    )
    return SpinLaw(law, float(noise), (second - np.outer(law, law)) / (len(samples) - 1))


@eqx.filter_jit
def _sum_rows(kernel, x):
    conditional = jnp.exp(jax.vmap(kernel.log_probability)(x).astype(jnp.float64))
    law, noise = kernel.push(x, jnp.ones(len(x), jnp.float64))
    return law, noise, conditional.T @ conditional
