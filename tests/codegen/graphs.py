"""Graphs as text, run both ways: the interpreter, and the lowered program on the loop-IR evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tracejit.ops  # noqa: F401
from tracejit.codegen.evaluate import Statistics, evaluate
from tracejit.codegen.loop_ir import Program
from tracejit.codegen.lowering.entry import lower
from tracejit.ir import interpreter
from tracejit.ir.core import Graph, walk
from tracejit.ir.parser import parse
from tracejit.ir.types import Order
from tracejit.ir.verifier import verify
from tracejit.transforms import pipeline

LEVEL2 = ("scalarize", "fuse", "dce", "ownership")


@dataclass
class Run:
    """What a run of the lowered graph gave and did."""

    graph: Graph
    program: Program
    results: list[Any]
    statistics: Statistics

    @property
    def copies(self) -> int:
        """How many explicit copies the graph makes."""
        return sum(op.name == "copy" for op in walk(self.graph.body))


def run(text: str, *inputs: Any, transforms: Sequence[str] = LEVEL2, layouts: Sequence[Order] | None = None) -> Run:
    """Run a graph both ways and compare; `inout` inputs of the lowered run end as the interpreter's last results."""
    source = parse(text)
    verify(source)
    expected = interpreter.run(source, [np.copy(x) if isinstance(x, np.ndarray) else x for x in inputs])
    graph = pipeline.run(source, transforms, verify=True)
    program = lower(graph, layouts=layouts)
    given = [_same_layout(x) if isinstance(x, np.ndarray) else x for x in inputs]
    statistics: list[Statistics] = []
    results = evaluate(program, given, statistics)
    finals = [given[i] for i in graph.inout]
    for found, wanted in zip([*results, *finals], expected, strict=True):
        np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-5, atol=1e-6)
        assert np.asarray(found).dtype == np.asarray(wanted).dtype
    for i, x in enumerate(inputs):
        if i not in graph.inout and isinstance(x, np.ndarray):
            np.testing.assert_array_equal(given[i], x, err_msg="an input was changed")
    return Run(graph, program, results, statistics[0])


def _same_layout(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A copy with the same strides."""
    low = np.lib.array_utils.byte_bounds(x)[0]
    span = np.lib.array_utils.byte_bounds(x)[1] - low
    if x.size == 0 or x.flags.c_contiguous:
        return np.array(x, order="C")
    memory = np.zeros(span, np.uint8)
    start = x.__array_interface__["data"][0] - low
    view = np.ndarray(x.shape, x.dtype, memory.data, start, x.strides)
    view[...] = x
    return view
