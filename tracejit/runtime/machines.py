"""Machines as LLVM knows them: that of this process, and those of triples such as `aarch64-apple-darwin`."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import llvmlite.binding as llvm

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.support import pool as support_pool
from tracejit.codegen.support.native import Platform
from tracejit.locks import Lock
from tracejit.runtime.emission import begin_llvm


def host_options() -> LlvmOptions:
    """The machine this process runs on. To ask it takes long where it is a virtual one: only one thread does."""
    with _asking:
        return _host_options()


_asking = Lock()


@cache
def _host_options() -> LlvmOptions:
    made = LlvmOptions.for_cpu(llvm.get_host_cpu_name(), dict(llvm.get_host_cpu_features()))
    return replace(made, polls=True)


def identity() -> tuple[str, ...]:
    """What object code for this process depends on beside its text."""
    options = host_options()
    return ".".join(str(v) for v in llvm.llvm_version_info), options.cpu, options.features


def target_machine(options: LlvmOptions, triple: str | None = None, *, level: int = 2) -> Any:
    """A machine whose code is position independent and fits shared libraries and the JIT alike; `level`: of LLVM's code
    generator."""
    begin_llvm()
    if triple is None:
        target = llvm.Target.from_default_triple()
    else:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        target = llvm.Target.from_triple(triple)
    reloc = "static" if is_wasm(triple) else "pic"
    return target.create_target_machine(
        cpu=options.cpu, features=options.features, opt=level, reloc=reloc, codemodel="small"
    )


def is_wasm(triple: str | None) -> bool:
    """Whether a triple is of WebAssembly, whose pointers are shorter than those the code is written for."""
    return triple is not None and triple.startswith("wasm")


def data_layout(triple: str) -> str:
    """How data lies in the memory of a machine, as LLVM spells it. Raises ValueError for a triple that it does not
    know."""
    try:
        return str(target_machine(LlvmOptions(cpu="", features=""), triple).target_data)
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def machine_name(triple: str | None = None) -> str:
    """The machine of a triple (of this process, if None) as `Platform` names it: `x86_64`, `aarch64`."""
    return Platform.of_triple(triple or llvm.get_default_triple()).machine


def system_name(triple: str | None = None) -> str:
    """The operating system of a triple (of this process, if None) as `Platform` names it: `linux`, `darwin`."""
    return Platform.of_triple(triple or llvm.get_default_triple()).system


def has_threads(triple: str | None = None) -> bool:
    """Whether parallel loops can use threads on a machine (that of this process, if None)."""
    platform = Platform.of_triple(triple or llvm.get_default_triple())
    return support_pool.has_threads(platform.system, platform.machine)
