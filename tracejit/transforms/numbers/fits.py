"""Checks that do not stop a loop, like that of `y[i] = x[i]` under `if x[i] > 0`, or one behind a write; and those of
Python ints (`n += 1` under a condition, where n grew in loops before).

Which trip reaches such a check is known in that trip only, and a loop that may stop in its midst does not become
vectors. An innermost loop is made twice: where no trip's index is out of bounds, whether it is asked for or not, and no
number can be too large, there is nothing to check. So is a nest of loops over elements (`c[i, j] = sum over k`), if
trips of a loop in it can then run side by side. Used by `ranges`, which knows what indices are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tracejit.ir.builder import Builder, Rebuilder
from tracejit.ir.core import Block, Op, Value, walk
from tracejit.ir.opdef import REGISTRY, Pointwise
from tracejit.ir.types import ScalarType
from tracejit.transforms.carry_elements import with_inner_elements
from tracejit.transforms.derivatives.element_places import WRITES
from tracejit.transforms.independent import trips_are_independent
from tracejit.transforms.numbers.limits import Scope, emitted
from tracejit.transforms.numbers.linear import Limit
from tracejit.transforms.numbers.starts import LONGEST

#: How many different limits may be asked for ahead of a loop.
_MOST = 6
#: Loops of so many trips are unrolled.
_FEW = 8
#: Nests of more operations are not made twice.
_LARGEST = 160


def is_few(loop: Op) -> bool:
    """Whether a loop is a part of the trip around it."""
    return isinstance(loop.operands[0].known, int) and loop.operands[0].known <= _FEW and _goes(loop)


def _goes(loop: Op) -> bool:
    """Whether nothing in a loop ends it; others do not become vectors."""
    return loop.block("body").results[0] is loop.operands[1]


def split_by_fit(loop: Op, made: Sequence[Op], needs: Mapping[Op, Sequence[Limit] | None], scope: Scope) -> list[Op]:
    """What was made of a loop, in two versions where it has checks that all hold if what `needs` says of each, of
    values from outside, does."""
    ops = [*walk(loop.block("body"))]
    if not _goes(loop) or is_few(loop) or len(ops) > LONGEST or any(op.name == "loop" and not is_few(op) for op in ops):
        return [*made]
    inside = [op for whole in made if whole.name == "loop" for op in walk(whole.block("body"))]
    checks = [op for op in inside if op.name == "check"]
    sums = [op for op in inside if op.defn.unchecked]
    b = Builder(loop.span)
    fine = _fine(b, checks + sums, needs, scope)
    if fine is None and checks and sums:
        sums = []
        b = Builder(loop.span)
        fine = _fine(b, checks, needs, scope)
    if fine is None:
        return [*made]
    dropped = frozenset(checks + sums)
    return [*b.ops, _versions(loop, fine, _copy(loop, made, "then", dropped), _copy(loop, made, "else", frozenset()))]


def is_nest(loop: Op) -> bool:
    """Whether a loop consists of arithmetic, accesses of elements, checks, branches and loops, one of them in it."""
    ops = [*walk(loop.block("body"))]
    is_small = len(ops) <= _LARGEST and any(op.name in WRITES for op in ops)
    return is_small and any(op.name == "loop" and not is_few(op) for op in ops) and all(map(_is_plain, ops))


def _is_plain(op: Op) -> bool:
    """Whether an op is one of a nest."""
    if op.name in ("loop", "if", "fetch", "check", "const", "dim", *WRITES):
        return True
    scalars = all(isinstance(v.type, ScalarType) for v in (*op.operands, *op.results))
    return scalars and not op.blocks and (isinstance(op.defn.lower, Pointwise) or bool(op.defn.unchecked))


def split_nest(
    free: Op, made: Sequence[Op], asked: Sequence[Op], needs: Mapping[Op, Sequence[Limit] | None], scope: Scope
) -> list[Op]:
    """What was made of a nest, in two versions: one `free` of what may fail, which is `asked` ahead of it, if that has
    loops whose trips may run side by side. `needs` says what must hold for each not to fail."""
    b = Builder(free.span)
    fine = _fine(b, asked, needs, scope)
    if fine is None:
        return [*made]
    then = _copy(free, [free], "then", frozenset())
    if not any(op.name == "loop" and _goes(op) and _becomes_independent(op) for op in walk(then)):
        return [*made]
    return [*b.ops, _versions(free, fine, then, _copy(free, made, "else", frozenset()))]


def _becomes_independent(loop: Op) -> bool:
    """Whether trips may run side by side, once what its inner loops read or add to in all their trips is done outside
    of those (`hoist-elements`, `carry-elements`)."""
    return trips_are_independent(with_inner_elements(loop), hoisted=False)


def _versions(loop: Op, fine: Value, then: Block, orelse: Block) -> Op:
    return Op(REGISTRY["if"], (fine,), {}, loop.results, (then, orelse), loop.span)


def _fine(b: Builder, checks: Sequence[Op], needs: Mapping[Op, Sequence[Limit] | None], scope: Scope) -> Value | None:
    """That no trip's check fails, ahead of the loop; None where that is not known, or nothing is asked."""
    truths: dict[Value, None] = {}
    limits: dict[Limit, tuple[int, int]] = {}  #: without constants; the greatest on the left, the least on the right
    for check in checks:
        truth, found = scope(check.operands[0]), needs.get(check)
        if truth is not None and check.name == "check":
            truths[truth] = None
        elif found is None or not all(scope(v) for limit in found for side in limit for v in side.terms):
            return None
        else:
            for x, y in found:
                limit = x.shifted(-x.constant), y.shifted(-y.constant)
                most, least = limits.get(limit, (x.constant, y.constant))
                limits[limit] = max(most, x.constant), min(least, y.constant)
    if not 0 < len(truths) + len(limits) <= _MOST:
        return None
    holds = [*truths]
    for (x, y), (most, least) in limits.items():
        holds += b.emit("le", (emitted(b, x.shifted(most), scope), emitted(b, y.shifted(least), scope)))
    fine = holds[0]
    for other in holds[1:]:
        fine = b.emit("logical_and", (fine, other))[0]
    return fine


def _copy(loop: Op, made: Sequence[Op], label: str, dropped: frozenset[Op]) -> Block:
    def visit(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op not in dropped:
            return None
        return b.emit(op.defn.unchecked, operands, names=[r.name for r in op.results]) if op.defn.unchecked else ()

    b = Rebuilder(visit, {})
    for op in made:
        b.step(op)
    return b.block((), tuple(map(b.value, loop.results)), label)
