"""Generators that are asked for one item after another: `next`, `send`, `yield from`, several in one `zip`."""

from itertools import islice, takewhile

import numpy as np
import pytest

from tests.programs.cases import Cases, run
from tracejit import ScriptError, script

case = Cases()


def primes():
    yield 2
    found = [2]
    n = 3
    while True:
        if all(n % p for p in found if p * p <= n):
            found.append(n)
            yield n
        n += 2


@case((1,), (5,))
def nth_prime(k):
    g = primes()
    p = 0
    for _ in range(k):
        p = next(g)
    return p


@case((1,), (20,))
def while_next(n):
    g = primes()
    total = 0
    while (p := next(g)) < n:
        total += p
    return total


def fib():
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b


@case((3,))
def zip_two_endless(n):
    out = []
    for a, b, c in zip(fib(), primes(), range(n)):
        out.append(a * b + c)
    return out


@case(([1, 2, 3],), ([],))
def next_default(xs):
    def gen():
        for x in xs:
            yield x * x

    g = gen()
    a = next(g, -1)
    b = next(g, -1)
    rest = list(g)
    return a, b, rest


def averager():
    total, n = 0.0, 0
    avg = 0.0
    while True:
        x = yield avg
        total += x
        n += 1
        avg = total / n


@case(([1.0, 2.0, 6.0],), ([],))
def send_avg(xs):
    g = averager()
    next(g)
    return [g.send(x) for x in xs]


def countdown(n):
    while n > 0:
        got = yield n
        n -= 1
    return "done"


def two(n):
    r = yield from countdown(n)
    yield len(r)


@case((3,), (0,))
def yield_from_value(n):
    return list(two(n))


@case((3,), (0,))
def stop_iter(n):
    g = countdown(n)
    out = []
    while True:
        try:
            out.append(next(g))
        except StopIteration:
            break
    return out


class Countdown:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        n = self.n
        while n:
            yield n
            n -= 1


@case((4,), (0,))
def iter_class(n):
    c = Countdown(n)
    return list(c), sum(c), [a + b for a, b in zip(c, c)], max(c, default=0)


class Fib:
    def __init__(self):
        self.a, self.b = 0, 1

    def __iter__(self):
        return self

    def __next__(self):
        r = self.a
        if r > 50:
            raise StopIteration
        self.a, self.b = self.b, self.a + self.b
        return r


@case(())
def iter_proto():
    f = Fib()
    x = next(f)
    y = next(f)
    return x, y, list(f), next(f, None)


def bounded(n):
    for i in range(n):
        if i == 3:
            return
        yield i * i
    else:
        yield -1


@case((0,), (2,), (5,))
def two_at_a_time(n):
    g = bounded(n)
    out = []
    for a in g:
        b = next(g, None)
        out.append((a, -7 if b is None else b))
    return out


@case((0,), (1,), (3,))
def raises_stop(n):
    g = bounded(n)
    next(g)
    return next(g) + next(g)


def walker(xs):
    pos = 0
    for x, y in zip(xs, xs[1:]):
        pos += y - x
        yield pos
        if pos > 5:
            break
    yield from (100, 200)
    for c in "ab":
        yield ord(c)
    return pos


@case(([1, 3, 2, 9, 1],), ([],), ([1],))
def walk2(xs):
    g = walker(xs)
    a = next(g, -1)
    b = next(g, -1)
    rest = [v for v in g]
    return a, b, rest, next(g, -5)


def bank():
    balance = 0
    while True:
        cmd = yield balance
        if cmd is None:
            break
        balance += cmd
    yield -1


@case(([5, -2, 7],), ([],))
def bank_use(cmds):
    b = bank()
    b.send(None)
    seen = []
    for c in cmds:
        seen.append(b.send(c))
    last = next(b)
    done = 0
    try:
        next(b)
    except StopIteration:
        done = 1
    return seen, last, done


@case((3,))
def send_too_early(n):
    b = bank()
    return b.send(n)


def echo(n):
    got = []
    for i in range(n):
        x = yield i
        if x is not None:
            got.append(x)
    return got


def outer(n):
    r = yield from echo(n)
    yield sum(r) + 1000


@case((0,), (2,), (3,))
def delegated(n):
    g = outer(n)
    out = [next(g)]
    try:
        k = 10
        while True:
            out.append(g.send(k))
            k += 1
    except StopIteration:
        pass
    return out


class Tree:
    def __init__(self, xs):
        self.xs = xs

    def __iter__(self):
        for x in self.xs:
            if x < 0:
                continue
            yield x

    def pairs(self):
        it = iter(self)
        prev = next(it, None)
        if prev is None:
            return
        while True:
            cur = next(it, None)
            if cur is None:
                return
            yield prev, cur
            prev = cur


@case(([1, -2, 3, 4],), ([],), ([5],))
def method_generators(xs):
    t = Tree(xs)
    return list(t.pairs()), list(zip(t, t)), [a - b for a, b in zip(t, t.xs)]


def merge(a, b):
    x, y = next(a, None), next(b, None)
    while x is not None or y is not None:
        if y is None or (x is not None and x <= y):
            yield x
            x = next(a, None)
        else:
            yield y
            y = next(b, None)


@case(([1, 4, 6], [2, 3, 9, 10]), ([], [1]), ([], []))
def merge_sorted(a, b):
    return list(merge(iter(a), iter(b)))


@case((5,), (0,))
def closure_gen(n):
    total = 0

    def squares():
        nonlocal total
        i = 0
        while i < n:
            total += i
            yield i * i
            i += 1

    g = squares()
    a = next(g, -1)
    b = next(g, -1)
    return a, b, total, list(g), total


def take(g, k):
    out = []
    for _ in range(k):
        out.append(next(g))
    return out


def naturals(start=0):
    n = start
    while True:
        yield n
        n += 1


@case((3,), (0,))
def shared_between_functions(k):
    g = naturals()
    a = take(g, k)
    b = take(g, 2)
    h = naturals(start=10)
    return a, b, next(g), next(h), next(h)


class Ids:
    def __init__(self):
        self.gen = naturals(1)

    def new(self):
        return next(self.gen)


@case((3,), (0,))
def in_attribute(k):
    ids = Ids()
    out = [ids.new() for _ in range(k)]
    return out, ids.new()


@case((4,), (0,))
def gen_zip_enum(n):
    return [(i, a, b) for i, (a, b) in enumerate(zip(naturals(), bounded(n)))], dict(zip("abc", naturals(5)))


@case((4,), (1,))
def sieve_like(n):
    g = naturals(2)
    first = next(g)
    rest = list(islice(g, n))
    more = list(takewhile(lambda v: v < 12, g))
    return first, rest, more, next(g)


def flaky(n):
    for i in range(n):
        yield 10 // (2 - i)


@case((1,), (2,), (4,))
def error_in_generator(n):
    g = flaky(n)
    out = []
    while True:
        try:
            out.append(next(g))
        except ZeroDivisionError:
            out.append(-1)
        except StopIteration:
            break
    return out


def stops(it):
    while True:
        yield next(it)


@case((2,))
def pep479(n):
    g = stops(iter(range(n)))
    return next(g), next(g), next(g)


def texts(words):
    for w in words:
        yield w.upper()
        yield w[:1]


@case((["ab", "cd"],), ([],))
def text_gen(words):
    g = texts(words)
    a = next(g, "none")
    return a, next(g, "none"), ",".join(g)


def arr(x):
    for row in x:
        yield row * 2


@case((np.arange(6.0).reshape(3, 2),))
def array_gen(x):
    g = arr(x)
    a = next(g)
    b = next(g)
    return a + b


@case((3,), (0,))
def closed(n):
    g = naturals()
    a = next(g)
    g.close()
    return a, next(g, -1)


def lines(text):
    for line in text.split("\n"):
        if line.strip():
            yield line


@case("a=1\nb=2\n\nc=3", "")
def header_then_rest(text):
    g = lines(text)
    head = next(g, "")
    return head, [tuple(l.split("=")) for l in g]


def returns_gen(n):
    g = naturals(n)
    next(g)
    return g


@case((3,))
def from_helper(n):
    g = returns_gen(n)
    return next(g), next(g)


@case((4,), (0,))
def beside_texts(n):
    g = naturals(5)
    first = next(g)
    return list(zip("abc", g)), next(g), first, dict(zip("ab", naturals(n)))


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_generators_step_by_step(fn, calls):
    run(fn, calls)


@pytest.mark.compiled
def test_a_generator_is_not_returned():
    def given_back(n):
        g = naturals(n)
        next(g)
        next(g)
        return g

    with pytest.raises(ScriptError, match="a generator that waits"):
        script(given_back)(3)


@pytest.mark.compiled
def test_a_list_that_a_generator_knows_twice_is_refused():
    def items_of(rows):
        for row in rows:
            for v in row:
                yield v

    def in_parts(rows):
        made = items_of(rows)
        return next(made), next(made), list(made)

    with pytest.raises(ScriptError, match="two names stand for one list"):
        script(in_parts)([[1, 2], [], [3]])
