"""Division of integers in vectors, at the ends of their ranges and beside multiples of the divisor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj


@tj.script
def divided(x: Any, y: Any) -> Any:
    return x // y, x % y, np.fmod(x, y)


def edges(dtype: Any) -> Any:
    """Numbers at the ends of the range, around zero and in the middle."""
    info = np.iinfo(dtype)
    found = [info.min, info.min + 1, info.min // 2, 0, 1, 2, 3, 7, info.max // 2, info.max - 1, info.max]
    return np.array(found + [-1, -2, -3, -7] * (info.min < 0), dtype)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_quotients_and_remainders(dtype: Any) -> None:
    rng, info = np.random.default_rng(0), np.iinfo(dtype)
    some = rng.integers(info.min, info.max, 20_003, dtype=dtype)
    small = rng.integers(max(info.min, -50), 50, some.size).astype(dtype)
    with np.errstate(over="ignore"):
        multiples = (some // np.where(small == 0, 1, small).astype(dtype) * small).astype(dtype)
    pairs = [
        [grid.ravel() for grid in np.meshgrid(edges(dtype), edges(dtype))],
        [some, rng.permutation(some)],
        [some, small],
        [multiples, small],
        [multiples - dtype(1), small],
        [some[:50, None], small[:7]],
        [multiples, small[small != 0][:1]],
        [np.where(rng.random(some.size) < 0.99, small, some), np.roll(small, 1)],
    ]
    for x, y in pairs:
        with np.errstate(all="ignore"):
            expected = divided.__wrapped__(x, y)
        for found, want in zip(divided(x, y), expected, strict=True):
            np.testing.assert_array_equal(found, want)


@tj.script
def by_powers_of_two(x: Any) -> Any:
    return x // 2, x % 2, x // 16, x % 16, x // 1, x % 1


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64])
def test_powers_of_two(dtype: Any) -> None:
    x = edges(dtype)
    for found, want in zip(by_powers_of_two(x), by_powers_of_two.__wrapped__(x), strict=True):
        np.testing.assert_array_equal(found, want)
