"""`hoist-elements`: an element that no trip of an inner loop changes, like `p[i]` in a loop over j, is read before it.

`licm` moves no read at a computed index: where the loop makes no trip there may be no such element. That there is one
is proved here, from loop limits and sizes (`numbers/apart.py`). A loop around such a loop may then have trips that run
side by side (`independent`): its inner loop reads what all of them share.
"""

from __future__ import annotations

from dataclasses import replace

from tracejit.ir.core import Block, Graph, Op, walk, with_ops
from tracejit.transforms.independent import reads_of_all_trips
from tracejit.transforms.licm import split
from tracejit.transforms.numbers.apart import Program, is_element
from tracejit.transforms.numbers.rules import least_size
from tracejit.transforms.pipeline import transform


@transform("hoist-elements")
def hoist_elements(graph: Graph) -> Graph:
    """Read elements before inner loops that do not change them."""
    return replace(graph, body=_Hoist(graph).block(graph.body, False)) if _has_nest(graph) else graph


def _has_nest(graph: Graph) -> bool:
    loops = (op for op in walk(graph.body) if op.name == "loop")
    inner = (op for loop in loops for op in walk(loop.block("body")) if op.name == "loop")
    return any(reads_of_all_trips(loop.block("body")) for loop in inner)


class _Hoist:
    """Moves reads out of loops, innermost first."""

    def __init__(self, graph: Graph) -> None:
        self.program = Program(graph.body.ops, least_size(graph))

    def block(self, block: Block, in_loop: bool) -> Block:
        ops: list[Op] = []
        for op in block.ops:
            if op.blocks:
                is_loop = op.name == "loop"
                blocks = tuple(self.block(b, in_loop or is_loop) for b in op.blocks)
                moved, blocks = self.moved(op, *blocks) if is_loop and in_loop else ([], blocks)
                ops += moved
                op = replace(op, blocks=blocks)
            ops.append(op)
        return with_ops(block, ops)

    def moved(self, loop: Op, body: Block) -> tuple[list[Op], tuple[Block]]:
        """What is read before a loop, and what is made of that in all trips, and the body without it."""
        path = self.program.places[loop]
        reads = [r for r in reads_of_all_trips(body) if is_element(self.program, path, r.operands[0], r.operands[1:])]
        if not reads:
            return [], (body,)
        made, body = split(with_ops(body, (op for op in body.ops if op not in reads)))
        return [*reads, *made], (body,)
