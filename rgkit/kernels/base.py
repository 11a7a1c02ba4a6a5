"""What forgets: a kernel is the conditional law P(y|x) of features y given a configuration x."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit.enumeration import spins_of
from rgkit.systems.base import Values
from rgkit.systems.spin_samplers import coin


class Kernel(eqx.Module):
    """A Markov kernel from one configuration ``(N,)`` to features ``(n,)``.

    A kernel of one's own gives `n_features`, `output` and `sample`; batches go through
    ``jax.vmap``. One whose features are spins is a `SpinKernel`.
    """

    @abc.abstractmethod
    def n_features(self, n_sites: int) -> int:
        """The number of features of ``n_sites`` sites; ValueError where they do not fit."""

    @abc.abstractmethod
    def output(self, values: Values) -> Values:
        """What it makes of sites with these values; TypeError, with the mend, for a misfit."""

    @abc.abstractmethod
    def sample(self, x: Num[Array | np.ndarray, " N"], key: PRNGKeyArray) -> Num[Array, " n"]:
        """One draw of the features, ``(n,)``, given a configuration ``(N,)``."""

    @property
    def output_variance(self) -> float | None:
        """Mean square of a real feature where the kernel fixes it, else None."""
        return None


class SpinKernel(Kernel):
    """A kernel to feature spins: their law is a table of ``2**n`` outcomes.

    One of one's own gives `n_features` and `log_probability`. Outcome i has spin j equal to +1 if
    bit j of i is 0, else -1 (see `rgkit.enumeration`).
    """

    @abc.abstractmethod
    def log_probability(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, " outcomes"]:
        """``ln P(y|x)`` of the ``2**n`` outcomes y for one configuration; -inf where impossible."""

    def output(self, values: Values) -> Values:
        """Spins, of spins and of real numbers."""
        return Values.SPINS

    @property
    def preserves_fixed_point(self) -> bool:
        """Whether the uniform law on N spins is known to go to the uniform law on n spins."""
        return False

    def sample(self, x: Num[Array | np.ndarray, " N"], key: PRNGKeyArray) -> Num[Array, " n"]:
        """One draw of the features, ``(n,)`` spins, given a configuration ``(N,)``."""
        outcome = jax.random.categorical(key, self.log_probability(x))
        return spins_of(outcome, self.n_features(x.shape[-1])).astype(jnp.result_type(float))

    def push(
        self, x: Num[Array | np.ndarray, "rows N"], weights: Float[Array, " rows"]
    ) -> tuple[Float[Array, " outcomes"], Float[Array, ""]]:
        """Weighted sums over rows: ``sum_x w(x) P(y|x)`` and ``sum_x w(x) H(y|x)`` in nats.

        Arguments:
            x: configurations, ``(rows, N)``.
            weights: ``(rows,)``; their dtype is that of the sums.

        Returns:
            The law ``(2**n,)``, and the conditional entropy.
        """
        log_conditional = jax.vmap(self.log_probability)(x).astype(weights.dtype)
        conditional = jnp.exp(log_conditional)
        return weights @ conditional, weights @ entr(conditional).sum(-1)


class ProductKernel(SpinKernel):
    """A kernel whose features are independent given x: fixed by the conditional means alone."""

    @abc.abstractmethod
    def means(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, " n"]:
        """Conditional means ``E[y_j|x]``, ``(n,)`` in [-1, 1]; +-1 for a deterministic feature."""

    def conditional_entropy(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, ""]:
        """``H(y|x)`` in nats for one configuration ``(N,)``."""
        return binary_entropy(self.means(x))

    def log_probability(self, x: Num[Array | np.ndarray, " N"]) -> Float[Array, " outcomes"]:
        """``ln P(y|x)`` of the ``2**n`` outcomes: a sum over the features."""
        means = self.means(x)
        return over_outcomes(jnp.add, jnp.log((1 + means) / 2), jnp.log((1 - means) / 2))

    def sample(self, x: Num[Array | np.ndarray, " N"], key: PRNGKeyArray) -> Num[Array, " n"]:
        """One draw of the features, ``(n,)`` spins; right for rare spins too."""
        means = self.means(x)
        return jnp.where(coin(key, (1 + means) / 2, (1 - means) / 2), 1.0, -1.0)

    def push(
        self, x: Num[Array | np.ndarray, "rows N"], weights: Float[Array, " rows"]
    ) -> tuple[Float[Array, " outcomes"], Float[Array, ""]]:
        """As `SpinKernel.push`, as one matrix product over the rows."""
        means = jax.vmap(self.means, out_axes=1)(x).astype(weights.dtype)
        noise = jax.vmap(self.conditional_entropy)(x).astype(weights.dtype)
        return product_law(means, weights), weights @ noise


def binary_entropy(means: Float[Array, " n ..."]) -> Float[Array, "..."]:
    """Entropy in nats of independent spins with these means, ``(n, ...)`` to ``(...)``."""
    return jnp.sum(entr((1 + means) / 2) + entr((1 - means) / 2), axis=0)


def product_law(
    means: Float[Array, "n rows"], weights: Float[Array, " rows"]
) -> Float[Array, " outcomes"]:
    """``sum_x w(x) P(y|x)``, ``(2**n,)``, from conditional means ``(n, rows)``.

    P(y|x) is an outer product over two halves of the features, so that the sum is one matrix
    product over the rows.
    """
    half = (len(means) + 1) // 2
    low, high = (
        over_outcomes(jnp.multiply, (1 + part) / 2, (1 - part) / 2)
        for part in (means[:half], means[half:])
    )
    return ((weights[None] * high) @ low.T).reshape(-1)


def over_outcomes(
    combine: Any, up: Float[Array, " n ..."], down: Float[Array, " n ..."]
) -> Float[Array, " outcomes ..."]:
    """Combine ``up_j`` (where y_j = +1) or ``down_j`` over j, ``(n, ...)`` to ``(2**n, ...)``.

    Arguments:
        combine: `jnp.add` or `jnp.multiply`.
        up, down: what each feature gives in either case.
    """
    table = jnp.full((1, *up.shape[1:]), combine.identity, up.dtype)
    for j in range(len(up)):
        table = jnp.concatenate([combine(table, up[j : j + 1]), combine(table, down[j : j + 1])])
    return table
