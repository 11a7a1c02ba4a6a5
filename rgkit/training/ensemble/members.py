"""Members of an ensemble: systems, networks, objectives and keys, one for each row of a table."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import pandas as pd
from jaxtyping import Array, Integer, Key, PRNGKeyArray

from rgkit import _content, _validation
from rgkit._content import Constant
from rgkit.kernels.channels import GaussianChannel, SpinChannel
from rgkit.kernels.fully_connected import FCNetwork
from rgkit.kernels.network import Network
from rgkit.systems.base import Enumerable, System
from rgkit.systems.ising import IsingChain
from rgkit.systems.scalar import ScalarChain
from rgkit.training.arguments import check_member, check_objective
from rgkit.training.data import Pool, all_rows, listing, source_of
from rgkit.training.ensemble.grids import Row, check_all_read, whole
from rgkit.training.ensemble.layout import over_keys
from rgkit.training.objectives import Objective

POTENTIAL = ("r", "u", "w", "u8", "u10", "u12")


def _entry(row: Row, name: str) -> Any:
    if name not in row:
        raise ValueError(
            f"grid needs a column {name!r}: pass it for every member, or a system= or network= "
            "that sets it."
        )
    return row[name]


def chain(row: Row) -> System:
    """The system of a row: an Ising chain, or where it has ``r`` a chain of fields.

    The potential of these is (r, u, w, ...).
    """
    n_sites = whole("n_sites", _entry(row, "n_sites"))
    periodic = _validation.boolean("periodic", row.get("periodic", True))
    if "r" not in row:
        return _shared(
            IsingChain(_entry(row, "K"), row.get("h", 0.0), n_sites=n_sites, periodic=periodic)
        )
    degree = max(i for i, name in enumerate(POTENTIAL) if name in row)
    potential = tuple(row.get(name, 0.0) for name in POTENTIAL[: degree + 1])
    return ScalarChain(potential, _entry(row, "K"), n_sites=n_sites, periodic=periodic)


@functools.lru_cache(maxsize=256)
def _shared(chain):
    """The same chain for all members with an equal one: it works out once what it knows."""
    return chain


def network(row: Row, key: PRNGKeyArray) -> Network:
    """The network of a row, with ``depth`` (1) hidden layers of ``width`` (64) units.

    It goes from ``n_sites`` to ``n_features``.
    """
    depth = whole("depth", row.get("depth", 1), 0)
    # without a hidden layer there is no width to read
    hidden = [whole("width", row.get("width", 64))] * depth if depth else []
    widths = (
        whole("n_sites", _entry(row, "n_sites")),
        *hidden,
        whole("n_features", _entry(row, "n_features")),
    )
    channel = (
        GaussianChannel(row.get("power", 1.0), row.get("noise", 0.02))
        if "r" in row
        else SpinChannel()
    )
    options = {name: row[name] for name in ("activation", "gain", "bias_std") if name in row}
    return _initializer(widths, channel, tuple(options.items()))(key)


@functools.cache
def _initializer(widths, channel, options) -> Callable[[PRNGKeyArray], Network]:
    """A compiled start for one architecture: a thousand in eager mode would take too long."""
    return eqx.filter_jit(lambda key: FCNetwork(widths, channel, key=key, **dict(options)))


@functools.partial(jax.jit, static_argnames="restarts")
def member_keys(
    key: PRNGKeyArray, seed: int | Integer[Array, ""], restarts: int
) -> tuple[Key[Array, "..."], ...]:
    """Keys of one member: for its start, for its training, and those that `rgkit.train` splits.

    These are for data, and for the start and the steps of each restart.
    """
    network_key, train_key = jax.random.split(jax.random.fold_in(key, seed))
    data_key, runs_key = jax.random.split(train_key)
    pairs = over_keys(jax.random.split, jax.random.split(runs_key, restarts))
    return network_key, train_key, data_key, pairs[:, 0], pairs[:, 1]


@dataclasses.dataclass(frozen=True)
class Member:
    """A member of an ensemble.

    Arguments:
        network: at its start.
        system, objective: its data, and what it is trained for.
        train_key, data_key, init_keys, run_keys: its keys, as `rgkit.train` splits them.
        batch_size: rows of a batch, None for all.
        pooled: whether it has a pool.
    """

    network: Network
    system: System
    objective: Objective
    train_key: PRNGKeyArray
    data_key: PRNGKeyArray
    init_keys: Key[Array, "..."]
    run_keys: Key[Array, "..."]
    batch_size: int | None
    pooled: bool

    @functools.cached_property
    def source(self) -> Any:
        """What draws its batches; a pool is empty until the member's turn comes."""
        return Pool(jnp.zeros((0, 0))) if self.pooled else source_of(self.system)

    @property
    def listing(self) -> Enumerable | None:
        """Its system where it is recorded on all configurations, else None."""
        return listing(self.system, self.network.channel, self.batch_size)

    def shape(self, rows: tuple[int, ...] | None) -> tuple:
        """What members that share compiled programs agree in, with the shape of their rows."""
        source = self.source if self.batch_size else None
        arrays, static = eqx.partition((self.network, source), eqx.is_array)
        leaves = tuple((leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(arrays))
        return leaves, Constant(static), Constant(self.objective), rows

    def arguments(self) -> dict[str, Any]:
        """What `rgkit.train` takes to train this member alone."""
        return {
            "network": self.network,
            "system": self.system,
            "objective": self.objective,
            "key": self.train_key,
        }


@dataclasses.dataclass(frozen=True)
class Makers:
    """How members are made of the rows of a table, and how their batches are drawn."""

    objective: Objective | Callable[[Any], Objective]
    system: Callable[[Any], System]
    network: Callable[[Any, PRNGKeyArray], Network]
    batch_size: int | None
    pooled: bool

    def __post_init__(self):
        for name in ("system", "network"):
            if not callable(getattr(self, name)):
                raise TypeError(
                    f"{name} must be a function of a row, got {getattr(self, name)!r}: pass "
                    f"{name}=lambda row{', key' * (name == 'network')}: ..."
                )
        if isinstance(self.objective, type) or not callable(self.objective):
            check_objective(self.objective)

    @property
    def default(self) -> bool:
        """Whether both the system and the network are those of the grid's own columns."""
        return self.system is chain and self.network is network

    def members(self, table: pd.DataFrame, key: PRNGKeyArray, restarts: int) -> list[Member]:
        """The members of a table, every column of which one of the functions must read."""
        rows = [Row(row) for row in table.to_dict("records")]
        everyone = [self._member(row, key, restarts) for row in rows]
        check_all_read(rows, KNOWN if self.default else None)
        return everyone

    def _member(self, row: Row, key, restarts) -> Member:
        seed = _validation.seed("seed", whole("seed", row["seed"], 0))
        network_key, *keys = member_keys(key, seed, restarts)
        train_key, data_key, init_keys, run_keys = keys
        start, system = self.network(row, network_key), self.system(row)
        objective = self.objective
        objective = objective if isinstance(objective, Objective) else objective(row)
        check_member(start, system, objective)
        return Member(
            network=start,
            system=system,
            objective=objective,
            train_key=train_key,
            data_key=data_key,
            init_keys=init_keys,
            run_keys=run_keys,
            batch_size=self.batch_size,
            pooled=self.pooled,
        )


KNOWN = (
    *("K", "h", "n_sites", "periodic", *POTENTIAL),
    *("width", "depth", "n_features", "activation", "gain", "bias_std", "power", "noise", "seed"),
)


def of_equal_shape(members: list[Member]) -> list[list[int]]:
    """Positions of the members, a list for each shape."""
    shapes = _shapes_of_rows(members)
    groups: dict[tuple, list[int]] = {}
    for i, (member, rows) in enumerate(zip(members, shapes, strict=True)):
        groups.setdefault(member.shape(rows), []).append(i)
    return list(groups.values())


def _shapes_of_rows(members: list[Member]) -> list[tuple[int, ...] | None]:
    """The shape of all rows of each member's system; None where these are not listed."""
    known: dict[int, tuple[int, ...]] = {}
    for member in members:
        system = member.listing
        if system is not None and id(system) not in known:
            known[id(system)] = all_rows(system)[0].shape
    return [known.get(id(member.listing)) for member in members]


def digest(members: list[Member]) -> str:
    """SHA-256 of what the members start from: parameters, systems and keys."""
    keys = ("train_key", "data_key", "init_keys", "run_keys")
    return _content.digest(
        [
            (member.network, member.system, [getattr(member, name) for name in keys])
            for member in members
        ]
    )
