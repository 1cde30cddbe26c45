"""Chains of pointwise operations: one kernel instead of one pass over memory per operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks import c_programs, inputs, names
from benchmarks.measure import Case, local_case


def heavy(x: Any, w: Any, b: Any) -> Any:
    return tj.tanh(x * w + b) * tj.sigmoid(x) + tj.exp(-x * x)


def heavy_sum(x: Any, w: Any, b: Any) -> Any:
    return heavy(x, w, b).sum()


def heavy_numpy(x: Any, w: Any, b: Any) -> Any:
    return np.tanh(x * w + b) * (1 / (1 + np.exp(-x))) + np.exp(-x * x)


def heavy_gradient(x: Any, w: Any, b: Any) -> Any:
    """The sum and its derivatives, by hand."""
    t, s, e = np.tanh(x * w + b), 1 / (1 + np.exp(-x)), np.exp(-x * x)
    d = s * (1 - t * t)
    return (t * s + e).sum(), d * w + t * s * (1 - s) - 2 * x * e, d * x, d


def light(x: Any, w: Any, b: Any) -> Any:
    return x * w + b


def double(arrays: tuple[Any, ...]) -> list[Any]:
    return [a.astype(np.float64) for a in arrays]


def cases() -> Iterator[Case]:
    for size in inputs.POINTWISE:
        x, w, b = args = inputs.pointwise(size)
        tx, tw, tb = map(tj.from_numpy, args)
        fast, fast_light = tj.script(heavy), tj.script(light)
        gradient = tj.value_and_grad(heavy_sum, argnums=(0, 1, 2))
        name = names.chain(size)
        yield local_case(
            "pointwise",
            name,
            {
                "numpy": lambda: heavy_numpy(x, w, b),  # noqa: B023
                "eager": lambda: heavy(tx, tw, tb),  # noqa: B023
                "compiled": lambda: fast(x, w, b),  # noqa: B023
                **c_programs.variant(name),
            },
            traffic=16 * size,
            reference=lambda: heavy_numpy(*double(args)),  # noqa: B023
        )
        yield local_case(
            "pointwise",
            names.gradient(name),
            {
                "numpy": lambda: heavy_gradient(x, w, b),  # noqa: B023
                "compiled": lambda: flat(gradient(x, w, b)),  # noqa: B023
                **c_programs.variant(names.gradient(name)),
            },
            traffic=24 * size,
            reference=lambda: heavy_gradient(*double(args)),  # noqa: B023
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
            reference=lambda: light(*double(args)),  # noqa: B023
        )


def flat(found: tuple[Any, Any]) -> tuple[Any, ...]:
    """A value and its gradients as one tuple."""
    value, gradients = found
    return (value, *gradients) if isinstance(gradients, tuple) else (value, gradients)
