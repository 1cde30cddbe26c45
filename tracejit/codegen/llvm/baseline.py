"""Baseline code: a program of scalar code compiled quickly, to give a first result.

A call of it ends with status `TOO_LONG` when its loops and functions have been through about `BUDGET` trips and calls,
after a millisecond or two. It is then made again by code that went through LLVM's passes: what baseline code prints,
and what it writes into arrays of the caller, waits until it has ended otherwise (`NativeFunction.call`). What it
computes is the same to the bit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import dropwhile

from tracejit.codegen.kernel_walk import host_code, is_heavy, walk
from tracejit.codegen.llvm.calls import MOVES
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.printer import Module, gains_by_passes, print_modules
from tracejit.codegen.llvm.text import is_exact
from tracejit.codegen.loop_ir import Alloc, Call, For, Output, Program, Stmt

#: Trips of loops and calls of functions in a call.
BUDGET = 1 << 16
#: Lines of functions that call each other: without passes each takes some bytes of the stack for every line.
_LONG = 8000

#: Functions of the C library that LLVM's passes call as they are, or with the other sign: they know other ways for some
#: powers, which may differ in the last bit.
_EXACT = "a?(?:sin|cos|tan)h? atan2 exp exp2 expm1 log log2 log10 log1p erf erfc cbrt hypot lgamma tgamma fmod ldexp"
_OTHERWISE = re.compile(rf"call (?:float|double) @(?!llvm\.|tj_|(?:{_EXACT.replace(' ', '|')})f?\()\w")


def may_have_baseline(program: Program) -> bool:
    """Whether a program gains by LLVM's passes, and a call of it that is given up may be made again."""
    if program.fastmath or program.kernels or not gains_by_passes(program):
        return False
    if any(is_heavy(s) or (isinstance(s, For) and s.axis != "serial") for s in host_code(program)):
        return False
    return _ends_with_results(program.entry.body)


def _ends_with_results(body: Sequence[Stmt]) -> bool:
    """Whether a call cannot be given up any more when it has handed over a result, whose memory is the caller's."""
    rest = dropwhile(lambda stmt: not any(isinstance(s, Output) for s in walk((stmt,))), body)
    return not any(map(_pays, walk(rest)))


def _pays(stmt: Stmt) -> bool:
    """Whether a statement takes of a call's budget."""
    return isinstance(stmt, For | Alloc) or (isinstance(stmt, Call) and stmt.name in MOVES)


def baseline_options(options: LlvmOptions) -> LlvmOptions:
    """The options that the baseline code of a machine is printed with."""
    return replace(options, polls=False, budget=BUDGET)


def baseline_module(program: Program, options: LlvmOptions) -> Module | None:
    """The baseline code of such a program as a module; None where it would not compute the same, or take too
    much of the stack."""
    (module,) = print_modules(program, baseline_options(options))
    return module if is_as_good(program, module.text) else None


def is_as_good(program: Program, text: str) -> bool:
    """Whether the entry of a program, compiled as baseline code, computes what better code does, to the bit, and does
    not take much more of the stack."""
    is_deep = bool(program.functions) and text.count("\n") > _LONG
    return not is_deep and is_exact(text) and not _OTHERWISE.search(text)
