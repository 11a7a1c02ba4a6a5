"""What the web sees of the book: descriptions, an error page, a map; previews of links; paper."""

import gzip
import re
import shutil
import subprocess
import sys

import icons
import pytest
from fontTools.ttLib import TTFont
from jupyter_book.config import get_final_config
from opened import CHAPTERS, HTML, PAGES, ROOT

CHAPTER = "book/ising/chain-of-spins"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_describes_itself_and_says_who_may_use_it(name):
    text = (HTML / f"{name}.html").read_text(encoding="utf8")
    (description,) = re.findall(r'<meta name="description" content="([^"]+)"', text)
    assert len(description) > 60 and not re.search(r"\\\(|\{term|:::", description)
    assert f'property="og:description" content="{description}"' in text
    assert 'rel="license"' in text and "CC BY 4.0" in text and 'rel="canonical"' not in text


def test_a_wrong_address_leads_to_a_page_of_the_book():
    text = (HTML / "404.html").read_text(encoding="utf8")
    assert "bd-article" in text and 'href="/book/index.html"' in text
    assert not re.search(r'(?:href|src)="(?!/|#|https?:|data:)', text)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A small book with an address."""
    source = tmp_path_factory.mktemp("published")
    for folder in ("_ext", "_static"):
        shutil.copytree(ROOT / "book" / folder, source / folder)
    (source / "index.rst").write_text("Title\n=====\n\nA first sentence that says what it is.\n")
    (source / "conf.py").write_text(
        "import sys\nsys.path.insert(0, '_ext')\nextensions = ['published']\n"
        "html_title = 'Two flows'\nhtml_baseurl = 'https://example.org/two-flows/'\n"
        "exclude_patterns = ['_ext']\n"
    )
    html = source / "html"
    # in a process of its own: the extension that draws the map starts another, which would keep
    # the browser of this one
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", ".", "html"]
    subprocess.run(command, cwd=source, check=True)
    return html


def test_with_an_address_come_a_map_canonical_links_and_a_card(published):
    text = (published / "index.html").read_text()
    assert '<link rel="canonical" href="https://example.org/two-flows/index.html"' in text
    assert 'og:image" content="https://example.org/two-flows/_static/card.png"' in text
    assert "https://example.org/two-flows/index.html" in (published / "sitemap.xml").read_text()
    assert 'href="/two-flows/_static/' in (published / "404.html").read_text()


def test_both_addresses_are_read_from_the_configuration():
    settings, _ = get_final_config(
        user_yaml=ROOT / "_config.yml",
        sourcedir=ROOT,
        cli_config={"latex_individualpages": False},
    )
    assert settings["html_baseurl"] == "" == settings["html_theme_options"]["repository_url"]


def test_the_card_is_there():
    card = (HTML / "_static" / "card.png").read_bytes()
    assert card.startswith(b"\x89PNG") and len(card) < 200_000


def previewed(opened, link):
    """Focus a link and return what is shown beside it."""
    link.focus()
    opened.page.wait_for_selector(".preview:not([hidden])")
    return opened.page.locator(".preview")


KINDS = {
    "a term": "article a.internal[href*='#term-']",
    "a theorem of another page": "article a.internal[href*='.html#thm-']",
    "a figure": "article a.internal[href^='#fig-']",
    "an equation": "article a.internal[href^='#equation-']",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_shows_where_it_leads(visit, kind):
    for name in CHAPTERS:
        opened = visit(name)
        link = opened.page.query_selector(KINDS[kind])
        if link:
            break
        opened.close()
    box = previewed(opened, link)
    assert len(box.inner_text().strip()) > 20 or box.locator("mjx-container").count()
    assert link.get_attribute("aria-describedby") == "preview"
    opened.page.wait_for_function(
        "!document.querySelector('.preview').textContent.match(/\\\\\\(|\\\\frac/)"
    )
    assert box.evaluate("box => box.getBoundingClientRect().right <= innerWidth")
    opened.page.keyboard.press("Escape")
    assert box.is_hidden() and link.get_attribute("aria-describedby") is None
    assert opened.outside == []


def test_on_paper_a_page_is_light_open_and_without_solutions(visit):
    opened = visit(CHAPTER, "dark")
    page = opened.page
    page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = false; })")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    assert opened.theme == "light"
    assert page.locator("details.sd-dropdown:not([open])").count() == 0
    for gone in ("div.solution", ".vega-bindings", "details.hide", ".bd-header-article"):
        assert page.locator(gone).count() and not any(
            part.is_visible() for part in page.locator(gone).all()
        )
    wrapped = page.locator("div.highlight pre").first
    assert wrapped.evaluate("pre => getComputedStyle(pre).whiteSpace") == "pre-wrap"
    page.emulate_media(media="screen", color_scheme="dark")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert opened.theme == "dark"
    assert page.locator("details.sd-dropdown[open]").count() == 0


PACKED = (".woff", ".woff2", ".png")


@pytest.mark.parametrize("name", ["book/index", "book/ising/training-flow"])
def test_a_first_visit_is_light(chromium, site, name):
    context = chromium.new_context()  # that has loaded nothing yet
    page = context.new_page()
    got = []
    page.on("response", lambda answer: got.append(answer))
    page.goto(f"{site}/{name}.html", wait_until="networkidle")
    sizes = {
        answer.url.removeprefix(site): len(
            answer.body() if answer.url.endswith(PACKED) else gzip.compress(answer.body())
        )
        for answer in got
        if answer.ok
    }
    context.close()
    assert sum(sizes.values()) < 1.0e6, sorted(sizes.items(), key=lambda item: -item[1])[:9]


def test_the_font_of_icons_has_those_that_are_shown():
    (font,) = HTML.rglob(f"{icons.FONT}.woff2")
    styles = "".join(path.read_text(encoding="utf8") for path in HTML.rglob("*.css"))
    pages = (HTML / "book" / "index.html").read_text(encoding="utf8")
    wanted = icons.codes(pages, styles)
    assert set(wanted) <= set(TTFont(font).getBestCmap()) | {0xF320} and len(wanted) > 9
    assert font.stat().st_size < 20_000 and "fontawesome.js" not in pages


def test_icons_are_found_by_name_and_in_styles():
    styles = '.fa-sun:before{content:"\\f185"}.fa-moon:before{content:"\\f186"}a{--b:"\\f0c1"}'
    assert icons.codes('<i class="fas fa-sun"></i>', styles) == [0xF0C1, 0xF185]
