"""The end points of training and their controls: a ring of 9 spins, 3 features, seeds 0 to 7."""

import dataclasses
import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import rgkit as rg

N, FEATURES, STEPS, SEEDS, KEY = 9, 3, 1000, range(8), jax.random.key(0)
KEYS = ("rule", "seed")
RING = rg.IsingChain(0.7, n_sites=N)
IN_FIELD = rg.IsingChain(0.3, 0.2, n_sites=N)
STRONG = rg.IsingChain(2.0, n_sites=N)


@dataclasses.dataclass(frozen=True)
class ShuffledRing(rg.EnumeratedSystem):
    """A ring whose sites are permuted at random in every configuration.

    The law of the magnetization stays; given the magnetization all configurations are as likely.
    """

    coupling: float
    n_sites: int

    @functools.cached_property
    def level_energies(self):
        """The energy of each configuration with 0 ... N spins down, up to a constant."""
        ring = rg.IsingChain(self.coupling, n_sites=self.n_sites)
        down = (ring.configurations() < 0).sum(1)
        return -np.log(np.bincount(down, ring.probabilities()) / np.bincount(down))

    def energy(self, x):
        """The energy of spins ``(..., N)``."""
        return jnp.asarray(self.level_energies)[(jnp.asarray(x) < 0).sum(-1)]


class FreeReadout(rg.Objective):
    """Cross-entropy of the sign of the magnetization, under two logits for every feature state."""

    def init(self, network, key):
        return jnp.zeros((2 ** network.widths[-1], 2))

    def loss(self, network, head, x, weights, key):
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
    """``min_v -1/2 ln[4 q(v) q(-v)]``: of the K = infinity state from q, up to flips of signs."""
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
    """One line of the table; networks are soft for information and gap, hard for all else."""
    soft, sharp = (
        rg.pushforward(system, kernel),
        kernel.hard() if isinstance(kernel, rg.FCNetwork) else kernel,
    )
    hard = rg.pushforward(system, sharp)
    return {
        "rule": rule,
        "seed": seed,
        "loss": loss,
        "information": soft.information(),
        "gap": soft.gap(),
        "divergence": hard.divergence(),
        "unstable_distance": unstable_distance(hard),
        "pair_coupling": float(np.abs(hard.pair_marginal_couplings()).max()),
        "field": float(np.abs(hard.marginal_fields()).max()),
        "readable": readable_information(sharp, system),
    }


RANDOM_LABELS = [rg.Classification(random_label(seed)) for seed in SEEDS]
RULES = {  # objective, system, hidden layers
    "infomax": (rg.Infomax(), RING, 1),
    "reconstruction": (rg.Reconstruction(), RING, 1),
    "label": (rg.Classification(sign_label), RING, 1),
    "label, free readout": (FreeReadout(), RING, 1),
    "random labels": (RANDOM_LABELS, RING, 1),
    "magnetization": (rg.Regression(standardized(jnp.sum)), RING, 1),
    "energy": (rg.Regression(standardized(lambda x: -bond_sum(x))), RING, 1),
    "infomax on shuffled data": (rg.Infomax(), ShuffledRing(0.7, N), 1),
    "linear layer": (rg.Infomax(), RING, 0),
    "infomax in a field": (rg.Infomax(), IN_FIELD, 1),
    "infomax at strong coupling": (rg.Infomax(), STRONG, 1),
}
BEST = ", best of 16"
BEST_OF_16 = ("infomax", "reconstruction", "linear layer", "infomax in a field")


def objective(member):
    chosen = RULES[member["rule"]][0]
    return chosen[member["seed"]] if chosen is RANDOM_LABELS else chosen


def trained(rules, restarts=1, seeds=SEEDS):
    """The networks of these seeds, trained by these rules."""
    shape = {"n_sites": N, "n_features": FEATURES, "width": 64}
    grid = [
        {"rule": rule, "seed": seed, "depth": RULES[rule][2], **shape}
        for rule in rules
        for seed in seeds
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
        *rows(trained(RULES)), *rows(trained(BEST_OF_16, restarts=16), BEST),
        *(line for seed in SEEDS for line in untrained(seed)), *fixed(),
    ]  # fmt: skip


def replay(row: dict[str, Any]) -> pd.DataFrame:
    """The row, run again, with those of the same network or, untrained, of the same seed."""
    of_shuffled = row["rule"] == "the same, on the ring"
    rule, best, _ = ("infomax on shuffled data" if of_shuffled else row["rule"]).partition(BEST)
    if rule in RULES:
        lines = rows(trained([rule], 16 if best else 1, [row["seed"]]), best)
    else:
        lines = [*untrained(row["seed"]), *fixed()]
    return pd.DataFrame(lines)


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
