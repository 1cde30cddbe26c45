"""Dicts, sets and queues whose keys and items are known at run time only, against plain Python."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.cases import Cases, Program, run
from tests.programs.compare import check

case = Cases()


def numbers():
    return np.array([3, 1, 2, 3, 1, 5])


@case((numbers(),))
def d_methods(a):
    d = {}
    for v in a.tolist():
        d[v * 1000003 - 5] = v * 0.5
    d[2] = 7.5
    e = d.copy()
    e.update(d)
    e[-1] = 2.0
    x = e.pop(-1)
    y = e.pop(-77, 3.5)
    k = e.popitem()
    z = e.setdefault(4, 1.0)
    w = e.get(4)
    del e[4]
    return (
        d,
        e,
        x,
        y,
        k,
        z,
        w,
        d == e,
        len(e),
        e.get(99, -1.0),
        list(d),
        list(d.keys()),
        list(d.values()),
        list(d.items()),
        sorted(d),
        max(d),
        sum(d.values()),
        2 in d,
        4 in e,
    )


@case((1000,))
def many(n):
    d = {}
    for i in range(n):
        d[i * 7919 % 10007 - 5000] = i
    s = 0
    for i in range(0, n, 3):
        del d[i * 7919 % 10007 - 5000]
    for k, v in d.items():
        s = (s * 31 + k * v) % 1000003
    for i in range(n):
        d[i] = d.get(i, 0) + 1
    return (s, len(d), d)


@case((50,))
def churn(n):
    d = {}
    for i in range(n * 20):
        d[i] = i
        if i >= 5:
            del d[i - 5]
    return d


@case((numbers(),))
def missing(a):
    d = {}
    for v in a:
        d[int(v)] = 1
    return d[77]


@case((numbers(),))
def del_missing(a):
    d = {}
    for v in a:
        d[int(v)] = 1
    del d[77]


@case((5,))
def changed(n):
    d = {0: 0}
    for i in range(n):
        d[i] = i
    for k in d:
        d[k + 100] = 1
    return d


@case((5,))
def update_in_loop(n):
    d = {i: i for i in range(n)}
    for k in d:
        d[k] *= 2
    for k, v in d.items():
        d[k] = v + 1
    for k in list(d):
        if k % 2:
            del d[k]
    return d


@case((5, 2.5))
def float_keys(n, x):
    d = {}
    for i in range(n):
        d[i * x] = i
    return (d, d[0.0], 2.5 in d, d.get(x * 2), 5 in d)


@case((numbers(),))
def tuple_keys(a):
    d = {}
    for i in range(len(a)):
        for j in range(i):
            d[i, j] = d.get((i - 1, j), 0) + int(a[j])
    return (d, d[2, 1], (5, 4) in d)


@case((numbers(),))
def np_keys(a):
    d = {}
    for v in a:
        d[v] = d.get(v, 0) + 1
    return d


@case((numbers(),))
def cnt(a):
    c = Counter(a.tolist())
    c[9] += 2
    c.update([1, 1, 7])
    return (c, c.most_common(2), c.most_common(), c[1234], c.total(), sorted(c.elements()), len(c))


@case((numbers(),))
def dflt(a):
    d = defaultdict(int)
    e = defaultdict(float)
    f = defaultdict(lambda: -1)
    for i, v in enumerate(a.tolist()):
        d[v] += 1
        e[v] += i * 0.5
        f[v] = f[v] * 2
    return d, e, len(f), f[3], d[99], len(d)


@case((numbers(),))
def od(a):
    d = OrderedDict()
    for v in a.tolist():
        d[v] = v * v
    return (d, list(d.items()))


@case((numbers(),))
def sets(a):
    s = set()
    for v in a.tolist():
        s.add(v)
    s.discard(77)
    s.remove(5)
    s.update([10, 3])
    return s, len(s), min(s), max(s), sum(s), sorted(s), 8 in s, s.isdisjoint({100})


@case((numbers(),))
def combined_sets(a):
    s = set(a.tolist())
    t = {1, 2, 8}
    return s & t, s - t, t - s, s == t


@case((numbers(),))
def changed_sets(a):
    s = set(a.tolist())
    s |= {8, 9}
    u = s ^ {3, 4}
    s.discard(1)
    return s, u, u <= s


@case((numbers(),))
def set_ops_lit(a):
    s = {int(v) % 3 for v in a}
    t = set(a.tolist())
    return (s, t, s | t, len({a[0], a[1], 3}), s.union(t), s.issubset(t), set(range(len(a))))


@case((numbers(),))
def set_tuple(a):
    seen = set()
    k = 0
    for i in range(len(a)):
        p = (int(a[i]) % 2, i % 2)
        if p in seen:
            continue
        seen.add(p)
        k += 1
    return (k, seen)


@case((numbers(),))
def set_err(a):
    s = set()
    for v in a:
        s.add(int(v))
    s.remove(42)


@case((6,))
def dq(n):
    q = deque()
    for i in range(n):
        q.append(i)
    for i in range(n):
        q.appendleft(-i)
    q.rotate(2)
    q.rotate(-1)
    q[0] = 100
    x = q.pop()
    y = q.popleft()
    return (q, list(q), x, y, q[0], q[-1], q[2], len(q), 3 in q, q.count(0), q.index(3))


@case((100,))
def dq_long(n):
    q = deque([0])
    s = 0
    k = 0
    while q and k < n * 5:
        u = q.popleft()
        k += 1
        s = (s * 3 + u) % 10007
        q.append(u + 1)
        if k % 3 == 0:
            q.append(k)
    return (s, len(q))


@case((5,))
def dq_max(n):
    q = deque(maxlen=3)
    for i in range(n):
        q.append(i * 0.5)
    p = deque([1, 2, 3], maxlen=3)
    p.appendleft(n)
    return (q, p)


@case((5,))
def dq_err(n):
    q = deque([n])
    q.pop()
    return q.popleft()


@case((5,))
def dq_tuples(n):
    q = deque([(0, n)])
    tot = 0
    while q:
        lo, hi = q.popleft()
        if hi - lo < 2:
            tot += lo
        else:
            q.append((lo, (lo + hi) // 2))
            q.append(((lo + hi) // 2, hi))
    return tot


@case((5,))
def truth(n):
    d = {}
    s = set()
    r = []
    if d:
        r.append(1)
    d[n] = 1
    s.add(n)
    if d and s:
        r.append(2)
    d.clear()
    s.clear()
    if not d and (not s):
        r.append(3)
    print(d, s, len(r))
    return (r, isinstance(d, dict), isinstance(s, set), d, s)


@case((5,))
def printing(n):
    d = {}
    for i in range(n):
        d[i] = i * 0.5
    s = set()
    s.add(n)
    q = deque([n])
    print(d, s, q)
    print(f"{d}", str(s))


@case(({1: 2.0, 5: 3.0}, 5), ({1: 2.0, 5: 3.0}, 6))
def arg_dict(d, k):
    return (d.get(k, 0.0), k in d, d[k])


@case((7,))
def memo(n):
    memo = {0: 0, 1: 1}

    def fib(k):
        if k not in memo:
            memo[k] = fib(k - 1) + fib(k - 2)
        return memo[k]

    return (fib(n), memo)


@case((7,))
def branch(n):
    if n > 3:
        d = {n: 1}
    else:
        d = {n + 1: 2}
    d[n * 2] = 5
    return d


@case((7,))
def two(n):
    d = {}
    e = d
    for i in range(n):
        e[i] = i
    return (len(d), d is e)


class G:
    def __init__(self):
        self.d = {}
        self.seen = set()

    def put(self, k):
        self.d[k] = self.d.get(k, 0) + 1
        self.seen.add(k % 3)


@case((7,))
def in_object(n):
    g = G()
    for i in range(n):
        g.put(i // 2)
    return (g.d, g.seen)


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


def test_deleted_keys_stay_deleted_when_the_table_grows() -> None:
    def of_dict(n):
        d = {n: 1}
        for i in range(5):
            d[n + i] = i
        del d[n]
        for i in range(5, 40):
            d[n + i] = i
        return n in d, n + 1 in d, len(d), sum(d.values())

    def of_set(n):
        s = {n, n + 1}
        for i in range(5):
            s.add(n + i)
        s.remove(n)
        for i in range(5, 40):
            s.add(n + i)
        return n in s, n + 1 in s, len(s)

    for fn in (of_dict, of_set):
        for n in (3, 100):
            check(fn, n)


def test_items_taken_from_the_end_leave_room() -> None:
    def taken(n):
        d = {n: 1}
        total = 0
        for i in range(1, n):
            d[n + i * 7] = i
            k, v = d.popitem()
            total += k * v
        for i in range(n):
            d[i] = i
        return total, len(d), list(d)

    def drained(n):
        d = {i: i * i for i in range(n)}
        out = []
        while len(d) > 0:
            out.append(d.popitem())
        d[n] = 1
        return out, n in d, 0 in d

    for n in (4, 12, 60):
        check(taken, n)
        check(drained, n)


def test_displays_evaluate_once_and_keep_what_is_spread() -> None:
    def once(n):
        l = [1, 2, 3]
        l.append(n)
        d = {1: l.pop(), n: 5, l.pop(): 7}
        return len(l), d[1], d[n], d[3]

    def spread(n):
        d = {1: 10, 2: 20}
        e = {**d, n: 1}
        f = {n: 1, **d}
        return len(e), e[1], e[n], len(f), f[2], list(f)

    for n in (1, 9):
        check(once, n)
        check(spread, n)


def test_a_set_without_itself() -> None:
    def without(n):
        s = {n, n + 1}
        t = s - s
        s -= s
        s.add(5)
        s.difference_update(s)
        return len(s), len(t)

    check(without, 2)


def test_order_of_an_ordered_dict() -> None:
    def order(n):
        d = OrderedDict()
        for i in range(n):
            d[i * i] = float(i)
        d.move_to_end(1)
        d.move_to_end(4, last=False)
        first = d.popitem(last=False)
        return list(d), first, d.popitem(), list(d.values())

    check(order, 6)


def test_the_index_of_an_update_is_evaluated_once() -> None:
    def of_list(n):
        items = [1, 2, 3]
        places = [0, 1]
        places.append(n - 3)
        items[places.pop()] += 5
        return len(places), items[0], items[1]

    def of_dict(n):
        d = {0: 1, 1: 2, n: 3}
        keys = iter([1, n])
        d[next(keys)] += 1
        d[next(keys)] *= 4
        return d[0], d[1], d[n]

    check(of_list, 3)
    check(of_dict, 7)


def test_loops_over_what_their_bodies_change() -> None:
    def keys(n, leaves):
        d = {}
        for i in range(n):
            d[i * i] = i
        for k in d:
            print(k)
            if d[k] == 2:
                del d[k]
                if leaves:
                    break
        return d

    def items(n, leaves):
        d = {}
        for i in range(n):
            d[i] = i * 2
        for k, v in d.items():
            print(k, v)
            if v == 4:
                d[k + n] = 1
                if leaves:
                    return d
        return None

    def values(n, leaves):
        d = {}
        for i in range(n):
            d[i] = i * 2
        for v in d.values():
            if v == 4:
                d.clear()
                if leaves:
                    break
        return d

    def queue(n, leaves):
        q = deque()
        for i in range(n):
            q.append(i)
        q.popleft()
        total = 0
        for x in q:
            for y in q:
                total += x * y
        for x in q:
            print(x)
            if x == 2:
                q.popleft()
                if leaves:
                    break
        return q, total

    for fn in (keys, items, values, queue):
        check(fn, 5, True)
        check(fn, 5, False)


@pytest.mark.compiled
def test_loops_are_not_unrolled_for_keys_that_data_tells():
    def made(trips):
        def walk(x):
            steps = {0: (1, 0), 1: (0, 1)}
            at = (0, 0)
            for i in range(trips):
                if x[i] in steps:
                    down, right = steps[int(x[i]) if x[i] > 0 else 0]
                    at = (at[0] + down, at[1] + right)
            return at

        return walk

    x = np.arange(20) % 3
    scripts = [tj.script(made(trips)) for trips in (10, 20)]
    assert [s(x) for s in scripts] == [(4, 3), (7, 7)]
    first, second = (s.graph.count("\n") for s in scripts)
    assert first == second
