"""A system from nothing but the protocol: three states of six spins, listed with their weights."""

import jax
import numpy as np

import rgkit as rg


class ThreeStates:
    n_sites = 6
    values = rg.Values.SPINS

    def configurations(self):
        return np.array([[1, 1, 1, 1, 1, 1], [-1, -1, -1, -1, -1, -1], [1, -1, 1, -1, 1, -1]])

    def probabilities(self):
        return np.array([0.5, 0.3, 0.2])

    def sample(self, key, n_samples):
        rows = jax.random.choice(key, 3, (n_samples,), p=self.probabilities())
        return jax.numpy.asarray(self.configurations())[rows]
