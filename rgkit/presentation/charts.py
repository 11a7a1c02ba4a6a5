"""Charts and numbers for the book: one way to show a figure, one to hand a number to the prose."""

import json
import math
import sys
from collections.abc import Collection, Iterator
from typing import Any

import altair as alt

from rgkit import _validation

VEGA_LITE = "application/vnd.vegalite.v5+json"
_GLUE = "application/papermill.record/"
_LARGEST = 300_000
_SHORTEST = 60
_NOTEBOOK_WIDTH = 480
# what names already mean in the expressions and the frames of Vega
_TAKEN = set(
    "E LN10 LN2 LOG10E LOG2E MAX_VALUE MIN_VALUE NaN PI SQRT1_2 SQRT2 autosize background datum "
    "event false height item null padding parent true width".split()
)
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

COLORS = {
    "blue": "#1176cf",
    "orange": "#b4530a",
    "green": "#2a472b",
    "pink": "#935793",
    "violet": "#7834e8",
    "grey": "#74726e",
}

_CONFIG = {
    "background": "white",
    "view": {"stroke": None, "continuousWidth": 300, "continuousHeight": 300},
    "range": {"category": list(COLORS.values())},
    "mark": {"color": COLORS["blue"]},
}


class Figure:
    """A chart with its description, as the book and JupyterLab draw it.

    Arguments:
        spec: the chart in Vega-Lite, with its ``description``.
    """

    def __init__(self, spec: dict[str, Any]):
        self.spec = spec

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        if "google.colab" in sys.modules:
            return alt.Chart.from_dict(self.spec)._repr_mimebundle_()
        return {VEGA_LITE: _fixed_width(self.spec), "text/plain": self.spec["description"]}


def show(chart: alt.TopLevelMixin, alt: str, gaps: Collection[str] = ()) -> Figure:
    """Return ``chart`` as a figure for the book and for JupyterLab.

    Arguments:
        chart: an Altair chart: single, layered, concatenated, or faceted by ``facet`` or
            ``column``.
        alt: what the figure shows, in a sentence or two, for readers who do not see it.
        gaps: columns of the data in which a missing value means that there is nothing to draw.

    Raises:
        TypeError: when ``chart`` is no chart of Altair.
        ValueError: when ``alt`` is too short to say what the figure shows; when a number in the
            chart is NaN or infinite, or a value of its data is missing in a column that is not
            among ``gaps`` (Altair makes NaN and infinity in a table missing values); when the data
            exceed 300 kB; or when the chart is faceted by row and column at once.
    """
    if not hasattr(chart, "to_dict") or not hasattr(chart, "properties"):
        raise TypeError(f"chart must be a chart of Altair, got {chart!r}: pass an altair.Chart.")
    _check_description(alt)
    spec = chart.properties(description=" ".join(alt.split())).to_dict()
    _check_layout(spec)
    _check_numbers(spec)
    _check_data(spec, gaps)
    _check_size(spec)
    return Figure(spec | {"config": _CONFIG | spec.get("config", {}) | {"view": _CONFIG["view"]}})


def slider(
    name: str,
    label: str,
    start: _validation.Real,
    stop: _validation.Real,
    step: _validation.Real,
    value: _validation.Real,
) -> alt.Parameter:
    """Return an Altair parameter that a range slider sets.

    Use it as ``alt.expr.<name>`` or in an expression string.

    Arguments:
        name: the parameter's name in Vega expressions: letters, digits and underscores.
        label: the visible text, with the quantity's name.
        start: where the slider's range begins.
        stop: where it ends.
        step: by how much the slider moves.
        value: where the slider starts, and where its reset button returns to.

    Raises:
        TypeError, ValueError: when a number is not a finite real one, the range is empty, ``step``
            is not positive, ``value`` lies outside, or ``name`` is no name or means something else
            to Vega.
    """
    _check_name(name)
    low, high, move, begin = (
        _validation.real(argument, given)
        for argument, given in (("start", start), ("stop", stop), ("step", step), ("value", value))
    )
    if not low < high:
        raise ValueError(f"stop must exceed start, got {high} and {low}: exchange them.")
    if not 0 < move <= high - low:
        raise ValueError(
            f"step must be positive and at most stop - start = {high - low}, got {move}: pass "
            f"{(high - low) / 20}, say."
        )
    if not low <= begin <= high:
        raise ValueError(
            f"value must lie between start and stop, got {begin} outside [{low}, {high}]: pass a "
            "number inside."
        )
    bind = alt.binding_range(min=low, max=high, step=move, name=label)
    return alt.param(name=name, value=begin, bind=bind)


def palette(**meanings: str) -> alt.Scale:
    """Return a colour scale that gives each category its own colour of ``COLORS``.

    Arguments:
        meanings: category to colour name, such as ``decimation="blue"``; underscores stand for
            spaces.

    Raises:
        ValueError: when a colour is not one of ``COLORS``.
    """
    for name, color in meanings.items():
        if color not in COLORS:
            raise ValueError(f"{name} must be one of the colours {list(COLORS)}, got {color!r}.")
    names = [name.replace("_", " ") for name in meanings]
    return alt.Scale(domain=names, range=[COLORS[color] for color in meanings.values()])


def glue(**values: str) -> None:
    """Record formatted numbers, which the prose quotes as ``{glue:text}`name```.

    Arguments:
        values: name to text, already formatted: ``glue(gap=f"{gap:.3f}")``.

    Raises:
        TypeError: when a value is not text.
    """
    from IPython.display import display  # only a notebook has it

    for name, text in values.items():
        if not isinstance(text, str):
            raise TypeError(
                f'{name} must be formatted text, got {type(text).__name__}; write f"{{{name}:.3f}}"'
            )
        record = {"scrapbook": {"name": name, "mime_prefix": _GLUE}}
        # the text of NumPy is text, too, but shows its type
        display({_GLUE + "text/plain": repr(str(text))}, metadata=record, raw=True)


def power(value: _validation.Real, digits: _validation.Integer = 1) -> str:
    """Return ``value`` as text in powers of ten, such as ``1.2 × 10⁻⁷``; zero is ``0``.

    Arguments:
        value: a finite number.
        digits: how many digits stand behind the point.

    Raises:
        TypeError, ValueError: when ``value`` is not a finite real number, or ``digits`` is not an
            integer of at least 0.
    """
    number = _validation.real("value", value)
    places = _validation.positive_integer("digits", digits, 0)
    if number == 0:
        return "0"
    mantissa, exponent = f"{abs(number):.{places}e}".split("e")
    sign = "−" if number < 0 else ""
    return f"{sign}{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def _check_name(name: str) -> None:
    if not (name.isascii() and name.isidentifier()):
        raise ValueError(
            f"name must be letters, digits and underscores, not a digit first, got {name!r}: write "
            "the visible text as label."
        )
    if name in _TAKEN:
        raise ValueError(f"name must be free, {name!r} has a meaning in Vega: write {name}_0, say.")


def _check_description(text: str) -> None:
    if len(text.split()) < 8 or len(text) < _SHORTEST:
        raise ValueError(
            f"alt must say what the figure shows in at least {_SHORTEST} characters, got {text!r}; "
            "name the quantities on the axes and what happens to them"
        )


def _check_layout(spec: dict[str, Any]) -> None:
    encoding = spec.get("encoding", {}) | spec.get("facet", {})
    if "row" in encoding and "column" in encoding:
        raise ValueError(
            "chart is faceted by row and column; facet by one of them, so that panels can wrap"
        )


def _check_numbers(spec: dict[str, Any]) -> None:
    """Raise ValueError where a number is none for JSON: the page could not read the chart."""
    for place, value in _leaves(spec):
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"chart must have finite numbers, got {value} at {place}: mend it.")


def _check_data(spec: dict[str, Any], gaps: Collection[str]) -> None:
    for rows in _tables(spec):
        for i, row in enumerate(rows):
            missing = [name for name, value in row.items() if value is None and name not in gaps]
            if missing:
                raise ValueError(
                    f"chart has NaN, infinity or a missing value in column {missing[0]!r}, row {i} "
                    f"of the data with columns {list(row)}: drop the row, or pass "
                    f"gaps=[{missing[0]!r}] where nothing is to be drawn."
                )


def _leaves(value: Any, place: str = "chart") -> Iterator[tuple[str, Any]]:
    """All values inside, with where they are."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{place}[{i}]")
    else:
        yield place, value


def _tables(value: Any) -> Iterator[list[dict[str, Any]]]:
    """The tables of a chart: those that its parts share, and those that stand inside a part."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if key == "datasets":
            yield from map(_rows, inner.values())
        elif key == "data" and isinstance(inner, dict):
            yield _rows(inner.get("values"))
        elif isinstance(inner, dict | list):
            yield from _tables(inner)


def _rows(values: Any) -> list[dict[str, Any]]:
    """The rows of a table: data can also be plain values, or text that the page reads."""
    listed = values if isinstance(values, list) else []
    return [row for row in listed if isinstance(row, dict)]


def _check_size(spec: dict[str, Any]) -> None:
    size = len(json.dumps(spec, separators=(",", ":")))
    if size > _LARGEST:
        raise ValueError(
            f"chart carries {size / 1000:.0f} kB, the limit is {_LARGEST // 1000} kB; plot fewer "
            "points, round the numbers, or let the page compute the curve with transform_calculate"
        )


def _fixed_width(spec: dict[str, Any]) -> dict[str, Any]:
    """The same with a width: JupyterLab can hang on a chart that asks for the width of its cell."""
    panels = {"facet", "column", "row"} & set(spec.get("encoding", {}))
    single = ("mark" in spec or "layer" in spec) and not panels
    return {"width": _NOTEBOOK_WIDTH} | spec if single else spec
