"""Members of an ensemble: from a table of parameters to systems, networks and keys."""

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pandas as pd

from rgkit import _validation
from rgkit.kernels.network import FCNetwork, GaussianChannel, SpinChannel
from rgkit.systems.ising import IsingChain
from rgkit.systems.scalar import ScalarChain
from rgkit.training.objectives import Objective
from rgkit.training.single import Pool, check_channel, is_enumerable, source_of

POTENTIAL = ("r", "u", "w", "u8", "u10", "u12")
SYSTEM_COLUMNS = ("K", "h", "n_sites", "periodic", *POTENTIAL)
NETWORK_COLUMNS = (
    "width",
    "depth",
    "n_features",
    "activation",
    "gain",
    "bias_std",
    "power",
    "noise",
)


def table_of_members(grid) -> pd.DataFrame:
    """The grid as a table, a row for each member: a table or list of rows as it is, a mapping as the product of its entries."""
    if isinstance(grid, Mapping):
        values = [
            value if isinstance(value, list | tuple | range | np.ndarray) else [value]
            for value in grid.values()
        ]
        grid = [dict(zip(grid, point, strict=True)) for point in itertools.product(*values)]
    table = pd.DataFrame(grid).reset_index(drop=True)
    if table.empty:
        raise ValueError(
            "grid must have at least one member: pass a table, a list of dicts or a mapping to sequences."
        )
    missing = [name for name in table.columns if table[name].isna().any()]
    if missing:
        raise ValueError(
            f"grid must have a value for every member in every column, {missing} have gaps: fill them."
        )
    return table if "seed" in table else table.assign(seed=0)


def check_columns(table: pd.DataFrame) -> None:
    """Raise ValueError where the default system and network would leave a column unread."""
    unknown = sorted(set(table.columns) - {*SYSTEM_COLUMNS, *NETWORK_COLUMNS, "seed"})
    if unknown:
        raise ValueError(
            f"grid has columns {unknown} that nothing reads; known are {[*SYSTEM_COLUMNS, *NETWORK_COLUMNS, 'seed']}. "
            "Pass system= or network= functions that read them."
        )


def _entry(row: dict, name: str):
    if name not in row:
        raise ValueError(
            f"grid needs a column {name!r}: pass it for every member, or a system= or network= that sets it."
        )
    return row[name]


def chain(row: dict) -> IsingChain | ScalarChain:
    """The system of a row: an Ising chain, or where it has ``r`` a chain of fields with the potential (r, u, w, ...)."""
    shape = {"n_sites": _entry(row, "n_sites"), "periodic": bool(row.get("periodic", True))}
    if "r" not in row:
        return _shared(IsingChain(_entry(row, "K"), row.get("h", 0.0), **shape))
    degree = max(i for i, name in enumerate(POTENTIAL) if name in row)
    return ScalarChain(
        tuple(row.get(name, 0.0) for name in POTENTIAL[: degree + 1]), _entry(row, "K"), **shape
    )


@functools.lru_cache(maxsize=256)
def _shared(chain):
    """The same chain for all members that have an equal one: what it works out about itself is worked out once."""
    return chain


def network(row: dict, key) -> FCNetwork:
    """The network of a row: ``depth`` (1) hidden layers of ``width`` (64) units from ``n_sites`` to ``n_features``."""
    hidden = [int(row.get("width", 64))] * _validation.positive_integer(
        "depth", row.get("depth", 1), 0
    )
    widths = (_entry(row, "n_sites"), *hidden, _entry(row, "n_features"))
    channel = (
        GaussianChannel(row.get("power", 1.0), row.get("noise", 0.02))
        if "r" in row
        else SpinChannel()
    )
    return _initializer(
        widths,
        channel,
        tuple((name, row[name]) for name in ("activation", "gain", "bias_std") if name in row),
    )(key)


@functools.cache
def _initializer(widths, channel, options) -> Callable:
    """A compiled start for one architecture: a thousand starts one by one in eager mode would outlast their training."""
    return eqx.filter_jit(lambda key: FCNetwork(widths, channel, key=key, **dict(options)))


@functools.partial(jax.jit, static_argnames="restarts")
def member_keys(key, seed, restarts: int):
    """Keys of one member: for its start, for its training, and from this, as `rgkit.train` splits it, for data and restarts."""
    network_key, train_key = jax.random.split(jax.random.fold_in(key, seed))
    data_key, runs_key = jax.random.split(train_key)
    init_keys, run_keys = jax.vmap(jax.random.split, out_axes=1)(
        jax.random.split(runs_key, restarts)
    )
    return network_key, train_key, data_key, init_keys, run_keys


@dataclasses.dataclass(frozen=True)
class Member:
    """A member: its start, its data, whether it has a pool, what it is trained for, and its keys as `rgkit.train` splits them."""

    network: FCNetwork
    system: Any
    objective: Any
    train_key: jax.Array
    data_key: jax.Array
    init_keys: jax.Array
    run_keys: jax.Array
    pooled: bool

    @functools.cached_property
    def source(self):
        """What draws its batches. A pool is without its rows, which are drawn when the member's turn comes."""
        return Pool(None) if self.pooled else source_of(self.system)

    @property
    def shape(self):
        """What members that share a compiled program agree in."""
        arrays, static = eqx.partition((self.network, self.source), eqx.is_array)
        leaves = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(arrays))
        return leaves, static, self.objective, is_enumerable(self.system, self.network)

    def arguments(self) -> dict:
        """What `rgkit.train` takes to train this member alone."""
        return {
            "network": self.network,
            "system": self.system,
            "objective": self.objective,
            "key": self.train_key,
        }


def build(table, objective, system, network, key, restarts: int, pooled: bool) -> list[Member]:
    """The members of a table; functions are called with a row as a dict."""
    build_objective = (lambda row: objective) if isinstance(objective, Objective) else objective
    members = []
    for row in table.to_dict("records"):
        network_key, *keys = member_keys(
            key, _validation.positive_integer("seed", row["seed"], 0), restarts
        )
        members.append(
            Member(network(row, network_key), system(row), build_objective(row), *keys, pooled)
        )
        members[-1].network.n_features(members[-1].system.n_sites)
        check_channel(members[-1].network.channel, members[-1].objective)
    return members


def of_equal_shape(members: list[Member]) -> list[list[int]]:
    """Positions of the members, a list for each shape."""
    groups = {}
    for i, member in enumerate(members):
        groups.setdefault(member.shape, []).append(i)
    return list(groups.values())


def digest(members: list[Member]) -> str:
    """SHA-256 of what the members start from: parameters, systems and keys."""
    sha = hashlib.sha256()
    for member in members:
        sha.update(repr(member.system).encode())
        arrays = jax.tree.leaves(eqx.filter((member.network, member.system), eqx.is_array))
        for array in [
            *arrays,
            *map(
                jax.random.key_data,
                (member.train_key, member.data_key, member.init_keys, member.run_keys),
            ),
        ]:
            sha.update(np.asarray(array).tobytes())
    return sha.hexdigest()
