"""Forward mode: equal to reverse mode, through all control flow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.transforms import test_expand_gradient as gradients
from tests.transforms import test_vjp_control as control
from tests.transforms.derivatives import gradient_graph, program, variables
from tests.transforms.random_programs import Maker
from tests.transforms.test_vjp_random import inputs
from tracejit.ir import interpreter
from tracejit.ir.core import Graph, walk
from tracejit.ir.verifier import verify
from tracejit.transforms import pipeline
from tracejit.transforms.derivatives.jvp import jvp_graph
from tracejit.transforms.derivatives.vjp import derive

P, W, M = control.P, control.W, control.M
PROGRAMS: list[tuple[str, tuple[Any, ...]]] = [
    (control.STRAIGHT, (W, W[::-1].copy())),
    (control.MATRICES, (M[:2], M, W)),
    (control.BRANCHES, (0.7, W, True)),
    (control.BRANCHES, (-0.7, W, True)),
    (control.RECURRENCE, (P, 1.3, 4)),
    (control.WHILE, (0.7, 1.3, 6)),
    (control.TRIANGLE, (M, W, 3)),
    (control.MATRIX_POWER, (M, W, 3)),
    (control.GROWING, (P[:3], 3)),
    (control.ROWS, (M, W, 2)),
    (control.LISTS, (0.7, 1.2, 3)),
    (control.REPLACED, (0.7, 1.2, 3)),
    (control.OVERWRITTEN, (W, 0.8, 3)),
    (control.TWICE, (W, 3)),
    (gradients.CUSTOM, (2.0, 3.0)),
]


def check_modes_agree(graph: Graph, given: Any) -> None:
    """<g, J t> by forward mode is <J^T g, t> by reverse mode."""
    wanted = variables(given)
    forward = jvp_graph(graph, wanted)
    verify(forward, "jvp")
    simple = pipeline.run(forward, pipeline.LEVEL1, verify=True)
    rng = np.random.default_rng(1)
    tangents = [rng.normal(size=np.shape(given[i])) for i in wanted]
    expected = interpreter.run(graph, given)
    derivative = derive(graph, wanted, lists=False)
    cotangents = [rng.normal(size=np.shape(expected[i])) for i in derivative.cotangents]
    residuals = interpreter.run(derivative.forward, given)[len(expected) :]
    slopes = interpreter.run(derivative.backward, [*residuals, *cotangents])
    reverse = sum(np.sum(s * t) for s, t in zip(slopes, tangents, strict=True))
    for one in (forward, simple):
        found = interpreter.run(one, [*given, *tangents])
        for x, y in zip(expected, found, strict=False):
            np.testing.assert_array_equal(x, y)
        outcome = sum(np.sum(c * t) for c, t in zip(cotangents, found[len(expected) :], strict=True))
        np.testing.assert_allclose(outcome, reverse, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("place", range(len(PROGRAMS)))
def test_forward_agrees_with_reverse(place: int) -> None:
    text, given = PROGRAMS[place]
    check_modes_agree(program(text), given)


@pytest.mark.parametrize("place", range(len(PROGRAMS) - 1))
def test_forward_over_reverse(place: int) -> None:
    text, given = PROGRAMS[place]
    check_modes_agree(gradient_graph(program(text), variables(given)), given)


@pytest.mark.parametrize("seed", range(200, 220))
def test_random_programs(seed: int) -> None:
    check_modes_agree(Maker(seed, named_size=bool(seed % 2)).graph(), inputs(seed))


def test_no_lists_are_needed() -> None:
    graph = jvp_graph(program(control.TRIANGLE), [0, 1])
    assert not [op for op in walk(graph.body) if op.name.startswith("list_")]
