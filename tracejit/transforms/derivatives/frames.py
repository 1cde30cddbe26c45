"""What reverse mode keeps while it walks a block: the forward block being extended, and the backward in the making.

A backward block is first emitted in the *name space of the forward*: its ops read forward values directly. Those it
still reads once dead ops are gone are the block's residuals. The forward block is then extended to export them, and
the backward rebuilt with what came out in their place.

Inside loops a residual is one list, threaded through all enclosing loops and branches: the forward pushes in its
order, the backward pops in the reverse. Such a list is a `Stream` here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tracejit.errors import Span
from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Op, Value
from tracejit.ir.opdef import OpDef
from tracejit.ir.types import I64, Dim, ListType, ScalarType, TensorType, Type, unsized
from tracejit.transforms.derivatives.accumulations import Accumulations, Contributions
from tracejit.transforms.derivatives.cotangents import Cotangents
from tracejit.transforms.derivatives.lasting_reads import LastingReads
from tracejit.transforms.derivatives.remat import overwritten

if TYPE_CHECKING:
    from tracejit.transforms.derivatives.vjp_call import CallDerivatives

#: Ops that only ask for a size. In a backward they are moved to the forward, so that no array is kept for its size.
_SIZE_QUERIES = ("dim", "list_len")


class Edit:
    """A forward block that is being extended; its values keep their identity."""

    def __init__(self, params: Sequence[Value], ops: list[Op]) -> None:
        self.ops = ops
        self.defined = set(params)
        for op in ops:
            self.defined.update(op.results)

    def reset(self, ops: Sequence[Op]) -> None:
        """Take other ops for those of the block."""
        self.ops.clear()
        self._insert(0, ops)

    def insert_before(self, op: Op, *new: Op) -> None:
        self._insert(self.ops.index(op), new)

    def insert_after(self, value: Value, *new: Op) -> None:
        """Insert ops right behind the definition of a value (first, if that is a parameter)."""
        self._insert(next((i for i, op in enumerate(self.ops) if value in op.results), -1) + 1, new)

    def insert_first(self, *new: Op) -> None:
        self._insert(0, new)

    def append(self, *new: Op) -> None:
        self._insert(len(self.ops), new)

    def replace(self, op: Op, *new: Op) -> None:
        at = self.ops.index(op)
        del self.ops[at]
        self._insert(at, new)

    def _insert(self, at: int, new: Sequence[Op]) -> None:
        self.ops[at:at] = new
        for op in new:
            self.defined.update(op.results)


def substitute(op: Op, mapping: Mapping[Value, Value]) -> Op:
    """The op reading other values; its results keep their identity."""
    if not mapping:
        return op
    operands = tuple(mapping.get(v, v) for v in op.operands)
    blocks = tuple(
        Block(
            block.params,
            tuple(substitute(inner, mapping) for inner in block.ops),
            tuple(mapping.get(v, v) for v in block.results),
            block.label,
        )
        for block in op.blocks
    )
    return Op(op.defn, operands, op.attrs, op.results, blocks, op.span)


@dataclass(slots=True, eq=False)
class Stream:
    """A list of residuals at one op: its versions before and after the op, forward and backward. `element` is the type
    of all it holds, None where sizes differ.

    A `tape` is what called graphs push to: all ops of a block that call use one list of each type, one after the other.
    Other streams belong to one op alone.
    """

    type: ListType
    element: Type | None
    forward_in: Value
    forward_out: Value
    backward_in: Value
    backward_out: Value
    tape: bool = False
    #: Whether the backward takes the list up in every trip of a loop, and so needs a copy each time: it is of numbers,
    #: for a copy of a list does not copy the arrays in it.
    again: bool = False

    @staticmethod
    def of(type: ListType, element: Type | None, forward_in: Value | None = None) -> Stream:
        """A stream that belongs to one op alone."""
        start, *rest = (Value(type, "residuals") for _ in range(4))
        return Stream(type, element, forward_in or start, rest[0], rest[1], rest[2])


@dataclass(eq=False)
class Chain:
    """A tape in one block: its streams, last op first. Each ends where the next op's starts in the forward, and the
    other way round in the backward."""

    type: ListType
    backward_in: Value
    forward_out: Value
    streams: list[Stream] = field(default_factory=list[Stream])

    @staticmethod
    def of(type: ListType, backward_in: Value | None = None) -> Chain:
        """A chain without streams."""
        return Chain(type, backward_in or Value(type, "tape"), Value(type, "tape"))

    def open(self) -> Stream:
        """The stream of the op before those that have one."""
        forward_out, backward_in = self.forward_out, self.backward_in
        if self.streams:
            forward_out, backward_in = self.streams[-1].forward_in, self.streams[-1].backward_out
        ends = Value(self.type, "tape"), Value(self.type, "tape")
        made = Stream(self.type, None, ends[0], forward_out, backward_in, ends[1], True)
        self.streams.append(made)
        return made

    def whole(self, forward_in: Value | None = None) -> Stream:
        """The tape's way through the block as one stream."""
        last = self.streams[-1]
        start = forward_in or last.forward_in
        return Stream(self.type, None, start, self.forward_out, self.backward_in, last.backward_out, True)


class Region:
    """What one derivation shares: the active values, those of the forward program, its named sizes.

    `edits` are the blocks whose ops run before the derivative, outermost first; the first is the graph's own.
    `lasting`: their values are there when the backward runs. `given`: those that the caller gets and may change before.
    `calls` are the derivatives of called graphs.
    """

    def __init__(
        self,
        params: Sequence[Value],
        edits: Sequence[Edit],
        active: set[Value],
        *,
        lasting: bool = True,
        given: Sequence[Value] = (),
        calls: CallDerivatives | None = None,
    ) -> None:
        self.params = params
        self.calls = calls
        self.edits = list(edits)
        self.active = active
        self.definitions: dict[Value, Op] = {}
        self.forward: set[Value] = set()
        for edit in edits:
            self.forward |= edit.defined
            self.note(edit.ops)
        every = [op for edit in edits for op in edit.ops]
        self._outside_loops = edits[0].defined if len(edits) == 1 else set(params)
        self._lasting = lasting
        self._overwritten = overwritten(every)
        self._reads = LastingReads(every, self._overwritten, given, self.size)
        self._accumulations: Accumulations | None = None
        #: The type of all elements of a list of residuals, None where sizes differ.
        self.elements: dict[Value, Type | None] = {}
        self._sizes: dict[str, Value] = {}

    def note(self, ops: Iterable[Op]) -> None:
        """Enter forward ops, those of nested blocks included."""
        for op in ops:
            self.forward.update(op.results)
            self.definitions.update((r, op) for r in op.results)
            for block in op.blocks:
                self.forward.update(block.params)
                self.note(block.ops)

    def is_lasting(self, value: Value) -> bool:
        """Whether the value is made outside all loops and nothing takes over its storage."""
        if not self._lasting or value in self._overwritten:
            return False
        return value in self._outside_loops or value in self._reads.finals

    def accumulations(self, contributions: Contributions) -> Accumulations:
        """Which writes add to elements. `contributions` gives what an op's rule does."""
        if self._accumulations is None:
            self._accumulations = Accumulations(self._reads.program, self.active, contributions)
        return self._accumulations

    def anew(self, value: Value) -> list[Op]:
        """Ops that make a value of a loop again when the backward runs (`LastingReads.anew`)."""
        return self._reads.anew(value) if self._lasting else []

    def size(self, dim: Dim | None) -> Value:
        """A dim as an i64 value; a named one is taken from a parameter at the start of the forward program."""
        assert dim is not None
        if isinstance(dim, Value):
            return dim
        key = str(dim)
        if key not in self._sizes:
            b = Builder()
            if isinstance(dim, int):
                self._sizes[key] = b.size(dim)
            else:
                param, axis = self._place_of(dim)
                self._sizes[key] = b.emit("dim", (param,), {"axis": axis}, names=(dim,))[0]
            self.edits[0].insert_first(*b.ops)
            self.note(b.ops)
        return self._sizes[key]

    def _place_of(self, name: str) -> tuple[Value, int]:
        tensors = ((p, p.type) for p in self.params)
        return next((p, t.shape.index(name)) for p, t in tensors if isinstance(t, TensorType) and name in t.shape)


class BackwardBuilder(Builder):
    """Emits backward ops; questions about sizes of forward values are put to the forward."""

    def __init__(self, frame: Frame, span: Span | None = None) -> None:
        super().__init__(span)
        self.frame = frame

    def nested(self) -> BackwardBuilder:
        return BackwardBuilder(self.frame, self.span)

    def dim_of(self, x: Value, axis: int) -> Value:
        assert isinstance(x.type, TensorType)
        dim = x.type.shape[axis]
        return self.frame.region.size(dim)

    def emit(
        self, defn: OpDef | str, operands: Sequence[Value] = (), attrs: Mapping[str, Any] | None = None, **given: Any
    ) -> tuple[Value, ...]:
        name = defn if isinstance(defn, str) else defn.name
        if name not in _SIZE_QUERIES or operands[0] not in self.frame.region.forward:
            return super().emit(defn, operands, attrs, **given)
        if name == "dim" and attrs is not None and operands[0].type.shape[attrs["axis"]] is not None:  # type: ignore[union-attr]
            return (self.dim_of(operands[0], attrs["axis"]),)
        return (self.frame.query(name, operands[0]),)


@dataclass(eq=False)
class Frame:
    """The backward of one forward block in the making. This one is the outermost; loops and branches derive from it."""

    region: Region
    edits: list[Edit]
    parent: Frame | None = None
    streams: list[Stream] = field(default_factory=list[Stream])
    #: How many of the edits are outside of a loop in which the backward runs.
    outside: int = 0
    taken: frozenset[Value] = frozenset()  #: lists that the ops around take apart
    #: Ops of these edits, and the same in the trip at hand, where the backward goes through that (`once_more.py`).
    repeated: dict[Op, Op] = field(default_factory=dict[Op, Op])

    #: Whether the block runs again and again, so that its residuals need lists.
    in_loop = False

    def __post_init__(self) -> None:
        self.b = BackwardBuilder(self)
        self.cotangents = Cotangents(self.b, self.region.size)
        self.own: dict[Value, Stream] = {}
        self._queries: dict[tuple[str, Value], Value] = {}

    def defines(self, value: Value) -> bool:
        """Whether the forward block itself (no nested one) defines the value."""
        return any(value in edit.defined for edit in self.edits)

    def edit_of(self, op: Op) -> Edit:
        return next(edit for edit in self.edits if op in edit.ops)

    def insert_before(self, op: Op, *new: Op) -> None:
        """Put new forward ops before a forward op."""
        self.edit_of(op).insert_before(op, *new)
        self.region.note(new)

    def append(self, *new: Op) -> None:
        """Put new forward ops at the end of the block."""
        self.edits[-1].append(*new)
        self.region.note(new)

    def replace(self, op: Op, *new: Op) -> None:
        """Put extended forward ops in the place of an old one."""
        self.edit_of(op).replace(op, *new)
        self.region.note(new)

    def query(self, name: str, value: Value) -> Value:
        """The forward's answer to a question about the size of one of its values."""
        key = (name, value)
        if key not in self._queries:
            owner = next((edit for edit in self.edits if value in edit.defined), None)
            if owner is None:
                assert self.parent is not None
                return self.parent.query(name, value)
            b = Builder()
            self._queries[key] = b.emit(name, (value,))[0]
            owner.insert_after(value, b.ops[0])
            self.region.note(b.ops)
        return self._queries[key]

    def open_stream(self, op: Op | None, type: ListType, element: Type | None, tape: bool = False) -> Stream:
        """A stream for the residuals of a forward op. Outside loops its list is made right before the op."""
        assert op is not None
        b = Builder(op.span)
        start = b.emit("list_new", (), {"element": type.element}, names=("residuals",))[0]
        self.insert_before(op, *b.ops)
        stream = Stream.of(type, element, start)
        stream.tape = tape
        stream.again = self.edit_of(op) in self.edits[: self.outside]
        return stream

    def close_stream(self, stream: Stream, filled: Value) -> None:
        """Say which list the forward op leaves; outside loops the backward takes it up there."""
        if stream.tape:  # branches know already what the backward takes up
            filled = stream.backward_in
        stream.forward_out = stream.backward_in = filled
        if stream.again:
            stream.backward_in = self.b.emit("fresh", (filled,), names=("residuals",))[0]
        self.region.elements[filled] = stream.element


class ChainFrame(Frame):
    """A block through which tapes pass."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.chains: dict[ListType, Chain] = {}

    def tape(self, type: ListType) -> Stream:
        """The stream of one more op on a tape."""
        return self.chains.setdefault(type, Chain.of(type)).open()

    def seal(self) -> None:
        """All ops have their streams: the tapes are streams of the block."""
        self.streams += [chain.whole() for chain in self.chains.values()]


class LoopFrame(ChainFrame):
    """The body of a loop: streams pass through it as carried values."""

    in_loop = True

    def open_stream(self, op: Op | None, type: ListType, element: Type | None, tape: bool = False) -> Stream:
        if tape:
            return self.tape(type)
        stream = Stream.of(type, element)
        self.streams.append(stream)
        return stream

    def close_stream(self, stream: Stream, filled: Value) -> None:
        if not stream.tape:
            stream.forward_out = filled


@dataclass(eq=False)
class ArmFrame(ChainFrame):
    """A branch of an `if`: its tapes are those of the `if`, which the other branch may share."""

    shared: list[Stream] = field(default_factory=list[Stream])
    op: Op | None = None

    def open_stream(self, op: Op | None, type: ListType, element: Type | None, tape: bool = False) -> Stream:
        if not tape:
            return super().open_stream(op, type, element)
        if type not in self.chains:
            self.chains[type] = Chain.of(type, self.outer(type, None, 0, tape=True).backward_in)
        return self.tape(type)

    def close_stream(self, stream: Stream, filled: Value) -> None:
        if not stream.tape:
            super().close_stream(stream, filled)

    def outer(self, type: ListType, element: Type | None, number: int, *, tape: bool = False) -> Stream:
        """The stream of the `if` with that number, among those of its type."""
        assert self.parent is not None and self.op is not None
        fitting = [s for s in self.shared if s.type == type and s.tape == tape]
        if number == len(fitting):
            fitting.append(self.parent.open_stream(self.op, type, element, tape))
            self.shared.append(fitting[-1])
        if fitting[number].element != element:
            fitting[number].element = None
        return fitting[number]

    def seal(self) -> None:
        starts: dict[Value, Value] = {}
        for chain in self.chains.values():
            outer = self.outer(chain.type, None, 0, tape=True)
            starts[chain.streams[-1].forward_in] = outer.forward_in
            self.streams.append(chain.whole(outer.forward_in))
        if starts:
            ops = [substitute(op, starts) for op in self.edits[0].ops]
            self.edits[0].reset(ops)
            self.region.note(ops)


@dataclass(eq=False)
class BranchFrame(ArmFrame):
    """A branch of an `if` inside a loop: all its streams are those of the `if`."""

    in_loop = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._of_if: dict[Stream, Stream] = {}

    def open_stream(self, op: Op | None, type: ListType, element: Type | None, tape: bool = False) -> Stream:
        if tape:
            return super().open_stream(op, type, element, tape)
        outer = self.outer(type, element, len([s for s in self.streams if s.type == type and not s.tape]))
        ends = Value(type, "residuals"), Value(type, "residuals")
        stream = Stream(type, element, outer.forward_in, ends[0], outer.backward_in, ends[1])
        self.streams.append(stream)
        self._of_if[stream] = outer
        return stream

    def close_stream(self, stream: Stream, filled: Value) -> None:
        if not stream.tape:
            stream.forward_out = filled
            if stream.element is None:  # branches inside this one push arrays of differing sizes
                self._of_if[stream].element = None


class GraphFrame(ChainFrame):
    """A called graph: what it saves goes to tapes, for it may be called again before it is differentiated."""

    def open_stream(self, op: Op | None, type: ListType, element: Type | None, tape: bool = False) -> Stream:
        return self.tape(type) if tape else super().open_stream(op, type, element)

    def close_stream(self, stream: Stream, filled: Value) -> None:
        if not stream.tape:
            super().close_stream(stream, filled)


#: Emits the backward of some forward ops of a frame.
Walk = Callable[[Frame, Sequence[Op]], None]

SIZE = ScalarType(I64)


def list_of(value: Value) -> ListType:
    """The type of a list that holds such values, whose sizes may differ."""
    return ListType(unsized(value.type))


def size_values(type: Type, region: Region) -> tuple[Value, ...]:
    """The sizes of a tensor type as i64 values; other types have none."""
    return tuple(region.size(dim) for dim in type.shape) if isinstance(type, TensorType) else ()
