"""The grid of an ensemble: a table with a row for each member, whose columns must all be read."""

import itertools
from collections import UserDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from rgkit import _validation


class Row(UserDict):
    """A row of a grid, which notes the columns that are read; reading the whole reads them all."""

    def __init__(self, entries: Mapping[str, Any]):
        super().__init__(entries)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        found = super().__contains__(name)
        if found:
            self.read.add(str(name))
        return found

    def __iter__(self) -> Iterator[str]:
        self.read.update(self.data)
        return super().__iter__()

    def copy(self) -> Any:
        """All entries, as a plain dict."""
        return dict(self)

    def __or__(self, other):
        return self.copy() | other

    def __ror__(self, other):
        return other | self.copy()


def table_of_members(grid: Any) -> pd.DataFrame:
    """The grid as a table, a row for each member.

    A table or a list of rows is taken as it is, a mapping as the product of its entries.

    Raises:
        TypeError, ValueError: where it is none of these, has no rows, or gaps.
    """
    if isinstance(grid, Mapping):
        entries = [_values(name, value) for name, value in grid.items()]
        grid = [dict(zip(grid, point, strict=True)) for point in itertools.product(*entries)]
    if not isinstance(grid, pd.DataFrame):
        grid = _rows(grid)
    table = pd.DataFrame(grid).reset_index(drop=True)
    if table.empty:
        raise ValueError(
            "grid must have at least one member: pass a table, a list of dicts or a mapping to "
            "sequences."
        )
    if not table.columns.is_unique:
        twice = sorted({str(name) for name in table.columns[table.columns.duplicated()]})
        raise ValueError(f"grid must name each column once, {twice} come twice: drop one of them.")
    missing = [name for name in table.columns if np.any(table[name].isna())]
    if missing:
        raise ValueError(
            f"grid must have a value for every member in every column, {missing} have gaps: fill "
            "them."
        )
    return table if "seed" in table else table.assign(seed=0)


def _rows(grid) -> list[dict]:
    rows = list(grid) if isinstance(grid, Iterable) and not isinstance(grid, str) else None
    if rows is None or not all(isinstance(row, Mapping) for row in rows):
        raise TypeError(
            "grid must be a table, a list of dicts or a mapping to sequences, got "
            f"{type(grid).__name__}: pass {{'K': [0.5, 1.0], 'n_sites': 12, 'n_features': 4}}, "
            "for example."
        )
    return [{name: _scalar(value) for name, value in row.items()} for row in rows]


def _scalar(value):
    """An array without axes as its number."""
    return value.item() if hasattr(value, "dtype") and np.shape(value) == () else value


def _values(name, value) -> list:
    """The values of one entry of a mapping: those of a sequence, or the one it is."""
    if hasattr(value, "dtype") and not isinstance(value, pd.Series | pd.Index):
        if np.ndim(value) > 1:
            raise ValueError(
                f"grid has {np.ndim(value)} axes in {name!r}, got shape {np.shape(value)}: pass "
                "one axis of values, or a list of rows where each member has an array."
            )
        value = np.asarray(value)
        return [_scalar(value)] if value.ndim == 0 else list(value)
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return [value]
    return list(value)


def check_all_read(rows: list[Row], known: Iterable[str] | None) -> None:
    """Raise ValueError with the columns that no function has read in any row."""
    read = set().union(*(row.read for row in rows))
    unread = sorted(map(str, set().union(*(row.data for row in rows)) - read))
    if unread:
        mend = (
            f"of {list(known)} these members read those that their system and network have. Drop "
            "them, or pass"
            if known
            else "drop them, or pass"
        )
        raise ValueError(
            f"grid has columns {unread} that nothing reads: {mend} objective=, system= or network= "
            "functions that read them."
        )


def whole(name: str, value: Any, minimum: int = 1) -> int:
    """A whole number, also one that a table keeps as a float; nothing is rounded."""
    value = _scalar(value)
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return _validation.positive_integer(name, value, minimum)
