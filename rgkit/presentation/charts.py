"""Charts and numbers for the book: one way to show a figure, one way to hand a number to the prose."""

import json
import sys

import altair as alt

VEGA_LITE = "application/vnd.vegalite.v5+json"
_GLUE = "application/papermill.record/"
_LARGEST = 300_000
_SHORTEST = 60
_NOTEBOOK_WIDTH = 480

COLORS = {
    "blue": "#3796ec",
    "orange": "#e4731c",
    "green": "#2a783a",
    "pink": "#a34195",
    "violet": "#912bf3",
    "grey": "#90938d",
}

_CONFIG = {
    "background": "white",
    "view": {"stroke": None, "continuousWidth": 300, "continuousHeight": 300},
    "range": {"category": list(COLORS.values())},
    "mark": {"color": COLORS["blue"]},
}


class Figure:
    """A chart with its description, as the book and JupyterLab draw it."""

    def __init__(self, spec):
        self.spec = spec

    def _repr_mimebundle_(self, include=None, exclude=None):
        if "google.colab" in sys.modules:
            return alt.Chart.from_dict(self.spec)._repr_mimebundle_()
        return {VEGA_LITE: _fixed_width(self.spec), "text/plain": self.spec["description"]}


def show(chart, alt):
    """Return ``chart`` as a figure for the book and for JupyterLab.

    Args:
        chart: an Altair chart: single, layered, concatenated, or faceted by ``facet`` or ``column``.
        alt: what the figure shows, in a sentence or two, for readers who do not see it.

    Raises:
        ValueError: when ``alt`` is too short to say what the figure shows, when the data exceed
            300 kB, or when the chart is faceted by row and column at once.
    """
    _check_description(alt)
    spec = chart.properties(description=" ".join(alt.split())).to_dict()
    _check_layout(spec)
    _check_size(spec)
    return Figure(spec | {"config": _CONFIG | spec.get("config", {}) | {"view": _CONFIG["view"]}})


def slider(name, label, start, stop, step, value):
    """Return an Altair parameter that a range slider sets; use it as ``alt.expr.<name>`` or in an expression string.

    Args:
        name: the parameter's name in Vega expressions.
        label: the visible text, with the quantity's name.
        start, stop, step: the slider's range and its step.
        value: where the slider starts, and where its reset button returns to.
    """
    if not start <= value <= stop:
        raise ValueError(
            f"value must lie between start and stop, got {value} outside [{start}, {stop}]"
        )
    return alt.param(
        name=name, value=value, bind=alt.binding_range(min=start, max=stop, step=step, name=label)
    )


def palette(**meanings):
    """Return a colour scale that gives each category its own colour of ``COLORS``.

    Args:
        meanings: category to colour name, such as ``decimation="blue"``; underscores stand for spaces.
    """
    names = [name.replace("_", " ") for name in meanings]
    return alt.Scale(domain=names, range=[COLORS[color] for color in meanings.values()])


def glue(**values):
    """Record formatted numbers, which the prose quotes as ``{glue:text}`name```.

    Args:
        values: name to text, already formatted: ``glue(gap=f"{gap:.3f}")``.
    """
    from IPython.display import display  # only a notebook has it

    for name, text in values.items():
        if not isinstance(text, str):
            raise TypeError(
                f'{name} must be formatted text, got {type(text).__name__}; write f"{{{name}:.3f}}"'
            )
        record = {"scrapbook": {"name": name, "mime_prefix": _GLUE}}
        display({_GLUE + "text/plain": repr(text)}, metadata=record, raw=True)


def power(value, digits=1):
    """Return ``value`` as text in powers of ten, such as ``1.2 × 10⁻⁷``."""
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def _check_description(text):
    if len(text.split()) < 8 or len(text) < _SHORTEST:
        raise ValueError(
            f"alt must say what the figure shows in at least {_SHORTEST} characters, got {text!r}; "
            "name the quantities on the axes and what happens to them"
        )


def _check_layout(spec):
    encoding = spec.get("encoding", {}) | spec.get("facet", {})
    if "row" in encoding and "column" in encoding:
        raise ValueError(
            "chart is faceted by row and column; facet by one of them, so that panels can wrap"
        )


def _check_size(spec):
    size = len(json.dumps(spec, separators=(",", ":")))
    if size > _LARGEST:
        raise ValueError(
            f"chart carries {size / 1000:.0f} kB, the limit is {_LARGEST // 1000} kB; plot fewer points, "
            "round the numbers, or let the page compute the curve with transform_calculate"
        )


def _fixed_width(spec):
    """Return ``spec`` with a width: JupyterLab can hang on a chart that asks for the width of its cell."""
    panels = {"facet", "column", "row"} & set(spec.get("encoding", {}))
    single = ("mark" in spec or "layer" in spec) and not panels
    return {"width": _NOTEBOOK_WIDTH} | spec if single else spec
