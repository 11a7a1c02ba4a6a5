"""The package as a whole: light to import, no global settings touched, stored sweeps that say what made them."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import rgkit as rg

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "book" / "data"


def test_importing_changes_no_setting_of_jax():
    use = "rg.pushforward(rg.IsingChain(1.0, n_sites=4), rg.decimation(2))"
    check = "assert dict(jax.config.values) == before"
    code = f"import jax; before = dict(jax.config.values); import rgkit as rg; {use}; {check}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_is_lazy():
    code = "import sys, rgkit; assert 'jax' not in sys.modules and 'sympy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_resolves_whatever_was_imported_first():
    for name in rg.__all__:
        assert getattr(rg, name) is not None
    modules = ", ".join(f"rgkit.{path.stem}" for path in Path(rg.__file__).parent.glob("[a-z]*.py"))
    code = f"import {modules}, rgkit as rg; assert callable(rg.decimation) and callable(rg.correspondence)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_module_shadows_a_public_name():
    modules = {path.stem for path in Path(rg.__file__).parent.glob("*.py")} - {"charts", "sweeps"}
    assert not modules & set(rg.__all__)


def stored():
    return sorted(
        path.stem
        for path in (Path(rg.__file__).parent / "data").glob("*.csv")
        if path.stem != "speed"
    )


def test_every_sweep_has_its_script_and_every_script_its_sweep():
    assert stored() == sorted(path.stem.removeprefix("make_") for path in SCRIPTS.glob("make_*.py"))


@pytest.mark.parametrize("name", stored())
def test_stored_sweeps_were_made_by_the_script_that_stands_there(name):
    about = json.loads((Path(rg.__file__).parent / "data" / f"{name}.json").read_text())
    script = SCRIPTS / f"make_{name}.py"
    assert about["made_by"][script.name] == rg.sweeps.fingerprint(script)[script.name], (
        f"run `make sweeps`: {name} is stale"
    )
    assert len(rg.sweeps.load(name)) > 0


def test_an_unknown_sweep_lists_those_there_are():
    with pytest.raises(ValueError, match="name must be one of the stored sweeps"):
        rg.sweeps.load("nothing")


def test_the_speed_table_was_made_by_the_benchmarks_that_stand_there():
    about = json.loads((Path(rg.__file__).parent / "data" / "speed.json").read_text())
    sources = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (ROOT / "benchmarks").glob("*.py")
    }
    assert about["made_by"] == sources, "run `make bench`: the table is stale"
    assert len(rg.sweeps.load("speed")) > 0
