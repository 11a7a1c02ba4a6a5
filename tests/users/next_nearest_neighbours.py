"""A family of one's own: a ring with a coupling L between next-nearest neighbours."""

import dataclasses

import jax.numpy as jnp

import rgkit as rg


@dataclasses.dataclass(frozen=True)
class NextNearestNeighbours(rg.EnumeratedFamily):
    K: float
    L: float
    h: float
    n_sites: int

    @property
    def parameters(self):
        return {"K": self.K, "L": self.L, "h": self.h}

    def statistics(self, x):
        bonds = [(x * jnp.roll(x, r, axis=-1)).sum(-1) for r in (1, 2)]
        return jnp.stack([*bonds, x.sum(-1)], axis=-1)
