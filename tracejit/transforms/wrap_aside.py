"""`wrap-aside`: an index that may be negative is used as it is where it is a place, and wrapped in a branch elsewhere.

`x[i]` of an unknown i is `select(i < 0, i + n, i)`, and a check of that. Nearly all indices are places as they are:
that is asked first, with one comparison and a jump that is foreseen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Graph, Op, Value, reads, walk
from tracejit.ir.opdef import REGISTRY
from tracejit.records import record
from tracejit.transforms.pipeline import transform


@record
class _Wrap:
    """`place` is `index`, or `index + size` where that is negative; the ops that choose it and ask if it is one."""

    index: Value
    size: Value
    zero: Value
    place: Value
    ops: tuple[Op, ...]


@transform("wrap-aside")
def wrap_aside(graph: Graph) -> Graph:
    """Wrap indices in branches."""
    ops = [*walk(graph.body)]
    if not any(op.name == "check" for op in ops):
        return graph
    uses = Counter(v for op in ops for v in reads(op))
    uses.update(v for op in ops for block in op.blocks for v in block.results)
    uses.update(graph.results)
    return replace(graph, body=_block(graph.body, uses))


def _block(block: Block, uses: Mapping[Value, int]) -> Block:
    made: dict[Value, Op] = {}
    ops: list[Op] = []
    for op in block.ops:
        wrap = _wrap(op, made) if op.name == "check" else None
        start = None if wrap is None else _start(wrap, ops, uses)
        if wrap is not None and start is not None:
            ops[start:] = [*(other for other in ops[start:] if other not in wrap.ops), *_aside(wrap, op)]
        else:
            ops.append(replace(op, blocks=tuple(_block(b, uses) for b in op.blocks)) if op.blocks else op)
        made.update(dict.fromkeys(op.results, op))
    return Block(block.params, tuple(ops), block.results, block.label)


def _wrap(check: Op, made: Mapping[Value, Op]) -> _Wrap | None:
    """The wrapped index that a check asks about."""

    def operands(x: Value, name: str) -> tuple[Value, ...]:
        op = made.get(x)
        return op.operands if op is not None and op.name == name else ()

    both = operands(check.operands[0], "logical_and")
    at_least, below = (operands(both[0], "ge"), operands(both[1], "lt")) if both else ((), ())
    if not at_least or not below or at_least[0] is not below[0] or at_least[1].known != 0:
        return None
    place, zero, size = at_least[0], at_least[1], below[1]
    chosen = operands(place, "select")
    if not chosen or operands(chosen[0], "lt") != (chosen[2], zero) or operands(chosen[1], "add") != (chosen[2], size):
        return None
    return _Wrap(chosen[2], size, zero, place, tuple(made[v] for v in (place, *both, check.operands[0])))


def _start(wrap: _Wrap, ops: Sequence[Op], uses: Mapping[Value, int]) -> int | None:
    """Where the ops begin, if nothing but a check needs what they ask, and nothing the place before it."""
    if any(uses[r] != 1 for op in wrap.ops[1:] for r in op.results):
        return None
    for i in range(len(ops) - 1, -1, -1):
        if ops[i] is wrap.ops[0]:
            return i
        if ops[i] not in wrap.ops and (ops[i].blocks or wrap.place in reads(ops[i])):
            return None
    return None


def _aside(wrap: _Wrap, check: Op) -> list[Op]:
    b = Builder(check.span)
    is_place = _is_place(b, wrap.index, wrap)
    aside = b.nested()
    wrapped = aside.emit("add", (wrap.index, wrap.size))[0]
    aside.emit("check", (_is_place(aside, wrapped, wrap), *check.operands[1:]), check.attrs)
    blocks = (b.nested().block((), (wrap.index,), "then"), aside.block((), (wrapped,), "else"))
    return [*b.ops, Op(REGISTRY["if"], (is_place,), {}, (wrap.place,), blocks, check.span)]


def _is_place(b: Builder, x: Value, wrap: _Wrap) -> Value:
    return b.emit("logical_and", (b.emit("ge", (x, wrap.zero))[0], b.emit("lt", (x, wrap.size))[0]))[0]
