"""Dicts whose keys come in one order or another by the path taken, against plain Python."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from tests.programs.cases import A, Cases, Program, run
from tracejit import ScriptError, script

case = Cases()


class Bag:
    def __init__(self) -> None:
        self.d: Any = {}

    def put(self, k: str, v: int) -> None:
        self.d[k] = v


def filled(c: int) -> Any:
    d: Any = {}
    if c > 0:
        d["a"] = 1
        d["b"] = 2
    else:
        d["b"] = 3
        d["a"] = 4
    return d


@case((1,), (-1,))
def gone_through(c: Any) -> Any:
    d = filled(c)
    print(d)
    return [d[k] for k in d], list(d), next(iter(d)), list(zip(d, d.values()))


@case((1,), (-1,))
def taken_apart(c: Any) -> Any:
    d = filled(c)
    x, y = d.values()
    other = d.copy()
    k, v = d.popitem()
    other["c"] = 5
    return x, y, v, len(d), list(other), k in d


@case((1,), (-1,))
def returned(c: Any) -> Any:
    d = {"z": 0}
    if c > 0:
        d["a"] = 1
    d["b"] = 2
    if c <= 0:
        d["a"] = 5
    return list(d.values()), filled(c)


@case((1,), (-1,), (0,))
def deleted_and_set_again(c: Any) -> Any:
    d = {"x": 1, "y": 2, "z": 3}
    if c > 0:
        v = d.pop("x")
        d["x"] = v
    elif c < 0:
        del d["y"]
        d["y"] = 5
    else:
        d.clear()
        d["z"], d["y"], d["x"] = 7, 8, 9
    return list(d.items())


@case((0,), (3,), (4,))
def loops_that_turn_keys(n: Any) -> Any:
    d = {"x": 1, "y": 2, "z": 3}
    seen = 0
    for _ in range(n):
        for k in d:
            seen = (seen * 3 + d[k]) % 1009
        v = d.pop("x")
        d["x"] = v + 1
        d["y"] = d.pop("y")
    return list(d.values()), seen


@case((0,), (3,))
def loops_that_make_new_dicts(n: Any) -> Any:
    d = {"a": 1.0, "b": 2.0}
    for _ in range(n):
        d = {"b": d["a"], "a": d["b"] + 1}
    return list(d.values())


@case((1,), (-1,))
def in_dicts_and_attributes(c: Any) -> Any:
    d = {"in": filled(c)}
    bag = Bag()
    if c > 0:
        bag.put("a", 1)
        bag.put("b", 2)
    else:
        bag.put("b", 3)
        bag.put("a", 4)
    return list(d["in"].values()), list(bag.d)


@case((1,), (-1,))
def one_of_two(c: Any) -> Any:
    a, b = {"x": 1, "y": 2}, {"y": 3, "x": 4}
    d = a if c > 0 else b
    d["z"] = 7
    return list(d.values()), list(d)


@case((1,), (-1,))
def ordered_dicts(c: Any) -> Any:
    d = OrderedDict(a=1, b=2, c=3)
    if c > 0:
        d.move_to_end("a")
    e = OrderedDict(a=1, b=2, c=3)
    return list(d.values()), d == e, dict(d) == dict(e)


@case((1,), (-1,))
def errors_and_expressions(c: Any) -> Any:
    d: Any = {}
    try:
        d["a"] = 1
        if c > 0:
            raise ValueError
        d["b"] = 2
    except ValueError:
        d.pop("a")
        d["b"] = 5
        d["a"] = 6
    e: Any = {}

    def put(k: Any, v: Any) -> Any:
        e[k] = v
        return v

    r = (put("a", 1) + put("b", 2)) if c > 0 else (put("b", 3) + put("a", 4))
    return list(d.values()), r, list(e)


@case((3,), (1,))
def functions_that_call_themselves(n: Any) -> Any:
    def new(n: Any, d: Any) -> Any:
        if n == 0:
            return d
        if n % 2:
            return new(n - 1, {"b": d["a"] + 1, "a": d["b"]})
        return new(n - 1, {"a": d["a"] + 1, "b": d["b"]})

    d = {"a": 1, "b": 2}

    def turn(n: Any) -> Any:
        if n == 0:
            return 0
        v = d.pop("a")
        d["a"] = v + 1
        return turn(n - 1) + 1

    return list(new(n, {"a": 1, "b": 2}).values()), turn(n - 1), list(d.values())


@case((A(3), 1), (A(3), -1))
def arrays_in_them(x: Any, c: Any) -> Any:
    d = {}
    if c > 0:
        d["a"] = x
        d["b"] = x * 2
    else:
        d["b"] = x * 3
        d["a"] = x + 1
    t = np.zeros(3)
    for k in d:
        t = t * 2 + d[k]
    return t


@case((A(3), 1), (A(3), -1))
def order_that_nothing_sees(x: Any, c: Any) -> Any:
    d = {}
    if c > 0:
        d["a"] = x
        d["b"] = 2
    else:
        d["b"] = 3
        d["a"] = x + 1
    d["b"] += 1

    def product(a: Any, b: Any) -> Any:
        return a * b

    return d["a"] * d["b"], d.get("c", 0), len(d), "a" in d, product(**d)


@case((1,), (-1,))
def records_in_lists(c: Any) -> Any:
    rows = []
    for i in range(3):
        r = {"x": i, "y": 2} if c + i > 1 else {"y": 3, "x": i}
        rows.append(r)
    return [v for r in rows for v in r.values()], [list(r) for r in rows]


@case((A(5, 3), 1), (A(5, 3), -1))
def there_on_one_path(x: Any, c: int) -> Any:
    d: Any = {"n": 1}
    row = x[0].copy()
    if c > 0:
        d["a"] = row
    row += 1
    n, has, found = len(d), "a" in d, d.get("a", x[1])
    if "a" in d:
        d["a"] *= 2
    try:
        caught = d["a"] + 1
    except KeyError:
        caught = x[2]
    v = d.setdefault("a", x[3].copy())
    v += 1
    taken = d.pop("a")
    return n, has, found, caught, v, taken, "a" in d, row


@case((A(5, 3), 1), (A(5, 3), -1))
def not_there(x: Any, c: int) -> Any:
    d: Any = {}
    if c > 0:
        d["a"], d["t"] = x[0], 3
    return 0.0 if not d else 1.0, d["a"] * d["t"]


@case((A(5, 3) - 7, 4), (A(5, 3) - 7, 1), (A(5, 3), 0))
def set_and_taken_out_in_loops(x: Any, n: int) -> Any:
    d: Any = {}
    r = np.zeros(3)
    for i in range(n):
        st = d.get("s")
        if st is None:
            st = d["s"] = {"m": np.zeros(3), "t": 0}
        st["t"] += 1
        st["m"] = st["m"] + x[i]
        if x[i, 0] > 0:
            d["last"] = (i, x[i])
        else:
            d.pop("last", None)
    if "s" in d:
        r = r + d["s"]["m"] * d["s"]["t"]
    if "last" in d:
        r = r - d["last"][1] * d["last"][0]
    return r, "last" in d


def callers_keys_moved(d: Any) -> Any:
    v = d.pop("a")
    d["c"] = 4.0
    d["a"] = v
    return v


def callers_first_moved(d: Any) -> Any:
    d.move_to_end("a")


def test_the_order_of_the_callers_own() -> None:
    cases: list[tuple[Any, Any]] = [
        (callers_keys_moved, {"a": 1.5, "b": 2.5}),
        (callers_keys_moved, {"a": np.ones(2), "b": np.zeros(2), "e": np.ones(1)}),
        (callers_first_moved, OrderedDict(a=1, b=2, c=3)),
    ]
    for fn, d in cases:
        plain, compiled = type(d)(d), type(d)(d)
        given = fn(plain), script(fn)(compiled)
        assert list(plain) == list(compiled)
        assert given[0] is given[1] or given[0] == given[1]
        assert all(v is w or v == w for v, w in zip(plain.values(), compiled.values(), strict=True))


def several_kinds(x: Any, c: int) -> Any:
    d = {}
    if c > 0:
        d["a"] = x
        d["b"] = 2
    else:
        d["b"] = 3
        d["a"] = x
    return list(d)


def callers_by_path(d: Any, c: int) -> None:
    if c > 0:
        d["a"] = 1.0
        d["b"] = 2.0
    else:
        d["b"] = 3.0
        d["a"] = 4.0


@pytest.mark.compiled
@pytest.mark.parametrize(("fn", "given"), [(several_kinds, A(3)), (callers_by_path, {"z": 1.0})])
def test_an_order_that_cannot_be_known_is_refused(fn: Any, given: Any) -> None:
    with pytest.raises(ScriptError, match="the order of the keys of this dict depends on the path taken"):
        script(fn)(given, 1)


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_late_key(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)
