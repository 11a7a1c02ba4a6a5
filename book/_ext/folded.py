"""Folded code says what it holds, and stands below what it shows.

A folded cell whose first line is the comment ``# Check: ...`` or ``# Numbers ...`` has that line
as the title of its bar. Any other is the code of a figure or a table, which a reader meets first.
"""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

TITLE = re.compile(r"#\s*((?:Check:|Numbers)\s.*)")


def folded(document):
    """List the cells of a page whose code is folded, with the cell's code."""
    for cell in document.findall(nodes.container):
        if cell.get("nb_element") == "cell_code" and cell.get("hide_mode") == "input":
            yield cell, cell.children[0].astext()


class Titles(SphinxPostTransform):
    """Take the title of a bar from the first line of its code, before the cell is folded."""

    default_priority = 198
    formats = ("html",)

    def run(self, **options):
        for cell, code in folded(self.document):
            if found := TITLE.match(code):
                cell["prompt_show"] = cell["prompt_hide"] = found[1]


class Below(SphinxPostTransform):
    """Put folded code below its figure, once the cell is folded."""

    default_priority = 200
    formats = ("html",)

    def run(self, **options):
        for cell, _ in folded(self.document):
            cell.children.append(cell.children.pop(0))


def setup(app):
    app.add_post_transform(Titles)
    app.add_post_transform(Below)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
