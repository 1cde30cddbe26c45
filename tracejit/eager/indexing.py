"""Reading and writing by index: integers, slices, None, Ellipsis, integer arrays, boolean masks, as NumPy.

A basic index gives a view, recorded as `vread`; the others copy, recorded as `gather` or `mask_read`. Numbering the
elements and indexing the numbers reduces every mixture of index kinds to one `gather` or `scatter_set` of a flat axis.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import numpy as np

from tracejit.devices import module_of
from tracejit.eager.alias import Region, add_view, past, record_read, write_history
from tracejit.eager.apply import TENSORS, apply
from tracejit.eager.inplace import check_writable, fitted
from tracejit.eager.tape import is_recording
from tracejit.eager.tensor import Tensor, raw, wrap
from tracejit.eager.writes import note_write
from tracejit.ir.opdef import REGISTRY

_BASIC = (int, slice, type(None), EllipsisType)


def normalised(key: Any) -> tuple[Any, ...]:
    """An index as a tuple whose tensors are arrays; 0-d integers are ints, lists and ranges are arrays."""
    items = key if isinstance(key, tuple) else (key,)
    return tuple([_normalised_item(item) for item in items])


def _normalised_item(item: Any) -> Any:
    if isinstance(item, slice):
        return item if item == slice(None) else slice(*(_slice_bound(b) for b in (item.start, item.stop, item.step)))
    if isinstance(item, _BASIC):
        return item
    item = raw(item)
    if isinstance(item, list | tuple | range):
        item = np.asarray([raw(i) for i in item], dtype=None if len(item) else np.intp)
    if getattr(item, "ndim", None) == 0 and item.dtype.kind in "iu":
        return int(item)
    if hasattr(item, "dtype"):
        if item.dtype.kind not in "biu":
            raise IndexError(f"tensors of dtype {item.dtype} cannot be an index; use integers or truth values")
        return item
    try:
        return operator.index(item)
    except TypeError:
        raise IndexError(
            f"an index is made of integers, slices, None, Ellipsis, integer arrays and masks, not {type(item).__name__}"
        ) from None


def _slice_bound(bound: Any) -> int | None:
    return None if bound is None else operator.index(bound)


def is_basic(key: Sequence[Any]) -> bool:
    """Whether the index gives a view."""
    return all(isinstance(item, _BASIC) and not isinstance(item, bool) for item in key)


def basic_view(x: Tensor, key: tuple[Any, ...]) -> Any:
    """The array view that a basic index denotes (0-d for one element)."""
    return x._data[key if any(item is Ellipsis for item in key) else (*key, Ellipsis)]


def basic_region(shape: Sequence[int], key: Sequence[Any]) -> Region:
    """The region of an array of this shape that a basic index denotes; bounds have been checked."""
    steps: list[int] = []
    step = 1
    for size in reversed(shape):
        steps.append(step)
        step *= size
    steps.reverse()
    spare = len(shape) - sum(1 for item in key if item is not None and item is not Ellipsis)
    items: list[Any] = []
    for item in key if any(item is Ellipsis for item in key) else (*key, Ellipsis):
        items.extend([slice(None)] * spare if item is Ellipsis else [item])
    offset, axis = 0, 0
    strides: list[int] = []
    lengths: list[int] = []
    for item in items:
        if item is None:
            strides.append(0)
            lengths.append(1)
            continue
        if isinstance(item, slice):
            picked = range(*item.indices(shape[axis]))
            strides.append(picked.step * steps[axis])
            lengths.append(len(picked))
            offset += (picked.start if picked else 0) * steps[axis]
        else:
            offset += (item % shape[axis]) * steps[axis]
        axis += 1
    return Region(offset, tuple(strides), tuple(lengths))


def getitem(self: Tensor, key: Any) -> Tensor:
    """`x[key]`: a view for a basic index, else a copy."""
    key = normalised(key)
    if is_basic(key):
        out = wrap(basic_view(self, key))
        add_view(out, self)
        if is_recording((self,)):
            record_read(out, self, basic_region(self.shape, key))
        return out
    if not is_recording((self,)):
        picked = self._data[key]
        return wrap(picked if picked.flags.c_contiguous else picked.copy())
    if len(key) == 1 and not isinstance(key[0], bool) and key[0].dtype.kind == "b" and key[0].ndim:
        _check_mask(self, key[0])
        return apply(REGISTRY["mask_read"], (self, key[0]), {})[1]
    axis = _single_array_axis(key) if len(key) <= self.ndim else None
    if axis is not None:
        return TENSORS.gather(self, key[axis], axis=axis)
    places = numbered(self)[key]
    return TENSORS.gather(TENSORS.reshape(self, (self.size,)), places, axis=0)


def _check_mask(x: Tensor, mask: Any) -> None:
    if mask.shape != x.shape[: mask.ndim]:
        raise IndexError(f"a mask of shape {mask.shape} does not cover the leading axes of shape {x.shape}")


def _single_array_axis(key: Sequence[Any]) -> int | None:
    """The axis of the only integer array, where all other items are full slices."""
    arrays = [i for i, item in enumerate(key) if not isinstance(item, slice) or item != slice(None)]
    if len(arrays) != 1 or not hasattr(key[arrays[0]], "dtype") or key[arrays[0]].dtype.kind == "b":
        return None
    return arrays[0]


def numbered(x: Tensor) -> Any:
    """The C-order numbers of the tensor's elements, in its shape."""
    return module_of(x._data).arange(x.size).reshape(x.shape)


def setitem(self: Tensor, key: Any, value: Any) -> None:
    """`x[key] = value`; what an index array names twice takes the last value."""
    check_writable(self)
    key = normalised(key)
    if not is_recording((self, self._root, value)):
        self._data[key] = raw(value)
        note_write(self, basic_view(self, key) if is_basic(key) else self._data)
    elif is_basic(key):
        _set_view(self, key, value)
    else:
        _set_places(self, key, value)


def _set_view(x: Tensor, key: tuple[Any, ...], value: Any) -> None:
    target = wrap(basic_view(x, key))
    new = fitted(value, target)
    target._data[...] = new._data
    note_write(x, target._data)
    target._root = x if x._root is None else x._root
    write_history(target, new)


def _set_places(x: Tensor, key: tuple[Any, ...], value: Any) -> None:
    places = module_of(x._data).asarray(numbered(x)[key])
    target = wrap(module_of(x._data).empty(places.shape, x.dtype))
    new = fitted(value, target)
    line = TENSORS.scatter_set(TENSORS.reshape(past(x), (x.size,)), places, new, axis=0)
    result = TENSORS.reshape(line, x.shape)
    x._data[key] = new._data
    note_write(x, x._data)
    write_history(x, result)
