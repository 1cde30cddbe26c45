"""Shapes: views where NumPy gives views, joining and splitting.

A view shares memory with its tensor and is recorded as an op on it; a write through either is seen by both.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracejit.devices import module_of
from tracejit.eager.alias import add_view, record_read, region
from tracejit.eager.apply import TENSORS, builder_for
from tracejit.eager.arguments import as_tensor, axes_of, axis_of, sizes_of, spelled
from tracejit.eager.creation import sizes
from tracejit.eager.indexing import getitem
from tracejit.eager.library import functions
from tracejit.eager.tape import is_recording
from tracejit.eager.tensor import Tensor, raw, wrap
from tracejit.ops import coerce

# -- one shape for another --------------------------------------------------------------------------------------


@spelled
def reshape(x: Any, *sizes: Any, shape: Any = None, copy: bool | None = None) -> Tensor:
    """The same elements in C order under another shape, in which one size may be -1; a view where memory allows, or by
    `copy` always a copy, or (False) never one: ValueError where memory does not allow a view."""
    x = as_tensor(x)
    result = TENSORS.reshape(x, sizes_of(sizes if shape is None else (shape,), x.size))
    if copy is None or (not copy and module_of(x._data).may_share_memory(result._data, x._data)) or not x.size:
        return result
    if not copy:
        raise ValueError(f"a tensor of shape {x.shape} and strides {x.strides} has no view of shape {result.shape}")
    return result.clone()


def view(self: Tensor, *shape: Any, size: Any = None) -> Tensor:
    """As `reshape`, but only as a view: a RuntimeError where memory does not allow it."""
    target = sizes_of(shape if size is None else (size,), self.size)
    result = TENSORS.reshape(self, target)
    if self.size and not module_of(self._data).may_share_memory(result._data, self._data):
        raise RuntimeError(
            f"a tensor of shape {self.shape} and strides {self.strides} cannot be viewed as {target}; "
            "use reshape(), or contiguous() first"
        )
    return result


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Join the axes from start_dim to end_dim."""
    x = as_tensor(x)
    if x.ndim == 0:
        return TENSORS.reshape(x, (1,))
    start, end = axis_of(start_dim, x.ndim), axis_of(end_dim, x.ndim)
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    joined = int(np.prod(x.shape[start : end + 1]))
    return TENSORS.reshape(x, (*x.shape[:start], joined, *x.shape[end + 1 :]))


def ravel(x: Any) -> Tensor:
    """All elements in C order along one axis."""
    return flatten(x)


@spelled
def unflatten(x: Any, dim: int, shape: Sequence[int]) -> Tensor:
    """Split one axis into several, in which one size may be -1."""
    x = as_tensor(x)
    axis = axis_of(dim, x.ndim)
    return TENSORS.reshape(x, (*x.shape[:axis], *sizes_of((shape,), x.shape[axis]), *x.shape[axis + 1 :]))


def squeeze(x: Any, axis: Any = None, *, dim: Any = None) -> Tensor:
    """Without axes of size 1: all of them, or those named (named ones of another size stay)."""
    x = as_tensor(x)
    axis = dim if axis is None else axis
    named = axes_of(axis, x.ndim)
    dropped = [a for a in named if x.shape[a] == 1]
    return TENSORS.reshape(x, tuple(n for a, n in enumerate(x.shape) if a not in dropped))


@spelled
def unsqueeze(x: Any, axis: Any) -> Tensor:
    """With new axes of size 1 at these places of the result."""
    x = as_tensor(x)
    count = len(axis) if isinstance(axis, tuple | list) else 1
    places = axes_of(axis, x.ndim + count)
    old = iter(x.shape)
    return TENSORS.reshape(x, tuple(1 if a in places else next(old) for a in range(x.ndim + count)))


@spelled
def expand_dims(x: Any, axis: Any = 0) -> Tensor:
    """With new axes of size 1 at these places of the result."""
    return unsqueeze(x, axis)


# -- order of axes ------------------------------------------------------------------------------------------------


def _permuted(x: Tensor, perm: Sequence[int]) -> Tensor:
    return TENSORS.transpose(x, perm=tuple(perm))


def permute(x: Any, *order: Any, dims: Any = None, axes: Any = None) -> Tensor:
    """Axis i of the result is axis order[i] (or dims[i], axes[i])."""
    x = as_tensor(x)
    given = next((d for d in (dims, axes) if d is not None), order[0] if len(order) == 1 else order)
    perm = [axis_of(d, x.ndim) for d in (given if isinstance(given, tuple | list) else (given,))]
    if sorted(perm) != list(range(x.ndim)):
        raise ValueError(f"{given} does not permute {x.ndim} axes")
    return _permuted(x, perm)


permute_dims = permute


def transpose(x: Any, *axes: Any, dim0: int | None = None, dim1: int | None = None) -> Tensor:
    """PyTorch's `transpose(dim0, dim1)` exchanges two axes; NumPy's reverses all axes, or takes a whole permutation."""
    axes = (*axes, *(axis for axis in (dim0, dim1) if axis is not None))
    x = as_tensor(x)
    if not axes or axes == (None,):
        return _permuted(x, range(x.ndim)[::-1])
    if len(axes) == 1 and isinstance(axes[0], tuple | list):
        return permute(x, *axes)
    return swapaxes(x, *axes) if len(axes) == 2 else permute(x, *axes)


def swapaxes(x: Any, i: int, j: int) -> Tensor:
    """With two axes exchanged."""
    x = as_tensor(x)
    perm = list(range(x.ndim))
    i, j = axis_of(i, x.ndim), axis_of(j, x.ndim)
    perm[i], perm[j] = perm[j], perm[i]
    return _permuted(x, perm)


def movedim(x: Any, source: Any, destination: Any) -> Tensor:
    """With the source axes at the destinations; the others keep their order."""
    x = as_tensor(x)
    sources = [axis_of(a, x.ndim) for a in (source if isinstance(source, tuple | list) else (source,))]
    targets = [axis_of(a, x.ndim) for a in (destination if isinstance(destination, tuple | list) else (destination,))]
    if len(sources) != len(targets) or len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
        raise ValueError(f"movedim: {source} and {destination} do not pair off distinct axes")
    order = [a for a in range(x.ndim) if a not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return _permuted(x, order)


def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """With the source axes at the destinations; the others keep their order."""
    return movedim(x, source, destination)


# -- parts and windows as views -------------------------------------------------------------------------------------


def narrow(x: Any, dim: int, start: int, length: int) -> Tensor:
    """`length` elements from `start` on along one axis, as a view."""
    x = as_tensor(x)
    axis = axis_of(dim, x.ndim)
    start, length = operator.index(start), operator.index(length)
    start = start + x.shape[axis] if start < 0 else start
    if length < 0 or not 0 <= start <= start + length <= x.shape[axis]:
        raise IndexError(f"narrow: {length} elements from {start} on do not fit axis {dim} of size {x.shape[axis]}")
    return getitem(x, (slice(None),) * axis + (slice(start, start + length),))


def select(x: Any, dim: int, index: int) -> Tensor:
    """One place along an axis, which goes away; a view."""
    x = as_tensor(x)
    return getitem(x, (slice(None),) * axis_of(dim, x.ndim) + (operator.index(index),))


def flip(x: Any, *axes: Any, axis: Any = None, dims: Any = None) -> Tensor:
    """With the order of elements reversed along axes (all by default), as a view."""
    x = as_tensor(x)
    given = axes[0] if len(axes) == 1 else axes or (dims if axis is None else axis)
    return TENSORS.flip(x, axes=axes_of(given, x.ndim))


def _strided(x: Tensor, shown: Any) -> Tensor:
    """A view of x given as an array that shares its memory, recorded as `vread`."""
    out = wrap(shown)
    add_view(out, x)
    if is_recording((x,)):
        record_read(out, x, region(x._data, shown))
    return out


def diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements at i, i + offset of two axes, as a view whose last axis they are."""
    x = as_tensor(x)
    first, second = axis_of(dim1, x.ndim), axis_of(dim2, x.ndim)
    if first == second:
        raise ValueError("diagonal needs two different axes")
    shown = module_of(x._data).diagonal(x._data, offset, first, second)
    if isinstance(shown, np.ndarray):
        shown.flags.writeable = x._data.flags.writeable
    return _strided(x, shown)


@spelled
def diag(x: Any, k: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with this diagonal."""
    x = as_tensor(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"diag takes one or two axes, got shape {x.shape}")
    n = x.shape[0] + abs(k)
    rows = np.arange(x.shape[0]) + max(-k, 0)
    columns = np.arange(x.shape[0]) + max(k, 0)
    zero = builder_for((x,)).full(0, (n * n,), TENSORS.dtype(x))
    return TENSORS.reshape(TENSORS.scatter_set(zero, rows * n + columns, x, axis=0), (n, n))


def unfold(x: Any, dimension: int, size: int, step: int) -> Tensor:
    """All windows of `size` elements along an axis, `step` apart; the window is a new last axis. A view."""
    x = as_tensor(x)
    axis = axis_of(dimension, x.ndim)
    if not 0 < size <= x.shape[axis] or step < 1:
        raise ValueError(f"unfold: windows of {size} every {step} do not fit axis {dimension} of size {x.shape[axis]}")
    windows = module_of(x._data).lib.stride_tricks.sliding_window_view(x._data, size, axis, writeable=True)
    return _strided(x, windows[(slice(None),) * axis + (slice(None, None, step),)])


def expand(self: Tensor, *shape: Any, size: Any = None) -> Tensor:
    """Stretched to a shape (-1 keeps a size); a view that cannot be written."""
    if size is not None:
        shape = (size,)
    if len(shape) == 1 and not hasattr(shape[0], "__index__"):
        shape = tuple(shape[0])
    lead = len(shape) - self.ndim
    if lead < 0:
        raise ValueError(f"expand: shape {tuple(shape)} has fewer axes than {self.shape}")
    target = [self.shape[i - lead] if n == -1 and i >= lead else operator.index(n) for i, n in enumerate(shape)]
    return broadcast_to(self, target)


@spelled
def broadcast_to(x: Any, shape: Any) -> Tensor:
    """Stretched to a shape by NumPy's rules; a view that cannot be written."""
    return TENSORS.broadcast(as_tensor(x), sizes((shape,) if not hasattr(shape, "__index__") else shape))


def broadcast_tensors(*xs: Any) -> tuple[Tensor, ...]:
    """The tensors in their common shape."""
    tensors = [as_tensor(x) for x in xs]
    shape = np.broadcast_shapes(*[t.shape for t in tensors])
    return tuple(broadcast_to(t, shape) for t in tensors)


# -- joining and splitting --------------------------------------------------------------------------------------------


def _promoted(xs: Sequence[Any], what: str) -> list[Tensor]:
    tensors = [as_tensor(x) for x in xs]
    if not tensors:
        raise ValueError(f"need at least one tensor to {what}")
    return [as_tensor(x) for x in coerce.promote_operands(TENSORS, tensors)]


@spelled
def cat(tensors: Sequence[Any], axis: int | None = 0) -> Tensor:
    """Tensors joined along an axis; their other sizes are equal. None joins all elements."""
    parts = _promoted(tensors, "concatenate")
    if axis is None:
        parts, axis = [flatten(p) for p in parts], 0
    if any(p.ndim == 0 for p in parts):
        raise ValueError("zero-dimensional tensors cannot be concatenated")
    if any(p.ndim != parts[0].ndim for p in parts):
        raise ValueError(f"tensors to concatenate need equal numbers of axes, got shapes {[p.shape for p in parts]}")
    place = axis_of(axis, parts[0].ndim)
    rest = {p.shape[:place] + p.shape[place + 1 :] for p in parts}
    if len(rest) > 1:
        raise ValueError(f"shapes {[p.shape for p in parts]} differ outside axis {place}")
    return TENSORS.cat(sum(p.shape[place] for p in parts), parts, axis=place)


@spelled
def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis."""
    parts = _promoted(tensors, "stack")
    if any(p.shape != parts[0].shape for p in parts):
        raise ValueError(f"tensors to stack need one shape, got {[p.shape for p in parts]}")
    return cat([unsqueeze(p, axis) for p in parts], axis)


def hstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors joined along axis 1 (axis 0 of vectors)."""
    parts = [flatten(t) if as_tensor(t).ndim == 0 else as_tensor(t) for t in tensors]
    return cat(parts, 0 if parts and parts[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors joined along axis 0; vectors are rows."""
    return cat([reshape(t, 1, -1) if as_tensor(t).ndim < 2 else as_tensor(t) for t in tensors], 0)


@spelled
def split(x: Any, split_size_or_sections: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive parts along an axis: of one size (the last may be smaller), or of the sizes in a list."""
    x = as_tensor(x)
    place = axis_of(axis, x.ndim)
    total = x.shape[place]
    if isinstance(split_size_or_sections, tuple | list):
        lengths = [operator.index(n) for n in split_size_or_sections]
        if sum(lengths) != total:
            raise ValueError(f"split: sizes {lengths} do not add up to {total}")
    else:
        size = operator.index(split_size_or_sections)
        if size < 1:
            raise ValueError("split: the size of a part is at least 1")
        lengths = [min(size, total - start) for start in range(0, total, size)] or [0]
    starts = np.cumsum([0, *lengths]).tolist()
    return tuple(narrow(x, place, start, n) for start, n in zip(starts, lengths, strict=False))


@spelled
def chunk(x: Any, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
    """Views of at most `chunks` consecutive parts of equal size (the last may be smaller)."""
    x = as_tensor(x)
    if chunks < 1:
        raise ValueError("chunk: the number of parts is at least 1")
    total = x.shape[axis_of(axis, x.ndim)]
    return split(x, max(-(-total // chunks), 1), axis)


@spelled
def unbind(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """Views of every place along an axis, which goes away."""
    x = as_tensor(x)
    return tuple(select(x, axis, i) for i in range(x.shape[axis_of(axis, x.ndim)]))


# -- repeating and padding: the forms that scripts do not share ------------------------------------------------


def tile(x: Any, *reps: Any, dims: Any = None) -> Tensor:
    """The tensor repeated as a block along each axis; counts are separate or one tuple."""
    given = reps if dims is None else (dims,)
    return functions()["tile"](as_tensor(x), sizes(given) if given else None)


@spelled
def repeat_interleave(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element repeated along an axis, all equally often or as often as a list says."""
    x = as_tensor(x)
    if axis is None:
        x, axis = flatten(x), 0
    place = axis_of(axis, x.ndim)
    counts = np.broadcast_to(np.asarray(raw(repeats)), (x.shape[place],))
    return TENSORS.gather(x, np.repeat(np.arange(x.shape[place]), counts), axis=place)


@spelled
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """NumPy's `repeat`: each element repeated along an axis. (The method `x.repeat(...)` is PyTorch's `tile`.)"""
    return repeat_interleave(x, repeats, axis)


@spelled
def pad(x: Any, pad: int | Sequence[Any], mode: str = "constant", value: Any = 0) -> Tensor:
    """PyTorch's `pad`: pairs (before, after) from the last axis backward; negative ones cut. Filled with `value`.

    A pair for every axis, the first axis first, is NumPy's form, and so is one number for all sides.
    """
    pad = pad if isinstance(pad, tuple | list) else ((pad, pad),)
    index = operator.index
    widths = tuple(tuple(map(index, w)) if isinstance(w, tuple | list) else index(w) for w in pad)
    return functions()["pad"](as_tensor(x), widths, mode, value)


def cartesian_prod(*xs: Any) -> Tensor:
    """All combinations of elements of vectors, as rows."""
    if len(xs) == 1:
        return as_tensor(xs[0])
    return stack([flatten(g) for g in functions()["meshgrid"](*xs)], 1)


def matrix_transpose(x: Any) -> Tensor:
    """The last two axes exchanged, as a view."""
    x = as_tensor(x)
    if x.ndim < 2:
        raise ValueError(f"matrix_transpose needs two axes or more, got shape {x.shape}")
    return swapaxes(x, -1, -2)


def t(x: Any) -> Tensor:
    """PyTorch's `t`: a matrix transposed; vectors and numbers as they are."""
    x = as_tensor(x)
    if x.ndim > 2:
        raise ValueError(f"t() takes at most two axes, got shape {x.shape}")
    return swapaxes(x, 0, 1) if x.ndim == 2 else x


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of another tensor."""
    return expand(self, other.shape)


def view_as(self: Tensor, other: Tensor) -> Tensor:
    """`view` in the shape of another tensor."""
    return view(self, other.shape)


def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """`reshape` to the shape of another tensor."""
    return reshape(self, other.shape)


FUNCTIONS = {
    f.__name__: f
    for f in (
        *(reshape, flatten, ravel, unflatten, squeeze, unsqueeze, expand_dims, permute, transpose, swapaxes, movedim),
        *(moveaxis, narrow, select, flip, diagonal, diag, broadcast_to, broadcast_tensors, cat, stack, hstack, vstack),
        *(split, chunk, unbind, tile, repeat_interleave, repeat, pad, cartesian_prod, matrix_transpose, t),
    )
} | {
    "broadcast_arrays": broadcast_tensors,
    "unstack": unbind,
    "expand": expand,
    "concat": cat,
    "concatenate": cat,
    "permute_dims": permute,
    "unfold": unfold,
}
METHODS = {
    name: FUNCTIONS[name]
    for name in (
        *("reshape", "flatten", "ravel", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "swapaxes"),
        *("movedim", "moveaxis", "narrow", "select", "flip", "diagonal", "diag", "unfold", "split", "chunk", "unbind"),
        *("tile", "repeat_interleave", "broadcast_to", "t"),
    )
} | {
    "expand_as": expand_as,
    "view_as": view_as,
    "reshape_as": reshape_as,
    "view": view,
    "expand": expand,
    "repeat": tile,
}
#: Functions whose NumPy namesake does the same with the same arguments.
NUMPY_NAMES = (
    *("reshape", "ravel", "squeeze", "expand_dims", "transpose", "swapaxes", "moveaxis", "flip", "diagonal", "diag"),
    *("broadcast_to", "concatenate", "stack", "hstack", "vstack", "repeat"),
)
