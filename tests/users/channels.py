"""Channels of one's own: spins at a temperature, and Laplace noise."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp

import rgkit as rg


class WarmSpins(rg.AbstractSpinChannel):
    temperature: float = eqx.field(static=True)

    def local_field(self, activations):
        return activations / self.temperature


class LaplaceChannel(rg.AbstractNoiseChannel):
    @property
    def scale(self):
        return math.sqrt(self.noise / 2)

    def noise_log_density(self, z):
        return -jnp.abs(z) / self.scale - math.log(2 * self.scale)

    def draw_noise(self, key, shape, dtype):
        return self.scale * jax.random.laplace(key, shape, dtype)

    def noise_entropy(self):
        return 1 + math.log(2 * self.scale)
