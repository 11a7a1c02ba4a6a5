"""The chapters' sources: measured numbers come from cells, and every figure can be referred to."""

import re

import pytest
from opened import PAGES, ROOT

DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.]*\d*\.\d)|\d[eE][-+]\d")
NOT_PROSE = (
    re.compile(r"\A---\n.*?\n---\n", re.DOTALL),  # the header
    re.compile(r"^(`{3,}|~{3,})\{code-cell\}.*?^\1\s*$", re.DOTALL | re.MULTILINE),
    re.compile(
        r"^```(?:[a-z0-9]*|\{literalinclude\}[^\n]*)\n.*?^```\s*$", re.DOTALL | re.MULTILINE
    ),
    re.compile(r"^```\{raw\}.*?^```\s*$", re.DOTALL | re.MULTILINE),
    re.compile(r"<a [^>]*>"),
    re.compile(r"\$\$.*?\$\$", re.DOTALL),
    re.compile(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}", re.DOTALL),
    re.compile(r"^```\{math\}.*?^```\s*$", re.DOTALL | re.MULTILINE),
    re.compile(r"^[ \t]*(?:`{3,}|:{3,}).*$", re.MULTILINE),  # the fences, not what they enclose
    re.compile(r"(?<!\\)\$[^$]+\$"),
    re.compile(r"\{[a-z:]+\}`[^`]*`"),
    re.compile(r"`[^`]+`"),
    re.compile(r"\]\([^)]*\)"),
    re.compile(r"<?https?://\S+"),
    re.compile(r"arXiv:\d+\.\d+"),
    re.compile(r"(?:CC BY|Python) \d\.\d+"),
)
DIRECTIVE_OPTION = re.compile(r"^\s*:[\w-]+:.*$", re.MULTILINE)


def prose(text):
    """Return what a reader reads as sentences."""
    for pattern in (*NOT_PROSE, DIRECTIVE_OPTION):
        text = pattern.sub(" ", text)
    return text


@pytest.mark.parametrize("name", PAGES)
def test_measured_numbers_are_glued(name):
    text = prose((ROOT / f"{name}.md").read_text(encoding="utf8"))
    assert [line.strip() for line in text.splitlines() if DECIMAL.search(line)] == []


@pytest.mark.parametrize(
    "text, found",
    [
        ("The gap is 0.27 nats.", True),
        ("It is 1e-12 at most.", True),
        ("The gap is {glue:text}`gap` nats for $K = 0.5$ and `0.1`.", False),
        ("```{code-cell} ipython3\nx = 0.5\n```\nOne sentence.", False),
        ("See [the paper](https://doi.org/10.1103/1.2), arXiv:2212.00005, section 2.", False),
        ('<a href="#K=0.3">Try</a> it.', False),
        ("$$\nx = 0.5\n$$ (eq-x)\n\nIt holds.", False),
        ("```{exercise}\nIt has 0.3 bits.\n```\n\nSee `x`.", True),
    ],
)
def test_the_search_for_numbers_can_fail(text, found):
    assert bool(DECIMAL.search(prose(text))) is found
