"""What lowering a loop again starts from: what is carried, and as which types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tracejit.frontend.boundary.signature import Access
from tracejit.frontend.values import (
    ArrayView,
    ChoiceValue,
    DictValue,
    FrontValue,
    ListValue,
    MaybeUnbound,
    MessageValue,
    Mutable,
    Number,
    ObjectValue,
    OptionalValue,
    Shared,
    Size,
    Static,
    TupleValue,
)
from tracejit.ir.core import Value
from tracejit.ir.types import DType, TensorType, Type

Path = tuple[object, ...]

#: A template of a text (`messages.py`) with the types of the values that it shows.
Kind = tuple[str, tuple[Type, ...]]

#: Paths that start with it lead to a part of an object: then come the object's key and the part's name.
CELL = "$object"


def label(path: Path) -> str:
    """A name for what a path leads to."""
    return str(path[2] if path[0] == CELL else path[0]).lstrip("$")


@dataclass(slots=True)
class Plan:
    """Assumptions about one loop; see the module docstring."""

    types: dict[Path, tuple[DType, bool]] = field(default_factory=dict["Path", tuple[DType, bool]])
    dtypes: dict[Path, DType] = field(default_factory=dict["Path", DType])
    split: set[Path] = field(default_factory=set["Path"])
    leaves: set[Path] = field(default_factory=set["Path"])  #: names that stand for another leaf in each iteration
    twins: set[tuple[Path, object]] = field(default_factory=set[tuple["Path", object]])  #: which may become one tensor
    attached: set[Path] = field(default_factory=set["Path"])  #: those of which '.grad' may lead to leaves
    varying: set[tuple[Path, str, int]] = field(default_factory=set[tuple["Path", str, int]])
    #: The greatest lower bound that may be assumed of one of these, where an iteration fell below the first length's.
    least: dict[tuple[Path, str, int], int] = field(default_factory=dict[tuple["Path", str, int], int])
    scalars: set[Path] = field(default_factory=set["Path"])  #: arrays of rank 0 that an iteration makes numbers
    views: set[Path] = field(default_factory=set["Path"])  #: no longer of the form base[prefix]
    fresh: set[Path] = field(default_factory=set["Path"])  #: held as arrays of their own (bases of different rank)
    shared: dict[Path, int] = field(default_factory=dict["Path", int])  #: their classes where they may not be copies
    written: set[int] = field(default_factory=set[int])
    written_names: set[str] = field(default_factory=set[str])
    held: set[object] = field(default_factory=set[object])  #: classes and split paths that are items of lists
    dynamic_alias: set[tuple[object, object]] = field(default_factory=set[tuple[object, object]])
    #: pairs that are one memory with histories of their own (`Storage.apart`), as far as iterations make them so
    apart: dict[tuple[object, object], bool | None] = field(default_factory=dict[tuple[object, object], "bool | None"])
    cells: set[tuple[object, Any]] = field(default_factory=set[tuple[object, Any]])  #: parts of objects that change
    objects: set[Path] = field(default_factory=set["Path"])  #: names that another object is bound to
    mixed: set[Path] = field(default_factory=set["Path"])  #: of these, dicts that have their keys in different orders
    sources: set[tuple[Path, object]] = field(default_factory=set[tuple["Path", object]])  #: outer ones among them
    optional: dict[Path, FrontValue] = field(default_factory=dict["Path", "FrontValue"])  #: may be None: like these
    choices: dict[Path, tuple[Static, ...]] = field(default_factory=dict["Path", tuple["Static", ...]])
    texts: dict[Path, tuple[Kind, ...]] = field(default_factory=dict["Path", tuple["Kind", ...]])
    #: texts that an iteration puts in their memory, and whether these show floats
    kept_texts: dict[Path, bool] = field(default_factory=dict["Path", bool])
    variants: set[Path] = field(default_factory=set["Path"])  #: objects that an iteration makes ones of other classes
    spread: set[Path] = field(default_factory=set["Path"])  #: tuples known before the loop that change
    late: set[str] = field(default_factory=set[str])  #: names first bound in the body and read later
    late_parts: set[tuple[object, Any]] = field(
        default_factory=set[tuple[object, Any]]
    )  #: attributes first set in the body
    parts_like: dict[tuple[object, Any], FrontValue] = field(default_factory=dict[tuple[object, Any], "FrontValue"])
    late_like: dict[str, FrontValue] = field(default_factory=dict[str, "FrontValue"])
    late_ranks: dict[int, int] = field(default_factory=dict[int, int])  #: ranks of the memory they may be views of
    elements: dict[Path, set[int]] = field(default_factory=dict["Path", set[int]])  #: may be elements of these classes
    moved: set[Path] = field(default_factory=set["Path"])  #: of these, those that are bound anew
    stale: set[Path] = field(default_factory=set["Path"])  #: and those whose tensor may have changed since
    #: names of 0-d tensors behind a trip, and what they may be that no trip changes; names that may be one
    same_outside: set[tuple[Path, Value]] = field(default_factory=set[tuple["Path", Value]])
    same_behind: set[frozenset[Path]] = field(default_factory=set[frozenset["Path"]])
    owners: dict[str, set[Access]] = field(default_factory=dict[str, "set[Access]"])  #: lists of the caller they may be
    rotates: bool = True  #: names that are bound to each other's memory may just change places (`rotation.py`)
    changed: bool = False

    def add(self, group: set, item: object) -> None:  # type: ignore[type-arg]
        """Record a finding; a new one means another attempt."""
        if item not in group:
            group.add(item)
            self.changed = True


@dataclass(slots=True, eq=False)
class Carry:
    """One carried value: given before the loop, seen in the body as `param`, handed on as `next`."""

    init: Value
    param: Value
    next: Value | None = None


def rank_of(value: Value) -> int:
    """The rank of a tensor, 0 for other values."""
    return value.type.rank if isinstance(value.type, TensorType) else 0


def replace(value: FrontValue, mapping: dict[Value, Value], renew: Callable[[Mutable], Mutable]) -> FrontValue:
    """A front-end value with graph values replaced; `renew` gives the object for an object."""

    def size(s: Size) -> Size:
        return mapping.get(s, s) if isinstance(s, Value) else s

    match value:
        case Number(v, weak):
            return Number(mapping.get(v, v), weak)
        case ArrayView():
            return ArrayView(
                value.storage,
                value.dtype,
                size(value.offset),
                tuple(map(size, value.strides)),
                tuple(map(size, value.lengths)),
                tuple(map(size, value.prefix)),
                value.plain,
                readonly=mapping.get(value.readonly, value.readonly)
                if isinstance(value.readonly, Value)
                else value.readonly,
            )
        case TupleValue(items, cls):
            return TupleValue(tuple(replace(i, mapping, renew) for i in items), cls)
        case ListValue(items, level, keys):
            return ListValue([replace(i, mapping, renew) for i in items], level, keys)
        case DictValue() | ObjectValue():
            return renew(value)
        case OptionalValue(some, inner, checked):
            return OptionalValue(mapping.get(some, some), replace(inner, mapping, renew), checked)
        case Shared(at, pool):
            return type(value)(mapping.get(at, at), pool)
        case ChoiceValue(index, options):
            return ChoiceValue(mapping.get(index, index), options)
        case MessageValue(template, values, arrays):
            return MessageValue(template, tuple(mapping.get(v, v) for v in values), arrays)
        case MaybeUnbound(bound, inner):
            return MaybeUnbound(mapping.get(bound, bound), replace(inner, mapping, renew))
        case _:
            return value
