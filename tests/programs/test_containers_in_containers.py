"""Dicts, sets and queues that lists, dicts and objects hold, records of text, and frozen dataclasses as keys, against
plain Python."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tests.programs.cases import Cases, Program, run
from tests.programs.compare import check
from tracejit import ScriptError, script
from tracejit.frontend.boundary.signature import Access, spec_of
from tracejit.frontend.function import lower_function
from tracejit.frontend.syntax.source import function_source

case = Cases()

EDGES = np.array([[0, 1, 4], [1, 2, 3], [0, 2, 9], [2, 3, 1]])


@case((EDGES,))
def weights_of_edges(edges):
    graph = {}
    for u, v, w in edges.tolist():
        graph.setdefault(u, {})[v] = w
    total = 0
    for u, row in graph.items():
        for v in row:
            total += row[v] * (u + 1) - v
    return graph, total, max(graph[0], key=graph[0].get)


@case((4,))
def copies_of_dicts(n):
    rows = []
    for i in range(n):
        rows.append({i: 1, i + 1: 2})
    kept = rows[0].copy()
    kept[7] = 5
    del rows[1][2]
    return rows, kept == rows[0], rows[2] == {2: 1, 3: 2}, f"{rows[2]}", dict(kept), rows[3].pop(9, -1)


@case((np.array([3, 1, 4, 1, 5, 9, 2, 6]),))
def counts_of_followers(a):
    c = defaultdict(lambda: defaultdict(int))
    for i in range(len(a) - 1):
        c[int(a[i]) % 3][int(a[i + 1])] += 1
    row = c[1]
    return sorted(row.items()), sum(row.values()), len(row.keys()), 1 in row.values(), [len(v) for v in c.values()]


@case((np.array([[0, 1], [1, 2], [0, 2], [2, 3]]),))
def triangles(edges):
    near = defaultdict(set)
    for u, v in edges.tolist():
        near[u].add(v)
        near[v].add(u)
    found = 0
    for u in near:
        for v in near:
            if v in near[u]:
                found += len(near[u] & near[v])
    return found, near


@case((4,))
def queues(n):
    waiting, counted = [deque() for _ in range(n)], [Counter() for _ in range(n)]
    for i in range(n * n):
        waiting[i % n].append((i, -i))
        counted[i % n][i % 3] += 1
    total = 0
    for q in waiting:
        for i, j in q:
            total += i * j
        total += q.popleft()[1] + len(q)
    return total, waiting, counted


@case((5,))
def records(n):
    names = ["ann", "bob", "cy"]
    rows = []
    for i in range(n):
        rows.append(
            {"name": names[i % 3], "x": i * 0.5, "n": (i * 7) % 5, "tags": [i], "of": None if i == 0 else i - 1}
        )
    rows.sort(key=lambda r: (r["name"], -r["n"]))
    total, best = 0.0, max(rows, key=lambda r: r["x"])
    for r in rows:
        r["x"] += r["n"]
        r["tags"].append(len(rows))
        if r["of"] is not None:
            total = total * 2 + r["x"] - r["of"]
    best.update(n=-1)
    late = []
    for r in rows:
        made = {}
        made["half"] = r["x"] / 2
        made["n"] = r["n"]
        late.append(made)
        made["n"] += 1
    first = rows[0]
    facts = list(first), "x" in first, "y" in first, len(first), first.get("y", 3), first == rows[0], first == rows[1]
    other = {**first, "more": 1}
    return rows, total, [r["name"] for r in rows if r["n"] > 1], facts, late, other, dict(late[0]), f"{late[1]}"


@case((4,))
def records_within_records(n):
    bodies = {}
    for i in range(n):
        bodies[i * i] = {"pos": {"x": i, "y": 0.0}, "v": 1.0}
    for _ in range(n):
        for b in bodies.values():
            b["pos"]["x"] += 1
            b["pos"]["y"] += b["v"] * 0.5
    return bodies


class Node:
    def __init__(self, name: int) -> None:
        self.name = name
        self.out: dict[int, int] = {}
        self.seen: set[int] = set()


@dataclass
class Book:
    title: str
    sold: dict[int, float] = field(default_factory=dict)
    readers: set[int] = field(default_factory=set)


@case((5,))
def objects_with_containers(n):
    nodes = [Node(i) for i in range(n)]
    for i in range(n):
        for j in range(i):
            nodes[i].out[j] = i * j
            nodes[j].seen.add(i)
    total = 0
    for node in nodes:
        for k, v in node.out.items():
            total += v * nodes[k].name
        if 3 in node.seen:
            total += 1000
    return total


@case((5,))
def dataclasses_with_containers(n):
    books = []
    for i in range(n):
        books.append(Book("a"))
        for j in range(i):
            books[j].sold[i] = i * 1.5
            books[i].readers.add(j % 2)
    return books


@case((1, 1), (1, 3))
def one_of_two(n, k):
    a, b = {}, {}
    for i in range(n):
        a[i] = 1
        b[i] = 2
    d = a if k > 1 else b
    d[0] = 77
    now = {0: 1}
    for _ in range(n + 3):
        after = {}
        for key, v in now.items():
            after[key + 1] = after.get(key + 1, 0) + v
            after[key] = after.get(key, 0) + v
        now = after
    return a, b, now


def reached(graph, u, seen):
    seen.add(u)
    total = 1
    for v in graph[u]:
        if v not in seen:
            total += reached(graph, v, seen) * graph[u][v]
    return total


@case((6,))
def recursion_over_dicts(n):
    graph = {}
    for i in range(n):
        graph[i] = {}
    for i in range(n):
        graph[i][(i * 2 + 1) % n] = i
        graph[i][(i * 3) % n] = 2
    return reached(graph, 0, set())


@dataclass(frozen=True)
class Cell:
    r: int
    c: int


@case((6, 0), (6, 6))
def frozen_keys(n, at):
    sums, seen, rows = {}, set(), defaultdict(list)
    for i in range(n * 3):
        cell = Cell(i % n, (i * i) % 3)
        sums[cell] = sums.get(cell, 0) + i
        seen.add(cell)
        rows[Cell(i % n, 0)].append(i)
    best = max(rows, key=lambda cell: len(rows[cell]) * 10 + cell.r)
    return [(cell.r, cell.c, v) for cell, v in sums.items()], len(seen), Cell(7, 7) in seen, best, sums[Cell(at, at)]


@case((5, 3, False), (5, 5, False), (5, 3, True))
def changed_in_a_loop(n, at, leaves):
    graph = {}
    for i in range(n):
        graph[i] = {i: 1, i + 1: 2}
    total = 0
    for u in graph:
        for v in graph[u]:
            total += v
            if v == at:
                graph[u].pop(v)
                if leaves:
                    break
    return total, graph


@case((3,))
def no_such_key(n):
    graph = {}
    for i in range(n):
        graph[i] = {}
        graph[i][i] = 1
    return graph[0][n]


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


def lower(fn: Program, *arguments: Any) -> None:
    names = function_source(fn).node.args.args
    parameters = [(n.arg, Access(i), spec_of(a)) for i, (n, a) in enumerate(zip(names, arguments, strict=True))]
    lower_function(function_source(fn), parameters)


def require_at_most(lowerings: list[Any], more: int, few: Program, many: Program, argument: Any) -> None:
    """A function with more places is lowered at most so much more often."""
    lower(few, argument)
    once = len(lowerings)
    lower(many, argument)
    assert 0 < len(lowerings) - once <= once + more


def test_a_place_that_makes_containers_of_a_pool_is_found_in_one_lowering(lowerings: list[Any]) -> None:
    def one(a):
        near = defaultdict(set)
        for v in a:
            near[v].add(1)
        return len(near[1])

    def four(a):
        near = defaultdict(set)
        for v in a:
            near[v].add(1)
            near[v + 1].add(2)
            near[v + 2].add(3)
            near[v + 3].add(4)
        return len(near[1])

    require_at_most(lowerings, 3, one, four, EDGES[0])


def test_loops_over_what_changes_are_found_together(lowerings: list[Any]) -> None:
    def one(n):
        near = {i: {i} for i in range(n)}
        for u in near:
            near[u].add(n)
            if u == n:
                near[n + 1] = {1}
        return len(near)

    def three(n):
        near = {i: {i} for i in range(n)}
        for u in near:
            for v in near:
                for w in near:
                    near[u].add(v + w)
                    if u == n:
                        near[n + 1] = {1}
        return len(near)

    require_at_most(lowerings, 0, one, three, 3)


def test_records_that_have_not_the_same_keys_are_refused() -> None:
    def f(n):
        rows = []
        for i in range(n):
            rows.append({"a": i, "b": 0.5})
        for r in rows:
            r["c"] = r["a"] + r["b"]
        return rows

    with pytest.raises(ScriptError, match="different keys"):
        script(f)(3)


def test_a_dict_of_the_caller_in_a_growing_list_is_refused() -> None:
    def f(n, memo):
        rows = []
        for i in range(n):
            memo[i] = i
            rows.append(memo)
        return sum(d[0] for d in rows)

    with pytest.raises(ScriptError, match="a dict of the caller goes into a list"):
        script(f)(3, {7: 1})


def test_an_unknown_key_of_a_record() -> None:
    def f(n):
        rows = []
        for i in range(n):
            rows.append({"a": i, "b": 0.5})
        return rows[0]["c"]

    check(f, 3)


class Move:
    """A node of a search tree, which has others of its class by their numbers."""

    def __init__(self, prior: Any) -> None:
        self.prior, self.visits, self.total = prior, 0, 0.0
        self.children: dict[int, Any] = {}


def test_a_search_tree_whose_nodes_have_dicts_of_nodes() -> None:
    def searched(priors, values, rounds):
        root = Move(1.0)
        for i in range(3):
            root.children[i] = Move(priors[i])
        for _ in range(rounds):
            path, node = [root], root
            while node.children:
                best, move = -1e9, -1
                for a, child in node.children.items():
                    score = child.total / (1 + child.visits) + child.prior * (node.visits + 1) ** 0.5
                    if score > best:
                        best, move = score, a
                node = node.children[move]
                path.append(node)
            if node.visits > 0:
                for i in range(2):
                    node.children[i] = Move(values[i])
            for step in path:
                step.visits += 1
                step.total += values[node.visits % 3]
        return root.total, [root.children[i].visits for i in range(3)]

    check(searched, np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.6, 0.3]), 9)
