"""Checkpoints of an ensemble: finished blocks in a directory, each there whole or not at all."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from rgkit._content import digest
from rgkit.training.ensemble.processes import BlockId, packed, unpacked


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, whenever the process stops."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            _to_disk(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(
            f"{path} cannot be written and put in its place in one step ({error}): pass a "
            "checkpoint= directory on a disk that can, with room on it."
        ) from error
    # a directory that cannot be opened, as on Windows, keeps the new name all the same
    with contextlib.suppress(OSError):
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            _to_disk(directory)
        finally:
            os.close(directory)


def _to_disk(descriptor: int) -> None:
    # some mounts know no fsync: if the machine stops there, the digest of a block tells
    with contextlib.suppress(OSError):
        os.fsync(descriptor)


def _text(content: Any) -> str:
    return json.dumps(content, sort_keys=True)


def _read(path: Path, mend: str) -> Any:
    try:
        stored = json.loads(path.read_bytes())
        if digest(_text(stored["content"])) != stored["sha256"]:
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is damaged: {mend}") from None
    return stored["content"]


def _write_json(path: Path, content: Any) -> None:
    stored = {"content": content, "sha256": digest(_text(content))}
    _write(path, json.dumps(stored, indent=1, sort_keys=True).encode())


class Checkpoint:
    """A directory of finished blocks.

    It has ``configuration.json``, and for each block its arrays and the digest that makes it count.

    Arguments:
        path: the directory; made where it is missing.
        configuration: what all blocks depend on, names to strings or numbers; a directory of
            another one is refused.
        notes: kept with a configuration that is begun; `notes` are those it was begun with.

    Raises:
        ValueError: naming the file, where the directory is of another configuration or damaged.
        OSError: where nothing can be written in it.
    """

    def __init__(
        self, path: str | os.PathLike, configuration: dict[str, Any], notes: dict[str, Any]
    ):
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(
                f"checkpoint must be a directory, {self.path} is a file: pass another path."
            )
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
                f"{file} is of another configuration: {', '.join(names)} "
                f"{'differs' if len(names) == 1 else 'differ'}. Pass the arguments, the versions "
                "and the kind of device it was begun with, or another directory."
            )

    def _files(self, block: BlockId) -> tuple[Path, Path]:
        name = f"{block[0]}-{block[1]}"
        return self.path / f"{name}.npz", self.path / f"{name}.json"

    def save(self, block: BlockId, tree: Any) -> None:
        """Store a finished block, a tree of arrays."""
        arrays, seal = self._files(block)
        content = packed(tree)
        _write(arrays, content)
        _write_json(seal, digest(content))

    def load(self, block: BlockId, like: Any) -> Any:
        """A block with the structure of a tree like it; None where it was not finished."""
        arrays, seal = self._files(block)
        if not seal.exists():
            return None
        mend = f"delete {arrays.name} and {seal.name}, and the members in them are trained again."
        expected = _read(seal, mend)
        content = arrays.read_bytes() if arrays.exists() else b""
        if digest(content) != expected:
            raise ValueError(f"{arrays} is damaged or missing: {mend}")
        return unpacked(content, like)
