"""Joining, splitting, repeating, padding and picking: functions that move elements.

Negative indices count from the end; an index out of range is an `IndexError`, checked where the program runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tracejit.errors import DTypeMismatch, OfNumPyOnly, ShapeMismatch
from tracejit.ir.builder import Builder, composite
from tracejit.ir.types import BOOL, I64
from tracejit.ops import coerce
from tracejit.ops.functions import (
    Operand,
    Operands,
    Size,
    Sizes,
    array,
    axes_of,
    count_of,
    function,
    is_positive,
    on,
    one_axis,
)
from tracejit.ops.products import agree, diagonal, with_sizes

LIBRARY = ("function", "numpy")
TORCH = ("function", "method")


def sizes_of(given: Any) -> tuple[Any, ...]:
    """One size or a sequence of them as a tuple."""
    return tuple(given) if isinstance(given, tuple | list) else (given,)


def part(b: Any, x: Any, axis: int, start: Any, length: Any, step: int = 1) -> Any:
    """The elements start, start + step, ... of an axis, `length` of them."""
    shape = b.shape(x)
    strides = b.strides_of(shape)
    steps = tuple(s * step if i == axis else s for i, s in enumerate(strides))
    return b.vread(x, start * strides[axis], steps, tuple(length if i == axis else n for i, n in enumerate(shape)))


def at_least(b: Any, size: Any, least: int) -> Any:
    """The larger of a size and a number."""
    return max(size, least) if isinstance(size, int) else b.maximum(size, least)


def at_most(b: Any, size: Any, most: Any) -> Any:
    """The smaller of two sizes."""
    return min(size, most) if isinstance(size, int) and isinstance(most, int) else on(b).minimum(size, most)


def ramp(b: Any, size: Any) -> Any:
    """0, 1, 2, ... as an i64 vector."""
    return b.iota((size,), axis=0, dtype=I64)


def flat(b: Any, x: Any) -> Any:
    """x as a vector."""
    return b.reshape(x, (count_of(b, x),))


# -- joining --------------------------------------------------------------------------------------------------


_JOIN = (
    "all the input array dimensions except for the concatenation axis must match exactly, but along dimension {}, the "
    "array at index 0 has size {{0}} and the array at index {} has size {{1}}"
)


@composite
def concat(b: Any, xs: Sequence[Any], *, axis: int) -> Any:
    """Arrays of one dtype one after the other along `axis`; other sizes must agree."""
    first = b.shape(xs[0])
    fitted: list[Any] = []
    total: Any = 0
    for number, x in enumerate(xs):
        shape = b.shape(x)
        if len(shape) != len(first):
            raise ShapeMismatch(
                f"all the input arrays must have same number of dimensions, but the array at index 0 has {len(first)} "
                f"dimension(s) and the array at index {number} has {len(shape)} dimension(s)"
            )
        for i, (want, have) in enumerate(zip(first, shape, strict=True)):
            if i != axis:
                agree(b, want, have, _JOIN.format(i, number))
        total = shape[axis] if isinstance(total, int) and total == 0 else total + shape[axis]
        fitted.append(with_sizes(b, x, tuple(shape[axis] if i == axis else n for i, n in enumerate(first))))
    return b.cat(total, tuple(fitted), axis=axis)


def joined(b: Any, xs: Operands, axis: int) -> Any:
    """Promoted arrays along an axis."""
    arrays = coerce.promote_operands(b, [array(b, x) for x in xs])
    if not arrays:
        raise ShapeMismatch("need at least one array to concatenate")
    return b.concat(arrays, axis=one_axis(axis, b.rank(arrays[0])))


@function(kinds=LIBRARY)
def column_stack(b: Any, arrays: Operands) -> Any:
    """Vectors as columns of a matrix; matrices side by side."""
    made = [array(b, x) for x in arrays]
    return joined(b, [b.reshape(x, (count_of(b, x), 1)) if b.rank(x) < 2 else x for x in made], 1)


@function(kinds=LIBRARY)
def dstack(b: Any, arrays: Operands) -> Any:
    """Arrays joined along a third axis."""
    made = [array(b, x) for x in arrays]
    deep: list[Any] = []
    for x in made:
        shape = b.shape(x)
        full = (1, 1, 1) if not shape else (1, shape[0], 1) if len(shape) == 1 else (*shape[:2], 1)
        deep.append(b.reshape(x, full) if len(shape) < 3 else x)
    return joined(b, deep, 2)


@function(kinds=("numpy",))
def append(b: Any, x: Operand, values: Operand, axis: int | None = None) -> Any:
    """Values after x, both flattened unless there is an axis."""
    x, values = array(b, x), array(b, values)
    return joined(b, [flat(b, x), flat(b, values)], 0) if axis is None else joined(b, [x, values], axis)


# -- splitting ------------------------------------------------------------------------------------------------


def _pieces(b: Any, x: Any, axis: int, bounds: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(part(b, x, axis, lo, at_least(b, hi - lo, 0)) for lo, hi in pairwise(bounds))


def from_front(b: Any, place: Any, size: Any) -> Any:
    """A place that, where negative, counts from the end."""
    if isinstance(place, int):
        return place + size if place < 0 else place
    return b.select(b.lt(place, 0), place + size, place)


@function(kinds=("numpy",))
def array_split(b: Any, x: Operand, sections: Any, axis: int = 0) -> Any:
    """Parts along an axis: as equal as possible, or cut at the given places."""
    x = array(b, x)
    axis = one_axis(axis, b.rank(x))
    size = b.shape(x)[axis]
    if not isinstance(sections, int):
        cuts = [at_most(b, at_least(b, from_front(b, c, size), 0), size) for c in sections]
        return list(_pieces(b, x, axis, (0, *cuts, size)))
    if isinstance(size, int):
        lengths = [size // sections + (k < size % sections) for k in range(sections)]
    else:
        whole, extra = b.floordiv(size, sections), b.mod(size, sections)
        lengths = [whole + b.cast(b.gt(extra, k), dtype=I64) for k in range(sections)]
    bounds: list[Any] = [0]
    for length in lengths:
        bounds.append(bounds[-1] + length)
    return [part(b, x, axis, lo, length) for lo, length in zip(bounds[:-1], lengths, strict=True)]


@function("numpy split", kinds=())
def equal_split(b: Any, x: Operand, sections: Any, axis: int = 0) -> Any:
    """`array_split` into parts of one size. `ValueError` where the axis does not divide."""
    x = array(b, x)
    along = one_axis(axis, b.rank(x))
    if isinstance(sections, int):
        size = b.shape(x)[along]
        message = "array split does not result in an equal division"
        if isinstance(size, int):
            if size % sections:
                raise ShapeMismatch(message)
        else:
            b.check(b.eq(b.mod(size, sections), 0), (), kind="ValueError", message=message)
            step = b.floordiv(size, sections)
            return [part(b, x, along, step * k, step) for k in range(sections)]
    return array_split(b, x, sections, along)


for _name, _axis in (("hsplit", 1), ("vsplit", 0)):

    def _split_along(b: Any, x: Operand, sections: Any, _axis: int = _axis) -> Any:
        return equal_split(b, x, sections, min(_axis, b.rank(x) - 1))

    _split_along.__name__, _split_along.__doc__ = _name, f"`split` along axis {_axis}."
    function(kinds=("numpy",))(_split_along)


# -- repeating ------------------------------------------------------------------------------------------------


@function(kinds=("function", "method", "numpy"), rank_0="array")
def tile(b: Any, x: Operand, reps: Sizes = None, *, dims: Sizes = None) -> Any:
    """x repeated as a whole `reps[i]` times along each axis."""
    reps = reps if dims is None else dims
    if reps is None:
        raise TypeError("tile() missing a required argument: 'reps'")
    x, times = array(b, x), sizes_of(reps)
    for n in times:
        at_most_size(b, 0, n, "negative sizes are not allowed: {1}")
    rank = max(b.rank(x), len(times))
    shape = (*(1,) * (rank - b.rank(x)), *b.shape(x))
    times = (*(1,) * (rank - len(times)), *times)
    apart = b.reshape(x, tuple(n for s in shape for n in (1, s)))
    wide = b.fresh(b.broadcast(apart, tuple(n for r, s in zip(times, shape, strict=True) for n in (r, s))))
    return b.reshape(wide, tuple(r * s for r, s in zip(times, shape, strict=True)))


@function("function repeat_interleave", "method repeat_interleave")
def repeat(b: Any, x: Operand, repeats: Size, axis: int | None = None) -> Any:
    """Each element repeated `repeats` times along an axis (of the flattened array by default)."""
    x = array(b, x)
    x, along = (flat(b, x), 0) if axis is None else (x, one_axis(axis, b.rank(x)))
    if not isinstance(repeats, int) and not b.is_scalar(repeats):
        raise DTypeMismatch("repeat takes one count for all elements")
    shape = b.shape(x)
    apart = b.reshape(x, (*shape[: along + 1], 1, *shape[along + 1 :]))
    wide = b.fresh(b.broadcast(apart, (*shape[: along + 1], repeats, *shape[along + 1 :])))
    return b.reshape(wide, (*shape[:along], shape[along] * repeats, *shape[along + 1 :]))


@function(rank_0="array")
def roll(b: Any, x: Operand, shift: Sizes = None, axis: Any = None, *, shifts: Sizes = None, dims: Any = None) -> Any:
    """x with elements moved by `shift` places along an axis (of the flattened array by default), round the end."""
    x = array(b, x)
    axis, shift = (axis if dims is None else dims), (shift if shifts is None else shifts)
    if shift is None:
        raise TypeError("roll() missing a required argument: 'shift'")
    if axis is None:
        return b.reshape(roll(b, flat(b, x), shift, 0), b.shape(x))
    axes, moves = sizes_of(axis), sizes_of(shift)
    moves = moves * len(axes) if len(moves) == 1 else moves
    for along, move in zip(axes, moves, strict=True):
        x = _rolled(b, x, one_axis(along, b.rank(x)), move)
    return x


def _rolled(b: Any, x: Any, axis: int, move: Any) -> Any:
    """x moved along an axis. The two parts of rows change places; elsewhere elements are read where they were."""
    c, size = on(b), b.shape(x)[axis]
    move = c.mod(move, c.maximum(size, 1))
    if axis == b.rank(x) - 1:
        rest = c.sub(size, move)
        return b.cat(size, (part(b, x, axis, rest, move), part(b, x, axis, 0, rest)), axis=axis)
    place = c.sub(ramp(b, size), move)
    return b.gather(x, b.select(b.lt(place, 0), c.add(place, size), place), axis=axis)


# -- padding --------------------------------------------------------------------------------------------------


def padded(b: Any, x: Any, widths: Sequence[tuple[Any, Any]], mode: str, value: Operand) -> Any:
    """x with `widths[i]` elements before and after each axis: a constant, or the array continued."""
    if mode == "constant":
        if b.rank(array(b, value)):
            raise ShapeMismatch("pad: the value is one number")
        x, widths = _cut(b, x, widths)
        shape = b.shape(x)
        total = tuple(lo + n + hi for n, (lo, hi) in zip(shape, widths, strict=True))
        filled = b.full(coerce.convert(b, value, b.dtype(x)), total, b.dtype(x))
        strides = b.strides_of(total)
        offset: Any = 0
        for (lo, _), stride in zip(widths, strides, strict=True):
            offset = stride * lo + offset
        return b.vwrite(filled, x, offset, strides)
    if mode not in _CONTINUED:
        raise DTypeMismatch(f"pad has no mode {mode!r}")
    for axis, (lo, hi) in enumerate(widths):
        if not (isinstance(lo, int) and isinstance(hi, int) and lo == hi == 0):
            size = b.shape(x)[axis]
            _require_inside(b, size, lo + hi, axis)
            place = on(b).sub(ramp(b, lo + size + hi), lo)
            x = b.gather(x, _CONTINUED[mode](on(b), place, size), axis=axis)
    return x


def _require_inside(b: Any, size: Any, added: Any, axis: int) -> None:
    """An error where an axis of no elements is continued."""
    message = f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'"
    if isinstance(size, int) and isinstance(added, int):
        if size == 0 and added > 0:
            raise ShapeMismatch(message)
    elif not is_positive(b, size):
        c = on(b)
        none = c.le(added, 0) if isinstance(size, int) else c.logical_or(c.gt(size, 0), c.le(added, 0))
        b.check(none, (), kind="ValueError", message=message)


def _cut(b: Any, x: Any, widths: Sequence[tuple[Any, Any]]) -> tuple[Any, list[tuple[Any, Any]]]:
    """x without the elements that negative widths take away, and the widths that remain to be added."""
    kept: list[tuple[Any, Any]] = []
    for axis, (lo, hi) in enumerate(widths):
        added = at_least(b, lo, 0), at_least(b, hi, 0)
        kept.append(added)
        if all(isinstance(w, int) and w >= 0 for w in (lo, hi)):
            continue
        start, length = added[0] - lo, b.shape(x)[axis] + (lo - added[0]) + (hi - added[1])
        message = "pad: negative widths cut away more elements than there are"
        if not isinstance(length, int):
            b.check(b.ge(length, 0), (), kind="ValueError", message=message)
        elif length < 0:
            raise ShapeMismatch(message)
        x = part(b, x, axis, start, length)
    return x, kept


def _mirrored(c: Any, place: Any, size: Any, edge: int) -> Any:
    """Places reflected at both ends; the end itself is repeated with `edge` = 1."""
    period = c.maximum((size - 1 + edge) * 2, 1)
    back = c.mod(place, period)
    return c.minimum(back, c.sub(c.sub(period, edge), back))


_CONTINUED = {
    "edge": lambda c, place, size: c.clamp(place, 0, size - 1),
    "replicate": lambda c, place, size: c.clamp(place, 0, size - 1),
    "wrap": lambda c, place, size: c.mod(place, size),
    "circular": lambda c, place, size: c.mod(place, size),
    "reflect": lambda c, place, size: _mirrored(c, place, size, 0),
    "symmetric": lambda c, place, size: _mirrored(c, place, size, 1),
}


@function("numpy pad", kinds=(), rank_0="array")
def pad_widths(b: Any, x: Operand, pad_width: Sizes, mode: str = "constant", constant_values: Operand = 0) -> Any:
    """NumPy's pad: widths are one number, one pair, or a pair per axis."""
    x = array(b, x)
    given = sizes_of(pad_width)
    pairs = [sizes_of(g) for g in given] if any(isinstance(g, tuple | list) for g in given) else [given]
    if len(pairs) not in (1, b.rank(x)) or len({len(p) for p in pairs}) != 1 or len(pairs[0]) not in (1, 2):
        raise ShapeMismatch(f"pad: these widths are no pair for each of {b.rank(x)} axes")
    pairs = [p * 2 if len(p) == 1 else p for p in pairs]
    pairs = pairs * b.rank(x) if len(pairs) == 1 else pairs
    for width in (width for pair in pairs for width in pair):
        message = "index can't contain negative values"
        if not isinstance(width, int):
            b.check(b.ge(width, 0), (), kind="ValueError", message=message)
        elif width < 0:
            raise ShapeMismatch(message)
    return padded(b, x, [(p[0], p[1]) for p in pairs], mode, constant_values)


@function(kinds=("function",))
def pad(b: Any, x: Operand, pad: Sizes, mode: str = "constant", value: Operand = 0) -> Any:
    """PyTorch's pad: widths before and after, the last axis first; negative ones cut, axes without widths stay.

    A pair for every axis, the first axis first, is NumPy's form and means the same as there, and so is one number.
    """
    x = array(b, x)
    if not isinstance(pad, tuple | list):
        pad = ((pad, pad),)
    if any(isinstance(width, tuple | list) for width in pad):
        return pad_widths(b, x, pad, mode, value)
    if len(pad) % 2 or len(pad) > 2 * b.rank(x):
        raise ShapeMismatch(f"pad: {len(pad)} numbers do not make pairs for {b.rank(x)} axes")
    pairs = [(pad[2 * k], pad[2 * k + 1]) for k in range(len(pad) // 2)]
    widths = [(0, 0)] * (b.rank(x) - len(pairs)) + pairs[::-1]
    return padded(b, x, widths, mode, value)


# -- grids and diagonals --------------------------------------------------------------------------------------


def _grid(b: Any, xs: Sequence[Any], indexing: str) -> tuple[Any, ...]:
    lines = [flat(b, array(b, x)) for x in xs]
    order = list(range(len(lines)))
    if indexing == "xy" and len(lines) > 1:
        order[0], order[1] = 1, 0
    shape = tuple(b.shape(lines[k])[0] for k in order)
    made: list[Any] = []
    for k, line in enumerate(lines):
        axis = order.index(k)
        column = b.reshape(line, (b.shape(line)[0], *(1,) * (len(shape) - 1 - axis)))
        made.append(b.broadcast(column, shape))
    return tuple(made)


@function("numpy meshgrid", kinds=())
def meshgrid_xy(b: Any, *xs: Operand, indexing: str = "xy") -> Any:
    """Coordinate arrays of a grid; NumPy's default exchanges the first two axes."""
    return _grid(b, xs, indexing)


@function(kinds=("function",))
def meshgrid(b: Any, *xs: Operand, indexing: str = "ij") -> Any:
    """Coordinate arrays of a grid."""
    return _grid(b, xs, indexing)


def _triangle(name: str, keeps: str) -> None:
    def triangle(b: Any, x: Operand, k: Size = 0, *, diagonal: Any = None) -> Any:
        x = array(b, x)
        shape, offset = b.shape(x), k if diagonal is None else diagonal
        axis = b.rank(x) - 1
        row, column = (b.iota(shape, axis=a, dtype=I64) for a in (axis - 1, axis))
        kept = getattr(b, keeps)(b.sub(column, row), offset)
        return b.select(kept, x, b.zeros_like(x))

    triangle.__name__ = name
    triangle.__doc__ = f"x with elements {'above' if name == 'tril' else 'below'} the k-th diagonal set to 0."
    function()(triangle)


_triangle("tril", "le")
_triangle("triu", "ge")


@function(kinds=LIBRARY)
def diagflat(b: Any, x: Operand, k: Size = 0) -> Any:
    """The matrix with the elements of x on its k-th diagonal."""
    x = flat(b, array(b, x))
    right = at_least(b, k, 0)
    down = right - k
    size = b.shape(x)[0] + right + down
    start = size * down + right
    return b.vwrite(b.full(0, (size, size), b.dtype(x)), x, start, (size + 1,))


@function("numpy diag", kinds=())
def diagonal_or_matrix(b: Any, x: Operand, k: Size = 0) -> Any:
    """The k-th diagonal of a matrix, or the matrix with a vector on its k-th diagonal."""
    x = array(b, x)
    if b.rank(x) not in (1, 2):
        raise ShapeMismatch("Input must be 1- or 2-d.")
    return diagflat(b, x, k) if b.rank(x) == 1 else diagonal(b, x, k)


@function()
def diff(b: Any, x: Operand, n: int = 1, axis: int = -1, prepend: Operand = None, append: Operand = None) -> Any:
    """Differences of neighbours along an axis, taken n times; `prepend` and `append` stand beside x (a number fills the
    other axes)."""
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    x = array(b, x)
    axis = one_axis(axis, b.rank(x))
    if prepend is not None or append is not None:
        edges = [None if e is None else _edge(b, e, x, axis) for e in (prepend, append)]
        x = concat(b, coerce.promote_operands(b, [e for e in (edges[0], x, edges[1]) if e is not None]), axis=axis)
    for _ in range(n):
        length = b.shape(x)[axis]
        length = at_least(b, length - 1, 0)
        difference = on(b).ne if b.dtype(x) == BOOL else on(b).sub
        x = difference(part(b, x, axis, 1, length), part(b, x, axis, 0, length))
    return x


def _edge(b: Any, values: Operand, x: Any, axis: int) -> Any:
    """Values to stand beside x along an axis."""
    values = array(b, values)
    beside = tuple(1 if k == axis else n for k, n in enumerate(b.shape(x)))
    return values if b.rank(values) else b.broadcast(values, beside)


# -- picking --------------------------------------------------------------------------------------------------


def checked_index(b: Any, index: Any, size: Any, axis: int) -> Any:
    """Integer indices that have been checked to be in range; in a graph they are counted from the front."""
    index = array(b, index)
    if not b.dtype(index).is_integer:
        raise DTypeMismatch(f"indices must be integers, not {b.dtype(index).numpy_name}")
    if not isinstance(b, Builder):
        _refuse_outside(b, index, size, axis)
        return index
    index = index if b.dtype(index) == I64 else b.cast(index, dtype=I64)
    axes = tuple(range(b.rank(index)))
    low, high = (b.fetch(fold(index, axes=axes), ()) for fold in (b.min, b.max))
    any_at_all = b.lt(high, low)
    size = size if not isinstance(size, int) else b.wrap(b.size(size))
    for end, fits in ((low, b.ge(low, b.neg(size))), (high, b.lt(high, size))):
        message = f"index {{0}} is out of bounds for axis {axis} with size {{1}}"
        b.check(b.logical_or(fits, any_at_all), (end, size), kind="IndexError", message=message)
    return b.select(b.lt(index, 0), on(b).add(index, size), index)


def _refuse_outside(b: Any, index: Any, size: int, axis: int) -> None:
    """`IndexError` for an eager index out of range."""
    if not count_of(b, index):
        return
    axes = tuple(range(b.rank(index)))
    for end in (int(b.min(index, axes=axes)), int(b.max(index, axes=axes))):
        if not -size <= end < size:
            raise IndexError(f"index {end} is out of bounds for axis {axis} with size {size}")


@function(kinds=("function", "method", "numpy"))
def take(b: Any, x: Operand, indices: Operand, axis: int | None = None) -> Any:
    """The parts of x that integer indices name along an axis (of the flattened array by default)."""
    x = array(b, x)
    if not b.dtype(array(b, indices)).is_integer:
        raise OfNumPyOnly(f"indices must be integers, not {b.dtype(array(b, indices)).numpy_name}")
    x, along = (flat(b, x), 0) if axis is None else (x, one_axis(axis, b.rank(x)))
    return b.gather(x, checked_index(b, indices, b.shape(x)[along], along), axis=along)


@function(kinds=TORCH)
def index_select(b: Any, x: Operand, dim: int, index: Operand) -> Any:
    """The parts of x that a vector of indices names along `dim`."""
    return take(b, x, index, dim)


def flat_places(b: Any, x: Any, index: Any, axis: int) -> Any:
    """For each element of `index`, shaped like x but for `axis`: the place in flattened x that it names."""
    strides, shape = b.strides_of(b.shape(x)), b.shape(index)
    if len(shape) != len(strides):
        raise ShapeMismatch(f"an index of {len(shape)} axes does not fit an array of {len(strides)}")
    for other, (have, limit) in enumerate(zip(shape, b.shape(x), strict=True)):
        if other != axis:
            at_most_size(
                b, have, limit, f"an index of size {{0}} along axis {other} does not fit an array of size {{1}}"
            )
    total = index if b.dtype(index) == I64 else b.cast(index, dtype=I64)
    size = b.shape(x)[axis]
    if not isinstance(b, Builder):
        total = b.select(b.lt(total, 0), total + size, total)
    total = on(b).mul(total, strides[axis])
    for other, stride in enumerate(strides):
        if other != axis:
            total = on(b).add(total, on(b).mul(b.iota(shape, axis=other, dtype=I64), stride))
    return total


@function(kinds=LIBRARY)
def take_along_axis(b: Any, x: Operand, indices: Operand, axis: int | None = -1) -> Any:
    """Elements of x named along an axis by an array of indices of x's rank."""
    x, index = array(b, x), array(b, indices)
    x, along = (flat(b, x), 0) if axis is None else (x, one_axis(axis, b.rank(x)))
    if b.rank(index) == b.rank(x):
        shape = tuple(n if i != along else b.shape(index)[along] for i, n in enumerate(b.shape(x)))
        index = stretched(b, index, shape, "take_along_axis: an index of size {0} does not fit an array of size {1}")
    return gathered(b, x, index, along)


def gathered(b: Any, x: Any, index: Any, along: int) -> Any:
    """Elements of x named along an axis; the index is checked."""
    index = checked_index(b, index, b.shape(x)[along], along)
    return b.gather(flat(b, x), flat_places(b, x, index, along), axis=0)


@function("function gather", "method gather", kinds=())
def gather_along(b: Any, x: Operand, dim: int, index: Operand) -> Any:
    """PyTorch's gather: elements named along `dim`; the index may be smaller than x along the other axes."""
    x = array(b, x)
    return gathered(b, x, array(b, index), one_axis(dim, b.rank(x)))


def at_most_size(b: Any, have: Any, limit: Any, text: str) -> None:
    """A size must not exceed another: an error now, or a check at run time. `{0}` and `{1}` in the text are the two."""
    if isinstance(have, int) and isinstance(limit, int):
        if have > limit:
            raise ShapeMismatch(text.format(have, limit))
    elif not b.same_size(have, limit):
        fits = b.ge(limit, have) if isinstance(have, int) else b.le(have, limit)
        b.check(fits, (have, limit), kind="ValueError", message=text)


def stretched(b: Any, value: Any, shape: Sequence[Any], text: str) -> Any:
    """A value in a shape, its axes of size 1 and those it lacks stretched; the others must agree (`{0}` and `{1}` in
    the text are the two sizes)."""
    own = b.shape(value)
    if len(own) > len(shape):
        raise ShapeMismatch(f"a value of {len(own)} axes does not fit {len(shape)} axes")
    for have, wanted in zip(own, shape[len(shape) - len(own) :], strict=True):
        if not (isinstance(have, int) and have == 1):
            agree(b, have, wanted, text)
    return coerce.broadcast_to(b, value, shape)


@function(kinds=("function",))
def one_hot(b: Any, x: Operand, num_classes: Size = -1) -> Any:
    """1 in the place that each integer names along a new last axis, 0 elsewhere; as many places as the largest integer
    needs where `num_classes` is negative. ValueError where one has no place."""
    x = array(b, x)
    if not b.dtype(x).is_integer:
        raise DTypeMismatch(f"one_hot takes integers, not {b.dtype(x).numpy_name}")
    x = on(b).cast(x, dtype=I64)
    axes = tuple(range(b.rank(x)))
    least, most = (b.fetch(fold(x, axes=axes), ()) for fold in (b.min, b.max))
    needed = on(b).add(on(b).maximum(most, -1), 1)
    if isinstance(num_classes, int):
        classes = needed if num_classes < 0 else num_classes
    else:
        classes = b.select(b.lt(num_classes, 0), needed, num_classes)
    b.check(on(b).ge(least, 0), (), kind="ValueError", message="one_hot: a negative number has no place")
    message = "one_hot: the number {0} is not among {1} classes"
    b.check(on(b).le(needed, classes), (most, classes), kind="ValueError", message=message)
    shape = (*b.shape(x), classes)
    wide = b.broadcast(b.reshape(x, (*b.shape(x), 1)), shape)
    return b.cast(b.eq(wide, b.iota(shape, axis=len(shape) - 1, dtype=I64)), dtype=I64)


@function("numpy flip", kinds=())
def flipped(b: Any, x: Operand, axis: Any = None) -> Any:
    """x with the order of elements reversed along axes (all by default)."""
    x = array(b, x)
    return b.flip(x, axes=axes_of(axis, b.rank(x)))
