"""Comparisons of containers: order, equality of dicts, `in`; `is`."""

from __future__ import annotations

import ast
import enum
import operator
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracejit.frontend.arith import PYTHON
from tracejit.frontend.containers import list_calls, tables
from tracejit.frontend.containers.dict_items import known_key
from tracejit.frontend.containers.key_order import certain, in_order
from tracejit.frontend.containers.odd_keys import is_there
from tracejit.frontend.control.choices import each
from tracejit.frontend.control.dependence import may_become_known
from tracejit.frontend.tensors import arrays
from tracejit.frontend.texts import made_texts
from tracejit.frontend.values import (
    ArrayView,
    ChoiceValue,
    DictValue,
    DictView,
    FrontValue,
    GeneratorValue,
    GrowingList,
    ListValue,
    MessageValue,
    Number,
    ObjectValue,
    SharedList,
    SharedText,
    Static,
    TupleValue,
    type_name,
)
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL

if TYPE_CHECKING:
    from tracejit.frontend.expressions import Expressions


def dicts(e: Expressions, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
    """`|`, `==` and `!=` of dicts."""
    assert isinstance(x, DictValue) and isinstance(y, DictValue)
    if op == "bitor":
        return e.ctx.new_object(x.like({**in_order(e.ctx, x, node), **in_order(e.ctx, y, node)}, frozenset()), node)
    certain(e.ctx, x, node)
    certain(e.ctx, y, node)
    with_order = x.cls is y.cls is OrderedDict
    if with_order and x.items.keys() == y.items.keys():
        in_order(e.ctx, x, node)
        in_order(e.ctx, y, node)
    if x.items.keys() != y.items.keys() or (with_order and list(x.items) != list(y.items)):
        return Static(op == "ne")
    return e.binary(op, TupleValue(tuple(x.items.values())), TupleValue(tuple(y.items[k] for k in x.items)), node)


def views(e: Expressions, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
    """Operators of the keys, values and items of dicts whose keys are known: keys are a set."""
    one, other = _as_set(x), _as_set(y)
    if one is not None and other is not None:
        return e.binary(op, one, other, node)
    has_items = [isinstance(v, DictView) and v.kind.endswith("items") for v in (x, y)]
    if op in ("eq", "ne") and all(has_items):
        return dicts(e, op, _of_items(x), _of_items(y), node)
    if any(has_items) and all(isinstance(v, DictView) or _as_set(v) is not None for v in (x, y)):
        e.ctx.refuse(node, "items of a dict as a set are outside the language", "compare the dicts, or their keys")
    return Static((op == "eq") is (x is y)) if op in ("eq", "ne") else e.arith.unsupported(op, x, y, node)


def disjoint(e: Expressions, view: DictView, other: FrontValue, node: ast.AST) -> FrontValue:
    """`view.isdisjoint(other)` of the keys or items of a dict whose keys are known."""
    own = _as_set(view)
    if own is None:
        e.ctx.refuse(node, "items of a dict as a set are outside the language", "compare the dicts, or their keys")
    others = _as_set(other) or e.calls.call_object(set, [other], {}, node)
    return e.negated(e.binary("bitand", others, own, node), node)


def _as_set(value: FrontValue) -> FrontValue | None:
    """The set that the keys of a dict are; a set itself; None for others."""
    if isinstance(value, DictView):
        return Static({k.value for k in value.items if isinstance(k, Static)}) if value.kind.endswith("keys") else None
    is_set = isinstance(value, ObjectValue) or (isinstance(value, Static) and isinstance(value.value, set | frozenset))
    return value if is_set else None


def _of_items(value: FrontValue) -> DictValue:
    assert isinstance(value, DictView)
    pairs = (item.items for item in value.items if isinstance(item, TupleValue))
    return DictValue({k.value: v for k, v in pairs if isinstance(k, Static)})


def ordered(e: Expressions, op: str, xs: Sequence[FrontValue], ys: Sequence[FrontValue], node: ast.AST) -> FrontValue:
    """Lexicographic comparison: the first items that are not equal decide, and only they are compared."""
    if not xs or not ys:
        return Static(PYTHON[op](len(xs), len(ys)))
    (a, *more), (b, *others) = xs, ys
    same = True if a is b else e.arith.truth(e.binary("eq", a, b, node), node)
    if same is False:
        return e.binary(op, a, b, node)
    if same is True:
        return ordered(e, op, more, others, node)
    if all(map(e.arith.is_number, (*xs, *ys))):  # no comparison raises: no branches
        less = e.binary("lt" if op in ("lt", "le") else "gt", a, b, node)
        return either(e, less, e.calls.both(Number(same, weak=True), ordered(e, op, more, others, node), node), node)
    return e.choose(node, same, lambda: ordered(e, op, more, others, node), lambda: e.binary(op, a, b, node))


def matmul_or_equal(e: Expressions, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
    """`@`, and `==` and `!=` of sequences of known length."""
    if op == "matmul":
        if not isinstance(x, ArrayView) and not isinstance(y, ArrayView):
            kinds = f"'{type_name(x)}' and '{type_name(y)}'"
            return e.arith.mismatch(TypeError(f"unsupported operand type(s) for @: {kinds}"), node)
        return arrays.function(e.calls, "matmul", [x, y], {}, node)
    if type(x) is not type(y) or len(x.items) != len(y.items):  # type: ignore[union-attr]
        return Static(op == "ne")
    result: FrontValue = Static(True)
    for a, b in zip(x.items, y.items, strict=True):  # type: ignore[union-attr]
        if a is not b:  # what is the same object counts as equal
            result = e.calls.both(result, e.binary("eq", a, b, node), node)
        if isinstance(result, Static) and not result.value:
            break
    equal = e.arith.truth(result, node)
    if isinstance(equal, bool):
        return Static(equal == (op == "eq"))
    return Number(equal if op == "eq" else e.ctx.b.emit("logical_not", (equal,))[0], weak=True)


def lists(e: Expressions, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
    """Comparison of lists whose length is known at run time only."""
    from tracejit.frontend.written.lists import at_most, equal, less

    if op in ("eq", "ne"):
        same = e.calls.call_object(equal, [x, y], {}, node)
        return same if op == "eq" else e.negated(same, node)
    comes = less if op in ("lt", "gt") else at_most
    return e.calls.call_object(comes, [x, y] if op in ("lt", "le") else [y, x], {}, node)


def _stands_for_nothing(value: object) -> bool:
    """Whether an object is one that scripts do not compute: NotImplemented, `...`, a class, `object()`."""
    return value is NotImplemented or value is Ellipsis or type(value) is object or isinstance(value, type)


def identical(e: Expressions, left: FrontValue, right: FrontValue, node: ast.AST) -> FrontValue:
    """`is`: between compile-time objects, and with None, True and False."""
    if isinstance(left, Static) and isinstance(right, Static):
        return Static(left.value is right.value)
    if any(isinstance(x, Static) and x.value is None for x in (left, right)):
        return Static(False)
    for x, y in ((left, right), (right, left)):
        if isinstance(x, Static) and _stands_for_nothing(x.value):
            return Static(False)
        if isinstance(x, Static) and isinstance(x.value, bool) and isinstance(y, Number) and y.weak:
            return Static(False) if y.dtype != BOOL else y if x.value else e.negated(y, node)
        if isinstance(x, Static) and isinstance(x.value, bool) and isinstance(y, TupleValue | ListValue | GrowingList):
            return Static(False)
    if left is right:
        return Static(True)
    lists = [x for x in (left, right) if isinstance(x, ListValue)]
    if len(lists) == 2 and not e.ctx.level and all(x.level >= 0 for x in lists):  # below 0: read from a list just now
        return Static(False)
    if isinstance(left, SharedList) and isinstance(right, SharedList) and left.pool is right.pool:
        return Number(e.ctx.b.emit("eq", (left.at, right.at))[0], weak=True)
    kinds = (DictValue, ObjectValue, Number, ArrayView, TupleValue, Static)
    merged = e.ctx.heap.merged
    is_known = all(isinstance(x, kinds) and (isinstance(x, Static) or x not in merged) for x in (left, right))
    one_array = isinstance(left, ArrayView) != isinstance(right, ArrayView)
    if is_known and (one_array or any(isinstance(x, DictValue | ObjectValue) for x in (left, right))):
        return Static(False)
    e.ctx.refuse(node, "'is' compares compile-time objects and None only", "use ==")


def either(e: Expressions, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
    """`x or y` of two conditions."""
    return e.negated(e.calls.both(e.negated(x, node), e.negated(y, node), node), node)


def contains(e: Expressions, item: FrontValue, container: FrontValue, node: ast.AST) -> FrontValue:
    """`item in container`."""
    item, container = made_texts.kept(e.calls, item, node), made_texts.kept(e.calls, container, node)
    if isinstance(item, SharedText) and isinstance(container, Static) and isinstance(container.value, str):
        container = made_texts.stored(e.calls, container, node)
    if isinstance(item, ChoiceValue) and isinstance(container, DictValue | Static | ChoiceValue | MessageValue):
        tables.grow_for_many(e.calls, container, item)
        return each(e, item, lambda o: contains(e, o, container, node), node)
    if isinstance(container, DictValue):
        if tables.is_run_time_key(item) and not may_become_known(e.ctx, item):
            tables.grow_unless_given(container)
            return contains(e, item, TupleValue(tuple(map(tables.constant, certain(e.ctx, container, node)))), node)
        if isinstance(item, TupleValue):
            item = Static(tables.key_of(e.calls, item, node))
        return is_there(container, known_key(e, item, node))
    if isinstance(container, ChoiceValue) and isinstance(container.options[0].value, enum.Flag):
        return each(e, container, lambda o: contains(e, item, o, node), node)
    if isinstance(container, GeneratorValue):
        return e.calls.call_object(operator.contains, [container, item], {}, node)
    if tables.is_iterator(container):
        e.ctx.refuse(node, "'in' of an iterator uses up what comes before", "write a loop")
    own = e.calls.objects.special(container, "__contains__", [item], node)
    if own is not None:
        return e.calls.call_object(bool, [own], {}, node)
    runs_over = e.calls.objects.iterated(container, node)
    if runs_over is not container and not tables.is_iterator(runs_over):
        return contains(e, item, runs_over, node)
    if isinstance(container, Static) and isinstance(container.value, set | frozenset):
        tables.require_hashable(e.calls, item, node)
    if isinstance(container, Static) and isinstance(container.value, set) and tables.is_run_time_key(item):
        tables.grow_set(e.calls, container.value)
    if isinstance(container, Static) and isinstance(item, Static):
        return e.calls.call_now(operator.contains, [container, item], {}, node)
    if type_name(container) == "str" and type_name(item) != "str":
        text = f"'in <string>' requires string as left operand, not {type_name(item)}"
        return e.arith.mismatch(TypeError(text), node)
    if isinstance(container, ArrayView):
        found = arrays.function(e.calls, "any", [e.binary("eq", container, item, node)], {}, node)
        return e.calls.call_object(bool, [found], {}, node)
    if list_calls.is_unknown(e.calls, container):
        return list_calls.contains(e.calls, container, item, node)
    items = e.unpackable(container, None, node)
    result: FrontValue = Static(False)
    for other in items:
        if other is item and isinstance(item, ArrayView):  # what is the same object counts as equal
            return Static(True)
        same = e.arith.truth(e.binary("eq", item, other, node), node)
        if same is True:
            return Static(True)
        if isinstance(same, Value):
            known = isinstance(result, Static)
            value = same if known else e.ctx.b.emit("logical_or", (result.value, same))[0]  # type: ignore[union-attr]
            result = Number(value, weak=True)
    return result
