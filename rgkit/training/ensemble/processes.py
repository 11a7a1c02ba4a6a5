"""Several processes that train one ensemble: who trains which block, and how all come to hold the whole."""

import io

import jax
import numpy as np
from jax.experimental import multihost_utils

SEPARATOR = "/"


def share(names: list[str]) -> list[str]:
    """The blocks of this process, by name."""
    return names[jax.process_index() :: jax.process_count()]


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    """Arrays by name as the bytes of an ``.npz`` file without pickles."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpacked(content: bytes) -> dict[str, np.ndarray]:
    """What `packed` was given."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return dict(stored)


def gather(
    blocks: dict[str, dict[str, np.ndarray]], names: list[str], read=None
) -> dict[str, dict[str, np.ndarray]]:
    """The blocks of all processes.

    Arguments:
        blocks: those of this process, arrays by name for each.
        names: of all blocks.
        read: a function of the name of a block that any process has stored; without one the arrays are exchanged.
    """
    if jax.process_count() == 1:
        return blocks
    if read is None:
        return _exchanged(blocks)
    multihost_utils.sync_global_devices("rgkit: all blocks are stored")
    return {name: blocks[name] if name in blocks else read(name) for name in names}


def _exchanged(blocks):
    # as bytes: JAX would round float64, and processes may hold different numbers of blocks
    content = packed(
        {
            f"{block}{SEPARATOR}{name}": array
            for block, arrays in blocks.items()
            for name, array in arrays.items()
        }
    )
    lengths = multihost_utils.process_allgather(np.int32(len(content)))
    padded = np.frombuffer(content.ljust(int(lengths.max()), b"\0"), np.uint8)
    everyone = multihost_utils.process_allgather(padded)
    whole = {}
    for length, row in zip(lengths, everyone, strict=True):
        for path, array in unpacked(row[: int(length)].tobytes()).items():
            block, _, name = path.partition(SEPARATOR)
            whole.setdefault(block, {})[name] = array
    return whole
