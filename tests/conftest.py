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
