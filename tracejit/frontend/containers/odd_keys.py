"""Keys that a dict has on some paths only: state that a loop fills when it first needs it (`if name not in state:
state[name] = ...`). Their values are `MaybeUnbound`, as attributes that are set on some paths are; dicts whose values
are of one kind are tables instead."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tracejit.frontend.containers.key_order import mix
from tracejit.frontend.values import (
    ArrayView,
    DictValue,
    FrontValue,
    MaybeUnbound,
    Mutable,
    Number,
    Size,
    Static,
    TupleValue,
)
from tracejit.ir.core import Value
from tracejit.ir.types import I64

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.context import Context


def has_odd_keys(ctx: Context, o: Mutable) -> bool:
    """Note that a dict has keys on some paths only, where it can have such: not where a loop may be unrolled instead,
    and none of the caller."""
    if not isinstance(o, DictValue) or o.access is not None or ctx.loops_to_unroll() or ctx.unrolling.whiles:
        return False
    mix(o)
    return True


def grow_unless_arrays(ctx: Context, o: Mutable, items: Mapping[Any, FrontValue]) -> None:
    """Lower again with a dict as a table, which has some of these items on one path only; one of arrays stays what it
    is as long as neither its order nor all of it is asked for."""
    from tracejit.frontend.containers.tables import grow_late

    if not any(map(_has_array, items.values())):
        grow_late(ctx, o, items)


def _has_array(value: FrontValue) -> bool:
    match value:
        case MaybeUnbound(_, inner):
            return _has_array(inner)
        case TupleValue(items):
            return any(map(_has_array, items))
        case _:
            return isinstance(value, ArrayView)


def may_differ(
    ctx: Context, made: Mutable, items: Mapping[Any, FrontValue], sides: Iterable[FrontValue | None]
) -> bool:
    """Whether a dict that is one of two, by the path taken, which have other keys, can have the keys of either."""
    from tracejit.frontend.containers.tables import fit_a_table

    are_own = all(isinstance(x, DictValue) and x.access is None for x in sides)
    return are_own and not fit_a_table(ctx, items) and has_odd_keys(ctx, made)


def length(ctx: Context, value: DictValue) -> FrontValue:
    """`len(value)`."""
    odd = [x.bound for x in value.items.values() if isinstance(x, MaybeUnbound)]
    total: Size = len(value.items) - len(odd)
    for bound in odd:
        total = ctx.sizes.add(ctx.b, ctx.b.emit("cast", (bound,), {"dtype": I64})[0], total)
    return ctx.size_number(total)


def truth(ctx: Context, value: DictValue) -> bool | Value:
    """`bool(value)`."""
    odd = [x.bound for x in value.items.values() if isinstance(x, MaybeUnbound)]
    if len(odd) < len(value.items) or not odd:
        return bool(value.items)
    return functools.reduce(lambda x, y: ctx.b.emit("logical_or", (x, y))[0], odd)


def is_there(value: DictValue, key: Any) -> FrontValue:
    """`key in value`."""
    found = value.items.get(key)
    return Number(found.bound, weak=True) if isinstance(found, MaybeUnbound) else Static(found is not None)


def item(c: Calls, value: DictValue, key: Any, absent: Callable[[], FrontValue], node: ast.AST) -> FrontValue:
    """`value[key]`, or what `absent` gives where there is none; behind it the key is as it was."""
    found = value.items.get(key)
    if not isinstance(found, MaybeUnbound):
        return absent() if found is None else found
    return c.expressions.choose(node, found.bound, lambda: found.value, absent)


def required(c: Calls, value: DictValue, key: Any, absent: Callable[[], FrontValue], node: ast.AST) -> FrontValue:
    """`value[key]`, where `absent` raises, or sets the key; behind it the key is there."""
    found = value.items.get(key)
    if not isinstance(found, MaybeUnbound):
        return absent() if found is None else found

    def present() -> FrontValue:
        value.contents = {**value.contents, key: found.value}
        return found.value

    if value.factory is not None:
        return c.expressions.choose(node, found.bound, present, absent)
    c.expressions.choose(node, found.bound, lambda: Static(None), absent)
    return present()
