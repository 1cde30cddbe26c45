"""Picking, placing and ordering against NumPy, with gradients."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj
from tests.eager.differences import check_gradients


def data(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 2, shape)


def test_take_and_index_select() -> None:
    a = data(3, 4)
    x = tj.tensor(a)
    np.testing.assert_array_equal(tj.take(x, [0, 5, -1]).numpy(), np.take(a, [0, 5, -1]))
    np.testing.assert_array_equal(x.take(tj.tensor([[0, 1], [2, 2]]), 1).numpy(), np.take(a, [[0, 1], [2, 2]], 1))
    np.testing.assert_array_equal(x.index_select(0, tj.tensor([2, 0])).numpy(), a[[2, 0]])
    with pytest.raises(IndexError):
        x.take(12)
    with pytest.raises(TypeError):
        x.take([0.5])
    check_gradients(lambda x: x.take([0, 2, 2], 1) ** 2, a)


def test_gather_and_scatter() -> None:
    a = data(3, 4)
    index = np.array([[0, 3, 3], [2, 1, 0]])
    x = tj.tensor(a)
    np.testing.assert_array_equal(x.gather(1, tj.tensor(index)).numpy(), np.take_along_axis(a[:2], index, 1))
    np.testing.assert_array_equal(tj.take_along_axis(x, index[:1], 1).numpy(), np.take_along_axis(a, index[:1], 1))
    expected = a.copy()
    np.put_along_axis(expected[:2], np.array([[0, 3], [2, 1]]), 9.0, 1)
    np.testing.assert_array_equal(x.scatter(1, tj.tensor([[0, 3], [2, 1]]), 9.0).numpy(), expected)
    expected = a.copy()
    np.add.at(expected, (np.arange(2)[:, None], index), 1.0)
    np.testing.assert_allclose(x.scatter_add(1, tj.tensor(index), tj.ones(2, 3)).numpy(), expected)
    check_gradients(lambda x: x.gather(1, index) ** 2, a)
    check_gradients(lambda x, v: x.scatter(1, index, v) ** 2, a, data(2, 3, seed=1))
    check_gradients(lambda x, v: x.scatter_add(0, index[:, :2] % 3, v) ** 2, a, data(2, 2, seed=1))
    with pytest.raises(IndexError):
        x.gather(1, tj.tensor([[4]]))
    with pytest.raises(ValueError):
        x.gather(1, tj.tensor([0]))


def test_masks() -> None:
    a = data(3, 4)
    x, mask = tj.tensor(a), a > 1
    np.testing.assert_array_equal(x.masked_fill(mask, 0).numpy(), np.where(mask, 0, a))
    np.testing.assert_array_equal(x.masked_select(mask).numpy(), a[mask])
    np.testing.assert_array_equal(x.clone().masked_fill_(mask, 5.0).numpy(), np.where(mask, 5, a))
    for got, expected in zip(tj.nonzero(tj.tensor(mask)), np.nonzero(mask), strict=True):
        np.testing.assert_array_equal(got.numpy(), expected)
    np.testing.assert_array_equal(tj.argwhere(tj.tensor(mask)).numpy(), np.argwhere(mask))
    check_gradients(lambda x: (x * x).masked_fill_(mask, 2.0), a)


def test_orders() -> None:
    a = np.random.default_rng(1).integers(0, 4, (3, 6))
    x = tj.tensor(a)
    for axis in (0, 1, -1):
        np.testing.assert_array_equal(x.sort(axis).numpy(), np.sort(a, axis))
        np.testing.assert_array_equal(x.argsort(axis).numpy(), np.argsort(a, axis, kind="stable"))
        np.testing.assert_array_equal(x.sort(axis, descending=True).numpy(), -np.sort(-a, axis))
        np.testing.assert_array_equal(x.argsort(axis, descending=True).numpy(), np.argsort(-a, axis, kind="stable"))
    values, indices = x.topk(2)
    np.testing.assert_array_equal(values.numpy(), -np.sort(-a, 1)[:, :2])
    np.testing.assert_array_equal(np.take_along_axis(a, indices.numpy(), 1), values.numpy())
    assert x.topk(2, dim=0, largest=False).values.shape == (2, 6)
    with pytest.raises(ValueError):
        x.topk(7)
    check_gradients(lambda x: x.sort(1) ** 2 + x.topk(3).values.sum(), data(2, 3))


def test_unique() -> None:
    a = np.array([[3, 1], [1, 2]])
    values, inverse, counts = tj.unique(tj.tensor(a), return_inverse=True, return_counts=True)
    assert values.tolist() == [1, 2, 3] and counts.tolist() == [2, 1, 1]
    np.testing.assert_array_equal(values.numpy()[inverse.numpy()], a)
    assert tj.unique(tj.tensor([2.0, 1.0, 2.0])).tolist() == [1.0, 2.0]


def test_one_hot() -> None:
    assert tj.one_hot(tj.tensor([1, 0])).tolist() == [[0, 1], [1, 0]]
    assert tj.one_hot(tj.tensor([[1]]), 3).tolist() == [[[0, 1, 0]]]
    with pytest.raises(ValueError):
        tj.one_hot(tj.tensor([3]), 3)
    with pytest.raises(ValueError):
        tj.one_hot(tj.tensor([-1]))
