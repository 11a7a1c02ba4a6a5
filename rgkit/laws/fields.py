"""The law of real features, known by samples: cumulants, entropy, divergence from a reference."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from rgkit import _validation
from rgkit.laws.base import Measurement
from rgkit.laws.neighbour_entropies import (
    check_density,
    gaussian_cross_entropy,
    single_and_shared,
)

BATCHES = 16
SMALLEST_SAMPLE = 20 * BATCHES
LARGEST = 1e50  # its sixth power is a float64


@dataclasses.dataclass(frozen=True, eq=False)
class FieldLaw:
    r"""The law q of n real features, known by independent draws: a row for each configuration.

    Entropies are differential, in nats, by the distances to nearest neighbours (Kozachenko,
    Leonenko):

    .. math:: H \approx \psi(M) - \psi(k) + \ln c_n + \frac nM \sum_m \ln \epsilon_k(m),

    less the bias that this estimate has for Gaussian noise, which is known exactly. Here
    :math:`\epsilon_k(m)` is the distance from row m to its k-th neighbour and :math:`c_n` the
    volume of the unit ball. It is applied to every feature alone (k = 16), and once more to all
    (k = 4) after each was mapped to Gaussian scores by its ranks, which leaves what the features
    share unchanged.

    Standard errors come from 16 disjoint batches of rows. To those of entropies and divergences the
    bias that is left is added in quadrature. It is judged by how the two parts of the estimate move
    from a batch to all rows and by the slowest rates, that of a density with an edge: as 1/M for
    single features, :math:`M^{-1/n}` for what n share.

    Features that are constant, repeat their values or depend linearly on each other have no
    density: `entropy` and `divergence` then raise a ValueError that names them, and moments work.
    Where they depend on each other along a curve, the stated error stays near one nat.

    Arguments:
        samples: ``(M, n)`` real numbers, M at least 320. Rounding to float32 is undone by uniform
            noise of its size.
        reference_variance: variance of the white Gaussian that `divergence` refers to; None for the
            mean square of the features, which makes the divergence smallest.

    Raises:
        ValueError, TypeError: naming the argument; for samples that are spins.

    Reference: L. F. Kozachenko, N. N. Leonenko, Probl. Inf. Transm. 23, 95 (1987); A. Kraskov,
        H. Stoegbauer, P. Grassberger, Phys. Rev. E 69, 066138 (2004),
        doi:10.1103/PhysRevE.69.066138.
    """

    samples: Float[np.ndarray, "M n"]
    reference_variance: float | None = None

    def __post_init__(self):
        object.__setattr__(self, "samples", _checked(self.samples))
        if self.reference_variance is not None:
            variance = _validation.real(
                "reference_variance", self.reference_variance, mend="pass a variance, or None"
            )
            if variance <= 0:
                raise ValueError(
                    f"reference_variance must be positive or None, got {variance}: pass the "
                    "variance of the noise to compare with."
                )
            object.__setattr__(self, "reference_variance", variance)

    @property
    def n_features(self) -> int:
        """The number of features n."""
        return self.samples.shape[1]

    def mean(self) -> Float[np.ndarray, " n"]:
        """``<y_j>``, ``(n,)``."""
        return self.samples.mean(0, dtype=float)

    def covariance(self) -> Float[np.ndarray, "n n"]:
        """Covariance matrix ``(n, n)``."""
        return np.cov(self.samples.astype(float).T).reshape(self.n_features, -1)

    def second_moment(self) -> Measurement:
        """Mean square per feature, ``<|y|^2>/n``."""
        return _mean((self.samples.astype(float) ** 2).mean(1))

    def neighbour_correlation(self, periodic: bool = True) -> Measurement:
        """Mean covariance of neighbours (in the order given) over the mean variance.

        Arguments:
            periodic: whether the last and the first feature are neighbours.

        Raises:
            ValueError: for one feature, or where all features are constant.
        """
        if self.n_features < 2:
            raise ValueError(
                "a law of one feature has no neighbours: use a kernel with at least 2 features."
            )
        centred = self.samples - self.mean()
        last = None if _validation.boolean("periodic", periodic) else -1
        pairs = (centred * np.roll(centred, -1, axis=1))[:, :last].mean(1)
        variances = (centred**2).mean(1)
        if not variances.any():
            raise ValueError(
                "all features are constant, so that they have no correlation: use other samples."
            )
        ratio = pairs.mean() / variances.mean()
        error = _mean((pairs - ratio * variances) / variances.mean()).standard_error
        return Measurement(float(ratio), error, "mean over rows")

    def cumulants(self) -> pd.DataFrame:
        """Cumulants and the excess kurtosis ``k4/k2**2``, with standard errors over rows.

        Returns:
            A table with a row for each feature and a row "pooled" (central moments averaged over
            the features), columns ``k2``, ``k4``, ``k6`` (second, fourth and sixth cumulant),
            ``excess_kurtosis`` (nan where a feature is constant) and each with ``_error``.
        """
        centred = self.samples - self.mean()
        powers = np.stack([centred**p for p in range(7)])
        rows = {j: _cumulants(powers[:, :, j : j + 1]) for j in range(self.n_features)}
        return pd.DataFrame.from_dict(rows | {"pooled": _cumulants(powers)}, orient="index")

    @functools.cached_property
    def _entropies(self) -> Float[np.ndarray, "parts 2"]:
        """Entropy of the single features and what they share: of all rows, then of each batch."""
        check_density(self.samples.astype(float))
        random = np.random.default_rng(0)
        parts = _with_batches(_undo_rounding(self.samples, random))
        return np.array([single_and_shared(rows, random) for rows in parts])

    def entropy(self) -> Measurement:
        """Differential entropy H(y) in nats.

        Raises:
            ValueError: where the rows show that the law has no density.
        """
        return self._measured(self._entropies @ [1, -1])

    def divergence(self, reference: Any = None) -> Measurement:
        r"""Kullback-Leibler divergence :math:`D(q\|p) = -\langle \ln p \rangle_q - H(q)` in nats.

        It is infinite where p is zero at a row.

        Arguments:
            reference: None for white Gaussian noise of the law's `reference_variance`; anything
                with a normalised ``log_density`` of rows, ``(M, n)`` to ``(M,)``, such as a
                `ScalarChain` of n sites; or such a function itself.

        Raises:
            ValueError: where the rows show that the law has no density; for a reference of another
                number of sites, or whose log densities are not ``(M,)`` numbers.
            TypeError: for a reference that has no density.
        """
        own = self._entropies @ [1, -1]
        rows = self.samples.astype(float)
        if reference is None:
            parts = _with_batches(rows)
            cross = [gaussian_cross_entropy(part, self.reference_variance) for part in parts]
        else:
            log_densities = _log_densities(reference, rows)
            if np.any(log_densities == -np.inf):
                return Measurement(math.inf, 0.0, "the reference is zero at a row")
            cross = [-part.mean() for part in _with_batches(log_densities)]
        return self._measured(cross - own)

    def _measured(self, estimates: Float[np.ndarray, " parts"]) -> Measurement:
        drift = self._entropies[1:].mean(0) - self._entropies[0]
        bias = drift @ [1 / (BATCHES - 1), -1 / (BATCHES ** (1 / self.n_features) - 1)]
        error = np.hypot(estimates[1:].std(ddof=1) / BATCHES**0.5, bias)
        return Measurement(float(estimates[0]), float(error), "nearest neighbours")


def _checked(samples: Any) -> np.ndarray:
    """Rows of real features, or the reason why they are none."""
    rows = np.asarray(samples)
    if rows.ndim != 2 or rows.shape[0] < SMALLEST_SAMPLE or not rows.shape[1]:
        raise ValueError(
            f"samples must have shape (M >= {SMALLEST_SAMPLE}, n), got {rows.shape}: a row a "
            "configuration."
        )
    if rows.dtype.kind != "f" or not np.isfinite(rows).all():
        raise ValueError(
            f"samples must be finite floats, got dtype {rows.dtype}: a law of integers has no "
            "density. Add uniform noise of the size of their steps, or drop rows that are not "
            "finite."
        )
    size = float(abs(rows).max())
    if np.all(abs(rows) == 1):
        raise ValueError(
            "samples must be real features, got spins +1 and -1, whose law has no density: use a "
            "rgkit.SpinLaw, by `rgkit.pushforward` with a kernel to spins (a rgkit.SpinKernel)."
        )
    if size > LARGEST or 0 < size < 1 / LARGEST:
        raise ValueError(
            f"samples must have sizes between {1 / LARGEST:g} and {LARGEST:g}, got {size:.3g}: "
            "choose a unit of their order."
        )
    return rows


def _log_densities(reference: Any, rows: Float[np.ndarray, "M n"]) -> Float[np.ndarray, " M"]:
    """Log densities of rows under a reference, or the reason why there are none."""
    log_density: Callable | None = getattr(reference, "log_density", reference)
    if not callable(log_density):
        raise TypeError(
            "reference must be None, have a log_density, or be a function from rows (M, n) to log "
            f"densities (M,), got {type(reference).__name__}: pass a rgkit.ScalarChain, say."
        )
    n_sites, n = getattr(reference, "n_sites", rows.shape[1]), rows.shape[1]
    if n_sites != n:
        raise ValueError(
            f"reference must have n_sites = {n}, one for each feature, got {n_sites}: pass one "
            f"with n_sites={n}."
        )
    # a density of zero is meant where the logarithm of a reference has it
    with np.errstate(divide="ignore"):
        values = np.asarray(log_density(rows), float)
    if values.shape != rows.shape[:1] or np.isnan(values).any() or np.any(values == np.inf):
        raise ValueError(
            f"reference must give a log density for each of the {len(rows)} rows, shape "
            f"({len(rows)},), got shape {values.shape} with {int(np.isnan(values).sum())} nan: "
            "sum over the features, `.sum(-1)`, and return numbers or -inf."
        )
    return values


def _with_batches(rows: np.ndarray) -> list[np.ndarray]:
    return [rows, *np.array_split(rows, BATCHES)]


def _mean(values: Float[np.ndarray, " M"]) -> Measurement:
    error = values.std(ddof=1) / len(values) ** 0.5
    return Measurement(float(values.mean()), float(error), "mean over rows")


def _cumulants(powers: Float[np.ndarray, "7 M features"]) -> dict[str, float]:
    """Cumulants of ``powers[p] = d**p``, and their errors to first order in those of moments."""
    rows = powers.mean(2)
    m = rows.mean(1)
    # subtracting the sample mean from the data changes a moment in first order too
    moves = [rows[p] - m[p] - p * (m[p - 1] * powers[1]).mean(1) for p in range(1, 7)]
    _, d2, d3, d4, _, d6 = moves
    square = m[2] ** 2 or math.nan
    values = {
        "k2": m[2],
        "k4": m[4] - 3 * m[2] ** 2,
        "k6": m[6] - 15 * m[4] * m[2] - 10 * m[3] ** 2 + 30 * m[2] ** 3,
    }
    values["excess_kurtosis"] = values["k4"] / square
    slopes = {
        "k2": d2,
        "k4": d4 - 6 * m[2] * d2,
        "k6": d6 - 15 * (m[4] * d2 + m[2] * d4) - 20 * m[3] * d3 + 90 * m[2] ** 2 * d2,
        "excess_kurtosis": (d4 - 2 * m[4] / (m[2] or math.nan) * d2) / square,
    }
    errors = {
        f"{name}_error": float(slope.std(ddof=1) / slope.size**0.5)
        for name, slope in slopes.items()
    }
    return {name: float(value) for name, value in values.items()} | errors


def _undo_rounding(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    noise = random.uniform(-0.5, 0.5, samples.shape)
    return samples + noise * np.spacing(np.abs(samples)) if samples.dtype != float else samples
