"""`sink-slices`: what only slices are read of is computed slice by slice.

`gates = x @ w + h @ u + b` and then `sigmoid(gates[:, :n])`, `tanh(gates[:, n : 2 * n])`, ...: the sums have another
shape than what is made of them, and so would be a kernel of their own that writes an array for the next one to read. A
few cheap operations on slices of what there is take less, and belong to the kernel that uses them.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.ir.aliasing import Roots, consumed_roots
from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Block, Graph, Op, Value, uses
from tracejit.ir.opdef import Pointwise
from tracejit.ir.types import ScalarType, TensorType
from tracejit.records import record
from tracejit.transforms.fusion.spaces import shape_of
from tracejit.transforms.numbers.meanings import told
from tracejit.transforms.pipeline import transform

#: Additions per element, and arrays, that are cheaper to compute again for a slice than to read back.
COST, ARRAYS = 3, 4
#: The most slices of one value.
SLICES = 6


@transform("sink-slices")
def sink_slices(graph: Graph) -> Graph:
    """Move slices in front of cheap elementwise ops that nothing else reads."""
    sinking = _Sinking(uses(graph.body))
    sinking.look(graph.body)
    return rebuild(graph, sinking.visit, keeps=True) if sinking.found else graph


@record(eq=False)
class _Slice:
    """Where a `vread` begins, its steps and its sizes."""

    offset: Value
    strides: tuple[Value, ...]
    lengths: tuple[Value, ...]

    @staticmethod
    def of(op: Op) -> _Slice:
        """What an op reads of its base."""
        return _Slice(*op.defn.group(op.operands)[1:])


class _Sinking:
    """`found`: the slices that sink, and what ops of their own block make; `counts`: how often values are used."""

    def __init__(self, counts: dict[Value, int]) -> None:
        self.counts = counts
        self.makers: dict[Value, Op] = {}
        self.found: dict[Op, set[Value]] = {}

    # -- what may sink ----------------------------------------------------------------------------------------

    def look(self, block: Block) -> None:
        """Find slices of values of a block in that block, and in those inside. Those of values from outside stay: a
        loop would compute them again and again."""
        self.makers.update((r, op) for op in block.ops for r in op.results)
        own = {r for op in block.ops for r in op.results}
        slices: dict[Value, list[Op]] = {}
        for op in block.ops:
            if op.name == "vread" and self.elementwise(op.operands[0], own) is not None:
                slices.setdefault(op.operands[0], []).append(op)
        if slices:
            self.choose(block, own, slices)
        for op in block.ops:
            for inner in op.blocks:
                self.look(inner)

    def choose(self, block: Block, own: set[Value], slices: dict[Value, list[Op]]) -> None:
        """Those of values that nothing else reads, made of arrays that nothing in the block overwrites."""
        roots = Roots()
        for op in block.ops:
            roots.enter(op)
        written = consumed_roots(block, roots, tuple(range(len(block.results))))
        for value, readers in slices.items():
            if len(readers) == self.counts[value] and len(readers) <= SLICES:
                inputs = self.inputs(value, [_Slice.of(op) for op in readers], own)
                if inputs is not None and written.isdisjoint(root for v in inputs for root in roots.of(v)):
                    self.found.update(dict.fromkeys(readers, own))

    def elementwise(self, value: Value, own: set[Value]) -> Op | None:
        """The elementwise op of the block that makes a value of operands of its shape."""
        op = self.makers.get(value) if value in own else None
        lower = None if op is None else op.defn.lower
        if op is None or not isinstance(lower, Pointwise) or not lower.own_index or lower.view or len(op.results) != 1:
            return None
        alike = (isinstance(v.type, TensorType) and v.type.shape == shape_of(value) for v in op.operands)
        return op if op.operands and all(alike) else None

    def inputs(self, value: Value, slices: Sequence[_Slice], own: set[Value]) -> set[Value] | None:
        """The arrays that a value is cheaply made of, all of which can be sliced alike."""
        found: set[Value] = set()
        cost, queue = 0, [value]
        while queue:
            current = queue.pop()
            op = self.elementwise(current, own)
            if op is not None and (current is value or self.counts[current] == 1):
                cost += op.defn.cost
                queue += op.operands
            elif not self.is_spread(current, slices):
                if (maker := self.makers.get(current)) is not None and maker.name == "broadcast":
                    return None  # where it lies would have to be found for each element
                found.add(current)
        return found if cost <= COST and len(found) <= ARRAYS else None

    def is_spread(self, value: Value, slices: Sequence[_Slice]) -> bool:
        """Whether a value is a number, or a row, for every row, of which each slice takes as many columns."""
        op = self.makers.get(value)
        if op is None or op.name != "broadcast":
            return False
        if isinstance(op.operands[0].type, ScalarType):
            return True
        source, shape = shape_of(op.operands[0]), shape_of(value)
        if len(source) != 1 or len(shape) != 2:
            return False
        is_whole = source == shape[1:] or bool(op.attrs.get("exact"))
        return is_whole and all(self.takes_columns(s, op.operands[-1]) for s in slices)

    def takes_columns(self, part: _Slice, width: Value) -> bool:
        """Whether a slice of a matrix with rows of that width has whole columns, of each row the same."""
        if len(part.strides) != 2 or part.strides[0].dim != width.dim or part.strides[1].dim != 1:
            return False
        columns = part.lengths[1]
        if part.offset.known == 0:
            return self.is_at_most(columns, width)
        # `max(end - begin, 0)` columns from `begin` on, `end` at most the width
        larger = self.told(columns, "larger")
        for length in (v for v in larger if any(other.known == 0 for other in larger)):
            match self.told(length, "difference"):
                case (end, begin) if begin is part.offset:
                    return self.is_at_most(end, width) and self.is_natural(begin)
                case _:
                    pass
        return False

    def is_at_most(self, value: Value, width: Value) -> bool:
        """Whether a size is the width, or the least of that and another."""
        return value.dim == width.dim or any(v.dim == width.dim for v in self.told(value, "smaller"))

    def is_natural(self, value: Value) -> bool:
        """Whether an offset is a size, a multiple of one that cannot overflow, or the least of such: not negative."""
        op = self.makers.get(value)
        if isinstance(value.known, int):
            return value.known >= 0
        if op is None or op.name == "dim":
            return op is not None
        factors = self.told(value, "product") if op.defn.unchecked else ()
        found = factors or self.told(value, "smaller")
        return bool(found) and all(map(self.is_natural, found))

    def told(self, value: Value, rule: str) -> tuple[Value, ...]:
        """The operands of the op that makes a whole number, where it computes what that rule of `ranges` says."""
        return told(self.makers.get(value), rule)

    # -- sinking ----------------------------------------------------------------------------------------------

    def visit(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        """The new values of an op's results; None: as they were."""
        if op not in self.found:
            return None
        return (self.sliced(b, op, op.operands[0], _Slice.of(op)),)

    def sliced(self, b: Rebuilder, reader: Op, value: Value, part: _Slice) -> Value:
        """The slice of an old value."""
        op = self.elementwise(value, self.found[reader])
        if op is not None and (value is reader.operands[0] or self.counts[value] == 1):
            given = [self.sliced(b, reader, v, part) for v in op.operands]
            return b.emit(op.defn, given, op.attrs, names=(reader.results[0].name,), span=op.span)[0]
        if self.is_spread(value, [part]):
            return self.spread(b, reader, self.makers[value], part)
        return self.read(b, reader, value, part)

    def spread(self, b: Rebuilder, reader: Op, op: Op, part: _Slice) -> Value:
        """The slice of a number or row that is in every row."""
        source = op.operands[0]
        lengths = [b.value(v) for v in part.lengths]
        if isinstance(source.type, ScalarType):
            return b.emit("broadcast", (b.value(source), *lengths), names=(source.name,))[0]
        row = _Slice(part.offset, part.strides[1:], part.lengths[1:])
        columns = self.read(b, reader, source, row)
        return b.emit("broadcast", (columns, *lengths), {"exact": True}, names=(source.name,))[0]

    def read(self, b: Rebuilder, reader: Op, base: Value, part: _Slice) -> Value:
        """A `vread` of an old value."""
        given = (base, part.offset, *part.strides, *part.lengths)
        return b.emit("vread", [b.value(v) for v in given], names=(base.name,), span=reader.span)[0]
