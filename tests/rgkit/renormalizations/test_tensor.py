"""Tensor renormalization against exact partition functions and exponents."""

import numpy as np
import pytest

import rgkit as rg

CRITICAL = float(np.log1p(2**0.5) / 2)
CATALAN = 0.915965594177219015
ONSAGER = np.log(2) / 2 + 2 * CATALAN / np.pi


def square(flow):
    return flow.table.query("step % 2 == 0")


@pytest.mark.parametrize("coupling", [0.0, 0.2, 0.8])
def test_small_tori_are_contracted_exactly(coupling):
    # nothing is discarded while the doubled bonds fit
    flow = rg.hotrg(rg.ising_tensor(coupling), bond_dimension=16, steps=4)
    for size, row in ((2, 1), (4, 3)):
        exact = rg.IsingTorus(coupling, size).log_partition() / size**2
        assert flow.table.log_partition[row] == pytest.approx(exact, rel=1e-11)
    assert flow.table.discarded.max() < 1e-13


@pytest.mark.parametrize("coupling", [0.3, CRITICAL, 0.55])
def test_large_tori_to_the_digits_of_the_truncation(coupling):
    flow = square(rg.hotrg(rg.ising_tensor(coupling), bond_dimension=8, steps=12))
    for row in flow.itertuples():
        exact = rg.IsingTorus(coupling, int(row.sites**0.5)).log_partition() / row.sites
        assert row.log_partition == pytest.approx(exact, rel=2e-4)


def test_the_critical_lattice_has_the_free_energy_and_dimensions_of_onsager():
    flow = rg.hotrg(rg.ising_tensor(CRITICAL), bond_dimension=16, steps=28)
    error = flow.table.log_partition.iloc[-1] / ONSAGER - 1
    assert abs(error) < 1e-6
    at_16 = flow.table.set_index("step").loc[8]
    assert at_16.dimension_1 == pytest.approx(1 / 8, abs=1e-3)
    assert at_16.dimension_2 == pytest.approx(1, abs=0.02)
    # fewer bonds lose more
    rough = rg.hotrg(rg.ising_tensor(CRITICAL), bond_dimension=6, steps=28)
    assert abs(rough.table.log_partition.iloc[-1] / ONSAGER - 1) > 1e-5


def test_away_from_it_the_tensor_ends_in_a_phase():
    hot, cold = (rg.hotrg(rg.ising_tensor(c), bond_dimension=8, steps=24) for c in (0.3, 0.6))
    # one state, or two of equal weight
    assert hot.table.dimension_1.isna().iloc[-1] or hot.table.dimension_1.iloc[-1] > 2
    assert abs(cold.table.dimension_1.iloc[-1]) < 1e-6
    assert hot.tensor.max() == 1 == cold.tensor.max()


def test_another_model_gives_another_flow():
    """Three-state Potts spins at their critical coupling, exact by duality."""
    coupling = np.log1p(3**0.5)
    bond = np.exp(coupling * np.eye(3))
    values, vectors = np.linalg.eigh(bond)
    root = vectors * np.sqrt(values)
    tensor = np.einsum("sl,sr,su,sd->lrud", root, root, root, root)
    flow = rg.hotrg(tensor, bond_dimension=12, steps=20)
    # R. J. Baxter, J. Phys. C 6, L445 (1973): ln z per site at the critical point
    exact = 2.070187
    assert flow.table.log_partition.iloc[-1] == pytest.approx(exact, rel=3e-4)
    at_8 = flow.table.set_index("step").loc[6]
    assert at_8.dimension_1 == pytest.approx(2 / 15, abs=3e-3)
    assert at_8.dimension_2 == pytest.approx(at_8.dimension_1, abs=1e-6), "two fields of spins"


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: rg.ising_tensor(-1.0), ValueError, "coupling must not be negative"),
        (lambda: rg.hotrg(np.ones((2, 2)), bond_dimension=4, steps=1), ValueError, "tensor must"),
        (lambda: rg.hotrg(np.ones((2, 3, 2, 2)), bond_dimension=4, steps=1), ValueError, "bonds"),
        (lambda: rg.hotrg(rg.ising_tensor(1.0), bond_dimension=99, steps=1), ValueError, "seventh"),
        (lambda: rg.hotrg(rg.ising_tensor(1.0), bond_dimension=4, steps=0), ValueError, "steps"),
    ],
)
def test_bad_tensors_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
