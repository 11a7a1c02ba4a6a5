"""Build the book, unless nothing that it is made of has changed."""

import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
STAMP = ROOT / "_build" / "stamp"
INPUTS = ("book", "rgkit", "locks", "scripts", "_config.yml", "_toc.yml", "pyproject.toml")


def inputs():
    """List the files that the site is made of."""
    for name in INPUTS:
        path = ROOT / name
        found = path.rglob("*") if path.is_dir() else [path]
        yield from sorted(
            file for file in found if file.is_file() and "__pycache__" not in file.parts
        )


def fingerprint():
    """Return the hash of all inputs, and of the Python that runs them."""
    digest = hashlib.sha256(sys.version.encode())
    for file in inputs():
        digest.update(
            file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0"
        )
    return digest.hexdigest()


def build():
    """Build from all pages, since an incremental build can hide a warning.

    Executed chapters come from the cache.
    """
    shutil.rmtree(HTML, ignore_errors=True)
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        ".",
        "--all",
        "-W",
        "-n",
        "--keep-going",
    ]
    return subprocess.run(command, cwd=ROOT).returncode


def main():
    key = fingerprint()
    start = time.monotonic()
    if not (STAMP.exists() and STAMP.read_text() == key):
        STAMP.unlink(missing_ok=True)
        if build():
            sys.exit("The book was not built: the first error or warning above says why.")
        STAMP.write_text(key)
    print(
        f"The book is ready after {time.monotonic() - start:.0f} s. "
        f"Open {HTML / 'index.html'} or run: make serve"
    )


if __name__ == "__main__":
    main()
