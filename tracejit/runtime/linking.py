"""Links support code written as LLVM IR text into the process."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import llvmlite.binding as llvm

LARGE_BYTES = 1 << 20
_libraries: list[Any] = []


@cache
def _compiler() -> tuple[Any, Any]:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(opt=0), llvm.create_lljit_compiler(target.create_target_machine(opt=1))


def link_support(text: str, names: Sequence[str], symbols: Mapping[str, int]) -> tuple[int, ...]:
    """Compile a module of IR text; gives the addresses of `names`. `symbols` are addresses it refers to."""
    machine, jit = _compiler()
    module = llvm.parse_assembly(text)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    passes.run(module, builder)
    library = llvm.JITLibraryBuilder().add_object_img(machine.emit_object(module)).add_current_process()
    for name, address in symbols.items():
        library.import_symbol(name, address)
    for name in names:
        library.export_symbol(name)
    linked = library.link(jit, f"support{len(_libraries)}")
    _libraries.append(linked)
    return tuple(linked[name] for name in names)


def memory_free_address() -> int:
    """The function that returns memory of results."""
    address = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p).value
    assert address is not None
    return address
