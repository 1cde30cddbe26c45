"""Programs with tuples and lists, against plain Python."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Tuple

import numpy as np
import pytest

import tracejit as tj
from tests.programs.cases import A, Cases, Program, T, run
from tests.programs.compare import check
from tracejit import Tensor

case = Cases()


@case((T(3), 2))
def tup1(x, n):
    a = (x, n, (n + 1, "s"))
    (p, q, (r, s)) = a
    *u, v = a
    u0, *w = 1, 2, 3
    return p * q + r, s, u[1], v[0], w


@case((1, 2, 3))
def tup_slice(a, b, c):
    t = (a, b, c)
    return t[1:], t[::-1], t[-1], len(t), t + (4,), t * 2, a in t, t == (1, 2, 3), t < (2, 0, 0)


@case((1, 2, 3), (3, 2, 1))
def tup_cmp(a, b, c):
    return (a, b) < (b, c), (a, b) <= (a, b), (a, b) > (b, a), (a,) != (b,), (a, b) >= (c, c)


@case((3,), (-3,))
def by_condition(v):
    return (v, -v)[v > 0], [v, 2 * v][v > 0], ("small", "large")[v > 2]


class Place(NamedTuple):
    x: int
    y: int


SIZE, PLACE = (2, 3), Place(1, 2)


@case((np.zeros((2, 3)), 2), (np.zeros((1, 2)), 1))
def outer_tuples(x, n):
    equal = (
        x.shape == SIZE,
        SIZE != x.shape,
        (n, 3) == SIZE,
        PLACE == Place(n, 2),
        PLACE == (n, 2),
        SIZE == n,
        (n, 3) in (SIZE,),
    )
    order = SIZE < (n, 4), SIZE >= (n, n), (n, 2) < PLACE, SIZE < (3, 1)
    return equal, order, SIZE + (n,), (n, *SIZE), (n,) + PLACE, np.ones(2) + SIZE, "%d %s" % SIZE


@case((A(3, 4),))
def outer_tuples_as_arrays(x):
    x[PLACE] = 7
    x[SIZE] += x[2, 2]
    picked = x[SIZE], x[PLACE,], x[PLACE, SIZE], x[:, PLACE], x[(0, 2),]
    return (
        picked,
        np.maximum(x[0, :2], SIZE),
        np.dot(SIZE, x[0, :2]),
        np.concatenate((SIZE, PLACE)),
        x.transpose((1, 0)),
    )


@case((1, 2, 3), (0, 2, 1))
def tup_idx_rt(i, a, b):
    return (a, b, 7)[i - 1]


@case(((1, 2.0), 3))
def tup_arg(t: Tuple[int, float], n):
    a, b = t
    return (b, a * n), t


@case((1, 2, 3))
def tup_swap(a, b, c):
    a, b, c = c, a, b
    return a, b, c


@case((1, 2, 3), (2, 2, 2))
def tup_methods(a, b, c):
    t = (a, b, c)
    return t.count(2), t.index(2)


@case((4,))
def tup_of_gen(n):
    return tuple(i * n for i in range(3)), tuple([n, n + 1])


@case((4,), (0,))
def tup_branch(n):
    if n > 2:
        t = (n, 1.5)
    else:
        t = (0, 2.5)
    return t


@case((4,), (0,))
def lst1(n):
    a = [1, 2, 3]
    a.append(n)
    a.extend([5, 6])
    a.insert(1, 9)
    p = a.pop()
    q = a.pop(0)
    a.remove(9)
    a.reverse()
    b = a.copy()
    b.sort()
    c = a[:]
    a.clear()
    return (
        a,
        b,
        c,
        p,
        q,
        b.index(2),
        b.count(3),
        len(b),
        3 in b,
        8 not in b,
        b[-1],
        b[1:3],
        b[::2],
        b + [1],
        [0] * 3,
        b * 2,
    )


@case(([1, 2, 3], 4), ([], 1))
def lst_arg_append(xs: List[int], n: int):
    xs.append(n)
    return xs


@case(([1, 2, 3], 2), ([5], 0))
def lst_arg_loop(xs: List[int], n: int):
    for i in range(n):
        xs.append(i)
    return len(xs)


@case(([1, 2, 3],), ([5],))
def lst_arg_set(xs: List[int]):
    xs[0] = 10
    return sum(xs)


@case(([1.5, 2, 3],), ([5.0],))
def lst_arg_read(xs: List[float]):
    s = 0.0
    for x in xs:
        s += x
    return s, max(xs), min(xs), len(xs), sorted(xs)


@case(([T(2), T(2) * 2],))
def lst_tensors(xs: List[Tensor]):
    xs.append(xs[0] + 1)
    return tj.stack(xs).sum(), tj.cat(xs, dim=0)


@case(([1, 2, 3],))
def lst_alias(xs):
    a = [1, 2]
    b = a
    b.append(3)
    c = a[:]
    c.append(4)
    return a, b, c, a is b, a is c


@case((5,), (0,))
def lst_loop(n):
    a: List[int] = []
    b = a
    for i in range(n):
        a.append(i * i)
    return b, a, a[-1] if len(a) > 0 else 0


@case((5,), (0,))
def lst_nested(n):
    m = [[0] * 3 for _ in range(2)]
    m[0][1] = n
    m[1].append(n)
    return m, m[0][1] + m[1][3]


@case((5,), (2,))
def lst_nested_grow(n):
    m: List[List[int]] = []
    for i in range(n):
        m.append([i, i + 1])
    return m


@case((5,), (2,))
def lst_comp(n):
    return (
        [i * 2 for i in range(n) if i % 2 == 0],
        [x + y for x in [1, 2] for y in [n, 3]],
        [[i * j for j in range(3)] for i in range(2)],
    )


@case((5,), (2,))
def lst_slice_assign(n):
    a = [1, 2, 3, 4]
    a[1:3] = [n, n, n]
    del a[0]
    a += [7]
    a[-1] += 5
    return a


@case((5,), (2,))
def lst_eq(n):
    return [1, 2] == [1, 2], [1, n] == [1, 2], [1] != [1, 2], [1, n] < [1, 3]


@case((5,), (2,))
def lst_of_str(n):
    names = ["a", "b"]
    names.append("c")
    s = ""
    for x in names:
        s += x
    return names, s, ",".join(names), "b" in names


@case((1,), (2,))
def lst_set_rt(i):
    a = [1, 2, 3]
    a[i] = 10
    a[i - 1] += 4
    return a, a[i]


@case((1,), (2,))
def lst_del_rt(i):
    a = [1, 2, 3]
    del a[i]
    return a


@case((1,), (2,))
def lst_pop_rt(i):
    a = [1, 2, 3]
    p = a.pop(i)
    a.insert(i, 9)
    return a, p


@case((1,), (20,))
def lst_index_err(i):
    a = [1, 2, 3]
    return a[i]


@case((1,), (20,))
def lst_branch_append(i):
    a = [1, 2, 3]
    if i > 3:
        a.append(i)
    return a


@case((1,), (20,))
def lst_sort_key(i):
    a = [3, -1, i]
    a.sort(key=lambda x: -x)
    b = sorted(a, key=abs, reverse=True)
    return a, b, max(a, key=lambda v: -v), min(a, key=abs)


@case((1,), (20,))
def lst_sort_tuples(i):
    a = [(3, 1.0), (i, 2.0), (2, 0.5)]
    a.sort()
    return a


@case((3,), (20,))
def lst_enum(n):
    s = 0
    for i, x in enumerate([n, 2, 3], 1):
        s += i * x
    for x, y in zip([1, 2, 3], [n, n, n]):
        s += x * y
    for x in reversed([1, n]):
        s = s * 2 + x
    return s


@case((3,), (0,))
def lst_ret_empty(n):
    a: List[float] = []
    return a


@case((3,), (0,))
def lst_tuple_items(n):
    a: List[Tuple[int, float]] = []
    for i in range(n):
        a.append((i, i * 0.5))
    s = 0.0
    for i, f in a:
        s += i * f
    return a, s


@case(([[1, 2], [3]],))
def lst_lists_arg(a: List[List[int]]):
    t = 0
    for r in a:
        for v in r:
            t += v
    return t


@case((3,))
def lst_unpack(n):
    a = [n, 2, 3]
    x, y, z = a
    p, *q = a
    return x, y, z, p, q, [*a, 1], (*a, 2)


@case((3,))
def lst_minmax(n):
    a = [n, 2, 5]
    return (
        min(a),
        max(a),
        sum(a),
        any([v > 4 for v in a]),
        all(v > 1 for v in a),
        max(v * 2 for v in a),
        sum(v for v in a if v > 2),
    )


def mutate(xs, v):
    xs.append(v)
    xs[0] = v


@case((3,))
def lst_helper(n):
    a = [1, 2]
    mutate(a, n)
    return a


@case((3,))
def lst_in_dict(n):
    d = {"a": [1], "b": [2]}
    d["a"].append(n)
    return d


@case((3,), (0,))
def lst_while_pop(n):
    a = list(range(n))
    s = 0
    while a:
        s += a.pop()
    return s, len(a)


@case((3,), (0,))
def lst_bool(n):
    a = [1] * n
    if a:
        return 1
    if not a:
        return 2
    return 3


@case((3,), (0,))
def lst_rebuild(n):
    a = [1, 2, 3]
    for i in range(n):
        a = [x + i for x in a]
    return a


@case((3,), (0,))
def lst_str_compare(n):
    a = ["x", "y"]
    return a[0] == "x", a.index("y"), len(a[1])


@case((2,), (3,))
def functions_of_a_comprehension(n):
    fs = [lambda: i * n for i in range(3)]
    gs = [[lambda: i + 10 * j for j in range(2)] for i in range(3)]
    hs = [lambda y, i=i: i * y for i in range(3)]
    called = [(lambda: i * n)() for i in range(3)]
    n += 1
    return [f() for f in fs], [g() for row in gs for g in row], [h(n) for h in hs], called


@case((1, 3), (0, 9), (-2, 5), (4, 1))
def slices_of_lists_by_run_time_bounds(i, j):
    items = [1, 2, 3, 4, 5]
    part = items[i : j + 0]
    part.append(7)
    return part, items[:-i], items[j::-1], sum(items[:i]), items


@case((A(4), 1), (A(4), 3))
def slices_of_lists_of_arrays(a, n):
    rows = [a, a * 2, a + 1]
    return rows[n:], sum([r.sum() for r in rows[:n]])


@case(([1.0, 2.0, 3.0], 1), ([1.0, 2.0], 2))
def slices_of_lists_of_the_caller(items, n):
    total = 0.0
    for k in range(n + 1):
        total += sum(items[k : n + k])
    return total, items[n:]


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


def test_items_that_are_arrays_change_in_place() -> None:
    def lists(x):
        parts = [x, x * 2]
        first = parts[0]
        parts[0] += 1.0
        parts[1] *= 2.0
        return first, parts[1], x

    def dicts(x, rate):
        parameters = {"w": x, "b": [x[1:], 3.0]}
        for name in parameters:
            if name == "w":
                parameters[name] -= rate * parameters[name]
        parameters["b"][0] += 2.0
        parameters["b"][1] += 2.0
        return parameters["b"][1], x

    def one_of_several(x, k):
        parts = [x, x * 2, x]
        parts[k] += 1.0
        return parts[0], parts[1], parts[2]

    def tuples(x):
        parts = (x, 1.0)
        parts[0] += 1.0

    check(lists, np.arange(3.0))
    check(dicts, np.arange(3.0), 0.25)
    for k in range(3):
        check(one_of_several, np.arange(3.0), k)
    check(tuples, np.arange(3.0))


@pytest.mark.parametrize(
    "same",
    [
        lambda n: range(n) == range(3),
        lambda n: slice(1, n) == slice(1, 3),
    ],
)
def test_what_cannot_be_compared_is_refused(same):
    with pytest.raises(tj.ScriptError, match="are equal is outside the language"):
        tj.script(same)(3)


PAIR, OTHER_PAIR = (1, 2), (5, 6)
NESTED = ((1, 2.5), "a")


class Point(NamedTuple):
    x: int
    y: int


def outer_and_made(n: int) -> Any:
    t = PAIR if n > 5 else (n, 5)
    u = NESTED if n > 2 else ((n, 1.5), "b")
    v = PAIR if n > 3 else OTHER_PAIR
    w = PAIR
    for i in range(n):
        w = (w[1], w[0] + i)
    return t, u[0], v, w, PAIR


@pytest.mark.parametrize("n", [0, 1, 3, 4, 9])
def test_tuples_from_outside_meet_made_ones(n):
    check(outer_and_made, n)


def test_a_named_tuple_that_meets_a_plain_one_is_refused():
    def joined(n):
        return Point(n, 2) if n > 2 else (n, 5)

    def carried(n):
        t = Point(1, 2)
        for i in range(n):
            t = (t[1], i)
        return t

    for program in (joined, carried):
        with pytest.raises(tj.ScriptError, match="Point"):
            tj.script(program)(3)


def test_lists_that_are_returned_again_and_again():
    def program(x, n):
        rows, values, nothing = [], [], []
        for i in range(n):
            rows.append((i, 2.0 * i, "a", [i, np.float32(i)], {"k": i}))
            values.append(x[i])
            nothing.append(())
        return rows, {"values": values, "nothing": nothing}, len(rows)

    scripted = tj.script(program)
    for n in (2, 0, 3, 3):
        for x in (np.arange(3.0), np.arange(6).reshape(3, 2)):
            assert repr(scripted(x, n)) == repr(program(x, n))
