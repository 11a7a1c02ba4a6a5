"""From a system through a kernel to the law of its features."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from rgkit import _validation
from rgkit.enumeration import ROWS_AT_ONCE, sum_over_rows
from rgkit.kernels.base import Kernel, SpinKernel
from rgkit.laws.fields import FieldLaw
from rgkit.laws.spins import MAX_COUPLED_FEATURES, SpinLaw
from rgkit.systems.base import System, Values, is_enumerable, listed

UNNORMALISED = 1e-4


def pushforward(
    system: System,
    kernel: Kernel,
    *,
    n_samples: int | None = None,
    key: PRNGKeyArray | None = None,
) -> SpinLaw | FieldLaw:
    r"""The law of the features, :math:`q(y) = \sum_x P(y|x)\, p(x)`.

    For a system that lists its configurations (see `rgkit.Enumerable`) and features that are spins
    it is exact, in bounded memory for at most 24 sites (28 on an accelerator): rows are streamed,
    sums are float64 whatever ``jax_enable_x64`` says, and a network computes in the dtype of its
    parameters. Otherwise, and for fields always, it is known by samples.

    Arguments:
        system: an `IsingChain`, a `ScalarChain`, an `EmpiricalSystem` or one of your own.
        kernel: decimation, majority, block average, a map, a network, or one of your own.
        n_samples, key: number of samples and a typed JAX key; both or neither, for fields both.

    Returns:
        Where the features are real (see `Kernel.output`) a `FieldLaw`; its reference variance is
        that of the kernel's output where the kernel fixes it, P + sigma^2 for a Gaussian channel,
        else that of `FieldLaw`. Otherwise a `SpinLaw`, with the noise :math:`H(y|x)` too.

    Raises:
        TypeError: where the kernel and the values of the system do not fit (block averages of
            spins), or one of them is no kernel or no system.
        ValueError: where the kernel does not fit the number of sites, the system is too large to
            enumerate, only one of ``n_samples`` and ``key`` is given or none where they are needed,
            a sampled law of spins has more than 10 features, or the kernel's probabilities are
            none.
    """
    values, n = check(system, kernel)
    if (n_samples is None) != (key is None):
        raise ValueError(
            "n_samples and key go together: pass both for a sampled law, neither for an exact one."
        )
    if n_samples is None or key is None:
        if values is Values.REALS or not is_enumerable(system):
            raise ValueError(
                f"{type(system).__name__} or its features have no enumeration: pass n_samples and "
                "key, such as n_samples=10**5, key=jax.random.key(0)."
            )
        return _enumerate(system, kernel, n)
    n_samples, key = (
        _validation.positive_integer("n_samples", n_samples, 2),
        _validation.key("key", key),
    )
    if values is Values.REALS:
        return _field_law(system, kernel, n_samples, key)
    if n > MAX_COUPLED_FEATURES:
        raise ValueError(
            f"a sampled law has at most {MAX_COUPLED_FEATURES} features, this kernel has {n}: use "
            "a kernel with fewer."
        )
    return _estimate(kernel, _drawn(system, n_samples, key), n)


def check(system: System, kernel: Kernel) -> tuple[Values, int]:
    """What the features of a system under a kernel are, and how many.

    Raises:
        TypeError, ValueError: where one of them is none, or they do not fit.
    """
    if not isinstance(system, System):
        raise TypeError(
            f"system must have n_sites, values and sample (see rgkit.System), got {system!r}: pass "
            "a rgkit.IsingChain, say, or a class of your own with these."
        )
    if not isinstance(kernel, Kernel):
        raise TypeError(
            f"kernel must be a rgkit.Kernel, got {kernel!r}: pass rgkit.decimation(2), a "
            "rgkit.FCNetwork, or a subclass of rgkit.SpinKernel for a function of your own."
        )
    n, values = kernel.n_features(system.n_sites), kernel.output(system.values)
    if values is Values.SPINS and not isinstance(kernel, SpinKernel):
        raise TypeError(
            f"{type(kernel).__name__} makes spins but has no log_probability: make it a subclass "
            "of rgkit.SpinKernel."
        )
    return values, n


def _drawn(system, n_samples, key):
    """Samples of a system, spins where it says that they are."""
    x = system.sample(key, n_samples)
    if system.values is Values.SPINS and not np.all(np.abs(np.asarray(x[:ROWS_AT_ONCE])) == 1):
        raise ValueError(
            f"{type(system).__name__}.sample must draw spins +1 or -1, got values from "
            f"{np.min(x)} to {np.max(x)}: write 0 and 1 as 1 - 2*s."
        )
    return x


def _field_law(system, kernel, n_samples, key) -> FieldLaw:
    system_key, kernel_key = jax.random.split(key)
    x, keys = _drawn(system, n_samples, system_key), jax.random.split(kernel_key, n_samples)
    return FieldLaw(np.asarray(_draw_features(kernel, x, keys)), kernel.output_variance)


@eqx.filter_jit
def _draw_features(kernel, x, keys):
    return jax.lax.map(lambda row: kernel.sample(*row), (x, keys), batch_size=ROWS_AT_ONCE)


def _enumerate(system, kernel, n) -> SpinLaw:
    rows, weights = listed(system)
    with jax.enable_x64(True):
        law, noise = _push(kernel, rows, weights)
    return SpinLaw(_normalised(kernel, np.array(law), n), float(noise))


@eqx.filter_jit
def _push(kernel, rows, weights):
    return sum_over_rows(kernel.push, rows, weights)


def _normalised(kernel, law, n):
    """The law that a kernel made, or the reason why it is none."""
    name = type(kernel).__name__
    if law.shape != (2**n,):
        raise ValueError(
            f"{name} has n_features = {n}, so its laws must have 2**{n} = {2**n} outcomes, got "
            f"shape {law.shape}: mend n_features, log_probability or push."
        )
    if not law.min() >= 0 or not abs(law.sum() - 1) < UNNORMALISED:
        raise ValueError(
            f"{name} has probabilities P(y|x) that do not sum to 1 over y (their mean sum is "
            f"{law.sum():.6g}) or are negative: mend log_probability or push."
        )
    # float32 rounding of a kernel of one's own; a law that is exact stays as it is
    return law if abs(law.sum() - 1) < 1e-9 else law / law.sum()


def _estimate(kernel, samples, n) -> SpinLaw:
    parts = range(0, len(samples), ROWS_AT_ONCE)
    with jax.enable_x64(True):
        sums = [_sum_rows(kernel, samples[i : i + ROWS_AT_ONCE]) for i in parts]
    law, noise, second = (
        np.sum([np.asarray(part) for part in parts], axis=0) / len(samples)
        for parts in zip(*sums, strict=True)
    )
    law = _normalised(kernel, law, n)
    return SpinLaw(law, float(noise), (second - np.outer(law, law)) / (len(samples) - 1))


@eqx.filter_jit
def _sum_rows(kernel, x):
    conditional = jnp.exp(jax.vmap(kernel.log_probability)(x).astype(jnp.float64))
    law, noise = kernel.push(x, jnp.ones(len(x), jnp.float64))
    return law, noise, conditional.T @ conditional
