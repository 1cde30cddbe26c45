"""Graphs that call each other, tied anew when some of them are replaced."""

from __future__ import annotations

from collections.abc import Mapping

from tracejit.ir.core import Block, Graph, Op


def relinked(done: Mapping[Graph, Graph]) -> dict[Graph, Graph]:
    """New graphs by the old ones that calls name, calling each other instead of these; other calls stay as they are.

    Calls may be recursive, so attributes are filled in when all graphs are there.
    """
    pending: list[tuple[dict[str, object], str, Graph]] = []

    def relink_block(block: Block) -> Block:
        return Block(block.params, tuple(relink_op(op) for op in block.ops), block.results, block.label)

    def relink_op(op: Op) -> Op:
        attrs = dict(op.attrs)
        pending.extend((attrs, name, value) for name, value in attrs.items() if isinstance(value, Graph))
        if not op.blocks and not any(isinstance(value, Graph) for value in attrs.values()):
            return op
        return Op(op.defn, op.operands, attrs, op.results, tuple(map(relink_block, op.blocks)), op.span)

    linked = {
        old: Graph(new.name, relink_block(new.body), new.device, new.inout, new.policy) for old, new in done.items()
    }
    for attrs, name, callee in pending:
        attrs[name] = linked.get(callee, callee)
    return linked
