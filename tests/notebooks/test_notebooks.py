"""Every downloaded notebook is what the build ran, in an empty folder and from a clean kernel."""

import copy
import os
import re
from itertools import pairwise

import execution
import nbformat
import pytest
from compared import DOWNLOADS, HTML, code, differences, faults, found, run_of
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook, new_output

FOUND = found()
ERROR = new_output("error", ename="ValueError", evalue="", traceback=[])
STDERR = new_output("stream", name="stderr", text="A warning.")
SMALL = "chain-of-spins"


def test_there_are_notebooks():
    assert FOUND


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_the_notebook_has_the_code_that_ran(path):
    assert list(differences(nbformat.read(path, as_version=4), run_of(path))) == []


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_the_run_was_clean(path):
    assert list(faults(run_of(path))) == []


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_equations_have_the_numbers_of_the_page(path):
    html = HTML.joinpath(path.relative_to(DOWNLOADS)).with_suffix(".html").read_text("utf8")
    shown = re.findall(r'class="eqno">\(([\d.]+)\)', html)
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert re.findall(r"\\tag\{([\d.]+)\}", text) == shown


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_the_page_folds_is_folded(path):
    cells = nbformat.read(path, as_version=4).cells
    page = HTML.joinpath(path.relative_to(DOWNLOADS)).with_suffix(".html").read_text("utf8")
    hidden = [cell for cell in cells if cell.metadata.get("jupyter", {}).get("source_hidden")]
    assert len(hidden) == page.count('<details class="admonition hide')
    solved = [cell for cell in cells if cell.source.startswith("#### Solution")]
    assert all(cell.metadata["jp-MarkdownHeadingCollapsed"] for cell in solved)
    assert all("\n" not in cell.source for cell in solved)
    after = [later for cell, later in pairwise(cells) if cell in solved]
    assert not any(cell.source.startswith("#") for cell in after if cell.cell_type == "markdown")


def test_links_to_chapters_carry_their_numbers():
    (path,) = [path for path in FOUND if path.stem == SMALL]
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    assert re.search(r"\(chapter \d+\)", text)


def ran():
    """Return a run of two cells."""
    cells = [new_code_cell(source) for source in ("x = 1", "print(x)")]
    for number, cell in enumerate(cells, 1):
        cell.execution_count = number
    cells[1].outputs = [new_output("stream", name="stdout", text="1\n")]
    return new_notebook(cells=cells, metadata={"folder": []})


def downloaded():
    """Return the download that belongs to it."""
    sources = ("import rgkit", "x = 1", "print(x)")
    return new_notebook(cells=[new_code_cell(source) for source in sources])


def test_a_download_of_what_ran_is_accepted():
    assert list(differences(downloaded(), ran())) == [] and list(faults(ran())) == []


@pytest.mark.parametrize(
    "spoil, found",
    [
        (lambda cells: cells.pop(0), ["not install", "cell 1 is not", "cell 2 is missing"]),
        (lambda cells: cells.pop(), ["cell 2 is missing in the download"]),
        (lambda cells: cells.append(new_code_cell("y = 2")), ["cell 3 is missing in the run"]),
        (lambda cells: cells[1].update(source="x = 2"), ["cell 1 is not"]),
        (lambda cells: cells.append(cells.pop(1)), ["cell 1 is not", "cell 2 is not"]),
    ],
    ids=["no install", "a cell is missing", "a cell too many", "a changed cell", "another order"],
)
def test_a_download_of_something_else_is_found_out(spoil, found):
    download = downloaded()
    spoil(download.cells)
    told = list(differences(download, ran()))
    assert all(part in sentence for part, sentence in zip(found, told, strict=True))


@pytest.mark.parametrize(
    "spoil, found",
    [
        (lambda run: run.metadata.update(folder=["data.csv"]), "it did not run in an empty folder"),
        (lambda run: run.metadata.pop("folder"), "it did not run in an empty folder"),
        (lambda run: run.cells[1].update(execution_count=7), "cell 2 did not run as number 2"),
        (lambda run: run.cells[1].outputs.append(ERROR), "cell 2 ended with an error"),
        (lambda run: run.cells[0].outputs.append(STDERR), "cell 1 wrote on stderr"),
    ],
    ids=["a full folder", "no record", "a used kernel", "an error", "stderr"],
)
def test_a_run_with_a_fault_is_found_out(spoil, found):
    run = ran()
    spoil(run)
    (told,) = faults(run)
    assert found in told


def test_the_build_notes_what_lies_in_the_folder(tmp_path):
    (tmp_path / "data.csv").touch()
    run = new_notebook(cells=[new_code_cell("x = 1")])
    execution.witnessed(run, str(tmp_path), timeout=120, allow_errors=False)
    assert list(faults(run)) == ["it did not run in an empty folder"]


def execute(notebook, folder):
    """Run every cell of a copy of the notebook and return the copy."""
    notebook = copy.deepcopy(notebook)
    where = {"metadata": {"path": folder}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    return notebook


def texts(cells):
    """Return what cells show as plain text."""
    outputs = [output for cell in cells for output in cell.outputs]
    return [output.get("text", output.get("data", {}).get("text/plain")) for output in outputs]


def test_a_small_download_runs_by_itself_and_shows_what_its_page_shows(tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    (path,) = [path for path in FOUND if path.stem == SMALL]
    again = execute(nbformat.read(path, as_version=4), tmp_path)
    assert os.listdir(tmp_path) == []
    again.metadata["folder"] = []
    assert list(faults(again)) == []
    assert texts(code(again)[1:]) == texts(code(run_of(path)))
