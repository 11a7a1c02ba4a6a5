"""What a user writes outside the package goes through all of it, and is right by sums done here."""

import itertools

import jax
import numpy as np
import optax
import pytest
from channels import LaplaceChannel, WarmSpins
from finish import Pruned
from kernels import StaggeredAverage
from listed_states import ThreeStates
from next_nearest_neighbours import NextNearestNeighbours
from objective import Balanced
from partners import RowSquares
from potts import FourStatePotts
from renormalization import DecimationByThree, Relaxation
from two_replicas import TwoReplicas

import rgkit as rg

KEY = jax.random.key(0)
RING = NextNearestNeighbours(0.5, -0.3, 0.1, 8)


def network(n_sites=8, channel=None, n=2):
    channel = channel or rg.SpinChannel()
    return rg.FCNetwork((n_sites, 16, n), channel, key=jax.random.key(1))


def test_a_potts_ring_has_the_weights_of_its_states():
    states = np.array(list(itertools.product(range(4), repeat=3)))
    equal = (states == np.roll(states, 1, axis=1)).sum(1)
    weights = np.exp(0.8 * equal)
    ring = FourStatePotts(0.8, 6)
    assert ring.log_partition() == pytest.approx(np.log(weights.sum()), abs=1e-12)
    np.testing.assert_allclose(
        np.sort(ring.probabilities()), np.sort(weights / weights.sum()), atol=1e-15
    )


def test_replicas_that_are_not_tied_are_two_chains():
    chain = rg.IsingChain(0.7, n_sites=4, periodic=False)
    product = np.outer(chain.probabilities(), chain.probabilities()).ravel()
    both = TwoReplicas(0.7, 0.0, 8)
    np.testing.assert_allclose(both.probabilities(), product, atol=1e-15)
    assert both.entropy() == pytest.approx(2 * chain.entropy(), abs=1e-12)
    tied = TwoReplicas(0.7, 0.4, 8)
    assert tied.entropy() < both.entropy()


def test_a_family_without_its_new_coupling_is_the_ising_ring():
    ring, ising = NextNearestNeighbours(0.5, 0.0, 0.1, 8), rg.IsingChain(0.5, 0.1, n_sites=8)
    np.testing.assert_allclose(ring.probabilities(), ising.probabilities(), atol=1e-15)
    means = ring.mean_parameters()
    assert {name: means[name] for name in "Kh"} == pytest.approx(ising.mean_parameters(), abs=1e-12)


def test_the_couplings_of_a_family_are_read_off_a_law():
    law = rg.SpinLaw(RING.probabilities())
    estimate = rg.characteristic_parameters(law, RING.at({"K": 0.0}))
    assert estimate.values == pytest.approx(RING.parameters, abs=1e-9)
    samples = RING.sample(jax.random.key(3), 50_000)
    estimate = rg.characteristic_parameters(samples, RING)
    for name, value in RING.parameters.items():
        assert abs(estimate.values[name] - value) < 4 * estimate.standard_errors[name]


@pytest.mark.parametrize(
    "system",
    [RING, TwoReplicas(0.5, 0.4, 8), FourStatePotts(0.8, 8), ThreeStates()],
    ids=lambda system: type(system).__name__,
)
def test_a_system_is_trained_alone_and_in_an_ensemble(system):
    grid = {"n_sites": system.n_sites, "n_features": 2, "width": 16, "seed": [0, 1]}
    # not Adam, which makes steps of rounding where symmetry makes a gradient zero
    options = {"steps": 40, "records": 1, "optimizer": optax.sgd(0.3)}
    ensemble = rg.train_ensemble(grid, rg.Infomax(), system=lambda row: system, key=KEY, **options)
    for member in range(2):
        alone = rg.train(**ensemble.arguments(member), **options)
        assert ensemble.table.gap[member] == pytest.approx(alone.history.gap.iloc[-1], abs=1e-5)
        exact = rg.pushforward(system, alone.network)
        assert alone.history.gap.iloc[-1] == pytest.approx(exact.gap(), abs=1e-5)
        assert alone.history.gap.iloc[-1] < alone.history.gap.iloc[0]


def test_a_system_is_trained_on_minibatches():
    result = rg.train(network(), RING, rg.Infomax(), steps=200, batch_size=128, records=1, key=KEY)
    assert result.history.gap.iloc[-1] < 0.5 * result.history.gap.iloc[0]


def test_a_family_is_renormalized_beside_its_training():
    ring = NextNearestNeighbours(0.8, 0.0, 0.0, 8)
    result = rg.train(network(), ring, rg.Infomax(), steps=20, records=2, key=KEY)
    table = rg.correspondence(result, DecimationByThree(), n_steps=2)
    flow = table[table.flow == "renormalization"]
    assert flow.ratio.tolist() == [1, 3, 9]
    for row in flow.itertuples():
        chain = rg.IsingChain(float(np.arctanh(np.tanh(0.8) ** row.ratio)), n_sites=2)
        exact = rg.SpinLaw(chain.probabilities()).divergence() / 2
        assert row.gap == pytest.approx(exact, abs=1e-10)
    with pytest.raises(ValueError, match="L"):
        rg.correspondence(
            rg.train(network(), RING, rg.Infomax(), steps=2, key=KEY), rg.ising_decimation(2)
        )


def test_a_map_and_a_flow_of_ones_own():
    by_hand, derived = DecimationByThree(), rg.ising_decimation(3)
    for coupling in (-1.2, 0.3, 2.0):
        exact = derived.step({"K": coupling})["K"]
        assert by_hand.step({"K": coupling})["K"] == pytest.approx(exact, rel=1e-12)
    assert by_hand.scaling_dimensions({"K": 0.0}) == [-np.inf]
    flow = Relaxation().flow({"x": 2.0}, 3.0)
    assert flow["x"].iloc[-1] == pytest.approx(2 * np.exp(-3.0), rel=1e-5)
    assert Relaxation().scaling_dimensions({"x": 0.0}) == pytest.approx([-1.0])


@pytest.mark.parametrize(
    "channel", [WarmSpins(2.0), LaplaceChannel(1.0, 0.1)], ids=["warm", "Laplace"]
)
def test_a_channel_is_trained(channel):
    ring = rg.IsingChain(0.8, n_sites=8)
    options = {"steps": 100, "batch_size": 256, "records": 1, "key": KEY}
    history = rg.train(network(channel=channel), ring, rg.Infomax(), **options).history
    assert history.gap.iloc[-1] < history.gap.iloc[0]


def test_warm_spins_are_the_soft_channel_of_weaker_activations():
    ring = rg.IsingChain(0.8, n_sites=8)
    warm, soft = network(channel=WarmSpins(2.0)), network()
    halved = jax.tree.map(lambda leaf: leaf, soft)
    object.__setattr__(halved, "weights", (*soft.weights[:-1], soft.weights[-1] / 2))
    laws = (rg.pushforward(ring, kernel).probabilities for kernel in (warm, halved))
    np.testing.assert_allclose(*laws, atol=1e-7)


def test_a_kernel_of_fields_is_a_renormalization():
    chain = rg.ScalarChain((-1.0, 0.5), -0.4, n_sites=6)
    result = rg.train(
        network(6, rg.GaussianChannel()), chain, rg.Infomax(), steps=5, batch_size=256, records=1,
        key=KEY,
    )  # fmt: skip
    table = rg.correspondence(result, StaggeredAverage(3), n_steps=2, n_samples=20_000, key=KEY)
    flow = table[table.flow == "renormalization"]
    assert flow.ratio.tolist() == [1, 3, 9]
    mirrored = chain.at(chain.parameters | {"K": 0.4})
    other = rg.pushforward(
        mirrored.at(mirrored.parameters, n_sites=18), rg.block_average(9), n_samples=20_000, key=KEY
    )
    law = rg.pushforward(
        chain.at(chain.parameters, n_sites=18), StaggeredAverage(9), n_samples=20_000, key=KEY
    )
    difference = law.second_moment() - other.second_moment()
    errors = np.hypot(law.second_moment().standard_error, other.second_moment().standard_error)
    assert abs(difference) < 5 * errors


def test_an_objective_with_other_numbers_is_another():
    assert Balanced(0.5) == Balanced(0.5) != Balanced(100.0)
    ring, options = rg.IsingChain(0.5, 0.4, n_sites=8), {"steps": 60, "records": 1, "key": KEY}
    light, heavy = (
        rg.train(network(), ring, Balanced(strength), **options).laws[-1].means()
        for strength in (0.0, 100.0)
    )
    assert abs(heavy).max() < abs(light).max()


def test_a_finish_of_ones_own_ends_a_training():
    ring, options = rg.IsingChain(0.5, n_sites=8), {"steps": 60, "records": 1, "key": KEY}
    whole = rg.train(network(), ring, rg.Infomax(), **options).network
    pruned = rg.train(network(), ring, rg.Infomax(), finish=Pruned(0.5), **options)
    sizes = [np.abs(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(n)]))
             for n in (whole, pruned.network)]  # fmt: skip
    assert np.mean(sizes[0] == 0) < 0.1 and np.mean(sizes[1] == 0) == pytest.approx(0.5, abs=0.02)
    kept = sizes[1] > 0
    np.testing.assert_allclose(sizes[1][kept], sizes[0][kept], rtol=1e-5)
    grid = {"K": 0.5, "n_sites": 8, "n_features": 2, "width": 16, "seed": range(2)}
    members = rg.train_ensemble(grid, rg.Infomax(), steps=5, finish=Pruned(0.5), key=KEY)
    assert np.mean(np.asarray(members.network(1).weights[0]) == 0) > 0.3
    assert Pruned(0.5) == Pruned(0.5) != Pruned(0.1)


class Rows:
    """A lattice whose rows are eight open chains of eight spins that do not touch."""

    n_sites, values = 64, rg.Values.SPINS

    def sample(self, key, n_samples):
        chain = rg.IsingChain(1.0, n_sites=8, periodic=False)
        return chain.sample(key, 8 * n_samples).reshape(n_samples, 64)


def test_partners_of_ones_own_are_trained():
    network = rg.FCNetwork((4, 16, 1), rg.GaussianChannel(), key=jax.random.key(1))
    result = rg.train_layers(
        Rows(), rg.Relevance(), network, RowSquares(), levels=1, steps=300, key=KEY
    )
    row, t = result.records.iloc[-1], np.tanh(1.0)
    # blocks of two spins of a chain with two left out; two chains lie in a square
    assert row["correlation"] == pytest.approx(t**3 * (1 + t) / 2, abs=0.01)
    states = np.array(list(itertools.product((1, -1), repeat=4)))
    made = np.asarray(result.layers[0].batch(states))[:, 0]
    chains = np.stack([states[:, :2].sum(1), states[:, 2:].sum(1), np.ones(16)], axis=1)
    rest = made - chains @ np.linalg.lstsq(chains, made)[0]
    assert rest.var() < 0.02 * made.var()
    with pytest.raises(ValueError, match="lattice of 4k"):
        RowSquares().check(36)
