"""A program as a WebAssembly module, with the JavaScript that calls it.

model.wasm    the module: memory, the functions of the C interface, `malloc` and `free`
model.mjs     `await load()` gives a function of typed arrays and numbers
model.json    the manifest, model.tj the graph
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracejit.codegen.loop_ir import Program, ReportSite
from tracejit.deploy.abi import Interface, interface
from tracejit.deploy.artifact import exported_names, manifest_text, object_of
from tracejit.deploy.files import check_folder, write_atomically
from tracejit.deploy.wasm import support_ir
from tracejit.deploy.wasm.loader import loader_text
from tracejit.deploy.wasm.module import finished

#: A field of a template that is written as a float whatever it is.
_AS_REAL = re.compile(r":[^{}]*[eEfFgG]\}")

TRIPLE, MACHINE = "wasm32-unknown-unknown", "wasm32"
_MEMORY = ("malloc", "free")


def write_wasm(
    program: Program,
    path: Path,
    name: str,
    constants: Mapping[int, Any],
    output_names: tuple[str, ...],
    graph_text: str,
) -> Path:
    """Write a program as a module with everything beside it; gives the path. Raises `ExportError`."""
    check_folder(path)
    surface = interface(program, name, constants, output_names)
    support = (support_ir.NOTHING, support_ir.MEMORY, support_ir.texts(_shows_reals(surface)))
    code = object_of(program, surface, TRIPLE, MACHINE, support, _MEMORY)
    module = finished(code, (*exported_names(surface), *_MEMORY), support_ir.HOST)
    beside = {
        ".mjs": loader_text(surface, path.name),
        ".json": manifest_text(surface, path, MACHINE),
        ".tj": graph_text,
    }
    for suffix, text in beside.items():
        write_atomically(path.with_suffix(suffix), text.encode())
    write_atomically(path, module)
    return path


def _shows_reals(surface: Interface) -> bool:
    """Whether a message or print shows a float."""
    sites = [(s.message, s.payload) for s in surface.errors]
    sites += [(s.template, s.payload) for s in surface.prints if not isinstance(s, ReportSite)]
    return any(any(d.is_float for d in payload) or _AS_REAL.search(text) for text, payload in sites)
