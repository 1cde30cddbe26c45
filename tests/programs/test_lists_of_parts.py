"""Lists of parts of an array that changes later, given to functions that make an array of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check


def life(grid: Any, steps: int) -> Any:
    for _ in range(steps):
        p = np.pad(grid, 1)
        h, w = grid.shape
        neighbours = sum(p[i : i + h, j : j + w] for i in range(3) for j in range(3)) - grid
        grid[:] = (neighbours == 3) | ((grid == 1) & (neighbours == 2))
        p *= 2
    return grid


def medians(x: Any, k: int) -> Any:
    x[:] = np.array([np.median(x[max(0, i - k) : i + k + 1]) for i in range(len(x))])
    joined = np.concatenate([x[i : i + 2] for i in range(k)])
    x[0] = 0
    return joined


def written_behind_each(A: Any, n: int) -> Any:
    for _ in range(2):
        A[:] = np.array([A[i] + A[(i + 1) % n] for i in range(n)])
        A[0] = sum(A[i] for i in range(n))
        A += np.vstack([A[i] for i in range(n)])
        A -= np.mean([A[i] for i in range(n)], axis=0)
    pairs = np.array([(A[i], A[0]) for i in range(n)])
    A[0] = 9
    return pairs


def in_a_branch(A: Any, n: int) -> Any:
    t = 0
    while t < 3:
        s = sum([A[i] for i in range(n)])
        if s[0] > 10:
            A /= 2
        else:
            A[0] += np.max([A[i] for i in range(n)], axis=0)
        t += 1
    return s


def of_items_of_another_list(A: Any, n: int) -> Any:
    rows = [A[i] + 1 for i in range(n)]
    z = np.array([r for r in rows])
    rows[0] += 5
    y = sum(r for r in rows)
    for r in rows:
        r *= 2
    return z, y, rows


A = np.arange(6.0).reshape(3, 2)
CASES = [
    (life, ((np.arange(20).reshape(4, 5) % 3 > 0).astype(int), 3)),
    (life, (np.ones((1, 1), int), 1)),
    (medians, (np.array([3.0, 1.0, 2.0, 7.0, 5.0]), 2)),
    (written_behind_each, (A, 3)),
    (written_behind_each, (A[:1], 1)),
    (in_a_branch, (A, 3)),
    (of_items_of_another_list, (A, 3)),
]


@pytest.mark.parametrize(("program", "arguments"), CASES)
def test_programs(program: Any, arguments: tuple[Any, ...]) -> None:
    check(program, *arguments)


def kept_by_a_function(A: Any, n: int) -> Any:
    kept = []

    def noted(x: Any) -> Any:
        kept.append(x)
        return x

    z = np.array([noted(A[i]) for i in range(n)])
    A[0] = 9
    return z, kept


def also_in_a_named_list(A: Any, n: int) -> Any:
    rows = [A[i] for i in range(n)]
    z = np.array([r for r in rows])
    A[0] = 9
    return z, rows


def appended_before(A: Any, n: int) -> Any:
    rows = []
    for i in range(n):
        rows.append(A[i])
        z = sum(r for r in rows)
    A[0] = 9
    return rows, z


def an_item_is_given(A: Any, n: int) -> Any:
    z = max([A[i] for i in range(n)], key=lambda r: r[0])
    A[0] = 9
    A[2] = 8
    return z


@pytest.mark.compiled
@pytest.mark.parametrize("program", [kept_by_a_function, also_in_a_named_list, appended_before, an_item_is_given])
def test_parts_that_something_else_holds_are_refused(program: Any) -> None:
    with pytest.raises(tj.ScriptError, match="an array in a list, whose arrays change in place"):
        tj.script(program)(A.copy(), 3)
