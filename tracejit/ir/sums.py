"""Sums that loops make: carried numbers to which each trip adds one, and which it does not look at. Those to which only
some trips add become such (`with_plain_sums`).
"""

from __future__ import annotations

from dataclasses import replace

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Op, Value, uses
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import F32, F64, ScalarType
from tracejit.records import record


@record(eq=False)
class Sum:
    """A carried number, the op that adds to it or subtracts from it, what, and whether that is added."""

    param: Value
    op: Op
    element: Value
    adds: bool


def sums_of(body: Block) -> dict[int, Sum]:
    """The sums of a loop's body, by their places among what it carries. Integers wrap."""
    found: dict[int, Sum] = {}
    if not any(map(_is_number, body.params[1:])):
        return found
    made = {r: op for op in body.ops for r in op.results}
    reads = uses(body)
    for place, (param, result) in enumerate(zip(body.params[1:], body.results[1:], strict=True)):
        total = _sum(made.get(result), param)
        if total is not None and _is_number(param) and reads[param] == reads[result] == 1:
            found[place] = total
    return found


def with_plain_sums(loop: Op) -> Op:
    """A loop in which branches add to numbers (`if r < limit: total += e`), with what they add, or -0.0, which changes
    no number, added behind the branch."""
    body = loop.block("body")
    if not any(map(_is_number, body.params[1:])):
        return loop
    reads, ops, results = uses(body), list(body.ops), list(body.results)
    for place, (param, result) in enumerate(zip(body.params[1:], body.results[1:], strict=True)):
        at = next((k for k, op in enumerate(ops) if op.name == "if" and result in op.results), None)
        if at is None or not _is_number(param) or reads[result] != 1:
            continue
        branch, number = ops[at], ops[at].results.index(result)
        blocks = [_with_element(block, number, param) for block in branch.blocks]
        found = [block for block in blocks if block is not None]
        if len(found) < 2 or reads[param] != 2:
            continue
        element = Value(param.type, "element")
        changed = tuple(element if r is result else r for r in branch.results)
        total = Value(result.type, result.name)
        ops[at : at + 1] = [
            replace(branch, results=changed, blocks=tuple(found)),
            Op(REGISTRY["add"], (param, element), {}, (total,), (), branch.span),
        ]
        results[1 + place] = total
    if results == list(body.results):
        return loop
    return replace(loop, blocks=(Block(body.params, tuple(ops), tuple(results), body.label),))


def _with_element(block: Block, number: int, param: Value) -> Block | None:
    """A branch that gives what it adds to a number instead of the sum; None where it does something else with it."""
    result, b = block.results[number], Builder()
    assert isinstance(param.type, ScalarType)
    total = _sum(next((op for op in block.ops if result in op.results), None), param)
    if result is param:
        element = b.constant(-0.0 if param.type.dtype.is_float else 0, param.type)
    elif total is not None and uses(block)[result] == 1:
        b.span = total.op.span
        element = total.element if total.adds else b.emit("neg", (total.element,), names=("element",))[0]
    else:
        return None
    ops = (op for op in block.ops if total is None or op is not total.op)
    results = tuple(element if k == number else r for k, r in enumerate(block.results))
    return Block(block.params, (*ops, *b.ops), results, block.label)


def _sum(op: Op | None, param: Value) -> Sum | None:
    """What an op adds to a number, or subtracts from it, if it is something else."""
    if op is None or op.operands.count(param) != 1 or len(op.defn.signs) != 2:
        return None
    at = op.operands.index(param)
    return Sum(param, op, op.operands[1 - at], op.defn.signs[1 - at] > 0) if op.defn.signs[at] > 0 else None


def _is_number(value: Value) -> bool:
    type = value.type
    return isinstance(type, ScalarType) and (type.dtype in (F32, F64) or type.dtype.is_integer)
