"""What all tests share: workers, compiled programs, memory, types, and one browser a worker.

Every call into the package is held to its annotations, by jaxtyping and beartype. What hands over
bad input on purpose, to read the package's own sentence as users do who have no such checker, is
marked ``as_a_user``.
"""

import os
import resource
import shutil
import sys
from pathlib import Path

import jaxtyping
import pytest
from playwright.sync_api import sync_playwright
from xdist.scheduler import LoadScopeScheduling

# compiled soon rather than to run fast, which takes a third of the time; and what one worker or
# process has compiled, no other compiles again
COMPILED = {
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1",
    "JAX_COMPILATION_CACHE_DIR": str(Path(__file__).parents[1] / "_build" / "compiled"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
for setting, value in COMPILED.items():
    os.environ.setdefault(setting, value)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = [
    *"--no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run --disable-dev-shm-usage".split(),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no way out, all the same
]
UNCHECKED = {"book", "notebooks"}
PAGES = "test_pages.py"
PEAKS = {}
jaxtyping.install_import_hook("rgkit", "type_checker.checked")
jaxtyping.config.update("jaxtyping_disable", True)


@pytest.fixture(autouse=True)
def types(request):
    """Switch the checker of types on where tests are held to it."""
    checked = UNCHECKED.isdisjoint(request.path.parts) and "as_a_user" not in request.keywords
    jaxtyping.config.update("jaxtyping_disable", not checked)
    yield
    jaxtyping.config.update("jaxtyping_disable", True)


@pytest.fixture(scope="session")
def chromium():
    """Start the one browser of a worker: a second one cannot be driven beside it."""
    command = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=command, args=SWITCHES)
        yield browser
        browser.close()


def unit(nodeid):
    """Return what one worker takes at once.

    That is a file, whose tests share what they set up, or a page.
    """
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
    """Tell the workers' memory, and how each stored sweep was held to the code."""
    if PEAKS:
        taken = ", ".join(f"{worker} {peak:.1f} GB" for worker, peak in sorted(PEAKS.items()))
        terminalreporter.write_line(f"peak memory of the workers: {taken}")
    passed = terminalreporter.stats.get("passed", [])
    told = (pair for report in passed for pair in report.user_properties)
    for text in sorted(text for name, text in told if name == "stored sweep"):
        terminalreporter.write_line(f"stored sweep {text}")
