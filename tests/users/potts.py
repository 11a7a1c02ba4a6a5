"""A system of one's own with four states at a site.

A Potts ring, each state written as two spins.
"""

import dataclasses

import jax.numpy as jnp

import rgkit as rg


@dataclasses.dataclass(frozen=True)
class FourStatePotts(rg.EnumeratedSystem):
    coupling: float
    n_sites: int

    def energy(self, x):
        pairs = x.reshape(*x.shape[:-1], self.n_sites // 2, 2)
        equal = jnp.all(pairs == jnp.roll(pairs, 1, axis=-2), axis=-1)
        return -self.coupling * equal.sum(-1)
