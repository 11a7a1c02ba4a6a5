"""Checkpoints of an ensemble: finished blocks in a directory, written atomically, refused where they do not fit."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from rgkit.training.ensemble.processes import packed, unpacked


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, whenever the process or the machine stops."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def _read(path: Path, mend: str) -> dict:
    try:
        content = json.loads(path.read_bytes())
        if json_digest(content["content"]) != content["sha256"]:
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is damaged: {mend}") from None
    return content["content"]


def json_digest(content) -> str:
    """SHA-256 of what JSON makes of something."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _write_json(path: Path, content) -> None:
    _write(
        path,
        json.dumps(
            {"content": content, "sha256": json_digest(content)}, indent=1, sort_keys=True
        ).encode(),
    )


class Checkpoint:
    """A directory of finished blocks: ``configuration.json``, and for each block its arrays and the digest that makes it count.

    Arguments:
        path: the directory; made where it is missing.
        configuration: what all blocks depend on, names to strings or numbers; a directory of another one is refused.
        notes: kept with a configuration that is begun; `notes` are those it was begun with.

    Raises:
        ValueError: naming the file, where the directory is of another configuration or damaged.
    """

    def __init__(self, path, configuration: dict, notes: dict):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        file = self.path / "configuration.json"
        if not file.exists():
            _write_json(file, {"configuration": configuration, "notes": notes})
        stored = _read(file, f"delete the directory {self.path} and begin anew.")
        self.notes, stored = stored["notes"], stored["configuration"]
        names = sorted(
            name
            for name in {*stored, *configuration}
            if stored.get(name) != configuration.get(name)
        )
        if names:
            raise ValueError(
                f"{file} is of another configuration: {', '.join(names)} {'differs' if len(names) == 1 else 'differ'}. "
                "Pass the arguments, the versions and the kind of device it was begun with, or another directory."
            )

    def save(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Store a finished block."""
        content = packed(arrays)
        _write(self.path / f"{name}.npz", content)
        _write_json(self.path / f"{name}.json", hashlib.sha256(content).hexdigest())

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays of a block, None where it was not finished."""
        arrays, digest = self.path / f"{name}.npz", self.path / f"{name}.json"
        if not digest.exists():
            return None
        mend = f"delete {arrays.name} and {digest.name}, and the members in them are trained again."
        expected = _read(digest, mend)
        if not arrays.exists() or hashlib.sha256(arrays.read_bytes()).hexdigest() != expected:
            raise ValueError(f"{arrays} is damaged or missing: {mend}")
        return unpacked(arrays.read_bytes())
