"""What every part of the lowering shares: the current block, memory, sizes, the place in the source, errors.

The methods here turn front-end values into graph values: reading and writing array views, checks that raise at
run time, numbers as graph scalars. Statements, expressions, indexing and calls build on them.
"""

from __future__ import annotations

import ast
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tracejit.errors import ScriptError, Span
from tracejit.frontend.containers import array_memory
from tracejit.frontend.containers.merged_lists import MergedLists
from tracejit.frontend.control.choices import as_number
from tracejit.frontend.control.optionals import as_integer
from tracejit.frontend.control.trips import Growing, Unrolling
from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.instances.heap import Contents, Heap, place_key, reachable
from tracejit.frontend.restarts import NeedsStatic, NeedsUnrolling
from tracejit.frontend.sizes import Sizes, key
from tracejit.frontend.syntax.desugar import RETURN_VALUE
from tracejit.frontend.syntax.source import FunctionSource, note_read
from tracejit.frontend.tensors.elements import Elements
from tracejit.frontend.tensors.storage import Makers, Storage, is_update
from tracejit.frontend.tensors.write_checks import MaybeView, Part, require_writeable
from tracejit.frontend.values import (
    ArrayView,
    FrontValue,
    GrowingList,
    MaybeUnbound,
    Mutable,
    Number,
    ObjectValue,
    SharedList,
    Size,
    Static,
    describe,
    type_name,
)
from tracejit.ir.aliasing import is_just_made
from tracejit.ir.builder import Builder, Handle
from tracejit.ir.core import Value
from tracejit.ir.opdef import OpDef
from tracejit.ir.types import BOOL, BY_NUMPY_NAME, C128, F64, I64, U64, DType, ScalarType, TensorType

if TYPE_CHECKING:
    from tracejit.frontend.containers.shared_lists import Pools
    from tracejit.frontend.functions.recursion import Recursion
    from tracejit.frontend.syntax.tries import Tries


class Again(Exception):
    """More is known about the program: lower everything again."""


def of_standard(source: FunctionSource, reason: str) -> tuple[str, str]:
    """Why a function of Python's library cannot be compiled, and what to do instead."""
    called = f"{source.globals.get('__name__')}.{source.name}()"
    return f"{called} cannot be compiled: {reason}", "write what it does in the script, or call it outside"


#: The attribute of a syntax node of a generator that is run in a loop: its function, and what the loop runs over.
OF_GENERATOR = "_tracejit_generator"


@dataclass(slots=True, eq=False)
class Frame:
    """One function being lowered (the script itself, or a helper inlined into it)."""

    source: FunctionSource
    env: dict[str, FrontValue]
    caller: Frame | None = None
    enclosing: Frame | None = None  #: where the names of a nested function come from
    #: where functions made now look names up first: the scope of a comprehension being lowered
    scope: Frame | None = None
    here: ast.AST | None = None  #: the statement that is being lowered
    is_function: bool = True  #: not the scope of a comprehension
    #: for a function of this package or of Python's library: the user's call, where all its ops and errors belong
    site: Span | None = None

    def __post_init__(self) -> None:
        note_read(self.source.function)

    @property
    def result(self) -> FrontValue | None:
        """What the function returned; a function that ends has a result."""
        found = self.env.get(RETURN_VALUE)
        return found.value if isinstance(found, MaybeUnbound) else found

    def span(self, node: ast.AST) -> Span:
        """The user's place of a node."""
        source, loop = getattr(node, OF_GENERATOR, (None, node))
        if source is None:
            return self.site or self.source.span(node)
        return source.span(node) if source.is_users else self.span(loop)

    def source_of(self, node: ast.AST) -> FunctionSource:
        """The function that a node stands in: this one, or a generator that is run here."""
        return getattr(node, OF_GENERATOR, (self.source,))[0]


@dataclass(slots=True, eq=False)
class Context:
    """The state of one lowering."""

    b: Builder
    frame: Frame
    device: str = "cpu"
    is_anywhere: bool = False  #: whether nothing but a default says so
    any_size: bool = False
    boundscheck: bool = True
    #: whether copies that the program asks for are told from those that it does not (`script(copies="error")`)
    marks_copies: bool = False
    tensors: bool = False
    undecided: bool = False  #: whether arrays made here may turn out to be Tensors: no argument is an array
    storage: Storage = field(default_factory=Storage)
    makers: Makers = field(default_factory=Makers)
    sizes: Sizes = field(default_factory=Sizes)
    heap: Heap = field(default_factory=Heap)
    elements: Elements = field(default_factory=Elements)
    dims: dict[str, Value] = field(default_factory=dict[str, Value])
    level: int = 0
    loops: int = 0  #: so many loops whose trips are counted at run time are around
    types_met: bool = False  #: whether numbers of two types met where paths do
    managed: ast.AST | None = None  #: what the `with` at hand enters
    grad_mode: bool | None = None  #: whether gradients are on where a `with` says so; None: as around the call
    #: whether writes are marked for derivatives that may need what was there: an argument asks for gradients
    notes_writes: bool = False
    #: what the caller's lowering found out about loops, so that lowering them again starts from the answer
    loop_memo: dict[Any, Any] = field(default_factory=dict[Any, Any])
    #: classes whose memory the caller did not lay out in C order: reshaping them copies
    strided: set[int] = field(default_factory=set[int])
    by_columns: set[int] = field(default_factory=set[int])  #: those of them that lie in Fortran order
    unordered: set[int] = field(default_factory=set[int])  #: arrays in C order that NumPy may lay out otherwise
    #: classes that copy, on one path only, what is a view of these classes in Python
    snapshots: dict[int, frozenset[int]] = field(default_factory=dict[int, frozenset[int]])
    #: classes that copy what Python shares where a condition known at run time only holds
    maybe_views: dict[int, MaybeView] = field(default_factory=dict[int, "MaybeView"])
    #: classes that copy, for derivatives, what Python shares (`x.detach()`): the class they copy
    detached: dict[int, int] = field(default_factory=dict[int, int])
    #: classes that copy, with another dtype, what a name is in Python on one path or at first: the class they copy
    converted: dict[int, int] = field(default_factory=dict[int, int])
    #: classes of arguments that may not be written
    readonly: set[int] = field(default_factory=set[int])
    #: classes that hold the real or imaginary part of a view, or its bits
    parts: dict[int, Part] = field(default_factory=dict[int, "Part"])
    #: classes of tensors that the script made and that ask for gradients
    asking: set[int] = field(default_factory=set[int])
    arguments: set[int] = field(default_factory=set[int])  #: classes of arguments
    #: classes that are memory of an argument in some iterations of a loop: a whole new content is stored there
    settled: set[int] = field(default_factory=set[int])
    #: whether a read-only one is written all the same
    refused_write: bool = False
    #: memory and facts of the enclosing blocks, which learn of inputs first met inside
    outer_storages: list[Storage] = field(default_factory=list[Storage])
    outer_sizes: list[Sizes] = field(default_factory=list[Sizes])
    #: what lowers the enclosing blocks, outermost first
    outer_builders: list[Builder] = field(default_factory=list[Builder])
    #: which argument a graph number is, for arguments that turn out to decide a type
    number_access: dict[Value, Any] = field(default_factory=dict[Value, Any])
    #: which axis of which array of the caller a named size is
    size_access: dict[str, tuple[Any, int]] = field(default_factory=dict[str, tuple[Any, int]])
    #: calls being inlined and iterations of unrolled loops: with a node, a place in the unfolded program
    path: tuple[object, ...] = ()
    #: places that make growing lists, with the kind of their items
    growing: Growing = field(default_factory=Growing)
    #: generators whose bodies are around the present place
    generators: tuple[ast.AST, ...] = ()
    #: loops around the present place that run over lists, with the classes of these
    list_loops: tuple[tuple[ast.AST, tuple[int, ...]], ...] = ()
    #: classes that copy items of lists, with the places that make these; and the places that make arrays
    holders: dict[int, frozenset[object]] = field(default_factory=dict[int, frozenset[object]])
    made: dict[int, frozenset[object]] = field(default_factory=dict[int, frozenset[object]])
    #: the memory of lists that lists hold, by what they have in common (`shared_lists.py`)
    pools: dict[object, ObjectValue] = field(default_factory=dict[object, "ObjectValue"])
    #: those whose items were read before anything is known to be put into them
    read_early: set[object] = field(default_factory=set[object])
    #: those that have slots of another kind than is known now: everything is lowered once more
    stale: set[object] = field(default_factory=set[object])
    #: lists that are one of several, by the path taken, and those of the caller
    merged_lists: MergedLists = field(default_factory=MergedLists)
    #: sets that the script made and that are known while compiling, by identity, with the places that made them
    sets: dict[int, tuple[set[Any], object]] = field(default_factory=dict[int, "tuple[set[Any], object]"])
    #: named sizes that are known everywhere: those of arguments, where all is one graph
    argument_dims: frozenset[str] = frozenset()
    #: whether outer arrays have their sizes compiled in
    exact_sizes: bool = False
    #: context managers that were entered around the present place
    exits: tuple[FrontValue, ...] = ()
    unpacked: dict[ast.AST, int] = field(default_factory=dict[ast.AST, int])  #: calls, into how many names
    unrolling: Unrolling = field(default_factory=Unrolling)
    #: loops and names in them that start as views of other arrays, not as copies
    sharing: Set[object] = frozenset()
    #: places that make lists of known length whose items change and whose length, as far as is known, does not
    steady: Set[object] = frozenset()
    list_lengths: dict[tuple[int, ...], int] = field(default_factory=dict[tuple[int, ...], int])  #: by their classes
    #: classes of the arrays and lists that loops run over
    iterated: frozenset[int] = frozenset()
    #: told of every op that may raise, before it is emitted
    before_errors: Callable[[Builder, OpDef, Sequence[Value]], None] | None = None
    tries: Tries | None = None
    #: the functions that call themselves
    recursion: Recursion | None = None
    #: a frame whose returned arrays must be its own, and what makes them so
    returns_copies: tuple[Frame, Callable[[ArrayView], ArrayView]] | None = None

    @property
    def pools_known(self) -> Pools:
        """Which places make shared lists."""
        assert self.recursion is not None
        return self.recursion.known.pools

    # -- places and errors ------------------------------------------------------------------------------

    def at(self, node: ast.AST) -> Span:
        """Set the place of the ops emitted next."""
        self.b.span = self.frame.span(node)
        return self.b.span

    def place(self, node: ast.AST) -> tuple[object, ...]:
        """The place of a node in the program with all calls unfolded."""
        return (node, *self.path)

    def refuse(self, node: ast.AST, reason: str, instead: str | None, notes: Sequence[str] = ()) -> NoReturn:
        """The construct is outside the language."""
        brought = itertools.takewhile(lambda f: f.source.is_library or f.source.is_standard, self.frames())
        if standard := [f.source for f in brought if f.source.is_standard]:
            reason, instead = of_standard(standard[-1], reason)
        raise ScriptError(reason, self.frame.span(node), instead=instead, notes=notes)

    def require_known(self, node: ast.AST, reason: str, instead: str, notes: Sequence[str] = ()) -> NoReturn:
        """Something must be known while the function is compiled, such as what kind of value a name has. Inside a loop
        over few numbers it may depend on them: then everything is lowered again with that loop unrolled."""
        if loops := self.loops_to_unroll() or self.unrolling.whiles:
            raise NeedsUnrolling(loops[-1])
        self.refuse(node, reason, instead, notes)

    def loops_to_unroll(self) -> list[ast.AST]:
        """The loops over few numbers around this place that are not unrolled yet."""
        return self.unrolling.loops

    def notes(self, *places: tuple[ast.AST | None, FrontValue]) -> list[str]:
        """The lines that bind a name, each with what it makes it; none where they are not all known."""
        shown: list[str] = []
        for node, value in places:
            if node is None:
                return []
            span = self.frame.span(node)
            shown.append(f"line {span.line}: {span.text().strip()}   <- {describe(value)}")
        return shown

    def check(self, cond: Value, kind: str, message: str, *payload: Value) -> None:
        """Raise `kind` at this line at run time unless `cond` holds."""
        self.b.emit("check", (cond, *payload), {"kind": kind, "message": message})

    def always_raise(self, kind: str, message: str) -> None:
        """Raise at this line whenever it is reached."""
        self.check(self.b.constant(False, ScalarType(BOOL)), kind, message)

    def check_false(self, kind: str, message: str) -> NoReturn:
        """Raise at this line whenever it is reached; what follows in the block is not lowered."""
        self.always_raise(kind, message)
        raise Unreachable

    def require_writeable(self, view: ArrayView) -> None:
        """Writing a read-only argument or view is a ValueError at that line."""
        require_writeable(self, view)

    def hold(self, copy: ArrayView, source: ArrayView) -> None:
        """A copy of what is a view in Python: neither may be written as long as that could tell them apart."""
        self.storage.held.add(copy.storage)
        self.snapshots[copy.storage] = frozenset({source.storage})

    def is_bound(self, storage: int) -> bool:
        """Whether a name stands for an array of this class."""
        return any(isinstance(v, ArrayView) and v.storage == storage for f in self.frames() for v in f.env.values())

    # -- nested blocks ----------------------------------------------------------------------------------

    @contextmanager
    def nested(self) -> Iterator[Builder]:
        """Lower into a nested block; memory, names and facts are restored afterwards (joining is the caller's)."""
        outer = (self.b, self.storage, self.sizes, self.level, self.loops, [(f, dict(f.env)) for f in self.frames()])
        self.outer_storages.append(self.storage)
        self.outer_sizes.append(self.sizes)
        self.outer_builders.append(self.b)
        self.b = self.b.nested()
        self.storage = self.storage.snapshot()
        self.sizes = self.sizes.nested()
        self.level += 1
        try:
            with self.heap.nested():
                yield self.b
        finally:
            self.outer_storages.pop()
            self.outer_sizes.pop()
            self.outer_builders.pop()
            self.b, self.storage, self.sizes, self.level, self.loops, envs = outer
            for frame, env in envs:
                frame.env = env

    def has_changed(self) -> bool:
        """Whether the nested block that is being lowered has changed memory or objects from outside."""
        outer, bases = self.outer_storages[-1], self.storage.bases
        return any(bases.get(c, v) is not v for c, v in outer.bases.items()) or self.heap.has_changed()

    @contextmanager
    def within(self, b: Builder, storage: Storage, sizes: Sizes) -> Iterator[None]:
        """Emit into another block that is not finished yet, with its memory and what is known of sizes there."""
        here = (self.b, self.storage, self.sizes)
        self.b, self.storage, self.sizes = b, storage, sizes
        try:
            yield
        finally:
            self.b, self.storage, self.sizes = here

    def frames(self) -> Iterator[Frame]:
        """The current frame and its callers."""
        frame: Frame | None = self.frame
        while frame is not None:
            yield frame
            frame = frame.caller

    # -- objects -------------------------------------------------------------------------------------------

    def new_object(self, made: Mutable, node: ast.AST, *more: object) -> Any:
        """Remember an object that a node of the program makes."""
        return self.heap.add(made, place_key(node, self.path, *more))

    def write_object(self, o: Mutable, contents: Contents, node: ast.AST) -> None:
        """Replace what an object holds."""
        if not self.heap.contains(o):
            self.heap.add_outer(o, place_key(node, self.path, "met"))
        if self.heap.merged:
            known = reachable(v for f in self.frames() for v in f.env.values())
            for made in list(self.heap.merged):
                sources = self.heap.behind(made)
                if (o is made and sources & known) or (o in sources and made in known):
                    from tracejit.frontend.instances.pooled_objects import pool_if_possible

                    pool_if_possible(self, (made, *sources))
                    self.require_known(  # an index of a list of objects, perhaps
                        node,
                        "an object that changes here is, on one path only, the same as another name's",
                        "make a new object where the paths differ",
                    )
        o.contents = contents

    def set_part(self, o: Mutable, name: Any, value: FrontValue, node: ast.AST) -> None:
        """Set an attribute or an item."""
        self.write_object(o, {**o.contents, name: value}, node)

    # -- lists ---------------------------------------------------------------------------------------------

    def list_length(self, lst: GrowingList) -> Value:
        """The number of items of a growing list."""
        if lst.storages in self.list_lengths:
            return self.size_value(self.list_lengths[lst.storages])
        base = self.storage.bases[lst.storages[0]]
        found = self.sizes.memo.get(("length", base))
        if found is None:
            found = self.sizes.memo["length", base] = self.b.emit("list_len", (base,), names=("length",))[0]
            self.sizes.note_lower(found, 0)
        return found

    # -- numbers ------------------------------------------------------------------------------------------

    def number(self, value: bool | int | float | complex) -> Number:
        """A Python number as a constant of the graph."""
        dtype = (
            BOOL
            if isinstance(value, bool)
            else I64
            if isinstance(value, int)
            else F64
            if isinstance(value, float)
            else C128
        )
        made = self.b.constant(value, ScalarType(dtype))
        return Number(made, weak=True)

    def size_number(self, size: Size) -> FrontValue:
        """A size as a Python int."""
        if isinstance(size, int):
            return Static(size)
        return Number(size, weak=True)

    def as_size(self, value: FrontValue, node: ast.AST) -> Size:
        """An integer as a size or index."""
        value = as_number(self.b, as_integer(self, value))
        match value:
            case Static(int() | np.integer() as n):
                return int(n)
            case Number() if value.dtype == I64:
                return value.value if not isinstance(value.value.known, int) else value.value.known
            case Number() if value.dtype.is_integer:
                return self.signed(value.value)
            case ArrayView() if value.rank == 0 and value.dtype.is_integer:
                return self.as_size(self.element(value, ()), node)
            case GrowingList() | SharedList():
                self.require_known(node, f"{describe(value)} cannot give a size, or several", "write them as a tuple")
            case ObjectValue(cls) | Static(cls) if hasattr(cls, "__index__"):
                self.refuse(node, f"{describe(value)} as a size is outside the language", "int(x)")
            case _:
                self.at(node)
                text = f"'{type_name(value)}' object cannot be interpreted as an integer"
                self.check_false("TypeError", text)

    def signed(self, x: Value) -> Value:
        """An integer as the i64 of a Python int: a uint64 that leaves it is an OverflowError."""
        if x.type == ScalarType(I64):
            return x
        made = self.b.emit("cast", (x,), {"dtype": I64}, names=(x.name,))[0]
        if x.type == ScalarType(U64):
            fits = self.b.emit("ge", (made, self.size_value(0)))[0]
            self.check(fits, "OverflowError", "Python int too large to convert to C long")
        return made

    def size_value(self, size: Size) -> Value:
        """A size as an i64 value."""
        return self.sizes.value(self.b, size)

    # -- arrays -------------------------------------------------------------------------------------------

    def dim_sizes(self, value: Value) -> tuple[Size, ...]:
        """The dims of a tensor value as sizes."""
        assert isinstance(value.type, TensorType)
        found: list[Size] = []
        for axis, dim in enumerate(value.type.shape):
            if isinstance(dim, int | Value):
                found.append(dim)
            elif dim in self.dims:
                found.append(self.dims[dim])
            else:
                found.append(self.b.dim_of(value, axis))
        return tuple(found)

    def contiguous_strides(self, lengths: Sequence[Size]) -> tuple[Size, ...]:
        """Strides of C order, in elements."""
        strides: list[Size] = []
        step: Size = 1
        for length in reversed(lengths):
            strides.append(step)
            step = self.sizes.mul(self.b, step, length)
        return tuple(reversed(strides))

    def fresh(self, value: Value) -> ArrayView:
        """A new array with that content."""
        return self.whole_view(self.storage.new(self.recorded(self.asked(value))))

    @property
    def grad_enabled(self) -> bool:
        """Whether nothing in the script switched gradients off."""
        return self.grad_mode is not False

    def asked(self, value: Value) -> Value:
        """The value, as a copy that the program asks for where it is the content of an array and copies count."""
        is_copied = self.marks_copies and self.storage.is_content(value, self.storage.bases)
        return self.b.emit("fresh", (value,), names=(value.name,))[0] if is_copied else value

    def recorded(self, value: Value, old: Value | None = None) -> Value:
        """The value, constant for derivatives under `no_grad`. Where it is written over `old` content, that is what
        derivatives go by then, as if nothing had been written."""
        plain = self.grad_enabled and (old is None or not self.notes_writes)
        if plain or not value.type.dtype.is_inexact:  # type: ignore[union-attr]
            return value
        if old is None:
            return self.b.emit("detach", (value,), names=(value.name,))[0]
        return self.b.emit("rewritten" if self.grad_enabled else "unrecorded", (value, old), names=(value.name,))[0]

    def whole_view(self, storage: int) -> ArrayView:
        """The view that is the base of a class."""
        base = self.storage.bases[storage]
        assert isinstance(base.type, TensorType)
        lengths = self.dim_sizes(base)
        return ArrayView(storage, base.type.dtype, 0, self.contiguous_strides(lengths), lengths, (), plain=True)

    def load(self, view: ArrayView) -> Value:
        """The present content of a view."""
        if array_memory.lies_in_memory(self, view):
            return array_memory.load(self, view)
        base = self.storage.bases[view.storage]
        if view.is_whole:
            return base
        if view.via and view.via[0] == "transpose":
            return self.b.emit("transpose", (base,), {"perm": view.via[1]}, names=(base.name,))[0]
        if view.via and view.via[0] == "broadcast":
            source = self.load(dataclasses.replace(view.via[1], storage=view.storage))
            sizes = tuple(map(self.size_value, view.lengths))
            return self.b.emit("broadcast", (source, *sizes), {"exact": True}, names=(base.name,))[0]
        if view.via:
            return self.b.emit("reshape", (base, *map(self.size_value, view.lengths)), names=(base.name,))[0]
        operands = [base, *map(self.size_value, (view.offset, *view.strides, *view.lengths))]
        return self.b.emit("vread", operands, names=(base.name,))[0]

    def element(self, view: ArrayView, indices: Sequence[Size]) -> Number:
        """One element, by checked indices, as a NumPy scalar."""
        if array_memory.lies_in_memory(self, view):
            return Number(array_memory.element(self, self.point(view, indices)), weak=False)
        base = self.storage.bases[view.storage]
        if view.plain:
            found = self.b.emit("fetch", (base, *map(self.size_value, (*view.prefix, *indices))), names=(base.name,))
        else:
            point = self.point(view, indices)
            found = self.b.emit("fetch", (self.load(point),), names=(base.name,))
        return Number(found[0], weak=False)

    def point(self, view: ArrayView, indices: Sequence[Size]) -> ArrayView:
        """The rank-0 view of one element."""
        offset = view.offset
        for index, stride in zip(indices, view.strides, strict=True):
            offset = self.sizes.add(self.b, offset, self.sizes.mul(self.b, index, stride))
        return view.viewed(offset, (), ())

    def set_element(self, view: ArrayView, indices: Sequence[Size], value: Value) -> None:
        """Write one element; `value` is a host scalar of the view's dtype."""
        self.require_writeable(view)
        if array_memory.lies_in_memory(self, view):
            return array_memory.set_element(self, self.point(view, indices), value)
        base = self.storage.bases[view.storage]
        if view.plain:
            operands = (base, value, *map(self.size_value, (*view.prefix, *indices)))
            made = self.b.emit("index_update", operands, names=(base.name,))[0]
        else:
            content = self.b.emit("broadcast", (value,))[0]
            offset = self.size_value(self.point(view, indices).offset)
            made = self.b.emit("vwrite", (base, content, offset), names=(base.name,))[0]
        self.storage.write(self.b, view.storage, self.recorded(made, base), marks=self.notes_writes)
        self._write_part(view.storage)

    def store(self, view: ArrayView, value: Value) -> None:
        """Write a whole view; `value` has the view's dtype and lengths."""
        self.require_writeable(view)
        if array_memory.lies_in_memory(self, view):
            return array_memory.store(self, view, value)
        base = self.storage.bases[view.storage]
        if not view.is_whole or self.is_bound_to_place(view.storage, value):
            operands = [base, value, *map(self.size_value, (view.offset, *view.strides))]
            value = self.b.emit("vwrite", operands, names=(base.name,))[0]
        else:
            value = self.asked(value)
        self.storage.write(self.b, view.storage, self.recorded(value, base), marks=self.notes_writes)
        self._write_part(view.storage)

    def is_bound_to_place(self, storage: int, value: Value) -> bool:
        """Whether an error could show that a whole new content is not stored where the program says: another argument
        has it, an error may have shown the present content, or may come between making the new one and its write."""
        base = self.storage.bases[storage]
        classes = {storage, *(c for c, _ in self.storage.partners(storage))}
        if not classes & self.arguments or is_update(value, base, self.b.ops):
            return False
        if storage in self.settled or self.storage.is_content(value, self.arguments - classes):
            return True
        has_raised = self.makers.may_have_raised_since(base, (*self.outer_builders, self.b))
        return has_raised or not is_just_made(value, self.b.ops)

    def _write_part(self, storage: int) -> None:
        """A part of an array has been written: the array changes with it."""
        if storage not in self.parts:
            return
        part = self.parts.pop(storage)
        merge = getattr(self.b, part.merge)
        merged = merge(self.handle(self.load(part.whole)), self.handle(self.storage.bases[storage]))
        self.store(part.whole, merged.value)
        self.parts[storage] = part

    def same_lengths(self, a: Sequence[Size], b: Sequence[Size]) -> bool:
        """Whether two shapes are known to be equal."""
        return len(a) == len(b) and all(key(x) == key(y) for x, y in zip(a, b, strict=True))

    def static_request(self, value: Value) -> NeedsStatic | None:
        """The signal that an argument must be compiled in, if `value` is an argument."""
        access = self.number_access.get(value)
        return None if access is None else NeedsStatic(access)

    def handle(self, value: Value) -> Handle:
        """A value with the current builder."""
        return Handle(self.b, value)

    # -- dtypes -------------------------------------------------------------------------------------------

    def dtype_of_object(self, obj: Any, node: ast.AST) -> DType:
        """A dtype named in the program (`np.float64`, `tj.float32`, `"f4"`, `float`, a dtype object)."""
        import numpy as np

        try:
            name = np.dtype(obj).name
        except TypeError:
            name = str(getattr(obj, "name", obj))
        if name not in BY_NUMPY_NAME:
            self.refuse(node, f"{obj!r} is not a dtype that tracejit knows", f"one of {', '.join(BY_NUMPY_NAME)}")
        return BY_NUMPY_NAME[name]
