"""How the tests are shared among the workers of `make test`."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Workers take whole files, whose tests share what they set up, but notebooks one by one and first: they take longest."""
    for item in items:
        group = item.nodeid if _is_notebook(item) else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=_is_notebook, reverse=True)


def _is_notebook(item) -> bool:
    return item.path.parent.name == "notebooks"


def pytest_terminal_summary(terminalreporter):
    """Say how each stored sweep was held to the code: by its hash, or by rows run again."""
    told = [
        text
        for report in terminalreporter.stats.get("passed", [])
        for name, text in report.user_properties
        if name == "stored sweep"
    ]
    for text in sorted(told):
        terminalreporter.write_line(f"stored sweep {text}")
