"""Decimation of a chain, derived from its transfer matrix."""

import collections
import functools
import itertools
import math

import numpy as np
import pandas as pd
import sympy as sp
from sympy.polys.matrices import DomainMatrix
from sympy.polys.rings import ring

from rgkit import _validation as check
from rgkit.renormalizations._closed_forms import log_factors, sum_of_logs
from rgkit.renormalizations.base import FixedPoint, RGMap, typeset

K, H = sp.symbols("K h", real=True)
WEIGHT = sp.Symbol("w", positive=True)


def ising_bond(s, t):
    r"""Return :math:`-H` of one Ising bond, :math:`K s t + h (s + t)/2`: half of the field of each end."""
    return K * s * t + H * sp.Rational(s + t, 2)


def ising_decimation(b: int) -> "IsingDecimation":
    r"""Decimate the Ising chain: keep every ``b``-th spin and sum out the others.

    The transfer matrix obeys :math:`A_b T(K', h') = T(K, h)^b`. ``b``: scale factor, an integer of at least
    2. Couplings: dimensionless ``K`` (bond) and ``h`` (field), with weight :math:`\exp(K s s' + h s)`. Raises
    ``TypeError`` or ``ValueError`` where ``b`` is not such an integer.

    Source: D. R. Nelson, M. E. Fisher, Ann. Phys. 91, 226 (1975), doi:10.1016/0003-4916(75)90284-5.
    """
    return IsingDecimation(ising_bond, (1, -1), (K, H), b)


def transfer_matrix_decimation(bond, states, couplings, b: int) -> "TransferMatrixDecimation":
    r"""Derive the decimation of any chain of discrete spins from the energy of one bond.

    Solves :math:`\ln (T^b)_{ss'} = \ln A_b + \sum_k \theta_k' \phi_k(s, s')` for the new couplings, where
    :math:`\ln T_{ss'} = \sum_k \theta_k \phi_k(s, s')` is ``bond(s, s')``, minus the dimensionless energy of
    a bond with half of the one-site terms of its two ends.

    ``states``: the values of one spin. ``couplings``: the SymPy symbols, in which ``bond`` is linear with
    rational coefficients. ``b``: scale factor, an integer of at least 2. Raises ``ValueError`` where the
    couplings do not close or are not independent.
    """
    return TransferMatrixDecimation(bond, states, couplings, b)


class TransferMatrixDecimation(RGMap):
    r"""The recursion of a chain under :math:`T \to T^b`, with its constant :math:`\ln A_b` per kept spin."""

    def __init__(self, bond, states, couplings, b):
        self.couplings = tuple(couplings)
        self.scale_factor = check.positive_integer("b", b, minimum=2)
        self.states = tuple(states)
        self._pairs = list(itertools.product(self.states, repeat=2))
        self._statistics = _sufficient_statistics(bond, self._pairs, self.couplings)
        self._kept = self._independent_pairs()
        self._solution = self._design()[self._kept, :].inv()
        self._require_closed()

    @property
    def expressions(self) -> dict:
        """The new couplings by name, in closed form."""
        return dict(zip(self.names, self._closed_forms[1:], strict=True))

    @property
    def constant(self) -> sp.Expr:
        r"""The constant :math:`\ln A_b` for each kept spin, in closed form."""
        return self._closed_forms[0]

    def latex(self) -> str:
        """Return the recursion and its constant as LaTeX, one aligned line for each."""
        return typeset({**self._equations(), rf"\ln A_{{{self.scale_factor}}}": self.constant})

    def log_constant(self, values) -> float:
        r"""Return the number :math:`\ln A_b` for each kept spin at the couplings ``values`` (by name)."""
        return self._solve(self._vector(values))[0]

    def flow(self, start, n_steps: int) -> pd.DataFrame:
        r"""Return the couplings after 0 to ``n_steps`` steps, with the free energy that the steps collect.

        Beside step, scale and the couplings: ``constant``, :math:`\ln A_b` for each kept spin of the step
        that led to this row (0 in the first), and ``free_energy``, :math:`\sum_n \ln A_b(\theta_n) / b^{n+1}`
        so far, which tends to :math:`\ln\lambda_0`, the logarithm of the largest eigenvalue of the first
        transfer matrix.
        """
        table = super().flow(start, n_steps)
        before = table[list(self.names)].to_numpy()[:-1]
        table["constant"] = [0.0, *(self._solve(theta)[0] for theta in before)]
        table["free_energy"] = (table["constant"] / table["scale"]).cumsum()
        return table

    def fixed_points(self) -> list:
        """Return the point without couplings, which every chain has; the others depend on its energy."""
        note = "no couplings: infinite temperature; other fixed points of this chain are not listed"
        return [FixedPoint(dict.fromkeys(self.names, 0.0), note)]

    def _map(self, theta):
        return self._solve(theta)[1:]

    def _linearization(self, point):
        # exact numbers: a direction that is super-attractive must come out as 0, not as a rounding error
        exact = {symbol: sp.Rational(point[symbol.name]) for symbol in self.couplings}
        matrix = sp.Matrix(list(self.expressions.values())).jacobian(self.couplings)
        return np.array(matrix.subs(exact).evalf().tolist(), dtype=float)

    def _solve(self, theta):
        summed = _log_power(self._bond(theta), self.scale_factor).ravel()
        return self._numeric_solution @ summed[self._kept]

    def _bond(self, theta):
        return (self._numeric_statistics @ theta).reshape(len(self.states), len(self.states))

    @functools.cached_property
    def _numeric_statistics(self):
        return np.array(self._statistics.tolist(), dtype=float)

    @functools.cached_property
    def _numeric_solution(self):
        return np.array(self._solution.tolist(), dtype=float)

    def _design(self):
        """One row for each pair of states: 1 for the constant, then the sufficient statistics."""
        return sp.ones(len(self._pairs), 1).row_join(self._statistics)

    def _independent_pairs(self):
        design = self._design()
        rows = design.T.rref()[1]
        if len(rows) < design.cols:
            raise ValueError(
                f"the couplings {', '.join(self.names)} and the constant are not independent functions of a "
                "pair of states: remove a coupling that the others can express."
            )
        return list(rows)

    def _require_closed(self):
        """Test the identity in the couplings at x = 2, 3, 5, ...: in whole numbers, so without rounding."""
        symbols, matrix, _ = self._weights()
        point = [(symbol, sp.prime(i + 1)) for i, symbol in enumerate(symbols)]
        values = [[int(entry.evaluate(point)) for entry in row] for row in matrix]
        self._compare(_power(values, sp.ZZ, self.scale_factor))

    def _compare(self, summed):
        predicted = self._design() * self._solution
        for row, pair in enumerate(self._pairs):
            exponents = dict(zip(self._kept, predicted.row(row), strict=True))
            exponents[row] = exponents.get(row, 0) - 1
            if not _product_is_one([(summed[i], exponent) for i, exponent in exponents.items()]):
                raise ValueError(self._not_closed(pair))

    def _not_closed(self, pair):
        fitted = ", ".join(str(self._pairs[i]) for i in self._kept)
        return (
            f"the couplings {', '.join(self.names)} do not close under b={self.scale_factor}: fitted to the "
            f"pairs of states {fitted} they miss the weight of the pair {pair}: add to the bond the coupling "
            "that is missing, a function that sets this pair apart."
        )

    def _weights(self):
        r"""Return generators x, T as monomials in x, and the exponents of x taken out in front of it.

        A generator is :math:`x_k = e^{\theta_k/d_k}` with :math:`d_k` the common denominator of statistic k.
        """
        powers = self._statistics * sp.diag(*self._denominators)
        lowest = [min(powers.col(k)) for k in range(powers.cols)]
        domain, *symbols = ring(self.names, sp.ZZ)
        shifted = (powers - sp.ones(powers.rows, 1) * sp.Matrix([lowest])).tolist()
        entries = [domain.from_dict({tuple(map(int, exponents)): 1}) for exponents in shifted]
        size = len(self.states)
        return symbols, [entries[i : i + size] for i in range(0, size**2, size)], lowest

    @functools.cached_property
    def _denominators(self):
        columns = (self._statistics.col(k) for k in range(self._statistics.cols))
        return [sp.ilcm(1, *(entry.q for entry in column)) for column in columns]

    @functools.cached_property
    def _closed_forms(self):
        symbols, matrix, lowest = self._weights()
        entries = _power(matrix, symbols[0].ring.to_domain(), self.scale_factor)
        front = {
            symbol: self.scale_factor * low for symbol, low in zip(symbols, lowest, strict=True)
        }
        logarithms = [log_factors(entries[i], front) for i in self._kept]
        return [self._closed_form(row, logarithms) for row in self._solution.tolist()]

    def _closed_form(self, weights, logarithms):
        """Write a rational combination of logarithms as a linear term plus r ln(product)."""
        total = collections.Counter()
        for weight, logarithm in zip(weights, logarithms, strict=True):
            for factor, power in logarithm.items():
                total[factor] += weight * power
        exponents = [
            symbol / d for symbol, d in zip(self.couplings, self._denominators, strict=True)
        ]
        return sum_of_logs(total, exponents)


class IsingDecimation(TransferMatrixDecimation):
    r"""Decimation of the Ising chain in the plane :math:`(K, h)`."""

    def in_tanh(self, t) -> sp.Expr:
        r"""Return :math:`\tanh K'` at h = 0 as a function of t, which stands for :math:`\tanh K`."""
        square = sp.exp(4 * self.expressions["K"].subs(H, 0)).rewrite(sp.exp)
        ratio = sp.sqrt(_in_boltzmann_weight(square, K, 2))
        return sp.cancel(((ratio - 1) / (ratio + 1)).subs(WEIGHT, (1 - t) / (1 + t)))

    def fixed_points(self) -> list:
        r"""Return the fixed points: the line K = 0 by its representative, K = inf, and for odd b K = -inf.

        They are the transfer matrices that are proportional to their own b-th power: of rank one, the
        identity, and for odd b the exchange of the two states. The line ends in the fixed points h = inf and
        h = -inf, about which (K, h) are not coordinates.
        """
        line = FixedPoint(
            {"K": 0.0, "h": 0.0}, "stable in K; a line of fixed points: (0, h) for every h"
        )
        ordered = FixedPoint({"K": math.inf, "h": 0.0}, "zero temperature, ferromagnet")
        alternating = FixedPoint(
            {"K": -math.inf, "h": 0.0}, "zero temperature, antiferromagnet; b odd"
        )
        return [line, ordered] + [alternating] * (self.scale_factor % 2)

    def _map(self, theta):
        k_new, h_new = super()._map(theta)
        # near the line K = 0 the logarithms cancel and would leave a rounding error in the place of K' ~ K**b
        return np.array([self._weak_coupling(theta) if abs(k_new) < 0.1 else k_new, h_new])

    def _weak_coupling(self, theta):
        r"""Return K' from :math:`e^{4K'} - 1 = (\det T)^b / ((T^b)_{+-})^2`, where nothing cancels."""
        bond = self._bond(theta)
        contrast = bond[0, 0] + bond[1, 1] - bond[0, 1] - bond[1, 0]
        if contrast == 0:
            return 0.0
        log_det = (
            bond[0, 1] + bond[1, 0] + max(contrast, 0.0) + math.log(-math.expm1(-abs(contrast)))
        )
        b, sign = self.scale_factor, math.copysign(1, contrast)
        walls = _log_power(bond, b)[0, 1]
        return math.log1p(sign**b * math.exp(b * log_det - 2 * walls)) / 4

    def _stays(self, point):
        # the line: exact zero, since the map itself contracts K towards it
        return point["K"] == 0 and math.isfinite(point["h"])

    def _linearization(self, point):
        if math.isinf(point["K"]):
            return self._linearization_at_infinity(1 if point["K"] > 0 else -1)
        matrix = sp.Matrix(list(self.expressions.values())).jacobian(self.couplings).subs(K, 0)
        exact = matrix.applyfunc(lambda entry: _in_boltzmann_weight(entry, H, 1))
        return np.array(exact.subs(WEIGHT, sp.exp(-point["h"])).evalf().tolist(), dtype=float)

    def _linearization_at_infinity(self, sign):
        r"""Linearize at w = h = 0, where :math:`w = e^{-2|K|}` is the weight of a domain wall."""
        k_new, h_new = (self.expressions[name] for name in self.names)
        wall = sp.sqrt(_in_boltzmann_weight(sp.exp(-4 * sign * k_new.subs(H, 0)), K, 2 * sign))
        field = _in_boltzmann_weight(sp.diff(h_new, H).subs(H, 0), K, 2 * sign)
        # h -> -h leaves w' even and h' odd, so the mixed derivatives vanish at h = 0
        return np.diag(
            [float(sp.limit(wall / WEIGHT, WEIGHT, 0)), float(sp.limit(field, WEIGHT, 0))]
        )


def _sufficient_statistics(bond, pairs, couplings):
    """Return phi, a row for each pair of states, a column for each coupling; refuse what is not linear."""
    energies = [sp.sympify(bond(s, t)) for s, t in pairs]
    rows = [[sp.diff(energy, coupling) for coupling in couplings] for energy in energies]
    for pair, energy, row in zip(pairs, energies, rows, strict=True):
        rest = sp.expand(
            energy - sum(n * coupling for n, coupling in zip(row, couplings, strict=True))
        )
        if rest != 0 or not all(entry.is_Rational for entry in row):
            raise ValueError(
                f"bond{pair} = {energy} must be a linear combination of the couplings with rational "
                "coefficients: write fractions as sympy.Rational and give every term a coupling."
            )
    return sp.Matrix(rows)


def _in_boltzmann_weight(expression, symbol, scale):
    """Return the rational function of w = exp(-scale * symbol) that the expression is, factored."""
    return sp.factor(sp.cancel(expression.rewrite(sp.exp).subs(symbol, -sp.log(WEIGHT) / scale)))


def _power(rows, domain, b):
    """Return the entries of the matrix to the power b, row by row; they stay exact."""
    power = DomainMatrix(rows, (len(rows), len(rows)), domain) ** b
    return [entry for row in power.to_list() for entry in row]


def _log_power(bond, b):
    """Return the elementwise logarithm of T**b from that of T, by repeated squaring."""
    if b == 1:
        return bond
    half = _log_power(bond, b // 2)
    squared = _log_product(half, half)
    return _log_product(squared, bond) if b % 2 else squared


def _log_product(left, right):
    return np.logaddexp.reduce(left[:, :, None] + right[None, :, :], axis=1)


def _product_is_one(powers):
    """Whether the product of whole numbers to rational powers is 1."""
    scale = sp.ilcm(1, *(sp.Rational(exponent).q for _, exponent in powers))
    over = math.prod(base ** int(scale * exponent) for base, exponent in powers if exponent > 0)
    under = math.prod(base ** int(-scale * exponent) for base, exponent in powers if exponent < 0)
    return over == under
