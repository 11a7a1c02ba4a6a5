"""Notebooks for students: every exercise, room for its answer, and no solution; and the kit."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import compared
import downloads
import kit
import nbformat
import pytest

FOUND = compared.found()
SOLUTION = re.compile(
    r"(?s)```\{solution-start\}(?P<long>.*?)```\{solution-end\}"
    r"|(?P<fence>```+)\{solution\}(?P<short>.*?)\n(?P=fence)\n"
)
ROOT = Path(__file__).parents[2]


def student(path):
    relative = path.relative_to(compared.DOWNLOADS)
    return nbformat.read(compared.HTML / downloads.STUDENTS / relative, as_version=4)


def lines(path):
    """Return the lines of the solutions of a chapter's source that say something of their own."""
    source = (ROOT / path.relative_to(compared.DOWNLOADS)).with_suffix(".md").read_text("utf8")
    rest = {line.strip() for line in SOLUTION.sub("", source).splitlines()}
    for solution in SOLUTION.finditer(source):
        text = solution["long"] or solution["short"]
        yield {line.strip() for line in text.splitlines() if len(line) > 40} - rest


def said(notebook):
    """Return the lines of a notebook."""
    return {line.strip() for cell in notebook.cells for line in cell.source.splitlines()}


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_a_student_reads_every_exercise_and_no_solution(path):
    book, mine = nbformat.read(path, as_version=4), student(path)
    nbformat.validate(mine)
    posed = [cell.source for cell in book.cells if "exercise" in cell.metadata.get("tags", [])]
    answers = [i for i, cell in enumerate(mine.cells) if "answer" in cell.metadata.get("tags", [])]
    assert [mine.cells[i - 1].source for i in answers] == posed
    assert all(mine.cells[i].source == "# Your answer\n" for i in answers)
    text = said(mine)
    solved = list(lines(path))
    assert len(posed) - 1 <= len(solved) <= len(posed)  # an open question may stay open
    assert not [line for solution in solved for line in solution if line in text]
    given = said(book)
    code = [line for solution in solved for line in solution if " = " in line and "$" not in line]
    assert all(line in given for line in code)


def test_a_solution_that_is_left_in_would_be_found():
    (path,) = [path for path in FOUND if path.stem == "chain-of-spins"]
    text = said(nbformat.read(path, as_version=4))
    assert all(any(line in text for line in solution) for solution in lines(path))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_is_left_of_a_chapter_is_in_its_order(path):
    book, mine = nbformat.read(path, as_version=4), student(path)
    kept = [c.source for c in book.cells if "solution" not in c.metadata.get("tags", [])]
    assert [c.source for c in mine.cells if "answer" not in c.metadata.get("tags", [])] == kept


def test_the_kit_has_all_chapters_under_their_numbers():
    names = dict(kit.chapters())
    assert names["book/ising/chain-of-spins"] == "01-chain-of-spins"
    assert names["book/lenses/what-a-feature-reads"] == "20-what-a-feature-reads"
    assert [name[:3] for name in names.values()] == [f"{i + 1:02}-" for i in range(len(names))]
    assert "book/index" not in names


def test_the_kit_and_the_downloads_ask_for_the_same():
    assert kit.MODULES == downloads.MODULES


def first_cell(tmp_path, monkeypatch, files=()):
    """Run the kit's first cell in a folder below these files; return the commands that it ran."""
    (tmp_path / "student").mkdir()
    for name in files:
        (tmp_path / name).touch()
    commands = []
    monkeypatch.chdir(tmp_path / "student")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    exec(kit.INSTALL, {})
    return commands


def test_the_first_cell_installs_the_package_of_the_kit(tmp_path, monkeypatch):
    (command,) = first_cell(tmp_path, monkeypatch, ["rgkit-0.1.0-py3-none-any.whl"])
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[-1] == f"{tmp_path / 'rgkit-0.1.0-py3-none-any.whl'}[notebooks]"


def test_the_first_cell_says_what_to_do_without_it(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="unpack all of kit.zip"):
        first_cell(tmp_path, monkeypatch)


SCRIPT = """
import pathlib, sys
import kit
kit.TEACH = pathlib.Path(sys.argv[1])
(kit.TEACH / "student").symlink_to(kit.HTML / "teach" / "student")
kit.kit([("book/ising/when-it-can-get-there", "06-threshold")])
"""


def test_a_kit_has_all_of_a_chapter(tmp_path):
    # in a process of its own, since the tests drive a browser
    command = [sys.executable, "-c", SCRIPT, tmp_path]
    subprocess.run(command, cwd=ROOT / "scripts", check=True)
    with zipfile.ZipFile(tmp_path / "kit.zip") as archive:
        names = archive.namelist()
        (wheel,) = [name for name in names if name.endswith(".whl")]
        assert sorted(set(names) - {wheel}) == [
            "kit/README.md",
            "kit/handouts-with-solutions/06-threshold.pdf",
            "kit/handouts/06-threshold.pdf",
            "kit/instructor/06-threshold.ipynb",
            "kit/student/06-threshold.ipynb",
        ]
        assert wheel.rpartition("/")[2] in archive.read("kit/README.md").decode()
        texts = [archive.read(f"kit/{folder}/06-threshold.ipynb") for folder in kit.NOTEBOOKS]
        assert b"Solution to" not in texts[0] and b"Solution to" in texts[1]
        assert all(str(ROOT).encode() not in text for text in texts)
        plain, solved = (archive.read(name) for name in names if name.endswith(".pdf"))
        assert b"/StructTreeRoot" in plain and len(solved) > len(plain)
        archive.extract(wheel, tmp_path)
    with zipfile.ZipFile(tmp_path / wheel) as package:
        assert "rgkit/__init__.pyi" in package.namelist()
