"""Arrays made of others: block matrices, diagonals of matrices, powers, combinations of elements; complex numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.types import BOOL, I64
from tracejit.ops import coerce
from tracejit.ops.arrange import at_least, meshgrid, ramp
from tracejit.ops.functions import Operand, Size, array, function, inexact, on, one_axis
from tracejit.ops.products import agree
from tracejit.ops.statistics import norm

TORCH = ("function", "method")


@function(kinds=("function",))
def block_diag(b: Any, *tensors: Operand) -> Any:
    """The matrix with matrices along its diagonal and 0 elsewhere; vectors are rows."""
    blocks: list[Any] = []
    for x in coerce.promote_operands(b, [array(b, t) for t in tensors]):
        if b.rank(x) > 2:
            raise ShapeMismatch(f"block_diag takes matrices, not {b.rank(x)}-d")
        blocks.append(x if b.rank(x) == 2 else b.reshape(x, (1, b.shape(x)[0] if b.rank(x) else 1)))
    if not blocks:
        raise ShapeMismatch("block_diag needs at least one matrix")
    rows, columns = (_total(b, [b.shape(x)[k] for x in blocks]) for k in (0, 1))
    out = b.full(0, (rows, columns), b.dtype(blocks[0]))
    place: Any = 0
    for x in blocks:
        out = b.vwrite(out, x, place, b.strides_of(b.shape(out)))
        place = on(b).add(place, on(b).add(on(b).mul(b.shape(x)[0], columns), b.shape(x)[1]))
    return out


def _total(b: Any, sizes: list[Any]) -> Any:
    total = sizes[0]
    for size in sizes[1:]:
        total = on(b).add(total, size)
    return total


@function(kinds=TORCH)
def diag_embed(b: Any, x: Operand, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices over the axes dim1 and dim2 of the result with the last axis of x on their diagonal, 0 elsewhere."""
    x = array(b, x)
    rank = b.rank(x) + 1
    i, j = one_axis(dim1, rank), one_axis(dim2, rank)
    if i == j:
        raise ShapeMismatch("diag_embed needs two different axes")
    *batch, count = b.shape(x)
    size = on(b).add(count, abs(offset))
    inner = iter(batch)
    shape = tuple(size if k in (i, j) else next(inner) for k in range(rank))
    strides = b.strides_of(shape)
    start = on(b).mul(strides[j if offset > 0 else i], abs(offset))
    own = (*(strides[k] for k in range(rank) if k not in (i, j)), on(b).add(strides[i], strides[j]))
    return b.vwrite(b.full(0, shape, b.dtype(x)), x, start, own)


@function(kinds=("function",))
def vander(b: Any, x: Operand, N: Size = None, increasing: bool = False) -> Any:
    """The powers of each element of a vector as a row: from the highest of N down to 0, or up with `increasing`."""
    x = array(b, x)
    if b.rank(x) != 1:
        raise ShapeMismatch(f"vander takes a vector, not {b.rank(x)}-d")
    rows = b.shape(x)[0]
    count = rows if N is None else N
    shape = (rows, at_least(b, on(b).sub(count, 1), 0))
    column = b.broadcast(b.reshape(x, (rows, 1)), shape)
    powers = b.cat(count, (b.full(1, (rows, at_most_one(b, count)), b.dtype(x)), b.cumprod(column, axis=1)), axis=1)
    return powers if increasing else b.flip(powers, axes=(1,))


def at_most_one(b: Any, size: Any) -> Any:
    """1, or 0 for a size of 0."""
    return min(size, 1) if isinstance(size, int) else b.minimum(size, 1)


@function(kinds=("function",))
def combinations(b: Any, x: Operand, r: int = 2, with_replacement: bool = False) -> Any:
    """All choices of r elements of a vector as rows, in order; with `with_replacement` an element may come again."""
    x = array(b, x)
    if b.rank(x) != 1:
        raise ShapeMismatch(f"combinations takes a vector, not {b.rank(x)}-d")
    if r < 1:
        raise ShapeMismatch(f"combinations are of at least 1 element, not of {r}")
    places = meshgrid(b, *(ramp(b, b.shape(x)[0]),) * r)
    held = b.full(True, b.shape(places[0]), BOOL)
    for first, second in pairwise(places):
        held = b.logical_and(held, (b.le if with_replacement else b.lt)(first, second))
    chosen = [b.mask_read(place, held)[1] for place in places]
    columns = (b.reshape(b.gather(x, place, axis=0), (b.shape(place)[0], 1)) for place in chosen)
    return b.concat(tuple(columns), axis=1)


@function(kinds=TORCH)
def renorm(b: Any, x: Operand, p: float, dim: int, maxnorm: float) -> Any:
    """x with the slices along `dim` whose p-norm is above `maxnorm` scaled down to it."""
    x = inexact(b, x)
    axis = one_axis(dim, b.rank(x))
    others = tuple(k for k in range(b.rank(x)) if k != axis)
    size = norm(b, x, p, others)
    factor = b.select(b.gt(size, maxnorm), b.div(b.number(maxnorm, size), size + 1e-7), 1)
    return x * b.expand_axes(factor, others, b.shape(x))


# -- complex numbers ------------------------------------------------------------------------------------------


@function(kinds=("function",))
def polar(b: Any, abs: Operand, angle: Operand) -> Any:
    """The complex numbers of these moduli and angles."""
    size, turn = (inexact(b, part) for part in (abs, angle))
    return on(b).complex(on(b).mul(size, b.cos(turn)), on(b).mul(size, b.sin(turn)))


@function(kinds=())
def as_pairs(b: Any, x: Operand) -> Any:
    """Real and imaginary parts along a new last axis."""
    x = array(b, x)
    if not b.dtype(x).is_complex:
        raise DTypeMismatch(f"view_as_real takes complex numbers, not {b.dtype(x).numpy_name}")
    parts = tuple(b.reshape(part, (*b.shape(x), 1)) for part in (b.real(x), b.imag(x)))
    return b.cat(2, parts, axis=b.rank(x))


@function(kinds=())
def of_pairs(b: Any, x: Operand) -> Any:
    """The complex numbers whose parts lie along the last axis."""
    x = array(b, x)
    shape = b.shape(x)
    if not b.dtype(x).is_float or not shape:
        raise DTypeMismatch(f"view_as_complex takes pairs of floats, not {b.rank(x)}-d {b.dtype(x).numpy_name}")
    agree(b, shape[-1], 2, "view_as_complex takes pairs, not {0} numbers")
    axis = len(shape) - 1
    re, im = (b.gather(x, b.full(k, (), I64), axis=axis) for k in (0, 1))
    return b.complex(re, im)
