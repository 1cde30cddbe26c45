"""`licm`: move out of loops what every trip computes anew from values that do not change.

Only pure ops that are safe to run when the loop makes no trip, or before a check of its body has passed: an
elementwise op, a fold, a product; a change of shape; never a read at a computed index, and never a tensor of a
size that was not seen on another one. Out of an `if` inside a loop only host scalars move: they cost nothing.

What moves must be worth an array in memory that the loop then reads. Views and filled tensors are not, nor is an
elementwise result larger than all it is made of (`x[:, None] - y`): code generation computes these where they are
read. They are computed outside only for others that move, such as the sum over that difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace

from tracejit.ir.core import Block, Graph, Op, Value, type_values, walk
from tracejit.ir.opdef import Contraction, Pointwise, Reduction
from tracejit.ir.types import Dim, ListType, ScalarType, TensorType
from tracejit.transforms.pipeline import transform
from tracejit.transforms.write_home import new_versions

#: Each application is storage, or a place to differentiate at, of its own.
_PINNED = frozenset(("fresh", "copy", "undef", "leaf"))


@transform("licm")
def licm(graph: Graph) -> Graph:
    """Hoist loop-invariant pure ops, innermost loops first. New versions of written parameters stay where they are: to
    make one is to write."""
    if not any(op.name == "loop" for op in walk(graph.body)):
        return graph
    return replace(graph, body=_hoisted(graph.body, new_versions(graph)))


def _hoisted(block: Block, written: Container[Value]) -> Block:
    """The block with what may leave a loop put before it."""
    ops: list[Op] = []
    for op in block.ops:
        if op.blocks:
            op = replace(op, blocks=tuple(_hoisted(b, written) for b in op.blocks))
        if op.name == "loop":
            outside, body = split(op.block("body"), written)
            ops.extend(outside)
            op = replace(op, blocks=(body,))
        ops.append(op)
    return replace(block, ops=tuple(ops))


def split(body: Block, written: Container[Value] = ()) -> tuple[list[Op], Block]:
    """What may leave a loop, but for values that are `written`, and the body without it."""
    return _Loop(body, written).split()


class _Loop:
    """One loop's body while it is split."""

    def __init__(self, body: Block, written: Container[Value]) -> None:
        self.body = body
        self.written = written
        self.varying = set(body.params)
        self.movable: list[Op] = []
        self.collect(body, scalars_only=False)
        self.makers = {r: op for op in self.movable for r in op.results}

    def collect(self, block: Block, scalars_only: bool) -> None:
        """Note the ops that could leave, in order."""
        for op in block.ops:
            is_written = any(r in self.written for r in op.results)
            if not is_written and _may_leave(op, self.varying, scalars_only):
                self.movable.append(op)
                continue
            self.varying.update(op.results)
            if op.name == "if":
                for branch in op.blocks:
                    self.collect(branch, scalars_only=True)

    def split(self) -> tuple[list[Op], Block]:
        """The ops that go before the loop, and the body without those that left for good.

        A view or a filled tensor that both need is computed in both.
        """
        read_outside: set[Value] = set()
        read_inside = _reads_of(self.body, set(self.movable))
        outside: list[Op] = []
        gone: set[Op] = set()
        for op in reversed(self.movable):
            worth = self.is_worth_an_array(op)
            inside = any(r in read_inside for r in op.results)
            if (inside and worth) or any(r in read_outside for r in op.results):
                outside.append(op)
                read_outside.update(_reads(op))
            if inside and not worth:
                read_inside.update(_reads(op))
            else:
                gone.add(op)
        return _renamed(outside[::-1], gone), _without(self.body, gone)

    def is_worth_an_array(self, op: Op) -> bool:
        """Whether the op's results should be computed once and read in every trip."""
        match op.defn.lower:
            case _ if all(isinstance(r.type, ScalarType) for r in op.results):
                return True
            case Pointwise(own_index=False):
                return False
            case Pointwise():
                return self.has_source(op.operands, _extent(op.results[0]))
            case _:
                return True

    def has_source(self, values: Iterable[Value], extent: Counter[Dim | None]) -> bool:
        """Whether one of the values is an array of this extent, or is computed elementwise from one."""
        queue = [v for v in values if _extent(v) == extent]
        seen: set[Value] = set(queue)
        while queue:
            maker = self.makers.get(queue.pop())
            if maker is None or not isinstance(maker.defn.lower, Pointwise):
                return True
            for value in maker.operands:
                if value not in seen and _extent(value) == extent:
                    seen.add(value)
                    queue.append(value)
        return False


def _extent(value: Value) -> Counter[Dim | None]:
    """The sizes of a tensor that are not 1, in any order."""
    return Counter(d for d in value.type.shape if d != 1) if isinstance(value.type, TensorType) else Counter()


def _reads(op: Op) -> tuple[Value, ...]:
    return (*op.operands, *(d for r in op.results for d in type_values(r.type)))


def _reads_of(block: Block, skipped: set[Op]) -> set[Value]:
    """What a block and the blocks in it read, some ops aside."""
    found = {*block.results, *(d for p in block.params for d in type_values(p.type))}
    for op in block.ops:
        if op not in skipped:
            found.update(_reads(op))
            for nested in op.blocks:
                found |= _reads_of(nested, skipped)
    return found


def _renamed(ops: Sequence[Op], gone: set[Op]) -> list[Op]:
    """The ops, with results of their own where the originals stay in the loop."""
    copies: dict[Value, Value] = {}
    found: list[Op] = []
    for op in ops:
        results = op.results
        if op not in gone:
            results = tuple(replace(r) for r in op.results)
            copies.update(zip(op.results, results, strict=True))
        found.append(replace(op, operands=tuple(copies.get(v, v) for v in op.operands), results=results))
    return found


def _without(block: Block, gone: set[Op]) -> Block:
    """The block without some ops of its own or of the branches in it."""
    ops = (
        replace(op, blocks=tuple(_without(b, gone) for b in op.blocks)) if op.name == "if" else op
        for op in block.ops
        if op not in gone
    )
    return replace(block, ops=tuple(ops))


def _may_leave(op: Op, varying: set[Value], scalars_only: bool) -> bool:
    values = (*op.operands, *op.results)
    if op.defn.effect or op.blocks or op.name in _PINNED or any(isinstance(v.type, ListType) for v in values):
        return False
    if any(v in varying for v in _reads(op)):
        return False
    if all(isinstance(v.type, ScalarType) for v in values):
        return True
    return not scalars_only and _is_safe(op)


def _is_safe(op: Op) -> bool:
    """Whether the op can neither read out of bounds nor make a tensor of a size that may not exist."""
    tensors = [v.type for v in op.operands if isinstance(v.type, TensorType)]
    seen = {d for type in tensors for d in type.shape}
    if not {d for r in op.results for d in type_values(r.type)} <= seen:
        return False
    match op.defn.lower:
        case Reduction() | Contraction() | Pointwise(own_index=True):
            return True
        case _ if not tensors:
            return True
        case _:
            return len(tensors) == 1 and all(_is_size(v, op) for v in op.operands if isinstance(v.type, ScalarType))


def _is_size(value: Value, op: Op) -> bool:
    """Whether a host scalar is only a size of the op's results."""
    return any(value.dim == d for r in op.results if isinstance(r.type, TensorType) for d in r.type.shape)
