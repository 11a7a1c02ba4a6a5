"""Every page in both schemes, as a browser shows it."""

from pathlib import Path

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe

PHONE = 360
EXCEPTIONS = yaml.safe_load((Path(__file__).parent / "axe-exceptions.yml").read_text())


def test_the_page_is_quiet(shared):
    assert shared.problems == []


def test_nothing_is_fetched_from_elsewhere(shared):
    assert shared.outside == []


def test_the_scheme_is_followed(shared):
    assert shared.page.get_attribute("html", "data-theme") == shared.scheme


def test_mathematics_is_drawn(shared):
    page = shared.page
    assert (
        page.evaluate(
            "[...document.querySelectorAll('[data-mjx-error], mjx-merror')].map(e => e.outerHTML)"
        )
        == []
    )
    undrawn = "[...document.querySelectorAll('.math')].filter(e => !e.querySelector('mjx-container')).map(e => e.outerHTML)"
    assert page.evaluate(undrawn) == []
    assert [
        mark
        for mark in (r"\(", r"\[", "$$", r"\frac", "{prf:", "{cite", "{glue", "{term}")
        if mark in prose(page)
    ] == []


def prose(page):
    """Return the article's text without code and drawn mathematics."""
    script = """() => {
      const copy = (document.querySelector('article') || document.querySelector('main')).cloneNode(true);
      copy.querySelectorAll('pre, code, script, mjx-container, svg').forEach(e => e.remove());
      return copy.textContent;
    }"""
    return page.evaluate(script)


def test_charts_are_drawn_and_described(shared):
    for chart in shared.charts:
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
    script = """() => [...document.querySelectorAll('article *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
      && !e.closest('pre, .cell_output, mjx-container, .math, .table-wrapper, .pst-scrollable-table-container'))
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


def test_accessibility(shared):
    shared.page.mouse.move(0, 0)
    shared.page.wait_for_timeout(300)  # a colour on its way back from a hover is nobody's fault
    found = Axe().run(shared.page, options={"resultTypes": ["violations"]}).response["violations"]
    faults = [
        (rule["id"], node["target"], node["html"][:200]) for rule in found for node in rule["nodes"]
    ]
    assert [fault for fault in faults if not excepted(shared.page, fault)] == []


def excepted(page, fault):
    """Say whether an exception names this rule, for an element that its selector matches."""
    rule, target, _ = fault
    selectors = [exception["selector"] for exception in EXCEPTIONS if exception["rule"] == rule]
    script = "([target, selector]) => { const e = document.querySelector(target); return !!e && e.matches(selector); }"
    return any(page.evaluate(script, [target[-1], selector]) for selector in selectors)


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda exception: exception["rule"])
def test_exceptions_carry_a_reason(exception):
    assert set(exception) == {"rule", "selector", "reason"} and len(exception["reason"]) > 30


def test_exceptions_only_fall():
    assert len(EXCEPTIONS) <= 1
