"""Ensembles: every member is what `train` makes of it, in any layout.

The table says which is which.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import rgkit as rg
from rgkit.training.ensemble.layout import choose_layout, step_bytes

SMALL = {"K": [0.5, 1.0], "seed": range(3), "n_sites": 6, "n_features": 2, "width": 8}
# one step of Adam moves a weight by 1e-2 whatever its gradient:
# rounding shows where a gradient nearly vanishes
ONE_STEP = {"steps": 1, "optimizer": optax.sgd(0.1)}


def train_small(objective=None, grid=SMALL, **options):
    return rg.train_ensemble(
        grid, objective or rg.Infomax(), **({"steps": 1, "key": jax.random.key(0)} | options)
    )


def distance(a, b):
    """Largest difference between two networks' parameters."""
    arrays = (jax.tree.leaves(eqx.filter(network, eqx.is_array)) for network in (a, b))
    return max(float(abs(x - y).max()) for x, y in zip(*arrays, strict=True))


# bytes with which six members run side by side, one by one, and in blocks of two
MEMORIES = (None, 2**14, 2**11)


@pytest.mark.parametrize("batch_size", [None, 32])
def test_one_step_is_the_same_in_every_layout_and_in_train(batch_size):
    options = ONE_STEP | {"batch_size": batch_size}
    results = [train_small(memory=memory, **options) for memory in MEMORIES]
    for member in (0, 5):
        alone = rg.train(**results[0].arguments(member), **options)
        for result in results:
            assert distance(result.network(member), alone.network) < 1e-6
            history = result.history[result.history.member == member]
            np.testing.assert_allclose(history.loss, alone.history.loss, atol=1e-6)
            np.testing.assert_allclose(history.gap, alone.history.gap, atol=1e-6)
            assert history.step.tolist() == alone.history.step.tolist() == [0, 1]


def test_memory_decides_the_blocks(tmp_path):
    """And a pool counts: with one of more rows the blocks are smaller."""
    counts = []
    for i, (memory, pool) in enumerate([(2**20, 8), (2**13, 8), (2**13, 64)]):
        train_small(memory=memory, batch_size=8, pool=pool, checkpoint=tmp_path / str(i))
        counts.append(len(list((tmp_path / str(i)).glob("*.npz"))))
    assert counts == [1, 2, 3]


def test_trained_members_agree_with_train_statistically():
    grid = {"K": 1.0, "seed": range(16), "n_sites": 6, "n_features": 2, "width": 16}
    together = train_small(grid=grid, steps=300)
    alone = [
        rg.train(**together.arguments(i), steps=300, records=1).history.gap.iloc[-1]
        for i in range(16)
    ]
    gaps, error = together.table.gap, np.std(alone) / 4
    assert abs(gaps.mean() - np.mean(alone)) < 3 * error + 1e-3
    assert (gaps < together.history[together.history.step == 0].gap.to_numpy()).all()


def test_a_run_repeats_itself_bit_for_bit():
    first, second = (train_small(steps=20, records=2, batch_size=16) for _ in range(2))
    pd.testing.assert_frame_equal(first.table, second.table, check_exact=True)
    pd.testing.assert_frame_equal(first.history, second.history, check_exact=True)
    assert all(eqx.tree_equal(*pair) for pair in zip(first.networks, second.networks, strict=True))


def test_members_of_several_shapes_keep_the_order_of_the_grid():
    rows = [
        {"K": 0.5, "n_sites": n, "n_features": 2, "width": w, "depth": d}
        for n, w, d in ((6, 8, 1), (4, 8, 1), (6, 8, 2), (6, 8, 1))
    ]
    rows[3]["K"] = 1.0
    result = train_small(grid=pd.DataFrame(rows), steps=5, records=5)
    assert result.table.columns[:6].tolist() == [
        "K",
        "n_sites",
        "n_features",
        "width",
        "depth",
        "seed",
    ]
    assert result.table.n_sites.tolist() == [6, 4, 6, 6] and result.table.K.tolist() == [
        0.5,
        0.5,
        0.5,
        1.0,
    ]
    assert [result.network(i).widths for i in range(4)] == [
        (6, 8, 2),
        (4, 8, 2),
        (6, 8, 8, 2),
        (6, 8, 2),
    ]
    assert len(result.networks) == 3 and result.networks[0].weights[0].shape == (2, 8, 6)
    assert result.history.groupby("member").step.apply(list).tolist() == [[0, 1, 2, 3, 4, 5]] * 4
    for i, row in result.table.iterrows():
        law = rg.pushforward(rg.IsingChain(row.K, n_sites=int(row.n_sites)), result.network(i))
        assert row.gap == pytest.approx(law.gap(), abs=1e-5) and row.information == pytest.approx(
            law.information(), abs=1e-5
        )
        assert row.divergence == pytest.approx(
            rg.pushforward(result.arguments(i)["system"], result.network(i).hard()).divergence(),
            abs=1e-5,
        )


def test_seeds_and_nothing_else_fix_the_start():
    result = train_small()
    for i in range(3):
        assert eqx.tree_equal(result.arguments(i)["network"], result.arguments(i + 3)["network"])
    assert distance(result.arguments(0)["network"], result.arguments(1)["network"]) > 0.1
    network_key, train_key = jax.random.split(jax.random.fold_in(jax.random.key(0), 2))
    start = rg.FCNetwork((6, 8, 2), rg.SpinChannel(), key=network_key)
    assert distance(result.arguments(2)["network"], start) < 1e-6
    assert (jax.random.key_data(result.arguments(2)["key"]) == jax.random.key_data(train_key)).all()


def test_restarts_keep_the_best():
    one, many = (train_small(steps=100, restarts=restarts) for restarts in (1, 4))
    assert (many.table.loss <= one.table.loss + 1e-3).all() and (
        many.table.loss < one.table.loss - 1e-3
    ).any()
    assert (
        many.table.steps.tolist() == [400] * 6
        and many.cost["steps"] == 2400
        and many.cost["seconds"] > 0
    )


def test_a_member_that_diverges_is_named_and_spares_the_others():
    grid = {"gain": [1.0, 3e38], "seed": range(2)}
    result = train_small(
        grid=grid,
        steps=10,
        optimizer=optax.sgd(0.1),
        network=steep,
        system=lambda row: rg.IsingChain(1.0, n_sites=6),
    )
    assert len(result.networks) == 1 and result.table.diverged_at.isna().tolist() == [
        True,
        True,
        False,
        False,
    ]
    assert (
        result.table.gap[:2] < result.history.gap[result.history.step == 0].to_numpy()[:2]
    ).all()


def steep(row, key):
    """A network whose last weights are scaled: of the same shape for every gain."""
    network = rg.FCNetwork((6, 8, 2), rg.SpinChannel(), key=key)
    return eqx.tree_at(lambda n: n.weights[1], network, network.weights[1] * row["gain"])


def test_divergence_is_found_at_the_step_where_train_finds_it():
    options = {"steps": 20, "optimizer": optax.sgd(1e38)}
    grid = {"K": 1.0, "seed": range(2), "n_sites": 12, "n_features": 4, "width": 64}
    result = train_small(grid=grid, records=2, **options)
    for member in range(2):
        with pytest.raises(rg.TrainingDiverged) as caught:
            rg.train(**result.arguments(member), **options)
        assert result.table.diverged_at[member] == caught.value.step > 0
        assert all(jnp.isfinite(weight).all() for weight in result.network(member).weights)


def sign_of(site):
    return lambda x: (x[site] > 0).astype(int)


def test_objectives_with_heads_and_one_for_each_member():
    labels = [rg.Classification(sign_of(site)) for site in range(2)]
    grid = [
        {"K": 0.5, "n_sites": 4, "n_features": 2, "width": 8, "site": site, "seed": 0}
        for site in (0, 1, 0)
    ]
    result = train_small(
        lambda row: labels[row["site"]],
        grid=grid,
        steps=200,
        system=lambda row: rg.IsingChain(row["K"], n_sites=4),
    )
    assert (result.table.loss < 0.2).all() and result.table.loss[0] == result.table.loss[2]
    assert result.head(1).shape == (2, 2) and len(result.networks) == 2
    for objective in (rg.Reconstruction(), rg.Regression(lambda x: x[0] + 0.5 * x[1])):
        together = train_small(objective, **ONE_STEP)
        alone = rg.train(**together.arguments(4), **ONE_STEP)
        assert distance(together.network(4), alone.network) < 1e-6


def test_fields_train_through_a_gaussian_channel():
    grid = {"r": -2.0, "u": [0.5, 0.6], "K": 0.5, "n_sites": 6, "n_features": 2, "width": 8}
    options = ONE_STEP | {"batch_size": 64}
    result = train_small(grid=grid, **options)
    alone = rg.train(**result.arguments(1), **options)
    assert result.arguments(1)["system"] == rg.ScalarChain((-2.0, 0.6), 0.5, n_sites=6)
    assert distance(result.network(1), alone.network) < 1e-5
    last = alone.history.iloc[-1].drop("step").astype(float)
    np.testing.assert_allclose(
        result.table.loc[1, last.index].astype(float), last, rtol=1e-4, atol=1e-5
    )


WELLS = [
    {"r": -2.0, "u": 0.5, "K": 0.5},
    {"r": -2.0, "u": 0.0, "w": 0.2, "K": -0.5},
    {"r": -2.0, "u": 0.5, "K": 0.5},
]
POOLED = {
    "grid": [
        well | {"w": well.get("w", 0.0), "n_sites": 6, "n_features": 2, "width": 8}
        for well in WELLS
    ],
    "batch_size": 64,
    "pool": 128,
}


@pytest.mark.parametrize("restarts", [1, 2])
def test_members_with_a_pool_are_what_train_makes_of_them(restarts):
    options = {"batch_size": 64, "pool": 128, "restarts": restarts} | ONE_STEP
    result = train_small(**POOLED | options)
    for member in (0, 1):
        alone = rg.train(**result.arguments(member), **options)
        assert distance(result.network(member), alone.network) < 1e-5
        last = alone.history.iloc[-1].drop("step").astype(float)
        np.testing.assert_allclose(
            result.table.loc[member, last.index].astype(float), last, rtol=1e-4, atol=1e-5
        )
    fresh = rg.train(**result.arguments(0), **options | {"pool": None})
    assert distance(result.network(0), fresh.network) > 1e-4


def test_restarts_share_a_pool():
    grid = {"K": 0.5, "n_sites": 6, "n_features": 2, "width": 8}
    options = {"batch_size": 64, "pool": 128, "steps": 2, "restarts": 2}
    drawn = []

    class Counted(rg.IsingChain):
        def sample(self, key, n_samples):
            drawn.append(n_samples)
            return super().sample(key, n_samples)

    train_small(grid=grid, system=lambda row: Counted(row["K"], n_sites=6), **options)
    assert drawn == [128]


def test_with_a_pool_different_systems_share_a_program():
    assert [
        len(train_small(**POOLED | ONE_STEP | {"pool": pool}).networks) for pool in (128, None)
    ] == [1, 2]


def test_a_checkpoint_begun_with_another_pool_is_refused(tmp_path):
    options = {"batch_size": 8, "checkpoint": tmp_path}
    begun = train_small(pool=64, **options)
    pd.testing.assert_frame_equal(
        train_small(pool=64, **options).table, begun.table, check_exact=True
    )
    with pytest.raises(ValueError, match="is of another configuration: pool, programs differ"):
        train_small(pool=32, **options)
    with pytest.raises(ValueError, match="is of another configuration: pool, programs differ"):
        train_small(**options)


def test_a_checkpoint_of_other_recorded_rows_is_refused(tmp_path):
    grid = {"n_sites": 6, "n_features": 2, "width": 8, "r": 0.0}
    rows = np.random.default_rng(0).normal(size=(2000, 6))
    options = {"batch_size": 8, "pool": 64, "checkpoint": tmp_path}
    train_small(grid=grid, system=lambda row: rg.EmpiricalSystem(rows), **options)
    with pytest.raises(ValueError, match="is of another configuration: members differs"):
        train_small(grid=grid, system=lambda row: rg.EmpiricalSystem(rows[::-1]), **options)


def test_spins_train_on_a_pool():
    options = {"batch_size": 64, "pool": 128} | ONE_STEP
    result = train_small(**options)
    assert distance(result.network(4), rg.train(**result.arguments(4), **options).network) < 1e-6


def test_long_chains_train_on_samples():
    grid = {"K": [0.3, 0.6], "n_sites": 40, "n_features": 2, "width": 16}
    options = ONE_STEP | {"batch_size": 64}
    result = train_small(grid=grid, **options)
    alone = rg.train(**result.arguments(1), **options)
    assert distance(result.network(1), alone.network) < 1e-6
    assert result.table.gap[1] == pytest.approx(alone.history.gap.iloc[-1], abs=1e-5)


def test_little_memory_streams_the_rows_and_changes_nothing_else():
    grid = {"K": 0.5, "n_sites": 10, "n_features": 2, "width": 16}
    whole, streamed = (
        train_small(grid=grid, memory=memory, **ONE_STEP) for memory in (2**30, 2**16)
    )
    assert distance(whole.network(0), streamed.network(0)) < 1e-6
    assert streamed.table.gap[0] == pytest.approx(whole.table.gap[0], abs=1e-6)


@pytest.mark.parametrize(
    "n_runs, n_devices, step, held, memory",
    [
        (1, 1, 10, 10, 100),
        (64, 1, 2**18, 2**14, 2**30),
        (100, 8, 1, 1, 2**30),
        (7, 2, 2**22, 2**20, 2**24),
        (33, 1, 2**30, 2**26, 2**20),
    ],
)
def test_layouts_fit_their_memory_and_waste_little(n_runs, n_devices, step, held, memory):
    layout = choose_layout(n_runs, n_devices, step, 2 * step, held, memory)
    assert layout.together == 1 or layout.together * step <= memory
    assert layout.recorded == 1 or layout.recorded * 2 * step <= memory
    assert layout.block % layout.together == 0
    computed = layout.n_blocks(n_runs) * layout.block
    assert n_runs <= computed < 2 * n_runs + n_devices


def test_the_bytes_of_a_step_are_about_those_that_xla_takes():
    network = rg.FCNetwork((12, 64, 4), rg.SpinChannel(), key=jax.random.key(0))
    x, weights = jnp.ones((4096, 12), jnp.int8), jnp.full(4096, 1 / 4096)

    def loss(network, x, weights):
        return rg.Infomax().loss(network, None, x, weights)

    measured = (
        eqx.filter_jit(eqx.filter_grad(loss))
        .lower(network, x, weights)
        .compile()
        .compiled.memory_analysis()
    )
    assert 0.5 < step_bytes(loss, network, x, weights) / measured.temp_size_in_bytes < 4


def test_devices_are_reported():
    table = rg.devices()
    assert table.columns.tolist() == [
        "platform",
        "kind",
        "count",
        "processes",
        "memory",
        "matmul_precision",
    ]
    assert table["count"].sum() == jax.device_count() and table.platform[0] == jax.default_backend()
    with jax.default_matmul_precision("highest"):
        assert rg.devices().matmul_precision[0] == "highest"


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "grid, options, error, message",
    [
        ([], {}, ValueError, "grid must have at least one member"),
        ({"K": 1.0, "n_features": 2}, {}, ValueError, "grid needs a column 'n_sites'"),
        (SMALL | {"widht": 8}, {}, ValueError, r"grid has columns \['widht'\] that nothing reads"),
        (
            [{"K": 1.0}, {"K": 0.5, "n_sites": 4}],
            {},
            ValueError,
            r"grid must have a value .* \['n_sites'\] have gaps",
        ),
        (SMALL | {"width": 0}, {}, ValueError, "width must be at least 1"),
        (SMALL | {"seed": 0.5}, {}, TypeError, "seed must be an integer"),
        (SMALL, {"steps": 0}, ValueError, "steps must be at least 1"),
        (SMALL, {"records": 0}, ValueError, "records must be at least 1"),
        (SMALL, {"restarts": 0}, ValueError, "restarts must be at least 1"),
        (SMALL, {"memory": 0}, ValueError, "memory must be at least 1"),
        (SMALL, {"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        (
            SMALL,
            {"pool": 64},
            ValueError,
            "pool is what batches are drawn from: pass a batch_size too",
        ),
        (SMALL, {"pool": 64, "batch_size": 128}, ValueError, "pool must be at least 128, got 64"),
        (SMALL, {"pool": 64.0, "batch_size": 8}, TypeError, "pool must be an integer"),
        (SMALL, {"key": jax.random.PRNGKey(0)}, TypeError, "typed JAX key"),
    ],
)
def test_bad_arguments_are_refused(grid, options, error, message):
    with pytest.raises(error, match=message):
        train_small(grid=grid, **options)
