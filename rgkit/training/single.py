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
from rgkit.enumeration import Enumeration, sum_over_rows
from rgkit.kernels.network import FCNetwork, SpinChannel
from rgkit.laws.channel_information import information_bounds
from rgkit.laws.fields import FieldLaw
from rgkit.laws.spins import SpinLaw
from rgkit.systems.ising import IsingChain
from rgkit.systems.scalar import ScalarChain
from rgkit.training.objectives import Objective

EXACTLY_RECORDED_SITES = 16
SPIN_EVALUATION_SAMPLES = 2**14
REAL_EVALUATION_SAMPLES = 2**12
POWER_SAMPLES = 2**16


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    r"""What training leaves behind.

    Attributes:
        network: the trained network.
        system, objective: what it was trained on and for.
        head: the objective's trained decoder or readout.
        history: a table with a row per record: step, loss (nats; squared units for a regression), information and gap
            of the soft features, divergence of the hard (sign) features from the uniform law, and their strongest pair
            coupling ``max |artanh <y_j y_k>|`` and field ``max |artanh <y_j>|`` (dimensionless).
            For a Gaussian channel: step, loss, information (the lower estimate on held-out configurations, over which the
            power is normalised) with its error, information_upper with its error, gap (capacity less information; at full
            power it is the divergence from white noise) with its error, and of the noisy features the second moment and
            excess kurtosis (means over features) and the strongest correlation between two of them.
        laws: the law of the hard features, or of the noisy real ones, at each row of ``history``.
        cost: steps (of all restarts), seconds (compilation included) and restarts.
        power: for a Gaussian channel, whose network comes back with its power frozen on one sample: the residual
            :math:`\langle|f|^2\rangle/n - P` on a fresh sample, and its standard error. Empty for spins.
    """

    network: FCNetwork
    system: IsingChain | ScalarChain
    objective: Objective
    head: Any
    history: pd.DataFrame
    laws: tuple[SpinLaw | FieldLaw, ...]
    cost: dict[str, float]
    power: dict[str, float] = dataclasses.field(default_factory=dict)


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
    rate = optax.join_schedules(
        [optax.constant_schedule(1e-2), optax.linear_schedule(1e-2, 0.0, decay)], [steps - decay]
    )
    return optax.adam(rate, b1=0.98)


def train(
    network: FCNetwork,
    system: IsingChain | ScalarChain,
    objective: Objective,
    *,
    steps: int,
    optimizer: optax.GradientTransformation | None = None,
    batch_size: int | None = None,
    pool: int | None = None,
    restarts: int = 1,
    records: int = 50,
    progress: bool = False,
    key,
) -> TrainingResult:
    """Train a network, by exact enumeration or on fresh samples, and record the gap along the way.

    Arguments:
        network: a `FCNetwork` whose first width is ``system.n_sites``; it is not changed. All arithmetic is in its dtype.
        system: the data.
        objective: `Infomax`, or for spin features `Reconstruction`, `Classification` or `Regression`.
        steps: optimiser steps per restart.
        optimizer: an optax optimiser; by default `default_optimizer`.
        batch_size: None for all ``2**N`` configurations with their exact probabilities, else fresh exact samples a step;
            records are then exact up to 16 spins, and from one set of 16,384 samples beyond. Fields and Gaussian
            channels have no enumeration and need a batch size; their records use one set of 4,096 samples.
        pool: None for fresh samples at every step, else how many configurations to draw once, from which the batches are
            then drawn with replacement. Fields are dearer to draw than to learn from: ``2**17`` serve for any batch.
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
    steps, restarts = (
        _validation.positive_integer("steps", steps),
        _validation.positive_integer("restarts", restarts),
    )
    network.n_features(system.n_sites)
    check_channel(network.channel, objective)
    data_key, runs_key = jax.random.split(key)
    data = training_data(system, network, batch_size, data_key, pool)
    chunk = -(-steps // _validation.positive_integer("records", records))
    run = functools.partial(_run, objective=objective, data=data, steps=steps, chunk=chunk)
    start, best = time.perf_counter(), None
    with tqdm(total=steps * restarts, disable=not progress, unit="step") as bar:
        for restart, restart_key in enumerate(jax.random.split(runs_key, restarts)):
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


def check_channel(channel, objective):
    """Raise where a network with this channel cannot be trained for the objective."""
    if isinstance(channel, SpinChannel) and channel.hard:
        raise ValueError(
            "network has hard features, which have no gradient: pass the soft network, harden the result."
        )
    if not isinstance(channel, objective.channels):
        names = " or ".join(f"rgkit.{allowed.__name__}" for allowed in objective.channels)
        raise TypeError(
            f"objective {type(objective).__name__} is defined for {names}, the network has {channel!r}."
        )


class Pool(eqx.Module):
    """Configurations drawn once, ``(rows, N)``, which batches are drawn from with replacement."""

    rows: jax.Array

    def sample(self, key, n_samples: int):
        """``(n_samples, N)``."""
        return self.rows[jax.random.randint(key, (n_samples,), 0, len(self.rows))]


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Where rows come from: a fixed weighted set for records, a batch size if steps use samples, a key and a pool for these."""

    system: Any
    x: jax.Array | Enumeration
    weights: jax.Array
    batch_size: int | None
    key: jax.Array
    pool: Pool | None = None

    @property
    def source(self):
        """What draws the rows of a step."""
        return self.pool or source_of(self.system)

    @property
    def sampler(self):
        """What draws the rows of a step, and how many; None where every step uses all rows."""
        return (self.source, self.batch_size) if self.batch_size else None

    def sample(self, label: int, n_samples: int):
        """Configurations of a sample named by its label; the held-out one is 0."""
        return self.system.sample(jax.random.fold_in(self.key, label), n_samples)

    def pooled(self, n_samples: int | None):
        """The same with a pool of so many configurations; None for no pool."""
        return (
            dataclasses.replace(self, pool=Pool(jnp.asarray(self.sample(4, n_samples))))
            if n_samples
            else self
        )


def source_of(system):
    """What draws configurations inside a compiled step: a system's sampler where it has one, else the system."""
    return getattr(system, "sampler", lambda: system)()


def is_enumerable(system, network) -> bool:
    """Whether all configurations can be listed and have exact laws of features."""
    return isinstance(network.channel, SpinChannel) and isinstance(system, IsingChain)


def lists_all(system, network, batch_size) -> bool:
    """Whether records, and without a batch size steps too, use all configurations."""
    return is_enumerable(system, network) and (
        batch_size is None or system.n_sites <= EXACTLY_RECORDED_SITES
    )


def training_data(system, network, batch_size, key, pool=None):
    """The data of a run, for records and for steps."""
    batch_size, pool = check_sampling(batch_size, pool)
    return recorded_data(system, network, batch_size, key).pooled(pool)


def check_sampling(batch_size, pool):
    """Both as integers or None, or raise where they are not or do not go together."""
    if batch_size is not None:
        batch_size = _validation.positive_integer("batch_size", batch_size)
    if pool is None:
        return batch_size, None
    if batch_size is None:
        raise ValueError("pool is what batches are drawn from: pass a batch_size too.")
    return batch_size, _validation.positive_integer("pool", pool, batch_size)


def recorded_data(system, network, batch_size, key):
    """Data without a pool: all configurations where they can be listed, else a held-out sample for records."""
    if batch_size is None and not is_enumerable(system, network):
        raise ValueError(
            "batch_size must be an integer: fields and Gaussian channels have no enumeration, pass 1024 or so."
        )
    if lists_all(system, network, batch_size):
        weights = jnp.asarray(system.probabilities(), network.dtype)
        if system.n_sites > EXACTLY_RECORDED_SITES:
            return TrainingData(system, Enumeration(system.n_sites), weights, None, key)
        return TrainingData(system, jnp.asarray(system.configurations()), weights, batch_size, key)
    count = (
        SPIN_EVALUATION_SAMPLES
        if isinstance(network.channel, SpinChannel)
        else REAL_EVALUATION_SAMPLES
    )
    x = system.sample(jax.random.fold_in(key, 0), count)
    return TrainingData(system, x, jnp.full(len(x), 1 / len(x), network.dtype), batch_size, key)


def _run(network, *, objective, data, steps, chunk, optimizer, key, bar) -> TrainingResult:
    """One restart: chunks of a compiled scan, a record after each."""
    head_key, batch_key = jax.random.split(key)
    model = network, objective.init(network, head_key)
    state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))
    records = [record(objective, model, data, 0)]
    done = 0
    while done < steps:
        length = min(chunk, steps - done)
        batch_key, chunk_key = jax.random.split(batch_key)
        model, state, finite = run_steps(
            objective,
            optimizer,
            data.sampler,
            model,
            state,
            data.x,
            data.weights,
            chunk_key,
            length,
        )
        bar.update(length)
        finite = np.asarray(finite)
        if not finite.all():
            raise TrainingDiverged(
                done + int(np.argmin(finite)), _result(objective, model, data, records)
            )
        done += length
        records.append(record(objective, model, data, done))
    return _result(objective, model, data, records)


@eqx.filter_jit
def run_steps(objective, optimizer, sampler, model, state, x, weights, key, length):
    """``length`` optimiser steps; once a loss is not finite the model is frozen at the last finite one."""
    arrays, static = eqx.partition(model, eqx.is_inexact_array)

    def step(carry, step_key):
        arrays, last, state, alive = carry
        rows, row_weights = (
            (x, weights) if sampler is None else _batch(sampler, step_key, weights.dtype)
        )
        loss, gradient = jax.value_and_grad(
            lambda a: batch_loss(objective, eqx.combine(a, static), rows, row_weights, step_key)
        )(arrays)
        alive &= jnp.isfinite(loss)
        last = jax.tree.map(lambda new, old: jnp.where(alive, new, old), arrays, last)
        updates, state = optimizer.update(gradient, state, arrays)
        return (optax.apply_updates(arrays, updates), last, state, alive), alive

    carry = arrays, arrays, state, jnp.array(True)
    (arrays, last, state, alive), finite = jax.lax.scan(step, carry, jax.random.split(key, length))
    arrays = jax.tree.map(lambda new, old: jnp.where(alive, new, old), arrays, last)
    return eqx.combine(arrays, static), state, finite


def _batch(sampler, key, dtype):
    source, batch_size = sampler
    return source.sample(key, batch_size), jnp.full(batch_size, 1 / batch_size, dtype)


def batch_loss(objective, model, x, weights, key):
    """The loss of a model, network and head; the key draws the noise of a Gaussian channel."""
    network, head = model
    noise = () if isinstance(network.channel, SpinChannel) else (jax.random.fold_in(key, 1),)
    return objective.loss(network, head, x, weights, *noise)


def record(objective, model, data, step):
    """A row of the history, and the law of the features."""
    of_features = _spin_record if isinstance(model[0].channel, SpinChannel) else _real_record
    row, law = of_features(objective, model, data)
    return {"step": step} | row, law


def _spin_record(objective, model, data):
    return spin_row(*spin_laws(objective, model, data.x, data.weights))


def spin_row(loss, soft, hard):
    """A row of the history from the loss, the law and noise of the soft features, and the law of the hard ones."""
    soft, hard = _law(*soft), _law(hard)
    row = {
        "loss": float(loss), "information": soft.information(), "gap": soft.gap(), "divergence": hard.divergence(),
        "pair_coupling": float(np.abs(hard.pair_marginal_couplings()).max()),
        "field": float(np.abs(hard.marginal_fields()).max()),
    }  # fmt: skip
    return row, hard


@eqx.filter_jit
def spin_laws(objective, model, x, weights):
    """The loss, the law and noise of the soft features, and the law of the hard ones."""
    network, head = model
    soft, hard = (sum_over_rows(kernel.push, x, weights) for kernel in (network, network.hard()))
    return objective.loss(network, head, x, weights), soft, hard[0]


def _law(probabilities, noise=0.0):
    probabilities = np.asarray(probabilities, dtype=float)
    return SpinLaw(probabilities / probabilities.sum(), float(noise))


def _real_record(objective, model, data):
    network = model[0].normalized(data.x)
    bounds = information_bounds(network, data.x, jax.random.fold_in(data.key, 1))
    loss, y = _real_features(objective, model, network, data.x, data.weights, data.key)
    law = FieldLaw(np.asarray(y), network.channel.power + network.channel.noise)
    correlations = np.corrcoef(law.samples.T).reshape(law.n_features, -1) - np.eye(law.n_features)
    row = {
        "loss": float(loss), "information": bounds.lower, "information_error": bounds.lower_error,
        "information_upper": bounds.upper, "information_upper_error": bounds.upper_error,
        "gap": law.n_features * network.channel.capacity() - bounds.lower, "gap_error": bounds.divergence_upper_error,
        "second_moment": law.second_moment().value,
        "excess_kurtosis": float(law.cumulants().excess_kurtosis["pooled"]), "correlation": float(np.abs(correlations).max()),
    }  # fmt: skip
    return row, law


@eqx.filter_jit
def _real_features(objective, model, network, x, weights, key):
    keys = jax.random.split(key, len(x))
    return batch_loss(objective, model, x, weights, key), jax.vmap(network.sample)(x, keys)


def _result(objective, model, data, records):
    rows, laws = zip(*records, strict=True)
    (network, head), power = frozen_power(model, data)
    return TrainingResult(
        network, data.system, objective, head, pd.DataFrame(rows), laws, {}, power
    )


def frozen_power(model, data):
    """The model with the power of a Gaussian channel frozen, and the residual power on fresh samples; spins as they are."""
    network, head = model
    if isinstance(network.channel, SpinChannel):
        return model, {}
    network = network.normalized(data.sample(2, POWER_SAMPLES))
    return (network, head), _power_residual(network, data.sample(3, POWER_SAMPLES))


def _power_residual(network, x):
    squares = (np.asarray(network.batch(x), float) ** 2).mean(1)
    return {
        "residual": float(squares.mean()) - network.channel.power,
        "standard_error": float(squares.std() / len(squares) ** 0.5),
    }
