import contextlib
import ctypes
import gc
import os
from pathlib import Path

import jax
import pytest
from hypothesis import settings

MOST_HELD = 1.2e9  # bytes
jax.config.update("jax_numpy_rank_promotion", "raise")
settings.register_profile("exact", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("exact")


@pytest.fixture(scope="module", autouse=True)
def forget_compiled():
    """Let go of a file's compiled programs, of which JAX keeps all, and of their memory."""
    yield
    forget()


@pytest.fixture(autouse=True)
def keep_small():
    """Let go of them within a file too, where they have become many."""
    yield
    if resident() > MOST_HELD:
        forget()


def resident():
    """Bytes that the process holds now; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def forget():
    jax.clear_caches()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # other systems have no such call
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@pytest.fixture(params=range(3))
def key(request):
    return jax.random.key(request.param)
