"""Iterators that are classes of the user's, unpacked generators, and loops over one generator in each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.programs.compare import check


class Countdown:
    def __init__(self, n: int) -> None:
        self.n = n

    def __iter__(self) -> Countdown:
        return self

    def __next__(self) -> int:
        if self.n <= 0:
            raise StopIteration
        self.n -= 1
        return self.n


class Span:
    """What it iterates is another object each time."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __iter__(self) -> Countdown:
        return Countdown(self.n)


class Blocks:
    """Parts of an array, one after the other; a loop begins anew."""

    def __init__(self, x: Any, size: int) -> None:
        self.x, self.size, self.at = x, size, 0

    def __iter__(self) -> Blocks:
        self.at = 0
        return self

    def __next__(self) -> Any:
        if self.at >= len(self.x):
            raise StopIteration()
        part = self.x[self.at : self.at + self.size]
        self.at += self.size
        return part


class Doubling:
    def __iter__(self) -> Iterator[int]:
        k = 1
        while k < 40:
            yield k
            k *= 2


def over_class(n: int) -> Any:
    total = 0
    for x in Countdown(n):
        if x == 3:
            continue
        total += x
    else:
        total += 100
    for y in Span(n):
        if y < 2:
            break
        total += y
    return total


def over_blocks(x: Any, size: int) -> Any:
    blocks = Blocks(x, size)
    sums = [part.sum() for part in blocks]
    for part in blocks:
        part *= 2
    return sums, x, blocks.at


def all_items(n: int) -> Any:
    span = Span(n)
    return [2 * x for x in span], list(Countdown(n)), sum(span), max(span), sorted(Countdown(n))


def begun(n: int) -> Any:
    it = Countdown(n)
    first = next(it)
    rest = iter(it)
    left = []
    for i, x in enumerate(rest):
        left.append((i, x))
    return first, left, it.n


def past_the_end(n: int) -> Any:
    it = Countdown(n)
    next(it)
    return next(it)


def squares(n: int) -> Iterator[int]:
    for i in range(n):
        yield i * i


def in_each_other(n: int) -> Any:
    found = []
    for a in squares(n):
        for b in squares(a % 4):
            if b > 3:
                break
            for c in squares(2):
                found.append((a, b, c))
    return found, [a * b for a in squares(n) for b in squares(3)]


def unpacked(n: int) -> Any:
    a, b, c = squares(3)
    first, *others = Countdown(n)
    x, *_, y = Doubling()
    return a, b, c, first, others, x, y


def too_many(n: int) -> Any:
    a, b = squares(n)
    return a + b


@pytest.mark.parametrize("program", [over_class, all_items, begun, in_each_other, unpacked, too_many])
@pytest.mark.parametrize("n", [5, 2])
def test_iterators(program: Callable[..., Any], n: int) -> None:
    check(program, n)


@pytest.mark.parametrize("size", [1, 3, 20])
def test_views_that_an_iterator_gives(size: int) -> None:
    check(over_blocks, np.arange(7.0), size)


def test_an_iterator_that_has_ended() -> None:
    check(over_class, 0)
    check(past_the_end, 1)
    check(unpacked, 0)
