"""A downloaded notebook held against the run of its cells that the page shows."""

from itertools import zip_longest
from pathlib import Path

import execution
import nbformat

BUILD = Path(__file__).parents[2] / "_build"
HTML = BUILD / "html"
DOWNLOADS = HTML / "_sources"


def found():
    """List the downloads of the built site."""
    return sorted(DOWNLOADS.rglob("*.ipynb"))


def run_of(path):
    """Return the run that the build took the outputs of a download's page from."""
    page = nbformat.read(BUILD / "jupyter_execute" / path.relative_to(DOWNLOADS), as_version=4)
    return execution.executed(page, BUILD / "executed")


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def differences(download, run):
    """Say where a download, after its cell that installs, has other code than what ran."""
    install, *cells = code(download)
    if download.cells[0] is not install or "rgkit" not in install.source:
        yield "the first cell does not install the package"
    for number, (cell, ran) in enumerate(zip_longest(cells, code(run)), 1):
        if cell is None or ran is None:
            yield f"cell {number} is missing in the {'download' if cell is None else 'run'}"
        elif cell.source.strip() != ran.source.strip():
            yield f"cell {number} is not the one that ran"


def faults(run):
    """Say what is wrong with a run: where it ran, what it ran after, or what it wrote."""
    if run.metadata.get("folder") != []:
        yield "it did not run in an empty folder"
    for number, cell in enumerate(code(run), 1):
        if cell.execution_count != number:
            yield f"cell {number} did not run as number {number} of a clean kernel"
        if any(output.output_type == "error" for output in cell.outputs):
            yield f"cell {number} ended with an error"
        if any(output.get("name") == "stderr" for output in cell.outputs):
            yield f"cell {number} wrote on stderr"
