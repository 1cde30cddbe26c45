"""Matrix products: small ones by own kernels, large ones by the BLAS that NumPy brings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks.measure import Case, local_case

SHAPES = ((8, 8, 8), (32, 32, 32), (64, 1000, 100), (512, 512, 512))


def product(a: Any, b: Any) -> Any:
    return a @ b


def cases() -> Iterator[Case]:
    rng = np.random.default_rng(0)
    fast = tj.script(product)
    for m, k, n in SHAPES:
        a, b = (rng.standard_normal(s, dtype=np.float32) for s in ((m, k), (k, n)))
        yield local_case(
            "products",
            f"{m} x {k} x {n}",
            {"numpy": lambda: a @ b, "compiled": lambda: fast(a, b)},  # noqa: B023
            work=2 * m * k * n,
        )
