"""Training an ensemble: every member of a grid in one call, equal shapes in one program."""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax
import pandas as pd
from jaxtyping import PRNGKeyArray
from tqdm import tqdm

from rgkit import _content, _validation
from rgkit.kernels.network import Network
from rgkit.systems.base import System
from rgkit.training.arguments import check_finish, check_optimizer, check_sampling
from rgkit.training.ensemble import members
from rgkit.training.ensemble.checkpoints import Checkpoint
from rgkit.training.ensemble.grids import table_of_members
from rgkit.training.ensemble.groups import Group
from rgkit.training.ensemble.layout import Layout, choose_layout, default_memory
from rgkit.training.ensemble.processes import BlockId, gather, share
from rgkit.training.ensemble.recipes import Block, Recipe
from rgkit.training.finish import Finish
from rgkit.training.objectives import Objective


@dataclasses.dataclass(frozen=True)
class EnsembleResult:
    """What training an ensemble leaves behind; members keep the order of the grid.

    Attributes:
        table: a row for each member: the columns of the grid, those of the last row of a
            `TrainingResult.history`, ``steps`` (of all restarts) and ``diverged_at`` (the step
            whose loss was not finite, missing where none was; such a member stays at its last
            finite network).
        history: the columns of the grid and of a `TrainingResult.history`, with ``member``, a row
            for each record.
        networks: the trained networks, stacked along a leading axis, for each shape.
        cost: steps (of all members and restarts) and seconds (of all devices together, compilation
            included).
    """

    table: pd.DataFrame
    history: pd.DataFrame
    networks: tuple[Any, ...]
    cost: dict[str, float]
    _heads: tuple[Any, ...]
    _places: tuple[tuple[int, int], ...]
    _arguments: tuple[dict, ...]

    def network(self, member: int) -> Network:
        """The trained network of one member."""
        return self._one(self.networks, member)

    def head(self, member: int) -> Any:
        """The objective's trained decoder or readout of one member."""
        return self._one(self._heads, member)

    def arguments(self, member: int) -> dict[str, Any]:
        """What `rgkit.train` takes to train this member alone.

        These are ``network`` (at its start), ``system``, ``objective`` and ``key``.
        """
        return dict(self._arguments[member])

    def _one(self, stacks, member):
        group, position = self._places[member]
        arrays, static = eqx.partition(stacks[group], eqx.is_inexact_array)
        return eqx.combine(jax.tree.map(lambda leaf: leaf[position], arrays), static)


def train_ensemble(
    grid: Any,
    objective: Objective | Callable[[Any], Objective],
    *,
    steps: int,
    system: Callable[[Any], System] = members.chain,
    network: Callable[[Any, PRNGKeyArray], Network] = members.network,
    batch_size: int | None = None,
    pool: int | None = None,
    optimizer: optax.GradientTransformation | None = None,
    restarts: int = 1,
    finish: Finish | None = None,
    records: int = 1,
    memory: int | None = None,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> EnsembleResult:
    """Train every member of a grid, as `rgkit.train` would, on all devices at hand.

    Members whose networks and data have equal shape share their compiled programs: many side by
    side where the rows are few, one after another where they are many, in blocks that go to the
    devices of this process in turn. Where ``jax.distributed`` runs, each process trains its share
    of the blocks and all return the whole ensemble.

    A shape needs two large programs, one for the steps and one for the records, and a small one for
    each architecture and scale of its start. Starts, numbers of steps, and the parameters and
    numbers of chains share them, and a later call with blocks of the same size compiles nothing
    anew. Objectives and optimisers count by content, but a function of your own only as the object
    it is: define one label outside of a loop. The power and the noise of a channel are constants
    of a program.

    The network of a member starts from ``network_key`` and is trained with ``train_key``, where
    ``network_key, train_key = jax.random.split(jax.random.fold_in(key, seed))``: members of one
    seed share their random numbers, and a member agrees with `rgkit.train` up to rounding (see
    `EnsembleResult.arguments`). Keys other than those of "threefry2x32" draw other numbers side by
    side: their members run one after another, and agree as well.

    Arguments:
        grid: the members: a table, a list of dicts, or a mapping whose sequences (lists, arrays,
            columns of a table) are multiplied out. Columns: ``K``, ``h`` (0), ``n_sites``,
            ``periodic`` (true) of an `IsingChain`, or with ``r``, ``u``, ``w``, ... of a
            `ScalarChain`; ``n_features``, ``width`` (64) and ``depth`` (1) of the hidden layers,
            ``activation``, ``gain``, ``bias_std`` of an `FCNetwork`, for fields ``power`` (1) and
            ``noise`` (0.02) of its channel; ``seed`` (0), below ``2**31``. A column that nothing
            reads is refused.
        objective: an `Objective`, or a function of a row (a dict) to one.
        steps: optimiser steps per restart.
        system: a function of a row to the data, for other systems or columns.
        network: a function of a row and a key to an `FCNetwork`, for other channels or columns.
        batch_size, pool, optimizer, restarts, finish: as in `rgkit.train`. Each member has a pool
            of its own, which its restarts share; with a pool members of different systems share a
            compiled program.
        records: rows of the history after the first (about).
        memory: bytes that one device may use for a step; by default 1 GiB on a CPU, half of what
            an accelerator has. It decides how many members run side by side and in a block. All
            ``2**N`` configurations are streamed in chunks of rows where one network would exceed
            it; other rows that a system lists are not.
        checkpoint: a directory in which finished blocks are kept: the same call takes up an
            interrupted run, in the layout it was begun with, also from another process. Another
            objective, system, start or optimiser is refused; functions count by what they compute.
            Several processes share one directory.
        progress: show a progress bar with the rate and the time left.
        key: a typed JAX key.

    Returns:
        An `EnsembleResult`.

    Raises:
        ValueError, TypeError: naming the argument, or the file of a checkpoint that is damaged or
            of another configuration.
        OSError: where a checkpoint cannot be written.
    """
    key, steps = _validation.key("key", key), _validation.positive_integer("steps", steps)
    restarts = _validation.positive_integer("restarts", restarts)
    records = _validation.positive_integer("records", records)
    batch_size, pool = check_sampling(batch_size, pool)
    check_optimizer(optimizer)
    memory = _validation.positive_integer("memory", default_memory() if memory is None else memory)
    makers = members.Makers(objective, system, network, batch_size, pool is not None)
    table = table_of_members(grid)
    everyone = makers.members(table, key, restarts)
    for member in everyone:
        check_finish(finish, member.network, member.objective, batch_size)
    recipe = Recipe(
        steps, -(-steps // records), batch_size, pool, optimizer, restarts, finish, memory
    )
    places = members.of_equal_shape(everyone)
    groups = [Group(recipe, [everyone[i] for i in place]) for place in places]
    layouts, store = _plan(groups, checkpoint, everyone)
    blocks = _train_blocks(groups, layouts, store, progress)
    parts = [
        _finished(group, [blocks[g, b] for b in range(layout.n_blocks(len(group.runs)))])
        for g, (group, layout) in enumerate(zip(groups, layouts, strict=True))
    ]
    return _result(table, everyone, recipe, places, parts)


def _plan(groups, checkpoint, everyone) -> tuple[list[Layout], Checkpoint | None]:
    """The layout of each group: that of a checkpoint, so that a resumed run repeats it."""
    n_devices = len(jax.local_devices()) * jax.process_count()
    layouts = [
        choose_layout(
            len(g.runs), n_devices, g.step_bytes, g.record_bytes, g.held_bytes, g.recipe.memory
        )
        for g in groups
    ]
    if checkpoint is None:
        return layouts, None
    recipe = groups[0].recipe
    configuration = {
        "members": members.digest(everyone),
        "programs": [group.fingerprint() for group in groups],
        "steps": recipe.steps,
        "records": recipe.chunk,
        "restarts": recipe.restarts,
        "batch_size": recipe.batch_size,
        "pool": recipe.pool,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }
    if recipe.finish is not None:
        configuration["finish"] = _content.digest(recipe.finish)
    notes = {"layouts": [dataclasses.astuple(layout) for layout in layouts]}
    store = Checkpoint(checkpoint, configuration, notes)
    return [Layout(*layout) for layout in store.notes["layouts"]], store


def _train_blocks(groups, layouts, store, progress) -> dict[BlockId, Block]:
    """The blocks of all groups, trained or read."""
    names = [
        (g, b)
        for g, group in enumerate(groups)
        for b in range(layouts[g].n_blocks(len(group.runs)))
    ]

    def like(name: BlockId) -> Block:
        return groups[name[0]].like_block()

    def read(name: BlockId) -> Block | None:
        return store.load(name, like(name)) if store else None

    def steps(name: BlockId) -> int:
        g, b = name
        return groups[g].recipe.marks[-1] * len(groups[g].runs_of(layouts[g], b))

    blocks = {name: read(name) for name in share(names)}
    with tqdm(total=sum(map(steps, blocks)), disable=not progress, unit="step") as bar:
        bar.update(sum(steps(name) for name, block in blocks.items() if block is not None))
        for g, (group, layout) in enumerate(zip(groups, layouts, strict=True)):
            missing = [b for (of, b), block in blocks.items() if of == g and block is None]
            for turn in _turns(missing):
                for b, block in zip(turn, group.train(layout, turn, bar), strict=True):
                    blocks[g, b] = block
                    if store:
                        store.save((g, b), block)
    return gather(blocks, names, like, store and read)


def _turns(blocks: list[int]) -> list[list[int]]:
    """Blocks that the devices of this process train at a time."""
    n_devices = len(jax.local_devices())
    return [blocks[i : i + n_devices] for i in range(0, len(blocks), n_devices)]


@dataclasses.dataclass(frozen=True)
class _Part:
    """What is left of the members of a group: the best restart of each."""

    network: Any
    head: Any
    records: Any
    diverged_at: np.ndarray
    seconds: float


def _finished(group: Group, blocks: list[Block]) -> _Part:
    whole: Block = jax.tree.map(lambda *leaves: np.concatenate(leaves), *blocks)
    n_runs, n_members = len(group.runs), len(group.members)
    runs = jax.tree.map(lambda leaf: leaf[:n_runs].reshape(n_members, -1, *leaf.shape[1:]), whole)
    # as in rgkit.train the smallest final loss is kept, here among the restarts that did not
    # diverge
    final = np.where(runs.diverged_at < 0, runs.records.loss[..., -1], np.inf)
    best = np.argmin(final, axis=1)
    kept = jax.tree.map(lambda leaf: leaf[np.arange(n_members), best], runs)
    network, head = group.models(kept.models)
    return _Part(network, head, kept.records, kept.diverged_at, float(whole.seconds.sum()))


def _result(table, everyone, recipe, places, parts: list[_Part]) -> EnsembleResult:
    pairs = list(zip(places, parts, strict=True))
    histories = [_history(table, place, part, recipe.marks) for place, part in pairs]
    history = pd.concat(histories).sort_values(["member", "step"], kind="stable", ignore_index=True)
    # the last of each, also after a finish that counts no steps
    last = history.groupby("member").tail(1).reset_index(drop=True)
    diverged = np.full(len(table), np.nan)
    for place, part in pairs:
        diverged[place] = np.where(part.diverged_at < 0, np.nan, part.diverged_at)
    steps = recipe.marks[-1] * recipe.restarts
    where = {member: (g, i) for g, place in enumerate(places) for i, member in enumerate(place)}
    return EnsembleResult(
        last.drop(columns=["member", "step"]).assign(steps=steps, diverged_at=diverged),
        history,
        tuple(part.network for part in parts),
        {"steps": steps * len(table), "seconds": sum(part.seconds for part in parts)},
        tuple(part.head for part in parts),
        tuple(where[i] for i in range(len(table))),
        tuple(member.arguments() for member in everyone),
    )


def _history(table, place, part: _Part, marks) -> pd.DataFrame:
    """The records of a group: a row for each member and each step recorded."""
    repeated = table.iloc[np.repeat(place, len(marks))].reset_index(drop=True)
    records = pd.DataFrame({n: column.ravel() for n, column in part.records._asdict().items()})
    steps = pd.DataFrame(
        {"member": np.repeat(place, len(marks)), "step": np.tile(marks, len(place))}
    )
    return pd.concat([steps, repeated, records], axis=1)
