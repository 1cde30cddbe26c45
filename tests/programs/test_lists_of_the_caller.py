"""Lists of lists of the caller, of any lengths, with indices known at run time: adjacency lists, ragged rows."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

import tracejit as tj
from tests.programs.compare import check

GRAPH = [[1, 2], [2, 3], [3], [0, 4], []]


def reached(graph: Any, start: int) -> Any:
    dist = {}
    dist[start] = 0
    queue = deque()
    queue.append(start)
    while queue:
        u = queue.popleft()
        for v in graph[u]:
            if v not in dist:
                dist[v] = dist[u] + 1
                queue.append(v)
    return dist


def degrees(graph: Any, u: int) -> Any:
    incoming = [0] * len(graph)
    for row in graph:
        for v in row:
            incoming[v] += 1
    return incoming, len(graph[u]), sum(graph[u]), 3 in graph[u]


def add_edge(graph: Any, u: int) -> Any:
    graph[u].append(u)
    for v in range(len(graph)):
        if len(graph[v]) > 1:
            graph[v].pop()
    return graph[u]


def longest(rows: Any, u: int) -> Any:
    best = rows[u]
    for row in rows:
        if len(row) > len(best):
            best = row
    return len(best), best[0]


def scaled(rows: Any, u: int) -> Any:
    made = []
    for i in range(len(rows)):
        made.append([x * 0.5 for x in rows[(i + u) % len(rows)]])
    return made


def added_row(rows: Any, u: int) -> Any:
    rows.append([u, u])
    return rows[u], len(rows)


@pytest.mark.parametrize("fn", [reached, degrees, add_edge, longest, scaled, added_row])
@pytest.mark.parametrize("u", [0, 3, -1])
def test_programs(fn: Any, u: int) -> None:
    check(fn, GRAPH, u)


def test_an_index_out_of_range() -> None:
    check(degrees, GRAPH, 7)


def picked(rows: Any, u: int) -> Any:
    return rows[u]


def test_the_lists_are_those_of_the_caller() -> None:
    rows = [[1, 2], [3], [4, 5, 6]]
    assert tj.script(picked)(rows, 1) is rows[1]
    assert tj.script(add_edge)(rows, 2) is rows[2]


class History:
    def __init__(self) -> None:
        self.values = [1.5, 2.5]
        self.places = {"large": [0]}

    def note(self, x: Any, n: int) -> Any:
        for i in range(n):
            self.values.append(float(x[i]))
            if x[i] > 1:
                self.places["large"].append(i)
            elif i == 2:
                raise ValueError("small at 2")
        return sum(self.values), len(self.places["large"])


@pytest.mark.parametrize("x", [[1.0, 2.0, 3.0], [2.0, 1.0, 0.5]])
def test_lists_of_objects_that_a_loop_meets_first(x: Any) -> None:
    plain, compiled = History(), History()
    note = tj.script(compiled.note)
    for n in (2, 3):
        found: list[Any] = []
        for call in (plain.note, note):
            try:
                found.append(call(tj.tensor(x), n))
            except ValueError as error:
                found.append(str(error))
        assert found[0] == found[1] and vars(plain) == vars(compiled)
