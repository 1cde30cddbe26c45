"""Host code that launches kernels is compiled quickly although it computes, to the same bits."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit.codegen.llvm import printer as llvm
from tracejit.codegen.llvm.text import is_quick


def numbers(x: Any, a: float, b: float, n: int) -> tuple[Any, ...]:
    rate = math.sqrt(abs(a)) / (1.0 - b**n)
    step = np.float32(rate) * np.float32(b) - np.float32(n)
    larger = a if a > b or a != a else -b
    return x * rate, rate, step, larger * 3.7 - b, a / 3.0 + n, -a < b


@pytest.mark.compiled
@pytest.mark.parametrize(("a", "b", "n"), [(0.1, 0.9, 3), (-2.5e300, 0.999, 7), (math.nan, -0.0, 2), (1e-310, 0.5, 1)])
def test_both_ways_give_the_same_bits(a: float, b: float, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.linspace(-1, 1, 5)
    efforts: list[str] = []
    inner = llvm._effort
    monkeypatch.setattr(llvm, "_effort", lambda *args: efforts.append(inner(*args)) or efforts[-1])
    found = []
    monkeypatch.setattr(llvm, "SHORT_ENTRY", -1)
    for is_heavy in (lambda stmt: False, llvm.is_heavy):
        monkeypatch.setattr(llvm, "is_heavy", is_heavy)
        script = tj.script(numbers, cache=False)
        try:
            made = script(x, a, b, n)
        except (ValueError, OverflowError) as error:
            made = (str(error),)
        found.append([np.asarray(part).tobytes() for part in made])
    assert found[0] == found[1] and efforts == ["careful", "quick"]


def test_what_the_quick_code_generator_must_not_get() -> None:
    quick = ["%b = fadd double %a, %a", "%b = call double @llvm.fabs.f64(double %a)", "%b = fptrunc double %a to float"]
    assert [is_quick(text, may_compute=True) for text in quick] == [True] * 3
    assert [is_quick(text) for text in quick] == [False] * 3
    never = [
        "fadd contract double",
        "= frem double",
        "@llvm.fmuladd.f64",
        "@llvm.floor.f64",
        "<4 x i32>",
        "half",
        "bfloat",
    ]
    assert not any(is_quick(f" {text} ", may_compute=True) for text in never)


def stacked(x: Any, n: int) -> Any:
    kept = []
    for _ in range(n):
        x = np.tanh(x * 0.5)
        kept.append(x)
    return np.stack(kept)


def last_of(x: Any, n: int) -> Any:
    rows = [np.cos(x), np.sin(x)]
    total = 0.0
    for i in range(n):
        total = total * 0.5 + rows[i % 2][i % 3]
    return total


def filled(x: Any, n: int) -> Any:
    flags = []
    for _ in range(n):
        flags.append(False)
    for i in range(n):
        x = np.tanh(x * 0.5)
    return x, len(flags)


def test_a_loop_that_appends_a_known_number_gains_nothing_beside_kernels() -> None:
    made = tj.script(filled)
    made(np.ones(3), 4)
    assert made.last.compiled is not None and not llvm.gains_by_passes(made.last.compiled.program)


def test_a_loop_that_only_copies_arrays_or_hands_them_on_gains_nothing_by_passes() -> None:
    made = tj.script(stacked)
    made(np.ones(3), 4)
    assert made.last.compiled is not None and not llvm.gains_by_passes(made.last.compiled.program)
    looked = tj.script(last_of)
    looked(np.ones(3), 4)
    assert looked.last.compiled is not None and llvm.gains_by_passes(looked.last.compiled.program)


def chosen(x: Any, y: Any, flag: bool, other: bool, n: int) -> Any:
    for _ in range(n):
        x = np.tanh(x) + y if flag else np.sin(x) - y
        x = np.cos(x) * y if other else np.exp(x)
        total = 0.0
        for i in range(len(y)):
            total = total * 0.5 + y[i]
        x = x * total
    return x


@pytest.mark.compiled
def test_loops_that_launch_kernels_are_not_doubled_by_passes() -> None:
    made = tj.script(chosen)
    x = np.linspace(-1, 1, 5)
    assert np.allclose(made(x, x + 2, True, False, 3), chosen(x, x + 2, True, False, 3))
    assert made.last.compiled is not None and llvm.gains_by_passes(made.last.compiled.program)
    launched = len(re.findall(r"call void @\"chosen\.", made.llvm))
    assert launched == len(re.findall(r"\s(?:callq?|bl|jmp)\s+_?\"?chosen\.", made.asm))
