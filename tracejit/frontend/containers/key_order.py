"""The order of the keys of dicts that are known when the function is compiled: where it depends on the path taken, such
a dict becomes a table, which has its order at run time, as soon as the order is seen."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tracejit.frontend.values import BoundFunction, Closure, DictValue, FrontValue, MaybeUnbound, Mutable, Static

if TYPE_CHECKING:
    from tracejit.frontend.context import Context


def in_order(ctx: Context, value: DictValue, node: ast.AST) -> Mapping[Any, FrontValue]:
    """The items of a dict, of which the order is seen here. Where it depends on the path taken, the dict is lowered
    again as a table, where it can be one."""
    if value.is_mixed:
        _grow(ctx, value)
        certain(ctx, value, node)
        reason = "the order of the keys of this dict depends on the path taken"
        ctx.require_known(node, reason, "insert its keys in one order on every path")
    return value.items


def certain(ctx: Context, value: DictValue, node: ast.AST) -> Mapping[Any, FrontValue]:
    """The items of a dict, which has the same keys on every path."""
    odd = [k for k, x in value.items.items() if isinstance(x, MaybeUnbound)]
    if odd:
        _grow(ctx, value)
        reason = f"the key {odd[0]!r} exists on one path only"
        ctx.require_known(node, reason, "set it before, or on both paths, or look for it with 'in'")
    return value.items


def _grow(ctx: Context, value: DictValue) -> None:
    from tracejit.frontend.containers.tables import grow_late

    grow_late(ctx, value, {k: x.value if isinstance(x, MaybeUnbound) else x for k, x in value.items.items()})


def takes_names(fn: FrontValue) -> bool:
    """Whether a function takes keyword arguments by their names only, for which their order does not matter."""
    match fn:
        case BoundFunction(inner):
            return takes_names(inner)
        case Closure(source):
            return source.node.args.kwarg is None
        case Static(types.FunctionType() as known):
            return not known.__code__.co_flags & inspect.CO_VARKEYWORDS
        case _:
            return False


def is_mixed(o: FrontValue | None) -> bool:
    """Whether a value is a dict that has its keys in one order or another, by the path taken."""
    return isinstance(o, DictValue) and o.is_mixed


def mix(o: Mutable, mixed: bool = True) -> None:
    """Note that a dict has its keys in one order or another, where it does."""
    if isinstance(o, DictValue) and mixed:
        o.is_mixed = True


def note_order(o: Mutable, *others: Mapping[Any, FrontValue] | None) -> None:
    """Note where a dict has its keys in one order or another, as these contents have them."""
    mix(o, len({tuple(x) for x in others if x is not None}) > 1)


def moved(before: Mapping[Any, FrontValue], now: Mapping[Any, FrontValue]) -> list[Any]:
    """The keys of a dict that are where they are only if they are taken out and set again."""
    kept, keys = [k for k in before if k in now], list(now)
    first = next((i for i, k in enumerate(kept) if keys[i] != k), len(keys))
    return keys[first:]
