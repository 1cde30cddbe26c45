"""Filled arrays (`np.zeros`) of which several things take one over: two that begin alike are one value until here."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace

from tracejit.ir.aliasing import consumed, has_storage
from tracejit.ir.core import Block, Op, Value, uses, with_ops


def is_fill(op: Op) -> bool:
    """Whether the op makes an array of one number."""
    return op.name == "broadcast" and has_storage(op.results[0]) and not has_storage(op.operands[0])


def with_own_fills(
    block: Block, kept: Container[Value] = frozenset[Value](), around: Mapping[Value, Op] | None = None
) -> Block:
    """The block with a fill of its own, instead of a copy of one, for what takes over a filled array that something
    else uses too. Values that are `kept` stay where they are made: new versions of written parameters do, before they
    are stored. `around`: the fills of enclosing blocks."""
    counts, around = uses(block), around or {}
    known = dict(around)
    ops: list[Op] = []

    def own(value: Value) -> Value:
        fill = known.get(value)
        if fill is None or (counts.get(value, 0) < 2 and value not in around):
            return value
        made = Value(value.type, value.name)
        ops.append(replace(fill, results=(made,)))
        return made

    for op in block.ops:
        if is_fill(op) and op.results[0] not in kept:
            known[op.results[0]] = op
        taken = consumed(op)
        operands = tuple(own(v) if i in taken else v for i, v in enumerate(op.operands))
        blocks = op.blocks if op.name == "fused" else tuple(with_own_fills(b, kept, known) for b in op.blocks)
        is_same = operands == op.operands and blocks == op.blocks
        ops.append(op if is_same else replace(op, operands=operands, blocks=blocks))
    results = tuple(own(v) if has_storage(v) else v for v in block.results)
    read = uses(Block(block.params, tuple(ops), results))
    left = (op for op in ops if not op.results or op.results[0] not in known or op.results[0] in read)
    return with_ops(block, left, results)
