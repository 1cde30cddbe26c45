"""Which contents of arrays may be one by the path that was taken: what branches and loops give, and what loops hand on.

What a loop gives is what its last trip left, or what it began with: no trip reads that as what the trip before handed
on, so a write behind the loop changes nothing that a trip was given. Where no derivative goes through what it gives,
that matters only where something else reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tracejit.ir.core import Op, Value, walk
from tracejit.ir.types import TensorType


@dataclass(frozen=True, slots=True)
class _Step:
    """A content that a value may be as `of` has it; `loop` where that is what a loop gives of what was in it, `enters`
    where it is what a trip is given."""

    value: Value
    loop: Op | None = None
    enters: Op | None = None


def same_by_path(ops: Sequence[Op], is_mark: Callable[[Op], bool], through: Container[Value]) -> dict[Value, Op]:
    """The values that may be a content which a mark among the ops replaces, each with the mark; `through` are the
    values that the derivative goes through. Only what stands before a mark can be meant by it."""
    steps: dict[Value, list[_Step]] = {}
    read: set[Value] = set()
    found: dict[Value, Op] = {}
    for op in ops:
        if is_mark(op):
            for value in _reached(op.operands[1], steps, read, through):
                found.setdefault(value, op)
        for inner in (op, *(inner for block in op.blocks for inner in walk(block))):
            for value, step in _of(inner):
                if isinstance(value.type, TensorType) and value.type.dtype.is_inexact:
                    steps.setdefault(value, []).append(step)
            if not inner.blocks and any(r in through for r in inner.results):
                read.update(inner.operands)
    return found


def _reached(
    start: Value, steps: Mapping[Value, Sequence[_Step]], read: Container[Value], through: Container[Value]
) -> Iterator[Value]:
    seen = {(start, frozenset[Op]())}
    waiting = [*seen]
    while waiting:
        value, left = waiting.pop()
        if value is not start:
            yield value
        for step in steps.get(value, ()):
            is_unused = step.loop is not None and value not in through and step.value not in read
            if is_unused or step.enters in left:
                continue
            following = step.value, left if step.loop is None else left | {step.loop}
            if following not in seen:
                seen.add(following)
                waiting.append(following)


def _of(op: Op) -> Iterator[tuple[Value, _Step]]:
    if op.name == "if":
        for block in op.blocks:
            for given, result in zip(block.results, op.results, strict=True):
                yield result, _Step(given)
                yield given, _Step(result)
    elif op.name == "loop":
        body = op.block("body")
        carried: Sequence[tuple[Value, ...]] = [
            *zip(op.operands[2:], body.params[1:], body.results[1:], op.results, strict=True)
        ]
        for init, param, following, result in carried:
            for given in (init, following):
                yield result, _Step(given, loop=op)
                yield given, _Step(result, enters=op)
                yield param, _Step(given)
                yield given, _Step(param, enters=op)
