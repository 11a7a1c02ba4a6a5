"""The Ising model on a torus: exact sums against enumeration, samples against exact sums."""

import jax
import numpy as np
import pytest

import rgkit as rg

CRITICAL = float(np.log1p(2**0.5) / 2)
COUPLINGS = [0.0, 0.1, CRITICAL, 0.7, 1.5]


@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize("size", [2, 3, 4])
def test_four_products_are_the_partition_function(size, coupling):
    torus = rg.IsingTorus(coupling, size)
    bonds = torus.bond_sum(torus.configurations())
    weights = np.exp(coupling * bonds)
    assert torus.log_partition() == pytest.approx(np.log(weights.sum()), abs=1e-12)
    mean = weights @ bonds / weights.sum()
    assert torus.mean_bond_sum() == pytest.approx(mean, abs=1e-11)
    assert torus.probabilities() @ bonds == pytest.approx(mean, abs=1e-11)


@pytest.mark.parametrize("coupling", [0.2, CRITICAL, 0.6])
def test_the_mean_sum_of_bonds_is_the_derivative(coupling):
    step = 1e-5
    logs = [rg.IsingTorus(coupling + s, 32).log_partition() for s in (-step, step)]
    slope = (logs[1] - logs[0]) / (2 * step)
    assert rg.IsingTorus(coupling, 32).mean_bond_sum() == pytest.approx(slope, rel=1e-7)


def test_a_large_torus_has_the_energy_of_onsager():
    # at the critical point the infinite lattice has sqrt(2) per site, and corrections are 1/L
    per_site = [rg.IsingTorus(CRITICAL, size).mean_bond_sum() / size**2 for size in (64, 128)]
    assert 2 * per_site[1] - per_site[0] == pytest.approx(2**0.5, abs=1e-5)


@pytest.mark.parametrize("coupling", COUPLINGS[:-1])  # the last one is all order
def test_samples_have_the_exact_energy(coupling, key):
    torus = rg.IsingTorus(coupling, 8, (40, 5))
    bonds = torus.bond_sum(torus.sample(key, 2048))
    # rows of one chain are 128 apart: errors from chains, which are independent
    chains = bonds.reshape(-1, 128).mean(0)
    error = chains.std(ddof=1) / len(chains) ** 0.5
    assert abs(bonds.mean() - torus.mean_bond_sum()) <= 4 * error
    other = rg.IsingTorus(1.15 * coupling + 0.05, 8).mean_bond_sum()
    assert abs(bonds.mean() - other) > 4 * error


def test_every_configuration_comes_with_its_probability():
    torus = rg.IsingTorus(0.3, 2, (20, 3))
    drawn = np.asarray(torus.sample(jax.random.key(5), 2**15))
    counts = np.bincount((drawn < 0) @ (1 << np.arange(4)), minlength=16)
    expected = 2**15 * torus.probabilities()
    assert ((counts - expected) ** 2 / expected).sum() < 45  # 15 degrees of freedom, slight memory


def test_a_chain_of_clusters_flips_both_phases():
    magnetisation = np.asarray(rg.IsingTorus(0.8, 16).sample(jax.random.key(1), 512)).mean(1)
    assert abs(np.sign(magnetisation).mean()) < 0.2 and np.abs(magnetisation).mean() > 0.95


def test_a_torus_can_be_enumerated_and_trained_on(key):
    torus = rg.IsingTorus(0.4, 3)
    network = rg.FCNetwork((9, 8, 2), rg.SpinChannel(), key=key)
    exact = rg.pushforward(torus, network)
    sampled = rg.pushforward(torus, network, n_samples=4096, key=key)
    np.testing.assert_allclose(exact.probabilities, sampled.probabilities, atol=0.04)
    result = rg.train(network, torus, rg.Infomax(), steps=20, batch_size=64, records=1, key=key)
    assert np.isfinite(result.history.gap).all()


def test_bonds_of_numbers_of_any_kind_and_any_leading_axes():
    torus = rg.IsingTorus(0.3, 3)
    rows = torus.configurations()[:8]
    bonds = torus.bond_sum(rows)
    np.testing.assert_array_equal(torus.bond_sum(rows.astype(np.float32)), bonds)
    np.testing.assert_array_equal(torus.bond_sum(rows.reshape(2, 4, 9)), bonds.reshape(2, 4))
    with pytest.raises(ValueError, match="9 sites on its last axis"):
        torus.bond_sum(rows[:, :4])


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: rg.IsingTorus(-0.1, 4), ValueError, "coupling must not be negative"),
        (lambda: rg.IsingTorus(0.4, 1), ValueError, "size must be at least 2"),
        (lambda: rg.IsingTorus("hot", 4), TypeError, "coupling must be a real number"),
        (lambda: rg.IsingTorus(0.4, 4, (0, 3)), ValueError, r"sweeps\[0\] must be at least 1"),
        (lambda: rg.IsingTorus(0.4, 4, 30), TypeError, "sweeps must be two integers"),
        (lambda: rg.IsingTorus(0.4, 6).probabilities(), ValueError, "too large to enumerate"),
        (lambda: rg.IsingTorus(0.4, 4).sample(0, 3), TypeError, "key"),
    ],
)
def test_bad_tori_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
