"""Tuples whose length is known at run time only: made of lists, grown in loops and calls, as keys, compared, shown."""

from __future__ import annotations

from collections import Counter, defaultdict, deque

import numpy as np

import tracejit as tj
from tests.programs.compare import check


def read(n):
    xs = []
    for i in range(n):
        xs.append(i * i % 7)
    t = tuple(xs)
    xs.append(-1)
    a, *b = t
    print(t, f"{(9,) + t}", repr(t[:1]), str(t[:0]))
    compared = t == tuple(xs), t < t + (1,), t >= t[:2], t > (3, 1), t == xs, 4 in t, not t[:0]
    parts = t[-1], t[1:3], t[::-1], t * 2, a, b, list(t), sorted(t), max(t), sum(t), t.count(1), t.index(t[2])
    return t, compared, parts, isinstance(t, tuple), isinstance(t, list), type(t) is tuple, tuple(t) is t, len(t)


def as_array(a):
    parts = tuple([a * i for i in range(len(a))])
    return np.stack(parts), sum(parts[-1]), tuple(x for x in a if x > 1), parts


def test_they_are_what_tuples_are():
    check(read, 5)
    check(as_array, np.arange(4.0))


def test_tensors_in_them_are_differentiated():
    def stacked(x):
        rows = []
        for i in range(x.shape[0]):
            rows.append(x * x[i])
        return tj.stack(tuple(rows)), tuple(rows)

    check(stacked, tj.tensor(np.arange(1.0, 4.0), requires_grad=True))


def taken_apart(n, what):
    t = tuple([i for i in range(n)])
    if what == 0:
        return t[n]
    if what == 1:
        return t.index(77)
    t[0] = 1
    return t


def test_errors_are_those_of_tuples():
    for what in range(3):
        check(taken_apart, 3, what)
    check(lambda n: tuple([i for i in range(n)]) + [1], 3)
    check(lambda n: tuple([i for i in range(n)]).append(1), 3)
    check(lambda n: tuple([i for i in range(n)]) < [i for i in range(n)], 3)


def reached(n):
    start = tuple(range(n))
    queue, distance = deque([start]), {start: 0}
    while queue:
        state = queue.popleft()
        for i in range(len(state) - 1):
            moved = state[:i] + (state[i + 1], state[i]) + state[i + 2 :]
            if moved not in distance:
                distance[moved] = distance[state] + 1
                queue.append(moved)
    return distance, max(distance.values())


def of_digits(n):
    counts, groups, pairs = Counter(), defaultdict(list), set()
    for i in range(n):
        digits = []
        k = i * 37
        while k > 0:
            digits.append(k % 10)
            k //= 10
        key = tuple(sorted(digits))
        counts[key] += 1
        groups[key].append(i)
        pairs.add((i % 2, key))
    return counts, groups, sorted(pairs), (0, ()) in pairs


def solved(n):
    memo = {(): 0, (1,): 1}

    def most(items):
        key = tuple(items)
        if key not in memo:
            memo[key] = max(most(items[1:]), most(items[:-1])) + items[0] * items[-1] % 5
        return memo[key]

    return most([i % 4 for i in range(n)]), memo


def test_they_are_keys():
    check(reached, 4)
    check(of_digits, 9)
    check(solved, 5)


def grown(n):
    t, best = (), ()
    for i in range(n):
        t += (i * 5 % n,)
        if best < t[i // 2 :]:
            best = t[i // 2 :]
    longest = (1, 2, 3) if n > 5 else (4, 5)
    rows = [(n,), (1, 2)]
    for i in range(n):
        rows.append((i,) if i % 2 else (i, i))
    return t, best, longest, rows


def walks(n):
    found, stack = [], [(0, (0,))]
    while stack:
        at, path = stack.pop()
        if at == n:
            found.append(path)
        for step in (1, 2):
            if at + step <= n:
                stack.append((at + step, path + (at + step,)))
    return found, min(found), max(found, key=len)


def splits(n):
    found = []

    def walk(left, path):
        if left == 0:
            found.append(path)
            return len(path)
        return max(walk(left - d, path + (d,)) for d in (1, 2) if d <= left)

    return walk(n, ()), found


def test_they_grow():
    check(grown, 4)
    check(grown, 7)
    check(walks, 5)
    check(splits, 4)


def test_lists_of_lists_compare():
    def rows(n, x):
        made = []
        for i in range(n):
            made.append([i * j % 3 + x for j in range(i + 1)])
        a, b = made[0], made[1]
        return a > b, a < b, a <= b, a >= b, max(made), sorted(made, reverse=True)

    check(rows, 4, 0.5)
    check(rows, 4, float("nan"))


def test_a_key_that_is_not_there_is_named():
    def missing(n):
        squares = {}
        for i in range(n):
            squares[tuple(range(i))] = i * i
        return squares[tuple(range(n))]

    check(missing, 3)
