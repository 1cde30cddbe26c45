"""Reductions over axes, places of extrema, and scans along an axis.

A reduction removes the sorted `axes`; keeping them as size 1 is a reshape made by the caller. Sums keep the
operand's dtype: widening of small integers is `coerce`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracejit.errors import ShapeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, OpDef, Reduction, Sample
from tracejit.ir.types import BOOL, BY_NUMPY_NAME, FLOATS, I64, INTEGERS, NUMERIC, DType, TensorType, Type
from tracejit.ops import loops, nodes, simplify
from tracejit.ops.define import conjugate, draw, op, quiet, require_dtype, same_shape, tensor_type

ORDERED = (BOOL, *INTEGERS, *FLOATS)


def _reduced(op_name: str, allowed: Sequence[DType]) -> Callable[..., tuple[Type, ...]]:
    def infer(x: Value, *, axes: tuple[int, ...]) -> tuple[Type, ...]:
        source = tensor_type(x, op_name)
        require_dtype(x, allowed, op_name)
        if list(axes) != sorted(set(axes)) or any(not 0 <= a < source.rank for a in axes):
            raise ShapeMismatch(f"{op_name}: {axes} are not sorted axes of {source}")
        return (TensorType(source.dtype, tuple(d for i, d in enumerate(source.shape) if i not in axes)),)

    return infer


def lowest(dtype: DType) -> Any:
    """The number below or equal to all others of the dtype."""
    if dtype == BOOL:
        return False
    if dtype.is_float:
        return -float("inf")
    return 0 if dtype.kind == "u" else -(1 << (dtype.bits - 1))


def highest(dtype: DType) -> Any:
    """The number above or equal to all others of the dtype."""
    if dtype == BOOL:
        return True
    if dtype.is_float:
        return float("inf")
    return (1 << dtype.bits) - 1 if dtype.kind == "u" else (1 << (dtype.bits - 1)) - 1


def _samples(low: float, high: float, dtypes: Sequence[str], empty: bool) -> Callable[[Any], list[Sample]]:
    cases = [((5,), (0,)), ((2, 3), (0,)), ((2, 3), (1,)), ((2, 3), (0, 1)), ((2, 1, 4), (0, 2)), ((), ()), ((3,), ())]
    if empty:
        cases += [((0,), (0,)), ((0, 3), (0,))]

    def samples(rng: Any) -> list[Sample]:
        found = [Sample((draw(rng, low, high, shape, dtypes[0]),), {"axes": axes}) for shape, axes in cases]
        found += [Sample((draw(rng, low, high, (4, 3), dtype),), {"axes": (0, 1)}) for dtype in dtypes[1:]]
        return found

    return samples


def reduction(
    name: str,
    dtypes: Sequence[DType],
    *,
    identity: Callable[[DType], Any],
    combine: str,
    samples: Callable[[Any], list[Sample]],
    **fields: Any,
) -> OpDef:
    """Register a fold over axes."""
    return op(
        name,
        ("x",),
        infer=_reduced(name, dtypes),
        lower=Reduction(identity, combine),
        samples=samples,
        **{"simplify": simplify.reduced(name), **fields},
    )


@quiet
def _sum_eager(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    return xp.asarray(xp.sum(x, axis=axes, dtype=x.dtype))


@quiet
def _prod_eager(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    return xp.asarray(xp.prod(x, axis=axes, dtype=x.dtype))


def _prod_vjp(b: Any, g: Any, x: Any, out: Any, *, axes: tuple[int, ...]) -> tuple[Any, ...]:
    """Each element's slope is the product of the others, also where some are 0: products from both ends."""
    kept = tuple(i for i in range(b.rank(x)) if i not in axes)
    perm = (*kept, *axes)
    moved = b.transpose(x, perm=perm)
    shape = b.shape(moved)
    count: Any = 1
    for size in shape[len(kept) :]:
        count = count * size
    line = b.reshape(moved, (*shape[: len(kept)], count))
    others = exclusive_product(b, line, reverse=False) * exclusive_product(b, line, reverse=True)
    back = b.transpose(b.reshape(others, shape), perm=tuple(sorted(range(len(perm)), key=lambda i: perm[i])))
    return (b.strong_mul(b.expand_axes(g, axes, b.shape(x)), conjugate(b, back)),)


def exclusive_product(b: Any, x: Any, *, reverse: bool) -> Any:
    """Along the last axis: the product of all elements before (after, if `reverse`) each one."""
    axis = b.rank(x) - 1
    first = impulse(b, x, axis, reverse=reverse)
    return b.linear_scan(shifted(b, x, axis, 0, reverse=reverse), first, axis=axis, reverse=reverse)


def impulse(b: Any, x: Any, axis: int, *, reverse: bool) -> Any:
    """1 in the first (last, if `reverse`) place along an axis, 0 elsewhere; shaped like x."""
    place = b.iota(b.shape(x), axis=axis, dtype=I64)
    start = b.shape(x)[axis] - 1 if reverse else 0
    return b.cast(b.eq(place, b.full(start, b.shape(x), I64)), dtype=b.dtype(x))


def shifted(b: Any, x: Any, axis: int, fill: Any, *, reverse: bool) -> Any:
    """x moved by one place along an axis, away from the start of the scan; `fill` comes in."""
    shape = b.shape(x)
    strides = b.strides_of(shape)
    length = max(shape[axis] - 1, 0) if isinstance(shape[axis], int) else b.maximum(shape[axis] - 1, 0)
    inner = tuple(length if i == axis else s for i, s in enumerate(shape))
    near, far = (strides[axis], 0) if not reverse else (0, strides[axis])
    part = b.vread(x, far, strides, inner)
    return b.vwrite(b.number(fill, x), part, near, strides)


reduction(
    "sum",
    NUMERIC,
    identity=lambda dtype: 0,
    combine="add",
    doc="The sum over axes, in the operand's dtype.",
    eager=_sum_eager,
    simplify=simplify.total,
    vjp=lambda b, g, x, out, *, axes: (b.expand_axes(g, axes, b.shape(x)),),
    samples=_samples(-2, 2, ("float64", "float32", "int64", "int32", "float16", "complex128"), True),
)
reduction(
    "prod",
    NUMERIC,
    identity=lambda dtype: 1,
    combine="mul",
    doc="The product over axes, in the operand's dtype.",
    eager=_prod_eager,
    vjp=_prod_vjp,
    samples=lambda rng: [
        *_samples(0.5, 2, ("float64", "float32", "int64", "complex128"), True)(rng),
        Sample((rng.permuted([2.0, 0.0, 3.0, 0.5]),), {"axes": (0,)}),
    ],
)


def _extremum_vjp(b: Any, g: Any, x: Any, out: Any, *, axes: tuple[int, ...]) -> tuple[Any, ...]:
    """Equal extrema share the cotangent evenly; if one is nan, the nans do."""
    shape, dtype = b.shape(x), b.dtype(x)
    taken = b.logical_or(b.eq(x, b.expand_axes(out, axes, shape)), b.isnan(x))
    count = b.sum(b.cast(taken, dtype=dtype), axes=axes)
    return (b.select(taken, b.expand_axes(g / count, axes, shape), 0),)


def _extremum_eager(name: str, identity: Callable[[DType], Any]) -> Callable[..., Any]:
    def eager(xp: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
        start = {} if x.size else {"initial": identity(BY_NUMPY_NAME[x.dtype.name])}
        return xp.asarray(getattr(xp, name)(x, axis=axes, **start))

    return eager


for _name, _combine, _identity in (("min", "minimum", highest), ("max", "maximum", lowest)):
    reduction(
        _name,
        ORDERED,
        identity=_identity,
        combine=_combine,
        doc=f"The {_name}imum over axes; nan if any element is. Of no elements it is the identity: callers check.",
        eager=_extremum_eager(_name, _identity),
        vjp=_extremum_vjp,
        samples=lambda rng: [
            *_samples(-3, 3, ("float64", "float32", "int64", "int32", "uint8", "bool"), False)(rng),
            *_samples(-3, 3, ("int64",), True)(rng)[-2:],
        ],
    )
for _name, _combine, _start in (("any", "logical_or", False), ("all", "logical_and", True)):
    reduction(
        _name,
        (BOOL,),
        identity=lambda dtype, start=_start: start,
        combine=_combine,
        doc=f"Whether {_name} of the elements hold.",
        eager=lambda xp, x, *, axes, fn=_name: xp.asarray(getattr(xp, fn)(x, axis=axes)),
        vjp="its result is a truth value",
        samples=_samples(0, 1, ("bool",), True),
    )

# -- places of extrema ----------------------------------------------------------------------------------------


def _place_infer(x: Value, *, axis: int) -> tuple[Type, ...]:
    source = tensor_type(x, "argmax")
    require_dtype(x, ORDERED, "argmax")
    return (TensorType(I64, tuple(d for i, d in enumerate(source.shape) if i != axis)),)


for _name, _best in (("argmax", "largest"), ("argmin", "smallest")):
    op(
        _name,
        ("x",),
        doc=f"The first place along `axis` of the {_best} element (of the first nan, if there is one).",
        infer=_place_infer,
        eager=lambda xp, x, *, axis, fn=_name: xp.asarray(getattr(xp, fn)(x, axis=axis)).astype("int64"),
        vjp="its result is an integer",
        lower=Opaque(
            loops.extremum_place("gt" if _name == "argmax" else "lt"),
            strided=True,
            nodes=nodes.extremum_place("ArgMax" if _name == "argmax" else "ArgMin"),
        ),
        samples=lambda rng: (
            [
                Sample((draw(rng, -9, 9, shape, dtype),), {"axis": axis})
                for shape, axis in (((7,), 0), ((3, 4), 0), ((3, 4), 1), ((0, 3), 1), ((2, 3, 4), 1))
                for dtype in ("float64", "int64")
            ]
            + [Sample((rng.permuted([1.0, float("nan"), 3.0]),), {"axis": 0})]
        ),
    )

# -- scans ----------------------------------------------------------------------------------------------------


def _scan_infer(x: Value, *, axis: int) -> tuple[Type, ...]:
    require_dtype(x, NUMERIC, "a scan")
    source = tensor_type(x, "a scan")
    if not 0 <= axis < source.rank:
        raise ShapeMismatch(f"axis {axis} is out of bounds for {source}")
    return (source,)


def _scan_samples(low: float, high: float, operands: int) -> Callable[[Any], list[Sample]]:
    cases = [((3, 4), 0, "float64"), ((3, 4), 1, "float64"), ((0,), 0, "float64"), ((1,), 0, "float64")]
    cases += [((6,), 0, dtype) for dtype in ("float64", "float32", "complex128", *("int64",) * (operands == 1))]

    def samples(rng: Any) -> list[Sample]:
        return [
            Sample(tuple(draw(rng, low, high, shape, dtype) for _ in range(operands)), {"axis": axis})
            for shape, axis, dtype in cases
        ]

    return samples


op(
    "cumsum",
    ("x",),
    doc="Sums of all elements up to each one along `axis`, in the operand's dtype.",
    infer=_scan_infer,
    eager=quiet(lambda xp, x, *, axis: xp.cumsum(x, axis=axis, dtype=x.dtype)),
    vjp=lambda b, g, x, out, *, axis: (b.flip(b.cumsum(b.flip(g, axes=(axis,)), axis=axis), axes=(axis,)),),
    lower=Opaque(loops.scan("add", 0), nodes=nodes.cumsum),
    samples=_scan_samples(-2, 2, 1),
)


def _cumprod_vjp(b: Any, g: Any, x: Any, out: Any, *, axis: int) -> tuple[Any, ...]:
    """dx[i] = (product before i) * s[i], where s[i] = g[i] + x[i+1] * s[i+1]; exact also where x is 0."""
    x = conjugate(b, x)
    before = b.linear_scan(shifted(b, x, axis, 0, reverse=False), impulse(b, x, axis, reverse=False), axis=axis)
    after = b.linear_scan(shifted(b, x, axis, 0, reverse=True), g, axis=axis, reverse=True)
    return (b.strong_mul(after, before),)


op(
    "cumprod",
    ("x",),
    doc="Products of all elements up to each one along `axis`, in the operand's dtype.",
    infer=_scan_infer,
    eager=quiet(lambda xp, x, *, axis: xp.cumprod(x, axis=axis, dtype=x.dtype)),
    vjp=_cumprod_vjp,
    lower=Opaque(loops.scan("mul", 1), nodes=nodes.cumprod),
    samples=lambda rng: [*_scan_samples(0.5, 2, 1)(rng), Sample((rng.permuted([2.0, 0.0, 3.0, 0.5]),), {"axis": 0})],
)


def _linear_scan_infer(a: Value, c: Value, *, axis: int, reverse: bool = False) -> tuple[Type, ...]:
    require_dtype(c, NUMERIC, "linear_scan")
    same_shape("linear_scan", (a, c))
    if a.type != c.type:
        raise ShapeMismatch(f"linear_scan: operands {a.type} and {c.type} differ")
    return (tensor_type(a, "linear_scan"),)


@quiet
def _linear_scan_eager(xp: Any, a: Any, c: Any, *, axis: int, reverse: bool = False) -> Any:
    out = xp.array(c, order="C")
    line, slope = xp.moveaxis(out, axis, 0), xp.moveaxis(a, axis, 0)
    count = line.shape[0]
    for i in range(1, count):
        at, before = (count - 1 - i, count - i) if reverse else (i, i - 1)
        line[at] += slope[at] * line[before]
    return out


def _linear_scan_vjp(b: Any, g: Any, a: Any, c: Any, out: Any, *, axis: int, reverse: bool = False) -> tuple[Any, ...]:
    """dc runs the recurrence from the other end with the coefficients moved by one; da = dc * previous result."""
    a, out = conjugate(b, a), conjugate(b, out)
    dc = b.linear_scan(shifted(b, a, axis, 0, reverse=not reverse), g, axis=axis, reverse=not reverse)
    return b.strong_mul(dc, shifted(b, out, axis, 0, reverse=reverse)), dc


op(
    "linear_scan",
    ("a", "c"),
    doc="The recurrence y[i] = a[i] * y[i-1] + c[i] along `axis` (from the end if `reverse`), starting from 0.",
    infer=_linear_scan_infer,
    eager=_linear_scan_eager,
    vjp=_linear_scan_vjp,
    lower=Opaque(loops.linear_scan, nodes=nodes.linear_scan),
    samples=lambda rng: [
        Sample(s.operands, {**s.attrs, "reverse": reverse})
        for reverse in (False, True)
        for s in _scan_samples(-1.5, 1.5, 2)(rng)[0 : 7 : 1 + reverse]
    ],
)
