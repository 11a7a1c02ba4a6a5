"""The package as a whole: light to import, and no global settings touched."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import rgkit as rg

ROOT = Path(__file__).parents[2]


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
    code = (
        f"import {modules}, rgkit as rg; "
        "assert callable(rg.decimation) and callable(rg.correspondence)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_module_shadows_a_public_name():
    modules = {path.stem for path in Path(rg.__file__).parent.glob("*.py")} - {"charts", "sweeps"}
    assert not modules & set(rg.__all__)


def test_the_speed_table_was_made_by_the_benchmarks_that_stand_there():
    about = json.loads((Path(rg.__file__).parent / "data" / "speed.json").read_text())
    sources = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (ROOT / "benchmarks").glob("*.py")
    }
    assert about["made_by"] == sources, "run `make bench`: the table is stale"
    assert len(rg.sweeps.load("speed")) > 0
