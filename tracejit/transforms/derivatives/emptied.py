"""Lists of which nothing is left: behind `while items: items.pop()` the list is a new one.

What was in it leads on to nothing then: neither the next trip of a loop around nor a derivative goes through it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Graph, Op, Value, walk
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import ListType

_ENDLESS = 2**63 - 1  #: the limit of a `while`


def with_emptied(graph: Graph) -> Graph:
    """The graph with new lists in the place of those that a loop leaves which goes on while they have items."""
    makers = {r: op for op in walk(graph.body) for r in op.results}
    found = {op: _emptied(op, makers) for op in walk(graph.body) if op.name == "loop"}
    if not any(found.values()):
        return graph

    def visit(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if not found.get(op):
            return None
        results = [*b.copy(op, operands)]
        for i in found[op]:
            results[i] = b.emit("list_new", (), {"element": op.results[i].type.element}, names=(op.results[i].name,))[0]  # type: ignore[union-attr]
        return results

    return rebuild(graph, visit)


def _emptied(loop: Op, makers: Mapping[Value, Op]) -> list[int]:
    """The numbers of the lists that a loop leaves empty."""
    limit, go, *inits = loop.operands
    goes_on, *following = loop.block("body").results
    if not _is_number(limit, _ENDLESS, makers):
        return []
    return [
        i
        for i, (first, after) in enumerate(zip(inits, following, strict=True))
        if isinstance(first.type, ListType) and _has_items(go, first, makers) and _has_items(goes_on, after, makers)
    ]


def _has_items(truth: Value, items: Value, makers: Mapping[Value, Op]) -> bool:
    """Whether a truth value says that a list has items."""
    op = makers.get(truth)
    if op is None or op.defn not in (REGISTRY["gt"], REGISTRY["ne"]):
        return False
    length = makers.get(op.operands[0])
    is_length = length is not None and length.name == "list_len" and length.operands[0] is items
    return is_length and _is_number(op.operands[1], 0, makers)


def _is_number(value: Value, number: int, makers: Mapping[Value, Op]) -> bool:
    op = makers.get(value)
    return op is not None and op.name == "const" and op.attrs["value"] == number
