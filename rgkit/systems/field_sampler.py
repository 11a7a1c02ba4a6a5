"""Exact samples of a chain of fields, site after site, on the device and inside jit."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from rgkit.systems.transfer_operator import (
    TransferOperator,
    confining,
    extent,
    minimum,
    potential,
    whole_line,
)

LOG_WEIGHT_AT_THE_ENDS = 22.0
ALIASING = 1e-7
QUANTILES = 8192
ROWS_AT_ONCE = 8192


class FieldSampler(eqx.Module):
    r"""Draws chains of fields from grids with random shifts.

    A site takes its value from the points :math:`g_j + s`, where the shift s is uniform in one cell
    and new for every site and sample, with probability proportional to the exact conditional
    density there. Summed over the grid, an entire function of this kind gives its integral for
    every s, up to an error like :math:`e^{-(2\pi/h)^2/2V''}` (trapezoid rule); so the law after
    averaging over s is the continuous one, though the grid is coarse. The weight of a bond is
    written :math:`e^{-|K|(\phi \mp \phi')^2/2}`, that of a site has the rest.

    Arguments:
        cumulative, quantiles: site 0 lies below ``quantiles`` with these probabilities, ``(q,)``.
        grid: ``(n,)``, symmetric.
        spacing, coupling: scalars h and K.
        site_polynomial: ln weight of an inner site, coefficients of :math:`1, \phi^2, \dots`.
        bond: the weight of a bond between grid points, ``(n, n)``.
        backward: what the open chain from a site on weighs, ``(N - 2, n)`` over sites 2 to N - 1
            (unused on a ring).
        n_sites, periodic: as of the chain.
    """

    cumulative: Float[Array | np.ndarray, " q"]
    quantiles: Float[Array | np.ndarray, " q"]
    grid: Float[Array | np.ndarray, " n"]
    spacing: Float[Array | np.ndarray, ""]
    coupling: Float[Array | np.ndarray, ""]
    site_polynomial: Float[Array | np.ndarray, " powers"]
    bond: Float[Array | np.ndarray, "n n"]
    backward: Float[Array | np.ndarray, "inner n"]
    n_sites: int = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)

    @functools.partial(jax.jit, static_argnames="n_samples")
    def sample(self, key: PRNGKeyArray, n_samples: int) -> Float[Array, "n_samples N"]:
        """Independent samples, ``(n_samples, N)`` float32."""
        n_chunks = -(-n_samples // ROWS_AT_ONCE)
        rows = -(-n_samples // n_chunks)
        draws = jax.lax.map(
            lambda chunk_key: self._chunk(chunk_key, rows), jax.random.split(key, n_chunks)
        )
        return draws.reshape(-1, self.n_sites)[:n_samples]

    def _chunk(self, key, rows):
        keys = jax.random.split(key, self.n_sites)
        start = jnp.interp(_uniform(keys[0], (rows,)), self.cumulative, self.quantiles)
        beyond = self._around_the_ring(start) if self.periodic else self.backward

        def step(before, given):
            here = self._next(before, start, *given)
            return here, here

        before_end, inner = jax.lax.scan(step, start, (keys[1:-1], beyond))
        end = self._next(before_end, start, keys[-1], None)
        return jnp.concatenate([start[None], inner, end[None]]).T

    def _around_the_ring(self, start):
        """What a site 2 to N - 1 of the ring and those after it weigh, given site 0.

        ``(N - 2, rows, n)`` for fields at site 0 ``(rows,)``.
        """
        log_site = self._log_site(self.grid[None])

        def one_site_more(weight, _):
            weight = weight / weight.max(-1, keepdims=True)
            return jnp.exp(log_site) * _dot(weight, self.bond), weight

        last = jnp.exp(log_site + self._log_bond(self.grid[None], start[:, None]))
        return jax.lax.scan(one_site_more, last, length=self.n_sites - 2)[1][::-1]

    def _next(self, before, start, key, beyond):
        """The field at a site, ``(rows,)``, given the one before.

        ``beyond`` is what `_log_message` needs to know of the sites after it, None at the last.
        """
        shift_key, key = jax.random.split(key)
        shift = (
            self.spacing * (jax.random.uniform(shift_key, before.shape, jnp.float32) - 0.5)[:, None]
        )
        phi = self.grid[None] + shift
        log_weight = (
            self._log_site(phi)
            + self._log_bond(phi, before[:, None])
            + self._log_message(phi, shift, start, beyond)
        )
        weight = jnp.exp(log_weight - log_weight.max(-1, keepdims=True))
        cumulative = _dot(weight, jnp.triu(jnp.ones_like(self.bond)))
        level = _uniform(key, before.shape) * cumulative[:, -1]
        cell = jnp.sum(cumulative[:, :-1] <= level[:, None], -1)
        return self.grid[cell] + shift[:, 0]

    def _log_message(self, phi, shift, start, beyond):
        """ln weight of all that comes after a site with field ``phi = grid + shift``.

        It is known up to a constant in each row.
        """
        if beyond is None:
            return (
                self._log_bond(phi, start[:, None])
                if self.periodic
                else -abs(self.coupling) * phi**2 / 2
            )
        tilted = jnp.atleast_2d(beyond) * jnp.exp(self.coupling * shift * self.grid[None])
        return jnp.log(_dot(tilted, self.bond)) - abs(self.coupling) * shift * self.grid[None]

    def _log_site(self, phi):
        return jnp.polyval(self.site_polynomial[::-1], phi**2)

    def _log_bond(self, phi, other):
        return -abs(self.coupling) * (phi - jnp.sign(self.coupling) * other) ** 2 / 2


def _uniform(key, shape):
    # half a unit above a multiple of 2**-23, so that the outermost values are not drawn too often
    return jax.random.uniform(key, shape, jnp.float32) + 2.0**-24


def _dot(a, b):
    # accelerators would round the factors to fewer bits than float32 has
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def field_sampler(
    operator: TransferOperator, n_sites: int, periodic: bool, *, aliasing: float = ALIASING
) -> FieldSampler:
    """The sampler of a chain of fields, from its transfer operator.

    Arguments:
        operator: the transfer operator T.
        n_sites, periodic: the length of the chain, and whether it is a ring.
        aliasing: the relative error that the coarse grid may make for one site.
    """
    coupling = operator.coupling
    rest = confining(operator.coefficients, coupling)
    end = extent(rest, LOG_WEIGHT_AT_THE_ENDS)
    grid, spacing = _coarse_grid(operator, end, aliasing)
    bond = np.exp(-abs(coupling) * (grid[:, None] - np.sign(coupling) * grid) ** 2 / 2)
    site_polynomial = np.append(minimum(rest), -rest)
    backward = _backward(
        np.polynomial.polynomial.polyval(grid**2, site_polynomial),
        bond,
        grid,
        coupling,
        n_sites,
    )
    quantiles = _quantiles(operator, n_sites, periodic, end)
    arrays = (*quantiles, grid, spacing, coupling, site_polynomial, bond, backward)
    # NumPy, since arrays of JAX made while something is traced must not be kept
    tables: tuple[Any, ...] = tuple(np.asarray(array, np.float32) for array in arrays)
    return FieldSampler(*tables, n_sites=n_sites, periodic=periodic)


def _quantiles(operator, n_sites, periodic, end):
    """Cumulative probabilities of site 0 and their fields, both ``(QUANTILES + 1,)``."""
    edges = np.linspace(-end, end, QUANTILES + 1)
    mass = _first_site((edges[1:] + edges[:-1]) / 2, operator, n_sites, periodic)
    return np.append(0.0, np.cumsum(mass) / mass.sum()), edges


def _first_site(phi, operator, n_sites, periodic):
    """Density of the field at site 0, not normalised."""
    line = whole_line(operator.points, -1)
    step = np.exp(operator.log_kernel(line[:, None], line)) * operator.spacing / operator.eigenvalue
    between = np.linalg.matrix_power(step, n_sites - 2)
    bond = np.exp(operator.log_kernel(phi[:, None], line))
    if periodic:
        return np.einsum("pa,pa->p", bond @ between, bond)
    floor = minimum(operator.coefficients)
    free, end = (np.exp((floor - potential(operator.coefficients, x)) / 2) for x in (phi, line))
    return free * (bond @ (between @ end))


def _backward(log_site, bond, grid, coupling, n_sites):
    """What a site 2 to N - 1 of an open chain and those after it weigh, largest entry 1.

    ``(N - 2, n)``.
    """
    weight, weights = np.exp(log_site - abs(coupling) * grid**2 / 2), []
    for _ in range(n_sites - 2):
        weights.append(weight / weight.max())
        weight = np.exp(log_site) * (bond @ weights[-1])
    return np.reshape(weights[::-1], (n_sites - 2, len(grid)))


def _coarse_grid(operator, end, largest):
    """The coarsest symmetric grid that integrates the field between two others.

    Its points are a multiple of 8. The error is the difference between two shifts of half a cell,
    averaged over neighbours in the infinite chain.
    """
    neighbours, state = whole_line(operator.points, -1), whole_line(operator.ground_state)
    n = 8
    while True:
        spacing = 2 * end / n
        grid = (np.arange(n) - (n - 1) / 2) * spacing
        one, other = (
            np.exp(operator.log_kernel(neighbours[:, None], grid + shift))
            for shift in (0.0, spacing / 2)
        )
        aliasing = (
            state @ abs(one @ one.T - other @ other.T) @ state * spacing * operator.spacing**2
        )
        if aliasing < largest * operator.eigenvalue**2:
            return grid, spacing
        n = 8 * -(-n * 9 // 64)
