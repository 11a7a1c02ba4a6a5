"""Training a network on a system: compiled steps, with the gap recorded along the way."""

import dataclasses
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import pandas as pd
from jaxtyping import PRNGKeyArray
from tqdm import tqdm

from rgkit import _validation
from rgkit._content import Constant
from rgkit.kernels.network import Network
from rgkit.laws.base import Law
from rgkit.systems.base import System
from rgkit.training.arguments import (
    check_finish,
    check_member,
    check_optimizer,
    check_sampling,
)
from rgkit.training.data import TrainingData, training_data
from rgkit.training.finish import Finish, finished
from rgkit.training.objectives import Objective
from rgkit.training.records import Model, Row, frozen_power, power_residual, record
from rgkit.training.steps import (
    Program,
    default_optimizer,
    pieces,
    program_of,
    run_steps,
    sampler_arrays,
    with_start,
    without_start,
)

__all__ = ["TrainingDiverged", "TrainingResult", "default_optimizer", "run_steps", "train"]


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    r"""What training leaves behind.

    Attributes:
        network: the trained network.
        system, objective: what it was trained on and for.
        head: the objective's trained decoder or readout.
        history: a table with a row per record: step, loss (nats; squared units for a regression),
            information and gap of the soft features, divergence of the hard (sign) features from
            the uniform law, and their strongest pair coupling ``max |artanh <y_j y_k>|`` and field
            ``max |artanh <y_j>|`` (dimensionless).
            For a Gaussian channel: step, loss, information (the lower estimate on held-out
            configurations, over which the power is normalised) with its error, information_upper
            with its error, gap (capacity less information; at full power it is the divergence from
            white noise) with its error, and of the noisy features the second moment and excess
            kurtosis (means over features) and the strongest correlation between two of them.
        laws: the law of the hard features, or of the noisy real ones, at each row of ``history``
            that has numbers.
        cost: steps (of all restarts), seconds (compilation included) and restarts.
        power: for a Gaussian channel, whose network comes back with its power frozen on one sample:
            the residual :math:`\langle|f|^2\rangle/n - P` on a fresh sample, and its standard
            error. Empty for spins.
    """

    network: Network
    system: System
    objective: Objective
    head: Any
    history: pd.DataFrame
    laws: tuple[Law, ...]
    cost: dict[str, float]
    power: dict[str, float] = dataclasses.field(default_factory=dict)


class TrainingDiverged(RuntimeError):
    """The loss turned non-finite.

    Attributes:
        step: at which step.
        result: the `TrainingResult` with the last finite network and the history so far.
    """

    def __init__(self, step: int, result: TrainingResult):
        super().__init__(
            f"the loss turned non-finite at step {step}: use a smaller learning rate. "
            "The last finite network and the history so far are in `.result`."
        )
        self.step, self.result = step, result

    def __reduce__(self) -> tuple[type["TrainingDiverged"], tuple[int, TrainingResult]]:
        return type(self), (self.step, self.result)


def train(
    network: Network,
    system: System,
    objective: Objective,
    *,
    steps: int,
    optimizer: optax.GradientTransformation | None = None,
    batch_size: int | None = None,
    pool: int | None = None,
    restarts: int = 1,
    finish: Finish | None = None,
    records: int = 50,
    progress: bool = False,
    key: PRNGKeyArray,
) -> TrainingResult:
    """Train a network, by exact enumeration or on fresh samples, and record the gap along the way.

    Networks, rows and objectives of one shape and content share two compiled programs, one for the
    steps and one for the records, whatever the number of steps, the start and the parameters of
    the system. An optimiser counts by what it does: another rate is another program.

    Arguments:
        network: a `FCNetwork` whose first width is ``system.n_sites``; it is not changed. All
            arithmetic is in its dtype.
        system: the data.
        objective: `Infomax`, or for spin features `Reconstruction`, `Classification` or
            `Regression`, or one of your own.
        steps: optimiser steps per restart.
        optimizer: an optax optimiser; by default `default_optimizer`.
        batch_size: None for all configurations that the system lists with their probabilities (the
            ``2**N`` of a chain of spins, the recorded rows of spins), else fresh exact samples a
            step; records are then exact up to 16 spins, and from one set of 16,384 samples beyond.
            Fields and Gaussian channels have no enumeration and need a batch size; their records
            use one set of 4,096 samples.
        pool: None for fresh samples at every step, else how many configurations to draw once, from
            which the batches are then drawn with replacement. Fields are dearer to draw than to
            learn from: ``2**17`` serve for any batch.
        restarts: the given network, then ``restarts - 1`` fresh starts of the same architecture;
            the smallest final loss is kept.
        finish: what is done to every one of them at the end, `Polish` for example; it needs all
            configurations. Its steps are one more row of the history.
        records: rows of the history after the first (about).
        progress: show a progress bar.
        key: a typed JAX key.

    Returns:
        A `TrainingResult`.

    Raises:
        ValueError, TypeError: naming the argument.
        TrainingDiverged: where the loss turns non-finite, with the step, the last finite network
            and the history.
    """
    key = _validation.key("key", key)
    steps = _validation.positive_integer("steps", steps)
    restarts = _validation.positive_integer("restarts", restarts)
    chunk = -(-steps // _validation.positive_integer("records", records))
    batch_size, pool = check_sampling(batch_size, pool)
    check_optimizer(optimizer)
    check_member(network, system, objective)
    check_finish(finish, network, objective, batch_size)
    data_key, runs_key = jax.random.split(key)
    data = training_data(system, network, objective, batch_size, pool, data_key)
    start, total = time.perf_counter(), restarts * (steps + (finish.steps if finish else 0))
    with tqdm(total=total, disable=not progress, unit="step") as bar:
        run = _Run(objective, data, steps, chunk, optimizer, finish, bar)
        runs = (
            run.restart(network, restart, restart_key)
            for restart, restart_key in enumerate(jax.random.split(runs_key, restarts))
        )
        best = min(runs, key=lambda result: result.history.loss.iloc[-1])
    cost = {"steps": total, "seconds": time.perf_counter() - start, "restarts": restarts}
    return dataclasses.replace(best, cost=cost)


@dataclasses.dataclass(frozen=True)
class _Run:
    """How one restart is trained: in chunks of steps, a record after each."""

    objective: Objective
    data: TrainingData
    steps: int
    chunk: int
    optimizer: optax.GradientTransformation | None
    finish: Finish | None
    bar: tqdm

    def restart(self, network: Network, number: int, key: PRNGKeyArray) -> TrainingResult:
        """The given network trained, or from the second on a fresh start."""
        init_key, run_key = jax.random.split(key)
        return self._trained(network.reinitialized(init_key) if number else network, run_key)

    def _trained(self, network: Network, key: PRNGKeyArray) -> TrainingResult:
        head_key, key = jax.random.split(key)
        model = without_start(network), self.objective.init(network, head_key)
        source, batch_size = self.data.source, self.data.batch_size
        program = program_of(self.objective, self.optimizer, self.steps, model, source, batch_size)
        arrays = eqx.filter(model, eqx.is_inexact_array)
        state = program.optimizer.transformation().init(arrays)
        row, law = record(self.objective, model, self.data)
        rows: list[tuple[int, Row, Any]] = [(0, row, law)]
        if law is None:
            raise TrainingDiverged(0, self._result(network, model, rows))
        for done in range(0, self.steps, self.chunk):
            length = min(self.chunk, self.steps - done)
            key, chunk_key = jax.random.split(key)
            keys = jax.random.split(chunk_key, length)
            arrays, state, survived = self._steps(program, arrays, state, keys)
            before, model = model, program.model(arrays)
            if survived < length:
                raise TrainingDiverged(done + survived, self._result(network, model, rows))
            self._record(rows, done + length, network, before, model)
        if self.finish is not None:
            before, model = model, self._finished(self.finish, model)
            self._record(rows, self.steps + self.finish.steps, network, before, model)
        return self._result(network, model, rows)

    def _record(self, rows, step: int, network: Network, before: Model, model: Model):
        """A further row; raise where it has no numbers, with the network before."""
        row, law = record(self.objective, model, self.data)
        if law is None:
            raise TrainingDiverged(step, self._result(network, before, rows))
        rows.append((step, row, law))

    def _finished(self, finish: Finish, model: Model) -> Model:
        network, head = model
        network = finished(Constant(finish), network, self.data.x, self.data.weights)
        self.bar.update(finish.steps)
        return network, head

    def _steps(self, program: Program, arrays, state, keys):
        """A step for each key; how many of them had a finite loss."""
        drawn_from = sampler_arrays(self.data.source, self.data.batch_size)
        finite = 0
        for piece, length in pieces(keys):
            arrays, state, survived = run_steps(
                program,
                drawn_from,
                arrays,
                state,
                self.data.x,
                self.data.weights,
                piece,
                jnp.asarray(length, jnp.int32),
            )
            self.bar.update(length)
            finite += int(survived)
            if survived < length:
                break
        return arrays, state, finite

    def _result(self, network: Network, model: Model, rows: list[tuple[int, Row, Any]]):
        steps, records, laws = zip(*rows, strict=True)
        finite = laws[-1] is not None
        trained, head = frozen_power(model, self.data) if finite else model
        history = pd.DataFrame([row._asdict() for row in records])
        history.insert(0, "step", steps)
        power = power_residual(trained, self.data) if finite else {}
        trained, laws = with_start(trained, network), tuple(law for law in laws if law is not None)
        return TrainingResult(
            trained, self.data.system, self.objective, head, history, laws, {}, power
        )
