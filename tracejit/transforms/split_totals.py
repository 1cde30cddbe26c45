"""`split-totals`: a reduction of everything is one along rows and one of their results, where rows are reduced anyway.

`(layer_norm(x) * c).sum()` folds a matrix along its rows and as a whole. As two steps the total joins the kernel of
the rows, which has the elements at hand, and what is left is a reduction of one number per row.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Block, Graph, Op, Value
from tracejit.ir.opdef import Reduction
from tracejit.ir.types import BF16, F16, Dim, TensorType
from tracejit.transforms.pipeline import transform


@transform("split-totals")
def split_totals(graph: Graph) -> Graph:
    """Reduce along rows first, where another reduction does."""
    first: dict[Op, tuple[int, ...]] = {}
    _find(graph.body, first)
    if not first:
        return graph

    def visit(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        axes = first.get(op)
        if axes is None:
            return None
        row = b.emit(op.defn, operands, {"axes": axes}, names=(op.results[0].name,), span=op.span)
        rest = tuple(a for a in op.attrs["axes"] if a not in axes)
        return b.emit(op.defn, row, {"axes": rest}, names=(op.results[0].name,), span=op.span)

    return rebuild(graph, visit, keeps=True)


def _find(block: Block, first: dict[Op, tuple[int, ...]]) -> None:
    """Enter the reductions to be split, with the axes to be reduced first."""
    rows: dict[tuple[Dim | None, ...], tuple[int, ...]] = {}
    for op in block.ops:
        if isinstance(op.defn.lower, Reduction):
            shape, axes = _shape(op), op.attrs["axes"]
            if axes and len(axes) < len(shape) and axes == tuple(range(len(shape) - len(axes), len(shape))):
                rows.setdefault(shape, axes)
        for inner in op.blocks:
            _find(inner, first)
    for op in block.ops:
        if _may_split(op) and _shape(op) in rows:
            first[op] = rows[_shape(op)]


def _may_split(op: Op) -> bool:
    """Whether the op reduces all of several axes, in a precision that takes a step more."""
    lower = op.defn.lower
    if not isinstance(lower, Reduction) or lower.element is not None or len(op.results) != 1:
        return False
    source, result = op.operands[0].type, op.results[0].type
    assert isinstance(source, TensorType) and isinstance(result, TensorType)
    same = source.dtype == result.dtype and source.dtype not in (F16, BF16)
    return same and source.rank > 1 and op.attrs["axes"] == tuple(range(source.rank))


def _shape(op: Op) -> tuple[Dim | None, ...]:
    type = op.operands[0].type
    assert isinstance(type, TensorType)
    return type.shape
