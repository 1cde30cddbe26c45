"""`script(memory=...)`: derivatives of loops under a budget, with the same bits."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import pytree


def counted(x, w, n):
    a, b = x, 0.1
    for _ in range(n):
        a, b = math.sin(a * w) + b * 0.1, math.tanh(b + a * x)
    return a * b + a


def conditional(x, w, limit):
    a, s, n = x, 0.0, 0
    while n < limit:
        a = math.sin(a * w) + x * 0.5
        if a > 0.9:
            s += a * a
        n += 1
    return a + s


def broken_off(x, w, n):
    a = x
    for i in range(n):
        a = a * w + 0.01
        if a > 3.0:
            return a * x
    return a


def arrays(x, w, n):
    y = x * w
    for i in range(n):
        y = np.tanh(y * 1.01 + 0.01 * x)
        y[i % 3] *= 0.5
    return y.sum()


def in_place(x, w, n):
    p = np.zeros(n)
    p[0] = x[0]
    for i in range(1, n):
        p[i] = np.tanh(p[i - 1] * w) + x[i % 3]
    return p.sum()


def nested(x, w, n):
    s = 0.0
    for i in range(n):
        for j in range(i):
            s = math.sin(s + x * j) * w
    return s


def stencil(u, n):
    for _ in range(n):
        u[1:-1, 1:-1] = np.tanh(u[:-2, 1:-1] + u[2:, 1:-1] - u[1:-1, :-2] - u[1:-1, 2:])
    return (u * u).sum()


X = np.array([0.3, -0.8, 0.5])
CASES = [
    (fn, start, n)
    for fn, start in ((counted, 0.3), (conditional, 0.3), (broken_off, 0.3), (arrays, X), (in_place, X), (nested, 0.4))
    for n in (0, 1, 45, 200)
    if not (n == 0 and fn is in_place)
]


@pytest.mark.parametrize("budget", [500, "64MB"])
@pytest.mark.parametrize("fn", [counted, conditional, broken_off, arrays, in_place, nested])
def test_the_same_bits(fn: Callable[..., Any], budget: Any) -> None:
    plain, frugal = tj.value_and_grad(fn, (0, 1)), tj.value_and_grad(tj.script(memory=budget)(fn), (0, 1))
    for _, start, n in (case for case in CASES if case[0] is fn):
        expected = plain(copy.deepcopy(start), 0.9, n)
        found = frugal(copy.deepcopy(start), 0.9, n)
        for a, b in zip(pytree.leaves(expected), pytree.leaves(found), strict=True):
            np.testing.assert_array_equal(b, a)
    assert frugal.compiles == 1


def recurrent(w, u, x, h):
    for t in range(len(x)):
        h = np.tanh(h @ w + x[t] @ u)
    return np.sum(h * h)


def overwritten(w, u, x, h):
    for t in range(len(x)):
        h[:] = np.tanh(h @ w + x[t, 0, 0])
    return np.sum(h * u[0])


@pytest.mark.parametrize("rows", [1, 5, 33])
@pytest.mark.parametrize("fn", [recurrent, overwritten])
def test_the_same_bits_of_weights(fn: Callable[..., Any], rows: int) -> None:
    """Products of few rows are added up many trips at a time: the same trips, with segments and without."""
    rng = np.random.default_rng(rows)
    w, u, x, h = (rng.normal(size=s) * 0.3 for s in ((6, 6), (2, 6), (700, rows, 2), (rows, 6)))
    expected = tj.grad(fn, (0, 1))(w, u, x, h.copy())
    for budget in (4000, 40_000):
        for a, b in zip(expected, tj.grad(tj.script(memory=budget)(fn), (0, 1))(w, u, x, h.copy()), strict=True):
            np.testing.assert_array_equal(b, a)


def growing(a, n):
    c = a[:1] * 1.0
    for i in range(n):
        c = np.tanh(np.concatenate([c, c[-1:] * a[i % 5]]) * 1.1)
    return np.sum(c * c)


def shrinking(a, n):
    c, i = np.tile(a, 20), 0
    while len(c) > 2 and i < n:
        c = np.sin(c[1:] * c[:-1]) + a[i % 5]
        i += 1
    return np.sum(c)


def alternating(a, n):
    x, y = a * 1.0, a[:2] * 1.0
    for i in range(n):
        x, y = np.tanh(np.concatenate([y, x[:3]])), np.sin(x[:2] * a[i % 5] + y)
        if x[0] > 0.9:
            return np.sum(x) * i
        x = x[:4] if i % 2 else x
    return np.sum(x) * np.sum(y)


@pytest.mark.parametrize("fn", [growing, shrinking, alternating])
def test_the_same_bits_where_sizes_change(fn: Callable[..., Any]) -> None:
    a = np.array([0.31, -0.72, 1.23, 0.54, -0.25])
    for budget in (3000, 300):
        frugal = tj.script(memory=budget)(fn)
        for n in (0, 1, 7, 60):
            np.testing.assert_array_equal(tj.grad(frugal)(a, n), tj.grad(fn)(a, n))
    found, expected = (tj.jvp(tj.grad(f), (a, 7), (np.ones(5), None))[1] for f in (frugal, fn))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_on_the_tape_and_to_second_order() -> None:
    slopes = []
    for options in ({}, {"memory": 2000}):
        x = tj.tensor(X, requires_grad=True)
        tj.script(**options)(arrays)(x, 0.9, 100).backward()
        fn = tj.script(**options)(counted)
        forward = tj.jvp(fn, (0.3, 0.9, 300), (1.0, 0.0, None))[1]
        slopes.append((x.grad.tolist(), forward, tj.grad(tj.grad(fn))(0.3, 0.9, 300)))
    assert slopes[0][:2] == slopes[1][:2]
    assert slopes[1][2] == pytest.approx(slopes[0][2], rel=1e-12)  # sums of two runs of a loop, in another order


PEAK = """
import sys
from pathlib import Path
import numpy as np
import tracejit as tj
from tracejit.runtime.dispatch import is_available
from tests.gradients.test_memory import counted, recurrent, stencil

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])

options = {} if sys.argv[1] == "-" else {"memory": sys.argv[1]}
loop = {"numbers": counted, "sweeps": stencil, "recurrent": recurrent}[sys.argv[2]]
slope = tj.grad(tj.script(**options)(loop), (0, 1) if loop is counted else 0)
rng = np.random.default_rng(0)

def fn(n):
    if loop is counted:
        return slope(0.3, 0.9, n)
    if loop is recurrent:
        return slope(*(rng.normal(size=s) * 0.1 for s in ((64, 64), (1, 64), (n, 1, 1), (1, 64))))
    return slope(rng.normal(size=(200, 200)), n)

trips = int(sys.argv[3])
fn(trips // 20)  # compiles, also the products of many trips
is_available()  # what calls need is made behind a first one: it is not the loop's memory
before = peak()
fn(trips)
assert slope.compiles == 1
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("kind", "trips", "budget"), [("numbers", 3_000_000, 4), ("sweeps", 100, 8), ("recurrent", 40_000, 4)]
)
def test_a_long_loop_stays_under_the_budget(kind: str, trips: int, budget: int) -> None:
    def grown(memory: str) -> int:
        command = [sys.executable, "-c", PEAK, memory, kind, str(trips)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    besides = 1000  # kB: pages of stacks and of the allocator
    assert grown("-") > 20_000
    # The system keeps a count for each CPU and may now and then show one that is some megabytes off.
    assert any(grown(f"{budget}MB") < budget * 1000 + besides for _ in range(3))


def test_budgets_that_are_none() -> None:
    for wrong in ("lots", 0, -5, "4 XB", True):
        with pytest.raises(ValueError, match="memory"):
            tj.script(memory=wrong)
    assert tj.script(memory="1.5 GiB")(counted).options.memory == 3 << 29
