"""Random arrays in scripts: the state of `manual_seed` is a hidden input that each draw advances.

So a script draws the numbers that eager calls in its place would, and a repeated forward sees the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracejit.eager import random
from tracejit.frontend.arguments import Arguments
from tracejit.frontend.arrays import converted, define
from tracejit.frontend.creation import require_size, shape_of
from tracejit.frontend.values import ArrayView, FrontValue, Number, Size, Static
from tracejit.ir.types import F32, F64, I64, U64, DType, ScalarType
from tracejit.ops.random import drawing_dtype

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def _draw(c: Calls, a: Arguments, lengths: list[Size], numbers: int) -> tuple[Any, Any, list[Any], Any]:
    """The key, the number to start from, the shape and the number of elements of a draw; each element takes
    `numbers`."""
    for n in lengths:
        require_size(c, n, a.node)
    state = c.as_operand(Static(random.STATE))
    assert isinstance(state, ArrayView)
    key, start = (c.ctx.handle(c.ctx.element(state, (i,)).value) for i in (0, 1))
    count: Size = 1
    for n in lengths:
        count = c.ctx.sizes.mul(c.ctx.b, count, n)
    b = c.ctx.b
    size = b.wrap(b.emit("cast", (c.ctx.size_value(count),), {"dtype": U64})[0])
    taken = size if numbers == 1 else size * b.wrap(b.constant(numbers, ScalarType(U64)))
    c.ctx.set_element(state, (1,), (start + taken).value)
    return key, start, [n if isinstance(n, int) else c.ctx.handle(n) for n in lengths], size


def _dtype(c: Calls, a: Arguments, default: DType) -> DType:
    return default if a.is_none("dtype") else c.ctx.dtype_of_object(a.static("dtype"), a.node)


def _uniform(c: Calls, a: Arguments, lengths: list[Size], dtype: DType) -> ArrayView:
    key, start, shape, _ = _draw(c, a, lengths, 1)
    drawn = c.ctx.b.random_uniform(key, start, shape, drawing_dtype(dtype))
    return converted(c, c.ctx.fresh(drawn.value), dtype)


def _normal(c: Calls, a: Arguments, lengths: list[Size], dtype: DType) -> ArrayView:
    key, start, shape, count = _draw(c, a, lengths, 2)
    drawn = c.ctx.b.random_normal(key, start, shape, drawing_dtype(dtype), count)
    return converted(c, c.ctx.fresh(drawn.value), dtype)


for _name, _numbers in (("rand", _uniform), ("randn", _normal)):

    @define(_name, "shape=() *more dtype=None device=None requires_grad=False")
    def _drawn(c: Calls, a: Arguments, _numbers: Any = _numbers) -> FrontValue:
        return _numbers(c, a, shape_of(a), _dtype(c, a, F32))

    @define(f"{_name}_like", "x dtype=None device=None requires_grad=False")
    def _like(c: Calls, a: Arguments, _numbers: Any = _numbers) -> FrontValue:
        x = a.array()
        return _numbers(c, a, list(x.lengths), _dtype(c, a, x.dtype))


@define("normal", "mean=0.0 std=1.0 size=() dtype=None device=None")
def _with_moments(c: Calls, a: Arguments) -> FrontValue:
    dtype = _dtype(c, a, F32)
    drawn: FrontValue = _normal(c, a, a.sizes(a["size"]), drawing_dtype(dtype))
    made = c.arith.typed("add", a.node, c.arith.typed("mul", a.node, drawn, a["std"]), a["mean"])
    assert isinstance(made, ArrayView)
    return converted(c, made, dtype)


@define("randint", "low high=None size=None dtype=None device=None")
def _randint(c: Calls, a: Arguments) -> FrontValue:
    low, high, size = a["low"], a["high"], a["size"]
    is_shape = not isinstance(high, Number) and not (isinstance(high, Static) and isinstance(high.value, int))
    if is_shape:
        low, high, size = Static(0), low, high if a.is_none("size") else size
    none = isinstance(size, Static) and size.value is None
    lengths = [] if none else a.sizes(size)
    first, last = (c.ctx.size_value(c.ctx.as_size(v, a.node)) for v in (low, high))
    fits = c.ctx.b.emit("lt", (first, last))[0]
    c.ctx.check(fits, "ValueError", "low >= high")
    key, start, shape, _ = _draw(c, a, lengths, 1)
    drawn = c.ctx.b.random_integers(key, start, shape, c.ctx.b.wrap(first), c.ctx.b.wrap(last))
    return converted(c, c.ctx.fresh(drawn.value), _dtype(c, a, I64))


def _require_probabilities(c: Calls, p: ArrayView) -> None:
    b = c.ctx.b
    x = c.ctx.handle(c.ctx.load(p))
    outside = b.any(b.logical_or(b.lt(x, 0), b.gt(x, 1)), axes=tuple(range(p.rank)))
    fits = b.emit("logical_not", (b.emit("fetch", (outside.value,))[0],))[0]
    c.ctx.check(fits, "ValueError", "probabilities lie between 0 and 1")


@define("bernoulli", "p size=None")
def _bernoulli(c: Calls, a: Arguments) -> FrontValue:
    p = a.array("p")
    probabilities = p if p.dtype.is_float else converted(c, p, F32)
    is_number = not isinstance(a["p"], ArrayView)
    if is_number:
        probabilities = converted(c, p, F32)
    _require_probabilities(c, probabilities)
    lengths = list(p.lengths) if a.is_none("size") else a.sizes(a["size"])
    drawn = _uniform(c, a, lengths, F64 if probabilities.dtype == F64 else F32)
    below = c.arith.typed("lt", a.node, drawn, probabilities)
    assert isinstance(below, ArrayView)
    return converted(c, below, probabilities.dtype)
