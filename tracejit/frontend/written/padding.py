"""`np.pad`, axis by axis where values differ or are computed."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.written import Library, each, refuse, written

of_one_value = Library("numpy.pad")

CONTINUED = ("edge", "wrap", "reflect", "symmetric")
STATISTICS = ("mean", "median", "maximum", "minimum")
EXTENDING = ("linear_ramp", *STATISTICS)


@written(np.pad)
def pad(
    array: Any,
    pad_width: Any,
    mode: Any = "constant",
    *,
    constant_values: Any = 0,
    end_values: Any = 0,
    stat_length: Any = None,
    reflect_type: Any = "even",
) -> Any:
    """The array with more elements before and behind it along its axes."""
    if callable(mode) or reflect_type != "even":
        refuse("np.pad has only the modes with a name in a script", "np.concatenate")
    x = np.asarray(array)
    if isinstance(pad_width, np.ndarray):
        pad_width = pad_width.tolist()
    if isinstance(pad_width, (str, bool, float)) or (isinstance(pad_width, (tuple, list)) and len(pad_width) == 0):
        raise TypeError("`pad_width` must be of integral type.")
    if isinstance(pad_width, dict):
        pad_width = [_of_axis(pad_width, k, x.ndim) for k in each(x.ndim)]
    if mode in CONTINUED or (mode == "constant" and not isinstance(constant_values, (tuple, list))):
        if x.dtype.kind in "iu":
            constant_values = np.asarray(constant_values).astype(x.dtype)[()]  # what does not fit wraps
        return of_one_value(x, pad_width, mode, constant_values)
    if mode not in ("constant", "linear_ramp", "empty", *STATISTICS):
        raise ValueError(f"mode '{mode}' is not supported")
    for k in each(x.ndim):
        before, behind = _pair(pad_width, k)
        if before < 0 or behind < 0:
            raise ValueError("index can't contain negative values")
        if mode in EXTENDING and x.shape[k] == 0 and before + behind > 0:
            raise ValueError(f"can't extend empty axis {k} using modes other than 'constant' or 'empty'")
        if mode == "linear_ramp":
            ends = _pair(end_values, k)
            left = _ramp(x, k, before, ends[0], 0)
            right = np.flip(_ramp(x, k, behind, ends[1], -1), k)
        elif mode in STATISTICS:
            counts = _pair(stat_length, k)
            left = _strip(x, k, before, _statistic(x, k, mode, counts[0], True))
            right = _strip(x, k, behind, _statistic(x, k, mode, counts[1], False))
        else:
            values = _pair(constant_values, k)
            left, right = _strip(x, k, before, values[0]), _strip(x, k, behind, values[1])
        x = np.concatenate((left, x, right), axis=k)
    return x


def _of_axis(widths: Any, k: Any, rank: Any) -> Any:
    """The widths of an axis in a dict by axes, which may count from the end."""
    given = widths[k] if k in widths else widths.get(k - rank, 0)
    return given if isinstance(given, (tuple, list)) else (given, given)


def _pair(given: Any, k: Any) -> Any:
    """What holds before and behind axis k: one value for all, a pair for all axes, or a pair (or value) for each."""
    if not isinstance(given, (tuple, list)):
        return given, given
    rows: Any = given
    if not isinstance(rows[0], (tuple, list)):
        return rows[0], rows[-1]
    row = rows[k] if len(rows) > 1 else rows[0]
    return row[0], row[-1]


def _strip(x: Any, k: Any, count: Any, values: Any) -> Any:
    """`count` layers of values along axis k, in the dtype of x."""
    shape = tuple(count if axis == k else x.shape[axis] for axis in each(x.ndim))
    return np.broadcast_to(np.asarray(values).astype(x.dtype), shape)


def _ramp(x: Any, k: Any, count: Any, end: Any, edge: Any) -> Any:
    """`count` layers from a value towards the first (last) layer of x."""
    layer = np.moveaxis(x, k, 0)[edge]
    ramp = np.linspace(np.zeros(layer.shape) + end, layer, count, endpoint=False)
    return np.moveaxis(ramp, 0, k).astype(x.dtype)


def _statistic(x: Any, k: Any, mode: Any, count: Any, is_first: Any) -> Any:
    """A statistic of the first (last) `count` layers, or of all, along axis k."""
    lines = np.moveaxis(x, k, 0)
    size = lines.shape[0]
    if count is not None:
        if count < 1:
            raise ValueError(f"stat_length of {count} yields no value for padding")
        taken = min(count, size)
        lines = lines[:taken] if is_first else lines[size - taken :]
    lines = np.moveaxis(lines, 0, k)
    if mode == "maximum":
        return np.max(lines, axis=k, keepdims=True)
    if mode == "minimum":
        return np.min(lines, axis=k, keepdims=True)
    made = np.mean(lines, axis=k, keepdims=True) if mode == "mean" else np.median(lines, axis=k, keepdims=True)
    return np.rint(made) if x.dtype.kind in "iu" else made
