"""The compiled training of members of equal shape, in blocks over the devices of this process."""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array
from tqdm import tqdm

from rgkit import _content
from rgkit._content import Constant
from rgkit.enumeration import ROWS_AT_ONCE, Enumeration
from rgkit.systems.base import Values
from rgkit.training import records, steps
from rgkit.training.data import (
    REAL_EVALUATION_SAMPLES,
    TrainingData,
    all_rows,
    check_rows,
    recorded_data,
)
from rgkit.training.ensemble import programs
from rgkit.training.ensemble.layout import Layout, draw_alike
from rgkit.training.ensemble.members import Member
from rgkit.training.ensemble.recipes import Block, Recipe

Run = tuple[Member, int]


class Group:
    """Members of equal shape and the runs (member, restart) that they ask for."""

    def __init__(self, recipe: Recipe, members: list[Member]):
        self.recipe, self.members = recipe, members
        self.objective, self.values = members[0].objective, members[0].network.channel.values
        self.runs: list[Run] = [
            (member, restart) for member in members for restart in range(recipe.restarts)
        ]
        self.model, _ = self._start(self.runs[0])
        self.program = steps.program_of(
            self.objective,
            recipe.optimizer,
            recipe.steps,
            self.model,
            members[0].source,
            recipe.batch_size,
        )
        self.x, self.record_bytes = self._shared_rows()
        self.step_bytes = self._bytes(recipe.batch_size) if recipe.batch_size else self.record_bytes
        self.held_bytes = self._held_bytes()

    def _start(self, run: Run):
        member, restart = run
        network = member.network
        return programs.start_of(
            Constant(self.objective),
            # only a fresh start asks for its scale
            network if restart else steps.without_start(network),
            member.init_keys[restart],
            member.run_keys[restart],
            restart == 0,
        )

    def _bytes(self, rows: int) -> int:
        network = self.model[0]
        x = jax.ShapeDtypeStruct((rows, network.widths[0]), network.dtype)
        weights = jax.ShapeDtypeStruct((rows,), network.dtype)
        shapes = jax.tree.map(_shape, eqx.filter(self.model, eqx.is_inexact_array))
        leaves, structure = jax.tree.flatten((shapes, x, weights, _shape(self.members[0].data_key)))
        return programs.gradient_bytes(
            self.program.objective, self.program.static, structure, tuple(leaves)
        )

    def _held_bytes(self) -> int:
        """Of the data that each run has for itself; restarts of a member repeat them."""
        network, data = self.model[0], self._recorded(self.members[0])
        pool = (self.recipe.pool or 0) * network.widths[0] * network.dtype.itemsize
        rows = 0 if self.x is not None else data.some_rows().nbytes
        return pool + rows + data.weights.nbytes

    def _shared_rows(self):
        """Rows that all members share, or None where each has its own; bytes of a gradient.

        These are all configurations, streamed where there are many.
        """
        system = self.members[0].listing
        if system is None:
            return None, self._bytes(REAL_EVALUATION_SAMPLES)
        x, weights = all_rows(system)
        rows = len(weights)
        needed = self._bytes(rows)
        if rows != 2**system.n_sites:
            return None, needed
        at_once = min(rows, max(1, self.recipe.memory * rows // needed))
        if at_once == rows and not isinstance(x, Enumeration):
            return x, needed
        at_once = 2 ** (min(at_once, ROWS_AT_ONCE).bit_length() - 1)
        return Enumeration(system.n_sites, at_once), self._bytes(at_once)

    def fingerprint(self) -> str:
        """SHA-256 of the programs of one run: of its start, its steps and its optimiser.

        They are known by their text after tracing, constants included, so that another process
        knows the functions of a user by what they do.
        """
        runs, (member, restart) = self.runs[:1], self.runs[0]
        spread = self._spread(1, Layout(1, 1, 1))
        carry, given, _, keys = self._placed(spread, runs)
        _, chunk_keys = programs.step_keys(keys, 1)
        piece, _ = next(steps.pieces(chunk_keys))
        zero = jnp.zeros((), jnp.int32)
        constant = spread, self.program, given, self.x, piece, zero, zero
        network = steps.without_start(member.network)
        start = member.init_keys[restart], member.run_keys[restart], True
        texts = [
            programs.text(programs.start_of, self.program.objective, network, *start),
            programs.text(programs.begin, self.program, carry[0]),
            programs.text(programs.advance, constant, carry),
        ]
        return _content.digest(texts)

    def runs_of(self, layout: Layout, block: int) -> list[Run]:
        """The runs of a block; fewer in the last."""
        return self.runs[block * layout.block : (block + 1) * layout.block]

    def train(self, layout: Layout, blocks: list[int], bar: tqdm) -> list[Block]:
        """Train blocks, one on each device."""
        begun = time.perf_counter()
        spread = self._spread(len(blocks), layout)
        runs = [run for block in blocks for run in self._padded(layout, block)]
        n_runs = sum(len(self.runs_of(layout, block)) for block in blocks)
        carry, given, data, keys = self._placed(spread, runs)
        rows = [self._record(spread, carry[0], given, data)]
        for done in range(0, self.recipe.steps, self.recipe.chunk):
            keys, chunk_keys = programs.step_keys(
                keys, min(self.recipe.chunk, self.recipe.steps - done)
            )
            for piece, length in steps.pieces(chunk_keys):
                carry = self._advanced(spread, given, piece, length, done, carry)
                done += length
                bar.update(length * n_runs)
            rows.append(self._record(spread, carry[0], given, data))
        if self.recipe.finish is not None:
            carry = self._finished(spread, given, carry)
            bar.update(self.recipe.finish.steps * n_runs)
            rows.append(self._record(spread, carry[0], given, data))
        seconds = np.full(len(runs), (time.perf_counter() - begun) / len(runs))
        result = self._result(carry, data, rows, seconds)
        return [
            jax.tree.map(lambda leaf, i=i: leaf[i : i + layout.block], result)
            for i in range(0, len(runs), layout.block)
        ]

    def _finished(self, spread, given, carry):
        finish = Constant(self.recipe.finish)
        return programs.finish((spread, self.program, finish, given, self.x), carry)

    def _advanced(self, spread, given, piece, length, done, carry):
        placed = jax.device_put(piece, NamedSharding(spread.mesh, programs.ROWS))
        numbers = jnp.asarray(length, jnp.int32), jnp.asarray(done, jnp.int32)
        return programs.advance((spread, self.program, given, self.x, placed, *numbers), carry)

    def _spread(self, n_devices: int, layout: Layout) -> programs.Spread:
        mesh = Mesh(np.array(jax.local_devices()[:n_devices]), (programs.AXIS,))
        if not draw_alike(self.members[0].data_key):
            return programs.Spread(0, 0, mesh)
        return programs.Spread(layout.together, layout.recorded, mesh)

    def _padded(self, layout: Layout, block: int) -> list[Run]:
        runs = self.runs_of(layout, block)
        return runs + runs[:1] * (layout.block - len(runs))

    def _placed(self, spread: programs.Spread, runs: list[Run]):
        """On the devices: where runs stand at the start, and their data.

        On the host, the data as `rgkit.train` has it, and the keys of the runs.
        """
        starts, keys = zip(*map(self._start, runs), strict=True)
        members = {id(member): member for member, _ in runs}
        drawn = {name: self._data(member) for name, member in members.items()}
        data = [drawn[id(member)] for member, _ in runs]
        batch_size = self.recipe.batch_size
        given = (
            programs.stacked([steps.sampler_arrays(d.source, batch_size) for d in data]),
            programs.stacked([d.x for d in data]) if self.x is None else None,
            programs.stacked([d.weights for d in data]),
        )
        arrays = programs.stacked([eqx.filter(model, eqx.is_inexact_array) for model in starts])
        arrays, given = jax.device_put((arrays, given), NamedSharding(spread.mesh, programs.ROWS))
        return programs.begin(self.program, arrays), given, data, programs.stacked(keys)

    def _data(self, member: Member) -> TrainingData:
        return self._recorded(member).pooled(self.recipe.pool)

    def _recorded(self, member: Member) -> TrainingData:
        batch_size, network = self.recipe.batch_size, member.network
        lists = member.listing
        if self.x is None or lists is None:
            data = recorded_data(member.system, network, batch_size, member.data_key)
        else:
            weights = jnp.asarray(lists.probabilities(), network.dtype)
            data = TrainingData(member.system, self.x, weights, batch_size, member.data_key)
        check_rows(self.objective, network, data)
        return data

    def _record(self, spread, arrays, given, data: list[TrainingData]) -> list[records.Row]:
        """A row of the history for every run."""
        if self.values is not Values.SPINS:
            models = [self._model(arrays, i) for i in range(len(data))]
            pairs = zip(models, data, strict=True)
            return [records.record(self.objective, model, d)[0] for model, d in pairs]
        keys = jax.device_put(
            programs.stacked([d.key for d in data]), NamedSharding(spread.mesh, programs.ROWS)
        )
        laws = programs.spin_laws(spread, self.program, arrays, given, self.x, keys)
        loss, soft, hard = jax.tree.map(np.asarray, laws)
        return [
            records.spin_row(loss[i], (soft[0][i], soft[1][i]), hard[i])[0]
            for i in range(len(loss))
        ]

    def _result(self, carry, data, rows: list[list[records.Row]], seconds) -> Block:
        """What is kept of blocks, with runs along the first axis."""
        arrays, _, diverged_at = carry
        models = [self._model(arrays, i) for i in range(len(data))]
        finished = [records.frozen_power(model, d) for model, d in zip(models, data, strict=True)]
        kept = programs.stacked([eqx.filter(model, eqx.is_inexact_array) for model in finished])
        columns = jax.tree.map(lambda *values: np.array(values), *map(_columns, rows))
        along_runs = jax.tree.map(np.transpose, columns)
        # the loss of the last network is known by its record alone
        lost = ~np.isfinite(along_runs.loss[:, -1]) & (np.asarray(diverged_at) < 0)
        diverged_at = np.where(lost, self.recipe.steps, np.asarray(diverged_at))
        return Block(kept, along_runs, diverged_at, seconds)

    def like_block(self) -> Block:
        """A block's structure, with leaves of no meaning."""
        row = records.row_of(self.values)
        arrays = eqx.filter(self.model, eqx.is_inexact_array)
        columns = row(*(np.zeros((0, 0)) for _ in row._fields))
        return Block(arrays, columns, np.zeros(0, int), np.zeros(0))

    def models(self, arrays: Any) -> records.Model:
        """Stacked models with these arrays, the scale of their start restored."""
        network, head = self.program.model(jax.tree.map(jnp.asarray, arrays))
        return steps.with_start(network, self.members[0].network), head

    def _model(self, arrays, i: int) -> records.Model:
        return self.program.model(jax.tree.map(lambda leaf: leaf[i], arrays))


def _columns(rows: list[records.Row]) -> records.Row:
    """One row of columns from a row for each run."""
    return type(rows[0])(*(np.array(column) for column in zip(*rows, strict=True)))


def _shape(leaf: Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
