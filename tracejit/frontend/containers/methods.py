"""Methods of lists, dicts and tuples."""

from __future__ import annotations

import ast
import operator
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NoReturn

from tracejit.frontend.containers import comparisons, dict_items, list_calls, odd_keys, pooled_tables, tables
from tracejit.frontend.containers.key_order import in_order
from tracejit.frontend.control.choices import each
from tracejit.frontend.functions.builtin_arguments import require_arguments
from tracejit.frontend.values import (
    ChoiceValue,
    DictValue,
    DictView,
    FrontValue,
    GrowingList,
    ListValue,
    SequenceValue,
    Static,
    TupleValue,
    describe,
    type_name,
)

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: Methods that operators stand for: `values.__getitem__` is a key to sort places by.
_OPERATORS = {"__getitem__": operator.getitem, "__contains__": operator.contains, "__len__": len}


def container_method(
    c: Calls, receiver: FrontValue, name: str, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """Methods of lists, dicts and tuples of known structure."""
    if name in _OPERATORS and not kwargs:
        return c.call_object(_OPERATORS[name], [receiver, *args], {}, node)
    match receiver, name:
        case ListValue() | GrowingList(), _ if name in list_calls.METHODS:
            return list_calls.method(c, receiver, name, args, kwargs, node)
        case DictView(), "isdisjoint" if len(args) == 1 and not kwargs:
            return comparisons.disjoint(c.expressions, receiver, args[0], node)
        case TupleValue(items), "index" | "count" if all(isinstance(i, Static) for i in [*items, *args]):
            values = tuple(i.value for i in items)  # type: ignore[union-attr]
            return c.call_now(getattr(values, name), args, {}, node)
        case TupleValue(items), "index" if len(args) in (1, 2, 3) and not kwargs:
            return list_calls.index(c, ListValue(list(items)), args, node, list_calls.NOT_IN_TUPLE)
        case TupleValue(items), "index" | "count":
            return list_calls.method(c, ListValue(list(items)), name, args, kwargs, node)
        case DictValue(), _:
            return _dict_method(c, receiver, name, args, kwargs, node)
        case TupleValue(items, cls), "_asdict" if cls is not None:
            return c.ctx.new_object(DictValue(dict(zip(getattr(cls, "_fields", ()), items, strict=True))), node)
        case TupleValue(items, cls), "_replace" if cls is not None:
            fields = getattr(cls, "_fields", ())
            return TupleValue(tuple(kwargs.get(f, v) for f, v in zip(fields, items, strict=True)), cls)
        case _:
            _without_method(c, receiver, name, node)


def _dict_method(
    c: Calls, receiver: DictValue, name: str, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """Methods of dicts."""
    if hasattr(dict, name):
        require_arguments(c, getattr(receiver.cls, name), args, kwargs, node, receiver.cls())
    if name in ("keys", "values", "items", "copy", "popitem"):
        in_order(c.ctx, receiver, node)
    items = receiver.items
    view = f"{'odict' if receiver.cls is OrderedDict else 'dict'}_{name}"
    match name:
        case "keys":
            return DictView(tuple(Static(k) for k in items), kind=view)
        case "values":
            return DictView(tuple(items.values()), kind=view)
        case "items":
            return DictView(tuple(TupleValue((Static(k), v)) for k, v in items.items()), kind=view)
        case "get" | "pop" | "setdefault" if args and isinstance(args[0], ChoiceValue):
            rest = args[1:]
            tables.grow_for_many(c, receiver, args[0])
            return each(
                c.expressions, args[0], lambda o: _dict_method(c, receiver, name, [o, *rest], kwargs, node), node
            )
        case "get" | "pop" | "setdefault" if args and tables.is_run_time_key(args[0]):
            if not c.ctx.loops_to_unroll():
                tables.grow_unless_given(receiver) if name == "get" else tables.grow_dict(receiver, with_texts=True)
            if name == "get" and not c.ctx.loops_to_unroll():
                default = args[1] if len(args) > 1 else Static(None)
                return tables.chosen(c, receiver, args[0], lambda: default, node)
            key = tables.key_of(c, args[0], node)
            return _dict_method(c, receiver, name, [Static(key), *args[1:]], kwargs, node)
        case "get":
            key = tables.key_of(c, args[0], node)
            return odd_keys.item(c, receiver, key, lambda: args[1] if len(args) > 1 else Static(None), node)
        case "copy":
            return tables.made_dict(c, dict(items), node, receiver.cls, receiver.factory)
        case "update" if args and (
            tables.is_table(args[0])
            or list_calls.is_unknown(c, args[0])
            or dict_items.rows_with_run_time_keys(c.ctx, args)
        ):
            tables.grow_dict(receiver, with_texts=True)
            c.ctx.refuse(node, "the keys of this dict are known when the function is compiled", "make a new dict")
        case "update" | "pop" | "setdefault" | "clear" | "popitem" | "move_to_end" if hasattr(receiver.cls, name):
            return _change_dict(c, receiver, name, args, kwargs, node)
        case _:
            _without_method(c, receiver, name, node)


def _without_method(c: Calls, receiver: FrontValue, name: str, node: ast.AST) -> NoReturn:
    """Refuse a method; where plain Python has none either, its `AttributeError` comes first."""
    kinds: dict[type, type] = {DictValue: dict, TupleValue: tuple, SequenceValue: range}
    kinds |= {ListValue: list, GrowingList: list}
    kind = type(receiver.value) if isinstance(receiver, Static) else kinds.get(type(receiver))
    if kind is not None and not hasattr(kind, name):
        text = f"'{type_name(receiver)}' object has no attribute '{name}'"
        c.ctx.check_false("AttributeError", text)
    c.ctx.refuse(
        node,
        f"{describe(receiver)} has no method {name!r} in a script",
        "write it as a loop, or call it outside",
    )


def _change_dict(
    c: Calls,
    receiver: DictValue,
    name: str,
    args: list[FrontValue],
    kwargs: dict[str, FrontValue],
    node: ast.AST,
) -> FrontValue:
    items = dict(receiver.items)
    made: FrontValue = Static(None)
    match name:
        case "update":
            items.update(pairs(c, args, node))
            items.update(kwargs)
        case "clear":
            items.clear()
        case "move_to_end":
            in_order(c.ctx, receiver, node)
            last = c.static(kwargs.get("last", args[1] if len(args) > 1 else Static(True)), node, "'last'")
            key = tables.key_of(c, args[0], node)
            if key not in items:
                return c.arith.mismatch(KeyError(key), node)
            value = items.pop(key)
            items = {**items, key: value} if last else {key: value, **items}
        case "popitem" if not items:
            return c.arith.mismatch(KeyError("popitem(): dictionary is empty"), node)
        case "popitem":
            last = c.static(kwargs.get("last", args[0] if args else Static(True)), node, "'last'")
            key = next(reversed(items) if last else iter(items))
            made = TupleValue((Static(key), items.pop(key)))
        case "setdefault":
            key = tables.key_of(c, args[0], node)
            default = args[1] if len(args) > 1 else Static(None)
            items[key] = made = odd_keys.item(c, receiver, key, lambda: default, node)
        case _:
            key = tables.key_of(c, args[0], node)

            def absent() -> FrontValue:
                return args[1] if len(args) > 1 else c.arith.mismatch(KeyError(key), node)

            made = odd_keys.item(c, receiver, key, absent, node)
            items.pop(key, None)
    c.ctx.write_object(receiver, items, node)
    return made


def pairs(c: Calls, args: list[FrontValue], node: ast.AST) -> dict[Any, FrontValue]:
    """What a dict is made of: another dict, or pairs."""
    if not args:
        return {}
    given = pooled_tables.contents(c, args[0], node)
    if isinstance(given, DictValue):
        return dict(in_order(c.ctx, given, node))
    unpacked = (c.expressions.unpackable(item, 2, node) for item in c.expressions.known_items(given, node))
    return {tables.key_of(c, key, node): value for key, value in unpacked}
