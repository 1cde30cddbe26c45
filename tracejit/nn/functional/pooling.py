"""Pooling beyond the windows of one size: adaptive, of p-norms, and what puts maxima back; windows as columns."""

from __future__ import annotations

from typing import Any

import tracejit as tj

max_pool1d, max_pool2d, max_pool3d = tj.max_pool1d, tj.max_pool2d, tj.max_pool3d
avg_pool1d, avg_pool2d, avg_pool3d = tj.avg_pool1d, tj.avg_pool2d, tj.avg_pool3d


# -- windows of about equal size ------------------------------------------------------------------------------


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """The mean of `output_size` windows of about equal size over the last axis."""
    return _adaptive(input, output_size, 1, False)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """The means of windows of about equal size over the last two axes: so many rows and columns of them; None keeps the
    axis."""
    return _adaptive(input, output_size, 2, False)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """The means of windows of about equal size over the last three axes; None keeps an axis."""
    return _adaptive(input, output_size, 3, False)


def adaptive_max_pool1d(input: Any, output_size: Any) -> Any:
    """The maximum of `output_size` windows of about equal size over the last axis."""
    return _adaptive(input, output_size, 1, True)


def adaptive_max_pool2d(input: Any, output_size: Any) -> Any:
    """The maxima of windows of about equal size over the last two axes; None keeps an axis."""
    return _adaptive(input, output_size, 2, True)


def adaptive_max_pool3d(input: Any, output_size: Any) -> Any:
    """The maxima of windows of about equal size over the last three axes; None keeps an axis."""
    return _adaptive(input, output_size, 3, True)


def _adaptive(input: Any, output_size: Any, space: int, greatest: bool) -> Any:
    """One axis after the other: the windows of several axes are products of those of each."""
    for k in range(space):
        count = of_axis(output_size, k)
        if count is not None:
            input = _windows(input, k - space, count, greatest)
    return input


def _windows(input: Any, axis: int, count: int, greatest: bool) -> Any:
    n = input.shape[axis]
    found = []
    for k in range(count):
        start, stop = k * n // count, ((k + 1) * n + count - 1) // count
        part = tj.narrow(input, axis, start, stop - start)
        found.append(part.amax(axis, keepdim=True) if greatest else part.mean(axis, keepdim=True))
    return found[0] if count == 1 else tj.cat(found, axis)


def of_axis(given: Any, k: int) -> Any:
    """The number for one axis of a number for all or one for each."""
    several = isinstance(given, tuple | list)
    return given if not several else given[0] if len(given) == 1 else given[k]


# -- p-norms ---------------------------------------------------------------------------------------------------


def lp_pool1d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """The p-norm of each window over the last axis: (sum of x**p)**(1/p)."""
    return _norm(avg_pool1d(input**norm_type, kernel_size, stride, 0, ceil_mode), norm_type, kernel_size, 1)


def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """The p-norm of each window over the last two axes."""
    return _norm(avg_pool2d(input**norm_type, kernel_size, stride, 0, ceil_mode), norm_type, kernel_size, 2)


def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """The p-norm of each window over the last three axes."""
    return _norm(avg_pool3d(input**norm_type, kernel_size, stride, 0, ceil_mode), norm_type, kernel_size, 3)


def _norm(means: Any, p: float, kernel_size: Any, space: int) -> Any:
    """The p-norms from the means of the powers; a sum below 0, of odd powers, counts as 0."""
    area = 1
    for k in range(space):
        area = area * of_axis(kernel_size, k)
    return (tj.relu(means) * area) ** (1.0 / p)


# -- maxima put back -------------------------------------------------------------------------------------------


def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Zeros but for the maxima that `max_pool1d(..., return_indices=True)` gave, at their places."""
    return _unpooled(input, indices, kernel_size, stride, padding, output_size, 1)


def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Zeros but for the maxima that `max_pool2d(..., return_indices=True)` gave, at their places. `output_size` is that
    of the last axes; (n - 1) * stride - 2 * padding + kernel_size if not given."""
    return _unpooled(input, indices, kernel_size, stride, padding, output_size, 2)


def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Zeros but for the maxima that `max_pool3d(..., return_indices=True)` gave, at their places."""
    return _unpooled(input, indices, kernel_size, stride, padding, output_size, 3)


def _unpooled(input: Any, indices: Any, kernel: Any, stride: Any, padding: Any, output_size: Any, space: int) -> Any:
    if output_size is None:
        stride = kernel if stride is None else stride
        sizes = tuple(
            (input.shape[k - space] - 1) * of_axis(stride, k) - 2 * of_axis(padding, k) + of_axis(kernel, k)
            for k in range(space)
        )
    else:
        sizes = tuple(output_size[len(output_size) - space :])
    total = 1
    for n in sizes:
        total = total * n
    lead = tuple(input.shape[: input.ndim - space])
    full = tj.zeros((*lead, total), dtype=input.dtype, device=input.device)
    made = full.scatter(-1, indices.reshape(*lead, -1), input.reshape(*lead, -1))
    return made.reshape(*lead, *sizes)


# -- windows as columns ----------------------------------------------------------------------------------------


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The windows of (batch, channels, height, width) as columns: (batch, channels * kernel size, windows)."""
    return tj.im2col(input, kernel_size, dilation, padding, stride)


def fold(input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Columns as `unfold` gives them, each added where its window lies in images of `output_size`."""
    return tj.col2im(input, output_size, kernel_size, dilation, padding, stride)
