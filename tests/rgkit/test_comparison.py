"""Both flows in one table."""

import jax
import numpy as np
import pytest

import rgkit as rg


@pytest.fixture(scope="module")
def result():
    network = rg.FCNetwork((8, 16, 4), rg.SpinChannel(), key=jax.random.key(0))
    return rg.train(network, rg.IsingChain(0.8, n_sites=8), rg.Infomax(), steps=100, records=5, key=jax.random.key(0))


def test_the_renormalized_rows_are_decimated_rings_at_equal_n(result):
    table = rg.correspondence(result, rg.ising_decimation(2), n_steps=2).query("flow == 'renormalization'")
    assert table.ratio.tolist() == [1, 2, 4] and table.step.tolist() == [0, 1, 2]
    for row in table.itertuples():
        ring = rg.IsingChain(0.8, n_sites=4 * int(row.ratio))
        law = rg.SpinLaw(ring.probabilities())
        if row.ratio > 1:
            law = rg.pushforward(ring, rg.decimation(int(row.ratio)))
        assert row.divergence == pytest.approx(law.divergence() / 4, abs=1e-12)
        assert row.gap == pytest.approx(row.divergence, abs=1e-12)
        assert row.pair_coupling == pytest.approx(abs(law.pair_marginal_couplings()).max(), abs=1e-12)


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
    in_field = rg.train(result.network, rg.IsingChain(0.8, 0.3, n_sites=8), rg.Infomax(), steps=2, key=jax.random.key(0))
    with pytest.raises(ValueError, match="unknown coupling 'h'"):
        rg.correspondence(in_field, rg.migdal_kadanoff(2, 1))
