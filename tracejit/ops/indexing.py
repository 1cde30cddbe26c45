"""Reading and writing single elements, by integer arrays, and by boolean masks.

Indices have been checked and are not negative (the front end, or `coerce`, emitted the check).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Pointwise, Sample, Update
from tracejit.ir.types import BOOL, I64, INTEGERS, ScalarType, TensorType, Type
from tracejit.ops import loops, nodes, simplify
from tracejit.ops.define import draw, op, require_dtype, require_size, tensor_type

# -- one element ----------------------------------------------------------------------------------------------


def _fetch_infer(x: Value, indices: Sequence[Value]) -> tuple[Type, ...]:
    source = tensor_type(x, "fetch")
    if len(indices) != source.rank:
        raise ShapeMismatch(f"fetch: {len(indices)} indices for {source}")
    for index in indices:
        require_size(index, "fetch")
    return (ScalarType(source.dtype),)


def _fetch_vjp(b: Any, g: Any, x: Any, indices: Sequence[Any], out: Any) -> tuple[Any, ...]:
    if not indices:
        return b.broadcast(g, ()), None
    return Update(lambda running: b.index_add(running, g, indices), at_places=True), None


def _element_samples(rng: Any) -> list[Sample]:
    return [
        Sample((draw(rng, -3, 3, (5,), "float64"), (2,))),
        Sample((draw(rng, -3, 3, (5,), "float32"), (0,))),
        Sample((draw(rng, -3, 3, (3, 4), "float64"), (2, 1))),
        Sample((draw(rng, -3, 3, (3, 4), "int32"), (0, 3))),
        Sample((draw(rng, -3, 3, (), "float64"), ())),
    ]


fetch = op(
    "fetch",
    ("x", "*indices"),
    simplify=simplify.fetch,
    doc="One element as a host scalar; of a rank-0 tensor its value. The only op that waits for a GPU.",
    infer=_fetch_infer,
    eager=lambda xp, x, indices: xp.asarray(x)[tuple(int(i) for i in indices)][()],
    vjp=_fetch_vjp,
    lower=Opaque(),
    samples=_element_samples,
)


def _index_update_infer(x: Value, value: Value, indices: Sequence[Value], name: str) -> tuple[Type, ...]:
    (element,) = _fetch_infer(x, indices)
    if value.type != element:
        raise DTypeMismatch(f"{name}: an element of {x.type} cannot be {value.type}")
    return (x.type,)


def _index_update_eager(xp: Any, x: Any, value: Any, indices: Sequence[Any]) -> Any:
    result = xp.array(x)
    result[tuple(int(i) for i in indices)] = value
    return result


def _index_add_eager(xp: Any, x: Any, value: Any, indices: Sequence[Any]) -> Any:
    result = xp.array(x)
    result[tuple(int(i) for i in indices)] += value
    return result


def _index_update_vjp(b: Any, g: Any, x: Any, value: Any, indices: Sequence[Any], out: Any) -> tuple[Any, ...]:
    taken = b.fetch(g, indices)
    return b.index_update(g, b.number(0, value), indices), taken, None


def _element_writes(rng: Any) -> list[Sample]:
    found: list[Sample] = []
    for sample in _element_samples(rng):
        x, indices = sample.operands
        found.append(Sample((x, draw(rng, -3, 3, (1,), x.dtype.name)[0], indices)))
    return found


index_update = op(
    "index_update",
    ("x", "value", "*indices"),
    doc="x with one element replaced by a host scalar.",
    infer=lambda x, value, indices: _index_update_infer(x, value, indices, "index_update"),
    eager=_index_update_eager,
    vjp=_index_update_vjp,
    lower=Opaque(updates=True),
    samples=_element_writes,
)
index_add = op(
    "index_add",
    ("x", "value", "*indices"),
    doc="x with a host scalar added to one element.",
    infer=lambda x, value, indices: _index_update_infer(x, value, indices, "index_add"),
    eager=_index_add_eager,
    vjp=lambda b, g, x, value, indices, out: (g, b.fetch(g, indices), None),
    lower=Opaque(updates=True),
    samples=_element_writes,
)

# -- integer arrays -------------------------------------------------------------------------------------------


def _gathered(x: Value, index: Value, axis: int, name: str) -> TensorType:
    source, places = tensor_type(x, name), tensor_type(index, name)
    require_dtype(index, INTEGERS, name)
    if not 0 <= axis < source.rank:
        raise ShapeMismatch(f"{name}: axis {axis} is out of bounds for {source}")
    return TensorType(source.dtype, (*source.shape[:axis], *places.shape, *source.shape[axis + 1 :]))


def _gather_scalar(k: Any, at: Sequence[Any], x: Any, index: Any, *, axis: int) -> Any:
    rank = len(index.shape)
    place = k.cast(index(tuple(at[axis : axis + rank])), I64)
    return x((*at[:axis], place, *at[axis + rank :]))


def _gather_samples(rng: Any) -> list[Sample]:
    def case(shape: Sequence[int], index: Any, axis: int, dtype: str = "float64", kind: str = "int64") -> Sample:
        return Sample((draw(rng, -3, 3, shape, dtype), rng.permuted(index).astype(kind)), {"axis": axis})

    return [
        case((5,), [3, 0, 3, 1], 0),
        case((5,), [3, 0, 4], 0, "float32", "int32"),
        case((3, 4), [2, 0, 2, 1, 1], 0),
        case((3, 4), [2, 0], 1),
        Sample((draw(rng, -3, 3, (3, 4), "float64"), draw(rng, 0, 3, (2, 2), "int64")), {"axis": 1}),
        Sample((draw(rng, -3, 3, (3,), "float64"), draw(rng, 0, 2, (), "int64")), {"axis": 0}),
        Sample((draw(rng, -3, 3, (3,), "float64"), draw(rng, 0, 2, (0,), "int64")), {"axis": 0}),
    ]


gather = op(
    "gather",
    ("x", "index"),
    doc="x with `axis` replaced by the axes of an integer array, as `numpy.take`.",
    infer=lambda x, index, *, axis: (_gathered(x, index, axis, "gather"),),
    eager=lambda xp, x, index, *, axis: xp.asarray(xp.take(x, index, axis=axis)),
    vjp=lambda b, g, x, index, out, *, axis: (
        Update(lambda running: b.scatter_add(running, index, g, axis=axis)),
        None,
    ),
    lower=Pointwise(_gather_scalar, own_index=False),
    samples=_gather_samples,
)


def _scatter_rule(name: str) -> Callable[..., tuple[Type, ...]]:
    def infer(x: Value, index: Value, value: Value, *, axis: int) -> tuple[Type, ...]:
        expected = _gathered(x, index, axis, name)
        if value.type != expected:
            raise ShapeMismatch(f"{name}: the value must be {expected}, got {value.type}")
        return (x.type,)

    return infer


def _scatter_fold_eager(ufunc: str) -> Callable[..., Any]:
    def eager(xp: Any, x: Any, index: Any, value: Any, *, axis: int) -> Any:
        result = xp.array(x)
        getattr(xp, ufunc).at(result, (slice(None),) * axis + (index,), value)
        return result

    return eager


def _scatter_set_eager(xp: Any, x: Any, index: Any, value: Any, *, axis: int) -> Any:
    result = xp.array(x)
    result[(slice(None),) * axis + (index,)] = value
    return result


def _scatter_set_vjp(b: Any, g: Any, x: Any, index: Any, value: Any, out: Any, *, axis: int) -> tuple[Any, ...]:
    """Of several values written to one place only the last counts: each writes its number, and the one found is it."""
    taken = b.gather(g, index, axis=axis)
    places = b.shape(index)
    count: Any = 1
    for size in places:
        count = count * size
    number = b.reshape(b.iota((count,), axis=0, dtype=I64), places)
    last = b.gather(b.scatter_set(b.full(0, (b.shape(x)[axis],), I64), index, number, axis=0), index, axis=0)
    tail = (1,) * (b.rank(x) - axis - 1)
    kept = b.broadcast(b.reshape(b.eq(last, number), (*places, *tail)), b.shape(value))
    return b.scatter_set(g, index, b.zeros_like(value), axis=axis), None, b.select(kept, taken, 0)


def _scatter_samples(rng: Any, distinct: bool) -> list[Sample]:
    found: list[Sample] = []
    for sample in _gather_samples(rng):
        x, index = sample.operands
        axis = sample.attrs["axis"]
        if distinct and len(set(index.reshape(-1).tolist())) != index.size and axis:
            continue
        shape = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
        found.append(Sample((x, index, draw(rng, -3, 3, shape, x.dtype.name)), sample.attrs))
    return found


scatter_add = op(
    "scatter_add",
    ("x", "index", "value"),
    doc="x with `value` added at the places along `axis` that an integer array names; repeated places get all of it.",
    infer=_scatter_rule("scatter_add"),
    eager=_scatter_fold_eager("add"),
    vjp=lambda b, g, x, index, value, out, *, axis: (g, None, b.gather(g, index, axis=axis)),
    lower=Opaque(loops.scatter("add"), updates=True, strided=True, nodes=nodes.scatter_fold("add")),
    samples=lambda rng: _scatter_samples(rng, distinct=False),
)
scatter_set = op(
    "scatter_set",
    ("x", "index", "value"),
    doc="x with the places along `axis` that an integer array names replaced; of repeated places the last one counts.",
    infer=_scatter_rule("scatter_set"),
    eager=_scatter_set_eager,
    vjp=_scatter_set_vjp,
    lower=Opaque(loops.scatter(None), updates=True, strided=True, nodes=nodes.scatter_set),
    samples=lambda rng: _scatter_samples(rng, distinct=True),
)


def _scatter_extremum_vjp(b: Any, g: Any, x: Any, index: Any, value: Any, out: Any, *, axis: int) -> tuple[Any, ...]:
    """Equal extrema of a place share its cotangent evenly; if one is nan, the nans do."""

    def taken(part: Any, best: Any) -> Any:
        return b.logical_or(b.eq(part, best), b.isnan(part))

    kept, came = taken(x, out), taken(value, b.gather(out, index, axis=axis))
    count = b.scatter_add(b.cast(kept, dtype=b.dtype(x)), index, b.cast(came, dtype=b.dtype(x)), axis=axis)
    share = g / count
    return b.select(kept, share, 0), None, b.select(came, b.gather(share, index, axis=axis), 0)


for _name, _combine in (("scatter_max", "maximum"), ("scatter_min", "minimum")):
    op(
        _name,
        ("x", "index", "value"),
        doc=f"x with the {_combine} of what is there and of `value` at the places along `axis` that an integer array "
        "names; nan where one of them is.",
        infer=_scatter_rule(_name),
        eager=_scatter_fold_eager(_combine),
        vjp=_scatter_extremum_vjp,
        lower=Opaque(loops.scatter(_combine), updates=True, strided=True, nodes=nodes.scatter_fold(_combine[:3])),
        samples=lambda rng: _scatter_samples(rng, distinct=False),
    )
op(
    "scatter_mul",
    ("x", "index", "value"),
    doc="x multiplied by `value` at the places along `axis` that an integer array names.",
    infer=_scatter_rule("scatter_mul"),
    eager=_scatter_fold_eager("multiply"),
    vjp="products of what comes to one place have none here: sum logarithms",
    lower=Opaque(loops.scatter("mul"), updates=True, strided=True, nodes=nodes.scatter_fold("mul")),
    samples=lambda rng: _scatter_samples(rng, distinct=False),
)

# -- boolean masks --------------------------------------------------------------------------------------------


def _masked(x: Value, mask: Value, name: str) -> tuple[Any, ...]:
    """The axes of x that come after those the mask covers."""
    source, over = tensor_type(x, name), tensor_type(mask, name)
    require_dtype(mask, (BOOL,), name)
    if source.shape[: over.rank] != over.shape:
        raise ShapeMismatch(f"{name}: mask {over} does not cover the leading axes of {source}")
    return source.shape[over.rank :]


def _mask_read_infer(x: Value, mask: Value) -> tuple[Value, ...]:
    rest = _masked(x, mask, "mask_read")
    count = Value(ScalarType(I64), "n")
    return count, Value(TensorType(tensor_type(x, "mask_read").dtype, (count, *rest)), "masked")


def _mask_read_eager(xp: Any, x: Any, mask: Any) -> tuple[Any, Any]:
    found = x[mask]
    return xp.int64(found.shape[0]), found


def _mask_samples(rng: Any) -> list[Sample]:
    return [
        Sample((draw(rng, -3, 3, shape, dtype), draw(rng, 0, 1, over, "bool")))
        for shape, over, dtype in (
            ((6,), (6,), "float64"),
            ((3, 4), (3, 4), "float64"),
            ((4, 3), (4,), "float64"),
            ((6,), (6,), "int64"),
            ((0,), (0,), "float64"),
        )
    ]


def _mask_places_infer(mask: Value) -> tuple[Value, ...]:
    require_dtype(mask, (BOOL,), "mask_places")
    if tensor_type(mask, "mask_places").rank != 1:
        raise ShapeMismatch(f"mask_places: {mask} is no vector")
    count = Value(ScalarType(I64), "n")
    return count, Value(TensorType(I64, (count,)), "places")


def _mask_places_eager(xp: Any, mask: Any) -> tuple[Any, Any]:
    found = xp.flatnonzero(mask).astype("int64")
    return xp.int64(found.shape[0]), found


mask_places = op(
    "mask_places",
    ("mask",),
    doc="The indices at which a vector of truth values holds; before them their count.",
    infer=_mask_places_infer,
    eager=_mask_places_eager,
    vjp="its result is an integer",
    lower=Opaque(loops.mask_places, nodes=nodes.mask_places),
    samples=lambda rng: [Sample((draw(rng, 0, 1, (n,), "bool"),)) for n in (0, 7, 150)],
)

mask_read = op(
    "mask_read",
    ("x", "mask"),
    simplify=simplify.mask_read,
    doc="The elements (or sub-arrays) where the mask over x's leading axes holds, in C order; before them their count.",
    infer=_mask_read_infer,
    eager=_mask_read_eager,
    vjp=lambda b, g, x, mask, out: (b.mask_write(b.zeros_like(x), mask, g[1]), None),
    lower=Opaque(loops.mask_read, nodes=nodes.mask_read),
    samples=_mask_samples,
)


def _mask_write_infer(x: Value, mask: Value, value: Value) -> tuple[Type, ...]:
    rest = _masked(x, mask, "mask_write")
    source, new = tensor_type(x, "mask_write"), tensor_type(value, "mask_write")
    if new.dtype != source.dtype:
        raise DTypeMismatch(f"mask_write: operands {source} and {new} differ in dtype")
    if new.rank != len(rest) + 1 or new.shape[1:] != rest:
        raise ShapeMismatch(f"mask_write: {new} does not fit the masked elements of {source}")
    return (source,)


def _mask_write_eager(xp: Any, x: Any, mask: Any, value: Any) -> Any:
    result = xp.array(x)
    result[mask] = value
    return result


def _mask_write_vjp(b: Any, g: Any, x: Any, mask: Any, value: Any, out: Any) -> tuple[Any, ...]:
    taken = b.mask_read(g, mask)[1]
    tail = (1,) * (b.rank(x) - b.rank(mask))
    over = b.broadcast(b.reshape(mask, (*b.shape(mask), *tail)) if tail else mask, b.shape(x))
    return b.select(over, 0, g), None, b.broadcast(taken, b.shape(value), exact=True)


mask_write = op(
    "mask_write",
    ("x", "mask", "value"),
    doc="x with the elements (or sub-arrays) where the mask holds replaced by those of `value`, one after the other.",
    infer=_mask_write_infer,
    eager=_mask_write_eager,
    vjp=_mask_write_vjp,
    lower=Opaque(loops.mask_write, updates=True, nodes=nodes.mask_write),
    samples=lambda rng: [
        Sample((x, mask, draw(rng, -3, 3, (int(mask.sum()), *x.shape[mask.ndim :]), x.dtype.name)))
        for x, mask in (s.operands for s in _mask_samples(rng))
    ],
)
