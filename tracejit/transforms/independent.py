"""`independent`: marks loops over elements whose trips do not see each other and have much to do: loops of their own,
or functions.

Code generation runs such trips side by side in the lanes of vectors (the attribute `lanes`), an inner loop as long as
any of its lanes goes on. Each lane computes what its trip would, in the same order, to the bit. `repeated`: such a
loop, without loops inside, is itself in a loop and may often have few trips. A trip may write
elements of arrays at its own index along some axis; it may read what it wrote, and anything the loop does not change.
It may add to numbers, which are added up in the order of the trips.
Marked are loops whose inner loops read memory at places that all lanes share, or that lie side by side.

A loop around such loops whose trips do not see each other either is marked `rows`: threads share its trips. Its checks
come last and ask only what is known before it: they hold for all trips or for none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tracejit.ir.core import Block, Graph, Op, Value, captures, walk
from tracejit.ir.opdef import Pointwise
from tracejit.ir.sums import sums_of, with_plain_sums
from tracejit.ir.types import BF16, F16, ScalarType, TensorType, Type
from tracejit.transforms.licm import split
from tracejit.transforms.pipeline import transform

#: Lanes pay without loops inside where one op costs as much as this (`OpDef.cost`).
COSTLY = 16


@transform("independent")
def independent(graph: Graph) -> Graph:
    """Mark the loops whose trips may run side by side."""
    if graph.device != "cpu":
        return graph
    constants = {op.results[0]: op.attrs["value"] for op in walk(graph.body) if op.name == "const"}
    return replace(graph, body=_marked(graph.body, constants, False))


def trips_are_independent(loop: Op, *, hoisted: bool = True) -> bool:
    """Whether the trips of a loop that makes all of them may run side by side, and it pays. If not `hoisted`, what its
    inner loops read in all of their trips will still be read before them (`hoist-elements`)."""
    return _Trips(with_plain_sums(loop), hoisted).are_independent()


def _side_by_side(loop: Op, constants: dict[Value, object]) -> Op | None:
    """A loop with plain sums, if it makes all trips and these may run side by side."""
    plain = with_plain_sums(loop) if _is_whole(loop, constants) else None
    return plain if plain is not None and _Trips(plain, True).are_independent() else None


def _marked(block: Block, constants: dict[Value, object], repeated: bool) -> Block:
    ops: list[Op] = []
    for op in block.ops:
        plain = _side_by_side(op, constants) if op.name == "loop" else None
        if plain is not None:
            innermost = not any(inner.name == "loop" for inner in walk(op.block("body")))
            attrs = {"lanes": True, "repeated": True} if repeated and innermost else {"lanes": True}
            op = replace(plain, attrs={**op.attrs, **attrs})
        elif op.blocks and op.name != "fused":
            inside = repeated or op.name == "loop"
            op = replace(op, blocks=tuple(_marked(b, constants, inside) for b in op.blocks))
            if op.name == "loop" and _is_whole(op, constants) and _Rows(op).may_be_independent():
                outside, body = split(op.block("body"))
                inner = replace(op, blocks=(body,))
                if _Rows(inner).has_known_checks():
                    ops += outside
                    op = replace(inner, attrs={**op.attrs, "rows": True})
        ops.append(op)
    return replace(block, ops=tuple(ops))


def _is_whole(loop: Op, constants: dict[Value, object]) -> bool:
    """Whether a loop makes all trips that its limit allows."""
    return all(constants.get(v) is True for v in (loop.operands[1], loop.block("body").results[0]))


class _Trips:
    """The trips of one loop."""

    def __init__(self, loop: Op, hoisted: bool) -> None:
        self.loop = loop
        self.hoisted = hoisted
        self.body = loop.block("body")
        self.sums = sums_of(self.body)
        self.varying: set[Value] = {self.body.params[0]}  #: differs between trips
        self.places: set[Value] = {self.body.params[0]}  #: the index, plus something that does not vary
        self.fixed: list[Op] = []  #: reads of inner loops that are the same in all of their trips

    def are_independent(self) -> bool:
        """Whether the trips may run side by side, and it pays."""
        may_pay = any(op.name == "loop" or op.defn.cost >= COSTLY for op in walk(self.body))
        if not may_pay or not self.body.params[1:]:
            return False
        arrays = (p for k, p in enumerate(self.body.params[1:]) if k not in self.sums)
        if not all(isinstance(p.type, TensorType) and _is_plain(p.type) for p in arrays):
            return False
        written = self.versions()
        if written is None or not self.is_simple(self.body, written, False) or not self.have_own_places(written):
            return False
        return any(op.name == "loop" or self.is_costly(op) for op in walk(self.body))

    def is_costly(self, op: Op) -> bool:
        """Whether an op has much to do that is not the same in all trips."""
        return op.defn.cost >= COSTLY and any(r in self.varying for r in op.results)

    def versions(self) -> dict[Value, int] | None:
        """The versions of the carried arrays; None where one is not updated in turn and passed on."""
        found = {p: k for k, p in enumerate(self.body.params[1:]) if k not in self.sums}
        newest = {k: p for p, k in found.items()}
        for op in self.body.ops:
            if op.name == "index_update" and newest.get(found.get(op.operands[0], -1)) is op.operands[0]:
                k = found[op.operands[0]]
                found[op.results[0]], newest[k] = k, op.results[0]
        return found if all(self.body.results[1 + k] is last for k, last in newest.items()) else None

    def is_simple(self, block: Block, written: dict[Value, int], inner: bool) -> bool:
        """Whether a block's ops are host arithmetic, reads, and (outside of inner loops and branches) writes."""
        return all(self.op(op, written, inner) for op in block.ops)

    def op(self, op: Op, written: dict[Value, int], inner: bool) -> bool:
        """Look at one op; False where it does not fit."""
        varies = any(v in self.varying for v in op.operands)
        match op.name:
            case "const" | "dim":
                return True
            case "fetch":
                if inner and not self.is_shared_read(op.operands[1:]) and (self.hoisted or op not in self.fixed):
                    return False
            case "index_update":
                return op in self.body.ops and op.operands[0] in written
            case "if":
                if not all(self.is_simple(b, written, inner) for b in op.blocks):
                    return False
                varies = varies or any(v in self.varying for b in op.blocks for v in b.results)
            case "loop":
                varies = True
                self.fixed += reads_of_all_trips(op.block("body"))
                self.varying.update(op.block("body").params[1:])
                if not self.is_simple(op.block("body"), written, True):
                    return False
            case _:
                if op.defn.effect or op.blocks or not isinstance(op.defn.lower, Pointwise):
                    return False
        moved = (v for v, sign in zip(op.operands, op.defn.signs) if sign > 0)
        if any(v in self.places for v in moved) and [v in self.varying for v in op.operands].count(True) == 1:
            self.places.update(op.results)
        if varies:
            self.varying.update(op.results)
        scalars = (*op.results, *(v for v in op.operands if op.name != "fetch"))
        return all(isinstance(v.type, ScalarType) and _is_plain(v.type) for v in scalars)

    def is_shared_read(self, indices: Sequence[Value]) -> bool:
        """Whether all lanes read one place, or places side by side."""
        *outer, last = indices or (self.loop.operands[0],)
        return not any(v in self.varying for v in outer) and (last not in self.varying or last in self.places)

    def have_own_places(self, written: dict[Value, int]) -> bool:
        """Whether every carried array is accessed at one and the same index of the trip along some axis."""
        accesses: dict[int, list[tuple[Value, ...]]] = {}
        for op in walk(self.body):
            if op.name in ("fetch", "index_update") and op.operands[0] in written:
                indices = op.operands[1 if op.name == "fetch" else 2 :]
                accesses.setdefault(written[op.operands[0]], []).append(indices)
        return all(
            any(set(column) <= self.places and len(set(column)) == 1 for column in zip(*found, strict=True))
            for found in accesses.values()
        ) and set(_captured_arrays(self.body)).isdisjoint(self.loop.operands[2:])


class _Rows:
    """The trips of a loop around loops whose trips are lanes."""

    def __init__(self, loop: Op) -> None:
        self.loop = loop
        self.body = loop.block("body")
        self.arrays = {p: k for k, p in enumerate(self.body.params[1:])}  #: versions of the carried arrays

    def may_be_independent(self) -> bool:
        """Whether trips only compute scalars and run lanes, in places of their own."""
        lanes = [op for op in self.body.ops if op.attrs.get("lanes")]
        if not lanes or not all(isinstance(p.type, TensorType) for p in self.arrays):
            return False
        if not all(op in lanes or self.is_scalar(op) for op in self.body.ops):
            return False
        last = self.body.ops.index(lanes[-1])
        if any(op.name == "check" for op in self.body.ops[:last]):
            return False
        newest = list(self.body.params[1:])
        for op in lanes:
            for init, result, param in zip(op.operands[2:], op.results, op.block("body").params[1:], strict=True):
                k = self.arrays.get(init, -1)
                if k < 0 or newest[k] is not init:
                    return False
                newest[k] = result
                self.arrays |= {result: k, param: k}
        return tuple(newest) == self.body.results[1:] and self.have_own_places()

    def is_scalar(self, op: Op) -> bool:
        """Whether an op is host arithmetic, a read of what the loop does not change, or a check."""
        if op.name in ("const", "dim", "check"):
            return True
        if op.name == "fetch":
            return op.operands[0] not in self.arrays
        scalars = all(isinstance(v.type, ScalarType) for v in (*op.results, *op.operands))
        return scalars and not op.defn.effect and not op.blocks and isinstance(op.defn.lower, Pointwise)

    def has_known_checks(self) -> bool:
        """Whether no check asks for what the body computes."""
        inside = {*self.body.params, *(r for op in self.body.ops for r in op.results)}
        return not any(v in inside for op in self.body.ops if op.name == "check" for v in op.operands)

    def have_own_places(self) -> bool:
        """Whether every carried array is accessed at the index of the trip along some axis, and in lanes only."""
        columns: dict[int, list[tuple[Value, ...]]] = {}
        for op in walk(self.body):
            if op.name == "index_update" and op.operands[0] in self.arrays:
                self.arrays[op.results[0]] = self.arrays[op.operands[0]]
            if op.name in ("fetch", "index_update") and op.operands[0] in self.arrays:
                indices = op.operands[1 if op.name == "fetch" else 2 :]
                columns.setdefault(self.arrays[op.operands[0]], []).append(indices)
        own = {self.body.params[0]}
        return all(
            any(set(column) == own for column in zip(*found, strict=True)) for found in columns.values()
        ) and set(_captured_arrays(self.body)).isdisjoint(self.loop.operands[2:])


def reads_of_all_trips(body: Block) -> list[Op]:
    """The reads of elements in a loop's body that are the same in all trips."""
    inside: set[Value] = {*body.params, *(r for op in body.ops for r in op.results)}
    return [op for op in body.ops if op.name == "fetch" and inside.isdisjoint(op.operands)]


def _captured_arrays(block: Block) -> Iterator[Value]:
    return (v for v in captures(block) if isinstance(v.type, TensorType))


def _is_plain(type: Type) -> bool:
    """Whether a dtype has vectors of its own."""
    dtype = type.dtype if isinstance(type, ScalarType | TensorType) else None
    return dtype is not None and not dtype.is_complex and dtype not in (F16, BF16)
