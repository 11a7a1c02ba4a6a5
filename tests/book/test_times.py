"""The minutes that a chapter states are those of a model of reading."""

import re

import pytest
from opened import CHAPTERS, TEXTS
from test_cells import cells
from test_prose import prose

WORDS, PROVED_WORDS, LINES = 150, 60, 10  # a minute
EQUATION, FIGURE = 1, 2  # minutes
STATED = re.compile(r"\*\*Time:\*\* (\d+) minutes")
PROOF = re.compile(r"^(`{3,})\{prf:proof\}\n(.*?)^\1\s*$", re.DOTALL | re.MULTILINE)
EXERCISES = re.compile(r"^## Exercises$.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)


def minutes(text):
    """Return how long a student reads, without the exercises and what is folded."""
    text = EXERCISES.sub("", text)
    proofs = " ".join(proof for _, proof in PROOF.findall(text))
    rest = prose(PROOF.sub("", text))
    shown = [lines for lines, folded, _, _ in cells(text) if not folded]
    figures = sum(figure for _, _, figure, _ in cells(text))
    equations = len(re.findall(r"^\$\$$", text, re.MULTILINE)) // 2
    return (
        len(rest.split()) / WORDS
        + len(prose(proofs).split()) / PROVED_WORDS
        + equations * EQUATION
        + figures * FIGURE
        + sum(map(len, shown)) / LINES
    )


@pytest.mark.parametrize("name", [name for name in CHAPTERS if STATED.search(TEXTS[name])])
def test_the_stated_minutes_are_honest(name):
    (stated,) = STATED.findall(TEXTS[name])
    assert abs(int(stated) / minutes(TEXTS[name]) - 1) < 0.25


def test_every_chapter_states_them():
    chapters = [name for name in CHAPTERS if name.split("/")[1] in ("ising", "fields", "critical")]
    without = [name for name in chapters if not STATED.search(TEXTS[name])]
    assert without == ["book/ising/proofs"]


def test_what_takes_long_counts():
    header = "---\nkernelspec:\n  name: python3\n  display_name: Python 3\n---\n"
    words, proof = "word " * 150, "```{prf:proof}\n" + "word " * 120 + "\n```\n"
    code = "```{code-cell} ipython3\n" + "x = 1\n" * 20 + "```\n"
    text = f"{header}{words}\n\n{proof}\n$$\nx\n$$\n\n{code}\n## Exercises\n\n{words}\n"
    assert abs(minutes(text) - (1 + 2 + EQUATION + 2)) < 0.1
