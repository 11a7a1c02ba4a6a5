"""Wilson's momentum shell to one loop, derived by a Gaussian integral over the fast modes."""

import functools

import sympy as sp

from rgkit import _validation as check
from rgkit.renormalizations.base import FixedPoint, RGFlow

R, U = sp.symbols("r u", real=True)
FIELD = sp.Symbol("phi", real=True)


def one_loop(epsilon: float) -> "MomentumShell":
    r"""Return Wilson's flow of :math:`\tfrac r2\phi^2 + u\phi^4` in :math:`d = 4 - \epsilon` dimensions.

    .. math:: \frac{dr}{d\ell} = 2r + \frac{12u}{1+r}, \qquad \frac{du}{d\ell} = \epsilon u - \frac{36u^2}{(1+r)^2}

    The gradient term is :math:`\tfrac12(\nabla\phi)^2` and the cutoff is 1. The number :math:`\Omega_d` of
    modes in the shell (the area of the unit sphere over :math:`(2\pi)^d`) is absorbed in u and the field.
    Couplings ``r`` and ``u`` are dimensionless. ``epsilon``: a real number below 4; the derivation is
    trusted where it is small. Raises ``TypeError`` or ``ValueError`` where it is not such a number.

    Source: K. G. Wilson, M. E. Fisher, Phys. Rev. Lett. 28, 240 (1972), doi:10.1103/PhysRevLett.28.240.
    """
    value = check.real("epsilon", epsilon)
    if value >= 4:
        raise ValueError(f"epsilon must be below 4, got {value}: the dimension is 4 - epsilon.")
    return MomentumShell(
        R / 2 * FIELD**2 + U * FIELD**4, (R, U), 4 - sp.nsimplify(value, rational=True)
    )


class MomentumShell(RGFlow):
    r"""The one-loop flow of any even polynomial potential V under the integration of a momentum shell.

    The fast modes :math:`\sigma` have momenta of size between :math:`e^{-d\ell}` and 1. In the slow
    background :math:`\phi` they are Gaussian with weight :math:`\exp(-(1 + V''(\phi))\sigma^2/2)`, and the
    logarithm of their integral is added to V. Then lengths and the field are measured in the new unit.

    ``potential``: SymPy polynomial in ``FIELD``, linear in the symbols ``couplings``, each with a power of
    its own. ``dimension``: a SymPy number.
    """

    def __init__(self, potential, couplings, dimension):
        self.potential = potential
        self.couplings = tuple(couplings)
        self.dimension = dimension

    @functools.cached_property
    def expressions(self) -> dict:
        """The right-hand sides by name: the power of the field of each coupling is read off."""
        return {symbol.name: self._coefficient(symbol) for symbol in self.couplings}

    def fixed_points(self) -> list:
        """Return the Gaussian point and, for epsilon above 0 in (r, u), the Wilson-Fisher point."""
        gaussian = FixedPoint(dict.fromkeys(self.names, 0.0), "Gaussian: a free field")
        if set(self.couplings) != {R, U} or self.dimension >= 4:
            return [gaussian]
        return [gaussian, self._wilson_fisher()]

    def _domain(self, theta):
        return {"the fast modes have lost their stiffness": self._stiffness(*theta)}

    @functools.cached_property
    def _stiffness(self):
        return sp.lambdify(
            self.couplings, 1 + sp.diff(self.potential, FIELD, 2).subs(FIELD, 0), modules="math"
        )

    def _coefficient(self, symbol):
        power = sp.degree(self.potential.coeff(symbol), FIELD)
        weight = self.potential.coeff(symbol).coeff(FIELD, power)
        change = sp.diff(self._shell(), FIELD, power).subs(FIELD, 0) / sp.factorial(power)
        scaling = self.dimension - power * (self.dimension - 2) / 2
        return scaling * symbol + sp.Add(
            *map(sp.factor, sp.Add.make_args(sp.expand(change / weight)))
        )

    def _shell(self):
        r"""Return :math:`-\ln\int d\sigma\,e^{-(1+V'')\sigma^2/2}` less its value for a free field."""
        stiffness, sigma = sp.symbols("k sigma", positive=True)
        integral = 2 * sp.integrate(sp.exp(-stiffness * sigma**2 / 2), (sigma, 0, sp.oo))
        free = integral.subs(stiffness, 1)
        return -sp.log(sp.simplify(integral / free)).subs(
            stiffness, 1 + sp.diff(self.potential, FIELD, 2)
        )

    def _wilson_fisher(self):
        u_of_r = next(root for root in sp.solve(self.expressions["u"], U) if root != 0)
        equation = sp.numer(sp.together(self.expressions["r"].subs(U, u_of_r)))
        solutions = [root for root in sp.roots(equation, R) if root != -1]
        (r_star,) = solutions
        return FixedPoint(
            {"r": float(r_star), "u": float(u_of_r.subs(R, r_star))},
            "Wilson-Fisher: one relevant direction",
        )
