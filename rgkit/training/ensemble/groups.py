"""The compiled training of members of equal shape, in blocks over the devices of this process."""

import dataclasses
import functools
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PRNGKeyArray

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
from rgkit.training.ensemble.layout import (
    Layout,
    draw_alike,
    over_keys,
    step_bytes,
    working_bytes,
)
from rgkit.training.ensemble.members import Member
from rgkit.training.ensemble.recipes import Block, Recipe

ROWS = PartitionSpec("members")
Run = tuple[Member, int]


@dataclasses.dataclass(frozen=True)
class _Spread:
    """How a program is spread: over devices, and on each ``together`` runs at a time.

    ``recorded`` runs make their records side by side.
    """

    together: int
    recorded: int
    mesh: Mesh

    def over_runs(self, function, mapped, shared, together):
        """``function(one, shared)`` for every one of ``mapped``."""

        def block(mapped, shared):
            return _map(lambda one: function(one, shared), mapped, together)

        return jax.shard_map(
            block, mesh=self.mesh, in_specs=(ROWS, PartitionSpec()), out_specs=ROWS, check_vma=False
        )(mapped, shared)


def _map(function, mapped, together):
    """Map over the leading axis: side by side, one after another, or some side by side.

    ``together`` is 0 for members whose keys draw other numbers side by side.
    """
    if together and together >= len(jax.tree.leaves(mapped)[0]):
        return jax.vmap(function)(mapped)
    return jax.lax.map(function, mapped, batch_size=together if together > 1 else None)


@eqx.filter_jit
def _begin(program: steps.Program, arrays):
    """Where runs stand at the start: parameters, optimiser state, the step of divergence (-1)."""
    state = jax.vmap(program.optimizer.transformation().init)(arrays)
    return arrays, state, jnp.full(len(jax.tree.leaves(arrays)[0]), -1, jnp.int32)


@eqx.filter_jit(donate="all-except-first")
def _advance(constant, carry):
    """A piece of the steps of every run, without leaving the devices."""
    spread, program, data, x, keys, length, done = constant

    def one(run, shared):
        (x, length, done), ((arrays, state, diverged_at), (drawn_from, own_x, weights), keys) = (
            shared,
            run,
        )
        new_arrays, new_state, survived = steps.run_steps(
            program, drawn_from, arrays, state, own_x if x is None else x, weights, keys, length
        )
        alive = diverged_at < 0
        arrays, state = jax.tree.map(
            lambda new, old: jnp.where(alive, new, old), (new_arrays, new_state), (arrays, state)
        )
        diverges = alive & (survived < length)
        return arrays, state, jnp.where(diverges, done + survived, diverged_at)

    return spread.over_runs(one, (carry, data, keys), (x, length, done), spread.together)


@eqx.filter_jit
def _spin_laws(spread, program: steps.Program, arrays, data, x, keys):
    """`records.spin_laws` of every run."""

    def one(run, x):
        arrays, (_, own_x, weights), key = run
        rows = own_x if x is None else x
        return records.spin_laws(program.objective, program.model(arrays), rows, weights, key)

    return spread.over_runs(one, (arrays, data, keys), x, spread.recorded)


@eqx.filter_jit
def _start(objective: Constant, network, init_key, run_key, first: bool):
    """Model and key of a run, as `rgkit.train` makes them."""
    head_key, batch_key = jax.random.split(run_key)
    network = network if first else network.reinitialized(init_key)
    return (steps.without_start(network), objective.value.init(network, head_key)), batch_key


@functools.partial(jax.jit, static_argnums=1)
def _step_keys(keys: PRNGKeyArray, length: int) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """The keys of runs after a chunk, and those of its steps, as `rgkit.train` splits them."""

    def split(key):
        key, chunk_key = jax.random.split(key)
        return key, jax.random.split(chunk_key, length)

    return over_keys(split, keys)


def _stack(trees):
    """Trees of equal structure as one, along a new first axis.

    It goes through the host, so that there is no program to compile.
    """
    return jax.tree.map(lambda *leaves: _stacked(leaves), *trees)


def _stacked(leaves):
    if not jax.dtypes.issubdtype(leaves[0].dtype, jax.dtypes.prng_key):
        return np.stack(leaves)
    data = np.stack([jax.random.key_data(leaf) for leaf in leaves])
    return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaves[0]))


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
        return _start(
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
        return _gradient_bytes(
            self.program.objective, self.program.static, structure, tuple(leaves)
        )

    def _held_bytes(self) -> int:
        """Of the data that each run has for itself; restarts of a member repeat them."""
        network, data = self.model[0], self._recorded(self.members[0])
        pool = (self.recipe.pool or 0) * network.widths[0] * network.dtype.itemsize
        return pool + sum(leaf.nbytes for leaf in (data.weights, data.x) if leaf is not self.x)

    def _shared_rows(self):
        """Rows that all members share, or None where each has its own; bytes of a gradient.

        These are all configurations, streamed where there are many.
        """
        member = self.members[0]
        if not member.lists_all:
            return None, self._bytes(REAL_EVALUATION_SAMPLES)
        x, weights = all_rows(member.system)
        rows = len(weights)
        needed = self._bytes(rows)
        if rows != 2**member.system.n_sites:
            return None, needed
        at_once = min(rows, max(1, self.recipe.memory * rows // needed))
        if at_once == rows and not isinstance(x, Enumeration):
            return x, needed
        at_once = 2 ** (min(at_once, ROWS_AT_ONCE).bit_length() - 1)
        return Enumeration(member.system.n_sites, at_once), self._bytes(at_once)

    def fingerprint(self) -> str:
        """SHA-256 of the programs of one run: of its start, its steps and its optimiser.

        They are known by their text after tracing, constants included, so that another process
        knows the functions of a user by what they do.
        """
        runs, (member, restart) = self.runs[:1], self.runs[0]
        spread = self._spread(1, Layout(1, 1))
        carry, given, _, keys = self._placed(spread, runs)
        _, chunk_keys = _step_keys(keys, 1)
        piece, _ = next(steps.pieces(chunk_keys))
        zero = jnp.zeros((), jnp.int32)
        constant = spread, self.program, given, self.x, piece, zero, zero
        network = steps.without_start(member.network)
        start = member.init_keys[restart], member.run_keys[restart], True
        lowered = [
            _start.lower(self.program.objective, network, *start),
            _begin.lower(self.program, carry[0]),
            _advance.lower(constant, carry),
        ]
        return _content.digest([program.as_text() for program in lowered])

    def runs_of(self, layout: Layout, block: int) -> list[Run]:
        """The runs of a block; fewer in the last."""
        return self.runs[block * layout.block : (block + 1) * layout.block]

    def train(self, layout: Layout, blocks: list[int], bar) -> list[Block]:
        """Train blocks, one on each device."""
        begun = time.perf_counter()
        spread = self._spread(len(blocks), layout)
        runs = [run for block in blocks for run in self._padded(layout, block)]
        carry, given, data, keys = self._placed(spread, runs)
        rows = [self._record(spread, carry[0], given, data)]
        for done in range(0, self.recipe.steps, self.recipe.chunk):
            keys, chunk_keys = _step_keys(keys, min(self.recipe.chunk, self.recipe.steps - done))
            for piece, length in steps.pieces(chunk_keys):
                carry = self._advanced(spread, given, piece, length, done, carry)
                done += length
                bar.update(length * sum(len(self.runs_of(layout, block)) for block in blocks))
            rows.append(self._record(spread, carry[0], given, data))
        seconds = np.full(len(runs), (time.perf_counter() - begun) / len(runs))
        result = self._result(carry, data, rows, seconds)
        return [
            jax.tree.map(lambda leaf, i=i: leaf[i : i + layout.block], result)
            for i in range(0, len(runs), layout.block)
        ]

    def _advanced(self, spread, given, piece, length, done, carry):
        placed = jax.device_put(piece, NamedSharding(spread.mesh, ROWS))
        numbers = jnp.asarray(length, jnp.int32), jnp.asarray(done, jnp.int32)
        return _advance((spread, self.program, given, self.x, placed, *numbers), carry)

    def _spread(self, n_devices: int, layout: Layout) -> _Spread:
        mesh = Mesh(np.array(jax.local_devices()[:n_devices]), ROWS)
        if not draw_alike(self.members[0].data_key):
            return _Spread(0, 0, mesh)
        recorded = min(layout.together, working_bytes(self.recipe.memory) // self.record_bytes)
        return _Spread(layout.together, max(1, recorded), mesh)

    def _padded(self, layout: Layout, block: int) -> list[Run]:
        runs = self.runs_of(layout, block)
        return runs + runs[:1] * (layout.block - len(runs))

    def _placed(self, spread: _Spread, runs: list[Run]):
        """On the devices: where runs stand at the start, and their data.

        On the host, the data as `rgkit.train` has it, and the keys of the runs.
        """
        starts, keys = zip(*map(self._start, runs), strict=True)
        members = {id(member): member for member, _ in runs}
        drawn = {name: self._data(member) for name, member in members.items()}
        data = [drawn[id(member)] for member, _ in runs]
        batch_size = self.recipe.batch_size
        given = (
            _stack([steps.sampler_arrays(d.source, batch_size) for d in data]),
            _stack([d.x for d in data]) if self.x is None else None,
            _stack([d.weights for d in data]),
        )
        arrays = _stack([eqx.filter(model, eqx.is_inexact_array) for model in starts])
        arrays, given = jax.device_put((arrays, given), NamedSharding(spread.mesh, ROWS))
        return _begin(self.program, arrays), given, data, _stack(keys)

    def _data(self, member: Member) -> TrainingData:
        return self._recorded(member).pooled(self.recipe.pool)

    def _recorded(self, member: Member) -> TrainingData:
        batch_size, network = self.recipe.batch_size, member.network
        if self.x is None:
            data = recorded_data(member.system, network, batch_size, member.data_key)
        else:
            weights = jnp.asarray(member.system.probabilities(), network.dtype)
            data = TrainingData(member.system, self.x, weights, batch_size, member.data_key)
        check_rows(self.objective, network, data)
        return data

    def _record(self, spread, arrays, given, data: list[TrainingData]) -> list[records.Row]:
        """A row of the history for every run."""
        if self.values is not Values.SPINS:
            models = [self._model(arrays, i) for i in range(len(data))]
            pairs = zip(models, data, strict=True)
            return [records.record(self.objective, model, d)[0] for model, d in pairs]
        keys = jax.device_put(_stack([d.key for d in data]), NamedSharding(spread.mesh, ROWS))
        laws = _spin_laws(spread, self.program, arrays, given, self.x, keys)
        loss, soft, hard = jax.tree.map(np.asarray, laws)
        return [
            records.spin_row(loss[i], (soft[0][i], soft[1][i]), hard[i])[0]
            for i in range(len(loss))
        ]

    def _result(self, carry, data, rows: list[list[records.Row]], seconds) -> Block:
        """What is kept of blocks, with runs along the first axis."""
        arrays, _, diverged_at = carry
        models = [self._model(arrays, i) for i in range(len(data))]
        finished = [
            records.frozen_power(model, d) for model, d in zip(models, data, strict=True)
        ]
        kept = _stack([eqx.filter(model, eqx.is_inexact_array) for model in finished])
        columns = jax.tree.map(lambda *values: np.array(values), *map(_columns, rows))
        along_runs = jax.tree.map(np.transpose, columns)
        return Block(kept, along_runs, np.asarray(diverged_at), seconds)

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


@functools.lru_cache(maxsize=256)
def _gradient_bytes(objective: Constant, static: Constant, structure, leaves) -> int:
    """`step_bytes` of the loss of a model given by shapes."""
    arrays, x, weights, key = jax.tree.unflatten(structure, leaves)
    model = eqx.combine(arrays, static.value)
    loss = functools.partial(records.batch_loss, objective.value)
    return step_bytes(loss, model, x, weights, key)
