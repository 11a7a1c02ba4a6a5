"""Kernels of one's own: a noisy vote of spins, and a staggered block average of fields."""

import equinox as eqx
import jax
import jax.numpy as jnp

import rgkit as rg


class NoisyVote(rg.SpinKernel):
    """One feature: the majority of all spins, told with an error."""

    error: float

    def n_features(self, n_sites):
        return 1

    def log_probability(self, x):
        up = jax.nn.sigmoid(50.0 * x.sum())
        up = up * (1 - self.error) + (1 - up) * self.error
        return jnp.log(jnp.stack([up, 1 - up]))


class StaggeredAverage(rg.FieldRule):
    """The sum of each block with alternating signs, over the root of its odd size."""

    block: int = eqx.field(static=True)

    def __check_init__(self):
        if self.block % 2 == 0:
            raise ValueError(f"block must be odd, so that signs alternate on, got {self.block}.")

    def output(self, values):
        if values is rg.Values.SPINS:
            raise TypeError("StaggeredAverage acts on fields: pass a rgkit.ScalarChain.")
        return values

    def sample(self, x, key):
        signs = 1 - 2 * (jnp.arange(self.block) % 2)
        return (self.blocks(x) * signs[None]).sum(1) / self.block**0.5

    def iterated(self, times):
        return StaggeredAverage(self.block**times)

    def trivial_law(self, family):
        # staggered fields are the chain with the opposite coupling, averaged
        mirrored = family.at(family.parameters | {"K": -family.parameters["K"]})
        return rg.block_average(self.block).trivial_law(mirrored)
