"""Graphs run on the CUDA shim: lowered, placed on a GPU, compiled once per group, run in several thread orders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tracejit.ops  # noqa: F401
from tests.cuda_shim.shim_device import ShimDevice, ShimModule, execute, module_of
from tracejit.codegen.cuda.schedule import CudaProgram, Geometry, schedule
from tracejit.codegen.lowering.entry import lower
from tracejit.codegen.numeric import Evaluation
from tracejit.ir.core import Graph
from tracejit.ir.parser import parse
from tracejit.transforms import pipeline

#: Level 2 of a GPU: tensors of rank 0 stay on the device.
LEVEL2 = ("fuse", "dce", "ownership")
#: Thread orders: first to last, last to first, shuffled.
ORDERS = (0, 1, 2)


def place(graph: Graph | str, transforms: Sequence[str] = LEVEL2) -> CudaProgram:
    """A graph (or its text) as a program for a GPU."""
    source = parse(graph) if isinstance(graph, str) else graph
    return schedule(lower(pipeline.run(source, transforms), "cuda"))


def compiled(programs: Sequence[CudaProgram], folder: Path) -> ShimModule:
    """The kernels of all programs in one module; the programs' names differ."""
    return module_of([p.program for p in programs], folder)


def run(
    program: CudaProgram, module: ShimModule, inputs: Sequence[Any], order: int = 0
) -> tuple[list[Any], ShimDevice]:
    """Run a program; gives its results, then the final `inout` inputs; checks that all memory was given back."""
    device = ShimDevice(module, order)
    given = [np.copy(x) if isinstance(x, np.ndarray) else x for x in inputs]
    results = execute(program, device, given)
    assert not device.blocks, f"{len(device.blocks)} buffers are never freed"
    finals = [x for x, spec in zip(given, program.program.inputs, strict=True) if spec.inout]
    return [*results, *finals], device


def launch_size(geometry: Geometry, arguments: Sequence[Any]) -> tuple[int, tuple[int, int]]:
    """Blocks of a launch, and the threads of a block along x and y, by the reference; at least one of each."""
    bound = dict(zip(geometry.params, arguments, strict=True))
    evaluate = Evaluation(bound)
    for let in geometry.lets:
        bound[let.var] = evaluate(let.expr)
    blocks, threads, rows = (max(1, int(evaluate(e))) for e in (geometry.blocks, geometry.threads, geometry.rows))
    return blocks, (threads, rows)
