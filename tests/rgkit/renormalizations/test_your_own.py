"""Renormalizations that a user writes: what follows from names, a scale factor and the map."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import rgkit as rg


class DecimationByThree(rg.RGMap):
    """Decimation of the Ising chain by hand."""

    names = ("K",)
    scale_factor = 3

    def image(self, theta):
        return np.arctanh(np.tanh(theta) ** 3)


class BondsThenDecimation(rg.RGMap):
    """Migdal and Kadanoff in two dimensions, as a formula."""

    names = ("K",)
    scale_factor = 2

    def derive(self):
        (coupling,) = self.couplings
        return {"K": sp.log(sp.cosh(4 * coupling)) / 2}


class ByHandAsNumbers(BondsThenDecimation):
    def image(self, theta):
        return [math.log(math.cosh(4 * theta[0])) / 2]

    def derive(self):
        return {}


class Vortices(rg.RGFlow):
    """The flow of Kosterlitz and Thouless: x**2 - y**2 is kept."""

    names = ("x", "y")

    def derive(self):
        x, y = self.couplings
        return {"x": -(y**2), "y": -x * y}


class VorticesAsNumbers(rg.RGFlow):
    names = ("x", "y")

    def velocity(self, theta):
        x, y = theta
        return [-jnp.square(y), -x * y]


class Spiral(rg.RGFlow):
    """A point that is approached in a spiral, with the rates 2 +- i."""

    names = ("x", "y")

    def velocity(self, theta):
        x, y = theta
        return [2 * (x - 1) - (y + 1), (x - 1) + 2 * (y + 1)]


class OnTheHalfLine(rg.RGFlow):
    """dx/dl = -x ln x: the logarithm shrinks, and x stays positive."""

    names = ("x",)

    def velocity(self, theta):
        return -theta * jnp.log(theta)

    def domain(self, theta):
        return {"the coupling has lost its sign": theta[0]}


class Affine(rg.RGMap):
    names = ("x", "y")
    scale_factor = 2.0
    matrix = np.array([[4.0, 1.0], [0.0, 0.5]])

    def image(self, theta):
        return self.matrix @ (theta - 1) + 1


MAPS = {"by hand": DecimationByThree(), "formula": BondsThenDecimation(), "pair": Affine()}


# Maps


@given(st.floats(-2, 2))
def test_decimation_by_hand_is_the_derived_one(coupling):
    step = DecimationByThree().step({"K": coupling})["K"]
    assert step == pytest.approx(rg.ising_decimation(3).step({"K": coupling})["K"], abs=1e-14)


@given(st.floats(-2, 2))
def test_a_map_by_its_formula_is_the_packages_own(coupling):
    step = BondsThenDecimation().step({"K": coupling})["K"]
    exact = rg.migdal_kadanoff(2, 2).step({"K": coupling})["K"]
    assert step == pytest.approx(exact, abs=1e-14)


def test_the_flow_table_of_a_map():
    table = DecimationByThree().flow({"K": 0.9}, 3)
    assert table.columns.tolist() == ["step", "scale", "K"]
    assert table.scale.tolist() == [1, 3, 9, 27]
    exact = np.arctanh(np.tanh(0.9) ** np.array([1, 3, 9, 27]))
    np.testing.assert_allclose(table.K, exact, rtol=1e-12)


@pytest.mark.parametrize(
    "own", [BondsThenDecimation(), ByHandAsNumbers()], ids=["formula", "numbers"]
)
def test_fixed_points_and_dimensions_follow(own):
    package = rg.migdal_kadanoff(2, 2)
    known = [point for point in package.fixed_points() if math.isfinite(point["K"])]
    found = own.fixed_points()
    assert [p["K"] for p in found] == pytest.approx([p["K"] for p in known], abs=1e-12)
    assert own.scaling_dimensions(found[0]) == [-math.inf]
    exact = package.scaling_dimensions(known[1])
    assert own.scaling_dimensions(found[1]) == pytest.approx(exact, abs=1e-9)
    assert all("Newton" in point.note for point in found)


def test_the_search_finds_no_more_than_there_is():
    assert DecimationByThree().fixed_points() == [{"K": 0.0}]
    (point,) = Affine().fixed_points()
    assert point == pytest.approx({"x": 1.0, "y": 1.0}, abs=1e-12)
    assert Affine().scaling_dimensions(point) == pytest.approx([2.0, -1.0], abs=1e-9)


@pytest.mark.parametrize("coupling", [0.0, 1e-3, 0.4, -1.3])
def test_slopes_by_differences_and_by_formula(coupling):
    slope = math.tanh(4 * coupling) * 2
    for own in (ByHandAsNumbers(), BondsThenDecimation()):
        matrix = own.linearization({"K": coupling})
        np.testing.assert_allclose(matrix, [[slope]], atol=1e-10)


def test_latex_needs_a_formula():
    assert BondsThenDecimation().latex().startswith(r"\begin{aligned}K' &= \frac{\ln")
    with pytest.raises(
        ValueError, match="ByHandAsNumbers has no closed form: give it a method `der"
    ):
        ByHandAsNumbers().latex()
    assert ByHandAsNumbers().expressions == {}


# Flows


@pytest.mark.parametrize("own", [Vortices(), VorticesAsNumbers()], ids=["formula", "numbers"])
def test_a_flow_keeps_what_is_kept(own):
    table = own.flow({"x": 0.6, "y": 0.3}, 3.0, n_points=7)
    kept = table.x**2 - table.y**2
    np.testing.assert_allclose(kept, 0.6**2 - 0.3**2, rtol=1e-8)
    assert table.x.iloc[-1] < 0.6 and table.attrs["stopped"] is None
    assert own.beta({"x": 0.6, "y": 0.3}) == pytest.approx({"x": -0.09, "y": -0.18}, rel=1e-14)
    slopes = own.linearization({"x": 0.6, "y": 0.3})
    np.testing.assert_allclose(slopes, [[0, -0.6], [-0.3, -0.6]], rtol=1e-14)


def test_a_flow_that_spirals_has_a_pair_of_dimensions():
    (point,) = Spiral().fixed_points()
    assert point == pytest.approx({"x": 1.0, "y": -1.0}, abs=1e-12)
    assert Spiral().scaling_dimensions(point) == pytest.approx([2 + 1j, 2 - 1j], abs=1e-12)


def test_a_domain_of_ones_own():
    own = OnTheHalfLine()
    table = own.flow({"x": 3.0}, 2.0, n_points=3)
    np.testing.assert_allclose(table.x, 3.0 ** np.exp([0.0, -1.0, -2.0]), rtol=1e-8)
    assert own.fixed_points() == [pytest.approx({"x": 1.0}, abs=1e-12)]
    with pytest.raises(ValueError, match="not defined at .*the coupling has lost its sign"):
        own.beta({"x": -1.0})


# Through the systems of a family


@dataclasses.dataclass(frozen=True)
class FreeSpins:
    """Spins in a field h, each on its own, with a coupling L to nothing."""

    h: float
    L: float = 0.0
    n_sites: int = 3
    values: rg.Values = rg.Values.SPINS

    @property
    def parameters(self):
        return {"h": self.h, "L": self.L}

    def sample(self, key, n_samples):
        raise NotImplementedError

    def statistics(self, x):
        raise NotImplementedError

    def mean_parameters(self):
        raise NotImplementedError

    def fisher_information(self):
        raise NotImplementedError

    def at(self, parameters, *, n_sites=None):
        return FreeSpins(**parameters, n_sites=self.n_sites if n_sites is None else n_sites)


class MajorityOfThree(rg.RGMap):
    names = ("h",)
    scale_factor = 3

    def image(self, theta):
        mean = np.tanh(theta)
        return np.arctanh((3 * mean - mean**3) / 2)


def test_the_members_of_a_family_that_a_map_flows_through():
    pairs = list(MajorityOfThree().systems(FreeSpins(0.1), 2, n_sites=5))
    flow = MajorityOfThree().flow({"h": 0.1}, 2)
    assert [ratio for ratio, _ in pairs] == [1, 3, 9]
    assert [member.h for _, member in pairs] == flow.h.tolist()
    assert {member.n_sites for _, member in pairs} == {5}
    # three spins of mean m have the majority +1 with the probability ((1 + m)/2)**2 (2 - m)/2 * 2
    up = (1 + math.tanh(0.1)) / 2
    exact = math.atanh(2 * (up**3 + 3 * up**2 * (1 - up)) - 1)
    assert pairs[1][1].h == pytest.approx(exact, rel=1e-12)


def test_members_have_as_many_sites_unless_told_otherwise():
    ring = rg.IsingChain(0.8, 0.1, n_sites=5)
    pairs = list(rg.ising_decimation(2).systems(ring, 3))
    assert pairs[0] == (1.0, ring)
    flow = rg.ising_decimation(2).flow(ring.parameters, 3)
    assert [member.parameters for _, member in pairs] == flow[["K", "h"]].to_dict("records")


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: MajorityOfThree().systems(FreeSpins(0.1, L=0.2), 1), ValueError, "has L = 0.2"),
        (lambda: DecimationByThree().systems(FreeSpins(0.1), 1), ValueError, "has no K among h, L"),
        (
            lambda: DecimationByThree().systems(rg.IsingChain(1.0, 0.1, n_sites=4), 1),
            ValueError,
            "system has h = 0.1, which the renormalization of K does not carry along",
        ),
        (lambda: DecimationByThree().systems({"K": 1.0}, 1), TypeError, "system must be a family"),
        (lambda: MajorityOfThree().systems(FreeSpins(0.1), 1.5), TypeError, "n_steps must be an"),
        (
            lambda: MajorityOfThree().systems(FreeSpins(0.1), 1, n_sites="5"),
            TypeError,
            "n_sites must be an integer",
        ),
    ],
)
def test_what_does_not_flow_is_refused_at_once(call, error, message):
    with pytest.raises(error, match=message):
        call()


# Mistakes in the user's file


def own(base, **attributes):
    return type("Mine", (base,), attributes)()


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: own(rg.RGMap).step({"K": 1}), TypeError, r"Mine.names must be a tuple"),
        (lambda: own(rg.RGMap, names="K").step({"K": 1}), TypeError, r'write names = \("K",\)'),
        (lambda: own(rg.RGMap, names=("K", "K")).step({"K": 1}), TypeError, "different names"),
        (lambda: own(rg.RGMap, names=("K",)).step({"K": 1}), ValueError, "give it a method `deri"),
        (
            lambda: own(rg.RGMap, names=("K",), image=lambda _, x: x).flow({"K": 1}, 1),
            TypeError,
            "Mine.scale_factor must be a real number",
        ),
        (
            lambda: own(rg.RGMap, names=("K",), scale_factor=1, image=lambda _, x: x).flow(
                {"K": 1}, 1
            ),
            ValueError,
            "Mine.scale_factor must be above 1",
        ),
        (
            lambda: own(rg.RGMap, names=("K",), image=lambda _, x: [x[0], 1.0]).step({"K": 1}),
            ValueError,
            r"must be 1 numbers, one for each of K, got an array of shape \(2,\)",
        ),
        (
            lambda: own(rg.RGMap, names=("K",), image=lambda _, x: [math.atanh(x[0])]).step(
                {"K": 2}
            ),
            ValueError,
            r"the image under Mine at \{'K': 2.0\} is not defined",
        ),
        (
            lambda: own(rg.RGMap, names=("K",), image=lambda _, x: [1 / float(x[0])]).step(
                {"K": 0}
            ),
            ValueError,
            "is not defined: float division by zero",
        ),
        (
            lambda: own(rg.RGMap, names=("K",), image=lambda _, x: x * math.nan).step({"K": 2}),
            ValueError,
            r"at \{'K': 2.0\} is \[nan\]",
        ),
        (
            lambda: own(rg.RGMap, names=("K",), derive=lambda _: {"L": sp.S.One}).step({"K": 2}),
            ValueError,
            "Mine.derive must give an expression for each of K, got L",
        ),
        (
            lambda: own(rg.RGMap, names=("K",), derive=lambda _: {"K": sp.Symbol("K")}).step(
                {"K": 2}
            ),
            ValueError,
            "Mine.derive contains K, which is none of the symbols in self.couplings",
        ),
        (
            lambda: DecimationByThree().scaling_dimensions({"K": math.inf}),
            ValueError,
            r"take it from `\.fixed_points\(\)`",
        ),
        (
            lambda: DecimationByThree().linearization({"K": math.inf}),
            ValueError,
            "are regular there",
        ),
        (
            lambda: own(rg.RGFlow, names=("x",), velocity=lambda _, x: [math.sin(x[0])]).flow(
                {"x": 1}, 1
            ),
            TypeError,
            "must be made of arithmetic and functions of jax.numpy",
        ),
        (
            lambda: own(
                rg.RGFlow, names=("x",), velocity=lambda _, x: [x[0] if x[0] > 0 else 0]
            ).linearization({"x": 1}),
            TypeError,
            "without branches",
        ),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
