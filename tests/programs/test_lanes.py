"""Loops over elements with loops of their own inside, run side by side in the lanes of vectors."""

from __future__ import annotations

import numpy as np
import pytest

from tests.programs.compare import check
from tests.threads import each_number_of_threads
from tracejit.scripted import script

pytestmark = pytest.mark.compiled


def mandelbrot(counts, limit):
    h, w = counts.shape
    for i in range(h):
        for j in range(w):
            cr = -2.0 + 2.6 * j / w
            ci = -1.3 + 2.6 * i / h
            zr = 0.0
            zi = 0.0
            n = 0
            while n < limit and zr * zr + zi * zi <= 4.0:
                zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
                n += 1
            counts[i, j] = n


def last_values(x, y):
    for i in range(len(x)):
        z = x[i]
        k = 0.0
        while abs(z) > 0.01:
            z = z * 0.5 - 0.001
            k += 1.0
        y[i] = z + k * 100.0


def collatz(x, y):
    for i in range(len(x)):
        n = x[i]
        steps = np.int64(0)
        while n > 1:
            if n % 2 == 0:
                n = n // 2
            else:
                n = 3 * n + 1
            steps += 1
        y[i] = steps


def roots(x, y):
    for i in range(len(x)):
        a = abs(x[i]) + 1.0
        r = a
        for _ in range(30):
            s = 0.5 * (r + a / r)
            if abs(s - r) <= 1e-9:
                break
            r = s
        y[i] = r


def triangle(x, y):
    for i in range(len(x)):
        total = 0.0
        for j in range(i):
            total += x[j] * 0.5
        y[i] = total


def own_element(x, y):
    for i in range(len(x)):
        y[i] = y[i] + 1.0
        t = 1.0
        while t < 100.0:
            t = t * (2.0 + abs(x[i]))
        y[i] = y[i] * t


def nested_twice(x, y):
    for i in range(len(x)):
        total = 0.0
        t = abs(x[i]) + 0.5
        while t < 4.0:
            u = t
            while u < 5.0:
                u = u * 1.5
                total += u
            t = t + 0.7
        y[i] = total


def chosen(x, y):
    for i in range(len(x)):
        t = x[i]
        if t > 0.0:
            while t < 10.0:
                t = t * 3.0
        else:
            while t > -10.0:
                t = t - 1.5
        y[i] = np.sqrt(abs(t))


def pairs(p, v):
    for i in range(p.shape[0]):
        ax = 0.0
        ay = 0.0
        for j in range(p.shape[0]):
            dx = p[j, 0] - p[i, 0]
            dy = p[j, 1] - p[i, 1]
            s = 1.0 / (dx * dx + dy * dy + 0.1)
            ax += s * dx
            ay += s * dy
        v[i, 0] += ax
        v[i, 1] += ay


SIZES = (0, 2, 3, 5, 16, 17, 33, 64)


@pytest.mark.parametrize("program", [last_values, roots, triangle, own_element, nested_twice, chosen])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numbers_of_each_lane(program, dtype) -> None:
    scripted = script(program)
    for size in SIZES:
        x = np.random.default_rng(size).standard_normal(size).astype(dtype)
        check(program, x, x + 1, scripted=scripted, tolerance=0.0)
    assert "lanes = True" in scripted.ir("after:independent")


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_integers_of_each_lane(dtype) -> None:
    scripted = script(collatz)
    for size in SIZES:
        x = np.random.default_rng(size).integers(1, 200, size).astype(dtype)
        check(collatz, x, np.zeros(size, np.int64), scripted=scripted)
    assert "lanes = True" in scripted.ir("after:independent")


def test_pixels() -> None:
    scripted = script(mandelbrot)
    for shape in ((2, 2), (5, 7), (9, 40)):
        check(mandelbrot, np.zeros(shape, np.int64), 30, scripted=scripted)
    assert "lanes = True" in scripted.ir("after:independent")


def test_columns_of_an_array() -> None:
    scripted = script(pairs)
    for size in (2, 5, 19):
        p = np.random.default_rng(size).standard_normal((size, 2))
        check(pairs, p, p * 0.0, scripted=scripted, tolerance=0.0)


# -- rows that threads share -------------------------------------------------------------------------------------------


def steps_of_rows(out, scale, w):
    for i in range(out.shape[0]):
        a = 1.0 + scale[i]
        for j in range(w):
            t = a + j / w
            n = 0
            while t < 50.0:
                t = t * a + 0.25
                n += 1
            out[i, j] = n + t


def across(out, limit):
    h, w = out.shape
    for j in range(w):
        for i in range(h):
            t = 1.0 + i
            while t < limit:
                t = t * 2.0 + j
            out[i, j] = t


def twice_in_a_row(out, limit):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            t = out[i, j]
            while t < limit:
                t = t + 1.5
            out[i, j] = t
        for j in range(out.shape[1]):
            t = out[i, 0]
            while t < limit + 3.0:
                t = t + 0.5 + j
            out[i, j] += t


def divides_first(out, w):
    for i in range(out.shape[0]):
        step = 7 // w
        for j in range(out.shape[1]):
            t = 1.0 + i + j
            while t < 30.0:
                t = t * 2.0 + step
            out[i, j] = t


def from_the_row_before(out, limit):
    for i in range(1, out.shape[0]):
        for j in range(out.shape[1]):
            t = out[i - 1, j]
            while t < limit:
                t = t + 1.5
            out[i, j] = t


def sums_of_rows(out, limit):
    total = 0.0
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            t = out[i, j]
            while t < limit:
                t = t + 1.5
            out[i, j] = t + total
        total += limit
    return total


@pytest.mark.parametrize("shape", [(2, 2), (5, 7), (40, 300)])
def test_rows(shape) -> None:
    rng = np.random.default_rng(0)
    scripted = script(steps_of_rows)
    check(steps_of_rows, rng.random(shape), rng.random(shape[0]), shape[1], scripted=scripted, tolerance=0.0)
    assert "rows = True" in scripted.ir("after:independent")
    for program in (across, twice_in_a_row):
        scripted = script(program)
        check(program, rng.random(shape), 9.0, scripted=scripted, tolerance=0.0)
        assert ("rows = True" in scripted.ir("after:independent")) == (program is across)
    for program in (from_the_row_before, sums_of_rows):
        scripted = script(program)
        check(program, rng.random(shape), 9.0, scripted=scripted, tolerance=0.0)
        assert "rows = True" not in scripted.ir("after:independent")


def test_errors_of_rows_come_in_order() -> None:
    scripted = script(steps_of_rows)
    for shape, rows, w in (((6, 5), 6, 0), ((6, 5), 6, 9), ((6, 5), 3, 5), ((0, 5), 0, 0), ((6, 5), 6, 5)):
        check(steps_of_rows, np.ones(shape), np.full(rows, 0.5), w, scripted=scripted, tolerance=0.0)
    scripted = script(divides_first)
    for w in (2, 0):
        check(divides_first, np.ones((4, 5)), w, scripted=scripted, tolerance=0.0)


def test_threads_do_not_change_bits() -> None:
    pixels, values = script(mandelbrot), script(last_values)
    x = np.random.default_rng(0).standard_normal(5000)
    pixels(np.zeros((3, 3), np.int64), 2)
    values(x[:3], np.zeros(3))
    found = []
    with each_number_of_threads(1, 2, 5) as counts:
        for _ in counts:
            n, y = np.zeros((90, 110), np.int64), np.zeros(5000)
            pixels(n, 400)
            values(x, y)
            found.append(n.tobytes() + y.tobytes())
    assert found[0] == found[1] == found[2]


# -- loops whose trips are not independent ------------------------------------------------------------------------


def reads_its_neighbour(x, y):
    for i in range(1, len(x)):
        t = y[i - 1]
        while t < 4.0:
            t = t + 1.5
        y[i] = t + x[i]


def one_place_for_all(x, y):
    for i in range(len(x)):
        t = x[i]
        while t < 4.0:
            t = t + 1.5
        y[0] = t


def other_order(x, y):
    n = len(x)
    for i in range(n):
        t = x[i]
        while t < 4.0:
            t = t + 1.5
        y[n - 1 - i] = t
        y[i] = y[i] + 1.0


def carries_a_number(x, y):
    total = 0.0
    for i in range(len(x)):
        t = x[i]
        while t < 4.0:
            t = t + 1.5
        total = total * 0.5 + t
        y[i] = total


def prints(x, y):
    for i in range(len(x)):
        t = x[i]
        while t < 4.0:
            t = t + 1.5
        print(t)
        y[i] = t


def may_overflow(x, y):
    for i in range(len(x)):
        n = 1
        while n * n < 10**9:
            n = n * 3 + i
        y[i] = n


def places_that_are_read(x, y):
    for i in range(len(x)):
        k = int(abs(x[i])) % len(x)
        t = x[k]
        while t < 4.0:
            t = t + 1.5
        y[k] = t


@pytest.mark.parametrize(
    "program",
    [reads_its_neighbour, one_place_for_all, other_order, carries_a_number, prints, may_overflow, places_that_are_read],
)
def test_other_loops_run_in_order(program) -> None:
    scripted = script(program)
    for size in (2, 5, 17):
        x = 3.0 * np.random.default_rng(size).standard_normal(size)
        check(program, x, x + 1, scripted=scripted, tolerance=0.0)
    assert "lanes" not in scripted.ir("after:independent")


def test_errors_come_in_order() -> None:
    scripted = script(last_values)
    for n, m in ((20, 7), (7, 20), (3, 0)):
        check(last_values, np.linspace(1.0, 2.0, n), np.zeros(m), scripted=scripted)
