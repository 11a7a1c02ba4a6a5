"""Wilson's momentum shell to one loop, derived by a Gaussian integral over the fast modes."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import sympy as sp

from rgkit import _validation as check
from rgkit.renormalizations import _couplings
from rgkit.renormalizations.base import FixedPoint
from rgkit.renormalizations.flows import RGFlow, in_order

R, U = sp.symbols("r u", real=True)
FIELD = sp.Symbol("phi", real=True)


def one_loop(epsilon: check.Real) -> "MomentumShell":
    r"""Wilson's flow of :math:`\tfrac r2\phi^2 + u\phi^4` in :math:`d = 4 - \epsilon` dimensions.

    .. math::

        \frac{dr}{d\ell} = 2r + \frac{12u}{1+r}, \qquad
        \frac{du}{d\ell} = \epsilon u - \frac{36u^2}{(1+r)^2}

    The gradient term is :math:`\tfrac12(\nabla\phi)^2` and the cutoff is 1. The number
    :math:`\Omega_d` of modes in the shell (the area of the unit sphere over :math:`(2\pi)^d`) is
    absorbed in u and the field. Couplings ``r`` and ``u`` are dimensionless.

    Arguments:
        epsilon: a real number below 4; the derivation is trusted where it is small.

    Raises:
        TypeError, ValueError: where ``epsilon`` is not such a number.

    Reference: K. G. Wilson, M. E. Fisher, Phys. Rev. Lett. 28, 240 (1972),
    doi:10.1103/PhysRevLett.28.240.
    """
    value = check.real("epsilon", epsilon)
    if value >= 4:
        raise ValueError(f"epsilon must be below 4, got {value}: the dimension is 4 - epsilon.")
    return MomentumShell(
        R / 2 * FIELD**2 + U * FIELD**4, (R, U), 4 - sp.nsimplify(value, rational=True)
    )


class MomentumShell(RGFlow):
    r"""The one-loop flow of any even polynomial potential V as a momentum shell is integrated out.

    The fast modes :math:`\sigma` have momenta of size between :math:`e^{-d\ell}` and 1. In the slow
    background :math:`\phi` they are Gaussian with weight :math:`\exp(-(1 + V''(\phi))\sigma^2/2)`,
    and the logarithm of their integral is added to V. Then lengths and the field are measured in
    the new unit.

    Arguments:
        potential: SymPy polynomial in `FIELD`, a sum of the couplings, each times a number and an
            even power of the field of its own.
        couplings: the SymPy symbols of the dimensionless couplings.
        dimension: a number of SymPy or of Python.

    Raises:
        TypeError, ValueError: where one is not such a thing.
    """

    def __init__(self, potential: sp.Expr, couplings: Iterable[sp.Symbol], dimension: Any):
        self._symbols = _couplings.checked_symbols("couplings", couplings)
        self.names = tuple(symbol.name for symbol in self._symbols)
        self._powers = _powers(potential, self._symbols)
        self.potential = potential
        check.real("dimension", dimension)
        self.dimension = sp.sympify(dimension)

    @property
    def couplings(self) -> tuple[sp.Symbol, ...]:
        """The SymPy symbols of the couplings, in order, as they were given."""
        return self._symbols

    def derive(self) -> dict[str, sp.Expr]:
        """The rates by name: the power of the field of each coupling is read off."""
        shell = self._shell()
        return {symbol.name: self._rate(symbol, shell) for symbol in self.couplings}

    def fixed_points(self) -> list[FixedPoint]:
        """The Gaussian point and, for epsilon above 0 in (r, u), the Wilson-Fisher point."""
        gaussian = FixedPoint(dict.fromkeys(self.names, 0.0), "Gaussian: a free field")
        if set(self.couplings) != {R, U} or self.dimension >= 4:
            return [gaussian]
        return [gaussian, self._wilson_fisher()]

    def domain(self, theta: Any) -> dict[str, Any]:
        """The stiffness of the fast modes about zero field, which must stay positive."""
        return {"the fast modes have lost their stiffness": self._stiffness(*in_order(theta))}

    @functools.cached_property
    def _stiffness(self) -> Callable:
        at_zero_field = 1 + sp.diff(self.potential, FIELD, 2).subs(FIELD, 0)
        return sp.lambdify(self.couplings, at_zero_field, modules="math")

    def _rate(self, symbol: sp.Symbol, shell: sp.Expr) -> sp.Expr:
        power, weight = self._powers[symbol]
        change = sp.diff(shell, FIELD, power).subs(FIELD, 0) / sp.factorial(power)
        scaling = self.dimension - power * (self.dimension - 2) / 2
        terms = sp.Add.make_args(sp.expand(change / weight))
        return scaling * symbol + sp.Add(*map(sp.factor, terms))

    def _shell(self) -> sp.Expr:
        r"""Return :math:`-\ln\int d\sigma\,e^{-(1+V'')\sigma^2/2}` less that of a free field."""
        stiffness, sigma = sp.symbols("k sigma", positive=True)
        integral = 2 * sp.integrate(sp.exp(-stiffness * sigma**2 / 2), (sigma, 0, sp.oo))
        free = integral.subs(stiffness, 1)
        logarithm: Any = sp.log(sp.simplify(integral / free))
        return -logarithm.subs(stiffness, 1 + sp.diff(self.potential, FIELD, 2))

    def _wilson_fisher(self) -> FixedPoint:
        u_of_r = next(root for root in sp.solve(self.expressions["u"], U) if root != 0)
        equation = sp.numer(sp.together(self.expressions["r"].subs(U, u_of_r)))
        solutions = [root for root in sp.roots(equation, R) if root != -1]
        (r_star,) = solutions
        return FixedPoint(
            {"r": float(r_star), "u": float(u_of_r.subs(R, r_star))},
            "Wilson-Fisher: one relevant direction",
        )


def _powers(potential: Any, couplings: tuple[sp.Symbol, ...]) -> dict[sp.Symbol, tuple[int, Any]]:
    """Return the power of the field and the number that each coupling comes with."""
    if not isinstance(potential, sp.Expr):
        raise TypeError(
            f"potential must be a SymPy expression, got {potential!r}: write r/2*FIELD**2 with "
            "FIELD from rgkit.renormalizations.momentum_shell."
        )
    powers = {}
    for symbol in couplings:
        term = sp.expand(potential).coeff(symbol)
        number, power = term.as_coeff_exponent(FIELD)
        if not (number.is_number and number and power.is_Integer and power > 0 and not power % 2):
            raise ValueError(
                f"potential must have {symbol} times a number and an even power of the field, got "
                f"{term}: give each power a coupling of its own."
            )
        powers[symbol] = int(power), number
    rest = sp.expand(potential - sum(s * n * FIELD**p for s, (p, n) in powers.items()))
    if rest != 0 or len({power for power, _ in powers.values()}) < len(powers):
        raise ValueError(
            f"potential must be linear in the couplings {', '.join(map(str, couplings))}, each "
            f"with a power of the field of its own, {rest} is left: give each power a coupling."
        )
    return powers
