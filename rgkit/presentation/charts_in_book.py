"""How the book draws a chart: a plug-in of MyST-NB for the output of :func:`rgkit.charts.show`."""

import html
import json

from docutils import nodes

from rgkit.presentation.charts import VEGA_LITE


class VegaLite:
    """Turn a Vega-Lite output into the figure that the site's ``charts.js`` draws."""

    mime_priority_overrides = [("*", VEGA_LITE, 1)]

    @staticmethod
    def handle_mime(renderer, data, inline):
        """Return the figure as raw HTML, or None for any other output."""
        if inline or data.mime_type != VEGA_LITE:
            return None
        spec = data.content if isinstance(data.content, dict) else json.loads(data.content)
        return [nodes.raw(text=figure(spec), format="html", classes=["output", "text_vega"])]


def figure(spec):
    """Return the HTML of one chart: its specification as data, and its description for readers without scripts."""
    data = json.dumps(spec, separators=(",", ":")).replace("<", "\\u003c")
    description = html.escape(spec["description"])
    return (
        f'<div class="vl-chart"><script type="application/json">{data}</script>'
        f'<div class="vl-target"></div><noscript>{description}</noscript></div>'
    )
