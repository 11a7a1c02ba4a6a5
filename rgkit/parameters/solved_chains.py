"""Chains of fields as exact laws: the means that score and moment matching ask for."""

import dataclasses
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from rgkit.systems.base import Family
from rgkit.systems.transfer_operator import TransferOperator, potential


@runtime_checkable
class EvenChain(Family, Protocol):
    """A chain with an even polynomial at each site, whose last parameter couples neighbours."""

    @property
    def potential(self) -> tuple[float, ...]:
        """Coefficients of the even powers of the field."""
        ...

    @property
    def periodic(self) -> bool:
        """Whether the last site is a neighbour of the first."""
        ...


@runtime_checkable
class SolvedChain(EvenChain, Protocol):
    """An even chain that knows its means, by a transfer operator."""

    @property
    def operator(self) -> TransferOperator:
        """The transfer operator on its grid."""
        ...

    def correlation(self, r: int) -> float:
        """``<phi_0 phi_r>``."""
        ...


@dataclasses.dataclass(frozen=True)
class ExactMeans:
    """Means under a chain of any degree of what a family asks for.

    Arguments:
        law: the chain.
        family: the family, on the same sites and bonds.
    """

    law: SolvedChain
    family: EvenChain

    def moments(self) -> Float[np.ndarray, " k"]:
        """Means of the statistics of the family."""
        orders, factors = _powers(self.family)
        even = [_site_sum(self.law, int(order)) for order in orders]
        return np.append(factors / orders * even, [*self.law.mean_parameters().values()][-1])

    def score_terms(self) -> tuple[Float[np.ndarray, "k k"], Float[np.ndarray, " k"]]:
        """A and b of score matching."""
        law, (orders, factors) = self.law, _powers(self.family)
        even = {order: _site_sum(law, order) for order in range(0, 2 * int(orders[-1]), 2)}
        sites = factors[:, None] * factors * [[even[p + q - 2] for p in orders] for q in orders]
        points = law.operator.points
        bonds = factors * [2 * _odd_pair_sum(law, points ** (p - 1), 1) for p in orders]
        ends = 0.0 if law.periodic else 2 * law.correlation(0)
        neighbours = np.array([[2 * even[2] - ends + 2 * _odd_pair_sum(law, points, 2)]])
        matrix = np.block([[sites, bonds[:, None]], [bonds[None], neighbours]])
        return matrix, np.append(factors * (orders - 1) * [even[p - 2] for p in orders], 0.0)


def exact_means(law: Family, family: Family) -> ExactMeans:
    """Means under a law, if those that the family asks for can be worked out.

    Raises:
        TypeError: for a law or a family of another form.
        ValueError: if they have not the same sites and bonds.
    """
    if not isinstance(law, SolvedChain) or not isinstance(family, EvenChain):
        raise TypeError(
            "an exact law of fields must be an `rg.ScalarChain`, and so must the family, got "
            f"{type(law).__name__} and {type(family).__name__}: pass samples, law.sample(key, n)."
        )
    if (law.n_sites, law.periodic) != (family.n_sites, family.periodic):
        raise ValueError(
            f"family must have n_sites = {law.n_sites} and periodic = {law.periodic} as the law, "
            f"got {family}."
        )
    return ExactMeans(law, family)


def _powers(family: EvenChain) -> tuple[Int[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """Powers of the field in the potential, and the factors of the slopes of their statistics."""
    orders = 2 * np.arange(1, len(family.potential) + 1)
    return orders, np.where(orders == 2, -0.5, -1.0) * orders


def _site_sum(chain: SolvedChain, order: int) -> float:
    """Sum over the sites of the mean of an even power of the field."""
    n, square = chain.n_sites, chain.operator.points[:, None] ** order
    (even, even_states), (odd, odd_states) = chain.operator.even_states, chain.operator.odd_states
    if chain.periodic:
        in_even, in_odd = ((square * states**2).sum(0) for states in (even_states, odd_states))
        total = in_even @ even**n + in_odd @ odd**n
        return float(n * total / (np.sum(even**n) + np.sum(odd**n)))
    reached = _reached(chain)
    elements = even_states.T @ (square * even_states)
    total = sum(reached[i] @ elements @ reached[n - 1 - i] for i in range(n))
    return float(total / (reached[0] @ reached[n - 1]))


def _reached(chain: SolvedChain) -> Float[np.ndarray, "N states"]:
    """What an end of an open chain is after 0, ..., N - 1 bonds, in the even states."""
    operator = chain.operator
    potential_there = potential(operator.coefficients, operator.points)
    even, states = operator.even_states
    end = np.exp((potential_there.min() - potential_there) / 2) @ states
    return end * even ** np.arange(chain.n_sites)[:, None]


def _odd_pair_sum(chain: SolvedChain, f: Float[np.ndarray, " points"], r: int) -> float:
    """Sum over the sites of ``<f(phi_i) phi_{i+r}>`` for an odd f, given on points above zero."""
    (even, even_states), (odd, odd_states) = chain.operator.even_states, chain.operator.odd_states
    left, right = (
        even_states.T @ (values[:, None] * odd_states) for values in (f, chain.operator.points)
    )
    n = chain.n_sites
    if chain.periodic:
        around = np.outer(even ** (n - r), odd**r) + np.outer(even**r, odd ** (n - r))
        return float(n * np.sum(left * right * around) / (np.sum(even**n) + np.sum(odd**n)))
    reached = _reached(chain)
    pairs = sum(
        (reached[i] @ left * odd**r) @ (right.T @ reached[n - 1 - r - i]) for i in range(n - r)
    )
    return float(pairs / (reached[0] @ reached[n - 1]))
