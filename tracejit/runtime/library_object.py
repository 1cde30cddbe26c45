"""A program as one position-independent object: its entry for several CPUs, its support, and hand-written modules.

Each version of the entry is compiled by its own target machine's passes and marked with its CPU, then all become one
module, whose functions are private but for those asked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import llvmlite.binding as llvm

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.printer import print_program
from tracejit.codegen.loop_ir import Program
from tracejit.codegen.support.lapack import lapack_module
from tracejit.codegen.support.native import Platform, gemm_module, ordering_modules, support_text
from tracejit.runtime.engine import assemble, engine, parsed
from tracejit.runtime.machines import target_machine

#: What the library brings itself: its allocator, and how many threads there shall be.
_OUTSIDE = """
@tj_threads = external global i32
declare ptr @malloc(i64)
declare void @free(ptr)
declare ptr @tj_alloc(i64)
declare void @tj_free(ptr)
"""


def library_object(
    entries: Sequence[tuple[Program, LlvmOptions]],
    modules: Sequence[str],
    exports: Collection[str],
    triple: str | None = None,
    threads: bool = False,
) -> tuple[bytes, str]:
    """The object, and its IR as text. `entries` are programs with the CPU and the name of their entry (the last is
    for the least CPU); `modules` are IR texts that define `tj_alloc`, `tj_free` and `tj_threads` and use the entries;
    `exports` stay visible. With `threads` it has a pool of them."""
    platform = replace(Platform.of_triple(triple or llvm.get_default_triple()), threads=threads)
    with engine().lock:
        machine = target_machine(entries[-1][1], triple)
        whole = assemble(list(modules[:1]), machine, optimised=False)
        for text in modules[1:]:
            whole.link_in(parsed(text, machine))
        for program, options in entries:
            whole.link_in(_version(program, options, platform, triple))
        for function in whole.functions:
            if not function.is_declaration and function.name not in exports:
                function.linkage = "internal"
        for variable in whole.global_variables:
            if not variable.is_declaration:
                variable.linkage = "internal" if variable.linkage.name == "external" else variable.linkage
        _tidy(whole, machine)
        return bytes(machine.emit_object(whole)), str(whole)


def _version(program: Program, options: LlvmOptions, platform: Platform, triple: str | None) -> Any:
    """One version of the entry with its support; all but the entry is private."""
    machine = target_machine(options, triple)
    printed = print_program(program, options)
    texts = [printed.entry.text, *(module.text for module in printed.kernels)]
    if "@tj_gemm_" in str(printed):
        texts.append(gemm_module(options))
    if "@tj_lapack_" in str(printed):
        texts.append(lapack_module())
    texts += ordering_modules(str(printed), options)
    module = assemble([_marked(text, options) for text in texts], machine, optimised=True)
    module.link_in(assemble([_marked(support_text(platform, _OUTSIDE), options)], machine, optimised=True))
    for function in module.functions:
        if not function.is_declaration and function.name != options.entry_name:
            function.linkage = "internal"
    return module


def _marked(text: str, options: LlvmOptions) -> str:
    """Every function says for which CPU it is."""
    mark = f'"target-cpu"="{options.cpu}"'
    if options.features:
        mark += f' "target-features"="{options.features}"'
    return re.sub(r"^(define .*) \{$", rf"\1 {mark} {{", text, flags=re.MULTILINE)


def _tidy(module: Any, machine: Any) -> None:
    """Registers for stack slots, and out with what nothing refers to."""
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_constant_merge_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1)))
