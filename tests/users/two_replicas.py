"""A system of one's own: two copies of an open chain, tied spin by spin."""

import dataclasses

import rgkit as rg


@dataclasses.dataclass(frozen=True)
class TwoReplicas(rg.EnumeratedSystem):
    coupling: float
    tie: float
    n_sites: int

    def energy(self, x):
        a, b = x[..., : self.n_sites // 2], x[..., self.n_sites // 2 :]
        bonds = a[..., 1:] * a[..., :-1] + b[..., 1:] * b[..., :-1]
        return -self.coupling * bonds.sum(-1) - self.tie * (a * b).sum(-1)
