"""Random programs and their gradients as ONNX models, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.programs.compare import Outcome
from tests.programs.differential import ORDINARY, Comparison, Depth, Variant, load
from tests.programs.generate import generate
from tracejit.deploy.onnx.write import onnx_model
from tracejit.errors import ExportError
from tracejit.ir.core import Graph
from tracejit.scripted.compiler import simplify

pytest.importorskip("onnx", reason="needs the package onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")


class StoppedError(Exception):
    """onnxruntime stopped at a check."""


def execute(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    model = onnx_model(graph, {}).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    try:
        found = session.run(None, {i.name: np.asarray(x) for i, x in zip(session.get_inputs(), inputs, strict=True)})
    except Exception as error:
        raise StoppedError(str(error)) from error
    return [x[()] if x.ndim == 0 else x for x in found]


class OnnxComparison(Comparison):
    execute = staticmethod(execute)

    def reached(self, graph: Graph) -> Graph:
        return simplify(graph)[0]

    def agree(self, stage: str, plain: Outcome, other: Outcome, variant: Variant, writes: bool) -> None:
        if isinstance(other.error, ExportError):
            pytest.skip(str(other.error))
        if plain.error is None or not isinstance(other.error, StoppedError):
            super().agree(stage, plain, other, variant, writes)


@pytest.mark.parametrize("seed", range(2000, 2012))
def test_onnxruntime_agrees_with_plain_python(seed: int, tmp_path: Path) -> None:
    program = generate(seed)
    comparison = OnnxComparison(load(program.source, tmp_path).program, seed, Depth.GRAPH)
    for variant in ORDINARY:
        comparison.values(variant)
    if program.gradient:
        comparison.gradient(ORDINARY[0])
