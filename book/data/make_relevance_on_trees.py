"""Features of blocks on Dyson's tree, trained layer by layer for relevance, with controls."""

import time
import warnings

import jax
import numpy as np
import optax
import pandas as pd

import rgkit as rg

DIMENSION, LEVELS, ABOVE, FEW_ABOVE = 3, 11, 20, 12
# the field of a site: values with both signs, and weights
SITES = {
    "improved": ([0.0, 1.0], [0.7542, 0.2458]),
    "Ising": ([1.0], [1.0]),
    "quartic": (np.linspace(0, 2, 5), np.exp(-((np.linspace(0, 2, 5) ** 2 - 1) ** 2))),
}
RATIOS = [0.99, 0.997, 0.999, 1.0, 1.001, 1.003, 1.01]
FAR = [0.9, 1.0, 1.1]
SEEDS, FEW = range(8), range(2)
KEYS = ("sites", "ratio", "rule", "seed", "level")
KEY = jax.random.key(11)
# enough seeds to say how far two runs may be apart
REPLAYED = "rule == 'relevance' and sites == 'improved' and 0.98 < ratio < 1.02"


class Shuffled(rg.Siblings):
    """Siblings whose second block is taken from the next row: partners that know nothing."""

    def pairs(self, x):
        """A block and the sibling that it would have in another row."""
        pairs = super().pairs(x)
        return np.stack([pairs[:, :, 0], np.roll(pairs[:, :, 1], 1, axis=0)], axis=2)


class Interleaved(rg.Siblings):
    """Blocks of neighbours in the wrong order: each takes one child of each of two siblings."""

    def blocks(self, x):
        """Children 0 and 2, then children 1 and 3, of every four."""
        return x.reshape(len(x), -1, 2, 2).swapaxes(2, 3).reshape(len(x), -1, 2)

    def pairs(self, x):
        """The two blocks that share their four children's parent."""
        return self.blocks(x).reshape(len(x), -1, 2, 2)


def network(channel):
    return rg.FCNetwork((2, 16, 1), channel, key=KEY)


REAL, SPIN = network(rg.GaussianChannel()), network(rg.SpinChannel())
STILL = optax.sgd(0.0)
# objective, kernel of a layer, partners, optimiser, steps
RULES = {
    "relevance": (rg.Relevance(), REAL, rg.Siblings(2), None, 600),
    "untrained": (rg.Relevance(), REAL, rg.Siblings(2), STILL, 1),
    "infomax": (rg.Infomax(draws=32), REAL, rg.Siblings(2), None, 300),
    "decimation": (rg.Relevance(), rg.decimation(2), rg.Siblings(2), None, 1),
    "one soft bit": (rg.BitRelevance(), SPIN, rg.Siblings(2), None, 600),
    "InfoNCE": (rg.ContrastiveRelevance(), REAL, rg.Siblings(2), None, 300),
    "shuffled partners": (rg.Relevance(), REAL, Shuffled(2), None, 600),
    "interleaved blocks": (rg.Relevance(), REAL, Interleaved(2), None, 600),
}
# what costs a square of the batch learns from a smaller one
BATCH = {"infomax": 1024, "InfoNCE": 512}


def tree(sites, ratio):
    """The window of an infinite magnet at this ratio of beta to its critical value."""
    points, weights = SITES[sites]
    beta = rg.hierarchical(DIMENSION, 25).critical_beta(points, weights)
    above = ABOVE if abs(ratio - 1) < 0.05 else FEW_ABOVE
    return rg.HierarchicalTree(DIMENSION, ratio * beta, LEVELS, points, weights, levels_above=above)


def run(sites, ratio, rule, seed):
    """The records of all levels of one run, with the best feature's exact numbers beside them."""
    objective, kernel, partners, optimizer, steps = RULES[rule]
    system = tree(sites, ratio)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = rg.train_layers(
                system, objective, kernel, partners, levels=LEVELS - 1, steps=steps,
                batch_size=BATCH.get(rule, 4096), optimizer=optimizer,
                key=jax.random.fold_in(KEY, seed),
            )  # fmt: skip
        except ValueError as error:
            if rule not in ("shuffled partners", "untrained"):
                raise
            print(rule, ratio, error, flush=True)
            return pd.DataFrame()
    records = result.records.drop(columns="pairs")
    exact = [exact_numbers(system, level, result) for level in records["level"]]
    case = {"sites": sites, "ratio": ratio, "rule": rule, "seed": seed}
    return pd.concat([records, pd.DataFrame(exact)], axis=1).assign(**case)


def exact_numbers(system, level, result):
    """Correlation, kurtosis and overlap with the best feature of blocks of a level."""
    pair = system.sibling_law(level)
    best = pair.spectrum(1)
    psi = np.interp(system.scaled_sums(result.sites, level), pair.values, best.features[:, 0])
    return {
        "rho": best.correlations[0],
        "kurtosis_of_best": pair.kurtosis(best.features[:, 0]),
        "overlap": abs(np.corrcoef(psi.ravel(), result.features[level].ravel())[0, 1]),
        "correlation_of_best": np.mean(psi[:, ::2] * psi[:, 1::2]) / np.mean(psi**2),
    }


def replay(row):
    """Run again what made one row, with all levels of its run."""
    return run(*(row[name] for name in KEYS[:-1]))


def cases():
    """All runs: near the critical point, far from it with controls, and of other sites."""
    yield from (("improved", r, "relevance", s) for r in RATIOS for s in SEEDS)
    yield from (("improved", r, "relevance", s) for r in (0.9, 1.1) for s in FEW)
    yield from (
        ("improved", r, rule, s) for rule in RULES if rule != "relevance" for r in FAR for s in FEW
    )
    yield from ((sites, 1.0, "relevance", s) for sites in ("Ising", "quartic") for s in FEW)


if __name__ == "__main__":
    start, tables = time.perf_counter(), []
    for case in cases():
        tables.append(run(*case))
        print(*case, f"{time.perf_counter() - start:.0f} s", flush=True)
    rg.sweeps.save("relevance_on_trees", pd.concat(tables), __file__, time.perf_counter() - start)
