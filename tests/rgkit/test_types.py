"""The annotations of the package are complete, and pyright finds nothing against them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "rgkit").rglob("*.py"))


def test_pyright_is_content():
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "rgkit"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def public_functions(tree):
    """The functions and methods that a user can call by a name without an underscore in front."""
    for node in ast.iter_child_nodes(tree):
        name = getattr(node, "name", "")
        hidden = name.startswith("_") and not name == "__init__"
        if isinstance(node, ast.FunctionDef) and not hidden:
            yield node
        elif isinstance(node, ast.ClassDef) and not hidden:
            yield from public_functions(node)


def bare(function):
    """Arguments and result without an annotation."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    unknown = [a.arg for a in named if a.annotation is None and a.arg not in ("self", "cls")]
    return unknown + ["return"] * (function.returns is None and function.name != "__init__")


def unannotated(source):
    functions = public_functions(ast.parse(source))
    return {function.name: bare(function) for function in functions if bare(function)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_public_signature_is_annotated(path):
    assert unannotated(path.read_text()) == {}


def test_the_search_can_fail():
    assert unannotated("class A:\n  def f(self, x) -> int: ...") == {"f": ["x"]}
    assert unannotated("def f(x: int): ...") == {"f": ["return"]}
    assert unannotated("def _f(x): ...") == {}
