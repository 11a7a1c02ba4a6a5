"""`make chapter` writes a chapter that passes its tests, or says in one sentence why not."""

import re
import shutil
import subprocess
import sys
from collections import Counter

import chapter
import jupytext
import plain_markdown
import pytest
import yaml
from nbclient import NotebookClient
from opened import PAGES, ROOT
from test_cells import faults
from test_claims_ledger import listed, stated
from test_prose import DECIMAL, prose
from test_times import STATED, minutes

NAME = "coins/what-two-coins-tell"


@pytest.fixture
def tree(tmp_path):
    """A copy of what the book's pages and their list are."""
    for name in ("book", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "_toc.yml", tmp_path)
    return tmp_path


def made(tree, name=NAME):
    chapter.start(name, tree)
    return (tree / "book" / f"{name}.md").read_text(encoding="utf8")


def contents(tree):
    return yaml.safe_load((tree / "_toc.yml").read_text(encoding="utf8"))["parts"]


def files(part):
    return [page["file"] for page in part["chapters"]]


def test_a_new_folder_becomes_the_next_numbered_part(tree):
    before = contents(tree)
    made(tree)
    numbered = [part for part in before if part.get("numbered")]
    (new,) = [part for part in contents(tree) if part not in before]
    assert files(new) == [f"book/{NAME}"] and new["numbered"] == 1
    assert new["caption"] == f"Part {chapter.NUMERALS[len(numbered)]}. Coins"
    assert contents(tree).index(new) == before.index(numbered[-1]) + 1


def test_a_known_folder_has_it_as_its_last_chapter(tree):
    before = contents(tree)
    made(tree, "ising/another-question")
    after = contents(tree)
    (at,) = [i for i, part in enumerate(before) if "book/ising/chain-of-spins" in files(part)]
    assert files(after[at]) == [*files(before[at]), "book/ising/another-question"]
    assert after[:at] + after[at + 1 :] == before[:at] + before[at + 1 :]


@pytest.mark.parametrize("name", [NAME, "ising/another-question"])
def test_all_numbers_of_chapters_follow(tree, name):
    claimed = stated(made(tree, name))
    numbers = {page: str(number) for page, number in chapter.numbers(chapter.toc(tree)).items()}
    overview = (tree / "book/index.md").read_text(encoding="utf8")
    listing = re.findall(r"(?m)^(\d+)\. \{doc\}`/([^`]+)`", overview)
    assert [(page, number) for number, page in listing] == list(numbers.items())
    ledger = (tree / "book/reference/claims-ledger.md").read_text(encoding="utf8")
    assert re.findall(r"(?m)^## Chapter (\d+)", ledger) == list(numbers.values())
    assert claimed and claimed <= listed(ledger)


@pytest.mark.parametrize("name", PAGES)
def test_links_name_the_numbers_of_the_contents(name):
    text = (ROOT / f"{name}.md").read_text(encoding="utf8")
    assert chapter.renumbered(text, chapter.numbers(chapter.toc(ROOT))) == text


def test_a_wrong_number_in_a_link_is_found():
    link = "{doc}`Chapter 4 </book/ising/a>`"
    assert chapter.renumbered(link, {"book/ising/a": 5}) == "{doc}`Chapter 5 </book/ising/a>`"


def test_labels_are_unique_in_the_book(tree):
    made(tree)
    texts = [page.read_text(encoding="utf8") for page in chapter.pages(tree).values()]
    given = Counter(label for text in texts for label in chapter.labels(text))
    assert [label for label, times in given.items() if times > 1] == []
    assert {f"{kind}-{NAME.split('/')[1]}" for kind in ("thm", "fig", "eq")} <= set(given)


def test_its_prose_has_no_measured_numbers_and_nothing_left_to_fill_in(tree):
    text = made(tree)
    assert not DECIMAL.search(prose(text)) and "@" not in text


def test_its_cells_can_be_read(tree):
    assert list(faults(made(tree))) == []


def test_its_minutes_are_honest(tree):
    text = made(tree)
    (stated,) = STATED.findall(text)
    assert abs(int(stated) / minutes(text) - 1) < 0.25


class Anything(dict):
    """A name for every label."""

    def __missing__(self, label):
        return ("Somebody", "1948", "") if label[:1].isupper() else label


def test_its_download_is_plain_markdown(tree):
    cells = jupytext.reads(made(tree), fmt="md:myst").cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    found = plain_markdown.References(*[Anything({"": ""})] * 5)
    text = "\n".join(plain_markdown.convert(text, found) for text in texts)
    assert "**Theorem" in text and not re.search(r"\{[a-z:-]+\}`|[`:]{3}\{", text)


def test_its_cells_run_by_themselves(tree, tmp_path_factory):
    notebook = jupytext.reads(made(tree), fmt="md:myst")
    where = {"metadata": {"path": tmp_path_factory.mktemp("empty")}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("", "NAME is missing"),
        ("keeps", "small letters, digits and hyphens"),
        ("critical/What keeps", "small letters, digits and hyphens"),
        ("../critical/keeps", "small letters, digits and hyphens"),
        ("reference/keeps", "book/reference holds no chapters"),
        ("ising/chain-of-spins", "book/ising/chain-of-spins.md already exists"),
        ("critical/chain-of-spins", "book/ising/chain-of-spins.md already exists"),
        ("critical/gap", "The label eq-gap is taken"),
    ],
)
def test_a_name_that_will_not_do_gets_one_sentence(tree, name, sentence):
    before = {path: path.read_bytes() for path in tree.rglob("*.*") if path.is_file()}
    command = [sys.executable, tree / "scripts" / "chapter.py", *([name] if name else [])]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 1 and told.stdout == ""
    assert sentence in told.stderr and told.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in before} == before
