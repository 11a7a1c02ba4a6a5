"""Kernels and channels of one's own: what they are asked for is enough, and misfits say so."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rgkit as rg
from rgkit.enumeration import spins_of
from rgkit.kernels.blocks import FieldRule, TrivialLaw

SPINS, REALS = rg.Values.SPINS, rg.Values.REALS
RING = rg.IsingChain(0.6, 0.1, n_sites=6)
FIELDS = rg.ScalarChain((-2.0, 0.5), 0.5, n_sites=6)


class Agreement(rg.SpinKernel):
    """Each feature says whether two neighbours have one sign, wrongly now and then."""

    wrong: float = 0.1

    def n_features(self, n_sites):
        return n_sites // 2

    def log_probability(self, x):
        products = jnp.sign(x[::2] * x[1::2])
        outcomes = spins_of(jnp.arange(2 ** len(products)), len(products))
        right = outcomes == products[None]
        return jnp.where(right, math.log(1 - self.wrong), math.log(self.wrong)).sum(-1)


class Difference(rg.Kernel):
    """The difference of the first and the last field of each block of two."""

    def n_features(self, n_sites):
        return n_sites // 2

    def output(self, values):
        if values is SPINS:
            raise TypeError("Difference acts on fields: pass a rgkit.ScalarChain.")
        return REALS

    def sample(self, x, key):
        return x[1::2] - x[::2]


class Sum(FieldRule):
    """The sum of a block, without a factor."""

    block: int

    def output(self, values):
        return REALS

    def sample(self, x, key):
        return self.blocks(x).sum(1)

    def iterated(self, times):
        return Sum(self.block**times)

    def trivial_law(self, family):
        return TrivialLaw("none", lambda rows: 0 * rows[:, 0])


class Thermal(rg.AbstractSpinChannel):
    """Feature spins at a temperature."""

    temperature: float = 2.0

    def local_field(self, activations):
        return activations / self.temperature


class LaplaceChannel(rg.AbstractNoiseChannel):
    """Noise with a density that falls exponentially on both sides."""

    def noise_log_density(self, z):
        scale = (self.noise / 2) ** 0.5
        return -abs(z) / scale - math.log(2 * scale)

    def draw_noise(self, key, shape, dtype):
        return (self.noise / 2) ** 0.5 * jax.random.laplace(key, shape, dtype)

    def noise_entropy(self):
        return 1 + math.log(2 * (self.noise / 2) ** 0.5)


def network(channel, **options):
    return rg.FCNetwork((6, 5, 3), channel, key=jax.random.key(0), **options)


OUTPUTS = {
    "decimation": (rg.decimation(2), SPINS, REALS),
    "majority": (rg.majority(3), SPINS, SPINS),
    "block average": (rg.block_average(2), None, REALS),
    "random map": (rg.random_map(2, jax.random.key(0)), SPINS, None),
    "table": (rg.TableMap(1, jnp.zeros(64, int)), SPINS, None),
    "network of spins": (network(rg.SpinChannel()), SPINS, SPINS),
    "hard network": (network(rg.SpinChannel(hard=True)), SPINS, SPINS),
    "network of fields": (network(rg.GaussianChannel()), REALS, REALS),
    "own spins": (Agreement(), SPINS, SPINS),
    "own fields": (Difference(), None, REALS),
    "own rule": (Sum(2), REALS, REALS),
    "own spin channel": (network(Thermal()), SPINS, SPINS),
    "own noise": (network(LaplaceChannel()), REALS, REALS),
}


@pytest.mark.parametrize("values", [SPINS, REALS])
@pytest.mark.parametrize("name", OUTPUTS)
def test_what_a_kernel_makes_is_what_it_says(name, values, key):
    kernel, of_spins, of_fields = OUTPUTS[name]
    expected, system = (of_spins, RING) if values is SPINS else (of_fields, FIELDS)
    if expected is None:
        with pytest.raises(TypeError, match="[A-Z].*(pass|[Uu]se)"):
            rg.pushforward(system, kernel, n_samples=400, key=key)
        return
    assert kernel.output(values) is expected
    law = rg.pushforward(system, kernel, n_samples=400, key=key)
    assert isinstance(law, rg.SpinLaw if expected is SPINS else rg.FieldLaw)
    assert isinstance(law, rg.Law) and law.n_features == kernel.n_features(6)


@pytest.mark.parametrize("kernel", [Agreement(), network(Thermal())])
def test_spin_kernels_of_ones_own_have_their_law(kernel, key):
    p, x = RING.probabilities(), RING.configurations()
    conditional = np.exp(np.asarray(jax.vmap(kernel.log_probability)(x), float))
    law = rg.pushforward(RING, kernel)
    np.testing.assert_allclose(law.probabilities, p @ conditional, atol=1e-6)
    noise = -p @ (conditional * np.log(conditional)).sum(1)
    assert law.conditional_entropy == pytest.approx(noise, abs=1e-5)
    draws = jax.vmap(lambda k: kernel.sample(x[5], k))(jax.random.split(key, 20_000))
    outcomes = (np.asarray(draws) < 0) @ (1 << np.arange(3))
    error = np.sqrt(conditional[5] * (1 - conditional[5]) / 20_000)
    assert (abs(np.bincount(outcomes, minlength=8) / 20_000 - conditional[5]) < 5 * error).all()


def test_a_field_kernel_of_ones_own_has_its_moments(key):
    measured = rg.pushforward(FIELDS, Difference(), n_samples=4000, key=key).second_moment()
    exact = 2 * (FIELDS.correlation(0) - FIELDS.correlation(1))
    assert abs(measured - exact) < 4 * measured.standard_error


def test_a_field_rule_of_ones_own_is_iterated(key):
    x = jax.random.normal(key, (8,))
    rule = Sum(2)
    twice = rule.sample(rule.sample(x, key), key)
    np.testing.assert_allclose(rule.iterated(2).sample(x, key), twice, rtol=1e-5)
    with pytest.raises(ValueError, match="b = 4 does not divide the 6 sites"):
        rule.iterated(2).n_features(6)


CHANNELS = [rg.SpinChannel(), Thermal(), Thermal(0.3), rg.GaussianChannel(), LaplaceChannel()]


@pytest.mark.parametrize("channel", CHANNELS)
def test_channels_draw_what_their_means_and_entropies_say(channel, key):
    activations = jnp.array([-1.0, 0.2, 0.7])
    draws = jax.vmap(lambda k: channel.sample(activations, k))(jax.random.split(key, 40_000))
    draws = np.asarray(draws, float)
    error = draws.std(0) / 200
    assert (abs(draws.mean(0) - np.asarray(channel.means(activations))) < 5 * error).all()
    if channel.values is SPINS:
        up, down = (np.asarray(a, float) for a in channel.log_probabilities(activations))
        np.testing.assert_allclose(np.exp(up) + np.exp(down), 1, rtol=1e-6)
        surprise = -np.where(draws > 0, up, down).sum(1)
        assert channel.capacity() == pytest.approx(np.log(2))
    else:
        surprise = -np.asarray(channel.noise_log_density(draws - np.asarray(activations))).sum(1)
        y = np.linspace(-6, 6, 100_001)
        assert np.trapezoid(np.exp(channel.noise_log_density(y)), y) == pytest.approx(1, abs=1e-4)
        assert draws.var(0) == pytest.approx(channel.noise, rel=0.05)
    entropy = float(channel.conditional_entropy(activations))
    assert abs(surprise.mean() - entropy) < 5 * surprise.std() / 200 + 1e-6


def test_the_capacity_is_what_a_white_output_would_leave():
    gaussian, laplace = rg.GaussianChannel(2.0, 0.5), LaplaceChannel(2.0, 0.5)
    for channel in (gaussian, laplace):
        white = np.log(2 * np.pi * np.e * 2.5) / 2
        assert channel.capacity() == pytest.approx(white - channel.noise_entropy(), rel=1e-12)
    assert laplace.capacity() > gaussian.capacity()


def test_recorded_fields_are_decimated_to_a_law_of_fields(key):
    recording = np.random.default_rng(0).normal(size=(1000, 6))
    system = rg.EmpiricalSystem(recording, width=0.01)
    law = rg.pushforward(system, rg.decimation(2), n_samples=500, key=key)
    assert isinstance(law, rg.FieldLaw) and law.samples.shape == (500, 3)
    # every row of the law is a recorded one plus at most its step
    apart = law.samples[:, None] - recording[None, :, ::2].astype("float32")
    assert ((apart > -1e-6) & (apart < 0.01 + 1e-6)).all(-1).any(1).all()


class TooMuch(Agreement):
    """Probabilities that add up to two."""

    def log_probability(self, x):
        return super().log_probability(x) + math.log(2)


class WrongCount(Agreement):
    """One feature more than there are."""

    def n_features(self, n_sites):
        return n_sites // 2 + 1


class SpinsWithoutLaw(Difference):
    """It says that it makes spins, but is no SpinKernel."""

    def output(self, values):
        return SPINS


class ZeroOne(rg.IsingChain):
    """A chain that draws zeros and ones."""

    def sample(self, key, n_samples):
        return (super().sample(key, n_samples) + 1) // 2


@pytest.mark.as_a_user
@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize(
    "kernel, error, message",
    [
        (TooMuch(), ValueError, r"TooMuch has probabilities .*mean sum is 2\)"),
        (WrongCount(), ValueError, r"WrongCount has n_features = 4, .*2\*\*4 = 16 outcomes"),
        (SpinsWithoutLaw(), TypeError, "make it a subclass of rgkit.SpinKernel"),
        (lambda x: x, TypeError, "kernel must be a rgkit.Kernel, got <function.*of your own"),
        (rg.block_average(2), TypeError, "a block average of spins is not a spin"),
    ],
)
def test_kernels_that_are_none_are_refused(kernel, error, message, sampled):
    sampling = {"n_samples": 500, "key": jax.random.key(0)} if sampled else {}
    with pytest.raises(error, match=message):
        rg.pushforward(RING, kernel, **sampling)


@pytest.mark.as_a_user
def test_systems_that_are_none_are_refused(key):
    with pytest.raises(TypeError, match="system must have n_sites, values and sample"):
        rg.pushforward(np.ones(8) / 8, rg.decimation(2))
    with pytest.raises(ValueError, match=r"ZeroOne.sample must draw spins.*1 - 2\*s"):
        rg.pushforward(ZeroOne(1.0, n_sites=4), rg.decimation(2), n_samples=500, key=key)


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "make, error, message",
    [
        (
            lambda: rg.TableMap(2, jnp.arange(8)),
            ValueError,
            "row 4 has 4: mend the table, or raise",
        ),
        (lambda: rg.TableMap(2, -jnp.arange(8)), ValueError, "row 1 has -1"),
        (lambda: rg.TableMap(2, jnp.zeros(6, int)), ValueError, r"must have 2\*\*N rows.*got 6"),
        (lambda: rg.TableMap(2, jnp.zeros(8)), TypeError, "table must be an array .* of integers"),
        (lambda: rg.TableMap(0, jnp.zeros(8, int)), ValueError, "n must be at least 1"),
        (lambda: rg.SpinChannel(hard="no"), TypeError, "hard must be True or False"),
        (lambda: LaplaceChannel(noise=-1.0), ValueError, "noise must be positive"),
        (lambda: rg.GaussianChannel(noise="small"), TypeError, "noise must be a real number"),
    ],
)
def test_bad_kernels_and_channels_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
