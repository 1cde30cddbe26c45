"""Machines as LLVM knows them: that of this process, and those of triples such as `aarch64-apple-darwin`."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import Any

import llvmlite.binding as llvm

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.support import pool as support_pool
from tracejit.codegen.support.native import Platform
from tracejit.locks import Lock
from tracejit.runtime.emission import Pool, begin_llvm


def host_options() -> LlvmOptions:
    """The machine this process runs on. To ask it takes long where it is a virtual one: only one thread does."""
    with _asking:
        return _host_options()


_asking = Lock()


@cache
def _host_options() -> LlvmOptions:
    made = LlvmOptions.for_cpu(llvm.get_host_cpu_name(), dict(llvm.get_host_cpu_features()))
    return replace(made, polls=True)


#: Levels of x86-64 processors as its psABI defines them, and what each has beyond the level before, as LLVM names it.
LEVELS = {
    "x86-64-v2": ("cx16", "popcnt", "sahf", "sse3", "ssse3", "sse4.1", "sse4.2"),
    "x86-64-v3": ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"),
    "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}


def level_options(level: str) -> LlvmOptions:
    """The least machine of one of the LEVELS."""
    names = list(LEVELS)
    features = {feature: True for name in names[: names.index(level) + 1] for feature in LEVELS[name]}
    # LLVM shortens vectors for the first processors of the last level
    return replace(LlvmOptions.for_cpu(level, features | {"prefer-256-bit": False}), polls=True)


@cache
def shared_options() -> LlvmOptions:
    """What the code is made for that all programs share: the level of this process's machine, so that the same code
    serves many machines. This machine itself where its vectors are others than those of its level."""
    host = host_options()
    has = {name[1:] for name in host.features.split(",") if name.startswith("+")}
    level = ""
    for name, features in LEVELS.items():
        if not has.issuperset(features):
            break
        level = name
    if level and machine_name() == "x86_64":
        options = level_options(level)
        if replace(options, cpu=host.cpu, features=host.features) == host:
            return options
    return host


def llvm_version() -> str:
    """The version of LLVM that compiles."""
    return ".".join(str(v) for v in llvm.llvm_version_info)


def identity() -> tuple[str, ...]:
    """What object code for this process depends on beside its text."""
    options = host_options()
    return llvm_version(), options.cpu, options.features


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


@cache
def host_machines() -> Pool:
    """Machines like that of this process."""
    return Pool(partial(target_machine, host_options()))


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
