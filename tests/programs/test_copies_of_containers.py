"""`copy.copy`, `copy.deepcopy`, `dataclasses.asdict` and `astuple` in scripts, against plain Python."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter, defaultdict, deque
from copy import deepcopy
from dataclasses import asdict, astuple, dataclass, field
from typing import Any, NamedTuple

import pytest

import tracejit as tj
from tests.programs.cases import A, Cases, Program, T, run
from tracejit import ScriptError, script

case = Cases()


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclass
class Inner:
    v: Any
    w: int = 2


@dataclass
class Outer:
    i: Inner
    items: list[Any] = field(default_factory=list)
    d: dict[str, Any] = field(default_factory=dict)
    p: Any = None


class Node:
    def __init__(self, v, following):
        self.v = v
        self.following = following


class Own:
    def __init__(self, v):
        self.v = v

    def __copy__(self):
        return Own(self.v + 1)

    def __deepcopy__(self, memo):
        return Own(self.v + 10)


@case((A(3),), (T(3),))
def lists_and_dicts(x):
    v = [1, 2]
    w = copy.copy(v)
    w.append(3)
    u = [v, v]
    q = deepcopy(u)
    q[0].append(7)
    d = {"a": [1], "b": {"c": x}}
    e = deepcopy(d)
    e["a"].append(2)
    e["b"]["c"][0] = 4
    f = copy.copy(d)
    f["z"] = 1
    return v, w, q, u, d, e, f


@case((A(3),), (T(3),))
def arrays(x):
    v = [x, x]
    w = deepcopy(v)
    w[0][0] = 100
    y = deepcopy(x)
    y[0] = 99
    z = copy.copy(x)
    z[1] = 55
    return x, y, z, v, w, deepcopy(x.sum()), copy.copy((1, [2])), deepcopy("a"), deepcopy(None)


@case((A(3),), (T(3),))
def objects(x):
    n = Node(x, Node([1], None))
    m = deepcopy(n)
    m.following.v.append(4)
    m.v[0] = 3
    k = copy.copy(n)
    k.following.v.append(5)
    k.v = 1
    o = Own(3)
    return n.v, n.following.v, m.v, m.following.v, k.v, n.v is x, copy.copy(o).v, deepcopy(o).v


@case((A(3),), (T(3),))
def fields_of_dataclasses(x):
    o = Outer(Inner(x), [Inner(1), (2, [3])], {"k": Inner(4)}, Pair(1, [2]))
    r = asdict(o)
    o.items.append(5)
    r["items"].append(6)
    t = astuple(o)
    r["i"]["v"][0] = -1
    named = asdict(o.i, dict_factory=lambda items: {"n": len(items), **dict(items)})
    return r, t, x, len(o.items), named, astuple(o.i, tuple_factory=list)


@case((A(3),))
def lists_of_any_length(x):
    grown = []
    for i in range(int(x[0]) + 2):
        grown.append([i, i + 1])
    h = deepcopy(grown)
    h[0].append(9)
    numbers = [k * 2 for k in range(int(x[0]))]
    m = deepcopy(numbers)
    m.append(4)
    return grown, h, numbers, m


@case((A(3),))
def grids(x):
    board = [[0] * 3 for _ in range(3)]
    c = deepcopy(board)
    c[1][1] = 5
    for r in range(3):
        c[r][0] = r + 1
    best, row = None, [0, 0, 0]
    for n in range(3):
        row[n] = n
        if x[n] > 1:
            best = deepcopy(row)
    return board, c, best, row


@case((A(3),))
def tables(x):
    t = {}
    for i in range(int(x[0]) + 1):
        t[i * 2] = i
    u = deepcopy(t)
    u[77] = 1
    w = copy.copy(t)
    w[5] = 5
    q = deque([1, 2])
    q2 = deepcopy(q)
    q2.append(3)
    q2.appendleft(x.shape[0])
    dd = defaultdict(list)
    dd["a"].append(1)
    d2 = deepcopy(dd)
    d2["a"].append(2)
    d2["b"].append(3)
    c = Counter([1, 1, 2])
    c2 = copy.copy(c)
    c2[1] += 1
    return t, u, w, list(q), list(q2), dict(dd), dict(d2), c[1], c2[1]


@case((A(3),))
def no_dataclass(x):
    return asdict(5)


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


def test_copies_that_would_be_leaves_are_refused() -> None:
    x = tj.ones(3, requires_grad=True)
    for fn in (lambda x: deepcopy(x), lambda x: copy.copy(x), lambda x: dataclasses.asdict(Inner(x))):
        with pytest.raises(ScriptError, match="leaf"):
            script(fn)(x)
