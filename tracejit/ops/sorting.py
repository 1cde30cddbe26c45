"""Sorting and what is made of it: `sort`, `topk`, `unique`, `median`, `searchsorted`, and places where a mask holds."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Sample, Update
from tracejit.ir.types import F64, I64, TensorType, Type
from tracejit.ops import coerce, nodes, part_loops, rank_loops, sort_loops
from tracejit.ops.arrange import at_most_size, count_of, flat, joined, part, ramp
from tracejit.ops.define import draw, op, require_dtype, tensor_type
from tracejit.ops.functions import (
    Axis,
    Operand,
    Size,
    array,
    axes_of,
    function,
    inexact,
    is_positive,
    keep_axes,
    on,
    one_axis,
    require_some,
)
from tracejit.ops.products import agree, diagonal, with_sizes
from tracejit.ops.reduction import ORDERED
from tracejit.ops.statistics import mean, truth

LIBRARY = ("function", "numpy")

#: `isin` compares with each of so many values.
_FEW = 16


def _argsort_infer(x: Value, *, axis: int, descending: bool = False) -> tuple[Type, ...]:
    require_dtype(x, ORDERED, "argsort")
    source = tensor_type(x, "argsort")
    if not 0 <= axis < source.rank:
        raise ShapeMismatch(f"axis {axis} is out of bounds for {source}")
    return (TensorType(I64, source.shape),)


def _argsort_eager(xp: Any, x: Any, *, axis: int, descending: bool = False) -> Any:
    if not descending:
        return xp.argsort(x, axis=axis, kind="stable").astype("int64")
    backward = xp.argsort(xp.flip(x, axis), axis=axis, kind="stable")
    return xp.flip(x.shape[axis] - 1 - backward, axis).astype("int64")


def _sort_samples(rng: Any) -> list[Sample]:
    lines = (
        ((9,), 0, "float64", False),
        ((9,), 0, "int64", True),
        ((3, 5), 1, "float32", True),
        ((5, 3), 0, "int8", False),
        ((1,), 0, "float64", True),
        ((0,), 0, "float64", False),
        ((2, 17, 2), 1, "float64", False),
    )
    return [Sample((draw(rng, -5, 5, shape, dtype),), {"axis": a, "descending": d}) for shape, a, dtype, d in lines]


op(
    "argsort",
    ("x",),
    doc="The places along `axis` in the order of their elements; equal ones keep theirs, nan counts as largest.",
    infer=_argsort_infer,
    eager=_argsort_eager,
    vjp="its result is an integer",
    lower=Opaque(sort_loops.argsort, strided=True, nodes=nodes.argsort),
    samples=lambda rng: [
        *_sort_samples(rng),
        Sample((rng.permuted([1.0, float("nan"), 3.0, 2.0, float("nan")]),), {"axis": 0}),
    ],
)


def _ordered_infer(x: Value, *, axis: int, descending: bool = False) -> tuple[Type, ...]:
    return (TensorType(tensor_type(x, "sort").dtype, _argsort_infer(x, axis=axis)[0].shape),)  # type: ignore[union-attr]


def _ordered_eager(xp: Any, x: Any, *, axis: int, descending: bool = False) -> Any:
    found = xp.sort(x, axis=axis)
    return xp.flip(found, axis) if descending else found


def _ordered_vjp(b: Any, g: Any, x: Any, out: Any, *, axis: int, descending: bool = False) -> tuple[Any, ...]:
    places = _flat_places(b, x, b.argsort(x, axis=axis, descending=descending), axis)

    count = count_of(b, x)

    def apply(running: Any) -> Any:
        return b.reshape(b.scatter_add(b.reshape(running, (count,)), places, g, axis=0), b.shape(x))

    return (Update(apply),)


op(
    "ordered",
    ("x",),
    doc="The elements along `axis` in order; nan counts as largest. Which zero comes first, 0.0 or -0.0, is not said.",
    infer=_ordered_infer,
    eager=_ordered_eager,
    vjp=_ordered_vjp,
    lower=Opaque(sort_loops.ordered, strided=True, nodes=nodes.ordered),
    samples=_sort_samples,
)


def _ranked_infer(x: Value, ranks: Value) -> tuple[Type, ...]:
    require_dtype(x, ORDERED, "ranked")
    source, places = tensor_type(x, "ranked"), tensor_type(ranks, "ranked")
    if source.rank != 1 or places.rank != 1 or places.dtype != I64:
        raise ShapeMismatch(f"ranked takes a vector and a vector of i64, got {source} and {places}")
    return (TensorType(source.dtype, places.shape),)


def _ranked_vjp(b: Any, g: Any, x: Any, ranks: Any, out: Any) -> tuple[Any, ...]:
    places = b.gather(b.argsort(x, axis=0), ranks, axis=0)
    return Update(lambda running: b.scatter_add(running, places, g, axis=0)), None


def _ranked_samples(rng: Any) -> list[Sample]:
    cases = ((9, "float64"), (200, "float64"), (100, "float32"), (70, "int8"), (65, "uint64"), (300, "int64"))
    return [
        Sample((draw(rng, -50, 50, (n,), dtype), np.array([0, n // 2, n // 2 + 1, n // 4, n - 1], np.int64)))
        for n, dtype in cases
    ]


op(
    "ranked",
    ("x", "ranks"),
    doc="The elements of a vector at places of its order, which are in range; nan counts as largest.",
    infer=_ranked_infer,
    eager=lambda xp, x, ranks: xp.sort(x)[ranks],
    vjp=_ranked_vjp,
    lower=Opaque(rank_loops.ranked, strided=True, nodes=nodes.ranked),
    samples=_ranked_samples,
)


def _parted_infer(x: Value, places: Value, *, axis: int) -> tuple[Type, ...]:
    _require_order_at(x, places, axis)
    return (x.type,)


def _argparted_infer(x: Value, places: Value, *, axis: int) -> tuple[Type, ...]:
    _require_order_at(x, places, axis)
    return (TensorType(I64, tensor_type(x, "argparted").shape),)


def _require_order_at(x: Value, places: Value, axis: int) -> None:
    _argsort_infer(x, axis=axis)
    at = tensor_type(places, "parted")
    if at.rank != 1 or at.dtype != I64:
        raise ShapeMismatch(f"the places of an order are a vector of i64, not {at}")


def _parted_vjp(b: Any, g: Any, x: Any, places: Any, out: Any, *, axis: int) -> tuple[Any, ...]:
    """What is found is what was given in another order: elements that come at one place of it are the same."""
    into, of = (_flat_places(b, y, b.argsort(y, axis=axis), axis) for y in (x, out))
    changed = b.gather(flat(b, g), of, axis=0)
    added = Update(lambda running: b.reshape(b.scatter_add(flat(b, running), into, changed, axis=0), b.shape(x)))
    return added, None


def _parted_samples(rng: Any) -> list[Sample]:
    """Those of which only one result is right."""
    lines = (
        ((3,), 0, [1], "float64"),
        ((2, 3), 1, [1], "float32"),
        ((70,), 0, range(70), "int64"),
        ((2, 4), 0, [0], "int8"),
    )
    return [
        Sample((rng.permuted(np.arange(math.prod(s))).reshape(s).astype(dtype), np.array(at, np.int64)), {"axis": axis})
        for s, axis, at, dtype in lines
    ]


op(
    "parted",
    ("x", "places"),
    doc="The elements along `axis`, those at ascending places of the order where they belong: none greater before "
    "them, none less behind; nan counts as largest.",
    infer=_parted_infer,
    eager=lambda xp, x, places, *, axis: xp.partition(x, [int(p) for p in places], axis=axis) if x.size else x.copy(),
    vjp=_parted_vjp,
    lower=Opaque(part_loops.parted, strided=True, nodes=nodes.parted),
    samples=_parted_samples,
)
op(
    "argparted",
    ("x", "places"),
    doc="The places of the elements along `axis` in an order that `parted` may find.",
    infer=_argparted_infer,
    eager=lambda xp, x, places, *, axis: (
        xp.argpartition(x, [int(p) for p in places], axis=axis) if x.size else xp.zeros(x.shape, "int64")
    ),
    vjp="its result is an integer",
    lower=Opaque(part_loops.argparted, strided=True, nodes=nodes.argparted),
    samples=_parted_samples,
)


@function("numpy partition", kinds=())
def partition_(b: Any, x: Operand, kth: Operand, axis: int | None = -1) -> Any:
    """The elements along an axis, those at places of the order where they belong."""
    x, along = _line_to_part(b, x, axis)
    return b.parted(x, _ascending(b, kth, b.shape(x)[along]), axis=along)


@function("numpy argpartition", kinds=())
def argpartition_(b: Any, x: Operand, kth: Operand, axis: int | None = -1) -> Any:
    """The places of the elements along an axis in such an order."""
    x, along = _line_to_part(b, x, axis)
    return b.argparted(x, _ascending(b, kth, b.shape(x)[along]), axis=along)


def _line_to_part(b: Any, x: Operand, axis: int | None) -> tuple[Any, int]:
    x = array(b, x)
    return (flat(b, x), 0) if axis is None else (x, one_axis(axis, b.rank(x)))


def _ascending(b: Any, kth: Operand, size: Any) -> Any:
    """Places in order, those from the end as they are from the start."""
    places = b.cast(flat(b, array(b, kth)), dtype=I64)
    places = b.select(on(b).lt(places, 0), on(b).add(places, size), places)
    return places if b.shape(places)[0] == 1 else b.ordered(places, axis=0)


@function()
def argsort_(b: Any, x: Operand, axis: int | None = -1, *, descending: bool = False, stable: bool = True) -> Any:
    """The places along an axis (of the flattened array with None) in the order of their elements."""
    x = array(b, x)
    x, along = (flat(b, x), 0) if axis is None else (x, one_axis(axis, b.rank(x)))
    return b.argsort(x, axis=along, descending=descending)


@function()
def sort(b: Any, x: Operand, axis: int | None = -1, *, descending: bool = False, stable: bool = True) -> Any:
    """The elements in order along an axis (of the flattened array with None); nan comes last."""
    x = array(b, x)
    x, along = (flat(b, x), 0) if axis is None else (x, one_axis(axis, b.rank(x)))
    return b.ordered(x, axis=along, descending=descending)


def along_axis(b: Any, x: Any, order: Any, axis: int) -> Any:
    """Elements of x along an axis by indices that are known to be in range."""
    return b.gather(flat(b, x), _flat_places(b, x, order, axis), axis=0)


def _flat_places(b: Any, x: Any, order: Any, axis: int) -> Any:
    """Where elements along an axis of x lie in the flattened array, by indices that are known to be in range."""
    if b.rank(x) == 1:
        return order
    strides = b.strides_of(b.shape(x))
    places = on(b).mul(order, strides[axis])
    for other, stride in enumerate(strides):
        if other != axis:
            places = on(b).add(places, on(b).mul(b.iota(b.shape(order), axis=other, dtype=I64), stride))
    return places


class TopK(NamedTuple):
    """The largest or smallest elements and where they were."""

    values: Any
    indices: Any


@function(kinds=("function", "method"))
def topk(b: Any, x: Operand, k: Size, axis: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k largest (smallest) elements along an axis in order, whether that is asked for or not, and their places."""
    x = array(b, x)
    along = one_axis(axis, b.rank(x))
    size = b.shape(x)[along]
    at_most_size(b, k, size, "topk: {0} of {1} elements cannot be picked")
    at_most_size(b, 0, k, "topk: {1} elements cannot be picked")
    order = part(b, b.argsort(x, axis=along, descending=largest), along, 0, k)
    return TopK(along_axis(b, x, order, along), order)


def line_of(b: Any, x: Any, axis: Axis) -> tuple[Any, int, tuple[int, ...]]:
    """x with the elements of axes (of all, with None) along one, which one that is, and the axes."""
    rank = b.rank(x)
    axes = axes_of(axis, rank)
    if len(axes) == 1:
        return x, axes[0], axes
    if axis is None:
        return flat(b, x), 0, axes
    rest = tuple(k for k in range(rank) if k not in axes)
    sizes = tuple(b.shape(x)[k] for k in rest)
    return b.reshape(b.transpose(x, perm=rest + axes), (*sizes, count_of(b, x, axes))), len(rest), axes


def pair_at(b: Any, line: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """The elements of a vector at two vectors of places of its order; `high` follows `low` or is the same."""
    count = b.shape(low)[0]
    ranks = joined(b, (b.reshape(low, (count, 1)), b.reshape(high, (count, 1))), 1)
    found = b.reshape(b.ranked(line, flat(b, ranks)), (count, 2))
    first, second = (b.reshape(part(b, found, 1, k, 1), (count,)) for k in (0, 1))
    return first, second


@function()
def median(b: Any, x: Operand, axis: Axis = None, keepdims: bool = False) -> Any:
    """The middle element along an axis, or the mean of the middle two; nan where there are none."""
    x = inexact(b, x)
    line, along, axes = line_of(b, x, axis)
    c, size = on(b), b.shape(line)[along]
    end = c.sub(size, 1)
    if b.rank(line) == 1:
        some = line
        if not is_positive(b, size):
            some, end = joined(b, (line, b.full(math.nan, (1,), b.dtype(x))), 0), c.maximum(end, 0)
        low, high = pair_at(b, some, *(b.full(c.floordiv(k, 2), (1,), I64) for k in (end, size)))
        found = b.sum((low + high) * 0.5, axes=(0,))
        middle = b.select(b.any(b.isnan(line), axes=(0,)), math.nan, found)
        return keep_axes(b, x, middle, axes) if keepdims else middle
    ordered = sort(b, line, along)
    if not is_positive(b, size):
        one = tuple(1 if k == along else n for k, n in enumerate(b.shape(ordered)))
        ordered, end = joined(b, (ordered, b.full(math.nan, one, b.dtype(x))), along), c.maximum(end, 0)
    pair = [b.sum(part(b, ordered, along, c.floordiv(k, 2), 1), axes=(along,)) for k in (end, size)]
    last = b.sum(part(b, ordered, along, end, 1), axes=(along,))
    middle = b.select(b.isnan(last), last, (pair[0] + pair[1]) * 0.5)
    return keep_axes(b, x, middle, axes) if keepdims else middle


# -- places and sets ------------------------------------------------------------------------------------------


@function()
def flatnonzero(b: Any, x: Operand) -> Any:
    """The places of the elements of the flattened array that are not 0."""
    held = flat(b, truth(b, x))
    return b.mask_read(ramp(b, b.shape(held)[0]), held)[1]


@function()
def nonzero(b: Any, x: Operand, as_tuple: bool = True) -> Any:
    """The places of the elements that are not 0: one vector of indices per axis, or (not `as_tuple`) one row each."""
    x = array(b, x)
    if not as_tuple:
        return argwhere(b, x)
    if b.rank(x) == 0:
        message = "Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() instead."
        raise ShapeMismatch(message)
    held = truth(b, x)
    return tuple(b.mask_read(b.iota(b.shape(x), axis=k, dtype=I64), held)[1] for k in range(b.rank(x)))


@function()
def argwhere(b: Any, x: Operand) -> Any:
    """The places of the elements that are not 0, one row each."""
    x = array(b, x)
    places = flatnonzero(b, x)
    columns: list[Any] = []
    for size, stride in zip(b.shape(x), b.strides_of(b.shape(x)), strict=True):
        columns.append(on(b).mod(on(b).floordiv(places, stride), size))
    rows = b.shape(places)[0]
    return b.cat(len(columns), tuple(b.reshape(c, (rows, 1)) for c in columns), axis=1)


@function()
def unique(
    b: Any,
    x: Operand,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """The different elements of x, always in order; with them, if asked for, where each comes first, which one each
    element of x is, and how often each occurs."""
    x = array(b, x)
    line = flat(b, x)
    order = b.argsort(line, axis=0) if return_index or return_inverse else None
    ordered = b.ordered(line, axis=0) if order is None else b.gather(line, order, axis=0)
    size = b.shape(ordered)[0]
    place = ramp(b, size)
    before = b.gather(ordered, b.maximum(place - 1, 0), axis=0)
    new = b.logical_or(b.eq(place, 0), b.ne(ordered, before))
    if b.dtype(ordered).is_float and equal_nan:
        new = b.logical_and(new, b.logical_not(b.logical_and(b.isnan(before), b.gt(place, 0))))
    found = [b.mask_read(ordered, new)[1]]
    count, starts = b.mask_read(place, new)
    if return_index:
        found.append(b.gather(order, starts, axis=0))
    if return_inverse:
        group = b.cumsum(b.cast(new, dtype=I64), axis=0) - 1
        zero = b.full(0, (size,), I64)
        found.append(b.reshape(b.scatter_set(zero, order, group, axis=0), b.shape(x)))
    if return_counts:
        later = part(b, joined(b, [starts, b.full(size, (1,), I64)], 0), 0, 1, count)
        found.append(later - starts)
    return tuple(found) if len(found) > 1 else found[0]


def _place_infer(x: Value, values: Value, *, side: str) -> tuple[Type, ...]:
    if tensor_type(x, "searchsorted").rank != 1:
        raise ShapeMismatch(f"searchsorted: {x.type} is not a vector")
    require_dtype(x, ORDERED, "searchsorted")
    return (TensorType(I64, tensor_type(values, "searchsorted").shape),)


def _place_samples(rng: Any) -> list[Sample]:
    some = [
        Sample((numbers, rng.permuted(numbers)[:5]), {"side": s}) for s in ("left", "right") for numbers in _lines(rng)
    ]
    return [*some, Sample((draw(rng, 0, 1, (0,), "float64"), draw(rng, 0, 1, (3,), "float64")), {"side": "right"})]


def _lines(rng: Any) -> list[Any]:
    lines = [draw(rng, -5, 5, (n,), dtype) for n, dtype in ((1, "float64"), (6, "int64"), (17, "float32"), (9, "int8"))]
    for line in lines:
        line.sort()
    lines[2][-2:] = float("nan")
    return lines


op(
    "insertion_place",
    ("x", "values"),
    doc="For each value the first place in the ordered vector x where it can go (the last one with `side` `right`).",
    infer=_place_infer,
    eager=lambda xp, x, values, *, side: xp.asarray(xp.searchsorted(x, values, side=side), "int64"),
    vjp="its result is an integer",
    lower=Opaque(sort_loops.insertion_place, nodes=nodes.insertion_place),
    samples=_place_samples,
)


@function(kinds=LIBRARY)
def searchsorted(b: Any, x: Operand, values: Operand, side: str = "left", *, right: bool = False) -> Any:
    """For each value the first place in the ordered vector x where it can go ("right": the last one)."""
    side = "right" if right else side
    x, values = coerce.promote_operands(b, (array(b, x), array(b, values)))
    return b.insertion_place(x, values, side=side)


@function(kinds=("function", "method"))
def bincount(b: Any, x: Operand, weights: Operand = None, minlength: Size = 0) -> Any:
    """How often each integer from 0 on occurs, or the sum of the weights where it does."""
    x = array(b, x)
    if b.dtype(x).is_inexact:
        raise DTypeMismatch(f"bincount takes integers, not {b.dtype(x).numpy_name}")
    require_some(b, on(b).add(minlength, 1), "'minlength' must not be negative")
    x = x if b.dtype(x).kind == "i" else b.cast(x, dtype=I64)  # whose least number is below 0, for no elements
    top = b.fetch(b.max(x, axes=(0,)), ())
    size = on(b).maximum(b.cast(top, dtype=I64) + 1, minlength)
    least = b.fetch(b.min(x, axes=(0,)), ())
    b.check(b.ge(least, 0), (), kind="ValueError", message="'list' argument must have no negative elements")
    if weights is None:
        value = b.full(1, b.shape(x), I64)
    else:
        value = inexact(b, weights)
        agree(b, b.shape(x)[0], b.shape(value)[0], "The weights and list don't have the same length.")
        value = with_sizes(b, value, b.shape(x))
    return b.scatter_add(b.full(0, (size,), b.dtype(value)), x, value, axis=0)


@function("numpy bincount", kinds=())
def bincount_(b: Any, x: Operand, weights: Operand = None, minlength: Size = 0) -> Any:
    """NumPy's `bincount`, which adds up weights in 64 bits."""
    if weights is None:
        return bincount(b, x, None, minlength)
    weights = array(b, weights)
    if b.dtype(weights).is_complex:
        text = f"Cannot cast array data from dtype('{b.dtype(weights).numpy_name}') to dtype('float64')"
        raise DTypeMismatch(f"{text} according to the rule 'safe'")
    if b.shape(array(b, x))[0] == 0:
        return bincount(b, x, None, minlength)  # counts, whatever the weights are
    return bincount(b, x, on(b).cast(weights, dtype=F64), minlength)


@function(kinds=LIBRARY, rank_0="array")
def isin(b: Any, x: Operand, values: Operand) -> Any:
    """Whether each element of x is one of the values: it is compared with a few, many are ordered and searched."""
    x, values = coerce.promote_operands(b, (array(b, x), flat(b, array(b, values))))
    count = b.shape(values)[0]
    if b.dtype(x) not in ORDERED or (isinstance(count, int) and count <= _FEW):
        shape = (count, *b.shape(x))
        apart = b.broadcast(b.reshape(values, (count, *(1,) * b.rank(x))), shape)
        return b.any(b.eq(b.broadcast(x, shape), apart), axes=(0,))
    ordered = sort(b, values)
    place = b.insertion_place(ordered, x, side="left")
    one_more = joined(b, [ordered, b.full(0, (1,), b.dtype(values))], 0)
    found = b.eq(b.gather(one_more, place, axis=0), x)
    return b.logical_and(found, b.lt(place, b.broadcast(count, b.shape(x))))


@function()
def cov(b: Any, x: Operand, rowvar: bool = True, ddof: float = 1) -> Any:
    """The covariance matrix of variables in rows (columns without `rowvar`)."""
    x = inexact(b, x)
    x = x if rowvar else b.transpose(x, perm=(1, 0))
    count = b.shape(x)[1]
    centred = x - b.expand_axes(mean(b, x, 1), (1,), b.shape(x))
    product = b.matmul(centred, b.transpose(centred, perm=(1, 0)))
    scale = max(count - ddof, 0.0) if isinstance(count, int) else b.cast(count, dtype=b.dtype(x)) - float(ddof)
    return on(b).div(product, scale)


@function(kinds=("function", "method"))
def corrcoef(b: Any, x: Operand) -> Any:
    """The correlations of variables in rows: their covariances over the roots of both variances."""
    made = cov(b, x)
    spread = b.sqrt(diagonal(b, made))
    size, shape = b.shape(spread)[0], b.shape(made)
    for own in ((size, 1), (1, size)):
        made = b.div(made, b.broadcast(b.reshape(spread, own), shape))
    return on(b).clamp(made, -1.0, 1.0)
