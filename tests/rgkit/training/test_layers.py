"""Training layer by layer: against exact optima, with controls that must end elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rgkit as rg
from rgkit.enumeration import spin_configurations

SITE = [0.0, 1.0], [0.7542, 0.2458]
BETA_C = rg.hierarchical(3, 25).critical_beta(*SITE)
START = jax.random.key(3)
REAL = rg.FCNetwork((2, 16, 1), rg.GaussianChannel(), key=START)


def tree(ratio=1.0, levels=6):
    return rg.HierarchicalTree(3, ratio * BETA_C, levels, *SITE, levels_above=12)


def trained(system, objective=None, network=REAL, partners=None, **settings):
    settings = {"levels": 2, "n_samples": 1024, "steps": 200, "key": jax.random.key(1)} | settings
    return rg.train_layers(
        system, objective or rg.Relevance(), network, partners or rg.Siblings(2), **settings
    )


def overlaps(system, result):
    for level, features in enumerate(result.features):
        pair = system.sibling_law(level)
        sums = system.scaled_sums(result.sites, level)
        best = np.interp(sums, pair.values, pair.spectrum(1).features[:, 0])
        yield abs(np.corrcoef(best.ravel(), features.ravel())[0, 1])


def test_layers_find_the_best_feature(key):
    system = tree()
    result = trained(system, key=key)
    assert min(overlaps(system, result)) > 0.99 and not result.stopped
    records = result.records
    assert list(records["level"]) == [0, 1, 2]
    for row in records.itertuples():
        best = system.sibling_law(row.level).spectrum(1).correlations[0]
        assert row.correlation == pytest.approx(best, abs=5 * row.correlation_error + 0.005)


def test_untrained_layers_do_not():
    system = tree()
    result = trained(system, optimizer=optax.sgd(0.0), steps=1)
    assert list(overlaps(system, result))[-1] < 0.99


def test_layers_say_what_they_did():
    """The networks that come back make the features of the result."""
    result = trained(tree(), levels=2, steps=100)
    x = (result.sites - result.mean) / result.deviation
    for layer, features in zip(result.layers, result.features[1:], strict=True):
        made = np.asarray(layer.batch(x.reshape(-1, 2))).reshape(len(x), -1)
        np.testing.assert_allclose(made, features, atol=1e-4)
        x = features


def test_all_configurations_with_their_probabilities():
    chain = rg.IsingChain(1.0, n_sites=9, periodic=False)
    network = rg.FCNetwork((3, 16, 1), rg.GaussianChannel(), key=START)
    result = trained(
        chain, network=network, partners=rg.Blocks(3, buffer=3), levels=1, n_samples=None
    )
    t = np.tanh(1.0)
    best = t**4 * (1 + t**2) / 2
    row = result.records.iloc[-1]
    assert best - 1e-3 < row["correlation"] <= best + 1e-6 and row["correlation_error"] == 0
    states = spin_configurations(3)
    made = np.asarray(result.layers[0].batch(states))[:, 0]
    assert abs(np.corrcoef(made, states[:, 0] + states[:, 2])[0, 1]) > 0.99


def test_kernels_without_parameters_are_layers():
    system = rg.IsingChain(0.8, n_sites=16, periodic=False)
    result = trained(system, network=rg.decimation(2), levels=2, n_samples=20_000)
    # every second spin, then every fourth: neighbours two and four sites apart
    t = np.tanh(0.8)
    for row, distance in zip(result.records.itertuples(), (1, 2, 4), strict=True):
        assert abs(row.correlation - t**distance) < 5 * row.correlation_error


def test_errors_are_honest():
    """Correlations of independent runs scatter as their errors say."""
    system = tree()
    runs = [
        trained(system, network=rg.decimation(2), levels=2, n_samples=500, key=jax.random.key(k))
        for k in range(16)
    ]
    found = np.array([run.records["correlation"] for run in runs])
    stated = np.mean([run.records["correlation_error"] for run in runs], axis=0)
    ratio = found.std(0, ddof=1) / stated
    assert ((0.5 < ratio) & (ratio < 1.7)).all()


@pytest.mark.parametrize(
    "objective, least", [(rg.BitRelevance(), 0.5), (rg.ContrastiveRelevance(), 0.55)]
)
def test_relatives_keep_a_correlation(objective, least):
    channel = rg.SpinChannel() if rg.Values.REALS not in objective.channels else None
    network = rg.FCNetwork((2, 16, 1), channel or rg.GaussianChannel(), key=START)
    result = trained(
        tree(), objective, network, levels=2, n_samples=1024, steps=200, batch_size=512
    )
    assert least < result.records["correlation"].iloc[-1] < 0.61


def test_infomax_ends_at_noise():
    result = trained(
        tree(), rg.Infomax(draws=32), levels=4, n_samples=1024, steps=200, batch_size=1024
    )
    assert abs(result.records["correlation"].iloc[-1]) < 0.15
    assert result.records["correlation"].iloc[0] > 0.55


def test_several_features_are_the_first_eigenfunctions():
    """The loss of n features is at least minus the sum of n correlations, and reaches it."""
    pair = tree().sibling_law(3)
    spectrum = pair.spectrum(2)
    i, j = np.divmod(np.arange(pair.joint.size), len(pair.values))
    weights = jnp.asarray(pair.joint.ravel())
    psi = spectrum.features
    mixed = psi @ np.array([[1.0, 0.3], [0.2, -2.0]]) + 5
    both = jnp.asarray(np.stack([mixed[i], mixed[j]], axis=1).transpose(2, 0, 1))
    loss = rg.Relevance().loss_of_features(both, weights)
    assert float(loss) == pytest.approx(-spectrum.correlations.sum(), abs=1e-4)
    worse = psi + 0.3 * np.sin(pair.values)[:, None] * [0, 1]
    both = jnp.asarray(np.stack([worse[i], worse[j]], axis=1).transpose(2, 0, 1))
    assert float(rg.Relevance().loss_of_features(both, weights)) > float(loss)


def test_too_few_pairs_are_said_not_fitted():
    hot = tree(0.5)
    with pytest.warns(UserWarning, match="would fit noise"):
        result = trained(hot, levels=5, n_samples=256, steps=100)
    assert result.stopped and len(result.layers) < 5
    assert len(result.records) == len(result.layers) + 1 == len(result.features)
    with pytest.raises(ValueError, match="n_samples is too small at level 1"):
        trained(tree(0.1), levels=1, n_samples=8, steps=50)


class Far(rg.Siblings):
    """Partners of one's own: the block of the next row."""

    def pairs(self, x):
        pairs = super().pairs(x)
        return np.stack([pairs[:, :, 0], np.roll(pairs[:, :, 1], 1, axis=0)], axis=2)


def test_partners_of_ones_own_are_used():
    result = trained(tree(), partners=Far(2), levels=1)
    # blocks that know nothing of each other teach nothing
    assert list(overlaps(tree(), result))[-1] < 0.999


@pytest.mark.parametrize("partners, sites", [(rg.Siblings(2), 16), (rg.Blocks(2, 4), 16)])
def test_geometries_pair_features_as_they_pair_sites(partners, sites):
    x = np.arange(3.0 * sites).reshape(3, sites)
    firsts = partners.blocks(x)[..., 0]
    np.testing.assert_array_equal(partners.paired(firsts), partners.pairs(x)[..., 0])


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"objective": rg.Relevance}, "objective must be an instance"),
        ({"network": 3}, "network must be a network"),
        ({"partners": 2}, "partners must be"),
        ({"network": rg.FCNetwork((2, 3), rg.GaussianChannel(), key=START)}, "one feature"),
        ({"partners": rg.Siblings(3)}, "widths start with 2"),
        ({"objective": rg.BitRelevance()}, "not defined for the channel"),
        ({"levels": 6}, "not pairs of blocks"),
        ({"levels": 0}, "levels must be at least 1"),
        ({"n_samples": None}, "does not list its configurations"),
        ({"n_samples": 1}, "n_samples must be at least 2"),
        ({"optimizer": "adam"}, "optimizer must be"),
        ({"key": 0}, "key must be"),
    ],
)
def test_bad_input_is_named(changes, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        trained(tree(), **changes)


@pytest.mark.as_a_user
def test_bad_geometries_are_named():
    for made, sentence in (
        (lambda: rg.Blocks(2, 3), "multiple of size"),
        (lambda: rg.Blocks(2, -2), "buffer must be at least 0"),
        (lambda: rg.Siblings(0), "fan_in must be at least 1"),
        (lambda: rg.Blocks(2, 4).check(6), "at least 8"),
    ):
        with pytest.raises(ValueError, match=sentence):
            made()


def test_train_says_where_to_go():
    network = rg.FCNetwork((8, 1), rg.GaussianChannel(), key=START)
    with pytest.raises(TypeError, match="rgkit.train_layers"):
        rg.train(network, tree(levels=3), rg.Relevance(), steps=1, batch_size=4, key=START)


def test_squares_and_their_partners():
    squares = rg.Squares(2, buffer=2)
    lattice = np.arange(64).reshape(1, 64)
    blocks = squares.blocks(lattice)
    assert blocks.shape == (1, 16, 4) and list(blocks[0, 5]) == [18, 19, 26, 27]
    pairs = squares.pairs(lattice)[0]
    assert pairs.shape == (32, 2, 4)
    first = {tuple(pair[:, 0]) for pair in pairs}
    # one square left out, to the right and below, around the lattice
    assert (0, 4) in first or (4, 0) in first
    assert (0, 32) in first or (32, 0) in first
    features = blocks.mean(2)
    np.testing.assert_array_equal(squares.paired(features)[0], pairs.mean(2))
    assert rg.Squares(2).pairs(lattice).shape == (1, 32, 2, 4)


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: rg.Squares(1), "size must be at least 2"),
        (lambda: rg.Squares(2, buffer=1), "buffer must be a multiple of size"),
        (lambda: rg.Squares(2, buffer=2).check(36), "at least 8"),
        (lambda: rg.Squares(2).check(40), "need L x L sites"),
    ],
)
def test_bad_squares_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_squares_of_a_critical_lattice_keep_their_sum(key):
    """Against the best of all functions of the sixteen states, of the same rows."""
    torus = rg.IsingTorus(float(np.log1p(2**0.5) / 2), 16, (40, 5))
    squares = rg.Squares(2, buffer=2)
    network = rg.FCNetwork((4, 16, 1), rg.GaussianChannel(), key=START)
    result = rg.train_layers(
        torus, rg.Relevance(), network, squares, levels=1, n_samples=2048, steps=200, key=key
    )
    codes = (squares.pairs(result.sites) < 0) @ (1 << np.arange(4))
    joint = np.zeros((16, 16))
    np.add.at(joint, (codes[..., 0].ravel(), codes[..., 1].ravel()), 1.0)
    joint = (joint + joint.T) / joint.sum() / 2
    best = rg.PairLaw(np.arange(16), joint).spectrum(1)
    states = 1 - 2 * (np.arange(16)[:, None] >> np.arange(4) & 1)
    made = np.asarray(result.layers[0].batch((states - result.mean) / result.deviation))[:, 0]
    overlap = rg.PairLaw(np.arange(16), joint).overlap(made, best.features[:, 0])
    assert abs(overlap) > 0.995
    assert result.records.correlation[1] == pytest.approx(best.correlations[0], abs=0.01)
    again = result.features_of(result.sites)
    np.testing.assert_allclose(again[1], result.features[1], atol=1e-3)
