"""`early-checks`: checks stand as soon as what they look at is known.

Ops between a check and the definition of what it checks would otherwise be cut off from those behind it: a kernel
cannot reach across an effect. Checks keep their order among effects, and never pass an op that updates storage, or
makes a new version of a written parameter, because what was written before an error stays written.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from itertools import chain

from tracejit.ir.core import Block, Graph, Op, Value, reads
from tracejit.transforms.pipeline import transform
from tracejit.transforms.write_home import new_versions

#: Ops that only look at sizes and host scalars.
_CHECKS = frozenset(("check", "check_eq"))


@transform("early-checks")
def early_checks(graph: Graph) -> Graph:
    """Move checks up, in every block."""
    return Graph(graph.name, _block(graph.body, new_versions(graph)), graph.device, graph.inout, graph.policy)


def _block(block: Block, written: Container[Value]) -> Block:
    made: dict[Value, int] = {}  #: by which op: values that are made here
    ops: list[list[Op]] = [[]]  #: each op that is no check, and the checks behind it; the first has checks only
    earliest = 0  #: behind which op the next check may stand, were there nothing to look at
    for old in block.ops:
        op = old if not old.blocks else _with_blocks(old, written)
        if op.name in _CHECKS:
            earliest = max((earliest, *(made[r] for r in reads(op) if r in made)))
            ops[earliest].append(op)
            continue
        made.update(dict.fromkeys(op.results, len(ops)))
        if _is_barrier(op) or any(r in written for r in op.results):
            earliest = len(ops)
        ops.append([op])
    return Block(block.params, tuple(chain.from_iterable(ops)), block.results, block.label)


def _with_blocks(op: Op, written: Container[Value]) -> Op:
    return replace(op, blocks=tuple(_block(block, written) for block in op.blocks))


def _is_barrier(op: Op) -> bool:
    """Effects keep their order; updates and control flow stay before checks that follow them."""
    updates = getattr(op.defn.lower, "updates", False) or op.name == "sync"
    return bool(op.defn.effect) or bool(op.blocks) or updates
