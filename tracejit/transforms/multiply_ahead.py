"""`multiply-ahead`: the product of a slice per trip with a fixed matrix is made for many trips at once.

`x[t] @ w` in a loop over `t` needs nothing that the loop computes. The first of so many trips as have ROWS rows
together makes what all of them need in one product, as the slices lie side by side; each then reads its part. Only a
loop that ends at its limit and nowhere else is one for this: nothing is computed that no trip would ask for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Graph, Op, Value, walk
from tracejit.ir.opdef import MATRICES, REGISTRY, Pointwise
from tracejit.ir.types import F32, F64, I64, Dim, ScalarType, TensorType
from tracejit.records import record
from tracejit.transforms.pipeline import transform
from tracejit.transforms.strides import NamedSizes

SIZE = ScalarType(I64)

#: How many rows one product has, if the trips have fewer.
ROWS = 512


@transform("multiply-ahead")
def multiply_ahead(graph: Graph) -> Graph:
    """Make the products of slices with fixed matrices for many trips at once."""
    found = _Search(graph).found
    return rebuild(graph, _Ahead(graph, found).visit, keeps=True) if found else graph


@record(eq=False)
class _Slices:
    """A product whose first factor, read out of `base` at `offset`, are rows that follow those of the trip before.
    `rows` says how many they are (None: one), `width` how long."""

    product: Op
    base: Value
    offset: Value
    rows: Value | None
    width: Value


def _shape(value: Value) -> tuple[Dim | None, ...]:
    assert isinstance(value.type, TensorType)
    return value.type.shape


# -- what is made ahead ---------------------------------------------------------------------------------------------


class _Search:
    """Finds the products, by loop."""

    def __init__(self, graph: Graph) -> None:
        self.found: dict[Op, list[_Slices]] = {}
        loops = [op for op in walk(graph.body) if op.name == "loop"]
        if not any(op.defn.lower == MATRICES for loop in loops for op in loop.block("body").ops):
            return
        self.makers = {r: op for op in walk(graph.body) for r in op.results}
        for loop in loops:
            slices = self.slices(loop)
            if slices:
                self.found[loop] = slices

    def slices(self, loop: Op) -> list[_Slices]:
        """The products of one loop."""
        body = loop.block("body")
        if not (self.is_true(loop.operands[1]) and self.is_true(body.results[0])):
            return []
        inside = {*body.params, *(r for op in body.ops for r in op.results)}
        found = (self.product(op, body.params[0], inside) for op in body.ops if op.defn.lower == MATRICES)
        return [s for s in found if s is not None]

    def is_true(self, value: Value) -> bool:
        maker = self.makers.get(value)
        return maker is not None and maker.name == "const" and maker.attrs["value"] is True

    def product(self, op: Op, index: Value, inside: set[Value]) -> _Slices | None:
        """A product of slices with what does not change; None for another."""
        first, second = op.operands
        result = op.results[0].type
        read = self.makers.get(first)
        if read is not None and isinstance(read.defn.lower, Pointwise) and read.defn.lower.view == "flat":
            read = self.makers.get(read.operands[0])
        assert isinstance(result, TensorType)
        if read is None or read.name != "vread" or result.rank != 2 or result.dtype not in (F32, F64):
            return None
        base, offset, strides, lengths = read.defn.group(read.operands)
        if not 1 <= len(lengths) <= 2:
            return None
        found = _Slices(op, base, offset, lengths[0] if _shape(first)[0] != 1 else None, lengths[-1])
        step = self.step(offset, index)
        fixed = (base, step, *strides, *lengths, self.source(second), *result.shape)
        is_fixed = not any(v in inside for v in fixed if isinstance(v, Value))
        return found if step is not None and is_fixed and self.are_adjacent(found, step, strides) else None

    def source(self, value: Value) -> Value:
        """What a value is but for the names of its sizes."""
        maker = self.makers.get(value)
        is_renamed = maker is not None and maker.name == "broadcast" and maker.attrs.get("exact")
        return self.source(maker.operands[0]) if maker is not None and is_renamed else value

    def step(self, offset: Value, index: Value) -> Value | None:
        """By how much an offset grows from trip to trip, if it starts at 0."""
        factors = self.factors(offset)
        return factors[1 - factors.index(index)] if index in factors else None

    def factors(self, value: Value) -> tuple[Value, ...]:
        """The numbers that a product of two is made of."""
        maker = self.makers.get(value)
        return maker.operands if maker is not None and maker.defn is REGISTRY["mul"] else ()

    def are_adjacent(self, found: _Slices, step: Value, strides: Sequence[Value]) -> bool:
        """Whether the trips read the base from its beginning on, row by row."""
        sizes = (found.width.dim,) if found.rows is None else (found.rows.dim, found.width.dim)
        if tuple(d for d in _shape(found.base)[1:] if d != 1) != sizes or strides[-1].known != 1:
            return False
        if found.rows is None:
            return step.dim == found.width.dim
        is_product = sorted(map(id, (v.dim for v in self.factors(step)))) == sorted(map(id, sizes))
        numbers = [d for d in sizes if isinstance(d, int)]
        return strides[0].dim == found.width.dim and (is_product or (len(numbers) == 2 and step.known == prod(numbers)))


# -- rewriting ------------------------------------------------------------------------------------------------------


class _Ahead:
    """Re-emits loops that also carry what is made ahead."""

    def __init__(self, graph: Graph, found: Mapping[Op, list[_Slices]]) -> None:
        self.named = NamedSizes(graph)
        self.found = found
        self.made: dict[Op, _Made] = {}

    def visit(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op in self.made:
            return (self.made[op].part(b, operands[1]),)
        return self.loop(b, op, operands) if op in self.found else None

    def loop(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value]:
        made = [_Made(b, slices, operands[0], self.named) for slices in self.found[op]]
        self.made.update((m.slices.product, m) for m in made)
        body, inner = op.block("body"), b.nested()
        params = inner.params_like(body.params)
        for m in made:
            m.trip = params[0]
        results = inner.inline(body, params)
        more = [v for m in made for v in m.params]
        block = inner.block((*params, *more), (*results, *(v for m in made for v in m.ends)), body.label)
        starts = (v for m in made for v in m.starts)
        like = (*op.results, *more)
        found = b.emit(op.defn, (*operands, *starts), op.attrs, blocks=[block], like=like, mapping=b.mapping)
        return found[: len(op.results)]


class _Made:
    """One product made ahead. The loop carries the trip that reads its first part, the one that makes the next, how
    many rows it has, and the product."""

    trip: Value
    ends: Sequence[Value] = ()

    def __init__(self, b: Rebuilder, slices: _Slices, limit: Value, named: NamedSizes) -> None:
        """Before the loop: how many trips go together; nothing is made yet."""
        self.slices = slices
        self.base, self.width = b.value(slices.base), b.value(slices.width)
        self.zero, self.one = b.size(0), b.size(1)
        self.rows = self.one if slices.rows is None else b.value(slices.rows)
        self.trips = b.size(ROWS)
        if slices.rows is not None:
            rows = b.maximum(b.wrap(self.rows), 1)
            self.trips = b.maximum(b.floordiv(b.wrap(self.trips), rows), 1).value
        self.end = b.minimum(b.wrap(limit), b.wrap(b.dim_of(self.base, 0))).value
        result = slices.product.results[0].type
        assert isinstance(result, TensorType)
        self.columns = named.value(b, result.shape[1])
        attrs = {"type": TensorType(result.dtype, (None, None))}
        nothing = b.emit("undef", (self.zero, self.columns), attrs, names=("ahead",))
        self.starts = (self.zero, self.zero, self.zero, *nothing)
        first, following, many = (Value(SIZE, name) for name in ("first", "following", "many"))
        ahead = Value(TensorType(result.dtype, (many.dim, self.columns.dim)), "ahead")
        self.params = (first, following, many, ahead)

    def part(self, b: Rebuilder, second: Value) -> Value:
        """In a trip: its part of the product, which is made where no trip before has."""
        trip = b.wrap(self.trip)
        then, other = b.nested(), b.nested()
        made = self.product(then, second)
        blocks = (then.block((), made, "then"), other.block((), self.params, "else"))
        due = b.le(b.wrap(self.params[1]), trip).value
        self.ends = b.emit("if", (due,), blocks=blocks, like=self.params, mapping={})
        place = (trip - b.wrap(self.ends[0])) * b.wrap(self.rows) * b.wrap(self.columns)
        operands = (self.ends[3], place.value, self.columns, self.one, self.rows, self.columns)
        return b.emit("vread", operands, names=(self.slices.product.results[0].name,))[0]

    def product(self, b: Rebuilder, second: Value) -> tuple[Value, ...]:
        """The product of this trip and those that follow."""
        trip = b.wrap(self.trip)
        count = b.maximum(b.minimum(b.wrap(self.trips), b.wrap(self.end) - trip), 1)
        many = (count * b.wrap(self.rows)).value
        operands = (self.base, b.value(self.slices.offset), self.width, self.one, many, self.width)
        first = b.emit("vread", operands, names=(self.base.name,))
        op = self.slices.product
        return (trip.value, (trip + count).value, many, *b.emit(op.defn, (*first, second), op.attrs, span=op.span))
