"""Training an ensemble: every member of a grid in one call, members of equal shape in one compiled program."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax
import pandas as pd
from tqdm import tqdm

from rgkit import _validation
from rgkit.training import single as training
from rgkit.training.ensemble import members
from rgkit.training.ensemble.checkpoints import Checkpoint
from rgkit.training.ensemble.groups import Group, Recipe
from rgkit.training.ensemble.layout import Layout, choose_layout, default_memory
from rgkit.training.ensemble.processes import gather, share


@dataclasses.dataclass(frozen=True)
class EnsembleResult:
    """What training an ensemble leaves behind; members keep the order of the grid.

    Attributes:
        table: a row for each member: the columns of the grid, those of the last row of a `TrainingResult.history`,
            ``steps`` (of all restarts) and ``diverged_at`` (the step whose loss was not finite, missing where none was;
            such a member stays at its last finite network).
        history: the columns of the grid and of a `TrainingResult.history`, with ``member``, a row for each record.
        networks: the trained networks, stacked along a leading axis, for each shape.
        cost: steps (of all members and restarts) and seconds (of all devices together, compilation included).
    """

    table: pd.DataFrame
    history: pd.DataFrame
    networks: tuple[Any, ...]
    cost: dict[str, float]
    _heads: tuple[Any, ...]
    _places: tuple[tuple[int, int], ...]
    _arguments: tuple[dict, ...]

    def network(self, member: int):
        """The trained network of one member."""
        return self._one(self.networks, member)

    def head(self, member: int):
        """The objective's trained decoder or readout of one member."""
        return self._one(self._heads, member)

    def arguments(self, member: int) -> dict:
        """What `rgkit.train` takes to train this member alone: ``network`` (at its start), ``system``, ``objective``, ``key``."""
        return dict(self._arguments[member])

    def _one(self, stacks, member):
        group, position = self._places[member]
        arrays, static = eqx.partition(stacks[group], eqx.is_array)
        return eqx.combine(jax.tree.map(lambda leaf: leaf[position], arrays), static)


def train_ensemble(
    grid,
    objective,
    *,
    steps: int,
    system=members.chain,
    network=members.network,
    batch_size: int | None = None,
    pool: int | None = None,
    optimizer: optax.GradientTransformation | None = None,
    restarts: int = 1,
    records: int = 1,
    memory: int | None = None,
    checkpoint=None,
    progress: bool = False,
    key,
) -> EnsembleResult:
    """Train every member of a grid, as `rgkit.train` would, on all devices at hand.

    Members whose networks and data have equal shape share one compiled program: many side by side where the rows are
    few, one after another where they are many, in blocks that go to the devices of this process in turn. Where
    ``jax.distributed`` runs, each process trains its share of the blocks and all return the whole ensemble.

    The network of a member starts from ``network_key`` and is trained with ``train_key``, where ``network_key,
    train_key = jax.random.split(jax.random.fold_in(key, seed))``: members of one seed share their random numbers, and a
    member agrees with `rgkit.train` up to rounding (see `EnsembleResult.arguments`).

    Arguments:
        grid: the members: a table, a list of dicts, or a mapping whose sequences are multiplied out. Columns: ``K``,
            ``h`` (0), ``n_sites``, ``periodic`` (true) of an `IsingChain`, or with ``r``, ``u``, ``w``, ... of a
            `ScalarChain`; ``n_features``, ``width`` (64) and ``depth`` (1) of the hidden layers, ``activation``, ``gain``,
            ``bias_std`` of an `FCNetwork`, for fields ``power`` (1) and ``noise`` (0.02) of its channel; ``seed`` (0).
        objective: an `Objective`, or a function of a row (a dict) to one.
        steps: optimiser steps per restart.
        system: a function of a row to the data, for other systems or columns.
        network: a function of a row and a key to an `FCNetwork`, for other channels or columns.
        batch_size, pool, optimizer, restarts: as in `rgkit.train`. Each member has a pool of its own, which its restarts share;
            with a pool members of different systems share a compiled program.
        records: rows of the history after the first (about).
        memory: bytes that one device may use for a step; by default 1 GiB on a CPU, half of what an accelerator has.
            All configurations of a chain are streamed in chunks of rows where one network would exceed it.
        checkpoint: a directory in which finished blocks are kept: the same call takes up an interrupted run, in the
            layout it was begun with. Several processes share one directory.
        progress: show a progress bar with the rate and the time left.
        key: a typed JAX key.

    Raises:
        ValueError, TypeError: naming the argument, or the file of a checkpoint that is damaged or of another configuration.
    """
    key, steps = _validation.key("key", key), _validation.positive_integer("steps", steps)
    restarts, records = (
        _validation.positive_integer("restarts", restarts),
        _validation.positive_integer("records", records),
    )
    batch_size, pool = training.check_sampling(batch_size, pool)
    memory = _validation.positive_integer("memory", default_memory() if memory is None else memory)
    table = members.table_of_members(grid)
    if system is members.chain and network is members.network:
        members.check_columns(table)
    everyone = members.build(table, objective, system, network, key, restarts, pool is not None)
    recipe = Recipe(steps, -(-steps // records), batch_size, pool, optimizer, restarts, memory)
    places = members.of_equal_shape(everyone)
    groups = [Group(recipe, [everyone[i] for i in place]) for place in places]
    layouts, store = _plan(groups, checkpoint, everyone)
    blocks = _train_blocks(groups, layouts, store, progress)
    parts = [_finished(group, [blocks[f"{g}-{b}"] for b in range(layout.n_blocks(len(group.runs)))])
             for g, (group, layout) in enumerate(zip(groups, layouts, strict=True))]  # fmt: skip
    return _result(table, everyone, recipe, places, parts)


def _plan(groups, checkpoint, everyone) -> tuple[list[Layout], Checkpoint | None]:
    """The layout of each group: where there is a checkpoint the one it was begun with, so that a resumed run repeats it."""
    n_devices = len(jax.local_devices()) * jax.process_count()
    layouts = [
        choose_layout(len(g.runs), n_devices, g.step_bytes, g.held_bytes, g.recipe.memory)
        for g in groups
    ]
    if checkpoint is None:
        return layouts, None
    recipe = groups[0].recipe
    configuration = {
        "members": members.digest(everyone), "programs": [group.fingerprint() for group in groups],
        "steps": recipe.steps, "records": recipe.chunk, "restarts": recipe.restarts, "batch_size": recipe.batch_size,
        "pool": recipe.pool, "device": jax.devices()[0].device_kind, "jax": jax.__version__,
    }  # fmt: skip
    store = Checkpoint(
        checkpoint, configuration, {"layouts": [dataclasses.astuple(layout) for layout in layouts]}
    )
    return [Layout(*layout) for layout in store.notes["layouts"]], store


def _train_blocks(groups, layouts, store, progress) -> dict[str, dict[str, np.ndarray]]:
    """The blocks of all groups, trained or read."""
    n_devices = len(jax.local_devices())
    names = [
        f"{g}-{b}"
        for g, group in enumerate(groups)
        for b in range(layouts[g].n_blocks(len(group.runs)))
    ]
    blocks = (
        {name: store.load(name) for name in share(names)} if store else dict.fromkeys(share(names))
    )
    with tqdm(
        total=sum(_steps(groups, layouts, name) for name in blocks),
        disable=not progress,
        unit="step",
    ) as bar:
        bar.update(sum(_steps(groups, layouts, name) for name, block in blocks.items() if block))
        for g, (group, layout) in enumerate(zip(groups, layouts, strict=True)):
            missing = [
                name for name, block in blocks.items() if block is None and name.startswith(f"{g}-")
            ]
            for turn in (missing[i : i + n_devices] for i in range(0, len(missing), n_devices)):
                trained = group.train(layout, [int(name.split("-")[1]) for name in turn], bar)
                for name, block in zip(turn, trained, strict=True):
                    blocks[name] = block
                    if store:
                        store.save(name, block)
    return gather(blocks, names, store and store.load)


def _steps(groups, layouts, name):
    g, b = map(int, name.split("-"))
    return groups[g].recipe.steps * len(groups[g].runs_of(layouts[g], b))


def _finished(group, blocks) -> tuple[Any, Any, dict[str, np.ndarray], float]:
    """Networks and heads of the members of a group, stacked, the records of their best restarts, and the seconds spent."""
    rows = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    seconds = float(rows.pop("seconds").sum())
    rows = {
        name: values[: len(group.runs)].reshape(len(group.members), -1, *values.shape[1:])
        for name, values in rows.items()
    }
    # as in rgkit.train the smallest final loss is kept, here among the restarts that did not diverge
    final = np.where(rows["diverged_at"] < 0, rows["record loss"][..., -1], np.inf)
    best = np.argmin(final, axis=1)
    rows = {name: values[np.arange(len(best)), best] for name, values in rows.items()}
    leaves = [rows.pop(name) for name in list(rows) if name.startswith("leaf ")]
    network, head = group.models(leaves)
    return network, head, rows, seconds


def _result(table, everyone, recipe, places, parts) -> EnsembleResult:
    networks, heads, rows, seconds = zip(*parts, strict=True)
    marks = [*range(0, recipe.steps, recipe.chunk), recipe.steps]
    histories = [
        _history(table, place, part, marks) for place, part in zip(places, rows, strict=True)
    ]
    history = pd.concat(histories).sort_values(["member", "step"], kind="stable", ignore_index=True)
    last = (
        history[history.step == recipe.steps]
        .reset_index(drop=True)
        .drop(columns=["member", "step"])
    )
    diverged = np.full(len(table), np.nan)
    for place, part in zip(places, rows, strict=True):
        diverged[place] = np.where(part["diverged_at"] < 0, np.nan, part["diverged_at"])
    steps = recipe.steps * recipe.restarts
    where = {member: (g, i) for g, place in enumerate(places) for i, member in enumerate(place)}
    return EnsembleResult(
        last.assign(steps=steps, diverged_at=diverged), history, networks, {"steps": steps * len(table), "seconds": sum(seconds)},
        heads, tuple(where[i] for i in range(len(table))), tuple(member.arguments() for member in everyone),
    )  # fmt: skip


def _history(table, place, rows, marks) -> pd.DataFrame:
    """The records of a group: a row for each member and each step recorded."""
    columns = {
        name.removeprefix("record "): values
        for name, values in rows.items()
        if name.startswith("record ")
    }
    repeated = table.iloc[np.repeat(place, len(marks))].reset_index(drop=True)
    records = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
    steps = pd.DataFrame(
        {"member": np.repeat(place, len(marks)), "step": np.tile(marks, len(place))}
    )
    return pd.concat([steps, repeated, records], axis=1)
