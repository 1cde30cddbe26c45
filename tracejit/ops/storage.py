"""Storage made visible: strided reads and writes of a base array, fresh storage, copies.

`vread`, `vwrite` and `vadd` address `base.reshape(-1)` (its logical C order, whatever the layout in memory):
element `i` of the view is at `offset + sum(i[d] * strides[d])`. Strides may be negative; a write needs
elements that do not overlap, a read and an addition allow stride 0. Bounds were checked by the front end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Pointwise, Sample, Update
from tracejit.ir.types import BOOL, ScalarType, TensorType, Type
from tracejit.ops import simplify
from tracejit.ops.define import dims_of, dtype_name, op, require_dtype, require_size, tensor_type

# -- strided views --------------------------------------------------------------------------------------------


def _vread_infer(
    base: Value, offset: Value, strides: Sequence[Value], lengths: Sequence[Value], apart: bool = False
) -> tuple[Type, ...]:
    for size in (offset, *strides):
        require_size(size, "vread")
    return (TensorType(tensor_type(base, "vread").dtype, dims_of(lengths, "vread")),)


def _view(xp: Any, base: Any, offset: Any, strides: Sequence[Any], lengths: Sequence[Any]) -> Any:
    """The view of a C-contiguous base, writable if the base is."""
    lengths = tuple(int(n) for n in lengths)
    if 0 in lengths:
        return xp.empty(lengths, base.dtype)
    flat = base.reshape(-1)[int(offset) :]
    steps = tuple(int(s) * base.itemsize for s in strides)
    return xp.lib.stride_tricks.as_strided(flat, lengths, steps)


def _vread_eager(
    xp: Any, base: Any, offset: Any, strides: Sequence[Any], lengths: Sequence[Any], apart: bool = False
) -> Any:
    return _view(xp, xp.ascontiguousarray(base), offset, strides, lengths).copy()


def _vread_scalar(
    k: Any, index: Sequence[Any], base: Any, offset: Any, strides: Sequence[Any], _lengths: Any, apart: bool = False
) -> Any:
    at = offset(())
    for i, stride in zip(index, strides, strict=True):
        at = k.add(at, k.mul(i, stride(())))
    return base.flat(at)


def _view_samples(rng: Any) -> list[Sample]:
    base = rng.uniform(-2, 2, size=(4, 6))
    line = rng.uniform(-2, 2, size=(10,))
    return [
        Sample((line, 2, (1,), (5,))),
        Sample((line, 9, (-3,), (4,))),
        Sample((line.astype("float32"), 0, (2,), (0,))),
        Sample((base, 7, (6, 2), (3, 2))),
        Sample((base, 23, (-6,), (4,))),
        Sample((base.T, 1, (4, 1), (5, 2))),
        Sample((base.astype("int32"), 3, (), ())),
    ]


vread = op(
    "vread",
    ("base", "offset", "*strides", "*lengths"),
    doc="The elements of a strided view of the base, as a new tensor of shape `lengths`. `apart`: none of them is "
    "where the kernel that reads them puts a result into the base (`in-place-windows`).",
    infer=_vread_infer,
    eager=_vread_eager,
    vjp=lambda b, g, base, offset, strides, lengths, out, apart=False: (
        Update(lambda running: b.vadd(running, g, offset, strides), at_places=True),
        None,
        None,
        None,
    ),
    lower=Pointwise(_vread_scalar, own_index=False, view="strided"),
    samples=lambda rng: [
        *_view_samples(rng),
        Sample((rng.uniform(-2, 2, size=(5,)), 1, (0, 1), (3, 2))),
    ],
)


def _vwrite_infer(
    base: Value, value: Value, offset: Value, strides: Sequence[Value], name: str = "vwrite", apart: bool = False
) -> tuple[Type, ...]:
    target, source = tensor_type(base, name), tensor_type(value, name)
    if target.dtype != source.dtype:
        raise DTypeMismatch(f"{name}: base {target} and value {source} differ in dtype")
    if source.rank != len(strides):
        raise ShapeMismatch(f"{name}: value {source} has rank {source.rank}, but there are {len(strides)} strides")
    for size in (offset, *strides):
        require_size(size, name)
    return (target,)


def _vwrite_eager(xp: Any, base: Any, value: Any, offset: Any, strides: Sequence[Any], apart: bool = False) -> Any:
    result = xp.array(base, order="C")
    _view(xp, result, offset, strides, value.shape)[...] = value
    return result


def _vwrite_vjp(
    b: Any, g: Any, base: Any, value: Any, offset: Any, strides: Any, out: Any, apart: bool = False
) -> tuple[Any, ...]:
    written = b.vread(g, offset, strides, b.shape(value))
    return b.vwrite(g, b.zeros_like(value), offset, strides), written, None, None


def _writes(samples: list[Sample], rng: Any) -> list[Sample]:
    """Samples of writes from samples of reads."""
    found: list[Sample] = []
    for sample in samples:
        base, offset, strides, lengths = sample.operands
        found.append(Sample((base, rng.uniform(-2, 2, size=lengths).astype(base.dtype), offset, strides)))
    return found


vwrite = op(
    "vwrite",
    ("base", "value", "offset", "*strides"),
    doc="The base with the elements of a strided view replaced. Structural in `codegen/lowering/entry.py`: a loop nest "
    "over the value, stored in place at `offset + sum(i * stride)` of the C-order buffer. `apart`: the view has no "
    "element of those that results of the same kernel are written into before (`in-place-windows`).",
    infer=_vwrite_infer,
    eager=_vwrite_eager,
    vjp=_vwrite_vjp,
    lower=Opaque(updates=True),
    samples=lambda rng: _writes(_view_samples(rng), rng),
)


def _overlaps(strides: Sequence[Any], lengths: Sequence[int]) -> bool:
    """Whether two elements of the view may be one element of the base."""
    reach = 0
    for stride, length in sorted((abs(int(s)), n) for s, n in zip(strides, lengths, strict=True) if n > 1):
        if stride <= reach:
            return True
        reach += stride * (length - 1)
    return False


def _vadd_eager(xp: Any, base: Any, value: Any, offset: Any, strides: Sequence[Any]) -> Any:
    result = xp.array(base, order="C")
    if not _overlaps(strides, value.shape):
        view = _view(xp, result, offset, strides, value.shape)
        view += value
        return result
    places = xp.full(value.shape, int(offset))
    for axis, (stride, length) in enumerate(zip(strides, value.shape, strict=True)):
        steps = xp.arange(length) * int(stride)
        places = places + steps.reshape((-1,) + (1,) * (value.ndim - 1 - axis))
    xp.add.at(result.reshape(-1), places, value)
    return result


vadd = op(
    "vadd",
    ("base", "value", "offset", "*strides"),
    doc="The base with the value added to the elements of a strided view; elements met twice get both. Structural in "
    "`codegen/lowering/entry.py`: as `vwrite`, but adding, in order (a stride may be 0).",
    infer=lambda base, value, offset, strides: _vwrite_infer(base, value, offset, strides, "vadd"),
    eager=_vadd_eager,
    vjp=lambda b, g, base, value, offset, strides, out: (
        g,
        b.vread(g, offset, strides, b.shape(value)),
        None,
        None,
    ),
    lower=Opaque(updates=True),
    samples=lambda rng: [
        *_writes(_view_samples(rng), rng),
        Sample((rng.uniform(-2, 2, size=(5,)), rng.uniform(-2, 2, size=(3, 2)), 1, (0, 1))),
        Sample((rng.uniform(-2, 2, size=(5,)), rng.uniform(-2, 2, size=(3, 3)), 0, (1, 1))),
    ],
)

# -- identity of storage --------------------------------------------------------------------------------------


def _identity_samples(rng: Any) -> list[Sample]:
    return [Sample((rng.uniform(-2, 2, size=shape),)) for shape in ((4,), (2, 3), (), (0,))]


for _name, _doc in (
    ("fresh", "The same value in storage of its own: two names of one `fresh` result alias, two results do not."),
    (
        "copy",
        "The same value in storage of its own; made by `ownership` where an update may not happen in place. `why` says "
        "what for: it was `asked` for, a `view` is overwritten later, something `takes` it over, it is a `result`, or "
        "products want another `layout` (`turn-factors`).",
    ),
):
    op(
        _name,
        ("x",),
        doc=_doc,
        infer=lambda x, why="": (x.type,),
        eager=lambda xp, x, why="": x.copy() if hasattr(x, "copy") else x,
        vjp=lambda b, g, x, out, why="": (g,),
        lower=Opaque(),
        samples=_identity_samples,
    )


def _sync_infer(flag: Value, new: Value, old: Value) -> tuple[Type, ...]:
    require_dtype(flag, (BOOL,), "sync")
    if new.type != old.type:
        raise ShapeMismatch(f"sync: {new.type} and {old.type} differ")
    return (new.type,)


sync = op(
    "sync",
    ("flag", "new", "old"),
    simplify=simplify.sync,
    doc="`new` if the host truth value `flag` holds, else `old`: the version of an array that may alias a written one.",
    infer=_sync_infer,
    eager=lambda xp, flag, new, old: new if flag else old,
    vjp=lambda b, g, flag, new, old, out: (
        None,
        b.sync(flag, g, b.zeros_like(g)),
        b.sync(flag, b.zeros_like(g), g),
    ),
    lower=Opaque(),
    samples=lambda rng: [
        Sample((flag, rng.uniform(-2, 2, size=shape), rng.uniform(-2, 2, size=shape)))
        for flag in (True, False)
        for shape in ((4,), (2, 3))
    ],
)


def _undef_infer(sizes: Sequence[Value], *, type: Type) -> tuple[Type, ...]:
    if isinstance(type, TensorType):
        return (TensorType(type.dtype, dims_of(sizes, "undef")),)
    return (type,)


def _undef_eager(xp: Any, sizes: Sequence[Any], *, type: Type) -> Any:
    if isinstance(type, TensorType):  # a number that shows where it is read all the same
        unset = float("nan") if type.dtype.is_inexact else 85 if type.dtype.is_integer else True
        return xp.full(tuple(int(n) for n in sizes), unset, dtype_name(type.dtype))
    if isinstance(type, ScalarType):
        return xp.zeros((), dtype_name(type.dtype))[()]
    return []


undef = op(
    "undef",
    ("*sizes",),
    doc="An unspecified value of `type` (a tensor of these sizes): what a name holds on a path that never reads it.",
    infer=_undef_infer,
    eager=_undef_eager,
    vjp=lambda b, g, sizes, out, *, type: (None,),
    lower=Opaque(),
)
