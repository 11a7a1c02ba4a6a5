"""What a user may pass as data: arrays, lists, tables, and laws that are known by samples."""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Num

ANY_DATA = (
    "pass configurations (M, n), a law with .samples or .probabilities, or a member of a family"
)


def recorded_rows(law_or_samples: Any, n_sites: int) -> Num[np.ndarray, "M n"]:
    """Recorded rows ``(M, n)`` in the precision they came in.

    Raises:
        TypeError, ValueError: where they are not real numbers, or not of that shape.
    """
    # the columns of a table may have any name, `samples` too
    is_table = isinstance(law_or_samples, pd.DataFrame)
    data = law_or_samples if is_table else getattr(law_or_samples, "samples", law_or_samples)
    if isinstance(data, list | tuple) and len({np.size(row) for row in data}) > 1:
        raise ValueError(
            f"samples must have shape (M, {n_sites}), and their rows differ in length: complete "
            "them or leave them out."
        )
    samples = np.asarray(data)
    if samples.dtype.kind not in "biuf":
        raise TypeError(
            f"samples must be real numbers, got {type(data).__name__} of dtype {samples.dtype}: "
            f"{ANY_DATA}."
        )
    if samples.ndim != 2 or samples.shape[1] != n_sites:
        raise ValueError(
            f"samples must have shape (M, {n_sites}), one configuration in each row, got shape "
            f"{samples.shape}."
        )
    return samples.astype(np.int8) if samples.dtype == bool else samples
