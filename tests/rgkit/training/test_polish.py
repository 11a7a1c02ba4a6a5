"""Training that reaches the certified optimum: the leak, the stages, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rgkit as rg
from rgkit.enumeration import Enumeration
from rgkit.training.objectives import Objective

RING = rg.IsingChain(1.0, n_sites=8)
SHORT = rg.Polish(settle=20, fit=5, harden=40, rounds=1)


def network(seed=0, n=3):
    return rg.FCNetwork((8, 24, n), rg.SpinChannel(), key=jax.random.key(seed))


def entropy(kernel, system=RING):
    law = rg.pushforward(system, kernel.hard())
    return (law.n_features * np.log(2) - law.divergence()) / np.log(2)


def rows(dtype="float32"):
    return jnp.asarray(RING.configurations()), jnp.asarray(RING.probabilities(), dtype)


def test_the_leak_is_in_the_gradient_and_not_in_the_loss():
    x, weights = rows()
    objectives = rg.Infomax(), rg.LeakyInfomax()
    values = [float(o.loss(network(), None, x, weights)) for o in objectives]
    assert values[0] == pytest.approx(values[1], abs=1e-6)
    decided = network().rescaled(jnp.float32(20), jnp.zeros(3))

    def slope(objective):
        slopes = eqx.filter_grad(lambda net: objective.loss(net, None, x, weights))(decided)
        return np.asarray(slopes.weights[0])

    np.testing.assert_allclose(slope(rg.LeakyInfomax(0.0)), slope(rg.Infomax()), atol=1e-6)
    assert np.abs(slope(rg.LeakyInfomax()) - slope(rg.Infomax())).max() > 1e-2


def test_a_polished_network_is_nearer_and_nearly_without_noise(key):
    best = 3 - rg.water_filling_divergence(RING, 3) / np.log(2)
    plain = rg.train(network(), RING, rg.Infomax(), steps=300, records=1, key=key)
    result = rg.train(
        network(), RING, rg.LeakyInfomax(), steps=200, finish=rg.Polish(), records=1, key=key
    )
    assert entropy(plain.network) < entropy(result.network) - 1e-3 < best
    last = result.history.iloc[-1]
    # a configuration or two may still be undecided when hardening ends
    assert 0 <= last.gap - last.divergence < 0.02
    assert list(result.history.step) == [0, 200, 200 + rg.Polish().steps]
    assert result.cost["steps"] == 200 + rg.Polish().steps


@pytest.mark.parametrize("stage", ["fit", "harden"])
def test_fit_and_harden_win_and_cannot_lose(stage):
    x, weights = rows()
    gains = []
    for seed in range(4):
        start = rg.train(
            network(seed), RING, rg.Infomax(), steps=200, records=1, key=jax.random.key(seed)
        ).network
        only = {"settle": 0, "fit": 0, "harden": 0, "rounds": 1} | {stage: 40}
        gains.append(entropy(rg.Polish(**only)(start, x, weights)) - entropy(start))
    assert min(gains) >= -1e-6 and np.mean(gains) > 0.01


def test_without_stages_only_the_scale_changes():
    x, weights = rows()
    polished = rg.Polish(settle=0, fit=0, harden=0)(network(), x, weights)
    assert entropy(polished) == pytest.approx(entropy(network()), abs=1e-9)
    np.testing.assert_allclose(polished.weights[0], network().weights[0])
    assert float(weights @ jnp.abs(polished.columns(x)).mean(0)) == pytest.approx(1000, rel=1e-4)


def test_streamed_rows_give_the_same():
    x, weights = rows()
    streamed = Enumeration(8, rows_at_once=64)
    # no steps of Adam, which makes whole steps of rounding where a gradient is zero
    short = rg.Polish(settle=0, fit=3, harden=0, rounds=1)
    whole, parts = (
        np.asarray(short(network(), rows, weights).columns(x)) for rows in (x, streamed)
    )
    np.testing.assert_allclose(whole, parts, rtol=1e-3, atol=0.1)


def test_members_of_an_ensemble_are_polished_as_alone(key):
    grid = {"K": 1.0, "n_sites": 8, "n_features": 3, "width": 24, "seed": range(3)}
    options = {"steps": 100, "finish": SHORT, "restarts": 2}
    together = rg.train_ensemble(grid, rg.LeakyInfomax(), key=key, **options)
    assert sorted(set(together.history.step)) == [0, 100, 100 + SHORT.steps]
    assert (together.table.steps == 2 * (100 + SHORT.steps)).all()
    alone = rg.train(**together.arguments(1), records=1, **options)
    # rounding is amplified on the way, but both are polished
    ends = entropy(together.network(1)), entropy(alone.network)
    assert ends[0] == pytest.approx(ends[1], abs=0.03)
    assert min(ends) > entropy(network(1)) + 0.1


def test_a_checkpoint_knows_its_finish(tmp_path, key):
    grid = {"K": 1.0, "n_sites": 4, "n_features": 2, "width": 4}
    options = {"steps": 2, "checkpoint": tmp_path, "key": key}
    rg.train_ensemble(grid, rg.Infomax(), finish=SHORT, **options)
    again = rg.train_ensemble(grid, rg.Infomax(), finish=SHORT, **options)
    assert again.table.steps[0] == 2 + SHORT.steps
    with pytest.raises(ValueError, match="finish"):
        rg.train_ensemble(grid, rg.Infomax(), finish=rg.Polish(), **options)


def test_any_enumerable_system_and_spin_channel(key):
    x = np.array([[1, 1, 1], [1, -1, 1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])
    recorded = rg.EmpiricalSystem(x)
    start = rg.FCNetwork((3, 8, 2), rg.SpinChannel(), key=key)
    result = rg.train(
        start, recorded, rg.LeakyInfomax(), steps=200, finish=SHORT, records=1, key=key
    )
    # five rows, two of them equal: 2/5 and three times 1/5 is the best law
    best = -(0.4 * np.log2(0.4) + 0.6 * np.log2(0.2))
    assert entropy(result.network, recorded) == pytest.approx(best, abs=1e-6)


class OtherLoss(Objective):
    def loss(self, network, head, x, weights, key):
        return weights @ jax.vmap(network)(x).sum(1)


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"batch_size": 16}, ValueError, "finish=Polish works on all configurations.*batch_size"),
        ({"finish": "polish"}, TypeError, "finish must be an rgkit.Finish or None"),
        ({"finish": rg.Polish}, TypeError, "finish must be an rgkit.Finish or None"),
        ({"objective": OtherLoss()}, TypeError, "would undo what OtherLoss has learned"),
        ({"network": network(n=11)}, ValueError, "fits up to 10 features, got 11.*fit=0"),
    ],
)
def test_what_does_not_fit_is_refused(options, error, message, key):
    call = {"network": network(), "system": RING, "objective": rg.Infomax()}
    call |= {"steps": 1, "finish": rg.Polish(), "key": key} | options
    with pytest.raises(error, match=message):
        rg.train(**call)


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: rg.Polish(fit=-1), ValueError, "fit must be at least 0"),
        (lambda: rg.Polish(settle=1.5), TypeError, "settle must be an integer"),
        (lambda: rg.Polish(rounds=0), ValueError, "rounds must be at least 1"),
        (lambda: rg.LeakyInfomax(-0.1), ValueError, "leak must be at least 0"),
        (lambda: rg.LeakyInfomax(leak="much"), TypeError, "leak must be a real number"),
    ],
)
def test_bad_settings_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
