import contextlib
import ctypes
import gc

import jax
import pytest
from hypothesis import settings

jax.config.update("jax_numpy_rank_promotion", "raise")
settings.register_profile("exact", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("exact")


@pytest.fixture(scope="module", autouse=True)
def forget_compiled():
    """Let go of a file's compiled programs, of which JAX keeps all, and of their memory."""
    yield
    jax.clear_caches()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # other systems have no such call
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@pytest.fixture(params=range(3))
def key(request):
    return jax.random.key(request.param)
