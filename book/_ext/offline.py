"""Everything a page loads comes from the book: MathJax, Vega, and nothing from another host."""

import importlib.metadata
import shutil
from pathlib import Path

import vl_convert
from sphinx.util import logging

HERE = Path(__file__).parent
VEGA_LITE = "6.4"
# the parts that a page needs: no menu, which would need as much again
MATHJAX = (
    "startup.js",
    "core.js",
    "input/tex.js",
    "input/tex/extensions",
    "output/chtml.js",
    "output/chtml/fonts",
    "a11y/assistive-mml.js",
)
logger = logging.getLogger(__name__)


def mathjax(folder):
    """Copy the parts of MathJax."""
    package = importlib.metadata.distribution("sphinx-mathjax-offline")
    source = Path(package.locate_file("sphinx-mathjax-offline/static/mathjax"))
    for name in MATHJAX:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name, dirs_exist_ok=True)
        else:
            shutil.copy2(source / name, folder / name)


def vega(path):
    """Write Vega, Vega-Lite and Vega-Embed as one file, whose top-level names stay its own."""
    if not path.exists():
        bundle = vl_convert.javascript_bundle(vl_version=VEGA_LITE)
        path.write_text(f"(function(){{{bundle}}})();\n", encoding="utf8")


def playground(folder):
    """Write the playground's scripts: the page's, and the worker's as a function that is not run.

    The page starts the worker from the function's text, which needs no server.
    """
    source = HERE / "playground"
    shutil.copy2(source / "page.js", folder / "playground.js")
    parts = [(source / f"{name}.js").read_text("utf8") for name in ("jax", "engine", "worker")]
    body = "\n".join([*parts, "work(self, jax);"])
    (folder / "playground-worker.js").write_text(
        f"window.playgroundWorker = function () {{\n{body}\n}};\n", encoding="utf8"
    )


def assets(app, config):
    """Collect the files in a folder of their own.

    What lies in ``_static`` is loaded by every page.
    """
    folder = Path(app.outdir).parent / "assets"
    shutil.rmtree(folder / "mathjax", ignore_errors=True)
    (folder / "mathjax").mkdir(parents=True)
    mathjax(folder / "mathjax")
    app.vega_bundle = f"vega-{vl_convert.__version__}-{VEGA_LITE}.js"
    vega(folder / app.vega_bundle)
    playground(folder)
    for file in (*HERE.glob("*.js"), HERE / "book.css"):
        shutil.copy2(file, folder / file.name)
    config.html_static_path.append(str(folder))
    config.nb_ipywidgets_js = {}  # the book has no widgets, and their scripts are on another host
    app.add_css_file("book.css")


def scripts(app, pagename, templatename, context, doctree):
    """Load Vega on pages with charts only.

    Reject a chart that would fetch it from elsewhere.
    """
    raw = (
        [node.astext() for node in doctree.findall(lambda node: node.tagname == "raw")]
        if doctree
        else []
    )
    if any("altair-viz" in text for text in raw):
        logger.warning("a chart is shown without rgkit.charts.show", location=pagename)
    if any("vl-chart" in text for text in raw):
        app.add_js_file(app.vega_bundle, loading_method="defer")
        app.add_js_file("charts.js", loading_method="defer")
    app.add_js_file("page.js", loading_method="defer")
    app.add_js_file("previews.js", loading_method="defer")
    if pagename == "book/playground":
        app.add_js_file("playground-worker.js", loading_method="defer")
        app.add_js_file("playground.js", loading_method="defer")
    if pagename == "search":
        app.add_js_file("search.js", loading_method="defer")


def without_thebe(app, pagename, templatename, context, doctree):
    """Drop the live-code scripts.

    Jupyter Book adds them twice, and they load from another host.
    """
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context[kind] if not _is_thebe(file)]


def _is_thebe(file):
    body = getattr(file, "attributes", {}).get("body") or ""
    return "thebe" in f"{getattr(file, 'filename', file)} {body}".lower()


def setup(app):
    app.connect("config-inited", assets)
    app.connect("html-page-context", scripts)
    app.connect("html-page-context", without_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
