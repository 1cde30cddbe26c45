"""Classes that scripts define: plain ones, dataclasses, NamedTuples, Enums and exceptions."""

from collections import namedtuple
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import pytest

from tests.programs.cases import Cases, run
from tracejit import ScriptError, script

case = Cases()


@case((3,), (0,))
def local_class(n):
    class P:
        """Doc."""

        kind = "p"

        def __init__(self, x, y=2):
            self.x, self.y = x, y

        def get(self):
            return self.x * self.y

        @property
        def double(self):
            return self.get() * 2

        @staticmethod
        def make(k):
            return k + 1

        def __add__(self, o):
            return type(self)(self.x + o.x)

        def __repr__(self):
            return f"P({self.x})"

    class Q(P):
        def get(self):
            return super().get() + 100

    p, q = P(n), Q(n, y=3)
    return p.get(), q.get(), q.double, P.make(n), repr(p + q), isinstance(q, P), P.kind, [o.get() for o in (p, q)]


@case((3,), (0,))
def local_named(n):
    P = namedtuple("P", "x y")
    p = P(n, y=2)
    q = p._replace(x=9)
    return p.x + p.y, sum(q), p < q, P._fields


@case((3,))
def local_named2(n):
    class P(NamedTuple):
        x: int
        y: float = 1.5

        def norm(self):
            return self.x + self.y

    p = P(n)
    return p.norm(), p.x


@case((3,))
def local_dataclass(n):
    @dataclass
    class D:
        x: int
        y: int = 2
        tags: list = field(default_factory=list)

        def area(self):
            return self.x * self.y

    @dataclass(frozen=True, order=True)
    class E:
        a: int

    d = D(n)
    d.tags.append(n)
    return d.area(), d.tags, E(1) < E(n), max([E(1), E(n)]).a


@case((2,), (1,))
def local_enum(n):
    class C(Enum):
        RED = 1
        BLUE = 2

    return C(n).name, C.RED.value, [c.name for c in C]


@case((3,), (0,))
def local_in_list(n):
    class Node:
        def __init__(self, v, nxt=None):
            self.v, self.nxt = v, nxt

    head = None
    for i in range(n):
        head = Node(i, head)
    out = []
    while head:
        out.append(head.v)
        head = head.nxt
    return out


@case((3,))
def local_exc(n):
    class Bad(ValueError):
        pass

    try:
        if n > 2:
            raise Bad("x")
    except Bad as e:
        return "bad " + str(e)
    return "ok"


@case((3,), (0,))
def local_named3(n):
    P = namedtuple("P", ["x", "y"], defaults=[7])
    Q = namedtuple("Q", ("a", "b"))
    p = P(n)
    return p.x + p.y, Q(a=1, b=n).b, [q.a for q in [Q(i, i) for i in range(n)]]


@case((3,), (2,))
def local_in_loop(n):
    t = 0
    for i in range(n):

        class A:
            def f(self):
                return 2

        t += A().f() * i
    return t


@case((3,))
def local_iter(n):
    class R:
        def __init__(self, n):
            self.n = n

        def __iter__(self):
            for i in range(self.n):
                yield i

        def __len__(self):
            return self.n

        def __getitem__(self, i):
            return i * 10

        def __contains__(self, x):
            return 0 <= x < self.n

    r = R(n)
    return list(r), len(r), r[2], 1 in r, [x + y for x, y in zip(r, r)]


@case((1.0, 2.0), (0.0, -1.0))
def own_name(a, b):
    class Vec:
        def __init__(self, x, y):
            self.x, self.y = x, y

        def __add__(self, o):
            return Vec(self.x + o.x, self.y + o.y)

        def __mul__(self, k):
            return Vec(self.x * k, self.y * k)

        @classmethod
        def unit(cls):
            return cls(1.0, 0.0)

        @staticmethod
        def zero():
            return Vec(0.0, 0.0)

        def __eq__(self, o):
            return isinstance(o, Vec) and self.x == o.x

    v = Vec(a, b) + Vec.unit() * 3 + Vec.zero()
    return v.x, v.y, v == Vec(a + 3, 0)


@case((3,), (0,))
def two_classes(n):
    class Node:
        def __init__(self, v, nxt):
            self.v, self.nxt = v, nxt

    class Stack:
        def __init__(self):
            self.top, self.n = None, 0

        def push(self, v):
            self.top = Node(v, self.top)
            self.n += 1

        def pop(self):
            v = self.top.v
            self.top = self.top.nxt
            self.n -= 1
            return v

    s = Stack()
    for i in range(n):
        s.push(i * i)
    out = []
    while s.n:
        out.append(s.pop())
    return out


@case((3,))
def derived(n):
    class Base:
        def who(self):
            return "base"

        def hello(self):
            return "hello " + self.who()

    class Derived(Base):
        def who(self):
            return "derived/" + Base.who(self)

    return Derived().hello(), isinstance(Derived(), Base)


@case((4,), (1,))
def tree_local(n):
    class Tree:
        def __init__(self, k):
            self.k = k
            self.l = self.r = None

        def add(self, k):
            if k < self.k:
                if self.l is None:
                    self.l = Tree(k)
                else:
                    self.l.add(k)
            elif self.r is None:
                self.r = Tree(k)
            else:
                self.r.add(k)

        def size(self):
            return 1 + (self.l.size() if self.l else 0) + (self.r.size() if self.r else 0)

    t = Tree(5)
    for i in range(n):
        t.add((i * 7) % 11)
    return t.size()


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_local_classes(fn, calls):
    run(fn, calls)


DEFAULTS = [1]


def reads_a_name(n):
    class P:
        def get(self):
            return n

    return P().get()


def bound_twice(n):
    class P:
        def made(self):
            return P()

    p = P()

    class P:  # noqa: F811
        pass

    return p.made()


def shares_a_list(n):
    class P:
        items = []

        def add(self, x):
            self.items.append(x)
            return len(self.items)

    return P().add(n)


def reads_a_list(n):
    class P:
        first = DEFAULTS[0]

    return P().first + n


def does_more(n):
    class P:
        print("made")

    return n


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("fn", "why"),
    [
        (reads_a_name, "reads names of the function"),
        (bound_twice, "reads names of the function"),
        (shares_a_list, "all its instances would change"),
        (reads_a_list, "reads 'DEFAULTS'"),
        (does_more, "does more than to define"),
    ],
)
def test_what_is_done_while_compiling_is_refused(fn, why):
    with pytest.raises(ScriptError, match=why):
        script(fn)(3)
