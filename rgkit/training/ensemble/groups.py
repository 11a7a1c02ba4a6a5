"""The compiled training of an ensemble's members of equal shape, in blocks over the devices of this process."""

import dataclasses
import functools
import hashlib
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rgkit.enumeration import ROWS_AT_ONCE, Enumeration
from rgkit.kernels.network import SpinChannel
from rgkit.training import single as training
from rgkit.training.ensemble.layout import Layout, step_bytes, working_bytes
from rgkit.training.ensemble.members import Member

ROWS = PartitionSpec("members")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What all members of an ensemble share, as in `rgkit.train`; ``chunk`` steps lie between two records."""

    steps: int
    chunk: int
    batch_size: int | None
    pool: int | None
    optimizer: optax.GradientTransformation | None
    restarts: int
    memory: int


@dataclasses.dataclass(frozen=True)
class _Program:
    """What a compiled program depends on besides arrays; ``recorded`` runs make their records side by side."""

    objective: Any
    optimizer: optax.GradientTransformation
    batch_size: int | None
    together: int
    recorded: int
    mesh: Mesh

    def over_runs(self, function, mapped, shared, together):
        """``function(one, shared)`` for every one of ``mapped``: devices share them, each takes ``together`` at a time."""

        def block(mapped, shared):
            return _map(lambda one: function(one, shared), mapped, together)

        return jax.shard_map(
            block, mesh=self.mesh, in_specs=(ROWS, PartitionSpec()), out_specs=ROWS, check_vma=False
        )(mapped, shared)


def _map(function, mapped, together):
    """Map over the leading axis: side by side, one after another, or some side by side."""
    if together >= len(jax.tree.leaves(mapped)[0]):
        return jax.vmap(function)(mapped)
    return jax.lax.map(function, mapped, batch_size=together if together > 1 else None)


@eqx.filter_jit
def _begin(program, arrays, keys):
    """Where the runs of a block stand at the start: parameters, optimiser state, key, and the step of divergence (-1)."""
    state = jax.vmap(program.optimizer.init)(arrays)
    return arrays, state, keys, jnp.full(len(keys), -1)


@eqx.filter_jit(donate="all-except-first")
def _advance(constant, carry):
    """``length`` steps of every run, without leaving the devices."""
    program, (static, source), data, x, length, done = constant

    def one(run, shared):
        (x, done), (carry, (drawn_from, own_x, weights)) = shared, run
        arrays, state, key, diverged_at = carry
        key, chunk_key = jax.random.split(key)
        sampler = (
            (eqx.combine(drawn_from, source), program.batch_size) if program.batch_size else None
        )
        x = own_x if x is None else x
        model, new_state, finite = training.run_steps(
            program.objective,
            program.optimizer,
            sampler,
            eqx.combine(arrays, static),
            state,
            x,
            weights,
            chunk_key,
            length,
        )
        alive = diverged_at < 0
        new = eqx.filter(model, eqx.is_inexact_array), new_state
        arrays, state = jax.tree.map(
            lambda new, old: jnp.where(alive, new, old), new, (arrays, state)
        )
        step = jnp.where(alive & ~finite.all(), done + jnp.argmin(finite), diverged_at)
        return arrays, state, key, step.astype(diverged_at.dtype)

    return program.over_runs(one, (carry, data), (x, done), program.together)


@eqx.filter_jit
def _spin_laws(program, static, arrays, data, x):
    """`training.spin_laws` of every run."""

    def one(run, x):
        arrays, (_, own_x, weights) = run
        return training.spin_laws(
            program.objective, eqx.combine(arrays, static), own_x if x is None else x, weights
        )

    return program.over_runs(one, (arrays, data), x, program.recorded)


@eqx.filter_jit
def _start(objective, network, init_key, run_key, first):
    """Model and key of a run, as `rgkit.train` makes them."""
    head_key, batch_key = jax.random.split(run_key)
    network = network if first else network.reinitialized(init_key)
    return (network, objective.init(network, head_key)), batch_key


def _stack(trees):
    """Trees of equal structure as one, along a new first axis; through the host, so that there is no program to compile."""
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
        self.objective, self.channel = members[0].objective, members[0].network.channel
        self.optimizer = recipe.optimizer or training.default_optimizer(recipe.steps)
        self.runs = [(member, restart) for member in members for restart in range(recipe.restarts)]
        self.model, _ = self._start(self.runs[0])
        static = eqx.filter(self.model, eqx.is_inexact_array, inverse=True)
        source = eqx.filter(members[0].source, eqx.is_array, inverse=True)
        self.static = static, source
        self.x, self.record_bytes = self._shared_rows()
        self.step_bytes = self._bytes(recipe.batch_size) if recipe.batch_size else self.record_bytes
        self.held_bytes = self._held_bytes()

    def _start(self, run):
        member, restart = run
        return _start(
            self.objective,
            member.network,
            member.init_keys[restart],
            member.run_keys[restart],
            restart == 0,
        )

    def _bytes(self, rows):
        network = self.model[0]
        x = jax.ShapeDtypeStruct((rows, network.widths[0]), network.dtype)
        weights = jax.ShapeDtypeStruct((rows,), network.dtype)
        loss = functools.partial(training.batch_loss, self.objective)
        return step_bytes(loss, self.model, x, weights, jax.random.key(0))

    def _held_bytes(self):
        """Of the data that each run has for itself; restarts of a member repeat them."""
        network, data = self.model[0], self._recorded(self.members[0])
        pool = (self.recipe.pool or 0) * network.widths[0] * network.dtype.itemsize
        return pool + sum(leaf.nbytes for leaf in (data.weights, data.x) if leaf is not self.x)

    def _shared_rows(self):
        """All configurations, streamed where there are many, or None where each run has its own; bytes of a gradient."""
        system, network = self.members[0].system, self.model[0]
        if not training.lists_all(system, network, self.recipe.batch_size):
            return None, self._bytes(training.REAL_EVALUATION_SAMPLES)
        rows = 2**system.n_sites
        needed = self._bytes(rows)
        at_once = min(rows, max(1, self.recipe.memory * rows // needed))
        if at_once == rows and system.n_sites <= training.EXACTLY_RECORDED_SITES:
            return jnp.asarray(system.configurations()), needed
        at_once = 2 ** (min(at_once, ROWS_AT_ONCE).bit_length() - 1)
        return Enumeration(system.n_sites, at_once), self._bytes(at_once)

    def fingerprint(self) -> str:
        """SHA-256 of the program of one run and of what it starts from."""
        program = self._program(1, Layout(1, 1))
        carry, given, _ = self._placed(program, self.runs[:1])
        lowered = _advance.lower(
            (program, self.static, given, self.x, self.recipe.chunk, jnp.asarray(0)), carry
        )
        return hashlib.sha256(lowered.as_text().encode()).hexdigest()

    def runs_of(self, layout: Layout, block: int):
        """The runs of a block; fewer in the last."""
        return self.runs[block * layout.block : (block + 1) * layout.block]

    def train(self, layout: Layout, blocks: list[int], bar) -> list[dict[str, np.ndarray]]:
        """Train blocks, one on each device: for each the final parameters, the records, and where runs diverged."""
        begun = time.perf_counter()
        program = self._program(len(blocks), layout)
        runs = [run for block in blocks for run in self._padded(layout, block)]
        carry, given, data = self._placed(program, runs)
        done, records = 0, [self._record(program, carry[0], given, data)]
        while done < self.recipe.steps:
            length = min(self.recipe.chunk, self.recipe.steps - done)
            carry = _advance(
                (program, self.static, given, self.x, length, jnp.asarray(done)), carry
            )
            done += length
            records.append(self._record(program, carry[0], given, data))
            bar.update(length * sum(len(self.runs_of(layout, block)) for block in blocks))
        result = self._result(carry, data, records)
        result["seconds"] = np.full(len(runs), (time.perf_counter() - begun) / len(runs))
        return [
            {name: rows[i : i + layout.block] for name, rows in result.items()}
            for i in range(0, len(runs), layout.block)
        ]

    def _program(self, n_devices, layout):
        mesh = Mesh(np.array(jax.local_devices()[:n_devices]), ROWS)
        recorded = max(
            1, min(layout.together, working_bytes(self.recipe.memory) // self.record_bytes)
        )
        return _Program(
            self.objective, self.optimizer, self.recipe.batch_size, layout.together, recorded, mesh
        )

    def _padded(self, layout, block):
        runs = self.runs_of(layout, block)
        return runs + runs[:1] * (layout.block - len(runs))

    def _placed(self, program, runs):
        """On the devices: where the runs stand at the start, and their data; on the host, the data as `rgkit.train` has it."""
        starts, keys = zip(*map(self._start, runs), strict=True)
        members = {id(member): member for member, _ in runs}
        drawn = {name: self._data(member) for name, member in members.items()}
        data = [drawn[id(member)] for member, _ in runs]
        given = (
            _stack([eqx.filter(d.source, eqx.is_array) for d in data])
            if self.recipe.batch_size
            else None,
            _stack([d.x for d in data]) if self.x is None else None,
            _stack([d.weights for d in data]),
        )
        arrays = _stack([eqx.filter(model, eqx.is_inexact_array) for model in starts])
        arrays, keys, given = jax.device_put(
            (arrays, _stack(keys), given), NamedSharding(program.mesh, ROWS)
        )
        return _begin(program, arrays, keys), given, data

    def _data(self, member):
        return self._recorded(member).pooled(self.recipe.pool)

    def _recorded(self, member):
        if self.x is None:
            return training.recorded_data(
                member.system, member.network, self.recipe.batch_size, member.data_key
            )
        weights = jnp.asarray(member.system.probabilities(), member.network.dtype)
        return training.TrainingData(
            member.system, self.x, weights, self.recipe.batch_size, member.data_key
        )

    def _record(self, program, arrays, given, data):
        """A row of the history for every run."""
        if isinstance(self.channel, SpinChannel):
            loss, soft, hard = jax.tree.map(
                np.asarray, _spin_laws(program, self.static[0], arrays, given, self.x)
            )
            return [
                training.spin_row(loss[i], (soft[0][i], soft[1][i]), hard[i])[0]
                for i in range(len(loss))
            ]
        models = (self._model(arrays, i) for i in range(len(data)))
        rows = [
            training.record(self.objective, model, d, 0)[0]
            for model, d in zip(models, data, strict=True)
        ]
        return [{name: value for name, value in row.items() if name != "step"} for row in rows]

    def _result(self, carry, data, records):
        """What is kept of a block, by name, with runs along the first axis."""
        arrays, _, _, diverged_at = carry
        models = [self._model(arrays, i) for i in range(len(data))]
        finished = [
            training.frozen_power(model, d)[0] for model, d in zip(models, data, strict=True)
        ]
        leaves = jax.tree.leaves(
            _stack([eqx.filter(model, eqx.is_inexact_array) for model in finished])
        )
        names = records[0][0]
        columns = {
            f"record {name}": np.array([[row[name] for row in rows] for rows in records]).T
            for name in names
        }
        return (
            {f"leaf {i}": leaf for i, leaf in enumerate(leaves)}
            | columns
            | {"diverged_at": np.asarray(diverged_at)}
        )

    def models(self, leaves):
        """Stacked models from the leaves of `train`."""
        arrays, _ = eqx.partition(self.model, eqx.is_inexact_array)
        return eqx.combine(
            jax.tree.unflatten(jax.tree.structure(arrays), map(jnp.asarray, leaves)), self.static[0]
        )

    def _model(self, arrays, i):
        return eqx.combine(jax.tree.map(lambda leaf: leaf[i], arrays), self.static[0])
