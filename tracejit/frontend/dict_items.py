"""Displays, items and keys of dicts whose keys are known when the function is compiled."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracejit.frontend import tables, text
from tracejit.frontend.values import DictValue, FrontValue, Static, TupleValue, type_name

if TYPE_CHECKING:
    from tracejit.frontend.expressions import Expressions


def display(e: Expressions, keys: Sequence[ast.expr | None], values: Sequence[ast.expr], node: ast.AST) -> FrontValue:
    """`{key: value, ...}`."""
    made: dict[Any, FrontValue] = {}
    for key, value in zip(keys, values, strict=True):
        if key is None:
            spread = e.value(value)
            if not isinstance(spread, DictValue):
                return e.arith.mismatch(TypeError(f"'{type_name(spread)}' object is not a mapping"), node)
            made.update(spread.items)
        elif tables.is_run_time_key(found := e.value(key)) and not e.ctx.loops_to_unroll():
            pairs = [(k, v) for k, v in zip(keys, values, strict=True) if k is not None]
            items = [TupleValue((e.value(k), e.value(v))) for k, v in pairs]
            return tables.new_table(e.calls, dict, [TupleValue(tuple(items))], node)
        else:
            made[known_key(e, found, key)] = e.value(value)
    return tables.made_dict(e.calls, made, node)


def item(e: Expressions, base: DictValue, key: FrontValue, index: ast.expr, node: ast.AST) -> FrontValue:
    """`base[key]`."""
    if tables.is_run_time_key(key) and not e.ctx.loops_to_unroll():
        tables.grow_dict(base)

        def missing() -> FrontValue:
            return e.calls.call_value(Static(tables.raise_key_error()), [key], {}, node)

        return tables.chosen(e.calls, base, key, missing, node)
    known = known_key(e, key, index)
    if known not in base.items:
        e.ctx.check_false("KeyError", text.escape(str(known)))
    return base.items[known]


def known_key(e: Expressions, key: FrontValue, index: ast.expr) -> Any:
    """A key that is known when the function is compiled."""
    if isinstance(key, TupleValue) and all(isinstance(k, Static) for k in key.items):
        return tuple(k.value for k in key.items)  # type: ignore[union-attr]
    if not isinstance(key, Static):
        e.ctx.require_known(
            index, "a dict key must be known when the function is compiled", "use an array, or if / elif"
        )
    return key.value
