"""Arrays joined from lists that grow, against plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

X = np.array([1.0, 2.0, 3.0])


def numbers(x):
    out = [x[k] * 2 for k in range(len(x))]
    return np.stack(out), np.hstack(out), np.vstack(out), np.column_stack(out), np.array(out), np.sum(out)


def scalars_in_arrays(x):
    total = np.zeros(())
    out = []
    for k in range(len(x)):
        total = x[k] + total * 2
        out.append(np.array(total))
    return np.stack(out), np.hstack(out), np.vstack(out), np.array(out)


def vectors(x):
    out = [x * k for k in range(len(x))]
    return np.stack(out, axis=1), np.hstack(out), np.vstack(out), np.column_stack(out), sum(out), sum(out, x)


def vectors_of_varying_size(x):
    out = [x[:k] for k in range(len(x))]
    return np.concatenate(out), np.concatenate(out, axis=None), np.hstack(out)


def matrices(x):
    out = [np.outer(x, x)[:k] for k in range(1, len(x))]
    square = [np.outer(x, x) * k for k in range(len(x))]
    return np.concatenate(out, axis=None), np.vstack(out), np.column_stack(square), np.dstack(square), sum(square)


def mixed(x):
    return np.hstack([x[0], x, 1.0]), np.vstack([x[0], 2.0]), np.column_stack([x[0], 1.0]), np.column_stack([x, x])


@pytest.mark.parametrize("fn", [numbers, scalars_in_arrays, vectors, vectors_of_varying_size, matrices, mixed])
@pytest.mark.parametrize("n", [3, 1])
def test_as_numpy(fn, n):
    if n == 1 and fn is matrices:
        with pytest.raises(ValueError, match="at least one array"):
            tj.script(fn)(X[:1])
        return
    check(fn, X[:n])
    assert tj.check(fn, X[:n]).ok


def test_scalars_are_not_concatenated():
    check(lambda x: np.concatenate([x[0], x]), X)


def test_the_sum_of_no_arrays_is_refused():
    fn = tj.script(lambda x, n: sum([x * k for k in range(n)]))
    np.testing.assert_array_equal(fn(X, 3), X * 3)
    with pytest.raises(TypeError, match="empty list"):
        fn(X, 0)


def test_an_array_of_rank_0_becomes_a_scalar():
    def running(x):
        total = np.zeros(())
        low = np.array(1, np.int32)
        for k in range(len(x)):
            total = total + x[k]
            if x[k] < 2:
                low = low + 1
        return total, low

    check(running, X)
    assert tj.check(lambda x: running(x)[0], X).ok


def test_sums_of_sums():
    for n in (2, 5):
        check(lambda n: sum(map(sum, [[i * j for j in range(n)] for i in range(n + 1)])), n)
        check(lambda n: sum(sum(row) * 2 for row in [[i + j for j in range(n)] for i in range(n)]), n)


def test_a_tensor_of_rank_0_that_elements_are_added_to():
    def discounted(rewards, gamma):
        total = tj.zeros((), dtype=rewards.dtype)
        found = []
        for k in reversed(range(len(rewards))):
            total = rewards[k] + gamma * total
            found.insert(0, total)
        return tj.stack(found), total

    rewards = tj.tensor(X)
    check(discounted, rewards, 0.9)
    assert tj.check(discounted, rewards, 0.9).ok


@pytest.mark.compiled
@pytest.mark.parametrize("rounds", [2, 5])
def test_lists_that_are_stacked_one_after_another_are_found_in_one_lowering(rounds: int, lowerings: list[Any]) -> None:
    def once(x):
        rows = []
        for i in range(x.shape[0]):
            rows.append(x[i] * 2)
        return np.stack(rows)

    def several(x, ys):
        for y in ys:
            x = once(x + y)
        return x

    x = np.arange(6.0).reshape(3, 2)
    ys = [x] * rounds
    assert np.array_equal(tj.script(several)(x, ys), several(x, ys))
    assert len(lowerings) == 3


def several_lists(x, n):
    a, b, c, d = [], [1.0], [], []
    for i in range(n):
        a.append(x[i] * 2)
        b.append(b[-1] + x[i])
        c.append((i, x[i]))
        d.insert(0, i)
    total = 0.0
    for i, v in c:
        total += i * v
    return np.array(a), b, total, d


def one_that_never_grows(x, n, more=None):
    mixed = [1, x, None]
    a, b, c = [], [], []
    for i in range(n):
        a.append(i)
        b.append(x[i])
        c.append(x[i] > 1)
        if more is not None:
            mixed.append(more)
    return a, b, c, mixed[0], mixed[1] * 2, mixed[2] is None, len(mixed)


@pytest.mark.parametrize(("program", "most"), [(several_lists, 3), (one_that_never_grows, 7)])
def test_lists_that_grow_in_one_loop_are_found_together(program: Any, most: int, lowerings: list[Any]) -> None:
    made = tj.script(program)(X, 3)
    for have, want in zip(made, program(X, 3), strict=True):
        assert np.array_equal(have, want)
    assert len(lowerings) <= most


EDGES = np.array([[0, 1], [1, 2], [2, 3], [3, 0], [0, 2]])


def both_directions(edges, n):
    graph = [[] for _ in range(n)]
    back = [[] for _ in range(n)]
    weights = [[] for _ in range(n)]
    for i in range(len(edges)):
        graph[edges[i, 0]].append(edges[i, 1])
        back[edges[i, 1]].append((edges[i, 0], i))
        weights[edges[i, 0]].append(edges[i, 1] * 0.5)
    total = 0.0
    for v in range(n):
        for j in range(len(graph[v])):
            total += graph[v][j] * weights[v][j] + v
        for w, i in back[v]:
            total -= w * i
    return total


def filled_by_another(edges, n):
    def fill(first, second):
        for i in range(len(edges)):
            first[edges[i, 0]].append(i)
            second[edges[i, 1]].append(i * 0.5)

    first = [[] for _ in range(n)]
    second = [[] for _ in range(n)]
    fill(first, second)
    return sum(len(row) for row in first) + sum(sum(row) for row in second)


def one_row_is_anothers(edges, n):
    first = [[] for _ in range(n)]
    second = [[] for _ in range(n)]
    for i in range(len(edges)):
        first[edges[i, 0]].append(i)
        second[edges[i, 0]].append(i * 2)
        if i == 2:
            first[0] = second[1]
    return [sum(row) for row in first], [len(row) for row in second]


def rows_that_never_grow(edges, n, more=None):
    graph = [[] for _ in range(n)]
    ones = [[1] for _ in range(n)]
    empty = [[] for _ in range(n)]
    for i in range(len(edges)):
        graph[edges[i, 0]].append(edges[i, 1])
        if more is not None:
            ones[0].append(more)
            empty[0].append(more)
    return sum(len(row) for row in graph), sum(row[0] for row in ones), sum(len(row) for row in empty)


@pytest.mark.parametrize(
    ("program", "most"),
    [(both_directions, 3), (filled_by_another, 3), (one_row_is_anothers, 4), (rows_that_never_grow, 3)],
)
def test_lists_whose_items_grow_in_one_loop_are_found_together(program: Any, most: int, lowerings: list[Any]) -> None:
    assert tj.script(program)(EDGES, 4) == program(EDGES, 4)
    assert len(lowerings) <= most
