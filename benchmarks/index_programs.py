"""Further scalar loops, in which indices, counts and divisions are the work. They are registered with those of
`scalar_programs`, and like them plain Python over NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.scalar_programs import PROGRAMS, program

__all__ = ["PROGRAMS"]


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


@program("histogram of 200,000", lambda: (_rng().integers(0, 256, 200_000), np.zeros(256, np.int64)))
def histogram(x: Any, counts: Any) -> None:
    """Places that are data."""
    for i in range(len(x)):
        counts[x[i]] += 1


@program("elements above a limit, 300 x 300", lambda: (_rng().random((300, 300)), 0.5))
def above(x: Any, limit: float) -> int:
    """A count under a condition in nested loops."""
    count = 0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if x[i, j] > limit:
                count += 1
    return count


def _sequences() -> tuple[Any, ...]:
    rng = _rng()
    return rng.integers(0, 4, 500), rng.integers(0, 4, 500), np.zeros((501, 501), np.int64)


@program("longest common subsequence, 500 x 500", _sequences)
def common_subsequence(a: Any, b: Any, t: Any) -> Any:
    """Dynamic programming that reads and writes in branches."""
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            if a[i - 1] == b[j - 1]:
                t[i, j] = t[i - 1, j - 1] + 1
            else:
                t[i, j] = max(t[i - 1, j], t[i, j - 1])
    return t[len(a), len(b)]


@program(
    "game of life on a torus, 200 x 200", lambda: (_rng().integers(0, 2, (200, 200)), np.zeros((200, 200), np.int64))
)
def life(g: Any, out: Any) -> None:
    """Neighbours beyond the ends, by short loops."""
    n, m = g.shape
    for i in range(n):
        for j in range(m):
            s = 0
            for di in range(-1, 2):
                for dj in range(-1, 2):
                    if di != 0 or dj != 0:
                        s += g[(i + di) % n, (j + dj) % m]
            if g[i, j] == 1:
                out[i, j] = 1 if s == 2 or s == 3 else 0
            else:
                out[i, j] = 1 if s == 3 else 0


@program("greatest common divisors, 150 x 150", lambda: (np.zeros((150, 150), np.int64),))
def divisors(t: Any) -> None:
    """Remainders of which each needs the one before."""
    n, m = t.shape
    for i in range(n):
        for j in range(m):
            a = i + 1
            b = j + 1
            while b != 0:
                a, b = b, a % b
            t[i, j] = a


@program("primes below 5,000 by trial division", lambda: (5_000,))
def primes(n: int) -> int:
    """Loops that break."""
    count = 0
    for k in range(2, n):
        prime = True
        d = 2
        while d * d <= k:
            if k % d == 0:
                prime = False
                break
            d += 1
        if prime:
            count += 1
    return count


@program("binary search of 10,000 in 10,000", lambda: (np.sort(_rng().random(10_000)), _rng().random(10_000)))
def binary_search(a: Any, wanted: Any) -> int:
    """Places that halve a range."""
    total = 0
    for k in range(len(wanted)):
        low = 0
        high = len(a)
        while low < high:
            middle = (low + high) // 2
            if a[middle] < wanted[k]:
                low = middle + 1
            else:
                high = middle
        total += low
    return total


@program("insertion sort of 600", lambda: (_rng().random(600), np.empty(600)))
def insertion_sort(source: Any, a: Any) -> None:
    """A loop that ends on a counter and on data."""
    for i in range(len(a)):
        a[i] = source[i]
    for i in range(1, len(a)):
        v = a[i]
        j = i - 1
        while j >= 0 and a[j] > v:
            a[j + 1] = a[j]
            j -= 1
        a[j + 1] = v


def _edges() -> tuple[Any, ...]:
    return _rng().integers(0, 20_000, (30_000, 2)), np.zeros(20_000, np.int64)


@program("union and find, 30,000 edges", _edges)
def union_find(edges: Any, parent: Any) -> int:
    """Chains of places that are data."""
    for i in range(len(parent)):
        parent[i] = i
    count = len(parent)
    for k in range(len(edges)):
        a = edges[k, 0]
        b = edges[k, 1]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a != b:
            parent[a] = b
            count -= 1
    return count


def _distances() -> tuple[Any, ...]:
    return _rng().random((150, 150)), np.zeros(150), np.zeros(150, np.bool_)


@program("shortest paths from a node, 150 x 150", _distances)
def shortest_paths(w: Any, dist: Any, done: Any) -> Any:
    """Dijkstra's algorithm by two loops a step."""
    n = w.shape[0]
    for i in range(n):
        dist[i] = 1e30
        done[i] = False
    dist[0] = 0.0
    for _ in range(n):
        u = -1
        for i in range(n):
            if not done[i] and (u < 0 or dist[i] < dist[u]):
                u = i
        done[u] = True
        for v in range(n):
            if not done[v] and dist[u] + w[u, v] < dist[v]:
                dist[v] = dist[u] + w[u, v]
    return dist[n - 1]
