"""The folders are floors: a file imports from its own floor and those below it, never upwards."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "rgkit"
FLOORS = (
    ("_validation", "_content"),
    ("enumeration",),
    ("systems",),
    ("kernels",),
    ("laws",),
    ("parameters",),
    ("renormalizations",),
    ("training",),
    ("comparison",),
    ("presentation",),
)
FLOOR_OF = {name: height for height, names in enumerate(FLOORS) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
CONCRETE = {
    "IsingChain", "ScalarChain", "EmpiricalSystem", "SpinChannel", "GaussianChannel", "FCNetwork",
    "Decimation", "Majority", "BlockAverage", "RandomMap", "TableMap", "SpinLaw", "FieldLaw",
    "Infomax", "Reconstruction", "Classification", "Regression", "IsingDecimation",
}  # fmt: skip


def floor(module):
    return FLOOR_OF[module.split(".")[1]] if module.startswith("rgkit.") else None


def imported(tree):
    """The modules of rgkit that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "rgkit":
            yield from (f"rgkit.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rgkit."):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("rgkit."))


def upward(source, module):
    """What a file imports from above its floor."""
    return {name for name in imported(ast.parse(source)) if floor(name) > floor(module)}


def asked_by_name(source):
    """The concrete classes that a file asks about without defining them."""
    tree = ast.parse(source)
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    checks = [
        call for call in calls if getattr(call.func, "id", "") in ("isinstance", "issubclass")
    ]
    names = {leaf.id for call in checks for leaf in ast.walk(call) if isinstance(leaf, ast.Name)}
    return (names & CONCRETE) - defined


def dotted(path):
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_go_one_way(path):
    assert upward(path.read_text(), dotted(path)) == set()


def test_renormalizations_know_systems_alone():
    for path in (PACKAGE / "renormalizations").glob("*.py"):
        folders = {name.split(".")[1] for name in imported(ast.parse(path.read_text()))}
        assert folders <= {"_validation", "systems", "renormalizations"}, path


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_no_file_asks_for_a_concrete_class_of_another(path):
    assert asked_by_name(path.read_text()) == set()


def test_the_checks_can_fail():
    assert upward("from rgkit.training.single import train", "rgkit.laws.spins")
    assert not upward("from rgkit.systems.ising import IsingChain", "rgkit.laws.spins")
    assert asked_by_name("isinstance(x, int | SpinLaw)") == {"SpinLaw"}
    assert not asked_by_name("class SpinLaw: pass\nisinstance(x, SpinLaw)")
