"""Programs whose time is in their control flow: scalar loops, recurrences, loops that end on data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks.measure import Case, local_case
from benchmarks.scalar_programs import edit_distance
from tracejit.demo.programs import fixed_point, recurrent


def jacobi(a: Any, b: Any, steps: int) -> Any:
    """Heat flow on a grid."""
    for _ in range(steps):
        b[1:-1, 1:-1] = 0.25 * (a[:-2, 1:-1] + a[2:, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:])
        a[1:-1, 1:-1] = 0.25 * (b[:-2, 1:-1] + b[2:, 1:-1] + b[1:-1, :-2] + b[1:-1, 2:])
    return a


def collatz(n: int) -> int:
    """Steps to 1."""
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def cases() -> Iterator[Case]:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 4, 100) for _ in range(2))
    table = np.zeros((101, 101), np.int64)
    fast = tj.script(edit_distance)
    yield local_case(
        "loops",
        "edit distance, 100 x 100",
        {"python": lambda: edit_distance(a, b, table), "compiled": lambda: fast(a, b, table)},
    )
    grid, other = rng.standard_normal((256, 256)), np.zeros((256, 256))
    flow = tj.script(jacobi)
    yield local_case(
        "loops",
        "Jacobi 256 x 256, 10 double steps",
        {"numpy": lambda: jacobi(grid, other, 10), "compiled": lambda: flow(grid, other, 10)},
    )
    count = tj.script(collatz)
    yield local_case(
        "loops", "Collatz from 837,799", {"python": lambda: collatz(837_799), "compiled": lambda: count(837_799)}
    )
    yield from _tensor_loops(rng)


def _tensor_loops(rng: np.random.Generator) -> Iterator[Case]:
    xs, w_in, w_state = (
        tj.tensor(rng.standard_normal(s, dtype=np.float32) * 0.3) for s in ((100, 4, 8), (8, 16), (16, 16))
    )
    net = tj.script(recurrent)
    yield local_case(
        "loops",
        "recurrent network, 100 steps",
        {"eager": lambda: recurrent(xs, w_in, w_state), "compiled": lambda: net(xs, w_in, w_state)},
    )
    w, b = tj.tensor(0.1 * rng.standard_normal((20, 20))), tj.tensor(rng.standard_normal(20))
    solve = tj.script(fixed_point)
    yield local_case(
        "loops",
        "fixed point to 1e-9",
        {"eager": lambda: fixed_point(w, b, 1e-9), "compiled": lambda: solve(w, b, 1e-9)},
    )
    leaves = [tj.tensor(t.numpy(), requires_grad=True) for t in (w_in, w_state)]

    def with_gradient(fn: Any) -> None:
        fn(xs, *leaves).backward()
        for leaf in leaves:
            leaf.grad = None

    yield local_case(
        "loops",
        "recurrent network, 100 steps, with gradient",
        {"eager": lambda: with_gradient(recurrent), "compiled": lambda: with_gradient(net)},
    )
