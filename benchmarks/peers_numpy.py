"""Enumeration and the Walsh-Hadamard transform as one writes them in NumPy."""

import numpy as np


def configurations(n_sites, start, stop):
    """Rows ``start`` to ``stop`` of all configurations, in the order of `rgkit.enumeration`."""
    index = np.arange(start, stop)[:, None]
    return (1 - 2 * (index >> np.arange(n_sites) & 1)).astype(np.float32)


def _outcomes(up):
    table = np.ones_like(up[:, :1])
    for j in range(up.shape[1]):
        table = np.concatenate([table * up[:, j : j + 1], table * (1 - up[:, j : j + 1])], axis=1)
    return table


def pushforward(probabilities, weights, biases, rows=2**13):
    """Law of the soft features of a tanh network, ``(2**n,)``, by enumeration in chunks of rows."""
    n_sites, law = weights[0].shape[1], 0.0
    for start in range(0, len(probabilities), rows):
        x = configurations(n_sites, start, start + rows)
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            x = np.tanh(x @ weight.T + bias)
        up = 1 / (1 + np.exp(-2 * (x @ weights[-1].T + biases[-1])))
        half = (up.shape[1] + 1) // 2
        weighted = probabilities[start : start + rows, None].astype(np.float32) * _outcomes(
            up[:, :half]
        )
        law = law + (_outcomes(up[:, half:]).T @ weighted).reshape(-1).astype(float)
    return law


def walsh_hadamard(values):
    """The transform in place, butterfly by butterfly."""
    values = np.array(values, dtype=float)
    for j in range(len(values).bit_length() - 1):
        pairs = values.reshape(-1, 2, 2**j)
        upper = pairs[:, 0] - pairs[:, 1]
        pairs[:, 0] += pairs[:, 1]
        pairs[:, 1] = upper
    return values
