"""The LLVM printer: a `Program` as two modules of LLVM IR text.

`kernels` need no optimisation: they are printed as explicit vectors with invariants hoisted and common expressions
found. `entry` is ordinary scalar code that the usual passes improve. The two meet by the kernels' symbols. What they
call is in `codegen/llvm_support.py` (native support) and the C library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tracejit.codegen.kernel_walk import host_code
from tracejit.codegen.llvm_entry import EntryPrinter
from tracejit.codegen.llvm_function import Texts, print_kernel
from tracejit.codegen.llvm_options import LlvmOptions
from tracejit.codegen.llvm_text import FOOTER, once, symbol
from tracejit.codegen.loop_ir import For, Invoke, Program
from tracejit.codegen.support_native import INLINE


@dataclass(frozen=True, slots=True)
class LlvmText:
    """The modules of one program. Each is complete: it declares what it uses of the other.

    `entry_loops`: the entry computes in loops of its own and is worth the optimiser's time.
    """

    entry: str
    kernels: str
    entry_loops: bool

    def __str__(self) -> str:
        return f"; ---- entry\n{self.entry}\n; ---- kernels\n{self.kernels}"


def print_program(program: Program, options: LlvmOptions) -> LlvmText:
    """Spell a program for a machine."""
    kernels = {kernel.name: kernel for kernel in program.kernels}
    prefix = re.sub(r"[^A-Za-z0-9_.]", "_", program.name)
    entry = Texts(options, program.fastmath, kernels, prefix)
    text = EntryPrinter(entry, program).print_entry()
    entry.functions += [EntryPrinter(entry, program, f).print_function() for f in program.functions]
    entry.functions.append(text)
    compute = Texts(options, program.fastmath, kernels, prefix)
    for kernel in program.kernels:
        print_kernel(compute, kernel)
    loops = computes(program)
    return LlvmText(_module(entry, inline=loops), _module(compute, inline=True), loops)


def computes(program: Program) -> bool:
    """Whether host code computes in loops or functions of its own."""
    return any(isinstance(s, For | Invoke) for s in host_code(program))


def _module(texts: Texts, *, inline: bool) -> str:
    """A whole module; with `inline` it has small support functions of its own instead of calling them."""
    own = INLINE.keys() & {symbol(d) for d in texts.declarations} if inline else set[str]()
    declared = sorted(d for d in texts.declarations if symbol(d) not in own)
    defined = [INLINE[name].replace("nounwind {", "#1 {") for name in sorted(own)]
    head = once("\n".join([*declared, *defined]))
    return "\n".join([head, *texts.functions, _scalar_attributes(texts.options)]) + FOOTER


def _scalar_attributes(options: LlvmOptions) -> str:
    """Attributes `#1`, of the entry."""
    scalar = options.for_scalar_code()
    features = "" if scalar is options else f' "target-features"="{scalar.features}"'
    return f'attributes #1 = {{ nounwind "no-trapping-math"="true"{features} }}'
