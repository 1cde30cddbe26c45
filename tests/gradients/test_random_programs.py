"""Gradients of random structured programs as native code, against the interpreter."""

from __future__ import annotations

import numpy as np
import pytest

from tests.transforms.derivatives import combined_gradients, gradient_graph
from tests.transforms.random_programs import Maker
from tests.transforms.test_vjp_random import inputs
from tracejit.ir import interpreter
from tracejit.ir.core import Graph
from tracejit.scripted.compiler import compile_graph

WANTED = (0, 1, 2, 3)


def check(graph: Graph, seed: int) -> None:
    expected = interpreter.run(graph, inputs(seed))
    compiled = compile_graph(graph)
    for _ in range(2):
        for x, y in zip(expected, compiled(inputs(seed)), strict=True):
            np.testing.assert_allclose(y, x, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("seed", [*range(400, 412), 12, 30, 31, 50])
def test_gradient(seed: int) -> None:
    check(gradient_graph(Maker(seed, named_size=bool(seed % 2)).graph(), WANTED), seed)


@pytest.mark.parametrize("seed", range(1000, 1008))
def test_gradient_with_more_ops(seed: int) -> None:
    check(gradient_graph(Maker(seed, named_size=bool(seed % 2), rich=True).graph(), WANTED), seed)


@pytest.mark.parametrize("seed", [*range(500, 504), 21])
def test_second_derivative(seed: int) -> None:
    first = gradient_graph(Maker(seed, named_size=bool(seed % 2)).graph(), WANTED)
    check(gradient_graph(combined_gradients(first, len(WANTED)), WANTED), seed)
