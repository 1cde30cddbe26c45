"""Functions that replace or combine elements at places, against NumPy's assignments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.eager.differences import check_gradients
from tests.ops.function_cases import check


def data(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


X, Y = data(4, 6), data(4, 6, seed=1)
ALONG = np.random.default_rng(2).integers(0, 4, (4, 6))
LINES = np.array([2, 0, 3])
MASK = np.random.default_rng(3).random((4, 6)) < 0.4


def changed(x: Any, key: Any, value: Any) -> np.ndarray:
    out = x.copy()
    out[key] = value
    return out


def combined(ufunc: Any, x: Any, index: Any, value: Any, include_self: bool = True) -> np.ndarray:
    """`ufunc.at` along axis 0."""
    out, columns = x.copy(), np.broadcast_to(np.arange(index.shape[1]), index.shape)
    if not include_self:
        out[index, columns] = {np.add: 0, np.multiply: 1, np.maximum: -np.inf, np.minimum: np.inf}[ufunc]
    ufunc.at(out, (index, columns), value[: index.shape[0], : index.shape[1]])
    return out


def test_slices_along_an_axis() -> None:
    check("function index_fill", changed(X, LINES, 2.5), X, 0, LINES, 2.5)
    check("function index_fill", changed(X, (slice(None), LINES - 6), 2.5), X, 1, LINES - 6, np.array(2.5))
    check("function index_copy", changed(X, LINES, Y[:3]), X, 0, LINES, Y[:3])
    check("function index_copy", changed(X, (slice(None), LINES), Y[:, :3]), X, -1, LINES, Y[:, :3])
    check("function index_reduce", changed(X, LINES, np.fmax(X[LINES], Y[:3])), X, 0, LINES, Y[:3], "amax")
    check("function index_reduce", changed(X, LINES, Y[:3]), X, 0, LINES, Y[:3], "prod", include_self=False)


def test_element_by_element() -> None:
    check("function scatter", combined(np.add, X, ALONG, Y), X, 0, ALONG, Y, reduce="add")
    check("function scatter", combined(np.multiply, X, ALONG, Y), X, 0, ALONG, Y, reduce="multiply")
    check("function scatter", changed(X, (ALONG[0], np.arange(6)), 3.0), X, 0, ALONG[:1], value=3.0)
    check("function scatter_add", combined(np.add, X, ALONG[:2, :3], Y), X, 0, ALONG[:2, :3], Y)
    for own in (True, False):
        for name, ufunc in (("sum", np.add), ("prod", np.multiply), ("amax", np.maximum), ("amin", np.minimum)):
            expected = combined(ufunc, X, ALONG, Y, own)
            check("function scatter_reduce", expected, X, 0, ALONG, Y, name, include_self=own)
        count = combined(np.add, np.full_like(X, own), ALONG, np.ones_like(Y))
        mean = combined(np.add, X, ALONG, Y, own) / np.maximum(count, 1)
        check("function scatter_reduce", mean, X, 0, ALONG, Y, "mean", include_self=own)
    check("function scatter", np.array(2.0), np.array(1.0), 0, np.array(0), np.array(2.0))


def test_places_of_the_flattened_array() -> None:
    values = data(3, seed=4)
    expected = X.copy().ravel()
    np.add.at(expected, [1, 1, 7], values)
    check("function put", expected.reshape(4, 6), X, np.array([1, 1, 7]), values, True)
    check("function put", changed(X.ravel(), [-1, 3, 7], values).reshape(4, 6), X, np.array([-1, 3, 7]), values)


def test_several_indices() -> None:
    values = data(3, seed=4)
    check("function index_put", changed(X, (LINES, LINES), values), X, [LINES, LINES], values)
    check("function index_put", changed(X, -LINES, Y[:3]), X, [-LINES], Y[:3])
    check("function index_put", changed(X, MASK, 1.5), X, [MASK], 1.5)
    summed = X.copy()
    np.add.at(summed, (LINES * 0, LINES * 0), values)
    check("function index_put", summed, X, [LINES * 0, LINES * 0], values, True)


def test_masks_and_places_of_any_shape() -> None:
    check("function masked_scatter", changed(X, MASK, Y.ravel()[: MASK.sum()]), X, MASK, Y)
    check("function take_along_dim", np.take_along_axis(X, ALONG[:1], 0), X, ALONG[:1], 0)
    check("function take_along_dim", np.take_along_axis(X, ALONG[:, :1], 1), X, ALONG[:, :1], 1)
    check("function take_along_dim", X.ravel()[LINES], X, LINES)


def test_regular_parts() -> None:
    b = data(2, 3, 4)
    check("function select_scatter", changed(b, (slice(None), -1), b[:, 0]), b, b[:, 0], 1, -1)
    check("function slice_scatter", changed(X, (slice(None), slice(0, 6, 2)), Y[:, :3]), X, Y[:, :3], 1, 0, 6, 2)
    check("function slice_scatter", changed(X, slice(-2, None), Y[:2]), X, Y[:2], start=-2)
    for offset, count in ((0, 4), (-1, 3), (2, 4)):
        expected = X.copy()
        np.fill_diagonal(expected[max(-offset, 0) :, max(offset, 0) :], Y[0, :count])
        check("function diagonal_scatter", expected, X, Y[0, :count], offset)


def test_derivatives() -> None:
    values = data(3, seed=4)
    check_gradients(lambda x, v: x.index_copy(0, LINES, v) ** 2, X, Y[:3])
    check_gradients(lambda x: x.index_fill(1, LINES, 2.0) ** 2, X)
    check_gradients(lambda x, v: x.put(np.array([1, 1, 7]), v, True) ** 2, X, values)
    check_gradients(lambda x, v: x.index_put((LINES, LINES), v) ** 2, X, values)
    check_gradients(lambda x, v: x.masked_scatter(MASK, v) ** 2, X, Y)
    check_gradients(lambda x, v: x.slice_scatter(v, 1, 0, 6, 2) ** 2, X, Y[:, :3])
    for reduce in ("sum", "mean", "amax", "amin"):
        check_gradients(lambda x, v: x.scatter_reduce(0, ALONG, v, reduce) ** 2, X, Y)
        check_gradients(lambda x, v: x.scatter_reduce(0, ALONG, v, reduce, include_self=False) ** 2, X, Y)
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    v = tj.tensor([3.0, 3.0, 0.0], requires_grad=True)
    x.scatter_reduce(0, tj.tensor([0, 0, 1]), v, "amax").sum().backward()
    np.testing.assert_array_equal(v.grad, [0.5, 0.5, 0.0])
    np.testing.assert_array_equal(x.grad, [0.0, 1.0])
    with pytest.raises(tj.NotDifferentiable, match="logarithms"):
        x.scatter_reduce(0, tj.tensor([0, 0, 1]), v, "prod").sum().backward()


def test_what_does_not_fit() -> None:
    x: Any = tj.tensor(X)
    calls: dict[type[Exception], list[Any]] = {
        IndexError: [
            lambda x: x.index_fill(0, tj.tensor([4]), 1.0),
            lambda x: x.index_put((tj.tensor([-5]),), 1.0),
            lambda x: x.index_put((tj.tensor([0]),) * 3, 1.0),
            lambda x: x.index_put((x[:, 1:] > 0,), 1.0),
            lambda x: x.put(tj.tensor([24]), 1.0),
            lambda x: x.select_scatter(x[0], 0, 4),
        ],
        ValueError: [
            lambda x: x.index_copy(0, tj.tensor([1, 2]), x[:3]),
            lambda x: x.masked_scatter(x > -9, x[0]),
            lambda x: x.scatter_reduce(0, tj.tensor([[0]]), x, "median"),
            lambda x: x.diagonal_scatter(x[0]),
            lambda x: x.take_along_dim(tj.tensor([0]), 0),
        ],
        TypeError: [
            lambda x: x.masked_scatter(x, x),
            lambda x: x.index_fill(0, x, 1.0),
            lambda x: x.scatter(0, tj.tensor([[0]])),
            lambda x: x.scatter(0, tj.tensor([[0]]), x, value=1.0),
        ],
    }
    for error, functions in calls.items():
        for function in functions:
            for call in (function, tj.script(function)):
                with pytest.raises(error):
                    call(x)
