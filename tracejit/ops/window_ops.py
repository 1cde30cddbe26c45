"""Windows that slide over the last axes of an array as columns of a matrix, and the columns added back.

The elements of a window are `dilation` apart, the windows `stride` from each other: tuples of ints with one entry per
axis. Padding is there already.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from tracejit.errors import ShapeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Pointwise, Sample
from tracejit.ir.types import NUMERIC, TensorType, Type
from tracejit.ops import nodes
from tracejit.ops.define import dims_of, draw, op, require_dtype, tensor_type
from tracejit.ops.shape import ints

Space = tuple[int, ...]


def _at(k: Any, places: Sequence[Any], within: Sequence[Any], stride: Space, dilation: Space) -> tuple[Any, ...]:
    """Indices of the elements `within` the windows at `places`."""
    return tuple(k.add(k.mul(i, s), k.mul(j, d)) for i, j, s, d in zip(places, within, stride, dilation, strict=True))


# -- columns --------------------------------------------------------------------------------------------------


def _columns_infer(x: Value, sizes: Sequence[Value], *, stride: Space, dilation: Space) -> tuple[Type, ...]:
    source, space = tensor_type(x, "window_columns"), len(stride)
    if source.rank != space + 2 or len(sizes) != 2 * space:
        raise ShapeMismatch(f"window_columns: {source} with {len(sizes)} sizes does not have {space} axes of windows")
    dims = dims_of(sizes, "window_columns")
    return (TensorType(source.dtype, (source.shape[1], *dims[:space], source.shape[0], *dims[space:])),)


def _columns_eager(xp: Any, x: Any, sizes: Sequence[Any], *, stride: Space, dilation: Space) -> Any:
    space, sizes = len(stride), ints(sizes)
    x = xp.ascontiguousarray(x)
    steps = x.strides[2:]
    within = tuple(s * d for s, d in zip(steps, dilation, strict=True))
    between = tuple(s * d for s, d in zip(steps, stride, strict=True))
    shape = (x.shape[1], *sizes[:space], x.shape[0], *sizes[space:])
    if 0 in shape:
        return xp.empty(shape, x.dtype)
    return xp.lib.stride_tricks.as_strided(x, shape, (x.strides[1], *within, x.strides[0], *between)).copy()


def _columns_scalar(k: Any, index: Any, x: Any, sizes: Any, *, stride: Space, dilation: Space) -> Any:
    space = len(stride)
    within, places = index[1 : space + 1], index[space + 2 :]
    return x((index[space + 1], index[0], *_at(k, places, within, stride, dilation)))


def _column_samples(rng: Any) -> list[Sample]:
    cases = (
        ((2, 3, 7), (3, 5), (1,), (1,)),
        ((2, 2, 6, 5), (2, 2, 2, 3), (3, 1), (2, 1)),
        ((1, 1, 3, 3), (3, 3, 1, 1), (1, 1), (1, 1)),
        ((0, 2, 4), (2, 2), (2,), (1,)),
    )
    return [
        Sample((draw(rng, -2, 2, shape, dtype), sizes), {"stride": stride, "dilation": dilation})
        for dtype in ("float64", "float32")
        for shape, sizes, stride, dilation in cases
    ]


op(
    "window_columns",
    ("x", "*sizes"),
    doc="x (batch, channels, *space) as (channels, *kernel, batch, *places): the windows as columns of a matrix. "
    "`sizes` are those of the kernel and the numbers of places.",
    infer=_columns_infer,
    eager=_columns_eager,
    vjp=lambda b, g, x, sizes, out, *, stride, dilation: (
        b.window_fold(g, b.shape(x)[2:], stride=stride, dilation=dilation),
        None,
    ),
    lower=Pointwise(_columns_scalar, own_index=False),
    samples=_column_samples,
)


def _fold_infer(columns: Value, sizes: Sequence[Value], *, stride: Space, dilation: Space) -> tuple[Type, ...]:
    source, space = tensor_type(columns, "window_fold"), len(stride)
    if source.rank != 2 * space + 2 or len(sizes) != space:
        raise ShapeMismatch(f"window_fold: {source} does not fold to {len(sizes)} axes")
    require_dtype(columns, NUMERIC, "window_fold")
    dims = dims_of(sizes, "window_fold")
    return (TensorType(source.dtype, (source.shape[space + 1], source.shape[0], *dims)),)


def _fold_eager(xp: Any, columns: Any, sizes: Sequence[Any], *, stride: Space, dilation: Space) -> Any:
    space = len(stride)
    kernel, places = columns.shape[1 : space + 1], columns.shape[space + 2 :]
    out = xp.zeros((columns.shape[space + 1], columns.shape[0], *ints(sizes)), columns.dtype)
    for within in itertools.product(*map(range, kernel)):
        part = tuple(
            slice(j * d, j * d + s * (n - 1) + 1 if n else j * d, s)
            for j, s, d, n in zip(within, stride, dilation, places, strict=True)
        )
        out[(slice(None), slice(None), *part)] += xp.moveaxis(columns[(slice(None), *within)], 1, 0)
    return out


def _fold_emit(e: Any, results: Sequence[Any], columns: Any, sizes: Any, *, stride: Space, dilation: Space) -> Any:
    """One image after the other, so that the sums stay in the cache."""
    out, space = e.new(results[0]), len(stride)
    kernel, places = columns.shape[1 : space + 1], columns.shape[space + 2 :]
    with e.kernel(), e.loops(out.shape[:2], parallel=True) as image:
        k = e.k
        with e.loops(out.shape[2:], vector=True) as at:
            e.store(out, (*image, *at), k.const(0, out.type.dtype))
        with e.loops((*kernel, *places), vector=stride[-1] == 1) as index:
            within, place = index[:space], index[space:]
            target = (*image, *_at(k, place, within, stride, dilation))
            term = e.load(columns, (image[1], *within, image[0], *place))
            e.store(out, target, k.add(e.load(out, target), term))
    return out


op(
    "window_fold",
    ("columns", "*sizes"),
    doc="The adjoint of `window_columns`: every element of the columns added where it came from. `sizes` are those of "
    "the space.",
    infer=_fold_infer,
    eager=_fold_eager,
    vjp=lambda b, g, columns, sizes, out, *, stride, dilation: (
        b.window_columns(g, _but(b.shape(columns), 0, len(stride) + 1), stride=stride, dilation=dilation),
        None,
    ),
    lower=Opaque(_fold_emit, nodes=nodes.window_fold),
    samples=lambda rng: [_fold_sample(rng, *s.operands, **s.attrs) for s in _column_samples(rng)],
)


def _fold_sample(rng: Any, x: Any, sizes: Space, **attrs: Space) -> Sample:
    space = len(sizes) // 2
    shape = (x.shape[1], *sizes[:space], x.shape[0], *sizes[space:])
    return Sample((draw(rng, -2, 2, shape, x.dtype.name), x.shape[2:]), attrs)


def _but(items: Sequence[Any], *left_out: int) -> tuple[Any, ...]:
    return tuple(item for i, item in enumerate(items) if i not in left_out)
