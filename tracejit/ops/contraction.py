"""Products of matrices. `dot`, `mv`, `outer`, `einsum` are composites of it (`products.py`)."""

from __future__ import annotations

from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import MATRICES, Opaque, Sample
from tracejit.ir.types import F32, F64, I64, NUMERIC, ScalarType, TensorType, Type
from tracejit.ops import simplify
from tracejit.ops.define import conjugate, draw, op, quiet, require_dtype, tensor_type


def _matmul_infer(a: Value, other: Value) -> tuple[Type, ...]:
    left, right = tensor_type(a, "matmul"), tensor_type(other, "matmul")
    if require_dtype(a, NUMERIC, "matmul") != right.dtype:
        raise DTypeMismatch(f"matmul: operands {left} and {right} differ in dtype")
    if left.rank < 2 or left.rank != right.rank or left.shape[:-2] != right.shape[:-2]:
        raise ShapeMismatch(f"matmul: operands {left} and {right} need equal leading axes and two more each")
    if left.shape[-1] != right.shape[-2]:
        raise ShapeMismatch(f"matmul: operands {left} and {right}: columns of the first are not rows of the second")
    return (TensorType(left.dtype, (*left.shape[:-1], right.shape[-1])),)


def swapped(b: Any, x: Any) -> Any:
    """x with its last two axes exchanged."""
    rank = b.rank(x)
    return b.transpose(x, perm=(*range(rank - 2), rank - 1, rank - 2))


def _matmul_vjp(b: Any, g: Any, a: Any, other: Any, out: Any) -> tuple[Any, ...]:
    return b.matmul(g, conjugate(b, swapped(b, other))), b.matmul(conjugate(b, swapped(b, a)), g)


def _matmul_samples(rng: Any) -> list[Sample]:
    shapes = (((2, 3), (3, 4)), ((1, 3), (3, 1)), ((2, 0), (0, 3)), ((2, 2, 3), (2, 3, 2)), ((5, 7), (7, 6)))
    found = [Sample((draw(rng, -2, 2, a, "float64"), draw(rng, -2, 2, c, "float64"))) for a, c in shapes]
    found += [
        Sample((draw(rng, -2, 2, (9, 4), d), draw(rng, -2, 2, (4, 5), d))) for d in ("float32", "int64", "complex128")
    ]
    return found


matmul = op(
    "matmul",
    ("a", "b"),
    doc="The matrix product over the last two axes; leading axes are equal and go side by side.",
    infer=_matmul_infer,
    eager=quiet(lambda xp, a, other: xp.matmul(a, other).astype(a.dtype, copy=False)),  # of bfloat16 it is float32
    vjp=_matmul_vjp,
    lower=MATRICES,
    simplify=simplify.matmul,
    samples=_matmul_samples,
)


# -- products with a matrix that is laid out -------------------------------------------------------------------


def _lay_out_infer(b: Value, rows: Value, trips: Value) -> tuple[Value, ...]:
    matrix = tensor_type(b, "lay_out")
    if matrix.rank != 2:
        raise ShapeMismatch(f"lay_out: {matrix} is no matrix")
    for number in (rows, trips):
        require_dtype(number, (I64,), "lay_out")
    room = Value(ScalarType(I64), "room")
    return room, Value(TensorType(require_dtype(b, (F32, F64), "lay_out"), (room,)), "laid")


op(
    "lay_out",
    ("b", "rows", "trips"),
    doc="A matrix in the order in which `laid_product` reads it, for products of `rows` rows in `trips` trips of a "
    "loop; before it the room that it takes, 0 where that does not pay. What lies where is up to the machine.",
    infer=_lay_out_infer,
    eager=lambda xp, b, rows, trips: (xp.int64(0), b[:0].reshape(-1)),
    vjp="it is made behind all derivatives",
    lower=Opaque(strided=True),
    samples=lambda rng: [
        Sample((draw(rng, -2, 2, shape, dtype), 0, 9)) for shape in ((3, 4), (0, 2)) for dtype in ("float32", "float64")
    ],
)


def _laid_product_infer(a: Value, other: Value, laid: Value) -> tuple[Type, ...]:
    if require_dtype(laid, (F32, F64), "laid_product") != tensor_type(a, "laid_product").dtype:
        raise DTypeMismatch(f"laid_product: operands {a.type} and {laid.type} differ in dtype")
    return _matmul_infer(a, other)


op(
    "laid_product",
    ("a", "b", "laid"),
    doc="`matmul` of matrices, the second of which `lay_out` has laid out.",
    infer=_laid_product_infer,
    eager=quiet(lambda xp, a, other, laid: xp.matmul(a, other)),
    vjp="it is made behind all derivatives",
    lower=Opaque(strided=True),
    samples=lambda rng: [
        Sample((draw(rng, -2, 2, (m, k), d), draw(rng, -2, 2, (k, n), d), draw(rng, 0, 1, (0,), d)))
        for (m, k, n), d in (((2, 3, 4), "float32"), ((9, 5, 7), "float64"), ((2, 0, 3), "float64"))
    ],
)
