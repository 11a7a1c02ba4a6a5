"""The chain of fields after decimation, and the exact law of its block averages."""

import dataclasses

import numpy as np
from jaxtyping import ArrayLike, Float

from rgkit.systems.transfer_operator import TransferOperator, whole_line

NEGLIGIBLE = 1e-17


@dataclasses.dataclass(frozen=True)
class DecimatedChain:
    r"""The infinite chain of fields of which every b-th site was kept.

    Its transfer operator is :math:`T^b`. Its energy has a bond :math:`-\ln T^b(a,c)` that is in
    general no polynomial, so it has no couplings in the family; its spectrum, its single-site
    density (unchanged) and its correlations are exact.

    Arguments:
        operator: T.
        b: the block size.
    """

    operator: TransferOperator
    b: int

    def spectrum(self, k: int) -> Float[np.ndarray, " k"]:
        """The first k eigenvalues over the largest, ``(k,)``: those of T to the power b."""
        values = np.concatenate([self.operator.even_states[0], self.operator.odd_states[0]])
        return values[np.argsort(-abs(values), kind="stable")][:k] ** self.b

    def log_partition_per_site(self) -> float:
        """``b ln lambda_0`` for every kept site: the partition function is conserved."""
        return self.b * self.operator.log_largest_eigenvalue

    def correlation_length(self) -> float:
        """Correlation length in kept sites, that of the chain over b."""
        return -1 / (self.b * self.operator.log_ratio)

    def density(self, phi: ArrayLike) -> Float[np.ndarray, "..."]:
        r"""Density :math:`\psi_0(\phi)^2` of one kept site, that of the chain before.

        The limit of many decimations is the product of these.
        """
        return self.operator.extended(phi) ** 2

    def neighbour_correlation(self) -> float:
        r""":math:`\langle\phi_0\phi_b\rangle / \langle\phi_0^2\rangle`."""
        (_, even), (odd, states) = self.operator.even_states, self.operator.odd_states
        elements = even[:, 0] @ (self.operator.points[:, None] * states)
        return float(elements**2 @ odd**self.b / self.operator.moment(2))

    def pair_density(self) -> Float[np.ndarray, "n n"]:
        r"""Joint density of kept neighbours on the grid, ``(n, n)``.

        It is :math:`\psi_0(a)\,T^b(a,c)\,\psi_0(c)/\lambda_0^b`.
        """
        operator = self.operator
        line, state = whole_line(operator.points, -1), whole_line(operator.ground_state)
        kernel = np.exp(operator.log_kernel(line[:, None], line))
        step = kernel * operator.spacing / operator.eigenvalue
        return state[:, None] * np.linalg.matrix_power(step, self.b) * state / operator.spacing

    def mutual_information(self) -> float:
        r"""Mutual information of kept neighbours in nats.

        It is also the Kullback-Leibler divergence, per kept site, of the decimated chain from the
        product of its single-site densities, to which decimation leads.
        """
        state = whole_line(self.operator.ground_state) ** 2
        pair, product = self.pair_density(), np.outer(state, state)
        seen = product * pair > 0
        return float(
            np.sum(pair[seen] * np.log(pair[seen] / product[seen])) * self.operator.spacing**2
        )


def block_average_density(
    operator: TransferOperator, b: int, independent: bool
) -> tuple[Float[np.ndarray, " q"], Float[np.ndarray, " q"]]:
    r"""Points and density of :math:`b^{-1/2}\sum\phi_i`, from its characteristic function.

    Arguments:
        operator: the transfer operator.
        b: how many neighbouring sites are summed.
        independent: take them as independent, each with the density of one site of the chain.
    """
    width = np.sqrt(b) * operator.extent
    # the transform of the grid's own density is a sum over the grid, true up to half the sampling
    # frequency
    n_frequencies = b * operator.n_points
    frequency = np.pi / width * np.arange(n_frequencies + 1)
    characteristic = _independent if independent else _along_the_chain
    values = characteristic(operator, frequency / np.sqrt(b), b)
    density = np.fft.fftshift(np.fft.irfft(values)) * n_frequencies / width
    return width / n_frequencies * np.arange(-n_frequencies, n_frequencies), density


def _independent(operator: TransferOperator, k: np.ndarray, b: int) -> np.ndarray:
    """Characteristic function at ``k`` ``(q,)`` of the sum of b independent sites.

    A power of that of one, by FFT.
    """
    above = np.append(operator.ground_state**2, np.zeros((b - 1) * operator.n_points))
    # the grid points lie half a spacing off those of the transform
    single = np.fft.rfft(np.concatenate([above, above[::-1]]))
    return (operator.spacing * single * np.exp(-0.5j * k * operator.spacing)).real ** b


def _along_the_chain(operator: TransferOperator, k: np.ndarray, b: int) -> np.ndarray:
    r"""Characteristic function at ``k`` ``(q,)`` of the sum of b neighbouring sites.

    It is :math:`\langle\psi_0|(e^{ik\phi}T)^{b-1}e^{ik\phi}|\psi_0\rangle`. The phase mixes even
    and odd functions: a vector is kept as an even part and i times an odd part. Its norm can only
    fall, so the frequencies at which it is negligible are dropped.
    """
    state = np.sqrt(2 * operator.spacing) * operator.ground_state
    angle = np.multiply.outer(operator.points, k)
    cosine, sine, alive = np.cos(angle), np.sin(angle), np.arange(len(k))
    even, odd = cosine * state[:, None], sine * state[:, None]
    for _ in range(b - 1):
        even, odd = operator.even @ even, operator.odd @ odd
        keep = np.sum(even**2 + odd**2, 0) > NEGLIGIBLE**2
        if not keep.all():
            alive, even, odd, cosine, sine = (
                alive[keep],
                even[:, keep],
                odd[:, keep],
                cosine[:, keep],
                sine[:, keep],
            )
        even, odd = cosine * even - sine * odd, sine * even + cosine * odd
    values = np.zeros(len(k))
    values[alive] = state @ even
    return values
