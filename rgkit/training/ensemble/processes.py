"""Several processes that train one ensemble: who trains which block, and how all get the whole."""

import io
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

BlockId = tuple[int, int]


def share(blocks: list[BlockId], process: int | None = None) -> list[BlockId]:
    """The blocks of a process, of this one by default, by group and number within the group."""
    process = jax.process_index() if process is None else process
    return blocks[process :: jax.process_count()]


def packed(tree: Any) -> bytes:
    """A tree of arrays as the bytes of an ``.npz`` file without pickles; paths name the arrays."""
    buffer = io.BytesIO()
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    np.savez(
        buffer,
        allow_pickle=False,
        **{jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves},
    )
    return buffer.getvalue()


def unpacked(content: bytes, like: Any) -> Any:
    """What `packed` was given, with the structure of a tree like it, whatever its leaves are."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return jax.tree_util.tree_map_with_path(
            lambda path, _: stored[jax.tree_util.keystr(path)], like
        )


def gather(
    blocks: dict[BlockId, Any],
    names: list[BlockId],
    like: Callable[[BlockId], Any],
    read: Callable[[BlockId], Any] | None = None,
) -> dict[BlockId, Any]:
    """The blocks of all processes.

    Arguments:
        blocks: those of this process, a tree of arrays for each.
        names: of all blocks.
        like: a function of the name of a block to a tree of its structure.
        read: a function of the name of a block that any process has stored; without one the arrays
            are exchanged.
    """
    if jax.process_count() == 1:
        return blocks
    if read is None:
        return _exchanged(blocks, names, like)
    multihost_utils.sync_global_devices("rgkit: all blocks are stored")
    return {name: blocks[name] if name in blocks else read(name) for name in names}


def _exchanged(blocks, names, like):
    # as bytes: JAX would round float64, and processes may hold different numbers of blocks
    content = packed([blocks[name] for name in share(names)])
    lengths = multihost_utils.process_allgather(np.int32(len(content)))
    padded = np.frombuffer(content.ljust(int(lengths.max()), b"\0"), np.uint8)
    everyone = multihost_utils.process_allgather(padded)
    whole = {}
    for process, (length, row) in enumerate(zip(lengths, everyone, strict=True)):
        theirs = share(names, process)
        trees = unpacked(row[: int(length)].tobytes(), [like(name) for name in theirs])
        whole.update(zip(theirs, trees, strict=True))
    return whole
