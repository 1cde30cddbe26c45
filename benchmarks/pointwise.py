"""Chains of pointwise operations: one kernel instead of one pass over memory per operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks.measure import Case, local_case

SIZES = (1_000, 100_000, 10_000_000)


def heavy(x: Any, w: Any, b: Any) -> Any:
    return tj.tanh(x * w + b) * tj.sigmoid(x) + tj.exp(-x * x)


def heavy_numpy(x: Any, w: Any, b: Any) -> Any:
    return np.tanh(x * w + b) * (1 / (1 + np.exp(-x))) + np.exp(-x * x)


def light(x: Any, w: Any, b: Any) -> Any:
    return x * w + b


def data(size: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal(size, dtype=np.float32) for _ in range(3))


def cases() -> Iterator[Case]:
    for size in SIZES:
        x, w, b = data(size)
        tx, tw, tb = map(tj.from_numpy, (x, w, b))
        fast, fast_light = tj.script(heavy), tj.script(light)
        yield local_case(
            "pointwise",
            f"tanh(x*w+b)*sigmoid(x)+exp(-x*x), {size:,}",
            {
                "numpy": lambda: heavy_numpy(x, w, b),  # noqa: B023
                "eager": lambda: heavy(tx, tw, tb),  # noqa: B023
                "compiled": lambda: fast(x, w, b),  # noqa: B023
            },
            traffic=16 * size,
        )
        yield local_case(
            "pointwise",
            f"x*w+b, {size:,}",
            {
                "numpy": lambda: light(x, w, b),  # noqa: B023
                "eager": lambda: light(tx, tw, tb),  # noqa: B023
                "compiled": lambda: fast_light(x, w, b),  # noqa: B023
            },
            traffic=16 * size,
        )
