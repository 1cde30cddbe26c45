"""Functions of `np.linalg` that go back to others."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.written import Library, decisive, is_known, written

cross_along = Library("cross")


@written(np.linalg.matmul)
def matmul(x1: Any, x2: Any, /) -> Any:
    """`np.matmul`."""
    return np.matmul(x1, x2)


@written(np.linalg.tensordot)
def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """`np.tensordot`."""
    return np.tensordot(x1, x2, axes=axes)


@written(np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: Any = -1) -> Any:
    """`np.vecdot`."""
    return np.vecdot(x1, x2, axis=axis)  # pyright: ignore[reportCallIssue]


@written(np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """The last two axes exchanged."""
    return np.matrix_transpose(x)


@written(np.linalg.outer)
def outer(x1: Any, x2: Any, /) -> Any:
    """The products of all elements of two vectors."""
    x1, x2 = np.asarray(x1), np.asarray(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"Input arrays must be one-dimensional, but they are x1.ndim={x1.ndim} and x2.ndim={x2.ndim}.")
    return np.outer(x1, x2)


@written(np.cross)
def cross_of(a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None) -> Any:
    """The products of vectors along axes of a and b, which lie along `axisc`."""
    a, b = np.asarray(a), np.asarray(b)
    if axis is not None:
        axisa, axisb, axisc = axis, axis, axis
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    m, n = decisive(a.shape[-1]), decisive(b.shape[-1])
    if is_known(m) and is_known(n):
        if m not in (2, 3) or n not in (2, 3):
            raise ValueError("incompatible dimensions for cross product\n(dimension must be 2 or 3)")
        if m == 2 and n == 2:
            return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])  # of two vectors too, an array
        a, b = _in_space(a, m), _in_space(b, n)
    return np.moveaxis(cross_along(a, b, -1), -1, axisc)


def _in_space(a: Any, size: Any) -> Any:
    """Vectors of two elements with a third that is 0."""
    return a if size == 3 else np.concatenate((a, np.zeros_like(a[..., :1])), axis=-1)


@written(np.linalg.cross)
def cross(x1: Any, x2: Any, /, *, axis: Any = -1) -> Any:
    """The product of vectors of three elements that is perpendicular to both."""
    x1, x2 = np.asarray(x1), np.asarray(x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError("Both input arrays must be (arrays of) 3-dimensional vectors")
    return np.cross(x1, x2, axis=axis)


@written(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """x with `tensordot(a, x, x.ndim) == b`; `axes` of a come last."""
    a, b = np.asarray(a), np.asarray(b)
    if axes is not None:
        a = np.moveaxis(a, axes, range(-len(axes), 0))
    shape = a.shape[b.ndim :]
    size = np.size(b)
    if a.size != size * size:
        raise np.linalg.LinAlgError(
            "Input arrays must satisfy the requirement             prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )
    return np.linalg.solve(a.reshape(size, size), b.reshape(-1)).reshape(shape)


@written(np.linalg.tensorinv)
def tensorinv(a: Any, ind: Any = 2) -> Any:
    """The inverse of `x -> tensordot(a, x, ind)`."""
    a = np.asarray(a)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    size = 1
    for n in a.shape[ind:]:
        size = size * n
    return np.linalg.inv(a.reshape(size, -1)).reshape(a.shape[ind:] + a.shape[:ind])
