"""Decimation of any chain of discrete spins, derived from its transfer matrix."""

import collections
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import sympy as sp
from jaxtyping import Float
from sympy.polys.matrices import DomainMatrix
from sympy.polys.rings import ring

from rgkit import _validation as check
from rgkit.renormalizations import _couplings
from rgkit.renormalizations._closed_forms import log_factors, sum_of_logs
from rgkit.renormalizations.base import FixedPoint, Values, typeset
from rgkit.renormalizations.maps import RGMap
from rgkit.systems.log_matrices import log_power

LARGEST_BLOCK = 10**5


def transfer_matrix_decimation(
    bond: Callable[[Any, Any], Any],
    states: Iterable[Any],
    couplings: Iterable[sp.Symbol],
    b: check.Integer,
) -> "TransferMatrixDecimation":
    r"""Derive the decimation of any chain of discrete spins from the energy of one bond.

    Solves :math:`\ln (T^b)_{ss'} = \ln A_b + \sum_k \theta_k' \phi_k(s, s')` for the new couplings,
    where :math:`\ln T_{ss'} = \sum_k \theta_k \phi_k(s, s')` is ``bond(s, s')``.

    Arguments:
        bond: minus the dimensionless energy of a bond with half of the one-site terms of its two
            ends, a function of their states; linear in the couplings with rational coefficients.
        states: the values of one spin, at least two.
        couplings: the SymPy symbols, ``(k,)``.
        b: scale factor, an integer from 2 to 100000.

    Raises:
        TypeError: where an argument is of another kind.
        ValueError: where the couplings do not close under the decimation or are not independent,
            the bond is not linear in them, or b or the states are out of range.

    Reference: D. R. Nelson, M. E. Fisher, Ann. Phys. 91, 226 (1975),
    doi:10.1016/0003-4916(75)90284-5.
    """
    return TransferMatrixDecimation(bond, states, couplings, b)


class TransferMatrixDecimation(RGMap):
    r"""The recursion of a chain under :math:`T \to T^b`, with its constant per kept spin.

    Made by `rgkit.transfer_matrix_decimation`, which says what the arguments are.
    """

    def __init__(
        self,
        bond: Callable[[Any, Any], Any],
        states: Iterable[Any],
        couplings: Iterable[sp.Symbol],
        b: check.Integer,
    ):
        self._symbols = _couplings.checked_symbols("couplings", couplings)
        self.names = tuple(symbol.name for symbol in self._symbols)
        self.scale_factor = self._block = check.positive_integer("b", b, minimum=2)
        if self._block > LARGEST_BLOCK:
            raise ValueError(f"b must be at most {LARGEST_BLOCK}, got {b}: take several steps.")
        self.states = _checked_states(states)
        self._pairs = list(itertools.product(self.states, repeat=2))
        self._statistics = _sufficient_statistics(bond, self._pairs, self._symbols)
        self._kept = self._independent_pairs()
        self._solution = self._design().extract(self._kept, list(range(len(self.names) + 1))).inv()
        self._require_closed()

    @property
    def couplings(self) -> tuple[sp.Symbol, ...]:
        """The SymPy symbols of the couplings, in order, as they were given."""
        return self._symbols

    def derive(self) -> dict[str, Any]:
        """The new couplings by name, in closed form."""
        return dict(zip(self.names, self._closed_forms[1:], strict=True))

    @property
    def constant(self) -> sp.Expr:
        r"""The constant :math:`\ln A_b` for each kept spin, in closed form."""
        return self._closed_forms[0]

    def latex(self) -> str:
        """The recursion and its constant as LaTeX, one aligned line for each."""
        return typeset({**self._equations(), rf"\ln A_{{{self.scale_factor}}}": self.constant})

    def log_constant(self, values: Values) -> float:
        r"""The number :math:`\ln A_b` for each kept spin, in nats.

        Arguments:
            values: dimensionless couplings by name; a missing ``h`` is 0.

        Raises:
            TypeError, ValueError: as `step` does.
        """
        return float(self._solve(self._vector(values))[0])

    def flow(self, start: Values, n_steps: check.Integer) -> pd.DataFrame:
        r"""The couplings after 0 to ``n_steps`` steps, with the free energy that the steps collect.

        Arguments:
            start: dimensionless couplings by name; a missing ``h`` is 0.
            n_steps: the last step, at least 0.

        Returns:
            A table with the columns step, scale, the couplings, ``constant``, :math:`\ln A_b` for
            each kept spin of the step that led to this row (0 in the first), and ``free_energy``,
            :math:`\sum_n \ln A_b(\theta_n) / b^{n+1}` so far, which tends to :math:`\ln\lambda_0`,
            the logarithm of the largest eigenvalue of the first transfer matrix. Both in nats.

        Raises:
            TypeError, ValueError: as `step` does, and where ``n_steps`` is not such an integer.
        """
        table = super().flow(start, n_steps)
        before = table[list(self.names)].to_numpy()[:-1]
        table["constant"] = [0.0, *(self._solve(theta)[0] for theta in before)]
        table["free_energy"] = (table["constant"] / table["scale"]).cumsum()
        return table

    def fixed_points(self) -> list[FixedPoint]:
        """The point without couplings, which every chain has; others depend on its energy."""
        note = "no couplings: infinite temperature; other fixed points of this chain are not listed"
        return [FixedPoint(dict.fromkeys(self.names, 0.0), note)]

    def image(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """The couplings after one step, from the logarithms of the weights of pairs of spins."""
        return self._solve(theta)[1:]

    def linearization(self, values: Values) -> Float[np.ndarray, "k k"]:
        r"""The matrix :math:`\partial\theta_i'/\partial\theta_j`, ``(k, k)``, at couplings by name.

        The numbers are exact until the end: a direction that is super-attractive comes out as 0,
        not as a rounding error.
        """
        theta = self._vector(values).tolist()
        exact = dict(zip(self.couplings, map(sp.Rational, theta), strict=True))
        matrix = sp.Matrix(list(self.expressions.values())).jacobian(self.couplings)
        return np.array(matrix.subs(exact).evalf().tolist(), dtype=float)

    def _solve(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, " m"]:
        summed = log_power(self._bond(theta), self._block).ravel()
        return self._numeric_solution @ summed[self._kept]

    def _bond(self, theta: Float[np.ndarray, " k"]) -> Float[np.ndarray, "q q"]:
        return (self._numeric_statistics @ theta).reshape(len(self.states), len(self.states))

    @functools.cached_property
    def _numeric_statistics(self) -> Float[np.ndarray, "pairs k"]:
        return np.array(self._statistics.tolist(), dtype=float)

    @functools.cached_property
    def _numeric_solution(self) -> Float[np.ndarray, "m m"]:
        return np.array(self._solution.tolist(), dtype=float)

    def _design(self) -> sp.Matrix:
        """One row for each pair of states: 1 for the constant, then the sufficient statistics."""
        return sp.ones(len(self._pairs), 1).row_join(self._statistics)

    def _independent_pairs(self) -> list[int]:
        design = self._design()
        rows = design.T.rref()[1]
        if len(rows) < design.cols:
            raise ValueError(
                f"the couplings {', '.join(self.names)} and the constant are not independent "
                "functions of a pair of states: remove a coupling that the others can express."
            )
        return list(rows)

    def _require_closed(self) -> None:
        """Test the identity at x = 2, 3, 5, ...: in whole numbers, so without rounding."""
        symbols, matrix, _ = self._weights()
        point = [(symbol, sp.prime(i + 1)) for i, symbol in enumerate(symbols)]
        values = [[int(entry.evaluate(point)) for entry in row] for row in matrix]
        self._compare(_power(values, sp.ZZ, self._block))

    def _compare(self, summed: Sequence[int]) -> None:
        predicted = self._design() * self._solution
        for row, pair in enumerate(self._pairs):
            exponents = dict(zip(self._kept, predicted.row(row), strict=True))
            exponents[row] = exponents.get(row, sp.S.Zero) - 1
            if not _product_is_one([(summed[i], exponent) for i, exponent in exponents.items()]):
                raise ValueError(self._not_closed(pair))

    def _not_closed(self, pair: tuple[Any, Any]) -> str:
        fitted = ", ".join(str(self._pairs[i]) for i in self._kept)
        return (
            f"the couplings {', '.join(self.names)} do not close under b={self.scale_factor}: "
            f"fitted to the pairs of states {fitted} they miss the weight of the pair {pair}: add "
            "to the bond the coupling that is missing, a function that sets this pair apart."
        )

    def _weights(self) -> tuple[list[Any], list[list[Any]], list[Any]]:
        r"""Generators x, T as monomials in x, and the exponents of x taken out in front of it.

        A generator is :math:`x_k = e^{\theta_k/d_k}` with :math:`d_k` the common denominator of
        statistic k.
        """
        powers = self._statistics * sp.diag(*self._denominators)
        lowest = [min(powers.col(k)) for k in range(powers.cols)]
        domain, *symbols = ring(self.names, sp.ZZ)
        shifted = (powers - sp.ones(powers.rows, 1) * sp.Matrix([lowest])).tolist()
        entries = [domain.from_dict({tuple(map(int, exponents)): 1}) for exponents in shifted]
        size = len(self.states)
        return symbols, [entries[i : i + size] for i in range(0, size**2, size)], lowest

    @property
    def _denominators(self) -> list[int]:
        columns = (self._statistics.col(k) for k in range(self._statistics.cols))
        return [sp.ilcm(1, *(entry.q for entry in column)) for column in columns]

    @functools.cached_property
    def _closed_forms(self) -> list[sp.Expr]:
        symbols, matrix, lowest = self._weights()
        entries = _power(matrix, symbols[0].ring.to_domain(), self._block)
        front = {
            symbol: self.scale_factor * low for symbol, low in zip(symbols, lowest, strict=True)
        }
        logarithms = [log_factors(entries[i], front) for i in self._kept]
        return [self._closed_form(row, logarithms) for row in self._solution.tolist()]

    def _closed_form(self, weights: Sequence[Any], logarithms: Sequence[dict]) -> sp.Expr:
        """Write a rational combination of logarithms as a linear term plus r ln(product)."""
        total = collections.Counter()
        for weight, logarithm in zip(weights, logarithms, strict=True):
            for factor, power in logarithm.items():
                total[factor] += weight * power
        exponents = [
            symbol / d for symbol, d in zip(self.couplings, self._denominators, strict=True)
        ]
        return sum_of_logs(total, exponents)


def _checked_states(states: Any) -> tuple[Any, ...]:
    if isinstance(states, str) or not hasattr(states, "__iter__"):
        raise TypeError(
            f"states must be the values of one spin, got {states!r}: pass a tuple such as (1, -1)."
        )
    states = tuple(states)
    if len(states) < 2 or any(s == t for s, t in itertools.combinations(states, 2)):
        raise ValueError(
            f"states must be at least two different values of a spin, got {states}: list each once."
        )
    return states


def _sufficient_statistics(
    bond: Any, pairs: list[tuple[Any, Any]], couplings: tuple[sp.Symbol, ...]
) -> sp.Matrix:
    """Return phi, a row for each pair, a column for each coupling; refuse what is not linear."""
    if not callable(bond):
        raise TypeError(f"bond must be a function of two states, got {bond!r}: def bond(s, t): ...")
    rows = []
    for pair in pairs:
        energy = _energy(pair, bond(*pair))
        row = [sp.diff(energy, coupling) for coupling in couplings]
        linear = sum((n * c for n, c in zip(row, couplings, strict=True)), start=sp.S.Zero)
        if sp.expand(energy - linear) != 0 or not all(entry.is_Rational for entry in row):
            raise ValueError(
                f"bond{pair} = {energy} must be a linear combination of the couplings with "
                "rational coefficients: write fractions as sympy.Rational and give every term a "
                "coupling."
            )
        rows.append(row)
    return sp.Matrix(rows)


def _energy(pair: tuple[Any, Any], value: Any) -> sp.Expr:
    energy = None if isinstance(value, str) else sp.sympify(value)
    if not isinstance(energy, sp.Expr):
        raise TypeError(
            f"bond{pair} must be a SymPy expression or a number, got {value!r}: return minus the "
            "energy of the bond, such as K*s*t."
        )
    return energy


def _power(rows: list[list[Any]], domain: Any, b: int) -> list[Any]:
    """Return the entries of the matrix to the power b, row by row; they stay exact."""
    power = DomainMatrix(rows, (len(rows), len(rows)), domain) ** b
    return [entry for row in power.to_list() for entry in row]


def _product_is_one(powers: list[tuple[int, Any]]) -> bool:
    """Whether the product of whole numbers to rational powers is 1."""
    scale = sp.ilcm(1, *(sp.S(exponent).q for _, exponent in powers))
    over = math.prod(base ** int(scale * exponent) for base, exponent in powers if exponent > 0)
    under = math.prod(base ** int(-scale * exponent) for base, exponent in powers if exponent < 0)
    return over == under
