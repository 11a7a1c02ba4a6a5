"""What the page computes by itself, held against the package."""

import math

import numpy as np
import pytest

import rgkit as rg


def decimated(coupling, b):
    """Return the coupling after decimation without field."""
    return math.atanh(math.tanh(coupling) ** b)


@pytest.mark.parametrize("coupling", [0.5, 1.0, 2.0])
def test_the_opening_gap_of_decimation(turn_to, coupling):
    chart = turn_to("book/index").figure("fig-opening")
    chart.set(K=coupling)
    rows = chart.drawn("K", "b", "gap")
    exact = [
        math.log(2) - rg.IsingChain(decimated(coupling, row["b"]), n_sites=4).entropy() / 4
        for row in rows
    ]
    assert len(rows) > 3 and {row["K"] for row in rows} == {coupling}
    np.testing.assert_allclose([row["gap"] for row in rows], exact, atol=1e-6)


def test_entropy_and_correlation_length_with_a_field(turn_to):
    chart = turn_to("book/ising/chain-of-spins").figure("fig-two-readings")
    chart.set(h=0.4)
    fields = set()
    for rows in chart.sets("K", "bits", "xi"):
        field = 0.4 if rows[0]["m"] else 0.0
        fields.add(field)
        chains = [rg.IsingChain(row["K"], field, n_sites=2) for row in rows]
        bits = [chain.entropy_rate() / math.log(2) for chain in chains]
        np.testing.assert_allclose([row["bits"] for row in rows], bits, atol=1e-9)
        np.testing.assert_allclose(
            [row["xi"] for row in rows], [chain.correlation_length() for chain in chains], rtol=1e-8
        )
    assert fields == {0.0, 0.4}


@pytest.mark.parametrize("start, block", [(1.5, 2), (-1.0, 3), (0.7, 5)])
def test_the_cobweb_follows_the_flow(turn_to, start, block):
    chart = turn_to("book/ising/renormalizing-the-chain").figure("fig-cobweb")
    chart.set(start=start, block=block)
    rows = chart.rows("n", "K")[:4]
    flow = rg.ising_decimation(block).flow({"K": start}, n_steps=3)["K"]
    np.testing.assert_allclose([row["K"] for row in rows], flow.astype(float), atol=1e-9)


@pytest.mark.parametrize("size", [2, 3])
def test_the_flow_in_the_plane(turn_to, size):
    chart = turn_to("book/ising/renormalizing-the-chain").figure("fig-flow-plane")
    chart.set(K0=1.2, h0=0.3, size=size)
    rows = sorted(chart.rows("n", "K", "h"), key=lambda row: row["n"])[:4]
    flow = rg.ising_decimation(size).flow({"K": 1.2, "h": 0.3}, n_steps=3)
    np.testing.assert_allclose([row["K"] for row in rows], flow["K"].astype(float), atol=1e-9)
    np.testing.assert_allclose([row["h"] for row in rows], flow["h"].astype(float), atol=1e-9)


def test_the_entropy_that_survives(turn_to):
    chart = turn_to("book/ising/renormalizing-the-chain").figure("fig-survives")
    chart.set(keep=4)
    rows = [row for row in chart.rows("K", "share", "after") if 0.1 < row["K"] < 2.5]
    kept = np.array(
        [rg.IsingChain(decimated(row["K"], 4), n_sites=2).entropy_rate() for row in rows]
    )
    whole = np.array([rg.IsingChain(row["K"], n_sites=2).entropy_rate() for row in rows])
    np.testing.assert_allclose([row["share"] for row in rows], kept / 4 / whole, atol=1e-9)
    np.testing.assert_allclose([row["after"] for row in rows], math.log(2) - kept, atol=1e-9)


def test_the_two_distances_sit_at_the_decimated_coupling(turn_to):
    chart = turn_to("book/ising/coarse-graining-kernels").figure("fig-two-distances")
    chart.set(start=1.3, block=4)
    marks = min(chart.sets("K", "distance", "nats"), key=len)
    coupling = decimated(1.3, 4)
    exact = [
        math.log(2) - rg.IsingChain(coupling, n_sites=2).entropy_rate(),
        math.log1p(math.exp(-2 * coupling)),
    ]
    np.testing.assert_allclose([row["K"] for row in marks], coupling, atol=1e-9)
    np.testing.assert_allclose(sorted(row["nats"] for row in marks), sorted(exact), atol=1e-6)


@pytest.mark.parametrize("r, u", [(-1.0, 0.5), (2.0, 1.5)])
def test_the_density_on_two_maps(turn_to, r, u):
    chart = turn_to("book/fields/exponential-families").figure("fig-two-charts")
    chart.set(r=r, u=u)
    rows = chart.rows("x", "density", "m2")
    phi = np.linspace(-6, 6, 2401)
    weight = np.exp(-r / 2 * phi**2 - u * phi**4)
    weight /= np.trapezoid(weight, phi)
    np.testing.assert_allclose(
        [row["density"] for row in rows],
        np.interp([row["x"] for row in rows], phi, weight),
        atol=1e-4,
    )
    np.testing.assert_allclose(rows[0]["m2"], np.trapezoid(phi**2 * weight, phi), atol=1e-6)


@pytest.mark.parametrize("block", [1, 7, 24])
def test_the_density_of_block_averages(turn_to, block):
    chart = turn_to("book/fields/block-averages").figure("fig-peaks-to-bell")
    chart.set(b=block)
    shown = [
        rows
        for rows in chart.sets("b", "y", "density")
        if {row["b"] for row in rows} == {block} and "end" not in rows[0]
    ]
    points, density = rg.ScalarChain((-6.0, 1.5), 0.5, n_sites=48).block_average_density(block)
    for rows in shown:
        np.testing.assert_allclose(
            [row["density"] for row in rows],
            np.interp([row["y"] for row in rows], points, density, left=0, right=0),
            atol=1e-4,
        )
    assert shown and len(shown[0]) > 40


@pytest.mark.parametrize("block", [1, 10, 60])
def test_the_joint_density_of_kept_sites(turn_to, block):
    chart = turn_to("book/fields/chain-of-fields").figure("fig-field-decimation")
    chart.set(b=block)
    rows = chart.drawn("a", "c", "p")
    cell = 4 / 29
    first, second, density = (np.array([row[name] for row in rows]) for name in ("a", "c", "p"))
    correlation = np.sum((first + cell / 2) * (second + cell / 2) * density) / density.sum()
    exact = rg.ScalarChain((-1.76, 1.0), 2.0, n_sites=600).correlation(block)
    assert len(rows) == 29**2 and abs(correlation - exact) < 0.01
