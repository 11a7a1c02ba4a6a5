"""Couplings up to a thousand: every map stays a number and has the right limit, by mpmath."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import sympy as sp

import rgkit as rg

SIZES = (0.0, 1e-3, 0.3, 5.0, 40.0, 1000.0)
BOTH_SIGNS = sorted({sign * size for size in SIZES for sign in (1, -1)})
J = sp.Symbol("J", real=True)


def decimated(coupling, field, b):
    """K', h' and ln A from the b-th power of the transfer matrix, in 4000 digits."""
    with mpmath.workdps(4000):
        k, h = mpmath.mpf(coupling), mpmath.mpf(field)
        up, down, apart = mpmath.exp(k + h), mpmath.exp(k - h), mpmath.exp(-k)
        power = mpmath.matrix([[up, apart], [apart, down]]) ** b
        plus, minus, wall = (mpmath.log(power[i]) for i in ((0, 0), (1, 1), (0, 1)))
        new = (plus + minus - 2 * wall) / 4, (plus - minus) / 2, (plus + minus + 2 * wall) / 4
        return [float(number) for number in new]


@pytest.mark.parametrize("b", [2, 3])
@pytest.mark.parametrize("coupling", BOTH_SIGNS)
def test_decimation(b, coupling):
    step = rg.ising_decimation(b)
    for field in SIZES:
        values = {"K": coupling, "h": field}
        k_new, h_new, constant = decimated(coupling, field, b)
        # what is added and taken away is b bonds and b fields, each rounded
        rounding = 8 * np.finfo(float).eps * b * (1 + abs(coupling) + abs(field))
        new = step.step(values)
        assert new["K"] == pytest.approx(k_new, abs=rounding)
        assert new["h"] == pytest.approx(h_new, abs=rounding)
        assert step.log_constant(values) == pytest.approx(constant, abs=rounding)


@pytest.mark.parametrize("coupling", [1000.0, -1000.0, 300.0])
def test_a_potts_chain(coupling):
    step = rg.transfer_matrix_decimation(lambda s, t: J * int(s == t), range(3), (J,), 2)
    with mpmath.workdps(2000):
        x = mpmath.exp(mpmath.mpf(coupling))
        exact = float(mpmath.log((x**2 + 2) / (2 * x + 1)))
    assert step.step({"J": coupling})["J"] == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize(("b", "dimension"), [(2, 1), (2, 2), (3, 2), (1.5, 2.5), (2, 4)])
def test_moved_bonds(b, dimension):
    step = rg.migdal_kadanoff(b, dimension)
    for coupling in BOTH_SIGNS if float(b).is_integer() else SIZES:
        with mpmath.workdps(60 + int(2 * b ** (dimension - 1) * abs(coupling))):
            moved = mpmath.mpf(b) ** (mpmath.mpf(dimension) - 1) * mpmath.mpf(coupling)
            exact = float(mpmath.atanh(mpmath.tanh(moved) ** b))
        assert step.step({"K": coupling})["K"] == pytest.approx(exact, rel=1e-12, abs=1e-300)


def test_moved_bonds_flow_on_to_infinity_without_leaving_the_numbers():
    flow = rg.migdal_kadanoff(2, 3).flow({"K": 1000.0}, 600)["K"]
    assert not flow.isna().any() and flow.iloc[-1] == math.inf
    finite = flow[np.isfinite(flow)].to_numpy()
    np.testing.assert_allclose(finite[1:], 4 * finite[:-1] - math.log(2) / 2, rtol=1e-14)


def exact_moments(model, beta, levels, n_moments):
    """Moments of blocks of Ising spins, in mpmath, from the recursion with the full degree kept."""
    with mpmath.workdps(400):
        c, order = mpmath.mpf(2) ** (1 - 2 / mpmath.mpf(model.dimension)), model.order
        moments = [mpmath.mpf(beta) ** l for l in range(order + 1)]
        for _ in range(levels):
            summed = [
                (c / 4) ** l
                * mpmath.fsum(
                    mpmath.binomial(2 * l, 2 * j) * moments[j] * moments[l - j]
                    for j in range(max(0, l - order), min(l, order) + 1)
                )
                for l in range(2 * order + 1)
            ]
            tilted = [
                mpmath.fsum(
                    summed[l + j] / (mpmath.mpf(2) ** j * mpmath.factorial(j))
                    for j in range(2 * order + 1 - l)
                )
                for l in range(order + 1)
            ]
            moments = [moment / tilted[0] for moment in tilted]
        return [float(moment) for moment in moments[1 : n_moments + 1]]


@pytest.mark.parametrize("beta", [1e-9, 1e-3, 1.0, 1e3, 1e5])
@pytest.mark.parametrize("order", [10, 50])
def test_blocks_of_any_temperature(beta, order):
    model = rg.hierarchical(3, order)
    end = model.flow(model.start(beta, [1.0]), 3).iloc[-1][list(model.names)]
    exact = exact_moments(model, beta, 3, 4)
    np.testing.assert_allclose(model.moments(end)[:4], exact, rtol=1e-11)


@pytest.mark.parametrize("about", ["minimum", "origin"])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_rates_of_a_strong_potential(about, size):
    flow = rg.lpa(3, 4, about)
    values = dict(zip(flow.names, (size, size, -size / 3, size / 5), strict=True))
    exact = {symbol: sp.Rational(values[symbol.name]) for symbol in flow.couplings}
    for name, rate in flow.beta(values).items():
        expected = float(flow.expressions[name].subs(exact).evalf(50))
        # of rates of the size of the couplings the rounding is left
        assert rate == pytest.approx(expected, rel=1e-9, abs=1e-13 * size)


@pytest.mark.parametrize(("r", "u"), list(itertools.product((-0.999, 0.0, 1e3), (0.0, 1e-3, 1e3))))
def test_rates_of_strong_couplings(r, u):
    stiffness = 1 + sp.Rational(r)
    exact = {
        "r": float(2 * sp.Rational(r) + 12 * sp.Rational(u) / stiffness),
        "u": float(sp.Rational(u) - 36 * sp.Rational(u) ** 2 / stiffness**2),
    }
    assert rg.one_loop(1.0).beta({"r": r, "u": u}) == pytest.approx(exact, rel=1e-12)


def test_a_strong_coupling_has_run_away_at_once():
    table = rg.one_loop(1.0).flow({"r": 1e7, "u": 1e3}, 5.0)
    assert len(table) == 1 and table.r[0] == 1e7
    assert "coupling r has passed 1e+06 in size" in table.attrs["stopped"]
