"""The book on paper: one page of all pages, whose links stay inside, with contents and tags."""

import subprocess
import sys

import pdf
import pytest
from bs4 import BeautifulSoup
from opened import PAGES, ROOT

TWO = ["book/index", "book/ising/proofs"]


@pytest.fixture(scope="module")
def book():
    return BeautifulSoup(pdf.whole(), "html.parser")


def test_all_pages_are_in_it_in_their_order(book):
    sections = book.select_one("article.bd-article").find_all("section", recursive=False)
    assert [part["id"] for part in sections] == [pdf.anchor(page) for page in PAGES]


def test_links_stay_inside(book):
    names = [element["id"] for element in book.find_all(id=True)]
    inside = [a["href"][1:] for a in book.select("article a[href^='#']")]
    assert len(names) == len(set(names))
    assert len(inside) > 1000 and set(inside) <= set(names)


@pytest.mark.parametrize(
    "address, target",
    [
        ("https://doi.org/10.1", "https://doi.org/10.1"),
        ("#thm", "#a-b--thm"),
        ("../c/d.html", "#c-d"),
        ("../c/d.html#fig", "#c-d--fig"),
        ("elsewhere.html", None),
        ("#K=1&N=12", None),
    ],
)
def test_a_link_of_a_page_becomes_one_of_the_whole(address, target):
    assert pdf.link("a/b", address, {"a/b", "c/d"}) == target


SCRIPT = """
import pathlib, sys
import pdf
pdf.pages = lambda root: [(page, None) for page in {pages}]
with pdf.paper() as printed:
    printed("whole", pathlib.Path(sys.argv[1]), pdf.whole())
"""


def test_it_is_printed_with_tags_and_contents(tmp_path):
    path = tmp_path / "two.pdf"
    # in a process of its own, since this one drives a browser already
    command = [sys.executable, "-c", SCRIPT.format(pages=TWO), path]
    subprocess.run(command, cwd=ROOT / "scripts", check=True)
    data = path.read_bytes()
    assert data.startswith(b"%PDF") and len(data) > 100_000
    for part in (b"/StructTreeRoot", b"/Marked true", b"/Outlines", b"/Dest"):
        assert part in data, part
