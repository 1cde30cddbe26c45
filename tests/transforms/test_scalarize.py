"""Calls are inlined: the values of the graph that is called are its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracejit.ir import interpreter
from tracejit.ir.core import Block, Graph, Op
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.parser import parse
from tracejit.transforms import pipeline

CALLER = """graph @f(%x: {type}) on cpu {{
  %y = mul(%x, %x) : {type}
  %z = mul(%y, %y) : {type}
  %w = add(%z, %y) : {type}
  yield %w
}}"""


@pytest.mark.parametrize(
    ("type", "given"), [("f64", 1.5), ("f64[]", np.array(1.5)), ("f64[n]", np.array([1.5, 2.0, 3.0]))]
)
def test_a_called_graph_may_consist_of_values_of_its_caller(type: str, given: object) -> None:
    """As one does that the caller was derived from. Here `f` calls, for `z`, what its own first op makes."""
    graph = parse(CALLER.format(type=type))
    square, again, total = graph.body.ops
    callee = Graph("square", Block(graph.params, (square,), square.results))
    call = Op(REGISTRY["call"], square.results, {"callee": callee}, again.results)
    program = replace(graph, body=Block(graph.params, (square, call, total), graph.results))
    inlined = pipeline.run(program, ("scalarize",), verify=True)
    assert not any(op.name == "call" for op in inlined.body.ops)
    (expected,), (found,) = interpreter.run(graph, [given]), interpreter.run(inlined, [given])
    np.testing.assert_array_equal(found, expected)
