"""What the site offers beyond its pages.

Links that lead somewhere, search, notebooks, and a theme that switches.
"""

import html.parser
import json
import posixpath
import re
from inspect import ismodule
from urllib.parse import unquote, urldefrag, urlparse

import pytest
from opened import CHAPTERS, HTML, PAGES, ROOT
from sphinx.util.inventory import InventoryFile

import rgkit


class Document(html.parser.HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = set(), {""}
        self.feed(path.read_text(encoding="utf8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes.get("id"), attributes.get("name")}
        self.links |= {attributes.get("href"), attributes.get("src")} - {None}


@pytest.fixture(scope="module")
def documents():
    return {path: Document(path) for path in HTML.rglob("*.html") if "_static" not in path.parts}


def broken(page, documents):
    """Return the internal links of a page that lead nowhere."""
    for link in documents[page].links:
        address, anchor = urldefrag(link)
        if urlparse(link).scheme in ("http", "https", "mailto", "data", "javascript"):
            continue
        if not address and "=" in anchor:  # settings of the playground
            continue
        path = unquote(urlparse(address).path)
        folder = HTML if path.startswith("/") else page.parent  # the error page has whole paths
        target = (folder / path.lstrip("/")).resolve() if address else page
        document = documents.get(target)
        if not target.exists() or (document and unquote(anchor) not in document.anchors):
            yield link


def test_no_name_is_given_twice_on_a_page():
    for path in HTML.rglob("*.html"):
        names = re.findall(r'<[^>]*\sid="([^"]+)"', path.read_text(encoding="utf8"))
        assert len(names) == len(set(names)), (path.name, sorted(names))


def test_links_lead_somewhere(documents):
    faults = {str(page.relative_to(HTML)): sorted(broken(page, documents)) for page in documents}
    assert {page: links for page, links in faults.items() if links} == {}


@pytest.mark.parametrize("name", PAGES)
def test_cells_are_silent_on_stderr(name):
    text = (HTML / f"{name}.html").read_text(encoding="utf8")
    assert 'class="output stderr' not in text and 'class="output traceback' not in text


def test_no_page_names_a_script_or_style_on_another_host(documents):
    outside = [
        link
        for document in documents.values()
        for link in document.links
        if link.startswith(("//", "http"))
    ]
    assert [link for link in outside if link.endswith((".js", ".css", ".woff2"))] == []


def test_the_index_has_words_and_shown_code_but_no_formulas():
    terms = json.loads((HTML / "searchindex.js").read_text().split("(", 1)[1].rsplit(")", 1)[0])
    found = set(terms["terms"])
    assert {"decim", "hotrg", "relev"} <= found, (
        "stemmed words, and names in the code that is shown"
    )
    assert [word for word in found if re.search(r"frac(?!tion)|mathbb|langl|mark_line", word)] == []


def test_search_finds_a_term(visit, site):
    page = visit(PAGES[0]).page
    page.goto(f"{site}/search.html?q=decimation")
    page.wait_for_selector("#search-results li a")
    page.wait_for_selector("#search-results li p.context")
    shown = page.inner_text("#search-results")
    assert "decimation" in shown.lower()
    assert not re.search(r"\\[a-z(]|\balt\.|charts\.", shown), "raw TeX or code of a drawing"


def test_launch_buttons_wait_for_an_address(documents):
    links = {link for document in documents.values() for link in document.links}
    assert not any("colab" in link or "mybinder" in link for link in links)


def sliding_pages():
    return [page for page in CHAPTERS if "charts.slider" in (ROOT / f"{page}.md").read_text()]


@pytest.mark.parametrize("name", sliding_pages()[:1])
def test_a_switch_of_scheme_keeps_the_slider(visit, name):
    opened = visit(name, "light")
    chart = next(chart for chart in opened.charts if chart.sliders)
    slider = chart.sliders[0]
    slider.focus()
    opened.page.keyboard.press("End")
    value, drawn = slider.input_value(), chart.marks()
    opened.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert slider.input_value() == value and chart.marks() == drawn
    colour = chart.svg.evaluate("svg => getComputedStyle(svg).color")
    assert min(int(part) for part in colour.strip("rgba()").split(",")[:3]) > 150


def documented():
    """Return the names of ``rgkit`` that the site's inventory has."""
    with (HTML / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", posixpath.join)
    return {name for kind in inventory if kind.startswith("py:") for name in inventory[kind]}


def test_the_reference_has_every_public_name():
    there = documented()
    for name in rgkit.__all__:
        public = getattr(rgkit, name)
        assert (public.__name__ if ismodule(public) else f"rgkit.{name}") in there
