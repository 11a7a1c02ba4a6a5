"""Both flows in one table."""

import jax
import numpy as np
import pytest

import rgkit as rg


@pytest.fixture(scope="module")
def result():
    network = rg.FCNetwork((8, 16, 4), rg.SpinChannel(), key=jax.random.key(0))
    return rg.train(
        network,
        rg.IsingChain(0.8, n_sites=8),
        rg.Infomax(),
        steps=100,
        records=5,
        key=jax.random.key(0),
    )


def test_the_renormalized_rows_are_decimated_rings_at_equal_n(result):
    table = rg.correspondence(result, rg.ising_decimation(2), n_steps=2).query(
        "flow == 'renormalization'"
    )
    assert table.ratio.tolist() == [1, 2, 4] and table.step.tolist() == [0, 1, 2]
    for row in table.itertuples():
        ring = rg.IsingChain(0.8, n_sites=4 * int(row.ratio))
        law = rg.SpinLaw(ring.probabilities())
        if row.ratio > 1:
            law = rg.pushforward(ring, rg.decimation(int(row.ratio)))
        assert row.divergence == pytest.approx(law.divergence() / 4, abs=1e-12)
        assert row.gap == pytest.approx(row.divergence, abs=1e-12)
        assert row.pair_coupling == pytest.approx(
            abs(law.pair_marginal_couplings()).max(), abs=1e-12
        )


def test_the_training_rows_are_the_history(result):
    table = rg.correspondence(result, rg.ising_decimation(2)).query("flow == 'training'")
    np.testing.assert_allclose(table.gap, result.history.gap / 4)
    np.testing.assert_allclose(table.divergence, result.history.divergence / 4)
    assert (table.ratio == 2).all() and table.step.tolist() == result.history.step.tolist()


def test_both_flows_fall(result):
    table = rg.correspondence(result, rg.ising_decimation(2))
    for _, flow in table.groupby("flow"):
        assert flow.gap.iloc[-1] < flow.gap.iloc[0]


def test_maps_without_a_field(result):
    table = rg.correspondence(result, rg.migdal_kadanoff(2, 1), n_steps=3)
    decimated = rg.correspondence(result, rg.ising_decimation(2), n_steps=3)
    np.testing.assert_allclose(table.gap, decimated.gap, atol=1e-12)
    in_field = rg.train(
        result.network,
        rg.IsingChain(0.8, 0.3, n_sites=8),
        rg.Infomax(),
        steps=2,
        key=jax.random.key(0),
    )
    with pytest.raises(ValueError, match="does not carry along: set h to 0"):
        rg.correspondence(in_field, rg.migdal_kadanoff(2, 1))


@pytest.fixture(scope="module")
def field_result():
    network = rg.FCNetwork((8, 32, 2), rg.GaussianChannel(), key=jax.random.key(0))
    chain = rg.ScalarChain((-2.0, 0.5), 0.5, n_sites=8)
    return rg.train(
        network, chain, rg.Infomax(), steps=100, batch_size=512, records=2, key=jax.random.key(0)
    )


@pytest.mark.parametrize(
    "kernel", [rg.block_average(2), rg.decimation(2)], ids=["block average", "decimation"]
)
def test_fields_flow_to_the_fixed_point_of_their_kernel(field_result, kernel):
    sampling = {"n_steps": 3, "n_samples": 20_000, "key": jax.random.key(0)}
    table = rg.correspondence(field_result, kernel, **sampling).set_index("flow")
    flow, training = table.loc["renormalization"], table.loc["training"]
    assert flow.ratio.tolist() == [1, 2, 4, 8] and (training.ratio == 4).all()
    assert flow.reference.nunique() == training.reference.nunique() == 1
    assert flow.reference.iloc[0] != training.reference.iloc[0]
    first, last = flow.iloc[0], flow.iloc[-1]
    for name, value in field_result.system.parameters.items():
        assert abs(first[name] - value) < 4 * first[f"{name}_error"]
    assert last.gap + 4 * last.gap_error < first.gap - 4 * first.gap_error
    chain, grid = field_result.system, np.linspace(-4, 4, 801)
    if isinstance(kernel, type(rg.block_average(2))):
        log_reference = (
            -(grid**2 / chain.susceptibility() + np.log(2 * np.pi * chain.susceptibility())) / 2
        )
        assert abs(last.u) < 0.1 * first.u
    else:
        log_reference = np.log(chain.density(grid))
        assert (
            abs(last.gap) < 4 * last.gap_error
            and abs(last.K) < 4 * last.K_error
            and last.u > 0.8 * first.u
        )
    ring = rg.ScalarChain(chain.potential, chain.coupling, n_sites=2)
    energies = np.asarray(
        ring.energy(np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)), float
    )
    single = np.trapezoid(np.exp(-energies - ring.log_partition()), grid)
    exact = -np.trapezoid(single * log_reference, grid) - ring.entropy() / 2
    assert abs(first.gap - exact) < 4 * first.gap_error


def test_training_on_fields_is_the_history_with_the_laws(field_result):
    table = rg.correspondence(
        field_result, rg.block_average(2), n_steps=1, n_samples=1000, key=jax.random.key(0)
    )
    training = table.query("flow == 'training'")
    np.testing.assert_allclose(training.gap, field_result.history.gap / 2)
    np.testing.assert_allclose(
        training.divergence, [law.divergence().value / 2 for law in field_result.laws]
    )
    assert (table.filter(like="_error") > 0).all(axis=None)


def test_flows_that_do_not_compare_are_refused(result, field_result):
    with pytest.raises(
        TypeError, match="a map of couplings for data that are spins.*pass rgkit.ising_dec"
    ):
        rg.correspondence(result, rg.decimation(2))
    with pytest.raises(TypeError, match="a kernel that renormalizes.*pass rgkit.block_average"):
        rg.correspondence(field_result, rg.ising_decimation(2))
    with pytest.raises(ValueError, match="pass n_samples and key"):
        rg.correspondence(field_result, rg.block_average(2))
