"""Layer by layer: one network for all blocks of a level, trained, frozen, and the next on top."""

import dataclasses
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array, Float, Num, PRNGKeyArray

from rgkit import _validation as check
from rgkit.enumeration import ROWS_AT_ONCE, Enumeration, check_enumerable
from rgkit.kernels.base import Kernel
from rgkit.kernels.network import Network
from rgkit.systems.base import System, is_enumerable, listed
from rgkit.training.arguments import check_objective, check_optimizer
from rgkit.training.data import Pool
from rgkit.training.objectives import Objective
from rgkit.training.partners import Partners
from rgkit.training.relevance import PartnerObjective
from rgkit.training.steps import PIECE, pieces, program_of, run_steps

# a correlation below this many standard errors of its training pairs is noise that was fitted
LEAST_SIGNAL = 5.0
TRAINING, HELD_OUT, START, STEPS, DRAWS = range(5)


@dataclasses.dataclass(frozen=True)
class LayersResult:
    r"""What training layer by layer leaves behind.

    Attributes:
        layers: the kernel of each level, from the sites up; a trained network standardises its
            feature on the rows it was trained on. The first takes ``(sites - mean) / deviation``.
        mean, deviation: of a site, over those rows.
        records: a row for each level from 0, the sites: correlation with the partner, excess
            kurtosis of the law of the feature, their standard errors (over the held-out rows, 0
            where the law is exact), and how many pairs a layer was trained on.
        sites: the held-out rows, ``(T, N)``.
        features: the features of each level on them, ``(T, blocks)``, standardised.
        partners: the geometry they were trained with.
        stopped: why fewer layers were trained than asked for; empty where none is missing.
    """

    layers: tuple[Kernel, ...]
    mean: float
    deviation: float
    records: pd.DataFrame
    sites: Float[np.ndarray, "T N"]
    features: tuple[Float[np.ndarray, "T _blocks"], ...]
    partners: Partners
    stopped: str = ""

    def features_of(
        self, x: Num[Array | np.ndarray, "T N"]
    ) -> list[Float[np.ndarray, "T _blocks"]]:
        """The features of each level from 0 on other rows ``(T, N)``, in the scale of training.

        Of kernels without parameters they are drawn with one key, and not standardised.
        """
        x = (np.asarray(x, np.float32) - self.mean) / self.deviation
        features = [x.astype(np.float32)]
        for layer in self.layers:
            blocks = self.partners.blocks(features[-1])
            features.append(_applied(layer, blocks, jax.random.key(0)))
        return features


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Rows of sites or features with weights that sum to one."""

    x: Any
    weights: Any


def train_layers(
    system: System,
    objective: Objective,
    network: Network | Kernel,
    partners: Partners,
    *,
    levels: check.Integer,
    n_samples: check.Integer | None = 4096,
    steps: check.Integer = 600,
    batch_size: check.Integer = 4096,
    optimizer: optax.GradientTransformation | None = None,
    key: PRNGKeyArray,
) -> LayersResult:
    r"""Train one feature of each block, then one of each block of features, and so on.

    All blocks of a level share a network. A layer is trained on pairs of partners (or, for an
    objective that knows no partners, on blocks), frozen, standardised, and hands its activations
    on. Its record is taken on rows that no layer was trained on.

    Arguments:
        system: what rows are drawn from.
        objective: `rgkit.Relevance` or another with partners, or one such as `rgkit.Infomax`.
        network: takes ``partners.fan_in`` sites and makes one feature; each layer is a fresh start
            of it. A kernel without parameters, such as ``rgkit.decimation(2)``, is applied as it
            is.
        partners: the geometry, applied to sites and then to features.
        levels: how many layers.
        n_samples: how many rows to train on, and as many again to record; None for all
            configurations of an enumerable system with their probabilities, for both.
        steps: optimiser steps of each layer.
        batch_size: pairs of a step, drawn with replacement; with exact probabilities not used.
        optimizer: None for Adam whose rate falls from 1e-2 to 0 on a cosine.
        key: a typed JAX key.

    Raises:
        TypeError, ValueError: naming the argument; for the first layer also where its pairs are too
            few for the correlation there is. Later layers stop there, with a warning.
    """
    check_objective(objective)
    check_optimizer(optimizer)
    levels, steps, batch_size = (
        check.positive_integer(name, value)
        for name, value in (("levels", levels), ("steps", steps), ("batch_size", batch_size))
    )
    key = check.key("key", key)
    _check(system, objective, network, partners, levels)
    training, held_out = _rows(system, n_samples, key)
    sites = held_out.x
    optimizer = optimizer or optax.adam(optax.cosine_decay_schedule(1e-2, steps))
    exact, layers, stopped = n_samples is None, [], ""
    moments = _moments(training)
    training, held_out = _standardized(training, training, held_out)
    features, records = [held_out.x], [_record(0, held_out, partners, 0, exact)]
    for level in range(1, levels + 1):
        level_key = jax.random.fold_in(key, level + DRAWS)
        if isinstance(network, Network):
            layer = _trained(
                network, objective, partners, training, steps, batch_size, optimizer, level_key
            )
        else:
            layer = network
        draws = jax.random.split(jax.random.fold_in(level_key, DRAWS), 2)
        new = [
            _Rows(_applied(layer, partners.blocks(rows.x), draw), rows.weights)
            for rows, draw in zip((training, held_out), draws, strict=True)
        ]
        training, held_out, layer = *_standardized(new[0], *new), _frozen(layer, new[0])
        n_pairs = partners.paired(training.x).size // 2
        row = _record(level, held_out, partners, n_pairs, exact)
        if (
            not exact
            and isinstance(network, Network)
            and isinstance(objective, PartnerObjective)
            and not row["correlation"] * n_pairs**0.5 >= LEAST_SIGNAL
        ):
            stopped = (
                f"level {level}: a correlation of {row['correlation']:.2g} on {n_pairs} pairs is "
                f"less than {LEAST_SIGNAL:.0f} standard errors, and training would fit noise; "
                "raise n_samples."
            )
            if level == 1:
                raise ValueError(f"n_samples is too small at {stopped}")
            warnings.warn(f"training stopped at {stopped}", stacklevel=2)
            break
        layers.append(layer)
        features.append(held_out.x)
        records.append(row)
    table = pd.DataFrame(records)
    return LayersResult(tuple(layers), *moments, table, sites, tuple(features), partners, stopped)


def _check(system, objective, network, partners, levels):
    if not isinstance(network, Kernel):
        raise TypeError(f"network must be a network or another kernel, got {network!r}.")
    if not isinstance(partners, Partners):
        raise TypeError(
            f"partners must be an rgkit.Siblings, an rgkit.Blocks or one of your own, got "
            f"{partners!r}."
        )
    if network.n_features(partners.fan_in) != 1:
        raise ValueError(
            f"network must make one feature of a block of {partners.fan_in} sites, got "
            f"{network.n_features(partners.fan_in)}: the next layer takes one from each block."
        )
    if isinstance(network, Network) and network.channel.values not in objective.channels:
        raise TypeError(
            f"objective {type(objective).__name__} is not defined for the channel of the network, "
            f"{network.channel!r}."
        )
    n_sites = system.n_sites
    for _ in range(levels):
        # a layer needs partners to learn from, and its record needs partners of its features
        partners.check(n_sites)
        n_sites //= partners.fan_in


def _rows(system: System, n_samples, key) -> tuple[_Rows, _Rows]:
    if n_samples is None:
        if not is_enumerable(system):
            raise ValueError(
                "n_samples must be an integer: the system does not list its configurations. Pass "
                "4096 or so."
            )
        check_enumerable(system.n_sites)
        x, weights = listed(system)
        rows = x.rows(0, len(weights)) if isinstance(x, Enumeration) else x
        every = _Rows(np.asarray(rows, np.float32), weights)
        return every, every
    number = check.positive_integer("n_samples", n_samples, minimum=2)
    parts = (system.sample(jax.random.fold_in(key, label), number) for label in range(2))
    equal = np.full(number, 1 / number)
    training, held_out = (_Rows(np.asarray(x, np.float32), equal) for x in parts)
    return training, held_out


def _trained(network, objective, partners, rows, steps, batch_size, optimizer, key):
    start = network.reinitialized(jax.random.fold_in(key, START))
    paired = isinstance(objective, PartnerObjective)
    units = partners.pairs(rows.x) if paired else partners.blocks(rows.x)
    each = units.shape[1]
    units = jnp.asarray(units.reshape(len(units) * each, -1), start.dtype)
    uniform = np.ptp(rows.weights) == 0
    weights = np.repeat(np.asarray(rows.weights) / each, each)
    pool = Pool(units)
    model = start, objective.init(start, key)
    program = program_of(objective, optimizer, steps, model, pool, batch_size if uniform else None)
    arrays = eqx.filter(model, eqx.is_inexact_array)
    state = optimizer.init(arrays)
    drawn_from = eqx.filter(pool, eqx.is_array) if uniform else None
    weights = jnp.ones(1, start.dtype) if uniform else jnp.asarray(weights, start.dtype)
    x = None if uniform else units
    for piece, length in pieces(jax.random.split(jax.random.fold_in(key, STEPS), steps)):
        arrays, state, survived = run_steps(
            program, drawn_from, arrays, state, x, weights, piece, jnp.asarray(length, jnp.int32)
        )
        if int(survived) < length:
            raise ValueError("optimizer led to a loss that is not finite: lower its rate.")
    return eqx.combine(arrays, program.static.value)[0]


def _applied(layer: Kernel, blocks: np.ndarray, key: PRNGKeyArray) -> np.ndarray:
    """The feature of every block, ``(T, B, fan_in)`` to ``(T, B)``."""
    flat = blocks.reshape(-1, blocks.shape[2])
    if isinstance(layer, Network):
        parts = (layer.batch(flat[i : i + PIECE * ROWS_AT_ONCE]) for i in _starts(len(flat)))
    else:
        parts = (
            _drawn(layer, flat[i : i + PIECE * ROWS_AT_ONCE], jax.random.fold_in(key, i))
            for i in _starts(len(flat))
        )
    return np.concatenate([np.asarray(part)[:, 0] for part in parts]).reshape(blocks.shape[:2])


def _starts(n_rows):
    return range(0, n_rows, PIECE * ROWS_AT_ONCE)


@eqx.filter_jit
def _drawn(layer: Kernel, x: Num[Array | np.ndarray, "M N"], key: PRNGKeyArray):
    return jax.vmap(layer.sample)(jnp.asarray(x), jax.random.split(key, len(x)))


def _moments(rows: _Rows) -> tuple[float, float]:
    x, weights = np.asarray(rows.x, np.float64), np.asarray(rows.weights)
    mean = float(weights @ x.mean(1))
    return mean, float(np.sqrt(weights @ ((x - mean) ** 2).mean(1)))


def _standardized(reference: _Rows, *others: _Rows) -> tuple[_Rows, ...]:
    mean, deviation = _moments(reference)
    if not deviation > 0:
        raise ValueError("system must vary: every block of this level has the same feature.")
    return tuple(
        _Rows(np.asarray((rows.x - mean) / deviation, np.float32), rows.weights) for rows in others
    )


def _frozen(layer: Kernel, rows: _Rows) -> Kernel:
    """A network that standardises its feature itself; another kernel as it is."""
    if not isinstance(layer, Network):
        return layer
    mean, deviation = _moments(rows)
    return layer.rescaled(jnp.asarray(1 / deviation, layer.dtype), jnp.full(1, mean, layer.dtype))


def _record(level: int, rows: _Rows, partners: Partners, n_pairs: int, exact: bool) -> dict:
    """Correlation and excess kurtosis with errors by the delta method, rows being independent."""
    x, weights = np.asarray(rows.x, np.float64), np.asarray(rows.weights)
    x = x - weights @ x.mean(1)
    pairs = partners.paired(x)
    means = (pairs[..., 0] * pairs[..., 1]).mean(1), (x**2).mean(1), (x**4).mean(1)
    product, square, fourth = (float(weights @ mean) for mean in means)
    correlation, kurtosis = product / square, fourth / square**2
    spread = (
        (means[0] - correlation * means[1]) / square,
        means[2] / square**2 - 2 * kurtosis * means[1] / square,
    )
    errors = [0.0 if exact else float(part.std() / len(x) ** 0.5) for part in spread]
    return {
        "level": level,
        "correlation": correlation,
        "correlation_error": errors[0],
        "excess_kurtosis": kurtosis - 3,
        "excess_kurtosis_error": errors[1],
        "pairs": n_pairs,
    }
