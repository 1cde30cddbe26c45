"""`unstack`: same meaning, and no list left where trip counts bound its length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.transforms import test_vjp_control as control
from tests.transforms.derivatives import gradient_graph, program, variables
from tests.transforms.random_programs import Maker
from tests.transforms.test_vjp_random import inputs
from tracejit.ir import interpreter
from tracejit.ir.core import Graph, walk
from tracejit.transforms import pipeline


def check(graph: Graph, *given: Any) -> Graph:
    """The unstacked gradient graph, which gives what the one with lists gives."""
    both = gradient_graph(graph, variables(given))
    flat = pipeline.run(both, ("unstack", *pipeline.LEVEL1), verify=True)
    for x, y in zip(interpreter.run(both, given), interpreter.run(flat, given), strict=True):
        np.testing.assert_array_equal(x, y)
    return flat


def lists_in(graph: Graph) -> list[str]:
    return [op.name for op in walk(graph.body) if op.name.startswith("list_")]


@pytest.mark.parametrize("trips", [0, 1, 4])
def test_counted_loop(trips: int) -> None:
    assert not lists_in(check(program(control.RECURRENCE), control.P, 1.3, trips))


@pytest.mark.parametrize("trips", [0, 1, 3])
def test_nest_whose_inner_loop_pushes_in_a_branch(trips: int) -> None:
    assert not lists_in(check(program(control.TRIANGLE), control.M, control.W, trips))


def test_while_loop_keeps_its_lists() -> None:
    assert lists_in(check(program(control.WHILE), 0.7, 1.3, 6))


def test_lists_of_arrays_stay() -> None:
    assert lists_in(check(program(control.MATRIX_POWER), control.M, control.W, 3))


@pytest.mark.parametrize("seed", range(300, 320))
def test_random_programs(seed: int) -> None:
    check(Maker(seed, named_size=bool(seed % 2)).graph(), *inputs(seed))
