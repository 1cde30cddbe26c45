"""Methods of lists, and builtins over sequences whose length is known at run time only."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracejit.frontend.containers import tables
from tracejit.frontend.containers.generators import all_items
from tracejit.frontend.containers.list_arrays import columns, stacked
from tracejit.frontend.containers.merged_lists import may_change, require_own
from tracejit.frontend.control.optionals import EMPTY_TOTAL, there_to_run_over
from tracejit.frontend.kinds import ArrayKind, ChoiceKind, NumberKind, TupleKind
from tracejit.frontend.tensors.slices import slice_bounds
from tracejit.frontend.values import (
    ArrayView,
    BoundFunction,
    FrontValue,
    GeneratorValue,
    GrowingList,
    ListValue,
    MessageValue,
    Number,
    ObjectValue,
    SequenceValue,
    SharedList,
    SharedObject,
    SharedText,
    Size,
    SliceValue,
    Static,
    TupleValue,
    type_name,
)
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, I64, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.expressions import Expressions

_CHANGES = frozenset({"append", "extend", "insert", "pop", "clear", "reverse", "remove", "sort"})
METHODS = _CHANGES | {"copy", "index", "count"}


def is_unknown(c: Calls, value: FrontValue) -> bool:
    """Whether the number of items is known at run time only (or is too large to have code for each)."""
    match c.as_operand(value):
        case GrowingList():
            return True
        case SharedList() | GeneratorValue() | SharedText() | MessageValue():
            return True
        case ObjectValue() | SharedObject() as x:
            return tables.is_table(x) or tables.is_iterator(x)
        case ArrayView() as x:
            return not (x.rank and isinstance(x.lengths[0], int))
        case SequenceValue(length, _, static):
            return static is None and not (isinstance(length, int) and length <= c.ctx.growing.unrolled)
        case _:
            return False


# -- methods ----------------------------------------------------------------------------------------------------


def method(
    c: Calls,
    receiver: ListValue | GrowingList,
    name: str,
    args: list[FrontValue],
    kwargs: dict[str, FrontValue],
    node: ast.AST,
) -> FrontValue:
    """`receiver.name(...)` of a list; `name` is one of `METHODS`."""
    args = [c.kept(a) for a in args]
    if name == "extend":
        args = [c.as_operand(all_items(c, there_to_run_over(c.ctx, a), node)) for a in args]
    wanted = {"append": 1, "extend": 1, "remove": 1, "index": 1, "count": 1, "insert": 2}.get(name, 0)
    most = {"pop": 1, "index": 3}.get(name, wanted)
    if not wanted <= len(args) <= most:
        return c.arith.mismatch(TypeError(f"{name}() takes {wanted} arguments ({len(args)} given)"), node)
    for keyword in set(kwargs) - ({"reverse", "key"} if name == "sort" else set[str]()):
        given = f"got an unexpected keyword argument '{keyword}'" if name == "sort" else "takes no keyword arguments"
        return c.arith.mismatch(TypeError(f"{name if name == 'sort' else f'list.{name}'}() {given}"), node)
    if isinstance(receiver, GrowingList):
        return _growing_method(c, receiver, name, args, kwargs, node)
    if name in _CHANGES and not _is_static_change(c, receiver, name, args):
        items = args[-1:] if name in ("append", "insert") else []
        if name == "extend" and not is_unknown(c, args[0]):
            items = c.expressions.known_items(args[0], node)
        c.lists.grown(receiver, node, items)
    return _static_method(c, receiver, name, args, kwargs, node)


def _is_static_change(c: Calls, receiver: ListValue, name: str, args: list[FrontValue]) -> bool:
    """Whether the list keeps a structure known when the function is compiled."""
    if not may_change(c.ctx, receiver):
        return False
    match name:
        case "extend":
            return not is_unknown(c, args[0])
        case "pop" | "insert":
            return not args or isinstance(args[0], Static)
        case "remove":
            return all(isinstance(i, Static) for i in [*receiver.items, *args])
        case _:
            return True


def _static_method(
    c: Calls, receiver: ListValue, name: str, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    items = receiver.items
    match name:
        case "append":
            items.append(args[0])
        case "extend":
            items.extend(c.expressions.known_items(args[0], node))
        case "insert":
            items.insert(c.static(args[0], node, "a list index"), args[1])
        case "clear":
            items.clear()
        case "reverse":
            items.reverse()
        case "sort":
            ordered = c.call_object(sorted, [receiver], kwargs, node)
            if isinstance(ordered, GrowingList):  # too many to compare each with each
                c.lists.grown(receiver, node)
            items[:] = c.expressions.known_items(ordered, node)
        case "copy":
            return c.lists.made(items, node)
        case "pop":
            at = c.static(args[0], node, "a list index") if args else -1
            try:
                return items.pop(at)
            except (IndexError, TypeError) as error:
                return c.arith.mismatch(error, node)
        case _ if all(isinstance(i, Static) for i in [*items, *args]):
            values = [i.value for i in items]  # type: ignore[union-attr]
            if name != "remove":
                return c.call_now(getattr(values, name), args, {}, node)
            gone = args[0].value  # type: ignore[union-attr]
            if gone not in values:
                return c.arith.mismatch(ValueError("list.remove(x): x not in list"), node)
            del items[values.index(gone)]
        case _:
            return count(c, receiver, args[0], node) if name == "count" else index(c, receiver, args, node)
    return Static(None)


def _growing_method(
    c: Calls, lst: GrowingList, name: str, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    lists = c.lists
    match name:
        case "append":
            lists.push(lst, args[0], node)
        case "extend":
            lists.extend(lst, c.expressions.iterable(args[0], node), node)
        case "insert":
            _insert(c, lst, args[0], args[1], node)
        case "pop" if not args or args[0] == Static(-1):
            return lists.pop(lst, node)
        case "pop":
            lists.require_filled(lst, "IndexError", "pop from empty list")
            return _remove_at(c, lst, args[0], node, "pop index out of range")
        case "remove":
            _remove_at(c, lst, index(c, lst, args, node, "list.remove(x): x not in list"), node, "")
        case "clear":
            lists.rebuild(lst, lambda made: None, node)
        case "reverse":
            everything = c.call_object(reversed, [lst], {}, node)
            assert isinstance(everything, SequenceValue)
            lists.rebuild(lst, lambda made: lists.extend(made, everything, node), node)
        case "sort":
            ordered = sorted_items(c, lst, kwargs, node)
            lists.rebuild(lst, lambda made: lists.extend(made, ordered, node), node)
        case "copy":
            return lists.copied(lists.items(lst), node)
        case "count":
            return count(c, lst, args[0], node)
        case _:
            return index(c, lst, args, node)
    return Static(None)


def delete(c: Calls, lst: ListValue | GrowingList, at: FrontValue, node: ast.AST) -> None:
    """`del lst[at]`."""
    if not isinstance(at, SliceValue):
        _delete_item(c, lst, at, node)
        return
    bounds = _static_slice(at)
    if isinstance(lst, ListValue) and bounds is not None and may_change(c.ctx, lst):
        del lst.items[bounds]
    elif isinstance(lst, ListValue):
        c.lists.grown(lst, node)
    else:
        start, count, step = slice_bounds(c.ctx, at, c.lists.length(lst), node)
        if step != 1:
            _delete_each(c, lst, (start, count, step), node)
            return
        _splice(c, lst, start, count, c.expressions.iterable(TupleValue(()), node), node)


def _delete_each(c: Calls, lst: GrowingList, places: tuple[Size, Size, Size], node: ast.AST) -> None:
    from tracejit.frontend.written.lists import delete_each

    c.call_object(delete_each, [lst, *map(c.ctx.size_number, places)], {}, node)


def _delete_item(c: Calls, lst: ListValue | GrowingList, at: FrontValue, node: ast.AST) -> None:
    if isinstance(lst, GrowingList):
        _remove_at(c, lst, at, node, "list assignment index out of range")
    elif not (isinstance(at, Static) and may_change(c.ctx, lst)):
        c.lists.grown(lst, node)
    else:
        try:
            del lst.items[at.value]
        except (IndexError, TypeError) as error:
            c.arith.mismatch(error, node)


def replace_slice(c: Calls, lst: GrowingList, at: SliceValue, value: FrontValue, node: ast.AST) -> None:
    """`lst[at] = value`."""
    start, count, step = slice_bounds(c.ctx, at, c.lists.length(lst), node)
    items = c.expressions.iterable(all_items(c, value, node), node)
    if step == 1:
        _splice(c, lst, start, count, items, node)
    else:
        _replace_each(c, lst, (start, count, step), items, node)


def _splice(c: Calls, lst: GrowingList, start: Size, count: Size, items: SequenceValue, node: ast.AST) -> None:
    """Put items in the place of `count` others."""
    lists, n = c.lists, c.lists.length(lst)
    stop = c.ctx.sizes.add(c.ctx.b, start, count)

    def fill(made: GrowingList) -> None:
        lists.extend(made, lists.part(lst, 0, start), node)
        lists.extend(made, items, node)
        lists.extend(made, lists.part(lst, stop, n), node)

    lists.rebuild(lst, fill, node)


def _replace_each(
    c: Calls, lst: GrowingList, bounds: tuple[Size, Size, Size], items: SequenceValue, node: ast.AST
) -> None:
    """Put items in the place of as many others, which lie some steps apart."""
    ctx, sizes, b = c.ctx, c.ctx.sizes, c.ctx.b
    require_own(ctx, lst, node)
    start, count, step = bounds
    if items.sources & set(lst.storages):
        items = c.lists.items(c.lists.copied(items, node))
    if items.length != count:
        given, wanted = ctx.size_value(items.length), ctx.size_value(count)
        text = "attempt to assign sequence of size {0} to extended slice of size {1}"
        ctx.check(b.emit("eq", (given, wanted))[0], "ValueError", text, given, wanted)

    def replace(i: Size, item: FrontValue) -> None:
        c.lists.replace(lst, sizes.add(ctx.b, start, sizes.mul(ctx.b, i, step)), item, node)

    c.lists.each(items, replace, node)


def set_slice(c: Calls, lst: ListValue, at: SliceValue, value: FrontValue, node: ast.AST) -> bool:
    """`lst[at] = value` where all is known when the function is compiled; whether it is."""
    bounds = _static_slice(at)
    if bounds is None or is_unknown(c, value) or not may_change(c.ctx, lst):
        return False
    try:
        lst.items[bounds] = c.expressions.known_items(value, node)
    except ValueError as error:
        c.arith.mismatch(error, node)
    return True


def _static_slice(at: SliceValue) -> slice | None:
    parts = [None if p is None else p.value if isinstance(p, Static) else NotImplemented for p in _bounds(at)]
    return None if NotImplemented in parts else slice(*parts)


def _bounds(at: SliceValue) -> tuple[FrontValue | None, ...]:
    return at.start, at.stop, at.step


def _insert(c: Calls, lst: GrowingList, at: FrontValue, item: FrontValue, node: ast.AST) -> None:
    lists, n = c.lists, c.lists.length(lst)
    place, _, _ = slice_bounds(c.ctx, SliceValue(at, None, None), n, node)

    def fill(made: GrowingList) -> None:
        lists.extend(made, lists.part(lst, 0, place), node)
        lists.push(made, item, node)
        lists.extend(made, lists.part(lst, place, n), node)

    lists.rebuild(lst, fill, node)


def _remove_at(c: Calls, lst: GrowingList, at: FrontValue, node: ast.AST, message: str) -> FrontValue:
    """Take an item out; `message` says that there is none at that index."""
    lists, n = c.lists, c.lists.length(lst)
    place = lists.place(lst, at, node, message)
    found = lists.get(lst, place)

    def fill(made: GrowingList) -> None:
        lists.extend(made, lists.part(lst, 0, place), node)
        lists.extend(made, lists.part(lst, c.ctx.sizes.add(c.ctx.b, place, 1), n), node)

    lists.rebuild(lst, fill, node)
    return found


def sorted_items(c: Calls, value: FrontValue, kwargs: dict[str, FrontValue], node: ast.AST) -> SequenceValue:
    """Items in ascending order of their keys; items of equal keys stay in order."""
    lst = value if isinstance(value, GrowingList) else c.lists.copied(c.expressions.iterable(value, node), node)
    descending = bool(c.static(kwargs.get("reverse", Static(False)), node, "'reverse'"))
    key = comparable(kwargs).get("key", Static(None))
    keys = lst if isinstance(key, Static) and key.value is None else _keys(c, lst, key, node)
    n = c.lists.length(lst)
    last = c.ctx.sizes.sub(c.ctx.b, n, 1)
    if keys is lst and isinstance(lst.kind, NumberKind):
        made = _called(c, "sort", [stacked(c, lst, node)], node)
        weak = lst.kind.weak
        return SequenceValue(
            n,
            lambda i: Number(
                c.ctx.element(made, (c.ctx.sizes.sub(c.ctx.b, last, i) if descending else i,)).value, weak
            ),
        )
    numbers = _number_columns(keys)
    if numbers is None:
        from tracejit.frontend.written.sequences import places_in_order

        places = c.call_object(places_in_order, [keys, Static(descending)], {}, node)
        assert isinstance(places, GrowingList)
        return SequenceValue(n, lambda i: c.lists.get(lst, c.ctx.as_size(c.lists.get(places, i), node)))
    order = _order(c, numbers, descending, node)

    def item(i: Value) -> FrontValue:
        at = c.ctx.element(order, (c.ctx.sizes.sub(c.ctx.b, last, i) if descending else i,)).value
        c.ctx.sizes.note_lower(at, 0)
        return c.lists.get(lst, c.ctx.sizes.sub(c.ctx.b, last, at) if descending else at)

    return SequenceValue(n, item)


def comparable(kwargs: dict[str, FrontValue]) -> dict[str, FrontValue]:
    """The keywords of a function that compares, with a `key` that may not give None."""
    from tracejit.frontend.written.sequences import compared_by

    key = kwargs.get("key")
    if key is None or isinstance(key, Static):
        return kwargs
    return {**kwargs, "key": BoundFunction(Static(compared_by), (key,))}


def _keys(c: Calls, lst: GrowingList, key: FrontValue, node: ast.AST) -> GrowingList:
    """What the items of a list are compared by."""
    path = c.ctx.path
    c.ctx.path = (*path, "keys")
    try:
        made = c.lists.empty(node)
        items = c.lists.items(lst)
        keyed = SequenceValue(
            items.length, lambda i: c.call_value(key, [items.item(i)], {}, node), sources=items.sources
        )
        c.lists.extend(made, keyed, node)
        return made
    finally:
        c.ctx.path = path


def _order(c: Calls, keys: Sequence[GrowingList], descending: bool, node: ast.AST) -> ArrayView:
    """The places of a list's items in ascending order of these columns of numbers, from the end of the list where it is
    `descending`: so equal ones stay in order when it is read backwards."""
    order: ArrayView | None = None
    for column in reversed(keys):
        values = stacked(c, column, node)
        if descending:
            values = c.indexing.read(values, [SliceValue(None, None, Static(-1))], node)
            assert isinstance(values, ArrayView)
        if values.dtype == BOOL:
            values = _called(c, "astype", [values, Static("int64")], node)
        by = values if order is None else _called(c, "take", [values, order], node)
        places = _called(c, "argsort", [by], node, stable=Static(True))
        order = places if order is None else _called(c, "take", [order, places], node)
    assert order is not None
    return order


def _number_columns(keys: GrowingList) -> list[GrowingList] | None:
    """The columns of numbers that say in which order items are; None where `<` does."""
    match keys.kind:
        case NumberKind(dtype) if not dtype.is_complex:
            return [keys]
        case ChoiceKind(options) if isinstance(options[0], str):  # they are numbered in their order
            return [GrowingList(keys.storages, NumberKind(I64, weak=True), frozenset())]
        case TupleKind(items) as kind if items and kind.is_ordered_by_items:
            found = [_number_columns(column) for column in columns(keys)]
            return None if None in found else [part for parts in found if parts is not None for part in parts]
        case _:
            return None


def _called(c: Calls, name: str, args: list[FrontValue], node: ast.AST, **kwargs: FrontValue) -> ArrayView:
    from tracejit.frontend.tensors.arrays import function, method

    if name == "astype":
        made = method(c, args[0], name, args[1:], kwargs, node)
    else:
        made = function(c, name, args, kwargs, node)
    assert isinstance(made, ArrayView)
    return made


# -- builtins over sequences ------------------------------------------------------------------------------------


def total(c: Calls, value: FrontValue, start: FrontValue, node: ast.AST) -> FrontValue:
    """`sum(value, start)`."""
    sequence = c.expressions.iterable(value, node)
    if isinstance(value, GrowingList) and isinstance(value.kind, ArrayKind) and c.arith.is_number(start):
        # the sum of none would be the number, that of some is an array
        c.lists.require_filled(value, "TypeError", EMPTY_TOTAL)
        start = c.expressions.binary("add", start, sequence.item(0), node)
        rest = c.ctx.sizes.sub(c.ctx.b, sequence.length, 1)
        sequence = SequenceValue(
            rest, lambda i: c.lists.get(value, c.ctx.sizes.add(c.ctx.b, i, 1)), sources=sequence.sources
        )
    return c.lists.folded(sequence, start, lambda t, _, item: c.expressions.binary("add", t, item, node), node)


def extreme(c: Calls, value: FrontValue, name: str, node: ast.AST) -> FrontValue:
    """`min(value)`, `max(value)`: the first of the best."""
    sequence = c.expressions.iterable(value, node)
    zero = c.ctx.size_value(0)
    some = c.ctx.b.emit("gt", (c.ctx.size_value(sequence.length), zero))[0]
    c.ctx.check(some, "ValueError", f"{name}() iterable argument is empty")
    better = "lt" if name == "min" else "gt"

    def step(best: FrontValue, _: Value, item: FrontValue) -> FrontValue:
        truth = c.arith.truth(c.expressions.binary(better, item, best, node), node)
        if isinstance(truth, bool):
            return item if truth else best
        return c.expressions.choose(node, truth, lambda: item, lambda: best)

    return c.lists.folded(sequence, sequence.item(zero), step, node)


def quantified(c: Calls, value: FrontValue, name: str, node: ast.AST) -> FrontValue:
    """`any(value)`, `all(value)`."""
    op = "logical_or" if name == "any" else "logical_and"

    def step(found: FrontValue, _: Value, item: FrontValue) -> FrontValue:
        return Number(c.ctx.b.emit(op, (c.arith.scalar(found), _condition(c, item, node)))[0], weak=True)

    return c.lists.folded(c.expressions.iterable(value, node), Static(name == "all"), step, node)


def contains(c: Calls, value: FrontValue, item: FrontValue, node: ast.AST) -> FrontValue:
    """`item in value`."""

    def step(found: FrontValue, _: Value, other: FrontValue) -> FrontValue:
        same = _condition(c, c.expressions.binary("eq", other, item, node), node)
        return Number(c.ctx.b.emit("logical_or", (c.arith.scalar(found), same))[0], weak=True)

    return c.lists.folded(c.expressions.iterable(value, node), Static(False), step, node)


#: What `index` says where the item is not there; None where it names the item.
NOT_IN_TUPLE = "tuple.index(x): x not in tuple"
_NOT_IN_LIST = None if sys.version_info < (3, 14) else "list.index(x): x not in list"


def index(
    c: Calls, value: FrontValue, args: list[FrontValue], node: ast.AST, message: str | None = _NOT_IN_LIST
) -> FrontValue:
    """`value.index(item, start, stop)`: the first place; what comes after it is not compared."""
    from tracejit.frontend.written.sequences import place_of

    if isinstance(value, ListValue):
        value = c.lists.copied(c.expressions.iterable(value, node), node)
    item, *bounds = args
    if message is None and isinstance(item, ObjectValue | SharedObject) and not c.objects.has(item, "__repr__"):
        message = f"the {type_name(item)} is not in list"
    start, stop, *_ = [*bounds, *[Static(0), Static(2**63 - 1)][len(bounds) :]]
    found = c.call_object(place_of, [value, item, start, stop, Static(message)], {}, node)
    place = c.arith.scalar(found, I64)
    c.ctx.sizes.note_lower(place, 0)
    return Number(place, weak=True)


def count(c: Calls, value: FrontValue, item: FrontValue, node: ast.AST) -> FrontValue:
    """`value.count(item)`."""

    def step(found: FrontValue, _: Value, other: FrontValue) -> FrontValue:
        same = _condition(c, c.expressions.binary("eq", other, item, node), node)
        one = c.ctx.b.emit("cast", (same,), {"dtype": I64})[0]
        return Number(c.ctx.b.emit("add", (c.arith.scalar(found, I64), one))[0], weak=True)

    if isinstance(value, ListValue):
        value = c.lists.copied(c.expressions.iterable(value, node), node)
    return c.lists.folded(c.expressions.iterable(value, node), Static(0), step, node)


def _condition(c: Calls, value: FrontValue, node: ast.AST) -> Value:
    """A truth as a value of the graph."""
    truth = c.arith.truth(value, node)
    return truth if isinstance(truth, Value) else c.ctx.b.constant(truth, ScalarType(BOOL))


# -- operators --------------------------------------------------------------------------------------------------


def joined(c: Calls, x: ListValue | GrowingList, y: ListValue | GrowingList, node: ast.AST) -> FrontValue:
    """`x + y`."""
    if isinstance(x, ListValue) and isinstance(y, ListValue):
        return c.lists.made([*x.items, *y.items], node)
    made = c.lists.copied(c.expressions.iterable(x, node), node)
    c.lists.extend(made, c.expressions.iterable(y, node), node)
    return made


def times(c: Calls, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue | None:
    """`x * y` of a list or tuple and an integer, or an object that is one; None for other operands."""
    for items, n in ((x, y), (y, x)):
        if isinstance(items, TupleValue | ListValue | GrowingList):
            if isinstance(n, Number) or (isinstance(n, Static) and isinstance(n.value, int)):
                return repeated(c, items, n, node)
            if not c.objects.has(n, "__mul__") and not c.objects.has(n, "__rmul__"):
                own = c.objects.special(n, "__index__", [], node)
                return None if own is None else repeated(c, items, own, node)
    return None


def repeated(c: Calls, x: FrontValue, times: FrontValue, node: ast.AST) -> FrontValue:
    """`x * times` of a list or tuple."""
    if isinstance(times, Static) and isinstance(x, TupleValue | ListValue):
        items = [*x.items] * times.value
        if isinstance(x, TupleValue):
            return TupleValue(tuple(items))
        if len(items) <= c.ctx.growing.unrolled:
            return c.lists.made(items, node)
    if isinstance(x, TupleValue):
        c.ctx.refuse(node, "a tuple has a length known when the function is compiled", "repeat a list: [x] * n")
    made = c.lists.empty(node)
    sequence = SequenceValue(c.ctx.as_size(times, node), lambda i: Static(None))
    c.lists.each(sequence, lambda *_: c.lists.extend(made, c.expressions.iterable(x, node), node), node)
    return made


def parted(c: Calls, value: FrontValue, before: int, fixed: int, node: ast.AST) -> list[FrontValue]:
    """The items that `fixed` targets and a starred one get, which stands behind `before` of them."""
    sequence, sizes, b = c.expressions.iterable(value, node), c.ctx.sizes, c.ctx.b
    n = sequence.length
    enough = b.emit("ge", (c.ctx.size_value(n), c.ctx.size_value(fixed)))[0]
    text = f"not enough values to unpack (expected at least {fixed}, got {{0}})"
    c.ctx.check(enough, "ValueError", text, c.ctx.size_value(n))
    count = sizes.sub(b, n, fixed)

    def between(i: Value) -> FrontValue:
        return sequence.item(c.ctx.sizes.add(c.ctx.b, before, i))

    middle = SequenceValue(count, between, sources=sequence.sources)
    after = [sequence.item(sizes.sub(b, n, fixed - k)) for k in range(before, fixed)]
    return [*(sequence.item(c.ctx.size_value(k)) for k in range(before)), c.lists.copied(middle, node), *after]


def display(e: Expressions, nodes: Sequence[ast.expr], node: ast.AST) -> FrontValue:
    """`[a, *b]`."""
    parts = [
        (True, all_items(e.calls, e.value(n.value), n)) if isinstance(n, ast.Starred) else (False, e.value(n))
        for n in nodes
    ]
    if any(starred and is_unknown(e.calls, v) for starred, v in parts):
        made = e.lists.empty(node)
        for starred, v in parts:
            if starred:
                e.lists.extend(made, e.iterable(v, node), node)
            else:
                e.lists.push(made, v, node)
        return made
    items = [e.unpackable(v, None, node) if starred else [v] for starred, v in parts]
    return e.lists.made([item for part in items for item in part], node)


def with_starred(
    c: Calls, items: list[FrontValue], starred: list[int], targets: int, node: ast.AST
) -> list[FrontValue]:
    """Items of a known number with those in a list that a starred target gets."""
    if not starred:
        return items
    at, after = starred[0], targets - starred[0] - 1
    if len(items) < targets - 1:
        text = f"not enough values to unpack (expected at least {targets - 1}, got {len(items)})"
        c.arith.mismatch(ValueError(text), node)
    middle = c.lists.made(items[at : len(items) - after], node)
    return [*items[:at], middle, *items[len(items) - after :]]
