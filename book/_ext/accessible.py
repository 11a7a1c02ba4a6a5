"""Mends of what Docutils, Pandas, MyST-NB and the citation extension write.

They are for readers who use a screen reader.
"""

import re
from pathlib import Path

MENDS = {
    # a role that no list item may have, since the standard withdrew it
    ' role="doc-biblioentry"': "",
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    # a folded cell has a title, which this would hide from a screen reader
    '<summary aria-label="Toggle hidden content">': "<summary>",
    # the corner of a table heads no column
    "<th></th>": "<td></td>",
}
# names that each theorem, proof, exercise and solution bears alike, so that none can be meant by it
REPEATED = re.compile(r' id="(?:proof|(?:proof|exercise|solution)-content)"(?=[ >])')
# the book's mark and title stand in no landmark
TITLE = re.compile(r'<div class="sidebar-primary-item">(?=\s*<a class="\s*navbar-brand)')
LANDMARK = '<div class="sidebar-primary-item" role="navigation" aria-label="Title">'


def mend(app, pagename, templatename, context, doctree):
    """Replace each fault in the page's body."""
    body = REPEATED.sub("", context.get("body", ""))
    for fault, mended in MENDS.items():
        body = body.replace(fault, mended)
    context["body"] = body


def mend_around(app, exception):
    """Mend what the theme writes around the body of each page."""
    for path in [] if exception else Path(app.outdir).rglob("*.html"):
        text = path.read_text(encoding="utf8")
        mended = TITLE.sub(LANDMARK, text)
        if mended != text:
            path.write_text(mended, encoding="utf8")


def setup(app):
    app.connect("html-page-context", mend)
    app.connect("build-finished", mend_around)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
