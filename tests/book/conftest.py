"""The built site, served on this machine and opened in Chromium."""

import functools
import http.server
import shutil
import threading

import pytest
from opened import BROWSERS, EXTRA, HTML, PAGES, SCHEMES, SWITCHES, Server, Visit
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="session")
def site():
    handler = functools.partial(Server, directory=str(HTML))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    command = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=command, args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, site):
    """Open pages in a test that needs its own: ``visit("book/index", "dark")``."""
    opened = []

    def open_page(name, scheme="light", width=1280):
        opened.append(Visit(browser, site, name, scheme, width))
        return opened[-1]

    yield open_page
    for page in opened:
        page.close()


@pytest.fixture(
    scope="module",
    params=[(name, scheme) for name in PAGES + EXTRA for scheme in SCHEMES],
    ids="-".join,
)
def shared(browser, site, request):
    """A page opened once for all the tests of a module that only look."""
    page = Visit(browser, site, *request.param)
    yield page
    page.close()
