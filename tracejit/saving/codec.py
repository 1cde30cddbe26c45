"""Records of the front end as JSON, and back: what a file says of a script beside its graphs.

A JSON array is a tuple, an object with one member is a value of the kind that its name tells. Only the kinds and types
that are listed here are written and read: nothing that a file says is imported, looked up by name, or called.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tracejit.devices import is_array
from tracejit.eager.dtypes import as_dtype
from tracejit.eager.tensor import Tensor
from tracejit.frontend.boundary import leaves, reports, results, signature
from tracejit.frontend.boundary.signature import MISSING, Access, ItemsOfSet
from tracejit.frontend.function import Input
from tracejit.ir.types import BY_NAME, DType

#: Classes whose objects are written as their fields.
_RECORDS: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        *(c for m in (leaves, signature) for c in vars(m).values() if getattr(c, "__module__", "") == m.__name__),
        *(results.LeftGradient, reports.LeftByError, Input),
    )
    if "__dataclass_fields__" in vars(cls) and cls is not Access
}
_FIELDS = {cls: tuple(f.name for f in dataclasses.fields(cls)) for cls in _RECORDS.values()}

#: Types that are values: of containers, conversions, what a defaultdict makes.
_TYPES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        *(
            bool,
            int,
            float,
            complex,
            str,
            bytes,
            tuple,
            list,
            dict,
            set,
            frozenset,
            type(None),
            inspect.Parameter.empty,
        ),
        *(collections.OrderedDict, collections.defaultdict, collections.Counter, collections.deque),
    )
}
_SEQUENCES = {cls.__name__: cls for cls in (list, set, frozenset, ItemsOfSet, collections.deque)}
_MAPPINGS = {cls.__name__: cls for cls in (dict, collections.OrderedDict, collections.Counter)}


class Unsaved(Exception):
    """A value that files cannot hold."""

    def __init__(self, value: Any) -> None:
        super().__init__(f"{value!r} of type {type(value).__name__}"[:200])


@functools.cache
def named_tuple(name: str, fields: tuple[str, ...]) -> Any:
    """The class of named tuples that stands for those of this name and fields."""
    return collections.namedtuple(name, fields)  # pyright: ignore[reportUntypedNamedTuple]


class Encoder:
    """Values to JSON. `named` are objects that have a name in the file, by their ids; `array` writes an array."""

    def __init__(self, named: Mapping[int, Any], array: Callable[[Any], Any] | None = None) -> None:
        self.named = named
        self.array = array

    def __call__(self, value: Any) -> Any:
        """Raises `Unsaved`."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if kind is tuple:
            return [self(item) for item in value]
        if kind in _FIELDS:
            return {kind.__name__: [self(getattr(value, name)) for name in _FIELDS[kind]]}
        if id(value) in self.named:
            return {"named": self.named[id(value)]}
        return self.rare(value)

    def rare(self, value: Any) -> Any:
        """A value of a kind that is met less often."""
        name = type(value).__name__
        match value:
            case Access(root, steps):
                owner = self.named.get(id(value.constant))
                if root < 0 and owner is None:
                    raise Unsaved(value.constant)
                return {"Access": [root, self(steps), owner]}
            case _ if value is MISSING:
                return {"missing": 0}
            case type():
                return self.type(value)
            case np.generic():
                return {"scalar": [value.dtype.name, self(value.item())]}
            case np.dtype():
                return {"dtype": value.name}
            case DType():
                return {"element": value.name}
            case complex() | range() | slice():
                return {name: [self(getattr(value, part)) for part in _PARTS[name]]}
            case bytes():
                return {"bytes": value.hex()}
            case functools.partial(keywords={}):
                return {"partial": [self(value.func), *map(self, value.args)]}
            case tuple() if hasattr(value, "_fields"):
                return {"tuple of": [self.type(type(value)), [self(item) for item in value]]}
            case _ if _SEQUENCES.get(name) is type(value):
                return {name: [self(item) for item in value]}
            case _ if _MAPPINGS.get(name) is type(value):
                return {name: [[self(k), self(v)] for k, v in value.items()]}
            case _ if value is ...:
                return {"ellipsis": 0}
            case _ if self.array is not None and (isinstance(value, Tensor) or is_array(value)):
                return self.array(value)
            case _:
                raise Unsaved(value)

    def type(self, cls: type) -> Any:
        """A type."""
        if _TYPES.get(cls.__name__) is cls:
            return {"type": cls.__name__}
        if issubclass(cls, np.generic):
            return {"scalar type": np.dtype(cls).name}
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            return {"named tuple": [cls.__name__, list(cls._fields)]}  # type: ignore[attr-defined]
        raise Unsaved(cls)


_PARTS = {"complex": ("real", "imag"), "range": ("start", "stop", "step"), "slice": ("start", "stop", "step")}


class Decoder:
    """JSON to values. `named` are the objects that have names in the file; `array` makes an array. Raises ValueError
    for what no `Encoder` wrote."""

    def __init__(self, named: Mapping[str, Any], array: Callable[[Any], Any] | None = None) -> None:
        self.named = named
        self.makers: dict[str, Callable[[Any], Any]] = {
            **{name: self.record(cls) for name, cls in _RECORDS.items()},
            **{name: self.sequence(cls) for name, cls in _SEQUENCES.items()},
            **{name: self.mapping(cls) for name, cls in _MAPPINGS.items()},
            **{cls.__name__: self.parts(cls) for cls in (complex, range, slice)},
            "Access": self.access,
            "named": self.named.__getitem__,
            "float": float,
            "missing": lambda _: MISSING,
            "ellipsis": lambda _: ...,
            "type": _TYPES.__getitem__,
            "scalar type": lambda name: as_dtype(name).type,
            "named tuple": lambda parts: named_tuple(parts[0], tuple(parts[1])),
            "tuple of": lambda parts: self(parts[0])(*map(self, parts[1])),
            "scalar": lambda parts: as_dtype(parts[0]).type(self(parts[1])),
            "dtype": as_dtype,
            "element": BY_NAME.__getitem__,
            "bytes": bytes.fromhex,
            "partial": lambda parts: functools.partial(*map(self, parts)),
        }
        if array is not None:
            self.makers["array"] = array

    def __call__(self, content: Any) -> Any:
        match content:
            case list():
                return tuple(map(self, content))
            case dict():
                try:
                    ((kind, parts),) = content.items()
                    return self.makers[kind](parts)
                except (KeyError, TypeError, IndexError, AttributeError) as error:
                    raise ValueError(f"{content!r}"[:100]) from error
            case _:
                return content

    def record(self, cls: type) -> Callable[[Any], Any]:
        return lambda parts: cls(*map(self, parts))

    def sequence(self, cls: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda parts: cls(map(self, parts))

    def mapping(self, cls: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda parts: cls({self(k): self(v) for k, v in parts})

    def parts(self, cls: Callable[..., Any]) -> Callable[[Any], Any]:
        return lambda parts: cls(*map(self, parts))

    def access(self, parts: Any) -> Access:
        root, steps, owner = parts
        if root >= 0:
            return Access(root, self(steps))
        held = self.named[owner]
        return Access(-1, self(steps), held, id(held))
