"""The order in which Python runs over sets of numbers, kept where a program asks for it."""

from __future__ import annotations

import ast
import dataclasses
from typing import TYPE_CHECKING

from tracejit.frontend.containers.lists import known_kind
from tracejit.frontend.containers.tables import Special
from tracejit.frontend.context import Again
from tracejit.frontend.kinds import Kind, NumberKind, TupleKind
from tracejit.frontend.values import FrontValue, GrowingList, SequenceValue, SharedList, Static

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def _has_order(calls: Calls, node: ast.AST, keys: FrontValue) -> FrontValue:
    """Whether the order of a set with these keys is kept."""
    return Static(calls.ctx.pools_known.orders_sets and _are_numbers(_kind(calls, keys)))


def _require_order(calls: Calls, node: ast.AST, keys: FrontValue) -> FrontValue:
    """Lower again with the order of sets, where it is not kept yet; refused of texts and objects, whose hashes are
    other ones in each process."""
    if not _are_numbers(_kind(calls, keys)):
        calls.ctx.refuse(
            node,
            "the order of a set's items is known to Python only",
            "sort them: sorted(items), or keep a list beside",
        )
    if not calls.ctx.pools_known.orders_sets:
        calls.ctx.pools_known.orders_sets = True
        raise Again
    return Static(None)


def _kind(calls: Calls, keys: FrontValue) -> Kind | None:
    held = keys.pool.fields["data"] if isinstance(keys, SharedList) else keys
    return known_kind(calls.ctx, held) if isinstance(held, GrowingList) else None


def _are_numbers(kind: Kind | None) -> bool:
    """Whether the hashes of keys are known; of a set that is always empty there are none."""
    match kind:
        case None:
            return True
        case NumberKind(dtype):
            return not dtype.is_complex
        case TupleKind(items):
            return all(map(_are_numbers, items))
        case _:
            return False


def _require_no_loop(calls: Calls, node: ast.AST, keys: FrontValue) -> FrontValue:
    """Refuse to change a set that a loop runs over."""
    if isinstance(keys, GrowingList) and calls.ctx.iterated & {*keys.storages}:
        calls.ctx.refuse(node, "a set changes while a loop runs over it", "run over a list of it: list(items)")
    return Static(None)


def _run_over(calls: Calls, node: ast.AST, keys: FrontValue, items: FrontValue) -> FrontValue:
    """A sequence of the items of a set, which a loop over it keeps from changes."""
    if isinstance(keys, GrowingList) and isinstance(items, SequenceValue):
        return dataclasses.replace(items, sources=items.sources | {*keys.storages})
    return items


#: Whether the order of a set is kept; lower again where it must be; refuse changes of a set that is run over;
#: what runs over one.
has_order = Special(_has_order)
require_order = Special(_require_order)
require_no_loop = Special(_require_no_loop)
run_over = Special(_run_over)
