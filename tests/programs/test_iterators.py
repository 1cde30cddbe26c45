"""Unpacking of any length, iterators, functions of itertools and operator, chosen functions, against plain Python."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from typing import Any

import numpy as np
import pytest

from tests.programs.cases import Cases, Program, run
from tracejit import ScriptError, script

case = Cases()


def values():
    return np.array([0.5, 1.5, 2.5, 3.5])


@case((values(),), (values()[:1],), (values()[:0],))
def starred(v):
    a, *b = v
    *c, d = [x * 2 for x in v]
    return (a, b, c, d)


@case((np.arange(6.0).reshape(3, 2),))
def star_rows(m):
    first, *rest = m
    return (first, len(rest), rest[0], [*rest, first])


@case((4,))
def star_lists(n):
    l = [i for i in range(n)]
    return ([*l, 1], [0, *l, *l], [*range(n)])


@case((values(), 2), (values(), 9), (values(), 0))
def iters(v, k):
    it = iter(v)
    s = next(it)
    for x in it:
        s += x
        if x > k:
            break
    t = next(it, -1.0)
    rest = [y for y in it]
    return (s, t, rest, next(it, None))


@case((values(),), (values() * 0,))
def stop(v):
    it = iter(v)
    n = 0
    while n < 10:
        next(it)
        n += 1
    return n


@case((values(), 1.0), (values(), 9.0))
def nextgen(v, k):
    a = next((x for x in v if x > k), np.float64(-1.0))
    b = next((i for i in range(len(v)) if v[i] > k), None)
    c = next((1 / (x - 1.5) for x in v if x != 1.5 or k > 5))
    return (a, b, c)


@case((values(), 100.0))
def nextgen_stop(v, k):
    return next((x for x in v if x > k))


@case((5,), (0,))
def counts(n):
    s = 0
    for i in itertools.count(3, 2):
        if i > n * 4:
            break
        s += i
    for i, c in zip(itertools.count(), range(n)):
        s += i * c
    for a, b in zip(range(n), itertools.repeat(3)):
        s += a * b
    for a in itertools.repeat(2, n):
        s += a
    for i, c in zip(range(n), itertools.cycle((1, 2, 5))):
        s = s * 2 + i * c
    return (
        s,
        list(itertools.islice(range(100), n)),
        list(itertools.islice(itertools.count(n), 2, 5)),
        list(itertools.islice(range(n), 1, None, 2)),
        list(itertools.repeat(n, 2)),
    )


@case((1, 2.0), (0, 2.0), (-1, 2.0))
def chosen(n, x):
    f = math.sin if n > 0 else math.cos
    g = np.exp
    if n < 0:
        g = np.sqrt

    def a(v):
        return v + 1

    return (f(x), g(x), (a if n == 0 else a)(x))


@case((4, values()))
def oper(n, v):
    l = [(i, i * i % 3) for i in range(n)]
    return (
        sorted(l, key=operator.itemgetter(1)),
        sorted(l, key=operator.itemgetter(1, 0)),
        operator.neg(n),
        operator.getitem(v, 1),
        operator.contains(l, (1, 1)),
        operator.truth(n),
        operator.not_(v[0]),
        operator.concat([1], [n]),
        operator.index(n),
    )


@functools.lru_cache(maxsize=None)
def _sq(k):
    return k * k + 1


@case((4,))
def caches(n):
    return ([_sq(i) for i in range(n)], _sq(n))


@case(("kitten", "sitting"), ([1, 2, 3, 4], [2, 3, 5]))
def distance(a, b):
    @functools.lru_cache(maxsize=None)
    def d(i, j):
        if i == 0 or j == 0:
            return i + j
        return min(d(i - 1, j) + 1, d(i, j - 1) + 1, d(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return d(len(a), len(b))


@case((20,))
def remembered(n):
    @functools.cache
    def fib(k):
        print("fib", k)
        return k if k < 2 else fib(k - 1) + fib(k - 2)

    @functools.lru_cache
    def paths(r, c):
        return 1 if r == 0 or c == 0 else paths(r - 1, c) + paths(r, c - 1)

    return fib(n // 4), fib(n // 4), paths(n // 2, n // 2)


def _shown(fn):
    @functools.wraps(fn)
    def inner(*args, **kwargs):
        print("in", len(args))
        found = fn(*args, **kwargs)
        print("out", found)
        return found

    return inner


def _twice(k):
    def decorated(fn):
        return lambda x: fn(fn(x)) * k

    return decorated


@case((2.0,), (np.arange(3.0),))
def decorated(x):
    @_shown
    @_twice(3)
    def g(y):
        return y * y + 1

    @_twice(2)
    def h(y, z=2.0):
        return y - z

    return g(x), h(x)


@case((65,), (8364,), (-1,))
def chars(n):
    print(chr(n))
    return "x" + chr(n)


@case((np.arange(8.0), 3), (np.arange(8.0), 8), (np.arange(8.0), 9))
def sliding(x, w):
    a = np.lib.stride_tricks.sliding_window_view(x, w)
    return (a, a.sum(axis=1), a[:, 0])


@case((np.arange(20.0).reshape(4, 5), 2))
def sliding2(x, w):
    return (
        np.lib.stride_tricks.sliding_window_view(x, (2, w)),
        np.lib.stride_tricks.sliding_window_view(x, 3, axis=1).max(axis=-1),
        np.lib.stride_tricks.sliding_window_view(x, w, 0),
    )


@case((np.arange(8.0),))
def sliding_write(x):
    a = np.lib.stride_tricks.sliding_window_view(x, 2)
    x[0] = 9
    y = a[0].copy()
    a[0, 0] = 1
    return y


class Countdown:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return self

    def __next__(self):
        if self.n <= 0:
            raise StopIteration
        self.n -= 1
        return self.n + 1


class Squares:
    def __init__(self, n):
        self.n = n

    def __getitem__(self, i):
        if i >= self.n:
            raise IndexError(i)
        return i * i


class Odd:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        for i in range(self.n):
            yield 2 * i + 1


@case((4,), (0,))
def iterators_of_classes(n):
    s = 0
    it = Countdown(n)
    for v in it:
        s = s * 3 + v
        if v == 3:
            break
    items = [1]
    items.extend(Countdown(n))
    return s, it.n, list(it), sum(Countdown(n)), [v * 2 for v in Countdown(n)], items, list(enumerate(Countdown(n)))


@case((4,), (0,))
def sequences_of_classes(n):
    s = 0
    for i, v in enumerate(Squares(n)):
        s += i * v
    return s, list(Squares(n)), max(Squares(n + 1))


@case((4,), (0,))
def classes_that_yield(n):
    s = 0
    for v in Odd(n):
        if v == 3:
            continue
        s += v
    items = [0]
    items.extend(Odd(n))
    return s, list(Odd(n)), sorted(Odd(n), reverse=True), sum(Odd(n)), items


@case(([1, 2], [3, 4]))
def next_of_what_builtins_make(a, b):
    z = zip(a, b)
    first = next(z)
    return first, next(enumerate(a)), next(reversed(b)), next(map(abs, a), 3), next(iter([]), 5)


@case(([1, 1, 2, 2, 2, 3, 1],), ([],), ([5],))
def runs(items: list[int]) -> Any:
    lengths = [(k, sum(1 for _ in g)) for k, g in itertools.groupby(items)]
    halves = {k: sum(g) for k, g in itertools.groupby(sorted(items), key=lambda v: v // 2)}
    return lengths, halves


@case((np.array([0.5, 0.5, -1.0]),))
def runs_of_an_array(x: Any) -> Any:
    longest = 0
    for _, group in itertools.groupby(x > 0):
        longest = max(longest, len(list(group)))
    return longest


@case((4,), (1,), (0,))
def columns_of_rows(n: int) -> Any:
    rows = [(i, i * 2.0) for i in range(n)]
    whole, halves = zip(*rows)
    rows.append((7, 7.0))
    return list(whole), sum(halves), max(whole), whole[0], len(halves), [a * b for a, b in zip(whole, halves)]


@case((3,), (-5,), (2**62,))
def hashes(n: int) -> Any:
    return (
        hash(n),
        hash(n * 1.5),
        hash((n, 2.5)),
        hash((n,)),
        hash(()),
        hash(n > 0),
        hash(float(n)),
        hash(-1),
        hash((0, (n, 1))),
    )


@case(({"a": 1, "b": 2}, 3))
def views_of_dicts(d, n):
    items, keys, values_of = iter(d.items()), iter(d.keys()), iter(d.values())
    k, v = next(items)
    return k, v + n, next(keys), next(values_of), next(iter(d)), list(items)


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


@functools.cache
def fibonacci(k: int) -> int:
    return k if k < 2 else fibonacci(k - 1) + fibonacci(k - 2)


def test_a_cached_function_that_calls_itself_is_refused() -> None:
    with pytest.raises(ScriptError, match="remembers results"):
        script(lambda n: fibonacci(n))(5)


def test_a_function_that_remembers_by_types_is_refused() -> None:
    def f(n):
        @functools.lru_cache(typed=True)
        def double(k):
            return k * 2

        return double(1), double(n)

    with pytest.raises(ScriptError, match="not by their types"):
        script(f)(1.0)


ROWS = np.arange(6.0).reshape(2, 3)


def elements(x):
    return [float(v) for v in np.nditer(x)] + [float(v) for v in np.nditer(x[..., ::2])]


def elements_by_rows(x):
    return [(float(v), float(w)) for v, w in np.nditer([x, x[:, :1]], order="C")]


def elements_written(x, least):
    for v in np.nditer(x, op_flags=["readwrite"]):
        if v < least:
            v[...] = least
        else:
            v *= 2
    with np.nditer(x[..., ::2], op_flags=[["writeonly"]], order="C") as places:
        for i, v in enumerate(places):
            v[()] += i
    for v in np.nditer(x, op_flags=["readonly"]):
        print(v)


@pytest.mark.parametrize("x", [ROWS, ROWS[:1], ROWS[:0], ROWS[0], np.array(3.0), np.broadcast_to(ROWS[0], (1, 3))])
def test_nditer_writes(x: Any) -> None:
    run(elements_written, ((x, 9.0), (x.copy(), 1.0)))


@pytest.mark.parametrize("x", [ROWS, ROWS[:1], ROWS[:0], ROWS[0]])
def test_nditer_in_the_order_of_memory(x: Any) -> None:
    run(elements, ((x,), (x.copy(),)))


@pytest.mark.parametrize("x", [ROWS.T, np.asfortranarray(ROWS), ROWS[::-1]])
def test_nditer_of_other_orders_is_refused_unless_it_is_told_one(x: Any) -> None:
    with pytest.raises((ScriptError, RuntimeError), match="order='C'"):
        script(elements)(x)
    with pytest.raises(RuntimeError, match="order='C'"):
        script(lambda x: elements(x.T))(ROWS)
    with pytest.raises(RuntimeError, match="order='C'"):
        script(lambda x: elements(x[::-1]))(ROWS[:, :1].copy())
    run(elements_by_rows, ((x,),))
