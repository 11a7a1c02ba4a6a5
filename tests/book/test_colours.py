"""The colours of charts stand out from the page and from each other, in both schemes."""

import re

import numpy as np
import pytest
from opened import ROOT

from rgkit import charts

STYLES = (ROOT / "book" / "_ext" / "book.css").read_text(encoding="utf8")
SHADE = re.compile(
    r'html\[data-theme=dark\] \.vl-chart \[(fill|stroke)="(#\w+)"\] \{ (\w+): (#\w+); \}'
)
SHADES = {(what, given): shade for what, given, _, shade in SHADE.findall(STYLES)}
PALETTES = {
    "#ffffff": charts.COLORS,
    "#121212": {name: SHADES["fill", colour] for name, colour in charts.COLORS.items()},
}
ENOUGH = 4.5  # WCAG 2.2, success criterion 1.4.3


def linear(color):
    values = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    low, high = sorted(linear(color) @ [0.2126, 0.7152, 0.0722] for color in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("background", PALETTES)
@pytest.mark.parametrize("name", charts.COLORS)
def test_marks_stand_out_from_the_page(name, background):
    assert contrast(PALETTES[background][name], background) >= ENOUGH


def test_the_measure_is_the_standard_one():
    assert abs(contrast("#000000", "#ffffff") - 21) < 1e-9
    assert abs(contrast("#767676", "#ffffff") - 4.54) < 0.01


# Machado, Oliveira, Fernandes (2009), doi:10.1109/TVCG.2009.113, full severity
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}


def lab(color, vision):
    seen = np.clip(np.array(VISION[vision]) @ linear(color), 0, 1)
    xyz = (
        np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
        @ seen
    )
    x, y, z = np.cbrt(np.maximum(xyz / [0.95047, 1, 1.08883], 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("background", PALETTES)
@pytest.mark.parametrize("vision", VISION)
def test_colours_differ_for_every_eye(vision, background):
    seen = [lab(color, vision) for color in PALETTES[background].values()]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(distances) > 20


def test_lines_and_areas_have_the_same_shade():
    assert {what: len([w for w, _ in SHADES if w == what]) for what in ("fill", "stroke")} == {
        "fill": len(charts.COLORS),
        "stroke": len(charts.COLORS),
    }
    assert all(shade == SHADES["fill", given] for (_, given), shade in SHADES.items())


def test_a_dark_page_shows_the_shade(visit):
    opened = visit("book/index", "dark")
    script = """colour => getComputedStyle(
      document.querySelector(`.vl-chart svg path[stroke="${colour}"]`)).stroke"""
    drawn = opened.page.evaluate(script, charts.COLORS["blue"])
    shade = SHADES["stroke", charts.COLORS["blue"]]
    assert drawn == "rgb({}, {}, {})".format(*(int(shade[i : i + 2], 16) for i in (1, 3, 5)))
