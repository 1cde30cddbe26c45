"""Indexing against NumPy: every form by hand, and random mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj

SHAPE = (4, 3, 5)


def data() -> np.ndarray:
    return np.arange(60, dtype=np.float64).reshape(SHAPE)


FORMS: list[Any] = [
    0,
    -1,
    slice(1, 3),
    slice(None, None, -1),
    slice(-3, None, 2),
    slice(10, 20),
    range(1, 3),
    range(3, 0, -2),
    range(0),
    (range(4), [0, 2, 1, 1]),
    ...,
    None,
    (1, 2),
    (1, 2, 3),
    (..., 0),
    (0, ..., None, 1),
    (slice(None), None, slice(0, 2)),
    [0, 2],
    ([0, 2], [1, 1]),
    (slice(None), [2, 0, 0]),
    ([0, 1], slice(None), [1, 0]),
    (0, slice(None), [1, 0]),
    (None, [1, 2]),
    np.array([[0, 1], [2, 3]]),
    np.array(2),
    np.int64(1),
    np.array([], dtype=np.int64),
    data() > 30,
    np.array([True, False, True, True]),
    (slice(None), np.array([True, False, True])),
    (np.array([True, False, True, False]), 1),
    (np.array([True, False, True, False]), [0, 1]),
    True,
    (),
]


@pytest.mark.parametrize("key", FORMS, ids=lambda k: str(k).replace("\n", "")[:40])
def test_reading(key: Any) -> None:
    for layout in (data(), data().T.copy().T, data()[::-1]):
        got = tj.from_numpy(layout)[key]
        expected = layout[key]
        assert got.shape == np.shape(expected)
        np.testing.assert_array_equal(got.numpy(), expected)
        recorded = tj.tensor(layout, requires_grad=True)[key]
        np.testing.assert_array_equal(recorded.numpy(), expected)


@pytest.mark.parametrize("key", FORMS, ids=lambda k: str(k).replace("\n", "")[:40])
def test_writing(key: Any) -> None:
    for layout in (data(), data().T.copy().T, data()[::-1]):
        for value in (7.0, -layout[key]):
            expected, got = layout.copy(), tj.from_numpy(layout.copy(order="K"))
            expected[key] = value
            got[key] = tj.tensor(value) if isinstance(value, np.ndarray) else value
            np.testing.assert_array_equal(got.numpy(), expected)
            recorded = tj.tensor(layout, requires_grad=True).clone()
            recorded[key] = value
            np.testing.assert_array_equal(recorded.numpy(), expected)


def random_item(rng: np.random.Generator, size: int) -> Any:
    kind = rng.integers(0, 6)
    if kind == 0:
        return int(rng.integers(-size, size))
    if kind in (1, 2):
        bounds = [None if rng.random() < 0.3 else int(rng.integers(-size - 2, size + 3)) for _ in range(2)]
        step = None if rng.random() < 0.4 else int(rng.choice([-3, -2, -1, 1, 2, 3]))
        return slice(*bounds, step)
    if kind == 3:
        return slice(None)
    if kind == 4:
        return rng.integers(-size, size, 2)
    return None


def random_key(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    key: list[Any] = []
    for size in shape[: rng.integers(0, len(shape) + 1)]:
        item = random_item(rng, size)
        while item is None:
            key.append(None)
            item = random_item(rng, size)
        key.append(item)
    if rng.random() < 0.2:
        key.insert(int(rng.integers(0, len(key) + 1)), ...)
    return tuple(key)


@pytest.mark.parametrize("seed", range(40))
def test_random_mixtures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(10):
        layout = rng.normal(size=SHAPE)
        key = random_key(rng, SHAPE)
        try:
            expected = layout[key]
        except IndexError:
            with pytest.raises(IndexError):
                tj.tensor(layout)[key]
            continue
        np.testing.assert_array_equal(tj.tensor(layout)[key].numpy(), expected)
        leaf = tj.tensor(layout, requires_grad=True)
        weights = rng.normal(size=expected.shape)
        (leaf[key] * tj.tensor(weights)).sum().backward()
        gradient = np.zeros(SHAPE)
        np.add.at(gradient, key, weights)
        np.testing.assert_allclose(leaf.grad.numpy(), gradient, atol=1e-12)
        written, copied = layout.copy(), leaf.detach().clone()
        written[key] = weights
        copied[key] = weights
        np.testing.assert_array_equal(copied.numpy(), written)


def test_basic_indexing_gives_views() -> None:
    x = tj.zeros(3, 4)
    x[1][2] = 5.0
    x[0, 1:3].fill_(7)
    assert x.tolist() == [[0, 7, 7, 0], [0, 0, 5, 0], [0, 0, 0, 0]]


def test_tensors_are_indices_and_masks() -> None:
    x = tj.arange(5)
    i = tj.tensor(3)
    assert x[i].item() == 3
    assert x[tj.tensor([0, -1])].tolist() == [0, 4]
    assert x[x > 2].tolist() == [3, 4]
    assert x[: tj.tensor(2)].tolist() == [0, 1]
    x[x > 2] = 0
    x[tj.tensor([0, 1])] += 10
    assert x.tolist() == [10, 11, 2, 0, 0]


def test_wrong_indices_are_index_errors() -> None:
    x = tj.zeros(3, 4)
    for requires_grad in (False, True):
        y = x.clone().requires_grad_(requires_grad)
        for key in (3, (0, 4), (0, 0, 0), "a", 1.0, tj.tensor([0.5]), np.array([3]), np.array([True, False]), (0, "b")):
            with pytest.raises(IndexError):
                y[key]


def test_values_that_do_not_fit_are_value_errors() -> None:
    for x in (tj.zeros(3, 4), tj.zeros(3, 4, requires_grad=True).clone()):
        with pytest.raises(ValueError):
            x[0] = tj.ones(3)
        with pytest.raises(ValueError):
            x[np.array([0, 1])] = tj.ones(3, 4)


def test_assignment_converts_to_the_dtype_of_the_target() -> None:
    x = tj.zeros(2, dtype=tj.int64)
    x[0] = 2.7
    x[1:] = tj.tensor([3.9])
    assert x.tolist() == [2, 3]


def test_iteration_length_and_membership() -> None:
    x = tj.tensor([[1, 2], [3, 4]])
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert len(x) == 2 and 3 in x and 9 not in x
    with pytest.raises(TypeError):
        len(tj.tensor(1))
    with pytest.raises(TypeError):
        iter(tj.tensor(1))


def test_augmented_assignment_to_parts() -> None:
    x = tj.ones(4)
    x[1:3] *= 5
    x[0] -= 1
    assert x.tolist() == [0.0, 5.0, 5.0, 1.0]


def test_too_many_indices_of_a_recorded_tensor() -> None:
    with pytest.raises(IndexError, match="too many indices"):
        tj.tensor(1.0, requires_grad=True)[np.array([0])]
