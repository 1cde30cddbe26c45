"""Arrays that lists hold and that change in place: each dtype has a list of numbers, its *memory*, in which they lie
one after the other. An item of a list is then the place of its first element, and its name a view of that memory:
all names of one array see what is written through any of them.

Which lists hold such arrays is found while lowering: where an array that was read from a list, or went into one, is
written, everything is lowered again with the arrays of that list in memory, where they lie from when they are made.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Container, Iterable, Sequence, Set
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from tracejit.errors import ScriptError
from tracejit.frontend.containers.array_memory import (
    flat,
    is_dense,
    lies_in_memory,
    repeated,
    same_memory,
    stored,
    total_size,
)
from tracejit.frontend.context import Again
from tracejit.frontend.functions.names import is_numpys
from tracejit.frontend.instances.heap import led_to
from tracejit.frontend.kinds import ArrayKind, Kind, OptionalKind, TupleKind
from tracejit.frontend.syntax.trees import nodes_in
from tracejit.frontend.tensors import elements
from tracejit.frontend.tensors.storage import Storage
from tracejit.frontend.values import (
    ArrayView,
    FrontValue,
    GrowingList,
    ObjectValue,
    Size,
    Static,
)
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.types import DType, ListType, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.context import Context


class NotOwn(ScriptError):
    """An array cannot lie in the memory of a list's arrays."""


class Memory:
    """The class of the front end's object that stands for the memory of a dtype."""


# -- which lists hold arrays that change ---------------------------------------------------------------------------


def place_if_possible(ctx: Context, view: ArrayView) -> None:
    """Lower again with the arrays of the lists that hold this one in their memory, unless they are there already."""
    known = ctx.pools_known.placed
    held = frozenset[object]().union(*(ctx.holders.get(c, ()) for c in same_memory(ctx, view.storage)))
    every = [k for k, kind in ctx.growing.items() if kind is not None and holds_arrays(kind, view.dtype)]
    new = (held & ctx.growing.keys()) - known.keys() or [k for k in every if k not in known]
    if new and ctx.device == "cpu":
        known.update((k, view.dtype) for k in new)
        ctx.growing.update(dict.fromkeys(new))  # what they hold is found anew
        raise Again


def note_holders(ctx: Context, item: FrontValue, places: frozenset[object], is_put: bool = True) -> None:
    """Remember which lists hold the arrays of an item, by the places that make them; it goes in where `is_put`."""
    elements.keep(ctx, item, places, is_put)
    for part in led_to([item]):
        for c in same_memory(ctx, part.storage) if isinstance(part, ArrayView) else ():
            ctx.holders[c] = ctx.holders.get(c, frozenset()) | places


def takes_items(ctx: Context, fn: FrontValue, nodes: Sequence[ast.expr]) -> bool:
    """Whether a call keeps nothing of lists and generators that its arguments make, nor gives any of their items."""
    made = (n for n in nodes if isinstance(n, ast.ListComp | ast.GeneratorExp))
    if ctx.tensors or not isinstance(fn, Static) or not any(not _binds(n) for n in made):
        return False
    known = fn.value
    is_numpy = isinstance(known, np.ufunc) or (is_numpys(known) and not isinstance(known, type))
    return is_numpy or any(known is f for f in (sum, any, all, len))


def _binds(node: ast.expr) -> bool:
    return any(isinstance(n, ast.NamedExpr) for n in nodes_in(node))


def release(ctx: Context, nodes: Sequence[ast.expr], values: Sequence[FrontValue], before: Set[int]) -> None:
    """After a call that `takes_items`, whose arguments were these: what only the lists that it was given have held may
    change from here on. `before` are the arrays that lists held before these arguments."""
    made = (v for n, v in zip(nodes, values, strict=True) if isinstance(n, ast.ListComp | ast.GeneratorExp))
    keys = frozenset[object]().union(*(v.keys for v in made if isinstance(v, GrowingList) and len(v.keys) == 1))
    for c in ctx.storage.held - before:
        holders = ctx.holders.get(c)
        if holders is not None and holders <= keys:
            ctx.storage.held.remove(c)
            del ctx.holders[c]


def holds_arrays(kind: Kind, dtype: DType) -> bool:
    """Whether items of a kind are arrays of a dtype, or have such parts."""
    match kind:
        case ArrayKind():
            return kind.dtype == dtype
        case TupleKind(items):
            return any(holds_arrays(k, dtype) for k in items)
        case OptionalKind(item):
            return holds_arrays(item, dtype)
        case _:
            return False


def kind_in_memory(ctx: Context, kind: Kind | None, places: Iterable[object]) -> Kind | None:
    """The kind of what is put into lists of these places: its arrays lie in memory where those of the lists do."""
    dtypes = {ctx.pools_known.dtype_at(p) for p in places} - {None}
    return kind if kind is None or not dtypes else _in_memory(kind, dtypes)


def _in_memory(kind: Kind, dtypes: Container[DType | None]) -> Kind:
    match kind:
        case ArrayKind():
            return dataclasses.replace(kind, placed=kind.placed or kind.dtype in dtypes)
        case TupleKind(items):
            return dataclasses.replace(kind, items=tuple(_in_memory(k, dtypes) for k in items))
        case OptionalKind(item):
            return OptionalKind(_in_memory(item, dtypes))
        case _:
            return kind


# -- memory --------------------------------------------------------------------------------------------------------


def make_memory(ctx: Context, dtype: DType) -> ObjectValue:
    """What stands for the memory of a dtype, which holds nothing yet."""
    from tracejit.frontend.kinds import NumberKind

    storage = ctx.storage.new(ctx.b.emit("list_new", (), {"element": ScalarType(dtype)}, names=("memory",))[0])
    data = GrowingList((storage,), NumberKind(dtype, weak=False), frozenset())
    return ctx.new_object(ObjectValue(Memory, {"root": Static(dtype), "data": data}), ctx.frame.source.node, dtype)


def memory_of(ctx: Context, dtype: DType) -> int:
    """The class of the memory of a dtype."""
    data = ctx.pools[dtype].fields["data"]
    return data.storages[0]  # type: ignore[union-attr]


def at_place(ctx: Context, dtype: DType, at: Size, lengths: Sequence[Size]) -> ArrayView:
    """The array whose elements begin at a place of the memory."""
    return ArrayView(memory_of(ctx, dtype), dtype, at, ctx.contiguous_strides(lengths), tuple(lengths))


def placed(ctx: Context, view: ArrayView) -> ArrayView:
    """An array that goes into a list whose arrays lie in memory."""
    if not lies_in_memory(ctx, view):
        require_memory(ctx, view)
    if not is_dense(ctx, view):
        _refuse(ctx, "a part of another array")
    return view


def require_memory(ctx: Context, view: ArrayView) -> NoReturn:
    """Lower again with an array in memory from where it is made."""
    if view.storage in ctx.storage.held:
        place_if_possible(ctx, view)
    known = ctx.pools_known.placed
    new = [p for p in ctx.made.get(view.storage, ()) if p not in known]
    if not new:
        _refuse(ctx, "an argument, or part of one" if view.storage in ctx.arguments else "shared with others")
    known.update((p, view.dtype) for p in new)
    raise Again


def require_one_memory(ctx: Context, *views: tuple[Storage, ArrayView]) -> None:
    """Arrays that meet under one name lie in memory both, or neither."""
    bases = ((storage.bases.get(view.storage), view) for storage, view in views)
    apart = [view for base, view in bases if base is None or not isinstance(base.type, ListType)]
    if len(apart) == 1:
        require_memory(ctx, apart[0])


def note_joined(ctx: Context, storage: int, sources: Iterable[int]) -> None:
    """A class is that of arrays of other classes: what made these, where all of that is known."""
    found = [ctx.made.get(c) for c in sources]
    if None not in found:
        ctx.made[storage] = frozenset[object]().union(*(places for places in found if places is not None))


def in_memory(ctx: Context, view: ArrayView, node: ast.AST) -> ArrayView:
    """An array that an expression gives; one that it makes lies in memory, by rows, where its place makes such."""
    c, storage = view.storage, ctx.storage
    if c in ctx.made or c in ctx.arguments or c in storage.held or lies_in_memory(ctx, view):
        return view
    place = (*ctx.place(node), "array")
    ctx.made[c] = frozenset((place,))
    if ctx.pools_known.dtype_at(place) != view.dtype:
        return view
    shared = (ctx.snapshots, ctx.detached, ctx.converted, ctx.parts, ctx.maybe_views)
    if any(c in group for group in shared) or storage.partners(c) or view.readonly is not False:
        _refuse(ctx, "shared with others")
    if view.via and view.via[0] == "transpose":
        view = ctx.fresh(ctx.load(view))
    content, memory = storage.bases[view.storage], memory_of(ctx, view.dtype)
    at = ctx.b.emit("list_len", (storage.bases[memory],), names=("place",))[0]
    lengths = ctx.dim_sizes(content)
    elements = flat(ctx, stored(ctx, content, at, view.storage), lengths)

    def push(b: Builder, i: Value, held: Value) -> Value:
        return b.emit("list_push", (held, b.emit("fetch", (elements, i))[0]), names=("memory",))[0]

    storage.bases[memory] = repeated(ctx.b, total_size(ctx, lengths), storage.bases[memory], push)
    offset = ctx.sizes.add(ctx.b, at, view.offset)
    return dataclasses.replace(view, storage=memory, offset=offset, prefix=(), plain=False, via=())


def _refuse(ctx: Context, what: str) -> NoReturn:
    raise NotOwn(
        f"an array in a list, whose arrays change in place, is {what}",
        ctx.b.span,
        instead="put a copy into the list, x.copy(), if it shall have its own",
    )
