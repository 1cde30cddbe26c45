"""Graphs that call each other, tied anew when some of them are replaced."""

from __future__ import annotations

import operator
from collections.abc import Mapping

from tracejit.ir.core import Block, Graph, Op


def relinked(done: Mapping[Graph, Graph]) -> dict[Graph, Graph]:
    """New graphs by the old ones that calls name, calling each other instead of these; other calls stay as they are.

    Calls may be recursive, so attributes are filled in when all graphs are there.
    """
    pending: list[tuple[dict[str, object], str, Graph]] = []

    def relink_block(block: Block) -> Block:
        ops = tuple(map(relink_op, block.ops))
        is_same = all(map(operator.is_, ops, block.ops))
        return block if is_same else Block(block.params, ops, block.results, block.label)

    def relink_op(op: Op) -> Op:
        named = [(name, value) for name, value in op.attrs.items() if value.__class__ is Graph] if op.attrs else ()
        blocks = tuple(map(relink_block, op.blocks)) if op.blocks else op.blocks
        if not named and all(map(operator.is_, blocks, op.blocks)):
            return op
        attrs = dict(op.attrs)
        pending.extend((attrs, name, value) for name, value in named)
        return Op(op.defn, op.operands, attrs, op.results, blocks, op.span)

    linked = {
        old: Graph(new.name, relink_block(new.body), new.device, new.inout, new.policy) for old, new in done.items()
    }
    for attrs, name, callee in pending:
        attrs[name] = linked.get(callee, callee)
    return linked
