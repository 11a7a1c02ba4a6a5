"""The package declares what it imports, no less and no more."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# a notebook brings IPython, and MyST-NB brings docutils to its plug-in
HOSTS = {"ipython", "docutils"}


def imported(text):
    """Return the top-level names that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


def distributions(names):
    """Return what has to be installed for these names, but for Python and the package itself."""
    known = packages_distributions()
    outside = set(names) - sys.stdlib_module_names - {"rgkit"}
    return {known.get(name, [name])[0].lower().replace("_", "-") for name in outside}


def declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {re.split("[<>=]", item)[0] for item in project["dependencies"]}


def test_what_the_package_imports_is_what_it_declares():
    texts = [path.read_text(encoding="utf8") for path in (ROOT / "rgkit").rglob("*.py")]
    assert distributions(name for text in texts for name in imported(text)) - HOSTS == declared()


@pytest.mark.parametrize(
    "text, found",
    [
        ("import sklearn.datasets", {"scikit-learn"}),
        ("def load():\n    from PIL import Image", {"pillow"}),
        ("import json, lazy_loader\nfrom . import laws\nfrom rgkit import charts", {"lazy-loader"}),
    ],
)
def test_the_search_for_imports_finds_them(text, found):
    assert distributions(imported(text)) == found
