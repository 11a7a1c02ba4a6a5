"""What a thing is, by its content: for equality, for compiled programs, and for checkpoints."""

import dataclasses
import enum
import functools
import hashlib
import sys
import types
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_PLAIN = (str, bytes, bool, int, type(None), type, np.dtype)
_LIBRARIES = ("equinox", "jax", "jaxlib", "numpy", "optax", "pandas", "rgkit", "scipy")
_LONG = 64
_EMPTY = types.CellType()


def content(value: Any) -> Hashable:
    """A hashable that two things share if they have the same content.

    Numbers, text, arrays, and containers, dataclasses and `Contentful` things of them are compared
    by what they hold. So are functions of a library, such as those of an optax optimiser: by their
    code and by what they enclose. Anything else, functions of a user included, is itself alone.
    """
    return _Walk(_itself)(value)


def digest(value: Any) -> str:
    """SHA-256 of the content of a thing: the same in every process that runs the same script.

    Functions and classes of a user count with their code, with what they enclose and with the
    globals that they name, and objects with their state; those of a library with their name.

    Raises:
        TypeError: where a thing has no state that another process could know again, a lock or an
            open file.
    """
    return hashlib.sha256(_canonical(_Walk(_described)(value)).encode()).hexdigest()


class Contentful:
    """A base whose instances are equal, and hash alike, where type and attributes are the same."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and content(self) == content(other)

    def __hash__(self) -> int:
        return hash(content(self))


class Constant:
    """Holds what enters a compiled program as a constant: equal by the content it had when made."""

    def __init__(self, value: Any):
        self.value = value
        self._content = content(value)
        self._hash = hash(self._content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self._content == other._content

    def __hash__(self) -> int:
        return self._hash


class _Itself:
    """A thing that has no content to compare, kept alive so that no other takes its identity."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


class _Walk:
    """From a thing to its content; ``rest`` says what is made of what has no plain content."""

    def __init__(self, rest: Callable[["_Walk", Any], Hashable]):
        self.rest = rest
        # what is under way, and what is done: a thing may hold itself, or another one twice
        self.depths: dict[int, int] = {}
        self.done: dict[int, tuple[Any, Hashable]] = {}

    def __call__(self, value: Any) -> Hashable:
        if isinstance(value, enum.Enum):
            return type(value), value.name
        if isinstance(value, _PLAIN):
            return self.rest(self, value) if isinstance(value, type) else (type(value), value)
        if isinstance(value, float):
            return type(value), value.hex()
        if isinstance(value, complex):
            return type(value), value.real.hex(), value.imag.hex()
        if id(value) in self.depths:
            return "itself", len(self.depths) - self.depths[id(value)]
        if id(value) not in self.done:
            self.depths[id(value)] = len(self.depths)
            self.done[id(value)] = value, self._held(value)
            del self.depths[id(value)]
        return self.done[id(value)][1]

    def _held(self, value: Any) -> Hashable:
        if isinstance(value, Contentful):
            return self(type(value)), self(attributes(value))
        if isinstance(value, np.ndarray | np.generic | jax.Array):
            return self._array(value)
        if isinstance(value, Mapping):
            return type(value), frozenset((self(k), self(v)) for k, v in value.items())
        if isinstance(value, tuple | list):
            return type(value), tuple(map(self, value))
        if isinstance(value, set | frozenset):
            return type(value), frozenset(map(self, value))
        if dataclasses.is_dataclass(value):
            fields = (self(getattr(value, field.name)) for field in dataclasses.fields(value))
            return self(type(value)), tuple(fields)
        if isinstance(value, functools.partial):
            return functools.partial, self((value.func, value.args, value.keywords))
        if isinstance(value, types.MethodType):
            return types.MethodType, self((value.__func__, value.__self__))
        return self.rest(self, value)

    def _array(self, value: Any) -> Hashable:
        if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            return str(jax.random.key_impl(value)), self._array(jax.random.key_data(value))
        host = np.asarray(value)
        if host.dtype.hasobject:
            return "objects", host.shape, tuple(map(self, host.ravel()))
        weak = getattr(value, "weak_type", False)
        return "array", host.shape, host.dtype.str, weak, host.tobytes()

    def enclosed(self, function: types.FunctionType) -> Hashable:
        """What a function holds besides its code: its defaults and its closure."""
        cells = [cell.cell_contents for cell in function.__closure__ or () if cell != _EMPTY]
        return self([function.__defaults__, function.__kwdefaults__, cells])


def attributes(value: Any) -> dict[str, Any]:
    """The attributes of an object, without what it has worked out and keeps."""
    kept = functools.cached_property
    own = vars(value).items()
    return {k: v for k, v in own if not isinstance(getattr(type(value), k, None), kept)}


def _of_library(thing: Any) -> bool:
    root = (getattr(thing, "__module__", None) or "").partition(".")[0]
    return root in _LIBRARIES or root in sys.stdlib_module_names - {"__main__"}


def _itself(walk: _Walk, value: Any) -> Hashable:
    """Functions of a library by code and closure, and everything else as itself."""
    if isinstance(value, type):
        return type, value
    if isinstance(value, types.FunctionType) and _of_library(value):
        return types.FunctionType, value.__code__, walk.enclosed(value)
    return type(value), _Itself(value)


def _described(walk: _Walk, value: Any) -> Hashable:
    """Something in words that another process finds again."""
    if isinstance(value, types.ModuleType):
        return "module", value.__name__
    if isinstance(value, types.FunctionType):
        return "function", _name(value), walk.enclosed(value), _code(walk, value)
    if isinstance(value, type):
        return "class", _name(value), () if _of_library(value) else _methods(walk, value)
    if hasattr(value, "__wrapped__"):
        return "wrapped", _name(type(value)), walk(value.__wrapped__)
    return "object", _state(walk, value)


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def _code(walk: _Walk, function: types.FunctionType) -> Hashable:
    """Code of a user's function, and the globals that it names."""
    if _of_library(function):
        return ()
    codes = list(_nested(function.__code__))
    named = sorted({name for code in codes for name in code.co_names} & {*function.__globals__})
    constants = [[c for c in code.co_consts if not isinstance(c, types.CodeType)] for code in codes]
    text = [(code.co_code, code.co_names, code.co_varnames) for code in codes]
    return walk(text), walk(constants), walk([(name, function.__globals__[name]) for name in named])


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _nested(constant)


def _methods(walk: _Walk, cls: type) -> Hashable:
    """What a class of a user defines, those that it inherits from included."""
    if id(cls) in walk.depths:
        return ()
    walk.depths[id(cls)] = len(walk.depths)
    own = {}
    for name, member in vars(cls).items():
        # equinox holds methods in a wrapper
        member = getattr(member, "method", member)
        parts = [getattr(member, part, None) for part in ("fget", "func", "__func__")]
        for part in [member, *parts]:
            plain = isinstance(part, (*_PLAIN, float, np.ndarray)) and not name.startswith("__")
            if isinstance(part, types.FunctionType) or (plain and part is not None):
                own[name] = walk(part)
    del walk.depths[id(cls)]
    return tuple(sorted(own.items(), key=lambda item: item[0])), tuple(map(walk, cls.__bases__))


def _state(walk: _Walk, value: Any) -> Hashable:
    """How pickle would make an object again."""
    try:
        made = value.__reduce_ex__(4)
    except TypeError as error:
        raise TypeError(
            f"{value!r} cannot be known again in another process ({error}): hold numbers, arrays, "
            "functions or plain objects in what a checkpoint depends on."
        ) from None
    if isinstance(made, str):
        return made
    make, arguments, state, *items = (*made, None)[:5]
    if isinstance(state, dict):
        state = attributes(value) if hasattr(value, "__dict__") else state
    return walk([make, arguments, state, *(list(item) for item in items if item is not None)])


def _canonical(content: Hashable) -> str:
    """Content as text, without what differs between processes."""
    if isinstance(content, tuple):
        return f"({','.join(map(_canonical, content))})"
    if isinstance(content, frozenset):
        return f"{{{','.join(sorted(map(_canonical, content)))}}}"
    if isinstance(content, type):
        return _name(content)
    if isinstance(content, bytes) and len(content) > _LONG:
        return hashlib.sha256(content).hexdigest()
    return repr(content)
