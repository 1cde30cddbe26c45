"""Random arrays in scripts: the state of `manual_seed` is a hidden input that each draw advances.

So a script draws the numbers that eager calls in its place would, and a repeated forward sees the same ones.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from tracejit.eager import random
from tracejit.frontend.functions.arguments import Arguments
from tracejit.frontend.functions.library import operand
from tracejit.frontend.tensors.arrays import METHODS, converted, define, function
from tracejit.frontend.tensors.creation import require_size, shape_of
from tracejit.frontend.tensors.tensor_views import Method, method
from tracejit.frontend.values import ArrayView, FrontValue, Number, Size, Static, TupleValue
from tracejit.ir.types import F32, I64, U64, DType, ScalarType
from tracejit.ops.random import FILLS, Fill, drawing_dtype, drawn_places, filled, limit_of

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
    dtype = p.dtype if isinstance(a["p"], ArrayView) else F32
    probabilities = converted(c, p, dtype if dtype.is_float else F32)
    _require_probabilities(c, probabilities)
    lengths = list(p.lengths) if a.is_none("size") else a.sizes(a["size"])
    drawn = _uniform(c, a, lengths, drawing_dtype(dtype))
    below = c.arith.typed("lt", a.node, drawn, probabilities)
    assert isinstance(below, ArrayView)
    return converted(c, below, dtype)


# -- methods that fill ------------------------------------------------------------------------------------------


def _filling(fill: Fill) -> Method:
    signature = "x " + " ".join(f"{k}={v}" for k, v in fill.defaults.items())

    def handler(
        c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        a = Arguments(c, "a filling method", signature, [x, *args], kwargs, node)
        target = a.array()
        drawn = (_normal if fill.is_normal else _uniform)(c, a, list(target.lengths), drawing_dtype(target.dtype))
        given = (operand(c, a[name], node) for name in fill.defaults)
        values = filled(c.ctx.b, fill, c.ctx.handle(c.ctx.load(drawn)), *given)
        c.indexing.assign(target, c.arith.wrap(values), node)
        return x

    return handler


METHODS.update({name: _filling(fill) for name, fill in FILLS.items()})


@method("random_")
def _random(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    a = Arguments(c, "random_", "x low=0 high=None", [x, *args], kwargs, node)
    low, high = a["low"], a["high"]
    if a.is_none("high"):
        whole = low == Static(0)
        low, high = Static(0), Static(limit_of(a.array().dtype)) if whole else low
    shape = TupleValue(tuple(map(c.ctx.size_number, a.array().lengths)))
    drawn = function(c, "randint", [low, high, shape], {}, node)
    c.indexing.assign(a.array(), drawn, node)
    return x


@method("bernoulli")
def _bernoulli_method(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    a = Arguments(c, "bernoulli", "x p=None", [x, *args], kwargs, node)
    if a.is_none("p"):
        return function(c, "bernoulli", [x], {}, node)
    made = function(c, "empty_like", [x], {}, node)
    return METHODS["bernoulli_"](c, made, [a["p"]], {}, node)


@define("randint_like", "x low high=None dtype=None device=None")
def _randint_like(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    low, high = (Static(0), a["low"]) if a.is_none("high") else (a["low"], a["high"])
    shape = TupleValue(tuple(map(c.ctx.size_number, x.lengths)))
    dtype = Static(x.dtype.numpy_name) if a.is_none("dtype") else a["dtype"]
    return function(c, "randint", [low, high, shape], {"dtype": dtype}, a.node)


@define("multinomial", "p num_samples replacement=False")
def _multinomial(c: Calls, a: Arguments) -> FrontValue:
    p, b, replacement = a.array("p"), c.ctx.b, bool(a.static("replacement"))
    if p.rank not in (1, 2) or p.dtype.is_complex:
        text = f"multinomial takes a vector or matrix of weights, not {p.rank}-d {p.dtype.numpy_name}"
        c.arith.mismatch(ValueError(text), a.node)
    weights = c.ctx.handle(c.ctx.load(converted(c, p, drawing_dtype(p.dtype))))
    count = c.ctx.as_size(a["num_samples"], a.node)
    axes = tuple(range(p.rank))
    fits = b.fetch(b.all(b.logical_and(b.isfinite(weights), b.ge(weights, 0)), axes=axes), ())
    b.check(fits, (), kind="ValueError", message="multinomial: weights are finite and not negative")
    positive = b.cast(b.gt(weights, 0), dtype=I64)
    some = b.fetch(b.min(b.sum(positive, axes=(p.rank - 1,)), axes=axes[:-1]), ())
    asked = c.ctx.handle(c.ctx.size_value(count))
    fits = b.logical_and(b.ge(asked, 1), b.ge(some, 1 if replacement else asked))
    b.check(fits, (asked,), kind="ValueError", message="multinomial: {0} places cannot be drawn")
    lengths = [*p.lengths[:-1], count] if replacement else list(p.lengths)
    drawn = c.ctx.handle(c.ctx.load(_uniform(c, a, lengths, drawing_dtype(p.dtype))))
    places = drawn_places(b, weights, drawn, count if isinstance(count, int) else asked, replacement)
    return c.arith.wrap(places)
