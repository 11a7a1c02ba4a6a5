"""What is no coupling, no symbol or no number is refused with a sentence; what is one is taken."""

import fractions
import math

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import sympy as sp

import rgkit as rg
from rgkit.renormalizations.decimation import H, K
from rgkit.renormalizations.momentum_shell import FIELD, MomentumShell, R, U

J = sp.Symbol("J", real=True)
DECIMATION, LATTICE = rg.ising_decimation(2), rg.migdal_kadanoff(2, 2)
SHELL, POTENTIAL, TREE = rg.one_loop(1.0), rg.lpa(3, 2), rg.hierarchical(3, 3)
TREE_START = TREE.start(1.0, [1.0])

# every method that takes couplings, for a renormalization, one of its couplings, and all of them
READERS = {
    "step": (DECIMATION.step, "K", {"K": 1.0}),
    "log_constant": (DECIMATION.log_constant, "K", {"K": 1.0}),
    "flow of decimation": (lambda v: DECIMATION.flow(v, 2), "K", {"K": 1.0}),
    "linearization": (DECIMATION.linearization, "K", {"K": 0.0}),
    "step of bonds": (LATTICE.step, "K", {"K": 1.0}),
    "flow of bonds": (lambda v: LATTICE.flow(v, 2), "K", {"K": 1.0}),
    "linearization of bonds": (LATTICE.linearization, "K", {"K": 1.0}),
    "dimensions of bonds": (LATTICE.scaling_dimensions, "K", {"K": 0.0}),
    "beta": (SHELL.beta, "r", {"r": 0.1, "u": 0.1}),
    "flow": (lambda v: SHELL.flow(v, 0.1, n_points=2), "r", {"r": 0.1, "u": 0.1}),
    "linearization of the shell": (SHELL.linearization, "r", {"r": 0.1, "u": 0.1}),
    "dimensions": (SHELL.scaling_dimensions, "r", {"r": 0.0, "u": 0.0}),
    "potential": (POTENTIAL.potential, "l2", {"kappa": 1.0, "l2": 0.1}),
    "beta of the potential": (POTENTIAL.beta, "l2", {"kappa": 1.0, "l2": 0.1}),
    "moments": (TREE.moments, "a_1", TREE_START),
    "step of the tree": (TREE.step, "a_1", TREE_START),
    "fixed_point_near": (TREE.fixed_point_near, "a_1", TREE.fixed_points()[2]),
    "dimensions of the tree": (TREE.scaling_dimensions, "a_1", TREE.fixed_points()[0]),
}


@pytest.mark.as_a_user
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "values", [1.0, [1.0, 2.0], None, "K", np.ones(2), pd.DataFrame({"K": [1.0]}), {"K"}],
    ids=lambda values: type(values).__name__,
)  # fmt: skip
def test_couplings_come_by_name(reader, values):
    read, _, _ = READERS[reader]
    with pytest.raises(TypeError, match="must map the names of the couplings to numbers, got"):
        read(values)


@pytest.mark.as_a_user
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("1.0", TypeError, "must be a real number"),
        (None, TypeError, "must be a real number"),
        (np.ones(1), TypeError, "must be a real number"),
        (jnp.ones((2, 2)), TypeError, "must be a real number"),
        ([1.0], TypeError, "must be a real number"),
        (1.0 + 0j, TypeError, "must be real"),
        (sp.Symbol("x"), TypeError, "must be a real number"),
        (math.nan, ValueError, "must be finite|is not a number"),
        (np.float32(math.nan), ValueError, "must be finite|is not a number"),
    ],
    ids=str,
)
def test_a_coupling_is_one_real_number(reader, value, error, message):
    read, name, values = READERS[reader]
    with pytest.raises(error, match=message) as raised:
        read(values | {name: value})
    assert name in str(raised.value)


@pytest.mark.parametrize("reader", READERS)
def test_names_are_known_and_complete(reader):
    read, name, values = READERS[reader]
    with pytest.raises(ValueError, match="unknown coupling 'stray'.*leave out the others"):
        read(values | {"stray": 0.0})
    with pytest.raises(ValueError, match=f"coupling '{name}' is missing: give a value for it"):
        read({other: value for other, value in values.items() if other != name})


TOLERATED = [
    pytest.param(kind, marks=pytest.mark.as_a_user) for kind in (fractions.Fraction, sp.Float)
]


@pytest.mark.parametrize(
    "number", [np.float64, np.float32, np.array, jnp.asarray, jnp.float32, *TOLERATED]
)
def test_numbers_of_all_kinds_are_taken(number):
    exact = DECIMATION.step({"K": 0.5, "h": 0.25})
    assert DECIMATION.step({"K": number(0.5), "h": number(0.25)}) == exact
    assert SHELL.beta({"r": number(0.5), "u": 0.25}) == SHELL.beta({"r": 0.5, "u": 0.25})
    assert rg.migdal_kadanoff(number(1.5), number(2)).step({"K": 1.0}) == (
        rg.migdal_kadanoff(1.5, 2).step({"K": 1.0})
    )
    assert LATTICE.scaling_dimensions({"K": number(0.0)}) == [-math.inf]


def test_whole_numbers_are_taken_as_numbers():
    assert DECIMATION.step({"K": 1, "h": np.int8(0)}) == DECIMATION.step({"K": 1.0})
    assert rg.ising_decimation(np.int64(3)).step({"K": 1.0}) == rg.ising_decimation(3).step(
        {"K": 1}
    )
    assert len(DECIMATION.flow({"K": 1.0}, np.int32(2))) == 3


def test_rows_and_series_are_taken():
    table = DECIMATION.flow({"K": 1.0, "h": 0.3}, 2)
    row = table[["K", "h"]].iloc[1]
    assert DECIMATION.step(row)["K"] == table.K[2]
    assert DECIMATION.step(pd.Series({"K": 1.0})) == DECIMATION.step({"K": 1.0})
    assert LATTICE.scaling_dimensions(pd.Series({"K": math.inf})) == [pytest.approx(-1.0)]
    with pytest.raises(ValueError, match="unknown coupling 'step'"):
        DECIMATION.step(table.iloc[1])


@pytest.mark.parametrize("infinite", [math.inf, np.inf, np.float32("inf"), jnp.asarray(math.inf)])
def test_fixed_points_at_infinity_are_read(infinite):
    assert DECIMATION.scaling_dimensions({"K": infinite}) == pytest.approx([1.0, 1.0])


def bond(s, t):
    return J * s * t


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        # steps and scales
        (lambda: DECIMATION.flow({"K": 1.0}, 2.0), TypeError, "n_steps must be an integer"),
        (lambda: DECIMATION.flow({"K": 1.0}, "2"), TypeError, "n_steps must be an integer"),
        (lambda: DECIMATION.flow({"K": 1.0}, True), TypeError, "n_steps must be an integer"),
        (lambda: LATTICE.flow({"K": 1.0}, -1), ValueError, "n_steps must be at least 0"),
        (lambda: TREE.critical_flow(1.5, [1.0]), TypeError, "n_steps must be an integer"),
        (lambda: SHELL.flow({"r": 0, "u": 0}, "far"), TypeError, "log_scale must be a real number"),
        (lambda: SHELL.flow({"r": 0, "u": 0}, math.nan), ValueError, "log_scale must be finite"),
        (
            lambda: SHELL.flow({"r": 0, "u": 0}, 1.0, n_points=2.5),
            TypeError,
            "n_points must be an integer",
        ),
        (
            lambda: SHELL.flow({"r": 0, "u": 0}, 1.0, largest="big"),
            TypeError,
            "largest must be a real number",
        ),
        (
            lambda: SHELL.flow({"r": 0, "u": 0}, 1.0, largest=0.0),
            ValueError,
            "largest must be above",
        ),
        # scale factors and dimensions
        (lambda: rg.ising_decimation("2"), TypeError, "b must be an integer"),
        (lambda: rg.ising_decimation(2.0), TypeError, "b must be an integer"),
        (lambda: rg.ising_decimation(None), TypeError, "b must be an integer"),
        (lambda: rg.ising_decimation(10**9), ValueError, "b must be at most 100000"),
        (lambda: rg.migdal_kadanoff("2", 2), TypeError, "b must be a real number"),
        (lambda: rg.migdal_kadanoff(1e60, 2), ValueError, r"b\*\*dimension must stay below"),
        (lambda: rg.migdal_kadanoff(2, None), TypeError, "dimension must be a real number"),
        (lambda: rg.one_loop("1"), TypeError, "epsilon must be a real number"),
        (lambda: rg.one_loop(np.ones(2)), TypeError, "epsilon must be a real number"),
        (lambda: rg.lpa("3", 2), TypeError, "dimension must be a real number"),
        (lambda: rg.lpa(3, "2"), TypeError, "order must be an integer"),
        (lambda: rg.lpa(3, 151), ValueError, "order must be at most 150"),
        (lambda: rg.lpa(3, 2, ["minimum"]), ValueError, 'about must be "minimum" or "origin"'),
        (lambda: rg.lpa(3, 2, None), ValueError, 'about must be "minimum" or "origin"'),
        (lambda: rg.lpa(3, 2, loop=1.0), TypeError, "loop must be a function"),
        (
            lambda: rg.lpa(3, 2, loop=lambda *_: None),
            TypeError,
            "loop must return a SymPy expression",
        ),
        (
            lambda: rg.lpa(3, 2, loop=lambda *_: "U'"),
            TypeError,
            "loop must return a SymPy expression",
        ),
        (lambda: rg.lpa(3, 2, loop=lambda *_: J), ValueError, "loop contains J"),
        # energies of bonds
        (
            lambda: rg.transfer_matrix_decimation(3, (1, -1), (J,), 2),
            TypeError,
            "bond must be a func",
        ),
        (
            lambda: rg.transfer_matrix_decimation(lambda s, t: "J", (1, -1), (J,), 2),
            TypeError,
            r"bond\(1, 1\) must be a SymPy expression or a number, got 'J'",
        ),
        (
            lambda: rg.transfer_matrix_decimation(lambda s, t: None, (1, -1), (J,), 2),
            TypeError,
            r"bond\(1, 1\) must be a SymPy expression or a number, got None",
        ),
        (
            lambda: rg.transfer_matrix_decimation(bond, (1, -1), J, 2),
            TypeError,
            "couplings must be a t",
        ),
        (
            lambda: rg.transfer_matrix_decimation(bond, (1, -1), "J", 2),
            TypeError,
            "couplings must be",
        ),
        (
            lambda: rg.transfer_matrix_decimation(bond, (1, -1), ("J",), 2),
            TypeError,
            r"couplings must be SymPy symbols, got 'J' among them: make one with sympy.Symbol\('J'",
        ),
        (
            lambda: rg.transfer_matrix_decimation(bond, (1, -1), (J, J), 2),
            ValueError,
            "different symb",
        ),
        (lambda: rg.transfer_matrix_decimation(bond, (1, -1), (), 2), ValueError, "at least one"),
        (
            lambda: rg.transfer_matrix_decimation(bond, 2, (J,), 2),
            TypeError,
            "states must be the val",
        ),
        (
            lambda: rg.transfer_matrix_decimation(bond, (1,), (J,), 2),
            ValueError,
            "at least two diff",
        ),
        (
            lambda: rg.transfer_matrix_decimation(bond, (1, 1), (J,), 2),
            ValueError,
            "list each once",
        ),
        # potentials of the shell
        (lambda: MomentumShell("r", (R,), 3), TypeError, "potential must be a SymPy expression"),
        (lambda: MomentumShell(R * FIELD**2, "r", 3), TypeError, "couplings must be a tuple of"),
        (
            lambda: MomentumShell(R * FIELD**2, (R,), "3"),
            TypeError,
            "dimension must be a real number",
        ),
        (lambda: MomentumShell(R * FIELD**3, (R,), 3), ValueError, "an even power of the field"),
        (lambda: MomentumShell(R * FIELD**2, (R, U), 3), ValueError, "potential must have u times"),
        (lambda: MomentumShell(R * FIELD**2 + FIELD**4, (R,), 3), ValueError, "is left: give each"),
        (
            lambda: MomentumShell((R + U) * FIELD**2, (R, U), 3),
            ValueError,
            "a power of the field of its own",
        ),
        # the law of a site
        (lambda: TREE.start("1", [1.0]), TypeError, "beta must be a real number"),
        (lambda: TREE.start(1e200, [1.0]), ValueError, "beta = 1e[+]200 is too large"),
        (lambda: TREE.start(1.0, "spin"), TypeError, "points must be real numbers"),
        (lambda: TREE.start(1.0, [1j]), TypeError, "points must be real numbers"),
        (lambda: TREE.start(1.0, []), ValueError, "must have one shape"),
        (lambda: TREE.start(1.0, 1.0), ValueError, "must have one shape"),
        (lambda: TREE.start(1.0, [1e200]), ValueError, "their moments leave float64"),
        (lambda: TREE.start(1.0, [1e-200]), ValueError, "their moments leave float64"),
        (lambda: TREE.critical_beta([1.0], ["one"]), TypeError, "weights must be real numbers"),
        (lambda: TREE.critical_beta([0.0, 1.0], [1.0, 0.0]), ValueError, "must not all be zero"),
    ],
)
def test_arguments_are_checked(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_states_and_points_come_in_any_sequence():
    by_array = rg.transfer_matrix_decimation(
        lambda s, t: K * int(s * t) + H * sp.Rational(int(s + t), 2), np.array([1, -1]), [K, H], 2
    )
    assert by_array.step({"K": 1.0, "h": 0.3}) == pytest.approx(
        DECIMATION.step({"K": 1.0, "h": 0.3})
    )
    assert TREE.start(1.0, jnp.ones(1)) == TREE.start(1.0, [1]) == TREE.start(1, (1.0,))
