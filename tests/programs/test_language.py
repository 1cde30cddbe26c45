"""Programs of the language, one construct each, against plain Python."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest

from tests.programs.compare import check

RNG = np.random.default_rng(7)
GLOBAL_SCALE = 3


def vector(n: int = 6) -> np.ndarray:
    return RNG.normal(size=n)


def matrix(n: int = 4, m: int = 5) -> np.ndarray:
    return RNG.normal(size=(n, m))


# -- control flow ---------------------------------------------------------------------------------------------


def if_chain(x, y):
    if x > y:
        z = x - y
    elif x == y:
        z = 0.0
    else:
        z = y - x
    return z * 2


def early_return_in_loop(a, limit):
    for i in range(a.shape[0]):
        if a[i] > limit:
            return i
    return -1


def while_with_break(x, n):
    k = 0
    while True:
        x = x * 0.5
        k += 1
        if x < 0.01 or k >= n:
            break
    return x, k


def continue_skips(n):
    s = 0
    for i in range(n):
        if i % 3 == 0:
            continue
        s += i
    return s


def for_else(a, t):
    for i in range(len(a)):
        if a[i] == t:
            found = i
            break
    else:
        found = -1
    return found


def while_else(n):
    k = 0
    while k < n:
        if k == 7:
            break
        k += 1
    else:
        k = 100
    return k


def nested_loops(a):
    s = 0.0
    for i in range(a.shape[0]):
        for j in range(i, a.shape[1]):
            if a[i, j] < 0:
                break
            s += a[i, j]
    return s


def nested_return(a, t):
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            if a[i, j] > t:
                return i, j
    return -1, -1


def negative_step(n):
    s = 0
    for i in range(n - 1, -1, -2):
        s = s * 3 + i
    return s


def int_becomes_float(n):
    s = 0
    for i in range(n):
        s += i * 0.5
    return s


def conditional_expression(a, flag):
    return (a if flag > 0 else -a).sum()


def chained_comparison(x, lo, hi):
    return lo < x <= hi


def boolean_operators(x, y):
    return (x > 0 and y > 0) or not (x < y)


def walrus(a):
    if (n := a.shape[0]) > 3:
        return n * 2
    return n


def over_rows(a):
    s = 0.0
    for row in a:
        s += row[0] * row[-1]
    return s


def over_elements(a):
    s = 0.0
    for v in a:
        s = s * 0.5 + v
    return s


def over_zip_enumerate(a, b):
    s = 0.0
    for i, (x, y) in enumerate(zip(a, b)):
        s += i * x * y
    return s


def over_tuple(x):
    s = 0.0
    for k in (1, 2.5, 4):
        s += x * k
    return s


def over_reversed(n):
    s = 0
    for i in reversed(range(n)):
        s = s * 2 + i
    return s


def loop_variable_afterwards(n):
    i = -5
    for i in range(n):
        pass
    return i


def bound_in_loop(a):
    for i in range(a.shape[0]):
        last = a[i]
    return last


# -- scalars --------------------------------------------------------------------------------------------------


def int_division(a, b):
    return a // b, a % b, divmod(a, b), a / b


def int_power(a, b):
    return a**b, a**2, 2**b


def shifts(a, b):
    return a << b, a >> b, a & b, a | b, a ^ b, ~a


def rounding(x):
    return int(x), round(x), math.floor(x), math.ceil(x), abs(x)


def numeric_builtins(a, b, c):
    return min(a, b, c), max(a, b), abs(a), sum((a, b, c)), float(a), int(b), bool(c), pow(a, 2)


def math_functions(x):
    return math.sqrt(x) + math.exp(-x) * math.sin(x) + math.log(x) + math.atan2(x, 2.0) + math.pi, math.hypot(x, 1.0)


def complex_numbers(x):
    z = complex(x, 2.0)
    w = z * z + 1j
    return w.real, w.imag, abs(w)


def numpy_scalars(a):
    s = a[0] + a[1]
    return s * 2, s / 2


# -- arrays ---------------------------------------------------------------------------------------------------


def elementwise(a, b):
    return np.exp(-a) * np.maximum(a, b) + np.where(a > 0, a, b * 2)


def in_place_elements(a):
    for i in range(1, a.shape[0]):
        a[i] = a[i - 1] * 0.5 + a[i]


def in_place_slices(a, b):
    a[1:-1] = b[:-2] + b[2:]
    a[::2] *= 2
    a[-1] = 7


def overlapping(a):
    a[1:] = a[:-1] + a[1:]
    a[:] = a[::-1]


def through_view(a):
    row = a[1]
    row[2] = 5.0
    a.T[0, 0] = -1.0
    col = a[:, 1]
    col += 10
    return row.sum()


def view_in_branch(a, b, c):
    t = a if c > 0 else b
    t[0] = 42.0
    return a[0] + b[0]


def swap_in_loop(a, b, n):
    for _ in range(n):
        b[:] = a * 2
        a, b = b, a
    return a.sum(), b.sum()


def growing_array(n):
    x = np.zeros(1)
    for i in range(n):
        x = np.concatenate((x, np.ones(1) * i))
    return x


def allocation(n, m):
    z = np.zeros((n, m))
    z[0] = np.arange(m)
    e = np.eye(n)
    return z + np.ones((n, 1)), e, np.full(n, 2.5), np.empty((n, 0)), np.linspace(0.0, 1.0, m)


def reductions(a):
    return a.sum(), a.sum(axis=0), a.mean(axis=1), a.max(), a.min(axis=1), np.prod(a), a.std(), a.var(axis=0)


def keepdims(a):
    return a - a.mean(axis=1, keepdims=True)


def argument_places(a):
    return a.argmax(), a.argmin(axis=0), np.argmax(a, axis=1)


def cumulative(a):
    return np.cumsum(a), np.cumsum(a, axis=0), np.cumprod(a, axis=1)


def masks(a):
    a[a < 0] = 0.0
    return a[a > 0.5], (a > 0).sum()


def fancy(a, i):
    b = a[i]
    a[i] = -1.0
    return b


def products(a, b, v):
    return a @ b, a @ v, np.dot(v, v), np.outer(v, v), a.T @ a


def shapes(a):
    return a.reshape(-1), a.reshape(a.shape[1], a.shape[0]), a.T, a[None, :, 0], a[..., -1], a[::-1, ::2], a.ravel()


def stacking(a, b):
    return np.stack((a, b)), np.hstack((a, b)), np.vstack((a, b)), np.concatenate([a, b])


def out_argument(a, b):
    np.add(a, b, out=a)
    np.multiply(a, 2.0, a)


def broadcasting(a, v):
    return a + v, a * v[0], (a.T + np.ones(a.shape[0])).sum()


def stretched(a, row):
    a[:] = row
    a[1:] += row * 2
    return a + row


def dtypes(a):
    return a.astype(np.float32), a.astype(int), np.sqrt(a.astype(np.float32)), a.dtype == np.float64


def integer_arrays(a, b):
    return a + b, a * 2, a // 3, a % 3, a / 2, a > b, a & b, a**2


# -- functions and containers -----------------------------------------------------------------------------------


def helper(x, scale=2.0, *, shift=0.0):
    return x * scale + shift


def calls_helper(a):
    return helper(a) + helper(a, 3.0, shift=1.0)


def mutating_helper(a, v):
    a[0] = v


def calls_mutating_helper(a):
    mutating_helper(a, 3.0)
    mutating_helper(a[1:], 4.0)


def closure(a):
    k = 3.0

    def inner(x):
        return x * k

    twice = lambda x: inner(inner(x))  # noqa: E731
    return twice(a)


def global_value(x):
    return x * GLOBAL_SCALE


class Point(NamedTuple):
    x: float
    y: float


def named_tuple(x):
    p = Point(x, x * 2)
    q = p._replace(y=5.0)
    return p.x + q.y, q


def tuples(a, b):
    t = (a, b)
    x, y = t[1], t[0]
    *rest, last = (1, 2, x)
    return x - y, len(t), rest, last


def lists_and_dicts(x):
    items = [x, x * 2]
    items.append(3.0)
    d = {"a": x, "b": items[1]}
    d["c"] = d["a"] + 1
    return sum(items), d["c"], [v * 2 for v in items], {"k": items[-1]}


def returns_none(a):
    a += 1


def prints(n):
    for i in range(n):
        print("step", i, f"{i * 0.5:.2f}", sep=", ")


# -- errors -----------------------------------------------------------------------------------------------------


def bad_index(a, i):
    a[0] = 9.0
    return a[i]


def zero_division(a, b):
    return a // b


def assertion(x):
    assert x > 0, f"x must be positive, got {x}"
    return x


def raising(x):
    if x > 2:
        raise ValueError("too large")
    return x


def bad_shapes(a, b):
    a[0] = 1.0
    return a + b


def unbound(x):
    if x > 0:
        y = x
    return y


def overflow(a):
    return a * a * a


CASES = [
    (if_chain, [(3.0, 1.0), (1.0, 1.0), (1, 4)]),
    (early_return_in_loop, [(np.arange(5.0), 2.5), (np.arange(5.0), 9.0), (np.zeros(0), 1.0)]),
    (while_with_break, [(1.0, 100), (1.0, 3)]),
    (continue_skips, [(10,), (0,), (-3,)]),
    (for_else, [(np.arange(5.0), 3.0), (np.arange(5.0), 9.0)]),
    (while_else, [(3,), (9,)]),
    (nested_loops, [(matrix(),), (np.abs(matrix()),)]),
    (nested_return, [(matrix(), 0.5), (matrix(), 99.0)]),
    (negative_step, [(7,), (0,)]),
    (int_becomes_float, [(5,)]),
    (conditional_expression, [(vector(), 1), (vector(), -1)]),
    (chained_comparison, [(1.0, 0, 2), (3, 0, 2)]),
    (boolean_operators, [(1.0, 2.0), (-1.0, 2.0), (3, -1)]),
    (walrus, [(vector(6),), (vector(2),)]),
    (over_rows, [(matrix(),)]),
    (over_elements, [(vector(),), (np.zeros(0),)]),
    (over_zip_enumerate, [(vector(), vector(5))]),
    (over_tuple, [(1.5,), (2,)]),
    (over_reversed, [(5,)]),
    (loop_variable_afterwards, [(4,), (0,)]),
    (bound_in_loop, [(vector(),), (np.zeros(0),)]),
    (int_division, [(7, 2), (-7, 2), (7, -2), (7, 0)]),
    (int_power, [(3, 4), (-2, 3)]),
    (shifts, [(5, 3), (-9, 1)]),
    (rounding, [(2.5,), (-3.7,), (0.5,)]),
    (numeric_builtins, [(1, 2.5, -3), (4.0, 1, 0)]),
    (math_functions, [(2.0,), (0.3,)]),
    (complex_numbers, [(1.5,)]),
    (numpy_scalars, [(vector(),), (vector().astype(np.float32),)]),
    (elementwise, [(vector(), vector()), (matrix(), matrix())]),
    (in_place_elements, [(vector(),), (vector(1),)]),
    (in_place_slices, [(vector(), vector()), (vector(9), vector(9))]),
    (overlapping, [(vector(),)]),
    (through_view, [(matrix(),)]),
    (view_in_branch, [(vector(), vector(), 1), (vector(), vector(), -1)]),
    (swap_in_loop, [(vector(), vector(), 3), (vector(), vector(), 4), (vector(), vector(), 0)]),
    (growing_array, [(4,), (0,)]),
    (allocation, [(3, 4)]),
    (reductions, [(matrix(),)]),
    (keepdims, [(matrix(),)]),
    (argument_places, [(matrix(),)]),
    (cumulative, [(matrix(),)]),
    (masks, [(matrix(),), (vector(),)]),
    (fancy, [(vector(), np.array([0, 2, -1]))]),
    (products, [(matrix(4, 4), matrix(4, 3), vector(4))]),
    (shapes, [(matrix(),)]),
    (stacking, [(vector(), vector())]),
    (out_argument, [(vector(), vector())]),
    (broadcasting, [(matrix(), vector(5))]),
    (stretched, [(matrix(), matrix(1, 5)), (matrix(), vector(5))]),
    (dtypes, [(vector(),)]),
    (integer_arrays, [(np.arange(6), np.arange(6)[::-1].copy()), (np.arange(6, dtype=np.int8), np.ones(6, np.int8))]),
    (calls_helper, [(vector(),)]),
    (calls_mutating_helper, [(vector(),)]),
    (closure, [(2.0,), (vector(),)]),
    (global_value, [(2.0,)]),
    (named_tuple, [(1.5,)]),
    (tuples, [(1.0, 2.0)]),
    (lists_and_dicts, [(1.5,)]),
    (returns_none, [(vector(),)]),
    (prints, [(3,)]),
    (bad_index, [(vector(), 17), (vector(), -7), (vector(), -1)]),
    (zero_division, [(1, 0), (1.0, 0.0)]),
    (assertion, [(1.0,), (-1.0,)]),
    (raising, [(1.0,), (3.0,)]),
    (bad_shapes, [(vector(3), vector(4))]),
    (unbound, [(1.0,), (-1.0,)]),
]


@pytest.mark.parametrize(("fn", "calls"), CASES, ids=[c[0].__name__ for c in CASES])
def test_compiled_is_plain_python(fn, calls):
    scripted = None
    for arguments in calls:
        scripted = check(fn, *arguments, scripted=scripted)


@pytest.mark.compiled
def test_ints_overflow_with_an_error():
    from tracejit.scripted import script

    assert script(overflow)(1000) == 1000**3
    with pytest.raises(OverflowError):
        script(overflow)(10**12)
