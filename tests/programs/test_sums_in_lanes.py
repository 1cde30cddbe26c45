"""Loops that add costly numbers: these are computed in lanes, and added in the order of the trips, to the bit."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

from benchmarks.scalar_programs import integral
from tests.programs.compare import check
from tracejit.scripted import script

pytestmark = pytest.mark.compiled


def two_sums(x, y):
    s = 1.0
    t = 2.0
    for i in range(len(x)):
        e = np.exp(x[i] * y[i])
        s += e
        t -= e * x[i]
    return s, t, s * t


def sum_and_values(x, y):
    s = 0.0
    for i in range(len(x)):
        y[i] = np.exp(x[i])
        s += y[i]
    for i in range(len(x)):
        y[i] /= s
    return s


def softmax_of_rows(a):
    for i in range(a.shape[0]):
        m = a[i, 0]
        for j in range(a.shape[1]):
            if a[i, j] > m:
                m = a[i, j]
        s = 0.0
        for j in range(a.shape[1]):
            a[i, j] = np.exp(a[i, j] - m)
            s += a[i, j]
        for j in range(a.shape[1]):
            a[i, j] /= s


def counted(x, y):
    n = np.int64(0)
    total = np.float64(0)
    for i in range(len(x)):
        k = np.int64(0)
        z = abs(x[i]) + 1.0
        while z > 0.01:
            z = z * 0.5 - 0.001
            k += np.int64(1)
        n += k
        total += z
        y[i] = z
    return n, total


def sums_of_sums(x, w):
    total = 0.0
    for i in range(len(x)):
        s = 0.0
        for k in range(len(w)):
            s += w[k] * x[i]
        total += s * s
    return total


def in_a_branch(x, wanted):
    s = 0.5
    if wanted > s:
        for i in range(len(x)):
            s += np.sin(x[i])
    return s


def with_infinities(x):
    s = 0.0
    for i in range(len(x)):
        s += np.log(x[i])
    return s


def mathematics(x):
    s = 0.0
    for i in range(len(x)):
        s += math.tanh(x[i]) * math.atan(x[i])
    return s


def of_some(x, limit):
    s = 0.0
    t = 1.0
    n = np.int64(0)
    for i in range(len(x)):
        if x[i] > limit:
            e = np.exp(x[i])
            s += e
            n += np.int64(1)
        else:
            t -= np.sin(x[i])
    return s, t, n


def of_either(x, limit):
    s = -0.0
    for i in range(len(x)):
        if x[i] > limit:
            s += np.exp(x[i])
        else:
            s -= np.cos(x[i])
    return s


def energy(x, cutoff):
    total = 0.0
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            d = x[i] - x[j]
            r = d * d + 0.01
            if r < cutoff:
                w = 1.0 / r
                total += w**6 - w**3
    return total


def numbers(n: int) -> np.ndarray:
    return np.random.default_rng(n).uniform(-1, 1, n)


SIZES = (0, 1, 2, 7, 8, 15, 16, 17, 33, 100, 257, 5000)
CALLS = {
    integral: [(0.0, 3.0, n) for n in SIZES],
    two_sums: [(numbers(n), numbers(n + 1)[:n].copy()) for n in SIZES],
    sum_and_values: [(numbers(n), np.zeros(n)) for n in SIZES],
    softmax_of_rows: [(numbers(n * m).reshape(n, m),) for n in (1, 3) for m in SIZES[1:-1]],
    counted: [(numbers(n), np.zeros(n)) for n in SIZES[:-1]],
    sums_of_sums: [(numbers(n), numbers(k)) for n in SIZES[:-1] for k in (0, 1, 3, 20)],
    in_a_branch: [(numbers(n), wanted) for n in SIZES for wanted in (0.0, 1.0)],
    with_infinities: [(abs(numbers(n)),) for n in SIZES] + [(np.array([1.0, 0.0, 2.0] * 7),), (-np.ones(20),)],
    mathematics: [(numbers(n),) for n in SIZES],
    of_some: [(numbers(n), limit) for n in SIZES for limit in (-2.0, 0.1, 2.0)],
    of_either: [(numbers(n), limit) for n in SIZES for limit in (-2.0, 0.1, 2.0)],
    energy: [(numbers(n), limit) for n in SIZES[:-2] for limit in (0.0, 0.3)],
}


@pytest.mark.parametrize("program", CALLS, ids=lambda fn: fn.__name__)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_sums(program) -> None:
    scripted = script(program)
    for arguments in CALLS[program]:
        check(program, *arguments, scripted=scripted, tolerance=1e-12)
    once = script(program)
    once(*copy.deepcopy(CALLS[program][-1]))
    assert "lanes = True" in once.ir("after:independent")


def exact(x, y):
    s = 0.0
    for i in range(len(x)):
        y[i] = np.cos(x[i])
        s += y[i]
    return s


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_order_of_additions_is_that_of_the_trips(dtype: str) -> None:
    scripted = script(exact)
    for n in SIZES:
        x = (numbers(n) * 1e3).astype(dtype)
        y = np.zeros(n, dtype)
        found = scripted(x, y)
        total = 0.0
        for value in y.tolist() if dtype == "float64" else y:
            total += value
        assert found == total


def reads_the_sum(x):
    s = 0.0
    for i in range(len(x)):
        s += np.exp(x[i] - s)
    return s


def looks_in_a_branch(x):
    s = 0.0
    for i in range(len(x)):
        if s < 10.0:
            s += np.exp(x[i])
    return s


def keeps_the_sum(x, y):
    s = 0.0
    for i in range(len(x)):
        s += np.exp(x[i])
        y[i] = s
    return s


@pytest.mark.parametrize("program", [reads_the_sum, looks_in_a_branch, keeps_the_sum])
def test_sums_that_trips_look_at_are_made_one_by_one(program) -> None:
    arguments = (numbers(40), np.zeros(40))[: program.__code__.co_argcount]
    check(program, *arguments, tolerance=1e-12)
    scripted = script(program)
    scripted(*arguments)
    assert "lanes" not in scripted.ir("after:independent")
