"""Displays, items and keys of dicts whose keys are known when the function is compiled."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracejit.frontend.containers import odd_keys, pooled_tables, tables
from tracejit.frontend.containers.key_order import in_order
from tracejit.frontend.control.choices import each
from tracejit.frontend.control.dependence import may_become_known
from tracejit.frontend.values import (
    ChoiceValue,
    DictValue,
    FrontValue,
    ListValue,
    Static,
    TupleValue,
    type_name,
)

if TYPE_CHECKING:
    from tracejit.frontend.context import Context
    from tracejit.frontend.expressions import Expressions


def display(e: Expressions, keys: Sequence[ast.expr | None], values: Sequence[ast.expr], node: ast.AST) -> FrontValue:
    """`{key: value, ...}`."""
    pairs: list[tuple[FrontValue, FrontValue, ast.expr]] = []
    for key, value in zip(keys, values, strict=True):
        if key is not None:
            pairs.append((e.value(key), e.value(value), key))
            continue
        spread = pooled_tables.contents(e.calls, e.value(value), value)
        if tables.is_table(spread):
            reason = "a dict whose keys are known at run time only cannot be spread into another"
            return e.ctx.refuse(node, reason, "use copy() and update()")
        if not isinstance(spread, DictValue):
            return e.arith.mismatch(TypeError(f"'{type_name(spread)}' object is not a mapping"), node)
        items = in_order(e.ctx, spread, value)
        pairs += ((tables.constant(k), v, value) for k, v in items.items())
    found = [k for k, _, _ in pairs]
    if any(map(tables.is_run_time_key, found)) and not may_become_known(e.ctx, *found):
        rows = tuple(TupleValue((k, v)) for k, v, _ in pairs)
        return tables.new_table(e.calls, dict, [TupleValue(rows)], node)
    made = {known_key(e, k, written): v for k, v, written in pairs}
    return tables.made_dict(e.calls, made, node)


def rows_with_run_time_keys(ctx: Context, args: Sequence[FrontValue]) -> TupleValue | None:
    """The pairs that a dict is made of, where some of their keys are known at run time only; None for others."""
    rows = args[0].items if args and isinstance(args[0], TupleValue | ListValue) else ()
    found = [row.items[0] for row in rows if isinstance(row, TupleValue | ListValue) and len(row.items) == 2]
    if len(found) < len(rows) or not any(map(tables.is_run_time_key, found)) or may_become_known(ctx, *found):
        return None
    return TupleValue(tuple(rows))


def item(e: Expressions, base: DictValue, key: FrontValue, index: ast.expr, node: ast.AST) -> FrontValue:
    """`base[key]`."""
    if isinstance(key, ChoiceValue):
        tables.grow_for_many(e.calls, base, key)
        return each(e, key, lambda option: item(e, base, option, index, node), node)
    if tables.is_run_time_key(key) and not may_become_known(e.ctx, key):
        tables.grow_unless_given(base)

        def missing() -> FrontValue:
            return e.calls.call_value(Static(tables.raise_key_error()), [key], {}, node)

        return tables.chosen(e.calls, base, key, missing, node)
    known = known_key(e, key, index)
    return odd_keys.required(e.calls, base, known, lambda: tables.missing(e.calls, base, known, node), node)


def store(
    e: Expressions, base: DictValue, key: FrontValue, index: ast.expr, value: FrontValue, node: ast.AST
) -> FrontValue:
    """`base[key] = value`."""
    if isinstance(key, ChoiceValue):
        tables.grow_for_many(e.calls, base, key)
        return each(e, key, lambda option: store(e, base, option, index, value, node), node)
    if tables.is_run_time_key(key) and not may_become_known(e.ctx, key):
        tables.grow_dict(base, with_texts=True)
        if base.access is not None:
            new = "a text made at run time" if type_name(key) == "str" else "a key known at run time only"
            of_others = "" if type_name(key) == "str" else " that holds other things than numbers"
            reason = f"{new} is set as a key of a dict of the caller{of_others}"
            e.ctx.refuse(node, reason, "fill a dict that is made in the script, and return it")
    e.ctx.set_part(base, known_key(e, key, index), value, node)
    return Static(None)


def known_key(e: Expressions, key: FrontValue, index: ast.AST) -> Any:
    """A key that is known when the function is compiled."""
    tables.require_hashable(e.calls, key, index)
    if isinstance(key, TupleValue) and all(isinstance(k, Static) for k in key.items):
        return tuple(k.value for k in key.items)  # type: ignore[union-attr]
    if not isinstance(key, Static):
        e.ctx.require_known(
            index, "a dict key must be known when the function is compiled", "use an array, or if / elif"
        )
    return key.value
