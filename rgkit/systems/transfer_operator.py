"""The transfer operator of a chain of fields, on a grid fine enough for float64."""

import dataclasses
import functools

import numpy as np
from jaxtyping import ArrayLike, Float

Coefficients = tuple[float, ...] | Float[np.ndarray, " powers"]
SMALLEST_GRID, LARGEST_GRID = 24, 768
LOG_WEIGHT_AT_THE_ENDS = 80.0
CONVERGED = 2e-13
UNRESOLVED = 1e-6


def potential(coefficients: Coefficients, phi: ArrayLike) -> Float[np.ndarray, "..."]:
    r"""The even polynomial :math:`c_1 \phi^2 + c_2 \phi^4 + \dots` for (c_1, c_2, ...)."""
    square = np.square(phi)
    return square * np.polynomial.polynomial.polyval(square, coefficients)


def confining(coefficients: Coefficients, coupling: float) -> Float[np.ndarray, " powers"]:
    r"""Coefficients of :math:`W = V - |K|\phi^2`.

    H is at least the sum of W, since :math:`2|\phi\phi'| \le \phi^2+\phi'^2`.
    """
    return np.array(coefficients) - np.eye(1, len(coefficients))[0] * abs(coupling)


def minimum(coefficients: Coefficients) -> float:
    """The least value of an even polynomial without constant term."""
    slope = np.polynomial.polynomial.polyder([0.0, *coefficients])
    squares = np.polynomial.polynomial.polyroots(slope).real
    return float(potential(coefficients, np.sqrt(np.append(squares[squares > 0], 0.0))).min())


def extent(coefficients: Coefficients, log_weight: float = LOG_WEIGHT_AT_THE_ENDS) -> float:
    """The outermost point at which an even polynomial lies ``log_weight`` above its least value."""
    level = minimum(coefficients) + log_weight
    equation = np.polynomial.polynomial.polyroots([-level, *coefficients])
    outermost = np.max(
        equation.real[(equation.real > 0) & (abs(equation.imag) < 1e-6 * abs(equation))]
    )
    return float(np.sqrt(outermost))


def whole_line(values: Float[np.ndarray, " n"], parity: int = 1) -> Float[np.ndarray, " m"]:
    """Values on the points above zero, ``(n,)``, continued to those below, ``(2n,)``.

    As an even function (parity 1) or an odd one (-1).
    """
    return np.concatenate([parity * values[::-1], values])


@dataclasses.dataclass(frozen=True)
class TransferOperator:
    r"""The operator :math:`T(a,b) = e^{-V(a)/2 - V(b)/2 + K a b}` by the trapezoid rule.

    The potential is V. T commutes with the reflection of the field. On the ``n_points`` grid points
    above zero it falls into an even and an odd part, the sums of T over b and -b, with signs + and
    -. The rule converges faster than any power of the spacing, since T is entire and decays.

    Arguments:
        coefficients: of :math:`\phi^2, \phi^4, \dots` in V.
        coupling: K.
        extent: the end L of the grid.
        n_points: grid points in (0, L).

    Reference: L. N. Trefethen, J. A. C. Weideman, SIAM Review 56, 385 (2014),
    doi:10.1137/130932132.
    """

    coefficients: tuple[float, ...]
    coupling: float
    extent: float
    n_points: int

    @property
    def spacing(self) -> float:
        """The distance h of neighbouring grid points."""
        return self.extent / self.n_points

    @functools.cached_property
    def points(self) -> Float[np.ndarray, " n"]:
        """Grid points above zero, ``(n_points,)``."""
        return (np.arange(self.n_points) + 0.5) * self.spacing

    @functools.cached_property
    def _lowest(self) -> float:
        return minimum(confining(self.coefficients, self.coupling))

    def log_kernel(self, a: ArrayLike, b: ArrayLike) -> Float[np.ndarray, "..."]:
        r""":math:`\ln T(a,b)` less its maximum; ``a`` and ``b`` broadcast."""
        return (
            self._lowest
            - (potential(self.coefficients, a) + potential(self.coefficients, b)) / 2
            + self.coupling * np.multiply(a, b)
        )

    @functools.cached_property
    def _parts(self) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
        """T between points on the favoured side of zero times the spacing, scaled by `log_kernel`.

        And the exponent by which it is less on the other side.
        """
        a, b = self.points[:, None], self.points[None]
        favoured = self.log_kernel(a, np.copysign(b, self.coupling))
        return self.spacing * np.exp(favoured), 2 * abs(self.coupling) * a * b

    @functools.cached_property
    def even(self) -> Float[np.ndarray, "n n"]:
        """The even part, ``(n_points, n_points)``, over the largest eigenvalue."""
        favoured, tilt = self._parts
        return favoured * (1 + np.exp(-tilt)) / self.eigenvalue

    @functools.cached_property
    def odd(self) -> Float[np.ndarray, "n n"]:
        """The odd part, ``(n_points, n_points)``, over the largest eigenvalue."""
        favoured, tilt = self._parts
        return favoured * -np.expm1(-tilt) * (np.sign(self.coupling) / self.eigenvalue)

    @functools.cached_property
    def eigenvalue(self) -> float:
        """The largest eigenvalue of the operator scaled as in `log_kernel`."""
        favoured, tilt = self._parts
        return float(np.linalg.eigvalsh(favoured * (1 + np.exp(-tilt)))[-1])

    @property
    def log_largest_eigenvalue(self) -> float:
        """``ln lambda_0`` of the operator itself."""
        return float(np.log(self.eigenvalue) - self._lowest)

    @functools.cached_property
    def even_states(self) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n n"]]:
        """Eigenvalues over the largest, and orthonormal eigenvectors in columns, of the even part.

        Largest first.
        """
        values, vectors = np.linalg.eigh(self.even)
        return values[::-1] / values[-1], vectors[:, ::-1]

    @functools.cached_property
    def odd_states(self) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n n"]]:
        """Eigenvalues over the largest of all, and orthonormal eigenvectors, of the odd part.

        Largest first, the eigenvectors in columns.
        """
        values, vectors = np.linalg.eigh(abs(self.odd))
        return np.sign(self.coupling) * values[::-1], vectors[:, ::-1]

    @functools.cached_property
    def ground_state(self) -> Float[np.ndarray, " n"]:
        r"""The function :math:`\psi_0 > 0` on `points`; its square integrates to 1."""
        return abs(self.even_states[1][:, 0]) / np.sqrt(2 * self.spacing)

    @functools.cached_property
    def gap(self) -> float:
        r""":math:`1 - |\lambda_1|/\lambda_0`, with all digits even where tunnelling makes it tiny.

        The difference of the even and the odd part is positive, so that between two positive
        vectors no digit cancels.
        """
        favoured, tilt = self._parts
        even, odd = (_perron_vector(abs(part)) for part in (self.even, self.odd))
        return float(even @ (2 * favoured * np.exp(-tilt) / self.eigenvalue) @ odd / (even @ odd))

    def extended(self, phi: ArrayLike) -> Float[np.ndarray, "..."]:
        r""":math:`\psi_0` at any ``phi``, through :math:`T\psi_0 = \lambda_0\psi_0`."""
        line, state = whole_line(self.points, -1), whole_line(self.ground_state)
        return (
            self.spacing
            / self.eigenvalue
            * np.exp(self.log_kernel(np.asarray(phi)[..., None], line))
            @ state
        )

    @property
    def log_ratio(self) -> float:
        r""":math:`\ln|\lambda_1/\lambda_0|`, from the gap where the ratio is near 1.

        Minus infinity without coupling.
        """
        if self.coupling == 0.0:
            return -np.inf
        ratio = max(abs(self.odd_states[0][0]), np.finfo(float).tiny)
        return float(np.log1p(-self.gap) if ratio > 0.5 else np.log(ratio))

    def moment(self, p: int) -> float:
        r""":math:`\langle\phi^p\rangle` in the infinite chain, p even."""
        return float(2 * self.spacing * self.points**p @ self.ground_state**2)

    def summary(self) -> Float[np.ndarray, "4"]:
        """What two grids are compared by, ``(4,)``.

        ln of the largest eigenvalue, the next over it, and ln of two moments.
        """
        log_moments = np.log([self.moment(2), self.moment(4)])
        return np.array([self.log_largest_eigenvalue, self.odd_states[0][0], *log_moments])


def _perron_vector(matrix: np.ndarray, steps: int = 60) -> np.ndarray:
    """Perron's eigenvector of a positive matrix.

    Multiplying positive numbers makes its small components accurate.
    """
    vector = abs(np.linalg.eigh(matrix)[1][:, -1])
    for _ in range(steps):
        vector = matrix @ vector
        vector /= np.linalg.norm(vector)
    return vector


def resolved(coefficients: tuple[float, ...], coupling: float) -> tuple[TransferOperator, float]:
    """The operator on a grid doubled until that makes no difference, and the last difference.

    Raises:
        ValueError: where the grid would need too many points (wells far narrower than the range of
            the field, a quadratic chain close to r = 2|K|).
    """
    end = extent(confining(coefficients, coupling))
    fine, error = TransferOperator(coefficients, coupling, end, SMALLEST_GRID), np.inf
    # no grid is tried where the Gaussian weight of a bond would fall between points of the largest
    resolvable = end * np.sqrt(abs(coupling)) < LARGEST_GRID
    while resolvable and error > CONVERGED and fine.n_points < LARGEST_GRID:
        coarse, fine = fine, dataclasses.replace(fine, n_points=2 * fine.n_points)
        error = float(np.max(abs(fine.summary() - coarse.summary())))
    if error > UNRESOLVED:
        raise ValueError(
            f"{2 * LARGEST_GRID} grid points do not resolve the transfer operator between "
            f"-{end:.3g} and {end:.3g}: its wells are too narrow for the range of the field, or a "
            "quadratic chain is too close to r = 2|K|; move the couplings."
        )
    return fine, error
