"""Mends of what Docutils, Pandas and the citation extension write.

They are for readers who use a screen reader.
"""

MENDS = {
    # a role that no list item may have, since the standard withdrew it
    ' role="doc-biblioentry"': "",
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    # the corner of a table heads no column
    "<th></th>": "<td></td>",
}


def mend(app, pagename, templatename, context, doctree):
    """Replace each fault in the page's body."""
    for fault, mended in MENDS.items():
        context["body"] = context.get("body", "").replace(fault, mended)


def setup(app):
    app.connect("html-page-context", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
