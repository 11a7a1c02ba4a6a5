"""Stored sweeps: what made them is known, and what they say is what the code says today."""

import json

import jax
import numpy as np
import pandas as pd
import pytest
from scipy import stats

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


# Tolerances of rows that are run again, absolute, in the unit of the column. Networks compute in
# float32, and sums run in another order where members are trained side by side. EXACT is rounding
# of float32 and of the digits that are stored. Training amplifies it: on a ring without field the
# gradient of the biases is zero, rounding leaves noise of it, and from noise, too, Adam takes steps
# of its full length. TRAINED and MOVING are three times the most that eight networks differed by
# whose first weights were moved by a unit in the last place: where training has settled, and
# before that. At strong coupling the couplings of hard features hang on which states a few rare
# configurations are in, and move in steps: IN_STEPS, by the same measure. Batches of fields amplify
# rounding until a network run again is like one of another seed: it is held to the interval around
# the stored one that another seed leaves but once in RARELY, by Student's t. This is coarse; its
# start, and features that are not trained, are held to EXACT.
EXACT, TRAINED, MOVING, IN_STEPS, ANY = 2e-5, 5e-3, 5e-2, 0.12, float("inf")
RARELY = 1000
ON_BATCHES = {
    "networks_on_fields": "rule",
    "real_data": "features",
    "relevance_on_trees": "rule",
    "square_lattice": "rule",
    "starts_on_fields": "rule",
}
TRAINED_ON_BATCHES = ("trained", "linear layer", "shuffled", "relevance")
TOLERANCES = {
    "controls": dict.fromkeys(
        ["loss", "information", "gap", "divergence", "unstable_distance", "pair_coupling", "field"],
        TRAINED,
    )
    | {"readable": TRAINED},
    "infomax_seeds": dict.fromkeys(["entropy", "divergence", "gap", "pair_coupling"], TRAINED)
    | {"untrained": EXACT, "seconds": ANY},
    # a row without a hidden layer
    "infomax_variants": {"divergence": EXACT, "gap": EXACT},
    "landing": {"gap": MOVING},
    "random_maps": dict.fromkeys(
        ["mean", "standard_error", "lower", "median", "upper", "nearer"], EXACT
    ),
    "recipes": {"n_sites": EXACT, "n": EXACT, "entropy": MOVING, "seconds": ANY},
    "phase_diagram": {"trained": TRAINED, "untrained": EXACT, "random map": EXACT},
    "training_curves": dict.fromkeys(map(str, range(20, 180, 20)), MOVING) | {"0": EXACT},
    "untrained": dict.fromkeys(["lower", "median", "upper"], EXACT),
}


def tolerances(name, stored):
    """The tolerance of each stored number that was made again."""
    if name not in ON_BATCHES:
        assert set(stored.columns) == set(TOLERANCES[name])
        table = pd.DataFrame(TOLERANCES[name], index=stored.index)
        start = stored.index.to_frame().get("step", pd.Series(1, stored.index)) == 0
        if name == "controls":
            strong = stored.index.get_level_values("rule") == "infomax at strong coupling"
            table.loc[strong, "pair_coupling"] = IN_STEPS
        return table.mask(start, EXACT)
    among = [key for key in stored.index.names if key != "seed"]
    table = sweeps.load(name).astype(dict.fromkeys(stored.columns, float))
    groups = table.groupby(among, dropna=False)[list(stored.columns)]
    widths = stats.t.ppf(1 - 0.5 / RARELY, groups.count().clip(lower=2) - 1) * np.sqrt(2)
    spread = (widths * groups.std()).clip(lower=EXACT).reset_index()
    rows = stored.reset_index()[among].merge(spread, how="left", on=among).drop(columns=among)
    trained = stored.index.get_level_values(ON_BATCHES[name]).str.startswith(TRAINED_ON_BATCHES)
    rows.loc[~trained] = EXACT
    return rows.set_axis(stored.index)


def over_tolerance(name, stored, anew):
    """The largest difference in each column, over its tolerance; infinite where one is missing."""
    stored, anew = stored.astype(float), anew.astype(float)
    apart = (stored - anew).abs().where(stored.notna() | anew.notna(), 0.0).fillna(float("inf"))
    return (apart / tolerances(name, stored.astype(float)).fillna(EXACT)).max()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem.removeprefix("make_"))
def test_a_stored_sweep_says_what_the_code_says(script, record_property):
    name = script.stem.removeprefix("make_")
    if sweeps.is_current(script):
        record_property("stored sweep", f"{name}: made by the code as it is")
        return
    with jax.numpy_rank_promotion("allow"):
        stored, anew = sweeps.replay(script)
    over = over_tolerance(name, stored, anew)
    wrong = list(over.index[over > 1])
    assert not wrong, (
        f"run `make sweeps`, or find out what changed: {name} was made by older code and differs "
        f"in {wrong}:\n{pd.concat({'stored': stored[wrong], 'anew': anew[wrong]}).to_string()}"
    )
    first = dict(zip(stored.index.names, stored.reset_index().iloc[0], strict=False))
    record_property(
        "stored sweep",
        f"{name}: made by older code; of its rows {len(stored)} were run again, from {first} on, "
        f"and are at most {over.max():.0%} of the tolerance apart",
    )
