"""Signals reach native loops: Ctrl-C, and whatever a program's own handlers raise."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit.codegen.llvm.entry import POLL_HOOK
from tracejit.runtime import dispatch
from tracejit.runtime.dispatch_tables import NativeContext, offset_of
from tracejit.runtime.interrupts import poll_hook

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer") or poll_hook() is None, reason="no timers or no poll hook"),
    pytest.mark.skipif(
        threading.current_thread() is not threading.main_thread(), reason="signals need the main thread"
    ),
]


class TooLong(Exception):
    pass


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """TooLong is raised in the main thread after so long."""

    def handler(*_: Any) -> None:
        raise TooLong("too long")

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def halve(x: float, least: float) -> float:
    while x > least:
        x = x * 0.5 + 0.5
    return x


def count_up(a: Any, limit: float) -> None:
    while a[0] < limit:
        a[0] += 1.0


def smooth(a: Any, least: float) -> Any:
    while a.sum() > least:
        a = np.sin(a) + 1.0
    return a


def grid(n: int, limit: int) -> int:
    total = 0
    for _ in range(n):
        for j in range(limit):
            total = (total * 31 + j) % 1_000_003
    return total


def over_and_over(n: int, limit: int) -> int:
    total = 0
    for _ in range(n):
        for j in range(limit):
            for k in range(3):
                total = (total * 31 + j * k) % 1_000_003
    return total


def search(x: Any, n: int, least: float) -> int:
    total = 0
    for _ in range(n):
        for j in range(len(x)):
            if x[j] > least:
                total = (total * 31 + j) % 1_000_003
                break
    return total


def least_factor(n: int) -> int:
    for d in range(2, n):
        if n % d == 0:
            return d
    return n


def first(x: Any, y: Any) -> int:
    for j in range(len(x)):
        if x[j] > y[0]:
            return j
    return -1


def common(x: Any, y: Any) -> int:
    i = j = total = 0
    while i < len(x) and j < len(y):
        if x[i] < y[j]:
            i += 1
        elif x[i] > y[j]:
            j += 1
        else:
            total += 1
            i += 1
            j += 1
    return total


def pair(x: Any, y: Any) -> int:
    i, j = 0, len(x) - 1
    while i < j:
        if x[i] + x[j] < y[0]:
            i += 1
        else:
            j -= 2
    return i + j


def may_stay(x: Any, y: Any) -> int:
    i = j = 0
    while i < len(x) and j < len(y):
        if x[i] < y[j]:
            i += 1
        elif x[i] > y[j]:
            j += 1
        elif x[i] > 1:
            i += 1
    return i + j


def may_go_back(x: Any, y: Any) -> int:
    i = j = 0
    while i < len(x) and j < len(y):
        if x[i] < y[j]:
            i += 1
            j -= 1
        else:
            j += 1
    return i + j


def steps_of_data(x: Any, y: Any) -> int:
    i = j = 0
    while i < len(x) and j < len(y):
        if x[i] < y[j]:
            i += int(y[0])
        else:
            j += 1
    return i + j


def bound_moves(x: Any, y: Any) -> int:
    i = j = 0
    while i < j + 2 and j < len(y):
        if x[i] < 2:
            i += 1
        else:
            j += 1
    return i + j


ENDLESS: list[tuple[Callable[..., Any], Callable[[], tuple[Any, ...]], tuple[Any, ...]]] = [
    (halve, lambda: (2.0, 0.0), (2.0, 1.5)),
    (count_up, lambda: (np.zeros(2), np.inf), (np.zeros(2), 1.0)),
    (smooth, lambda: (np.ones(1000), -1.0), (np.ones(1000), 1e6)),
    (grid, lambda: (10**9, 10**5), (2, 3)),
    (over_and_over, lambda: (10**9, 10**5), (2, 3)),
    (search, lambda: (np.ones(10**5), 10**9, 2.0), (np.ones(3), 2, 0.5)),
    (least_factor, lambda: (2**61 - 1,), (35,)),
    (may_stay, lambda: (np.ones(2), np.ones(2)), (np.ones(2), np.zeros(2))),
]


@pytest.mark.parametrize(("fn", "endless", "short"), ENDLESS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_loop_without_end_is_interrupted(fn: Callable[..., Any], endless: Any, short: Any) -> None:
    script = tj.script(fn)
    script(*short)
    with pytest.raises(TooLong, match="too long"), limit(0.1):
        script(*endless())
    script(*short)  # works on


@pytest.mark.parametrize("fn", [first, common, pair, may_stay, may_go_back, steps_of_data, bound_moves])
def test_only_what_may_take_long_asks(fn: Callable[[Any, Any], int]) -> None:
    script, x, y = tj.script(fn), np.array([1.0, 2.0, 4.0]), np.array([2.0, 3.0])
    assert script(x, y) == fn(x, y)
    assert ("interrupted" in script.llvm) == (fn not in (first, common, pair))


def test_while_true_is_interrupted() -> None:
    def forever(a: Any) -> None:
        while True:
            a[0] += 1.0

    script, a = tj.script(forever), np.zeros(2)
    for seconds in (0.1, 1.0, 10.0):  # until the compiler is done before
        with pytest.raises(TooLong), limit(seconds):
            script(a)
        if a[0] > 0:
            break
    assert a[0] > 1000


def test_what_was_written_stays_and_nothing_leaks() -> None:
    script = tj.script(count_up)
    script(np.zeros(2), 1.0)
    a = np.zeros(2)
    with pytest.raises(TooLong), limit(0.1):
        script(a, np.inf)
    assert a[0] > 1000 and a[1] == 0


def test_the_portable_path_is_interrupted() -> None:
    script = tj.script(halve)
    script(2.0, 1.5)
    with dispatch.all_slow(), pytest.raises(TooLong), limit(0.1):
        script(2.0, 0.0)


def test_loops_of_other_threads_go_on() -> None:
    script = tj.script(count_up)
    script(np.zeros(1), 1.0)
    a = np.zeros(1)
    thread = threading.Thread(target=script, args=(a, 3e8))
    thread.start()
    with pytest.raises(TooLong), limit(0.01):
        time.sleep(5)
    thread.join()
    assert a[0] == 3e8


def test_loops_find_the_hook_where_calls_put_it() -> None:
    assert offset_of(NativeContext, "poll_hook") == POLL_HOOK


def leading_zeros(a: Any) -> int:
    j = 0
    while j < len(a) and a[j] == 0.0:
        j += 1
    return j


def weighted(a: Any) -> Any:
    for i in range(len(a)):
        for k in range(3):
            a[i] += k * a[i]
    return a


def smallest(a: Any) -> int:
    lo = 0
    hi = len(a)
    while lo < hi:
        middle = (lo + hi) // 2
        if a[middle] < 1.0:
            lo = middle + 1
        else:
            hi = middle
    return lo


@pytest.mark.compiled
@pytest.mark.parametrize(("fn", "asks"), [(leading_zeros, False), (weighted, False), (smallest, True)])
def test_loops_that_are_over_soon_do_not_ask(fn: Callable[..., Any], asks: bool) -> None:
    script = tj.script(fn)
    script(np.zeros(5))
    assert ("@llvm.usub" in script.llvm) == asks
