"""The compiled programs of an ensemble: training and records of many runs, over devices."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Key, PRNGKeyArray

from rgkit._content import Constant
from rgkit.kernels.network import Network
from rgkit.training import records, steps
from rgkit.training.ensemble.layout import over_keys, step_bytes

AXIS = "members"
ROWS = PartitionSpec(AXIS)


@dataclasses.dataclass(frozen=True)
class Spread:
    """How a program is spread: over devices, and on each ``together`` runs at a time.

    ``recorded`` runs make their records side by side.
    """

    together: int
    recorded: int
    mesh: Mesh

    def over_runs(self, function: Callable, mapped: Any, shared: Any, together: int) -> Any:
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
def begin(program: steps.Program, arrays: Any) -> tuple[Any, Any, Array]:
    """Where runs stand at the start: parameters, optimiser state, the step of divergence (-1)."""
    state = jax.vmap(program.optimizer.transformation().init)(arrays)
    return arrays, state, jnp.full(len(jax.tree.leaves(arrays)[0]), -1, jnp.int32)


@eqx.filter_jit(donate="all-except-first")
def advance(constant: Any, carry: Any) -> Any:
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
def finish(constant: Any, carry: Any) -> Any:
    """Where runs stand after a finish; those that diverged stay where they were."""
    spread, program, finish, data, x = constant

    def one(run, x):
        (arrays, state, diverged_at), (_, own_x, weights) = run
        network, head = program.model(arrays)
        network = finish.value(network, own_x if x is None else x, weights)
        ended = eqx.filter((network, head), eqx.is_inexact_array)
        alive = diverged_at < 0
        arrays = jax.tree.map(lambda new, old: jnp.where(alive, new, old), ended, arrays)
        return arrays, state, diverged_at

    return spread.over_runs(one, (carry, data), x, spread.together)


@eqx.filter_jit
def spin_laws(
    spread: Spread, program: steps.Program, arrays: Any, data: Any, x: Any, keys: Any
) -> Any:
    """`records.spin_laws` of every run."""

    def one(run, x):
        arrays, (_, own_x, weights), key = run
        rows = own_x if x is None else x
        return records.spin_laws(program.objective, program.model(arrays), rows, weights, key)

    return spread.over_runs(one, (arrays, data, keys), x, spread.recorded)


@eqx.filter_jit
def start_of(
    objective: Constant,
    network: Network,
    init_key: PRNGKeyArray,
    run_key: PRNGKeyArray,
    first: bool,
) -> tuple[Any, PRNGKeyArray]:
    """Model and key of a run, as `rgkit.train` makes them."""
    head_key, batch_key = jax.random.split(run_key)
    network = network if first else network.reinitialized(init_key)
    return (steps.without_start(network), objective.value.init(network, head_key)), batch_key


@functools.partial(jax.jit, static_argnums=1)
def step_keys(keys: Key[Array, "..."], length: int) -> tuple[Key[Array, "..."], Key[Array, "..."]]:
    """The keys of runs after a chunk, and those of its steps, as `rgkit.train` splits them."""

    def split(key):
        key, chunk_key = jax.random.split(key)
        return key, jax.random.split(chunk_key, length)

    return over_keys(split, keys)


def stacked(trees: Sequence[Any]) -> Any:
    """Trees of equal structure as one, along a new first axis.

    It goes through the host, so that there is no program to compile.
    """
    return jax.tree.map(lambda *leaves: _stacked_leaves(leaves), *trees)


def _stacked_leaves(leaves):
    if not jnp.issubdtype(leaves[0].dtype, jax.dtypes.prng_key):
        return np.stack(leaves)
    data = np.stack([jax.random.key_data(leaf) for leaf in leaves])
    return jax.random.wrap_key_data(jnp.asarray(data), impl=jax.random.key_impl(leaves[0]))


def text(program: Any, *arguments: Any) -> str:
    """A compiled program's text, constants included."""
    return program.lower(*arguments).as_text()


@functools.lru_cache(maxsize=256)
def gradient_bytes(objective: Constant, static: Constant, structure: Any, leaves: Any) -> int:
    """`step_bytes` of the loss of a model given by shapes."""
    arrays, x, weights, key = jax.tree.unflatten(structure, leaves)
    model = eqx.combine(arrays, static.value)
    loss = functools.partial(records.batch_loss, objective.value)
    return step_bytes(loss, model, x, weights, key)
