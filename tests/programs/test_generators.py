"""Loops over generator functions, and what else takes their items, against plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.programs.cases import Cases, Program, run
from tests.programs.compare import check
from tracejit import ScriptError, grad, script

case = Cases()


LIMIT = 3


def primes(n):
    for i in range(2, n):
        for j in range(2, i):
            if i % j == 0:
                break
        else:
            yield i


def forever(start, step=1):
    while True:
        yield start
        start += step


def collatz(n):
    while n != 1:
        yield n
        n = n // 2 if n % 2 == 0 else 3 * n + 1
    yield 1


def early(n):
    for i in range(n):
        if i > LIMIT:
            return
        yield i
        yield (-i)


def chain(n):
    yield from early(n)
    yield 100
    yield from range(n)


def noisy(n):
    for i in range(n):
        print("make", i)
        yield i
    print("end")


@case((7,), (0,))
def sums(n):
    s = 0
    for v in primes(n * 3):
        s += v
    return (
        s,
        list(primes(n * 3)),
        sum(collatz(n + 1)),
        [v * 2 for v in early(n)],
        max(chain(n + 1)),
        sorted(early(n)),
        set(early(n)),
    )


@case((7,), (30,))
def leaves(n):
    k = 0
    for v in forever(3, 2):
        if v % 5 == 0:
            continue
        k += v
        if v > n:
            break
    else:
        k = -1
    for v in forever(n):
        if v % 7 == 0:
            return (k, v)
    return (k, -1)


@case((5,))
def interleaved(n):
    s = 0
    for v in noisy(n):
        print("use", v)
        if v == 3:
            break
        s += v
    for v in noisy(2):
        print("again", v)
    return s


@case((6,))
def for_else(n):
    for v in early(n):
        if v == 77:
            break
    else:
        return "none"
    return "some"


@case((4,))
def nested(n):
    t = 0
    for a in early(n):
        for b in primes(8):
            t += a * b
            if b > a + 4:
                break
    for i, p in enumerate(primes(20)):
        if i == n:
            break
        t += i * p
    for i, p in enumerate(early(3), 10):
        t = t * 2 + i - p
    return t


@case((np.array([3.0, 1.0, 2.0]),))
def inner(v):

    def running(x, scale=2.0):
        total = 0.0
        for i in range(len(x)):
            total += x[i] * scale
            yield (i, total)
        x[0] = -1

    out = np.zeros(3)
    for i, t in running(v):
        out[i] = t
    best = 0.0
    for i, t in running(v, scale=0.5):
        if t > best:
            best = t
    return (out, best, v)


@case((5,))
def rebinding(n):
    a, b = (0, 1)
    seq = []

    def fib(limit):
        x, y = (0, 1)
        while x < limit:
            yield x
            x, y = (y, x + y)

    for a in fib(n * 10):
        b = b + a
        if a % 2:
            continue
        seq.append((a, b))
    return (a, b, seq)


@case((3,))
def errors(n):

    def g(k):
        for i in range(k):
            yield (10 // (i - 2))

    s = 0
    out = np.zeros(1)
    for v in g(n + 1):
        out[0] += v
    return out


@case((4,))
def pairs(n):

    def both(k):
        for i in range(k):
            for j in range(i):
                yield (i, j)

    return ([(i, j) for i, j in both(n) if (i + j) % 2], {i * 10 + j: i for i, j in both(n)})


def doubled(items: list[int], key: Any = None) -> Any:
    found = [item * 2 for item in items]
    keys = found if key is None else [key(item) for item in found]
    yield from (k + 1 for k in keys)
    pick = lambda at: keys[at]  # noqa: E731
    yield pick(0)


@case((4,), (0,))
def comprehensions_inside(n: int) -> Any:
    total = 0
    for k in doubled([n, 2, 3]):
        total = total * 10 + k
    return total, list(doubled([1, n], lambda v: v - n))


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


def powers(x: float, n: int) -> Any:
    p = 1.0
    for _ in range(n):
        yield p
        p *= x


def test_items_of_generators_have_gradients() -> None:
    def f(x: float, n: int) -> float:
        total = 0.0
        for i, p in enumerate(powers(x, n)):
            total += p * (i + 1)
        return total

    x, n, h = 1.25, 4, 1e-6
    numeric = (f(x + h, n) - f(x - h, n)) / (2 * h)
    assert abs(grad(f)(x, n) - numeric) < 1e-6 * abs(numeric)


def in_parts(n: int) -> int:
    items = early(n)
    s = 0
    for v in items:
        s += v
        break
    for v in items:
        s += v
    return s


def sent(n: int) -> int:
    def g() -> Any:
        got = yield 1
        yield got

    return sum(g())


def without_end(n: int) -> list[int]:
    return list(forever(n))


def beside(n: int) -> int:
    s = 0
    for a, b in zip(early(n), range(n), strict=True):
        s += a * b
    return s


def test_a_zip_that_wants_one_length() -> None:
    check(beside, 0)
    check(beside, 4)


@pytest.mark.parametrize("fn", [in_parts, sent])
def test_items_are_taken_in_parts(fn: Program) -> None:
    check(fn, 4)


@pytest.mark.parametrize("fn", [without_end])
def test_what_is_not_seen_through_is_refused(fn: Program) -> None:
    with pytest.raises(ScriptError):
        script(fn)(4)


class Branch:
    def __init__(self, value):
        self.value = value
        self.left = None
        self.right = None

    def walk(self):
        if self.left is not None:
            yield from self.left.walk()
        yield self.value
        if self.right is not None:
            yield from self.right.walk()


def put(tree, value):
    if tree is None:
        return Branch(value)
    if value < tree.value:
        tree.left = put(tree.left, value)
    else:
        tree.right = put(tree.right, value)
    return tree


def in_order(tree, depth=0):
    if tree is not None:
        yield from in_order(tree.left, depth + 1)
        yield tree.value, depth
        yield from in_order(tree.right, depth + 1)


def halves(low, high):
    if high - low < 2:
        yield low
        return
    middle = (low + high) // 2
    for v in halves(low, middle):
        yield v
    for v in halves(middle, high):
        yield v + 1


def test_generators_that_call_themselves():
    def program(values):
        tree = None
        for v in values:
            tree = put(tree, v)
        found = []
        for v, depth in in_order(tree):
            found.append(v * 10 + depth)
        total = sum(depth for _, depth in in_order(tree))
        return found, total, list(in_order(tree)), max(tree.walk()), list(halves(0, len(values)))

    check(program, [3, 1, 2, 5])
    check(program, [1])


class Sorted:
    """A tree that is told to take a value, and that loops run over."""

    def __init__(self, value):
        self.value, self.low, self.high = value, None, None

    def insert(self, value):
        if value < self.value:
            if self.low is None:
                self.low = Sorted(value)
            else:
                self.low.insert(value)
        elif self.high is None:
            self.high = Sorted(value)
        else:
            self.high.insert(value)

    def __iter__(self):
        if self.low is not None:
            yield from self.low
        yield self.value
        if self.high is not None:
            yield from self.high


def test_a_tree_that_inserts_by_a_method_and_is_run_over():
    def program(values):
        tree, total = Sorted(values[0]), 0
        for v in values[1:]:
            tree.insert(v)
        for v in tree:
            total = total * 3 + v
        return total, list(tree), [v + 1 for v in tree], sum(tree.high)

    check(program, [3, 1, 2, 5])
    check(program, [1, 0, 0])  # the high part is None
    check(program, [1, 2])


def test_a_generator_that_calls_itself_while_what_it_reads_changes_is_refused():
    def program(values):
        tree = None
        for v in values:
            tree = put(tree, v)
        for v, _ in in_order(tree):
            tree.left = None
        return v

    with pytest.raises(ScriptError, match="which calls itself, is not used up"):
        script(program)([2, 1, 3])
