"""Features of squares of the two-dimensional Ising model, by level, with slopes and couplings."""

import time
from typing import Any

import jax
import numpy as np
import pandas as pd

import rgkit as rg

CRITICAL = float(np.log1p(2**0.5) / 2)
SIZE, LEVELS, STEPS, SWEEPS, BLOCKS = 64, 4, 400, (60, 10), 32
# ratio of the coupling to the critical one: rows to train on, and as many to measure
ROWS = {1.0: 8192} | dict.fromkeys((0.9, 0.96, 0.99, 1.01, 1.04), 1024)
SEEDS = {1.0: range(4)} | dict.fromkeys((0.9, 0.96, 0.99, 1.01, 1.04), range(2))
KEYS = ("ratio", "seed", "size", "rule", "level")
REPLAYED = "ratio != 1"
SQUARES = rg.Squares(2, buffer=2)


def majority(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The sign of the sum of each square, by lot where it is zero."""
    sums = SQUARES.blocks(x).sum(-1)
    return np.where(sums == 0, rng.choice([-1, 1], size=sums.shape), np.sign(sums))


def lattice(features: np.ndarray) -> np.ndarray:
    """Features ``(T, B)`` as a square lattice ``(T, s, s)``."""
    side = int(np.sqrt(features.shape[1]))
    return features.reshape(len(features), side, side)


def statistics(features: np.ndarray, bonds: np.ndarray) -> dict[str, float]:
    """Correlation with the partner, its slope by K, and the kurtosis, with errors over rows."""
    f = features - features.mean()
    pairs = SQUARES.paired(f)
    product, square, fourth = (pairs[..., 0] * pairs[..., 1]).mean(1), (f**2).mean(1), (f**4).mean()
    correlation = product.mean() / square.mean()
    spread = (product - correlation * square) / square.mean()
    slope = spread * (bonds - bonds.mean())
    root = len(f) ** 0.5
    return {
        "correlation": correlation, "correlation_error": spread.std() / root,
        "excess_kurtosis": fourth / square.mean() ** 2 - 3,
        "slope": slope.mean(), "slope_error": slope.std() / root,
    }  # fmt: skip


def operators(features: np.ndarray, binary: bool) -> np.ndarray:
    """Sums over the lattice of products of features, ``(T, 3)``."""
    f = lattice(features - features.mean())
    right, down = np.roll(f, -1, 2), np.roll(f, -1, 1)
    beside = f * (right + down)
    across = f * np.roll(right, -1, 1) + right * down
    third = f * right * down * np.roll(right, -1, 1) if binary else f**2
    return np.stack([part.sum((1, 2)) for part in (beside, across, third)], axis=1)


def eigenvalue(small: np.ndarray, large: np.ndarray) -> float:
    """The largest eigenvalue of the linearised transformation of three couplings (Swendsen)."""
    small, large = small - small.mean(0), large - large.mean(0)
    matrix = np.linalg.solve(small.T @ small, small.T @ large)
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def jackknife(small: np.ndarray, large: np.ndarray) -> tuple[float, float]:
    """`eigenvalue` with its error, from leaving out one of the blocks of rows at a time."""
    part = np.arange(len(small)) * BLOCKS // len(small)
    left = np.array([eigenvalue(small[part != b], large[part != b]) for b in range(BLOCKS)])
    return eigenvalue(small, large), float(np.sqrt((BLOCKS - 1) * left.var()))


def run(ratio: float, seed: int) -> pd.DataFrame:
    """Both rules on the same configurations of the large torus, and at K_c of one half as large."""
    key = jax.random.fold_in(jax.random.key(11), seed)
    torus = rg.IsingTorus(ratio * CRITICAL, SIZE, SWEEPS)
    network = rg.FCNetwork((4, 16, 1), rg.GaussianChannel(), key=key)
    result = rg.train_layers(
        torus, rg.Relevance(), network, SQUARES,
        levels=LEVELS, n_samples=ROWS[ratio], steps=STEPS, key=key,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    sizes = {SIZE: (torus, result.sites)}
    if ratio == 1:
        half = rg.IsingTorus(CRITICAL, SIZE // 2, SWEEPS)
        sizes[SIZE // 2] = half, np.asarray(half.sample(jax.random.fold_in(key, 99), 2 * ROWS[1]))
    rows = []
    for size, (system, sites) in sizes.items():
        bonds, levels = system.bond_sum(sites), len(result.layers) + (size == SIZE)
        trained, spins = result.features_of(sites), np.asarray(sites, np.float32)
        before = {}
        for level in range(levels):
            spins = majority(spins, rng) if level else spins
            for rule, features in (("trained", trained[level]), ("majority", spins)):
                features = np.asarray(features, float)
                sums = operators(features, rule == "majority")
                found = (np.nan, np.nan)
                if ratio == 1 and level and size == SIZE:
                    found = jackknife(sums, before[rule])
                before[rule] = sums
                row = {"ratio": ratio, "seed": seed, "size": size, "rule": rule, "level": level}
                row |= statistics(features, bonds)
                rows.append(row | {"eigenvalue": found[0], "eigenvalue_error": found[1]})
    return pd.DataFrame(rows)


def replay(row: dict[str, Any]) -> pd.DataFrame:
    """The rows of one run, run again."""
    return run(float(row["ratio"]), int(row["seed"]))


if __name__ == "__main__":
    start = time.perf_counter()
    tables = [run(ratio, seed) for ratio, seeds in SEEDS.items() for seed in seeds]
    rg.sweeps.save("square_lattice", pd.concat(tables), __file__, time.perf_counter() - start)
