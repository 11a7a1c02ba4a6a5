"""Checks of what training is given, before anything runs; each error says the mend."""

from typing import Any

import numpy as np

from rgkit import _validation
from rgkit.kernels.channels import AbstractNoiseChannel, Channel
from rgkit.kernels.network import Network
from rgkit.systems.base import System, Values
from rgkit.training.finish import Finish
from rgkit.training.objectives import Objective

NAMES = {Values.SPINS: "rgkit.SpinChannel", Values.REALS: "rgkit.GaussianChannel"}


def check_objective(objective: Any) -> None:
    """Raise TypeError where it is none."""
    if isinstance(objective, type) and issubclass(objective, Objective):
        raise TypeError(
            f"objective must be an instance, got the class {objective.__name__}: pass "
            f"{objective.__name__}() with its arguments."
        )
    if not isinstance(objective, Objective):
        raise TypeError(
            f"objective must be an rgkit.Objective, got {objective!r}: pass rgkit.Infomax(), "
            "another of rgkit's, or one of your own."
        )


def check_member(network: Any, system: Any, objective: Any) -> None:
    """Raise where a network cannot be trained on a system for an objective."""
    check_objective(objective)
    if not isinstance(network, Network):
        raise TypeError(
            f"network must be an rgkit.FCNetwork or another rgkit.Network, got {network!r}: pass "
            "one, or a class of your own. Other kernels have no parameters to train."
        )
    if isinstance(system, type) or not isinstance(system, System):
        raise TypeError(
            f"system must have n_sites, values and sample(key, n_samples), got {system!r}: pass "
            "an rgkit.IsingChain, an rgkit.ScalarChain, recorded rows in an rgkit.EmpiricalSystem "
            "or a class of your own."
        )
    network.n_features(system.n_sites)
    network.output(system.values)
    _check_channel(network.channel, objective)
    if isinstance(network.channel, AbstractNoiseChannel):
        network.channel.check_precision(np.dtype(network.dtype))


def _check_channel(channel: Channel, objective: Objective) -> None:
    if not channel.differentiable:
        raise ValueError(
            "network has hard features, which have no gradient: pass the soft network, harden the "
            "result."
        )
    if channel.values not in objective.channels:
        names = " or ".join(NAMES[values] for values in objective.channels)
        raise TypeError(
            f"objective {type(objective).__name__} is defined for {names}, the network has "
            f"{channel!r}."
        )


def check_optimizer(optimizer: Any) -> None:
    """Raise TypeError where it is neither None nor an optax optimiser."""
    ways = (getattr(optimizer, name, None) for name in ("init", "update"))
    if optimizer is not None and (isinstance(optimizer, type) or not all(map(callable, ways))):
        raise TypeError(
            f"optimizer must be an optax optimiser or None, got {optimizer!r}: pass "
            "optax.adam(1e-2), for example."
        )


def check_finish(
    finish: Any, network: Network, objective: Objective, batch_size: int | None
) -> None:
    """Raise where it is neither None nor fits a training on all configurations."""
    if finish is None:
        return
    if not isinstance(finish, Finish):
        raise TypeError(
            f"finish must be an rgkit.Finish or None, got {finish!r}: pass rgkit.Polish()."
        )
    if batch_size is not None:
        raise ValueError(
            f"finish={type(finish).__name__} works on all configurations and their probabilities: "
            "leave out batch_size, or the finish."
        )
    finish.check(network, objective)


def check_sampling(batch_size: Any, pool: Any) -> tuple[int | None, int | None]:
    """Both as integers or None; raise where they are not or do not go together."""
    if batch_size is not None:
        batch_size = _validation.positive_integer("batch_size", batch_size)
    if pool is None:
        return batch_size, None
    if batch_size is None:
        raise ValueError("pool is what batches are drawn from: pass a batch_size too.")
    return batch_size, _validation.positive_integer("pool", pool, batch_size)
