"""Sums, and row-wise programs that are one kernel when compiled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks.measure import Case, local_case


def total(x: Any) -> Any:
    return (x * x).sum()


def softmax(x: Any) -> Any:
    e = tj.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_numpy(x: Any) -> Any:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def normalise(x: Any) -> Any:
    centred = x - x.mean(axis=1, keepdims=True)
    variance = (centred * centred).mean(axis=1, keepdims=True)
    return centred / tj.sqrt(variance + 1e-5)


def normalise_numpy(x: Any) -> Any:
    centred = x - x.mean(axis=1, keepdims=True)
    variance = (centred * centred).mean(axis=1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5)


def cases() -> Iterator[Case]:
    rng = np.random.default_rng(0)
    for rows, columns in ((64, 64), (1000, 1000)):
        x = rng.standard_normal((rows, columns), dtype=np.float32)
        t = tj.from_numpy(x)
        programs = {
            "sum of squares": (total, total),
            "softmax": (softmax_numpy, softmax),
            "layer norm": (normalise_numpy, normalise),
        }
        for name, (plain, program) in programs.items():
            fast = tj.script(program)
            yield local_case(
                "reductions",
                f"{name}, {rows} x {columns}",
                {
                    "numpy": lambda: plain(x),  # noqa: B023
                    "eager": lambda: program(t),  # noqa: B023
                    "compiled": lambda: fast(x),  # noqa: B023
                },
                traffic=(8 if name != "sum of squares" else 4) * x.size,
            )
