"""Checks that do not stop a loop, like that of `y[i] = x[i]` under `if x[i] > 0`, or one behind a write.

Which trip reaches such a check is known in that trip only, and a loop that may stop in its midst does not become
vectors. An innermost loop is made twice: where no trip's index is out of bounds, whether it is asked for or not, there
is nothing to check. Used by `ranges`, which knows what indices are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tracejit.ir.builder import Builder, Rebuilder
from tracejit.ir.core import Block, Op, Value, walk
from tracejit.ir.opdef import REGISTRY
from tracejit.transforms.limits import SIZE, Scope, emitted
from tracejit.transforms.linear import Linear
from tracejit.transforms.starts import LONGEST

#: How many different limits may be asked for ahead of a loop.
_MOST = 6
#: Loops of so many trips are unrolled.
_FEW = 8


def is_few(loop: Op) -> bool:
    """Whether a loop is a part of the trip around it."""
    return isinstance(loop.operands[0].known, int) and loop.operands[0].known <= _FEW


def split_by_fit(loop: Op, made: Sequence[Op], needs: Mapping[Op, Sequence[Linear] | None], scope: Scope) -> list[Op]:
    """What was made of a loop, in two versions where it has checks that all hold if what `needs` says of each, of
    values from outside, is at most 0."""
    ops = [*walk(loop.block("body"))]
    if is_few(loop) or len(ops) > LONGEST or any(op.name == "loop" and not is_few(op) for op in ops):
        return [*made]
    checks = [op for whole in made if whole.name == "loop" for op in walk(whole.block("body")) if op.name == "check"]
    b = Builder(loop.span)
    fine = _fine(b, checks, needs, scope)
    if fine is None:
        return [*made]
    blocks = (_copy(loop, made, "then", frozenset(checks)), _copy(loop, made, "else", frozenset()))
    return [*b.ops, Op(REGISTRY["if"], (fine,), {}, loop.results, blocks, loop.span)]


def _fine(b: Builder, checks: Sequence[Op], needs: Mapping[Op, Sequence[Linear] | None], scope: Scope) -> Value | None:
    """That no trip's check fails, ahead of the loop; None where that is not known, or nothing is asked."""
    truths: dict[Value, None] = {}
    limits: dict[frozenset[tuple[Value, int]], int] = {}
    for check in checks:
        truth, found = scope(check.operands[0]), needs.get(check)
        if truth is not None:
            truths[truth] = None
        elif found is None or not all(scope(v) for rest in found for v in rest.terms):
            return None
        else:
            for rest in found:
                key = frozenset(rest.terms.items())
                limits[key] = max(limits.get(key, rest.constant), rest.constant)
    if not 0 < len(truths) + len(limits) <= _MOST:
        return None
    holds = [*truths]
    zero = b.constant(0, SIZE)
    for terms, constant in limits.items():
        holds += b.emit("le", (emitted(b, Linear(dict(terms), constant), scope), zero))
    fine = holds[0]
    for other in holds[1:]:
        fine = b.emit("logical_and", (fine, other))[0]
    return fine


def _copy(loop: Op, made: Sequence[Op], label: str, dropped: frozenset[Op]) -> Block:
    b = Rebuilder(lambda _, op, __: () if op in dropped else None, {})
    for op in made:
        b.step(op)
    return b.block((), tuple(map(b.value, loop.results)), label)
