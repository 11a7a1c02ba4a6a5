"""How the tests are shared among the workers of `make test`, and how much memory each took."""

import resource
import sys

import pytest
from xdist.scheduler import LoadScopeScheduling

PAGES = "test_pages.py"
PEAKS = {}


def unit(nodeid):
    """Return what one worker takes at once: a file, whose tests share what they set up, or a page."""
    path, _, name = nodeid.partition("::")
    return f"{path} {name.partition('[')[2]}" if path.endswith(PAGES) else path


def pytest_collection_modifyitems(items):
    """Put the pages last: they are short, so that no worker waits long for another."""
    items.sort(key=lambda item: item.path.match(PAGES))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Share the tests by units, known by their names alone."""
    class Units(LoadScopeScheduling):
        _split_scope = staticmethod(unit)

    return Units(config, log)


def pytest_sessionfinish(session):
    """Tell the process that started this worker how much memory it took, in GB."""
    if hasattr(session.config, "workeroutput"):
        scale = 1e9 if sys.platform == "darwin" else 1e6
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        session.config.workeroutput["peak"] = used / scale


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    if hasattr(node, "workeroutput"):
        PEAKS[node.gateway.id] = node.workeroutput["peak"]


def pytest_terminal_summary(terminalreporter):
    if PEAKS:
        taken = ", ".join(f"{worker} {peak:.1f} GB" for worker, peak in sorted(PEAKS.items()))
        terminalreporter.write_line(f"peak memory of the workers: {taken}")
