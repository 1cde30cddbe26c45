"""Tensors that share memory, and what a write through one of them does to the history of the others.

A view knows its root (the tensor whose memory it shows) and a root its live views. A recorded write to a view is a
recorded write to its root; afterwards every view of the root is a recorded read of the root's new version. Reads and
writes are the ops `vread` and `vwrite`, whose offset and strides count elements of the root in C order.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tracejit.eager.tape import Node, OpNode, attach, is_recording
from tracejit.eager.tensor import Tensor, memory_owner, wrap
from tracejit.ir.opdef import REGISTRY


class Region(NamedTuple):
    """Which elements of a root a view shows, in elements of the root's C order."""

    offset: int
    strides: tuple[int, ...]
    lengths: tuple[int, ...]


def storage(array: Any) -> Any:
    """The array that owns the memory."""
    base = array.base
    return array if base is None or not hasattr(base, "dtype") else base


def note_alias(out: Tensor, sources: Sequence[Tensor]) -> bool:
    """If `out` shares memory with one of `sources`, enter it as a view. Whether it does."""
    owner = storage(out._data)
    for source in sources:
        if owner is storage(source._data):
            add_view(out, source)
            return True
    return False


def add_view(view: Tensor, source: Tensor) -> None:
    """Enter `view` as a view of `source` (and so of what `source` is a view of)."""
    root = source._root if source._root is not None else source
    view._root = root
    view._owner = memory_owner(source)
    views = root._views
    if views is None:
        root._views = [weakref.ref(view)]
        return
    views.append(weakref.ref(view))
    if len(views) & (len(views) - 1) == 0 and len(views) >= 8:
        root._views = [ref for ref in views if ref() is not None]


def live_views(root: Tensor) -> Iterator[Tensor]:
    """The views of a root that still exist."""
    for ref in root._views or ():
        view = ref()
        if view is not None:
            yield view


def region(root: Any, view: Any) -> Region:
    """The region of array `root` that array `view` shows; RuntimeError where no strides say it."""
    if root.dtype != view.dtype:
        raise RuntimeError("a view with another dtype (a real or imaginary part) was written in place")
    if 0 in view.shape:
        return Region(0, (0,) * view.ndim, view.shape)
    if root.flags.c_contiguous:
        item = root.itemsize
        strides = tuple(s // item if n > 1 else 0 for s, n in zip(view.strides, view.shape, strict=True))
        return Region((address(view) - address(root)) // item, strides, view.shape)
    return _region_by_places(root, view)


def address(array: Any) -> int:
    """The address of element 0."""
    return array.data.ptr if hasattr(array.data, "ptr") else array.__array_interface__["data"][0]


def _region_by_places(root: Any, view: Any) -> Region:
    """As `region`, for a root with gaps or in another order: number its elements and read what the view shows."""
    low = sum(min(0, s * (n - 1)) for s, n in zip(root.strides, root.shape, strict=True))
    high = sum(max(0, s * (n - 1)) for s, n in zip(root.strides, root.shape, strict=True))
    numbers = np.full((high - low) // root.itemsize + 1, -1, np.int64)
    scale = numbers.itemsize

    def shadow(array: Any) -> Any:
        start = (address(array) - address(root) - low) // root.itemsize
        steps = tuple(s // root.itemsize * scale for s in array.strides)
        return np.ndarray(array.shape, np.int64, numbers, start * scale, steps)

    shadow(root)[...] = np.arange(root.size).reshape(root.shape)
    places = shadow(view)
    offset = int(places[(0,) * view.ndim])
    strides = tuple(
        int(places[tuple(int(a == axis) for a in range(view.ndim))]) - offset if n > 1 else 0
        for axis, n in enumerate(view.shape)
    )
    steps = [np.arange(n) * s for n, s in zip(view.shape, strides, strict=True)]
    expected = offset + sum(np.ix_(*steps)) if steps else np.asarray(offset)
    if not np.array_equal(places, expected):
        raise RuntimeError(
            "a view was written in place that no strides over its base describe; write to the base instead"
        )
    return Region(offset, strides, view.shape)


class _LostView(Node):
    """The history of a view whose root was written in a way its strides cannot follow."""

    __slots__ = ("reason",)

    def __init__(self, root: Tensor, reason: str) -> None:
        super().__init__((root,))
        self.reason = reason

    def pull(self, cotangents: list[Any], create_graph: bool) -> Sequence[Any]:
        raise RuntimeError(self.reason)


def past(x: Tensor) -> Tensor:
    """A tensor that stands for x in a node which x will hold, so that the two do not keep each other alive: the same
    array and history, but memory of its own as far as versions go. A leaf that requires gradients stands for itself."""
    if x._requires_grad and x._grad_fn is None:
        return x
    stand_in = wrap(x._data)
    return stand_in if x._grad_fn is None else attach(stand_in, x._grad_fn, x._port)


def record_read(view: Tensor, source: Tensor, place: Region) -> Tensor:
    """Make `view` a recorded read of a region of `source`."""
    return attach(view, OpNode(REGISTRY["vread"], (past(source), *place), {}, (view._data,)))


def tensor_view(source: Tensor, array: Any, place: Region) -> Tensor:
    """The Tensor of `array`, a view that shows `place` of `source`; a recorded read of it where recording."""
    view = wrap(array)
    add_view(view, source)
    return record_read(view, source, place) if is_recording((source,)) else view


def write_history(target: Tensor, value: Tensor) -> None:
    """After a write of `value` into all of `target`: give target, root and views their new history."""
    root = target if target._root is None else target._root
    if target is root and value._requires_grad:
        _take_history(target, value)
    elif value._requires_grad or root._requires_grad:
        place = region(root._data, target._data)
        operands = (past(root), past(value), place.offset, place.strides)
        attach(root, OpNode(REGISTRY["vwrite"], operands, {}, (root._data,)))
    refresh_views(root)


def _take_history(target: Tensor, value: Tensor) -> None:
    target._grad_fn = value._grad_fn
    target._port = value._port
    target._requires_grad = value._requires_grad


def refresh_views(root: Tensor) -> None:
    """Make every live view a read of the root's present version."""
    for view in live_views(root):
        if not root._requires_grad:
            view._grad_fn, view._port, view._requires_grad = None, 0, False
            continue
        try:
            place = region(root._data, view._data)
        except RuntimeError as error:
            attach(view, _LostView(root, str(error)))
            continue
        record_read(view, root, place)
