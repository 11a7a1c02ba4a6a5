"""The bibliography: every entry can be found and is cited, every citation has its entry."""

import re

import pytest
from opened import ROOT, TEXTS
from pybtex.database import parse_file

ENTRIES = parse_file(ROOT / "book" / "references.bib").entries
# works that were published without one
WITHOUT = {
    "Felder1987": "found by its journal; no identifier could be confirmed",
    "KozachenkoLeonenko1987": "Problems of Information Transmission gave none in 1987",
    "Migdal1975": "the translation in JETP has none",
    "Ma2018": "the proceedings give none; its address is in the entry",
    "Hyvarinen2005": "the journal gives none; its address is in the entry",
}
DOI = re.compile(r"10\.\d{4,9}/\S+")
CITED = re.compile(r"\{cite:[a-z]+\}`([^`]+)`")


def cited():
    found = CITED.findall("".join(TEXTS.values()))
    return {key.strip() for keys in found for key in keys.split(",")}


@pytest.mark.parametrize("key", ENTRIES)
def test_an_entry_can_be_found(key):
    fields = ENTRIES[key].fields
    assert bool(DOI.fullmatch(fields.get("doi", ""))) != (key in WITHOUT)
    assert {"title", "year"} <= set(fields) and ENTRIES[key].persons["author"]


def test_no_work_is_listed_twice():
    dois = [entry.fields["doi"].lower() for entry in ENTRIES.values() if "doi" in entry.fields]
    assert len(set(dois)) == len(dois)


def test_what_is_listed_is_cited_and_what_is_cited_is_listed():
    assert cited() == set(ENTRIES)
