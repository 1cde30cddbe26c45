"""`index` with bounds, `remove`, `tolist`, empty lists as indices, slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check


def place(items: Any, item: Any, *bounds: int) -> Any:
    return items.index(item, *bounds)


@pytest.mark.parametrize("bounds", [(), (2,), (-1,), (2, 4), (-4, -1), (3, 2)])
@pytest.mark.parametrize("items", [[1, 2, 3, 2], (1, 2, 3, 2)])
def test_index(items: Any, bounds: tuple[int, ...]) -> None:
    check(place, items, 2, *bounds)
    check(place, items, 9, *bounds)


def without(x: Any) -> Any:
    items = [x, x * 0, tj.ones(2)]
    items.remove(x * 0)
    return items


def test_remove_compares_up_to_the_first() -> None:
    check(without, tj.ones(1))


def lists(x: Any, more: bool) -> Any:
    rows = x.tolist()
    if more:
        rows.append([1.0, 2.0])
    return rows, x[0].tolist(), x[0, 0].tolist(), x.sum(0).tolist()


@pytest.mark.parametrize("more", [True, False])
def test_tolist(more: bool) -> None:
    check(lists, np.arange(6.0).reshape(3, 2), more)
    check(lists, tj.tensor([[1.5, 2.0], [3.0, 4.0]]), more)


def rows_of(x: Any) -> Any:
    return x.tolist()


@pytest.mark.parametrize(
    "x", [np.array([True, False]), np.arange(12).reshape(2, 3, 2), np.array(1j), np.zeros((2, 0, 1, 3))]
)
def test_tolist_of_dtypes_and_ranks(x: Any) -> None:
    check(rows_of, x)


def no_rows(x: Any, n: int) -> Any:
    made: list[int] = []
    for i in range(n):
        made.append(i)
    none: list[int] = []
    return x[none], x[made], x[:, none].shape


def test_empty_lists_are_indices() -> None:
    check(no_rows, np.arange(6.0).reshape(3, 2), 0)
    check(no_rows, np.arange(6.0).reshape(3, 2), 2)


def sliced(x: Any, i: int, j: int) -> Any:
    s = slice(i, j)
    index = [slice(None)] * x.ndim
    index[1] = slice(0, j)
    x[s] += 1
    for k in range(2):
        x[slice(k, k + 2)] *= 2
    return x[s], x[slice(None, j, 2)], x[tuple(index)], x[:, slice(i, None)], s.stop


def test_slice() -> None:
    check(sliced, np.arange(20.0).reshape(4, 5), 1, 3)


def looked_up(items: Any, i: int) -> Any:
    return items[i]


@pytest.mark.parametrize("kind", [list, tuple])
def test_an_index_into_many_items(kind: Any) -> None:
    items = kind(range(0, 600, 2))
    for i in (0, 7, 299, -1, 300):
        check(looked_up, items, i)


def diagonals(a: Any, values: Any, wrap: bool) -> Any:
    np.fill_diagonal(a, values, wrap=wrap)
    return a


@pytest.mark.parametrize("shape", [(7, 2), (2, 7), (4, 4), (4, 1), (6, 3)])
@pytest.mark.parametrize("wrap", [False, True])
def test_fill_diagonal(shape: tuple[int, int], wrap: bool) -> None:
    check(diagonals, np.zeros(shape), 1.0, wrap)
    check(diagonals, np.zeros(shape), np.array([1.0, 2.0, 3.0]), wrap)


def sieve(n: int) -> Any:
    is_prime = [True] * (n + 1)
    is_prime[0] = is_prime[1] = False
    for i in range(2, int(n**0.5) + 1):
        if is_prime[i]:
            is_prime[i * i :: i] = [False] * len(is_prime[i * i :: i])
    return [i for i, known in enumerate(is_prime) if known]


def every_second(n: int, given: int) -> Any:
    items = [0] * n
    items[1::3] = [k * k for k in range(len(items[1::3]))]
    items[::-1] = items
    items[::2] = range(given)
    other = items
    other[1::2] = other[::2][: len(other[1::2])]
    return items


def stepped(values: list[float], k: int) -> Any:
    items = [x * 2 for x in values]
    items[::k] = [0.5] * len(items[::k])
    items[::-k] = (x + 1 for x in items[::-k])
    return items


def spliced(values: list[float], k: int) -> Any:
    items = [x * 2 for x in values]
    items[:k] = [9.0, 8.0]
    items[k:k] = values
    return items


def test_slices_with_steps_are_replaced_in_place() -> None:
    for n in (1, 2, 30):
        check(sieve, n)
    for n in range(7):
        check(every_second, n, (n + 1) // 2)


def test_slices_with_steps_keep_their_size() -> None:
    check(every_second, 5, 2)
    check(every_second, 4, 3)


@pytest.mark.parametrize("k", [1, 2, 3, -2])
def test_slices_of_a_known_list_by_run_time_bounds(k: int) -> None:
    check(stepped, [1.0, 2.0, 3.0, 4.0], k)
    check(spliced, [1.0, 2.0, 3.0], k)


def test_what_index_says_of_an_item_that_is_not_there():
    def program(items, v, n):
        grown = [(i, 0.5) for i in range(n)]
        for one, other in ((items, v), (grown, (n, v)), ((1, n), v), ([[n]], [v])):
            try:
                print(one.index(other))
            except ValueError as e:
                print(e)

    check(program, [3.5, 1.0], 2.25, 2)


def test_keywords_of_dict():
    def program(n):
        return dict(x=n, self=2), dict([("a", n)], iterable=3), dict({"q": 1}, x=n)  # noqa: C408

    check(program, 3)


def deleted_with_a_step(n):
    values = [i * i for i in range(n)]
    del values[::2]
    others = list(range(n))
    del others[n - 2 : 0 : -3]
    rows = [[i] for i in range(n)]
    first = rows[0]
    del rows[1::2]
    first.append(n)
    del rows[5:1:2]
    return values, others, rows


@pytest.mark.parametrize("n", [8, 7, 1])
def test_slices_with_a_step_are_deleted(n):
    check(deleted_with_a_step, n)


def repeated_in_place(items, n):
    same = items
    items *= 2
    one = other = [1, 2]
    one *= n
    rows = [[i] for i in range(n)]
    first = rows[0]
    for k in range(n):
        rows[k] *= k + 2
    held = {"a": [n]}
    inner = held["a"]
    held["a"] *= 2
    return same, items is same, other, one is other, rows, first, inner


@pytest.mark.parametrize("n", [3, 1])
def test_repeating_in_place_changes_the_list(n):
    check(repeated_in_place, [3, 4], n)
