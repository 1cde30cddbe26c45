"""The tensor IR's data structures: `Value`, `Op`, `Block`, `Graph`.

Immutable: a transform reads one graph and builds another. Values compare by identity, graphs by their
canonical text. There are no parent pointers and no use lists; `uses` computes them when asked.
Blocks capture values of enclosing blocks implicitly; `captures` gives the closed form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from tracejit.errors import Span
from tracejit.ir.types import Dim, ListType, ScalarType, TensorType, Type
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.ir.opdef import OpDef


@record(eq=False)
class Value:
    """One SSA value. `known` is what the builder knows about an i64 size: an int, or a parameter's dim name."""

    type: Type
    name: str = "v"
    known: int | str | None = None

    @property
    def dim(self) -> Dim:
        """This i64 value as a dim of a type."""
        return self if self.known is None else self.known

    def __repr__(self) -> str:
        return f"%{self.name}: {self.type}"


@record(eq=False)
class Block:
    """Parameters, ordered ops, results (values in scope). There is no terminator op."""

    params: tuple[Value, ...]
    ops: tuple[Op, ...]
    results: tuple[Value, ...]
    label: str = ""
    _captures: list[tuple[Value, ...]] = field(default_factory=list[tuple[Value, ...]], init=False, repr=False)


@record(eq=False)
class Op:
    """An application of an `OpDef`. Operands are flat; `defn.signature` says how they group."""

    defn: OpDef
    operands: tuple[Value, ...]
    attrs: Mapping[str, Any]
    results: tuple[Value, ...]
    blocks: tuple[Block, ...] = ()
    span: Span | None = None
    name: str = field(init=False, repr=False)  #: the definition's; transforms ask for it more than for all else
    _reads: Sequence[Value] | None = field(init=False, repr=False)
    is_typed: bool = field(init=False, repr=False)  #: the verifier has found its types to be what the type rule gives

    def __post_init__(self) -> None:
        self.name = self.defn.name  # type: ignore[misc]
        self._reads = None  # type: ignore[misc]
        self.is_typed = False  # type: ignore[misc]

    def block(self, label: str) -> Block:
        """The nested block of that label."""
        return next(b for b in self.blocks if b.label == label)


@record(eq=False)
class Graph:
    """A named block with a device. The first `results - len(inout)` results are returned to the caller;
    the rest are the last versions of the parameters named in `inout` (indices), in that order."""

    name: str
    body: Block
    device: str = "cpu"
    inout: tuple[int, ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def params(self) -> tuple[Value, ...]:
        return self.body.params

    @property
    def results(self) -> tuple[Value, ...]:
        return self.body.results

    @property
    def param_types(self) -> tuple[Type, ...]:
        """The types of the parameters."""
        return tuple(p.type for p in self.body.params)

    @property
    def result_types(self) -> tuple[Type, ...]:
        """The types of the results."""
        return tuple(r.type for r in self.body.results)

    def __str__(self) -> str:
        from tracejit.ir.printer import print_graph

        return print_graph(self)

    def __repr__(self) -> str:
        return str(self)  # where a graph is looked at, its parts are not

    def content_hash(self) -> str:
        """SHA-256 of the canonical text, in hexadecimal."""
        return hashlib.sha256(str(self).encode()).hexdigest()


def type_values(type: Type) -> Sequence[Value]:
    """The values a type's dims name."""
    while type.__class__ is ListType:
        type = type.element  # type: ignore[union-attr]
    if type.__class__ is TensorType:
        return [dim for dim in type.shape if dim.__class__ is Value]  # type: ignore[union-attr]
    return ()


def walk(block: Block) -> Iterator[Op]:
    """Every op of the block and of its nested blocks, in order, outer op first."""
    waiting = [iter(block.ops)]
    while waiting:
        for op in waiting[-1]:
            yield op
            if op.blocks:
                waiting += [iter(nested.ops) for nested in reversed(op.blocks)]
                break
        else:
            waiting.pop()


def has_effect(op: Op) -> bool:
    """Whether an op, or one in its blocks, has an effect: it may raise, or prints."""
    return bool(op.defn.effect) or any(has_effect(inner) for block in op.blocks for inner in block.ops)


def reads(op: Op) -> Sequence[Value]:
    """Every value the op itself reads: operands, and dims named by its result types that are not results of its own
    (not what its blocks read)."""
    found = op._reads
    if found is None:
        found = op.operands
        for result in op.results:
            if result.type.__class__ is not ScalarType:
                dims = [value for value in type_values(result.type) if value not in op.results]
                found = (*found, *dims) if dims else found
        op._reads = found  # type: ignore[misc]
    return found


def with_ops(block: Block, ops: Iterable[Op], results: Iterable[Value] | None = None) -> Block:
    """The block with other ops and results; itself where they are the same."""
    ops, results = tuple(ops), block.results if results is None else tuple(results)
    same = ops == block.ops and results == block.results
    return block if same else Block(block.params, ops, results, block.label)


def values_behind(ops: Sequence[Op], results: Iterable[Value]) -> set[Value]:
    """Every value the results depend on, except through sizes."""
    needed = set(results)
    for op in reversed(ops):
        if op.name != "dim" and any(r in needed for r in op.results):
            needed.update(op.operands)
    return needed


def captures(block: Block) -> tuple[Value, ...]:
    """Values the block (nested blocks included) reads but does not define, in first-use order."""
    if not block._captures:
        block._captures.append(_captures(block))
    return block._captures[0]


def all_reads(op: Op) -> Iterator[Value]:
    """Every value that the op, or its blocks from outside, read."""
    yield from reads(op)
    for block in op.blocks:
        yield from captures(block)


def inputs_of(op: Op) -> Iterator[Value]:
    """Operands and captured values."""
    yield from op.operands
    for block in op.blocks:
        yield from captures(block)


def _captures(block: Block) -> tuple[Value, ...]:
    defined = set(block.params)
    found: dict[Value, None] = {}
    for param in block.params:
        found.update(dict.fromkeys(v for v in type_values(param.type) if v not in defined))
    for op in block.ops:
        defined.update(op.results)
        found.update(dict.fromkeys(v for v in reads(op) if v not in defined))
        for nested in op.blocks:
            found.update(dict.fromkeys(v for v in captures(nested) if v not in defined))
    found.update(dict.fromkeys(v for v in block.results if v not in defined))
    return tuple(v for v in found if v not in defined)


def uses(block: Block) -> dict[Value, int]:
    """How often each value is read in the block, its nested blocks and its results."""
    counts: dict[Value, int] = {}

    def visit(inner: Block) -> None:
        for op in inner.ops:
            for value in reads(op):
                counts[value] = counts.get(value, 0) + 1
            for nested in op.blocks:
                visit(nested)
        for value in inner.results:
            counts[value] = counts.get(value, 0) + 1

    visit(block)
    return counts
