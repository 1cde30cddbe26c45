"""Loops on the eager tape: what the forward saved reaches the backward as arrays, and nothing runs twice."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.gradients.programs import PROGRAMS
from tests.gradients.test_programs import differences
from tests.wrong_gradients.programs import REGISTRY
from tracejit.ir.core import walk

#: Programs whose floats are arrays; numbers stay Python numbers.
CASES = [
    pytest.param(fn, args, id=f"{fn.__name__}-{i}")
    for i, (fn, args) in enumerate([*PROGRAMS, *REGISTRY.programs])
    if all(isinstance(x, np.ndarray | int) for x in args)
]


@pytest.mark.parametrize(("fn", "args"), CASES)
def test_backward_twice(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    variables = [tj.tensor(x.copy(), requires_grad=True) if isinstance(x, np.ndarray) else x for x in args]
    out = tj.script(fn)(*(v * 1.0 if isinstance(v, tj.Tensor) else v for v in variables))
    with np.errstate(all="ignore"):
        expected = differences(fn, copy.deepcopy(args))
    for times in (1, 2):
        out.backward(retain_graph=times == 1)
        slopes = [v.grad.numpy() for v in variables if isinstance(v, tj.Tensor)]
        for found, slope in zip(slopes, expected, strict=True):
            np.testing.assert_allclose(found, times * slope, rtol=1e-6, atol=2e-7)


def numbers(x: Any) -> Any:
    s = x[0] * 0.0
    while s < 2.0:
        for v in x:
            s = s + tj.exp(v * s * 0.1)
    return s


def matrices(a: Any) -> Any:
    b = a
    for _ in range(4):
        b = tj.tanh(b @ a) + b
    return b.sum()


@pytest.mark.parametrize(("fn", "shape", "op"), [(numbers, (3,), "exp"), (matrices, (3, 3), "tanh")])
def test_the_backward_does_not_run_the_loops_again(fn: Callable[..., Any], shape: tuple[int, ...], op: str) -> None:
    scripted = tj.script(fn)
    x = tj.tensor(np.linspace(0.1, 0.4, int(np.prod(shape))).reshape(shape), requires_grad=True)
    scripted(x).backward()
    (function,) = scripted.last.differentiable.values()
    forward, backward = ({o.name for o in walk(c.graph.body)} for c in (function.forward, function.backward))
    assert op in forward and op not in backward
    assert not any(str(p.type).startswith("list") for p in function.backward.graph.params)
