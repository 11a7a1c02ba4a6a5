"""Draw what shows the book elsewhere: the README's picture, and the card of links to its pages.

The picture is the first chart of the built landing page, for light and for dark screens.
"""

import json
import re
from pathlib import Path

import vl_convert

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "_build" / "html" / "book" / "index.html"
CHART = re.compile(
    r'<div class="vl-chart"><script type="application/json">(.*?)</script>', re.DOTALL
)
# the lighter shades that the site gives to the colours of charts on a dark screen
SHADE = re.compile(r'\[fill="(#\w+)"\] \{ fill: (#\w+); \}')
STYLES = ROOT / "book" / "_ext" / "book.css"
INKS = {"light": "#1f2328", "dark": "#e6edf3"}


STATIC = ROOT / "book" / "_static"
CARD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1200 630" width="1200" height="630">
<rect width="1200" height="630" fill="#ffffff"/>
<svg x="80" y="175" width="280" height="280" viewBox="0 0 64 64">{mark}</svg>
<g font-family="sans-serif" fill="#1f2328">
<text x="420" y="270" font-size="60" font-weight="bold">Renormalization</text>
<text x="420" y="345" font-size="60" font-weight="bold">and training</text>
<text x="420" y="425" font-size="42">two flows, one number</text>
</g></svg>"""


def themed(ink):
    """Return a Vega-Lite configuration whose text and axes have the colour of the screen's text."""
    parts = {part: {"labelColor": ink, "titleColor": ink} for part in ("axis", "legend", "header")}
    parts["axis"] |= {"domainColor": ink, "tickColor": ink, "gridColor": ink, "gridOpacity": 0.15}
    return parts | {"title": {"color": ink}, "text": {"color": ink}, "rule": {"color": ink}}


def main():
    spec = json.loads(CHART.search(PAGE.read_text(encoding="utf8"))[1])
    spec["config"]["background"] = "transparent"
    shades = dict(SHADE.findall(STYLES.read_text(encoding="utf8")))
    for scheme, ink in INKS.items():
        svg = vl_convert.vegalite_to_svg(spec, vl_version="6.4", config=themed(ink))
        for colour, shade in shades.items() if scheme == "dark" else ():
            svg = svg.replace(colour, shade)
        (STATIC / f"picture-{scheme}.svg").write_text(svg)
    mark = re.search("<path.*(?=</svg>)", (STATIC / "logo.svg").read_text())[0]
    (STATIC / "card.png").write_bytes(vl_convert.svg_to_png(CARD.format(mark=mark)))


if __name__ == "__main__":
    main()
