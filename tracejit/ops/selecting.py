"""Elements picked by their rank or their number: `kthvalue`, `mode`, runs of equal ones, bins."""

from __future__ import annotations

from typing import Any, NamedTuple

from tracejit.ir.types import I32, I64
from tracejit.ops.arrange import at_most_size, flat, joined, part, ramp
from tracejit.ops.functions import Operand, Size, array, function, on, one_axis, require_elements
from tracejit.ops.numeric import histogram
from tracejit.ops.running import cummax
from tracejit.ops.sorting import TopK, along_axis, searchsorted, sort
from tracejit.ops.statistics import max_, min_

TORCH = ("function", "method")


def _picked(b: Any, x: Any, order: Any, at: Any, axis: int, keepdims: bool) -> Any:
    """The elements of x at the places `order` along an axis has at `at` (one along the axis)."""
    places = along_axis(b, order, at, axis)
    values = along_axis(b, x, places, axis)
    if keepdims:
        return TopK(values, places)
    shape = tuple(n for i, n in enumerate(b.shape(values)) if i != axis)
    return TopK(b.reshape(values, shape), b.reshape(places, shape))


def _line(b: Any, x: Operand, axis: int) -> tuple[Any, int, bool]:
    """x with at least one axis, the axis counted from the front, and whether x has none."""
    x = array(b, x)
    is_number = not b.rank(x)
    x = b.reshape(x, (1,)) if is_number else x
    return x, one_axis(axis, b.rank(x)), is_number


def _one_along(b: Any, x: Any, axis: int) -> tuple[Any, ...]:
    """x's shape with one place along an axis."""
    return tuple(1 if i == axis else n for i, n in enumerate(b.shape(x)))


@function(kinds=TORCH)
def kthvalue(b: Any, x: Operand, k: Size, axis: int = -1, keepdims: bool = False) -> Any:
    """The k-th smallest elements along an axis (counted from 1), and their places."""
    x, axis, is_number = _line(b, x, axis)
    size = b.shape(x)[axis]
    at_most_size(b, 1, k, "kthvalue: elements are counted from 1, not from {1}")
    at_most_size(b, k, size, "kthvalue: there is no element {0} of {1}")
    at = b.full(k - 1, _one_along(b, x, axis), I64)
    return _picked(b, x, b.argsort(x, axis=axis), at, axis, keepdims and not is_number)


@function(kinds=TORCH)
def mode(b: Any, x: Operand, axis: int = -1, keepdims: bool = False) -> Any:
    """The most frequent elements along an axis, of equally frequent ones the smallest, and the last places where they
    are."""
    x, axis, is_number = _line(b, x, axis)
    require_elements(b, x, (axis,), "mode")
    order = b.argsort(x, axis=axis)
    ordered = along_axis(b, x, order, axis)
    place = b.iota(b.shape(x), axis=axis, dtype=I64)
    before = along_axis(b, ordered, b.maximum(place - 1, 0), axis)
    new = b.logical_or(b.eq(place, 0), b.ne(ordered, before))
    start = cummax(b, b.select(new, place, 0), axis).values
    longest = b.reshape(b.argmax(place - start, axis=axis), _one_along(b, x, axis))
    return _picked(b, x, order, longest, axis, keepdims and not is_number)


@function(kinds=TORCH)
def msort(b: Any, x: Operand) -> Any:
    """The elements in order along the first axis."""
    return sort(b, x, 0)


class MinMax(NamedTuple):
    """The smallest and the largest elements."""

    min: Any
    max: Any


@function(kinds=TORCH)
def aminmax(b: Any, x: Operand, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """The smallest and the largest elements, over one axis or all."""
    return MinMax(min_(b, x, axis, keepdims=keepdims), max_(b, x, axis, keepdims=keepdims))


@function(kinds=TORCH)
def unique_consecutive(b: Any, x: Operand, return_inverse: bool = False, return_counts: bool = False) -> Any:
    """The first elements of the runs of equal ones in the flattened array; with them, if asked for, in which run each
    element is, and how long each run is."""
    x = array(b, x)
    line = flat(b, x)
    size = b.shape(line)[0]
    place = ramp(b, size)
    before = b.gather(line, b.maximum(place - 1, 0), axis=0)
    new = b.logical_or(b.eq(place, 0), b.ne(line, before))
    count, starts = b.mask_read(place, new)
    found = [b.gather(line, starts, axis=0)]
    if return_inverse:
        found.append(b.reshape(b.cumsum(b.cast(new, dtype=I64), axis=0) - 1, b.shape(x)))
    if return_counts:
        found.append(part(b, joined(b, [starts, b.full(size, (1,), I64)], 0), 0, 1, count) - starts)
    return tuple(found) if len(found) > 1 else found[0]


@function(kinds=("function",))
def bucketize(b: Any, x: Operand, boundaries: Operand, *, out_int32: bool = False, right: bool = False) -> Any:
    """For each element the first of the ordered boundaries that is not less than it (`right`: that is greater)."""
    found = searchsorted(b, boundaries, x, "right" if right else "left")
    return on(b).cast(found, dtype=I32) if out_int32 else found


@function(kinds=TORCH)
def histc(b: Any, x: Operand, bins: Size = 100, min: float = 0, max: float = 0) -> Any:
    """How many elements are in each of `bins` equal parts of min..max (of the range of the elements, where the two are
    equal), in x's dtype; the others are not counted."""
    x = array(b, x)
    counts = histogram(b, x, bins, None if min == max else (min, max))[0]
    return on(b).cast(counts, dtype=b.dtype(x))
