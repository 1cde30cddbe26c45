"""Nests of loops over elements whose indices fit where sizes do: there trips run side by side, elsewhere one by one, up
to the one that fails."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from benchmarks.scalar_programs import product
from tests.programs.compare import check
from tests.threads import each_number_of_threads
from tracejit.scripted import script

pytestmark = pytest.mark.compiled


def product_in_place(a, b, c):
    for i in range(len(a)):
        for j in range(len(b[0])):
            for k in range(len(b)):
                c[i, j] += a[i, k] * b[k, j]


def convolution(x, w, y):
    for i in range(len(y)):
        s = 0.0
        for j in range(len(w)):
            s += x[i + j] * w[j]
        y[i] = s


def forces(p, v, m):
    for _ in range(3):
        for i in range(len(p)):
            fx = 0.0
            fy = 0.0
            for j in range(len(p)):
                dx = p[j, 0] - p[i, 0]
                dy = p[j, 1] - p[i, 1]
                w = m[j] / (dx * dx + dy * dy + 0.5)
                fx += w * dx
                fy += w * dy
            v[i, 0] += 0.1 * fx
            v[i, 1] += 0.1 * fy
        for i in range(len(p)):
            p[i, 0] += 0.1 * v[i, 0]
            p[i, 1] += 0.1 * v[i, 1]


def polynomials(x, c, y):
    for i in range(len(x)):
        s = 0.0
        for k in range(len(c) - 1, -1, -1):
            s = s * x[i] + c[k]
        y[i] = s


def blurred(x, y):
    for i in range(1, x.shape[0] - 1):
        for j in range(1, x.shape[1] - 1):
            s = 0.0
            for a in range(-1, 2):
                for b in range(-1, 2):
                    s += x[i + a, j + b]
            y[i, j] = s / 9


def powers_of_rows(x, y, n):
    for i in range(len(x)):
        for j in range(x.shape[1]):
            p = 1.0
            for _ in range(n):
                p *= x[i, j]
            y[j, i] = p


def largest_product(a, b, c):
    for i in range(len(c)):
        best = -np.inf
        for k in range(len(a)):
            t = a[k] * b[i]
            if t > best:
                best = t
        c[i] = best


def numbers(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape)


#: Programs, with arguments that fit and such that do not.
FITS = {
    product: [
        (numbers(n, k), numbers(k, m), numbers(n, m)) for n, k, m in ((1, 1, 1), (2, 3, 4), (9, 17, 33), (5, 0, 3))
    ],
    product_in_place: [(numbers(n, k), numbers(k, m), numbers(n, m)) for n, k, m in ((1, 2, 1), (8, 7, 40))],
    convolution: [(numbers(n + m - 1), numbers(m), numbers(n)) for n, m in ((1, 1), (2, 3), (70, 5), (300, 2))],
    forces: [(numbers(n, 2), numbers(n, 2), numbers(n)) for n in (1, 2, 9, 40)],
    polynomials: [(numbers(n), numbers(k), numbers(n)) for n, k in ((1, 1), (5, 3), (100, 9), (7, 0))],
    blurred: [(numbers(n, m), numbers(n, m)) for n, m in ((2, 2), (3, 3), (8, 70))],
    powers_of_rows: [(numbers(n, m), numbers(m, n), 3) for n, m in ((1, 2), (5, 30))],
    largest_product: [(numbers(k), numbers(n), numbers(n)) for k, n in ((1, 1), (4, 60))],
}
MISFITS = {
    product: [
        (numbers(4, 5), numbers(4, 20), numbers(4, 20)),
        (numbers(4, 5), numbers(5, 20), numbers(3, 20)),
        (numbers(4, 5), numbers(5, 20), numbers(4, 19)),
        (numbers(4, 5), numbers(6, 20), numbers(9, 30)),
        (numbers(0, 5), numbers(3, 20), numbers(1, 1)),
    ],
    product_in_place: [(numbers(4, 5), numbers(6, 20), numbers(4, 20)), (numbers(4, 5), numbers(5, 20), numbers(4, 9))],
    convolution: [(numbers(20), numbers(4), numbers(18)), (numbers(20), numbers(4), numbers(9))],
    forces: [(numbers(9, 2), numbers(8, 2), numbers(9)), (numbers(9, 1), numbers(9, 2), numbers(9))],
    polynomials: [(numbers(9), numbers(3), numbers(8)), (numbers(9), numbers(3), numbers(12))],
    blurred: [(numbers(9, 20), numbers(9, 15)), (numbers(9, 20), numbers(5, 20))],
    powers_of_rows: [(numbers(5, 30), numbers(30, 4), 2), (numbers(5, 30), numbers(20, 5), 2)],
    largest_product: [(numbers(3), numbers(9), numbers(12))],
}


@pytest.mark.parametrize("program", FITS, ids=lambda fn: fn.__name__)
def test_nests(program) -> None:
    scripted = script(program)
    with each_number_of_threads(1, 3) as counts:
        for _ in counts:
            for arguments in (*FITS[program], *MISFITS[program]):
                check(program, *arguments, scripted=scripted, tolerance=1e-12)
    once = script(program)
    once(*copy.deepcopy(FITS[program][1]))
    assert "lanes = True" in once.ir("after:independent")


def test_float32_and_strides() -> None:
    scripted = script(product)
    for dtype in ("float32", "float64"):
        a, b, c = (numbers(*s).astype(dtype) for s in ((6, 11), (11, 50), (6, 50)))
        for x, y in ((a, b), (a[:, ::-1], b), (a, np.asfortranarray(b)), (np.asfortranarray(a), b[:, ::-1])):
            check(product, x, y, c, scripted=scripted, tolerance=1e-5 if dtype == "float32" else 1e-12)


def test_one_array_that_is_read_and_written() -> None:
    a = numbers(20, 20)
    for arguments in ((a, a.copy(), a), (a, a, a.copy()), (a, a, a)):
        check(product, *arguments, tolerance=1e-9)


def shifted_sums(a, n):
    for i in range(n):
        for j in range(1, len(a)):
            s = 0.0
            for k in range(3):
                s += a[j - 1] * 0.1
            a[j] = s


def test_trips_that_read_what_others_write_run_in_order() -> None:
    check(shifted_sums, numbers(50), 4)
    scripted = script(shifted_sums)
    scripted(numbers(50), 4)
    assert "lanes" not in scripted.ir("after:independent")
