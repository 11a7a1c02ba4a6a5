"""The end points of training and their controls, on a ring of 9 spins with 3 features, seeds 0 to 7."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import rgkit as rg

N, FEATURES, STEPS, SEEDS, KEY = 9, 3, 1000, range(8), jax.random.key(0)
RING = rg.IsingChain(0.7, n_sites=N)
IN_FIELD = rg.IsingChain(0.3, 0.2, n_sites=N)
STRONG = rg.IsingChain(2.0, n_sites=N)


class ShuffledRing(rg.IsingChain):
    """A ring whose sites are permuted at random in every configuration: the law of the magnetization stays."""

    def level_weights(self):
        """Mean weight ``e^{-H}`` of the configurations with 0 ... N spins down."""
        weights = np.exp(-np.asarray(super().energy(self.configurations()), float))
        down = (self.configurations() < 0).sum(1)
        return np.bincount(down, weights) / np.bincount(down)

    def energy(self, x):
        return -jnp.log(jnp.asarray(self.level_weights()))[(jnp.asarray(x) < 0).sum(-1)]

    def probabilities(self):
        return (self.level_weights() / np.exp(self.log_partition()))[
            (self.configurations() < 0).sum(1)
        ]


class FreeReadout(rg.Objective):
    """Cross-entropy of the sign of the magnetization under a table of logits, one pair for every feature state."""

    def init(self, network, key):
        return jnp.zeros((2 ** network.widths[-1], 2))

    def loss(self, network, head, x, weights, key=None):
        conditional = jnp.exp(jax.vmap(network.log_probability)(x))
        labels = jax.nn.one_hot(jax.vmap(sign_label)(x), 2)
        return -jnp.sum(conditional.T @ (weights[:, None] * labels) * jax.nn.log_softmax(head))


def sign_label(x):
    return (jnp.sum(x) > 0).astype(int)


def bond_sum(x):
    return jnp.sum(x * jnp.roll(x, 1))


def random_label(seed):
    """One fair coin for every configuration, drawn once."""
    coins = jax.random.bernoulli(jax.random.key(1000 + seed), 0.5, (2**N,)).astype(int)
    return lambda x: coins[jnp.sum((x < 0) << jnp.arange(N))]


def standardized(function):
    """The function of a configuration, shifted and scaled to mean 0 and variance 1 on the ring."""
    values, p = np.asarray(jax.vmap(function)(RING.configurations()), float), RING.probabilities()
    mean = float(p @ values)
    spread = float(np.sqrt(p @ (values - mean) ** 2))
    return lambda x: (function(x) - mean) / spread


def unstable_distance(law):
    """``min_v -1/2 ln[4 q(v) q(-v)]``: divergence of the K = infinity state from q, up to flips of signs."""
    q = law.probabilities
    with np.errstate(divide="ignore"):
        return float(np.min(-0.5 * np.log(4 * q * q[::-1])))


def readable_information(kernel, system):
    """``sum_i I(x_i; y)``: what the best factorised decoder reads of the sites."""
    x, p = system.configurations(), system.probabilities()
    joint = p[:, None] * np.exp(np.asarray(jax.vmap(kernel.log_probability)(x), float))
    return sum(
        pair_information(np.stack([joint[x[:, i] > 0].sum(0), joint[x[:, i] < 0].sum(0)]))
        for i in range(x.shape[1])
    )


def pair_information(joint):
    product = np.outer(joint.sum(1), joint.sum(0))
    used = joint > 0
    return float(np.sum(joint[used] * np.log(joint[used] / product[used])))


def row(rule, seed, system, kernel, loss=np.nan):
    """One line of the table; a network is judged soft for information and gap, hard for all else."""
    soft, sharp = (
        rg.pushforward(system, kernel),
        kernel.hard() if isinstance(kernel, rg.FCNetwork) else kernel,
    )
    hard = rg.pushforward(system, sharp)
    return {
        "rule": rule, "seed": seed, "loss": loss, "information": soft.information(), "gap": soft.gap(),
        "divergence": hard.divergence(), "unstable_distance": unstable_distance(hard),
        "pair_coupling": float(np.abs(hard.pair_marginal_couplings()).max()),
        "field": float(np.abs(hard.marginal_fields()).max()), "readable": readable_information(sharp, system),
    }  # fmt: skip


RANDOM_LABELS = [rg.Classification(random_label(seed)) for seed in SEEDS]
RULES = {  # objective, system, hidden layers
    "infomax": (rg.Infomax(), RING, 1),
    "reconstruction": (rg.Reconstruction(), RING, 1),
    "label": (rg.Classification(sign_label), RING, 1),
    "label, free readout": (FreeReadout(), RING, 1),
    "random labels": (RANDOM_LABELS, RING, 1),
    "magnetization": (rg.Regression(standardized(jnp.sum)), RING, 1),
    "energy": (rg.Regression(standardized(lambda x: -bond_sum(x))), RING, 1),
    "infomax on shuffled data": (rg.Infomax(), ShuffledRing(0.7, n_sites=N), 1),
    "linear layer": (rg.Infomax(), RING, 0),
    "infomax in a field": (rg.Infomax(), IN_FIELD, 1),
    "infomax at strong coupling": (rg.Infomax(), STRONG, 1),
}
BEST_OF_16 = ("infomax", "reconstruction", "linear layer", "infomax in a field")


def objective(member):
    chosen = RULES[member["rule"]][0]
    return chosen[member["seed"]] if chosen is RANDOM_LABELS else chosen


def trained(rules, restarts=1):
    """The networks of all seeds, trained by these rules."""
    shape = {"n_sites": N, "n_features": FEATURES, "width": 64}
    grid = [
        {"rule": rule, "seed": seed, "depth": RULES[rule][2], **shape}
        for rule in rules
        for seed in SEEDS
    ]
    return rg.train_ensemble(
        grid,
        objective,
        system=lambda member: RULES[member["rule"]][1],
        steps=STEPS,
        restarts=restarts,
        progress=True,
        key=KEY,
    )


def rows(result, suffix=""):
    """The lines of an ensemble; networks trained on shuffled data are judged on the ring, too."""
    for i, member in result.table.iterrows():
        yield row(
            member.rule + suffix, member.seed, RULES[member.rule][1], result.network(i), member.loss
        )
        if member.rule == "infomax on shuffled data":
            yield row("the same, on the ring", member.seed, RING, result.network(i))


def controls():
    return [
        *rows(trained(RULES)), *rows(trained(BEST_OF_16, restarts=16), ", best of 16"),
        *(line for seed in SEEDS for line in untrained(seed)), *fixed(),
    ]  # fmt: skip


def untrained(seed):
    """The start of the trained network of this seed, the same with biases, and a random map."""
    key = jax.random.split(jax.random.fold_in(KEY, seed))[0]
    for rule, bias in (("untrained, no biases", 0.0), ("untrained, biases of order 1", 1.0)):
        yield row(
            rule,
            seed,
            RING,
            rg.FCNetwork((N, 64, FEATURES), rg.SpinChannel(), key=key, bias_std=bias),
        )
    yield row("random map", seed, RING, rg.random_map(FEATURES, jax.random.key(seed)))


def fixed():
    kernels = {
        "decimation": rg.decimation(3),
        "majority": rg.majority(3),
        "greedy map": rg.greedy_map(RING, FEATURES),
    }
    return [row(rule, 0, RING, kernel) for rule, kernel in kernels.items()]


if __name__ == "__main__":
    start = time.perf_counter()
    table = pd.DataFrame(controls())
    rg.sweeps.save("controls", table, __file__, time.perf_counter() - start)
