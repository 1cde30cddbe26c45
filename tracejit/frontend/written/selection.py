"""NumPy functions that choose, place or sort elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.written import Library, each, extended, refuse, written
from tracejit.frontend.written.arrangement import across
from tracejit.frontend.written.reductions import stored

is_tensor = Library("is_tensor")
parted, argparted = Library("numpy.partition"), Library("numpy.argpartition")


@written(np.choose, methods="choose")
def choose(a: Any, choices: Any, out: Any = None, mode: Any = "raise") -> Any:
    """Elements of the array that the integer in `a` names."""
    a = np.asarray(a)
    n = len(choices)
    if mode == "raise":
        if np.any((a < 0) | (a >= n)):
            raise ValueError("invalid entry in choice array")
    elif mode == "wrap":
        a = a % n
    else:
        a = np.clip(a, 0, n - 1)
    dtype = np.result_type(*[choices[k] for k in each(n)])
    last = np.asarray(choices[n - 1]).astype(dtype)
    made = np.where(a == n - 1, last, last)
    for k in reversed(each(n - 1)):
        made = np.where(a == k, np.asarray(choices[k]).astype(dtype), made)
    return stored(made[()], out)


@written(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Elements of the first choice whose condition holds."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if len(condlist) == 0:
        raise ValueError("select with an empty condition list is not possible")
    dtype = np.result_type(*choicelist, default)  # numbers of Python's take that of arrays
    made = np.asarray(default).astype(dtype)
    for k in reversed(each(len(condlist))):
        choice = np.asarray(choicelist[k])
        if not np.can_cast(choice.dtype, dtype, "same_kind"):
            raise TypeError(
                f"Cannot cast array data from {choice.dtype!r} to {dtype!r} according to the rule 'same_kind'"
            )
        made = np.where(condlist[k], choice.astype(dtype), made)
    return made


@written(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Functions or numbers, each where its condition holds; later ones win, an extra one is for the rest."""
    x = np.asarray(x)
    conditions = condlist if isinstance(condlist, list | tuple) else [condlist]
    made = np.zeros_like(x)
    if len(funclist) == len(conditions) + 1:
        rest = np.ones(x.shape, dtype=np.bool_)
        for cond in conditions:
            rest = rest & ~_condition(cond, x)
        made = np.where(rest, _piece(funclist[-1], x, args, kw), made)
    for k in each(len(conditions)):
        made = np.where(_condition(conditions[k], x), _piece(funclist[k], x, args, kw), made)
    return made


def _condition(cond: Any, x: Any) -> Any:
    """A mask of the first axes of an array, which has their sizes."""
    mask = np.asarray(cond)
    if mask.ndim == 0 or x.ndim == 0:
        return mask
    for k in each(mask.ndim):
        if mask.shape[k] != x.shape[k]:
            raise IndexError(
                f"boolean index did not match indexed array along axis {k}; size of axis is {x.shape[k]} but size of "
                f"corresponding boolean axis is {mask.shape[k]}"
            )
    return mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))


def _piece(function: Any, x: Any, args: Any, kw: Any) -> Any:
    """What one function gives, or one number, in x's dtype."""
    return np.asarray(function(x, *args, **kw) if callable(function) else function, dtype=x.dtype)


@extended("where")
def where(condition: Any) -> Any:
    """The places where the condition holds, one array per axis."""
    return np.nonzero(condition)


@extended("argsort")
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """The places in the order of their elements; every kind of sort here is stable."""
    if order is not None:
        refuse("fields of structured arrays are outside the language", "np.lexsort")
    return np.argsort(a, axis)


@extended("sort")
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """The elements in order; every kind of sort here is stable."""
    if order is not None:
        refuse("fields of structured arrays are outside the language", "np.lexsort")
    return np.sort(a, axis)


@extended("take")
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise") -> Any:
    """Elements by their places along an axis (of the flattened array with None)."""
    x = np.asarray(a)
    places = np.asarray(indices)
    if isinstance(indices, np.ndarray) and not np.can_cast(places.dtype, np.int64, "same_kind"):
        raise TypeError(f"Cannot cast array data from {places.dtype!r} to dtype('int64')")
    if places.dtype.kind not in "iu":
        places = places.astype(np.int64)  # those of lists, whatever they are
    places = _in_range(places, x.size if axis is None else x.shape[axis], mode)
    return stored(np.take(x, places[()], axis), out)


@extended("clip")
def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """The elements, those outside two bounds replaced by these."""
    low, high = min if a_min is None else a_min, max if a_max is None else a_max
    if low is None and high is None:
        if is_tensor(a):
            raise TypeError("clamp needs a lower bound, an upper bound or both")
        if np.asarray(a).dtype.kind == "b":
            raise TypeError("ufunc 'positive' has no loop for bools")
        return np.positive(a, out=out)
    made = np.clip(a, low, high)
    if out is None:
        return made
    out[...] = made
    return out


@extended("dot")
def dot(a: Any, b: Any, out: Any) -> Any:
    """The product, written into an array."""
    return stored(np.dot(a, b), out)


@extended("matmul")
def matmul(x1: Any, x2: Any, out: Any) -> Any:
    """The product, written into an array."""
    return stored(np.matmul(x1, x2), out)


@written(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """The elements where the condition holds."""
    return np.asarray(arr).reshape(-1)[np.flatnonzero(condition)]


@written(methods="compress")
def compress_method(a: Any, condition: Any, axis: Any = None) -> Any:
    """The slices along an axis where the condition holds."""
    return compress(condition, a, axis)


@written(np.compress)
def compress(condition: Any, a: Any, axis: Any = None) -> Any:
    """The slices along an axis where the condition holds."""
    held = np.asarray(condition) != 0
    if held.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    if axis is None:
        return a.reshape(-1)[np.flatnonzero(held)]
    return np.moveaxis(np.moveaxis(a, axis, 0)[np.flatnonzero(held)], 0, axis)


@written(np.place)
def place(arr: Any, mask: Any, vals: Any) -> Any:
    """`arr[mask] = vals`, the values repeated in order."""
    held = np.asarray(mask).reshape(-1) != 0
    values = np.asarray(vals, dtype=arr.dtype).reshape(-1)
    if held.size != arr.size:
        raise ValueError("place: mask and data must be the same size")
    if values.size == 0:
        if np.any(held):
            raise ValueError("Cannot insert from an empty array!")
        return
    order = np.cumsum(held) - 1
    flat = np.where(held, values[np.maximum(order, 0) % values.size], arr.reshape(-1))
    arr[...] = flat.reshape(arr.shape)


@written(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> Any:
    """`a[mask] = values[mask]`, the values repeated to the size of a; none change nothing."""
    new = np.asarray(values, dtype=a.dtype).reshape(-1)
    if new.size == 0:
        return
    new = new[np.arange(a.size) % new.size].reshape(a.shape)
    a[...] = np.where(np.asarray(mask) != 0, new, a)


@written(np.put, methods="put")
def put(a: Any, ind: Any, v: Any, mode: Any = "raise") -> Any:
    """Elements of the flattened array set, the values repeated in order."""
    places = _in_range(np.asarray(ind).reshape(-1), a.size, mode)
    values = np.asarray(v, dtype=a.dtype).reshape(-1)
    flat = a.reshape(-1).copy()
    flat[places] = values[np.arange(places.size) % values.size]
    a[...] = flat.reshape(a.shape)


def _in_range(places: Any, n: Any, mode: Any) -> Any:
    """Places wrapped or clipped as the mode says."""
    if mode == "wrap":
        return places % n
    return np.clip(places, 0, n - 1) if mode == "clip" else places


@written(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> Any:
    """Elements along an axis set by an array of places."""
    if axis is None:
        put(arr, indices, values)
        return
    axis = axis % arr.ndim
    wrapped = np.where(indices < 0, indices + arr.shape[axis], indices)
    if np.any((wrapped < 0) | (wrapped >= arr.shape[axis])):
        raise IndexError(f"index is out of bounds for axis {axis} with size {arr.shape[axis]}")
    full = tuple([wrapped.shape[k] if k == axis else arr.shape[k] for k in each(arr.ndim)])
    places = np.zeros(full, dtype=np.int64)
    stride = 1
    for k in reversed(each(arr.ndim)):
        line = wrapped if k == axis else across(np.arange(arr.shape[k]), k, arr.ndim)
        places = places + line * stride
        stride = stride * arr.shape[k]
    flat = arr.reshape(-1).copy()
    flat[places] = values
    arr[...] = flat.reshape(arr.shape)


@written(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: Any = False) -> Any:
    """The main diagonal set."""
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    for n in a.shape if a.ndim > 2 else ():
        if n != a.shape[0]:
            raise ValueError("All dimensions of input must be of equal length")
    if a.ndim == 2:
        rows, columns = a.shape
        n = min(rows, columns)
        if wrap and rows > columns:  # every (columns + 1)-th element, one row being left out each time
            n = (rows * columns + columns) // (columns + 1)
        places = np.arange(n)
        flat = places * (columns + 1)
        at = (flat // max(columns, 1), flat % max(columns, 1))
        if np.ndim(val) == 0:
            a[at] = val
        else:
            values = np.asarray(val).reshape(-1)
            a[at] = values[places % values.size]
    else:
        places = np.arange(a.shape[0])
        a[tuple([places for _ in each(a.ndim)])] = val


@written(np.copyto)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> Any:
    """Values written into an array, where a mask holds."""
    if isinstance(src, (np.ndarray, np.generic)) and not np.can_cast(src.dtype, dst.dtype, casting):
        raise TypeError(f"Cannot cast array data from {src.dtype} to {dst.dtype} according to the rule {casting!r}")
    if isinstance(where, bool) and where:
        dst[...] = src
    else:
        dst[...] = np.where(where, src, dst)


@written(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    """Whether two arrays are equal in their common shape."""
    a1, a2 = np.asarray(a1), np.asarray(a2)
    fits = True
    for k in each(min(a1.ndim, a2.ndim)):
        m, n = a1.shape[-1 - k], a2.shape[-1 - k]
        fits = fits and (m == n or m == 1 or n == 1)
    return bool(np.all(a1 == a2)) if fits else False


@written(np.partition)
def partition(a: Any, kth: Any, axis: Any = -1) -> Any:
    """The elements along an axis, those at places of the order where they belong."""
    _require_places(a, kth, axis)
    return parted(a, kth, axis)


@written(np.argpartition)
def argpartition(a: Any, kth: Any, axis: Any = -1) -> Any:
    """The places of the elements along an axis in such an order."""
    _require_places(a, kth, axis)
    return argparted(a, kth, axis)


def _require_places(a: Any, kth: Any, axis: Any) -> None:
    """An error where a place lies beyond the array."""
    n = np.size(a) if axis is None else np.shape(a)[axis]
    if np.size(a) == 0:
        return  # NumPy looks at no place
    for k in np.atleast_1d(kth):
        place = k + n if k < 0 else k
        if place < 0 or place >= n:
            raise ValueError(f"kth(={place}) out of bounds ({n})")


@written(np.lexsort)
def lexsort(keys: Any, axis: Any = -1) -> Any:
    """The places in the order of several keys, the last one first."""
    for k in each(len(keys))[1:]:
        if np.shape(keys[k]) != np.shape(keys[0]):
            raise ValueError("all keys need to be the same shape")
    order = np.argsort(keys[0], axis, kind="stable")
    for k in each(len(keys))[1:]:
        key = np.take_along_axis(np.asarray(keys[k]), order, axis)
        order = np.take_along_axis(order, np.argsort(key, axis, kind="stable"), axis)
    return order


@written(np.diag_indices_from)
def diag_indices_from(arr: Any) -> Any:
    """The places of the diagonal of an array whose axes have one size."""
    if arr.ndim < 2:
        raise ValueError("input array must be at least 2-d")
    for k in each(arr.ndim):
        if arr.shape[k] != arr.shape[0]:
            raise ValueError("All dimensions of input must be of equal length")
    return np.diag_indices(arr.shape[0], arr.ndim)


@written(np.mask_indices)
def mask_indices(n: Any, mask_func: Any, k: Any = 0) -> Any:
    """The places where a function like `np.triu` leaves a matrix of ones."""
    return np.nonzero(mask_func(np.ones((n, n), dtype=np.int64), k) != 0)


@written(np.asarray_chkfinite)
def asarray_chkfinite(a: Any, dtype: Any = None, order: Any = None) -> Any:
    """An array of finite numbers, ValueError else."""
    a = np.asarray(a, dtype=dtype, order=order)
    if a.dtype.kind in "fc" and not np.isfinite(a).all():
        raise ValueError("array must not contain infs or NaNs")
    return a


@written(np.trim_zeros)
def trim_zeros(filt: Any, trim: Any = "fb") -> Any:
    """The vector without zeros at its ends."""
    if np.ndim(filt) > 1:
        refuse("np.trim_zeros takes vectors in a script", "np.nonzero and slices of your own")
    places = np.flatnonzero(filt)
    if places.size == 0:
        return filt[:0]
    first = places[0] if "f" in trim or "F" in trim else 0
    last = places[-1] + 1 if "b" in trim or "B" in trim else filt.size
    return filt[first:last]


@extended("isin")
def isin(element: Any, test_elements: Any, assume_unique: Any = False, invert: Any = False, *, kind: Any = None) -> Any:
    """Whether each element is one of the values, or (`invert`) is none."""
    found = np.isin(element, test_elements)
    return np.asarray(~found) if invert else found


@extended("searchsorted")
def searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    """The places among values that `sorter` puts in order."""
    if np.size(sorter) != np.size(a):
        raise ValueError("sorter.size must equal a.size")
    return np.searchsorted(np.asarray(a)[sorter], v, side)


@written(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    """The values that are in one of two arrays, in order."""
    return np.unique(np.concatenate((np.asarray(ar1).reshape(-1), np.asarray(ar2).reshape(-1))))


@written(np.intersect1d)
def intersect1d(ar1: Any, ar2: Any, assume_unique: Any = False) -> Any:
    """The values that are in both arrays, in order."""
    values = np.unique(ar1)
    return values[np.isin(values, ar2)].astype(np.result_type(values, np.asarray(ar2)))


@written(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: Any = False) -> Any:
    """The values that are in the first array only."""
    values = np.asarray(ar1).reshape(-1) if assume_unique else np.unique(ar1)
    return values[~np.isin(values, ar2)]


@written(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: Any = False) -> Any:
    """The values that are in one of the arrays only, in order."""
    first, second = np.unique(ar1), np.unique(ar2)
    return np.sort(np.concatenate((first[~np.isin(first, second)], second[~np.isin(second, first)])))


@written(np.unique_values)
def unique_values(x: Any) -> Any:
    """The values in order, each once."""
    return np.unique(x)


@written(np.ix_)
def ix_(*args: Any) -> Any:
    """Index arrays for a grid of rows and columns."""
    return tuple([across(_places(args[k]), k, len(args)) for k in each(len(args))])


def _places(x: Any) -> Any:
    """Places given as such or by a mask."""
    places = np.asarray(x)
    if places.ndim != 1:
        raise ValueError("Cross index must be 1 dimensional")
    return np.flatnonzero(places) if places.dtype == np.bool_ else places


@written(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: Any = "C") -> Any:
    """The places of a flat index along every axis."""
    sizes = shape if isinstance(shape, tuple | list) else (shape,)
    total = 1
    for n in sizes:
        total = total * n
    if np.any((np.asarray(indices) < 0) | (np.asarray(indices) >= total)):
        raise ValueError(f"index is out of bounds for array with size {total}")
    if np.asarray(indices).dtype.kind not in "iu":
        raise TypeError("only int indices permitted")
    rest = np.asarray(indices).astype(np.int64)[()]
    made = ()
    for k in each(len(sizes)):
        n = sizes[len(sizes) - 1 - k] if order == "C" else sizes[k]
        made = (rest % n, *made) if order == "C" else (*made, rest % n)
        rest = rest // n
    return made


@written(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any) -> Any:
    """The flat index of places along every axis."""
    made = np.asarray(multi_index[0])[()]
    for k in each(len(dims)):
        if np.any((np.asarray(multi_index[k]) < 0) | (np.asarray(multi_index[k]) >= dims[k])):
            raise ValueError("invalid entry in coordinates array")
        if k > 0:
            made = made * dims[k] + multi_index[k]
    return made


# -- methods of arrays that are no function ------------------------------------------------------------------


@written(methods="sort")
def sort_in_place(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """The elements put in order along an axis."""
    a[...] = np.sort(a, axis=axis)


@written(methods="partition")
def partition_in_place(a: Any, kth: Any, axis: Any = -1) -> Any:
    """The elements put in order along an axis."""
    a[...] = partition(a, kth, axis)


@written(methods="argpartition")
def argpartition_of(a: Any, kth: Any, axis: Any = -1) -> Any:
    """The places in the order of their elements."""
    return argpartition(a, kth, axis)
