"""Reductions as users call them, with `axis`, `keepdims` and dtype rules, and what is made of them: mean, var, norm,
softmax and their like.

PyTorch's `dim` and `keepdim` are accepted beside NumPy's `axis` and `keepdims`; so is a truth value where NumPy has
`dtype` in second place (`x.sum(0, True)`).
"""

from __future__ import annotations

from typing import Any

from tracejit.errors import DTypeMismatch, OfNumPyOnly
from tracejit.ir.types import BOOL, F32, I64
from tracejit.ops.functions import (
    Axis,
    AxisOrOperand,
    Operand,
    array,
    axes_of,
    count_of,
    dtype_from,
    folded_axes,
    function,
    inexact,
    keep_axes,
    number_of_elements,
    on,
    one_axis,
    require_elements,
    widened,
)

UNSET: Any = object()


def _axis(axis: Any, dim: Any) -> Any:
    return axis if dim is UNSET else dim


def _finish(b: Any, x: Any, out: Any, axes: tuple[int, ...], keepdims: bool, keepdim: bool) -> Any:
    return keep_axes(b, x, out, axes) if keepdims or keepdim else out


# -- folds ----------------------------------------------------------------------------------------------------


def _total(b: Any, name: str, x: Operand, axis: Axis, dtype: Any, keepdims: bool) -> Any:
    """A fold in the dtype of sums: in bools a sum is whether any holds, a product whether all do. In the place of
    `dtype` PyTorch's functions have `keepdim`."""
    if isinstance(dtype, bool):
        dtype, keepdims = None, dtype or keepdims
    in_bools = dtype is not None and dtype_from(dtype) == BOOL
    x = truth(b, x) if in_bools else widened(b, x, dtype)
    fold = getattr(b, {"sum": "any", "prod": "all"}[name] if in_bools else name)
    axes = folded_axes(axis, b.rank(x))
    out = fold(x, axes=axes)
    return keep_axes(b, x, out, axes) if keepdims else out


@function()
def sum_(
    b: Any,
    x: Operand,
    axis: Axis = None,
    dtype: Any = None,
    keepdims: bool = False,
    *,
    dim: Axis = UNSET,
    keepdim: bool = False,
) -> Any:
    """The sum over axes; integers are summed in 64 bits unless `dtype` says otherwise."""
    return _total(b, "sum", x, _axis(axis, dim), dtype, keepdims or keepdim)


@function()
def prod_(
    b: Any,
    x: Operand,
    axis: Axis = None,
    dtype: Any = None,
    keepdims: bool = False,
    *,
    dim: Axis = UNSET,
    keepdim: bool = False,
) -> Any:
    """The product over axes; integers are multiplied in 64 bits unless `dtype` says otherwise."""
    return _total(b, "prod", x, _axis(axis, dim), dtype, keepdims or keepdim)


@function("amax")
def max_(
    b: Any, x: Operand, axis: AxisOrOperand = None, keepdims: bool = False, *, dim: Axis = UNSET, keepdim: bool = False
) -> Any:
    """The largest element over axes; nan if any is. `ValueError` when there are none. With a
    tensor for an axis it is that of two tensors, as in PyTorch."""
    if axis is not None and not isinstance(axis, int | float | tuple | list):
        return on(b).maximum(x, axis)
    x = array(b, x)
    axes = folded_axes(_axis(axis, dim), b.rank(x))
    require_elements(b, x, axes, "maximum")
    return _finish(b, x, b.max(x, axes=axes), axes, keepdims, keepdim)


@function("amin")
def min_(
    b: Any, x: Operand, axis: AxisOrOperand = None, keepdims: bool = False, *, dim: Axis = UNSET, keepdim: bool = False
) -> Any:
    """The smallest element over axes; nan if any is. `ValueError` when there are none. With a
    tensor for an axis it is that of two tensors, as in PyTorch."""
    if axis is not None and not isinstance(axis, int | float | tuple | list):
        return on(b).minimum(x, axis)
    x = array(b, x)
    axes = folded_axes(_axis(axis, dim), b.rank(x))
    require_elements(b, x, axes, "minimum")
    return _finish(b, x, b.min(x, axes=axes), axes, keepdims, keepdim)


def truth(b: Any, x: Operand) -> Any:
    """x as truth values: whether each element is not 0."""
    x = array(b, x)
    return x if b.dtype(x) == BOOL else b.ne(x, 0)


@function()
def any_(
    b: Any, x: Operand, axis: Axis = None, keepdims: bool = False, *, dim: Axis = UNSET, keepdim: bool = False
) -> Any:
    """Whether any element over axes is not 0."""
    x = truth(b, x)
    axes = folded_axes(_axis(axis, dim), b.rank(x))
    return _finish(b, x, b.any(x, axes=axes), axes, keepdims, keepdim)


@function()
def all_(
    b: Any, x: Operand, axis: Axis = None, keepdims: bool = False, *, dim: Axis = UNSET, keepdim: bool = False
) -> Any:
    """Whether all elements over axes are not 0."""
    x = truth(b, x)
    axes = folded_axes(_axis(axis, dim), b.rank(x))
    return _finish(b, x, b.all(x, axes=axes), axes, keepdims, keepdim)


@function()
def count_nonzero(b: Any, x: Operand, axis: Axis = None, keepdims: bool = False, *, dim: Axis = UNSET) -> Any:
    """How many elements over axes are not 0."""
    return sum_(b, truth(b, x), _axis(axis, dim), keepdims=keepdims)


def _place(name: str) -> Any:
    def place(
        b: Any, x: Operand, axis: int | None = None, keepdims: bool = False, *, dim: Any = UNSET, keepdim: bool = False
    ) -> Any:
        x = array(b, x)
        along = _axis(axis, dim) if b.rank(x) else None
        require_elements(b, x, axes_of(along, b.rank(x)), name)
        if along is None:
            out = getattr(b, name)(b.reshape(x, (count_of(b, x),)), axis=0)
            return keep_axes(b, x, out, tuple(range(b.rank(x)))) if keepdims or keepdim else out
        along = one_axis(along, b.rank(x))
        out = getattr(b, name)(x, axis=along)
        return keep_axes(b, x, out, (along,)) if keepdims or keepdim else out

    place.__name__ = f"{name}_"
    place.__doc__ = f"The first place of the {name[3:]}imum along `axis`, or in the flattened array."
    return function()(place)


argmax_ = _place("argmax")
argmin_ = _place("argmin")


def _scan(name: str) -> Any:
    def scan(b: Any, x: Operand, axis: int | None = None, dtype: Any = None, *, dim: Any = UNSET) -> Any:
        in_bools = dtype is not None and dtype_from(dtype) == BOOL
        x = b.cast(truth(b, x), dtype=I64) if in_bools else widened(b, x, dtype)
        along = _axis(axis, dim)
        if along is None or folded_axes(along, b.rank(x)) == ():
            x, along = b.reshape(x, (count_of(b, x),)), 0
        out = getattr(b, name)(x, axis=one_axis(along, b.rank(x)))
        return truth(b, out) if in_bools else out

    scan.__name__ = f"{name}_"
    scan.__doc__ = f"The {'sum' if name == 'cumsum' else 'product'} of the elements up to each one along `axis`."
    return function()(scan)


cumsum_ = _scan("cumsum")
cumprod_ = _scan("cumprod")

# -- moments --------------------------------------------------------------------------------------------------


@function()
def mean(
    b: Any,
    x: Operand,
    axis: Axis = None,
    dtype: Any = None,
    keepdims: bool = False,
    *,
    dim: Axis = UNSET,
    keepdim: bool = False,
) -> Any:
    """The mean over axes; of integers in f64, of half floats summed in f32."""
    if isinstance(dtype, bool):
        dtype, keepdims = None, dtype
    if dtype is not None and not dtype_from(dtype).is_inexact:
        raise OfNumPyOnly("a mean is a float or complex")
    x = inexact(b, x) if dtype is None else widened(b, x, dtype)
    axes = axes_of(_axis(axis, dim), b.rank(x))
    given = b.dtype(x)
    wide = b.cast(x, dtype=F32) if given.is_float and given.bits == 16 else x
    out = b.sum(wide, axes=axes) / number_of_elements(b, wide, axes)
    out = out if wide is x else b.cast(out, dtype=given)
    return _finish(b, x, out, axes, keepdims, keepdim)


def _corrected(axis: Axis, dtype: Any, correction: float, unbiased: bool | None) -> tuple[Axis, Any, float]:
    """Axis, dtype and correction, where `unbiased` may have been given in the place of one of them."""
    if isinstance(axis, bool):
        axis, unbiased = None, axis
    if isinstance(dtype, bool):
        dtype, unbiased = None, dtype
    return axis, dtype, correction if unbiased is None else float(unbiased)


@function()
def var(
    b: Any,
    x: Operand,
    axis: Axis = None,
    dtype: Any = None,
    keepdims: bool = False,
    *,
    correction: float = 0,
    ddof: float | None = None,
    dim: Axis = UNSET,
    keepdim: bool = False,
    unbiased: bool | None = None,
) -> Any:
    """The mean of the squared distances from the mean, divided by (count - correction). `unbiased` is PyTorch's name of
    a correction of 1 (true) or 0; it may take the place of the axis or the dtype."""
    axis, dtype, correction = _corrected(axis, dtype, correction, unbiased)
    if dtype is not None and not (dtype_from(dtype).is_float and b.dtype(array(b, x)).kind != "c"):
        raise OfNumPyOnly("a variance is a float")
    x = inexact(b, x) if dtype is None else widened(b, x, dtype)
    axes = axes_of(_axis(axis, dim), b.rank(x))
    distance = x - b.expand_axes(mean(b, x, axes), axes, b.shape(x))
    squares = squared_modulus(b, distance)
    count = number_of_elements(b, squares, axes)
    correction = correction if ddof is None else ddof
    if isinstance(count, float):
        count = max(count - correction, 0.0)
    elif correction:
        count = on(b).maximum(count - float(correction), 0.0)
    return _finish(b, x, b.div(b.sum(squares, axes=axes), count), axes, keepdims, keepdim)


@function()
def std(
    b: Any,
    x: Operand,
    axis: Axis = None,
    dtype: Any = None,
    keepdims: bool = False,
    *,
    correction: float = 0,
    ddof: float | None = None,
    dim: Axis = UNSET,
    keepdim: bool = False,
    unbiased: bool | None = None,
) -> Any:
    """The square root of `var`; slope 0 where all elements are equal."""
    axis, dtype, correction = _corrected(axis, dtype, correction, unbiased)
    spread = var(b, x, axis, dtype, keepdims, correction=correction, ddof=ddof, dim=dim, keepdim=keepdim)
    return root(b, spread)


def root(b: Any, x: Any) -> Any:
    """The square root of a sum of squares, with slope 0 at 0."""
    zero = b.eq(x, 0)
    return b.select(zero, 0, b.sqrt(b.select(zero, 1, x)))


def squared_modulus(b: Any, x: Any) -> Any:
    """The square of the absolute value, without its kink at 0."""
    return b.square(b.real(x)) + b.square(b.imag(x)) if b.dtype(x).is_complex else b.square(x)


@function(kinds=("function", "method"))
def norm(
    b: Any,
    x: Operand,
    ord: Any = None,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    p: Any = UNSET,
    dim: Axis = UNSET,
    keepdim: bool = False,
) -> Any:
    """The vector norm over axes: Euclidean by default, else `ord` = 0, 1, 2, any number, inf or -inf; "fro" is the
    Euclidean one. Slope 0 at 0."""
    x = inexact(b, x)
    axes = axes_of(_axis(axis, dim), b.rank(x))
    order = ord if p is UNSET else p
    if order in (None, "fro", 2):
        return _finish(b, x, root(b, b.sum(squared_modulus(b, x), axes=axes)), axes, keepdims, keepdim)
    if isinstance(order, str):
        raise DTypeMismatch(f"norm has no order {order!r}")
    size = b.abs(x)
    if order in (float("inf"), -float("inf")):
        out = on(b).maximum(b.max(size, axes=axes), 0) if order > 0 else b.min(size, axes=axes)  # 0 of no elements
    elif order == 1:
        out = b.sum(size, axes=axes)
    elif order == 0:
        out = b.sum(b.cast(b.ne(size, 0), dtype=b.dtype(size)), axes=axes)
    else:
        none = b.eq(size, 0)
        powers = b.pow(b.select(none, 1, size), b.number(order, size))
        total = b.sum(b.select(none, 0 if order > 0 else float("inf"), powers), axes=axes)
        zero = b.eq(total, 0)
        safe = b.select(zero, 1, total)
        out = b.select(zero, 0, b.pow(safe, b.number(1.0 / order, safe)))
    return _finish(b, x, out, axes, keepdims, keepdim)


# -- exponential averages -------------------------------------------------------------------------------------


def _peak(b: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """The maximum over axes as a constant shift; 0 where it is infinite (all elements are -inf, or one is inf)."""
    top = b.detach(b.max(x, axes=axes))
    return b.select(b.isfinite(top), top, 0)


@function()
def logsumexp(
    b: Any, x: Operand, axis: Axis = None, keepdims: bool = False, *, dim: Axis = UNSET, keepdim: bool = False
) -> Any:
    """log(sum(exp(x))) over axes, without overflow."""
    x = inexact(b, x)
    axes = axes_of(_axis(axis, dim), b.rank(x))
    top = _peak(b, x, axes)
    total = b.sum(b.exp(x - b.expand_axes(top, axes, b.shape(x))), axes=axes)
    return _finish(b, x, b.log(total) + top, axes, keepdims, keepdim)


@function()
def softmax(b: Any, x: Operand, axis: int = -1, dtype: Any = None, *, dim: int = UNSET) -> Any:
    """exp(x) over its sum along an axis; `dtype` is that of x before."""
    x = inexact(b, x if dtype is None else widened(b, x, dtype))
    axes = axes_of(_axis(axis, dim), b.rank(x))
    powers = b.exp(x - b.expand_axes(_peak(b, x, axes), axes, b.shape(x)))
    return powers / b.expand_axes(b.sum(powers, axes=axes), axes, b.shape(x))


@function()
def log_softmax(b: Any, x: Operand, axis: int = -1, dtype: Any = None, *, dim: int = UNSET) -> Any:
    """The logarithm of `softmax`."""
    x = inexact(b, x if dtype is None else widened(b, x, dtype))
    axes = axes_of(_axis(axis, dim), b.rank(x))
    shifted = x - b.expand_axes(_peak(b, x, axes), axes, b.shape(x))
    total = b.log(b.sum(b.exp(shifted), axes=axes))
    return shifted - b.expand_axes(total, axes, b.shape(x))
