"""Every page as a browser shows it: in light, and in the dark for what the scheme can change."""

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from opened import CHAPTERS, HTML

PHONE = 360
NOTEBOOK, STUDENTS = ".btn-download-notebook-button", ".btn-download-student-button"
COLOUR = ("color-contrast", "link-in-text-block")
OTHER_RULES = {
    "resultTypes": ["violations"],
    "rules": {name: {"enabled": False} for name in COLOUR},
}
RULES_ON_COLOUR = {"resultTypes": ["violations"], "runOnly": {"type": "rule", "values": COLOUR}}
# marks the first of all words that look alike: what axe says of it, it says of the others
MARK_UNLIKE = """() => {
  document.querySelectorAll('[data-unlike]').forEach(e => delete e.dataset.unlike);
  const behind = e => {
    const all = [];
    for (; e; e = e.parentElement) {
      const style = getComputedStyle(e);
      all.push(style.backgroundColor, style.backgroundImage, style.opacity);
    }
    return all.filter(v => !['rgba(0, 0, 0, 0)', 'none', '1'].includes(v));
  };
  const look = e => {
    const {color, fontSize, fontWeight, textDecorationLine} = getComputedStyle(e);
    const link = e.closest('a') ? getComputedStyle(e.closest('a').parentElement).color : 'text';
    return [color, fontSize, fontWeight, textDecorationLine, link, ...behind(e)].join();
  };
  const words = [...document.body.querySelectorAll('*')].filter(
    e => e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
  );
  const seen = new Map();
  for (const e of words) {
    const found = look(e);
    if (!seen.has(found)) {
      seen.set(found, seen.size);
      e.dataset.unlike = '';
    }
    e.dataset.look = seen.get(found);
  }
  return [words.length, seen.size];
}"""


def test_the_page_is_quiet(shared):
    assert shared.problems == []


def test_nothing_is_fetched_from_elsewhere(shared):
    assert shared.outside == []


def test_what_a_page_fetches_from_elsewhere_is_seen(visit):
    opened = visit("search")
    opened.page.evaluate("fetch('https://example.org/').catch(() => null)")
    assert opened.outside == ["https://example.org/"] and len(opened.problems) > 0


def test_the_scheme_is_followed(shared):
    assert shared.theme == "light"


def test_mathematics_is_drawn(shared):
    check_mathematics(shared.page)


def check_mathematics(page):
    assert (
        page.evaluate(
            "[...document.querySelectorAll('[data-mjx-error], mjx-merror')].map(e => e.outerHTML)"
        )
        == []
    )
    undrawn = """[...document.querySelectorAll('.math')]
      .filter(e => !e.querySelector('mjx-container')).map(e => e.outerHTML)"""
    assert page.evaluate(undrawn) == []
    assert [
        mark
        for mark in (r"\(", r"\[", "$$", r"\frac", "{prf:", "{cite", "{glue", "{term}")
        if mark in prose(page)
    ] == []


def prose(page):
    """Return the article's text without code and drawn mathematics."""
    script = """() => {
      const article = document.querySelector('article') || document.querySelector('main');
      const copy = article.cloneNode(true);
      copy.querySelectorAll('pre, code, script, mjx-container, svg').forEach(e => e.remove());
      return copy.textContent;
    }"""
    return page.evaluate(script)


def test_charts_are_drawn_and_described(shared):
    check_charts(shared.charts)


def check_charts(charts):
    for chart in charts:
        assert chart.element.get_attribute("data-ready") == "yes", chart.description
        assert chart.svg.query_selector("[role='graphics-symbol'], [role='graphics-object']")
        described = chart.element.query_selector("[aria-label]").get_attribute("aria-label")
        assert described == chart.description


def test_images_are_described(shared):
    script = "[...document.querySelectorAll('article img')].map(e => [e.src, e.alt])"
    for source, alt in shared.page.evaluate(script):
        assert len(alt) >= 60, f"{source}: {alt!r}"


def test_nothing_is_wider_than_a_phone(shared):
    shared.resize(PHONE)
    script = """() => [...document.querySelectorAll('article *')]
      .filter(e => e.getBoundingClientRect().right > innerWidth + 1
        && !e.closest('pre, .cell_output, mjx-container, .math, .table-wrapper, '
          + '.pst-scrollable-table-container'))
      .slice(0, 3).map(e => e.outerHTML.slice(0, 200))"""
    overflow = shared.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    wide = shared.page.evaluate(script) if overflow > 0 else []
    drawn = "svg => svg.getBoundingClientRect().width / svg.getAttribute('width')"
    scale = [chart.svg.evaluate(drawn) for chart in shared.charts]
    shared.resize(1280)
    assert overflow <= 0, wide
    assert all(value > 0.9 for value in scale), (
        f"charts drawn smaller than they can be read: {scale}"
    )


def test_sliders_answer_to_the_keyboard(shared):
    for chart in shared.charts:
        for number in range(len(chart.sliders)):
            before = chart.marks()
            slider = chart.element.query_selector_all("input[type=range]")[number]
            name, value = slider.get_attribute("aria-label"), slider.input_value()
            slider.focus()
            for key in (
                ("ArrowRight", "PageUp")
                if value != slider.get_attribute("max")
                else ("ArrowLeft", "PageDown")
            ):
                shared.page.keyboard.press(key)
            shared.page.wait_for_timeout(50)
            assert name and slider.input_value() != value
            assert chart.marks() != before, (
                f"the slider {name!r} moves nothing in: {chart.description}"
            )
            chart.element.query_selector(".vl-reset").click()
            shared.page.wait_for_timeout(50)
            assert slider.input_value() == value, f"reset does not bring back {name!r}"


def shown(page):
    """List what the page shows, in order."""
    script = """[...document.querySelectorAll('body *')].filter(e => e.checkVisibility())
      .map(e => `${e.tagName}#${e.id}`)"""
    return page.evaluate(script)


def test_a_switch_of_scheme_shows_the_same(shared):
    """So the rules that are not about colour need one look only."""
    in_light = shown(shared.page)
    shared.switch("dark")
    theme, in_dark = shared.theme, shown(shared.page)
    shared.switch("light")
    assert in_dark == in_light and len(in_light) > 50
    assert (theme, shared.theme) == ("dark", "light")
    assert (shared.problems, shared.outside) == ([], [])


def test_accessibility(shared):
    assert faults(shared.page, OTHER_RULES) == []


def test_colours(shared):
    assert colour_faults(shared.page) == []


def test_colours_in_the_dark(dark):
    assert colour_faults(dark.page) == []


def colour_faults(page):
    """Return what axe finds in the colours of one of each kind of words."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(300)  # a colour on its way back from a hover is nobody's fault
    page.evaluate(MARK_UNLIKE)
    return faults(page, RULES_ON_COLOUR, {"include": [["[data-unlike]"]]})


def faults(page, rules, context=None):
    """Return what axe finds."""
    found = Axe().run(page, context, rules).response["violations"]
    nodes = [(rule["id"], node) for rule in found for node in rule["nodes"]]
    return [(rule, node["target"], node["html"][:200]) for rule, node in nodes]


def test_no_other_rule_is_about_colour(visit):
    answer = Axe().run(visit("search").page, options={}).response
    kinds = ("violations", "passes", "incomplete", "inapplicable")
    asked = [rule for kind in kinds for rule in answer[kind]]
    assert {rule["id"] for rule in asked if "cat.color" in rule["tags"]} == set(COLOUR)


@pytest.mark.parametrize("name", [CHAPTERS[0], "book/fields/networks-on-fields"])
def test_a_page_that_opens_in_the_dark_is_quiet_and_drawn(visit, name):
    opened = visit(name, "dark")
    assert (opened.theme, opened.problems, opened.outside) == ("dark", [], [])
    check_mathematics(opened.page)
    check_charts(opened.charts)


def test_few_words_stand_for_all(visit):
    """Of all that axe calls faint on a page, one that looks like it is found among the few."""
    page = visit("book/reference/glossary").page
    page.add_style_tag(content="article p, article dd, pre span { color: #bbbbbb !important; }")
    words, unlike = page.evaluate(MARK_UNLIKE)
    assert unlike < words / 5

    def looks(found):
        script = "target => document.querySelector(target).dataset.look"
        return [page.evaluate(script, target[-1]) for _, target, _ in found]

    everywhere, here = looks(faults(page, RULES_ON_COLOUR)), looks(colour_faults(page))
    assert len(everywhere) > 2 * len(here) > 0 and set(everywhere) == set(here)


@pytest.mark.parametrize("colour, scheme", [("#dddddd", "light"), ("#333333", "dark")])
def test_what_one_scheme_alone_hides_is_found_in_it(visit, colour, scheme):
    opened = visit("search")
    faint = f"<p style='color: {colour}'>Faint.</p>"
    script = "faint => document.querySelector('h1').insertAdjacentHTML('afterend', faint)"
    opened.page.evaluate(script, faint)
    found = {}
    for look in ("light", "dark"):
        opened.switch(look)
        found[look] = {rule for rule, _, _ in colour_faults(opened.page)}
    assert found == {"light": set(), "dark": set()} | {scheme: {"color-contrast"}}


def test_the_notebook_downloads(shared, tmp_path):
    """The button hands out the file that the tests of notebooks hold against the build's run."""
    shown = [bool(shared.page.query_selector(button)) for button in (STUDENTS, NOTEBOOK)]
    assert shown == [shared.name in CHAPTERS] * 2
    if shared.name not in CHAPTERS:
        return
    shared.page.click("button[aria-label='Download this page']")
    with shared.page.expect_download() as download:
        shared.page.click(NOTEBOOK)
    path = tmp_path / "chapter.ipynb"
    download.value.save_as(path)
    assert path.read_bytes() == (HTML / "_sources" / f"{shared.name}.ipynb").read_bytes()
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert "rgkit" in notebook.cells[0].source
    assert not any(cell.get("outputs") for cell in notebook.cells)
    markdown = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "{glue" not in markdown and "```{" not in markdown and ":::{" not in markdown
    menu = shared.page.query_selector_all(".dropdown-download-buttons a")
    assert menu[0].get_attribute("href").endswith(f"teach/student/{shared.name}.ipynb")


def test_displayed_formulas_have_room(shared):
    """They do on the desktop, and on a phone but for what would be too small to read."""
    script = """() => [...document.querySelectorAll('div.math > mjx-container')].map(
      formula => formula.scrollWidth - formula.clientWidth).filter(excess => excess > 2)"""
    if shared.name != "book/reference/api":
        shared.resize(1280)
        assert shared.page.evaluate(script) == []
    shared.resize(PHONE)
    assert all(excess < 120 for excess in shared.page.evaluate(script))
    shared.resize(1280)
