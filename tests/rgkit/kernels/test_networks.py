"""Fully connected networks as kernels."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rgkit as rg


def make(widths=(6, 5, 3), **options):
    return rg.FCNetwork(widths, rg.SpinChannel(), key=jax.random.key(0), **options)


def test_forward_pass_by_hand():
    network = make(bias_std=1.0)
    x = jnp.array([1, -1, 1, 1, -1, 1], jnp.int8)
    hidden = np.tanh(network.weights[0] @ np.asarray(x, np.float32) + network.biases[0])
    np.testing.assert_allclose(network.layers(x)[0], hidden, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        network(x), network.weights[1] @ hidden + network.biases[1], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(network.means(x), np.tanh(network(x)), rtol=1e-6)
    assert network.widths == (6, 5, 3) and len(network.layers(x)) == 2


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "identity"])
def test_activations(activation):
    assert jnp.isfinite(make(activation=activation)(jnp.ones(6))).all()


def test_the_start_has_the_stated_scale():
    network = make((400, 300, 4), gain=2.0, bias_std=0.5)
    assert network.weights[0].std() == pytest.approx(2 / 20, rel=0.02)
    assert network.biases[0].std() == pytest.approx(0.5, rel=0.15)
    assert not make().biases[0].any()


def test_hard_features_are_signs_of_the_activations():
    network = make()
    x = rg.IsingChain(0.0, n_sites=6).configurations()
    activations = jax.vmap(network)(x)
    np.testing.assert_array_equal(
        jax.vmap(network.hard().means)(x), jnp.where(activations < 0, -1.0, 1.0)
    )
    np.testing.assert_array_equal(jax.vmap(network.hard())(x), activations)
    assert network.hard().channel.hard and not network.channel.hard


def test_an_activation_of_zero_is_an_up_spin():
    network = jax.tree.map(lambda leaf: 0 * leaf if isinstance(leaf, jax.Array) else leaf, make())
    assert network.hard().means(jnp.ones(6)).tolist() == [1, 1, 1]


def test_conditional_entropy_keeps_its_digits_where_the_channel_saturates():
    sharp = rg.FCNetwork((2, 1), rg.SpinChannel(), key=jax.random.key(0), gain=1e3)
    x = jnp.array([1, -1], jnp.int8)
    assert abs(sharp(x)[0]) > 30
    gradient = eqx.filter_grad(lambda network: network.conditional_entropy(x))(sharp)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert 0 <= float(sharp.conditional_entropy(x)) < 1e-6


def test_float64_only_where_jax_has_it():
    with pytest.raises(
        ValueError, match=r"dtype='float64' needs jax.config.update\('jax_enable_x64', True\)"
    ):
        make(dtype="float64")
    with jax.enable_x64(True):
        network = make(dtype="float64")
        assert network.dtype == jnp.float64 and network(jnp.ones(6)).dtype == jnp.float64
    assert make()(jnp.ones(6)).dtype == jnp.float32


def test_reinitialized_networks_share_architecture_only():
    network = make(gain=3.0)
    other = network.reinitialized(jax.random.key(1))
    assert other.widths == network.widths and other.gain == 3.0
    assert abs(other.weights[0] - network.weights[0]).max() > 0.1


def real(widths=(6, 5, 3), power=1.0, noise=0.02, **options):
    return rg.FCNetwork(
        widths, rg.GaussianChannel(power, noise), key=jax.random.key(0), bias_std=1.0, **options
    )


def test_a_gaussian_channel_adds_noise_of_its_variance(key):
    network, x = real(noise=0.3), jnp.linspace(-1, 1, 6)
    y = jax.vmap(network.sample, (None, 0))(x, jax.random.split(key, 20_000))
    np.testing.assert_allclose(y.mean(0), network(x), atol=4 * (0.3 / 20_000) ** 0.5)
    np.testing.assert_allclose(np.cov(y.T), 0.3 * np.eye(3), atol=0.02)
    np.testing.assert_array_equal(network.means(x), network(x))
    assert float(network.conditional_entropy(x)) == pytest.approx(
        1.5 * np.log(2 * np.pi * np.e * 0.3), rel=1e-6
    )


def test_capacity():
    assert rg.GaussianChannel(power=3.0, noise=1.0).capacity() == pytest.approx(np.log(2))
    assert rg.GaussianChannel().capacity() == pytest.approx(np.log(51) / 2)


@pytest.mark.parametrize("widths, power", [((6, 5, 3), 1.0), ((6, 2), 4.0), ((6, 7, 5, 1), 0.25)])
def test_normalized_networks_have_mean_zero_and_full_power_on_their_sample(widths, power):
    network, x = real(widths, power), 3 + 2 * jax.random.normal(jax.random.key(1), (1000, 6))
    before, after = (np.asarray(net.batch(x), float) for net in (network, network.normalized(x)))
    np.testing.assert_allclose(
        after.mean(0), 0, atol=1e-5
    )  # rounding of float32 features that were of order ten
    assert (after**2).sum(1).mean() == pytest.approx(widths[-1] * power, rel=1e-6)
    # one scale for all features: their shape, and so how white they can be, is the network's own
    np.testing.assert_allclose(np.corrcoef(after.T), np.corrcoef(before.T), atol=1e-5)
    np.testing.assert_allclose(
        after.std(0) / before.std(0), (after.std() / (before - before.mean(0)).std()), rtol=1e-5
    )


def test_normalization_is_idempotent_and_depends_on_its_sample_alone():
    network, x = real(), jax.random.normal(jax.random.key(1), (500, 6))
    once = network.normalized(x)
    np.testing.assert_allclose(once.normalized(x).batch(x), once.batch(x), atol=1e-5)
    assert once.widths == network.widths and once.channel == network.channel
    np.testing.assert_array_equal(once(x[0]), network.normalized(x)(x[0]))


def test_a_batch_is_the_network_row_by_row():
    network, x, rows = (
        real(),
        jax.random.normal(jax.random.key(1), (20_001, 6)),
        jnp.array([0, 8192, 20_000]),
    )
    np.testing.assert_allclose(network.batch(x)[rows], jax.vmap(network)(x[rows]), atol=1e-5)


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "build, error, message",
    [
        (lambda: make((6,)), ValueError, "widths must name at least the input and the features"),
        (lambda: make((6, 0, 3)), ValueError, "widths must be at least 1, got 0"),
        (lambda: make((6, 2.5, 3)), TypeError, "widths must be an integer"),
        (lambda: make(activation="swish"), ValueError, "activation must be one of"),
        (lambda: make(dtype="float16"), ValueError, "dtype must be 'float32' or 'float64'"),
        (lambda: make(gain=float("nan")), ValueError, "gain must be finite"),
        (
            lambda: rg.FCNetwork((6, 3), "spin", key=jax.random.key(0)),
            TypeError,
            "channel must be a rgkit.SpinChannel, a rgkit.GaussianChannel or one of",
        ),
        (
            lambda: rg.FCNetwork((6, 3), rg.SpinChannel(), key=jax.random.PRNGKey(0)),
            TypeError,
            "typed JAX key",
        ),
        (
            lambda: make()(jnp.ones((2, 6))),
            ValueError,
            r"x must have shape \(6,\), got \(2, 6\): batches go through",
        ),
        (lambda: make().batch(jnp.ones(6)), ValueError, r"x must have shape \(M, 6\), got \(6,\)"),
        (lambda: rg.GaussianChannel(noise=0.0), ValueError, "noise must be positive, got 0.0"),
        (lambda: rg.GaussianChannel(power=-1.0), ValueError, "power must be positive, got -1.0"),
        (
            lambda: make().normalized(jnp.ones((2, 6))),
            TypeError,
            r"normalized\(\) needs real features with noise.*with a rgkit.GaussianChannel",
        ),
        (lambda: real().normalized(jnp.ones((2, 6))), ValueError, "x must make the features vary"),
        (
            lambda: real().hard(),
            TypeError,
            r"hard\(\) needs features that are spins.*with a rgkit.SpinChannel",
        ),
        (
            lambda: real().log_probability(jnp.ones(6)),
            TypeError,
            r"log_probability over 2\*\*n outcomes needs features that are spins",
        ),
        (
            lambda: real().push(jnp.ones((2, 6)), jnp.ones(2) / 2),
            TypeError,
            r"push to the law of 2\*\*n outcomes needs features that are spins",
        ),
    ],
)
def test_bad_networks_are_refused(build, error, message):
    with pytest.raises(error, match=message):
        build()
