r"""The infinite Ising chain: what follows from the two eigenvalues of its transfer matrix.

:math:`\lambda_\pm = e^K\cosh h \pm \sqrt{e^{2K}\sinh^2 h + e^{-2K}}`; all in logarithms, so that no
coupling overflows. Rates are sums of positive terms, and keep their digits where they are tiny.

Reference: R. J. Baxter, Exactly Solved Models in Statistical Mechanics (1982), chapter 2.
"""

import numpy as np
from jaxtyping import Float
from scipy.special import expit

LOG_2 = float(np.log(2))


def log_largest_eigenvalue(coupling: float, field: float) -> float:
    """``ln lambda_+``, minus the free energy per site."""
    return coupling + _log_spectrum(coupling, field)[-1]


def correlation_length(coupling: float, field: float) -> float:
    r"""Correlation length, :math:`\xi = -1/\ln|\lambda_-/\lambda_+|`, in sites."""
    if coupling == 0.0:
        return 0.0
    mean, _, root, largest = _log_spectrum(coupling, field)
    # the determinant of T is 2 sinh 2K
    log_ratio = np.log(-np.expm1(-4 * abs(coupling))) - min(4 * coupling, 0.0) - 2 * largest
    if log_ratio > -0.5:  # a ratio near one is known better from 1 - ratio
        closeness = LOG_2 + (root if coupling > 0 else mean) - largest
        log_ratio = np.log1p(-np.exp(closeness))
    return -1 / float(log_ratio) if log_ratio else float("inf")


def log_odds_to_flip(coupling: float, field: float) -> Float[np.ndarray, "2"]:
    """``ln P(-s|s) / P(s|s)`` of the next spin along the chain, given s = +1 and s = -1."""
    log_up_over_down = _log_eigenvector(coupling, field)
    bond = np.array([coupling + field, coupling - field])
    return -coupling - bond - log_up_over_down * np.array([1, -1])


def entropy_rate(coupling: float, field: float) -> float:
    r"""Entropy per site in nats; at h = 0 :math:`\ln(2\cosh K) - K \tanh K`."""
    log_odds = log_odds_to_flip(coupling, field)
    up = 2 * _log_eigenvector(coupling, field)
    return float(expit([up, -up]) @ binary_entropy(log_odds))


def renyi2_rate(coupling: float, field: float) -> float:
    r"""Renyi-2 entropy per site, :math:`2\ln\lambda_+(K,h) - \ln\lambda_+(2K,2h)`, in nats.

    It is :math:`-\ln\mu` with :math:`\mu` the larger eigenvalue of the squared probabilities of a
    step; :math:`1 - \mu` is written without a difference.
    """
    log_odds = log_odds_to_flip(coupling, field)
    (q, r), (stay_up, stay_down) = expit(log_odds), expit(-log_odds)
    a, d = q * (1 + stay_up), r * (1 + stay_down)
    scale = a + d + np.hypot(a - d, 2 * q * r)
    if scale == 0.0:
        return 0.0
    complement = 4 * min(q, r) * (max(q, r) / scale) * (stay_up + stay_down)
    return float(-np.log1p(-complement))


def binary_entropy(log_odds: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Entropy of a coin in nats from its log-odds, accurate where it is tiny."""
    up, down = -np.logaddexp(0, -log_odds), -np.logaddexp(0, log_odds)
    return -np.exp(up) * up - np.exp(down) * down


def zero_field_correlation(coupling: float, r: int, ring: int | None) -> float:
    """``<s_0 s_r>`` without a field, on a ring of so many sites or (None) on an open chain.

    ``(t**r + t**(N-r)) / (1 + t**N)`` with ``t = tanh K`` on a ring, accurate where ``|t|**r`` is
    tiny and where ``|t|`` is nearly 1.
    """
    r = r if ring is None else min(r, ring - r)
    if r == 0 or coupling == 0.0:
        return float(r == 0)
    # never quite 0, so that the limit of infinite coupling comes out
    log_t, sign = min(_log_tanh(abs(coupling)), -1e-300), np.sign(coupling)
    direct = sign**r * np.exp(r * log_t)
    if ring is None:
        return float(direct)
    # 1 + t**m for m = N - 2r and N, both of the parity of N
    near, far = (
        1 + np.exp(m * log_t) if sign**m > 0 else -np.expm1(m * log_t) for m in (ring - 2 * r, ring)
    )
    return float(np.clip(direct * near / far, -1.0, 1.0))


def _log_tanh(x: float) -> float:
    """``ln tanh x`` for x > 0."""
    if x < 0.5:
        return float(np.log(np.tanh(x)))
    return float(np.log1p(-np.exp(-2 * x)) - np.log1p(np.exp(-2 * x)))


def _log_spectrum(coupling: float, field: float) -> tuple[float, float, float, float]:
    """ln of ``cosh h``, ``sinh |h|``, and over ``exp(K)`` the square root and ``lambda_+``."""
    strength = abs(field)
    log_cosh = np.logaddexp(strength, -strength) - LOG_2
    log_sinh = strength + np.log(-np.expm1(-2 * strength)) - LOG_2 if strength else -np.inf
    root = np.logaddexp(2 * log_sinh, -4 * coupling) / 2
    return float(log_cosh), float(log_sinh), float(root), float(np.logaddexp(log_cosh, root))


def _log_eigenvector(coupling: float, field: float) -> float:
    """ln of the component at s = +1 over that at s = -1 of the eigenvector of the larger value."""
    if field == 0.0:
        return 0.0
    _, tilt, root, _ = _log_spectrum(coupling, field)
    return float(np.copysign(np.logaddexp(root, tilt) + 2 * coupling, field))
