"""Information through channels with noise: streamed against dense, and bounds against the truth."""

import dataclasses
import math
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp
from scipy.special import entr

import rgkit as rg
from rgkit.kernels import mixtures

CHANNEL = rg.GaussianChannel(power=1.0, noise=0.1)


def cloud(M, n=2, seed=0):
    """Noisy points, their centres, and weights of the points and of the centres."""
    keys = jax.random.split(jax.random.key(seed), 4)
    centres = jax.random.normal(keys[0], (M, n))
    y = centres + CHANNEL.noise**0.5 * jax.random.normal(keys[1], (M, n))
    return y, centres, *(jax.nn.softmax(jax.random.normal(k, (M,))) for k in keys[2:])


def dense(y, centres, shares, weights, noise):
    distances = jnp.sum((y[:, None] - centres[None]) ** 2, axis=-1)
    return shares @ logsumexp(jnp.log(weights)[None] - distances / (2 * noise), axis=1)


@pytest.mark.parametrize(
    "M, n, entries", [(1, 2, 64), (7, 1, 64), (64, 2, 64), (100, 3, 1000), (100, 2, 2**20)]
)
def test_streamed_value_and_gradient_are_the_dense_ones(M, n, entries, monkeypatch):
    monkeypatch.setattr(mixtures, "TILE_ENTRIES", entries)  # many tiles, a remainder among them
    with jax.enable_x64(True):
        y, centres, shares, weights = (jnp.asarray(array, jnp.float64) for array in cloud(M, n))

        def both(mixture):
            # each argument depends on both variables, and the cotangent is not 1
            return jax.value_and_grad(
                lambda a, b: 3 * mixture(a + b, b - a / 2, shares, weights, 0.1), (0, 1)
            )(y, centres)

        for streamed, expected in zip(
            *map(jax.tree.leaves, (both(mixtures.mean_log_gaussians), both(dense))), strict=True
        ):
            np.testing.assert_allclose(streamed, expected, rtol=1e-10, atol=1e-12)
        few = y[: M // 2 + 1], centres, shares[: M // 2 + 1], weights, 0.1
        assert float(mixtures.mean_log_gaussians(*few)) == pytest.approx(
            float(dense(*few)), rel=1e-12
        )


def test_centres_of_weight_zero_count_nowhere():
    y, centres, shares, weights = cloud(20)
    weights = weights.at[:5].set(0.0) / weights[5:].sum()
    kept = mixtures.mean_log_gaussians(y, centres[5:], shares, weights[5:], 0.1)
    gradient = jax.grad(mixtures.mean_log_gaussians, 1)(y, centres, shares, weights, 0.1)
    assert float(mixtures.mean_log_gaussians(y, centres, shares, weights, 0.1)) == pytest.approx(
        float(kept), rel=1e-5
    )
    assert not gradient[:5].any() and jnp.isfinite(gradient).all()


def test_it_maps_over_an_ensemble():
    y, centres, shares, weights = cloud(30)
    gradient = jax.grad(lambda f: mixtures.mean_log_gaussians(y, f, shares, weights, 0.1))
    stacked = jax.vmap(gradient)(jnp.stack([centres, 2 * centres]))
    for member, scale in zip(stacked, (1, 2), strict=True):
        np.testing.assert_allclose(member, gradient(scale * centres), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("draws", [None, 20])
def test_the_loss_is_the_dense_estimate_on_the_same_noise(draws):
    network = rg.FCNetwork((3, 8, 2), CHANNEL, key=jax.random.key(0), bias_std=1.0)
    x, key, M = jax.random.normal(jax.random.key(1), (50, 3)), jax.random.key(2), 50
    weights = jnp.full(M, 1 / M)
    f = np.asarray(network.normalized(x).batch(x), float)
    y = f[:draws] + CHANNEL.noise**0.5 * np.asarray(jax.random.normal(key, f[:draws].shape), float)
    log_p = -((y[:, None] - f[None]) ** 2).sum(-1) / (2 * CHANNEL.noise)
    expected = np.mean(np.diag(log_p) - np.log(np.exp(log_p).mean(1)))
    assert float(rg.Infomax(draws).loss(network, None, x, weights, key)) == pytest.approx(
        -expected, abs=1e-5
    )


def test_gradient_of_the_loss_by_differences():
    with jax.enable_x64(True):
        x, weights, key = (
            jax.random.normal(jax.random.key(1), (40, 3)),
            jnp.full(40, 1 / 40),
            jax.random.key(2),
        )
        network = rg.FCNetwork((3, 5, 2), CHANNEL, key=jax.random.key(0), dtype="float64")

        def loss(shift):
            moved = eqx.tree_at(
                lambda n: n.weights[0],
                network,
                network.weights[0] + shift * jnp.sin(jnp.arange(15.0)).reshape(5, 3),
            )
            return rg.Infomax().loss(moved, None, x, weights, key)

        assert float(jax.grad(loss)(0.0)) == pytest.approx(
            float(loss(1e-5) - loss(-1e-5)) / 2e-5, rel=1e-6
        )


@dataclasses.dataclass(frozen=True)
class GaussianRing:
    """The chain with u = 0: covariance is the inverse of the quadratic form."""

    r: float = 3.0
    coupling: float = 1.0
    n_sites: int = 6

    def covariance(self):
        bonds = np.roll(np.eye(self.n_sites), 1, axis=0)
        return np.linalg.inv(self.r * np.eye(self.n_sites) - self.coupling * (bonds + bonds.T))

    def sample(self, key, n_samples):
        factor = jnp.asarray(np.linalg.cholesky(self.covariance()), jnp.float32)
        return jax.random.normal(key, (n_samples, self.n_sites)) @ factor.T


def linear(n=2, seed=0, channel=CHANNEL):
    """A linear layer, its power frozen exactly on the ring, and the covariance of its features."""
    network = rg.FCNetwork((6, n), channel, key=jax.random.key(seed))
    spread = (
        np.asarray(network.weights[0], float)
        @ GaussianRing().covariance()
        @ np.asarray(network.weights[0], float).T
    )
    scale = math.sqrt(n * channel.power / np.trace(spread))
    return eqx.tree_at(
        lambda net: net.weights[0], network, scale * network.weights[0]
    ), scale**2 * spread


def closed_form(spread, channel=CHANNEL):
    return np.linalg.slogdet(np.eye(len(spread)) + spread / channel.noise)[1] / 2


def divergence(spread, channel=CHANNEL):
    """Of the noisy features from white noise of full power."""
    total, reference = spread + channel.noise * np.eye(len(spread)), channel.power + channel.noise
    return (np.trace(total) / reference - len(spread) - np.linalg.slogdet(total / reference)[1]) / 2


@pytest.mark.parametrize("n", [1, 2, 3])
def test_bounds_bracket_the_closed_form(n, key):
    network, spread = linear(n)
    bounds = rg.information_bounds(
        network, GaussianRing().sample(key, 4096), jax.random.fold_in(key, 1)
    )
    truth = closed_form(spread)
    assert (
        bounds.lower <= bounds.upper
        and not bounds.flags
        and bounds.limit == pytest.approx(np.log(4096))
    )
    assert bounds.lower - 4 * bounds.lower_error < truth < bounds.upper + 4 * bounds.upper_error
    assert bounds.upper - bounds.lower < 0.1


def test_the_estimates_are_bounds_in_expectation():
    network, spread = linear(2)
    estimates = [
        rg.information_bounds(
            network, GaussianRing().sample(jax.random.key(s), 64), jax.random.key(1000 + s)
        )
        for s in range(200)
    ]
    truth, distance = closed_form(spread), divergence(spread)
    for name, exact, sign in (
        ("lower", truth, 1),
        ("upper", truth, -1),
        ("divergence_lower", distance, 1),
        ("divergence_upper", distance, -1),
    ):
        values = np.array([getattr(e, name) for e in estimates])
        assert (
            sign * (exact - values.mean()) > 3 * values.std() / len(values) ** 0.5
        )  # 64 rows: the bias is plain
        claimed = np.mean([getattr(e, f"{name}_error") for e in estimates])
        assert 0.75 < claimed / values.std() < 1.3, name


def test_divergence_follows_from_the_information(key):
    network, spread = linear(2)
    x = GaussianRing().sample(key, 4096)
    bounds = rg.information_bounds(network, x, jax.random.fold_in(key, 1))
    assert bounds.divergence_lower - 4 * bounds.divergence_lower_error < divergence(spread)
    assert divergence(spread) < bounds.divergence_upper + 4 * bounds.divergence_upper_error
    power = (np.asarray(network.batch(x), float) ** 2).sum(1).mean()
    unused = (2 * CHANNEL.power - power) / (2 * (CHANNEL.power + CHANNEL.noise))
    for far, bound in (
        (bounds.divergence_upper, bounds.lower),
        (bounds.divergence_lower, bounds.upper),
    ):
        assert far == pytest.approx(2 * CHANNEL.capacity() - bound - unused, abs=5e-4)


def test_few_rows_are_flagged():
    network, spread = linear(3, channel=rg.GaussianChannel(noise=1e-6))
    bounds = rg.information_bounds(
        network, GaussianRing().sample(jax.random.key(0), 256), jax.random.key(1)
    )
    assert "near its limit ln M = 5.55" in bounds.flags[0]
    assert bounds.lower <= bounds.limit < closed_form(spread, network.channel)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_gap_identity_for_linear_networks(n):
    r"""C - I = D(q||N(0, (P + s)1)) + (nP - E|f|^2)/(2(P + s)), at full power and below it."""
    for fraction in (1.0, 0.5):
        spread = fraction * linear(n)[1]
        unused = (n * CHANNEL.power - np.trace(spread)) / (2 * (CHANNEL.power + CHANNEL.noise))
        assert n * CHANNEL.capacity() - closed_form(spread) == pytest.approx(
            divergence(spread) + unused, abs=1e-12
        )


def test_capacity_is_attained_by_white_features():
    ring = GaussianRing()
    whitening = np.linalg.inv(np.linalg.cholesky(ring.covariance()))[:2]
    network = eqx.tree_at(
        lambda net: net.weights[0], linear(2)[0], jnp.asarray(whitening, jnp.float32)
    )
    bounds = rg.information_bounds(network, ring.sample(jax.random.key(0), 4096), jax.random.key(1))
    capacity = 2 * CHANNEL.capacity()
    assert bounds.lower - 3 * bounds.lower_error < capacity < bounds.upper + 3 * bounds.upper_error
    assert bounds.divergence_lower - 3 * bounds.divergence_lower_error < 0 < bounds.divergence_upper
    assert (
        bounds.divergence_upper_error < 0.3 * bounds.lower_error
    )  # most of the spread of I is that of the power
    assert 2 * CHANNEL.capacity() == pytest.approx(np.log(11.0))


MEMORY = """
import pathlib, re, resource
import jax, jax.numpy as jnp
from rgkit.kernels.channels import GaussianChannel
M = 2**14
weights, features = jnp.full(M, 1 / M), jax.random.normal(jax.random.key(0), (M, 4))
channel, key = GaussianChannel(), jax.random.key(1)
step = jax.jit(jax.value_and_grad(lambda f: channel.batch_information(f, weights, key)))
value, gradient = jax.block_until_ready(step(features))
assert jnp.isfinite(value) and jnp.isfinite(gradient).all()
# kilobytes; getrusage counts the parent's peak too, so it serves only where /proc is missing
status = pathlib.Path("/proc/self/status")
peak = re.search(r"VmHWM:\\s*(\\d+)", status.read_text()) if status.exists() else None
print(peak[1] if peak else resource.getrusage(0).ru_maxrss)
"""


def temporaries(M):
    """Bytes that the compiled value and gradient take beside their arguments and results."""
    weights, features = jnp.full(M, 1 / M), jnp.zeros((M, 4))
    step = jax.value_and_grad(lambda f: CHANNEL.batch_information(f, weights, jax.random.key(1)))
    return jax.jit(step).lower(features).compile().memory_analysis().temp_size_in_bytes


def test_memory_grows_as_the_batch_and_not_as_its_square():
    assert temporaries(2**16) < 50e6  # the square alone would take 17 GB
    assert temporaries(2**18) < 100e6
    peak = subprocess.run(
        [sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True
    ).stdout
    assert (
        int(peak) < 500_000
    )  # kilobytes, JAX and its libraries included; the square would take 1,074,000 more


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda: rg.information_bounds(spins(), np.ones((4, 6)), jax.random.key(0)),
            TypeError,
            "information_bounds needs real features with noise.*a rgkit.GaussianChannel",
        ),
        (
            lambda: bounds_of(np.ones((4, 5))),
            ValueError,
            r"x must have shape \(M, 6\), got \(4, 5\)",
        ),
        (
            lambda: bounds_of(np.ones((1, 6))),
            ValueError,
            "samples must have at least 5 rows, got 1",
        ),
        (lambda: bounds_of(np.ones((4, 6)), jax.random.PRNGKey(0)), TypeError, "typed JAX key"),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


class LaplaceChannel(rg.AbstractNoiseChannel):
    """Noise with a density that falls exponentially on both sides."""

    def scale(self):
        return (self.noise / 2) ** 0.5

    def noise_log_density(self, z):
        return -abs(z) / self.scale() - math.log(2 * self.scale())

    def draw_noise(self, key, shape, dtype):
        return self.scale() * jax.random.laplace(key, shape, dtype)

    def noise_entropy(self):
        return 1 + math.log(2 * self.scale())


def by_quadrature(channel, features, weights):
    """I(x;y) and the divergence of y from white noise, of one feature with few values."""
    y = np.linspace(-12, 12, 200_001)
    with jax.enable_x64(True):
        densities = np.exp(channel.noise_log_density(jnp.asarray(y[None] - features[:, None])))
    q = weights @ densities
    own = np.trapezoid(entr(q), y)
    v = channel.output_variance
    cross = np.trapezoid(q * (y**2 / v + np.log(2 * np.pi * v)) / 2, y)
    return own - channel.noise_entropy(), cross - own


@pytest.mark.parametrize("make", [rg.GaussianChannel, LaplaceChannel])
@pytest.mark.parametrize("noise", [0.3, 0.03])
def test_bounds_bracket_the_quadrature_for_a_noise_of_ones_own(make, noise, key):
    channel, ring = make(noise=noise), rg.IsingChain(0.4, 0.2, n_sites=3)
    network = rg.FCNetwork((3, 1), channel, key=jax.random.key(5), bias_std=0.3)
    network = network.normalized(ring.sample(jax.random.key(6), 4096))
    features = np.asarray(network.batch(ring.configurations()), float)[:, 0]
    truth, distance = by_quadrature(channel, features, ring.probabilities())
    bounds = rg.information_bounds(network, ring.sample(key, 2048), jax.random.fold_in(key, 1))
    assert bounds.lower - 4 * bounds.lower_error < truth < bounds.upper + 4 * bounds.upper_error
    assert bounds.divergence_lower - 4 * bounds.divergence_lower_error < distance
    assert distance < bounds.divergence_upper + 4 * bounds.divergence_upper_error
    assert bounds.upper - bounds.lower < 0.05 and bounds.lower_error < 0.05 and not bounds.flags


@pytest.mark.parametrize("make", [rg.GaussianChannel, LaplaceChannel])
def test_the_batch_estimate_of_any_noise_is_the_dense_one(make):
    channel, key = make(noise=0.1), jax.random.key(3)
    f, weights = jax.random.normal(jax.random.key(1), (40, 2)), jnp.full(40, 1 / 40)
    y = np.asarray(f + channel.draw_noise(key, f.shape, f.dtype), float)
    log_p = np.asarray(channel.noise_log_density(y[:, None] - np.asarray(f)[None])).sum(-1)
    dense = np.mean(np.diag(log_p) - np.log(np.exp(log_p).mean(1)))
    assert float(channel.batch_information(f, weights, key)) == pytest.approx(dense, abs=1e-5)


def separated(noise, dtype="float32"):
    """A network on the ring of four sites whose features are all apart, and its samples."""
    ring = rg.IsingChain(0.5, n_sites=4)
    channel = rg.GaussianChannel(noise=noise)
    network = rg.FCNetwork((4, 8, 2), channel, key=jax.random.key(0), bias_std=0.5, dtype=dtype)
    x = ring.sample(jax.random.key(1), 4096)
    return network.normalized(x), x, ring.entropy()


@pytest.mark.parametrize("noise", [1e-5, 1e-7, 1e-10])
def test_small_noise_costs_no_digits(noise):
    network, x, entropy = separated(noise)
    bounds = rg.information_bounds(network, x, jax.random.key(2))
    assert bounds.lower - 4 * bounds.lower_error < entropy < bounds.upper + 4 * bounds.upper_error
    assert bounds.upper - bounds.lower < 0.01 and not bounds.flags
    # all configurations are told apart, so that only their frequencies are left
    rows, counts = np.unique(np.asarray(x), axis=0, return_counts=True)
    sampled = -np.sum(counts / 4096 * np.log(counts / 4096))
    assert bounds.lower == pytest.approx(sampled, abs=1e-3)


def test_features_that_float32_cannot_carry_are_flagged():
    network, x, _ = separated(1e-13)
    (flag,) = rg.information_bounds(network, x, jax.random.key(2)).flags
    assert flag.startswith("float32 rounds the features by") and "dtype='float64'" in flag
    with jax.enable_x64(True):
        network, x, _ = separated(1e-13, "float64")
        assert not rg.information_bounds(network, x, jax.random.key(2)).flags


def test_rows_that_no_other_can_reach_make_the_upper_estimate_infinite():
    class Uniform(rg.AbstractNoiseChannel):
        def noise_log_density(self, z):
            half = (3 * self.noise) ** 0.5
            return jnp.where(abs(z) <= half, -math.log(2 * half), -jnp.inf)

        def draw_noise(self, key, shape, dtype):
            half = (3 * self.noise) ** 0.5
            return jax.random.uniform(key, shape, dtype, -half, half)

        def noise_entropy(self):
            return math.log(2 * (3 * self.noise) ** 0.5)

    network = rg.FCNetwork((1, 1), Uniform(noise=1e-4), key=jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (50, 1))
    bounds = rg.information_bounds(network.normalized(x), x, jax.random.key(2))
    assert bounds.upper == np.inf and bounds.divergence_lower == -np.inf
    assert any("upper is infinite" in flag for flag in bounds.flags)
    assert np.isfinite([bounds.lower, bounds.divergence_upper, bounds.lower_error]).all()


@pytest.mark.parametrize(
    "method, stated, message",
    [
        ("draw_noise", lambda s, k, shape, d: jax.random.laplace(k, shape, d), "variance noise"),
        ("noise_entropy", lambda s: 0.0, "entropy noise_entropy"),
        ("draw_noise", lambda s, k, shape, d: 0.1 + 0 * jax.random.normal(k, shape), "mean 0"),
    ],
)
def test_a_noise_that_is_not_what_it_states_is_refused(method, stated, message):
    channel = type("Mistaken", (LaplaceChannel,), {method: stated})(noise=0.5)
    network = linear(2, channel=channel)[0]
    x = GaussianRing().sample(jax.random.key(0), 1000)
    with pytest.raises(ValueError, match=f"Mistaken states noise of {message}"):
        rg.information_bounds(network, x, jax.random.key(1))


@pytest.mark.parametrize(
    "make, dtype, most",
    [
        (rg.GaussianChannel, "float32", 8e4),
        (rg.GaussianChannel, "float64", 4e13),
        (LaplaceChannel, "float32", 7e7),
    ],
)
def test_precision_that_cannot_carry_the_noise_is_refused(make, dtype, most):
    make(noise=1 / most).check_precision(dtype)
    make(power=most, noise=1.0).check_precision(dtype)
    with pytest.raises(
        ValueError, match=rf"noise = .* is too small beside power = 1.0 for {dtype}"
    ):
        make(noise=0.5 / most).check_precision(dtype)


@pytest.mark.parametrize("make, most", [(rg.GaussianChannel, 8e4), (LaplaceChannel, 7e7)])
def test_where_precision_is_allowed_gradients_are_right_to_a_few_percent(make, most):
    channel, noise_key = make(noise=1 / most), jax.random.key(2)
    keys = jax.random.split(jax.random.key(1))
    clusters = jnp.repeat(jax.random.normal(keys[0], (32, 2)), 16, axis=0)
    f = np.asarray(clusters + channel.noise**0.5 * jax.random.normal(keys[1], (512, 2)))
    z = np.asarray(channel.draw_noise(noise_key, f.shape, f.dtype))

    def gradient(dtype):
        weights, y = jnp.full(512, 1 / 512, dtype), jnp.asarray(z, dtype)

        def information(f):
            if make is rg.GaussianChannel:
                return mixtures.mean_log_gaussians(f + y, f, weights, weights, channel.noise)
            density = channel.noise_log_density
            return mixtures.mean_log_mixture(density, f + y, f, weights, weights)

        return np.asarray(jax.grad(information)(jnp.asarray(f, dtype)), float)

    with jax.enable_x64(True):
        exact, rounded = gradient("float64"), gradient("float32")
    assert np.linalg.norm(rounded - exact) < 0.03 * np.linalg.norm(exact)


def spins():
    return rg.FCNetwork((6, 2), rg.SpinChannel(), key=jax.random.key(0))


def bounds_of(samples, key=None):
    return rg.information_bounds(linear()[0], samples, jax.random.key(0) if key is None else key)


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "call, name",
    [
        (lambda network, system, key: rg.information_bounds(network, system, key), "samples"),
        (lambda network, system, key: network.batch(system), "x"),
        (lambda network, system, key: network.columns(system), "x"),
        (lambda network, system, key: network.normalized(system), "x"),
    ],
    ids=["bounds", "batch", "columns", "normalized"],
)
def test_a_system_in_place_of_its_samples_is_named(call, name, key):
    network = rg.FCNetwork((4, 8, 2), rg.GaussianChannel(), key=key)
    with pytest.raises(TypeError, match=rf"{name} must be configurations.*system\.sample"):
        call(network, rg.ScalarChain((-2.0, 0.5), 0.5, n_sites=4), key)
