"""`plain-values`: marks for derivatives go, once these have been taken.

`detach(x)` and `unrecorded(new, old)` are their values then; an array that is written where nothing is recorded is
updated in place like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Graph, Op, Value, walk
from tracejit.transforms.dce import dce
from tracejit.transforms.pipeline import transform


@transform("plain-values")
def plain_values(graph: Graph) -> Graph:
    """Put operands in the place of the ops that stand for them, and drop what only these read."""
    if all(op.defn.stands_for is None for op in walk(graph.body)):
        return graph
    return dce(rebuild(graph, _without_marks, keeps=True))


def _without_marks(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
    return None if op.defn.stands_for is None else (operands[op.defn.stands_for],)
