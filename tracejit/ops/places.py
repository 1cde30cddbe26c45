"""Arrays with some of their elements replaced: at places that integers, masks or slices name, or combined there.

Values are converted to the dtype of what they go into; an index out of range is an `IndexError`.
"""

from __future__ import annotations

from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.types import BOOL, I64
from tracejit.ops import coerce
from tracejit.ops.arrange import (
    at_least,
    at_most,
    at_most_size,
    checked_index,
    flat,
    flat_places,
    from_front,
    gathered,
    stretched,
    take,
)
from tracejit.ops.functions import Operand, Operands, Size, array, count_of, function, on, one_axis
from tracejit.ops.products import agree
from tracejit.ops.reduction import highest, lowest
from tracejit.ops.sorting import nonzero

TORCH = ("function", "method")


def _as_values(b: Any, x: Any, value: Operand) -> Any:
    """Values in x's dtype."""
    return array(b, on(b).cast(array(b, value), dtype=b.dtype(x)))


# -- slices along an axis -------------------------------------------------------------------------------------


def _lines(b: Any, x: Operand, dim: int, index: Operand) -> tuple[Any, int, Any, tuple[Any, ...]]:
    """x, the axis, checked indices along it, and the shape of the slices they name."""
    x, index = array(b, x), array(b, index)
    index = index if b.rank(index) else b.reshape(index, (1,))
    axis = one_axis(dim, b.rank(x))
    index = checked_index(b, index, b.shape(x)[axis], axis)
    if b.rank(index) != 1:
        raise ShapeMismatch(f"an index along an axis is a vector, not {b.rank(index)}-d")
    return x, axis, index, (*b.shape(x)[:axis], b.shape(index)[0], *b.shape(x)[axis + 1 :])


@function(kinds=TORCH)
def index_fill(b: Any, x: Operand, dim: int, index: Operand, value: Operand) -> Any:
    """x with the slices along `dim` that `index` names filled with one value."""
    x, axis, index, shape = _lines(b, x, dim, index)
    value = _as_values(b, x, value)
    if b.rank(value):
        raise ShapeMismatch(f"index_fill takes one value, not {b.rank(value)}-d values")
    return b.scatter_set(x, index, b.broadcast(value, shape), axis=axis)


@function(kinds=TORCH)
def index_copy(b: Any, x: Operand, dim: int, index: Operand, source: Operand) -> Any:
    """x with the slices along `dim` that `index` names replaced by those of `source`; the last of equal indices
    counts."""
    x, axis, index, shape = _lines(b, x, dim, index)
    text = "index_copy: a source of size {0} does not fit, it needs {1}"
    return b.scatter_set(x, index, stretched(b, _as_values(b, x, source), shape, text), axis=axis)


@function(kinds=TORCH)
def index_reduce(
    b: Any, x: Operand, dim: int, index: Operand, source: Operand, reduce: str, *, include_self: bool = True
) -> Any:
    """x with the slices along `dim` that `index` names combined with those of `source` ("prod", "mean", "amax",
    "amin"), or without x's own."""
    x, axis, index, shape = _lines(b, x, dim, index)
    value = stretched(
        b, _as_values(b, x, source), shape, "index_reduce: a source of size {0} does not fit, it needs {1}"
    )
    return _combined(b, x, index, value, axis, reduce, include_self)


# -- element by element ---------------------------------------------------------------------------------------


#: How values that meet are combined: the op, and what any value is combined with without a change.
_FOLDS: dict[str, tuple[str, Any]] = {
    "sum": ("scatter_add", lambda dtype: 0),
    "add": ("scatter_add", lambda dtype: 0),
    "mean": ("scatter_add", lambda dtype: 0),
    "prod": ("scatter_mul", lambda dtype: 1),
    "multiply": ("scatter_mul", lambda dtype: 1),
    "amax": ("scatter_max", lowest),
    "amin": ("scatter_min", highest),
}


def _combined(b: Any, x: Any, index: Any, value: Any, axis: int, reduce: str, include_self: bool) -> Any:
    """Values combined with what is at places along an axis, or among themselves only."""
    if reduce not in _FOLDS:
        raise ShapeMismatch(f"values are not combined by {reduce!r}; there are 'sum', 'prod', 'mean', 'amax', 'amin'")
    name, identity = _FOLDS[reduce]
    start = x
    if not include_self:
        start = b.scatter_set(x, index, b.full(identity(b.dtype(x)), b.shape(value), b.dtype(x)), axis=axis)
    out = getattr(b, name)(start, index, value, axis=axis)
    if reduce != "mean":
        return out
    ones = b.full(1, b.shape(value), b.dtype(x))
    count = b.scatter_add(b.full(int(include_self), b.shape(x), b.dtype(x)), index, ones, axis=axis)
    count = count if include_self else b.maximum(count, 1)
    return b.floordiv(out, count) if b.dtype(x).is_integer else out / count


def _scattered(
    b: Any, x: Operand, dim: int, index: Operand, src: Operand, reduce: str | None, include_self: bool = True
) -> Any:
    x, index = array(b, x), array(b, index)
    if not b.rank(x) and not b.rank(index):
        line = _scattered(b, b.reshape(x, (1,)), dim, b.reshape(index, (1,)), src, reduce, include_self)
        return b.reshape(line, ())
    along = one_axis(dim, b.rank(x))
    index = checked_index(b, index, b.shape(x)[along], along)
    value = _as_values(b, x, src)
    if b.rank(value):
        value = _corner(b, value, b.shape(index))
    value = stretched(b, value, b.shape(index), "scatter: a source of size {0} does not fit an index of size {1}")
    line = (count_of(b, index),)
    places, value = b.reshape(flat_places(b, x, index, along), line), b.reshape(value, line)
    if reduce is None:
        out = b.scatter_set(flat(b, x), places, value, axis=0)
    else:
        out = _combined(b, flat(b, x), places, value, 0, reduce, include_self)
    return b.reshape(out, b.shape(x))


def _corner(b: Any, value: Any, shape: Any) -> Any:
    """The elements of a source that an index of this shape takes: the first ones along every axis."""
    own = b.shape(value)
    if len(own) != len(shape) or any(isinstance(n, int) and n == 1 for n in own):
        return value
    lengths = tuple(m if b.same_size(n, m) else at_most(b, n, m) for n, m in zip(own, shape, strict=True))
    if all(b.same_size(n, m) for n, m in zip(own, lengths, strict=True)):
        return value
    return b.vread(value, 0, b.strides_of(own), lengths)


@function("function scatter", "method scatter", kinds=())
def scatter_along(
    b: Any,
    x: Operand,
    dim: int,
    index: Operand,
    src: Operand = None,
    *,
    value: Operand = None,
    reduce: str | None = None,
) -> Any:
    """x with elements replaced (or combined with `reduce` "add" or "multiply") at places along `dim` that `index`
    names: by the elements of `src` at the same places as in `index`, or by one value everywhere."""
    if (src is None) == (value is None):
        raise TypeError("scatter takes either src or value")
    return _scattered(b, x, dim, index, value if src is None else src, reduce)


@function("function scatter_add", "method scatter_add", kinds=())
def scatter_add_along(b: Any, x: Operand, dim: int, index: Operand, src: Operand) -> Any:
    """x with `src` added at places along `dim` that `index`, shaped like `src`, names."""
    return _scattered(b, x, dim, index, src, "add")


@function(kinds=TORCH)
def scatter_reduce(
    b: Any, x: Operand, dim: int, index: Operand, src: Operand, reduce: str, *, include_self: bool = True
) -> Any:
    """x combined with `src` ("sum", "prod", "mean", "amax", "amin") at places along `dim` that `index` names, or there
    with `src` alone. Equal extrema share a cotangent evenly; "prod" has no derivative."""
    return _scattered(b, x, dim, index, src, reduce, include_self)


@function(kinds=TORCH)
def take_along_dim(b: Any, x: Operand, indices: Operand, dim: int | None = None) -> Any:
    """Elements of x named along an axis (of the flattened array with None) by an array of indices of x's rank; the
    other axes are broadcast against each other."""
    x, index = array(b, x), array(b, indices)
    if dim is None:
        return take(b, x, flat(b, index))
    along = one_axis(dim, b.rank(x))
    if b.rank(index) != b.rank(x):
        raise ShapeMismatch(f"an index of {b.rank(index)} axes does not fit an array of {b.rank(x)}")
    shapes = [tuple(1 if i == along else n for i, n in enumerate(b.shape(y))) for y in (x, index)]
    rest, exact = coerce.broadcast_shapes(b, shapes)
    x, index = (
        coerce.broadcast_to(b, y, (*rest[:along], b.shape(y)[along], *rest[along + 1 :]), exact) for y in (x, index)
    )
    return gathered(b, x, index, along)


@function(kinds=TORCH)
def put(b: Any, x: Operand, index: Operand, source: Operand, accumulate: bool = False) -> Any:
    """x with the elements of the flattened array that `index` names replaced by (or summed with) those of `source`."""
    x = array(b, x)
    line, index = flat(b, x), flat(b, array(b, index))
    index = checked_index(b, index, b.shape(line)[0], 0)
    value = flat(b, _as_values(b, x, source))
    value = stretched(b, value, b.shape(index), "put: {0} values do not fit {1} places")
    return b.reshape((b.scatter_add if accumulate else b.scatter_set)(line, index, value, axis=0), b.shape(x))


@function(kinds=TORCH)
def index_put(b: Any, x: Operand, indices: Operands, values: Operand, accumulate: bool = False) -> Any:
    """x with `x[indices]` replaced by values, or (`accumulate`) with all of them added, also those that come to one
    place. Indices are arrays of integers or truth values for the leading axes."""
    x = array(b, x)
    places: list[Any] = []
    for given in indices:
        index = array(b, given)
        sizes = b.shape(x)[len(places) :]
        if len(sizes) < (b.rank(index) if b.dtype(index) == BOOL else 1):
            raise IndexError(f"too many indices for an array of {b.rank(x)} axes")
        if b.dtype(index) != BOOL:
            places.append(checked_index(b, index, sizes[0], len(places)))
            continue
        for have, size in zip(b.shape(index), sizes, strict=False):
            agree(b, size, have, "a mask of size {1} does not fit an axis of size {0}", kind="IndexError")
        places.extend(nonzero(b, index))
    shape, rest = b.shape(x)[: len(places)], b.shape(x)[len(places) :]
    together: Any = b.full(0, (), I64)
    for size, place in zip(shape, places, strict=True):
        place = from_front(b, on(b).cast(place, dtype=I64), size)
        together = on(b).add(on(b).mul(together, size), place)
    count: Any = 1
    for size in shape:
        count = count * size
    value = _as_values(b, x, values)
    text = "index_put: values of size {0} do not fit places of size {1}"
    value = stretched(b, value, (*b.shape(together), *rest), text)
    write = b.scatter_add if accumulate else b.scatter_set
    return b.reshape(write(b.reshape(x, (count, *rest)), together, value, axis=0), b.shape(x))


@function(kinds=TORCH)
def masked_scatter(b: Any, x: Operand, mask: Operand, source: Operand) -> Any:
    """x with the elements where the mask holds replaced by the first elements of `source`, in C order."""
    x, mask = array(b, x), array(b, mask)
    if b.dtype(mask) != BOOL:
        raise DTypeMismatch(f"masked_scatter takes a mask of truth values, not of {b.dtype(mask).numpy_name}")
    x, mask = coerce.broadcast_operands(b, [x, mask])
    line = flat(b, _as_values(b, x, source))
    count = b.fetch(b.sum(b.cast(mask, dtype=I64), axes=tuple(range(b.rank(mask)))), ())
    at_most_size(b, count, b.shape(line)[0], "masked_scatter: {0} elements are replaced, there are {1} values")
    return b.mask_write(x, mask, b.vread(line, 0, (1,), (count,)))


# -- regular parts --------------------------------------------------------------------------------------------


def _placed(b: Any, x: Any, value: Operand, offset: Any, strides: Any, shape: Any, name: str) -> Any:
    value = _as_values(b, x, value)
    if b.rank(value) != len(shape):
        raise ShapeMismatch(f"{name}: a source of {b.rank(value)} axes does not fit {len(shape)} axes")
    value = stretched(b, value, shape, f"{name}: a source of size {{0}} does not fit, it needs {{1}}")
    return b.vwrite(x, value, offset, strides)


@function(kinds=TORCH)
def select_scatter(b: Any, x: Operand, src: Operand, dim: int, index: Size) -> Any:
    """x with `x.select(dim, index)` replaced."""
    x = array(b, x)
    axis = one_axis(dim, b.rank(x))
    place = checked_index(b, b.full(index, (1,), I64), b.shape(x)[axis], axis)
    place = from_front(b, b.fetch(place, (0,)), b.shape(x)[axis])
    strides, shape = b.strides_of(b.shape(x)), b.shape(x)
    rest = tuple(s for i, s in enumerate(strides) if i != axis), tuple(n for i, n in enumerate(shape) if i != axis)
    return _placed(b, x, src, on(b).mul(place, strides[axis]), *rest, "select_scatter")


@function(kinds=TORCH)
def slice_scatter(
    b: Any, x: Operand, src: Operand, dim: int = 0, start: Size = None, end: Size = None, step: int = 1
) -> Any:
    """x with `x[start:end:step]` along `dim` replaced; the step is positive."""
    x = array(b, x)
    axis = one_axis(dim, b.rank(x))
    if step < 1:
        raise ShapeMismatch(f"slice_scatter: the step is at least 1, not {step}")
    size = b.shape(x)[axis]
    first, last = (
        size if place is None else at_most(b, at_least(b, from_front(b, place, size), 0), size)
        for place in (0 if start is None else start, end)
    )
    count = at_least(b, on(b).floordiv(on(b).add(on(b).sub(last, first), step - 1), step), 0)
    strides, shape = list(b.strides_of(b.shape(x))), list(b.shape(x))
    offset = on(b).mul(first, strides[axis])
    strides[axis], shape[axis] = on(b).mul(strides[axis], step), count
    return _placed(b, x, src, offset, tuple(strides), tuple(shape), "slice_scatter")


@function(kinds=TORCH)
def diagonal_scatter(b: Any, x: Operand, src: Operand, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """x with `x.diagonal(offset, dim1, dim2)` replaced."""
    x = array(b, x)
    i, j = one_axis(dim1, b.rank(x)), one_axis(dim2, b.rank(x))
    if i == j:
        raise ShapeMismatch("diagonal_scatter needs two different axes")
    strides, shape = b.strides_of(b.shape(x)), b.shape(x)
    down, right = max(-offset, 0), max(offset, 0)
    count = at_least(b, at_most(b, on(b).sub(shape[i], down), on(b).sub(shape[j], right)), 0)
    start = on(b).add(on(b).mul(strides[i], down), on(b).mul(strides[j], right))
    kept = [k for k in range(len(shape)) if k not in (i, j)]
    own = (*(strides[k] for k in kept), on(b).add(strides[i], strides[j]))
    return _placed(b, x, src, start, own, (*(shape[k] for k in kept), count), "diagonal_scatter")
