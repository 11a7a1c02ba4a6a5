"""Training: identities that hold at any seed, theorem bounds on trained networks, and what happens when it fails."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rgkit as rg
from rgkit.training.data import REAL_EVALUATION_SAMPLES
from rgkit.training.single import default_optimizer

LN2 = np.log(2)
RING = rg.IsingChain(1.0, n_sites=12)


def network(seed=0, widths=(12, 64, 4), **options):
    return rg.FCNetwork(widths, rg.SpinChannel(), key=jax.random.key(seed), **options)


@pytest.fixture(scope="module")
def results():
    """Infomax on the ring of 12, seeds 0..7, none dropped."""
    return [
        rg.train(network(s), RING, rg.Infomax(), steps=600, key=jax.random.key(s)) for s in range(8)
    ]


def test_training_lowers_the_gap_on_every_seed(results):
    for result in results:
        gaps = result.history.gap
        assert gaps.iloc[-1] < 0.25 * gaps.iloc[0]


def test_trained_networks_obey_the_theorems(results):
    lower = rg.water_filling_divergence(RING, 4)
    for result in results:
        soft, hard = (rg.pushforward(RING, n) for n in (result.network, result.network.hard()))
        assert soft.divergence() <= soft.gap() + 1e-12
        assert hard.divergence() == pytest.approx(hard.gap(), abs=1e-12)
        assert soft.gap() >= lower - 1e-12 and hard.divergence() >= lower - 1e-12
        if hard.divergence() < 0.5:
            bound = np.arctanh(np.sqrt(2 * hard.divergence()))
            assert abs(hard.pair_marginal_couplings()).max() <= bound
        fit = rg.characteristic_parameters(
            hard, rg.IsingChain(0.0, n_sites=4, periodic=False)
        ).values
        nearest = rg.IsingChain(fit["K"], fit["h"], n_sites=4, periodic=False)
        assert 4 * LN2 - nearest.entropy() <= hard.divergence() + 1e-9


def test_trained_networks_beat_every_control_at_strong_coupling(results):
    trained = np.median([r.history.divergence.iloc[-1] for r in results])
    untrained = np.median([r.history.divergence.iloc[0] for r in results])
    decimated = rg.pushforward(RING, rg.decimation(3)).divergence()
    random = [
        rg.pushforward(RING, rg.random_map(4, jax.random.key(s))).divergence() for s in range(8)
    ]
    assert trained < np.median(random) < decimated < untrained
    assert 4 - trained / LN2 >= 3.48  # bits; the optimum over all maps is 3.61


def test_history_agrees_with_the_exact_laws(results):
    for result in results[:3]:
        last = result.history.iloc[-1]
        soft = rg.pushforward(RING, result.network)
        assert last.information == pytest.approx(
            soft.information(), abs=2e-5
        )  # recorded in float32
        assert last.loss == pytest.approx(-soft.information(), abs=2e-5)
        assert last.divergence == pytest.approx(
            rg.pushforward(RING, result.network.hard()).divergence(), abs=2e-6
        )
        assert result.laws[-1].divergence() == last.divergence
        assert len(result.laws) == len(result.history) and result.history.step.iloc[-1] == 600
        assert (
            result.cost["steps"] == 600
            and result.cost["restarts"] == 1
            and result.cost["seconds"] > 0
        )


def test_small_gradient_steps_never_raise_the_gap():
    for seed in range(3):
        result = rg.train(
            network(seed),
            RING,
            rg.Infomax(),
            steps=200,
            optimizer=optax.sgd(0.02),
            key=jax.random.key(0),
        )
        assert (np.diff(result.history.gap) <= 1e-5).all()


def test_restarts_keep_the_best():
    small = rg.IsingChain(1.0, n_sites=8)
    one = rg.train(network(0, (8, 16, 3)), small, rg.Infomax(), steps=150, key=jax.random.key(0))
    many = rg.train(
        network(0, (8, 16, 3)), small, rg.Infomax(), steps=150, restarts=6, key=jax.random.key(0)
    )
    assert many.history.loss.iloc[-1] <= one.history.loss.iloc[-1] + 1e-4
    assert many.cost["steps"] == 900 and many.cost["restarts"] == 6


def test_training_repeats_itself():
    small = rg.IsingChain(1.0, n_sites=6)
    first, second = (
        rg.train(network(0, (6, 8, 2)), small, rg.Infomax(), steps=50, key=jax.random.key(0))
        for _ in range(2)
    )
    assert eqx.tree_equal(first.network, second.network)
    assert first.history.equals(second.history)


def test_the_gradient_is_that_of_the_exact_information():
    small = rg.IsingChain(0.8, 0.2, n_sites=4)
    with jax.enable_x64(True):
        net = network(0, (4, 3, 2), dtype="float64", bias_std=0.3)
        x, p = small.configurations(), jnp.asarray(small.probabilities())
        weights, static = eqx.partition(net, eqx.is_inexact_array)

        def loss(weights):
            return rg.Infomax().loss(eqx.combine(weights, static), None, x, p)

        gradient = jax.grad(loss)(weights)
        shift = jax.tree.map(
            lambda leaf: jnp.cos(jnp.arange(leaf.size, dtype=float)).reshape(leaf.shape), weights
        )
        moved = [jax.tree.map(lambda w, s, e=e: w + e * s, weights, shift) for e in (1e-5, -1e-5)]
        numeric = (loss(moved[0]) - loss(moved[1])) / 2e-5
        exact = sum(
            jnp.vdot(g, s)
            for g, s in zip(jax.tree.leaves(gradient), jax.tree.leaves(shift), strict=True)
        )
        assert float(exact) == pytest.approx(float(numeric), rel=1e-7)


def test_a_deep_linear_network_learns_a_mode_on_saxes_curve():
    """a(t) = s e^{2st} / (e^{2st} - 1 + s/a0) for gradient flow on a product of two weights (arXiv:1312.6120, eq. 9)."""
    s, a0, rate = 2.0, 0.01, 1e-4
    optimizer = optax.sgd(rate)
    weights = jnp.full(2, a0**0.5)
    state = optimizer.init(weights)

    def step(carry, _):
        weights, state = carry
        gradient = jax.grad(lambda w: (s - w[0] * w[1]) ** 2 / 2)(weights)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(weights, updates), state), None

    (weights, _), _ = jax.lax.scan(step, (weights, state), length=round(1 / rate))
    assert float(weights.prod()) == pytest.approx(0.4305879205034302, rel=1e-3)


def test_a_label_drives_the_features_to_infinite_coupling():
    chain = rg.IsingChain(1.0, n_sites=9)
    label = rg.Classification(lambda x: (x.sum() > 0).astype(int))
    for seed in range(4):
        result = rg.train(
            network(seed, (9, 64, 4)), chain, label, steps=600, key=jax.random.key(seed)
        )
        law = result.laws[-1]
        heaviest = np.sort(law.probabilities)[-2:]
        np.testing.assert_allclose(heaviest, 0.5, atol=1e-3)
        y, other = np.argsort(law.probabilities)[-2:]
        assert y ^ other == 15  # opposite states
        assert result.head.shape == (2, 4)


def test_reconstruction_with_one_feature_per_site_keeps_everything():
    chain = rg.IsingChain(0.3, n_sites=3)
    result = rg.train(
        network(1, (3, 32, 3)), chain, rg.Reconstruction(), steps=1500, key=jax.random.key(0)
    )
    assert result.history.information.iloc[-1] == pytest.approx(chain.entropy(), abs=0.02)
    assert result.history.loss.iloc[-1] < 0.05


def test_reconstruction_is_measured_by_the_best_factorised_decoder():
    chain, net = rg.IsingChain(0.7, 0.1, n_sites=5), network(1, (5, 6, 2))
    x, p = chain.configurations().astype(float), chain.probabilities()
    joint = p[:, None] * np.exp(np.asarray(jax.vmap(net.log_probability)(x), float))
    up = np.einsum("xy,xi->yi", joint, (1 + x) / 2) / joint.sum(0)[:, None]
    cross_entropy = -np.einsum("xy,xi,yi->", joint, (1 + x) / 2, np.log(up)) - np.einsum(
        "xy,xi,yi->", joint, (1 - x) / 2, np.log(1 - up)
    )
    arguments = net, x.astype(np.int8), jnp.asarray(p, jnp.float32)
    loss = rg.Reconstruction().loss(arguments[0], None, *arguments[1:])
    assert float(loss) == pytest.approx(cross_entropy, abs=1e-5)
    np.testing.assert_allclose(rg.Reconstruction().decoder(*arguments), 2 * up - 1, atol=1e-5)


def test_regression_reaches_a_target_that_two_features_can_hold():
    chain = rg.IsingChain(0.5, n_sites=4)
    target = rg.Regression(lambda x: x[0] + 0.5 * x[1])
    result = rg.train(network(0, (4, 16, 2)), chain, target, steps=1500, key=jax.random.key(0))
    assert result.history.loss.iloc[-1] < 0.01


def test_minibatches_of_long_chains():
    chain = rg.IsingChain(0.5, n_sites=40)
    result = rg.train(
        network(0, (40, 32, 2)),
        chain,
        rg.Infomax(),
        steps=200,
        batch_size=256,
        records=4,
        key=jax.random.key(0),
    )
    assert result.history.gap.iloc[-1] < 0.3 * result.history.gap.iloc[0]
    assert result.history.step.tolist() == [0, 50, 100, 150, 200]


def test_a_diverging_run_keeps_what_it_had():
    with pytest.raises(rg.TrainingDiverged, match="the loss turned non-finite at step") as caught:
        rg.train(
            network(),
            RING,
            rg.Infomax(),
            steps=50,
            optimizer=optax.sgd(1e38),
            key=jax.random.key(0),
        )
    error = caught.value
    assert 0 < error.step < 50
    assert f"step {error.step}" in str(error)
    assert all(
        jnp.isfinite(leaf).all()
        for leaf in jax.tree.leaves(eqx.filter(error.result.network, eqx.is_array))
    )
    assert len(error.result.history) >= 1


def test_float64_training_on_purpose():
    with jax.enable_x64(True):
        small = rg.IsingChain(1.0, n_sites=6)
        result = rg.train(
            network(0, (6, 8, 2), dtype="float64"),
            small,
            rg.Infomax(),
            steps=20,
            key=jax.random.key(0),
        )
        assert result.network.dtype == jnp.float64
        assert result.history.information.iloc[-1] == pytest.approx(
            rg.pushforward(small, result.network).information(), abs=1e-12
        )


WELLS = rg.ScalarChain((-2.0, 0.5), 0.5, n_sites=4)
WIDE_WELLS = rg.ScalarChain((-2.0, 0.5), 0.5, n_sites=12)


def real_network(seed=0, widths=(4, 32, 2), **channel):
    return rg.FCNetwork(widths, rg.GaussianChannel(**channel), key=jax.random.key(seed))


def train_on_fields(seed=0, system=WELLS, widths=(4, 32, 2), **options):
    options = {"steps": 300, "batch_size": 1024, "pool": 2**14, "records": 3} | options
    return rg.train(
        real_network(seed, widths),
        system,
        rg.Infomax(draws=64),
        key=jax.random.key(seed),
        **options,
    )


@pytest.fixture(scope="module")
def on_fields():
    """Infomax on a double well, seeds 0..2, none dropped."""
    return [train_on_fields(seed) for seed in range(3)]


def test_training_on_fields_comes_near_capacity_on_every_seed(on_fields):
    x = WELLS.sample(jax.random.key(99), 2**13)
    capacity = 2 * rg.GaussianChannel().capacity()
    for result in on_fields:
        untrained = real_network().normalized(x)
        before, after = (
            rg.information_bounds(n, x, jax.random.key(0)) for n in (untrained, result.network)
        )
        assert capacity - after.lower < 0.08 < 0.25 < capacity - before.lower
        assert after.lower - 4 * after.lower_error < capacity
        assert result.history.gap.iloc[-1] < 0.3 * result.history.gap.iloc[0]


def test_the_power_is_frozen_and_its_residual_reported(on_fields):
    for seed, result in enumerate(on_fields):
        residual, error = result.power["residual"], result.power["standard_error"]
        assert abs(residual) < 4 * 2**0.5 * error and 0.001 < error < 0.01
        data_key = jax.random.split(jax.random.key(seed))[0]
        named = WELLS.sample(jax.random.fold_in(data_key, 2), 2**16)
        assert (np.asarray(result.network.batch(named), float) ** 2).mean() == pytest.approx(
            1.0, abs=1e-5
        )
        x = WELLS.sample(jax.random.key(7), 10)
        np.testing.assert_allclose(result.network.batch(x)[3], result.network(x[3]), atol=1e-5)


def test_history_on_fields(on_fields):
    for result in on_fields:
        history, law = result.history, result.laws[-1]
        assert history.step.tolist() == [0, 100, 200, 300] and len(result.laws) == 4
        assert law.n_features == 2 and law.reference_variance == pytest.approx(1.02)
        assert history.second_moment.iloc[-1] == pytest.approx(1.02, abs=0.02)
        assert (history.information <= history.information_upper).all() and (
            history.information_error < 0.05
        ).all()
        np.testing.assert_allclose(history.gap, np.log(51) - history.information)
        # the loss makes few draws of the noise
        spread = (
            history.information_error * (REAL_EVALUATION_SAMPLES / result.objective.draws) ** 0.5
        )
        assert (abs(history.loss + history.information) < 4 * spread).all() and (spread < 0.3).all()
        assert history.excess_kurtosis.iloc[-1] == pytest.approx(
            law.cumulants().excess_kurtosis["pooled"]
        )


def test_training_on_fields_repeats_itself():
    first, second = (train_on_fields(steps=20, batch_size=64, records=1) for _ in range(2))
    assert eqx.tree_equal(first.network, second.network) and first.history.equals(second.history)


def test_a_pool_serves_as_well_as_fresh_samples():
    gaps = [train_on_fields(pool=pool, records=1).history.gap.iloc[-1] for pool in (None, 2**14)]
    assert gaps[0] == pytest.approx(gaps[1], abs=0.03)


def test_other_channels_for_the_other_data():
    spins = rg.IsingChain(0.5, n_sites=6)
    real = train_on_fields(system=spins, widths=(6, 32, 2), pool=None)
    assert real.history.information.iloc[-1] < spins.entropy() < 2 * real.network.channel.capacity()
    assert real.history.gap.iloc[-1] > 0.1  # atoms: the capacity is not attained
    signs = rg.train(
        network(0, (4, 32, 2)),
        WELLS,
        rg.Infomax(),
        steps=200,
        batch_size=512,
        records=1,
        key=jax.random.key(0),
    )
    assert signs.history.gap.iloc[-1] < 0.2 * signs.history.gap.iloc[0]


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"restarts": 0}, ValueError, "restarts must be at least 1"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"key": jax.random.PRNGKey(0)}, TypeError, "typed JAX key"),
        (
            {"network": network(0, (10, 4))},
            ValueError,
            r"widths start with 10 but the system has 12 sites",
        ),
        (
            {"network": network().hard()},
            ValueError,
            "network has hard features, which have no gradient",
        ),
        (
            {"system": rg.IsingChain(1.0, n_sites=30), "network": network(0, (30, 4))},
            ValueError,
            "30 is too large",
        ),
        (
            {"system": WELLS, "network": real_network()},
            ValueError,
            "batch_size must be an integer: fields and Gaussian",
        ),
        (
            {"network": real_network(0, (12, 2))},
            ValueError,
            "batch_size must be an integer: fields and Gaussian",
        ),
        (
            {
                "system": WELLS,
                "network": real_network(),
                "objective": rg.Reconstruction(),
                "batch_size": 8,
            },
            TypeError,
            "objective Reconstruction is defined for rgkit.SpinChannel, the network has",
        ),
        ({"pool": 64}, ValueError, "pool is what batches are drawn from: pass a batch_size too"),
        ({"pool": 64, "batch_size": 128}, ValueError, "pool must be at least 128, got 64"),
        ({"batch_size": 1}, ValueError, "batch_size must give at least 2 configurations"),
        (
            {"system": rg.EmpiricalSystem(np.ones((5, 12)))},
            ValueError,
            "system must give at least 2 configurations to a step of Infomax, got 1",
        ),
        ({"objective": "infomax"}, TypeError, r"objective must be .* pass rgkit.Infomax\(\)"),
        (
            {"objective": rg.Infomax},
            TypeError,
            r"an instance, got the class Infomax: .*Infomax\(\)",
        ),
        ({"optimizer": 0.1}, TypeError, "optimizer must be an optax optimiser or None, got 0.1"),
        ({"optimizer": optax.adam}, TypeError, "optimizer must be an optax optimiser or None"),
        ({"optimizer": {"lr": 0.1}}, TypeError, "optimizer must be an optax optimiser or None"),
        ({"network": rg.random_map(2, jax.random.key(0))}, TypeError, "network must be an rgkit"),
        ({"system": "ring"}, TypeError, "system must have n_sites, values and sample"),
        ({"system": rg.IsingChain}, TypeError, "system must have n_sites, values and sample"),
        (
            {"objective": rg.Regression(lambda x: x)},
            TypeError,
            r"target must return one number, got shape \(12,\)",
        ),
        (
            {"objective": rg.Regression(lambda x: x[0] / jnp.where(x.sum() == 12, 0.0, 1.0))},
            ValueError,
            r"target must be finite, but is not for the configuration \[1, 1",
        ),
        (
            {"objective": rg.Classification(lambda x: 0.5 * x[0])},
            TypeError,
            "label must return one number, got .* dtype float32 .* use .astype",
        ),
        (
            {"objective": rg.Classification(lambda x: x[0])},
            ValueError,
            r"label must be in range\(2\), got -1 for the configuration \[-1, 1",
        ),
        (
            {"objective": rg.Reconstruction(), "system": WIDE_WELLS, "batch_size": 8},
            ValueError,
            "objective Reconstruction is defined for configurations of spins",
        ),
        (
            {"network": real_network(0, (4, 2), noise=1e-9), "system": WELLS, "batch_size": 8},
            ValueError,
            "noise = 1e-09 is too small beside power",
        ),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    call = {
        "network": network(),
        "system": RING,
        "objective": rg.Infomax(),
        "steps": 5,
        "key": jax.random.key(0),
    }
    with pytest.raises(error, match=message):
        rg.train(**(call | arguments))


@pytest.mark.as_a_user
def test_bad_objectives_are_refused():
    with pytest.raises(ValueError, match="n_classes must be at least 2"):
        rg.Classification(lambda x: 0, n_classes=1)
    with pytest.raises(ValueError, match="draws must be at least 1"):
        rg.Infomax(draws=0)
    with pytest.raises(TypeError, match="label must be a function of one configuration"):
        rg.Classification(1)
    with pytest.raises(TypeError, match="target must be a function of one configuration"):
        rg.Regression("energy")


def test_the_default_optimizer_is_the_one_that_is_documented():
    small = rg.IsingChain(1.0, n_sites=6)
    options = {"steps": 35, "records": 2, "key": jax.random.key(0)}
    first, second = (
        rg.train(network(0, (6, 8, 2)), small, rg.Infomax(), optimizer=optimizer, **options)
        for optimizer in (None, default_optimizer(35))
    )
    assert eqx.tree_equal(first.network, second.network)
    rates = optax.join_schedules(
        [optax.constant_schedule(1e-2), optax.linear_schedule(1e-2, 0.0, 7)], [28]
    )
    third = rg.train(
        network(0, (6, 8, 2)), small, rg.Infomax(), optimizer=optax.adam(rates, b1=0.98), **options
    )
    assert eqx.tree_equal(first.network, third.network)


class Sampled(rg.Objective):
    """A loss over spin features that draws them, and so needs its key."""

    def loss(self, network, head, x, weights, key):
        y = jax.vmap(network.sample)(x, jax.random.split(key, len(x)))
        shares = jax.vmap(network.means)(x)
        return -weights @ jnp.sum(y * shares, axis=1)


def test_an_objective_on_spins_is_given_a_key():
    small = rg.IsingChain(1.0, n_sites=6)
    result = rg.train(
        network(0, (6, 8, 2)), small, Sampled(), steps=100, records=1, key=jax.random.key(0)
    )
    assert result.history.loss.iloc[-1] < result.history.loss.iloc[0] - 0.5


class Doubled(rg.FCNetwork):
    """A network of one's own, whose features use a field that rgkit does not know the use of."""

    def __call__(self, x):
        return self.gain * super().__call__(x)


def test_a_network_of_ones_own_is_trained_as_it_is():
    small = rg.IsingChain(1.0, n_sites=6)
    start = Doubled((6, 8, 2), rg.SpinChannel(), key=jax.random.key(0), gain=2.0)
    label = rg.Classification(lambda x: (x[0] > 0).astype(int))
    result = rg.train(start, small, label, steps=50, records=1, key=jax.random.key(0))
    assert type(result.network) is Doubled and result.network.gain == 2.0
    assert result.history.loss.iloc[-1] < result.history.loss.iloc[0]
