"""What a reader sees of the code: short cells that teach, and folded ones that check."""

import re

import jupytext
import pytest
from opened import CHAPTERS, TEXTS

SHOWN, FOLDED = 76, 100  # characters a line
LONGEST = 25  # lines of a cell that is shown
TITLE = re.compile(r"# (Check: .{10,85}|Numbers for the text below)")
START, END = "{solution-start}", "{solution-end}"
KEPT = ("assert ", "charts.glue(")


def cells(text):
    """Give each code cell's lines, whether it is folded, a figure's, or a solution's."""
    inside = False
    for cell in jupytext.reads(text, fmt="md:myst").cells:
        if cell.cell_type == "markdown":
            last = max(cell.source.rfind(START), cell.source.rfind(END))
            inside = inside if last < 0 else cell.source.startswith(START, last)
            continue
        tags = cell.metadata.get("tags", [])
        folded = any(tag.startswith(("hide-", "remove-")) for tag in tags)
        yield cell.source.splitlines(), folded, "figure" in cell.metadata.get("mystnb", {}), inside


def faults(text):
    """Say what is wrong with the cells of a page."""
    for lines, folded, figure, solution in cells(text):
        found = [word for word in KEPT if any(word in line for line in lines)]
        if any(len(line) > (FOLDED if folded else SHOWN) for line in lines):
            yield f"a line is too long after {lines[0]!r}"
        if not folded and len(lines) > LONGEST:
            yield f"{len(lines)} lines are shown after {lines[0]!r}"
        if not folded and not solution and found:
            yield f"{found[0]} is shown after {lines[0]!r}"
        if folded and not figure and "assert " in found and not TITLE.fullmatch(lines[0]):
            yield f"a check has no title but {lines[0]!r}"
        if not lines[0].strip():
            yield "a cell begins with an empty line"


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_cells_can_be_read(name):
    assert list(faults(TEXTS[name])) == []


def cell(*lines, tags=""):
    return "\n".join(("```{code-cell} ipython3", *filter(None, [tags]), *lines, "```", ""))


HIDDEN = ":tags: [hide-input]"
SOLVED = f"```{START} ex\n```\n", f"```{END}\n```\n"


@pytest.mark.parametrize(
    "text, count",
    [
        (cell("x = 1"), 0),
        (cell("x = 1", "assert x"), 1),
        (cell("charts.glue(x='1')"), 1),
        (cell("x = " + "1" * 80), 1),
        (cell("x = " + "1" * 80, tags=HIDDEN), 0),
        (cell("x = " + "1" * 100, tags=HIDDEN), 1),
        (cell(*["x = 1"] * 26), 1),
        (cell("# Check: one is true", "assert 1", tags=HIDDEN), 0),
        (cell("assert 1", tags=HIDDEN), 1),
        (f"{SOLVED[0]}\n{cell('assert 1')}\n{SOLVED[1]}", 0),
        (f"{SOLVED[0]}\n{SOLVED[1]}\n{cell('assert 1')}", 1),
    ],
)
def test_a_fault_of_a_cell_is_found(text, count):
    header = "---\nkernelspec:\n  name: python3\n  display_name: Python 3\n---\n"
    assert len(list(faults(f"{header}\nText.\n\n{text}"))) == count


def titles(name):
    """List the titles of a page's checks that stand in its text."""
    return [lines[0] for lines, folded, _, _ in cells(TEXTS[name]) if folded and lines]


@pytest.mark.parametrize("name", [name for name in CHAPTERS if "# Check: " in TEXTS[name]])
def test_no_two_checks_of_a_page_have_one_title(name):
    checks = [title for title in titles(name) if title.startswith("# Check: ")]
    assert checks and len(set(checks)) == len(checks)
