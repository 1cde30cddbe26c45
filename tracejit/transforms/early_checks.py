"""`early-checks`: checks stand as soon as what they look at is known.

Ops between a check and the definition of what it checks would otherwise be cut off from those behind it: a kernel
cannot reach across an effect. Checks keep their order among effects, and never pass an op that updates storage,
because what was written before an error stays written.
"""

from __future__ import annotations

from tracejit.ir.core import Block, Graph, Op, reads
from tracejit.transforms.pipeline import transform

#: Ops that only look at sizes and host scalars.
_CHECKS = frozenset(("check", "check_eq"))


@transform("early-checks")
def early_checks(graph: Graph) -> Graph:
    """Move checks up, in every block."""
    return Graph(graph.name, _block(graph.body), graph.device, graph.inout, graph.policy)


def _block(block: Block) -> Block:
    ops: list[Op] = []
    for old in block.ops:
        op = old if not old.blocks else _with_blocks(old)
        ops.insert(_earliest(ops, op) if op.name in _CHECKS else len(ops), op)
    return Block(block.params, tuple(ops), block.results, block.label)


def _with_blocks(op: Op) -> Op:
    return Op(op.defn, op.operands, op.attrs, op.results, tuple(map(_block, op.blocks)), op.span)


def _earliest(ops: list[Op], check: Op) -> int:
    """The first position at which everything the check reads is there and no barrier lies behind."""
    needed = set(reads(check))
    for at in range(len(ops), 0, -1):
        before = ops[at - 1]
        if _is_barrier(before) or any(r in needed for r in before.results):
            return at
    return 0


def _is_barrier(op: Op) -> bool:
    """Effects keep their order; updates and control flow stay before checks that follow them."""
    updates = getattr(op.defn.lower, "updates", False) or op.name == "sync"
    return bool(op.defn.effect) or bool(op.blocks) or updates
