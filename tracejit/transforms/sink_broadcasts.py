"""`sink-broadcasts`: a value that may have to be stretched is computed at the stretched size.

Where sizes are only known to be equal or 1, `A[1:-1] += B[1:] - B[:-1]` stretches the sum to the size of the slice. An
elementwise value with one reader is then computed from stretched operands instead, so that the whole statement has
one shape and can be one kernel. A size that is known to be 1 stays where it is: there computing first is cheaper.
A block's result that only takes another name of its size (`exact`) stays as well: it is computed beside what it shares
the first name with, and the other is a view of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Graph, Op, Value, uses, walk
from tracejit.ir.opdef import Pointwise
from tracejit.ir.types import TensorType
from tracejit.transforms.pipeline import transform


@transform("sink-broadcasts")
def sink_broadcasts(graph: Graph) -> Graph:
    """Compute stretched elementwise values from stretched operands."""
    makers = {r: op for op in walk(graph.body) for r in op.results}
    if not any(_may_sink(op, makers) for op in makers.values()):
        return graph
    blocks = (graph.body, *(block for op in walk(graph.body) for block in op.blocks))
    sinking = _Sinking(makers, uses(graph.body), {v for block in blocks for v in block.results})
    return rebuild(graph, sinking.visit, keeps=True)


def _may_sink(op: Op, makers: dict[Value, Op]) -> bool:
    """Whether the op stretches a tensor only along axes of unknown size."""
    if op.name != "broadcast" or not isinstance(op.operands[0].type, TensorType):
        return False
    source, target = op.operands[0].type.shape, op.results[0].type.shape  # type: ignore[union-attr]
    fits = len(source) == len(target) and all(d == t or d != 1 for d, t in zip(source, target, strict=True))
    return fits and op.operands[0] in makers


class _Sinking:
    """Moves broadcasts down; `makers`, `counts` and `yielded` (results of blocks) are about the old graph."""

    def __init__(self, makers: dict[Value, Op], counts: dict[Value, int], yielded: set[Value]) -> None:
        self.makers = makers
        self.counts = counts
        self.yielded = yielded

    def visit(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if not _may_sink(op, self.makers) or self.elementwise(op.operands[0]) is None:
            return None
        exact = bool(op.attrs.get("exact", False))
        if exact and op.results[0] in self.yielded:
            return None
        return (self.stretched(b, op.operands[0], operands[1:], exact),)

    def elementwise(self, value: Value) -> Op | None:
        """The elementwise op that makes a value for one reader alone."""
        op = self.makers.get(value)
        if op is None or self.counts.get(value, 0) != 1:
            return None
        is_elementwise = isinstance(op.defn.lower, Pointwise) and op.defn.lower.own_index
        return op if is_elementwise and isinstance(value.type, TensorType) else None

    def stretched(self, b: Rebuilder, value: Value, shape: Sequence[Value], exact: bool) -> Value:
        """An old value in the new shape."""
        op = self.makers.get(value)
        if op is not None and op.name == "broadcast":
            exact = exact and bool(op.attrs.get("exact", False))
            source = op.operands[0]
            if _may_sink(op, self.makers) and self.counts.get(value, 0) == 1:
                return self.stretched(b, source, shape, exact)
            return self.broadcast(b, source, shape, exact, value.name)
        op = self.elementwise(value)
        if op is not None:
            operands = [self.stretched(b, v, shape, exact) for v in op.operands]
            return b.emit(op.defn, operands, op.attrs, names=(value.name,), span=op.span)[0]
        return self.broadcast(b, value, shape, exact, value.name)

    def broadcast(self, b: Rebuilder, value: Value, shape: Sequence[Value], exact: bool, name: str) -> Value:
        """An old value stretched, unless it has the shape."""
        new = b.value(value)
        if isinstance(new.type, TensorType) and new.type.shape == tuple(s.dim for s in shape):
            return new
        attrs = {"exact": True} if exact and isinstance(new.type, TensorType) else {}
        return b.emit("broadcast", (new, *shape), attrs, names=(name,))[0]
