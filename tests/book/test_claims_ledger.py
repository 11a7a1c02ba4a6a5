"""The claims ledger and the chapters name the same theorems."""

import re

import pytest
from opened import PAGES, ROOT

LEDGER = (ROOT / "book/reference/claims-ledger.md").read_text(encoding="utf8")
STATED = re.compile(r"\{prf:(?:theorem|proposition|corollary|lemma)\}[^\n]*\n:label: (\S+)")
CHAPTERS = [ROOT / f"{page}.md" for page in PAGES if not page.startswith("book/reference/")]


def stated(text):
    """Return the labels of what a chapter states with a proof."""
    return set(STATED.findall(text))


def listed(text):
    """Return the theorems that the ledger refers to."""
    return {
        label for label in re.findall(r"\{prf:ref\}`([^`]+)`", text) if not label.startswith("def-")
    }


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_theorem_is_listed(chapter):
    assert stated(chapter.read_text(encoding="utf8")) - listed(LEDGER) == set()


def test_the_ledger_lists_nothing_else():
    everything = set().union(*(stated(path.read_text(encoding="utf8")) for path in CHAPTERS))
    assert listed(LEDGER) - everything == set()


@pytest.mark.parametrize(
    "line",
    [line for line in LEDGER.splitlines() if line.startswith("| ") and "Verdict" not in line],
)
def test_every_claim_has_a_verdict(line):
    assert re.search(
        r"\b(holds|fails|not shown|not tested|taken over)\b", line.rstrip("| ").rpartition(" | ")[2]
    )


def test_a_theorem_without_a_row_is_found():
    chapter = "```{prf:theorem} A new one\n:label: thm-new\n```"
    assert stated(chapter) - listed(LEDGER) == {"thm-new"}
