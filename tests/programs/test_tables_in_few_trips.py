"""Dicts and sets that loops over few numbers fill, against plain Python: loops of more than some trips stay loops, and
what is filled is known at run time only; others are written out where that tells more."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

BOARD = np.array(
    [
        [5, 3, 0, 0, 7, 0, 0, 0, 0],
        [6, 0, 0, 1, 9, 5, 0, 0, 0],
        [0, 9, 8, 0, 0, 0, 0, 6, 0],
        [8, 0, 0, 0, 6, 0, 0, 0, 3],
        [4, 0, 0, 8, 0, 3, 0, 0, 1],
        [7, 0, 0, 0, 2, 0, 0, 0, 6],
        [0, 6, 0, 0, 0, 0, 2, 8, 0],
        [0, 0, 0, 4, 1, 9, 0, 0, 5],
        [0, 0, 0, 0, 8, 0, 0, 7, 9],
    ]
)


def rows_of_sets(board: np.ndarray) -> bool:
    rows = [set() for _ in range(9)]
    cols = [set() for _ in range(9)]
    boxes = [set() for _ in range(9)]
    for r in range(9):
        for c in range(9):
            v = int(board[r, c])
            if v == 0:
                continue
            k = r // 3 * 3 + c // 3
            if v in rows[r] or v in cols[c] or v in boxes[k]:
                return False
            rows[r].add(v)
            cols[c].add(v)
            boxes[k].add(v)
    return True


def dicts_of_sets(board: np.ndarray) -> bool:
    rows, cols, boxes = defaultdict(set), defaultdict(set), defaultdict(set)
    for r in range(9):
        for c in range(9):
            v = board[r, c]
            if v == 0:
                continue
            if v in rows[r] or v in cols[c] or v in boxes[r // 3, c // 3]:
                return False
            rows[r].add(v)
            cols[c].add(v)
            boxes[r // 3, c // 3].add(v)
    return True


@pytest.mark.parametrize("accepts", [rows_of_sets, dicts_of_sets])
def test_sets_of_the_rows_columns_and_boxes_of_a_board(accepts: Callable[[np.ndarray], bool]) -> None:
    wrong = BOARD.copy()
    wrong[8, 0] = 8
    for board in (BOARD, wrong):
        check(accepts, board)


def test_a_board_solved_by_a_function_that_calls_itself() -> None:
    def solved(board):
        rows = [set() for _ in range(9)]
        cols = [set() for _ in range(9)]
        empty = []
        for r in range(9):
            for c in range(9):
                v = int(board[r, c])
                if v:
                    rows[r].add(v)
                    cols[c].add(v)
                else:
                    empty.append((r, c))

        def fill(k):
            if k == 12:
                return True
            r, c = empty[k]
            for v in range(1, 10):
                if v not in rows[r] and v not in cols[c]:
                    rows[r].add(v)
                    cols[c].add(v)
                    board[r, c] = v
                    if fill(k + 1):
                        return True
                    rows[r].discard(v)
                    cols[c].discard(v)
                    board[r, c] = 0
            return False

        return fill(0)

    check(solved, BOARD)


def test_a_cache_that_forgets_what_was_used_longest_ago() -> None:
    def hits(size):
        cache = OrderedDict()
        found = 0
        for i in range(40):
            k = (i * i) % 7
            if k in cache:
                cache.move_to_end(k)
                found += 1
            else:
                cache[k] = i
                if len(cache) > size:
                    cache.popitem(last=False)
        return found, list(cache)

    for size in (1, 3, 7):
        check(hits, size)


def test_dicts_of_numbers_and_floats_by_the_trip() -> None:
    def mixed(x):
        found = {}
        for i in range(20):
            found[i] = i if i % 2 else x[i % 4] * i
        return found[3], found[4], len(found), sum(found.values())

    check(mixed, np.arange(4.0))


def test_arrays_of_several_shapes_by_the_trip() -> None:
    def shapes(x):
        layers = {}
        for i in range(1, 18):
            layers[i] = x[:i] * i
        total = 0.0
        for i in range(1, 18):
            total += layers[i].sum()
        return total, layers[17], layers[2].shape

    check(shapes, np.arange(20.0))


def test_names_of_layers_by_the_trip() -> None:
    def network(x):
        params, cache = {}, {}
        for i in range(1, 18):
            params["w" + str(i)] = np.full((3, 3), 0.1 * i)
        a = x
        for i in range(1, 18):
            z = a @ params[f"w{i}"]
            cache["a" + str(i)] = a
            a = np.tanh(z)
        return a, cache["a17"], cache["a1"]

    check(network, np.eye(3))


def test_derivatives_of_states_by_the_trip() -> None:
    def loss(x, w):
        hidden = {-1: np.zeros(3)}
        for t in range(20):
            hidden[t] = np.tanh(x[t] + hidden[t - 1] @ w)
        return (hidden[19] ** 2).sum() + hidden[4][0]

    rng = np.random.default_rng(4)
    tj.check(loss, rng.standard_normal((20, 3)), rng.standard_normal((3, 3)))


def test_objects_by_an_index_that_the_loop_does_not_tell() -> None:
    class Account:
        def __init__(self, name: int) -> None:
            self.name, self.held = name, 0.0

    def paid(places, amounts):
        accounts = [Account(i) for i in range(3)]
        for i in range(6):
            for k in range(2):
                accounts[int(places[i])].held += amounts[i] * (k + 1)
        return [(a.name, a.held) for a in accounts]

    check(paid, np.array([0, 2, 1, 2, 2, 0]), np.arange(6.0))


def test_keys_out_of_a_list_that_few_trips_fill() -> None:
    def counted(x):
        keys, found = [], {}
        for i in range(3):
            keys.append(int(x[i]))
        for k in keys:
            found[k] = found.get(k, 0) + 1
        arrays = {}
        for i in range(3):
            arrays[i] = x[: i + 1]
        return found, arrays[2].sum()

    check(counted, np.array([2, 5, 2]))


@pytest.mark.compiled
def test_loops_of_many_trips_are_not_written_out() -> None:
    def made(size):
        def repeated(board):
            rows = [set() for _ in range(size)]
            for r in range(size):
                for c in range(size):
                    if int(board[r, c]) in rows[r]:
                        return True
                    rows[r].add(int(board[r, c]))
            return False

        return repeated

    scripts = [tj.script(made(size)) for size in (6, 9)]
    assert [s(BOARD) for s in scripts] == [True, True]
    first, second = (s.graph.count("\n") for s in scripts)
    assert first == second
