"""What is used up by running over it: iterators in `zip` and `enumerate`, and what is refused because it may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check


def front_and_back(n: int) -> Any:
    it = iter(range(7))
    front = list(zip(range(n), it, strict=False))
    return front, list(it)


def pairs(items: Any) -> Any:
    it = iter(items)
    return list(zip(it, it, strict=False)), list(zip(*[iter(items)] * 3, strict=False))


def left_early(items: Any) -> Any:
    it, i = iter(items), 0
    for i, x in enumerate(it):
        if x == 2:
            break
    return i, next(it), list(it)


def from_a_generator(items: Any) -> Any:
    doubled = (2 * x for x in items)
    first = next(doubled)
    return first, list(doubled), list(doubled)


def nothing(n: int) -> Any:
    return list(zip()), len(range(n)), len(range(n, 0, -1)), bool(range(n)), list(range(n))


def test_programs() -> None:
    check(front_and_back, 3)
    check(pairs, [1, 2, 3, 4, 5, 6, 7])
    check(left_early, [1, 2, 3, 4])
    check(from_a_generator, [1, 2, 3])
    for n in (-5, 0, 4):
        check(nothing, n)


def twice_zip(items: Any) -> Any:
    both = zip(items, items, strict=False)
    return list(both), list(both)


def twice_map(items: Any) -> Any:
    doubled = map(lambda x: 2 * x, items)
    return sum(doubled), sum(doubled)


def in_a_loop(items: Any) -> Any:
    numbered, total = enumerate(items), 0
    for _ in range(len(items)):
        for i, _ in numbered:
            total += i
    return total


@pytest.mark.parametrize("fn", [twice_zip, twice_map, in_a_loop])
def test_a_second_use_is_refused(fn: Any) -> None:
    with pytest.raises(tj.ScriptError, match="may be used up"):
        tj.script(fn)([1, 2, 3])


def found_early(items: Any) -> Any:
    it = iter(items)
    return any(x == 2 for x in it), list(it)


def test_a_generator_over_an_iterator_is_refused() -> None:
    with pytest.raises(tj.ScriptError, match="may leave it anywhere"):
        tj.script(found_early)([1, 2, 3])


def once_each(items: Any, n: int) -> Any:
    pairs = zip(items, range(n), strict=False)
    total = 0
    for x, i in pairs:
        total += x * i
    return total, max(map(abs, items)), dict(enumerate(items)), [*reversed(items)]


def test_one_use() -> None:
    check(once_each, [3, -4, 5], 2)


def kinds(x: Any) -> Any:
    return isinstance(x, set), isinstance(x, frozenset), x == 3, x != (1,), x in (3, "a"), str(object=x) == ""


@pytest.mark.parametrize("x", [{1, 2}, frozenset((1, 2)), {}, (1, 2), [3], 3, "a"])
def test_kinds_of_arguments(x: Any) -> None:
    check(kinds, x)


def bases(n: int) -> Any:
    return hex(n), oct(n), bin(n)


@pytest.mark.parametrize("n", [255, -10, 0])
def test_bases(n: int) -> None:
    check(bases, n)


def biggest(x: Any) -> Any:
    return max(x)


def test_a_number_is_not_iterable() -> None:
    check(biggest, 5)


def in_place_sets(items: Any) -> Any:
    a = set(items)
    a.symmetric_difference_update([3, 4])
    return sorted(a), a == {1, 2, 4}


def test_symmetric_difference_update() -> None:
    check(in_place_sets, [3, 1, 2])


def products(n: int, weights: Any) -> Any:
    total, names = 0.0, []
    for i, w, v in zip(range(n), weights, (1.5, 2.5)):  # noqa: B905
        total += i * w + v
        names.append(w)
    return total, names


@pytest.mark.parametrize("n", [0, 1, 5])
def test_tuples_beside_what_has_any_length(n: int) -> None:
    check(products, n, [2, 3])


def enormous() -> Any:
    return np.full((2**40, 2**40), 1.0)


def test_an_array_beyond_all_memory() -> None:
    check(enormous)
