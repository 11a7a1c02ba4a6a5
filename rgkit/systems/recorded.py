"""Recorded data as a system: the law that draws a recorded row at random."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rgkit import _validation


class EmpiricalSystem(eqx.Module):
    r"""The law of recorded configurations: a row drawn at random, each field spread over the step it was rounded to.

    .. math:: x_i = s_{mi} + a\,\omega_i, \qquad m \text{ uniform on the rows}, \quad \omega_i \text{ uniform on } [0, 1).

    Recorded numbers are multiples of some step a, and a law of multiples has no density. The noise restores one: if s is
    rounded down, x lies where the number may have been. What holds for this law holds for the rows that were recorded,
    not for the source they came from: keep rows back for that.

    Arguments:
        samples: recorded configurations, ``(M, N)``; kept in JAX's default precision.
        width: the step a, in the unit of the samples; 0 adds no noise.

    Raises:
        TypeError, ValueError: naming the argument.
    """

    samples: Float[Array, "M N"]
    width: float

    def __init__(self, samples, *, width=0.0):
        samples = np.asarray(samples)
        if samples.ndim != 2 or not samples.size:
            raise ValueError(
                f"samples must have shape (M, N), got {samples.shape}: a row for each configuration."
            )
        if samples.dtype.kind not in "biuf" or not np.isfinite(samples).all():
            raise ValueError(
                f"samples must be finite real numbers, got dtype {samples.dtype} with gaps or none: mend or drop rows."
            )
        width = _validation.real("width", width)
        if width < 0:
            raise ValueError(
                f"width must not be negative, got {width}: it is the step that the samples were rounded to."
            )
        self.samples, self.width = jnp.asarray(samples, jnp.result_type(float)), width

    @property
    def n_sites(self) -> int:
        """N, the number of fields in a row."""
        return self.samples.shape[1]

    def sample(self, key, n_samples: int) -> Float[Array, "n_samples N"]:
        """Independent draws ``(n_samples, N)``: rows are drawn with replacement, and each draw has its own noise."""
        row_key, noise_key = jax.random.split(_validation.key("key", key))
        rows = jax.random.randint(row_key, (n_samples,), 0, len(self.samples))
        noise = jax.random.uniform(noise_key, (n_samples, self.n_sites), self.samples.dtype)
        return self.samples[rows] + self.width * noise
