"""How the book draws a chart: a plug-in of MyST-NB for the output of `rgkit.charts.show`."""

import html
import json
from typing import Any

from docutils import nodes

from rgkit.presentation.charts import VEGA_LITE


class VegaLite:
    """Turn a Vega-Lite output into the figure that the site's ``charts.js`` draws.

    MyST-NB knows it by the entry point ``myst_nb.mime_renderers``.
    """

    mime_priority_overrides = [("*", VEGA_LITE, 1)]

    @staticmethod
    def handle_mime(renderer: Any, data: Any, inline: bool) -> list[nodes.Element] | None:
        """Return the figure as raw HTML, or None for any other output.

        Arguments:
            renderer: MyST-NB's renderer, of which nothing is needed.
            data: the output, with its ``mime_type`` and its ``content``, a chart in Vega-Lite.
            inline: whether it stands within a sentence, where no chart can.
        """
        if inline or data.mime_type != VEGA_LITE:
            return None
        spec = data.content if isinstance(data.content, dict) else json.loads(data.content)
        return [nodes.raw(text=figure(spec), format="html", classes=["output", "text_vega"])]


def figure(spec: dict[str, Any]) -> str:
    """Return the HTML of one chart: its data, and its description for readers without scripts.

    Arguments:
        spec: the chart in Vega-Lite, with its ``description``.
    """
    data = json.dumps(spec, separators=(",", ":")).replace("<", "\\u003c")
    description = html.escape(spec["description"])
    return (
        f'<div class="vl-chart"><script type="application/json">{data}</script>'
        f'<div class="vl-target"></div><noscript>{description}</noscript></div>'
    )
