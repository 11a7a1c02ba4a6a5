"""Charts and numbers for the book: what is drawn right, and what is refused with a sentence."""

import html
import json
from pathlib import Path

import altair as alt
import IPython.display
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from rgkit.presentation import charts
from rgkit.presentation.charts_in_book import figure

SCRIPT = Path(__file__).parents[3] / "book" / "_ext" / "charts.js"
ALT = (
    "The distance to the fixed point falls with every step of the flow, faster for weak couplings."
)


def line(y, x=(0.0, 1.0, 2.0)):
    return alt.Chart(pd.DataFrame({"x": x, "y": y})).mark_line().encode(x="x:Q", y="y:Q")


WHOLE = line([1.0, 2.0, 3.0])
FACETED = alt.layer(WHOLE.mark_rule(), data=pd.DataFrame({"x": [0, 1], "y": [0.0, np.nan]}))


@pytest.mark.parametrize(
    "chart, place",
    [
        (line([1.0, np.nan, 3.0]), r"column 'y', row 1 of the data with columns \['x', 'y'\]"),
        (line([1.0, 2.0, np.inf]), "column 'y', row 2"),
        (line([-np.inf, 2.0, 3.0]), "column 'y', row 0"),
        (line([1.0, 2.0, None]), "column 'y', row 2"),
        (line([1.0, 2.0, 3.0], ["a", None, "b"]), "column 'x', row 1"),
        (WHOLE | line([1.0, 2.0, np.nan]), "column 'y', row 2"),
        (WHOLE + line([1.0, np.nan, 2.0]).mark_point(), "column 'y', row 1"),
        (FACETED.facet("x:N", columns=2), "column 'y', row 1"),
        (alt.Chart(alt.Data(values=[{"y": 1}, {"y": None}])).mark_point(), "column 'y', row 1"),
        (alt.Chart(alt.Data(values=[{"y": np.nan}])).mark_point(), "got nan at chart.data.values"),
        (WHOLE.encode(y=alt.datum(np.nan)), "got nan at chart.encoding.y.datum"),
        (WHOLE.encode(x=alt.X("x", scale=alt.Scale(domain=[0, np.inf]))), "got inf at .*domain"),
        (
            WHOLE.add_params(alt.param(name="K", value=np.nan)),
            r"got nan at chart.params\[0\].value",
        ),
        (WHOLE.properties(height=-np.inf), "got -inf at chart.height"),
    ],
)
def test_a_number_that_is_none_is_named(chart, place):
    with pytest.raises(ValueError, match=place):
        charts.show(chart, alt=ALT)


def test_a_column_may_have_gaps_where_they_are_meant():
    chart = line([1.0, np.nan, 3.0])
    spec = charts.show(chart, alt=ALT, gaps=["y"]).spec
    assert [row["y"] for (rows,) in [spec["datasets"].values()] for row in rows] == [1.0, None, 3.0]
    with pytest.raises(ValueError, match="column 'y'"):
        charts.show(chart, alt=ALT, gaps=["x"])


def test_settings_that_are_off_are_no_gaps():
    charts.show(WHOLE.encode(y=alt.Y("y:Q", title=None, axis=None)), alt=ALT)


@pytest.mark.as_a_user
def test_what_is_no_chart_is_refused():
    with pytest.raises(TypeError, match="chart must be a chart of Altair"):
        charts.show(pd.DataFrame({"x": [1.0]}), alt=ALT)


@pytest.mark.parametrize(
    "convert", [float, np.float32, np.float64, np.array, jnp.asarray], ids=lambda f: f.__name__
)
def test_sliders_take_numbers_of_every_kind(convert):
    parameter = charts.slider("K", "coupling K", *map(convert, (0.0, 2.0, 0.5, 1.0)))
    spec = charts.show(WHOLE.add_params(parameter), alt=ALT).spec
    bind = {"input": "range", "min": 0, "max": 2, "step": 0.5, "name": "coupling K"}
    assert json.loads(json.dumps(spec["params"])) == [{"name": "K", "value": 1, "bind": bind}]


@pytest.mark.parametrize(
    "numbers, sentence",
    [
        ((0, 2, 0, 1), "step must be positive"),
        ((0, 2, -0.1, 1), "step must be positive"),
        ((0, 2, 3, 1), "step must be positive and at most stop - start = 2"),
        ((2, 0, 0.1, 1), "stop must exceed start"),
        ((1, 1, 0.1, 1), "stop must exceed start"),
        ((0, 2, 0.1, 3), "value must lie between"),
        ((np.nan, 2, 0.1, 1), "start must be finite"),
        ((0, np.inf, 0.1, 1), "stop must be finite"),
        ((0, 2, np.nan, 1), "step must be finite"),
        ((0, 2, 0.1, np.nan), "value must be finite"),
    ],
)
def test_a_slider_that_cannot_move_is_refused(numbers, sentence):
    with pytest.raises(ValueError, match=sentence):
        charts.slider("K", "coupling K", *numbers)


@pytest.mark.parametrize("name", ["1K", "log K", "K-1", "", "κ", "datum.K"])
def test_a_slider_needs_a_name(name):
    with pytest.raises(ValueError, match="name must be letters, digits and underscores"):
        charts.slider(name, "coupling K", 0, 2, 0.1, 1)


@pytest.mark.parametrize("name", ["E", "PI", "width", "datum"])
def test_a_slider_does_not_take_a_name_of_vega(name):
    with pytest.raises(ValueError, match="name must be free"):
        charts.slider(name, "energy", 0, 2, 0.1, 1)


def test_an_unknown_colour_lists_those_there_are():
    with pytest.raises(ValueError, match="decimation must be one of the colours .*'blue'"):
        charts.palette(decimation="mauve")


@pytest.mark.parametrize("text", ["0.271", np.str_("0.271"), np.array(["0.271"])[0]])
def test_text_is_glued_as_it_reads(text, monkeypatch):
    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda data, **_: shown.append(data))
    charts.glue(gap=text)
    assert [list(data.values()) for data in shown] == [["'0.271'"]]


@pytest.mark.parametrize(
    "value, digits, text",
    [
        (0, 1, "0"),
        (-0.0, 3, "0"),
        (-0.00123, 1, "−1.2 × 10⁻³"),
        (-5e10, 2, "−5.00 × 10¹⁰"),
        (9.99e5, 1, "1.0 × 10⁶"),
        (np.float32(2.0), 0, "2 × 10⁰"),
        (np.array(1e-300), np.int64(1), "1.0 × 10⁻³⁰⁰"),
        (jnp.asarray(4.0), 1, "4.0 × 10⁰"),
    ],
)
def test_powers_of_ten(value, digits, text):
    assert charts.power(value, digits) == text


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "value, digits, sentence",
    [
        (np.nan, 1, "value must be finite"),
        (-np.inf, 1, "value must be finite"),
        ("1e-3", 1, "value must be a real number"),
        (1j, 1, "value must be real"),
        (1.0, -1, "digits must be at least 0"),
        (1.0, 0.5, "digits must be an integer"),
    ],
)
def test_what_has_no_power_of_ten_is_named(value, digits, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        charts.power(value, digits)


STAND_IN = """
window.vegaEmbed = async (target, spec) => {
  if (spec.description === "broken") throw new Error("no such signal");
  target.innerHTML = `<svg width="${spec.width}"></svg>`;
  return { view: { signal() {}, async runAsync() {} }, finalize() {} };
};
"""
# a chart that no page can read, one that Vega cannot draw, and two like any other
PAGE = f"""<!doctype html><body style="width: 600px">
{figure({"description": "first", "mark": "line", "config": {}})}
<div class="vl-chart"><script type="application/json">{{"y": NaN}}</script>
<div class="vl-target"></div></div>
{figure({"description": "broken", "mark": "line", "config": {}})}
{figure({"description": "last", "mark": "line"})}
<script>{STAND_IN}</script><script>{SCRIPT.read_text()}</script></body>"""


@pytest.fixture(scope="module")
def page(chromium):
    page = chromium.new_page()
    page.set_content(PAGE)
    page.wait_for_function(
        "[...document.querySelectorAll('.vl-chart')].every((chart) => chart.dataset.ready)"
    )
    yield page
    page.close()


def test_a_chart_that_fails_leaves_the_others_of_its_page(page):
    states = page.eval_on_selector_all(".vl-chart", "list => list.map((c) => c.dataset.ready)")
    assert states == ["yes", "error", "error", "yes"]


def test_a_chart_that_fails_says_so(page):
    texts = page.locator(".vl-target").all_inner_texts()
    assert all("could not be drawn" in text for text in texts[1:3])
    assert "no such signal" in texts[2] and texts[0] == texts[3] == ""


def test_a_description_is_text_in_the_page():
    drawn = figure({"description": "a < b & c", "mark": "line"})
    assert html.escape("a < b & c") in drawn and "a < b" not in drawn
