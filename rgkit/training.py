"""Training a network on a system: one compiled scan in chunks, with the gap recorded along the way."""

import dataclasses
import functools
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from tqdm import tqdm

from rgkit import _validation
from rgkit.ising import IsingChain
from rgkit.laws import SpinLaw
from rgkit.networks import FCNetwork
from rgkit.objectives import Objective

EXACTLY_RECORDED_SITES = 16
EVALUATION_SAMPLES = 2**14


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What training leaves behind.

    Attributes:
        network: the trained network.
        system, objective: what it was trained on and for.
        head: the objective's trained decoder or readout.
        history: a table with a row per record: step, loss (nats; squared units for a regression), information and gap
            of the soft features, divergence of the hard (sign) features from the uniform law, and their strongest pair
            coupling ``max |artanh <y_j y_k>|`` and field ``max |artanh <y_j>|`` (dimensionless).
        laws: the law of the hard features at each row of ``history``.
        cost: steps (of all restarts), seconds (compilation included) and restarts.
    """

    network: FCNetwork
    system: IsingChain
    objective: Objective
    head: Any
    history: pd.DataFrame
    laws: tuple[SpinLaw, ...]
    cost: dict[str, float]


class TrainingDiverged(RuntimeError):
    """The loss turned non-finite. ``step`` says where, ``result`` carries the last finite network and the history."""

    def __init__(self, step: int, result: TrainingResult):
        super().__init__(
            f"the loss turned non-finite at step {step}: use a smaller learning rate. "
            "The last finite network and the history so far are in `.result`."
        )
        self.step, self.result = step, result


@functools.cache
def default_optimizer(steps: int) -> optax.GradientTransformation:
    """Adam with long memory (first-moment decay 0.98) at rate 1e-2, falling linearly to 0 over the last fifth.

    Averaging the gradient over some fifty steps carries the weights past shallow optima: of about forty settings
    tried on the ring of 12 (rates, schedules, memories, other optimisers) it left the smallest gaps.
    """
    decay = steps // 5
    rate = optax.join_schedules([optax.constant_schedule(1e-2), optax.linear_schedule(1e-2, 0.0, decay)], [steps - decay])
    return optax.adam(rate, b1=0.98)


def train(
    network: FCNetwork,
    system: IsingChain,
    objective: Objective,
    *,
    steps: int,
    optimizer: optax.GradientTransformation | None = None,
    batch_size: int | None = None,
    restarts: int = 1,
    records: int = 50,
    progress: bool = False,
    key,
) -> TrainingResult:
    """Train a network, by exact enumeration or on fresh samples, and record the gap along the way.

    Arguments:
        network: a `FCNetwork` whose first width is ``system.n_sites``; it is not changed. All arithmetic is in its dtype.
        system: the data.
        objective: `Infomax`, `Reconstruction`, `Classification` or `Regression`.
        steps: optimiser steps per restart.
        optimizer: an optax optimiser; by default `default_optimizer`.
        batch_size: None for all ``2**N`` configurations with their exact probabilities, else fresh exact samples a step;
            records are then exact up to 16 sites, and from one set of 16,384 samples beyond.
        restarts: the given network, then ``restarts - 1`` fresh starts of the same architecture; the smallest final
            loss is kept.
        records: rows of the history after the first (about).
        progress: show a progress bar.
        key: a typed JAX key.

    Raises:
        ValueError, TypeError: naming the argument.
        TrainingDiverged: where the loss turns non-finite, with the step, the last finite network and the history.
    """
    key = _validation.key("key", key)
    steps, restarts = _validation.positive_integer("steps", steps), _validation.positive_integer("restarts", restarts)
    network.n_features(system.n_sites)
    if network.channel.hard:
        raise ValueError("network has hard features, which have no gradient: pass the soft network, harden the result.")
    data = _data(system, batch_size, network.dtype, key)
    chunk = -(-steps // _validation.positive_integer("records", records))
    run = functools.partial(_run, system=system, objective=objective, data=data, steps=steps, chunk=chunk)
    start, best = time.perf_counter(), None
    with tqdm(total=steps * restarts, disable=not progress, unit="step") as bar:
        for restart, restart_key in enumerate(jax.random.split(key, restarts)):
            init_key, run_key = jax.random.split(restart_key)
            candidate = run(
                network if restart == 0 else network.reinitialized(init_key),
                optimizer=optimizer or default_optimizer(steps),
                key=run_key,
                bar=bar,
            )
            if best is None or candidate.history.loss.iloc[-1] < best.history.loss.iloc[-1]:
                best = candidate
    cost = {"steps": steps * restarts, "seconds": time.perf_counter() - start, "restarts": restarts}
    return dataclasses.replace(best, cost=cost)


@dataclasses.dataclass(frozen=True)
class _Data:
    """Where rows come from: a fixed weighted set for records, and a batch size if steps use fresh samples."""

    x: jax.Array
    weights: jax.Array
    batch_size: int | None


def _data(system, batch_size, dtype, key):
    if batch_size is not None:
        batch_size = _validation.positive_integer("batch_size", batch_size)
    if batch_size is None or system.n_sites <= EXACTLY_RECORDED_SITES:
        return _Data(jnp.asarray(system.configurations()), jnp.asarray(system.probabilities(), dtype), batch_size)
    x = system.sample(jax.random.fold_in(key, 0), EVALUATION_SAMPLES)
    return _Data(x, jnp.full(len(x), 1 / len(x), dtype), batch_size)


def _run(network, *, system, objective, data, steps, chunk, optimizer, key, bar) -> TrainingResult:
    """One restart: chunks of a compiled scan, a record after each."""
    head_key, batch_key = jax.random.split(key)
    model = network, objective.init(network, head_key)
    state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))
    history = [_record(objective, model, data.x, data.weights)]
    marks = [0]
    while marks[-1] < steps:
        length = min(chunk, steps - marks[-1])
        batch_key, chunk_key = jax.random.split(batch_key)
        sampler = (system, data.batch_size) if data.batch_size else None
        model, state, finite = _scan(objective, optimizer, sampler, model, state, data.x, data.weights, chunk_key, length)
        bar.update(length)
        finite = np.asarray(finite)
        if not finite.all():
            step = marks[-1] + int(np.argmin(finite))
            raise TrainingDiverged(step, _result(model, system, objective, history, marks))
        history.append(_record(objective, model, data.x, data.weights))
        marks.append(marks[-1] + length)
    return _result(model, system, objective, history, marks)


@eqx.filter_jit
def _scan(objective, optimizer, sampler, model, state, x, weights, key, length):
    """``length`` optimiser steps; once a loss is not finite the model is frozen at the last finite one."""
    arrays, static = eqx.partition(model, eqx.is_inexact_array)

    def step(carry, step_key):
        arrays, last, state, alive = carry
        rows, row_weights = (x, weights) if sampler is None else _batch(sampler, step_key, weights.dtype)
        loss, gradient = jax.value_and_grad(lambda a: objective.loss(*eqx.combine(a, static), rows, row_weights))(arrays)
        alive &= jnp.isfinite(loss)
        last = jax.tree.map(lambda new, old: jnp.where(alive, new, old), arrays, last)
        updates, state = optimizer.update(gradient, state, arrays)
        return (optax.apply_updates(arrays, updates), last, state, alive), alive

    carry = arrays, arrays, state, jnp.array(True)
    (arrays, last, state, alive), finite = jax.lax.scan(step, carry, jax.random.split(key, length))
    arrays = jax.tree.map(lambda new, old: jnp.where(alive, new, old), arrays, last)
    return eqx.combine(arrays, static), state, finite


def _batch(sampler, key, dtype):
    system, batch_size = sampler
    return system.sample(key, batch_size), jnp.full(batch_size, 1 / batch_size, dtype)


@eqx.filter_jit
def _record(objective, model, x, weights):
    network, head = model
    return objective.loss(network, head, x, weights), network.push(x, weights), network.hard().push(x, weights)[0]


def _law(probabilities, noise=0.0):
    probabilities = np.asarray(probabilities, dtype=float)
    return SpinLaw(probabilities / probabilities.sum(), float(noise))


def _result(model, system, objective, history, marks):
    rows, laws = [], []
    for step, (loss, soft, hard) in zip(marks, history, strict=True):
        soft, hard = _law(*soft), _law(hard)
        laws.append(hard)
        rows.append({
            "step": step, "loss": float(loss), "information": soft.information(), "gap": soft.gap(),
            "divergence": hard.divergence(), "pair_coupling": float(np.abs(hard.pair_marginal_couplings()).max()),
            "field": float(np.abs(hard.marginal_fields()).max()),
        })  # fmt: skip
    return TrainingResult(model[0], system, objective, model[1], pd.DataFrame(rows), tuple(laws), {})
