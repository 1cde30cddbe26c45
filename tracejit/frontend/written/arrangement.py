"""NumPy functions that arrange elements: ranks, joins, insertions, triangles, block matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.written import written


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


@written(np.asfortranarray)
def asfortranarray(a: Any, dtype: Any = None) -> Any:
    """The array laid out by columns."""
    return np.array(np.asarray(a, dtype=dtype).T).T


@written(np.require)
def require(a: Any, dtype: Any = None, requirements: Any = None) -> Any:
    """The array in a dtype."""
    return np.asarray(a, dtype=dtype)


@written(np.astype)
def astype(x: Any, dtype: Any, /, *, copy: Any = True) -> Any:
    """The array in another dtype."""
    return x.astype(dtype)


@written(np.broadcast_arrays)
def broadcast_arrays(*args: Any) -> Any:
    """Arrays in their common shape."""
    arrays = [np.asarray(x) for x in args]
    full = arrays[0].shape
    for x in arrays[1:]:
        full = np.broadcast_shapes(full, x.shape)
    return tuple([np.broadcast_to(x, full) for x in arrays])


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
        raise NotImplementedError("np.insert in a script takes one place")
    lines = x.reshape(-1) if axis is None else np.moveaxis(x, axis, 0)
    n = lines.shape[0]
    if obj < -n or obj > n:
        raise IndexError(f"index {obj} is out of bounds for axis 0 with size {n}")
    at = obj + n if obj < 0 else obj
    new = np.asarray(values, dtype=x.dtype)
    if lines.ndim == 1:
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
    kept = np.ones(lines.shape[0], dtype=np.bool_)
    kept[np.asarray(obj) if isinstance(obj, list | tuple) else obj] = False
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
    return tuple([np.arange(n) for _ in range(ndim)])


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


@written(np.block)
def block(arrays: Any) -> Any:
    """A matrix of blocks given by rows."""
    if not isinstance(arrays, list):
        return np.atleast_2d(arrays)
    if not isinstance(arrays[0], list):
        return np.concatenate([np.asarray(x) for x in arrays], axis=-1)
    return np.concatenate([np.concatenate([np.asarray(x) for x in row], axis=-1) for row in arrays], axis=-2)


@written(np.geomspace)
def geomspace(start: Any, stop: Any, num: Any = 50, endpoint: Any = True) -> Any:
    """Numbers at equal ratios."""
    made = start * np.exp(np.linspace(0.0, np.log(stop / start), num, endpoint=endpoint))
    made[0] = start
    if endpoint:
        made[-1] = stop
    return made


@written(np.logspace)
def logspace(start: Any, stop: Any, num: Any = 50, endpoint: Any = True, base: Any = 10.0) -> Any:
    """Powers of a base at equal steps of the exponent."""
    return np.power(base, np.linspace(start, stop, num, endpoint=endpoint))


@written(np.fromfunction)
def fromfunction(function: Any, shape: Any, *, dtype: Any = float) -> Any:
    """A function of the places of an array of that shape."""
    places = np.indices(shape, dtype=dtype)
    return function(*[places[k] for k in range(len(shape))])


@written(np.fromiter)
def fromiter(iter: Any, dtype: Any, count: Any = -1) -> Any:
    """The items of an iterable as an array."""
    return np.array(list(iter), dtype=dtype)


@written(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: Any, arr: Any) -> Any:
    """A function of vectors applied to every line along an axis."""
    arr = np.asarray(arr)
    if arr.ndim == 1:
        return np.asarray(func1d(arr))
    lines = np.moveaxis(arr, axis, -1)
    rows = lines.reshape(-1, lines.shape[-1])
    results = np.array([func1d(row) for row in rows])
    made = results.reshape(lines.shape[:-1] + results.shape[1:])
    return made if results.ndim == 1 else np.moveaxis(made, -1, axis)


@written(np.unstack)
def unstack(x: Any, /, *, axis: Any = 0) -> Any:
    """The parts along an axis, whose size is known when the function is compiled."""
    lines = np.moveaxis(np.asarray(x), axis, 0)
    return tuple([lines[k] for k in range(lines.shape[0])])


@written(np.packbits)
def packbits(a: Any) -> Any:
    """Bits, eight to a byte, the first one highest."""
    bits = np.asarray(a).reshape(-1) != 0
    count = (bits.size + 7) // 8
    padded = np.zeros(count * 8, dtype=np.uint8)
    padded[: bits.size] = bits
    weights = np.array([128, 64, 32, 16, 8, 4, 2, 1], dtype=np.uint8)
    return np.sum(padded.reshape(-1, 8) * weights, axis=1).astype(np.uint8)
