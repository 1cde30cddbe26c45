"""Objects that keep their identity while they change: dicts, instances, attributes of objects from outside.

A front-end object is one Python object, so names that are one object in the program are one here. Its contents are
replaced by a write, never changed, so that a nested block can be left by putting the old contents back: `Heap` knows
the objects there are, and what they held when each enclosing block was entered.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tracejit.frontend.values import (
    BoundFunction,
    BoundMethod,
    Closure,
    DictValue,
    FrontValue,
    ListValue,
    MaybeUnbound,
    Mutable,
    ObjectValue,
    OptionalValue,
    Shared,
    SuperValue,
    TupleValue,
)

Contents: TypeAlias = Mapping[Any, FrontValue]


@dataclass(slots=True, eq=False)
class Heap:
    """The objects of one lowering."""

    objects: dict[object, Mutable] = field(default_factory=dict[object, Mutable])  #: by the place that made them
    saved: list[dict[Mutable, Contents]] = field(default_factory=list[dict[Mutable, Contents]])
    #: an object that stands for one of several on different paths -> those that other names may still know
    merged: dict[Mutable, frozenset[Mutable]] = field(default_factory=dict[Mutable, frozenset[Mutable]])

    #: what makes the missing values of the dicts of a pool, by its class
    factories: dict[type, FrontValue] = field(default_factory=dict[type, "FrontValue"])
    #: parts that were there all along, in the order in which they were met
    log: list[tuple[Mutable, Any, FrontValue]] = field(default_factory=list[tuple["Mutable", Any, "FrontValue"]])

    def behind(self, o: Mutable) -> set[Mutable]:
        """The objects that one which stands for several may be, with those that these stand for."""
        found, todo = set[Mutable](), [o]
        while todo:
            new = self.merged.get(todo.pop(), frozenset()) - found
            found |= new
            todo += new
        return found

    def add(self, made: Mutable, key: object) -> Any:
        """Remember a new object; the same program gives it the same key again."""
        while key in self.objects:
            key = (key, 1)
        self.objects[key] = made
        return made

    def contains(self, value: Mutable) -> bool:
        """Whether an object exists here, and not only in a block that was left."""
        return any(o is value for o in self.objects.values())

    def snapshot(self) -> dict[Mutable, Contents]:
        """What every object holds."""
        return {o: o.contents for o in self.objects.values()}

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Lower a nested block: afterwards all objects hold again what they held before."""
        before, known = self.snapshot(), set(self.objects)
        self.saved.append(before)
        try:
            yield
        finally:
            self.saved.pop()
            for key in [k for k, o in self.objects.items() if k not in known and o not in before]:
                del self.objects[key]
            for o, contents in before.items():
                o.contents = contents

    def has_changed(self) -> bool:
        """Whether an object from outside the innermost nested block holds other things than before it."""
        return any(
            o.contents.keys() != before.keys() or any(o.contents[k] is not v for k, v in before.items())
            for o, before in self.saved[-1].items()
        )

    def met(self, value: Mutable, name: Any, content: FrontValue) -> None:
        """A part of an object that was there all along, and is met now."""
        for before in self.saved:
            before[value] = {**before.get(value, value.contents), name: content}
        value.contents = {**value.contents, name: content}
        self.log.append((value, name, content))

    def met_here(self, value: Mutable, name: Any, content: FrontValue) -> None:
        """A part that an object has had since it was made."""
        for before in self.saved:
            if value in before:
                before[value] = {**before[value], name: content}
        value.contents = {**value.contents, name: content}
        self.log.append((value, name, content))

    def met_since(self, value: Mutable, start: int) -> Contents:
        """The parts of an object that were met after so many parts of all."""
        return {name: content for o, name, content in self.log[start:] if o is value}

    def add_outer(self, made: Mutable, key: object) -> Any:
        """Remember an object that was there all along."""
        for before in self.saved:
            before.setdefault(made, made.contents)
        return self.add(made, key)


def reachable(values: Iterable[FrontValue | None]) -> set[Mutable]:
    """The objects that values lead to."""
    return {x for x in led_to(values) if isinstance(x, DictValue | ObjectValue)}


def led_to(values: Iterable[FrontValue | None]) -> Iterator[FrontValue]:
    """All that values lead to, with themselves, each once."""
    todo, seen = list(values), dict[int, object]()  # what was seen is kept alive, so that no other has its id
    while todo:
        value = todo.pop()
        if value is None or id(value) in seen:
            continue
        seen[id(value)] = value
        yield value
        todo.extend(parts_of(value))
        if isinstance(value, Closure):
            frame = value.frame
            while frame is not None and id(frame) not in seen:
                seen[id(frame)] = frame
                todo.extend(frame.env.values())
                frame = frame.enclosing


def parts_of(value: FrontValue) -> Iterable[FrontValue | None]:
    """What a value holds itself."""
    match value:
        case DictValue() | ObjectValue():
            return value.contents.values()
        case TupleValue(items) | ListValue(items):
            return items
        case Shared(_, pool):
            return (pool,)
        case BoundFunction(fn, args, kwargs):
            return (fn, *args, *(v for _, v in kwargs))
        case BoundMethod(inner) | MaybeUnbound(_, inner) | OptionalValue(_, inner) | SuperValue(_, inner):
            return (inner,)
        case Closure():
            return (*value.defaults, *value.kw_defaults)
        case _:
            return ()


def may_lack(o: Mutable, parts: Iterable[Any]) -> bool:
    """Whether an object may have these parts on one path only: attributes that its class has not. The caller's objects,
    and dicts, have what they have."""
    return isinstance(o, ObjectValue) and o.access is None and not any(hasattr(o.cls, str(k)) for k in parts)


def same_class(a: FrontValue, b: FrontValue) -> bool:
    """Whether two objects are of one class."""
    if isinstance(a, ObjectValue) and isinstance(b, ObjectValue):
        return a.cls is b.cls
    return isinstance(a, DictValue) and isinstance(b, DictValue) and a.cls is b.cls


def describe_part(value: Mutable, name: Any) -> str:
    """How messages call a part of an object."""
    return f"the key {name!r}" if isinstance(value, DictValue) else f"the attribute {name!r}"


def place_key(node: ast.AST, path: tuple[object, ...], *more: object) -> object:
    """The key of an object that a node of the program makes."""
    return (node, path, *more)
