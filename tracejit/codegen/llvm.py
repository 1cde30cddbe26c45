"""The LLVM printer: a `Program` as two modules of LLVM IR text.

`kernels` need no optimisation: they are printed as explicit vectors with invariants hoisted and common expressions
found. `entry` is ordinary scalar code that the usual passes improve. The two meet by the kernels' symbols. What they
call is in `codegen/llvm_support.py` (native support) and the C library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tracejit.codegen.llvm_entry import EntryPrinter
from tracejit.codegen.llvm_function import Texts, print_kernel
from tracejit.codegen.llvm_options import LlvmOptions
from tracejit.codegen.loop_ir import Program
from tracejit.codegen.support_native import INLINE

#: `#0` kernels, `#1` the entry; `!0` marks branches that are hardly ever taken.
_FOOTER = """
attributes #0 = { nounwind "no-trapping-math"="true" }
attributes #1 = { nounwind "no-trapping-math"="true" }
!0 = !{!"branch_weights", i32 1, i32 10000}
!1 = !{!"branch_weights", i32 10000, i32 1}
"""


@dataclass(frozen=True, slots=True)
class LlvmText:
    """The modules of one program. Each is complete: it declares what it uses of the other."""

    entry: str
    kernels: str

    def __str__(self) -> str:
        return f"; ---- entry\n{self.entry}\n; ---- kernels\n{self.kernels}"


def print_program(program: Program, options: LlvmOptions) -> LlvmText:
    """Spell a program for a machine."""
    kernels = {kernel.name: kernel for kernel in program.kernels}
    prefix = re.sub(r"[^A-Za-z0-9_.]", "_", program.name)
    entry = Texts(options, program.fastmath, kernels, prefix)
    text = EntryPrinter(entry, program).print_entry()
    entry.functions.append(text)
    compute = Texts(options, program.fastmath, kernels, prefix)
    for kernel in program.kernels:
        print_kernel(compute, kernel)
    return LlvmText(_module(entry), _module(compute))


def _module(texts: Texts) -> str:
    declared = sorted(d for d in texts.declarations if _symbol(d) not in INLINE)
    defined = sorted(INLINE[name] for name in {_symbol(d) for d in texts.declarations} & INLINE.keys())
    return "\n".join([*_once([*declared, *defined]), *texts.functions]) + _FOOTER


def _symbol(declaration: str) -> str:
    return declaration.split("@", 1)[1].split("(", 1)[0]


def _once(texts: list[str]) -> list[str]:
    """Texts with each `declare` line kept once."""
    seen: set[str] = set()
    kept: list[str] = []
    for line in "\n".join(texts).split("\n"):
        if line.startswith("declare"):
            if _symbol(line) in seen:
                continue
            seen.add(_symbol(line))
        kept.append(line)
    return kept
