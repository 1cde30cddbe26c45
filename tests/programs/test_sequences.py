"""Sorting, heaps, and functions of itertools, functools and bisect over lists of any length, against plain Python."""

from __future__ import annotations

import bisect
import functools
import heapq
import itertools
import operator
import sys
from typing import Any

import numpy as np
import pytest

from tests.programs.cases import Cases, Program, run
from tests.programs.compare import check

case = Cases()


def numbers():
    return np.array([3, 1, 2, 3, 1, 5])


@case((numbers(),), (np.array([], dtype=np.int64),))
def heaps(a):
    h = []
    for v in a:
        heapq.heappush(h, int(v))
    g = [int(v) * 7 % 11 for v in a]
    heapq.heapify(g)
    x = heapq.heappushpop(g, 4)
    out = []
    while h:
        out.append(heapq.heappop(h))
    return (out, g, x, heapq.nsmallest(2, g), heapq.nlargest(2, g))


@case((8,))
def heap_tuples(n):
    h = [(0.0, 0)]
    out = []
    while h:
        d, u = heapq.heappop(h)
        out.append((d, u))
        if u < n:
            heapq.heappush(h, (d + 1.5, u + 2))
            heapq.heappush(h, (d + 1.0, u + 1))
    return out


@case((6,))
def heap_of_texts(n):
    h = []
    for i in range(n):
        heapq.heappush(h, ((i * 7) % 5, "ab"[i % 2]))
    words = [word for _, word in h]
    pairs = [(word, i) for i, word in enumerate(words)]
    pairs.sort()
    return [heapq.heappop(h) for _ in range(n)], max(words), min(pairs), max(pairs), pairs


class Ranked:
    def __init__(self, rank):
        self.rank = rank

    def __lt__(self, other):
        return self.rank < other.rank

    def __gt__(self, other):
        return self.rank > other.rank

    def __eq__(self, other):
        return self.rank == other.rank


@case((1, 2), (2, 2), (2, 1))
def first_difference(n, m):
    items = list(range(n))
    of_objects = (
        (Ranked(n), 1) < (Ranked(m), 2),
        (1, Ranked(n)) > (1, Ranked(m)),
        max((Ranked(n), 1), (Ranked(m), 0))[1],
    )
    of_others = (n, None) < (m, None), (None, n) <= (None, m), (1, items) < (1, [*items, 3]), [n, "a"] >= [m, "b"]
    return of_objects, of_others, (n, ("a", m)) < (m, ("a", n)), (n, m) < (n, m, 1), (n, m, 1) <= (n, m)


@case((1, 2), (2, 2))
def items_without_order(n, m):
    return (n, "a") < (m, 3)


@case((3,))
def heap_err(n):
    h = [n]
    heapq.heappop(h)
    heapq.heappop(h)


@case((numbers(),))
def bis(a):
    l = sorted(a.tolist())
    bisect.insort(l, 2)
    return (bisect.bisect(l, 3), bisect.bisect_left(l, 3), bisect.bisect_right(l, 9), bisect.bisect_left(l, 0), l)


@case((numbers(),))
def sorts(a):
    l = [(int(v), i * 0.5) for i, v in enumerate(a)]
    l.sort(key=lambda p: p[0], reverse=True)
    m = sorted(l, key=lambda p: (p[0] % 2, -p[1]))
    k = sorted(range(len(l)), key=lambda i: -l[i][1])
    e = sorted([v > 2 for v in a.tolist()])
    return (l, m, k, sorted(l), e, sorted(a.tolist(), reverse=True), sorted(a, key=lambda v: v % 3))


@case((numbers(),))
def mins(a):
    l = a.tolist()
    return (
        min(l, key=lambda v: abs(v - 4)),
        max(range(len(l)), key=lambda i: l[i]),
        max(l, default=0),
        min([v for v in l if v > 90], default=-1),
        max(l, key=lambda v: (v % 3, v)),
    )


@case((numbers(),))
def min_empty(a):
    return min([v for v in a.tolist() if v > 90], key=lambda v: -v)


@case((numbers(),), (np.array([4]),))
def reduces(a):
    l = a.tolist()
    return (
        functools.reduce(lambda x, y: x * 2 + y, l),
        functools.reduce(operator.mul, range(1, len(l) + 1), 1),
        list(filter(lambda v: v > 1, l)),
        list(map(lambda v: v * v, l)),
        list(filter(None, [v - 1 for v in l])),
    )


@case((4,))
def iters(n):
    r = range(n)
    l = [i * i for i in r]
    return (
        list(itertools.chain(r, l, (7, 8))),
        list(itertools.accumulate(l)),
        list(itertools.accumulate(l, max)),
        list(itertools.accumulate(l, lambda a, b: a * b, initial=3)),
        list(itertools.product(r, (1, 2))),
        list(itertools.product(r, repeat=2)),
        list(itertools.combinations(l, 2)),
        list(itertools.combinations(r, 3)),
        list(itertools.permutations(r, 2)),
        list(itertools.pairwise(l)),
        list(itertools.zip_longest(l, (1, 2), fillvalue=0)),
        list(itertools.takewhile(lambda v: v < 5, l)),
        list(itertools.dropwhile(lambda v: v < 4, l)),
        list(itertools.filterfalse(lambda v: v % 2, l)),
        list(itertools.starmap(lambda a, b: a - b, zip(l, r))),
        list(itertools.compress(l, [v > 1 for v in r])),
    )


@case((4,))
def iter_loops(n):
    s = 0
    for i, j in itertools.product(range(n), range(2)):
        s += i * j
    for i, j in itertools.combinations(range(n), 2):
        s = s * 3 + i - j
    for a, b in itertools.pairwise(range(n)):
        s += a * b
    return s


@case(([1, 2, 3], 2), ([1, 2, 3], 0), ((0.5, 1.5), 1))
def choices(values, k):
    n = len(values) + k
    return (
        list(itertools.combinations(values, k)),
        list(itertools.combinations(range(n), k)),
        list(itertools.combinations_with_replacement(values, k)),
        list(itertools.combinations_with_replacement(range(n), r=2)),
        list(itertools.permutations(values)),
        list(itertools.permutations(values, r=k)),
        list(itertools.product(values, repeat=k)),
    )


@case((3, 2.0), (0, 2.0))
def conditions(n, x):
    l = [i for i in range(n)]
    k = 0
    if l and x > 1:
        k += 1
    if not (l or x > 3):
        k += 2
    while l and k < 10:
        l.pop()
        k += 3
    return (k, 1 if l or x > 1 else 0)


@case((0,), (3,))
def early_read(n):
    l = []
    for i in range(n):
        l.append(l[-1] + 2 if l else 1)
    m = []
    for v in l:
        m.append(v)
    k = []
    for _ in range(n):
        k.append(k[len(k) - 1] * 0.5 if len(k) > 0 else 1.0)
    return (l, m, k)


@case((3,))
def never_filled(n):
    l = []
    for i in range(n):
        if i > 100:
            return l[0]
    return l


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


def in_batches(xs, n):
    total = 0
    for batch in itertools.batched(xs, n):
        print(len(batch), batch[0])
        total = total * 10 + sum(batch)
    return total, [sum(b) for b in itertools.batched(xs, n)]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="itertools.batched is there from Python 3.12 on")
@pytest.mark.parametrize("n", [1, 2, 5, 9, 0])
def test_batched(n):
    check(in_batches, [3, 1, 4, 1, 5], n)
    check(in_batches, [], n)
    check(in_batches, np.arange(7), n)
