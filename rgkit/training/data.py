"""What a network learns from: the rows that records and steps use, with their weights."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit.enumeration import ROWS_AT_ONCE, Enumeration
from rgkit.kernels.channels import Channel
from rgkit.kernels.network import Network
from rgkit.systems.base import Enumerable, System, Values, is_enumerable, listed
from rgkit.training.objectives import Objective

EXACTLY_RECORDED_SITES = 16
SPIN_EVALUATION_SAMPLES = 2**14
REAL_EVALUATION_SAMPLES = 2**12
HELD_OUT, POOLED = 0, 4


class Pool(eqx.Module):
    """Configurations drawn once, ``(rows, N)``, which batches are drawn from with replacement.

    Arguments:
        rows: the configurations.
    """

    rows: Num[Array, "rows N"]

    def sample(self, key: PRNGKeyArray, n_samples: int) -> Num[Array, "n_samples N"]:
        """Rows of the pool, drawn with replacement."""
        return self.rows[jax.random.randint(key, (n_samples,), 0, len(self.rows))]


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Where rows come from.

    Arguments:
        system: the law of the configurations.
        x, weights: a fixed weighted set, ``(rows, N)`` and ``(rows,)``, for records, and for steps
            without a batch size.
        batch_size: how many rows a step draws; None where every step uses all of ``x``.
        key: of the samples that are drawn once.
        pool: what batches are drawn from; None for fresh rows.
    """

    system: System
    x: Num[Array, "rows N"] | Enumeration
    weights: Float[Array, " rows"]
    batch_size: int | None
    key: PRNGKeyArray
    pool: Pool | None = None

    @property
    def source(self) -> Any:
        """What draws the rows of a step."""
        return self.pool or source_of(self.system)

    def sample(self, label: int, n_samples: int) -> Num[Array, "n_samples N"]:
        """Configurations of a sample named by its label."""
        return _drawn(self.system, self.key, label, n_samples)

    def pooled(self, n_samples: int | None) -> "TrainingData":
        """The same with a pool of so many configurations; None for no pool."""
        if n_samples is None:
            return self
        return dataclasses.replace(self, pool=Pool(self.sample(POOLED, n_samples)))

    def some_rows(self) -> Num[Array, "rows N"]:
        """The configurations, or where they are streamed the first of them."""
        if isinstance(self.x, Enumeration):
            return self.x.rows(0, min(ROWS_AT_ONCE, self.x.shape[0]))
        return self.x


def _drawn(system: System, key: PRNGKeyArray, label: int, n_samples: int):
    x = jnp.asarray(system.sample(jax.random.fold_in(key, label), n_samples))
    if x.shape != (n_samples, system.n_sites):
        raise ValueError(
            f"{type(system).__name__}.sample must give ({n_samples}, {system.n_sites}) "
            f"configurations, got shape {x.shape}: a row for each draw."
        )
    return x


def source_of(system: System) -> Any:
    """What draws configurations inside a compiled step: a system's sampler, else the system."""
    return getattr(system, "sampler", lambda: system)()


def listing(system: System, channel: Channel, batch_size: int | None) -> Enumerable | None:
    """The system if records, and without a batch size steps too, use all its configurations."""
    if channel.values is not Values.SPINS or not is_enumerable(system):
        return None
    exact = batch_size is None or system.n_sites <= EXACTLY_RECORDED_SITES
    return system if exact else None


def all_rows(
    system: Enumerable,
) -> tuple[Num[Array, "rows N"] | Enumeration, Float[np.ndarray, " rows"]]:
    """All configurations with their probabilities; more than ``2**16`` are made when needed."""
    x, weights = listed(system)
    if isinstance(x, Enumeration) and system.n_sites <= EXACTLY_RECORDED_SITES:
        x = x.rows(0, len(weights))
    return x if isinstance(x, Enumeration) else jnp.asarray(x), weights


def recorded_data(
    system: System, network: Network, batch_size: int | None, key: PRNGKeyArray
) -> TrainingData:
    """Data without a pool: all configurations where they are listed, else a held-out sample."""
    lists = listing(system, network.channel, batch_size)
    if lists is not None:
        x, weights = all_rows(lists)
        return TrainingData(system, x, jnp.asarray(weights, network.dtype), batch_size, key)
    if batch_size is None:
        raise ValueError(
            "batch_size must be an integer: fields and Gaussian channels have no enumeration, nor "
            "have systems without configurations() and probabilities(). Pass 1024 or so."
        )
    spins = network.channel.values is Values.SPINS
    count = SPIN_EVALUATION_SAMPLES if spins else REAL_EVALUATION_SAMPLES
    x = _drawn(system, key, HELD_OUT, count)
    weights = jnp.full(count, 1 / count, network.dtype)
    return TrainingData(system, x, weights, batch_size, key)


def training_data(
    system: System,
    network: Network,
    objective: Objective,
    batch_size: int | None,
    pool: int | None,
    key: PRNGKeyArray,
) -> TrainingData:
    """The data of a run, for records and for steps; raise where the objective does not fit them."""
    data = recorded_data(system, network, batch_size, key)
    check_rows(objective, network, data)
    return data.pooled(pool)


def check_rows(objective: Objective, network: Network, data: TrainingData) -> None:
    """Raise where an objective cannot learn from these rows."""
    rows = data.batch_size or len(data.weights)
    if rows < objective.fewest_rows:
        argument = "batch_size" if data.batch_size else "system"
        raise ValueError(
            f"{argument} must give at least {objective.fewest_rows} configurations to a step of "
            f"{type(objective).__name__}, got {rows}: fewer tell it nothing. Pass more."
        )
    objective.check(network, data.some_rows())
