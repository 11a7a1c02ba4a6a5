"""Differential entropies by the distances to nearest neighbours, and the laws that have none."""

import functools

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree
from scipy.special import chndtrix, digamma, gammaln
from scipy.stats import beta, chi2

SINGLE_NEIGHBOURS, SHARED_NEIGHBOURS = 16, 4
LOG_2PI_E = float(np.log(2 * np.pi * np.e))
COINCIDENCES, WINDOW = 20, 8
DEPENDENT = 1e-11  # of the variance: a few roundings of float32
NO_DENSITY = (
    "A law without a density has no differential entropy, and its divergence from white noise is "
    "infinite."
)
ATOM_MEND = (
    "Add noise to the features (a Gaussian channel), or dequantise the data with uniform noise of "
    "the size of its steps (the width of a rgkit.EmpiricalSystem)."
)


def check_density(samples: Float[np.ndarray, "M n"]) -> None:
    """Refuse rows that show a law without a density, and say which features.

    Such are constant features, values that are repeated more often than the rounding of float32
    explains, and features of which some linear combination is constant to that rounding.

    Raises:
        ValueError: naming the features and the mend.
    """
    for j, column in enumerate(samples.T):
        values, counts = np.unique(column, return_counts=True)
        if len(values) == 1:
            raise ValueError(
                f"samples have the constant feature {j}, always {values[0]:.6g}. {NO_DENSITY} "
                "Leave this feature out, or add noise (a Gaussian channel)."
            )
        repeated = len(column) - len(values)
        if repeated > COINCIDENCES + 10 * _coincidences(values, counts):
            raise ValueError(
                f"samples repeat a value: feature {j} has {len(values)} different values in "
                f"{len(column)} rows, so the law has an atom, and no entropy. {NO_DENSITY} "
                f"{ATOM_MEND}"
            )
    if samples.shape[1] > 1:
        _check_independent(samples)


def _coincidences(values: np.ndarray, counts: np.ndarray) -> float:
    """How often rows of a density share a value by the rounding of float32, roughly.

    A value and its neighbours say how many rows fall into one step; and draws of float32 are made
    from at most ``2**23`` different ones.
    """
    rows = counts.sum()
    spread = np.sqrt(counts @ (values - counts @ values / rows) ** 2 / rows)
    step = np.finfo("float32").eps * np.maximum(abs(values), spread)
    below = np.maximum(np.arange(len(values)) - WINDOW, 0)
    above = np.minimum(np.arange(len(values)) + WINDOW, len(values) - 1)
    total = np.append(0, np.cumsum(counts))
    others = total[above + 1] - total[below] - counts
    in_a_step = others * step / (values[above] - values[below])
    shares = np.minimum(in_a_step / 2, 1)
    return float(counts @ shares + rows**2 / 2**24)


def _check_independent(samples: np.ndarray) -> None:
    """Refuse features of which a linear combination is constant."""
    centred = samples - samples.mean(0)
    sizes, directions = np.linalg.eigh(np.corrcoef(centred.T))
    if sizes[0] < DEPENDENT:
        parts = abs(directions[:, 0])
        involved = np.flatnonzero(parts > 0.01 * parts.max()).tolist()
        raise ValueError(
            f"samples have linearly dependent features {involved}: one of them is a sum of "
            f"multiples of the others, to the precision of float32. {NO_DENSITY} Leave one out, or "
            "add noise (a Gaussian channel)."
        )


def single_and_shared(
    samples: Float[np.ndarray, "M n"], random: np.random.Generator
) -> tuple[float, float]:
    """Sum of the entropies of the single features, and what the features share, in nats."""
    spreads = samples.std(0)
    single = np.log(spreads).sum() + sum(
        neighbour_entropy(column[:, None], SINGLE_NEIGHBOURS) for column in (samples / spreads).T
    )
    return float(single), _shared(samples, random) if samples.shape[1] > 1 else 0.0


def _shared(samples: np.ndarray, random: np.random.Generator) -> float:
    """Total correlation ``sum_j H(y_j) - H(y)`` of ``(M, n)``.

    It is the divergence of Gaussian scores from white noise.
    """
    # random scores, since those of a regular grid are more even than draws are, which the
    # neighbours would notice
    scores = np.sort(random.normal(size=samples.shape), axis=0)
    scores = np.take_along_axis(scores, samples.argsort(axis=0).argsort(axis=0), axis=0)
    spread = np.linalg.cholesky(np.cov(scores.T))
    whitened = np.linalg.solve(spread, scores.T).T
    cross = gaussian_cross_entropy(scores, 1.0)
    own = neighbour_entropy(whitened, SHARED_NEIGHBOURS)
    return cross - float(np.log(np.diag(spread)).sum()) - own


def gaussian_cross_entropy(rows: Float[np.ndarray, "M n"], variance: float | None) -> float:
    """``-<ln p>`` of rows for white Gaussian noise, by default of their own mean square."""
    second = float(np.mean(rows**2))
    variance = second if variance is None else variance
    return rows.shape[1] / 2 * (float(np.log(2 * np.pi * variance)) + second / variance)


def neighbour_entropy(samples: Float[np.ndarray, "M n"], neighbours: int) -> float:
    """The estimate of Kozachenko and Leonenko in nats, less its bias for white Gaussian noise.

    Raises:
        ValueError: where a row has as many others at no distance.
    """
    distances = neighbour_distances(samples, neighbours)
    if not distances.min() > 0:
        raise ValueError(
            f"samples repeat a value: the law has an atom, and no entropy. {NO_DENSITY} {ATOM_MEND}"
        )
    rows, n = samples.shape
    mean = n * float(np.log(distances).mean())
    return _constant(rows, n, neighbours) + mean - _gaussian_bias(rows, n, neighbours)


def neighbour_distances(
    samples: Float[np.ndarray, "M n"], neighbours: int
) -> Float[np.ndarray, " M"]:
    """Distance of every row to its k-th neighbour, in no particular order of the rows."""
    if samples.shape[1] == 1:
        return _sorted_distances(np.sort(samples[:, 0]), neighbours)
    distances, _ = KDTree(samples).query(samples, k=neighbours + 1, workers=-1)
    return np.asarray(distances)[:, -1]


def _sorted_distances(line: np.ndarray, neighbours: int) -> np.ndarray:
    """On a line the k neighbours of a point are j to its left and k - j to its right for some j."""
    padded = np.pad(line, neighbours, constant_values=(-np.inf, np.inf))
    left, right = (
        (lambda j: line - padded[neighbours - j :][: len(line)]),
        (lambda j: padded[neighbours + j :][: len(line)] - line),
    )
    return functools.reduce(
        np.minimum, (np.maximum(left(j), right(neighbours - j)) for j in range(neighbours + 1))
    )


def _constant(rows: int, n: int, neighbours: int) -> float:
    log_ball = n / 2 * np.log(np.pi) - gammaln(n / 2 + 1)
    return float(digamma(rows) - digamma(neighbours) + log_ball)


@functools.cache
def _gaussian_bias(rows: int, n: int, neighbours: int) -> float:
    """Bias of the neighbour entropy for white Gaussian noise, by quadrature over quantiles.

    The probability of the ball that reaches to the k-th neighbour has a Beta(k, rows - k) law,
    wherever its centre is.
    """
    nodes, weights = np.polynomial.legendre.leggauss(80)
    # a step that is flat at both ends, since the quantiles have logarithms there
    quantiles, weights = (2 + 3 * nodes - nodes**3) / 4, 3 * (1 - nodes**2) / 4 * weights
    radii, masses = chi2.ppf(quantiles, n), beta.ppf(quantiles, neighbours, rows - neighbours)
    squares = chndtrix(masses[None, :], n, radii[:, None])
    log_squares = float(weights @ np.log(squares) @ weights)
    return _constant(rows, n, neighbours) + n / 2 * (log_squares - LOG_2PI_E)
