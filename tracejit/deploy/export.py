"""`tracejit.export` and `tracejit.load`: the public names of this folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tracejit.deploy.artifact import NATIVE_SUFFIXES, c_name, write_program
from tracejit.deploy.capture import capture
from tracejit.deploy.cuda import SUFFIXES as CUDA_SUFFIXES
from tracejit.deploy.cuda import write_cuda
from tracejit.deploy.files import check_folder
from tracejit.deploy.load import NativeLibrary
from tracejit.errors import ExportError


def export(
    fn: Callable[..., Any],
    example_args: Sequence[Any],
    path: str | Path,
    name: str | None = None,
    target: str | None = None,
    threads: bool = False,
) -> Path:
    """Write a function as something that runs without Python; gives the path.

    `path` ends in `.so` (needs a linker), `.o`, `.a`, `.cu` or `.ptx` (GPU kernels and a launch plan), `.wasm` (with
    the JavaScript that calls it), `.onnx` (needs the package onnx), or `.tj` (the graph as text; arrays
    it needs lie beside it in a `.tj.safetensors` file). `fn` is a function, a scripted one, a method or a module;
    `example_args` decide dtypes and ranks, never sizes or numbers. `name` is that of the C function or ONNX graph
    (default: the file's), `target` a machine for native code (`aarch64-linux`, or an LLVM triple; default: this one).
    With `threads`, large loops of native code are shared among several (Linux on x86_64 and aarch64).
    Beside native code lie a C header, a manifest and the graph. An ONNX model has an input for each array and number,
    an output for each result and for the last content of each array that is changed (`x_new`); a failed check stops
    its run with the message. Raises `ExportError` and `ScriptError`.
    """
    path = Path(path)
    suffixes = (*NATIVE_SUFFIXES, *CUDA_SUFFIXES, ".onnx", ".wasm", ".tj")
    if path.suffix not in suffixes:
        known = ", ".join(suffixes)
        raise ExportError(f"cannot export to {path.name!r}: the path must end in one of {known}")
    if target is not None and path.suffix not in NATIVE_SUFFIXES:
        raise ExportError(f"a {path.suffix} file is for no machine in particular: leave target out")
    if threads and path.suffix not in NATIVE_SUFFIXES:
        raise ExportError(f"a {path.suffix} file has no threads of its own: leave threads out")
    check_folder(path)
    captured = capture(fn, example_args)
    if path.suffix in CUDA_SUFFIXES:
        return write_cuda(captured.graph, path, captured.constants)
    if path.suffix == ".onnx":
        from tracejit.deploy.onnx.write import write_onnx

        return write_onnx(captured.graph, path, captured.constants, captured.outputs, name or c_name(path.stem))
    from tracejit.scripted.compiler import compile_graph

    compiled = compile_graph(captured.graph)
    if path.suffix == ".tj":
        from tracejit.deploy.graph_file import write_graph

        return write_graph(compiled.graph, path, captured.constants)
    if path.suffix == ".wasm":
        from tracejit.deploy.wasm.write import write_wasm

        text = f"{compiled.graph}\n"
        return write_wasm(compiled.program, path, name or c_name(path.stem), captured.constants, captured.outputs, text)
    return write_program(
        compiled.program,
        path,
        name=name or c_name(path.stem),
        constants=captured.constants,
        output_names=captured.outputs,
        graph_text=f"{compiled.graph}\n",
        target=target,
        threads=threads,
    )


def load(path: str | Path) -> Any:
    """What was exported, as a callable: a graph (`.tj`) compiled for this machine, or a shared library (`.so`)."""
    path = Path(path)
    if path.suffix == ".so":
        return NativeLibrary(path)
    if path.suffix != ".tj":
        raise ExportError(f"cannot load {path.name!r}: the path must end in .tj or .so")
    from tracejit.deploy.graph_file import read_graph

    return read_graph(path)
