"""Distances in Fisher's metric, between laws of features and between kernels."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float

from rgkit.enumeration import spin_configurations
from rgkit.kernels.network import Network
from rgkit.systems.base import Enumerable, enumerable, full_law


def fisher_rao_distance(q: ArrayLike | Sequence[float], r: ArrayLike | Sequence[float]) -> float:
    r"""The length of the shortest path between two laws, :math:`2\arccos\sum_y\sqrt{q(y)\,r(y)}`.

    The map :math:`q \mapsto 2\sqrt q` carries the laws to a sphere of radius 2 and Fisher's metric
    to that of the sphere.

    Arguments:
        q, r: probabilities ``(outcomes,)``.

    Returns:
        The distance, dimensionless, at most :math:`\pi`.

    Raises:
        TypeError, ValueError: where one of them is no law, or they differ in length.

    Reference: C. R. Rao, Bull. Calcutta Math. Soc. 37, 81 (1945).
    """
    q, r = (np.asarray(law, float) for law in (q, r))
    if q.shape != r.shape:
        raise ValueError(
            f"q and r must be laws of the same outcomes, got {q.shape} and {r.shape}: pass both "
            "for the same number of features."
        )
    for name, law in (("q", q), ("r", r)):
        if law.ndim != 1 or (law < 0).any() or not abs(law.sum() - 1) < 1e-6:
            raise ValueError(f"{name} must be probabilities that sum to 1: divide by their sum.")
    # by the chord, since the arc cosine loses the digits of close laws
    chord = np.linalg.norm(np.sqrt(q / q.sum()) - np.sqrt(r / r.sum()))
    return float(4 * np.arcsin(min(chord / 2, 1.0)))


def kernel_distance(a: Network, b: Network, system: Enumerable) -> float:
    r"""The distance of two product kernels on spins in the Fisher metric of all such kernels.

    .. math:: ds^2 = \sum_x p(x) \sum_j d\varphi_j(x)^2

    in the angles :math:`\varphi_j(x)` of the means, :math:`\langle y_j \rangle_x =
    \sin\varphi_j(x)`. The metric is flat, and straight lines are shortest.

    Arguments:
        a, b: networks with a channel to spins, hard or soft, and equally many features.
        system: what weighs the configurations; it lists them.

    Returns:
        The distance, dimensionless.

    Raises:
        TypeError, ValueError: where a network or the system does not fit.
    """
    weights = full_law(enumerable(system, "the distance of kernels"))
    x = jnp.asarray(spin_configurations(system.n_sites))
    first, second = (_angles(network, x) for network in (a, b))
    if first.shape != second.shape:
        raise ValueError(
            f"b must have as many features as a, got {len(second)} and {len(first)}: their "
            "distance is over features one by one."
        )
    return float(np.sqrt(weights @ ((first - second) ** 2).sum(0)))


def _angles(network, x) -> Float[np.ndarray, "n rows"]:
    """The angles of the conditional means, ``(n, rows)``."""
    channel = network.spin_channel("the distance of kernels")
    field = np.asarray(channel.local_field(network.columns(x)), float)
    return 2 * np.arctan(np.tanh(field / 2))
