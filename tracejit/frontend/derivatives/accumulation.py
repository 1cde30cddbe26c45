"""What a script adds to the `.grad` of leaves: in place, where other names know the array that is there."""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import TYPE_CHECKING

from tracejit.frontend.containers.array_memory import same_memory
from tracejit.frontend.instances.heap import led_to
from tracejit.frontend.tensors.write_checks import require_writeable
from tracejit.frontend.values import ArrayView, FrontValue, Number, ObjectValue, Static
from tracejit.ir.core import Value
from tracejit.ir.reached import Truth, value_of
from tracejit.ir.types import I64

if TYPE_CHECKING:
    from tracejit.frontend.derivatives.gradients import Gradients


#: What a script did to the `.grad` of an input: bits of a number that branches and loops join. Neither: it is as the
#: caller left it. Both: an array in the place of what the caller left; the first alone: one to add to that. With
#: `ENTRY`, the array is what the caller left, which is an input of the graph and accumulates in place.
HAS_ARRAY = 1
CLEARED = 2
ENTRY = 4


class GradientState:
    """The class of the front end's object whose parts are `.grad` of the inputs: a state and an array each."""


def accumulate(state_of: Gradients, storage: int, g: ArrayView, truth: Truth, node: ast.AST) -> None:
    """Add to the `.grad` of a leaf where the loss leads to the leaf."""
    calls, ctx = state_of.calls, state_of.calls.ctx
    state = state_of.state(storage).value
    total = g
    if not isinstance(state.known, int) or state.known & HAS_ARRAY:
        held = state_of.array(storage)
        made = calls.arith.typed("add", node, held, g)
        assert isinstance(made, ArrayView)
        total = made
        is_held = True if isinstance(state.known, int) else ctx.sizes.truths.get(state_of.is_held(state))
        may_change = held.storage not in ctx.readonly and held.storage not in state_of.leaves
        if may_change and (isinstance(state.known, int) or (is_held is not False and _is_known(state_of, held))):
            if is_held:
                _add_in_place(state_of, held, total)
            else:
                calls.expressions.choose(
                    node,
                    state_of.is_held(state),
                    lambda: _add_in_place(state_of, held, total),
                    lambda: _put(state_of, storage, total, truth, node),
                )
            return
    _put(state_of, storage, total, truth, node)


def _add_in_place(state_of: Gradients, held: ArrayView, total: ArrayView) -> FrontValue:
    ctx = state_of.calls.ctx
    if ctx.storage.held.intersection(same_memory(ctx, held.storage)):
        require_writeable(ctx, held)
    ctx.store(held, ctx.load(total))
    return Static(None)


def _put(state_of: Gradients, storage: int, total: ArrayView, truth: Truth, node: ast.AST) -> FrontValue:
    """Put an array into the `.grad` of a leaf, where the loss leads to the leaf."""
    ctx, state = state_of.calls.ctx, state_of.state(storage).value
    if isinstance(state.known, int) and (truth is True or state.known & HAS_ARRAY):
        after = ctx.number(state.known | HAS_ARRAY)
    else:
        bit = ctx.b.emit("cast", (value_of(ctx.b, truth),), {"dtype": I64})[0]
        after = Number(ctx.b.emit("bitor", (state, bit))[0], weak=True)
        if truth is True:
            ctx.sizes.truths[state_of.is_held(after.value)] = True
    state_of.set(storage, after, total, node)
    return Static(None)


def _is_known(state_of: Gradients, held: ArrayView) -> bool:
    """Whether other names may stand for an array that is in a `.grad`, or something holds it."""
    ctx = state_of.calls.ctx
    same = set(same_memory(ctx, held.storage))
    if ctx.storage.held & same:
        return True
    known: list[FrontValue] = [v for frame in ctx.frames() for v in frame.env.values()]
    known += [o for o in ctx.heap.objects.values() if not (isinstance(o, ObjectValue) and o.cls is GradientState)]
    return any(isinstance(v, ArrayView) and v.storage in same for v in led_to(known))


def follow(state_of: Gradients, storage: int, others: Collection[int], node: ast.AST) -> None:
    """After a change of a leaf's `.grad`: that of leaves which are the same tensor by the path taken is the same,
    unless they are among `others`, which have changed too."""
    ctx = state_of.calls.ctx

    def take(other: int) -> FrontValue:
        state_of.set(other, state_of.state(storage), state_of.array(storage), node)
        return Static(None)

    for c in [c for c in state_of.leaves if c != storage and c in ctx.storage.bases]:
        same = state_of.same(storage, c)
        if same is not False and c in others:
            state_of.want_leaves(c for c in state_of.joined if c in ctx.storage.bases)
            ctx.refuse(node, "this leads to two names that are one tensor on some paths", "use one of them")
        if isinstance(same, Value):
            state_of.calls.expressions.choose(node, same, lambda c=c: take(c), lambda: Static(None))
