"""What must hold before an array is written: NumPy allows it, and no copy that Python does not make can be told."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracejit.eager.inplace import LEAF_WRITTEN
from tracejit.errors import ScriptError
from tracejit.frontend.containers.array_memory import same_memory
from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.sizes import MAX_SHOWN, shown_shape
from tracejit.frontend.values import ArrayView, FrontValue
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, ScalarType
from tracejit.ops import coerce
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.context import Context

#: NumPy's message for a write into an array that may not be written.
READ_ONLY = "assignment destination is read-only"


class NeedsSharing(Exception):
    """A name that starts a loop as a copy of a view is written before it is bound anew: lower again without a copy."""

    def __init__(self, start: object) -> None:
        super().__init__()
        self.start = start


@record
class MaybeView:
    """A class copies what Python shares with the class `source` where `shared` holds. At the `start` of a loop, it is a
    copy of all of `view`."""

    source: int
    shared: Value
    view: ArrayView | None = None
    start: object = None


@record
class Part:
    """A class copies what Python shares with `whole`, as `x.real` does; `name` is how it is got. The function of the
    builder `merge`, of `whole` and the part, gives the content of `whole` after a write."""

    whole: ArrayView
    name: str
    merge: str


def _refuse_one_of_two(ctx: Context, view: ArrayView, pairs: Mapping[int, int], reason: str, instead: str) -> None:
    """Refuse a write of one storage of a pair while the other is still of use: the two are one in Python."""
    for copied, source in pairs.items():
        other = {copied: source, source: copied}.get(view.storage)
        if other is not None and (other in ctx.arguments or ctx.is_bound(other)):
            raise ScriptError(reason, ctx.b.span, instead=instead)


def require_writeable(ctx: Context, view: ArrayView) -> None:
    """Raise ValueError at that line where NumPy does. Raises `ScriptError` where a copy stands for what Python shares
    and the write could tell them apart."""
    for flag in (view.readonly, *(ctx.storage.alias(view.storage, c) for c in ctx.readonly)):
        if flag is True:
            ctx.refused_write = ctx.refused_write or view.readonly is not True
            ctx.check_false("ValueError", READ_ONLY)
        if isinstance(flag, Value):
            ctx.check(ctx.b.emit("logical_not", (flag,))[0], "ValueError", READ_ONLY)
    if any(ctx.storage.apart(view.storage, c) is None for c, _ in ctx.storage.partners(view.storage)):
        raise ScriptError(
            "an array is written here that another name stands for, after detach() on some of the paths",
            ctx.b.span,
            instead="copy it where it is detached: x.detach().clone()",
        )
    own = (c for c in ctx.asking if ctx.grad_enabled and ctx.storage.apart(view.storage, c) is False)
    for flag in (ctx.storage.alias(view.storage, c) for c in own):
        if flag is True:
            ctx.check_false("RuntimeError", LEAF_WRITTEN)
        if isinstance(flag, Value):
            ctx.check(ctx.b.emit("logical_not", (flag,))[0], "RuntimeError", LEAF_WRITTEN)
    if any(c in ctx.storage.held for c in same_memory(ctx, view.storage)):
        from tracejit.frontend.containers.placed_arrays import place_if_possible

        place_if_possible(ctx, view)
        if ctx.elements.kept.intersection(same_memory(ctx, view.storage)):
            raise ScriptError(
                "a tensor is written here of which a list holds elements, which would change with it",
                ctx.b.span,
                instead="put copies into the list: items.append(x[i].clone())",
            )
        raise ScriptError(
            "an array that is written here is a copy of what Python shares: an item of a list, or another shape",
            ctx.b.span,
            instead="copy it first, x.copy(), or write into the array it comes from",
        )
    _refuse_one_of_two(
        ctx,
        view,
        ctx.detached,
        "an array is written here while a name stands for what detach() made of it, or it of another's",
        "copy it where it is detached: x.detach().clone()",
    )
    _refuse_one_of_two(
        ctx,
        view,
        ctx.converted,
        "an array is written here that is of one dtype on one path and of another elsewhere",
        "convert it where it is bound first: x.astype(dtype)",
    )
    for copied, part in ctx.parts.items():
        if view.storage == part.whole.storage and ctx.is_bound(copied):
            raise ScriptError(
                f"an array is written here while a name stands for its .{part.name}, which would change with it",
                ctx.b.span,
                instead=f"copy it where it is named: x.{part.name}.copy()",
            )
    for copied, of in ctx.maybe_views.items():
        if view.storage == copied or (view.storage == of.source and ctx.is_bound(copied)):
            if of.start is not None:
                raise NeedsSharing(of.start)
            apart = ctx.b.emit("logical_not", (of.shared,))[0]
            ctx.check(apart, "RuntimeError", "a reshaped array is written that is a view in Python; copy it first")
    for copied, sources in ctx.snapshots.items():
        if view.storage == copied or (view.storage in sources and ctx.is_bound(copied)):
            raise ScriptError(
                "an array that is written here is, on one path only, the same memory as another name's",
                ctx.b.span,
                instead="copy the view where the paths differ: x[i].copy()",
            )


def require_output(c: Calls, made: FrontValue, out: ArrayView, node: ast.AST) -> None:
    """What is computed in place is not stretched to more than the array it is written into."""
    if not isinstance(made, ArrayView):
        return
    numbers: list[Value] = []
    sides = (shown_shape(x.lengths, numbers) for x in (out, made))
    message = "non-broadcastable output operand with shape {} doesn't match the broadcast shape {}".format(*sides)
    if made.rank > out.rank:
        c.ctx.at(node)
        c.ctx.check(c.ctx.b.constant(False, ScalarType(BOOL)), "ValueError", message, *numbers[:MAX_SHOWN])
        raise Unreachable
    c.indexing.require_broadcast(made.lengths, out.lengths, message, numbers[:MAX_SHOWN], node)


@contextmanager
def written_into(out: FrontValue | None, c: Calls) -> Iterator[None]:
    """Errors of shapes that do not fit name that of an output as well, as NumPy's do."""
    if not isinstance(out, ArrayView):
        yield
        return
    token = coerce.OUTPUT.set([n if isinstance(n, int) else c.ctx.handle(n) for n in out.lengths])
    try:
        yield
    finally:
        coerce.OUTPUT.reset(token)
