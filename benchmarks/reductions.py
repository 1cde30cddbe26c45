"""Sums, and row-wise programs that are one kernel when compiled, with their gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks import inputs, names
from benchmarks.measure import Case, local_case
from benchmarks.pointwise import flat


def total(x: Any) -> Any:
    return (x * x).sum()


def gelu(x: Any) -> Any:
    return tj.gelu(x)


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def normalise(x: Any) -> Any:
    centred = x - x.mean(axis=1, keepdims=True)
    variance = (centred * centred).mean(axis=1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5)


def weighted(fn: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """The sum of a result times weights: its gradient with respect to `x` is the vjp of the weights."""

    def loss(x: Any, c: Any) -> Any:
        return (fn(x) * c).sum()

    return loss


def exact_gradient(fn: Callable[[Any], Any], x: Any, c: Any) -> tuple[Any, Any]:
    """Value and gradient in float64 on the eager tape, which shares no kernel with the compiled one."""
    leaf = tj.tensor(x.astype(np.float64), requires_grad=True)
    value = weighted(fn)(leaf, tj.tensor(c.astype(np.float64)))
    value.backward()
    assert leaf.grad is not None
    return value.detach().numpy(), leaf.grad.numpy()


def cases() -> Iterator[Case]:
    programs = {"sum of squares": total, "gelu": gelu, "softmax": softmax, "layer norm": normalise}
    for rows in (64, inputs.ROWS):
        x, c = (inputs.normal(rows, rows, seed=s) for s in range(2))
        t = tj.from_numpy(x)
        for name, program in programs.items():
            fast = tj.script(program)
            variants = {"eager": lambda: program(t), "compiled": lambda: fast(x)}  # noqa: B023
            if name != "gelu":
                variants = {"numpy": lambda: program(x), **variants}  # noqa: B023
            traffic = (8 if name != "sum of squares" else 4) * x.size
            yield local_case(
                "reductions",
                names.rowwise(name, rows),
                variants,
                traffic=traffic,
                reference=lambda: program(x.astype(np.float64)),  # noqa: B023
            )
            if name == "sum of squares":
                continue
            gradient = tj.value_and_grad(weighted(program))
            yield local_case(
                "reductions",
                names.gradient(names.rowwise(name, rows)),
                {"compiled": lambda: flat(gradient(x, c))},  # noqa: B023
                traffic=12 * x.size,
                reference=lambda: exact_gradient(program, x, c),  # noqa: B023
            )
