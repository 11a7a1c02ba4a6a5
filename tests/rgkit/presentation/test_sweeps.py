"""Stored sweeps: what made them is known, and what they say is what the code says today."""

import json
from pathlib import Path

import pandas as pd
import pytest

from rgkit.presentation import sweeps
from rgkit.presentation.sources import PACKAGE, sources_of

SCRIPTS = sorted((PACKAGE.parent / "book" / "data").glob("make_*.py"))
BY_BENCHMARKS = {"speed"}
SCRIPT = """
import pandas as pd
import rgkit as rg

KEYS = ("K", "seed")
TABLE = pd.DataFrame([(K, seed, K * seed) for K in (0.1, 0.2) for seed in range(8)])
TABLE.columns = ["K", "seed", "product"]


def replay(row):
    return TABLE[TABLE.K == row["K"]]


def table():
    return rg.IsingChain(1.0, n_sites=4)
"""


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps, "STORE", tmp_path)
    return tmp_path


def written(store, text=SCRIPT, name="made_up"):
    script = store / f"make_{name}.py"
    script.write_text(text)
    return script


def table(script):
    names = {}
    exec(script.read_text(), names)
    return names["TABLE"]


def test_every_sweep_has_its_script_and_every_script_its_sweep():
    stored = {path.stem for path in (PACKAGE / "data").glob("*.csv")} - BY_BENCHMARKS
    assert stored == {path.stem.removeprefix("make_") for path in SCRIPTS}


def test_an_unknown_sweep_lists_those_there_are():
    with pytest.raises(ValueError, match="name must be one of the stored sweeps .*'controls'"):
        sweeps.load("nothing")


def test_a_fingerprint_names_what_the_script_runs_on(tmp_path):
    script = tmp_path / "make_made_up.py"
    script.write_text(SCRIPT)
    names = {name for name in sweeps.fingerprint(script) if "/" in name}
    sources = {f"rgkit/{file.relative_to(PACKAGE).as_posix()}" for file in sources_of(script)}
    assert names == {name for name in sources if "presentation" not in name}
    assert "rgkit/systems/ising.py" in names and not any("training" in name for name in names)


def test_a_stored_table_reads_as_it_was_saved(store):
    script = written(store)
    sweeps.save("made_up", table(script), script, 1.26)
    pd.testing.assert_frame_equal(sweeps.load("made_up"), table(script))
    assert json.loads((store / "made_up.json").read_text())["seconds"] == 1.3


@pytest.mark.parametrize(
    "change",
    [
        lambda script: script.write_text(SCRIPT + "\n# changed\n"),
        lambda script: script.write_text(SCRIPT.replace("rg.IsingChain", "rg.ScalarChain")),
    ],
)
def test_a_sweep_is_current_until_its_script_changes(store, change):
    script = written(store)
    sweeps.save("made_up", table(script), script, 1.0)
    assert sweeps.is_current(script)
    change(script)
    assert not sweeps.is_current(script)


def test_a_sweep_made_with_another_library_is_not_current(store):
    script = written(store)
    sweeps.save("made_up", table(script), script, 1.0)
    about = json.loads((store / "made_up.json").read_text())
    about["made_by"]["jax"] = "0.0.1"
    (store / "made_up.json").write_text(json.dumps(about))
    assert not sweeps.is_current(script)


def test_a_replay_gives_the_rows_of_one_run_as_stored_and_anew(store):
    script = written(store)
    sweeps.save("made_up", table(script), script, 1.0)
    stored, anew = sweeps.replay(script)
    pd.testing.assert_frame_equal(stored, anew)
    assert stored.index.names == ["K", "seed"] and len(stored) == 8


def test_a_replay_shows_what_has_changed(store):
    script = written(store)
    sweeps.save("made_up", table(script), script, 1.0)
    written(store, SCRIPT.replace("K * seed", "K + seed"))
    stored, anew = sweeps.replay(script)
    assert (stored["product"] != anew["product"]).all()


def test_the_row_that_is_replayed_follows_from_the_name(store):
    couplings = set()
    for name in "abcdefgh":
        script = written(store, name=name)
        sweeps.save(name, table(script), script, 1.0)
        first, again = sweeps.replay(script)[0], sweeps.replay(script)[0]
        pd.testing.assert_frame_equal(first, again)
        couplings |= set(first.index.get_level_values("K"))
    assert couplings == {0.1, 0.2}


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ("return TABLE[TABLE.K == row", "return TABLE[TABLE.K != row", "made other rows"),
        ("return TABLE[TABLE", "return TABLE.assign(seed=TABLE.seed + 9)[TABLE", "made other rows"),
        ("return TABLE[TABLE", "return TABLE.assign(new=1)[TABLE", r"the columns \['new'\]"),
    ],
)
def test_a_replay_of_other_rows_is_refused(store, old, new, sentence):
    script = written(store)
    sweeps.save("made_up", table(script), script, 1.0)
    assert old in SCRIPT
    written(store, SCRIPT.replace(old, new))
    with pytest.raises(ValueError, match=sentence):
        sweeps.replay(script)
