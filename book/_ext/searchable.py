"""The search index knows the words of a page and its shown code: no formulas, no folded code."""

from docutils import nodes


def words_of(doctree):
    """A copy of a page without what nobody searches for."""
    page = doctree.deepcopy()
    unsearched = [*page.findall(nodes.math), *page.findall(nodes.math_block)]
    for cell in page.findall(nodes.container):
        if cell.get("nb_element") == "cell_code" and cell.get("hide_mode"):
            unsearched += cell.findall(nodes.literal_block)
    for node in unsearched:
        node.parent.remove(node)
    return page


def index_words(app):
    """Let the builder's index see pages by their words."""
    if hasattr(app.builder, "index_page"):
        index = app.builder.index_page
        app.builder.index_page = lambda name, doctree, title: index(name, words_of(doctree), title)


def setup(app):
    app.connect("builder-inited", index_words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
