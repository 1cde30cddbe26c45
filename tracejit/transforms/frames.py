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
from typing import Any

from tracejit.errors import Span
from tracejit.ir.builder import Builder
from tracejit.ir.core import Op, Value
from tracejit.ir.opdef import OpDef
from tracejit.ir.types import I64, Dim, ListType, ScalarType, TensorType, Type, unsized
from tracejit.transforms.cotangents import Cotangents
from tracejit.transforms.remat import overwritten

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


@dataclass(slots=True)
class Stream:
    """A list of residuals at one op: its versions before and after the op, forward and backward. `element` is the type
    of all it holds, None where sizes differ."""

    type: ListType
    element: Type | None
    forward_in: Value
    forward_out: Value
    backward_in: Value
    backward_out: Value


class Region:
    """What one derivation shares: the active values, those of the forward program, its named sizes.

    `edits` are the blocks whose ops run before the derivative, outermost first; the first is the graph's own.
    """

    def __init__(self, params: Sequence[Value], edits: Sequence[Edit], active: set[Value]) -> None:
        self.params = params
        self.edits = list(edits)
        self.active = active
        self.definitions: dict[Value, Op] = {}
        self.forward: set[Value] = set()
        for edit in edits:
            self.forward |= edit.defined
            self.note(edit.ops)
        every = [op for edit in edits for op in edit.ops]
        self._outside_loops = edits[0].defined if len(edits) == 1 else set(params)
        self._overwritten = overwritten(every)
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
        return value in self._outside_loops and value not in self._overwritten

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

    def open_stream(self, op: Op | None, type: ListType, element: Type | None) -> Stream:
        """A stream for the residuals of a forward op. Outside loops its list is made right before the op."""
        assert op is not None
        b = Builder(op.span)
        start = b.emit("list_new", (), {"element": type.element}, names=("residuals",))[0]
        self.insert_before(op, *b.ops)
        return Stream(type, element, start, *(Value(type, "residuals") for _ in range(3)))

    def close_stream(self, stream: Stream, filled: Value) -> None:
        """Say which list the forward op leaves; outside loops the backward takes it up there."""
        stream.forward_out = stream.backward_in = filled
        self.region.elements[filled] = stream.element


class LoopFrame(Frame):
    """The body of a loop: streams pass through it as carried values."""

    in_loop = True

    def open_stream(self, op: Op | None, type: ListType, element: Type | None) -> Stream:
        stream = Stream(type, element, *(Value(type, "residuals") for _ in range(4)))
        self.streams.append(stream)
        return stream

    def close_stream(self, stream: Stream, filled: Value) -> None:
        stream.forward_out = filled


@dataclass(eq=False)
class BranchFrame(Frame):
    """A branch of an `if` inside a loop: its streams are those of the `if`, which the other branch may share."""

    in_loop = True
    shared: list[Stream] = field(default_factory=list[Stream])
    op: Op | None = None

    def open_stream(self, op: Op | None, type: ListType, element: Type | None) -> Stream:
        assert self.parent is not None and self.op is not None
        taken = len([s for s in self.streams if s.type == type])
        fitting = [s for s in self.shared if s.type == type]
        if taken == len(fitting):
            fitting.append(self.parent.open_stream(self.op, type, element))
            self.shared.append(fitting[-1])
        outer = fitting[taken]
        if outer.element != element:
            outer.element = None
        ends = Value(type, "residuals"), Value(type, "residuals")
        stream = Stream(type, element, outer.forward_in, ends[0], outer.backward_in, ends[1])
        self.streams.append(stream)
        return stream

    def close_stream(self, stream: Stream, filled: Value) -> None:
        stream.forward_out = filled


#: Emits the backward of some forward ops of a frame.
Walk = Callable[[Frame, Sequence[Op]], None]

SIZE = ScalarType(I64)


def list_of(value: Value) -> ListType:
    """The type of a list that holds such values, whose sizes may differ."""
    return ListType(unsized(value.type))


def size_values(type: Type, region: Region) -> tuple[Value, ...]:
    """The sizes of a tensor type as i64 values; other types have none."""
    return tuple(region.size(dim) for dim in type.shape) if isinstance(type, TensorType) else ()
