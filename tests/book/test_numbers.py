"""A quantity that is quoted in more than one chapter has one value."""

import json
from collections import defaultdict

from opened import HTML

RECORDS = HTML.parent / "jupyter_execute"
SHARED = "shared_"  # how a name begins that several chapters glue


def quoted(records):
    """Collect by name what chapters glue under it."""
    found = defaultdict(dict)
    for chapter, text in records.items():
        for name, record in json.loads(text).items():
            if name.startswith(SHARED):
                found[name][chapter] = record["data"]["text/plain"]
    return found


def test_shared_numbers_agree():
    records = {path.stem: path.read_text("utf8") for path in RECORDS.rglob("*.glue.json")}
    found = quoted(records)
    assert found and all(len(chapters) > 1 for chapters in found.values())
    assert {name: by for name, by in found.items() if len(set(by.values())) > 1} == {}


def test_two_values_would_be_seen():
    one, other = (
        json.dumps({"shared_D": {"data": {"text/plain": value}}}) for value in ("'0.43'", "'0.44'")
    )
    assert quoted({"a": one, "b": other}) == {"shared_D": {"a": "'0.43'", "b": "'0.44'"}}
