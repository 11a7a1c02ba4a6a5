"""Every page as a browser shows it: in light, and in the dark for what the scheme can change."""

from pathlib import Path

import nbformat
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from opened import CHAPTERS, HTML

PHONE = 360
EXCEPTIONS = yaml.safe_load((Path(__file__).parent / "axe-exceptions.yml").read_text())
ALL_RULES = {"resultTypes": ["violations"]}
NOTEBOOK = ".btn-download-notebook-button, a[href$='.ipynb']"
COLOUR = ("color-contrast", "link-in-text-block")
RULES_ON_COLOUR = {"resultTypes": ["violations"], "runOnly": {"type": "rule", "values": COLOUR}}


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
    assert faults(shared.page, ALL_RULES) == []


def test_the_page_is_quiet_in_the_dark(dark):
    assert dark.theme == "dark"
    assert (dark.problems, dark.outside) == ([], [])


def test_everything_is_drawn_in_the_dark(dark):
    check_mathematics(dark.page)
    check_charts(dark.charts)


def test_colours_in_the_dark(dark):
    assert faults(dark.page, RULES_ON_COLOUR) == []


def faults(page, rules):
    """Return what axe finds, except for what an exception names."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(300)  # a colour on its way back from a hover is nobody's fault
    found = Axe().run(page, options=rules).response["violations"]
    nodes = [(rule["id"], node) for rule in found for node in rule["nodes"]]
    named = [(rule, node["target"], node["html"][:200]) for rule, node in nodes]
    return [fault for fault in named if not excepted(page, fault)]


def excepted(page, fault):
    """Say whether an exception names this rule, for an element that its selector matches."""
    rule, target, _ = fault
    selectors = [exception["selector"] for exception in EXCEPTIONS if exception["rule"] == rule]
    script = """([target, selector]) => {
      const e = document.querySelector(target);
      return !!e && e.matches(selector);
    }"""
    return any(page.evaluate(script, [target[-1], selector]) for selector in selectors)


def test_no_other_rule_is_about_colour(visit):
    answer = Axe().run(visit("search").page, options={}).response
    kinds = ("violations", "passes", "incomplete", "inapplicable")
    asked = [rule for kind in kinds for rule in answer[kind]]
    assert {rule["id"] for rule in asked if "cat.color" in rule["tags"]} == set(COLOUR)


@pytest.mark.parametrize("colour, scheme", [("#dddddd", "light"), ("#333333", "dark")])
def test_what_one_scheme_alone_hides_is_found_in_it(visit, colour, scheme):
    opened = visit("search")
    faint = f"<p style='color: {colour}'>Faint.</p>"
    script = "faint => document.querySelector('h1').insertAdjacentHTML('afterend', faint)"
    opened.page.evaluate(script, faint)
    found = {}
    for look in ("light", "dark"):
        opened.switch(look)
        found[look] = {rule for rule, _, _ in faults(opened.page, RULES_ON_COLOUR)}
    assert found == {"light": set(), "dark": set()} | {scheme: {"color-contrast"}}


def test_the_notebook_downloads(shared, tmp_path):
    """The button hands out the file that the tests of notebooks hold against the build's run."""
    assert bool(shared.page.query_selector(NOTEBOOK)) == (shared.name in CHAPTERS)
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


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda exception: exception["rule"])
def test_exceptions_carry_a_reason(exception):
    assert set(exception) == {"rule", "selector", "reason"} and len(exception["reason"]) > 30


def test_exceptions_only_fall():
    assert len(EXCEPTIONS) <= 1
