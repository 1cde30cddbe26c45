"""What a derivative needs may not be changed in place before it is taken: a RuntimeError, as in eager code.

`rewritten(new, old)` and `unrecorded(new, old)` mark where an array's content `old` is replaced. A `gradient` behind
them whose rules read `old` always raises; where the write depends on the path, it is refused. An operation in place
keeps what it needs of the array itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracejit.errors import NotDifferentiable
from tracejit.ir.builder import Builder, Rebuilder, rebuild
from tracejit.ir.core import Block, Graph, Op, Value, reads, walk
from tracejit.ir.opdef import Update
from tracejit.ir.types import BOOL, ScalarType
from tracejit.transforms.activity import active
from tracejit.transforms.vjp import contributions

_MESSAGE = (
    "a tensor that the derivative needs was changed in place after it had been used; work on a clone(), or change it "
    "before"
)


def rewritten_checked(body: Block) -> Block:
    """The block with a check before each `gradient` of a `backward()` that would need what was overwritten."""
    marked = any(_is_mark(op) for op in walk(body)) and any(_is_backward(op) for op in walk(body))
    return _checked(body, []) if marked else body


def without_rewritten(graph: Graph) -> Graph:
    """The graph without the marks."""

    def visit(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        return (operands[0],) if op.name == "rewritten" else None

    return rebuild(graph, visit) if any(op.name == "rewritten" for op in walk(graph.body)) else graph


def _is_mark(op: Op) -> bool:
    return op.defn.stands_for == 0 and len(op.operands) == 2


def _is_backward(op: Op) -> bool:
    return op.name == "gradient" and op.attrs.get("site", -1) >= 0


def _checked(block: Block, before: Sequence[Op], around: Sequence[Op] = ()) -> Block:
    ops: list[Op] = []
    here = list(before)
    for op in block.ops:
        if _is_backward(op):
            ops += _checks(op, here, around)
        if op.blocks:
            blocks = tuple(_checked(n, here, (*around, op)) for n in op.blocks)
            op = Op(op.defn, op.operands, op.attrs, op.results, blocks, op.span)
        ops.append(op)
        here.append(op)
    return Block(block.params, tuple(ops), block.results, block.label)


def _checks(gradient: Op, before: Sequence[Op], around: Sequence[Op]) -> Sequence[Op]:
    """A check that fails, where the derivative needs what was overwritten."""
    certain = _replaced(before, around)
    every = [*_all(before)]
    possible = _replaced(every, [*every, *around])
    if not possible:
        return ()
    y, _, xs = gradient.defn.group(gradient.operands)
    through = active(before, xs, (y,))
    for op in every:
        if op.blocks or _is_mark(op) or not any(r in through for r in op.results):
            continue
        if not any(v in possible for v in (*op.operands, *op.results)):
            continue
        stale = [possible[v] for v in _needed(op, through) if v in possible and possible[v].span != op.span]
        if any(mark.operands[1] in certain for mark in stale):
            b = Builder(gradient.span)
            b.emit("check", (b.constant(False, ScalarType(BOOL)),), {"kind": "RuntimeError", "message": _MESSAGE})
            return b.ops
        if stale:
            reason = "an array that it needs may be changed in place meanwhile: work on a clone(), or change it before"
            raise NotDifferentiable(gradient.name, reason, stale[0].span)
    return ()


def _replaced(marks: Sequence[Op], loops: Sequence[Op]) -> dict[Value, Op]:
    """The contents that marks say are replaced, also under the names they have before loops."""
    found = {op.operands[1]: op for op in marks if _is_mark(op)}
    for loop in reversed([op for op in loops if op.name == "loop"]):  # an inner loop stands behind the one around it
        for init, param in zip(loop.operands[2:], loop.block("body").params[1:], strict=True):
            if param in found:
                found.setdefault(init, found[param])
    return found


def _all(ops: Sequence[Op]) -> Iterator[Op]:
    for op in ops:
        yield op
        for block in op.blocks:
            yield from walk(block)


def _needed(op: Op, through: set[Value]) -> set[Value]:
    """The operands and results that an op's rule reads for the cotangents that go on."""
    if isinstance(op.defn.vjp, str):
        return set()
    b = Builder(op.span)
    given = tuple(b.wrap(Value(r.type, "g")) if r in through else None for r in op.results)
    wanted: set[Value] = set()
    for operand, contribution in contributions(b, op, given):
        if operand in through and isinstance(contribution, Update):
            contribution = contribution.apply(b.wrap(Value(operand.type, "running")))
        if operand in through and contribution is not None:
            wanted.add(contribution.value)
    for made in reversed(b.ops):
        if any(r in wanted for r in made.results):
            wanted.update(reads(made))
    return wanted & {*op.operands, *op.results}
