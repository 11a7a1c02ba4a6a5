"""Where an ensemble runs: the devices at hand, and how many members fit side by side."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import pandas as pd
from jaxtyping import Array, Key

CACHED_BYTES = 2**24
HOST_MEMORY = 2**30
BLOCK = 16
# keys whose draws do not change when many of them draw at once
SIDE_BY_SIDE = "threefry2x32"


def devices() -> pd.DataFrame:
    """The devices that JAX computes on, a row for each kind.

    Returns:
        A table with columns ``platform``, ``kind``, ``count``, ``processes`` (how many hold them),
        ``memory`` (bytes that JAX may use on one of them; missing where it does not say) and
        ``matmul_precision`` (JAX's setting for products of float32 matrices; at "default" an
        accelerator may round the factors).
    """
    rows = [
        {
            "platform": device.platform,
            "kind": device.device_kind,
            "process": device.process_index,
            "memory": _memory(device),
        }
        for device in jax.devices()
    ]
    grouped = pd.DataFrame(rows).groupby(["platform", "kind"], sort=False)
    table = grouped.agg(
        count=("process", "size"), processes=("process", "nunique"), memory=("memory", "min")
    ).reset_index()
    settings: Any = jax.config
    return table.assign(matmul_precision=settings.jax_default_matmul_precision or "default")


def _memory(device: Any) -> float:
    # another process's device cannot be asked
    statistics = device.memory_stats() if device.process_index == jax.process_index() else None
    return float((statistics or {}).get("bytes_limit", "nan"))


def default_memory() -> int:
    """Bytes that one device may use: half of what an accelerator has, 1 GiB on a CPU."""
    available = _memory(jax.local_devices()[0])
    return int(available / 2) if available > 0 else HOST_MEMORY


def step_bytes(loss: Callable, model: Any, *rows: Any) -> int:
    """Bytes that one gradient of ``loss(model, *rows)`` holds: twice what the backward pass keeps.

    They are found without computing; arrays may be given by their shapes.
    """
    arrays, static = eqx.partition(model, _is_inexact)

    def kept(arrays, *rows):
        return jax.vjp(lambda a: loss(eqx.combine(a, static), *rows), arrays)[1]

    return 2 * sum(
        leaf.size * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(jax.eval_shape(kept, arrays, *rows))
    )


def _is_inexact(leaf: Any) -> bool:
    return eqx.is_inexact_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the runs of one shape are cut.

    Arguments:
        block: runs of a block, which one device trains.
        together: how many of them side by side.
        recorded: how many of them side by side where the history is written.
    """

    block: int
    together: int
    recorded: int

    def n_blocks(self, n_runs: int) -> int:
        """How many blocks so many runs fill, the last one perhaps in part."""
        return -(-n_runs // self.block)


def working_bytes(memory: int) -> int:
    """Bytes that runs side by side may hold: on a CPU those of its cache, since more are slower."""
    return min(memory, CACHED_BYTES) if jax.default_backend() == "cpu" else memory


def choose_layout(
    n_runs: int, n_devices: int, step: int, record: int, held: int, memory: int
) -> Layout:
    """A layout for runs that hold so many bytes in a step, in a record, and throughout."""
    share = -(-n_runs // n_devices)
    # equal parts, so that little is computed twice to fill the last
    parts = -(-share // max(1, working_bytes(memory) // step))
    together = -(-share // parts)
    most = min(max(1, BLOCK // together), max(1, memory // (4 * held * together)))
    blocks = -(-parts // most)
    recorded = max(1, min(together, working_bytes(memory) // record))
    return Layout(together * -(-parts // blocks), together, recorded)


def draw_alike(keys: Key[Array, "..."]) -> bool:
    """Whether keys of this kind draw the same numbers under ``jax.vmap`` as one by one."""
    return str(jax.random.key_impl(keys)) == SIDE_BY_SIDE


def over_keys(function: Callable, keys: Key[Array, "..."]) -> Any:
    """A function of every key, as it is of each alone."""
    return jax.vmap(function)(keys) if draw_alike(keys) else jax.lax.map(function, keys)
