"""Shapes: broadcasting, reshaping, axis order, concatenation, reversal, index ranges.

Sizes are i64 operands. `sum_to` is the adjoint of `broadcast`; `expand_axes` undoes the removal of reduced axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.builder import composite
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Pointwise, Sample
from tracejit.ir.types import I64, NUMERIC, DType, ScalarType, TensorType, Type, dim_text
from tracejit.ops import loops, nodes, simplify
from tracejit.ops.control import branch
from tracejit.ops.define import (
    as_dtype,
    dims_of,
    dtype_name,
    element_type,
    op,
    require_size,
    tensor_type,
)


def shape_text(shape: Sequence[Any]) -> str:
    """A shape as an error message shows it."""
    return f"({', '.join(dim_text(d) for d in shape)}{',' if len(shape) == 1 else ''})"


def ints(sizes: Sequence[Any]) -> tuple[int, ...]:
    """Sizes of an eager call as Python ints."""
    return tuple(int(n) for n in sizes)


# -- broadcast ------------------------------------------------------------------------------------------------


def _broadcast_infer(x: Value, shape: Sequence[Value], *, exact: bool = False) -> tuple[Type, ...]:
    dtype, target = element_type(x, "broadcast"), dims_of(shape, "broadcast")
    source = x.type.shape  # type: ignore[union-attr]
    if len(source) > len(target) or simplify.contradict(source, target):
        raise ShapeMismatch(f"cannot broadcast shape {shape_text(source)} to {shape_text(target)}")
    return (TensorType(dtype, target),)


def _broadcast_scalar(k: Any, index: Sequence[Any], x: Any, shape: Sequence[Any], *, exact: bool = False) -> Any:
    lead = len(index) - len(x.shape)
    places: list[Any] = []
    for i, size, target in zip(index[lead:], x.shape, shape[lead:], strict=True):
        if _is_one(size):
            places.append(k.const(0, I64))
        elif exact or size == target(()):
            places.append(i)
        else:
            places.append(k.select(k.eq(size, 1), k.const(0, I64), i))
    return x(tuple(places))


def _broadcast_vjp(b: Any, g: Any, x: Any, shape: Any, out: Any, *, exact: bool = False) -> tuple[Any, ...]:
    if b.is_scalar(x):
        return b.fetch(b.sum_to(g, ()), ()), None
    return b.sum_to(g, b.shape(x), exact=exact), None


broadcast = op(
    "broadcast",
    ("x", "*shape"),
    simplify=simplify.broadcast,
    doc="x stretched to `shape` with NumPy's alignment. A size that is neither known as 1 nor the target's own is "
    "tested at run time (1 stretches); `exact=True` promises that it is equal.",
    infer=_broadcast_infer,
    eager=lambda xp, x, shape, *, exact=False: xp.broadcast_to(x, ints(shape)),
    vjp=_broadcast_vjp,
    lower=Pointwise(_broadcast_scalar, own_index=False, view="strided"),
    samples=lambda rng: (
        [
            Sample((rng.uniform(-2, 2, size=source), target))
            for source, target in (
                ((3,), (2, 3)),
                ((1, 3), (4, 3)),
                ((4, 1), (4, 3)),
                ((), (2, 2)),
                ((2, 3), (2, 3)),
                ((1,), (0,)),
                ((1, 1), (2, 2, 5)),
            )
        ]
        + [Sample((2.5, (2, 3))), Sample((3, ())), Sample((rng.uniform(-2, 2, size=(3,)), (2, 3)), {"exact": True})]
    ),
)


@composite
def sum_to(b: Any, g: Any, shape: Sequence[Any], exact: bool = False) -> Any:
    """The adjoint of `broadcast(x, g's shape)` for x of this shape: the sum over what was stretched. With `exact` only
    sizes known as 1 were."""
    shape = tuple(shape)
    lead = b.rank(g) - len(shape)
    if lead:
        g = b.sum(g, axes=tuple(range(lead)))
    stretched = b.shape(g)
    pairs = list(enumerate(zip(shape, stretched, strict=True)))
    certain = tuple(i for i, (size, wide) in pairs if isinstance(size, int) and size == 1 and not b.same_size(wide, 1))
    if certain:
        g = expand_axes(
            b, b.sum(g, axes=certain), certain, tuple(1 if i in certain else s for i, s in enumerate(stretched))
        )
    for axis, (size, wide) in pairs:
        if b.same_size(size, wide) or axis in certain:
            continue
        if not exact and not isinstance(size, int):
            g = _sum_if_stretched(b, g, axis, size)
        else:
            g = b.broadcast(g, tuple(size if i == axis else s for i, s in enumerate(b.shape(g))), exact=True)
    return g


def _sum_if_stretched(b: Any, g: Any, axis: int, size: Any) -> Any:
    """g summed over `axis` if `size` is 1 at run time; in either case `axis` of the result has that size."""
    wide = b.shape(g)
    narrow = tuple(size if i == axis else s for i, s in enumerate(wide))

    def summed(inner: Any, g: Any, *narrow: Any) -> Any:
        total = inner.sum(g, axes=(axis,))
        return expand_axes(inner, total, (axis,), narrow)

    return branch(
        b,
        b.eq(size, 1),
        summed,
        lambda inner, g, *narrow: inner.broadcast(g, narrow, exact=True),
        (g, *narrow),
    )


@composite
def expand_axes(b: Any, x: Any, axes: Sequence[int], shape: Sequence[Any]) -> Any:
    """x repeated along new axes, so that it has `shape`: the adjoint of a sum over `axes`."""
    shape = tuple(shape)
    if tuple(axes) != tuple(range(len(axes))):
        x = b.reshape(x, tuple(1 if i in axes else s for i, s in enumerate(shape)))
    return b.broadcast(x, shape)


# -- reshape, transpose ---------------------------------------------------------------------------------------


def _reshape_infer(x: Value, shape: Sequence[Value]) -> tuple[Type, ...]:
    source, target = tensor_type(x, "reshape"), dims_of(shape, "reshape")
    if all(isinstance(d, int) for d in (*source.shape, *target)):
        have, want = _product(source.shape), _product(target)
        if have != want:
            raise ShapeMismatch(f"cannot reshape array of size {have} into shape {shape_text(target)}")
    return (TensorType(source.dtype, target),)


def _product(sizes: Sequence[Any]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


def _reshape_scalar(k: Any, index: Sequence[Any], x: Any, shape: Sequence[Any]) -> Any:
    """Row-major index arithmetic. Leading and trailing sizes that agree keep their index; only the rest is
    flattened and split again, so that adding or dropping an axis costs no division."""
    source, target = list(x.shape), [s(()) for s in shape]
    index = list(index)
    head: list[Any] = []
    while source and target and source[0] == target[0]:
        head.append(index.pop(0))
        del source[0], target[0]
    tail: list[Any] = []
    while source and target and source[-1] == target[-1]:
        tail.insert(0, index.pop())
        del source[-1], target[-1]
    return x((*head, *_unravel(k, _ravel(k, index, target), source), *tail))


def _is_one(size: Any) -> bool:
    return getattr(size, "value", None) == 1


def _ravel(k: Any, index: Sequence[Any], shape: Sequence[Any]) -> Any:
    at = k.const(0, I64)
    for i, size in zip(index, shape, strict=True):
        at = at if _is_one(size) else k.add(k.mul(at, size), i)
    return at


def _unravel(k: Any, at: Any, shape: Sequence[Any]) -> list[Any]:
    """The index of element `at` of a C-order array; axes of size 1 get 0, the first other axis needs no remainder."""
    places: list[Any] = [k.const(0, I64)] * len(shape)
    wide = [axis for axis, size in enumerate(shape) if not _is_one(size)]
    for axis in reversed(wide):
        if axis == wide[0]:
            places[axis] = at
        else:
            places[axis] = k.remainder(at, shape[axis])
            at = k.quotient(at, shape[axis])
    return places


reshape = op(
    "reshape",
    ("x", "*shape"),
    simplify=simplify.reshape,
    doc="The same elements in C order under another shape of the same size.",
    infer=_reshape_infer,
    eager=lambda xp, x, shape: xp.reshape(x, ints(shape)),
    vjp=lambda b, g, x, shape, out: (b.reshape(g, b.shape(x)), None),
    lower=Pointwise(_reshape_scalar, own_index=False, view="flat"),
    samples=lambda rng: [
        Sample((rng.uniform(-2, 2, size=source), target))
        for source, target in (
            ((6,), (2, 3)),
            ((2, 3), (6,)),
            ((2, 3), (3, 2)),
            ((2, 3), (2, 1, 3)),
            ((4, 1, 3), (4, 3)),
            ((), (1, 1)),
            ((1,), ()),
            ((0, 3), (0,)),
            ((2, 6, 5), (2, 3, 2, 5)),
        )
    ],
)


def _transpose_infer(x: Value, *, perm: tuple[int, ...]) -> tuple[Type, ...]:
    source = tensor_type(x, "transpose")
    if sorted(perm) != list(range(source.rank)):
        raise ShapeMismatch(f"transpose: {perm} does not permute the axes of {source}")
    return (TensorType(source.dtype, tuple(source.shape[p] for p in perm)),)


def inverse(perm: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `perm`."""
    return tuple(sorted(range(len(perm)), key=lambda i: perm[i]))


transpose = op(
    "transpose",
    ("x",),
    simplify=simplify.transpose,
    doc="x with axis i of the result being axis perm[i].",
    infer=_transpose_infer,
    eager=lambda xp, x, *, perm: xp.transpose(x, perm),
    vjp=lambda b, g, x, out, *, perm: (b.transpose(g, perm=inverse(perm)),),
    lower=Pointwise(
        lambda k, index, x, *, perm: x(tuple(index[i] for i in inverse(perm))), own_index=False, view="strided"
    ),
    samples=lambda rng: [
        Sample((rng.uniform(-2, 2, size=shape),), {"perm": perm})
        for shape, perm in (((3, 4), (1, 0)), ((2, 3, 4), (2, 0, 1)), ((5,), (0,)), ((0, 2), (1, 0)), ((), ()))
    ],
)
dim = op(
    "dim",
    ("x",),
    simplify=simplify.dim,
    doc="The size of one axis.",
    infer=lambda x, *, axis: (ScalarType(I64),) if tensor_type(x, "dim").rank > axis else _no_axis(x, axis),
    eager=lambda xp, x, *, axis: x.shape[axis],
    vjp="sizes do not vary",
    lower=Opaque(),
    ranges=lambda r, x, *, axis: r.size(),
    samples=lambda rng: [Sample((rng.uniform(size=(2, 3)),), {"axis": axis}) for axis in (0, 1)],
)


def _no_axis(x: Value, axis: int) -> tuple[Type, ...]:
    raise ShapeMismatch(f"axis {axis} is out of bounds for {x.type}")


# -- flip, concatenation, ranges ------------------------------------------------------------------------------


def _flip_scalar(k: Any, index: Sequence[Any], x: Any, *, axes: tuple[int, ...]) -> Any:
    return x(tuple(k.sub(k.sub(x.shape[i], 1), at) if i in axes else at for i, at in enumerate(index)))


flip = op(
    "flip",
    ("x",),
    doc="x with the order of elements reversed along `axes`.",
    infer=lambda x, *, axes: (tensor_type(x, "flip"),),
    eager=lambda xp, x, *, axes: xp.flip(x, axes),
    vjp=lambda b, g, x, out, *, axes: (b.flip(g, axes=axes),),
    lower=Pointwise(_flip_scalar, own_index=False, view="strided"),
    samples=lambda rng: [
        Sample((rng.uniform(-2, 2, size=shape),), {"axes": axes})
        for shape, axes in (((5,), (0,)), ((2, 3), (1,)), ((2, 3), (0, 1)), ((0,), (0,)), ((1, 3), ()))
    ],
)


@composite
def strides_of(b: Any, shape: Sequence[Any]) -> tuple[Any, ...]:
    """The element strides of a C-order array of this shape."""
    strides: list[Any] = []
    step: Any = 1
    for size in reversed(shape):
        strides.insert(0, step)
        step = size if isinstance(step, int) and step == 1 else step * size
    return tuple(strides)


def _cat_infer(size: Value, xs: Sequence[Value], *, axis: int) -> tuple[Type, ...]:
    require_size(size, "cat")
    first = tensor_type(xs[0], "cat")
    for x in xs[1:]:
        other = tensor_type(x, "cat")
        if other.dtype != first.dtype:
            raise DTypeMismatch(f"cat: operands {first} and {other} differ in dtype")
        if other.rank != first.rank or _without(other.shape, axis) != _without(first.shape, axis):
            raise ShapeMismatch(f"cat: operands {first} and {other} differ in shape outside axis {axis}")
    shape = tuple(size.dim if i == axis else d for i, d in enumerate(first.shape))
    return (TensorType(first.dtype, shape),)


def _without(shape: Sequence[Any], axis: int) -> tuple[Any, ...]:
    return tuple(d for i, d in enumerate(shape) if i != axis)


def _cat_vjp(b: Any, g: Any, size: Any, xs: Sequence[Any], out: Any, *, axis: int) -> tuple[Any, ...]:
    """The parts of g, each a strided view of it."""
    strides = b.strides_of(b.shape(out))
    parts: list[Any] = []
    start: Any = 0
    for x in xs:
        parts.append(b.vread(g, start * strides[axis], strides, b.shape(x)))
        start = start + b.shape(x)[axis]
    return None, tuple(parts)


cat = op(
    "cat",
    ("size", "*xs"),
    doc="Tensors joined along `axis`; `size` is the sum of their sizes there.",
    infer=_cat_infer,
    eager=lambda xp, size, xs, *, axis: xp.ascontiguousarray(xp.concatenate(xs, axis=axis)),
    vjp=_cat_vjp,
    lower=Opaque(loops.cat, strided=True, joins=True, nodes=nodes.cat),
    samples=lambda rng: [
        Sample((sum(s[axis] for s in shapes), tuple(rng.uniform(-2, 2, size=s) for s in shapes)), {"axis": axis})
        for axis, shapes in (
            (0, ((2,), (3,))),
            (0, ((2, 3), (1, 3), (0, 3))),
            (1, ((2, 3), (2, 1))),
            (0, ((4,),)),
        )
    ],
)


def _iota_infer(shape: Sequence[Value], *, axis: int, dtype: DType) -> tuple[Type, ...]:
    if as_dtype(dtype) not in NUMERIC:
        raise DTypeMismatch(f"iota is not defined for {dtype}")
    return (TensorType(as_dtype(dtype), dims_of(shape, "iota")),)


def _iota_eager(xp: Any, shape: Sequence[Any], *, axis: int, dtype: DType) -> Any:
    shape = ints(shape)
    line = xp.arange(shape[axis]).astype(dtype_name(dtype))
    return xp.broadcast_to(line.reshape((-1,) + (1,) * (len(shape) - 1 - axis)), shape)


iota = op(
    "iota",
    ("*shape",),
    doc="Each element is its own index along `axis`.",
    infer=_iota_infer,
    eager=_iota_eager,
    vjp=lambda b, g, shape, out, *, axis, dtype: (None,),
    lower=Pointwise(lambda k, index, shape, *, axis, dtype: k.cast(index[axis], as_dtype(dtype)), own_index=False),
    samples=lambda rng: [
        Sample((shape,), {"axis": axis, "dtype": dtype})
        for shape, axis in (((4,), 0), ((2, 3), 1), ((2, 3), 0), ((0,), 0))
        for dtype in NUMERIC
        if dtype.name in ("i64", "f32", "f64")
    ],
)
