"""Functions that make arrays: zeros, arange, array, ... under their NumPy and PyTorch names."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit.frontend.arith import is_python_number, python_kind
from tracejit.frontend.containers import list_arrays
from tracejit.frontend.functions.arguments import Arguments, as_array, is_range
from tracejit.frontend.kinds import Kind, NumberKind, SharedKind, TupleKind
from tracejit.frontend.tensors.arrays import FUNCTIONS, converted, define, function
from tracejit.frontend.tensors.joining import concatenated, with_axis
from tracejit.frontend.tensors.memory_order import axes_in_memory, copied, in_order, made_in, noted, ordered
from tracejit.frontend.tensors.memory_size import require_bytes
from tracejit.frontend.tensors.reshaping import reshaped
from tracejit.frontend.values import (
    ArrayView,
    FrontValue,
    GrowingList,
    ListValue,
    Number,
    SharedList,
    Size,
    Static,
    TupleValue,
    describe,
)
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, BY_NUMPY_NAME, C64, C128, F16, F32, F64, I64, DType, ScalarType
from tracejit.ops.reduction import highest, lowest

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

HANDLERS: dict[Any, Callable[..., FrontValue]] = {}

_LONG_STEP = 2**31  #: a distance and such a step may leave 64 bits together


def _dtype(c: Calls, a: Arguments, default: DType | None) -> DType:
    if a.is_none("dtype"):
        return default if default is not None else _floats(c, a)
    return c.ctx.dtype_of_object(a.static("dtype"), a.node)


def _floats(c: Calls, a: Arguments) -> DType:
    """The dtype of floats that a call makes: NumPy's functions make float64."""
    return F32 if c.ctx.tensors and not a.numpys else F64


def require_size(c: Calls, n: Size, node: ast.AST, message: str = "negative dimensions are not allowed") -> None:
    """A ValueError where n is negative."""
    if isinstance(n, int) and n < 0:
        c.arith.mismatch(ValueError(message), node)
    elif not c.ctx.sizes.at_least(n, 0):
        fits = c.ctx.b.emit("ge", (c.ctx.size_value(n), c.ctx.size_value(0)))[0]
        c.ctx.check(fits, "ValueError", message)
        c.ctx.sizes.note_lower(n, 0)


def filled(c: Calls, value: Any, lengths: list[Size], dtype: DType, node: ast.AST) -> ArrayView:
    """A new array with one value everywhere; a negative size is a ValueError."""
    for n in lengths:
        require_size(c, n, node)
    require_bytes(c, lengths, dtype, node)
    return c.ctx.fresh(c.ctx.b.emit("broadcast", (value, *map(c.ctx.size_value, lengths)))[0])


def _filled(
    c: Calls, a: Arguments, value: Any, lengths: list[Size], dtype: DType, like: ArrayView | None = None
) -> ArrayView:
    """`filled` in the order of memory that is asked for."""
    axes = axes_in_memory(a, len(lengths), like)
    made = made_in(axes, lengths, lambda inner: filled(c, value, inner, dtype, a.node))
    return made if like is None else noted(a, made, like)


def _filled_with(c: Calls, a: Arguments, x: ArrayView, lengths: list[Size], dtype: DType) -> ArrayView:
    """A new array of which each part is another one."""
    like = filled(c, _constant(c, 0, x.dtype), lengths, x.dtype, a.node)
    return ordered(c, a, c.ctx.fresh(c.indexing.content_for(x, like.lengths, dtype, a.node)))


def _constant(c: Calls, number: Any, dtype: DType) -> Any:
    return c.ctx.b.constant(number, ScalarType(dtype))


def shape_of(a: Arguments) -> list[Size]:
    """A shape given as one sequence or (PyTorch) as several integers; NumPy's dtype and order may follow it."""
    options = [v for v in a.rest if isinstance(v, Static) and not isinstance(v.value, int)]
    a.values.update(zip(("dtype", "order"), options, strict=False))
    del a.rest[len(a.rest) - len(options) :]
    if a.rest and a.numpys:
        a.fail(f"{a.name}() takes the sizes of several axes in one tuple")
    if len(a.rest) and not isinstance(a.values.get("shape"), TupleValue | ListValue):
        return [a.calls.ctx.as_size(v, a.node) for v in (a["shape"], *a.rest)]
    return a.sizes(a["shape"])


def _shape_like(a: Arguments, x: ArrayView) -> list[Size]:
    """The shape of the array, or the one that is given instead."""
    return list(x.lengths) if a.is_none("shape") else a.sizes(a["shape"])


def _define_filled() -> None:
    def fixed(number: int) -> Callable[[Calls, Arguments], FrontValue]:
        def handler(c: Calls, a: Arguments) -> FrontValue:
            lengths = shape_of(a)
            dtype = _dtype(c, a, None)
            return _filled(c, a, _constant(c, number, dtype), lengths, dtype)

        return handler

    def like(number: int) -> Callable[[Calls, Arguments], FrontValue]:
        def handler(c: Calls, a: Arguments) -> FrontValue:
            x = a.array()
            dtype = _dtype(c, a, x.dtype)
            return _filled(c, a, _constant(c, number, dtype), _shape_like(a, x), dtype, x)

        return handler

    for name, number in (("zeros", 0), ("ones", 1), ("empty", 0)):
        define(name, "shape *more dtype=None device=None order='C' requires_grad=False")(fixed(number))
        define(f"{name}_like", "x dtype=None order='K' subok=True shape=None device=None requires_grad=False")(
            like(number)
        )


_define_filled()


@define("full", "shape fill_value dtype=None order='C' device=None requires_grad=False")
def _full(c: Calls, a: Arguments) -> FrontValue:
    value = c.as_operand(a["fill_value"])
    if isinstance(value, ArrayView | TupleValue | ListValue):
        x = as_array(c, value, a.node)
        return _filled_with(c, a, x, a.sizes(a["shape"]), _dtype(c, a, x.dtype))
    kind = value.dtype if isinstance(value, Number) else None
    if isinstance(value, Static) and not isinstance(value.value, bool | int | float | complex):
        c.ctx.refuse(a.node, f"an array full of {describe(value)} is outside the language", "fill it with a number")
    if isinstance(value, Static) or (isinstance(value, Number) and value.weak):
        name = value.dtype.kind if isinstance(value, Number) else python_kind(value)
        kind = {"b": BOOL, "i": I64, "f": _floats(c, a), "c": C128}[name]
    dtype = _dtype(c, a, kind)
    c.indexing.check_fits(value, dtype)
    return _filled(c, a, c.arith.scalar(value, dtype), a.sizes(a["shape"]), dtype)


@define("full_like", "x fill_value dtype=None order='K' subok=True shape=None device=None requires_grad=False")
def _full_like(c: Calls, a: Arguments) -> FrontValue:
    x, value = a.array(), c.as_operand(a["fill_value"])
    dtype = _dtype(c, a, x.dtype)
    if isinstance(value, ArrayView | TupleValue | ListValue):
        return _filled_with(c, a, as_array(c, value, a.node), _shape_like(a, x), dtype)
    c.indexing.check_fits(value, dtype)
    return _filled(c, a, c.arith.scalar(value, dtype), _shape_like(a, x), dtype, x)


@define("arange", "start=0 stop=None step=None dtype=None device=None requires_grad=False")
def _arange(c: Calls, a: Arguments) -> FrontValue:
    start, stop = a["start"], a["stop"]
    step = Static(1) if a.is_none("step") else a["step"]
    if a.is_none("stop"):
        start, stop = Static(0), start
    kinds = [_kind(v) for v in (start, stop, step)]
    if "f" in kinds:
        return _float_arange(c, a, start, stop, step)
    first, last, by = (c.ctx.as_size(v, a.node) for v in (start, stop, step))
    sizes, b = c.ctx.sizes, c.ctx.b
    zero_step = ("ZeroDivisionError", "division by zero") if a.numpys else ("ValueError", "arange: the step is zero")
    if by == 0:
        c.ctx.check_false(*zero_step)
    if isinstance(by, int) and abs(by) >= _LONG_STEP:
        count = _count_of_long_steps(c, first, last, by)
    elif isinstance(by, int):
        ends = (last, first) if by < 0 else (first, last)
        count = sizes.floordiv(b, sizes.add(b, _distance(c, *ends, by), abs(by) - 1), abs(by))
    else:
        span = _distance(c, first, last, by)
        c.ctx.check(b.emit("ne", (c.ctx.size_value(by), c.ctx.size_value(0)))[0], *zero_step)
        count = _count(c, span, by)
    count = sizes.maximum(b, count, 0)
    require_bytes(c, [count], I64, a.node)
    made = c.ctx.fresh(b.emit("iota", (c.ctx.size_value(count),), {"axis": 0, "dtype": I64})[0])
    result: FrontValue = made
    if by != 1:
        result = c.arith.typed("mul", a.node, result, c.ctx.size_number(by))
    if first != 0:
        result = c.arith.typed("add", a.node, result, c.ctx.size_number(first))
    assert isinstance(result, ArrayView)
    dtype = _dtype(c, a, I64)
    if dtype.is_integer and dtype.bits < 64:
        _require_first_fit(c, count, (first, sizes.add(b, first, by)), dtype)
    return converted(c, result, dtype)


def _require_first_fit(c: Calls, count: Size, first: tuple[Size, ...], dtype: DType) -> None:
    """NumPy stores the first two numbers of a range as Python ints, which must fit, and counts on from them."""
    b = c.ctx.b
    for k, n in enumerate(first):
        number = c.ctx.size_value(n)
        low, high = (c.ctx.size_value(end) for end in (lowest(dtype), highest(dtype)))
        inside = b.emit("logical_and", (b.emit("ge", (number, low))[0], b.emit("le", (number, high))[0]))[0]
        absent = b.emit("le", (c.ctx.size_value(count), c.ctx.size_value(k)))[0]
        message = f"Python integer {{0}} out of bounds for {dtype.numpy_name}"
        c.ctx.check(b.emit("logical_or", (inside, absent))[0], "OverflowError", message, number)


def _distance(c: Calls, start: Size, stop: Size, by: Size) -> Size:
    """`stop - start`. A ValueError where that leaves 64 bits: as many numbers fit no memory. Those of a step of 1 that
    begin at 0 or above need no check: the distance that leaves them is negative, and its numbers are refused as too
    many."""
    b = c.ctx.b
    span = c.ctx.sizes.sub(b, stop, start)
    if isinstance(span, int) or start == 0 or (by == 1 and c.ctx.sizes.at_least(start, 0)):
        return span
    first, last, width, zero = (c.ctx.size_value(n) for n in (start, stop, span, 0))
    same = b.emit("eq", (b.emit("ge", (last, first))[0], b.emit("ge", (width, zero))[0]))[0]
    c.ctx.check(same, "ValueError", "Maximum allowed size exceeded")
    return span


def _count(c: Calls, span: Size, by: Size) -> Size:
    """`ceil(span / by)` of a step known at run time only."""
    b = c.ctx.b
    step, width, zero = c.ctx.size_value(by), c.ctx.size_value(span), c.ctx.size_value(0)
    down = b.emit("floordiv", (b.emit("sub", (zero, width))[0], step))[0]
    return b.emit("sub", (zero, down))[0]


def _count_of_long_steps(c: Calls, start: Size, stop: Size, by: int) -> Size:
    """`ceil((stop - start) / by)` in floats, as NumPy counts, though the distance may leave 64 bits: a whole number of
    steps from the quotients of both ends, and a fraction of a step from their remainders."""
    if isinstance(start, int) and isinstance(stop, int):
        return math.ceil((stop - start) / by)
    b, step = c.ctx.b, c.ctx.size_value(by)

    def parts(n: Value) -> tuple[Value, Value]:
        return b.emit("floordiv", (n, step))[0], b.emit("mod", (n, step))[0]

    (whole, rest), (less, begun) = (parts(c.ctx.size_value(n)) for n in (stop, start))
    carry, rest = parts(b.emit("sub", (rest, begun))[0])
    whole = b.emit("add", (b.emit("sub", (whole, less))[0], carry))[0]
    whole, rest = (b.emit("cast", (n,), {"dtype": F64})[0] for n in (whole, rest))
    steps = b.emit("add", (whole, b.emit("div", (rest, b.constant(float(by), ScalarType(F64))))[0]))[0]
    return b.emit("cast", (b.emit("ceil", (steps,))[0],), {"dtype": I64})[0]


def _kind(value: FrontValue) -> str:
    return (
        value.dtype.kind
        if isinstance(value, Number)
        else "f"
        if isinstance(getattr(value, "value", None), float)
        else "i"
    )


def _float_arange(c: Calls, a: Arguments, start: FrontValue, stop: FrontValue, step: FrontValue) -> FrontValue:
    """The arange of floats: `ceil((stop - start) / step)` values `start + i * step`."""
    b = c.ctx.b
    span = c.arith.binary("sub", stop, start, a.node)
    value = c.arith.scalar(c.arith.binary("div", span, step, a.node), F64)
    width, by, zero = c.arith.scalar(span, F64), c.arith.scalar(step, F64), b.constant(0.0, ScalarType(F64))
    c.ctx.check(b.emit("eq", (value, value))[0], "ValueError", "arange: cannot compute length")
    fits = b.emit("lt", (b.emit("abs", (value,))[0], b.constant(2.0**63, ScalarType(F64))))[0]
    c.ctx.check(fits, "ValueError", "Maximum allowed size exceeded")
    forward = b.emit("eq", (b.emit("gt", (width, zero))[0], b.emit("gt", (by, zero))[0]))[0]
    vanishes = b.emit("logical_and", (b.emit("eq", (value, zero))[0], b.emit("ne", (width, zero))[0]))[0]
    only_first = b.emit("cast", (b.emit("logical_and", (vanishes, forward))[0],), {"dtype": I64})[0]
    count = b.emit("cast", (b.emit("ceil", (value,))[0],), {"dtype": I64})[0]
    size = c.ctx.sizes.maximum(b, b.emit("add", (count, only_first))[0], 0)
    if a.numpys and start != Static(0):
        return _counted_on(c, a, size, start, step)
    places = c.ctx.fresh(b.emit("iota", (c.ctx.size_value(size),), {"axis": 0, "dtype": F64})[0])
    taken = b.emit("select", (b.emit("isfinite", (by,))[0], by, zero))[0]  # one number at most is in an infinite step
    step = step if isinstance(step, Static) and math.isfinite(step.value) else Number(taken, weak=True)
    made = c.arith.typed("add", a.node, c.arith.typed("mul", a.node, places, step), start)
    assert isinstance(made, ArrayView)
    return converted(c, made, _dtype(c, a, None))


def _counted_on(c: Calls, a: Arguments, size: Size, start: FrontValue, step: FrontValue) -> ArrayView:
    """As NumPy fills a range: the first two values are stored, and the others count on by their difference, which
    rounding makes another number than the step."""
    dtype = _dtype(c, a, None)
    wide = F32 if dtype == F16 else I64 if dtype.is_integer else dtype
    first, second = (c.arith.scalar(v, dtype) for v in (start, c.arith.binary("add", start, step, a.node)))
    first, second = (Number(c.arith.scalar(Number(v, weak=False), wide), weak=False) for v in (first, second))
    places = c.ctx.fresh(c.ctx.b.emit("iota", (c.ctx.size_value(size),), {"axis": 0, "dtype": wide})[0])

    def typed(name: str, *operands: FrontValue) -> FrontValue:
        return c.arith.typed(name, a.node, *operands)

    made = typed("add", typed("mul", places, typed("sub", second, first)), first)
    made = typed("select", typed("eq", places, Static(1)), second, made)
    made = typed("select", typed("eq", places, Static(0)), first, made)
    assert isinstance(made, ArrayView)
    return converted(c, made, dtype)


@define("linspace", "start stop num=50 endpoint=True retstep=False dtype=None axis=0 device=None requires_grad=False")
def _linspace(c: Calls, a: Arguments) -> FrontValue:
    """`num` values from start to stop: `start + i * ((stop - start) / (num - 1))`, the last one exactly stop."""
    count = c.ctx.as_size(a["num"], a.node)
    require_size(c, count, a.node, "linspace: the number of samples must be non-negative")
    b = c.ctx.b
    ends = bool(a.static("endpoint"))
    bounds = [c.as_operand(a[k]) for k in ("start", "stop")]
    if not all(_is_real(c, v) for v in bounds):
        from tracejit.frontend.written.arrangement import linspace

        return c.call_object(
            linspace, [*bounds, *(a[k] for k in ("num", "endpoint", "retstep", "dtype", "axis"))], {}, a.node
        )
    own = None if c.ctx.tensors or all(map(is_python_number, bounds)) else _common_float(c, bounds)
    wide = own or F64  # NumPy computes in the dtype of the ends
    first, last = (c.arith.scalar(v, wide) for v in bounds)
    gaps = b.emit("cast", (c.ctx.size_value(c.ctx.sizes.sub(b, count, 1) if ends else count),), {"dtype": wide})[0]
    parts = b.emit("maximum", (gaps, b.constant(1.0, ScalarType(wide))))[0]
    step = b.emit("div", (b.emit("sub", (last, first))[0], parts))[0]
    places = c.ctx.fresh(b.emit("iota", (c.ctx.size_value(count),), {"axis": 0, "dtype": wide})[0])
    weak = [Number(v, weak=True) for v in (step, first, last, parts)]
    made = c.arith.typed("add", a.node, c.arith.typed("mul", a.node, places, weak[0]), weak[1])
    if ends and count != 1:
        at_end = c.arith.typed("eq", a.node, places, weak[3])
        made = c.arith.typed("select", a.node, at_end, weak[2], made)
    dtype = _dtype(c, a, own)
    made = c.arith.typed("floor", a.node, made) if dtype.is_integer else made
    assert isinstance(made, ArrayView)
    made = converted(c, made, dtype)
    if not a.static("retstep"):
        return made
    some = b.emit("gt", (gaps, b.constant(0.0, ScalarType(wide))))[0]
    return TupleValue(
        (made, Number(b.emit("select", (some, step, b.constant(math.nan, ScalarType(wide))))[0], weak=False))
    )


def _common_float(c: Calls, bounds: list[FrontValue]) -> DType:
    """NumPy's dtype of a line between two numbers: Python's count as floats of any width."""
    kinds = [1.0 if is_python_number(v) else np.dtype(c.arith.scalar(v).type.dtype.numpy_name) for v in bounds]  # type: ignore[union-attr]
    return BY_NUMPY_NAME[np.result_type(1.0, *kinds).name]


def _is_real(c: Calls, x: FrontValue) -> bool:
    """Whether an operand is a number that is not complex."""
    return c.arith.is_number(x) and (x.dtype.kind if isinstance(x, Number) else np.asarray(x.value).dtype.kind) != "c"  # type: ignore[union-attr]


@define("identity", "n dtype=None")
def _identity(c: Calls, a: Arguments) -> FrontValue:
    return function(c, "eye", [a["n"]], {"dtype": a["dtype"]}, a.node)


@define("eye", "n m=None k=0 dtype=None order='C' device=None requires_grad=False")
def _eye(c: Calls, a: Arguments) -> FrontValue:
    rows = c.ctx.as_size(a["n"], a.node)
    columns = rows if a.is_none("m") else c.ctx.as_size(a["m"], a.node)
    for n in (rows, columns):
        require_size(c, n, a.node)
    c.ctx.as_size(a["k"], a.node)  # an integer
    sizes = [c.ctx.size_value(n) for n in (rows, columns)]
    i, j = (c.ctx.fresh(c.ctx.b.emit("iota", sizes, {"axis": k, "dtype": I64})[0]) for k in (0, 1))
    on = c.arith.typed("eq", a.node, c.arith.typed("sub", a.node, j, i), a["k"])
    assert isinstance(on, ArrayView)
    return ordered(c, a, converted(c, on, _dtype(c, a, None)))


def _triangle(keep: str) -> Callable[[Calls, Arguments], FrontValue]:
    def handler(c: Calls, a: Arguments) -> FrontValue:
        x = a.array()
        sizes = [c.ctx.size_value(n) for n in (x.lengths * 2 if x.rank == 1 else x.lengths)]  # a vector is all rows
        i, j = (c.ctx.fresh(c.ctx.b.emit("iota", sizes, {"axis": len(sizes) - k, "dtype": I64})[0]) for k in (2, 1))
        at = a["k" if a.is_none("diagonal") else "diagonal"]
        inside = c.arith.typed(keep, a.node, c.arith.typed("sub", a.node, j, i), at)
        return c.arith.typed("select", a.node, inside, x, Static(False if x.dtype == BOOL else 0))

    return handler


define("triu", "x k=0 diagonal=None")(_triangle("ge"))
define("tril", "x k=0 diagonal=None")(_triangle("le"))


@define("array tensor", "x dtype=None copy=True order='K' subok=False ndmin=0 requires_grad=False device=None")
def _array(c: Calls, a: Arguments) -> FrontValue:
    dtype = None if a.is_none("dtype") else c.ctx.dtype_of_object(a.static("dtype"), a.node)
    value = c.as_operand(a["x"])
    if not isinstance(value, ArrayView):
        made = ordered(c, a, array_of(c, value, dtype, a.node, floats=_floats(c, a)))
    elif not a.static("copy") and dtype in (None, value.dtype):
        made = ordered(c, a, value)
    else:
        made = noted(a, copied(c, value, axes_in_memory(a, value.rank, value), dtype), value)
    for _ in range(int(a.static("ndmin")) - made.rank):
        made = with_axis(made, 0)
    return c.gradients.without_history(made) if a.name == "tensor" else made


@define("asarray asanyarray", "x dtype=None order=None copy=None device=None")
def _asarray(c: Calls, a: Arguments) -> FrontValue:
    """The array itself where it has the dtype, else a new one."""
    dtype = None if a.is_none("dtype") else c.ctx.dtype_of_object(a.static("dtype"), a.node)
    value = c.as_operand(a["x"])
    if not isinstance(value, ArrayView):
        return ordered(c, a, array_of(c, value, dtype, a.node, floats=_floats(c, a)))
    if a.static("copy"):
        value = noted(a, copied(c, value, axes_in_memory(a, value.rank, value)), value)
    return ordered(c, a, value if dtype is None else converted(c, value, dtype))


@define("ascontiguousarray asfortranarray", "x dtype=None")
def _ascontiguousarray(c: Calls, a: Arguments) -> FrontValue:
    """The array itself where it lies by rows (by columns), else a copy; an array of rank 0 as a vector."""
    x = a.array()
    if not a.is_none("dtype"):
        x = converted(c, x, c.ctx.dtype_of_object(a.static("dtype"), a.node))
    if x.rank == 0:
        return reshaped(c, x, [1], a.node)
    axes = tuple(range(x.rank))
    return in_order(c, x, axes[::-1] if a.name == "asfortranarray" else axes)


@define("copy", "x order='K' subok=False")
def _copy(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    return noted(a, copied(c, x, axes_in_memory(a, x.rank, x)), x)


def array_of(c: Calls, value: FrontValue, dtype: DType | None, node: ast.AST, floats: DType | None = None) -> ArrayView:
    """A nested list of numbers and arrays as an array; `floats` is the dtype of Python floats where none is given."""
    floats = floats or (F32 if c.ctx.tensors else F64)
    if is_range(value):
        value = c.call_object(list, [value], {}, node)
    if isinstance(value, SharedList):
        value = c.objects.items(value, node)
    if dtype is None and floats == F32:
        dtype = _dtype_of_python(c, value)
    if isinstance(value, GrowingList) and isinstance(value.kind, SharedKind):
        from tracejit.frontend.written.lists import as_rows

        value = c.call_object(as_rows, [value], {}, node)
    if isinstance(value, GrowingList):
        return list_arrays.array_of(c, value, dtype, node)
    if isinstance(value, TupleValue | ListValue) and not value.items:
        made = dtype or floats
        return filled(c, c.ctx.b.constant(0, ScalarType(made)), [0], made, node)
    if isinstance(value, TupleValue | ListValue):
        rows = [array_of(c, i, dtype, node, floats) for i in value.items]
        a = Arguments(c, "array", "", [], {}, node)
        ranks = {r.rank for r in rows}
        if len(ranks) != 1:
            c.arith.mismatch(
                ValueError("setting an array element with a sequence. The requested array has an inhomogeneous shape"),
                node,
            )
        stacked = [_lifted(c, r) for r in rows]
        return concatenated(c, a, stacked, 0)
    if c.arith.is_number(value):
        element = c.arith.scalar(value) if dtype is None else c.indexing.element_value(value, dtype, node)
        return c.ctx.fresh(c.ctx.b.emit("broadcast", (element,))[0])
    x = as_array(c, value, node)
    return x if dtype is None else converted(c, x, dtype)


def _dtype_of_python(c: Calls, value: FrontValue) -> DType | None:
    """The dtype of a tensor of Python's numbers only, which may be nested in lists; None where that is theirs."""

    def kinds(x: FrontValue | Kind) -> set[str]:
        match x:
            case TupleValue(items) | ListValue(items) | TupleKind(items):
                return set[str]().union(*map(kinds, items))
            case GrowingList(kind=kind):
                return kinds(kind)
            case SharedKind(root):
                return kinds(c.ctx.pools[root].contents["data"])
            case NumberKind(dtype, True):
                return {dtype.kind}
            case Number() | Static() if is_python_number(x):
                return {python_kind(x)}
            case _:
                return {"other"}

    found = kinds(value)
    return None if "other" in found else C64 if "c" in found else F32 if "f" in found else None


def _lifted(c: Calls, x: ArrayView) -> ArrayView:
    """The array with a leading axis of size 1."""
    content = c.ctx.b.emit("reshape", (c.ctx.load(x), c.ctx.size_value(1), *map(c.ctx.size_value, x.lengths)))[0]
    return c.ctx.fresh(content)


def _scalar_type(cls: type) -> Callable[..., FrontValue]:
    def handler(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
        dtype = BY_NUMPY_NAME[np.dtype(cls).name]
        if len(args) > 1 or kwargs:
            c.arith.mismatch(TypeError(f"{cls.__name__}() takes one number or array"), node)
        value = c.as_operand(args[0]) if args else Static(0)
        if isinstance(value, ArrayView) and value.rank:
            return converted(c, value, dtype)
        if isinstance(value, ArrayView):
            value = c.ctx.element(value, ())
        if not c.arith.is_number(value):
            return array_of(c, value, dtype, node)
        if not hasattr(getattr(value, "value", None), "dtype"):
            c.indexing.check_fits(value, dtype)
        return Number(c.arith.scalar(value, dtype), weak=False)

    return handler


for _name in (
    "bool_",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
):
    HANDLERS[getattr(np, _name)] = _scalar_type(getattr(np, _name))


def _ndarray(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    signature, handler = FUNCTIONS["empty"]
    return handler(c, Arguments(c, "ndarray", signature, args, kwargs, node))


HANDLERS[np.ndarray] = _ndarray
