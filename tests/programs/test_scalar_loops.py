"""Scalar loops over array elements: results, errors and what was written before them, for sizes that fit and that
do not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.programs.compare import check
from tracejit.scripted import script


def copied(a, b):
    for i in range(len(a)):
        b[i] = a[i]


def shifted(a, b):
    for i in range(1, len(a)):
        b[i] = a[i - 1] + b[i + 1]


def recurrent(a, b):
    for i in range(1, len(b)):
        b[i] = a[i] * b[i - 1] + a[i]


def written_first(a, b):
    for i in range(len(b)):
        b[i] = 1.0
        b[i] += a[i]


def two_writes(a, b):
    for i in range(10):
        a[i] = 7.0
        b[i] = a[i]


def backwards(a, b):
    for i in range(len(a) - 1, -1, -1):
        b[i] = a[i]


def from_the_end(a, b):
    for i in range(1, len(a) + 1):
        b[-i] = a[-i]


def every_other(a, b):
    for i in range(0, len(a), 2):
        b[i // 2] = a[i]


def halves(a, b):
    for i in range(len(a) // 2):
        b[i] = a[2 * i] + a[2 * i + 1]


def counted(a, b):
    i = 0
    while i < len(a):
        b[i] = a[i]
        i += 1
    return i


def counted_down(a, b):
    i = len(a) - 1
    while i >= 0:
        b[i] = a[i]
        i -= 1
    return i


def counted_to_either(a, b):
    i = 0
    while i < len(a) and i < len(b):
        b[i] = a[i]
        i += 2
    return i


def until_found(a, b):
    i = 0
    while a[i] >= -1.0 and b[i] < 3.0:
        i += 1
    return i


def broken(a, b):
    for i in range(100):
        if i == 3:
            break
        b[i] = a[i]
    return b[0]


def broken_after_the_check(a, b):
    n = 0
    for i in range(100):
        b[i] = a[i]
        n += 1
        if a[i] > 0.5:
            break
    return n


def minimum_of_sizes(a, b):
    for i in range(min(len(a), len(b))):
        b[i] = a[i]


def maximum_of_sizes(a, b):
    for i in range(max(len(a), len(b))):
        b[i] = a[i]


def two_pointers(a, b):
    lo, hi = 0, len(a) - 1
    while lo < hi:
        a[lo], a[hi] = a[hi], a[lo]
        lo += 1
        hi -= 1
    return b[lo], hi


def bisected(a, b):
    lo, hi = 0, len(a)
    while lo < hi:
        mid = (lo + hi) // 2
        if a[mid] < 0.1:
            lo = mid + 1
        else:
            hi = mid
    return lo


def wrapped(a, b):
    n = len(a)
    for i in range(n):
        b[i] = a[(i + 1) % n] - a[i - 1]


def nested(a, b):
    total = 0.0
    for i in range(len(a)):
        for j in range(i, len(b)):
            total += a[i] * b[j] + a[j - i]
    return total


def counting(a, b):
    n = 0
    for i in range(len(a)):
        for j in range(i):
            if a[j] > a[i]:
                n += 1
    return n * n


def from_the_argument(a, b):
    for i in range(2, 5):
        b[i - 2] = a[i]
        b[i] = a[i - 2]


PROGRAMS = [value for value in list(globals().values()) if getattr(value, "__module__", "") == __name__]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda fn: fn.__name__)
def test_as_plain_python(program) -> None:
    scripted = script(program)
    for n, m in ((5, 5), (5, 3), (3, 5), (2, 9), (9, 2), (4, 4), (1, 3), (0, 3), (3, 0), (12, 12)):
        rng = np.random.default_rng(n * 100 + m)
        check(program, rng.uniform(-1, 1, n), rng.uniform(-1, 1, m), scripted=scripted)


def test_the_message_names_the_failing_index() -> None:
    with pytest.raises(IndexError, match="index 4 is out of bounds for axis 0 with size 4"):
        script(copied)(np.zeros(9), np.zeros(4))


def test_effects_of_earlier_trips_come_first() -> None:
    def printing(a, n):
        for i in range(n):
            x = a[i]
            print(i, x)

    check(printing, np.arange(3.0), 5)


def test_numpy_integers_still_wrap() -> None:
    def wrapping(a, n):
        x = a[0]
        for _ in range(n):
            x = x * 3
        return x

    check(wrapping, np.array([7]), 100)
    check(wrapping, np.array([7], np.int8), 100)


def test_a_python_integer_that_does_not_fit_a_typed_one_is_an_error_of_its_line() -> None:
    def remainder(data):
        s = 1
        for i in range(len(data)):
            s = (s + data[i]) % 65521
        return s

    check(remainder, np.arange(4, dtype=np.uint8))
    check(remainder, np.arange(0, dtype=np.uint8))
    check(remainder, np.arange(4, dtype=np.uint32))


@pytest.mark.compiled
def test_python_integers_still_overflow() -> None:
    def growing(n):
        x = 1
        for _ in range(n):
            x = x + x
        return x

    check(growing, 62)
    with pytest.raises(OverflowError):
        script(growing)(63)

    def sum_of(a, n):
        total = 0
        for i in range(n):
            total += int(a[i])
        return total

    with pytest.raises(OverflowError):
        script(sum_of)(np.full(4, 2**62), 4)


@pytest.mark.compiled
def test_no_check_is_left_in_loops_whose_indices_are_in_range() -> None:
    def sweep(u):
        n, m = u.shape
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])

    def strike(composite):
        for i in range(2, len(composite)):
            j = i * i
            while j < len(composite):
                composite[j] = True
                j += i

    for fn, argument in ((sweep, np.zeros((4, 4))), (strike, np.zeros(20, np.bool_))):
        scripted = script(fn)
        scripted(argument)
        assert "check(" not in scripted.ir("after:ranges"), fn.__name__
    assert "checked_add" not in script_ir(sweep, np.zeros((4, 4)))


@pytest.mark.compiled
def test_a_check_that_may_fail_stands_after_its_loop() -> None:
    text = script_ir(recurrent, np.zeros(4), np.zeros(4))
    loop, after = text.split("yield %c", 1)[0], text.split("}", 1)[1]
    assert "check(" not in loop
    assert "check(" in after


def script_ir(fn, *arguments) -> str:
    scripted = script(fn)
    scripted(*arguments)
    return scripted.ir("after:ranges")


def test_a_loop_that_goes_on_while_either_holds() -> None:
    def either(a, n):
        i = 0
        while (i < 1 and a[0] > 0.0) or i < n:
            a[i % len(a)] += 1.0
            i += 1
        return i

    def past_the_end(a, n):
        i = 0
        while i < len(a) or i < n:
            a[i] = 1.0
            i += 1
        return i

    for n in range(5):
        check(either, np.zeros(3), n)
        check(past_the_end, np.zeros(3), n)


def ranges_of(starts, ends, places, a, b):
    total = 0.0
    for i in range(len(starts)):
        for k in range(starts[i], ends[i]):
            b[k] += 1.0
            total += a[places[k]]
    return total


@pytest.mark.parametrize("least", [0, -4, -9])
@pytest.mark.parametrize("most", [5, 9])
def test_ranges_that_start_anywhere(least: int, most: int) -> None:
    rng = np.random.default_rng(least + 10 * most)
    for _ in range(8):
        starts, ends = rng.integers(least, most, (2, 6))
        check(ranges_of, starts, ends, rng.integers(least // 2, 6, 8), rng.random(6), np.zeros(7))


def test_a_range_far_from_zero_is_empty() -> None:
    most = np.iinfo(np.int64).max
    check(ranges_of, np.array([most, 1]), np.array([-most, 3]), np.arange(3), np.ones(3), np.zeros(3))


@pytest.mark.compiled
def test_the_sign_of_a_start_is_asked_once() -> None:
    arguments = np.array([0, 1]), np.array([1, 2]), np.arange(2), np.ones(2), np.zeros(2)
    upward = script_ir(ranges_of, *arguments).split("if(", 1)[1].split("else():", 1)[0]
    body = upward.split("body(", 1)[1].split("yield", 1)[0]
    assert body.count("index_update") == 1 and body.count("check(") == 2  # that of b[k] comes before all writes


def test_rows_of_a_matrix_change_each_other_and_themselves() -> None:
    def eliminated(a):
        n = a.shape[0]
        for k in range(n):
            for i in range(k + 1, n):
                a[i, k] /= a[k, k]
                for j in range(k + 1, n):
                    a[i, j] -= a[i, k] * a[k, j]

    def spread(a, k, shift):
        for i in range(a.shape[0]):
            for j in range(a.shape[1] - shift):
                a[i, j + shift] -= a[i, k] * a[k, j]

    rng = np.random.default_rng(3)
    check(eliminated, rng.random((21, 21)) + 4 * np.eye(21))
    for k, shift in ((0, 0), (3, 0), (3, 1), (5, 2)):
        check(spread, rng.random((6, 37)), k, shift)


def where_large(x, y):
    for i in range(len(x)):
        if x[i] > 0.5:
            y[i] = 2.0 * x[i]


def where_rising(x, y):
    for i in range(1, len(x)):
        if x[i] > x[i - 1]:
            y[i] += x[i]
            y[i - 1] -= 1.0


def where_large_in_rows(x, y):
    n, m = x.shape
    for i in range(n):
        for j in range(m):
            if x[i, j] > 0.5:
                y[i, j] = x[i, j]
            elif x[i, j] < 0.1:
                y[i, 0] += 1.0


SIZES = ((12, 12), (12, 5), (5, 12), (40, 41), (41, 40), (1, 1), (2, 1), (0, 3), (3, 0))


@pytest.mark.parametrize("program", [where_large, where_rising])
def test_writes_in_branches(program) -> None:
    scripted = script(program)
    for n, m in SIZES:
        rng = np.random.default_rng(n * 100 + m)
        check(program, rng.random(n), rng.random(m), scripted=scripted)
        check(program, np.zeros(n), rng.random(m), scripted=scripted)  # no place is asked for


def test_writes_in_branches_of_rows() -> None:
    scripted = script(where_large_in_rows)
    for shapes in (
        ((6, 9), (6, 9)),
        ((6, 9), (4, 9)),
        ((6, 9), (6, 7)),
        ((4, 9), (6, 12)),
        ((1, 1), (1, 1)),
        ((0, 2), (0, 2)),
    ):
        rng = np.random.default_rng(5)
        x, y = map(rng.random, shapes)
        check(where_large_in_rows, x, y, scripted=scripted)
        check(where_large_in_rows, np.full(shapes[0], 0.3), y, scripted=scripted)


@pytest.mark.compiled
@pytest.mark.parametrize("program", [where_large, where_rising])
def test_where_all_places_fit_branches_have_no_checks(program) -> None:
    text = script_ir(program, np.zeros(4), np.zeros(4))
    assert "check(" not in text.split("loop(", 2)[1]
    assert "check(" in text


@pytest.mark.compiled
def test_where_rows_fit_branches_have_no_checks() -> None:
    text = script_ir(where_large_in_rows, np.zeros((4, 4)), np.zeros((4, 4)))
    inner = text.split("loop(", 2)[2]
    assert "check(" not in inner.split("else():\n          %", 1)[0].split("loop(", 1)[0]
