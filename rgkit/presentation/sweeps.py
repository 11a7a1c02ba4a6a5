"""Stored sweeps: tables too slow to make in a chapter, kept with what made them.

A script ``make_NAME.py`` makes the table NAME. It defines ``KEYS``, the columns that tell the rows
apart, and ``replay(row)``, which takes a row by its columns and runs again, through the code of the
whole sweep, what made this row. So a table can be held to code that has changed since.
"""

import hashlib
import importlib.metadata
import json
import runpy
from importlib import resources
from pathlib import Path

import pandas as pd

from rgkit.presentation.sources import PACKAGE, sources_of

STORE = resources.files("rgkit") / "data"
LIBRARIES = ("jax", "optax", "equinox", "numpy")


def fingerprint(script: str | Path) -> dict[str, str]:
    """What numbers come from: the script, what it runs on in the package, and the libraries.

    Arguments:
        script: a script that makes a stored sweep.

    Returns:
        SHA-256 of the script and of every file of its `sources_of` but those of ``presentation/``,
        which compute nothing, and the versions of the libraries below, by name.
    """
    script = Path(script)
    sources = {file.relative_to(PACKAGE).as_posix(): file for file in sources_of(script)}
    files = {
        f"rgkit/{name}": file
        for name, file in sources.items()
        if not name.startswith("presentation/")
    }
    hashes = {
        name: hashlib.sha256(file.read_bytes()).hexdigest()
        for name, file in (files | {script.name: script}).items()
    }
    return hashes | {name: importlib.metadata.version(name) for name in LIBRARIES}


def save(name: str, table: pd.DataFrame, script: str | Path, seconds: float) -> None:
    """Store a sweep as ``name.csv``, and as ``name.json`` what made it and how long it took.

    Arguments:
        name: of the sweep.
        table: its rows.
        script: what made it.
        seconds: how long that took.
    """
    table.to_csv(Path(str(STORE)) / f"{name}.csv", index=False, float_format="%.8g")
    about = {"seconds": round(seconds, 1), "made_by": fingerprint(script)}
    (Path(str(STORE)) / f"{name}.json").write_text(
        json.dumps(about, indent=1, sort_keys=True) + "\n"
    )


def load(name: str) -> pd.DataFrame:
    """The table of a stored sweep.

    Arguments:
        name: of the sweep.

    Raises:
        ValueError: with the names there are, where it is not stored.
    """
    path = STORE / f"{name}.csv"
    if not path.is_file():
        names = sorted(
            entry.name.removesuffix(".csv")
            for entry in STORE.iterdir()
            if entry.name.endswith(".csv")
        )
        raise ValueError(f"name must be one of the stored sweeps {names}, got {name!r}.")
    with path.open() as file:
        return pd.read_csv(file)


def is_current(script: str | Path) -> bool:
    """Whether a stored sweep was made by the script, the package and the libraries as they are.

    Arguments:
        script: ``make_NAME.py`` of the sweep NAME.
    """
    about = json.loads((STORE / f"{_name(script)}.json").read_text())
    return about["made_by"] == fingerprint(script)


def replay(script: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run again what made one row of a stored sweep, and give the rows it made, as stored and anew.

    The row is one that nobody chose: the one on which the hash of the sweep's name falls.

    Arguments:
        script: ``make_NAME.py`` of the sweep NAME.

    Returns:
        The stored rows and the new ones, with the same rows and columns, by the script's ``KEYS``.

    Raises:
        ValueError: where the new rows do not have the columns of the stored ones, are not all
            stored, or do not hold the row that was asked for.
    """
    name, sweep = _name(script), runpy.run_path(str(script))
    table, keys = load(name), list(sweep["KEYS"])
    chosen = table.iloc[[int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(table)]]
    (row,) = chosen.to_dict("records")
    anew: pd.DataFrame = sweep["replay"](row).rename(columns=str)
    if set(anew.columns) != set(table.columns):
        odd = sorted(set(anew.columns) ^ set(table.columns))
        raise ValueError(f"{name}: the columns {odd} are stored or made anew alone.")
    stored = anew[keys].merge(table, how="left", on=keys, validate="1:1", indicator="found")
    if not (stored.pop("found") == "both").all() or chosen[keys].merge(anew, on=keys).empty:
        raise ValueError(f"{name}: what was run again for {row} made other rows than those stored.")
    order = [*keys, *(column for column in table.columns if column not in keys)]
    return stored[order].set_index(keys), anew[order].set_index(keys)


def _name(script: str | Path) -> str:
    return Path(script).stem.removeprefix("make_")
