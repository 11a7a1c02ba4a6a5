"""Chapters run as their downloads do, in an empty folder, two at a time.

They run again when what they run on has changed.
"""

import functools
import hashlib
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import myst_nb.core.execute.cache as runs
from jupyter_cache import get_cache
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.execute import create_client
from myst_nb.core.read import create_nb_reader
from sphinx.util.logging import getLogger

logger = getLogger(__name__)
AT_ONCE = 2  # a chapter keeps one core busy, and at times two
ROOT = Path(__file__).parents[2]
INPUTS = ("rgkit", "locks/book.txt", "book/_ext/execution.py")


def files(root):
    """List the files that every chapter's outputs depend on."""
    for name in INPUTS:
        path = root / name
        found = path.rglob("*") if path.is_dir() else [path]
        yield from sorted(
            file for file in found if file.is_file() and "__pycache__" not in file.parts
        )


def key(root=ROOT):
    """Return the hash of what chapters run on.

    That is the package with its data, the lock, the version of Python and the way to run.
    """
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for file in files(root):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def cache(app, config):
    """Give each key its own cache, and keep only the present one.

    Read every page anew when the key changes.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")  # a progress bar is for a reader who waits
    config.execution_key = key()
    caches = Path(app.outdir).parent / "executed"
    for old in caches.glob("*"):
        if old.name != config.execution_key:
            shutil.rmtree(old)
    config.nb_execution_in_temp = True
    config.nb_execution_cache_path = str(caches / config.execution_key)


def ahead(app, env, pages):
    """Run the pages that are about to be read, so that each is found in the cache.

    The extension that reads them would run one after another.
    """
    get_cache(env.mystnb_config.execution_cache_path).list_cache_records()  # which makes it
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(functools.partial(run, env), pages))


def run(env, page):
    """Run the cells of a page, if it has any."""
    path = env.doc2path(page)
    source = Path(path).read_text(encoding="utf8")
    config = env.mystnb_config
    reader = create_nb_reader(path, env.myst_config, config, source)
    if reader is not None:
        with create_client(reader.read(source), path, config, logger, reader.read_fmt):
            logger.info(f"{page} is executed")


@functools.wraps(single_nb_execution)
def witnessed(notebook, cwd, **options):
    """Execute a notebook, which keeps what lay in its folder before."""
    found = sorted(os.listdir(cwd))
    result = single_nb_execution(notebook, cwd=cwd, **options)
    notebook.metadata["folder"] = found
    return result


def executed(notebook, caches):
    """Return the run of the notebook's cells that the present cache keeps."""
    cache = get_cache(str(caches / key()))
    return cache.get_cache_bundle(cache.match_cache_notebook(notebook).pk).nb


def setup(app):
    runs.single_nb_execution = witnessed
    app.add_config_value("execution_key", "", "env")
    app.connect("config-inited", cache, priority=100)
    app.connect("env-before-read-docs", ahead)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
