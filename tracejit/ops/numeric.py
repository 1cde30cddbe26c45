"""Functions of NumPy's that are made of others: rounding, weighted and nan-aware statistics, histograms,
interpolation, integration, convolution, polynomials."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from tracejit.errors import DTypeMismatch, OfNumPyOnly, ShapeMismatch
from tracejit.ir.types import BOOL, C128, F16, F32, F64, I64
from tracejit.ops import coerce
from tracejit.ops.arrange import at_least, concat, flat, part, ramp, take_along_axis
from tracejit.ops.control import branch
from tracejit.ops.functions import (
    Axis,
    Operand,
    Size,
    array,
    count_of,
    function,
    inexact,
    on,
    one_axis,
    require_some,
)
from tracejit.ops.products import agree, of_bools, with_sizes
from tracejit.ops.sorting import line_of, pair_at, searchsorted, sort
from tracejit.ops.statistics import all_, max_, mean, min_, prod_, sum_

LIBRARY = ("function", "numpy")
TORCH = ("function", "method")
NUMPY = ("numpy",)


# -- elementwise ----------------------------------------------------------------------------------------------


@function("around")
def round_(b: Any, x: Operand, decimals: int = 0) -> Any:
    """x rounded to that many decimals; halves go to the even digit."""
    dtype, decimals = coerce.result_dtype(b, (x,)), operator.index(decimals)
    c = on(b)
    if dtype == BOOL:  # NumPy's
        if decimals != 0:
            raise DTypeMismatch("truth values are not rounded to decimals")
        x, dtype = b.cast(array(b, x), dtype=F16), F16
    if decimals == 0 or not (dtype.is_inexact or (dtype.is_integer and decimals < 0)):
        return c.round(x)
    scale = 10.0 ** abs(decimals)
    if dtype.is_integer:
        rounded = c.mul(c.round(c.div(coerce.convert(b, x, F64), scale)), scale)
        wide = rounded if dtype.bits == 64 else b.cast(rounded, dtype=I64)  # what does not fit wraps around
        return b.cast(wide, dtype=dtype)
    return c.div(c.round(c.mul(x, scale)), scale) if decimals > 0 else c.mul(c.round(c.div(x, scale)), scale)


@function()
def positive(b: Any, x: Operand) -> Any:
    """x itself, of numbers."""
    dtype = coerce.result_dtype(b, (x,))
    if dtype == BOOL:
        raise DTypeMismatch("positive takes numbers, not bool")
    return coerce.convert(b, x, dtype)


@function()
def fix(b: Any, x: Operand) -> Any:
    """x without its fraction."""
    return on(b).trunc(x)


def _ignoring_nan(name: str, op: str) -> None:
    def extremum(b: Any, x: Operand, y: Operand) -> Any:
        c = on(b)
        return c.select(c.isnan(x), y, c.select(c.isnan(y), x, getattr(c, op)(x, y)))

    extremum.__name__, extremum.__doc__ = name, f"The {op} of two numbers, the other one where one is nan."
    function()(extremum)


_ignoring_nan("fmin", "minimum")
_ignoring_nan("fmax", "maximum")


@function("method sinc", kinds=LIBRARY)
def sinc(b: Any, x: Operand) -> Any:
    """sin(pi x) / (pi x), 1 at 0."""
    c = on(b)
    scaled = c.mul(x, 3.141592653589793)
    zero = c.eq(scaled, 0)
    safe = c.select(zero, 1.0, scaled)
    return c.select(zero, 1.0, c.div(c.sin(safe), safe))


@function("method angle", kinds=LIBRARY)
def angle(b: Any, x: Operand, deg: bool = False) -> Any:
    """The angle of a complex number, in degrees on request."""
    x = on(b).cast(x, dtype=I64) if coerce.result_dtype(b, (x,)) == BOOL else x
    found = on(b).atan2(on(b).imag(x), on(b).real(x))
    return on(b).mul(found, 180 / math.pi) if deg else found


@function(kinds=LIBRARY, rank_0="python")
def array_equal(b: Any, x: Operand, y: Operand) -> Any:
    """Whether two arrays have one shape and equal elements."""
    x, y = coerce.promote_operands(b, (array(b, x), array(b, y)))
    if b.rank(x) != b.rank(y):
        return b.full(False, (), BOOL)
    pairs = [(m, n) for m, n in zip(b.shape(x), b.shape(y), strict=True) if not b.same_size(m, n)]
    if any(isinstance(m, int) and isinstance(n, int) for m, n in pairs):
        return b.full(False, (), BOOL)
    fits: Any = True
    for m, n in pairs:
        fits = b.eq(m, n) if fits is True else b.logical_and(fits, b.eq(m, n))

    def equal(inner: Any, x: Any, y: Any) -> Any:
        return all_(inner, inner.eq(x, with_sizes(inner, y, inner.shape(x))))

    return branch(b, fits, equal, lambda inner, x, y: inner.full(False, (), BOOL), (x, y)) if pairs else equal(b, x, y)


# -- statistics -----------------------------------------------------------------------------------------------


@function(kinds=LIBRARY)
def average(b: Any, x: Operand, axis: Axis = None, weights: Operand = None, *, keepdims: bool = False) -> Any:
    """The mean over axes, weighted if there are weights (of x's shape, or one per element of the axis)."""
    if weights is None:
        return mean(b, x, axis, keepdims=keepdims)
    x = inexact(b, x)
    apart = "Axis must be specified when shapes of a and weights differ."
    if b.rank(weights) != b.rank(x) and axis is None:
        raise DTypeMismatch(apart)
    if b.rank(weights) == b.rank(x):
        for n, m in zip(b.shape(x), b.shape(weights), strict=True):
            agree(b, n, m, apart, kind="TypeError" if axis is None else "ValueError")
    if b.rank(weights) < b.rank(x) and isinstance(axis, int):
        along = one_axis(axis, b.rank(x))
        text = "Shape of weights must be consistent with shape of a along specified axis."
        agree(b, b.shape(x)[along], b.shape(weights)[0], text)
        column = (count_of(b, weights), *(1,) * (b.rank(x) - 1 - along))
        weights = b.reshape(weights, column)
    x, weights = coerce.binary(b, x, weights)
    total = sum_(b, weights, axis, keepdims=keepdims)
    some = b.all(b.ne(total, 0), axes=tuple(range(b.rank(total))))
    b.check(b.fetch(some, ()), (), kind="ZeroDivisionError", message="Weights sum to zero, can't be normalized")
    return on(b).div(sum_(b, x * weights, axis, keepdims=keepdims), total)


@function(kinds=LIBRARY)
def ptp(b: Any, x: Operand, axis: Axis = None, keepdims: bool = False) -> Any:
    """The largest element less the smallest."""
    return on(b).sub(max_(b, x, axis, keepdims), min_(b, x, axis, keepdims))


def _without_nan(name: str, fold: Callable[..., Any], instead: float) -> None:
    def reduced(b: Any, x: Operand, axis: Axis = None, keepdims: bool = False) -> Any:
        x = array(b, x)
        if not b.dtype(x).is_float:
            return fold(b, x, axis, keepdims=keepdims)
        missing = b.isnan(x)
        found = fold(b, b.select(missing, instead, x), axis, keepdims=keepdims)
        if math.isfinite(instead):
            return found
        return on(b).select(all_(b, missing, axis, keepdims=keepdims), math.nan, found)

    reduced.__name__, reduced.__doc__ = f"nan{name}", f"`{name}` of the elements that are not nan."
    function()(reduced)


_without_nan("sum", sum_, 0.0)
_without_nan("prod", prod_, 1.0)
_without_nan("max", max_, -float("inf"))
_without_nan("min", min_, float("inf"))


@function()
def nanmean(b: Any, x: Operand, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean of the elements that are not nan."""
    x = inexact(b, x)
    missing = b.isnan(x)
    total = sum_(b, b.select(missing, 0, x), axis, keepdims=keepdims)
    return on(b).div(total, on(b).cast(sum_(b, b.logical_not(missing), axis, keepdims=keepdims), dtype=b.dtype(x)))


def _quantile(
    b: Any, x: Operand, q: Operand, axis: Axis, keepdims: bool, outside: str = "Quantiles must be in the range [0, 1]"
) -> Any:
    """The element at the fraction q of the order, linear between neighbours; nan where there is one. For a vector of
    fractions, their results along a new first axis."""
    _require_fractions(b, q, outside)
    x = inexact(b, x)
    line, along, axes = line_of(b, x, axis)
    c, size = on(b), b.shape(line)[along]
    require_some(b, size, "index -1 is out of bounds for axis 0 with size 0", kind="IndexError")
    last = c.sub(size, 1)
    given = array(b, q)
    fractions = b.cast(flat(b, given), dtype=b.dtype(x))
    place = c.mul(fractions, last if isinstance(last, int) else c.cast(last, dtype=b.dtype(x)))
    below = b.cast(b.floor(place), dtype=I64)
    above = c.minimum(c.add(below, 1), last)
    if b.rank(line) == 1:
        low, high = pair_at(b, line, below, above)
        end = b.select(b.any(b.isnan(line), axes=(0,)), math.nan, b.full(0, (), b.dtype(x)))
    else:
        ordered = sort(b, line, along)
        low, high = (b.gather(ordered, at, axis=along) for at in (below, above))
        end = part(b, ordered, along, last, 1)
    shape = b.shape(low)
    between = b.sub(place, b.cast(below, dtype=b.dtype(x)))
    between = b.broadcast(b.reshape(between, tuple(n if k == along else 1 for k, n in enumerate(shape))), shape)
    made = low + (high - low) * between
    end = b.broadcast(end, shape)
    made = b.select(b.isnan(end), end, made)
    made = b.transpose(made, perm=(along, *(k for k in range(len(shape)) if k != along)))
    kept = tuple(1 if k in axes else n for k, n in enumerate(b.shape(x)))
    sizes = b.shape(made)
    rest = kept if keepdims else sizes[1:]
    return b.reshape(made, (*b.shape(given), *rest))


def _require_fractions(b: Any, q: Operand, message: str) -> None:
    """A ValueError where not all are from 0 to 1."""
    given, c = array(b, q), on(b)
    inside = b.logical_and(c.ge(given, 0), c.le(given, 1))
    b.check(b.fetch(b.all(inside, axes=tuple(range(b.rank(inside)))), ()), (), kind="ValueError", message=message)


@function(kinds=TORCH)
def quantile(b: Any, x: Operand, q: Operand, axis: Axis = None, keepdims: bool = False) -> Any:
    """The element at the fraction q of the order along an axis, linear between neighbours."""
    return _quantile(b, x, q, axis, keepdims)


@function(kinds=("function",))
def percentile(b: Any, x: Operand, q: Operand, axis: Axis = None, keepdims: bool = False) -> Any:
    """`quantile` of q per cent."""
    return _quantile(b, x, on(b).div(q, 100.0), axis, keepdims, "Percentiles must be in the range [0, 100]")


@function("numpy quantile", kinds=())
def quantile_(b: Any, x: Operand, q: Operand, axis: Axis = None, keepdims: bool = False) -> Any:
    """NumPy's `quantile`, which promotes x with a vector of fractions."""
    if not (b.dtype(array(b, x)).is_inexact or b.dtype(array(b, q)).is_inexact):
        raise OfNumPyOnly("quantiles are floats")
    if b.dtype(array(b, x)) == BOOL:
        raise DTypeMismatch(coerce.NO_BOOL["sub"])
    x = inexact(b, x)
    if b.rank(array(b, q)):
        x = on(b).cast(x, dtype=coerce.result_dtype(b, (x, q)))
    return _quantile(b, x, q, axis, keepdims)


@function("numpy percentile", kinds=())
def percentile_(b: Any, x: Operand, q: Operand, axis: Axis = None, keepdims: bool = False) -> Any:
    """`quantile_` of q per cent."""
    return quantile_(b, x, on(b).div(q, 100.0), axis, keepdims)


@function(kinds=TORCH)
def nanquantile(b: Any, x: Operand, q: Operand, axis: Axis = None, keepdims: bool = False) -> Any:
    """`quantile` of the elements that are not nan; nan where there are none."""
    _require_fractions(b, q, "Quantiles must be in the range [0, 1]")
    x, c = inexact(b, x), on(b)
    line, along, axes = line_of(b, x, axis)
    lines = b.transpose(line, perm=(*(k for k in range(b.rank(line)) if k != along), along))
    *outer, size = b.shape(lines)
    ordered = sort(b, concat(b, (lines, b.full(math.nan, (*outer, 1), b.dtype(x))), axis=len(outer)), -1)
    known = b.cast(b.logical_not(b.isnan(ordered)), dtype=I64)
    last = c.maximum(c.sub(b.sum(known, axes=(len(outer),)), 1), 0)
    given = array(b, q)
    fractions = b.cast(flat(b, given), dtype=b.dtype(x))
    count = b.shape(fractions)[0]
    place = c.mul(b.reshape(fractions, (count, *(1,) * len(outer))), b.cast(last, dtype=b.dtype(x)))
    below = b.cast(b.floor(place), dtype=I64)
    ordered = b.broadcast(ordered, (count, *outer, c.add(size, 1)))

    def at(index: Any) -> Any:
        return b.reshape(take_along_axis(b, ordered, b.reshape(index, (count, *outer, 1))), (count, *outer))

    low, high = at(below), at(c.minimum(c.add(below, 1), last))
    made = low + (high - low) * (place - b.cast(below, dtype=b.dtype(x)))
    rest = tuple(1 if k in axes else n for k, n in enumerate(b.shape(x))) if keepdims else tuple(outer)
    return b.reshape(made, (*b.shape(given), *rest))


@function(kinds=TORCH)
def nanmedian(b: Any, x: Operand, axis: Axis = None, keepdims: bool = False) -> Any:
    """`median` of the elements that are not nan; nan where there are none."""
    return nanquantile(b, x, 0.5, axis, keepdims)


# -- histograms -----------------------------------------------------------------------------------------------


@function(kinds=LIBRARY)
def digitize(b: Any, x: Operand, bins: Operand, right: bool = False) -> Any:
    """The number of the bin, between increasing or decreasing bounds, that each element falls into."""
    bins, c = array(b, bins), on(b)
    side, size = "left" if right else "right", b.shape(bins)[0]
    if size == 0:
        return searchsorted(b, bins, x, side)
    falls = _falls(b, bins, size)
    found = searchsorted(b, b.select(b.broadcast(falls, (size,)), b.flip(bins, axes=(0,)), bins), x, side)
    return c.select(falls, c.sub(size, found), found)


def _falls(b: Any, bins: Any, size: Any) -> Any:
    """Whether bounds decrease; a nan stands behind all numbers. A check that they do, or increase."""
    c = on(b)
    count = c.sub(size, 1)
    left, right = (part(b, bins, 0, k, count) for k in (0, 1))
    rises, falls, other = (b.any(made, axes=(0,)) for made in (b.lt(left, right), b.gt(left, right), b.ne(left, right)))
    if b.dtype(bins).is_float:
        falls = b.logical_or(falls, b.isnan(b.reshape(part(b, bins, 0, 0, 1), ())))
    text = "bins must be monotonically increasing or decreasing"
    b.check(b.fetch(b.logical_not(b.logical_and(rises, falls)), ()), (), kind="ValueError", message=text)
    return b.logical_and(b.logical_not(rises), other)


_SWAPPED = "max must be larger than min in range parameter."


@function(kinds=("function",))
def histogram(
    b: Any, x: Operand, bins: Any = 10, range: Any = None, density: bool = False, weights: Operand = None
) -> Any:
    """How many elements (or how much of their weights) fall into each of `bins` equal parts of a range; the bounds."""
    require_some(b, bins, "`bins` must be positive, when an integer")
    x = flat(b, array(b, x))
    if b.dtype(x).is_complex:
        raise DTypeMismatch(f"histogram takes real numbers, not {b.dtype(x).numpy_name}")
    values = x if b.dtype(x).is_float else b.cast(x, dtype=F64)
    values = values if range is None else b.cast(values, dtype=coerce.result_dtype(b, [values, *range]))
    low, high = _bounds(b, values, range)
    width = on(b).div(high - low, float(bins)) if isinstance(bins, int) else (high - low) / b.cast(bins, dtype=F64)
    edges = b.cast(_edges(b, low, high, width, bins, b.dtype(low)), dtype=b.dtype(values))
    low, high, width = (b.cast(x, dtype=b.dtype(values)) for x in (low, high, width))
    shape = b.shape(values)
    scaled = b.div(values - b.broadcast(low, shape), b.broadcast(high - low, shape))
    c = on(b)
    top = c.sub(bins, 1)
    inside = b.logical_and(b.ge(values, b.broadcast(low, shape)), b.le(values, b.broadcast(high, shape)))
    place = b.cast(c.select(inside, c.mul(scaled, c.cast(bins, dtype=b.dtype(values))), 0.0), dtype=I64)
    place = c.minimum(place, top)
    place = b.select(b.lt(values, b.gather(edges, place, axis=0)), c.maximum(place - 1, 0), place)
    beyond = b.logical_and(b.ge(values, b.gather(edges, place + 1, axis=0)), c.ne(place, top))
    place = b.select(b.logical_and(beyond, inside), place + 1, place)
    amount = b.cast(inside, dtype=I64) if weights is None else _masked(b, inside, weights)
    wide = {BOOL: I64, F16: F64, F32: F64}.get(b.dtype(amount))
    summed = amount if wide is None else b.cast(amount, dtype=wide)
    counts = b.scatter_add(b.full(0, (bins,), b.dtype(summed)), place, summed, axis=0)
    counts = b.cast(counts, dtype=b.dtype(amount))
    if density:
        heights = b.cast(counts, dtype=b.dtype(values))
        counts = c.div(c.div(heights, width), sum_(b, heights))
    return counts, edges


@function("numpy histogram", kinds=())
def histogram_(
    b: Any,
    x: Operand,
    bins: Any = 10,
    first: Operand = None,
    last: Operand = None,
    density: bool = False,
    weights: Operand = None,
) -> Any:
    """NumPy's `histogram`, whose densities are of 64 bits, between two numbers."""
    counts, edges = histogram(b, x, bins, None if first is None else (first, last), False, weights)
    if density:
        c, widths = on(b), part(b, edges, 0, 1, bins) - part(b, edges, 0, 0, bins)
        counts = c.div(c.div(counts, b.cast(widths, dtype=F64)), sum_(b, counts))
    return counts, edges


def _masked(b: Any, inside: Any, weights: Operand) -> Any:
    """Weights, 0 outside."""
    weights = flat(b, array(b, weights))
    agree(b, b.shape(inside)[0], b.shape(weights)[0], "weights should have the same shape as a.")
    return b.select(inside, with_sizes(b, weights, b.shape(inside)), 0)


def _bounds(b: Any, values: Any, range: Any) -> tuple[Any, Any]:
    """The ends of the range, a little apart where they are equal, as rank-0 tensors of their own dtype."""
    if range is None:
        none = on(b).eq(b.shape(values)[0], 0)
        low, high = (on(b).select(none, end, fold(values, axes=(0,))) for fold, end in ((b.min, 0.0), (b.max, 1.0)))
    else:
        dtype = coerce.result_dtype(b, [0.0, *range])
        low, high = (b.cast(array(b, end), dtype=dtype) for end in range)
        swapped = b.fetch(b.gt(low, high), ())
        b.check(on(b).logical_not(swapped), (), kind="ValueError", message=_SWAPPED)
    finite = b.logical_and(b.isfinite(low), b.isfinite(high))
    found = "autodetected" if range is None else "supplied"
    shown = tuple(b.fetch(end, ()) for end in (low, high))
    b.check(b.fetch(finite, ()), shown, kind="ValueError", message=f"{found} range of [{{}}, {{}}] is not finite")
    same = b.eq(low, high)
    return b.select(same, low - 0.5, low), b.select(same, high + 0.5, high)


def _edges(b: Any, low: Any, high: Any, width: Any, bins: Size, dtype: Any) -> Any:
    """The bounds of the bins, as `linspace` makes them."""
    count = bins + 1
    steps = b.cast(ramp(b, count), dtype=dtype)
    shape = (count,)
    line = steps * b.broadcast(width, shape) + b.broadcast(low, shape)
    return b.select(on(b).eq(ramp(b, count), bins), b.broadcast(high, shape), line)


# -- lines ----------------------------------------------------------------------------------------------------


@function(kinds=NUMPY)
def interp(b: Any, x: Operand, xp: Operand, fp: Operand) -> Any:
    """The piecewise linear function through the points (xp, fp), constant outside; in 64 bits, as NumPy's."""
    x, xp, fp = (inexact(b, v) for v in (x, xp, fp))
    if b.dtype(x).is_complex or b.dtype(xp).is_complex:
        raise DTypeMismatch("Cannot cast array data to dtype('float64') according to the rule 'safe'")
    x, xp, fp = b.cast(x, dtype=F64), b.cast(xp, dtype=F64), b.cast(fp, dtype=C128 if b.dtype(fp).is_complex else F64)
    c = on(b)
    agree(b, b.shape(fp)[0], b.shape(xp)[0], "fp and xp are not of the same length.")
    require_some(b, b.shape(xp)[0], "array of sample points is empty")
    last = c.sub(b.shape(xp)[0], 1)
    right = c.clamp(searchsorted(b, xp, x, "right"), 1, c.maximum(last, 1))
    left = right - 1
    right = c.minimum(right, last)
    (x0, x1), (y0, y1) = ([b.gather(line, k, axis=0) for k in (left, right)] for line in (xp, fp))
    width = x1 - x0
    flat_ = b.eq(width, 0)
    slope = c.div(y1 - y0, b.select(flat_, 1, width))
    inside = c.add(c.mul(slope, x - x0), y0)  # from the other side where that is nan, as NumPy does
    inside = b.select(b.isnan(inside), c.add(c.mul(slope, x - x1), y1), inside)
    level = b.logical_and(b.eq(y0, y1), b.logical_not(b.isnan(x)))
    inside = b.select(b.logical_and(b.isnan(inside), level), y0, inside)
    inside = b.select(b.le(x, x0), y0, inside)
    return b.select(b.ge(x, x1), y1, inside)


def areas(b: Any, y: Operand, x: Operand, dx: Operand, axis: int) -> tuple[Any, int]:
    """The areas of the trapezoids between neighbours along an axis, and the axis, counted from the front."""
    y = array(b, y)
    along = one_axis(axis, b.rank(y))
    size = at_least(b, on(b).sub(b.shape(y)[along], 1), 0)
    ends = on(b).add(part(b, y, along, 1, size), part(b, y, along, 0, size))
    if x is None:
        widths = dx
    else:
        x = array(b, x)
        axis_x = 0 if b.rank(x) == 1 else one_axis(axis, b.rank(x))
        count = at_least(b, on(b).sub(b.shape(x)[axis_x], 1), 0)
        widths = on(b).sub(part(b, x, axis_x, 1, count), part(b, x, axis_x, 0, count))
        if b.rank(x) == 1:
            widths = b.reshape(widths, (count, *(1,) * (b.rank(y) - 1 - along)))
    return on(b).div(on(b).mul(widths, ends), 2.0), along  # integers wrap before, as in NumPy


@function("trapz", kinds=LIBRARY)
def trapezoid(b: Any, y: Operand, x: Operand = None, dx: Operand = 1.0, axis: int = -1) -> Any:
    """The integral along an axis by the trapezoidal rule; places are x, or `dx` apart."""
    made, along = areas(b, y, x, dx, axis)
    return b.sum(made, axes=(along,))


@function(kinds=NUMPY)
def convolve(b: Any, x: Operand, y: Operand, mode: str = "full") -> Any:
    """The convolution of two vectors: "full", "same" or "valid"."""
    x, y = coerce.promote_operands(b, (array(b, x), array(b, y)))
    if max(b.rank(x), b.rank(y)) > 1:
        raise ShapeMismatch("object too deep for desired array")
    x, y = flat(b, x), flat(b, y)
    if b.dtype(x) == BOOL:
        return of_bools(b, lambda b, x, y: convolve(b, x, y, mode), x, y)
    n, m = b.shape(x)[0], b.shape(y)[0]
    for size, name in ((n, "a"), (m, "v")):
        require_some(b, size, f"{name} cannot be empty")
    edge, c = b.full(0, (m - 1,), b.dtype(x)), on(b)
    padded = concat(b, (edge, x, edge), axis=0)
    short, long = c.minimum(n, m), c.maximum(n, m)
    match mode:
        case "full":
            start, length = 0, n + m - 1
        case "same":
            start, length = c.floordiv(c.sub(short, 1), 2), long
        case "valid":
            start, length = c.sub(short, 1), c.add(c.sub(long, short), 1)
        case _:
            raise DTypeMismatch(f"convolve has no mode {mode!r}")
    windows = b.vread(padded, start, (1, 1), (m, length))
    kernel = b.broadcast(b.reshape(b.flip(y, axes=(0,)), (m, 1)), (m, length))
    products = windows * kernel
    if mode != "valid" and b.dtype(x).is_inexact:  # the zeros at the ends times what is not finite are no numbers
        place = b.iota((m, length), axis=0, dtype=I64) + c.add(b.iota((m, length), axis=1, dtype=I64), start)
        inside = b.logical_and(c.ge(place, c.sub(m, 1)), c.lt(place, n + m - 1))
        products = c.select(inside, products, 0)
    return b.sum(products, axes=(0,))


@function(kinds=NUMPY)
def gradient(b: Any, x: Operand, spacing: Operand = 1.0, *, axis: int = -1) -> Any:
    """Central differences along an axis (of a vector by default), one-sided at the ends."""
    x = inexact(b, x)
    along = one_axis(axis, b.rank(x))
    size = b.shape(x)[along]
    c = on(b)

    def difference(start: Any, apart: int, length: Any, factor: float) -> Any:
        ends = c.sub(part(b, x, along, c.add(start, apart), length), part(b, x, along, start, length))
        return c.div(c.mul(ends, factor), spacing)

    inner = difference(0, 2, c.sub(size, 2), 0.5)
    return concat(b, (difference(0, 1, 1, 1.0), inner, difference(c.sub(size, 2), 1, 1, 1.0)), axis=along)


# -- turning --------------------------------------------------------------------------------------------------


def _turned(name: str, axis: int) -> None:
    def turned(b: Any, x: Operand) -> Any:
        return b.flip(array(b, x), axes=(axis,))

    turned.__name__, turned.__doc__ = name, f"x with the order of elements reversed along axis {axis}."
    function()(turned)


_turned("flipud", 0)
_turned("fliplr", 1)


@function()
def rot90(b: Any, x: Operand, k: int = 1, dims: tuple[int, int] = (0, 1)) -> Any:
    """x turned k times by 90 degrees, from the first of two axes to the second."""
    x = array(b, x)
    first, second = (one_axis(axis, b.rank(x)) for axis in dims)
    if first == second:
        raise ValueError(f"rot90 turns from one axis to another, not {tuple(dims)}")
    exchanged = [second if axis == first else first if axis == second else axis for axis in range(b.rank(x))]
    match k % 4:
        case 0:
            return x
        case 1:
            return b.transpose(b.flip(x, axes=(second,)), perm=tuple(exchanged))
        case 2:
            return b.flip(x, axes=tuple(sorted((first, second))))
        case _:
            return b.flip(b.transpose(x, perm=tuple(exchanged)), axes=(second,))
