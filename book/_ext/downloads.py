"""Each chapter as a notebook that runs by itself, with buttons that download or launch it.

There are two of each: one with solutions, and one with empty cells in their place.
"""

import copy
import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlencode

import jupytext
import nbformat
from docutils import nodes
from plain_markdown import EXERCISE, SOLUTION, SOLVED, References, Unreadable, convert
from pybtex.database import parse_file
from sphinx.util import logging

logger = logging.getLogger(__name__)

INSTALL = """\
# The book's package and what the chapters import beside it, installed where something is missing.
import importlib.util
import subprocess
import sys

if not all(map(importlib.util.find_spec, {modules})):
    package = "rgkit[notebooks] @ git+{repository}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)"""

EXPLAIN = """\
# The book's package must be installed, with what the chapters import beside it.
import importlib.util

missing = [name for name in {modules} if importlib.util.find_spec(name) is None]
if missing:
    raise ModuleNotFoundError(
        f"{{' and '.join(missing)}} missing: run pip install '.[notebooks]' in a checkout of the "
        "book, then restart the kernel"
    )"""

# as Git takes it for cloning, over the web or by SSH
REPOSITORY = re.compile(
    r"(?:(?:(?P<web>https?)://|ssh://)(?:[\w.-]+@)?(?P<host>[\w.-]+)(?P<port>:\d+)?/"
    r"|[\w.-]+@(?P<named>[\w.-]+):)(?P<path>(?:[\w.~-]+/)+[\w.~-]+?)(?:\.git)?/?"
)
STUDENTS = "teach/student"  # where their notebooks lie in the site
MODULES = ("rgkit", "sklearn", "PIL")  # as the extra "notebooks" has them


def repository(app):
    """Return the repository's address, or nothing while the book is unpublished."""
    return web(app.config.html_theme_options.get("repository_url") or "")


def web(url):
    """Return the address on the web of a repository, in whatever form it is given."""
    found = REPOSITORY.fullmatch(url.strip())
    if not found:
        return ""
    port = found["port"] or "" if found["web"] else ""
    host = (found["host"] or found["named"]) + port
    return f"{found['web'] or 'https'}://{host}/{found['path']}"


def install(url):
    """Return the code of the first cell, which can install only what has an address."""
    return (INSTALL if url else EXPLAIN).format(modules=MODULES, repository=url)


def references(app, pagename, doctree):
    """Collect what the page's roles were resolved to."""
    texts = {}
    for node in doctree.findall(nodes.reference):
        target = node.get("refid") or node.get("refuri", "").rpartition("#")[2]
        texts[target] = " ".join(node.astext().split())
    return References(
        _by_label(app.env, texts),
        _numbers(app.env),
        _equations(app.env, pagename, doctree),
        _cited(app),
        _glued(app, pagename),
    )


def _by_label(env, texts):
    """Return texts under the labels that the source uses, which anchors spell differently."""
    labels = {**texts}
    for label, (_, anchor, _) in {**env.domaindata["std"]["labels"]}.items():
        if anchor in texts:
            labels[label] = texts[anchor]
    for label in env.domaindata["math"]["objects"]:
        labels[label] = texts.get(f"equation-{label}", label)
    for docname, title in env.titles.items():
        chapter = env.toc_secnumbers.get(docname, {}).get("")
        number = f" (chapter {chapter[0]})" if chapter else ""
        labels[docname] = labels[f"/{docname}"] = title.astext() + number
    return labels


def _numbers(env):
    """Return the numbers of theorems, exercises and figures by label."""
    proved = {
        label: (item["docname"], item["countertype"])
        for label, item in getattr(env, "proof_list", {}).items()
    }
    posed = {
        label: (item["docname"], "exercise")
        for label, item in getattr(env, "sphinx_exercise_registry", {}).items()
    }
    numbers = {}
    for label, (docname, counter) in {**proved, **posed}.items():
        counted = env.toc_fignumbers.get(docname, {}).get(counter, {})
        numbers[label] = ".".join(map(str, counted.get(label, ())))
    for figures in env.toc_fignumbers.values():
        numbers |= {
            label: ".".join(map(str, number)) for label, number in figures.get("figure", {}).items()
        }
    return numbers


def _equations(env, pagename, doctree):
    """Return the numbers of the page's equations, as the page writes them, by label."""
    numbers = env.toc_fignumbers.get(pagename, {}).get("displaymath", {})
    return {
        node["label"]: ".".join(map(str, numbers.get(node["ids"][0], [node["number"]])))
        for node in doctree.findall(nodes.math_block)
        if node.get("label")
    }


def _glued(app, pagename):
    path = Path(app.env.mystnb_config.output_folder, f"{pagename}.glue.json")
    records = json.loads(path.read_text()) if path.exists() else {}
    return {name: record["data"]["text/plain"].strip("'") for name, record in records.items()}


@cache
def _bibliography(path):
    return parse_file(path).entries


def _cited(app):
    entries = {}
    for name in app.config.bibtex_bibfiles:
        for key, entry in _bibliography(Path(app.srcdir, name)).items():
            where = (
                f"https://doi.org/{entry.fields['doi']}"
                if "doi" in entry.fields
                else entry.fields.get("url", "")
            )
            entries[key] = (_authors(entry), entry.fields["year"], where)
    return entries


def _authors(entry):
    names = [
        " ".join(person.prelast_names + person.last_names) for person in entry.persons["author"]
    ]
    names = [re.sub(r"[{}]", "", name) for name in names]
    return " and ".join(names) if len(names) < 3 else f"{names[0]} et al."


def readable(cell, found):
    """Return the cell in plain Markdown, with folded code, followed by its figure's caption."""
    figure = cell.metadata.pop("mystnb", {}).get("figure", {})
    if cell.cell_type == "markdown":
        return list(_apart(convert(cell.source, found)))
    if "hide-input" in cell.metadata.get("tags", []):
        cell.metadata["jupyter"] = {"source_hidden": True}
    if "caption" not in figure:
        return [cell]
    number = found.numbers.get(figure.get("name"), "")
    caption = f"**Figure {number}.** {convert(figure['caption'], found)}"
    return [cell, nbformat.v4.new_markdown_cell(caption)]


def _apart(text):
    """Give the cells of a text: exercises begin one, and solutions are folded below a heading."""
    starts = (f"{EXERCISE}Exercise", SOLUTION, SOLVED)
    for part in re.split(rf"(?m)^(?={'|'.join(map(re.escape, starts))})", text):
        heading, _, rest = part.partition("\n")
        if heading.startswith(SOLUTION):
            folded = nbformat.v4.new_markdown_cell(heading)
            folded.metadata["jp-MarkdownHeadingCollapsed"] = True
            yield folded
            part = rest
        if part.strip():
            yield nbformat.v4.new_markdown_cell(part.strip("\n"))


def tagged(cells):
    """Give the cells with the tags "exercise" and "solution", and without the marks of its end."""
    inside = False
    for cell in cells:
        if cell.source.startswith(SOLVED):
            inside = False
            cell.source = cell.source.removeprefix(SOLVED).strip("\n")
        inside = inside or cell.source.startswith(SOLUTION)
        if inside:
            _tag(cell, "solution")
        elif cell.source.startswith(f"{EXERCISE}Exercise"):
            _tag(cell, "exercise")
        if cell.source:
            yield cell


def _tag(cell, name):
    cell.metadata["tags"] = [*cell.metadata.get("tags", []), name]


def for_students(book):
    """Return a copy of a notebook whose exercises have an empty cell, and no solution."""
    student = copy.deepcopy(book)
    cells, student.cells = student.cells, []
    for cell in cells:
        tags = cell.metadata.get("tags", [])
        if "solution" not in tags:
            student.cells.append(cell)
        if "exercise" in tags:
            answer = nbformat.v4.new_code_cell("# Your answer\n", metadata={"tags": ["answer"]})
            student.cells.append(answer)
    return _numbered(student)


def _numbered(book):
    """Give each cell an identity that is the same in every build."""
    for number, cell in enumerate(book.cells):
        cell.id = f"cell-{number}"
    return book


def notebook(app, pagename, doctree):
    """Return the page as an unexecuted notebook in plain Markdown."""
    source = jupytext.read(app.env.doc2path(pagename), fmt="md:myst")
    found = references(app, pagename, doctree)
    source.cells = [part for cell in source.cells for part in readable(cell, found)]
    first = [nbformat.v4.new_code_cell(install(repository(app)))]
    source.cells = [*first, *tagged(source.cells)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    source.metadata = nbformat.from_dict(
        {"kernelspec": kernel, "language_info": {"name": "python"}}
    )
    return _numbered(source)


def download(app, pagename, templatename, context, doctree):
    """Write both notebooks, and tell the theme's download button of that with solutions."""
    if doctree is None or "kernelspec" not in app.env.metadata.get(pagename, {}):
        return
    complete = Path(app.outdir, "_sources", f"{pagename}.ipynb")
    student = Path(app.outdir, STUDENTS, f"{pagename}.ipynb")
    try:
        book = notebook(app, pagename, doctree)
        for path, one in ((complete, book), (student, for_students(book))):
            path.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(one, path)
    except (Unreadable, KeyError) as error:
        logger.warning("the page has no readable notebook: %s", error, location=pagename)
    context["ipynb_source"] = f"{pagename}.ipynb"


def places(url, pagename):
    """Return where the page can be run, by name: what opens its notebook from the repository.

    The notebooks are those of the published site, on the branch ``gh-pages``.
    """
    if not url:
        return {}
    host, path = url.split("://")[1].split("/", 1)
    file = f"_sources/{quote(pagename)}.ipynb"
    folder = f"lab/tree/{path.rsplit('/', 1)[-1]}/{file}"
    pull = urlencode({"repo": url, "branch": "gh-pages", "urlpath": folder})
    kinds = {"github.com": f"gh/{path}", "gitlab.com": f"gl/{quote(path, safe='')}"}
    kind = kinds.get(host, f"git/{quote(url, safe='')}")
    urlpath = quote(f"git-pull?{pull}", safe="")
    offered = {"Binder": f"https://mybinder.org/v2/{kind}/HEAD?urlpath={urlpath}"}
    if host == "github.com":  # the only one that Colab opens
        offered["Colab"] = f"https://colab.research.google.com/github/{path}/blob/gh-pages/{file}"
    return offered


def launch(app, pagename, templatename, context, doctree):
    """Offer the notebook in the cloud.

    It is offered once the book has an address from which it can be fetched.
    """
    offered = places(repository(app), pagename) if context.get("ipynb_source") else {}
    if offered:
        group = {"type": "group", "tooltip": "Run this page", "icon": "fas fa-rocket"}
        buttons = [_button(place, address) for place, address in offered.items()]
        context["header_buttons"].insert(0, group | {"buttons": buttons, "label": "launch-buttons"})


def students_first(app, pagename, templatename, context, doctree):
    """Put the notebook for students before the theme's button, and name what that one hands out."""
    if not context.get("ipynb_source"):
        return
    buttons = next(
        group["buttons"]
        for group in context["header_buttons"]
        if group["label"] == "download-buttons"
    )
    buttons[0]["text"] = ".ipynb with solutions"
    labels = {"text": ".ipynb for students", "tooltip": "Download notebook without solutions"}
    labels |= {"icon": "fas fa-graduation-cap", "label": "download-student-button"}
    folder = context["pathto"](STUDENTS, 1)
    buttons.insert(0, {"type": "link", "url": f"{folder}/{pagename}.ipynb", **labels})


def _button(place, address):
    labels = {"text": place, "tooltip": f"Run on {place}", "label": f"launch-{place.lower()}"}
    return {"type": "link", "url": address, "icon": "fas fa-play", **labels}


def setup(app):
    app.connect("html-page-context", download)
    app.connect("html-page-context", students_first, priority=600)
    app.connect("html-page-context", launch, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
