"""Export for NVIDIA GPUs: kernels as text, PTX, and the launch plan a host program follows.

model.cu      the kernels as CUDA C, without any header
model.ptx     the same for `ARCHITECTURE` and later, where NVRTC is installed
model.json    the launch plan: interface, errors, the host's steps, and of each kernel its parameters and launch sizes
model.tj      the graph as text
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tracejit.codegen.cuda.printer import OPTIONS, identifier, print_kernels
from tracejit.codegen.cuda.schedule import CudaProgram, Geometry, schedule
from tracejit.codegen.loop_ir import Kernel, Let, Program, Var
from tracejit.codegen.text import print_kernel, print_program
from tracejit.deploy.files import write_atomically
from tracejit.errors import ExportError
from tracejit.ir.core import Graph
from tracejit.ir.types import I64
from tracejit.runtime import nvrtc

#: The oldest GPUs that the PTX runs on.
ARCHITECTURE = "compute_75"
SUFFIXES = (".cu", ".ptx")


def write_cuda(graph: Graph, path: Path, constants: Mapping[int, Any]) -> Path:
    """Write a graph for a GPU, with everything beside it; gives the path.

    Raises ExportError where arrays would have to be embedded, or where PTX is asked for and NVRTC is missing.
    """
    from tracejit.scripted.compiler import compile_graph

    if constants:
        raise ExportError("a CUDA export embeds no arrays: pass them as arguments")
    compiled = compile_graph(replace(graph, device="cuda"))
    scheduled = schedule(compiled.program)
    source = print_kernels(scheduled.program)
    if nvrtc.library() is not None:
        ptx = nvrtc.compile_ptx(source, [*OPTIONS, f"--gpu-architecture={ARCHITECTURE}"])
        write_atomically(path.with_suffix(".ptx"), ptx.rstrip("\0").encode())
    elif path.suffix == ".ptx":
        raise ExportError("PTX needs NVRTC: install the wheel nvidia-cuda-nvrtc-cu12, or export to .cu")
    write_atomically(path.with_suffix(".cu"), source.encode())
    write_atomically(path.with_suffix(".json"), f"{json.dumps(launch_plan(scheduled), indent=2)}\n".encode())
    write_atomically(path.with_suffix(".tj"), f"{compiled.graph}\n".encode())
    return path


def launch_plan(scheduled: CudaProgram) -> dict[str, Any]:
    """What a host program needs to know: the host's steps are loop IR, sizes and launch sizes expressions of it."""
    program = scheduled.program
    return {
        "name": program.name,
        "architecture": ARCHITECTURE,
        "options": list(OPTIONS),
        "inputs": [{"name": s.name, "type": str(s.type), "inout": s.inout} for s in program.inputs],
        "outputs": [{"type": str(s.type)} for s in program.outputs],
        "errors": [{"kind": e.kind, "message": e.message} for e in program.errors],
        "kernels": [_kernel(k, scheduled.geometries[k.name]) for k in program.kernels],
        "host": _host(program),
    }


def _kernel(kernel: Kernel, geometry: Geometry) -> dict[str, Any]:
    named = {"blocks": geometry.blocks, "threads": geometry.threads, "rows": geometry.rows}
    sizes = tuple(Let(Var(name, I64), e) for name, e in named.items())
    head, *lets, _ = print_kernel(replace(kernel, body=(*geometry.lets, *sizes))).splitlines()
    return {
        "function": identifier(kernel.name),
        "signature": head.removesuffix(" {"),
        "launch": [line.strip().removeprefix("let ") for line in lets],
    }


def _host(program: Program) -> list[str]:
    """The entry's statements, one per line."""
    lines = print_program(replace(program, kernels=())).splitlines()
    start = lines.index("  entry {")
    return [line.removeprefix("    ") for line in lines[start + 1 : lines.index("  }", start)]]
