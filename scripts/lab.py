"""Open the chapters as notebooks in JupyterLab, in a folder where the reader may change them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / "_build" / "html" / "_sources"
FOLDER = ROOT / "_build" / "lab"


def offer(notebook):
    """Copy a built notebook.

    Keep under another name what the reader has made of the copy before.
    """
    copy = FOLDER / notebook.relative_to(BUILT)
    original = copy.with_name(f".{copy.name}.built")
    if original.exists() and original.read_bytes() == notebook.read_bytes():
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    if copy.exists() and copy.read_bytes() != original.read_bytes():
        copy.rename(free(copy))
    shutil.copy2(notebook, copy)
    shutil.copy2(notebook, original)


def free(path):
    """Return a name beside ``path`` that nothing has."""
    names = (
        path.with_name(f"{path.stem}-mine-{number}{path.suffix}") for number in range(1, 10_000)
    )
    return next(name for name in names if not name.exists())


def main():
    for notebook in sorted(BUILT.rglob("*.ipynb")):
        offer(notebook)
    silent = (
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    )
    # a container often has no other user;
    # the server listens on this machine alone and asks for its token
    root = () if os.geteuid() else ("--allow-root",)
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "lab",
        "--notebook-dir",
        FOLDER / "book",
        *silent,
        *root,
    ]
    sys.exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    main()
