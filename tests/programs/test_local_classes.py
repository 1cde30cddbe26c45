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


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_local_classes(fn, calls):
    run(fn, calls)


DEFAULTS = [1]


def reads_a_name(n):
    class P:
        def get(self):
            return n

    return P().get()


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
        (shares_a_list, "all its instances would change"),
        (reads_a_list, "reads 'DEFAULTS'"),
        (does_more, "does more than to define"),
    ],
)
def test_what_is_done_while_compiling_is_refused(fn, why):
    with pytest.raises(ScriptError, match=why):
        script(fn)(3)
