"""Stored sweeps: tables too slow to make in a chapter, kept with what made them."""

import hashlib
import importlib.metadata
import json
from importlib import resources
from pathlib import Path

import pandas as pd

STORE = resources.files("rgkit") / "data"
NUMERICAL_MODULES = (
    "enumeration",
    "kernels/base",
    "kernels/best_map",
    "kernels/network",
    "laws/channel_information",
    "laws/fields",
    "laws/spins",
    "parameters/characteristic",
    "parameters/fields",
    "systems/field_sampler",
    "systems/ising",
    "systems/recorded",
    "systems/scalar",
    "systems/spin_samplers",
    "systems/transfer_operator",
    "training/ensemble/ensemble",
    "training/ensemble/groups",
    "training/ensemble/layout",
    "training/ensemble/members",
    "training/objectives",
    "training/single",
)


def fingerprint(script: Path) -> dict[str, str]:
    """SHA-256 of the script and of the numerical modules it runs on, and the versions of the libraries below them."""
    sources = {
        f"rgkit/{name}.py": resources.files("rgkit") / f"{name}.py" for name in NUMERICAL_MODULES
    }
    sources[script.name] = script
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sources.items()}
    return hashes | {
        name: importlib.metadata.version(name) for name in ("jax", "optax", "equinox", "numpy")
    }


def save(name: str, table: pd.DataFrame, script: str | Path, seconds: float) -> None:
    """Store a sweep's table as ``name.csv``, and beside it as ``name.json`` what made it and how long it took."""
    table.to_csv(Path(str(STORE)) / f"{name}.csv", index=False, float_format="%.8g")
    about = {"seconds": round(seconds, 1), "made_by": fingerprint(Path(script))}
    (Path(str(STORE)) / f"{name}.json").write_text(
        json.dumps(about, indent=1, sort_keys=True) + "\n"
    )


def load(name: str) -> pd.DataFrame:
    """The table of a stored sweep; raises ValueError with the names there are where it is not stored."""
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
