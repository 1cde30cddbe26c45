"""Arrays, and lists whose length is known at run time only, in texts: Python shows their contents as it does its own.

A text holds contents of arrays. Where it is printed or raised, the arrays are first put together outside, element by
element, by the fields `begin` and `item` of `messages.py`.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracejit.eager.modes import MODE
from tracejit.errors import ScriptError
from tracejit.frontend.boundary.signature import constant_access
from tracejit.frontend.containers import tables
from tracejit.frontend.kinds import ArrayKind, ChoiceKind, Kind, NumberKind, SharedKind, TextKind, TupleKind
from tracejit.frontend.tensors.array_facts import GRADIENTS, note_asked
from tracejit.frontend.texts import made_texts
from tracejit.frontend.values import (
    ArrayView,
    FrontValue,
    GrowingList,
    Number,
    ObjectValue,
    SequenceValue,
    SharedList,
    Static,
    describe,
    shown_class,
)
from tracejit.ir.core import Value
from tracejit.ir.reached import Truth, any_of
from tracejit.ir.types import I64, TensorType, is_differentiable
from tracejit.messages import hidden

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: Whether a call is recorded on the eager tape.
_RECORDS = constant_access(MODE).step("attribute", "enabled")
#: An array of more axes has too many sizes for one print.
_MOST_AXES = 8


def field(
    c: Calls, value: ArrayView | GrowingList | SharedList, node: ast.AST
) -> tuple[str, tuple[Value, ...], tuple[Value, ...]]:
    """The field that shows an array or list, the numbers, and the contents of the arrays that it is made of."""
    if not isinstance(value, ArrayView):
        items = c.objects.items(value, node) if isinstance(value, SharedList) else value
        assert isinstance(items, GrowingList)
        arrays: list[Value] = []
        return _items(c, items, arrays, node), (), tuple(arrays)
    if value.rank > _MOST_AXES:
        c.ctx.refuse(node, f"an array of {value.rank} axes cannot be shown in a message", "show a part of it")
    content = c.ctx.load(value)
    if not c.ctx.tensors:
        return "array(a0)", (), (content,)
    asked = asks(c, value, content)
    return (
        ("tensor(a0,v0)", (asked,), (content,)) if isinstance(asked, Value) else (f"tensor(a0,{asked})", (), (content,))
    )


def asks(c: Calls, shown: ArrayView | Number, content: Value) -> Truth:
    """Whether a tensor asks for gradients: what the trips of a loop around hand on does, and what is made under
    `no_grad`, in the script or around its call, does not."""
    note_asked(GRADIENTS)
    is_made_here = not (isinstance(shown, ArrayView) and shown.is_whole) and all(
        v is not shown for f in c.ctx.frames() for v in f.env.values()
    )
    if not is_differentiable(content.type) or (is_made_here and not c.ctx.grad_enabled):
        return False
    is_argument = isinstance(shown, ArrayView) and shown.is_whole and shown.storage in c.ctx.arguments
    if not is_argument and not is_recorded(c):
        return False
    return _leads(c, content)


def _leads(c: Calls, content: Value) -> Truth:
    """Whether a value leads to a leaf. Functions with derivatives of their own record nothing: in them, only what they
    are given may."""
    for block in reversed(c.custom_blocks):
        if content not in block.operands:
            return False
        content = block.operands[content]
    if c.gradients.around is not None and c.gradients.around.has_leaves:
        reason = "whether a tensor asks for gradients is not known in a function that calls itself"
        raise ScriptError(reason, c.ctx.b.span, instead="ask before the call, and pass the answer")
    reach = c.gradients.reach(depth=c.custom_blocks[0].depth if c.custom_blocks else None)
    return any_of(c.ctx.b, reach.of(content))


def is_recorded(c: Calls) -> bool:
    """Whether gradients are on around the call, guarded."""
    return c.statics.guarded(MODE.enabled, _RECORDS).value  # type: ignore[union-attr]


def table_field(c: Calls, value: ObjectValue, node: ast.AST) -> tuple[str, tuple[Value, ...]]:
    """The field that shows such a container, and the contents of the arrays it is made of."""
    kind = shown_class(value.cls)
    columns, argument = tables.columns(c, value, node)
    arrays: list[Value] = []
    parts = [_items(c, column, arrays, node) for column in columns]
    if argument is not None and not (isinstance(argument, Static) and (argument.value is None or kind is deque)):
        c.ctx.refuse(node, f"{describe(value)} cannot be shown in a message", "show dict(items)")
    if isinstance(argument, Static) and argument.value is not None:
        parts.append(repr(argument.value))
    return f"{kind.__name__}({','.join(parts)})", tuple(arrays)


def _items(c: Calls, lst: GrowingList, arrays: list[Value], node: ast.AST) -> str:
    """What makes the items of a list, of arrays that are added."""
    from tracejit.frontend.containers.list_arrays import columns, stacked

    match lst.kind:
        case NumberKind(_, weak):
            arrays.append(c.ctx.load(stacked(c, lst, node)))
            return f"{'numbers' if weak else 'items'}(a{len(arrays) - 1})"
        case ArrayKind(_, sizes) if None not in sizes and not c.ctx.tensors:
            arrays.append(c.ctx.load(stacked(c, lst, node)))
            return f"items(a{len(arrays) - 1})"
        case ChoiceKind(options) if isinstance(options[0], str):
            arrays.append(
                c.ctx.load(stacked(c, GrowingList(lst.storages, NumberKind(I64, weak=True), frozenset()), node))
            )
            return f"texts(a{len(arrays) - 1},{','.join(repr(hidden(o)) for o in options)})"
        case TextKind():
            numbers = GrowingList(lst.storages, NumberKind(I64, weak=True), frozenset())
            parts = [_items(c, column, arrays, node) for column in (*made_texts.lists_of(c.ctx), numbers)]
            others = map(repr, made_texts.words(c.ctx)) if lst.kind.is_open else ()
            return f"made_texts({','.join((*parts, *others))})"
        case SharedKind(root):
            fields = c.ctx.pools[root].fields
            data, start, count = (fields[name] for name in ("data", "start", "count"))
            assert isinstance(data, GrowingList) and isinstance(start, GrowingList) and isinstance(count, GrowingList)
            numbers = GrowingList(lst.storages, NumberKind(I64, weak=True), frozenset())
            parts = [_items(c, column, arrays, node) for column in (data, start, count, numbers)]
            return f"shared({','.join(parts)})"
        case TupleKind(items, cls) if cls in (tuple, list) and items and all(map(_is_shown, items)):
            parts = [_items(c, column, arrays, node) for column in columns(lst)]
            return f"{cls.__name__}s({','.join(parts)})"
        case _:
            c.ctx.refuse(node, f"{describe(lst)} of such items cannot be shown in a message", "show its items")


def _is_shown(kind: Kind) -> bool:
    return isinstance(kind, NumberKind | ArrayKind | TupleKind | SharedKind | ChoiceKind | TextKind)


def put_together(c: Calls, arrays: Sequence[Value], node: ast.AST) -> None:
    """Let the next text find these contents."""
    for i, content in enumerate(arrays):
        assert isinstance(content.type, TensorType)
        c.ctx.at(node)
        dtype = content.type.dtype
        view = c.ctx.fresh(content)
        sizes = tuple(map(c.ctx.size_value, view.lengths))
        numbers = "".join(f",v{k}" for k in range(len(sizes)))
        template = f"{{begin('{dtype.numpy_name}',{i}{numbers})}}"
        c.ctx.b.emit("print", sizes, {"template": template})
        _put_items(c, view, node)


def _put_items(c: Calls, view: ArrayView, node: ast.AST) -> None:
    from tracejit.frontend.tensors.reshaping import reshaped

    flat = reshaped(c, view, [-1], node)
    is_complex = view.dtype.is_complex

    def put(i: Value, _: FrontValue) -> None:
        found = c.ctx.element(flat, (i,)).value
        parts = tuple(c.ctx.b.emit(p, (found,))[0] for p in ("real", "imag")) if is_complex else (found,)
        c.ctx.b.emit("print", parts, {"template": "{item(v0,v1)}" if is_complex else "{item(v0)}"})

    c.lists.each(SequenceValue(flat.lengths[0], lambda i: c.ctx.size_number(i)), put, node)
