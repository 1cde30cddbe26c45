"""Python's builtins that order, search and transform sequences, `print` and `warnings.warn`."""

from __future__ import annotations

import ast
import functools
import itertools
import operator
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracejit.frontend.arith import BINARY, COMPARE, PYTHON, is_python_number, python_kind
from tracejit.frontend.containers import list_calls, shared_lists, tables
from tracejit.frontend.containers.once import used_once
from tracejit.frontend.containers.pooled_tables import at_part
from tracejit.frontend.functions.arguments import Arguments
from tracejit.frontend.functions.builtin_calls import zipped
from tracejit.frontend.functions.handlers import HANDLERS, Handler, handles
from tracejit.frontend.tensors import arrays
from tracejit.frontend.texts.text import Text, text_of
from tracejit.frontend.values import ArrayView, FrontValue, Number, OptionalValue, SequenceValue, Static, TupleValue
from tracejit.ir.core import Value

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def in_language(
    c: Calls, name: str, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """Call the definition in the language of a function over sequences."""
    from tracejit.frontend.written.sequences import REPLACED

    return c.call_object(REPLACED[name], args, kwargs, node)


def _key(c: Calls, kwargs: dict[str, FrontValue], items: Sequence[FrontValue], node: ast.AST) -> list[FrontValue]:
    """What items are compared by."""
    key = list_calls.comparable(kwargs).get("key", Static(None))
    if isinstance(key, Static) and key.value is None:
        return list(items)
    return [c.call_value(key, [item], {}, node) for item in items]


def _extreme(name: str) -> Handler:
    better = "lt" if name == "min" else "gt"

    def handler(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
        if len(args) == 1 and "key" not in kwargs:
            args = [tables.unordered(c, args[0], node)]
        if len(args) == 1 and isinstance(args[0], ArrayView) and args[0].rank and not kwargs:
            return _of_array(c, name, args[0], node)
        if len(args) == 1 and list_calls.is_unknown(c, args[0]):
            if kwargs:
                return in_language(c, name, args, list_calls.comparable(kwargs), node)
            return list_calls.extreme(c, args[0], name, node)
        items = c.expressions.known_items(args[0], node) if len(args) == 1 else args
        if not items and "default" in kwargs:
            return kwargs["default"]
        if not items:
            return c.call_now(min if name == "min" else max, [Static(())], {}, node)
        keys = _key(c, kwargs, items, node)
        best, best_key = items[0], keys[0]
        for item, key in zip(items[1:], keys[1:], strict=True):
            truth = c.arith.truth(c.expressions.binary(better, key, best_key, node), node)
            best, best_key = _pick(c, truth, item, best, node), _pick(c, truth, key, best_key, node)
        return best

    return handler


def _of_array(c: Calls, name: str, x: ArrayView, node: ast.AST) -> FrontValue:
    """`min(x)`, `max(x)` of an array: as Python compares its elements one after the other."""
    if x.rank > 1:
        c.ctx.refuse(node, f"{name}() of an array of rank {x.rank} compares its rows", f"x.{name}()")
    if x.dtype.is_float:
        from tracejit.frontend.written.sequences import extreme_of_floats

        return c.call_object(extreme_of_floats, [x, Static(name == "max")], {}, node)
    return arrays.function(c, name, [x], {}, node)


def _pick(c: Calls, truth: bool | Value, a: FrontValue, b: FrontValue, node: ast.AST) -> FrontValue:
    """`a if truth else b` of two numbers: a select where both have one type."""
    if isinstance(truth, bool):
        return a if truth else b
    kinds = {(x.dtype, x.weak) if isinstance(x, Number) else (None, is_python_number(x)) for x in (a, b)}
    if len(kinds) == 1 and isinstance(a, Number):
        return Number(c.ctx.b.emit("select", (truth, a.value, b.value))[0], a.weak)  # type: ignore[union-attr]
    if is_python_number(a) and is_python_number(b) and python_kind(a) == python_kind(b):
        x, y = c.arith.scalar(a), c.arith.scalar(b)
        return Number(c.ctx.b.emit("select", (truth, x, y))[0], weak=True)
    return c.expressions.choose(node, truth, lambda: a, lambda: b)


HANDLERS[min] = _extreme("min")
HANDLERS[max] = _extreme("max")


@handles(sorted)
def _sorted(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """A sorted list: a sorting network of selects for items known at run time only."""
    if "key" not in kwargs:
        args = [tables.unordered(c, args[0], node)]
    if list_calls.is_unknown(c, args[0]):
        return c.lists.copied(list_calls.sorted_items(c, args[0], kwargs, node), node)
    items = c.expressions.known_items(args[0], node)
    descending = bool(c.static(kwargs.get("reverse", Static(False)), node, "'reverse'"))
    keys = _key(c, kwargs, items, node)
    if all(isinstance(k, Static) and not c.objects.has_operator(k) for k in keys):
        order = c.call_now(lambda *k: sorted(range(len(k)), key=lambda i: k[i], reverse=descending), keys, {}, node)
        assert isinstance(order, Static)
        return c.lists.made([items[i] for i in order.value], node)
    if len(items) > 16:
        return c.lists.copied(list_calls.sorted_items(c, args[0], kwargs, node), node)
    for end in range(len(items) - 1, 0, -1):
        for i in range(end):
            low, high = (i, i + 1) if descending else (i + 1, i)
            swap = c.arith.truth(c.expressions.binary("lt", keys[low], keys[high], node), node)
            for row in (keys, items):
                row[i], row[i + 1] = _pick(c, swap, row[i + 1], row[i], node), _pick(c, swap, row[i], row[i + 1], node)
    return c.lists.made(items, node)


@handles(map)
def _map(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    rows = args[1] if len(args) == 2 else zipped(c, "map", args[1:], kwargs, node)

    def one(item: FrontValue) -> FrontValue:
        given = [item] if len(args) == 2 else c.expressions.known_items(item, node)
        return shared_lists.at_its_place(c, c.call_value(args[0], given, {}, node), node)

    if list_calls.is_unknown(c, rows):
        inner = c.expressions.run_over(rows, node)
        made = SequenceValue(inner.length, lambda i: one(inner.item(i)), sources=inner.sources, ended=inner.ended)
        return used_once(c.ctx, made)
    items: list[FrontValue] = []
    for k, item in enumerate(c.expressions.known_items(rows, node)):
        with at_part(c.ctx, f"item {k}"):
            items.append(one(item))
    return _passed(c, items, node)


def _kept(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return used_once(c.ctx, c.expressions.iterable(in_language(c, "filter", args, kwargs, node), node))


def _passed(c: Calls, items: list[FrontValue], node: ast.AST) -> FrontValue:
    """Items that may be run over once."""
    return used_once(c.ctx, c.expressions.iterable(TupleValue(tuple(items)), node))


@handles(filter)
def _filter(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if list_calls.is_unknown(c, args[1]):
        return _kept(c, args, kwargs, node)
    test, found = args[0], list[FrontValue]()
    for item in c.expressions.known_items(args[1], node):
        is_own = isinstance(test, Static) and test.value is None
        truth = c.arith.truth(item if is_own else c.call_value(test, [item], {}, node), node)
        if isinstance(truth, Value):
            return _kept(c, args, kwargs, node)
        found += [item] if truth else []
    return _passed(c, found, node)


@handles(functools.reduce)
def _reduce(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if list_calls.is_unknown(c, args[1]):
        return in_language(c, "reduce", args, kwargs, node)
    items = c.expressions.known_items(args[1], node)
    if len(args) < 3 and not items:
        return c.arith.mismatch(TypeError("reduce() of empty iterable with no initial value"), node)
    total, *rest = items if len(args) < 3 else [args[2], *items]
    for item in rest:
        total = c.call_value(args[0], [total, item], {}, node)
    return total


@handles(itertools.chain)
def _chain(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if any(list_calls.is_unknown(c, a) for a in args):
        return in_language(c, "chain", args, kwargs, node)
    return TupleValue(tuple(item for a in args for item in c.expressions.known_items(a, node)))


def _arranged(make: Any) -> Handler:
    def handler(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
        if make is not itertools.product:
            args = [*args[:1], *(Static(c.static(a, node, "a count")) for a in args[1:])]
        named = {k: c.static(v, node, k) for k, v in kwargs.items()}
        if any(list_calls.is_unknown(c, a) for a in args):
            return in_language(c, make.__name__, args, {k: Static(v) for k, v in named.items()}, node)
        rows: list[Any] = [
            a.value if isinstance(a, Static) and isinstance(a.value, int | None) else c.expressions.known_items(a, node)
            for a in args
        ]
        return TupleValue(tuple(TupleValue(tuple(row)) for row in make(*rows, **named)))

    return handler


def _operator(op: str) -> Handler:
    return lambda c, args, kwargs, node: c.expressions.binary(op, args[0], args[1], node)


for _op in BINARY.values():
    HANDLERS[PYTHON[_op] if _op != "matmul" else operator.matmul] = _operator(_op)
for _op in COMPARE.values():
    HANDLERS[PYTHON[_op]] = _operator(_op)

for _make in (
    itertools.product,
    itertools.combinations,
    itertools.combinations_with_replacement,
    itertools.permutations,
):
    HANDLERS[_make] = _arranged(_make)


@handles(str)
def _str(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    given = args or [v for name, v in kwargs.items() if name == "object"]
    if len(given) != len(args) + len(kwargs) or len(given) > 1:
        c.ctx.refuse(node, "str() takes one value in a script", "show the value itself")
    return text_of(c, given[0], node) if given else Static("")


def _in_base(spec: str) -> Handler:
    def handler(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
        return Text(c, node).show(c.call_object(operator.index, args, {}, node), "", spec).value()

    return handler


HANDLERS[hex], HANDLERS[oct], HANDLERS[bin] = _in_base("#x"), _in_base("#o"), _in_base("#b")


@handles(repr)
def _repr(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return text_of(c, args[0], node, "!r")


@handles(format)
def _format(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    spec = c.static(args[1], node, "the format") if len(args) > 1 else ""
    return Text(c, node).show_formatted(args[0], "", spec).value()


@handles(print)
def _print(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    for i, arg in enumerate(args):
        if isinstance(arg, OptionalValue):

            def other(value: FrontValue, i: int = i) -> FrontValue:
                return _print(c, [*args[:i], value, *args[i + 1 :]], kwargs, node)

            return c.expressions.choose(node, arg.some, lambda x=arg.value: other(x), lambda: other(Static(None)))
    unknown = kwargs.keys() - {"sep", "end", "flush"}
    if unknown:
        c.ctx.refuse(node, f"print() with {min(unknown)!r} is outside the language", "print to sys.stdout")
    sep = c.static(kwargs.get("sep", Static(" ")), node, "'sep'")
    end = c.static(kwargs.get("end", Static("\n")), node, "'end'")
    made = Text(c, node)
    for i, arg in enumerate(args):
        if i:
            made.literal(" " if sep is None else str(sep))
        made.show_str(arg)
    made.literal("\n" if end is None else str(end)).printed()
    return Static(None)


@handles(warnings.warn)
def _warn(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """The place that is shown is that of the call, whatever `stacklevel` says."""
    a = Arguments(c, "warn", "message category=None stacklevel=1 source=None", args, kwargs, node)
    category = a.static("category") or UserWarning
    if not (isinstance(category, type) and category.__module__ == "builtins" and issubclass(category, Warning)):
        c.ctx.refuse(node, f"warnings of the category {category!r} cannot be given in a script", "warn outside")
    Text(c, node).show_str(a["message"]).warned(category)
    return Static(None)
