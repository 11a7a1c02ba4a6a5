"""Digits, photographs and controls through fixed and trained features: held-out distances."""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, load_sample_images
from sklearn.neighbors import KNeighborsClassifier

import rgkit as rg

CHANNEL = rg.GaussianChannel(power=1.0, noise=0.02)
FAMILY = rg.ScalarChain((1.0, 1.0), 0.0, n_sites=2, periodic=False)
STEPS, BATCH, POOL, HIDDEN, SEEDS, GROUPS = 1200, 512, 2**15, 64, range(8), 16
TRAINING, MEASURING = jax.random.key(0), jax.random.key(1)
KEYS = ("data", "variety", "features", "seed", "rows")
# what networks are called, trained and at their start
STARTS = {"trained linear": "random projection", "trained": "untrained"}
TRAINING_DIGITS, FEWER_DIGITS = 1000, (60, 125, 250, 500)


class Recording:
    """Training and held-out rows, and the regions of held-out rows.

    Rows are in units of their standard deviation, constant pixels are dropped.
    """

    def __init__(self, name, train, held_out, regions, variety="real"):
        self.name, self.variety, self.regions = name, variety, regions
        self.kept = train.std(0) > 0
        self.mean, self.scale = train[:, self.kept].mean(), train[:, self.kept].std()
        self.train, self.held_out = (
            (rows[:, self.kept] - self.mean) / self.scale for rows in (train, held_out)
        )
        self.system = rg.EmpiricalSystem(self.train, width=1 / self.scale)
        # one draw of the noise for each held-out row: a second draw of the same row is not an
        # independent configuration
        noise = np.random.default_rng(0).random(self.held_out.shape)
        self.rows = jnp.asarray(self.held_out + noise / self.scale, jnp.float32)

    def controlled(self, variety, draw):
        """The same recording with its rows replaced by ``draw(rows, seed)``."""
        sides = (
            draw(rows * self.scale, seed) for seed, rows in enumerate((self.train, self.held_out))
        )
        copy = Recording(self.name, *sides, self.regions, variety)
        copy.kept = self.kept
        return copy


def digits(training_rows=TRAINING_DIGITS):
    """The first images train, the last 797 are held out; regions are runs of about fifty."""
    train, held_out = np.split(load_digits().data, [TRAINING_DIGITS])
    return Recording(
        "digits",
        train[:training_rows],
        held_out,
        np.arange(len(held_out)) * GROUPS // len(held_out),
    )


def patches(image):
    """8 x 8 patches from tiles of 32 x 32 pixels, the two colours of a chessboard apart.

    With them eight regions of those of the second colour.
    """
    down, across = (length // 32 for length in image.shape)
    tiles = (
        image[: 32 * down, : 32 * across]
        .reshape(down, 4, 8, across, 4, 8)
        .transpose(0, 3, 1, 4, 2, 5)
    )
    i, j = np.indices((down, across))
    regions = np.repeat((2 * i // down * 4 + 4 * j // across)[..., None], 16, axis=2)
    black = (i + j) % 2 == 1
    return (
        tiles[~black].reshape(-1, 64).astype(float),
        tiles[black].reshape(-1, 64).astype(float),
        regions[black].ravel(),
    )


def photographs():
    """Patches of the green channel of both photographs."""
    (first, first_out, a), (second, second_out, b) = (
        patches(image[..., 1]) for image in load_sample_images().images
    )
    return Recording(
        "photographs",
        np.concatenate([first, second]),
        np.concatenate([first_out, second_out]),
        np.append(a, 8 + b),
    )


def one_for_the_other():
    """Training rows from the first photograph, held-out rows from the second."""
    (train, _, _), (_, held_out, regions) = (
        patches(image[..., 1]) for image in load_sample_images().images
    )
    return Recording("photographs", train, held_out, regions, "other photograph")


def shuffled(rows, seed):
    """Every pixel keeps its values but exchanges them between images."""
    return np.random.default_rng(10 + seed).permuted(rows, axis=0)


def gaussian(covariance):
    """Draws from the Gaussian law with the covariance of the training rows."""
    return lambda rows, seed: np.random.default_rng(20 + seed).multivariate_normal(
        np.zeros(len(covariance)), covariance, len(rows)
    )


def linear(weights):
    """The linear layer ``(2, N)`` as a network."""
    weights = jnp.asarray(weights, jnp.float32)
    network = rg.FCNetwork((weights.shape[1], 2), CHANNEL, key=jax.random.key(0))
    return eqx.tree_at(lambda network: network.weights, network, (weights,))


def block_pair(b, kept):
    """Averages over two blocks of b x b pixels, beside the midline and above the middle."""
    masks = np.zeros((2, 8, 8))
    masks[0, 4 - b : 4, 4 - b : 4] = masks[1, 4 - b : 4, 4 : 4 + b] = 1 / b**2
    return masks.reshape(2, 64)[:, kept]


def modes(rows, first):
    """Two principal components of the rows, from ``first`` on."""
    return np.linalg.svd(rows - rows.mean(0), full_matrices=False)[2][first : first + 2]


def fixed_features(recording):
    blocks = {
        name: linear(block_pair(b, recording.kept))
        for name, b in (("pixels", 1), ("blocks of 2", 2), ("blocks of 4", 4))
    }
    return blocks | {
        f"modes {k + 1}, {k + 2}": linear(modes(recording.train, k)) for k in (0, 2, 8)
    }


def noisy_features(network, rows, key):
    return np.asarray(jax.vmap(network.sample)(rows, jax.random.split(key, len(rows))), float)


def divergence(features):
    """Divergence per feature from white noise of the channel's variance; rows in random order."""
    order = np.random.default_rng(0).permutation(len(features))
    law = rg.FieldLaw(features[order], CHANNEL.power + CHANNEL.noise).divergence()
    return law.value / 2, law.standard_error / 2


def covariance_part(features):
    """The divergence per feature of the Gaussian law with the same mean and covariance."""
    variance, covariance = CHANNEL.power + CHANNEL.noise, np.cov(features.T, ddof=0)
    return (
        float(np.mean(features**2) / variance - 1 - np.linalg.slogdet(covariance / variance)[1] / 2)
        / 2
    )


def jackknife_error(features, regions):
    """Standard error of the divergence when whole regions are left out, one after the other."""
    values = [divergence(features[regions != region])[0] for region in np.unique(regions)]
    return float(np.sqrt((len(values) - 1) * np.var(values)))


def accuracy(network, recording, features, key):
    """Share of held-out digits that the 15 nearest training images name rightly.

    Both are seen through the same noisy features.
    """
    labels = load_digits().target
    seen = noisy_features(network, jnp.asarray(recording.train, jnp.float32), key)
    classifier = KNeighborsClassifier(15).fit(seen, labels[: len(seen)])
    return classifier.score(features, labels[TRAINING_DIGITS:])


def row(recording, features_name, network, seed=0):
    keys = jax.random.split(jax.random.fold_in(MEASURING, seed), 5)
    drawn = recording.system.sample(keys[0], len(recording.rows))
    network = network.normalized(recording.system.sample(keys[1], 2**14))
    seen, features = (
        noisy_features(network, rows, key)
        for rows, key in ((drawn, keys[2]), (recording.rows, keys[3]))
    )
    value, error = divergence(features)
    bounds = rg.information_bounds(network, recording.rows, keys[4])
    fit = rg.characteristic_parameters(features, FAMILY, method="score")
    clustered = (
        jackknife_error(features, recording.regions)
        if recording.variety == "real" and seed == 0
        else np.nan
    )
    named = (
        accuracy(network, recording, features, keys[2])
        if (recording.name, recording.variety) == ("digits", "real")
        else np.nan
    )
    line = {
        "data": recording.name,
        "variety": recording.variety,
        "features": features_name,
        "seed": seed,
        "rows": len(recording.train),
        "divergence": value,
        "error": error,
        "clustered_error": clustered,
        "covariance_part": covariance_part(features),
        "training_divergence": divergence(seen)[0],
        "through_information_lower": bounds.divergence_lower / 2,
        "through_information_upper": bounds.divergence_upper / 2,
        "power": float(np.mean(np.asarray(network.batch(recording.rows), float) ** 2)),
        "accuracy": named,
    }
    errors = {f"{name}_error": value for name, value in fit.standard_errors.items()}
    return line | fit.values | errors


def controls(recording):
    """The same recording with shuffled pixels, and a Gaussian law of its covariance."""
    covariance = np.cov((recording.train * recording.scale).T)
    return recording.controlled("shuffled", shuffled), recording.controlled(
        "Gaussian", gaussian(covariance)
    )


def data(case):
    return case["recording"].system


def new_network(case, key):
    hidden = () if case["features"] == "trained linear" else (HIDDEN,)
    return rg.FCNetwork((data(case).n_sites, *hidden, 2), CHANNEL, key=key)


def trained(cases):
    """Every case, with its start and its trained network: all in one ensemble."""
    result = rg.train_ensemble(
        cases, rg.Infomax(), system=data, network=new_network,
        steps=STEPS, batch_size=BATCH, pool=POOL, progress=True, key=TRAINING,
    )  # fmt: skip
    for i, case in enumerate(cases):
        yield case, result.arguments(i)["network"], result.network(i)


def of_network(case, start, network):
    """The lines of a trained network, and of its start where this is a control of its own."""
    recording, name, seed = case.values()
    if recording.variety == "real" and name in STARTS and whole(recording):
        yield row(recording, STARTS[name], start, seed)
    yield row(recording, name, network, seed)


def whole(recording):
    """Whether all training rows of a recording are there."""
    return recording.name != "digits" or len(recording.train) == TRAINING_DIGITS


def recordings():
    """Whole recordings first, and of these digits first; then their controls, and others."""
    real = digits(), photographs()
    copies = [copy for recording in real for copy in controls(recording)]
    return [*real, *copies], [one_for_the_other(), *map(digits, FEWER_DIGITS)]


def all_rows():
    measured, others = recordings()
    for recording in measured:
        for name, network in fixed_features(recording).items():
            yield row(recording, name, network)
    pairs = [
        *((recording, name) for name in STARTS for recording in measured[:2]),
        *((recording, "trained") for recording in [*measured[2:], *others]),
    ]
    cases = [
        {"recording": recording, "features": name, "seed": seed}
        for recording, name in pairs
        for seed in SEEDS
    ]
    for case, start, network in trained(cases):
        yield from of_network(case, start, network)


def replay(asked: dict[str, Any]) -> pd.DataFrame:
    """The row, run again, with those that come from the same network."""
    place = asked["data"], asked["variety"], asked["rows"]
    (recording,) = (
        recording
        for some in recordings()
        for recording in some
        if (recording.name, recording.variety, len(recording.train)) == place
    )
    if asked["features"] in (fixed := fixed_features(recording)):
        return pd.DataFrame([row(recording, asked["features"], fixed[asked["features"]])])
    names = {start: name for name, start in STARTS.items()}
    name = names.get(asked["features"], asked["features"])
    ((case, start, network),) = trained(
        [{"recording": recording, "features": name, "seed": asked["seed"]}]
    )
    return pd.DataFrame(of_network(case, start, network))


if __name__ == "__main__":
    begin = time.perf_counter()
    # fixed features and networks of one recording side by side, as the chapter lists them
    table = pd.DataFrame(all_rows()).sort_values("data", kind="stable")
    rg.sweeps.save("real_data", table, __file__, time.perf_counter() - begin)
