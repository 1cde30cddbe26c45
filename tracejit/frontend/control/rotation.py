"""Array names that change places in a loop: `a, b = b, a`, `old, now, new = now, new, old`.

Between two iterations such names only pass their memory round. The loop then carries just their contents, and which
memory each of them is; the memory itself, which no other name can reach meanwhile, is put back in order afterwards. A
general loop (`loops.py`) would carry names and memory both, and every write would have to be carried over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracejit.frontend.context import Context
from tracejit.frontend.tensors.storage import Storage
from tracejit.frontend.values import (
    ArrayView,
    BoundFunction,
    BoundMethod,
    Closure,
    DictValue,
    FrontValue,
    ListValue,
    MaybeUnbound,
    ObjectValue,
    OptionalValue,
    SequenceValue,
    SuperValue,
    Transformed,
    TupleValue,
)
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.types import TensorType

if TYPE_CHECKING:
    from tracejit.frontend.control.loop_plan import Carry, Path

#: More names than this make too many orders.
_MOST = 3


@dataclass(slots=True)
class Rotation:
    """Classes of names inside the loop, in the order of the memory they stand for before it."""

    classes: list[int] = field(default_factory=list[int])
    memory: list[int] = field(default_factory=list[int])
    places: dict[tuple[int, int], Carry] = field(default_factory=dict[tuple[int, int], "Carry"])

    def follow(self, ends: Mapping[int, int]) -> bool:
        """Hand on which memory each name is; False where the names do not just change places."""
        found = [ends.get(c) for c in self.classes]
        if sorted(c for c in found if c is not None) != sorted(self.classes):
            return False
        for (c, m), carry in self.places.items():
            carry.next = self.places[ends[c], m].param
        return True


def candidates(
    ctx: Context, classes: Mapping[Path, int], entry: Mapping[int, int], storage: Storage, names: frozenset[str]
) -> Rotation:
    """The names, out of those that the loop binds to other memory, that may just change places: each is the only one
    to know its memory. `entry` maps their classes to those before the loop; `names` are live."""
    found = Rotation()
    for path, c in classes.items():
        memory, value = entry[c], ctx.frame.env.get(str(path[0]))
        if len(path) == 1 and isinstance(value, ArrayView) and value.is_whole and _is_private(ctx, storage, memory):
            found.classes.append(c)
            found.memory.append(memory)
    own = {str(path[0]) for path, c in classes.items() if c in found.classes}
    others = [v for name, v in ctx.frame.env.items() if name not in own and _counts(name, names)]
    frame = ctx.frame.enclosing
    while frame is not None:
        others += frame.env.values()
        frame = frame.enclosing
    known = memory_of([*others, *ctx.heap.objects.values()])
    count = len(found.memory)
    if not 2 <= count <= _MOST or len(set(found.memory)) < count or known & set(found.memory):
        return Rotation()
    return found


def _counts(name: str, live: frozenset[str]) -> bool:
    """Whether a name may be read in the loop or after it; internal names always may."""
    return name in live or not name.isidentifier()


def _is_private(ctx: Context, storage: Storage, memory: int) -> bool:
    shared = (
        ctx.readonly
        | ctx.iterated
        | storage.held
        | ctx.strided
        | {c for group in ctx.snapshots.values() for c in group}
    )
    shared |= {c for copied, part in ctx.parts.items() for c in (copied, part.whole.storage)}
    shared |= ctx.asking | (ctx.arguments if ctx.notes_writes else set())  # leaves, which stand for themselves
    base = storage.bases.get(memory)
    return (
        base is not None
        and isinstance(base.type, TensorType)
        and not storage.partners(memory)
        and memory not in shared
        and memory not in ctx.snapshots
    )


def memory_of(values: Iterable[FrontValue | None]) -> set[int]:
    """The storage classes of the arrays in values; names that a closure reads are found in their frame."""
    found: set[int] = set()
    seen: set[int] = set()
    queue = [v for v in values if v is not None]
    while queue:
        value = queue.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        match value:
            case ArrayView():
                found.add(value.storage)
            case TupleValue(items) | ListValue(items):
                queue += items
            case DictValue() | ObjectValue():
                queue += value.contents.values()
            case MaybeUnbound(_, inner) | OptionalValue(_, inner) | Transformed(_, inner):
                queue.append(inner)
            case Closure():
                queue += (d for d in (*value.defaults, *value.kw_defaults) if d is not None)
            case SequenceValue():
                found |= value.sources
            case BoundMethod(receiver) | SuperValue(_, receiver):
                queue.append(receiver)
            case BoundFunction(fn, args, kwargs):
                queue += (fn, *args, *(v for _, v in kwargs))
            case _:
                pass
    return found


def put_back(
    b: Builder, rotation: Rotation, before: Storage, contents: Mapping[int, Value], places: Mapping[Value, Value]
) -> dict[int, Value]:
    """What the memory holds after the loop: the contents of the names, in the order in which they are now.
    `contents` are the classes' results, `places` maps what the loop carries to its results."""

    def ordered(inner: Builder, memory: Sequence[int], left: Sequence[int], choices: Sequence[int]) -> list[Value]:
        """The contents of `memory`, of which the first is one of `choices`; all of `left` are to be placed."""
        (first, *others), (c, *later) = memory, choices
        if not later:
            return taken(inner, first, others, c, left)
        then, orelse = inner.nested(), inner.nested()
        held = taken(then, first, others, c, left)
        blocks = (
            then.block((), held, "then"),
            orelse.block((), ordered(orelse, memory, left, later), "else"),
        )
        old = [before.bases[m] for m in memory]
        flag = places[rotation.places[c, first].param]
        return list(inner.emit("if", (flag,), blocks=blocks, types=[v.type for v in old], names=[v.name for v in old]))

    def taken(inner: Builder, first: int, others: Sequence[int], c: int, left: Sequence[int]) -> list[Value]:
        rest = [d for d in left if d != c]
        made = [_retyped(inner, contents[c], before.bases[first])]
        return made + (ordered(inner, others, rest, rest) if others else [])

    made = ordered(b, rotation.memory, rotation.classes, rotation.classes)
    return dict(zip(rotation.memory, made, strict=True))


def _retyped(b: Builder, content: Value, like: Value) -> Value:
    """The content as the memory it is: its sizes are those of that memory."""
    if content.type == like.type:
        return content
    assert isinstance(like.type, TensorType)
    sizes = [b.dim_of(like, axis) for axis in range(like.type.rank)]
    return b.emit("broadcast", (content, *sizes), {"exact": True})[0]
