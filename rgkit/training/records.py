"""What is recorded of a training run: rows of its history, laws of the features, frozen power."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit._content import Constant
from rgkit.enumeration import Enumeration, sum_over_rows
from rgkit.kernels.network import Network
from rgkit.laws.channel_information import information_bounds
from rgkit.laws.fields import FieldLaw
from rgkit.laws.spins import SpinLaw
from rgkit.systems.base import Values
from rgkit.training.data import TrainingData
from rgkit.training.objectives import Objective

POWER_SAMPLES = 2**16
NOISE, POWER, RESIDUAL = 1, 2, 3


class SpinRow(NamedTuple):
    """A row of the history of features that are spins; see `rgkit.TrainingResult`."""

    loss: Any
    information: Any
    gap: Any
    divergence: Any
    pair_coupling: Any
    field: Any


class RealRow(NamedTuple):
    """A row of the history of real features; see `rgkit.TrainingResult`."""

    loss: Any
    information: Any
    information_error: Any
    information_upper: Any
    information_upper_error: Any
    gap: Any
    gap_error: Any
    second_moment: Any
    excess_kurtosis: Any
    correlation: Any


Row = SpinRow | RealRow
Model = tuple[Network, Any]


def row_of(values: Values) -> type[SpinRow] | type[RealRow]:
    """The kind of row that features of these values have."""
    return SpinRow if values is Values.SPINS else RealRow


def batch_loss(
    objective: Objective,
    model: Model,
    x: Num[Array, "rows N"] | Enumeration,
    weights: Float[Array, "..."],
    key: PRNGKeyArray,
) -> Float[Array, ""]:
    """The loss of a model, network and head; the key is for draws such as those of noise."""
    network, head = model
    return objective.loss(network, head, x, weights, jax.random.fold_in(key, NOISE))


def record(
    objective: Objective, model: Model, data: TrainingData
) -> tuple[Row, SpinLaw | FieldLaw | None]:
    """A row of the history, and the law of the features; no numbers and None without a loss."""
    if model[0].channel.values is Values.SPINS:
        laws = spin_laws(Constant(objective), model, data.x, data.weights, data.key)
        return spin_row(*laws)
    return _real_record(objective, model, data)


def spin_row(loss: Any, soft: Any, hard: Any) -> tuple[SpinRow, SpinLaw | None]:
    """From the loss, the law and noise of the soft features, and the law of the hard ones."""
    if not all(np.isfinite(part).all() for part in (loss, *soft, hard)):
        return SpinRow(*np.full(len(SpinRow._fields), np.nan)), None
    soft, hard = _law(*soft), _law(hard)
    row = SpinRow(
        loss=float(loss),
        information=float(soft.information()),
        gap=float(soft.gap()),
        divergence=float(hard.divergence()),
        pair_coupling=float(np.abs(hard.pair_marginal_couplings()).max()),
        field=float(np.abs(hard.marginal_fields()).max()),
    )
    return row, hard


@eqx.filter_jit
def spin_laws(
    objective: Constant,
    model: Model,
    x: Num[Array, "rows N"] | Enumeration,
    weights: Float[Array, "..."],
    key: PRNGKeyArray,
) -> tuple[Any, Any, Any]:
    """The loss, the law and noise of the soft features, and the law of the hard ones."""
    network, _ = model
    soft, hard = (sum_over_rows(kernel.push, x, weights) for kernel in (network, network.hard()))
    return batch_loss(objective.value, model, x, weights, key), soft, hard[0]


def _law(probabilities, noise=0.0) -> SpinLaw:
    probabilities = np.asarray(probabilities, dtype=float)
    return SpinLaw(probabilities / probabilities.sum(), float(noise))


def _real_record(objective, model, data) -> tuple[RealRow, FieldLaw | None]:
    if not np.isfinite(np.sum(np.square(model[0].batch(data.x)))):
        return RealRow(*np.full(len(RealRow._fields), np.nan)), None
    network, channel = model[0].normalized(data.x), model[0].noise_channel("training")
    bounds = information_bounds(network, data.x, jax.random.fold_in(data.key, NOISE))
    loss, y = _real_features(Constant(objective), model, network, data.x, data.weights, data.key)
    law = FieldLaw(np.asarray(y), channel.output_variance)
    correlations = np.corrcoef(law.samples.T).reshape(law.n_features, -1) - np.eye(law.n_features)
    row = RealRow(
        loss=float(loss),
        information=bounds.lower,
        information_error=bounds.lower_error,
        information_upper=bounds.upper,
        information_upper_error=bounds.upper_error,
        gap=law.n_features * channel.capacity() - bounds.lower,
        gap_error=bounds.divergence_upper_error,
        second_moment=law.second_moment().value,
        excess_kurtosis=float(law.cumulants().excess_kurtosis["pooled"]),
        correlation=float(np.abs(correlations).max()),
    )
    return row, law


@eqx.filter_jit
def _real_features(objective, model, network, x, weights, key):
    keys = jax.random.split(key, len(x))
    loss = batch_loss(objective.value, model, x, weights, key)
    return loss, jax.vmap(network.sample)(x, keys)


def frozen_power(model: Model, data: TrainingData) -> Model:
    """The model with the power of real features frozen on one sample; spins as they are."""
    network, head = model
    if network.channel.values is Values.SPINS:
        return model
    return network.normalized(data.sample(POWER, POWER_SAMPLES)), head


def power_residual(network: Network, data: TrainingData) -> dict[str, float]:
    """How far a frozen power is from its limit on fresh samples; empty for spins."""
    if network.channel.values is Values.SPINS:
        return {}
    power = network.noise_channel("training").power
    squares = (np.asarray(network.batch(data.sample(RESIDUAL, POWER_SAMPLES)), float) ** 2).mean(1)
    return {
        "residual": float(squares.mean()) - power,
        "standard_error": float(squares.std() / len(squares) ** 0.5),
    }
