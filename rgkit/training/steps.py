"""The compiled steps of training, for one run: what they depend on, and how they are cut."""

import copy
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray

from rgkit._content import Constant
from rgkit.kernels.fully_connected import FCNetwork
from rgkit.kernels.network import Network
from rgkit.training.objectives import Objective
from rgkit.training.records import Model, batch_loss

PIECE = 1024


class _Start:
    """Stands in a compiled program for the scale of a start, which it does not depend on."""

    def __repr__(self) -> str:
        return "(a scale of the start, which no compiled program knows)"


_START = _Start()


def without_start(network: Network) -> Network:
    """The network as it enters a compiled program: those of other `gain` or `bias_std` share it."""
    # a network of the user's own may use them
    return _with_start(network, _START, _START) if type(network) is FCNetwork else network


def with_start(network: Network, start: Network) -> Network:
    """A trained network with the `gain` and `bias_std` of the one it started from."""
    # one of the user's own has kept what it has
    return _with_start(network, start.gain, start.bias_std) if type(start) is FCNetwork else network


def _with_start(network, gain, bias_std):
    twin = copy.copy(network)
    object.__setattr__(twin, "gain", gain)
    object.__setattr__(twin, "bias_std", bias_std)
    return twin


def default_optimizer(steps: int) -> optax.GradientTransformation:
    """Adam with long memory (first-moment decay 0.98), its rate falling to 0 over the last fifth.

    The rate is 1e-2 before. Averaging the gradient over some fifty steps carries the weights past
    shallow optima: of about forty settings tried on the ring of 12 (rates, schedules, memories,
    other optimisers) it left the smallest gaps.

    Arguments:
        steps: the number of steps.
    """
    return DefaultOptimizer.of(steps).transformation()


class DefaultOptimizer(eqx.Module):
    """`default_optimizer` of a number of steps that compiled programs are told when they run.

    Arguments:
        begins: the step at which the rate begins to fall.
        slope: the part of the rate that it loses in a step.
    """

    begins: Int[Array, ""]
    slope: Float[Array, ""]

    @classmethod
    def of(cls, steps: int) -> "DefaultOptimizer":
        """The optimiser for so many steps."""
        decay = steps // 5
        slope = np.ones((), jnp.result_type(float)) / max(decay, 1)
        return cls(jnp.asarray(steps - decay, jnp.int32), jnp.asarray(slope))

    def transformation(self) -> optax.GradientTransformation:
        """The optax optimiser."""

        def rate(count):
            behind = jnp.maximum(count - self.begins, 0).astype(self.slope.dtype)
            return 1e-2 * (1 - behind * self.slope)

        return optax.adam(rate, b1=0.98)


class GivenOptimizer(eqx.Module):
    """An optax optimiser, which is a constant of compiled programs."""

    constant: Constant = eqx.field(static=True)

    def transformation(self) -> optax.GradientTransformation:
        """The optax optimiser."""
        return self.constant.value


Optimizer = DefaultOptimizer | GivenOptimizer


class Program(eqx.Module):
    """What compiled steps depend on besides the arrays of a run; constants count by content.

    Arguments:
        objective: the `Objective`.
        static: a model, network and head, without its inexact arrays.
        source: what draws batches, without its arrays.
        batch_size: rows of a batch; None where a step uses all rows.
        optimizer: the optimiser; the number of steps of the default one is an array.
    """

    objective: Constant = eqx.field(static=True)
    static: Constant = eqx.field(static=True)
    source: Constant = eqx.field(static=True)
    batch_size: int | None = eqx.field(static=True)
    optimizer: Optimizer

    def model(self, arrays: Any) -> Model:
        """The model with these arrays."""
        return eqx.combine(arrays, self.static.value)

    def rows(
        self, drawn_from: Any, x: Any, weights: Float[Array, "..."], key: PRNGKeyArray
    ) -> tuple[Any, Float[Array, "..."]]:
        """The rows of a step and their weights."""
        if self.batch_size is None:
            return x, weights
        rows = eqx.combine(drawn_from, self.source.value).sample(key, self.batch_size)
        return rows, jnp.full(self.batch_size, 1 / self.batch_size, weights.dtype)


def program_of(
    objective: Objective,
    optimizer: optax.GradientTransformation | None,
    steps: int,
    model: Model,
    source: Any,
    batch_size: int | None,
) -> Program:
    """The program that trains models like this one."""
    chosen = (
        DefaultOptimizer.of(steps) if optimizer is None else GivenOptimizer(Constant(optimizer))
    )
    static = eqx.filter(model, eqx.is_inexact_array, inverse=True)
    source = eqx.filter(source, eqx.is_array, inverse=True) if batch_size else None
    return Program(Constant(objective), Constant(static), Constant(source), batch_size, chosen)


@eqx.filter_jit
def run_steps(
    program: Program,
    drawn_from: Any,
    arrays: Any,
    state: Any,
    x: Any,
    weights: Float[Array, " rows"],
    keys: Key[Array, "..."],
    length: Int[Array, ""],
) -> tuple[Any, Any, Int[Array, ""]]:
    """Up to `PIECE` optimiser steps, frozen at the last finite ones once a loss is not finite.

    Arguments:
        program: what the steps depend on.
        drawn_from: the arrays of the source of batches.
        arrays, state: of the model and of the optimiser.
        x, weights: the rows, for steps that use all.
        keys: ``(PIECE,)`` typed keys, one a step.
        length: how many of the steps to make.

    Returns:
        Arrays and state after them, and how many steps had a finite loss before the first that had
        not.
    """
    optimizer = program.optimizer.transformation()

    def step(i, carry):
        arrays, last, state, alive, survived = carry
        rows, row_weights = program.rows(drawn_from, x, weights, keys[i])
        loss, gradient = jax.value_and_grad(
            lambda a: batch_loss(
                program.objective.value, program.model(a), rows, row_weights, keys[i]
            )
        )(arrays)
        alive = alive & jnp.isfinite(loss)
        last = _where(alive, arrays, last)
        updates, state = optimizer.update(gradient, state, arrays)
        return (
            optax.apply_updates(arrays, updates),
            last,
            state,
            alive,
            survived + alive.astype(survived.dtype),
        )

    start = arrays, arrays, state, jnp.array(True), jnp.zeros((), jnp.int32)
    end = jax.lax.fori_loop(jnp.zeros((), jnp.int32), length, step, start)
    arrays, last, state, alive, survived = end
    return _where(alive, arrays, last), state, survived


def _where(condition: Bool[Array, ""], new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def pieces(keys: Key[Array, "..."]) -> Iterator[tuple[Key[Array, "..."], int]]:
    """Keys of steps, along the last axis, in pieces of `PIECE`: each filled up, with its length.

    So one program makes any number of steps.
    """
    data, impl = np.asarray(jax.random.key_data(keys)), jax.random.key_impl(keys)
    for start in range(0, keys.shape[-1], PIECE):
        piece = data[..., start : start + PIECE, :]
        length = piece.shape[-2]
        fill = [(0, 0)] * (data.ndim - 2) + [(0, PIECE - length), (0, 0)]
        yield jax.random.wrap_key_data(jnp.asarray(np.pad(piece, fill)), impl=impl), length


def sampler_arrays(source: Any, batch_size: int | None) -> Any:
    """The arrays of what draws batches; None where steps use all rows."""
    return eqx.filter(source, eqx.is_array) if batch_size else None
