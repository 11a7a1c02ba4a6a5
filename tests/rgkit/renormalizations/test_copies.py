"""Copies and pickles of renormalizations, before and after use, give the same numbers."""

import copy
import pickle

import pandas as pd
import pytest
import sympy as sp

import rgkit as rg
from rgkit.renormalizations.momentum_shell import FIELD, MomentumShell

J, W = sp.symbols("J w", real=True)


def potts_bond(s, t):
    return J * int(s == t)


def sextic():
    return MomentumShell(J / 2 * FIELD**2 + W * FIELD**6, (J, W), sp.Integer(3))


class Halving(rg.RGMap):
    names = ("x",)
    scale_factor = 2

    def derive(self):
        (x,) = self.couplings
        return {"x": x / 2 + x**2}


MAPS = {
    "ising": lambda: (rg.ising_decimation(3), {"K": 0.8, "h": 0.2}),
    "potts": lambda: (
        rg.transfer_matrix_decimation(potts_bond, range(3), (J,), 2),
        {"J": 0.9},
    ),
    "migdal-kadanoff": lambda: (rg.migdal_kadanoff(1.5, 2.5), {"K": 0.4}),
    "hierarchical": lambda: (rg.hierarchical(3, 4), rg.hierarchical(3, 4).start(0.5, [1.0])),
    "own": lambda: (Halving(), {"x": 0.3}),
}
FLOWS = {
    "one loop": lambda: (rg.one_loop(1.0), {"r": 0.1, "u": 0.02}),
    "shell": lambda: (sextic(), {"J": 0.1, "w": 0.02}),
    "potential": lambda: (rg.lpa(3, 3), {"kappa": 1.6, "l2": 0.2, "l3": 0.0}),
    "potential at the origin": lambda: (rg.lpa(3, 2, "origin"), {"l1": -0.1, "l2": 0.2}),
}
WAYS = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


def used(made, start):
    """The numbers and the formulas that a renormalization gives."""
    points = made.fixed_points()
    dimensions = [made.scaling_dimensions(point) for point in points]
    notes = [point.note for point in points]
    return (
        getattr(made, "step", getattr(made, "beta", None))(start),
        made.latex(),
        notes,
        dimensions,
    )


@pytest.mark.parametrize("name", [*MAPS, *FLOWS])
def test_copies_give_the_same_numbers_before_and_after_use(name):
    made, start = (MAPS | FLOWS)[name]()
    copies = [way(made) for way in WAYS.values()]
    numbers = used(made, start)
    copies += [way(made) for way in WAYS.values()]
    for copied in copies:
        assert type(copied) is type(made)
        assert used(copied, start) == numbers


def test_a_flow_that_was_integrated_is_integrated_again_elsewhere():
    made, start = FLOWS["one loop"]()
    table = made.flow(start, 0.5, n_points=3)
    again = pickle.loads(pickle.dumps(made)).flow(start, 0.5, n_points=3)
    pd.testing.assert_frame_equal(again, table, check_exact=True)


@pytest.mark.parametrize("name", MAPS)
def test_a_map_flows_the_same_after_a_journey(name):
    made, start = MAPS[name]()
    table = made.flow(start, 3)
    again = pickle.loads(pickle.dumps(made)).flow(start, 3)
    pd.testing.assert_frame_equal(again, table, check_exact=True)


def test_a_fixed_point_keeps_its_note():
    (point, _) = rg.one_loop(1.0).fixed_points()
    for way in WAYS.values():
        copied = way(point)
        assert copied == point and copied.note == point.note
