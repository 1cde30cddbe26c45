"""Ops that are not elementwise: element and slice updates, effects, and rules of opaque ops.

`STRUCTURAL` holds the ops that are told apart by name: `rule(lowering, op)` gives what stands for each result.
Every other opaque op brings its own rule, `emit(e, results, *operands, **attrs)`, which is written with an
`Emitter`: tensors are `Array`s, host scalars expressions, and it returns what stands for each result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import copysign
from typing import TYPE_CHECKING, Any

from tracejit.codegen.loop_ir import Axis, Call, Const, Expr, For, If, Offset, Var
from tracejit.codegen.lowering import checks, schedule
from tracejit.codegen.lowering import reports as lower_reports
from tracejit.codegen.lowering.code import Code, Fold, FoldBody
from tracejit.codegen.lowering.complex import Complex
from tracejit.codegen.lowering.copies import copy_parts
from tracejit.codegen.lowering.elements import ONE, ZERO, Array, Element, ElementBuilder, Index, load, stores
from tracejit.codegen.lowering.laid import laid_product, lay_out
from tracejit.codegen.lowering.lists import LISTS, accumulate, assign, clear, copy_part, fill
from tracejit.codegen.lowering.placement import window_of
from tracejit.codegen.lowering.sums import add_into
from tracejit.codegen.support import ordering
from tracejit.codegen.support.lapack import routine
from tracejit.errors import ScriptError
from tracejit.ir.core import Op, Value
from tracejit.ir.opdef import Opaque
from tracejit.ir.types import BOOL, I64, DType, ListType, ScalarType, TensorType

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering


# -- the emitter of rules ---------------------------------------------------------------------------------------


class Emitter:
    """What the rule of an opaque op builds code with.

    Outside of `kernel()` it emits into the entry: allocations, checks, reads of single elements. Inside, loops
    and stores; whatever they use from outside becomes a parameter of the kernel.
    """

    #: elements that there must be behind arrays which `by_vectors` is given
    slack = ordering.SLACK

    def __init__(self, lowering: Lowering, op: Op) -> None:
        self.lowering = lowering
        self.op = op
        self.code: Code | None = None
        self.noted: list[Expr] | None = None

    @property
    def k(self) -> ElementBuilder:
        """Builds expressions where code is being emitted."""
        return self.lowering.k if self.code is None else self.code.k

    @property
    def in_order(self) -> bool:
        """Whether one processor does a line of an array by itself, so that steps may as well be taken in order."""
        return self.lowering.target == "cpu"

    # -- the entry --------------------------------------------------------------------------------------------

    def new(self, result: Value, *, room: int = 0) -> Array:
        """Storage for a result, and for so many elements more."""
        assert isinstance(result.type, TensorType)
        return self.lowering.ahead.pop(result, None) or self.lowering.new_array(result.type, result.name, room=room)

    def is_wanted(self, result: Value) -> bool:
        """Whether anything reads a result."""
        return result in self.lowering.uses.readers

    def scratch(self, like: TensorType, name: str = "scratch") -> Array:
        """Storage that lives to the end of the block."""
        made = self.lowering.new_array(like, name)
        self.lowering.temporaries.append(made)
        return made

    def work(self, dtype: DType, shape: Sequence[Expr], name: str) -> Array:
        """Storage of computed sizes that lives to the end of the block."""
        type = TensorType(dtype, (None,) * len(shape))
        sizes = tuple(self.lowering.let(size, "size") for size in shape)
        made = Array(self.lowering.pointer(type, name), type, sizes)
        self.lowering.allocate(made)
        self.lowering.temporaries.append(made)
        return made

    def define(self, result: Value, element: Element) -> Element:
        """Bind a host scalar result now, so that types of other results may name it as a size."""
        named = self.k.let(element, result.name)
        self.lowering.env[result] = named
        return named

    def fail_unless(self, cond: Expr, kind: str, message: str, payload: Sequence[Expr] = ()) -> None:
        """Raise the Python exception `kind` where `cond` does not hold."""
        if self.noted is None:
            self.lowering.fail_unless(cond, kind, message, payload)
        else:
            self.noted.append(self.k.let(cond, "worked"))

    @contextmanager
    def noting(self) -> Iterator[list[Expr]]:
        """What fails inside is only noted: gives the conditions that must hold."""
        outer, self.noted = self.noted, []
        yield self.noted
        self.noted = outer

    def copy_into(self, target: Array, source: Array) -> None:
        """Copy elements between arrays of one shape."""
        self.lowering.copy_into(target, source)

    def copy_parts(self, parts: Sequence[tuple[Array, Array]]) -> None:
        """Copy parts of a new array from others, but for those that are there (`placement.joined`)."""
        copy_parts(self.lowering, [(part, x) for part, x in parts if x.buffer is not part.buffer])

    def is_line(self, array: Array, axis: int) -> bool:
        """Whether elements that follow each other along an axis are known to be neighbours."""
        return array.steps(self.k)[axis] == ONE

    def with_lines(self, array: Array, axes: Sequence[int]) -> Array:
        """The array, or a copy in C order where it has no lines along any of these axes."""
        return array if any(self.is_line(array, axis) for axis in axes) else self.lowering.contiguous(array)

    def part(self, array: Array, axis: int, start: Expr, size: Expr) -> Array:
        """The part of an array from `start` along an axis."""
        steps = array.steps(self.k)
        offset = self.k.add(array.offset, self.k.mul(start, steps[axis]))
        shape = tuple(size if i == axis else s for i, s in enumerate(array.shape))
        return Array(array.buffer, array.type, shape, steps, self.k.let(offset, "offset"))

    def lapack(self, name: Any, dtype: DType, *args: Expr | int | str) -> Expr:
        """Call a LAPACK routine for that dtype, arrays as `pointer`s; gives its `info`, -1 without a library."""
        if self.lowering.target != "cpu":
            return Const(-1, I64)
        given = [Const(ord(a) if isinstance(a, str) else a, I64) if isinstance(a, int | str) else a for a in args]
        info = Var("info", I64)
        self.lowering.emit(Call(routine(name, dtype), tuple(given), (info,)))
        return info

    def by_vectors(self, name: str, *args: Array | Expr) -> Expr:
        """Call a function of `codegen/support/ordering.py`, arrays from their first element on; gives whether the
        machine can do that."""
        if self.lowering.target != "cpu":
            return Const(False, BOOL)
        given = [self.pointer(a, (ZERO,)) if isinstance(a, Array) else a for a in args]
        if self.code is not None:
            done = self.code.call(name, given)
        else:
            done = Var("done", I64)
            self.lowering.emit(Call(name, tuple(given), (done,)))
        return self.k.let(self.k.ne(done, 0), "done")

    def pointer(self, array: Array, index: Sequence[Expr]) -> Expr:
        """Where the elements of an array from an index on are."""
        width = 2 if array.type.dtype.is_complex else 1
        at = self.k.let(self.k.mul(array.address(self.k, index), width), "at")
        return array.buffer if at == ZERO else Offset(array.buffer, at, array.buffer.type)  # type: ignore[arg-type]

    def either(self, cond: Expr, then: Callable[[], None], orelse: Callable[[], None]) -> None:
        """Entry code for both values of a condition; it may not allocate."""
        if isinstance(cond, Const):
            (then if cond.value else orelse)()
            return
        _, first = self.lowering.inside(then)
        _, second = self.lowering.inside(orelse)
        self.lowering.emit(If(cond, first, second))

    def each(self, sizes: Sequence[Expr], body: Callable[[Index], None]) -> None:
        """Nested loops of the entry."""
        index = tuple(Var("ijklmn"[a % 6], I64) for a in range(len(sizes)))
        _, stmts = self.lowering.inside(lambda: body(index))
        for i, size in zip(reversed(index), reversed(sizes), strict=True):
            stmts = (For(i, size, stmts),)
        self.lowering.emit(*stmts)

    # -- kernels ------------------------------------------------------------------------------------------------

    @contextmanager
    def kernel(self) -> Iterator[None]:
        """What is emitted inside is one kernel."""
        self.code = code = Code()
        yield
        self.code = None
        self.lowering.launch(self.op.name, code.scopes[0].stmts, [self.op.span] if self.op.span else [])

    @contextmanager
    def here(self) -> Iterator[None]:
        """What is emitted inside are loops of the entry itself: a few host scalars, never elements of arrays."""
        self.code = code = Code()
        yield
        self.code = None
        self.lowering.emit(*code.scopes[0].stmts)

    @property
    def inner(self) -> Code:
        """The open kernel."""
        assert self.code is not None, "loops belong into a kernel"
        return self.code

    @contextmanager
    def loops(self, sizes: Sequence[Expr], *, parallel: bool = False, vector: bool = False) -> Iterator[Index]:
        """Nested loops; gives the index."""
        with ExitStack() as stack:
            index: list[Expr] = []
            for at, size in enumerate(sizes):
                is_shared = parallel and at == 0 and self.lowering.parallel
                in_lanes = vector and at == len(sizes) - 1
                name, extent = schedule.loop_name((at,)), self.k.let(size, "size")
                if is_shared and in_lanes and self.in_order:
                    loop = schedule.blocked_loop(self.inner, extent, "vector", name, schedule.COLUMNS)
                else:
                    axis: Axis = "vector" if in_lanes else "parallel" if is_shared else "serial"
                    loop = self.inner.loop(extent, axis, name)
                index.append(stack.enter_context(loop))
            yield tuple(index)

    @contextmanager
    def fold(self, extent: Expr, *starts: Element, combine: str | None = None) -> Iterator[ElementFold]:
        """A loop that carries elements; set `following` inside. `combine` names the scalar op of a reduction."""
        flat = [Fold(p, combine) for s in starts for p in _parts(s)]
        made = ElementFold(starts)
        axis: Axis = "serial" if combine is None or self.inner.in_vector else "vector"
        with self.inner.fold(extent, flat, axis) as body:
            made.enter(body)
            yield made
            body.next = [p for e in made.following for p in _parts(e)]
        made.leave(body)

    @contextmanager
    def when(self, cond: Expr) -> Iterator[None]:
        """A conditional in a kernel."""
        with self.inner.when(cond):
            yield

    def load(self, array: Array, index: Sequence[Expr]) -> Element:
        """An element, read where this is emitted."""
        return self._load(array, array.address(self.k, index))

    def load_flat(self, array: Array, at: Expr) -> Element:
        """The element with that C-order index."""
        return self._load(array, array.flat_address(self.k, at))

    def _load(self, array: Array, at: Expr) -> Element:
        if self.code is not None:
            self.code.volatile.add(array.buffer)
        return self.k.let(load(array.buffer, at, array.type.dtype, self.k), "x")

    def store(self, array: Array, index: Sequence[Expr], value: Element) -> None:
        """Write an element."""
        self._store(array, array.address(self.k, index), value)

    def store_flat(self, array: Array, at: Expr, value: Element) -> None:
        """Write the element with that C-order index."""
        self._store(array, array.flat_address(self.k, at), value)

    def _store(self, array: Array, at: Expr, value: Element) -> None:
        emit = self.lowering.emit if self.code is None else self.code.emit
        emit(*stores(array.buffer, at, value, self.k))

    # -- lists --------------------------------------------------------------------------------------------------

    def list_set(self, handle: Var, index: Expr, value: Any) -> Var:
        """Replace an element of a list."""
        assign(self.lowering, handle, index, value)
        return handle

    def list_clear(self, handle: Var, index: Expr) -> Var:
        """Make an element of a list zero."""
        clear(self.lowering, handle, self.op.results[0], index)
        return handle

    def list_add(self, handle: Var, value: Any, index: Expr, count: Expr) -> Var:
        """Add to an element of a list of `count` elements, of which the lowest ones may be missing: zeros."""
        accumulate(self.lowering, handle, self.op.operands[1], value, index, count)
        return handle

    def list_read(self, handle: Var, start: Expr, target: Array) -> None:
        """Copy numbers of a list, from `start` on, into an array."""
        copy_part(self.lowering, "list_read", handle, start, target)

    def list_write(self, handle: Var, start: Expr, source: Array) -> None:
        """Copy an array over numbers of a list, from `start` on."""
        copy_part(self.lowering, "list_write", handle, start, source)

    def list_fill(self, handle: Var, count: Expr) -> Expr:
        """Put zeros below the numbers of a list until it has `count` of them; gives how many more it has."""
        of = self.op.operands[0].type
        assert isinstance(of, ListType)
        return fill(self.lowering, handle, Value(of.element, "element"), count)

    def below(self, array: Array, start: Expr) -> tuple[Array, Array]:
        """The parts of an array, whose first element has the place `start`, at negative places and at others."""
        count = array.shape[0]
        split = self.lowering.let(self.k.minimum(self.k.maximum(self.k.sub(0, start), 0), count), "split")
        rest = self.lowering.let(self.k.sub(count, split), "rest")
        return self.part(array, 0, ZERO, split), self.part(array, 0, split, rest)

    def zero(self, array: Array) -> None:
        """Set all elements of a dense array to 0."""
        width = 2 if array.type.dtype.is_complex else 1
        count = self.k.mul(self.k.product(array.shape), width)
        self.lowering.emit(Call("zero", (self.lowering.start_of(array), count)))

    def add_into(self, target: Array, source: Array) -> None:
        """Add elements of an array to those of another."""
        add_into(self.lowering, target, source)


class ElementFold:
    """The inside of a fold over elements: `index`, `carried`, `following` to be set, `results` afterwards."""

    def __init__(self, starts: Sequence[Element]) -> None:
        self.starts = starts
        self.following: Sequence[Element] = ()

    def enter(self, body: FoldBody) -> None:
        """The loop is open."""
        self.index: Expr = body.index
        self.carried = self._pairs(body.carried)

    def leave(self, body: FoldBody) -> None:
        """The loop is closed."""
        self.results = self._pairs(body.results)

    def _pairs(self, flat: Sequence[Expr]) -> list[Element]:
        left = list(flat)
        found: list[Element] = []
        for start in self.starts:
            first = left.pop(0)
            found.append(Complex(first, left.pop(0)) if isinstance(start, Complex) else first)
        return found


def _parts(e: Element) -> tuple[Expr, ...]:
    return (e.re, e.im) if isinstance(e, Complex) else (e,)


def opaque(lowering: Lowering, op: Op, lower: Opaque) -> None:
    """Lower an opaque op by its own rule."""
    if lower.emit is None:
        raise NotImplementedError(f"op {op.name!r} has no lowering")
    operands = op.defn.group([lowering.place(v) for v in op.operands])
    found = lower.emit(Emitter(lowering, op), op.results, *operands, **op.attrs)
    found = found if isinstance(found, tuple) else (found,)
    for result, place in zip(op.results, found, strict=True):
        is_element = isinstance(result.type, ScalarType)
        lowering.env[result] = lowering.k.let(place, result.name) if is_element else place


# -- elements, slices, storage ------------------------------------------------------------------------------------


def _const(lowering: Lowering, op: Op) -> list[Any]:
    type = op.attrs["type"]
    number = lowering.k.const(op.attrs["value"], type.dtype)
    if isinstance(type, ScalarType):
        return [number]
    array = lowering.new_result(op.results[0])
    lowering.store(array, (), number)
    return [array]


def _dim(lowering: Lowering, op: Op) -> list[Any]:
    return [lowering.array(op.operands[0]).shape[op.attrs["axis"]]]


def _fetch(lowering: Lowering, op: Op) -> list[Any]:
    array = lowering.array(op.operands[0])
    return [lowering.load(array, [lowering.scalar(i) for i in op.operands[1:]], op.results[0].name)]


def _index_update(lowering: Lowering, op: Op) -> list[Any]:
    array = lowering.array(op.operands[0])
    lowering.store(array, [lowering.scalar(i) for i in op.operands[2:]], lowering.scalar(op.operands[1]))
    return [array]


def _index_add(lowering: Lowering, op: Op) -> list[Any]:
    array = lowering.array(op.operands[0])
    index = [lowering.scalar(i) for i in op.operands[2:]]
    total = lowering.k.add(lowering.load(array, index, "old"), lowering.scalar(op.operands[1]))
    lowering.store(array, index, total)
    return [array]


def _vwrite(lowering: Lowering, op: Op) -> list[Any]:
    if lowering.written.get(op.operands[1]) is op:
        return [lowering.array(op.operands[0])]
    lowering.copy_into(window_of(lowering, op), lowering.array(op.operands[1]))
    return [lowering.array(op.operands[0])]


def _vadd(lowering: Lowering, op: Op) -> list[Any]:
    add_into(lowering, window_of(lowering, op), lowering.array(op.operands[1]))
    return [lowering.array(op.operands[0])]


def _copy(lowering: Lowering, op: Op) -> list[Any]:
    (x,), (result,) = op.operands, op.results
    place = lowering.place(x)
    if isinstance(place, Array):
        return [lowering.copy(place, result.name)]
    if isinstance(x.type, ScalarType):
        return [place]
    assert isinstance(x.type, ListType)
    if not isinstance(x.type.element, ScalarType):  # its arrays would have two owners
        reason = "a list of arrays would have to be copied here, because it is used later as it was before a change"
        raise ScriptError(reason, op.span, instead="make the copy yourself: [item.copy() for item in items]")
    made = lowering.pointer(x.type, result.name)
    lowering.emit(Call("list_copy", (place,), (made,)))
    return [made]


def _sync(lowering: Lowering, op: Op) -> list[Any]:
    flag, new, old = (lowering.place(v) for v in op.operands)
    _, then = lowering.inside(lambda: lowering.copy_into(old, new))
    lowering.emit(If(flag, then))
    return [old]


def _undef(lowering: Lowering, op: Op) -> list[Any]:
    (result,) = op.results
    if isinstance(result.type, TensorType):
        return [lowering.new_result(result)]
    if isinstance(result.type, ScalarType):
        return [lowering.k.const(0, result.type.dtype)]
    return LISTS["list_new"](lowering, op)


# -- zeros ----------------------------------------------------------------------------------------------------------


def zeroed(lowering: Lowering, op: Op, array: Array) -> bool:
    """Fill an array in the entry where an op stretches a zero over it; False for other ops, and inside kernels."""
    parallel = lowering.parallel and not lowering.in_kernel
    if op.name != "broadcast" or lowering.target != "cpu" or not parallel or not array.is_dense(lowering.k):
        return False
    if not isinstance(op.operands[0].type, ScalarType):
        return False
    value = lowering.scalar(op.operands[0])
    if not all(map(_is_positive_zero, (value.re, value.im) if isinstance(value, Complex) else (value,))):
        return False
    count = lowering.k.mul(lowering.k.product(array.shape), 2 if array.type.dtype.is_complex else 1)
    lowering.emit(Call("zero_shared", (lowering.start_of(array), count)))
    return True


def _is_positive_zero(e: Expr) -> bool:
    return isinstance(e, Const) and not e.value and copysign(1.0, float(e.value.real)) > 0


# -- effects --------------------------------------------------------------------------------------------------------


def _broadcast_dim(lowering: Lowering, op: Op) -> list[Any]:
    from tracejit.ops.effects import BROADCAST_MESSAGE

    k = lowering.k
    a, b = (lowering.scalar(v) for v in op.operands)
    fits = k.logical_or(k.logical_or(k.eq(a, 1), k.eq(b, 1)), k.eq(a, b))
    lowering.fail_unless(fits, "ValueError", BROADCAST_MESSAGE, (a, b))
    return [k.let(k.select(k.eq(a, 1), b, a), op.results[0].name)]


def _print(lowering: Lowering, op: Op) -> list[Any]:
    lowering.print(op.attrs["template"], [lowering.scalar(v) for v in op.operands])
    return []


def _pending(lowering: Lowering, op: Op) -> list[Any]:
    return [lower_reports.pending(lowering, op)]


def _report(lowering: Lowering, op: Op) -> list[Any]:
    lower_reports.report(lowering, op)
    return []


Rule = Callable[["Lowering", Op], "list[Any]"]

STRUCTURAL: dict[str, Rule] = {
    "const": _const,
    "dim": _dim,
    "fetch": _fetch,
    "index_update": _index_update,
    "index_add": _index_add,
    "vwrite": _vwrite,
    "vadd": _vadd,
    "copy": _copy,
    "sync": _sync,
    "undef": _undef,
    "check": checks.check,
    "check_eq": checks.check_eq,
    "broadcast_dim": _broadcast_dim,
    "print": _print,
    "pending": _pending,
    "report": _report,
    "lay_out": lay_out,
    "laid_product": laid_product,
    **LISTS,
}

__all__ = ["STRUCTURAL", "Const", "Emitter", "opaque", "zeroed"]
