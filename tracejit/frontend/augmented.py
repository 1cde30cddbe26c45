"""Augmented assignment: `target op= value` changes an array in place and binds a number anew."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracejit.frontend.arith import BINARY
from tracejit.frontend.containers import tables
from tracejit.frontend.containers.array_totals import updating
from tracejit.frontend.control.optionals import require_value
from tracejit.frontend.instances.objects import OPERATORS
from tracejit.frontend.tensors import attributes, elements
from tracejit.frontend.tensors.elementwise import require_same_kind
from tracejit.frontend.tensors.index_items import is_view_index
from tracejit.frontend.tensors.write_checks import require_output, written_into
from tracejit.frontend.values import (
    ArrayView,
    DictValue,
    FrontValue,
    GrowingList,
    ListValue,
    ObjectValue,
    OptionalValue,
    SharedList,
    SharedObject,
    Static,
    TupleValue,
)

if TYPE_CHECKING:
    from tracejit.frontend.statements import Statements


#: Stands for an index while an item is updated.
_INDEX = "$augmented"


def augmented(c: Statements, s: ast.AugAssign) -> None:
    """`target op= value`: in place for arrays, a new binding for numbers."""
    op = BINARY[type(s.op)]
    match s.target:
        case ast.Name(name):
            current = _array(c, c.expressions.name(s.target, name))
            value = updating(c.calls, current, s.value)
            if isinstance(current, ArrayView):
                update_view(c, op, current, value, s)
            elif not _update_element(c, op, current, value, s):
                c.bind(s.target, _in_place(c, op, current, value, s))
        case ast.Subscript(base_node, index):
            with attributes.item_target(c.calls, base_node) as base:
                _update_subscript(c, op, base, index, s)
        case ast.Attribute(base_node, name):
            base = c.expressions.value(base_node)
            current = _array(c, c.calls.attribute(base, name, s.target))
            value = updating(c.calls, current, s.value)
            if isinstance(current, ArrayView):
                update_view(c, op, current, value, s)
            elif not _update_part(c, op, base, current, value, s):
                c.calls.set_attribute(base, name, _in_place(c, op, current, value, s), s)
        case _:
            c.ctx.refuse(s, "this cannot be assigned to", "assign to a name, an element or an attribute")


def _update_subscript(c: Statements, op: str, base: FrontValue, index: ast.expr, s: ast.AugAssign) -> None:
    """`base[index] op= value`."""
    if not isinstance(base, ArrayView):
        with _once(c, index) as index:
            _update_item(c, op, base, index, s)
        return
    items = c.expressions.index_items(index)
    current = c.indexing.read(base, items, s.target)
    value = updating(c.calls, current, s.value)
    c.ctx.at(s)
    if isinstance(current, ArrayView) and is_view_index(items):
        update_view(c, op, current, value, s)
        return
    with written_into(current, c.calls):
        made = c.expressions.binary(op, current, value, s)
    if isinstance(current, ArrayView):
        require_same_kind(c.calls, op, made, current, s)
        require_output(c.calls, made, current, s)
    c.indexing.write(base, items, made, s)


@contextmanager
def _once(c: Statements, index: ast.expr) -> Iterator[ast.expr]:
    """An expression for an index that is read and stored to: what may do something is evaluated here, once."""
    if not any(isinstance(n, ast.Call | ast.NamedExpr) for n in ast.walk(index)):
        yield index
        return
    c.ctx.frame.env[_INDEX] = c.expressions.value(index)
    try:
        yield ast.copy_location(ast.Name(_INDEX, ast.Load()), index)
    finally:
        c.ctx.frame.env.pop(_INDEX, None)


def _update_item(c: Statements, op: str, base: FrontValue, index: ast.expr, s: ast.AugAssign) -> None:
    """`base[index] op= value` where the base is no array."""
    current = _array(c, c.expressions.subscript(base, index, s.target))
    if isinstance(current, ArrayView):
        update_view(c, op, current, updating(c.calls, current, s.value), s)
        if isinstance(base, TupleValue):
            c.store_item(base, index, current, s)  # raises
        return
    value = c.expressions.value(s.value)
    if isinstance(base, GrowingList):
        elements.item_changed(c.ctx, current, base.keys)
    if isinstance(base, GrowingList) or not _update_part(c, op, base, current, value, s):
        c.store_item(base, index, _in_place(c, op, current, value, s), s)


def _update_part(
    c: Statements, op: str, base: FrontValue, current: FrontValue, value: FrontValue, s: ast.AugAssign
) -> bool:
    """`base[index] op= value` or `base.name op= value` of a number; whether it is written in an array."""
    in_memory = isinstance(base, SharedList | SharedObject) or (isinstance(base, ObjectValue) and tables.is_table(base))
    if in_memory and elements.changed_where_it_lies(c.ctx, current):
        return False
    return _update_element(c, op, current, value, s)


def _update_element(c: Statements, op: str, current: FrontValue, value: FrontValue, s: ast.AugAssign) -> bool:
    """`number op= value` of an element of a Tensor, in which it is written; whether it is one."""
    place = elements.changed_in_place(c.ctx, current)
    if place is None:
        return False
    made = c.expressions.binary(op, current, value, s)
    require_same_kind(c.calls, op, made, place, s)
    c.ctx.set_element(place, (), c.indexing.element_value(made, place.dtype, s))
    return True


def _array(c: Statements, current: FrontValue) -> FrontValue:
    """What changes, which must be there where it is an array or None."""
    if isinstance(current, OptionalValue) and isinstance(current.value, ArrayView):
        return require_value(c.ctx, current)
    return current


def _in_place(c: Statements, op: str, current: FrontValue, value: FrontValue, s: ast.AugAssign) -> FrontValue:
    """What `current op= value` binds: the same object where it changes, else a new value."""
    if isinstance(current, ListValue | GrowingList) and op == "add":
        c.calls.method(current, "extend", [value], {}, s)
        return current
    if isinstance(current, ListValue | GrowingList) and op == "mul":
        made = c.expressions.binary(op, current, value, s)
        c.calls.method(current, "clear", [], {}, s)
        c.calls.method(current, "extend", [made], {}, s)
        return current
    if isinstance(current, Static) and isinstance(current.value, set):
        tables.grow_set(c.calls, current.value)
    if isinstance(current, DictValue) and op == "bitor":
        c.calls.method(current, "update", [value], {}, s)
        return current
    name = OPERATORS[op][0].replace("__", "__i", 1)
    if c.calls.objects.has(current, name):
        made = c.calls.objects.special(current, name, [value], s)
        assert made is not None
        return made
    return c.expressions.binary(op, current, value, s)


def update_view(c: Statements, op: str, target: ArrayView, value: FrontValue, s: ast.AugAssign) -> None:
    """`view op= value`, with NumPy's `same_kind` casting of the result."""
    with written_into(target, c.calls):
        made = c.arith.typed(op, s, target, c.calls.operand_array(value, s))
    require_same_kind(c.calls, op, made, target, s)
    require_output(c.calls, made, target, s)
    c.indexing.assign(target, made, s)
