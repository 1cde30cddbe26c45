"""Reductions over rows of a few elements: the lanes of vectors are rows then, and results are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads


@tj.script
def lengths(x: Any) -> Any:
    return x / np.sqrt((x * x).sum(axis=1, keepdims=True)), x.sum(axis=-1), x.max(axis=1)


@tj.script
def distances(a: Any, b: Any) -> Any:
    d = a[:, None, :] - b[None, :, :]
    return (d * d).sum(axis=-1)


@tj.script
def spread(x: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred, (centred * centred).mean(axis=-1), (x > 0).any(axis=-1), x.argmax(axis=-1), x.argmin(axis=-1)


def plain_spread(x: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred, (centred * centred).mean(axis=-1), (x > 0).any(axis=-1), x.argmax(axis=-1), x.argmin(axis=-1)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 15, 16, 17, 40])
@pytest.mark.parametrize("rows", [1, 2, 5, 33, 2000])
def test_rows_of_all_lengths(rows: int, size: int) -> None:
    rng = np.random.default_rng(size)
    for dtype in (np.float64, np.float32):
        x = (rng.normal(size=(rows, size)) + 3).astype(dtype)
        tolerance = 1e-12 if dtype is np.float64 else 2e-5
        found: list[Any] = []
        with each_number_of_threads(1, 3) as counts:
            found.extend(lengths(x) for _ in counts)
        for one, other in zip(*found, strict=True):
            np.testing.assert_array_equal(one, other)
        expected = x / np.sqrt((x * x).sum(axis=1, keepdims=True)), x.sum(axis=-1), x.max(axis=1)
        for result, want in zip(found[0], expected, strict=True):
            np.testing.assert_allclose(result, want, rtol=tolerance)
        deep = x.reshape(1, rows, size) - 3
        for result, want in zip(spread(deep), plain_spread(deep), strict=True):
            np.testing.assert_allclose(result, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [1, 3, 16, 17])
def test_distances_of_points(size: int) -> None:
    rng = np.random.default_rng(size)
    a, b = rng.normal(size=(37, size)), rng.normal(size=(20, size))
    d = a[:, None, :] - b[None, :, :]
    np.testing.assert_allclose(distances(a, b), (d * d).sum(axis=-1), rtol=1e-13)
    np.testing.assert_allclose(distances(a[::2, ::-1], b[:, ::-1]), (d[::2] ** 2).sum(axis=-1), rtol=1e-13)


def test_the_first_nan_is_the_extremum_of_a_row() -> None:
    x = np.random.default_rng(0).normal(size=(50, 9))
    x[::3, 4] = np.nan
    x[::6, 7] = np.nan
    for rows in (x, np.hstack([x, x, x])):
        _, _, _, highest, lowest = spread(rows)
        np.testing.assert_array_equal(highest, rows.argmax(axis=-1))
        np.testing.assert_array_equal(lowest, rows.argmin(axis=-1))


def test_whole_numbers_are_summed_exactly() -> None:
    x = np.random.default_rng(0).integers(-(1 << 60), 1 << 60, (70, 3))
    np.testing.assert_array_equal(tj.script(lambda x: x.sum(axis=1))(x), x.sum(axis=1))


def test_places_of_extrema_lie_in_any_block_of_a_long_row() -> None:
    x = np.random.default_rng(0).integers(0, 50, (6, 5000))
    x[np.arange(6), [0, 511, 512, 1024, 3000, 4999]] = 99
    x[:, 4999] = 99
    for rows in (x, x.astype(np.float32), -x.astype(np.float64)):
        _, _, _, highest, lowest = spread(rows)
        np.testing.assert_array_equal(highest, rows.argmax(axis=-1))
        np.testing.assert_array_equal(lowest, rows.argmin(axis=-1))


@tj.script
def first_places(x: Any) -> Any:
    return x.argmax(), x.argmin(), x.argmax(axis=-1), x.argmin(axis=-1), x.argmax(axis=0)


@pytest.mark.parametrize("size", [1, 5, 17, 511, 512, 513, 5000])
def test_first_places_in_masks(size: int) -> None:
    late = np.zeros((4, size), bool)
    late[1:, size // 2 :] = True
    for x in (np.zeros((4, size), bool), late, np.random.default_rng(0).random((4, size)) < 0.01):
        for mask in (x, ~x):
            for found, expected in zip(first_places(mask), first_places.__wrapped__(mask), strict=True):
                np.testing.assert_array_equal(found, expected)


@tj.script
def scaled(x: Any, w: Any) -> Any:
    return x * w, (x * w + x).sum(axis=-1), (x * w).sum()


@pytest.mark.parametrize("shape", [(1, 5), (3, 64), (40, 77), (300, 1000)])
def test_operands_that_broadcast_or_have_gaps_give_the_same_bits(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(shape[1])
    for dtype in (np.float64, np.float32):
        wide = rng.normal(size=(shape[0], 2 * shape[1])).astype(dtype)
        x, w = wide[:, ::2], rng.normal(size=(shape[0], 1)).astype(dtype)
        found = [scaled(a, b) for a in (x, x.copy()) for b in (w, np.repeat(w, shape[1], axis=1))]
        np.testing.assert_allclose(found[0][2], (x.astype(np.float64) * w).sum(), rtol=1e-3)
        for results in found[1:]:
            for one, other in zip(found[0], results, strict=True):
                assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
