"""Front-end values taken apart and put together again, so that they can pass from one graph to another.

A value becomes a `Shape`, which says what it is made of and can be compared, and two lists: graph scalars, and the
storage classes of its arrays and growing lists. `unpack` builds the same value from the shape, other scalars and other
classes. Python numbers that are known at compile time become run-time ones, unless a type depends on them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracejit.frontend.arith import is_python_number
from tracejit.frontend.boundary.signature import StaticSpec
from tracejit.frontend.context import Context, Frame
from tracejit.frontend.instances.heap import Contents
from tracejit.frontend.syntax.source import FunctionSource
from tracejit.frontend.values import (
    ArrayView,
    BoundFunction,
    BoundMethod,
    ChoiceValue,
    Closure,
    DictValue,
    DictView,
    FrontValue,
    GrowingList,
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
    Transformed,
    TupleValue,
    shown_class,
)
from tracejit.ir.core import Value
from tracejit.ir.types import ListType, TensorType, Type
from tracejit.records import record

#: What a value is made of: nested tuples, equal for values that the same code can work on.
Shape = tuple[Any, ...]


@record(eq=False)
class Code:
    """A function, equal to others of the same node."""

    source: FunctionSource

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Code) and other.source.node is self.source.node

    def __hash__(self) -> int:
        return hash(self.source.node)


class CannotPass(Exception):
    """A value that cannot be taken apart."""

    def __init__(self, value: FrontValue) -> None:
        super().__init__()
        self.value = value


@dataclass(slots=True)
class Packer:
    """Takes values of one context apart."""

    ctx: Context
    static: Collection[object] = ()  #: paths of numbers that stay compile-time values
    outer_names: Callable[[Closure], dict[str, FrontValue]] = lambda closure: {}
    numbers: list[Value] = field(default_factory=list[Value])
    places: list[object] = field(default_factory=list[object])  #: the path of each number
    storages: list[int] = field(default_factory=list[int])
    frames: dict[Frame, set[str]] = field(default_factory=dict[Frame, "set[str]"])
    given: Sequence[Mutable] = ()  #: objects that the other side has already
    objects: list[Mutable] = field(default_factory=list[Mutable])  #: in the order that `Unpacker` makes them

    def pack(self, value: FrontValue, path: tuple[object, ...] = ()) -> Shape:
        """The shape of a value; its parts are added to the lists."""
        match value:
            case Number(v, weak) if path in self.static:
                found = self.ctx.static_request(v)
                if found is not None:
                    raise found
                raise CannotPass(value)
            case Number(v, weak):
                self.number(v, path)
                return ("number", value.dtype, weak)
            case ArrayView():
                return self.view(value, path)
            case Static(obj) if is_python_number(value) and not isinstance(obj, bool) and path not in self.static:
                return self.pack(self.ctx.number(obj), path)
            case Static(obj):
                return ("static", StaticSpec(obj))
            case DictView(items, kind=kind):
                return ("dict view", kind, self.each(items, path))
            case TupleValue(items, cls):
                return ("tuple", cls, self.each(items, path))
            case ListValue(items, _, keys):
                return ("list", keys, self.each(items, path))
            case DictValue() | ObjectValue():
                return self.object(value, path)
            case GrowingList(storages, kind, keys):
                return ("growing", tuple(map(self.storage, storages)), kind, keys)
            case Shared(at, pool):
                self.number(at, path)
                return ("shared", type(value), self.pack(pool, (*path, 0)))
            case OptionalValue(some, inner, checked):
                self.number(some, path)
                return ("optional", self.pack(inner, (*path, 0)), checked)
            case ChoiceValue(index, options):
                self.number(index, path)
                return ("choice", tuple(StaticSpec(o.value) for o in options))
            case MessageValue(template, values, ()):
                for v in values:
                    self.number(v, path)
                return ("message", template, len(values))
            case MaybeUnbound(bound, inner):
                self.number(bound, path)
                return ("maybe", self.pack(inner, (*path, 0)))
            case BoundMethod(receiver, name):
                return ("method", name, self.pack(receiver, (*path, 0)))
            case BoundFunction(fn, args, kwargs):
                named = self.each((v for _, v in kwargs), (*path, 2))
                return ("bound", self.pack(fn, (*path, 0)), self.each(args, (*path, 1)), tuple(dict(kwargs)), named)
            case Transformed(kind, fn, argnums, has_aux, unused):
                return ("transformed", kind, argnums, has_aux, unused, self.pack(fn, (*path, 0)))
            case Closure():
                return self.closure(value, path)
            case _:
                raise CannotPass(value)

    def object(self, value: Mutable, path: tuple[object, ...]) -> Shape:
        """An object by what it holds; one that was packed before, or that the other side has, by its number."""
        for known, found in (("given", self.given), ("again", self.objects)):
            at = next((i for i, o in enumerate(found) if o is value), None)
            if at is not None:
                return (known, at)
        parts = tuple(value.contents), self.each(value.contents.values(), path)
        self.objects.append(value)
        if isinstance(value, DictValue):
            return ("dict", *parts, value.keys, value.cls, value.factory, value.is_mixed)
        return ("object", value.cls, *parts, value.keys if shown_class(value.cls) is tuple else frozenset[object]())

    def each(self, values: Iterable[FrontValue], path: tuple[object, ...]) -> Shape:
        return tuple(self.pack(v, (*path, i)) for i, v in enumerate(values))

    def number(self, value: Value, path: tuple[object, ...]) -> None:
        self.numbers.append(value)
        self.places.append(path)

    def size(self, size: Size, path: tuple[object, ...]) -> None:
        self.number(self.ctx.size_value(size), path)

    def storage(self, storage: int) -> int:
        if storage not in self.storages:
            self.storages.append(storage)
        return self.storages.index(storage)

    def view(self, view: ArrayView, path: tuple[object, ...]) -> Shape:
        """A whole base, a part `base[i, j]` of one, or any view: only a last step of 1 is compiled in."""
        at = self.storage(view.storage)
        if view.plain:
            for index in view.prefix:
                self.size(index, path)
            return ("part", at, len(view.prefix), self.readonly(view, path))
        dense = view.rank > 0 and view.strides[-1] == 1
        for size in (view.offset, *view.strides[: view.rank - dense], *view.lengths):
            self.size(size, path)
        return ("view", at, view.dtype, view.rank, dense, self.readonly(view, path))

    def readonly(self, view: ArrayView, path: tuple[object, ...]) -> bool | None:
        """Whether a view may not be written; None where that is among the numbers."""
        if isinstance(view.readonly, bool):
            return view.readonly
        self.number(view.readonly, path)
        return None

    def closure(self, closure: Closure, path: tuple[object, ...]) -> Shape:
        """A function and what it reads of the functions around it."""
        defaults = (
            self.each(closure.defaults, (*path, "default")),
            tuple(
                None if d is None else self.pack(d, (*path, "keyword", i)) for i, d in enumerate(closure.kw_defaults)
            ),
        )
        known = self.frames.setdefault(closure.frame, set())
        at = list(self.frames).index(closure.frame)
        names = {n: v for n, v in self.outer_names(closure).items() if n not in known}
        known.update(names)
        cells = tuple((name, self.pack(v, (*path, name))) for name, v in names.items())
        return ("closure", Code(closure.source), Code(closure.frame.source), at, cells, defaults)


@dataclass(slots=True)
class Unpacker:
    """Puts values together in one context: `numbers` are taken in order, `storages` by index."""

    ctx: Context
    numbers: Iterator[Value]
    storages: Callable[[int], int]
    frames: dict[int, Frame] = field(default_factory=dict[int, Frame])
    level: int = -1  #: of lists
    #: objects made, with what they hold then
    objects: list[tuple[Mutable, Contents]] = field(default_factory=list[tuple["Mutable", "Contents"]])
    given: Sequence[Mutable] = ()  #: objects that are here already

    def unpack(self, shape: Shape) -> FrontValue:
        """The value of that shape."""
        match shape:
            case ("number", _, weak):
                return Number(next(self.numbers), weak)
            case ("static", spec):
                return Static(spec.value)
            case ("part", at, depth, readonly):
                return self.protected(self.part(self.storages(at), [self.size() for _ in range(depth)]), readonly)
            case ("view", at, dtype, rank, dense, readonly):
                return self.protected(self.view(self.storages(at), dtype, rank, dense), readonly)
            case ("dict view", kind, items):
                return DictView(self.each(items), kind=kind)
            case ("tuple", cls, items):
                return TupleValue(self.each(items), cls)
            case ("list", keys, items):
                return ListValue(list(self.each(items)), self.level, keys)
            case ("dict", names, items, keys, cls, factory, is_mixed):
                contents = dict(zip(names, self.each(items), strict=True))
                return self.object(DictValue(contents, None, keys, cls, factory, is_mixed))
            case ("object", cls, names, items, keys):
                return self.object(ObjectValue(cls, dict(zip(names, self.each(items), strict=True)), keys=keys))
            case ("again", at):
                return self.objects[at][0]
            case ("given", at):
                return self.given[at]
            case ("bound", fn, items, names, named):
                return BoundFunction(
                    self.unpack(fn), self.each(items), tuple(zip(names, self.each(named), strict=True))
                )
            case ("growing", storages, kind, keys):
                return GrowingList(tuple(map(self.storages, storages)), kind, keys)
            case ("shared", kind, inner):
                at, pool = next(self.numbers), self.unpack(inner)
                assert isinstance(pool, ObjectValue)
                return kind(at, pool)
            case ("optional", inner, checked):
                some = next(self.numbers)
                return OptionalValue(some, self.unpack(inner), checked)
            case ("choice", options):
                return ChoiceValue(next(self.numbers), tuple(Static(o.value) for o in options))
            case ("message", template, count):
                return MessageValue(template, tuple(next(self.numbers) for _ in range(count)))
            case ("maybe", inner):
                bound = next(self.numbers)
                return MaybeUnbound(bound, self.unpack(inner))
            case ("method", name, receiver):
                return BoundMethod(self.unpack(receiver), name)
            case ("transformed", kind, argnums, has_aux, unused, fn):
                return Transformed(kind, self.unpack(fn), argnums, has_aux, unused)
            case ("closure", code, around, at, cells, (defaults, kw_defaults)):
                given = self.each(defaults), tuple(None if d is None else self.unpack(d) for d in kw_defaults)
                return Closure(code.source, self.frame(around.source, at, cells), *given)
            case _:
                raise AssertionError(shape)

    def each(self, shapes: Shape) -> tuple[FrontValue, ...]:
        return tuple(map(self.unpack, shapes))

    def object(self, made: Mutable) -> Mutable:
        self.objects.append((made, made.contents))
        return made

    def size(self) -> Value:
        return next(self.numbers)

    def protected(self, view: ArrayView, readonly: bool | None) -> ArrayView:
        """The view, which may not be written where that is known or the next number says so."""
        if readonly is False:
            return view
        return dataclasses.replace(view, readonly=next(self.numbers) if readonly is None else True)

    def part(self, storage: int, prefix: list[Value]) -> ArrayView:
        """`base[i, j]`."""
        whole = self.ctx.whole_view(storage)
        if not prefix:
            return whole
        offset: Size = 0
        for index, stride in zip(prefix, whole.strides, strict=False):
            self.ctx.sizes.note_lower(index, 0)
            offset = self.ctx.sizes.add(self.ctx.b, offset, self.ctx.sizes.mul(self.ctx.b, index, stride))
        n = len(prefix)
        return ArrayView(storage, whole.dtype, offset, whole.strides[n:], whole.lengths[n:], tuple(prefix), plain=True)

    def view(self, storage: int, dtype: Any, rank: int, dense: bool) -> ArrayView:
        offset = self.size()
        strides: list[Size] = [self.size() for _ in range(rank - dense)]
        lengths = [self.size() for _ in range(rank)]
        for size in (offset, *lengths):
            self.ctx.sizes.note_lower(size, 0)
        return ArrayView(storage, dtype, offset, (*strides, *([1] if dense else ())), tuple(lengths))

    def frame(self, source: FunctionSource, at: int, cells: Shape) -> Frame:
        """What stands for the function around a closure: the names that are read of it."""
        made = self.frames.setdefault(at, Frame(source, {}))
        made.env.update({name: self.unpack(shape) for name, shape in cells})
        return made


def storage_shape(ctx: Context, storage: int) -> Shape:
    """What code relies on about a storage class: the type of its content without sizes, and what is forbidden."""
    flags = storage in ctx.readonly, storage in ctx.storage.held, storage in ctx.iterated, storage in ctx.strided
    return (unsized_shape(ctx.storage.bases[storage].type), *flags)


def unsized_shape(type: Type) -> Shape:
    """A tensor's or list's type without sizes."""
    match type:
        case TensorType(dtype, shape):
            return ("array", dtype, len(shape))
        case ListType(element):
            return ("list", element)
        case _:
            raise AssertionError(type)


def dims_shape(type: TensorType) -> Shape:
    """Sizes of a type that are numbers; None for others."""
    return tuple(d if isinstance(d, int) else None for d in type.shape)
