"""Logarithms of polynomials in exponentials of the couplings, as compact as symmetry allows."""

import collections
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp


def log_factors(polynomial: Any, front: Mapping[Any, Any]) -> collections.Counter:
    """Return the logarithm of front * polynomial as the powers of its irreducible factors.

    Arguments:
        polynomial: an element of a SymPy ring over the integers.
        front: the powers of generators in front of it.
    """
    content, factors = polynomial.factor_list()
    logarithm = collections.Counter(front)
    for factor, power in (*factors, *sp.factorint(int(content)).items()):
        logarithm[factor] += power
    return logarithm


def sum_of_logs(powers: Mapping[Any, Any], exponents: Sequence[sp.Expr]) -> Any:
    """Return sum of power * ln(factor) as a linear term plus r ln(product), in terms of cosh.

    Arguments:
        powers: numbers by factor, whole numbers or polynomials in exponentials.
        exponents: the logarithms of the generators of the polynomials.
    """
    linear, bases = sp.S.Zero, collections.Counter()
    for factor, power in powers.items():
        shift, number, rest = _hyperbolic(factor, exponents)
        linear += power * shift
        for base, exponent in ((rest, sp.S.One), *sp.factorint(number).items()):
            bases[sp.sympify(base)] += power * exponent
    bases = {base: power for base, power in bases.items() if power and base != 1}
    rate = sp.gcd_list([sp.S.Zero, *bases.values()])
    # numbers last: SymPy would multiply them into the first sum that it meets
    ordered = sorted(bases.items(), key=lambda item: item[0].is_number)
    return sp.expand(linear) + rate * sp.log(
        sp.prod(base ** (power / rate) for base, power in ordered)
    )


def _hyperbolic(factor: Any, exponents: Sequence[sp.Expr]) -> tuple[Any, Any, Any]:
    """Write a polynomial as exp(shift) * number * rest, with cosh for mirrored terms."""
    if isinstance(factor, int):
        return sp.S.Zero, factor, sp.S.One
    terms = {sp.ImmutableMatrix(power): coefficient for power, coefficient in factor.terms()}
    columns = zip(*factor.monoms(), strict=True)
    centre = sp.Matrix([sp.Rational(max(column) + min(column), 2) for column in columns])
    image = _reflection(terms, centre)
    vector, rest = sp.Matrix(exponents), sp.S.Zero
    for power, coefficient in terms.items():
        paired = terms.get(image(power)) == coefficient
        moved = (power - image(power)) / 2 if paired else sp.zeros(*centre.shape)
        rest += (
            coefficient * sp.exp(vector.dot(power - centre - moved)) * sp.cosh(vector.dot(moved))
        )
    number, rest = rest.as_content_primitive()
    return vector.dot(centre), number, rest


def _reflection(terms: Mapping[Any, Any], centre: Any) -> Callable[[Any], Any]:
    """Return the reflection about the centre: of one coupling if that keeps all terms, or all."""
    identity = sp.eye(len(centre))
    mirrors = [identity, *(sp.diag(*row) for row in identity.tolist())]
    images = [functools.partial(_reflect, mirror, centre) for mirror in mirrors]
    whole = [
        image for image in images if all(terms.get(image(power)) == c for power, c in terms.items())
    ]
    return (whole or images)[0]


def _reflect(mirror: Any, centre: Any, power: Any) -> Any:
    return sp.ImmutableMatrix(power - 2 * mirror * (power - centre))
