"""A graph as an ONNX model, and a captured function as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tracejit.deploy.files import check_folder, write_atomically
from tracejit.deploy.onnx.model import IR_VERSION, OPSET, Handle, Model
from tracejit.deploy.onnx.structure import RULES
from tracejit.deploy.onnx.translate import Translation
from tracejit.errors import ExportError
from tracejit.ir.core import Graph, Value
from tracejit.ir.types import ListType, TensorType
from tracejit.scripted.compiler import simplify


def write_onnx(
    graph: Graph, path: Path, constants: Mapping[int, np.ndarray[Any, Any]], output_names: Sequence[str], name: str
) -> Path:
    """Write a graph as an ONNX model; gives the path.

    Inputs have the names of the graph's parameters, numbers are scalars. Outputs are the results, and for each array
    that the function changes its last content, named after it with `_new`. Raises ExportError for what ONNX lacks,
    with the line, and where the package `onnx` is missing.
    """
    check_folder(path)
    model = onnx_model(simplify(graph)[0], constants, output_names, name)
    write_atomically(path, model.SerializeToString())
    return path


def onnx_model(
    graph: Graph, constants: Mapping[int, np.ndarray[Any, Any]], output_names: Sequence[str] = (), name: str = ""
) -> Any:
    """The `ModelProto` of a graph, which passes onnx's checker; `constants` are arrays for parameters at their keys."""
    m = Model()
    t = Translation(m, RULES)
    inputs: list[Any] = []
    for i, value in enumerate(graph.params):
        if isinstance(value.type, ListType):
            raise ExportError(f"an ONNX model cannot take a list ({value.name})")
        if i in constants:
            t.bind_input(value, m.initializer(constants[i], value.type.dtype, value.name))
        else:
            handle = Handle(m.unique(value.name), value.type.dtype, value.type.rank)
            inputs.append(m.info(handle, _named_sizes(value)))
            t.bind_input(value, handle)
    results = t.block(graph.body)
    if not results:
        raise ExportError("an ONNX model needs an output: the function returns nothing and changes nothing")
    guard = m.guard()
    users = len(results) - len(graph.inout)
    names = [*output_names, *(f"result{i}" for i in range(len(output_names), users))][:users]
    names += [f"{graph.params[i].name}_new" for i in graph.inout]
    outputs: list[Any] = []
    for result, wanted in zip(results, names, strict=True):
        out = Handle(m.unique(wanted), result.dtype, result.rank, result.is_list)
        m.emit("Identity", (m.guarded(result, guard),), (out,))
        outputs.append(m.info(out))
    helper = m.onnx.helper
    made = helper.make_graph(m.scopes[0].nodes, name or graph.name, inputs, outputs, m.initializers)
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="tracejit"
    )
    m.onnx.checker.check_model(model, full_check=True)
    return model


def _named_sizes(value: Value) -> list[int | str | None]:
    assert not isinstance(value.type, ListType)
    shape = value.type.shape if isinstance(value.type, TensorType) else ()
    return [d if isinstance(d, int | str) else None for d in shape]
