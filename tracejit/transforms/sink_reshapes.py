"""`sink-reshapes`: elementwise values with axes of size 1 are computed without them.

Statistics that keep their axes (`x.mean(-1, keepdims=True)`) are arrays of n by 1 elements. Computed as arrays of n,
what is made of them belongs to the same rows as the sums before and the arrays of n by m behind: all can be one kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Graph, Op, Value, walk
from tracejit.ir.opdef import Pointwise
from tracejit.ir.types import Dim, ScalarType, TensorType
from tracejit.records import record
from tracejit.transforms.pipeline import transform


@transform("sink-reshapes")
def sink_reshapes(graph: Graph) -> Graph:
    """Move reshapes that add axes of size 1 behind elementwise ops."""
    return rebuild(graph, _Sinking().visit, keeps=True) if any(map(_adds_units, walk(graph.body))) else graph


def _adds_units(op: Op) -> bool:
    """Whether the op is a reshape that puts axes of size 1 in."""
    lower = op.defn.lower
    if not isinstance(lower, Pointwise) or lower.view != "flat" or op.name == "broadcast":
        return False
    source, target = _shape(op.operands[0]), _shape(op.results[0])
    return 0 < len(source) < len(target) and [d for d in target if d != 1] == [d for d in source if d != 1]


def _shape(value: Value) -> tuple[Dim | None, ...]:
    return value.type.shape if isinstance(value.type, TensorType) else ()


@record
class _Padded:
    """A value that is `source` reshaped as `op` says to the sizes `sizes`."""

    source: Value
    op: Op
    sizes: tuple[Value, ...]


class _Sinking:
    """What is known about values of the new graph."""

    def __init__(self) -> None:
        self.padded: dict[Value, _Padded] = {}
        self.spread: dict[Value, Value] = {}  #: one number everywhere: the number

    def visit(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op.name == "broadcast" and isinstance(operands[0].type, ScalarType):
            made = b.copy(op, operands)
            self.spread[made[0]] = operands[0]
            return made
        if _adds_units(op):
            made = b.copy(op, operands)
            self.padded[made[0]] = _Padded(operands[0], op, operands[1:])
            return made
        found = self.common(op, operands)
        return None if found is None else self.narrow(b, op, operands, found)

    def common(self, op: Op, operands: Sequence[Value]) -> _Padded | None:
        """How the tensors that an elementwise op reads were padded, if all were alike."""
        lower = op.defn.lower
        if not isinstance(lower, Pointwise) or not lower.own_index or lower.view or len(op.results) != 1:
            return None
        tensors = [v for v in operands if isinstance(v.type, TensorType) and v not in self.spread]
        found = [self.padded.get(v) for v in tensors]
        if not found or any(p is None or _shape(p.source) != _shape(found[0].source) for p in found):  # type: ignore[union-attr]
            return None
        return found[0]

    def narrow(self, b: Rebuilder, op: Op, operands: Sequence[Value], like: _Padded) -> Sequence[Value]:
        """The op on what was padded, and its result padded."""
        dims = _shape(like.op.results[0])
        wide = iter([size for size, dim in zip(like.sizes, dims, strict=True) if dim != 1])
        sizes = [b.wrap(b.size(1) if dim == 1 else next(wide)) for dim in _shape(like.source)]
        narrow = [
            self.padded[v].source
            if v in self.padded
            else b.broadcast(b.wrap(self.spread[v]), sizes).value
            if v in self.spread
            else v
            for v in operands
        ]
        made = b.emit(op.defn, narrow, op.attrs, names=[op.results[0].name], span=op.span)[0]
        padded = b.emit(like.op.defn, (made, *like.sizes), like.op.attrs, names=[op.results[0].name], span=op.span)
        self.padded[padded[0]] = _Padded(made, like.op, like.sizes)
        return padded
