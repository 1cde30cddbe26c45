"""Writing an exported function: library or object, C header, manifest, readable graph.

model.so (or .o, .a)   the native code, weights inside
model.h                the C interface
model.json             the manifest: inputs, outputs, errors, target
model.tj               the graph as text
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracejit.codegen.loop_ir import ErrorSite, Program
from tracejit.codegen.support.allocation import library_allocation_text
from tracejit.codegen.support.memory import OUTPUT
from tracejit.deploy import levels
from tracejit.deploy.abi import Interface, Slot, interface
from tracejit.deploy.files import archive, check_folder, shared_library, write_atomically
from tracejit.deploy.header import header_text
from tracejit.deploy.load import MANIFEST_VERSION
from tracejit.deploy.working_memory import working_memory
from tracejit.deploy.wrapper_ir import wrapper_text
from tracejit.errors import ExportError
from tracejit.runtime.library_object import library_object

VERSION = "0.1.0"
NATIVE_SUFFIXES = (".so", ".o", ".a")

#: Short names of targets, as LLVM triples.
TARGETS = {
    "x86_64-linux": "x86_64-unknown-linux-gnu",
    "aarch64-linux": "aarch64-unknown-linux-gnu",
}
_ENTRY, _MEMORY = "tj_entry", "tj_memory"
_LIBC = "declare ptr @memcpy(ptr, ptr, i64)\n"


def write_program(
    program: Program,
    path: Path,
    *,
    name: str | None = None,
    constants: Mapping[int, Any] | None = None,
    output_names: tuple[str, ...] = (),
    graph_text: str = "",
    target: str | None = None,
    threads: bool = False,
) -> Path:
    """Write a program as native code with everything beside it; gives the path.

    `constants` are arrays for the program inputs at their keys, embedded in the object. Raises ExportError where
    the folder is missing, the name is no C name, no linker is there, the machine has no `threads`, or a file cannot be
    written.
    """
    check_folder(path)
    surface = interface(program, name or c_name(path.stem), constants or {}, output_names, threads)
    triple = _triple(target, path.suffix)
    object_code, machine = _object(program, surface, triple)
    content = _packaged(path, surface, object_code, triple)
    beside = {".h": header_text(surface, VERSION), ".json": manifest_text(surface, path, machine), ".tj": graph_text}
    for suffix, text in beside.items():
        if text:
            write_atomically(path.with_suffix(suffix), text.encode())
    write_atomically(path, content)
    return path


def c_name(stem: str) -> str:
    """A C function's name from a file's."""
    cleaned = re.sub(r"\W", "_", stem.removeprefix("lib"), flags=re.ASCII)
    return cleaned if re.match(r"[A-Za-z_]", cleaned) else f"f_{cleaned}"


def exported_names(surface: Interface) -> tuple[str, ...]:
    """The symbols a caller may use."""
    parts = ("message", "free", "arena_size", *(("set_threads",) if surface.threads else ()))
    return (surface.name, *(f"{surface.name}_{part}" for part in parts))


def _triple(target: str | None, suffix: str) -> str | None:
    """The triple of a target. Raises ExportError for a machine that the code is not right for: it is written for
    addresses of 64 bits and bytes from the lowest on."""
    if target is None:
        return None
    triple = TARGETS.get(target, target)
    if triple.count("-") < 2:
        raise ExportError(f"unknown target {target!r}; known: {', '.join(TARGETS)}, or a full LLVM triple")
    from tracejit.runtime.machines import data_layout

    try:
        layout = data_layout(triple).split("-")
    except ValueError as error:
        raise ExportError(f"unknown target {target!r}: {error}") from None
    if "E" in layout or "p:32:32" in layout:
        raise ExportError(f"cannot export for {target!r}: it is no little-endian machine of 64 bits")
    if suffix == ".a" and "m:e" not in layout:
        raise ExportError(f"cannot write a static library for {target!r}: export .o and archive it there")
    return triple


def _object(program: Program, surface: Interface, triple: str | None) -> tuple[bytes, str]:
    """The object, and the machine it is for."""
    from tracejit.runtime.machines import has_threads, machine_name

    machine = machine_name(triple)
    if surface.threads and not has_threads(triple):
        raise ExportError(
            f"libraries for {triple or machine} have no threads: those for Linux on x86_64 and aarch64 do"
        )
    return object_of(program, surface, triple, machine), machine


def object_of(
    program: Program,
    surface: Interface,
    triple: str | None,
    machine: str,
    support: Sequence[str] = (),
    exports: Sequence[str] = (),
) -> bytes:
    """The object of a program behind its interface. `support` are modules that stand for a C library, `exports` their
    functions that stay visible."""
    from tracejit.runtime.machines import system_name

    versions = levels.levels_of(machine)
    entries = [(program, level.options(levels.symbol(level))) for level in versions]
    memory = working_memory(program)
    wrapper = wrapper_text(surface, _ENTRY, None if memory is None else _MEMORY, host_reals=bool(support))
    memory_text = library_allocation_text("" if support else system_name(triple))
    texts = (wrapper, memory_text, levels.chooser_text(versions, _ENTRY), f"{_LIBC}{OUTPUT}")
    modules = [*support[:1], *texts, *support[1:]]
    if memory is not None:
        entries.append((memory, versions[-1].options(_MEMORY)))
    return library_object(entries, modules, (*exported_names(surface), *exports), triple, surface.threads)[0]


def _packaged(path: Path, surface: Interface, object_code: bytes, triple: str | None) -> bytes:
    match path.suffix:
        case ".o":
            return object_code
        case ".a":
            return archive([(f"{surface.name}.o", object_code)], [exported_names(surface)])
        case ".so":
            if triple is not None:
                raise ExportError(
                    "a shared library for another machine needs its linker: export .o or .a, link it there"
                )
            return shared_library(object_code, path.name, stays=surface.threads)
        case other:
            raise ExportError(f"cannot export to {other!r}: the path must end in one of {', '.join(NATIVE_SUFFIXES)}")


def manifest_text(surface: Interface, path: Path, machine: str) -> str:
    """What a program reads to know the function: inputs, outputs, weights, errors."""
    content = {
        "version": MANIFEST_VERSION,
        "tracejit": VERSION,
        "name": surface.name,
        "file": path.name,
        "machine": machine,
        "signature": surface.signature,
        "threads": surface.threads,
        "inputs": [_slot(s) for s in surface.inputs],
        "outputs": [_slot(s) for s in surface.outputs],
        "weights": [
            {"input": index, "dtype": str(array.dtype), "shape": list(array.shape)}
            for index, array in surface.constants.items()
        ],
        "errors": [_error(i, site) for i, site in enumerate(surface.errors, 1)],
    }
    return json.dumps(content, indent=1) + "\n"


def _slot(slot: Slot) -> dict[str, Any]:
    return {
        "name": slot.name,
        "dtype": slot.dtype.numpy_name,
        "dims": list(slot.dims),
        "scalar": slot.is_scalar,
        "inout": slot.inout,
    }


def _error(status: int, site: ErrorSite) -> dict[str, Any]:
    place = {} if site.span is None else {"function": site.span.function, "line": site.span.line}
    return {"status": status, "kind": site.kind, "message": site.message, **place}
