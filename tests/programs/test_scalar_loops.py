"""Scalar loops over array elements: results, errors and what was written before them, for sizes that fit and that
do not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.programs.compare import check
from tracejit.ir.core import walk
from tracejit.ir.parser import parse
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

    def digits(n, factor):
        number = 0
        for _ in range(n):
            number = 10 * number + 9
        return number * 9 + factor if factor > 0 else 0

    check(digits, 17, 1)
    check(digits, 18, 0)
    for n, factor in ((18, 9 * 10**18), (19, 0)):
        with pytest.raises(OverflowError):
            script(digits)(n, factor)

    def product(x):
        return x * 7 if x >= 0 else -1

    largest = (2**63 - 1) // 7
    for x in (0, 1, largest - 1, largest):
        check(product, x)
    for x in (largest + 1, 2**62, 2**63 - 1):
        with pytest.raises(OverflowError):
            script(product)(x)

    def sum_of(a, n):
        total = 0
        for i in range(n):
            total += int(a[i])
        return total

    with pytest.raises(OverflowError):
        script(sum_of)(np.full(4, 2**62), 4)

    def counted(data, n, run, total):
        for value in data:
            run = run + 1 if value > 9 else 0
            total += int(value)
        while n > 0:
            total += n % 10
            n //= 10
        return run, total

    data = np.array([3, 200, 255], np.uint8)
    check(counted, data, 123, 4, 5)
    scripted = script(counted)
    for beyond in ((0, 2**63 - 1, 0), (0, 0, 2**63 - 400), (99, 0, 2**63 - 470)):
        with pytest.raises(OverflowError):
            scripted(data[data > 9] if beyond[1] else data, *beyond)


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

    def strike_by_a_range(composite):
        for i in range(2, len(composite)):
            for j in range(i * i, len(composite), i):
                composite[j] = True

    def longest_run(x):
        best = run = 0
        for value in x:
            run = run + 1 if value else 0
            best = max(best, run)
        return best

    def bits_of_all(n):
        total = 0
        for i in range(n):
            while i > 0:
                total += i & 1
                i >>= 1
        return total

    def bits_of_data(x):
        total = 0
        for v in x:
            while v != 0:
                v &= v - 1
                total += 1
        return total

    flags, data = np.zeros(20, np.bool_), np.array([7, -1, 0, -(2**63)])
    cases = ((sweep, np.zeros((4, 4))), (strike_by_a_range, flags), (longest_run, flags), (bits_of_all, 5))
    for fn, argument in (*cases, (bits_of_data, data), (strike, flags)):
        text = script_ir(fn, argument)
        assert "check(" not in text, fn.__name__
        assert "checked_add" not in text or fn is strike, fn.__name__
    check(bits_of_data, data)


def test_bytes_beside_guarded_places() -> None:
    """Places are compared by their lane: in the first vector, in the rest of a row, and where numbers go round."""

    def widened(x, out, first, limit):
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                most = x[i, j]
                for d in range(-1, 2):
                    if 0 <= j + d < x.shape[1] and x[i, j + d] > most and first + j <= limit:
                        most = x[i, j + d]
                out[i, j] = most

    scripted = script(widened)
    for n in (1, 130, 300):
        x = np.random.default_rng(n).integers(0, 255, (3, n)).astype(np.uint8)
        beside = np.pad(x, ((0, 0), (1, 1)))
        widest = np.maximum(np.maximum(beside[:, :-2], beside[:, 2:]), x)
        for first, limit in ((0, 200), (-5, n), (2**63 - 60, -(2**63) + 40), (2**63 - 128, 2**63 - 1)):
            out = np.zeros_like(x)
            with np.errstate(over="ignore"):
                scripted(x, out, np.int64(first), np.int64(limit))
            assert np.array_equal(out, np.where(first + np.arange(n) <= limit, widest, x)), (n, first, limit)


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


def common_letters(a, b, t):
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            if a[i - 1] == b[j - 1]:
                t[i, j] = t[i - 1, j - 1] + 1
            else:
                t[i, j] = max(t[i - 1, j], t[i, j - 1])


def neighbours(g, out):
    n, m = g.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            s = 0
            for di in range(-1, 2):
                for dj in range(-1, 2):
                    if di != 0 or dj != 0:
                        s += g[i + di, j + dj]
            if s == 3:
                out[i, j] = 1
            elif s > 3:
                out[i, j] = out[i, j + 1]


def relaxed(w, dist, done, u):
    for v in range(1, len(done)):
        if not done[v] and dist[u] + w[u, v] < dist[v]:
            dist[v] = dist[u] + w[u, v]
        elif u < 2:
            dist[u] += w[u, v - 1]


def with_the_next(x, y, z):
    for i in range(len(x)):
        if i < len(y) - 1:
            z[i + 1] = x[i] + y[i + 1]
        elif x[i] > 0.5:
            z[2 * i] = y[len(x) - 1 - i]


def inserted(a, b):
    i = 0
    while i < len(a):
        j = i - 1
        while j >= 0 and b[j] > a[i]:
            b[j + 1] = b[j]
            j -= 1
        b[j + 1] = a[i]
        i += 1


@pytest.mark.parametrize("shape", [(6, 8), (7, 9), (5, 8), (6, 7), (6, 3), (2, 8), (0, 0)])
def test_tables_of_other_sizes(shape) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 3, 5), rng.integers(0, 3, 7)
    check(common_letters, a, b, np.zeros(shape, np.int64))
    check(neighbours, rng.integers(0, 2, (6, 9)), np.zeros(shape, np.int64))


def test_indices_that_a_branch_bounds() -> None:
    rng = np.random.default_rng(4)
    scripted = script(with_the_next)
    for n, m, k in (
        (6, 6, 12),
        (6, 6, 6),
        (6, 6, 4),
        (6, 9, 6),
        (6, 9, 7),
        (6, 3, 20),
        (6, 3, 9),
        (1, 1, 1),
        (0, 0, 0),
    ):
        check(with_the_next, rng.random(n), rng.random(m), rng.random(k), scripted=scripted)
        check(with_the_next, np.zeros(n), rng.random(m), rng.random(k), scripted=scripted)
    for n, m in ((6, 6), (6, 7), (6, 5), (6, 0), (0, 0)):
        check(inserted, rng.random(n), np.zeros(m))


def test_an_index_that_is_the_same_in_every_trip() -> None:
    rng = np.random.default_rng(4)
    scripted = script(relaxed)
    for size, u in ((5, 1), (5, -1), (5, 4), (5, 5), (5, -6), (4, 4), (6, 1), (6, -2), (7, 6), (0, 9)):
        w, dist = rng.random((5, 5)), rng.random(5)
        check(relaxed, w, dist, rng.random(size) < 0.5, u, scripted=scripted)
        check(relaxed, w, dist, np.ones(size, bool), u, scripted=scripted)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("program", "arrays"),
    [
        (common_letters, (np.zeros(2, int), np.zeros(3, int), np.zeros((3, 4), int))),
        (neighbours, (np.zeros((4, 4), int), np.zeros((4, 4), int))),
        (relaxed, (np.zeros((3, 3)), np.zeros(3), np.zeros(3, bool), 1)),
    ],
)
def test_one_version_of_a_loop_has_no_checks(program, arrays) -> None:
    graph = parse(script_ir(program, *arrays))
    checks = [
        [sum(op.name == "check" for op in walk(block)) for block in op.blocks]
        for op in walk(graph.body)
        if op.name == "if" and all(any(inner.name == "loop" for inner in block.ops) for block in op.blocks)
    ]
    assert [then for then, _ in checks] == [0] and checks[0][1] > 0


def counted_by(x, h):
    for i in range(len(x)):
        h[x[i]] += 1
        h[x[i] - 1] -= 2


def found_by(x, grid):
    total = 0
    for i in range(len(x)):
        total += grid[x[i], -x[i]]
        grid[x[i]] = total
    return total


def test_indices_that_are_data() -> None:
    scripted, in_rows = script(counted_by), script(found_by)
    far = np.iinfo(np.int64)
    for x in (
        [0, 4, 2, 2],
        [-1, -5, 4, 1],
        [1, -4, 5, 0],
        [1, -6, 0],
        [2, far.max, 1],
        [2, far.min + 1, 1],
        [3, -5],
        [],
    ):
        check(counted_by, np.array(x, np.int64), np.zeros(5, np.int64), scripted=scripted)
        check(found_by, np.array(x, np.int64), np.arange(25).reshape(5, 5), scripted=in_rows)


def going_round(x, y, shift):
    n = len(x)
    for i in range(n):
        y[i] = x[i - 1] + 2.0 * x[(i + 1) % n] + 3.0 * x[(i - 1) % n] + 4.0 * x[(i + shift) % n] + 5.0 * x[(i + 3) % n]
        for k in range(-1, 2):
            y[(i + k) % n] -= x[(i - 2 * k) % n] // 0.25


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 9])
def test_places_that_go_round(n) -> None:
    x = np.random.default_rng(n).random(n)
    for shift in (0, -n, 7, -20):
        check(going_round, x, np.zeros(n), shift)
    check(going_round, x, np.zeros(max(n - 1, 0)), 1)


def large_ones(x, start):
    count = start
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if x[i, j] > 0.5:
                count += 1
    return count


def balance(x, start):
    count = start
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if x[i, j] > 0.5:
                count += 3
            else:
                count -= 2
    return count


def pairs(x, start):
    count = start
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            if x[i] + x[j] > 1.0:
                count += 1
    return count


@pytest.mark.compiled
def test_counts_of_nested_loops() -> None:
    x = np.random.default_rng(0).random((6, 7))
    far = 1 << 63
    for program, array in ((large_ones, x), (balance, x), (pairs, x[0])):
        scripted = script(program)
        for start in (0, -5, far - 100, 100 - far):
            check(program, array, start, scripted=scripted)
        for start in (far - 3, far - 1) + ((-far, 1 - far) if program is balance else ()):
            with pytest.raises(OverflowError):
                scripted(array, start)


@pytest.mark.compiled
def test_counts_of_nested_loops_are_not_checked_where_they_are_small() -> None:
    graph = parse(script_ir(pairs, np.zeros(3), 0))
    (fits,) = [op for op in walk(graph.body) if op.name == "if" and any(o.name == "loop" for o in op.blocks[0].ops)]
    assert not any("checked" in op.name for op in walk(fits.blocks[0]))
    assert any("checked" in op.name for op in walk(fits.blocks[1]))


def pooled(x, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            most = x[2 * i, 2 * j]
            for a in range(2):
                for b in range(2):
                    if x[2 * i + a, 2 * j + b] > most:
                        most = x[2 * i + a, 2 * j + b]
            out[i, j] = most


def in_threes(x, y):
    for k in range(3):
        y[k] = x[k]
        for j in range(2):
            y[3 * j + k] += x[2 * k + j]


def test_loops_of_a_few_trips() -> None:
    rng = np.random.default_rng(2)
    scripted, threes = script(pooled), script(in_threes)
    for n, m, rows, columns in ((6, 8, 3, 4), (7, 9, 3, 4), (6, 7, 3, 4), (5, 8, 3, 4), (4, 8, 3, 5), (0, 0, 2, 0)):
        check(pooled, rng.random((n, m)), np.zeros((rows, columns)), scripted=scripted)
    for n, m in ((6, 6), (7, 7), (5, 6), (6, 5), (3, 9), (2, 2), (9, 1), (0, 0)):
        check(in_threes, rng.random(n), rng.random(m), scripted=threes)


@pytest.mark.compiled
def test_a_loop_of_a_few_trips_is_part_of_the_trip_around_it() -> None:
    graph = parse(script_ir(pooled, np.zeros((4, 4)), np.zeros((2, 2))))
    versions = [op for op in walk(graph.body) if op.name == "if" and any(o.name == "loop" for o in op.blocks[0].ops)]
    inner = next(op for op in walk(versions[0].block("then")) if op.name == "loop")
    assert not any(op.name == "check" for op in walk(inner.block("body")))


def first_above(x, y, least):
    found = False
    i = 0
    total = 0.0
    while i < len(x):
        if x[i] > least:
            found = True
            break
        total += y[i]
        i += 1
    return found, total


def place_of(x, value):
    i = 0
    j = 0
    while i < len(x):
        j = i * 2
        if x[i] == value:
            break
        i += 1
        j += 1
    return j


def divisors(n):
    count = 0
    for k in range(2, n):
        d = 2
        prime = True
        while d * d <= k:
            if k % d == 0:
                prime = False
                break
            d += 1
        if prime:
            count += 1
    return count


def up_to(x, n):
    total = 0
    i = 0
    while True:
        if x[i] < 0:
            x[i] += 1
            total += i
            break
        elif i >= n:
            return -total
        i += 2
        total += x[i]
    return total


def test_loops_that_end_in_their_midst() -> None:
    rng = np.random.default_rng(6)
    for n in (0, 1, 5):
        x = rng.random(n)
        check(first_above, x, x, 0.6)
        check(first_above, x, x[: n // 2], 2.0)
        check(place_of, x, x[-1] if n else 0.0)
        check(place_of, x, 7.0)
    check(divisors, 60)
    for x in ([1, 2, -3, 4], [1, 2, 3, 4, 5, 6], [-1], [0], []):
        check(up_to, np.array(x, np.int64), 4)


def least_open(dist, done):
    u = -1
    for i in range(len(done)):
        if not done[i] and (u < 0 or dist[i] < dist[u]):
            u = i
    return u


def test_a_place_found_before() -> None:
    rng = np.random.default_rng(8)
    scripted = script(least_open)
    for n, m in ((6, 6), (5, 6), (7, 6), (0, 3), (1, 1), (0, 0)):
        check(least_open, rng.random(n), rng.random(m) < 0.4, scripted=scripted)
        check(least_open, rng.random(n), np.ones(m, bool), scripted=scripted)


@pytest.mark.compiled
def test_a_place_found_before_needs_no_check() -> None:
    graph = parse(script_ir(least_open, np.zeros(3), np.zeros(3, bool)))
    (fits,) = [op for op in walk(graph.body) if op.name == "if" and any(o.name == "loop" for o in op.blocks[0].ops)]
    (loop,) = [op for op in fits.block("then").ops if op.name == "loop"]
    assert not any(op.name in ("check", "select") for op in walk(loop.block("body")))


def least_divisor(n):
    d, last, going = 2, 0, True
    while going:
        if n % d == 0:
            going = False
        else:
            d += 1
        last = d
    return last


def steps_to_a_divisor(n):
    d, steps, twice, going = 2, 0, 0, True
    while going and steps < 50:
        if n % d == 0:
            going = False
        else:
            d = d + 1
        steps += 1
        twice = d * 2
    return steps, twice


@pytest.mark.parametrize("program", [least_divisor, steps_to_a_divisor])
def test_what_the_last_trip_leaves_is_read_under_another_name(program) -> None:
    compiled = script(program)
    for n in (35, 2, 53, 59):
        assert compiled(n) == program(n)


def falls_below_zero(x, h):
    k, j, t = 0, 1, 0
    for i in range(len(x)):
        if t > 300:
            break
        going = True
        while going:
            j = k
            going = False
        t += 1
        m = j
        while m > 0:
            m -= 1
        h[m] = x[i]
        k -= 1
    return k, j


def test_a_loop_without_trips_leaves_what_its_condition_excludes() -> None:
    x, (expected, found) = np.arange(1.0, 9.0), np.zeros((2, 24))
    assert script(falls_below_zero)(x, found[8:16]) == falls_below_zero(x, expected[8:16])
    np.testing.assert_array_equal(found, expected)
