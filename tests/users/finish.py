"""A finish of one's own: drop the weights that matter least, and keep the signs that come out."""

import equinox as eqx
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

import rgkit as rg


class Pruned(rg.Finish):
    steps = 0

    def __init__(self, share):
        self.share = share

    def check(self, network, objective):
        network.spin_channel("Pruned")

    def __call__(self, network, x, weights):
        arrays, rest = eqx.partition(network, eqx.is_inexact_array)
        flat, unravel = ravel_pytree(arrays)
        least = jnp.quantile(jnp.abs(flat), self.share)
        kept = jnp.where(jnp.abs(flat) < least, 0, flat)
        return eqx.combine(unravel(kept), rest)
