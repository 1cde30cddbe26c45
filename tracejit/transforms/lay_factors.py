"""`lay-factors`: a matrix that every trip of a loop multiplies by is laid out once, in the order products read it.

`h @ w` in a loop reads all of `w` in every trip, for few rows of `h`. Products that find it in panels, one behind the
other, take up to half the time of those that find it as it lies, and packing it for each costs as much as it brings.
How many rows there are and how many trips says at run time whether it pays: `lay_out` gives no room where it does not,
and the product is then the one that it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Graph, Op, Value, walk
from tracejit.ir.opdef import MATRICES
from tracejit.ir.types import Dim
from tracejit.records import record
from tracejit.transforms.fusion.spaces import shape_of
from tracejit.transforms.matrices import is_matrix, renames, swaps
from tracejit.transforms.pipeline import transform
from tracejit.transforms.strides import NamedSizes

#: Matrices of fewer elements lie in a core's nearest cache, whatever their dtype.
SMALL = 1 << 12


@transform("lay-factors")
def lay_factors(graph: Graph) -> Graph:
    """Lay the fixed second factors of products in loops out."""
    laying = _Laying(graph)
    return rebuild(graph, laying.visit, keeps=True) if laying.found else graph


@record(eq=False)
class _Factor:
    """A matrix outside of a loop that products in it have as their second factor, transposed as the op `turn` does it,
    if any; `rows`: the size that says how many rows their first one has."""

    source: Value
    turn: Op | None
    rows: Dim | None


class _Laying:
    """`found`: for each loop the products in it that get a factor laid out."""

    def __init__(self, graph: Graph) -> None:
        self.named = NamedSizes(graph)
        self.makers: dict[Value, Op] = {}
        self.found: dict[Op, dict[Op, _Factor]] = {}
        self.laid: dict[Op, Value] = {}
        loops = [op for op in walk(graph.body) if op.name == "loop"]
        if any(inner.defn.lower == MATRICES for loop in loops for inner in loop.block("body").ops):
            self.makers = {r: op for op in walk(graph.body) for r in op.results}
            factors = {loop: self.factors(loop) for loop in loops}
            self.found = {loop: products for loop, products in factors.items() if products}

    def factors(self, loop: Op) -> dict[Op, _Factor]:
        """The products of a loop's body that have a fixed second factor."""
        body = loop.block("body")
        starts = dict(zip(body.params[1:], loop.operands[2:], strict=True))
        inside = {*body.params, *(r for op in body.ops for r in op.results)}
        found: dict[Op, _Factor] = {}
        for op in body.ops:
            if op.defn.lower == MATRICES and is_matrix(op.results[0]):
                source, turn = self.source(op.operands[1], inside)
                rows = shape_of(op.results[0])[0]
                rows = starts.get(rows, rows) if isinstance(rows, Value) else rows  # of the first trip
                if source is not None and rows is not None and rows not in inside and not _is_small(source):
                    found[op] = _Factor(source, turn, rows)
        return found

    def source(self, value: Value, inside: set[Value]) -> tuple[Value | None, Op | None]:
        """The matrix outside that a value is but for the names of its sizes, and the op that transposes it, if any."""
        turn: Op | None = None
        while value in inside:
            op = self.makers.get(value)
            if op is None or not (renames(op) or swaps(op)):
                return None, None
            if swaps(op):
                turn = op if turn is None else None
            value = op.operands[0]
        return value, turn

    def visit(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op in self.found:
            made: dict[tuple[Value, bool], Value] = {}
            for product, factor in self.found[op].items():
                key = factor.source, factor.turn is not None
                if key not in made:
                    matrix = b.value(factor.source)
                    if factor.turn is not None:
                        matrix = b.emit(factor.turn.defn, (matrix,), factor.turn.attrs, span=product.span)[0]
                    given = matrix, self.named.value(b, factor.rows), operands[0]
                    made[key] = b.emit("lay_out", given, span=product.span)[1]
                self.laid[product] = made[key]
        elif op in self.laid:
            return b.emit("laid_product", (*operands, self.laid[op]), names=(op.results[0].name,), span=op.span)
        return None


def _is_small(matrix: Value) -> bool:
    """Whether a matrix is known to have so few elements that laying it out never pays."""
    sizes = [d for d in shape_of(matrix) if isinstance(d, int)]
    return len(sizes) == 2 and prod(sizes) < SMALL
