"""Functions of the Python array API standard (2024.12) that have no NumPy or PyTorch spelling of their own here."""

from __future__ import annotations

from typing import Any, NamedTuple

from tracejit.errors import DTypeMismatch
from tracejit.ops import coerce
from tracejit.ops.arrange import checked_index, joined, stretched
from tracejit.ops.functions import Operand, array, function, one_axis
from tracejit.ops.sorting import unique
from tracejit.ops.statistics import cumprod_, cumsum_

LIBRARY = ("function", "numpy")


class UniqueAll(NamedTuple):
    """The different elements, where each comes first, which one each element is, how often each occurs."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """The different elements, and how often each occurs."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """The different elements, and which one each element is."""

    values: Any
    inverse_indices: Any


@function(kinds=LIBRARY)
def unique_all(b: Any, x: Operand) -> Any:
    """The different elements in order with first places, inverse and counts; every NaN is different."""
    return UniqueAll(*unique(b, x, True, True, True, equal_nan=False))


@function(kinds=LIBRARY)
def unique_counts(b: Any, x: Operand) -> Any:
    """The different elements in order, and how often each occurs; every NaN is different."""
    return UniqueCounts(*unique(b, x, return_counts=True, equal_nan=False))


@function(kinds=LIBRARY)
def unique_inverse(b: Any, x: Operand) -> Any:
    """The different elements in order, and which one each element is; every NaN is different."""
    return UniqueInverse(*unique(b, x, return_inverse=True, equal_nan=False))


@function(kinds=LIBRARY)
def unique_values(b: Any, x: Operand) -> Any:
    """The different elements in order; every NaN is different."""
    return unique(b, x, equal_nan=False)


@function()
def signbit(b: Any, x: Operand) -> Any:
    """Whether the sign is minus, that of -0.0 and of NaN included."""
    x = array(b, x)
    dtype = b.dtype(x)
    if dtype.is_complex:
        raise DTypeMismatch("signbit takes real numbers")
    if dtype.is_float:
        x = b.copysign(b.number(1, x), x)
    return coerce.apply(b, "lt", x, 0)


@function(kinds=LIBRARY)
def vecdot(b: Any, x: Operand, y: Operand, axis: int = -1) -> Any:
    """The inner products of vectors along an axis; the first operand is conjugated."""
    x, y = coerce.promote_operands(b, (array(b, x), array(b, y)))
    along = one_axis(axis, max(b.rank(x), b.rank(y))) - max(b.rank(x), b.rank(y))
    product = coerce.apply(b, "mul", b.conj(x) if b.dtype(x).is_complex else x, y)
    return b.sum(product, axes=(along + b.rank(product),))


def _cumulative(name: str, scan: Any, start: int) -> None:
    def cumulative(
        b: Any, x: Operand, axis: int | None = None, dtype: Any = None, include_initial: bool = False
    ) -> Any:
        made = scan(b, x, axis, dtype)
        if not include_initial:
            return made
        along = one_axis(0 if axis is None else axis, b.rank(made))
        shape = tuple(1 if i == along else n for i, n in enumerate(b.shape(made)))
        return joined(b, [b.full(start, shape, b.dtype(made)), made], along)

    cumulative.__name__ = name
    cumulative.__doc__ = f"`{scan.__name__.rstrip('_')}`, with {start} in front if `include_initial`."
    function(kinds=LIBRARY)(cumulative)


_cumulative("cumulative_sum", cumsum_, 0)
_cumulative("cumulative_prod", cumprod_, 1)


@function(kinds=("function", "method"))
def index_add(b: Any, x: Operand, dim: int, index: Operand, source: Operand, alpha: Operand = 1) -> Any:
    """x with `alpha` times the slices of `source` added to its slices along `dim` that `index` names."""
    x, index, source = array(b, x), array(b, index), array(b, source)
    scaled = coerce.apply(b, "mul", source, alpha)
    axis = one_axis(dim, b.rank(x))
    index = checked_index(b, index, b.shape(x)[axis], axis)
    shape = (*b.shape(x)[:axis], b.shape(index)[0], *b.shape(x)[axis + 1 :])
    value = coerce.convert(b, scaled, b.dtype(x))
    value = stretched(b, value, shape, "index_add: a source of size {0} does not fit, it needs {1}")
    return b.scatter_add(x, index, value, axis=axis)
