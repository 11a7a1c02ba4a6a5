"""The built site, served on this machine and opened in Chromium."""

import functools
import http.server
import threading

import pytest
from opened import EXTRA, HTML, PAGES, Server, Visit


@pytest.fixture(scope="session")
def site():
    handler = functools.partial(Server, directory=str(HTML))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def context(chromium):
    return chromium.new_context()  # one for all pages, which then share what they have loaded


@pytest.fixture
def visit(context, site):
    """Open pages in a test that needs its own: ``visit("book/index", "dark")``."""
    opened = []

    def open_page(name, scheme="light", width=1280):
        opened.append(Visit(context, site, name, scheme, width))
        return opened[-1]

    yield open_page
    for page in opened:
        page.close()


@pytest.fixture(scope="module")
def turn_to(context, site):
    """Open pages for tests that set what they need.

    ``turn_to("book/index")`` keeps the page that is open.
    """
    opened = []

    def open_page(name):
        if not opened or opened[-1].name != name:
            while opened:
                opened.pop().close()
            opened.append(Visit(context, site, name, "light"))
        return opened[-1]

    yield open_page
    for page in opened:
        page.close()


@pytest.fixture(scope="module", params=PAGES + EXTRA)
def shared(context, site, request):
    """A page opened once, in light, for all the tests of a module."""
    page = Visit(context, site, request.param, "light")
    yield page
    page.close()


@pytest.fixture(scope="module")
def dark(shared):
    """The same page in the dark, for the tests that come last."""
    shared.switch("dark")
    return shared
