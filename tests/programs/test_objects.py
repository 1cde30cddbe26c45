"""Programs with dicts, sets, Enums, NamedTuples, dataclasses and plain classes, against plain Python."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections import namedtuple
from dataclasses import dataclass, field
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np
import pytest

import tracejit as tj
from tests.programs.cases import Cases, Program, T, run
from tracejit import Tensor

case = Cases()


@case((3,), (0,))
def dct1(n):
    d = {"a": n, "b": 2}
    d["c"] = 5
    d["a"] += 1
    d.update({"z": 1})
    d.update(y=2)
    p = d.pop("z")
    q = d.setdefault("k", 9)
    del d["y"]
    s = 0
    for k in d:
        s += d[k]
    for k, v in d.items():
        s += v
    for v in d.values():
        s += v
    return (
        d,
        p,
        q,
        s,
        "a" in d,
        "zz" not in d,
        len(d),
        list(d.keys()),
        d.get("a"),
        d.get("nope"),
        d.get("nope", 4),
        list(d.values()),
    )


@case(({"a": 1, "b": 2}, 3))
def dct_arg(d: Dict[str, int], n):
    d["c"] = n
    d["a"] += 1
    return d["a"] + d["b"]


@case(({"a": T(2), "b": T(2)}, 3))
def dct_arg_t(d: Dict[str, Tensor], n):
    out: Dict[str, Tensor] = {}
    for k, v in d.items():
        out[k + "_new"] = v * n
    return out


@case((3,), (0,))
def dct_branch(n):
    d = {"a": 1}
    if n > 1:
        d["a"] = n
    else:
        d["a"] = -1
    return d


@case((3,), (0,))
def dct_loop(n):
    d = {"s": 0, "p": 1}
    for i in range(1, n + 1):
        d["s"] += i
        d["p"] *= i
    return d


@case((3,), (0,))
def dct_newkey_branch(n):
    d: Dict[str, int] = {}
    if n > 1:
        d["a"] = n
    else:
        d["a"] = 0
    return d


@case((3,), (0,))
def dct_comp(n):
    d = {k: n * i for i, k in enumerate(["a", "b"])}
    e = {v: k for k, v in {"x": 1, "y": 2}.items()}
    s = {x % 2 for x in [1, 2, 3]}
    return d, e, len(s)


@case((3,), (0,))
def dct_intkeys(n):
    d = {1: n, 2: 5}
    d[3] = 6
    return d, d[1], 2 in d, sorted(d), list(d.items())


@case((3,), (0,))
def dct_misc(n):
    d = dict(a=1, b=n)
    e = dict([("x", n), ("y", 2)])
    f = {**d, "c": 3}
    g = d.copy()
    g["a"] = 100
    d.clear()
    return d, e, f, g, bool(d), d == {}, e == {"x": n, "y": 2}, dict(zip(["p", "q"], [n, n]))


@case((3,), (0,))
def dct_popitem(n):
    d = {"a": 1, "b": n}
    k, v = d.popitem()
    return k, v, d


@case((3,), (0,))
def dct_keyerr(n):
    d = {"a": 1}
    return d["b"]


@case((3,), (0,))
def dct_kwargs(n):
    def f(a, b=2, **kw):
        return a + b + sum(kw.values())

    opts = {"b": n, "c": 5}
    return f(1, **opts), f(*[1, 2], c=3)


@case((3,), (0,))
def dct_of_list(n):
    d: Dict[str, List[int]] = {"a": [], "b": []}
    for i in range(n):
        if i % 2 == 0:
            d["a"].append(i)
        else:
            d["b"].append(i)
    return d


@case((3,), (0,))
def dct_or(n):
    a = {"x": 1}
    b = {"y": n}
    c = a | b
    a |= b
    return c, a


@case((3,), (0,))
def dct_nested(n):
    d = {"a": {"b": n, "c": (1, 2)}, "t": [1]}
    d["a"]["b"] += 2
    return d["a"]["b"] + d["a"]["c"][1], d


@case((3,), (0,))
def dct_tuple_keys(n):
    d = {(0, 1): n, (1, 0): 2}
    return d[(0, 1)] + d[1, 0]


@case((3,), (0,))
def set1(n):
    s = {1, 2, 3}
    return n in s, n not in {4, 5}, len(s), 2 in s


@case((3,), (1,))
def set3(n):
    s = {n, 1}
    return 3 in s


@case((3,), (1,))
def set_rt_len(n):
    s = {n, 1}
    return len(s)


class Color(enum.Enum):
    RED = 1
    GREEN = 2


class Prio(enum.IntEnum):
    LO = 1
    HI = 5


@case((T(2), Color.RED), (T(2), Color.GREEN))
def enum_arg(x, c: Color):
    if c == Color.RED:
        return x + 1
    elif c is Color.GREEN:
        return x * 2
    return x


@case((3,), (1,))
def enum_attrs(n):
    c = Color.GREEN
    s = 0
    for m in Color:
        s += m.value * n
    return (
        c.value + s,
        c.name,
        c,
        Color(1),
        Color["RED"],
        [m.name for m in Color],
        len(Color),
        Color.RED in [Color.RED],
        isinstance(c, Color),
        c != Color.RED,
    )


@case((3,), (1,))
def enum_int(n):
    return n + Prio.HI, n < Prio.HI, Prio.HI > Prio.LO


@case((3,), (1,))
def enum_branch(n):
    if n > 2:
        c = Color.RED
    else:
        c = Color.GREEN
    if c == Color.RED:
        return 1
    return 2


@case((3,), (1,))
def enum_ret_branch(n):
    return Color.RED if n > 2 else Color.GREEN


@case((3,), (1,))
def enum_dict(n):
    d = {Color.RED: n, Color.GREEN: 2}
    return d[Color.RED], d


class Point(NamedTuple):
    x: float
    y: float = 1.0

    def norm(self):
        return math.sqrt(self.x**2 + self.y**2)

    @property
    def total(self):
        return self.x + self.y


P2 = namedtuple("P2", ["a", "b"], defaults=[4])


@case((3.0,))
def nt1(v):
    p = Point(v)
    q = Point(y=v, x=2.0)
    a, b = q
    r = P2(1)
    return (
        p,
        q.x + p.y,
        a,
        b,
        p.norm(),
        p.total,
        r.b,
        p[0],
        len(p),
        p._replace(x=5.0),
        r._asdict(),
        isinstance(p, Point),
        isinstance(p, tuple),
        p == Point(v, 1.0),
        p._fields,
    )


@case((Point(1.0, 2.0), 2))
def nt_arg(p: Point, n):
    return Point(p.x * n, p.y), p.norm()


@case((3.0,), (1.0,))
def nt_branch(v):
    if v > 2:
        p = Point(v, 0.0)
    else:
        p = Point(0.0, v)
    return p


@case((3,), (0,))
def nt_loop(n):
    p = Point(0.0, 1.0)
    for i in range(n):
        p = Point(p.x + p.y, p.y * 2.0)
    return p


@case((3,), (0,))
def nt_list(n):
    ps: List[Point] = []
    for i in range(n):
        ps.append(Point(i * 1.0, 2.0))
    s = 0.0
    for p in ps:
        s += p.x * p.y
    return ps, s


@dataclass
class DC:
    x: int
    y: float = 2.0
    z: List[int] = field(default_factory=list)

    def double(self):
        self.x *= 2
        return self

    def add(self, k: int = 1):
        return self.x + k

    @property
    def sum(self):
        return self.x + self.y

    @staticmethod
    def make(v):
        return DC(v, 1.0)

    @classmethod
    def build(cls, v):
        return cls(v)


@dataclass(frozen=True)
class FDC:
    a: int
    b: int = 5


@dataclass
class PDC:
    a: int
    b: int = 0

    def __post_init__(self):
        self.b = self.a * 2


@dataclass(order=True)
class ODC:
    a: int
    b: int


@case((3,), (0,))
def dc1(n):
    d = DC(n)
    d.double()
    d.x += 1
    d.z.append(4)
    e = DC.make(n)
    f = DC.build(n)
    return d, d.add(), d.sum, e, f, d == DC(2 * n + 1, 2.0, [4]), dataclasses.replace(d, x=1)


@case((3,), (0,))
def dc2(n):
    return FDC(n), FDC(a=1, b=n).b, PDC(n), FDC(1, 2) == FDC(1, 2), ODC(1, n) < ODC(1, 2)


@case((DC(3), 4))
def dc_arg(d: DC, n):
    d.x = n
    d.z.append(n)
    d.double()
    return d.x


@case((3,), (0,))
def dc_branch(n):
    d = DC(n)
    if n > 2:
        d.x = 100
    else:
        d.y = -1.0
    return d


@case((3,), (0,))
def dc_loop(n):
    d = DC(0)
    for i in range(n):
        d.x += i
        d.y = d.y * 1.5
    return d


@case((DC(3), 4), (DC(1), 0))
def dc_arg_loop(d, n):
    e = d
    for i in range(n):
        e.x += i
    return d.x, d is e


@case((DC(3), 4), (DC(1), 0))
def dc_ret(d, n):
    return d


@case((3,), (0,))
def dc_frozen_write(n):
    d = FDC(n)
    d.a = 3
    return d


class Base:
    scale = 3

    def __init__(self, x):
        self.x = x

    def get(self):
        return self.x * self.scale

    def who(self):
        return 1


class Derived(Base):
    def __init__(self, x, y=2):
        super().__init__(x)
        self.y = y

    def get(self):
        return super().get() + self.y

    def set(self, v):
        self.x = v


class Vec:
    def __init__(self, a: float, b: float):
        self.a = a
        self.b = b

    def __add__(self, o):
        return Vec(self.a + o.a, self.b + o.b)

    def __radd__(self, o):
        return Vec(self.a + o, self.b + o)

    def __iadd__(self, o):
        self.a += o.a
        self.b += o.b
        return self

    def __sub__(self, o):
        return Vec(self.a - o.a, self.b - o.b)

    def __mul__(self, k):
        return Vec(self.a * k, self.b * k)

    __rmul__ = __mul__

    def __neg__(self):
        return Vec(-self.a, -self.b)

    def __eq__(self, o):
        return self.a == o.a and self.b == o.b

    def __lt__(self, o):
        return self.a < o.a

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return self.a if i == 0 else self.b

    def __setitem__(self, i, v):
        if i == 0:
            self.a = v
        else:
            self.b = v

    def __contains__(self, v):
        return v == self.a or v == self.b

    def __call__(self, v):
        return self.a * v + self.b

    def __bool__(self):
        return self.a != 0

    def __abs__(self):
        return abs(self.a) + abs(self.b)

    def __iter__(self):
        return iter((self.a, self.b))

    def __float__(self):
        return self.a

    def __int__(self):
        return int(self.a)

    def __matmul__(self, o):
        return self.a * o.a + self.b * o.b

    def __str__(self):
        return f"Vec({self.a}, {self.b})"

    def __repr__(self):
        return f"Vec({self.a}, {self.b})"

    def __hash__(self):
        return 1


@case((3,), (0,))
def cls1(n):
    d = Derived(n)
    d.set(n + 1)
    d.y += 4
    return (
        d.get(),
        d.x,
        isinstance(d, Base),
        d.who(),
        Base(2).get(),
        hasattr(d, "y"),
        hasattr(d, "q"),
        getattr(d, "x"),
        getattr(d, "q", 5),
    )


@case((3.0,), (0.0,))
def cls_ops(v):
    p = Vec(v, 1.0)
    q = Vec(2.0, v)
    r = p + q
    r += p
    s = r * 2.0
    t = 2.0 * r
    s[0] = 8.0
    u = -s - t
    a, b = u
    return (
        r.a,
        s.b,
        t[1],
        p == q,
        p != q,
        p < q,
        len(p),
        1.0 in p,
        p(3.0),
        abs(u),
        a,
        b,
        float(p),
        int(q),
        p @ q,
        bool(p),
        1 if p else 2,
        not p,
    )


@case((3.0,), (0.0,))
def cls_sum(v):
    vs = [Vec(v, 1.0), Vec(1.0, v)]
    t = Vec(0.0, 0.0)
    for x in vs:
        t = t + x
    return t.a, t.b, max(vs, key=lambda q: q.a).b


@case((3,), (0,))
def cls_loop(n):
    p = Vec(0.0, 1.0)
    for i in range(n):
        p.a += p.b
        p = p + Vec(1.0, 1.0)
    return p.a, p.b


@case((3,), (0,))
def cls_branch(n):
    p = Vec(0.0, 1.0)
    q = p
    if n > 2:
        p.a = 5.0
    else:
        p.b = n * 2.0
    return q.a, q.b


@case((3,), (0,))
def cls_branch_obj(n):
    if n > 2:
        p = Vec(0.0, 1.0)
    else:
        p = Vec(1.0, n * 1.0)
    p.a += 1
    return p.a, p.b


class Counter:
    total: int = 0

    def __init__(self):
        self.n = 0
        self.hist = []

    def inc(self, k=1):
        self.n += k
        self.hist.append(k)
        return self.n

    @property
    def twice(self):
        return self.n * 2

    @twice.setter
    def twice(self, v):
        self.n = v // 2


@case((3,), (0,))
def cls_counter(n):
    c = Counter()
    for i in range(n):
        c.inc(i)
    c.twice = 10
    return c.n, c.hist, c.twice


class Node:
    def __init__(self, v, nxt: Optional["Node"] = None):
        self.v = v
        self.nxt = nxt


@case((3,), (0,))
def cls_linked(n):
    a = Node(n)
    b = Node(2, a)
    a.v += 1
    return b.nxt.v, a.nxt is None, b.nxt is a


class Holder:
    def __init__(self):
        self.w = np.ones(3)
        self.k = 2

    @staticmethod
    def s(x):
        return x + 1

    @classmethod
    def c(cls, x):
        return cls.s(x) * 2


@case((3,), (0,))
def cls_methods(n):
    return Holder.s(n), Holder.c(n), Holder().s(n), Holder().k, Holder().w.sum()


class Slots:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a
        self.b = a + 1


@case((3,), (0,))
def cls_slots(n):
    s = Slots(n)
    s.a += 1
    return s.a + s.b


H = Holder()


@case((3,), (5,))
def cls_global(n):
    return H.w.sum() * H.k + n


class Ret:
    def __init__(self, a):
        self.a = a

    def __eq__(self, o):
        return self.a == o.a


@case((3,), (5,))
def cls_ret(n):
    return Ret(n)


@case((Ret(3), 4), (Ret(5), 1))
def cls_arg(r, n):
    r.a += n
    return r.a


@case((Ret(3), 4), (Ret(5), 1))
def cls_arg_branch(r, n):
    if n > 2:
        r.a = n
    return r.a * 2


@case((Ret(3), 4), (Ret(5), 0))
def cls_arg_loop(r, n):
    for i in range(n):
        r.a += i
    return r.a * 2


@case((Ret(3), 4), (Ret(5), 0))
def setattr_(r, n):
    setattr(r, "a", n)
    setattr(r, "b", n + 1)
    return getattr(r, "a") + r.b


class MyErr(Exception):
    pass


class CodeErr(Exception):
    def __init__(self, code, msg="m"):
        super().__init__(msg)
        self.code = code


@case((3,), (5,))
def exc1(n):
    if n > 4:
        raise MyErr("a", n)
    return n


@case((3,), (5,))
def exc2(n):
    if n > 4:
        raise CodeErr(n, "b")
    return n


@case((3,), (5,))
def exc3(n):
    if n > 4:
        raise CodeErr(7)
    elif n == 3:
        raise ValueError
    return n


@case((3,), (5,))
def exc4(n):
    if n > 4:
        e = ValueError(f"bad {n:3d} {n!r}")
        raise e
    raise ValueError("x %d y" % n) from None


@case((3,), (5,))
def exc5(n):
    raise ValueError("x {} y {:>5.2f}".format(n, n / 2))


@case((3,), (5,))
def assert1(n):
    assert n < 4, f"n is {n}"
    assert n, ("tuple", n)
    return n


@case((3,), (5,))
def notimpl(n):
    if n > 3:
        raise NotImplementedError
    raise StopIteration("z")


class Ranked:
    def __init__(self, rank):
        self.rank = rank

    def __lt__(self, other):
        return self.rank < other.rank


@case(([Ranked(2), Ranked(1), Ranked(3)], 2), ([], 2))
def objects_in_order(items, n):
    own = [Ranked(n), Ranked(3), Ranked(1)]
    ranks = [r.rank for r in sorted(items)], [r.rank for r in sorted(own, reverse=True)]
    items.sort(reverse=True)
    own.sort()
    return ranks, [r.rank for r in items], [r.rank for r in own], min(own).rank


class Link:
    def __init__(self, value, behind=None):
        self.value = value
        self.behind = behind


@case((2,))
def kinds_that_change_in_a_short_loop(n):
    rows, head, found = T(2), None, {}
    for i in range(4):
        rows = T(2).unsqueeze(0) if i == 0 else tj.cat((rows, T(2).unsqueeze(0)), dim=0)
        head = Link(i * n, head)
        found.update({"last": i})
        if i == 2:
            found["two"] = n
    total = 0
    while head is not None:
        total = total * 10 + head.value
        head = head.behind
    return rows, total, found


@case((3,))
def shown_dataclass(n):
    return repr(Shown(n)), f"{Shown(n)}"


@dataclass
class Shown:
    size: int
    names: List[str] = field(default_factory=list)


@dataclass(order=True)
class Weighed:
    weight: int = 1
    name: str = field(default="a", compare=False)


class Lone:
    def __eq__(self, other):
        return NotImplemented


LIGHT, HEAVY, LONE = Weighed(1), Weighed(2, "b"), Lone()


@case((1,), (2,))
def outer_dataclasses(n):
    equal = LIGHT == Weighed(), Weighed(n) == HEAVY, LIGHT != Weighed(1, "z"), LIGHT == HEAVY, LIGHT in (Weighed(n),)
    order = (
        LIGHT < Weighed(n),
        Weighed(n) >= HEAVY,
        LIGHT < HEAVY,
        max(LIGHT, HEAVY).name,
        sorted([HEAVY, LIGHT])[0].name,
    )
    others = LIGHT == n, n != LIGHT, LIGHT == "a", LIGHT == (1,), LONE == n, LONE == Weighed(), LIGHT is Weighed()
    return equal, order, others


def test_equality_of_outer_dataclasses_is_that_of_what_they_hold_now() -> None:
    first, second = Weighed(1), Weighed(1)
    same = tj.script(lambda n: first == second)
    assert same(1) is True
    second.weight = 5
    assert same(1) is False
    first.weight = 5
    assert same(1) is True


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


def test_a_changed_container_that_comes_twice_is_refused() -> None:
    def move(source, target):
        target.append(source.pop())
        return len(source)

    compiled = tj.script(move)
    first, second = [1.0, 2.0], [3.0]
    assert compiled(first, second) == 1 and (first, second) == ([1.0], [3.0, 2.0])
    with pytest.raises(ValueError, match="'source' and 'target' are one object"):
        compiled(first, first)
    assert first == [1.0]
    with pytest.raises(ValueError, match="are one object"):
        tj.script(lambda pair: pair[0].append(pair[1][0]))((second, second))
    assert tj.script(lambda a, b: a[0] + b[0])(second, second) == 6.0
