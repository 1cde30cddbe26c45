"""Functions of scalar loops: the C library's where trips wait for them, our own elsewhere."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj

A = np.linspace(0.1, 2.0, 30)


def chain(n: int, x: float) -> float:
    for _ in range(n):
        x = math.sin(x) + 0.1
    return x


def crossed(n: int, x: float) -> float:
    y = x
    for _ in range(n):
        x, y = math.cos(y), math.exp(-x)
    return x + y


def by_branches(n: int, x: float) -> float:
    for i in range(n):
        y = x + 1.0
        if i % 3 == 0:
            x = math.log(y)
        elif x < 1.0:
            x = math.atan2(y, 0.7)
    return x


def inside(n: int, x: float) -> float:
    total = 0.0
    for i in range(n):
        y = x * i
        for j in range(5):
            y = math.tan(y * 0.1) + j
        total += y
    return total


def until_settled(n: int, x: float) -> float:
    y = x + n
    while abs(y - x) > 1e-12:
        y, x = x, math.cos(x)
    return x


WAITING = {
    chain: {"sin"},
    crossed: {"cos", "exp"},
    by_branches: {"log", "atan2"},
    inside: {"tan"},
    until_settled: {"cos"},
}


def called(fn: Callable[..., Any], *args: Any) -> tuple[Any, set[str]]:
    """The result, and which functions of the C library the loops call."""
    scripted = tj.script(fn)
    return scripted(*args), set(re.findall(r"call double @(sin|cos|tan|exp|log|atan2)\(", scripted.llvm))


@pytest.mark.compiled
@pytest.mark.parametrize("fn", WAITING, ids=lambda fn: fn.__name__)
def test_trips_that_wait_have_the_functions_of_the_c_library(fn: Callable[..., Any]) -> None:
    found, names = called(fn, 17, 0.3)
    assert names == WAITING[fn]
    assert found == fn(17, 0.3)


def of_elements(a: Any) -> float:
    total = 0.0
    for i in range(len(a)):
        total = total * 0.5 + math.log(a[i])
    return total


def of_a_counter(a: Any) -> float:
    total, i = 0.0, 0
    while i < len(a):
        total += math.exp(a[i] + i * 0.01)
        i += 1
    return total


def of_what_an_outer_loop_carries(a: Any) -> float:
    x = 0.3
    for _ in range(4):
        total = 0.0
        for j in range(len(a)):
            total += math.exp(x * a[j])
        x = total * 0.01
    return x


@pytest.mark.compiled
@pytest.mark.parametrize("fn", [of_elements, of_a_counter, of_what_an_outer_loop_carries])
def test_trips_that_do_not_wait_have_our_own(fn: Callable[..., Any]) -> None:
    found, names = called(fn, A)
    assert not names
    assert math.isclose(found, fn(A), rel_tol=1e-14)


@pytest.mark.compiled
def test_a_target_without_the_library_has_our_own(tmp_path: Any) -> None:
    """A WebAssembly module would have to ask its host for `log`."""
    tj.export(by_branches, (17, 0.3), str(tmp_path / "by_branches.wasm"))


def test_a_derivative_of_a_chain() -> None:
    value, slope = tj.value_and_grad(chain, argnums=1)(9, 0.3)
    x, expected = 0.3, 1.0
    for _ in range(9):
        x, expected = math.sin(x) + 0.1, expected * math.cos(x)
    assert math.isclose(value, x, rel_tol=1e-14) and math.isclose(slope, expected, rel_tol=1e-13)
