"""Reductions with NumPy's `where`, `initial` and `out`, which the library functions leave to these definitions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.written import Library, extended, is_known, written

mean_of_known, max_of_known, min_of_known = Library("nanmean"), Library("nanmax"), Library("nanmin")


def stored(made: Any, out: Any) -> Any:
    """A result, written into `out` if that is given, whose shape is to be that of the result."""
    if out is None:
        return made
    if np.shape(made) != out.shape:
        raise ValueError(f"output array of shape {out.shape} does not match a result of shape {np.shape(made)}")
    out[...] = made
    return out


def _is_true(where: Any) -> Any:
    """Whether a mask is `True`: all elements take part."""
    return isinstance(where, bool) and where


def _mask(where: Any, a: Any) -> Any:
    """A mask in the shape of what it is for, which it must not be larger than."""
    return np.broadcast_to(where, np.shape(a))


def _is(initial: Any, neutral: Any) -> Any:
    """Whether a number that is known is the one that changes nothing."""
    return is_known(initial) and initial == neutral


@extended("sum")
def sum_of(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = 0,
    where: Any = True,
) -> Any:
    """The sum of the elements where `where` holds, and of `initial`."""
    x = a if _is_true(where) else np.where(_mask(where, a), a, np.zeros_like(a))
    made = np.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)
    return stored(made if _is(initial, 0) else made + np.asarray(initial, dtype=made.dtype), out)


@extended("prod")
def prod_of(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = 1,
    where: Any = True,
) -> Any:
    """The product of the elements where `where` holds, and of `initial`."""
    x = a if _is_true(where) else np.where(_mask(where, a), a, np.ones_like(a))
    made = np.prod(x, axis=axis, dtype=dtype, keepdims=keepdims)
    return stored(made if _is(initial, 1) else made * np.asarray(initial, dtype=made.dtype), out)


def _without_nan(a: Any, instead: Any) -> Any:
    """The array with a number in place of nan."""
    x = np.asarray(a)
    return np.where(np.isnan(x), instead, x) if x.dtype.kind in "fc" else x


@written(np.nansum)
def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = 0,
    where: Any = True,
) -> Any:
    """The sum of the elements that are not nan."""
    return sum_of(_without_nan(a, 0), axis, dtype, out, keepdims, initial, where)


@written(np.nanprod)
def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = 1,
    where: Any = True,
) -> Any:
    """The product of the elements that are not nan."""
    return prod_of(_without_nan(a, 1), axis, dtype, out, keepdims, initial, where)


@written(np.nanmean)
def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True
) -> Any:
    """The mean of the elements that are not nan."""
    x = np.asarray(a)
    if x.dtype.kind not in "fc":
        return mean_of(x, axis, dtype, out, keepdims, where=where)
    x = in_inexact(x, dtype)
    if _is_true(where):
        return stored(mean_of_known(x, axis, keepdims), out)
    return mean_of(x, axis, None, out, keepdims, where=~np.isnan(x) & where)


def in_inexact(x: Any, dtype: Any) -> Any:
    """Floats or complex numbers in another such dtype."""
    if dtype is None:
        return x
    if not np.issubdtype(dtype, np.inexact):
        raise TypeError("If a is inexact, then dtype must be inexact")
    return x.astype(dtype)


@written(np.nanmax)
def nanmax(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    """The largest element that is not nan."""
    if initial is None and _is_true(where):
        return stored(max_of_known(a, axis, keepdims), out)
    return max_of(_without_nan(a, -np.inf), axis, out, keepdims, initial, where)


@written(np.nanmin)
def nanmin(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    """The smallest element that is not nan."""
    if initial is None and _is_true(where):
        return stored(min_of_known(a, axis, keepdims), out)
    return min_of(_without_nan(a, np.inf), axis, out, keepdims, initial, where)


def _with_initial(a: Any, axis: Any, keepdims: Any, initial: Any, where: Any, largest: Any) -> Any:
    """The largest or smallest of the elements where `where` holds and of `initial`."""
    x = np.asarray(a)
    if not _is_true(where):
        if initial is None:
            raise ValueError(
                "reduction operation does not have an identity, so to use a where mask one has to specify 'initial'"
            )
        x = np.where(_mask(where, x), x, np.asarray(initial, dtype=x.dtype))
    if initial is None:
        return np.max(x, axis=axis, keepdims=keepdims) if largest else np.min(x, axis=axis, keepdims=keepdims)
    first = np.asarray(initial, dtype=x.dtype)
    if axis is None:
        held = np.concatenate((x.reshape(-1), first.reshape(1)))
        made = np.max(held) if largest else np.min(held)
        return made.reshape((1,) * x.ndim) if keepdims else made
    axes = axis if isinstance(axis, tuple) else (axis,)
    if len(axes) == 0:
        return np.maximum(x, first) if largest else np.minimum(x, first)
    rows = np.moveaxis(x, axes[0], 0)
    edge = np.broadcast_to(first, (1, *rows.shape[1:]))
    x = np.moveaxis(np.concatenate((rows, edge)), 0, axes[0])
    return np.max(x, axis=axis, keepdims=keepdims) if largest else np.min(x, axis=axis, keepdims=keepdims)


@extended("max", "amax")
def max_of(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    """The largest of the elements where `where` holds and of `initial`."""
    return stored(_with_initial(a, axis, keepdims, initial, where, True), out)


@extended("min", "amin")
def min_of(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    """The smallest of the elements where `where` holds and of `initial`."""
    return stored(_with_initial(a, axis, keepdims, initial, where, False), out)


@extended("all")
def all_of(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    """Whether all elements hold where `where` does."""
    return stored(np.all((np.asarray(a) != 0) | ~_mask(where, a), axis=axis, keepdims=keepdims), out)


@extended("any")
def any_of(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    """Whether any element holds where `where` does."""
    return stored(np.any((np.asarray(a) != 0) & _mask(where, a), axis=axis, keepdims=keepdims), out)


@extended("mean")
def mean_of(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True
) -> Any:
    """The mean of the elements where `where` holds."""
    if _is_true(where) and (dtype is None or np.issubdtype(dtype, np.inexact)):
        return stored(np.mean(a, axis=axis, dtype=dtype, keepdims=keepdims), out)
    count = np.sum(_mask(where, a), axis=axis, keepdims=keepdims)
    total = sum_of(np.asarray(a) * 1.0 if dtype is None else a, axis, dtype, None, keepdims, 0, where)
    return stored(_quotient(total, count), out)


def _quotient(total: Any, count: Any) -> Any:
    """total / count in the dtype of the total, whose integers are cut off."""
    if total.dtype.kind in "fc":
        return total / count.astype(total.dtype)
    return (total / count).astype(total.dtype)


@extended("var")
def var_of(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = 0,
) -> Any:
    """The variance of the elements where `where` holds."""
    x = np.asarray(a)
    if dtype is not None and x.dtype.kind != "c" and np.issubdtype(dtype, np.floating):
        x = x.astype(dtype)  # narrow floats are squared in the wide ones
    held = _mask(where, x)
    middle = mean_of(x, axis, dtype, None, True, where=held) if mean is None else mean
    away = x - middle
    apart = np.abs(away) if away.dtype.kind == "c" else away
    # a real array about a complex mean is squared as it is
    squares = away * away if x.dtype.kind in "iuf" else apart * apart
    total = np.sum(np.where(held, squares, 0), axis=axis, dtype=dtype, keepdims=keepdims)
    freedom = np.sum(held, axis=axis, keepdims=keepdims) - ddof - correction
    return stored(_quotient(total, np.maximum(freedom, 0)), out)


@extended("std")
def std_of(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = 0,
) -> Any:
    """The standard deviation of the elements where `where` holds."""
    spread = var_of(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction)
    root = np.sqrt(spread)
    if dtype is not None and np.ndim(spread) == 0:
        root = root.astype(dtype)
    for target in (spread, out):
        if target is not None and np.ndim(target) + np.ndim(spread) > 0 and target.dtype.kind in "iub":
            raise TypeError(
                f"Cannot cast ufunc 'sqrt' output from {root.dtype} to {target.dtype} with casting rule 'same_kind'"
            )
    return stored(root, out)
