"""Programs whose time is in their control flow: recurrences, sweeps over grids, loops that end on data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks import c_programs, names
from benchmarks.loop_programs import LOOPS
from benchmarks.measure import Case, local_case
from benchmarks.pointwise import flat
from benchmarks.scalar_programs import edit_distance
from tracejit.demo.programs import fixed_point, recurrent


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
    count = tj.script(collatz)
    yield local_case(
        "loops", "Collatz from 837,799", {"python": lambda: collatz(837_799), "compiled": lambda: count(837_799)}
    )
    for name, (fn, data) in LOOPS.items():
        yield from _differentiated(name, fn, data())
    yield from _tensor_loops(rng)


def _differentiated(name: str, fn: Callable[..., Any], args: tuple[Any, ...]) -> Iterator[Case]:
    """A loop program, and the gradient of its sum of squares (of its result, where that is one number)."""
    forward = tj.script(fn)
    # C contracts a product and a sum to one rounding; without `fastmath` a script does not
    fast = {"fastmath": tj.script(fastmath=True)(fn)} if name == names.RECURRENCE else {}
    plain = {} if name in _SLOW else {"python": lambda: fn(*args)}
    yield local_case(
        "loops",
        name,
        {
            **plain,
            "compiled": lambda: forward(*args),
            **{key: lambda made=made: made(*args) for key, made in fast.items()},
            **c_programs.variant(name),
        },
        reference=None if name in _SLOW else lambda: fn(*(_double(a) for a in args)),
    )
    if name == names.MANDELBROT:  # its result is integers
        return

    def loss(*args: Any) -> Any:
        result = fn(*args)
        return result if np.ndim(result) == 0 else (result * result).sum()

    wrt = (0, 1) if name == names.RECURRENCE else 0
    gradient = tj.value_and_grad(loss, argnums=wrt)
    yield local_case(
        "loops",
        names.gradient(name),
        {"compiled": lambda: flat(gradient(*args)), **c_programs.variant(names.gradient(name))},
        reference=lambda: flat(gradient(*(_double(a) for a in args))),
    )


#: Cases whose plain Python takes seconds.
_SLOW = (names.MANDELBROT, names.GAUSS_SEIDEL)


def _double(value: Any) -> Any:
    return value.astype(np.float64) if isinstance(value, np.ndarray) else value


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
