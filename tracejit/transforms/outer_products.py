"""`outer-products`: a product of one term is a factor's element times the other's, which fuses with what uses it.

`w -= rate * (x.T @ g)` of one row x makes no matrix beside w then. Those that `defer-products` gathers from the trips
of a loop are products of many terms by now.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Graph, Op, Value, walk
from tracejit.ir.opdef import MATRICES
from tracejit.ir.types import F32, F64, ScalarType, TensorType
from tracejit.transforms.pipeline import transform


@transform("outer-products")
def outer_products(graph: Graph) -> Graph:
    """Multiply by elements where a sum has one term."""
    return rebuild(graph, _visit, keeps=True) if any(map(_has_one_term, walk(graph.body))) else graph


def _has_one_term(op: Op) -> bool:
    """Whether the op multiplies columns by rows, of a dtype that has products of its own."""
    if op.defn.lower != MATRICES:
        return False
    left = op.operands[0].type
    return isinstance(left, TensorType) and left.dtype in (F32, F64) and left.shape[-1] == 1


def _visit(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
    if not _has_one_term(op):
        return None
    left, right = map(b.wrap, operands)
    sizes = (*b.shape(left)[:-1], b.shape(right)[-1])
    zero = b.wrap(b.constant(0.0, ScalarType(left.dtype)))
    product = b.mul(b.broadcast(left, sizes), b.broadcast(right, sizes))
    return (b.add(product, b.broadcast(zero, sizes)).value,)  # as a sum from 0 on, not -0
