"""First results by baseline code: the same to the bit, nothing done twice, and better code for later calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from benchmarks.compile_programs import five_loops
from tracejit import config
from tracejit.codegen.llvm.baseline import BUDGET
from tracejit.runtime import cpu, dispatch

pytestmark = pytest.mark.compiled


@pytest.fixture(autouse=True)
def baseline(tmp_path: Path) -> Iterator[None]:
    """An empty cache, and no thread that makes better code."""
    with config.override(baseline=True, cache_dir=tmp_path, num_threads=1):
        yield


def is_better(fn: Any) -> bool:
    """Whether there is better code than the baseline."""
    return "native" in vars(fn.last.compiled)


def bits(result: Any) -> list[Any]:
    """What a result is, to the bit."""
    parts = result if isinstance(result, tuple) else (result,)
    return [(type(x), np.asarray(x).tobytes()) for x in parts]


def test_later_calls_give_the_same_bits() -> None:
    a = np.random.default_rng(0).standard_normal((4, 4))
    fn = tj.script(five_loops)
    first = fn(a, a, 4)
    assert fn.last.compiled.baseline is not None
    assert not is_better(fn)
    second = fn(a, a, 4)
    assert is_better(fn)
    assert bits(first) == bits(second)
    assert bits(first[1:]) == bits(tuple(five_loops(a, a, 4))[1:])


def counted(n: Any) -> Any:
    total = 0
    for i in range(n):
        total += i % 7
    return total


def test_a_long_call_is_made_again_by_better_code() -> None:
    fn = tj.script(counted)
    n = 4 * BUDGET
    assert fn(n) == counted(n)
    assert fn.last.compiled.baseline is not None
    assert is_better(fn)


def increased(x: Any, n: Any) -> Any:
    for i in range(n):
        x[i % len(x)] += 1
        if x[0] == 7:
            print("seven at", i)
    if n % 2:
        raise ValueError(f"{n} is odd")
    return x[0] - x[5]


@pytest.mark.parametrize("n", [40, 41, 2 * BUDGET, 2 * BUDGET + 1])
def test_changes_and_prints_are_made_once(n: int, capsys: pytest.CaptureFixture[str]) -> None:
    def outcome(fn: Callable[..., Any]) -> tuple[Any, ...]:
        x = np.zeros(6)
        try:
            made = fn(x, n)
        except ValueError as error:
            made = str(error)
        return made, x.tolist(), capsys.readouterr().out

    fn = tj.script(increased)
    expected = outcome(increased)
    assert outcome(fn) == expected
    assert fn.last.compiled.baseline is not None
    assert is_better(fn) == (n >= BUDGET)
    assert outcome(fn) == expected


class Account:
    def __init__(self) -> None:
        self.total = 0


def paid(account: Any, values: Any, most: Any) -> Any:
    for v in values:
        account.total += int(v)
        if account.total > most:
            raise OverflowError(f"{account.total} is more than {most}")
    return account.total


def test_attributes_before_an_error() -> None:
    values = np.arange(10)
    for fn in (paid, tj.script(paid)):
        account = Account()
        with pytest.raises(OverflowError, match="6 is more than 5"):
            fn(account, values, 5)
        assert account.total == 6


def test_arrays_of_either_order_are_written_in_place() -> None:
    def shifted(x: Any) -> Any:
        for i in range(1, x.shape[0]):
            for k in range(x.shape[1]):
                x[i, k] += x[i - 1, k]

    for order in ("C", "F"):
        fn = tj.script(shifted)
        x, y = (np.array(np.arange(12.0).reshape(6, 2), order=order) for _ in range(2))
        shifted(x)
        fn(y)
        assert y.tolist() == x.tolist()


def depth(n: Any) -> Any:
    if n == 0:
        return 0
    total = 0
    for i in range(2):
        total += i
    return total + depth(n - 1)


def test_functions_that_call_themselves() -> None:
    fn = tj.script(depth)
    assert fn(50) == 50
    assert fn.last.compiled.baseline is not None
    assert not is_better(fn)
    assert tj.script(depth)(5000) == 5000


def test_more_of_the_stack_than_there_is() -> None:
    """A call that baseline code has no room for is better code's, which says how deep calls may be."""

    def deep(n: Any) -> Any:
        if n == 0:
            return 0.0
        return 0.5 + deep(n - 1)

    def sums(n: Any) -> Any:
        total = 0.0
        for i in range(3):
            total += deep(n + i)
        return total

    fn = tj.script(sums)
    assert fn(BUDGET // 8) == 3 * BUDGET / 16 + 1.5
    assert fn.last.compiled.baseline is not None


def powers(x: Any, n: Any) -> Any:
    total = 0.0
    for i in range(n):
        total = total * 0.5 + (x + i) ** (total / 100)
    return total


def test_library_functions_are_left_to_better_code() -> None:
    """LLVM's passes know some powers, which may come out otherwise in the last bit."""
    fn = tj.script(powers)
    fn(1.5, 10)
    assert fn.last.compiled.baseline is None


def oscillated(x: Any, n: Any) -> Any:
    y, v = x, 0.0
    for _ in range(n):
        v -= 0.1 * np.sin(y) + 0.01 * v * abs(v)
        if y > 0.3:
            v -= 0.05 * y * y
        y += 0.1 * v
    return y


def test_derivatives_give_the_same_bits() -> None:
    """Derivatives have fused operations, where the CPU has them, and functions of the C library."""
    slope = tj.grad(tj.grad(oscillated))
    slope(0.5, 20)
    compiled = slope.last.compiled
    assert compiled.baseline is not None
    assert not is_better(slope)
    for x in np.linspace(-2, 2, 9).tolist():
        assert bits(tuple(compiled.baseline.call([x, 20]))) == bits(tuple(compiled.native.call([x, 20])))


def test_large_arrays_are_for_better_code() -> None:
    def largest(x: Any) -> Any:
        best = x[0]
        for v in x:
            if v > best:
                best = v
        return best

    fn = tj.script(largest)
    assert fn(np.arange(float(BUDGET))) == BUDGET - 1
    assert is_better(fn)


def test_memory_is_given_back() -> None:
    """A call that is given up leaves nothing behind."""

    def grown(n: Any) -> Any:
        made = []
        for i in range(n):
            made.append(np.full(4, float(i)))
        total = 0.0
        for row in made:
            for k in range(4):
                total += row[k]
        return total

    fn = tj.script(grown)
    n = BUDGET // 2
    assert fn(n) == 2.0 * n * (n - 1)
    assert is_better(fn)


def test_a_thread_makes_better_code() -> None:
    a = np.random.default_rng(0).standard_normal((4, 4))
    with config.override(num_threads=2):
        fn = tj.script(five_loops)
        results = [fn(a, a, 4) for _ in range(3)]
        assert is_better(fn)
    assert all(bits(r) == bits(results[0]) for r in results)
    if dispatch.is_available():
        assert fn._specialisations


def test_calls_while_a_thread_makes_better_code_of_a_long_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracejit.scripted.compiler.WAITED_FOR", 0)
    makes = threading.Event()
    make = cpu.compile_program

    def waiting(*args: Any, **kwargs: Any) -> Any:
        makes.wait(60)
        return make(*args, **kwargs)

    monkeypatch.setattr(cpu, "compile_program", waiting)
    a = np.random.default_rng(0).standard_normal((4, 4))
    with config.override(num_threads=2):
        fn = tj.script(five_loops)
        results = [fn(a, a, 4) for _ in range(3)]
        assert not is_better(fn)
        makes.set()
        deadline = time.monotonic() + 60
        while not is_better(fn) and time.monotonic() < deadline:
            time.sleep(0.01)
        results.append(fn(a, a, 4))
        assert is_better(fn)
    assert all(bits(r) == bits(results[0]) for r in results)


def test_what_lies_on_the_disk() -> None:
    """Baseline code is kept where no thread makes better; better code is taken instead of it."""
    a = np.ones((3, 3))
    first = tj.script(five_loops)
    expected = bits(first(a, a, 3))
    names = {path.name for path in config.get("cache_dir").rglob("*.tjo")}
    again = tj.script(lambda a, b, n: five_loops(a, b, n))
    assert bits(again(a, a, 3)) == expected
    first(a, a, 3)
    assert names < {path.name for path in config.get("cache_dir").rglob("*.tjo")}
    later = tj.script(five_loops)
    assert bits(later(a, a, 3)) == expected
    assert later.last.compiled.baseline is None


def test_it_can_be_switched_off() -> None:
    with config.override(baseline=False):
        fn = tj.script(counted)
        assert fn(10) == counted(10)
        assert is_better(fn)
