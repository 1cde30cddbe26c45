"""Lists of lists, lists that are one list under several names, and lists that change while a loop runs over them."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from typing import Any

import numpy as np
import pytest

from tests.programs.cases import Cases, Program, run
from tracejit import ScriptError, grad, script

case = Cases()


@case((3, 4), (1, 1), (0, 2))
def grid(n, m):
    g = [[0] * m for _ in range(n)]
    for i in range(n):
        for j in range(m):
            g[i][j] = i * j
    for row in g:
        row.append(7)
        row[0] += 1
    return (g, [sum(r) for r in g], len(g))


@case((4,))
def aliases(n):
    row = [0] * n
    g = [row, row, [1] * n]
    row[1] = 5
    g[0].append(9)
    h = g[1]
    h[0] = 3
    return (g, row, g[0] is g[1])


@case((3,))
def times(n):
    g = [[0] * 2] * n
    g[0][1] = 5
    return g


@case((4,))
def fixed_outer(n):
    b = [[], [], []]
    for i in range(n * 3):
        b[i % 3].append(i)
    return (b, [len(x) for x in b], b[1][-1], b[2][1:3])


@case((6,))
def while_iter(n):
    g = [[0] for _ in range(2)]
    k = 0
    for v in g[1]:
        k += v + 1
        if len(g[1]) < n:
            g[1].append(v + 1)
        if v == 2:
            continue
        if v > 4:
            break
    else:
        k = -k
    return (g, k)


@case((4,))
def methods(n):
    g = [[3, 1, 2] for _ in range(n)]
    g[0].sort()
    g[1].reverse()
    g[2].insert(1, 9)
    g[3].remove(1)
    x = g[0].pop()
    y = g[1].pop(0)
    g[0].extend(g[1])
    g[0] += [5]
    del g[2][0]
    g[3][0:1] = [7, 8]
    z = (
        g[0].index(2),
        g[0].count(2),
        2 in g[0],
        g[0] == g[0].copy(),
        g[0] == [1],
        sorted(g[0], reverse=True),
        max(g[0]),
        min(g[0]),
        g[0] + g[1],
        g[1] * 2,
        [1] + g[1],
    )
    g[1].clear()
    return (g, x, y, z, not g[1])


@case((5,))
def errors(n):
    g = [[1] * n for _ in range(n)]
    return g[1][n]


@case((5,))
def errors2(n):
    g = [[] for _ in range(n)]
    return g[1].pop()


@case((5,))
def floats(n):
    g = [[1.5] * i for i in range(n)]
    g[2][0] = 0.5
    for r in g:
        r.append(2.5)
    return g


@case((4,))
def three(n):
    c = [[[0] * 2 for _ in range(n)] for _ in range(n)]
    for i in range(n):
        for j in range(n):
            c[i][j][1] = i + j
    c[1][2].append(4)
    return (c, sum((sum((sum(r) for r in m)) for m in c)))


@case((np.array([[0, 1], [0, 2], [1, 3], [2, 3], [3, 4]]), 5))
def graph(edges, n):
    adj = [[] for _ in range(n)]
    for u, v in edges:
        adj[u].append((int(v), 1.5))
        adj[v].append((int(u), 0.5))
    dist = [1000000000.0] * n
    dist[0] = 0.0
    h = [(0.0, 0)]
    while h:
        d, u = heapq.heappop(h)
        if d > dist[u]:
            continue
        for v, w in adj[u]:
            if d + w < dist[v]:
                dist[v] = d + w
                heapq.heappush(h, (d + w, v))
    return (dist, adj)


@case((np.array([3, 1, 2, 3, 1, 5]),))
def groups(a):
    g = {}
    for i, v in enumerate(a):
        g.setdefault(int(v), []).append(i)
    d = defaultdict(list)
    for i, v in enumerate(a.tolist()):
        d[v % 2].append(i * v)
    return (g, d, [len(x) for x in g.values()], {k: sum(v) for k, v in d.items()})


@case((4,), (0,))
def branchy(n):
    a = [1] * n
    b = [2] * n
    c = a if n > 2 else b
    c.append(5)
    return (a, b, c)


@case((5,))
def swap(n):
    prev = [0] * n
    cur = [1] * n
    for i in range(n):
        for j in range(1, n):
            cur[j] = prev[j - 1] + cur[j - 1]
        prev, cur = (cur, prev)
    return (prev, cur)


@case((4,))
def dp_rows(n):
    rows = []
    for i in range(n):
        row = []
        for j in range(i + 1):
            row.append(1 if j in (0, i) else rows[i - 1][j - 1] + rows[i - 1][j])
        rows.append(row)
    return rows


@case((3,))
def transposed(n):
    g = [[i * n + j for j in range(n)] for i in range(n)]
    t = [[g[i][j] for i in range(n)] for j in range(n)]
    return (t, [row[::-1] for row in g], np.array(g), np.array(t).sum(axis=0), [list(r) for r in g])


@case((3,))
def helper(n):

    def fill(row, v):
        for i in range(len(row)):
            row[i] = v
        row.append(v)

    g = [[0] * n for _ in range(n)]
    for i in range(n):
        fill(g[i], i)
    return g


@case((3,))
def recursive(n):
    out = []

    def go(path, k):
        if k == 0:
            out.append(path[:])
            return
        for i in range(2):
            path.append(i)
            go(path, k - 1)
            path.pop()

    go([], n)
    return out


@case((3,))
def recursive2(n):
    res = [[] for _ in range(n + 1)]

    def go(k):
        res[k].append(k * 2)
        if k > 0:
            go(k - 1)
            go(k - 1)

    go(n)
    return res


@case((4,))
def printing(n):
    g = [[i] * i for i in range(n)]
    print(g)
    print(g[1], len(g[2]))
    print(f"{g}")


@case((4,))
def unpacked(n):
    g = [[i, i + 1] for i in range(n)]
    g[0][0] = 9
    s = 0
    for a, b in g:
        s += a * b
    x, y = g[1]
    return (s, x, y)


@case((4,))
def arrays_in(n):
    g = [[] for _ in range(n)]
    for i in range(n * 2):
        g[i % n].append(np.full(2, float(i)))
    return ([len(x) for x in g], np.array(g[0]), g[1][1])


@case((np.arange(6.0).reshape(2, 3),), (np.arange(4),))
def tolist(a):
    return a.tolist()


@case((4,))
def deque_lists(n):
    q = deque()
    q.append([0])
    out = []
    while q:
        p = q.popleft()
        if len(p) == 3:
            out.append(p)
            continue
        for i in range(2):
            q.append(p + [i])
    return out


@case((5,))
def bfs_list(n):
    q = [0]
    seen = [False] * (n * n)
    for u in q:
        for v in (u * 2 + 1, u * 2 + 2):
            if v < n * n and (not seen[v]):
                seen[v] = True
                q.append(v)
    return q


@case((6, 2, 4), (6, 4, 2), (6, -2, 9))
def slices(n, i, j):
    l = [k for k in range(n)]
    l[i:j] = [7, 8, 9]
    m = l[:]
    del m[1:3]
    m[len(m) :] = [1]
    del m[-1:]
    return (l, m)


@case((np.ones(1),), (np.ones(3),), (np.ones(2),))
def of_one_row(a):
    c = [[0.0 for _ in range(len(a))] for _ in range(len(a))]
    for i in range(len(a)):
        c[i][0] += float(a[i])
        c[i].append(1.5)
    return c


@case((3,), (1,))
def which_row_is_which(n):
    rows = [[i] for i in range(n)]
    row = rows[0]
    row.append(1)
    return row is rows[0], row is rows[-1], row is not rows[0], rows


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


def test_items_of_lists_of_lists_have_gradients() -> None:
    def f(x: float, n: int) -> float:
        rows = [[x * j for j in range(n)] for _ in range(n)]
        for i in range(1, n):
            rows[i][0] = rows[i - 1][n - 1] * x
            rows[i].append(rows[i][0] * 2.0)
        return sum([sum(row) for row in rows])

    x, n, h = 1.25, 3, 1e-6
    numeric = (f(x + h, n) - f(x - h, n)) / (2 * h)
    assert abs(grad(f)(x, n) - numeric) < 1e-6 * abs(numeric)


def test_which_row_is_which_is_refused_where_no_row_changes() -> None:
    def f(n: int) -> bool:
        rows = [[i] for i in range(n)]
        row = rows[0]
        return row is rows[0]

    with pytest.raises(ScriptError, match="'is' compares"):
        script(f)(3)
