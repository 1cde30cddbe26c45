"""Functions that call themselves: results, memory, effects and errors as in plain Python."""

from __future__ import annotations

import math
import threading
import traceback
from typing import NamedTuple

import numpy as np
import pytest

from tests.programs.compare import check
from tracejit import ScriptError, script

RNG = np.random.default_rng(5)
TABLE = np.array([1.0, 2.0, 3.0, 4.0])


# -- numbers --------------------------------------------------------------------------------------------------------


def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


def ackermann(m, n):
    if m == 0:
        return n + 1
    if n == 0:
        return ackermann(m - 1, 1)
    return ackermann(m - 1, ackermann(m, n - 1))


def hanoi(n, a=0, b=1, c=2):
    return 0 if n == 0 else hanoi(n - 1, a, c, b) + 1 + hanoi(n - 1, c, b, a)


def by_keyword(n, *, step=1, acc=0.0):
    return acc if n <= 0 else by_keyword(n - step, step=step, acc=acc + n)


def halved(x):
    return 1 if x < 1 else 2.0 * halved(x - 1)


def halved_typed(x, n):
    return x if n == 0 else halved_typed(x * np.float32(0.5), n - 1)


def escape(z, c, n):
    return n if abs(z) > 2 or n == 0 else escape(z * z + c, c, n - 1)


def tak(x, y, z):
    return z if y >= x else tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y))


def is_even(n):
    return True if n == 0 else is_odd(n - 1)


def is_odd(n):
    return False if n == 0 else is_even(n - 1)


def parity(n):
    return is_even(n), is_odd(n)


def with_flag(x, flag):
    return x if x < 1 else with_flag(x - 1, not flag) + (1 if flag else 2)


def summed(n, acc=None):
    if acc is None:
        acc = 0
    return acc if n == 0 else summed(n - 1, acc + n)


def doubling(n):
    """fib(n) and fib(n + 1) by doubling."""
    if n == 0:
        return 0, 1
    a, b = doubling(n // 2)
    c, d = a * (2 * b - a), a * a + b * b
    return (c, d) if n % 2 == 0 else (d, c + d)


class Pair(NamedTuple):
    x: float
    y: float


def stepped(p, n):
    return p if n == 0 else stepped(Pair(p.y, p.x + p.y), n - 1)


def pairs(n):
    return stepped(Pair(0.0, 1.0), n)


def from_table(i):
    return 0.0 if i >= 4 else TABLE[i] + from_table(i + 1)


factorial = lambda n: 1 if n < 2 else n * factorial(n - 1)  # noqa: E731


def local_lambda(n):
    g = lambda k: 1.0 if k < 1 else 0.5 * g(k - 1)  # noqa: E731
    return g(n)


def simpson(f, a, b, fa, fm, fb, whole, eps):
    m = (a + b) / 2
    flm, frm = f((a + m) / 2), f((m + b) / 2)
    left, right = (m - a) / 6 * (fa + 4 * flm + fm), (b - m) / 6 * (fm + 4 * frm + fb)
    if abs(left + right - whole) < 15 * eps:
        return left + right + (left + right - whole) / 15
    return simpson(f, a, m, fa, flm, fm, left, eps / 2) + simpson(f, m, b, fm, frm, fb, right, eps / 2)


def integral(a, b):
    f = lambda x: math.sin(x) * math.exp(-x)  # noqa: E731
    m = (a + b) / 2
    return simpson(f, a, b, f(a), f(m), f(b), (b - a) / 6 * (f(a) + 4 * f(m) + f(b)), 1e-9)


class Weights:
    def __init__(self):
        self.w = np.array([1.0, 2.0, 0.5])

    def total(self, n):
        return 0.0 if n == 0 else self.w[n % 3] * 0.5 + self.total(n - 1)


WEIGHTS = Weights()


def by_method(n):
    return WEIGHTS.total(n)


def nested_tuples(t):
    return nested_tuples(t[0]) + nested_tuples(t[1]) if isinstance(t, tuple) else t * 2


def over_tuples(x):
    return nested_tuples(((x, 2.0), (3.0, (x, 1.0))))


NUMBERS = [
    (fib, 15),
    (ackermann, 2, 3),
    (hanoi, 5),
    (by_keyword, 7),
    (halved, 4),
    (halved, 4.5),
    (halved_typed, np.float32(3.0), 3),
    (escape, 0j, 0.3 + 0.5j, 50),
    (tak, 8, 4, 2),
    (parity, 11),
    (lambda x: with_flag(x, True), 5),
    (summed, 5),
    (doubling, 30),
    (pairs, 10),
    (from_table, 0),
    (factorial, 10),
    (local_lambda, 6),
    (integral, 0.0, 3.0),
    (by_method, 7),
    (over_tuples, 1.5),
]


@pytest.mark.parametrize("fn, arguments", [(fn, arguments) for fn, *arguments in NUMBERS])
def test_numbers(fn, arguments):
    check(fn, *arguments)


# -- arrays ---------------------------------------------------------------------------------------------------------


def quicksort(a, lo, hi):
    if lo >= hi:
        return
    pivot, i = a[hi], lo
    for j in range(lo, hi):
        if a[j] < pivot:
            a[i], a[j] = a[j], a[i]
            i += 1
    a[i], a[hi] = a[hi], a[i]
    quicksort(a, lo, i - 1)
    quicksort(a, i + 1, hi)


def merge_sort(a):
    if len(a) <= 1:
        return a
    m = len(a) // 2
    left, right = merge_sort(a[:m]), merge_sort(a[m:])
    out = np.empty(len(a))
    i, j = 0, 0
    for k in range(len(a)):
        if j >= len(right) or (i < len(left) and left[i] <= right[j]):
            out[k] = left[i]
            i += 1
        else:
            out[k] = right[j]
            j += 1
    return out


def merge_sort_in_place(a, tmp):
    """Through views of both arrays."""
    n = len(a)
    if n < 2:
        return
    m = n // 2
    merge_sort_in_place(a[:m], tmp[:m])
    merge_sort_in_place(a[m:], tmp[m:])
    i, j = 0, m
    for k in range(n):
        if j >= n or (i < m and a[i] <= a[j]):
            tmp[k] = a[i]
            i += 1
        else:
            tmp[k] = a[j]
            j += 1
    a[:] = tmp


def fourier(x):
    n = len(x)
    if n == 1:
        return x
    even, odd = fourier(x[::2]), fourier(x[1::2])
    turned = np.exp(-2j * np.pi * np.arange(n // 2) / n) * odd
    return np.concatenate((even + turned, even - turned))


def flood(g, i, j, new):
    if i < 0 or j < 0 or i >= g.shape[0] or j >= g.shape[1] or g[i, j] != 0:
        return 0
    g[i, j] = new
    return 1 + flood(g, i + 1, j, new) + flood(g, i - 1, j, new) + flood(g, i, j + 1, new) + flood(g, i, j - 1, new)


def tree(left, right, value, i):
    if i < 0:
        return 0.5
    return value[i] + tree(left, right, value, left[i]) * tree(left, right, value, right[i])


def remembered(n, m):
    if n < 2:
        return n
    if m[n] != 0:
        return m[n]
    m[n] = remembered(n - 1, m) + remembered(n - 2, m)
    return m[n]


def permutations(a, k, out, n):
    if k == len(a):
        out[n[0]] = a
        n[0] += 1
        return
    for i in range(k, len(a)):
        a[k], a[i] = a[i], a[k]
        permutations(a, k + 1, out, n)
        a[k], a[i] = a[i], a[k]


def queens(n):
    columns, up, down = np.zeros(n, bool), np.zeros(2 * n, bool), np.zeros(2 * n, bool)

    def place(r):
        if r == n:
            return 1
        total = 0
        for c in range(n):
            if not columns[c] and not up[r + c] and not down[r - c + n]:
                columns[c] = up[r + c] = down[r - c + n] = True
                total += place(r + 1)
                columns[c] = up[r + c] = down[r - c + n] = False
        return total

    return place(0)


def search(a, x):
    if len(a) == 0:
        return False
    m = len(a) // 2
    if a[m] == x:
        return True
    return search(a[:m], x) if x < a[m] else search(a[m + 1 :], x)


def quarters(x):
    n = x.shape[0]
    if n == 1:
        return x[0, 0]
    h = n // 2
    return quarters(x[:h, :h]) + quarters(x[h:, h:]) - quarters(x[:h, h:]) * 0.5 + quarters(x[h:, :h])


def strassen(a, b):
    n = a.shape[0]
    if n <= 2:
        return a @ b
    h = n // 2
    a11, a12, a21, a22 = a[:h, :h], a[:h, h:], a[h:, :h], a[h:, h:]
    b11, b12, b21, b22 = b[:h, :h], b[:h, h:], b[h:, :h], b[h:, h:]
    m1, m2, m3 = strassen(a11 + a22, b11 + b22), strassen(a21 + a22, b11), strassen(a11, b12 - b22)
    m4, m5 = strassen(a22, b21 - b11), strassen(a11 + a12, b22)
    m6, m7 = strassen(a21 - a11, b11 + b12), strassen(a12 - a22, b21 + b22)
    c = np.empty((n, n))
    c[:h, :h], c[:h, h:] = m1 + m4 - m5 + m7, m3 + m5
    c[h:, :h], c[h:, h:] = m2 + m4, m1 - m2 + m3 + m6
    return c


def power(x, n):
    if n == 0:
        return np.ones_like(x)
    h = power(x, n // 2)
    return h * h if n % 2 == 0 else h * h * x


def matrix_power(x, n):
    return x if n == 1 else x @ matrix_power(x, n - 1)


def along(x, axis, n):
    return x.sum(axis=axis) if n == 0 else along(x * 2, axis, n - 1)


def rows(m, i):
    if i < len(m):
        scale(m[i], 0)
        rows(m, i + 1)


def scale(row, j):
    if j < len(row):
        row[j] *= j + 1.0
        scale(row, j + 1)


def swapped(a, b, n):
    """The buffers change places at every level."""
    if n == 0:
        return a.sum()
    b[:] = a * 0.5 + n
    return swapped(b, a, n - 1)


LEFT, RIGHT, VALUE = np.array([1, 3, -1, -1, -1]), np.array([2, 4, -1, -1, -1]), RNG.standard_normal(5)
GRID = (RNG.random((12, 15)) < 0.3).astype(np.int64)

ARRAYS = [
    (quicksort, RNG.standard_normal(200), 0, 199),
    (merge_sort, RNG.standard_normal(100)),
    (merge_sort_in_place, RNG.standard_normal(37), np.zeros(37)),
    (fourier, RNG.standard_normal(64) + 0j),
    (flood, GRID, 3, 4, 7),
    (tree, LEFT, RIGHT, VALUE, 0),
    (remembered, 50, np.zeros(60, np.int64)),
    (permutations, np.arange(4), 0, np.zeros((24, 4), np.int64), np.zeros(1, np.int64)),
    (queens, 6),
    (search, np.arange(0, 100, 3), 33),
    (search, np.arange(0, 100, 3), 34),
    (quarters, RNG.standard_normal((8, 8))),
    (strassen, RNG.standard_normal((8, 8)), RNG.standard_normal((8, 8))),
    (power, np.array([1.0, 2.0, 3.0]), 5),
    (matrix_power, RNG.standard_normal((3, 3)), 4),
    (lambda x: along(x, 0, 2), np.ones((2, 3))),
    (rows, np.ones((3, 4)), 0),
    (swapped, np.ones(4), np.zeros(4), 5),
    (quicksort, RNG.standard_normal(60)[::-3], 0, 19),
    (merge_sort, np.asfortranarray(RNG.standard_normal((20, 2)))[:, 1]),
]


@pytest.mark.parametrize("fn, arguments", [(fn, arguments) for fn, *arguments in ARRAYS])
def test_arrays(fn, arguments):
    check(fn, *arguments)


@pytest.mark.compiled
def test_changes_in_place_copy_nothing():
    for fn, arguments in ((quicksort, (np.ones(5), 0, 4)), (merge_sort_in_place, (np.ones(5), np.zeros(5)))):
        sort = script(fn)
        sort(*arguments)
        assert " = copy(" not in sort.ir("after:ownership")


@pytest.mark.compiled
def test_one_compile_serves_all_sizes():
    sort = script(merge_sort)
    for n in (5, 17, 64):
        x = RNG.standard_normal(n)
        np.testing.assert_array_equal(sort(x), np.sort(x))
    assert sort.compiles == 1


# -- functions around functions ---------------------------------------------------------------------------------------


def two_levels(n):
    acc = np.zeros(3)

    def outer(k):
        def inner(j):
            if j == 0:
                return
            acc[j % 3] += k
            inner(j - 1)

        if k == 0:
            return
        inner(k)
        outer(k - 1)

    outer(n)
    return acc


def ping_pong(n):
    log = np.zeros(20)

    def ping(k):
        if k > 0:
            log[k] = k
            pong(k - 1)

    def pong(k):
        if k > 0:
            log[k] = -k
            ping(k - 1)

    ping(n)
    return log


def captured_number(x, n):
    def inner(y, k):
        return y * x if k == 0 else inner(y + x, k - 1)

    return inner(x, n)


def applied(f, n, x):
    return x if n == 0 else f(applied(f, n - 1, x))


def both_applied(x):
    return applied(np.sin, 3, x) + applied(lambda v: v * 2, 3, x)


def starred(*xs):
    return 0 if len(xs) == 0 else xs[0] + starred(*xs[1:])


def from_index(a, n):
    return a[n:] if n >= 2 else from_index(a, n + 1)


def writes_a_returned_view(a):
    v = from_index(a, 0)
    v[0] = 100.0
    return a.sum()


def gray_codes(n):
    if n == 0:
        return np.zeros((1, 0))
    g = gray_codes(n - 1)
    m = len(g)
    out = np.zeros((2 * m, n))
    out[:m, 1:] = g
    out[m:, 0] = 1
    out[m:, 1:] = g[::-1]
    return out


def total_of_dict(d, n):
    return d["x"] + d["y"] if n == 0 else total_of_dict({"x": d["y"], "y": d["x"] + 1.0}, n - 1)


def with_dict(n):
    return total_of_dict({"x": 1.0, "y": 2.0}, n)


AROUND = [
    (two_levels, 4),
    (ping_pong, 7),
    (captured_number, 2.0, 3),
    (both_applied, 0.5),
    (lambda a, b: starred(a, b, 3), 1, 2),
    (writes_a_returned_view, np.arange(5.0)),
    (gray_codes, 4),
    (with_dict, 4),
]


@pytest.mark.parametrize("fn, arguments", [(fn, arguments) for fn, *arguments in AROUND])
def test_functions_around_functions(fn, arguments):
    check(fn, *arguments)


def test_an_outer_array_first_met_on_one_side_of_a_choice():
    check(lambda i: 0.0 if i >= 4 else TABLE[i], 2)


# -- lists ----------------------------------------------------------------------------------------------------------


def trail(n):
    out = []

    def go(k):
        out.append(k)
        if k != 1:
            go(k // 2 if k % 2 == 0 else 3 * k + 1)

    go(n)
    return out


def subsets(xs, i, chosen, out):
    if i == len(xs):
        total = 0
        for c in chosen:
            total += c
        out.append(total)
        return
    subsets(xs, i + 1, chosen, out)
    chosen.append(xs[i])
    subsets(xs, i + 1, chosen, out)
    chosen.pop()


def subset_sums(xs):
    out, chosen = [], []
    subsets(xs, 0, chosen, out)
    return out


def counted_down(n):
    if n == 0:
        return [0]
    made = counted_down(n - 1)
    made.append(n)
    return made


@pytest.mark.parametrize("fn, argument", [(trail, 6), (subset_sums, np.array([1, 2, 4])), (counted_down, 4)])
def test_lists(fn, argument):
    check(fn, argument)


# -- effects and errors ---------------------------------------------------------------------------------------------


def failing(a, n):
    a[n] = n
    if n == 3:
        raise ValueError(f"n is {n}")
    failing(a, n + 1)


def outside(a, n):
    return a[n] + outside(a, n + 1)


def printing(n):
    print("down", n)
    if n > 0:
        printing(n - 1)
    print("up", n)


def checked(n):
    assert n != 2, "two"
    return n if n < 1 else checked(n - 1) + 1


def too_large(n):
    return 1 if n == 0 else n * too_large(n - 1)


EFFECTS = [
    (failing, np.zeros(6), 0),
    (failing, np.zeros(12)[::2], 0),
    (outside, np.zeros(6), 0),
    (printing, 3),
    (checked, 1),
    (checked, 5),
]


@pytest.mark.parametrize("fn, arguments", [(fn, arguments) for fn, *arguments in EFFECTS])
def test_effects(fn, arguments):
    check(fn, *arguments)


@pytest.mark.compiled
def test_ints_do_not_wrap():
    with pytest.raises(OverflowError):
        script(too_large)(30)


def forever(n):
    return 1 + forever(n + 1)


def forever_with_memory(x):
    return np.sum(forever_with_memory(x * 0.5 + 1.0))


@pytest.mark.parametrize("fn, argument", [(forever, 0), (forever_with_memory, np.ones(3))])
def test_too_deep_is_a_recursion_error_at_the_call(fn, argument):
    with pytest.raises(RecursionError) as caught:
        script(fn)(argument)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.name, last.filename) == (fn.__name__, __file__)
    assert last.line is not None and fn.__name__ in last.line


@pytest.mark.compiled
def test_deep_is_no_error():
    def depth(n):
        return 0 if n == 0 else 1 + depth(n - 1)

    assert script(depth)(20_000) == 20_000


def test_small_stacks_of_threads_are_respected():
    deep = script(forever)
    found: list[str] = []

    def run() -> None:
        try:
            deep(0)
        except RecursionError as error:
            found.append(str(error))

    before = threading.stack_size(1 << 18)
    try:
        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        threading.stack_size(before)
    assert found == ["maximum recursion depth exceeded"] * 3


# -- refused --------------------------------------------------------------------------------------------------------


def test_writing_what_may_be_an_argument_is_refused():
    def first(a):
        return a if len(a) < 2 else np.concatenate((first(a[1:]), a[:1]))

    def changed(a):
        made = first(a)
        made[0] = 7.0
        return made

    with pytest.raises(ScriptError, match="on one path only"):
        script(changed)(np.arange(4.0))


def test_types_that_never_repeat_are_refused():
    def growing(t, n):
        return n if n == 0 else growing((t, n), n - 1)

    with pytest.raises(ScriptError, match="calls itself with arguments of ever other types"):
        script(growing)(1.0, 3)


def test_backtracking_returns_out_of_a_loop():
    def filled(board, top):
        def is_free(place, value):
            return not (board[:place] == value).any()

        def solve(place):
            if place == len(board):
                return True
            if board[place]:
                return solve(place + 1)
            for value in range(1, top + 1):
                if is_free(place, value) and not (board == value).any():
                    board[place] = value
                    if solve(place + 1):
                        return True
                    board[place] = 0
            return False

        return solve(0), board

    for top in (3, 4, 5):
        check(filled, np.array([0, 2, 0, 0]), top)


def grown_from(v, d):
    if d == 0:
        return [v]
    return grown_from(v * 0.5, d - 1) + grown_from(v * v, d - 1)


def products_down(items, i):
    return np.sum(items[0]) if i == 0 else products_down(items, i - 1) + np.sum(items[i] * items[i - 1])


def appended(items, n):
    if n > 0:
        items.append(items[-1] * 2.0)
        appended(items, n - 1)


def test_lists_of_arrays_with_the_size_of_an_argument():
    def returned(v):
        return sum(np.sum(items * items[0]) for items in grown_from(v, 2))

    def passed(v):
        items = [v]
        for _ in range(2):
            items.append(v * items[-1])
        appended(items, 3)
        return products_down(items, 5), items[-1]

    check(returned, np.array([0.3, -0.7, 1.2]))
    check(passed, np.array([0.3, -0.7, 1.2]))
