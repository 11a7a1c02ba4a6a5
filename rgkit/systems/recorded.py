"""Recorded data as a system: the law that draws a recorded row at random."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int8, Num, PRNGKeyArray

from rgkit import _validation
from rgkit.systems.base import Values, checked_draw

BLUNTED = 1e-3


class EmpiricalSystem(eqx.Module):
    r"""The law of recorded configurations: a row drawn at random, each field spread over its step.

    .. math:: x_i = s_{mi} + a\,\omega_i, \qquad m \text{ uniform on the rows}, \quad
              \omega_i \text{ uniform on } [0, 1).

    Recorded numbers are multiples of some step a, and a law of multiples has no density. The noise
    restores one: if s is rounded down, x lies where the number may have been. Spins need no noise:
    their law is that of the distinct rows, with their frequencies. What holds for this law holds
    for the rows that were recorded, not for the source they came from: keep rows back for that.

    Arguments:
        samples: recorded configurations, ``(M, N)``; in JAX's default precision, spins in int8.
        width: the step a, in the unit of the samples; 0 adds no noise.
        values: what a site can be; by default `Values.SPINS` where all samples are +1 or -1 and the
            width is 0, else `Values.REALS`.

    Raises:
        TypeError, ValueError: naming the argument; where JAX's default precision would blunt the
            samples.
    """

    samples: Num[Array, "M N"]
    width: float
    values: Values = eqx.field(static=True)

    def __init__(
        self, samples: Any, *, width: _validation.Real = 0.0, values: Values | None = None
    ):
        rows, self.width = _recorded(samples), _validation.real("width", width)
        if self.width < 0:
            raise ValueError(
                f"width must not be negative, got {self.width}: it is the step that the samples "
                "were rounded to."
            )
        self.values = _values_of(rows, self.width) if values is None else values
        if self.values is Values.SPINS:
            self.samples = jnp.asarray(_spins(rows, self.width), jnp.int8)
        else:
            _check_precision(rows, self.width)
            self.samples = jnp.asarray(rows, jnp.result_type(float))

    @property
    def n_sites(self) -> int:
        """N, the number of fields or spins in a row."""
        return self.samples.shape[1]

    def sample(self, key: PRNGKeyArray, n_samples: int) -> Num[Array, "n_samples N"]:
        """Independent draws ``(n_samples, N)``: rows with replacement, each with its own noise.

        Arguments:
            key: a typed JAX key, ``jax.random.key(0)``.
            n_samples: how many configurations to draw.

        Raises:
            TypeError, ValueError: naming the argument; for draws beyond 8 GiB.
        """
        bytes_of_a_site = 1 if self.values is Values.SPINS else 2 * self.samples.dtype.itemsize
        key, n_samples = checked_draw(key, n_samples, bytes_of_a_site * self.n_sites)
        row_key, noise_key = jax.random.split(key)
        rows = jax.random.randint(row_key, (n_samples,), 0, len(self.samples))
        if self.values is Values.SPINS:
            return self.samples[rows]
        noise = jax.random.uniform(noise_key, (n_samples, self.n_sites), self.samples.dtype)
        return self.samples[rows] + self.width * noise

    def configurations(self) -> Int8[np.ndarray, "rows N"]:
        """The distinct rows of recorded spins, ``(rows, N)``.

        Raises:
            TypeError: for real numbers, which have none to list.
        """
        return self._distinct[0].copy()

    def probabilities(self) -> Float[np.ndarray, " rows"]:
        """The frequency of each row of `configurations`, ``(rows,)``.

        Raises:
            TypeError: for real numbers, which have none to list.
        """
        return self._distinct[1].copy()

    @functools.cached_property
    def _distinct(self) -> tuple[np.ndarray, np.ndarray]:
        if self.values is not Values.SPINS:
            raise TypeError(
                "recorded real numbers have no configurations to list: use `.sample`, or record "
                "spins (every sample +1 or -1, width 0)."
            )
        # the last site first and +1 before -1, which is the order of bits
        rows, counts = np.unique(-np.asarray(self.samples)[:, ::-1], axis=0, return_counts=True)
        return -rows[:, ::-1], counts / counts.sum()


def _recorded(samples: Any) -> np.ndarray:
    """Rows of finite real numbers, or the reason why they are none."""
    rows = np.asarray(samples)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(
            f"samples must have shape (M, N), got {rows.shape}: a row for each configuration."
        )
    if rows.dtype.kind not in "biuf":
        raise ValueError(
            f"samples must be finite real numbers, got dtype {rows.dtype}: convert them to floats."
        )
    gaps = np.flatnonzero(~np.isfinite(rows).all(1))
    if len(gaps):
        raise ValueError(
            f"samples must be finite real numbers, row {gaps[0]} (of {len(gaps)} such rows) is "
            "not: mend or drop it."
        )
    return rows


def _values_of(rows: np.ndarray, width: float) -> Values:
    return Values.SPINS if width == 0 and np.all(abs(rows.astype(float)) == 1) else Values.REALS


def _spins(rows: np.ndarray, width: float) -> np.ndarray:
    """Rows of spins, or the reason why they are none."""
    if width:
        raise ValueError(f"width must be 0 for spins, got {width}: spins take no noise.")
    if np.all(abs(rows.astype(float)) == 1):
        return rows
    binary = np.all((rows == 0) | (rows == 1))
    mend = "pass 2*s - 1 for samples s of 0 and 1" if binary else "pass their signs, or REALS"
    raise ValueError(f"samples must be +1 or -1 for values=Values.SPINS: {mend}.")


def _check_precision(rows: np.ndarray, width: float) -> None:
    """Refuse samples that the precision of JAX would round by more than a part of their spread."""
    dtype = jnp.result_type(float)
    exact = rows.astype(float)
    error = abs(exact.astype(dtype) - exact).max(0)
    spread = exact.std(0)
    # the noise of a step is added in the same precision
    step = np.spacing(abs(exact).max(0).astype(dtype)).astype(float) if width else 0.0
    blunted = (error > BLUNTED * spread) & (spread > 0) | (step > 0.1 * width if width else False)
    if np.any(blunted):
        site = int(np.argmax(blunted))
        raise ValueError(
            f"samples would lose digits in {np.dtype(dtype).name}: column {site} is "
            f"{exact[:, site].mean():.6g} with a spread of {spread[site]:.2g}. Subtract the mean "
            "of each column, or keep float64 with jax.config.update('jax_enable_x64', True)."
        )
