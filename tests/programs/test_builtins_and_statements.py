"""Programs with builtins, text, calls and statements, against plain Python."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import operator
from typing import Annotated, Any, Final, List, Union, cast

import numpy as np
import pytest

from tests.programs.cases import Cases, Program, T, run
from tracejit import Tensor

case = Cases()


@case((3,), (-2,))
def blt2(n):
    return (
        list(map(lambda x: x * n, [1, 2])),
        list(filter(lambda x: x > 1, [1, 2, 3])),
        list(zip([1, 2], [3, 4], [n, n])),
        list(enumerate([5, n])),
        list(reversed([1, n])),
        max([1, n], default=0),
        min([], default=5),
        sum([1.5, n], 10),
        max("abc"),
        tuple(map(abs, (n, -1))),
    )


@case((3.7,), (-2.2,))
def casts(v):
    return (
        int(v),
        float(v),
        bool(v),
        int(v > 0),
        float(True),
        complex(v, 1),
        complex(v),
        int("3"),
        float("2"),
        str(1),
        str(True),
        str(1.5),
        str(None),
        int(),
        float(),
        bool(),
    )


@case((T(1) * 3.7,), (T(1) * -2.2,))
def casts_t(x):
    return int(x), float(x), bool(x), x.item(), int(x[0]), x[0].item(), x.sum().item()


@case((T(3),))
def item_loop(x):
    s = 0
    for i in range(int(x[2])):
        s += i
    return s


@case((3,), (-2,))
def str1(n):
    s = "Hello World"
    return (
        s.upper(),
        s.lower(),
        s.split(),
        s.replace("l", "L"),
        s.startswith("He"),
        s.endswith("x"),
        s.find("o"),
        s.strip(),
        s[1:4],
        s[-1],
        len(s),
        "lo" in s,
        s + "!",
        s * 2,
        s.count("l"),
        "-".join(["a", "b"]),
        s.title(),
        "%s-%d" % ("a", 3),
        "{}{}".format(1, "b"),
        f"{s}!",
        s == "Hello World",
        s.isdigit(),
        "a" < "b",
        s.index("W"),
        "{a}".format(a=1),
        "abc".zfill(5),
        s.partition(" "),
    )


@case((3,), (-2,))
def str_iter(n):
    t = 0
    for ch in "abc":
        t += ord(ch) * n
    return t, [c for c in "xy"], "".join(reversed("abc"))


@case((3,), (-2,))
def str_ret_rt(n):
    return f"n={n}"


@case((3,), (-2,))
def str_branch(n):
    if n > 0:
        mode = "pos"
    else:
        mode = "neg"
    if mode == "pos":
        return 1
    return 0


@case((3,), (-2,))
def str_branch_ret(n):
    return "pos" if n > 0 else "neg"


@case(("relu", T(3)), ("tanh", T(3)))
def str_arg(mode: str, x):
    if mode == "relu":
        return x.relu()
    elif mode in ("tanh", "sigmoid"):
        return getattr(x, mode)()
    else:
        raise ValueError(f"unknown {mode}")


@case((3,), (-2,))
def print1(n):
    print("a", n, 1.5, True, None, "x", sep="-", end="!\n")
    print(f"{n:05d} {n / 3:.3f} {n!r:>6}")
    print("%d %5.2f %s" % (n, n / 2, "z"))
    print("{} {:>4} {k}".format(n, n + 1, k=n))
    print()
    print([1, n], (n,), {"a": n}, [])
    print("n=" + str(n))
    print(f"{n=}", f"{n + 1 = }")


@case((3,), (-2,))
def print_loop(n):
    for i in range(n):
        print(i, end=" ")
    print("done")


@case((3,), (-2,))
def aug(n):
    a = n
    a += 1
    a -= 2
    a *= 3
    a //= 2
    a %= 7
    a **= 2
    a <<= 1
    a >>= 1
    a |= 8
    a &= 13
    a ^= 3
    b = 1.5
    b /= 2
    return a, b


@case((3,), (-2,))
def dele(n):
    a = n
    b = a + 1
    del a
    l = [1, 2, 3]
    del l[1]
    del l[0:1]
    d = {"x": 1, "y": 2}
    del d["x"]
    return b, l, d


@case((3,), (-2,))
def del_unbound(n):
    a = n
    del a
    return a


def deff(a, b=2, *args, c=3, **kw):
    return a + b + sum(args) + c + sum(kw.values()) + len(kw)


@case((3,), (-2,))
def kwonly(n):
    return deff(n), deff(1, n), deff(1, 2, n, 4, c=5), deff(1, z=n), deff(*(1, 2), **{"c": n, "q": 1}), deff(b=n, a=1)


@case(
    (1, 2, 3),
)
def varargs(*args):
    s = 0
    for a in args:
        s += a
    return s, len(args), args


@case((3,), (-2,))
def wrongargs(n):
    return deff()


@case((3,), (-2,))
def closures(n):
    k = 2

    def g(x):
        def h(y):
            return x * y + k

        return h(n) + h(1)

    k = 5
    return g(3)


@case((3,), (-2,))
def returns_closure(n):
    def mk(k):
        return lambda x: x * k

    f = mk(n)
    return f(3) + mk(2)(1)


@case((3,), (-2,))
def fn_list(n):
    fs = [lambda x: x + 1, lambda x: x * 2, abs]
    v = n
    for f in fs:
        v = f(v)
    return v


@case((3,), (-2,))
def partials(n):
    f = functools.partial(deff, 1, c=n)
    return f(2), functools.reduce(lambda a, b: a * b, [1, 2, n]), operator.add(n, 1), operator.mul(2, n)


@case((3,), (-2,))
def itert(n):
    return (
        list(itertools.chain([1, n], [2])),
        list(itertools.product([1, 2], [3, n])),
        [a + b for a, b in itertools.combinations([1, 2, n], 2)],
    )


@case((3,), (-2,))
def chained(n):
    return 0 < n < 5, 1 < n <= 3 != 4, n < 5 > 2


@case((3,), (-2,))
def condexpr(n):
    return (1 if n > 2 else 2 if n > 0 else 3), (n and 5), (n or 6), (n > 0 and n < 3) or n == -2


@case((3,), (10,))
def whiletrue(n):
    i = 0
    while True:
        i += 1
        if i % 2 == 0:
            continue
        if i > n:
            break
    else:
        i = -1
    return i


@case((3,), (10,))
def forelse(n):
    for i in range(n):
        if i == 5:
            break
    else:
        return "none"
    return "five"


@case((3,), (10,))
def misc_stmt(n):
    """Docstring."""
    ...
    pass
    "string"
    if n:
        ...
    z = 3 + 2j
    w = z * n
    return w, w.real, abs(z), z.conjugate(), w.imag


@case((3,), (10,), (0,))
def match1(n):
    match n:
        case 0:
            return 1
        case 3 | 4:
            return 2
        case k if k > 5:
            return k
        case _:
            return 9


@case((3,), (10,), (0,))
def match2(n):
    t = (n, 2)
    match t:
        case (0, y):
            r = y
        case (x, 2) if x > 5:
            r = x
        case [a, b]:
            r = a + b
    match "abc":
        case "x":
            r += 100
        case "abc":
            r += 200
    match n:
        case int():
            r += 1
        case float(f):
            r += f
    return r


class MyCtx:
    def __init__(self, v):
        self.v = v

    def __enter__(self):
        print("enter", self.v)
        return self

    def __exit__(self, a, b, c):
        print("exit", self.v)


@case((3,), (10,))
def with1(n):
    with MyCtx(n) as c:
        r = c.v + 1
        print("in")
    return r


@case((3,), (10,))
def with2(n):
    with MyCtx(n), MyCtx(2) as d:
        if n > 4:
            return d.v
    return 0


@case((3,), (10,))
def with3(n):
    with contextlib.nullcontext():
        n += 1
    with np.errstate(all="ignore"):
        n += 1
    return n


@contextlib.contextmanager
def gctx(v):
    print("a", v)
    yield v
    print("b")


GL = 5

GLIST = [1, 2, 3]

GDICT = {"a": 1}


@case((3,), (10,))
def globs(n):
    global GL
    return GL * n + len(GLIST) + GDICT["a"] + GLIST[1] + math.pi


@case((3,), (10,))
def ifexp_types(n):
    x = 1 if n > 5 else 2.5
    return x


@case((3,), (10,))
def unbound(n):
    if n > 5:
        y = 1
    return y


@case((3,), (10,))
def genexp(n):
    return (
        sum(i * i for i in range(n)),
        any(i > 5 for i in range(n)),
        max(i % 4 for i in range(n)),
        tuple(i for i in [1, n]),
        sum(1 for i in range(n) if i % 2),
        min((i - 3) ** 2 for i in range(n)),
        list(i for i in range(2)),
        sorted(x for x in [3, 1, n]),
    )


@case((T(2, 3),))
def tensor_iter(x):
    s = 0.0
    for row in x:
        for v in row:
            s = s + v
    return s, len(x), [r.sum() for r in x][0]


@case((T(2, 3),))
def tensor_misc(x):
    a, b = x
    c = x.clone()
    c[0] = 1
    c[:, 1] += 2
    return a + b, c, x.shape, x.size(0) if callable(x.size) else x.shape[0], x.ndim, x.dtype, x.shape[0] * 2


def gen():
    yield 1
    yield 2


@case((3,))
def anncast(n: "int") -> "List[int]":
    x: Final[int] = 4
    y: Annotated[int, "z"] = 3
    z = cast(int, n)
    w: Any = n
    w = 2.5
    u: Union[int, float] = n
    u = 1.5
    return [x, y, z], w, u


@case((3,), (2.5,), ("abc",), (T(3),), ([1, 2],), (None,), ((1, 2),), ({"a": 1},))
def union_arg(x: Union[int, float, str, Tensor, None]):
    if isinstance(x, int):
        return x + 1
    if isinstance(x, float):
        return x * 2
    if isinstance(x, str):
        return len(x)
    if isinstance(x, Tensor):
        return x.sum()
    if isinstance(x, (list, tuple)):
        return x[0]
    if isinstance(x, dict):
        return x["a"]
    assert x is None
    return None


@case((3,), (0,))
def nested_fn_args(n):
    def outer(f, *a):
        return f(*a)

    return outer(lambda p, q: p - q, n, 1), outer(max, n, 2), outer(math.sqrt, 4.0)


@case((3,), (0,))
def starred_mid(n):
    a, *b, c = [1, n, 3, 4]
    (d, e), f = (1, 2), n
    [g, h] = n, 2
    for i, (j, k) in enumerate([(1, 2), (3, n)]):
        d += i * j * k
    return a, b, c, d, e, f, g, h


@case((3,), (0,))
def bigloop(n):
    tot = 0
    for i in range(n):
        for j in range(i, n):
            if (i + j) % 3 == 0:
                continue
            tot += i * j
        else:
            tot += 1
    return tot


@case((3,), (0,))
def slices(n):
    s = slice(1, 3)
    a = [1, 2, 3, 4]
    return a[s], a[slice(None, None, -1)], (1, 2, 3)[s]


@case((3,), (0,))
def rngs(n):
    r = range(2, 10, 3)
    return len(r), 5 in r, r[1], list(r), sum(r), r.start, n in range(4), list(range(5, 0, -2))


@case((3,), (0,))
def fmt(n):
    x = n / 7
    print(f"{x:10.4f}|{n:>8}|{n:<5}|{n:^7}|{n:+d}|{x:e}|{x:.2%}|{n:b}|{n:x}|{'a':>3}")
    print("%5d|%-5d|%05d|%.3f|%r|%%" % (n, n, n, x, n))
    print("{0} {1} {0}".format(n, x), "{:>{w}}".format(n, w=6))
    print(f"{n:{4}}")


def of_any_names(*a, **k):
    return len(a) + k["a"]


def behind_a_slash(x, /, y=1, **k):
    return x + y + k.get("x", 0)


class Given:
    def __init__(self, *args, **given):
        self.args, self.given = len(args), given["args"]


@case((3,), (0,))
def keywords_named_as_parameters(n):
    """Names of `*args`, and of parameters that take no keyword, are free for keywords."""
    made = Given(n, args=n)
    return of_any_names(1, 2, a=n), of_any_names(a=n), behind_a_slash(1, x=n), made.args, made.given


@case(
    (("a", 1),),
    (("b", 2, 3),),
    ({"k": 1, "z": 2},),
    ({"j": 5},),
    ([1, 7],),
    ([7, 2],),
    ([3, 3],),
    (4,),
    (2.5,),
    (None,),
)
def alternatives_that_bind_names(c):
    match c:
        case ("a", x) | ("b", _, x):
            return x
        case {"k": k, **rest} | {"j": k, **rest}:
            return k, rest
        case [1, y] | [y, 2]:
            return y
        case int(n) | float(n):
            return n * 2
        case None | False:
            return -1
    return -2


@case((1, 2), (4, 1), (7, 5))
def identity_of_truths(a, x):
    done = a > 3
    n = 0
    while done is False and n < 3:
        n += 1
        done = n > x
    return n, done is True, (a > 5) is not True, n is False


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)
