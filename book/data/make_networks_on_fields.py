"""Infomax through a Gaussian channel on rings of fields, with controls, seeds 0 to 4."""

import dataclasses
import itertools
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import rgkit as rg

SYSTEMS = {
    "double well": rg.ScalarChain((-2.0, 0.5), 0.5, n_sites=8),
    "double well, K < 0": rg.ScalarChain((-2.0, 0.5), -0.5, n_sites=8),
    "deep double well": rg.ScalarChain((-4.0, 1.0), 0.8, n_sites=8),
    "single well": rg.ScalarChain((1.0, 1.0), 0.5, n_sites=8),
    "single well, K < 0": rg.ScalarChain((0.5, 0.25), -0.7, n_sites=8),
    "sextic": rg.ScalarChain((1.0, -1.0, 0.3), 0.5, n_sites=8),
    "sextic, K < 0": rg.ScalarChain((-2.0, 0.0, 0.2), -0.5, n_sites=8),
    "double well, N = 4": rg.ScalarChain((-2.0, 0.5), 0.5, n_sites=4),
    "double well, N = 2": rg.ScalarChain((-2.0, 0.5), 0.5, n_sites=2, periodic=False),
}
KEYS = ("system", "rule", "seed", "n", "width", "batch")
# the chain on which sites are shuffled and shapes varied
VARIED = "double well"
MANY_NEIGHBOURS = ("double well", "sextic", "double well, N = 2")
SEEDS, WIDTH, STEPS, LINEAR_STEPS, BATCH, DRAWS, POOL = range(5), 64, 600, 200, 2**13, 128, 2**17
# by the size of the batch: how many features, and the width of the hidden layer
OTHER_SHAPES = {
    BATCH: [(3, WIDTH), (4, WIDTH), (2, 4), (2, 16), (2, 256)],
    512: [(2, WIDTH), (4, WIDTH)],
    64: [(2, WIDTH), (4, WIDTH)],
}
ROWS, SAMPLED_ROWS, MANY_ROWS = 2**14, 2**16, 10**6
# a million rows are too many to measure again each time
REPLAYED = f"seed > 0 or system not in {MANY_NEIGHBOURS}"
TRAINING, MEASURING = jax.random.key(0), jax.random.key(1)


@dataclasses.dataclass(frozen=True)
class Shuffled:
    """A chain whose sites are permuted at random in every configuration."""

    chain: rg.ScalarChain

    @property
    def n_sites(self):
        return self.chain.n_sites

    def sample(self, key, n_samples):
        sample_key, site_key = jax.random.split(key)
        return jax.random.permutation(
            site_key, self.chain.sample(sample_key, n_samples), axis=1, independent=True
        )


def cases(rule, systems=SYSTEMS, shapes=((2, WIDTH),)):
    """A case for each system, number of features and width (0 for a linear layer), and seed."""
    return [
        {"system": name, "rule": rule, "seed": seed, "n": n, "width": width}
        for name, (n, width), seed in itertools.product(systems, shapes, SEEDS)
    ]


def data(case):
    """The law that a case is trained on."""
    return (
        Shuffled(SYSTEMS[case["system"]]) if case["rule"] == "shuffled" else SYSTEMS[case["system"]]
    )


def new_network(case, key):
    hidden = (case["width"],) if case["width"] else ()
    return rg.FCNetwork(
        (SYSTEMS[case["system"]].n_sites, *hidden, case["n"]), rg.GaussianChannel(), key=key
    )


def trained(cases, steps=STEPS, batch=BATCH):
    """Every case, with its start and its trained network."""
    result = rg.train_ensemble(
        cases, rg.Infomax(draws=min(DRAWS, batch)), system=data, network=new_network,
        steps=steps, batch_size=batch, pool=POOL, progress=True, key=TRAINING,
    )  # fmt: skip
    for i, case in enumerate(cases):
        yield case | {"batch": batch}, result.arguments(i)["network"], result.network(i)


def sites(system):
    """The network that passes on the first two sites."""
    start = rg.FCNetwork((system.n_sites, 2), rg.GaussianChannel(), key=TRAINING)
    return eqx.tree_at(lambda network: network.weights[0], start, jnp.eye(2, system.n_sites))


def measured(network, system, seed, neighbour_rows=None):
    """Bounds and characteristic parameters of the noisy features, and if asked their distance."""
    power_key, rows_key, bounds_key, law_key, noise_key = jax.random.split(
        jax.random.fold_in(MEASURING, seed), 5
    )
    network = network.normalized(system.sample(power_key, 2**18))
    bounds = dataclasses.asdict(
        rg.information_bounds(network, system.sample(rows_key, ROWS), bounds_key)
    )
    law = features(network, system.sample(law_key, neighbour_rows or SAMPLED_ROWS), noise_key)
    flagged, cumulants, n = bool(bounds.pop("flags")), law.cumulants().loc["pooled"], law.n_features
    quantities = {
        "second_moment": number_and_error(law.second_moment()),
        "distance": number_and_error(law.divergence()) if neighbour_rows else (np.nan, np.nan),
    }
    quantities["excess_kurtosis"] = cumulants.excess_kurtosis, cumulants.excess_kurtosis_error
    for potential, suffix in (((1.0, 1.0), ""), ((1.0, 0.0, 1.0), "_sextic")):
        fit = rg.characteristic_parameters(
            law, rg.ScalarChain(potential, 0.0, n_sites=n, periodic=n > 2), method="score"
        )
        quantities |= {
            name + suffix: (fit.values[name], fit.standard_errors[name]) for name in fit.values
        }
    errors = {
        key: v
        for name, (value, error) in quantities.items()
        for key, v in ((name, value), (f"{name}_error", error))
    }
    return (
        {"n": n, "rows": ROWS, "flagged": flagged, "neighbour_rows": neighbour_rows}
        | bounds
        | errors
    )


def number_and_error(measurement):
    return measurement.value, measurement.standard_error


def features(network, x, key):
    """The law of the noisy features."""
    noise = network.channel.noise**0.5 * jax.random.normal(key, (len(x), network.widths[-1]))
    return rg.FieldLaw(
        np.asarray(network.batch(x) + noise, float), network.channel.power + network.channel.noise
    )


def neighbour_rows(case):
    """Rows for the distance by nearest neighbours: more for one network on each of three chains."""
    return MANY_ROWS if case["system"] in MANY_NEIGHBOURS and not case["seed"] else SAMPLED_ROWS


def inputs(systems=SYSTEMS):
    """Two bare fields of each chain."""
    for name in systems:
        system = SYSTEMS[name]
        yield {"system": name, "rule": "input", "seed": 0} | measured(
            sites(system), system, 0, SAMPLED_ROWS
        )


def networks(members):
    """Networks on every chain, trained and at their start."""
    for case, start, network in trained(members):
        system, seed = SYSTEMS[case["system"]], case["seed"]
        yield case | measured(network, system, seed, neighbour_rows(case))
        yield case | {"rule": "untrained"} | measured(start, system, seed)


def linear_layers(members):
    """Linear layers, trained."""
    for case, _, network in trained(members, steps=LINEAR_STEPS):
        yield case | measured(network, SYSTEMS[case["system"]], case["seed"], SAMPLED_ROWS)


def shuffled(members):
    """Networks trained on shuffled sites, measured there and on the chain itself."""
    for case, _, network in trained(members):
        yield case | measured(network, data(case), case["seed"])
        yield (
            case
            | {"rule": "shuffled, on the data"}
            | measured(network, SYSTEMS[VARIED], case["seed"])
        )


def other_shapes(members, batch):
    """More features, other widths and smaller batches."""
    for case, _, network in trained(members, batch=batch):
        yield case | measured(network, SYSTEMS[VARIED], case["seed"])


def everything():
    yield from inputs()
    yield from networks(cases("trained"))
    yield from linear_layers(cases("linear layer", shapes=((2, 0),)))
    yield from shuffled(cases("shuffled", [VARIED]))
    for batch, shapes in OTHER_SHAPES.items():
        yield from other_shapes(cases("trained", [VARIED], shapes), batch)


def replay(row: dict[str, Any]) -> pd.DataFrame:
    """The row, run again, with those that come from the same network."""
    rule, shape = row["rule"], (row["n"], row["width"])
    if rule == "input":
        lines = inputs([row["system"]])
        return pd.DataFrame(lines).assign(width=np.nan, batch=np.nan)
    of_shuffled, of_networks = rule.startswith("shuffled"), rule in ("trained", "untrained")
    rule = "shuffled" if of_shuffled else "trained" if of_networks else rule
    member = {"system": row["system"], "rule": rule, "seed": row["seed"]}
    members = [member | {"n": row["n"], "width": int(row["width"])}]
    if of_shuffled:
        lines = shuffled(members)
    elif not of_networks:
        lines = linear_layers(members)
    elif row["batch"] == BATCH and shape == (2, WIDTH):
        lines = networks(members)
    else:
        lines = other_shapes(members, int(row["batch"]))
    return pd.DataFrame(lines)


if __name__ == "__main__":
    begin = time.perf_counter()
    table = pd.DataFrame(everything())
    rg.sweeps.save("networks_on_fields", table, __file__, time.perf_counter() - begin)
