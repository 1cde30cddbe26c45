"""NumPy functions that arrange elements: ranks, joins, insertions, triangles, block matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.written import Library, each, is_known, refuse, written

repeat_equally = Library("repeat")


@written(np.size)
def size(a: Any, axis: Any = None) -> Any:
    """The number of elements, or the size along an axis."""
    a = np.asarray(a)
    return a.size if axis is None else a.shape[axis]


@written(np.shape)
def shape(a: Any) -> Any:
    """The sizes along all axes."""
    return np.asarray(a).shape


@written(np.ndim)
def ndim(a: Any) -> Any:
    """The number of axes."""
    return np.asarray(a).ndim


@written(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    """Arrays with at least one axis."""
    made = tuple([np.asarray(x).reshape(1) if np.ndim(x) == 0 else np.asarray(x) for x in arys])
    return made[0] if len(made) == 1 else made


@written(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    """Arrays with at least two axes, new ones in front."""
    made = tuple([_row(np.asarray(x)) for x in arys])
    return made[0] if len(made) == 1 else made


def _row(x: Any) -> Any:
    if x.ndim == 0:
        return x.reshape(1, 1)
    return x[None, :] if x.ndim == 1 else x


@written(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    """Arrays with at least three axes."""
    made = tuple([_box(np.asarray(x)) for x in arys])
    return made[0] if len(made) == 1 else made


def _box(x: Any) -> Any:
    if x.ndim == 0:
        return x.reshape(1, 1, 1)
    if x.ndim == 1:
        return x[None, :, None]
    return x[:, :, None] if x.ndim == 2 else x


@written(np.rollaxis)
def rollaxis(a: Any, axis: Any, start: Any = 0) -> Any:
    """The axis moved in front of `start`."""
    axis = axis % a.ndim
    start = start + a.ndim if start < 0 else start
    return np.moveaxis(a, axis, start - 1 if axis < start else start)


@written(np.require)
def require(a: Any, dtype: Any = None, requirements: Any = None) -> Any:
    """The array in a dtype."""
    return np.asarray(a, dtype=dtype)


@written(np.astype)
def astype(x: Any, dtype: Any, /, *, copy: Any = True) -> Any:
    """The array in another dtype."""
    return x.astype(dtype)


@written(np.broadcast_shapes)
def broadcast_shapes(*args: Any) -> Any:
    """The common shape of arrays of given shapes."""
    held = np.zeros((), dtype=np.bool_)
    for sizes in args:
        held = held | np.zeros(sizes, dtype=np.bool_)
    return held.shape


@written(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    """The array with values behind it."""
    if axis is None:
        return np.concatenate((np.asarray(arr).reshape(-1), np.asarray(values).reshape(-1)))
    return np.concatenate((arr, values), axis=axis)


@written(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """The array with values before a place."""
    x = np.asarray(arr)
    if np.ndim(obj) != 0:
        refuse("np.insert takes one place in a script", "np.concatenate((x[:i], values, x[i:]))")
    lines = x.reshape(-1) if axis is None else np.moveaxis(x, axis, 0)
    n = lines.shape[0]
    if obj < -n or obj > n:
        raise IndexError(f"index {obj} is out of bounds for axis 0 with size {n}")
    at = obj + n if obj < 0 else obj
    new = np.asarray(values, dtype=x.dtype)
    if lines.ndim == 1:
        if new.ndim > 1 and new.size != 1:
            raise ValueError("could not broadcast input array into a vector")
        new = new.reshape(-1)
    elif new.ndim < lines.ndim:
        new = np.broadcast_to(new, (1,) + lines.shape[1:])
    elif axis is not None:
        new = np.moveaxis(new, axis, 0)
    made = np.concatenate((lines[:at], new, lines[at:]))
    return made if axis is None else np.moveaxis(made, 0, axis)


@written(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    """The array without the elements at a place, at places, or where a mask holds."""
    x = np.asarray(arr)
    lines = x.reshape(-1) if axis is None else np.moveaxis(x, axis, 0)
    if isinstance(obj, int | np.integer) and not isinstance(obj, bool):
        n = lines.shape[0]
        if obj < -n or obj >= n:
            raise IndexError(f"index {obj} is out of bounds for axis {0 if axis is None else axis} with size {n}")
        at = obj + n if obj < 0 else obj
        made = np.concatenate((lines[:at], lines[at + 1 :]))
    else:
        kept = np.ones(lines.shape[0], dtype=np.bool_)
        if isinstance(obj, slice):
            kept[obj] = False
        elif isinstance(obj, list | tuple):
            kept[np.asarray(obj) if len(obj) > 0 else np.zeros(0, dtype=int)] = False
        else:
            if np.asarray(obj).dtype == np.bool_ and np.shape(obj) != kept.shape:
                raise ValueError(
                    "boolean array argument obj to delete must be one dimensional and match the axis length"
                )
            kept[obj] = False
        made = lines[kept]
    return made if axis is None else np.moveaxis(made, 0, axis)


@written(np.tri)
def tri(N: Any, M: Any = None, k: Any = 0, dtype: Any = float) -> Any:
    """Ones at and below a diagonal."""
    columns = N if M is None else M
    return (np.arange(N)[:, None] >= np.arange(columns)[None, :] - k).astype(dtype)


@written(np.triu_indices)
def triu_indices(n: Any, k: Any = 0, m: Any = None) -> Any:
    """The places at and above a diagonal."""
    return np.nonzero(~tri(n, n if m is None else m, k - 1, np.bool_))


@written(np.tril_indices)
def tril_indices(n: Any, k: Any = 0, m: Any = None) -> Any:
    """The places at and below a diagonal."""
    return np.nonzero(tri(n, n if m is None else m, k, np.bool_))


@written(np.triu_indices_from)
def triu_indices_from(arr: Any, k: Any = 0) -> Any:
    """The places of a matrix at and above a diagonal."""
    return triu_indices(arr.shape[0], k, arr.shape[1])


@written(np.tril_indices_from)
def tril_indices_from(arr: Any, k: Any = 0) -> Any:
    """The places of a matrix at and below a diagonal."""
    return tril_indices(arr.shape[0], k, arr.shape[1])


@written(np.diag_indices)
def diag_indices(n: Any, ndim: Any = 2) -> Any:
    """The places of the main diagonal."""
    return tuple([np.arange(n) for _ in each(ndim)])


@written(np.diagflat)
def diagflat(v: Any, k: Any = 0) -> Any:
    """A matrix with the elements of v on a diagonal."""
    return np.diag(np.asarray(v).reshape(-1), k)


@written(np.trace, methods="trace")
def trace(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None, out: Any = None) -> Any:
    """The sum along a diagonal."""
    made = np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)
    if out is None:
        return made
    out[...] = made
    return out


@written(np.linalg.trace)
def trace_of_matrices(x: Any, /, *, offset: Any = 0, dtype: Any = None) -> Any:
    """The sum along a diagonal of the last two axes."""
    return np.trace(x, offset, -2, -1, dtype)


@written(np.linalg.diagonal)
def diagonal_of_matrices(x: Any, /, *, offset: Any = 0) -> Any:
    """A diagonal of the last two axes."""
    return np.diagonal(x, offset, -2, -1)


@written(np.block)
def block(arrays: Any) -> Any:
    """A matrix of blocks given by rows."""
    if not isinstance(arrays, list):
        return np.array(arrays)
    if not isinstance(arrays[0], list):
        return np.concatenate([np.atleast_1d(x) for x in arrays], axis=-1)
    return np.concatenate([np.concatenate([np.atleast_2d(x) for x in row], axis=-1) for row in arrays], axis=-2)


def linspace(start: Any, stop: Any, num: Any, endpoint: Any, retstep: Any, dtype: Any, axis: Any) -> Any:
    """`np.linspace` between arrays or complex numbers, along a new axis."""
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    start = np.asarray(start) if isinstance(start, list | tuple) else start
    stop = np.asarray(stop) if isinstance(stop, list | tuple) else stop
    common = np.result_type(start, stop, 1.0)
    start, stop = np.asarray(start).astype(common), np.asarray(stop).astype(common)
    apart = stop - start
    step = apart / max(num - 1 if endpoint else num, 1)
    places = np.arange(num).astype(common).reshape(-1, *[1 for _ in each(np.ndim(apart))])
    made = start + places * step
    if num > 1 and endpoint:
        made[-1] = stop
    if dtype is not None:
        made = (np.floor(made) if np.issubdtype(dtype, np.integer) else made).astype(dtype)
    made = np.moveaxis(made, 0, axis)
    if not retstep:
        return made
    gaps = num - 1 if endpoint else num
    if is_known(gaps):
        return made, step if gaps > 0 else np.nan
    return made, np.where(gaps > 0, step, np.nan)[()]


@written(np.geomspace)
def geomspace(start: Any, stop: Any, num: Any = 50, endpoint: Any = True) -> Any:
    """Numbers at equal ratios: the powers of 10 at equal steps, times the sign of the first, with exact ends."""
    if start == 0 or stop == 0:
        raise ValueError("Geometric sequence cannot include zero")
    common = np.result_type(np.asarray(start), np.asarray(stop), np.asarray(1.0))  # of 64 bits
    start, stop = np.asarray(start).astype(common)[()], np.asarray(stop).astype(common)[()]
    sign = np.sign(start)
    first, last = start / sign, stop / sign
    made = logspace(np.log10(first), np.log10(last), num, endpoint)
    if num > 0:
        made[0] = first
    if num > 1 and endpoint:
        made[-1] = last
    return made * sign


@written(np.logspace)
def logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: Any = True, base: Any = 10.0, dtype: Any = None, axis: Any = 0
) -> Any:
    """Powers of a base at equal steps of the exponent."""
    made = np.power(base, np.linspace(start, stop, num, endpoint=endpoint, axis=axis))
    return made if dtype is None else made.astype(dtype)


@written(np.fromfunction)
def fromfunction(function: Any, shape: Any, *, dtype: Any = float) -> Any:
    """A function of the places of an array of that shape."""
    places = np.indices(shape, dtype=dtype)
    return function(*[places[k] for k in each(len(shape))])


@written(np.fromiter)
def fromiter(iter: Any, dtype: Any, count: Any = -1) -> Any:
    """The items of an iterable as an array."""
    return np.array(list(iter), dtype=dtype)


@written(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """A function of vectors applied to every line along an axis."""
    arr = np.asarray(arr)
    if arr.ndim == 1:
        return np.asarray(func1d(arr, *args, **kwargs))
    lines = np.moveaxis(arr, axis, -1)
    rows = lines.reshape(-1, lines.shape[-1])
    results = np.array([func1d(row, *args, **kwargs) for row in rows])
    made = results.reshape(lines.shape[:-1] + results.shape[1:])
    return made if results.ndim == 1 else np.moveaxis(made, -1, axis)


@written(np.unstack)
def unstack(x: Any, /, *, axis: Any = 0) -> Any:
    """The parts along an axis, whose size is known when the function is compiled."""
    lines = np.moveaxis(np.asarray(x), axis, 0)
    return tuple([lines[k] for k in each(lines.shape[0])])


def _lines_of(a: Any, axis: Any) -> Any:
    """An array with that axis last; all elements with None."""
    return a.reshape(-1) if axis is None else np.moveaxis(a, axis, -1)


@written(np.packbits)
def packbits(a: Any, axis: Any = None, bitorder: Any = "big") -> Any:
    """Bits, eight to a byte, the first one highest (or lowest)."""
    a = np.asarray(a)
    if a.dtype.kind not in "biu":
        raise TypeError("Expected an input array of integer or boolean data type")
    bits = _lines_of(a, axis) != 0
    size = bits.shape[-1]
    count = (size + 7) // 8
    padded = np.zeros((*bits.shape[:-1], count * 8), dtype=np.uint8)
    padded[..., :size] = bits
    weights = np.array([128, 64, 32, 16, 8, 4, 2, 1] if bitorder == "big" else [1, 2, 4, 8, 16, 32, 64, 128], np.uint8)
    made = np.sum(padded.reshape(*bits.shape[:-1], count, 8) * weights, axis=-1).astype(np.uint8)
    return made if axis is None else np.moveaxis(made, -1, axis)


@written(np.unpackbits)
def unpackbits(a: Any, /, axis: Any = None, count: Any = None, bitorder: Any = "big") -> Any:
    """The bits of bytes, the highest (or lowest) first; `count` of them, or without the last -count."""
    a = np.asarray(a)
    if a.dtype != np.uint8:
        raise TypeError("Expected an input array of unsigned byte data type")
    lines = _lines_of(a, axis)
    places = np.array([7, 6, 5, 4, 3, 2, 1, 0] if bitorder == "big" else [0, 1, 2, 3, 4, 5, 6, 7], np.uint8)
    bits = ((lines[..., None] >> places) & 1).reshape(*lines.shape[:-1], lines.shape[-1] * 8)
    if count is not None:
        size = bits.shape[-1]
        if count < -size:
            raise ValueError(f"-ve count {-count} larger than number of elements")
        wanted = count if count >= 0 else size + count
        made = np.zeros((*bits.shape[:-1], wanted), dtype=np.uint8)
        made[..., : min(wanted, size)] = bits[..., : min(wanted, size)]
        bits = made
    return bits if axis is None else np.moveaxis(bits, -1, axis)


@written(np.apply_over_axes)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """A function of an array and an axis, for one axis after the other; axes that it takes away stay with size 1."""
    a = np.asarray(a)
    rank = a.ndim
    for axis in axes if np.ndim(axes) > 0 else (axes,):
        made = np.asarray(func(a, axis))
        a = made if made.ndim == rank else np.expand_dims(made, axis)
    return a


@written(methods="resize")
def resize(a: Any, *new_shape: Any, refcheck: Any = True) -> Any:
    """Arrays keep the size they were made with."""
    refuse("an array cannot be resized in a script", "np.concatenate, or a larger array from the start")


def across(line: Any, axis: Any, rank: Any) -> Any:
    """A vector along one axis of an array of that rank, the other axes of size 1."""
    return line.reshape(tuple([-1 if k == axis else 1 for k in each(rank)]))


@written(np.indices)
def indices(dimensions: Any, dtype: Any = int, sparse: Any = False) -> Any:
    """The places along every axis, for all elements of an array of that shape."""
    rank = len(dimensions)
    lines = [across(np.arange(dimensions[k], dtype=dtype), k, rank) for k in each(rank)]
    return tuple(lines) if sparse else np.stack([np.broadcast_to(line, tuple(dimensions)) for line in lines])


@written(np.meshgrid)
def meshgrid(*xi: Any, copy: Any = True, sparse: Any = False, indexing: Any = "xy") -> Any:
    """Coordinate arrays of the grid of vectors."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    rank = len(xi)
    swapped = indexing == "xy" and rank > 1
    order = [1 - k if swapped and k < 2 else k for k in each(rank)]
    lines = [across(np.asarray(xi[k]).reshape(-1), order[k], rank) for k in each(rank)]
    if sparse:
        return tuple(lines)
    full = tuple([np.size(xi[order[k]]) for k in each(rank)])
    return tuple([np.broadcast_to(line, full).copy() for line in lines])


@written(np.repeat, methods="repeat")
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    """Every element, or slice along an axis, several times; as often as `repeats` says for each."""
    x = np.asarray(a)
    if np.ndim(repeats) == 0:
        if repeats < 0:
            raise ValueError("negative dimensions are not allowed")
        return repeat_equally(x, repeats, axis)
    lines = x.reshape(-1) if axis is None else np.moveaxis(x, axis, 0)
    counts = np.asarray(repeats)
    if isinstance(repeats, np.ndarray) and not np.can_cast(counts.dtype, np.int64):
        raise TypeError(f"Cannot cast array data from {counts.dtype!r} to dtype('int64')")
    if np.any(counts < 0):
        raise ValueError("repeats may not contain negative values.")
    counts = np.broadcast_to(counts, (lines.shape[0],))
    ends = np.cumsum(counts)
    total = 0 if ends.size == 0 else ends[-1]
    made = lines[np.searchsorted(ends, np.arange(total), side="right")]
    return made if axis is None else np.moveaxis(made, 0, axis)


@written(np.split)
def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    """Views of the parts of an array: of equal size, or between places."""
    x = np.asarray(ary)
    axis = axis % x.ndim
    if isinstance(indices_or_sections, int | np.integer):
        n = x.shape[axis]
        if n % indices_or_sections != 0:
            raise ValueError("array split does not result in an equal division")
        size = n // indices_or_sections
        return [slice_along(x, axis, k * size, (k + 1) * size) for k in each(indices_or_sections)]
    return parts_between(x, axis, indices_or_sections)


@written(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    """Views of the parts of an array, of nearly equal size, or between places."""
    x = np.asarray(ary)
    axis = axis % x.ndim
    if isinstance(indices_or_sections, int | np.integer):
        if indices_or_sections <= 0:
            raise ValueError("number sections must be larger than 0.")
        n = x.shape[axis]
        size, extra = n // indices_or_sections, n % indices_or_sections
        starts = [k * size + min(k, extra) for k in each(indices_or_sections)] + [n]
        return [slice_along(x, axis, starts[k], starts[k + 1]) for k in each(indices_or_sections)]
    return parts_between(x, axis, indices_or_sections)


def slice_along(x: Any, axis: Any, start: Any, stop: Any) -> Any:
    """The part of an array between two places of an axis."""
    return np.moveaxis(np.moveaxis(x, axis, 0)[start:stop], 0, axis)


def parts_between(x: Any, axis: Any, places: Any) -> Any:
    """The parts of an array between places of an axis."""
    if is_known(len(places)):
        bounds = [0, *places, x.shape[axis]]
        return [slice_along(x, axis, bounds[k], bounds[k + 1]) for k in each(len(bounds) - 1)]
    stops = np.append(places, x.shape[axis])
    return [slice_along(x, axis, 0 if k == 0 else stops[k - 1], stops[k]) for k in range(stops.size)]


@written(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> Any:
    """Parts along the first axis."""
    if np.ndim(ary) < 2:
        raise ValueError("vsplit only works on arrays of 2 or more dimensions")
    return split(ary, indices_or_sections, 0)


@written(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> Any:
    """Parts along the second axis (of a vector, its only one)."""
    return split(ary, indices_or_sections, 0 if np.ndim(ary) == 1 else 1)


@written(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> Any:
    """Parts along the third axis."""
    if np.ndim(ary) < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return split(ary, indices_or_sections, 2)


@written(np.dstack)
def dstack(tup: Any) -> Any:
    """Arrays one behind the other along the third axis."""
    return np.concatenate([np.atleast_3d(x) for x in tup], axis=2)


@written(np.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """The last two axes exchanged."""
    return np.swapaxes(np.asarray(x), -1, -2)


@written(np.resize)
def repeated_into(a: Any, new_shape: Any) -> Any:
    """The elements of an array, again and again as needed, in another shape."""
    shape = new_shape if isinstance(new_shape, tuple | list) else (new_shape,)
    total = 1
    for n in shape:
        total = total * n
    flat = np.asarray(a).reshape(-1)
    if flat.size == 0:
        return np.zeros(shape, dtype=flat.dtype)
    return flat[np.arange(total) % flat.size].reshape(shape)
