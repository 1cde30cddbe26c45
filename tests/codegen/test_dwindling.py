"""Loops that an integer loses a bit in at each trip: what they compute, and what is asked in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj

pytestmark = pytest.mark.compiled

VALUES = np.array([0, 1, 2, 3, 12, 255, 2**40 + 5, 2**62 - 1, 2**63 - 1, -1, -2, -(2**63), -(2**62) + 7])


def ones(x: Any, total: int) -> int:
    for i in range(len(x)):
        v = x[i]
        while v:
            v &= v - 1
            total += 1
    return total


def threes(x: Any, total: int) -> int:
    for i in range(len(x)):
        v = x[i]
        while v != 0:
            v = (v - 1) & v
            total += 3
    return total


def halves(x: Any, total: int) -> int:
    for i in range(len(x)):
        v = x[i]
        while v > 0:
            v >>= 1
            total += 1
    return total


def digits(x: Any, total: int) -> int:
    for i in range(len(x)):
        v = x[i]
        while v > 0:
            v //= 10
            total += 1
    return total


def lowest_bits(x: Any, total: int) -> int:
    for i in range(len(x)):
        v = x[i]
        while v > 0:
            v -= v & -v
            total += 1
    return total


def first_trip(x: Any, total: int) -> int:
    for i in range(len(x)):
        v = x[i]
        while True:
            v &= v - 1
            total += 1
            if v == 0:
                break
    return total


@pytest.mark.parametrize("fn", [ones, threes, halves, digits, lowest_bits, first_trip])
def test_what_dwindles(fn: Callable[[Any, int], int]) -> None:
    script = tj.script(fn)
    with np.errstate(over="ignore"):
        expected = fn(VALUES, 5)
        top = 2**63 - 1 - (fn(VALUES, 0))
    assert script(VALUES, 5) == expected
    assert script(VALUES, top) == 2**63 - 1
    with pytest.raises(OverflowError):
        script(VALUES, top + 1)


def test_nothing_is_asked_in_what_only_counts() -> None:
    script = tj.script(ones)
    script(VALUES, 0)
    assert "interrupted" not in script.llvm and ".with.overflow" not in script.llvm


def test_what_is_written_before_an_overflow_stays() -> None:
    def totals(v: Any, out: Any, total: int) -> int:
        k = 0
        x = v[0]
        while x:
            x &= x - 1
            total += 1
            out[k] = total
            k += 1
        return total

    script, v = tj.script(totals), np.array([0b1011])
    out = np.zeros(4, np.int64)
    assert script(v, out, 7) == 10 and out.tolist() == [8, 9, 10, 0]
    with pytest.raises(OverflowError):
        script(v, out, 2**63 - 2)
    assert out.tolist() == [2**63 - 1, 9, 10, 0]
