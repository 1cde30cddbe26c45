"""A derivative that is taken inside a loop and goes back through earlier trips of it (`backward(retain_graph=True)`).

The trips so far run once more at the start of the trip, without effects, and what they leave stands for what the loop
carries: the derivative then goes through ordinary ops. As in eager code, it costs the trips that it goes through.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.errors import NotDifferentiable
from tracejit.ir.builder import Rebuilder
from tracejit.ir.core import Block, Op, Value, all_reads, type_values, walk
from tracejit.ir.types import BOOL, I64, ScalarType
from tracejit.transforms.activity import useful, varied
from tracejit.transforms.effects import without_effects
from tracejit.transforms.frames import Edit, substitute
from tracejit.transforms.residuals import live

#: The ops around a place, outermost first, each with the block that holds it.
Enclosing = Sequence[tuple[Op, Edit]]


def through_earlier_trips(op: Op, ys: Sequence[Value], xs: Sequence[Value], enclosing: Enclosing, edit: Edit) -> Op:
    """A `gradient` or `tangent` op, of the ys by the xs, that reads nothing which an enclosing loop carries and which
    varies with `xs`: the blocks around it get the repeated trips. Raises `NotDifferentiable` where that was not asked
    for, or cannot be had.
    """
    edits = [*(outer for _, outer in enclosing), edit]
    for depth, (around, _) in enumerate(enclosing):
        carried = _carried_on_the_way(ys, xs, around, edits, depth)
        if not carried:
            continue
        if not op.attrs.get("retain", False):
            reason = (
                "it depends on earlier trips of the loop it is in: pass retain_graph=True, or make these trips a loop "
                "of their own inside this one"
            )
            raise NotDifferentiable(op.name, reason, op.span)
        needed, ops = _slice(op, around, carried)
        b = Rebuilder(without_effects, {}, op.span)
        stand_in = dict(zip(needed, _repeated(b, around, needed, ops), strict=True))
        for inner in edits[depth + 1 :]:
            inner.reset([substitute(o, stand_in) for o in inner.ops])
        edits[depth + 1].insert_first(*b.ops)
        op, ys = substitute(op, stand_in), [stand_in.get(y, y) for y in ys]
    return op


def _carried_on_the_way(
    ys: Sequence[Value], xs: Sequence[Value], around: Op, edits: Sequence[Edit], depth: int
) -> list[Value]:
    """What a loop carries from trip to trip on the way from `xs`, those that are from outside of it, to `ys`."""
    outside = {v for e in edits[: depth + 1] for v in e.defined}
    given = [x for x in xs if x in outside]
    if around.name != "loop" or not given:
        return []
    ops = [before for e in edits for before in e.ops]
    matters = useful([before for before in ops if not any(x in before.results for x in xs)], ys)
    changed = varied([*ops, around], given)
    return [p for p in around.block("body").params if p in changed and p in matters and p not in xs]


def _slice(op: Op, around: Op, carried: Sequence[Value]) -> tuple[list[Value], list[Op]]:
    """What a loop must carry to give `carried`, and the ops of its body for that."""
    body = around.block("body")
    following = dict(zip(body.params[1:], body.results[1:], strict=True))
    needed, ops = set(carried), list[Op]()
    while True:
        wanted = {following[p] for p in needed}
        ops = live(body.ops, wanted, effects=False)
        read = wanted.union(*map(all_reads, ops), *(type_values(p.type) for p in needed))
        more = read.intersection(body.params[1:]) - needed
        if not more:
            break
        needed |= more
    if any(v in following for p in needed for v in type_values(p.type)):
        raise NotDifferentiable(op.name, "it depends on arrays of earlier trips whose sizes differ", op.span)
    if any(o.name in ("gradient", "tangent") for o in walk(Block((), tuple(ops), ()))):
        raise NotDifferentiable(op.name, "it depends on derivatives taken in earlier trips of its loop", op.span)
    return [p for p in body.params[1:] if p in needed], ops


def _repeated(b: Rebuilder, around: Op, needed: Sequence[Value], ops: Sequence[Op]) -> tuple[Value, ...]:
    """Emit the trips before the present one; gives what they leave."""
    body = around.block("body")
    following = dict(zip(body.params[1:], body.results[1:], strict=True))
    inits = dict(zip(body.params[1:], around.operands[2:], strict=True))
    go = b.constant(True, ScalarType(BOOL))
    inner = b.nested()
    index = inner.mapping[body.params[0]] = Value(ScalarType(I64), body.params[0].name)
    params = inner.params_like(needed)
    for op in ops:
        inner.step(op)
    block = inner.block((index, *params), (go, *(inner.value(following[p]) for p in needed)), "body")
    operands = (body.params[0], go, *(inits[p] for p in needed))
    return b.emit("loop", operands, blocks=[block], like=params, mapping={})
