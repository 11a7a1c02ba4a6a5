"""The execution cache knows the package: a chapter runs again when what it runs on has changed."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
INPUTS = ("rgkit", "locks/book.txt")


def files(root):
    """List the files that every chapter's outputs depend on."""
    for name in INPUTS:
        path = root / name
        found = path.rglob("*") if path.is_dir() else [path]
        yield from sorted(
            file for file in found if file.is_file() and "__pycache__" not in file.parts
        )


def key(root=ROOT):
    """Return the hash of the package with its stored data, the lock and the version of Python."""
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for file in files(root):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def cache(app, config):
    """Give each key its own cache, keep only the present one, and read every page anew when the key changes."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # a progress bar is for a reader who waits
    config.execution_key = key()
    caches = Path(app.outdir).parent / "executed"
    for old in caches.glob("*"):
        if old.name != config.execution_key:
            shutil.rmtree(old)
    config.nb_execution_cache_path = str(caches / config.execution_key)


def setup(app):
    app.add_config_value("execution_key", "", "env")
    app.connect("config-inited", cache, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
