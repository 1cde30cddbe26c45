"""`turn-factors`: a matrix that every trip of a loop multiplies by lies in memory the way products read it fastest.

`dy @ w.T` reads `w` across its rows. A product of few rows takes a library twice as long for that, as it lays the
second factor out anew each time. Where the matrix is the same in all trips this is done once, before the loop.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Graph, Op, Value, has_effect, walk
from tracejit.ir.opdef import MATRICES
from tracejit.ir.types import TensorType, unsized
from tracejit.transforms.matrices import is_matrix, renames, swaps
from tracejit.transforms.pipeline import transform


@transform("turn-factors")
def turn_factors(graph: Graph) -> Graph:
    """Lay out the fixed second factors of products in loops once."""
    turning = _Turning(graph)
    return rebuild(graph, turning.visit, keeps=True) if turning.found else graph


class _Turning:
    """`found`: for each loop the second factors that are laid out before it, each with the views that make it."""

    def __init__(self, graph: Graph) -> None:
        loops = [op for op in walk(graph.body) if op.name == "loop"]
        self.makers: dict[Value, Op] = {}
        self.found: dict[Op, dict[Value, list[Op]]] = {}
        self.laid: dict[Value, Value] = {}
        if any(inner.defn.lower == MATRICES for op in loops for inner in op.block("body").ops):
            self.makers = {r: op for op in walk(graph.body) for r in op.results}
            factors = {op: self.factors(op) for op in loops}
            self.found = {op: found for op, found in factors.items() if found}

    # -- what lies the other way ----------------------------------------------------------------------------------

    def factors(self, loop: Op) -> dict[Value, list[Op]]:
        """The second factors of products of several rows that are the same in all trips and lie the other way."""
        body = loop.block("body")
        inside = {*body.params, *(r for op in body.ops for r in op.results)}
        found: dict[Value, list[Op]] = {}
        for op in body.ops:
            if op.defn.lower == MATRICES and _has_rows(op.operands[0]) and op.operands[1] in inside:
                views = self.views(op.operands[1], inside)
                if views is not None and self.is_turned(op.operands[1]) and self.is_safe(loop, views):
                    found[op.operands[1]] = views
        return found

    def views(self, factor: Value, inside: set[Value]) -> list[Op] | None:
        """The ops of the body, in order, that make a factor out of what is outside."""
        views: list[Op] = []
        while factor in inside:
            op = self.makers.get(factor)
            if op is None or not (renames(op) or (_is_view(op) and inside.isdisjoint(op.operands[1:]))):
                return None
            views.insert(0, op)
            factor = op.operands[0]
        return views

    def is_turned(self, factor: Value) -> bool:
        """Whether the elements of a column lie side by side, not those of a row."""
        op = self.makers.get(factor)
        if op is None or not (renames(op) or _is_view(op)):
            return False
        if op.name == "vread":
            strides = op.defn.group(op.operands)[2]
            return strides[0].known == 1 != strides[1].known
        return self.is_turned(op.operands[0]) != swaps(op)

    def is_safe(self, loop: Op, views: Sequence[Op]) -> bool:
        """Whether the views may be taken before the loop if it makes a trip: no check comes before them."""
        if not any(op.name == "vread" for op in views):
            return True
        go = self.makers.get(loop.operands[1])
        ops = loop.block("body").ops
        checked = any(has_effect(op) for op in ops[: ops.index(views[-1])])
        return go is not None and go.attrs.get("value") is True and not checked

    # -- rewriting ------------------------------------------------------------------------------------------------

    def visit(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op in self.found:
            for factor, views in self.found[op].items():
                self.laid[factor] = self.laid_out(b, op, views)
        elif op.defn.lower == MATRICES and op.operands[1] in self.laid:
            second = self.as_second(b, operands[1], self.laid[op.operands[1]])
            return b.emit(op.defn, (operands[0], second), op.attrs, names=(op.results[0].name,), span=op.span)
        return None

    def laid_out(self, b: Rebuilder, loop: Op, views: Sequence[Op]) -> Value:
        """Before a loop: a factor in memory of its own."""
        if not any(op.name == "vread" for op in views):
            return self.copied(b, views)
        then, other = b.nested(), b.nested()
        made = self.copied(then, views)
        assert isinstance(made.type, TensorType)
        sizes = [b.value(v) for v in _lengths(views)]
        (none,) = other.emit("undef", sizes, {"type": unsized(made.type)}, names=(made.name,))
        blocks = (then.block((), (made,), "then"), other.block((), (none,), "else"))
        makes_a_trip = b.lt(0, b.wrap(b.value(loop.operands[0]))).value
        return b.emit("if", (makes_a_trip,), blocks=blocks, types=(made.type,), names=(made.name,))[0]

    def copied(self, b: Rebuilder, views: Sequence[Op]) -> Value:
        """What the views make of what is outside, under the names that sizes have there."""
        value = b.value(views[0].operands[0])
        for op in views:
            if not renames(op):
                rest = (b.value(v) for v in op.operands[1:])
                (value,) = b.emit(op.defn, (value, *rest), op.attrs, names=(value.name,), span=op.span)
        return b.emit("copy", (value,), {"why": "layout"}, names=(value.name,))[0]

    def as_second(self, b: Rebuilder, old: Value, laid: Value) -> Value:
        """What is laid out under the names that its sizes have in the loop."""
        if laid.type == old.type:
            return laid
        sizes = [b.dim_of(old, axis) for axis in (0, 1)]
        return b.emit("broadcast", (laid, *sizes), {"exact": True}, names=(laid.name,))[0]


def _has_rows(first: Value) -> bool:
    """Whether a first factor is a matrix of more than one row."""
    return is_matrix(first) and first.type.shape[0] != 1  # type: ignore[union-attr]


def _is_view(op: Op) -> bool:
    """Whether the op is a transposed matrix, or reads one out of an array."""
    return bool(op.results) and is_matrix(op.results[0]) and (swaps(op) or op.name == "vread")


def _lengths(views: Sequence[Op]) -> Sequence[Value]:
    """The sizes of what views make of the last that is read out of an array."""
    (at, read), *_ = ((i, op) for i, op in reversed(list(enumerate(views))) if op.name == "vread")
    lengths = read.defn.group(read.operands)[3]
    return lengths[::-1] if sum(map(swaps, views[at:])) % 2 else lengths
