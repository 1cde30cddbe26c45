"""Programs whose nested functions rebind names of the functions around them, and recursion that changes objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.programs.cases import Cases, Program, run
from tests.programs.compare import check
from tracejit import ScriptError, grad, script

case = Cases()


@case((4,), (0,))
def early(n):
    found = None

    def look(i):
        nonlocal found
        if i * i > 5 and found is None:
            found = i

    for i in range(n):
        look(i)
    if found is None:
        return -1
    return found


@case((4,))
def unbound2(n):

    def put(i):
        nonlocal v
        v = i

    put(n)
    r = v
    if n > 100:
        v = 3
    return (r, v)


@case((4,))
def arrays(n):
    x = np.zeros(n)

    def step(k):
        nonlocal x
        x = x + k

    for i in range(n):
        step(i)
    return x


@case((4,))
def comp_shadow(n):
    t = 0

    def add(v):
        nonlocal t
        t += v
        return t

    l = [add(i) for i in range(n)]
    m = [t * i for t in range(3) for i in range(2)]
    g = (lambda t: t + 1,)
    return (l, m, g[0](5), t)


@case((4,))
def param(n):

    def dec():
        nonlocal n
        n -= 1
        return n > 0

    k = 0
    while dec():
        k += 1
    return (k, n)


@case((4,))
def two_levels(n):
    a = 1

    def f():
        b = 2

        def g():
            nonlocal a, b
            a += b
            b *= 2

        for i in range(n):
            g()
        return b

    r = f()
    return (a, r)


@case((4,))
def walr(n):
    t = 0

    def f():
        nonlocal t
        while (t := (t + 1)) < n:
            pass

    f()
    return t


@case((5,))
def rec_list(n):
    best = []
    cur = 0
    best_v = -1.0

    def go(i, v):
        nonlocal best_v, cur
        cur += 1
        if i == n:
            if v > best_v:
                best_v = v
            return
        go(i + 1, v + i)
        go(i + 1, v * 1.5)

    go(0, 0.0)
    return (best_v, cur)


@case((5,))
def rec_obj(n):
    class_ = {"count": 0, "sum": 0.0}

    def go(i):
        class_["count"] += 1
        class_["sum"] += i * 0.5
        if i > 0:
            go(i - 1)
            if i % 2:
                go(i - 2) if i > 1 else None

    go(n)
    return class_


class C:
    def __init__(self):
        self.k = 0
        self.log = []

    def visit(self, i):
        self.k += 1
        self.log.append(i)
        if i > 0:
            self.visit(i - 1)
            self.visit(i - 1)
        return self


@case((3,))
def rec_method(n):
    c = C()
    r = c.visit(n)
    r.k += 100
    return (c.k, c.log, r is c)


@case((3,))
def for_target(n):
    i = 0

    def see():
        nonlocal i
        i += 10

    tot = 0
    for i in range(n):
        see()
        tot += i
    return (tot, i)


@case((6,))
def counted_calls(n):
    calls = 0

    def fib(k):
        nonlocal calls
        calls += 1
        return k if k < 2 else fib(k - 1) + fib(k - 2)

    r = fib(n)
    return (r, calls)


@case((5,))
def counters(n):

    def make():
        c = 0

        def step():
            nonlocal c
            c += 1
            return c

        return step

    s, t = (make(), make())
    s()
    for _ in range(n):
        s()
    t()
    return (s(), t())


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


def test_reading_a_name_too_early_is_an_unbound_local_error() -> None:
    def f(n: int) -> int:
        def put() -> None:
            nonlocal v
            v = n

        first = v
        v = 1
        put()
        return first

    check(f, 3)


def test_names_of_functions_around_the_script_are_refused() -> None:
    total = 0

    def f(n: int) -> int:
        nonlocal total
        total += n
        return total

    with pytest.raises(ScriptError, match="enclosing function"):
        script(f)


def test_a_name_that_is_rebound_has_gradients() -> None:
    def f(x: float, n: int) -> float:
        total = 0.0

        def add(v: float) -> None:
            nonlocal total
            total = total * x + v

        for i in range(n):
            add(x * i)
        return total

    x, n, h = 1.25, 4, 1e-6
    numeric = (f(x + h, n) - f(x - h, n)) / (2 * h)
    assert abs(grad(f)(x, n) - numeric) < 1e-6 * abs(numeric)
