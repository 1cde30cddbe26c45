"""What a call costs when there is next to nothing to compute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks import names
from benchmarks.measure import Case, local_case


def double_plus_one(x: Any) -> Any:
    return x * 2 + 1


def add(a: float, b: float) -> float:
    return a + b


def nothing(x: Any) -> None:
    return None


def cases() -> Iterator[Case]:
    x = np.arange(16, dtype=np.float32)
    t = tj.from_numpy(x)
    arrays, numbers, empty = tj.script(double_plus_one), tj.script(add), tj.script(nothing)
    yield local_case(
        "calls",
        f"{names.CALL}, ndarray",
        {"numpy": lambda: double_plus_one(x), "compiled": lambda: arrays(x), "bare builtin": lambda: len(x)},
    )
    yield local_case(
        "calls",
        f"{names.CALL}, Tensor",
        {"eager": lambda: double_plus_one(t), "compiled": lambda: arrays(t)},
    )
    leaf = tj.tensor(x, requires_grad=True)
    yield local_case(
        "calls",
        names.gradient(f"{names.CALL}, Tensor"),
        {"eager": lambda: double_plus_one(leaf), "compiled": lambda: arrays(leaf)},
    )
    yield local_case(
        "calls", "a + b, Python floats", {"python": lambda: add(1.5, 2.5), "compiled": lambda: numbers(1.5, 2.5)}
    )
    yield local_case(
        "calls", "a function that does nothing", {"python": lambda: nothing(x), "compiled": lambda: empty(x)}
    )
