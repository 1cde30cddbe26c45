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


def in_branches(x: Any, n: int, m: int) -> Any:
    total = 0
    for i in range(3):
        if n > 0:
            total += m % n + i
    return total, x


def in_loop_conditions(x: Any, n: int, m: int) -> Any:
    i = 0
    while n > 0 and m // n != i and i < 4:
        x = x * 0.5
        i += 1
    return i, x


def in_expressions(x: Any, n: int, m: int) -> Any:
    for i in range(4):
        q, r = divmod(m + i, n) if n else (i, 2)
        x = x * q + r
    return n == 0 or m % n == 1, x


def behind_breaks(x: Any, n: int, m: int) -> Any:
    for _ in range(5):
        if n == 0:
            break
        x = x + m // n
    return n, x


def behind_returns(x: Any, n: int, m: int) -> Any:
    for i in range(5):
        if n == 0:
            return i, x
        x = x * (1 + m % n)
    return m, x


def of_lengths(x: Any, n: int, m: int) -> Any:
    total = 0
    xs: list[Any] = []
    for i in range(m):
        if len(xs) > 0:
            x = x + xs[i % len(xs)] * (m // len(xs))
            total += divmod(n, len(xs))[1]
        if i >= n:
            xs.append(x * 0.5)
    return total, x


def shared(m: int, n: int) -> int:
    return m % n if n > 2 else m // n


def in_called_functions(x: Any, n: int, m: int) -> Any:
    for _ in range(3):
        if m > 3:
            x = x * shared(m, n)
    return m, x


@pytest.mark.parametrize(
    "fn",
    [
        in_branches,
        in_loop_conditions,
        in_expressions,
        behind_breaks,
        behind_returns,
        of_lengths,
        in_called_functions,
    ],
    ids=lambda fn: fn.__name__,
)
def test_what_a_condition_guards_is_not_divided_by(fn: Any) -> None:
    def natural(x: Any, n: int, m: int) -> Any:
        return fn(x, abs(n), abs(m))

    def outcome(call: Any, n: int, m: int) -> Any:
        x = tj.tensor([0.5, -2.0], dtype=tj.float64, requires_grad=True)
        try:
            number, y = call(x, n, m)
        except ZeroDivisionError as error:
            return str(error)
        (y * y).sum().backward()
        return number, *y.tolist(), *x.grad.tolist()

    scripted = tj.script(natural)
    for n in (3, 0, -2):
        for m in (0, 5, 7):
            assert outcome(scripted, n, m) == outcome(natural, n, m)


def test_elements_that_are_not_negative_are_divided_by_zeros() -> None:
    def elements(x: Any) -> Any:
        q, r = np.zeros_like(x), np.zeros_like(x)
        for i in range(len(x)):
            q[i] = (x[i] & 7) // (x[-i] & 3)
            r[i] = (x[i] & 7) % (x[-i] & 3)
        return q, r

    x = np.arange(20)
    with np.errstate(all="ignore"):
        expected = elements(x)
    np.testing.assert_array_equal(tj.script(elements)(x), expected)
