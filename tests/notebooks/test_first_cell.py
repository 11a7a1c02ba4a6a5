"""The first cell of a download: it installs the package where it is missing, or says how."""

import importlib.util
import re
import subprocess
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import downloads
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
ADDRESS = "https://example.org/book/rgkit"


@pytest.fixture
def hide(monkeypatch):
    """Make modules look as if they were not installed."""
    find = importlib.util.find_spec

    def without(*names):
        hidden = dict.fromkeys(names)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: hidden.get(name, find(name)))

    return without


@pytest.fixture
def commands(monkeypatch):
    """Record what would be run."""
    found = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: found.append(command))
    return found


@pytest.mark.parametrize("url", ["", ADDRESS])
def test_it_does_nothing_where_all_is_there(url, commands):
    exec(downloads.install(url), {})
    assert commands == []


@pytest.mark.parametrize("missing", downloads.MODULES)
def test_it_installs_what_is_missing(hide, commands, missing):
    hide(missing)
    exec(downloads.install(ADDRESS), {})
    (command,) = commands
    package = Requirement(command[-1])
    assert command[1:-1] == ["-m", "pip", "install", "--quiet"]
    assert (package.name, package.extras, package.url) == ("rgkit", {"notebooks"}, f"git+{ADDRESS}")


def test_it_says_how_to_install_a_book_without_an_address(hide, commands):
    hide("rgkit", "PIL")
    told = r"rgkit and PIL missing: run pip install '\.\[notebooks\]'"
    with pytest.raises(ModuleNotFoundError, match=told):
        exec(downloads.install(""), {})
    assert commands == []


def test_it_asks_for_what_the_extra_installs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {re.split("[<>=]", item)[0] for item in project["optional-dependencies"]["notebooks"]}
    package, *others = downloads.MODULES
    assert package == project["name"]
    assert {packages_distributions()[name][0] for name in others} == extra
