"""Programs with values that may be None, and annotations, against plain Python."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import pytest

from tests.programs.cases import Cases, Program, T, run
from tests.programs.compare import check, observe
from tracejit import Tensor, script

case = Cases()


@case((T(3), 3), (T(4), -1))
def ann1(x: Tensor, n: int) -> Tensor:
    a: int = 3
    b: float
    b = 2.5
    c: List[int] = [1, 2, n]
    d: Dict[str, Tensor] = {"x": x}
    e: Optional[Tensor] = None
    t: Tuple[int, float] = (n, b)
    if n > 0:
        e = x * a
    if e is None:
        e = x
    return e * b + d["x"] + c[2] + t[0]


@case((3,), (0,))
def opt_int(n: int) -> Optional[int]:
    if n > 1:
        return n
    return None


@case((T(3), True), (T(3), False))
def opt_tensor(x, flag):
    y = None
    if flag:
        y = x
    return y


@case((T(3),), (-T(3),))
def opt_data(x):
    y = None
    if x.sum() > 0:
        y = x * 2
    if y is not None:
        return y + 1
    return x


@case((T(3),), (-T(3),))
def opt_data_ret(x):
    y = None
    if x.sum() > 0:
        y = x * 2
    return y


@case((5,), (0,))
def opt_loop(n):
    best: Optional[int] = None
    for i in range(n):
        if best is None or i * 7 % 5 > best:
            best = i * 7 % 5
    return best


@case((5,), (0,))
def opt_loop2(n):
    best: Optional[int] = None
    for i in range(n):
        if best is None:
            best = i
        else:
            best += i
    if best is None:
        return -1
    return best


@case((4,), (0,))
def opt_assert(n):
    x: Optional[int] = None
    if n > 2:
        x = n
    assert x is not None, "no x"
    return x + 1


@case((4,), (0,))
def opt_and(n):
    x = n if n > 2 else None
    if x is not None and x > 3:
        return x
    return 0


@case((4,), (0,))
def opt_eq_none(n):
    x = n if n > 2 else None
    return x == None, x != None, not x


@case((4,), (0,))
def opt_truth(n):
    x = n if n > 2 else None
    if x:
        return x
    return -1


@case((4, None), (0, 3), (1, None))
def opt_arg(n, y: Optional[int] = None):
    if y is None:
        y = n
    return y + n


@case((4,), (0,))
def opt_unwrap_or(n):
    x = n if n > 2 else None
    z = x or 7
    return z


@case((4,), (0,))
def opt_tuple(n):
    t = (n, 1.0) if n > 2 else None
    if t is None:
        return 0.0
    a, b = t
    return a * b


@case((4,), (0,))
def opt_in_tuple(n):
    t = (n, n if n > 2 else None)
    a, b = t
    if b is not None:
        a += b
    return a


@case((4,), (0,))
def opt_while(n):
    node: Optional[int] = n
    s = 0
    while node is not None:
        s += node
        node = node - 1 if node > 0 else None
    return s


@case((4,), (0,))
def opt_list(n):
    xs: List[Optional[int]] = [1, None, n]
    s = 0
    for x in xs:
        if x is not None:
            s += x
    return s


def maybe(n) -> Optional[int]:
    if n > 2:
        return n
    return None


@case((4,), (0,))
def opt_call(n):
    m = maybe(n)
    return 0 if m is None else m * 2


@case((4,), (0,))
def opt_not_none_early(n):
    m = maybe(n)
    if m is None:
        return 0
    return m * 2


@case((4,), (0,))
def opt_raise(n):
    m = maybe(n)
    if m is None:
        raise ValueError("none")
    return m * 2


@case((4,), (0,))
def opt_isinst(n):
    m = maybe(n)
    if isinstance(m, int):
        return m
    return -1


@case((4,), (0,))
def opt_print(n):
    m = maybe(n)
    print(m)
    return m


@case(([3, 1, 2], 2), ([], 0), ([5], 9))
def operators_on_what_may_be_none(xs, k):
    best = None
    for x in xs:
        if x > k:
            best = x
    return best + 1, best * 2, -best, best < 5, 1 - best, +best, ~best, abs(best), min(best, 3)


@case(([3, 1, 2], 2), ([], 0), ([5], 9), ([5], 1))
def two_that_may_be_none(xs, k):
    a = b = None
    for x in xs:
        if x > k:
            a = x
        if x < k:
            b = float(x)
    return a - b


@case(([3, 1, 2], 2), ([], 0))
def changed_where_it_may_be_none(xs, k):
    best = None
    for x in xs:
        if x > k:
            best = x
    try:
        best += 1
    except TypeError as e:
        return len(str(e))
    return best


@case(([3, 1, 2], 2), ([], 0))
def items_at_what_may_be_none(xs, k):
    rows, kept, at = [[0] * 3 for _ in range(k + 1)], [], None
    for j, x in enumerate(xs):
        kept.append(x)
        if x == k:
            at = j
    rows[at][at] = kept[at] + xs[at] + (4, 5, 6)[at]
    return rows, list(range(at)), xs[:at]


@case(([3.0, 1.0, 2.0], 2), ([], 0))
def builtins_of_what_may_be_none(xs, k):
    a = np.array(xs)
    items, root, last = None, None, None
    if k:
        items, root = xs, float(k)
    for v in a:
        if v >= k:
            last = v
    return str(root), len(items), sum(items), math.sqrt(root), math.atan2(1.0, root), int(root), sorted(items), last * 2


@case((2,), (0,))
def parts_and_calls_of_what_may_be_none(k):
    f, pair, word = None, None, None
    if k:
        f, pair, word = (lambda x: x + 1), [k, 1], "ab"
    return f"{word}", f(k), pair[0], word + "c", word.upper()


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


def found_in(x: Any, numbers: Any, flags: Any, limit: float) -> Any:
    best = None
    for v in numbers:
        if v > limit:
            best = v
    x[0, 0] = best
    x[1:, 1] = best
    x[x < 0] = None
    flags[0] = best
    flags[1] = None
    return x


def into_integers(x: Any, numbers: Any, limit: float) -> Any:
    return found_in(x, numbers, np.ones(2, dtype=bool), limit)


def test_none_in_an_array_is_nan_or_false() -> None:
    for limit in (0.5, 9.0):
        check(found_in, np.full((2, 3), -1.0), np.arange(4.0), np.ones(2, dtype=bool), limit)
        check(into_integers, np.zeros((2, 3), np.int32), np.arange(4.0), limit)


def as_arrays(n: int, first: int) -> Any:
    values: Any = [None] * n
    for i in range(first, n):
        values[i] = 2.0 * i
    return np.array(values, dtype=np.float32), np.array(values[first:]), np.array(values if n < 5 else [2.0])


def test_lists_that_may_hold_none_as_arrays() -> None:
    check(as_arrays, 4, 0)
    check(as_arrays, 5, 2)


@pytest.mark.compiled
def test_none_beside_numbers_makes_no_array() -> None:
    with pytest.raises(TypeError, match="an array of objects, which is outside the language"):
        script(as_arrays)(4, 1)


def plus_none(x: Any, k: int) -> Any:
    y = None
    if k > 0:
        y = x
    y += x
    return y


@pytest.mark.parametrize("x", [3, 2.5, "a", (1,)])
def test_the_operator_and_both_types_are_named(x: Any) -> None:
    for k in (1, 0):
        plain, compiled = observe(plus_none, (x, k)), observe(script(plus_none), (x, k))
        assert (plain.result, repr(plain.error)) == (compiled.result, repr(compiled.error))
