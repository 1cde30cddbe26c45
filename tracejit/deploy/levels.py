"""CPU levels of an exported library, and the choice between them when it runs.

A library for x86-64 holds its entry three times: for the baseline of 2009 (SSE4.2), of 2013 (AVX2 with fused
multiply-add) and of 2017 (AVX-512). The first call asks the processor (and the system, which must save the wide
registers) and keeps the answer. Other machines get one version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.records import record
from tracejit.runtime.emitter import Emitter


@record
class Level:
    """A CPU that LLVM knows; `leaf1`, `leaf7` are feature bits it needs beyond the baseline, `state` register state."""

    cpu: str
    vector_bits: int
    masked_bits: int
    has_f16c: bool
    leaf1: int = 0  # ecx of cpuid(1)
    leaf7: int = 0  # ebx of cpuid(7, 0)
    state: int = 0  # xgetbv(0)
    features: str = ""
    has_library: bool = True

    def options(self, entry: str) -> LlvmOptions:
        """What the printer needs."""
        made = LlvmOptions(self.cpu, self.features, self.vector_bits, self.masked_bits, self.has_f16c, entry)
        return replace(made, has_library=self.has_library)


_FMA, _MOVBE, _OSXSAVE, _AVX, _F16C = 1 << 12, 1 << 22, 1 << 27, 1 << 28, 1 << 29
_BMI1, _AVX2, _BMI2 = 1 << 3, 1 << 5, 1 << 8
_AVX512 = 1 << 16 | 1 << 17 | 1 << 28 | 1 << 30 | 1 << 31  # F, DQ, CD, BW, VL
_V3_LEAF1, _V3_LEAF7 = _FMA | _MOVBE | _OSXSAVE | _AVX | _F16C, _BMI1 | _AVX2 | _BMI2

X86_LEVELS = (
    Level("x86-64-v4", 512, 8, True, _V3_LEAF1, _V3_LEAF7 | _AVX512, 0xE6),
    Level("x86-64-v3", 256, 32, True, _V3_LEAF1, _V3_LEAF7, 0x6),
    Level("x86-64-v2", 128, 0, False),
)
#: WebAssembly 2.0, which all browsers have had since 2023.
_WASM = "+simd128,+bulk-memory,+nontrapping-fptoint,+sign-ext,+mutable-globals"
_OTHERS = {
    "aarch64": Level("generic", 128, 0, False),
    "wasm32": Level("generic", 128, 0, False, features=_WASM, has_library=False),
}


def levels_of(machine: str) -> Sequence[Level]:
    """The levels for a machine as triples name it, best first; the last one runs everywhere."""
    if machine == "x86_64":
        return X86_LEVELS
    return (_OTHERS.get(machine, Level("generic", 128, 0, False)),)


def symbol(level: Level) -> str:
    """The entry of a level."""
    return "tj_entry_" + level.cpu.replace("-", "_")


def chooser_text(levels: Sequence[Level], name: str) -> str:
    """The module of `i32 @name(ptr, ptr, ptr)`, which forwards to the best level's entry."""
    e = Emitter()
    e.define("tj_chosen", "internal global ptr null")
    for level in levels:
        e.declare(symbol(level), f"declare i32 @{symbol(level)}(ptr, ptr, ptr)")
    with e.function("internal ptr @tj_choose()"):
        if len(levels) > 1:
            _choose(e, levels[:-1])
        e.leave(f"ptr @{symbol(levels[-1])}")
    with e.function(f"i32 @{name}(ptr %inputs, ptr %outputs, ptr %context)"):
        known = e.op("load atomic ptr, ptr @tj_chosen monotonic, align 8")
        chosen = e.variable("ptr", known)
        with e.when(e.compare("eq", "ptr", known, "null")):
            found = e.call("ptr", "tj_choose", declare=False)
            e.do(f"store atomic ptr {found}, ptr @tj_chosen monotonic, align 8")
            e.store("ptr", found, chosen)
        entry = e.load("ptr", chosen)
        e.leave(f"i32 {e.call('i32', entry, 'ptr %inputs', 'ptr %outputs', 'ptr %context')}")
    return e.module()


def _choose(e: Emitter, levels: Sequence[Level]) -> None:
    """Return the first level whose features are all there."""
    highest, _, _ = _cpuid(e, 0)
    with e.when(e.compare("uge", "i32", highest, 7)):
        _, _, leaf1 = _cpuid(e, 1)
        saved = e.compare("ne", "i32", e.op(f"and i32 {leaf1}, {_OSXSAVE}"), 0)
        with e.when(saved):
            _, leaf7, _ = _cpuid(e, 7)
            pair = e.op('call { i32, i32 } asm sideeffect "xgetbv", "={ax},={dx},{cx}"(i32 0)')
            state = e.op(f"extractvalue {{ i32, i32 }} {pair}, 0")
            for level in levels:
                needs = ((leaf1, level.leaf1), (leaf7, level.leaf7), (state, level.state))
                present = [_has(e, word, bits) for word, bits in needs]
                both = e.op(f"and i1 {present[0]}, {present[1]}")
                with e.when(e.op(f"and i1 {both}, {present[2]}")):
                    e.leave(f"ptr @{symbol(level)}")


def _cpuid(e: Emitter, leaf: int) -> tuple[str, str, str]:
    """eax, ebx and ecx of cpuid(leaf, 0)."""
    record = "{ i32, i32, i32, i32 }"
    asm = f'call {record} asm sideeffect "cpuid", "={{ax}},={{bx}},={{cx}},={{dx}},{{ax}},{{cx}}"'
    found = e.op(f"{asm}(i32 {leaf}, i32 0)")
    eax, ebx, ecx = (e.op(f"extractvalue {record} {found}, {i}") for i in range(3))
    return eax, ebx, ecx


def _has(e: Emitter, word: str, bits: int) -> str:
    wanted = bits - (1 << 32) if bits >= 1 << 31 else bits
    return e.compare("eq", "i32", e.op(f"and i32 {word}, {wanted}"), wanted)
