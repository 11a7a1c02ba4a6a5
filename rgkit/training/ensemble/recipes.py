"""What the runs of an ensemble are given, and what is kept of them."""

import dataclasses
from typing import Any

import equinox as eqx
import optax
from jaxtyping import Float, Int
from numpy import ndarray

from rgkit.training.finish import Finish
from rgkit.training.records import Row


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What all members of an ensemble share, as in `rgkit.train`.

    Arguments:
        steps, restarts, batch_size, pool, optimizer, finish: as there.
        chunk: steps between two records.
        memory: bytes that one device may use for a step.
    """

    steps: int
    chunk: int
    batch_size: int | None
    pool: int | None
    optimizer: optax.GradientTransformation | None
    restarts: int
    finish: Finish | None
    memory: int

    @property
    def marks(self) -> list[int]:
        """The steps that have a row of the history."""
        marks = [*range(0, self.steps, self.chunk), self.steps]
        return marks if self.finish is None else [*marks, self.steps + self.finish.steps]


class Block(eqx.Module):
    """What is kept of the runs of a block, along the first axis of all arrays.

    Arguments:
        models: the arrays of networks and heads, stacked.
        records: the rows of the history, a column each, ``(runs, records)``.
        diverged_at: the step whose loss was not finite, -1 where there was none.
        seconds: the share of each run in the time of its block.
    """

    models: Any
    records: Row
    diverged_at: Int[ndarray, " runs"]
    seconds: Float[ndarray, " runs"]
