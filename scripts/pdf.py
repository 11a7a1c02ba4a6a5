"""Print the whole book as one PDF with contents and links: what `make pdf` calls.

The built pages are put into one, in their order, and Chromium prints it as a reader would.
"""

import contextlib
import functools
import http.server
import posixpath
import shutil
import threading
from pathlib import Path

import yaml
from bs4 import BeautifulSoup
from environment import BROWSERS
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
TARGET = ROOT / "_build" / "two-flows.pdf"
LIMIT = 240_000  # milliseconds for the mathematics and the charts of all pages
DRAWN = """[...document.querySelectorAll('.vl-chart')].every(
  figure => figure.dataset.ready || !figure.clientWidth)"""


def pages(root=ROOT):
    """List the pages in the order of the contents, each after its part's name or None."""
    contents = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf8"))
    yield contents["root"], None
    for part in contents["parts"]:
        for number, page in enumerate(part["chapters"]):
            yield page["file"], None if number else part["caption"]


def anchor(page, name=""):
    """Return the name in the one page of what a page calls ``name``."""
    return f"{page.replace('/', '-')}--{name}" if name else page.replace("/", "-")


def link(page, address, known):
    """Return where a link of a page leads in the one page."""
    path, _, name = address.partition("#")
    if ":" in path or path.startswith("//"):
        return address
    if "=" in name:  # settings of the playground, which paper does not have
        return None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
    target = target.removesuffix(".html")
    return f"#{anchor(target, name)}" if target in known else None


def section(page, text, known):
    """Return a page's article, whose names and links are those of the one page."""
    article = BeautifulSoup(text, "html.parser").select_one("article.bd-article")
    for element in article.find_all(id=True):
        element["id"] = anchor(page, element["id"])
    for element in article.find_all("a", href=True):
        target = link(page, element["href"], known)
        if target:
            element["href"] = target
        else:
            del element["href"]
    for element in article.find_all(src=True):
        element["src"] = posixpath.normpath(
            posixpath.join("/", posixpath.dirname(page), element["src"])
        )
    article.name = "section"
    article["id"] = anchor(page)
    return article


def whole(html=HTML, root=ROOT):
    """Return the book as one page, with its contents in front."""
    listed = list(pages(root))
    known = [page for page, _ in listed]
    texts = {page: (html / f"{page}.html").read_text(encoding="utf8") for page in known}
    shell = BeautifulSoup(texts[known[0]], "html.parser")
    for element in shell.find_all(["link", "script", "img"]):
        for name in ("href", "src"):
            if element.get(name, "").startswith("../"):
                element[name] = f"/{element[name][3:]}"
    article = shell.select_one("article.bd-article")
    sections = {page: section(page, text, set(known)) for page, text in texts.items()}
    contents = ["<nav><h1>Contents</h1><ul>"]
    for page, part in listed:
        title = sections[page].h1.get_text().rstrip("#")
        contents += [f"</ul><h2>{part}</h2><ul>"] if part else []
        contents += [f'<li><a href="#{anchor(page)}">{title}</a></li>']
    article.clear()
    article.append(sections.pop(known[0]))
    article.append(BeautifulSoup("".join([*contents, "</ul></nav>"]), "html.parser"))
    for part in sections.values():
        article.append(part)
    return str(shell)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server that does not tell of every file."""

    def log_message(self, *arguments):
        """Say nothing."""


@contextlib.contextmanager
def paper():
    """Give a function that prints pages of the site as a reader's browser would.

    It takes the name of a page, the file to write, a text to print in place of the built page, and
    rules of style to add to it.
    """
    handler = functools.partial(Quiet, directory=str(HTML))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        command = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=command, args=["--no-sandbox"])

        def printed(name, target, text=None, style=""):
            """Open the page, wait for mathematics and charts, and print it."""
            address = f"http://127.0.0.1:{server.server_port}/{name}.html"
            page = browser.new_page(color_scheme="light", viewport={"width": 720, "height": 1000})
            page.set_default_timeout(LIMIT)
            if text is not None:
                content = {"body": text, "content_type": "text/html"}
                page.route(address, lambda route: route.fulfill(**content))
            page.goto(address)
            if style:
                page.add_style_tag(content=style)
            page.emulate_media(media="print")
            page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
            page.evaluate("MathJax.startup.promise.then(() => null)")
            page.wait_for_function(DRAWN)
            page.pdf(path=target, tagged=True, outline=True, prefer_css_page_size=True)
            page.close()

        yield printed
        browser.close()
    server.shutdown()


def main():
    with paper() as printed:
        printed("whole", TARGET, whole())
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
