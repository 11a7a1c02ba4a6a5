"""The law of real features, known by samples: cumulants, nearest-neighbour entropy, divergence from a reference."""

import dataclasses
import functools
import typing

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.special import chndtrix, digamma, gammaln
from scipy.stats import beta, chi2

from rgkit.systems.scalar import ScalarChain

BATCHES = 16
SMALLEST_SAMPLE = 20 * BATCHES
LOG_2PI_E = float(np.log(2 * np.pi * np.e))


class Measurement(typing.NamedTuple):
    """An estimate in nats (or as said), its standard error, and how it was made."""

    value: float
    standard_error: float
    method: str


@dataclasses.dataclass(frozen=True)
class FieldLaw:
    r"""The law q of n real features, known by independent draws: a row for each configuration.

    Entropies are differential, in nats, by the distances to nearest neighbours (Kozachenko, Leonenko):

    .. math:: H \approx \psi(M) - \psi(k) + \ln c_n + \frac nM \sum_m \ln \epsilon_k(m),

    less the bias that this estimate has for Gaussian noise, which is known exactly. Here :math:`\epsilon_k(m)` is the
    distance from row m to its k-th neighbour and :math:`c_n` the volume of the unit ball. It is applied to every
    feature alone (k = 16), and once more to all (k = 4) after each was mapped to Gaussian scores by its ranks, which leaves
    what the features share unchanged.

    Standard errors come from 16 disjoint batches of rows. To those of entropies and divergences the bias that is left
    is added in quadrature. It is judged by how the two parts of the estimate move from a batch to all rows and by the
    slowest rates, that of a density with an edge: as 1/M for single features, :math:`M^{-1/n}` for what n share.

    Arguments:
        samples: ``(M, n)`` real numbers, M at least 320. Rounding to float32 is undone by uniform noise of its size.
        reference_variance: variance of the white Gaussian that `divergence` refers to; None for the mean square of the
            features, which makes the divergence smallest.

    Raises:
        ValueError, TypeError: naming the argument.

    Reference: L. F. Kozachenko, N. N. Leonenko, Probl. Inf. Transm. 23, 95 (1987); A. Kraskov, H. Stoegbauer,
    P. Grassberger, Phys. Rev. E 69, 066138 (2004), doi:10.1103/PhysRevE.69.066138.
    """

    samples: np.ndarray
    reference_variance: float | None = None

    def __post_init__(self):
        samples = np.asarray(self.samples)
        if samples.ndim != 2 or samples.shape[0] < SMALLEST_SAMPLE or not samples.shape[1]:
            raise ValueError(
                f"samples must have shape (M >= {SMALLEST_SAMPLE}, n), got {samples.shape}: a row a configuration."
            )
        if samples.dtype.kind != "f" or not np.isfinite(samples).all():
            raise ValueError(
                f"samples must be finite floats, got dtype {samples.dtype}: a law of integers has no density."
            )
        if self.reference_variance is not None and not self.reference_variance > 0:
            raise ValueError(
                f"reference_variance must be positive or None, got {self.reference_variance}."
            )
        object.__setattr__(self, "samples", samples)

    @property
    def n_features(self) -> int:
        return self.samples.shape[1]

    def mean(self) -> np.ndarray:
        """``<y_j>``, ``(n,)``."""
        return self.samples.mean(0, dtype=float)

    def covariance(self) -> np.ndarray:
        """Covariance matrix ``(n, n)``."""
        return np.cov(self.samples.astype(float).T).reshape(self.n_features, -1)

    def second_moment(self) -> Measurement:
        """Mean square per feature, ``<|y|^2>/n``."""
        return _mean((self.samples.astype(float) ** 2).mean(1), "mean over rows")

    def neighbour_correlation(self, periodic: bool = True) -> Measurement:
        """Mean covariance of neighbours (in the order given) over the mean variance; on a ring unless told otherwise."""
        if self.n_features < 2:
            raise ValueError(
                "a law of one feature has no neighbours: use a kernel with at least 2 features."
            )
        centred = self.samples - self.mean()
        pairs = (centred * np.roll(centred, -1, axis=1))[:, : None if periodic else -1].mean(1)
        variances = (centred**2).mean(1)
        ratio = pairs.mean() / variances.mean()
        error = _mean((pairs - ratio * variances) / variances.mean(), "").standard_error
        return Measurement(float(ratio), error, "mean over rows")

    def cumulants(self) -> pd.DataFrame:
        """Second, fourth and sixth cumulants and excess kurtosis ``k4/k2**2``, with standard errors over rows.

        Returns:
            A table with a row for each feature and a row "pooled" (central moments averaged over the features), columns
            ``k2``, ``k4``, ``k6``, ``excess_kurtosis`` and each with ``_error``.
        """
        centred = self.samples - self.mean()
        powers = np.stack([centred**p for p in range(7)])
        rows = {j: _cumulants(powers[:, :, j : j + 1]) for j in range(self.n_features)} | {
            "pooled": _cumulants(powers)
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    @functools.cached_property
    def _entropies(self) -> np.ndarray:
        """Entropy of the single features and what they share, ``(17, 2)``: from all rows, then from each batch."""
        random = np.random.default_rng(0)
        return np.array(
            [
                _entropies(rows, random)
                for rows in _with_batches(_undo_rounding(self.samples, random))
            ]
        )

    def entropy(self) -> Measurement:
        """Differential entropy H(y)."""
        return self._measured(self._entropies @ [1, -1])

    def divergence(self, reference=None) -> Measurement:
        r"""Kullback-Leibler divergence :math:`D(q\|p) = -\langle \ln p \rangle_q - H(q)` in nats.

        Arguments:
            reference: None for white Gaussian noise of the law's `reference_variance`; a `ScalarChain` of n sites; or a
                function that gives the log density of rows, ``(M, n)`` to ``(M,)``.
        """
        cross = _cross_entropy(reference, self.reference_variance, self.n_features)
        return self._measured(
            [cross(rows) for rows in _with_batches(self.samples.astype(float))]
            - self._entropies @ [1, -1]
        )

    def _measured(self, estimates):
        drift = self._entropies[1:].mean(0) - self._entropies[0]
        bias = drift @ [1 / (BATCHES - 1), -1 / (BATCHES ** (1 / self.n_features) - 1)]
        error = np.hypot(estimates[1:].std(ddof=1) / BATCHES**0.5, bias)
        return Measurement(float(estimates[0]), float(error), "nearest neighbours")


def _with_batches(rows) -> list[np.ndarray]:
    return [rows, *np.array_split(rows, BATCHES)]


def _mean(values, method):
    return Measurement(float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5), method)


def _cumulants(powers) -> dict[str, float]:
    """Cumulants of ``powers[p] = d**p``, ``(7, M, features)``, and their errors to first order in those of the moments."""
    rows = powers.mean(2)
    m = rows.mean(1)
    # subtracting the sample mean from the data changes a moment in first order too
    moves = [rows[p] - m[p] - p * (m[p - 1] * powers[1]).mean(1) for p in range(1, 7)]
    _, d2, d3, d4, _, d6 = moves
    values = {
        "k2": m[2],
        "k4": m[4] - 3 * m[2] ** 2,
        "k6": m[6] - 15 * m[4] * m[2] - 10 * m[3] ** 2 + 30 * m[2] ** 3,
    }
    values["excess_kurtosis"] = values["k4"] / m[2] ** 2
    slopes = {
        "k2": d2,
        "k4": d4 - 6 * m[2] * d2,
        "k6": d6 - 15 * (m[4] * d2 + m[2] * d4) - 20 * m[3] * d3 + 90 * m[2] ** 2 * d2,
        "excess_kurtosis": (d4 - 2 * m[4] / m[2] * d2) / m[2] ** 2,
    }
    errors = {
        f"{name}_error": float(slope.std(ddof=1) / slope.size**0.5)
        for name, slope in slopes.items()
    }
    return {name: float(value) for name, value in values.items()} | errors


def _cross_entropy(reference, variance, n):
    """The function from rows ``(M, n)`` to ``-<ln p>``."""
    if reference is None:
        return lambda rows: _gaussian_cross_entropy(rows, variance)
    if isinstance(reference, ScalarChain):
        if reference.n_sites != n:
            raise ValueError(
                f"reference must have n_sites = {n}, one for each feature, got {reference.n_sites}."
            )
        constant, potential = reference.log_partition(), reference.parameters
        return lambda rows: (
            constant
            - float(
                np.asarray(reference.statistics(rows), float).mean(0) @ list(potential.values())
            )
        )
    return lambda rows: -float(np.mean(np.asarray(reference(rows), float)))


def _gaussian_cross_entropy(rows, variance):
    second = float(np.mean(rows**2))
    variance = second if variance is None else variance
    return rows.shape[1] / 2 * (np.log(2 * np.pi * variance) + second / variance)


def _undo_rounding(samples, random) -> np.ndarray:
    noise = random.uniform(-0.5, 0.5, samples.shape)
    return samples + noise * np.spacing(np.abs(samples)) if samples.dtype != float else samples


def _entropies(samples, random) -> tuple[float, float]:
    """Sum of the entropies of the single features, and what the features share."""
    spreads = samples.std(0)
    single = (
        sum(_neighbour_entropy(column[:, None], 16) for column in (samples / spreads).T)
        + np.log(spreads).sum()
    )
    return float(single), _shared(samples, random) if samples.shape[1] > 1 else 0.0


def _shared(samples, random) -> float:
    """Total correlation ``sum_j H(y_j) - H(y)`` of ``(M, n)``: the divergence from white noise of Gaussian scores."""
    # random scores, since those of a regular grid are more even than draws are, which the neighbours would notice
    scores = np.sort(random.normal(size=samples.shape), axis=0)
    scores = np.take_along_axis(scores, samples.argsort(axis=0).argsort(axis=0), axis=0)
    spread = np.linalg.cholesky(np.cov(scores.T))
    whitened = np.linalg.solve(spread, scores.T).T
    cross = _gaussian_cross_entropy(scores, 1.0)
    return cross - float(np.log(np.diag(spread)).sum()) - _neighbour_entropy(whitened, 4)


def _neighbour_entropy(samples, neighbours) -> float:
    """The estimate of Kozachenko and Leonenko, less its bias for white Gaussian noise."""
    distances = (
        _sorted_distances(samples, neighbours)
        if samples.shape[1] == 1
        else _distances(samples, neighbours)
    )
    if not distances.min() > 0:
        raise ValueError(
            "samples repeat a value: the law has an atom, and no entropy. Add noise to the features (a Gaussian channel), "
            "or dequantise the data with uniform noise of the size of its steps."
        )
    rows, n = samples.shape
    return (
        _constant(rows, n, neighbours)
        + n * float(np.log(distances).mean())
        - _gaussian_bias(rows, n, neighbours)
    )


def _distances(samples, neighbours):
    """Distance of every row to its k-th neighbour."""
    return cKDTree(samples).query(samples, k=[neighbours + 1], workers=-1)[0]


def _sorted_distances(samples, neighbours):
    """The same on a line, where the k neighbours of a point are j to its left and k - j to its right for some j."""
    line = np.sort(samples[:, 0])
    padded = np.pad(line, neighbours, constant_values=(-np.inf, np.inf))
    left, right = (
        (lambda j: line - padded[neighbours - j :][: len(line)]),
        (lambda j: padded[neighbours + j :][: len(line)] - line),
    )
    return functools.reduce(
        np.minimum, (np.maximum(left(j), right(neighbours - j)) for j in range(neighbours + 1))
    )


def _constant(rows, n, neighbours) -> float:
    log_ball = n / 2 * np.log(np.pi) - gammaln(n / 2 + 1)
    return float(digamma(rows) - digamma(neighbours) + log_ball)


@functools.cache
def _gaussian_bias(rows, n, neighbours) -> float:
    """Bias of the neighbour entropy for white Gaussian noise, by quadrature over quantiles.

    The probability of the ball that reaches to the k-th neighbour has a Beta(k, rows - k) law, wherever its centre is.
    """
    nodes, weights = np.polynomial.legendre.leggauss(80)
    # a step that is flat at both ends, since the quantiles have logarithms there
    quantiles, weights = (2 + 3 * nodes - nodes**3) / 4, 3 * (1 - nodes**2) / 4 * weights
    radii, masses = chi2.ppf(quantiles, n), beta.ppf(quantiles, neighbours, rows - neighbours)
    squares = chndtrix(masses[None, :], n, radii[:, None])
    return (
        _constant(rows, n, neighbours)
        + n / 2 * float(weights @ np.log(squares) @ weights)
        - n / 2 * LOG_2PI_E
    )
