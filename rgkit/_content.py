"""What a thing is, by its content: for equality, for compiled programs, and for checkpoints."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Hashable, Mapping
from typing import Any

import jax
import numpy as np

_PLAIN = (str, bytes, bool, int, float, complex, type(None), type, np.dtype)


def content(value: Any) -> Hashable:
    """A hashable that two things share if they have the same content.

    Numbers, text, arrays, and containers, dataclasses and `Contentful` things of them are compared
    by what they hold; anything else, functions included, is itself alone.
    """
    if isinstance(value, Contentful):
        return type(value), content(vars(value))
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _array(value)
    if isinstance(value, Mapping):
        return type(value), frozenset((content(k), content(v)) for k, v in value.items())
    if isinstance(value, tuple | list):
        return type(value), tuple(map(content, value))
    if isinstance(value, set | frozenset):
        return type(value), frozenset(map(content, value))
    if dataclasses.is_dataclass(value):
        fields = (content(getattr(value, field.name)) for field in dataclasses.fields(value))
        return type(value), tuple(fields)
    if isinstance(value, functools.partial):
        return functools.partial, content((value.func, value.args, value.keywords))
    return type(value), _Itself(value)


def digest(value: Any) -> str:
    """SHA-256 of what JSON makes of plain data: the same on every machine and in every process."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class Contentful:
    """A base whose instances are equal, and hash alike, where type and attributes are the same."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and content(self) == content(other)

    def __hash__(self) -> int:
        return hash(content(self))


class _Itself:
    """A thing that has no content to compare, kept alive so that no other takes its identity."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _array(value: Any) -> Hashable:
    if isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        return str(jax.random.key_impl(value)), content(jax.random.key_data(value))
    host = np.asarray(value)
    return "array", host.shape, host.dtype.str, host.tobytes()
