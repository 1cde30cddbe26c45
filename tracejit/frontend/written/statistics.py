"""Statistics of NumPy's that are made of others: nan-aware ones, histograms of given bounds, correlations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracejit.frontend.written import Library, each, extended, is_known, refuse, written
from tracejit.frontend.written.numbers import require_numbers
from tracejit.frontend.written.reductions import in_inexact, stored, var_of

equal_bins = Library("numpy.histogram")


@written(np.nanvar)
def nanvar(
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
) -> Any:
    """The variance of the elements that are not nan."""
    x = np.asarray(x)
    if x.dtype.kind not in "fc":
        return var_of(x, axis, dtype, out, ddof, keepdims, where=where)
    if x.dtype.kind == "c" and dtype is not None and not np.issubdtype(dtype, np.complexfloating):
        refuse("the variance of complex numbers in another dtype", "np.var(np.real(x)) and np.var(np.imag(x))")
    x = in_inexact(x, dtype)
    held = ~np.isnan(x) & where
    count = np.sum(held, axis=axis, keepdims=True).astype(x.dtype)
    mean = np.sum(np.where(held, x, 0), axis=axis, keepdims=True) / count
    apart = np.abs(np.where(held, x - mean, 0))
    total = np.sum(apart * apart, axis=axis, keepdims=keepdims)
    freedom = (np.sum(held, axis=axis, keepdims=keepdims) - ddof).astype(total.dtype)
    made = np.where(freedom > 0, total / np.where(freedom > 0, freedom, 1), np.nan)[()]
    return stored(made if dtype is None else made.astype(dtype), out)


@written(np.nanstd)
def nanstd(
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
) -> Any:
    """The standard deviation of the elements that are not nan."""
    return stored(np.sqrt(nanvar(x, axis, dtype, None, ddof, keepdims, where=where)), out)


@written(np.nanargmax)
def nanargmax(x: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """The place of the largest element that is not nan."""
    x = np.asarray(x)
    if np.any(np.all(np.isnan(x), axis=axis)):
        raise ValueError("All-NaN slice encountered")
    return np.argmax(np.where(np.isnan(x), -np.inf, x), axis=axis, keepdims=keepdims)


@written(np.nanargmin)
def nanargmin(x: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """The place of the smallest element that is not nan."""
    x = np.asarray(x)
    if np.any(np.all(np.isnan(x), axis=axis)):
        raise ValueError("All-NaN slice encountered")
    return np.argmin(np.where(np.isnan(x), np.inf, x), axis=axis, keepdims=keepdims)


@written(np.nancumsum)
def nancumsum(x: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Sums of the first elements, nan counting 0."""
    x = np.asarray(x)
    return np.cumsum(np.where(np.isnan(x), 0, x), axis=axis, dtype=dtype, out=out)


@written(np.nancumprod)
def nancumprod(x: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Products of the first elements, nan counting 1."""
    x = np.asarray(x)
    return np.cumprod(np.where(np.isnan(x), 1, x), axis=axis, dtype=dtype, out=out)


def _of_lines(x: Any, axis: Any) -> Any:
    """The elements along an axis (all of them with None), or those of several axes, in one axis, the last."""
    if axis is None:
        return x.reshape(-1)
    if isinstance(axis, int):
        return np.moveaxis(x, axis, -1)
    moved = np.moveaxis(x, axis, tuple(range(x.ndim - len(axis), x.ndim)))
    return moved.reshape(*moved.shape[: x.ndim - len(axis)], math.prod(moved.shape[x.ndim - len(axis) :]))


@written(np.nanquantile)
def nanquantile(x: Any, q: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """The element at the fraction q of the order of those that are not nan, linear between neighbours."""
    require_numbers(x)
    if np.asarray(x).dtype.kind not in "fc" and np.asarray(q).dtype.kind not in "fc":
        return _of_ends(np.asarray(x), np.asarray(q), axis, keepdims)
    x = np.asarray(x) * 1.0
    fractions = np.asarray(q).reshape(-1) if np.ndim(q) > 0 else np.asarray(q, dtype=x.dtype).reshape(1)
    if not np.all((fractions >= 0) & (fractions <= 1)):
        raise ValueError("Quantiles must be in the range [0, 1]")
    lines = _of_lines(x, axis)
    lines = np.sort(np.concatenate((lines, np.full((*lines.shape[:-1], 1), np.nan, x.dtype)), axis=-1), axis=-1)
    last = np.maximum(np.sum(~np.isnan(lines), axis=-1, keepdims=True) - 1, 0)
    place = last.astype(x.dtype) * fractions.reshape(-1, *[1 for _ in each(lines.ndim)])
    below = np.floor(place).astype(np.int64)
    lines = np.broadcast_to(lines, (fractions.size, *lines.shape))
    low = np.take_along_axis(lines, below, axis=-1)
    high = np.take_along_axis(lines, np.minimum(below + 1, last), axis=-1)
    made = (low + (high - low) * (place - below.astype(x.dtype)))[..., 0]
    if keepdims:
        if axis is None:
            axis = tuple(range(x.ndim))
        axes = (axis,) if isinstance(axis, int) else axis
        made = np.expand_dims(made, tuple([k % x.ndim + 1 for k in axes]))
    return made.reshape(*np.shape(q), *made.shape[1:]) if np.ndim(q) > 0 else made[0]


@written(np.nanpercentile)
def nanpercentile(x: Any, q: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """`nanquantile` of q per cent."""
    return nanquantile(x, (q if np.ndim(q) == 0 else np.asarray(q)) / 100, axis, keepdims=keepdims)


@written(np.nanmedian)
def nanmedian(x: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    """The middle one of the elements that are not nan."""
    return stored(nanquantile(np.asarray(x) * 1.0, 0.5, axis, keepdims=keepdims), out)


@written(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: Any = True,
    bias: Any = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """The covariances of variables, one per row (one per column without `rowvar`)."""
    rows = _variables(m, rowvar)
    if y is not None:
        rows = np.concatenate((rows, _variables(y, rowvar)))
    freedom = ddof if ddof is not None else (0 if bias else 1)
    if fweights is None and aweights is None:
        apart = rows - np.mean(rows, axis=1, keepdims=True)
        made = apart @ np.conj(apart).T / max(rows.shape[1] - freedom, 0)
        return np.squeeze(made) if _is_one(rows) else made
    weights = np.ones(rows.shape[1])
    if fweights is not None and np.size(fweights) != rows.shape[1]:
        raise RuntimeError("incompatible numbers of samples and fweights")
    if aweights is not None and np.size(aweights) != rows.shape[1]:
        raise RuntimeError("incompatible numbers of samples and aweights")
    if fweights is not None:
        weights = weights * fweights
    if aweights is not None:
        weights = weights * aweights
    total = np.sum(weights)
    apart = rows - (rows @ weights / total)[:, None]
    if freedom == 0:
        factor = total
    elif aweights is None:
        factor = total - freedom
    else:
        factor = total - freedom * np.sum(weights * aweights) / total
    made = (apart * weights) @ np.conj(apart).T / factor
    return np.squeeze(made) if _is_one(rows) else made


def _variables(m: Any, rowvar: Any) -> Any:
    """Variables by rows, in floats."""
    m = np.asarray(m)
    if m.ndim > 2:
        raise ValueError("m has more than 2 dimensions")
    rows = np.atleast_2d(m) if m.ndim < 2 or rowvar else m.T
    return rows.astype(np.result_type(m, np.float64))


def _is_one(rows: Any) -> Any:
    """Whether there is one variable only, whose variance is a number: that is to be known when the function is
    compiled."""
    count = rows.shape[0]
    if not is_known(count) and count == 1:
        raise ValueError("the covariance of one variable is a number: np.var(x, ddof=1)")
    return is_known(count) and count == 1


@written(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: Any = True) -> Any:
    """The correlations of variables: covariances over the roots of both variances."""
    c = cov(x, y, rowvar)
    if c.ndim == 0:
        return c[()] / c[()]
    spread = np.sqrt(np.real(np.diag(c)))
    made = c / spread[:, None] / spread[None, :]
    if np.iscomplexobj(made):
        return np.clip(made.real, -1, 1) + 1j * np.clip(made.imag, -1, 1)
    return np.clip(made, -1, 1)


@written(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """The bounds of a histogram's bins."""
    return np.histogram(a, bins, range)[1]


def binned(x: Any, edges: Any) -> Any:
    """The number of the bin of each element (the last one holds its upper bound), and which are in one."""
    last = edges.size - 1
    place = np.searchsorted(edges, x, side="right") - 1
    place = np.where(x == edges[last], last - 1, place)
    return np.clip(place, 0, last - 1), (x >= edges[0]) & (x <= edges[last])


def histogram_of_edges(a: Any, edges: Any, density: Any = False, weights: Any = None) -> Any:
    """The histogram for given increasing bounds."""
    x = np.asarray(a).reshape(-1)
    edges = np.asarray(edges)
    if np.any(edges[1:] < edges[:-1]):
        raise ValueError("`bins` must increase monotonically, when an array")
    place, held = binned(x, edges)
    if weights is None:
        counts = np.bincount(place[held], minlength=edges.size - 1)
    else:
        amounts = np.asarray(weights).reshape(-1)
        counts = np.bincount(place[held], weights=amounts[held], minlength=edges.size - 1)
    if density:
        return counts / np.diff(edges) / np.sum(counts), edges
    return counts, edges


@written(np.histogram2d)
def histogram2d(x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """How many points fall into each rectangle, and the bounds along both axes."""
    if isinstance(bins, tuple | list):
        bins_x, bins_y = bins[0], bins[1]
    else:
        bins_x, bins_y = bins, bins
    if range is None:
        edges_x, edges_y = np.histogram(x, bins_x)[1], np.histogram(y, bins_y)[1]
    else:
        edges_x, edges_y = (
            np.histogram(np.zeros(0), bins_x, range[0])[1],
            np.histogram(np.zeros(0), bins_y, range[1])[1],
        )
    if np.size(x) != np.size(y):
        raise ValueError("x and y must have the same length.")
    place_x, held_x = binned(np.asarray(x), edges_x)
    place_y, held_y = binned(np.asarray(y), edges_y)
    held = held_x & held_y
    columns = edges_y.size - 1
    cells = (edges_x.size - 1) * columns
    amounts = np.ones(place_x.size) if weights is None else np.asarray(weights) * 1.0
    flat = np.bincount((place_x * columns + place_y)[held], weights=amounts[held], minlength=cells)
    counts = flat.reshape(edges_x.size - 1, columns)
    if density:
        counts = counts / np.diff(edges_x)[:, None] / np.diff(edges_y)[None, :] / np.sum(counts)
    return counts, edges_x, edges_y


@written(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = False, weights: Any = None) -> Any:
    """How many elements (or how much of their weights) fall into each bin, and the bounds of the bins."""
    if np.ndim(bins) == 0:
        first, last = (None, None) if range is None else range
        return equal_bins(a, bins, first, last, density, weights)
    return histogram_of_edges(a, bins, density, weights)


@extended("average")
def average(a: Any, axis: Any = None, weights: Any = None, returned: Any = False, *, keepdims: Any = False) -> Any:
    """The mean, weighted, and the sums of the weights."""
    x = np.asarray(a)
    made = np.average(x, axis=axis, weights=weights, keepdims=keepdims)
    if not returned:
        return made
    if weights is None:
        return made, np.zeros_like(made) + x.size // max(np.size(made), 1)
    amounts = np.asarray(weights)
    total = np.sum(amounts, axis=axis if amounts.ndim == x.ndim else None, keepdims=keepdims and amounts.ndim == x.ndim)
    return made, (np.zeros_like(made) + total)[()]


@extended("quantile")
def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: Any = False,
    method: Any = "linear",
    keepdims: Any = False,
) -> Any:
    """The elements at fractions of the order along an axis, linear between neighbours."""
    if method != "linear":
        refuse("quantiles are linear between neighbours in a script", "np.sort and indices of your own")
    x, fractions = np.asarray(a), np.asarray(q)
    if x.dtype.kind in "fc" or fractions.dtype.kind in "fc":
        return stored(np.quantile(a, q, axis, keepdims=keepdims), out)
    return stored(_of_ends(x, fractions, axis, keepdims), out)


def _of_ends(x: Any, fractions: Any, axis: Any, keepdims: Any) -> Any:
    """Quantiles of integers at 0 and 1, which are integers: the least and the largest elements."""
    if np.any((fractions < 0) | (fractions > 1)):
        raise ValueError("Quantiles must be in the range [0, 1]")
    low, high = np.min(x, axis=axis, keepdims=keepdims), np.max(x, axis=axis, keepdims=keepdims)
    at = np.expand_dims(fractions, tuple([fractions.ndim + k for k in each(np.ndim(low))]))
    return np.where(at > 0, high, low)[()]


@extended("percentile")
def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: Any = False,
    method: Any = "linear",
    keepdims: Any = False,
) -> Any:
    """`quantile` of q per cent."""
    return quantile(a, np.asarray(q)[()] / 100, axis, out, overwrite_input, method, keepdims)


@extended("median")
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, keepdims: Any = False) -> Any:
    """The middle element along an axis, or the mean of the middle two."""
    return stored(np.median(a, axis=axis, keepdims=keepdims), out)


@written(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Any:
    """Central differences along an axis, or along every one: a tuple then."""
    require_numbers(f)
    x = np.asarray(f) * 1.0
    axes = each(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    if len(varargs) > 1 and len(varargs) != len(axes):
        raise TypeError("invalid number of arguments")
    made = []
    for k in each(len(axes)):
        spacing = 1.0 if len(varargs) == 0 else varargs[0] if len(varargs) == 1 else varargs[k]
        made.append(differences(x, axes[k], spacing, edge_order))
    return made[0] if len(axes) == 1 else tuple(made)


def differences(x: Any, axis: Any, spacing: Any, edge_order: Any) -> Any:
    """Second-order differences along an axis for equal distances, or for the places of the points."""
    lines = np.moveaxis(x, axis, -1)
    n = lines.shape[-1]
    if n < edge_order + 1:
        raise ValueError("Shape of array too small to calculate a numerical gradient")
    made = np.empty_like(lines)
    if np.ndim(spacing) == 0:
        made[..., 1:-1] = (lines[..., 2:] - lines[..., :-2]) / (2.0 * spacing)
        first = last = spacing
    else:
        steps = np.diff(np.asarray(spacing))
        before: Any = steps[:-1]
        after: Any = steps[1:]
        made[..., 1:-1] = (
            -after / (before * (before + after)) * lines[..., :-2]
            + (after - before) / (before * after) * lines[..., 1:-1]
            + before / (after * (before + after)) * lines[..., 2:]
        )
        first, last = steps[0], steps[-1]
    if edge_order == 1:
        made[..., 0] = (lines[..., 1] - lines[..., 0]) / first
        made[..., -1] = (lines[..., -1] - lines[..., -2]) / last
    else:
        made[..., 0] = (-1.5 * lines[..., 0] + 2.0 * lines[..., 1] - 0.5 * lines[..., 2]) / first
        made[..., -1] = (1.5 * lines[..., -1] - 2.0 * lines[..., -2] + 0.5 * lines[..., -3]) / last
    return np.moveaxis(made, -1, axis)
