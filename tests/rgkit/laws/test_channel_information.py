"""Information through the Gaussian channel: streamed against dense, bounds against closed forms, memory."""

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

import rgkit as rg
from rgkit.laws import channel_information as information

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
    monkeypatch.setattr(information, "TILE_ENTRIES", entries)  # many tiles, a remainder among them
    with jax.enable_x64(True):
        y, centres, shares, weights = (jnp.asarray(array, jnp.float64) for array in cloud(M, n))

        def both(mixture):
            # each argument depends on both variables, and the cotangent is not 1
            return jax.value_and_grad(
                lambda a, b: 3 * mixture(a + b, b - a / 2, shares, weights, 0.1), (0, 1)
            )(y, centres)

        for streamed, expected in zip(
            *map(jax.tree.leaves, (both(information.mean_log_mixture), both(dense))), strict=True
        ):
            np.testing.assert_allclose(streamed, expected, rtol=1e-10, atol=1e-12)
        few = y[: M // 2 + 1], centres, shares[: M // 2 + 1], weights, 0.1
        assert float(information.mean_log_mixture(*few)) == pytest.approx(
            float(dense(*few)), rel=1e-12
        )


def test_centres_of_weight_zero_count_nowhere():
    y, centres, shares, weights = cloud(20)
    weights = weights.at[:5].set(0.0) / weights[5:].sum()
    kept = information.mean_log_mixture(y, centres[5:], shares, weights[5:], 0.1)
    gradient = jax.grad(information.mean_log_mixture, 1)(y, centres, shares, weights, 0.1)
    assert float(information.mean_log_mixture(y, centres, shares, weights, 0.1)) == pytest.approx(
        float(kept), rel=1e-5
    )
    assert not gradient[:5].any() and jnp.isfinite(gradient).all()


def test_it_maps_over_an_ensemble():
    y, centres, shares, weights = cloud(30)
    gradient = jax.grad(lambda f: information.mean_log_mixture(y, f, shares, weights, 0.1))
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
        ("lower", truth, 1), ("upper", truth, -1), ("divergence_lower", distance, 1), ("divergence_upper", distance, -1),
    ):  # fmt: skip
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
from rgkit.laws.channel_information import batch_information
from rgkit.kernels.network import GaussianChannel
M = 2**14
weights, features = jnp.full(M, 1 / M), jax.random.normal(jax.random.key(0), (M, 4))
step = jax.jit(jax.value_and_grad(lambda f: batch_information(f, weights, GaussianChannel(), jax.random.key(1))))
value, gradient = jax.block_until_ready(step(features))
assert jnp.isfinite(value) and jnp.isfinite(gradient).all()
# kilobytes; getrusage counts the parent's peak too, so it serves only where /proc is missing
status = pathlib.Path("/proc/self/status")
peak = re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1] if status.exists() else resource.getrusage(0).ru_maxrss
print(peak)
"""


def temporaries(M):
    """Bytes that the compiled value and gradient take beside their arguments and results."""
    weights, features = jnp.full(M, 1 / M), jnp.zeros((M, 4))
    step = jax.value_and_grad(
        lambda f: information.batch_information(f, weights, CHANNEL, jax.random.key(1))
    )
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
            "needs a network with a rgkit.Gauss",
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


def spins():
    return rg.FCNetwork((6, 2), rg.SpinChannel(), key=jax.random.key(0))


def bounds_of(samples, key=None):
    return rg.information_bounds(linear()[0], samples, jax.random.key(0) if key is None else key)
