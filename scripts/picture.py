"""Draw the README's picture from the first chart of the built landing page.

It is drawn for light and for dark screens.
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
INKS = {"light": "#1f2328", "dark": "#e6edf3"}


def themed(ink):
    """Return a Vega-Lite configuration whose text and axes have the colour of the screen's text."""
    parts = {part: {"labelColor": ink, "titleColor": ink} for part in ("axis", "legend", "header")}
    parts["axis"] |= {"domainColor": ink, "tickColor": ink, "gridColor": ink, "gridOpacity": 0.15}
    return parts | {"title": {"color": ink}, "text": {"color": ink}, "rule": {"color": ink}}


def main():
    spec = json.loads(CHART.search(PAGE.read_text(encoding="utf8"))[1])
    spec["config"]["background"] = "transparent"
    for scheme, ink in INKS.items():
        svg = vl_convert.vegalite_to_svg(spec, vl_version="6.4", config=themed(ink))
        (ROOT / "book" / "_static" / f"picture-{scheme}.svg").write_text(svg)


if __name__ == "__main__":
    main()
