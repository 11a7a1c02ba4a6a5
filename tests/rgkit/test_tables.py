"""Every public system under every kernel, and every channel under every objective.

The systems are taken exact and sampled.
A cell of a table is right, by a sum done here in NumPy, or it is refused with a sentence.
"""

import functools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rgkit as rg

sys.path.insert(0, str(Path(__file__).parents[1] / "users"))

from channels import LaplaceChannel, WarmSpins
from kernels import NoisyVote, StaggeredAverage
from listed_states import ThreeStates
from next_nearest_neighbours import NextNearestNeighbours
from objective import Balanced
from potts import FourStatePotts
from two_replicas import TwoReplicas

N, SAMPLES, KEY = 6, 20_000, jax.random.key(0)
BITS = np.arange(2**N)[:, None] >> np.arange(N) & 1
ALL = 1 - 2 * BITS
ROWS = ALL[np.random.default_rng(0).integers(0, 2**N, 50)]
FIELDS = np.random.default_rng(1).normal(size=(5000, N))

SPINS = {
    "ring": rg.IsingChain(0.7, n_sites=N),
    "open chain in a field": rg.IsingChain(0.4, 0.3, n_sites=N, periodic=False),
    "recorded spins": rg.EmpiricalSystem(ROWS),
    "next-nearest neighbours": NextNearestNeighbours(0.5, -0.3, 0.1, N),
    "replicas": TwoReplicas(0.5, 0.4, N),
    "Potts": FourStatePotts(0.8, N),
    "three states": ThreeStates(),
}
REALS = {
    "chain of fields": rg.ScalarChain((-1.0, 0.5), 0.4, n_sites=N),
    "open chain of fields": rg.ScalarChain((1.0, 0.2), -0.3, n_sites=N, periodic=False),
    "recorded fields": rg.EmpiricalSystem(FIELDS),
}
SYSTEMS = SPINS | REALS


def network(channel, n=2, **options):
    return rg.FCNetwork((N, 8, n), channel, key=jax.random.key(3), bias_std=0.3, **options)


KERNELS = {
    "decimation": rg.decimation(3),
    "majority": rg.majority(3),
    "majority with coins": rg.majority(2, ties="random"),
    "majority, first": rg.majority(2, ties="first"),
    "block average": rg.block_average(3),
    "random map": rg.random_map(2, jax.random.key(5)),
    "greedy map": rg.greedy_map(SPINS["ring"], 2),
    "table": rg.TableMap(2, jnp.arange(2**N) % 4),
    "soft network": network(rg.SpinChannel()),
    "hard network": network(rg.SpinChannel(hard=True)),
    "relu network": network(rg.SpinChannel(), activation="relu"),
    "noisy network": network(rg.GaussianChannel(1.0, 0.1)),
    "warm network": network(WarmSpins(2.0)),
    "Laplace network": network(LaplaceChannel(1.0, 0.1)),
    "noisy vote": NoisyVote(0.1),
    "staggered average": StaggeredAverage(3),
}
MAPS = ("random map", "greedy map", "table")
FIELD_RULES = ("block average", "staggered average")
NOISY = ("noisy network", "Laplace network")


def activations(net, x):
    """The network by hand, in float64."""
    act = {"tanh": np.tanh, "relu": lambda a: np.maximum(a, 0)}[net.activation]
    *hidden, last = zip(net.weights, net.biases, strict=True)
    for weight, bias in hidden:
        x = act(x @ np.asarray(weight, float).T + np.asarray(bias, float))
    return x @ np.asarray(last[0], float).T + np.asarray(last[1], float)


@functools.cache
def outcomes():
    """What the random map, which has no table, makes of each configuration."""
    kernel = KERNELS["random map"]
    return np.array([int(np.argmax(kernel.log_probability(jnp.asarray(row)))) for row in ALL])


def of_product(up):
    """``P(y|x)``, ``(rows, 2**n)``, from ``P(y_j = +1|x)``, ``(rows, n)``."""
    n = up.shape[1]
    signs = np.arange(2**n)[:, None] >> np.arange(n) & 1
    return np.prod(np.where(signs == 0, up[:, None], 1 - up[:, None]), axis=-1)


def step(totals, on_tie):
    return np.where(totals == 0, on_tie, totals > 0)


def conditional(name, x):
    """``P(y|x)`` of a kernel to spins by hand, ``(rows, 2**n)``."""
    kernel = KERNELS[name]
    if name == "decimation":
        return of_product((x[:, ::3] + 1) / 2)
    if name.startswith("majority"):
        blocks = x.reshape(len(x), -1, kernel.block)
        tie = (blocks[..., 0] > 0) if "first" in name else 0.5
        return of_product(step(blocks.sum(-1), tie))
    if name in MAPS:
        table = outcomes() if name == "random map" else np.asarray(kernel.table)
        return np.eye(4)[table[((x < 0) << np.arange(N)).sum(1)]]
    if name == "noisy vote":
        up = 1 / (1 + np.exp(-50.0 * x.sum(1)))
        up = up * 0.9 + (1 - up) * 0.1
        return np.stack([up, 1 - up], axis=1)
    a = activations(kernel, x)
    if name == "hard network":
        return of_product((a >= 0).astype(float))
    return of_product(1 / (1 + np.exp(-2 * a / (2.0 if name == "warm network" else 1.0))))


def expected(system, kernel, sampled):
    """A law, or the sentence that refuses."""
    reals = system in REALS
    if kernel in FIELD_RULES and not reals:
        return TypeError, "acts on fields"
    if kernel in MAPS and reals:
        return TypeError, "maps configurations of spins"
    if not sampled and (reals or kernel in NOISY):
        return ValueError, "no enumeration"
    return (
        "real" if kernel in NOISY or (reals and kernel in (*FIELD_RULES, "decimation")) else "spin"
    )


def laws(system):
    """Rows and probabilities of a system of spins, by its own account."""
    return np.asarray(system.configurations(), float), np.asarray(system.probabilities(), float)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_exact(system, kernel):
    verdict = expected(system, kernel, sampled=False)
    if isinstance(verdict, tuple):
        with pytest.raises(verdict[0], match=verdict[1]):
            rg.pushforward(SYSTEMS[system], KERNELS[kernel])
        return
    law = rg.pushforward(SYSTEMS[system], KERNELS[kernel])
    x, p = laws(SYSTEMS[system])
    given = conditional(kernel, x)
    noise = -np.sum(p[:, None] * np.where(given > 0, given * np.log(np.maximum(given, 1e-300)), 0))
    # a network computes in float32
    np.testing.assert_allclose(law.probabilities, p @ given, atol=2e-6)
    assert law.conditional_entropy == pytest.approx(noise, abs=2e-6)
    assert law.entropy() >= 0 and law.divergence() >= 0 and law.information() <= law.entropy()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_sampled(system, kernel):
    verdict = expected(system, kernel, sampled=True)
    arguments = {"n_samples": SAMPLES, "key": KEY}
    if isinstance(verdict, tuple):
        with pytest.raises(verdict[0], match=verdict[1]):
            rg.pushforward(SYSTEMS[system], KERNELS[kernel], **arguments)
        return
    law = rg.pushforward(SYSTEMS[system], KERNELS[kernel], **arguments)
    # other draws, and the features by hand
    x = np.asarray(SYSTEMS[system].sample(jax.random.key(77), SAMPLES), float)
    if verdict == "spin":
        given = conditional(kernel, x)
        other = given.mean(0)
        error = np.sqrt(law.standard_errors**2 + given.var(0) / SAMPLES)
        assert np.all(abs(law.probabilities - other) <= 5 * error + 1e-6)
        return
    squares = (features(kernel, x) ** 2).mean(1) + noise_of(kernel)
    measured = law.second_moment()
    error = np.hypot(measured.standard_error, squares.std() / SAMPLES**0.5)
    assert abs(measured - squares.mean()) < 5 * error


def features(kernel, x):
    """Real features by hand, without noise, ``(rows, n)``."""
    blocks = x.reshape(len(x), -1, 3)
    if kernel == "decimation":
        return blocks[..., 0]
    if kernel in FIELD_RULES:
        signs = np.array([1, -1, 1]) if kernel == "staggered average" else np.ones(3)
        return (blocks * signs).sum(-1) / 3**0.5
    return activations(KERNELS[kernel], x)


def noise_of(kernel):
    return 0.1 if kernel in NOISY else 0.0


CHANNELS = {
    "soft": rg.SpinChannel(),
    "hard": rg.SpinChannel(hard=True),
    "warm": WarmSpins(2.0),
    "Gaussian": rg.GaussianChannel(1.0, 0.1),
    "Laplace": LaplaceChannel(1.0, 0.1),
}


def label(x):
    return (x.sum() > 0).astype(int)


OBJECTIVES = {
    "infomax": rg.Infomax(),
    "reconstruction": rg.Reconstruction(),
    "classification": rg.Classification(label),
    "regression": rg.Regression(jnp.sum),
    "balanced": Balanced(0.5),
}


def entropy(p, axis=-1):
    return -np.sum(np.where(p > 0, p * np.log(np.maximum(p, 1e-300)), 0), axis=axis)


def loss_by_hand(objective, given, head, x, p):
    """The losses from ``P(y|x)`` alone, ``(rows, 2**n)``."""
    joint = p[:, None] * given
    law = joint.sum(0)
    information = entropy(law) - p @ entropy(given)
    outcomes = 1 - 2 * (np.arange(4)[:, None] >> np.arange(2) & 1)
    if objective == "infomax":
        return -information
    if objective == "balanced":
        return -information + 0.5 * np.sum((law @ outcomes) ** 2)
    if objective == "reconstruction":
        up = joint.T @ ((1 + x) / 2) / law[:, None]
        return law @ (entropy(np.stack([up, 1 - up])[..., :], axis=0).sum(1))
    if objective == "classification":
        logits = outcomes @ np.asarray(head, float).T
        log_posterior = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        labels = np.eye(2)[(x.sum(1) > 0).astype(int)]
        return -np.sum((joint.T @ labels) * log_posterior)
    predictions = outcomes @ np.asarray(head[0], float) + float(head[1])
    return np.sum(joint * (x.sum(1)[:, None] - predictions) ** 2)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("channel", ["soft", "warm"])
def test_losses_of_spin_features(channel, objective):
    net, goal, ring = network(CHANNELS[channel]), OBJECTIVES[objective], SPINS["ring"]
    x, p = laws(ring)
    head = goal.init(net, jax.random.key(9))
    given = conditional("warm network" if channel == "warm" else "soft network", x)
    arguments = jnp.asarray(x), jnp.asarray(p, jnp.float32), jax.random.key(0)
    loss = float(goal.loss(net, head, *arguments))
    assert loss == pytest.approx(loss_by_hand(objective, given, head, x, p), abs=2e-5)
    result = rg.train(net, ring, goal, steps=20, records=1, key=KEY)
    assert result.history.loss.iloc[-1] < result.history.loss.iloc[0]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("channel", ["Gaussian", "Laplace"])
def test_losses_of_real_features(channel, objective):
    net, goal, chain = network(CHANNELS[channel]), OBJECTIVES[objective], REALS["chain of fields"]
    options = {"steps": 20, "records": 1, "batch_size": 256, "key": KEY}
    if objective != "infomax":
        with pytest.raises(TypeError, match=f"{type(goal).__name__} is defined for"):
            rg.train(net, chain, goal, **options)
        return
    history = rg.train(net, chain, goal, **options).history
    assert history.information.iloc[-1] > history.information.iloc[0]
    assert (history.information < 2 * CHANNELS[channel].capacity()).all()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_hard_features_are_not_trained(objective):
    with pytest.raises(ValueError, match="hard features, which have no gradient"):
        rg.train(network(CHANNELS["hard"]), SPINS["ring"], OBJECTIVES[objective], steps=1, key=KEY)


@pytest.mark.parametrize("system", SPINS)
def test_every_system_of_spins_trains_exactly(system):
    result = rg.train(network(rg.SpinChannel()), SPINS[system], rg.Infomax(), steps=20, key=KEY)
    law = rg.pushforward(SPINS[system], result.network)
    assert result.history.information.iloc[-1] == pytest.approx(law.information(), abs=1e-5)
    assert result.history.gap.iloc[-1] < result.history.gap.iloc[0]
