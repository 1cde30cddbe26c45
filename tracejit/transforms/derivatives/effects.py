"""Graphs without their effects: what a derivative repeats of a forward that has checked and printed already."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Graph, Op, Value
from tracejit.ir.linking import relinked
from tracejit.ir.printer import called_graphs


def without_checks(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
    """Drop checks and prints: the forward has made them, but for those of the backward of a `custom` op."""
    if op.name == "custom":
        loud = Rebuilder(None, b.mapping, b.span)
        loud.names = b.names
        blocks = [(loud if block.label == "backward" else b).block_like(block) for block in op.blocks]
        return b.emit(op.defn, operands, op.attrs, blocks=blocks, like=op.results, mapping=b.mapping, span=op.span)
    return () if op.defn.effect == "order" and not op.results else None


def without_effects(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
    """Drop checks and prints, also those of called graphs."""
    if op.name == "call" and op.results:
        return b.copy(op, operands, {**op.attrs, "callee": silent(op.attrs["callee"])})
    return without_checks(b, op, operands)


def quiet(op: Op) -> list[Op]:
    """The op as it is repeated: what only its checks and reports read is not read then."""
    b = Rebuilder(without_effects, {}, op.span)
    b.step(op)
    return b.ops


@lru_cache(maxsize=64)
def silent(graph: Graph) -> Graph:
    """A called graph, and all it calls, without checks and prints. What stands for a graph in the making stays."""
    if not graph.body.ops and not graph.params:
        return graph
    return relinked({g: rebuild(g, without_checks) for g in called_graphs(graph)})[graph]
