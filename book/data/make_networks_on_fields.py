"""Infomax through a Gaussian channel on rings of fields, with controls, seeds 0 to 4."""

import dataclasses
import time

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
SHUFFLED = "double well"
MANY_NEIGHBOURS = ("double well", "sextic", "double well, N = 2")
SEEDS, WIDTH, STEPS, LINEAR_STEPS, BATCH, DRAWS, POOL = range(5), 64, 600, 200, 2**13, 128, 2**17
ROWS, SAMPLED_ROWS, MANY_ROWS = 2**14, 2**16, 10**6


@dataclasses.dataclass(frozen=True)
class Shuffled:
    """A chain whose sites are permuted at random in every configuration."""

    chain: rg.ScalarChain

    @property
    def n_sites(self):
        return self.chain.n_sites

    def sample(self, key, n_samples):
        sample_key, site_key = jax.random.split(key)
        return jax.random.permutation(site_key, self.chain.sample(sample_key, n_samples), axis=1, independent=True)


def start(system, seed, n=2, width=WIDTH):
    hidden = (width,) if width else ()
    return rg.FCNetwork((system.n_sites, *hidden, n), rg.GaussianChannel(), key=jax.random.key(seed))


def train(network, system, seed, steps=STEPS, batch=BATCH):
    key, objective = jax.random.fold_in(jax.random.key(seed), 1), rg.Infomax(draws=min(DRAWS, batch))
    return rg.train(network, system, objective, steps=steps, batch_size=batch, pool=POOL, records=1, key=key).network


def sites(system, n=2):
    """The network that passes on the first n sites."""
    return eqx.tree_at(lambda network: network.weights[0], start(system, 0, n, None), jnp.eye(n, system.n_sites))


def measured(network, system, seed, neighbour_rows=None):
    """Bounds, characteristic parameters of the noisy features, and if asked their distance by nearest neighbours."""
    draw = lambda label, rows: system.sample(jax.random.fold_in(jax.random.key(seed), label), rows)  # noqa: E731
    network = network.normalized(draw(2, 2**18))
    bounds = dataclasses.asdict(rg.information_bounds(network, draw(3, ROWS), jax.random.key(seed)))
    flagged, law = bool(bounds.pop("flags")), features(network, draw(4, neighbour_rows or SAMPLED_ROWS), seed)
    cumulants, n = law.cumulants().loc["pooled"], law.n_features
    quantities = {
        "second_moment": law.second_moment()[:2],
        "distance": law.divergence()[:2] if neighbour_rows else (np.nan, np.nan),
    }
    quantities["excess_kurtosis"] = cumulants.excess_kurtosis, cumulants.excess_kurtosis_error
    for potential, suffix in (((1.0, 1.0), ""), ((1.0, 0.0, 1.0), "_sextic")):
        fit = rg.characteristic_parameters(law, rg.ScalarChain(potential, 0.0, n_sites=n, periodic=n > 2), method="score")
        quantities |= {name + suffix: (fit.values[name], fit.standard_errors[name]) for name in fit.values}
    errors = {key: v for name, (value, error) in quantities.items() for key, v in ((name, value), (f"{name}_error", error))}
    return {"n": n, "rows": ROWS, "flagged": flagged, "neighbour_rows": neighbour_rows} | bounds | errors


def features(network, x, seed):
    """The law of the noisy features."""
    noise = network.channel.noise**0.5 * jax.random.normal(jax.random.key(1000 + seed), (len(x), network.widths[-1]))
    return rg.FieldLaw(np.asarray(network.batch(x) + noise, float), network.channel.power + network.channel.noise)


def two_features(name):
    """Trained, controls and input, at two features."""
    system, shuffled = SYSTEMS[name], Shuffled(SYSTEMS[name])
    yield {"rule": "input", "seed": 0} | measured(sites(system), system, 0, SAMPLED_ROWS)
    for seed in SEEDS:
        about = {"rule": "trained", "seed": seed, "width": WIDTH, "batch": BATCH}
        network = train(start(system, seed), system, seed)
        many = name in MANY_NEIGHBOURS and not seed
        yield about | measured(network, system, seed, MANY_ROWS if many else SAMPLED_ROWS)
        yield about | {"rule": "untrained"} | measured(start(system, seed), system, seed)
        linear = train(start(system, seed, width=0), system, seed, LINEAR_STEPS)
        yield about | {"rule": "linear layer", "width": 0} | measured(linear, system, seed, SAMPLED_ROWS)
        if name == SHUFFLED:
            network = train(start(system, seed), shuffled, seed)
            yield about | {"rule": "shuffled"} | measured(network, shuffled, seed)
            yield about | {"rule": "shuffled, on the data"} | measured(network, system, seed)


def other_shapes(name):
    """More features, other widths and other batches."""
    system, shapes = SYSTEMS[name], [(3, WIDTH, BATCH), (4, WIDTH, BATCH), (2, 4, BATCH), (2, 16, BATCH), (2, 256, BATCH)]
    shapes += [(n, WIDTH, batch) for n in (2, 4) for batch in (64, 512)]
    for seed in SEEDS:
        for n, width, batch in shapes:
            about = {"rule": "trained", "seed": seed, "width": width, "batch": batch}
            yield about | measured(train(start(system, seed, n, width), system, seed, batch=batch), system, seed)


def table(name, rows):
    return pd.DataFrame([{"system": name} | row for row in rows(name)])


if __name__ == "__main__":
    begin = time.perf_counter()
    parts = [table(name, two_features) for name in SYSTEMS] + [table("double well", other_shapes)]
    rg.sweeps.save("networks_on_fields", pd.concat(parts, ignore_index=True), __file__, time.perf_counter() - begin)
