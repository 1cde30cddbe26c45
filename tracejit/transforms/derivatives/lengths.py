"""Lengths of lists that an item was just added to or taken from, by those of the lists before.

A condition such as `len(losses) == 4` behind `losses.append(...)` can then be told without the list that it adds to.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Graph, Op, Value, walk

_MOVES = {"list_push": 1, "list_pop": -1}


def lengths_by_counting(graph: Graph) -> Graph:
    """The graph with `list_len` of a `list_push` or `list_pop` as the length before it, one more or less."""
    asked = {op.operands[0] for op in walk(graph.body) if op.name == "list_len"}
    changed = {op.results[0]: op for op in walk(graph.body) if op.name in _MOVES}
    if asked.isdisjoint(changed):
        return graph
    counted = set[Value]()
    for items in asked:
        while items in changed and items not in counted:
            counted.add(items)
            items = changed[items].operands[0]
    lengths: dict[Value, Value] = {}

    def visit(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op.name == "list_len" and operands[0] in lengths:
            return (lengths[operands[0]],)
        if op.name in _MOVES and op.results[0] in counted:
            before = lengths.get(operands[0]) or b.emit("list_len", operands[:1])[0]
            results = b.copy(op, operands)
            lengths[results[0]] = (b.wrap(before) + _MOVES[op.name]).value
            return results
        return None

    return rebuild(graph, visit)
