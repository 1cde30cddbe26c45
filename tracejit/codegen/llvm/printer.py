"""The LLVM printer: a `Program` as modules of LLVM IR text.

`kernels` need no optimisation: they are printed as explicit vectors with invariants hoisted and common expressions
found. `entry` is ordinary scalar code that the usual passes improve. They meet by the kernels' symbols. What they
call is in `support/native.py` (native support) and the C library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from typing import Literal, TypeAlias

from tracejit.codegen.kernel_walk import host_code, is_heavy, loaded, walk
from tracejit.codegen.llvm.entry import EntryPrinter
from tracejit.codegen.llvm.function import Texts, print_kernel
from tracejit.codegen.llvm.narrow_stores import stores_narrow_under_masks
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.text import FOOTER, is_quick, once, symbol
from tracejit.codegen.loop_ir import Call, Const, For, Invoke, Kernel, Pointer, Program, Stmt
from tracejit.codegen.support.native import INLINE, PRODUCTS
from tracejit.records import record

#: A module of kernels holds about so many lines: several modules compile at the same time.
MODULE_LINES = 300


#: An entry without loops of at most so many lines is compiled with care: calls are to be fast.
SHORT_ENTRY = 150
#: One of more lines is compiled quickly although it computes and launches nothing: the time for good code grows faster
#: than the code.
LONG_ENTRY = 3000

#: `full`: worth the optimiser's time. `careful`: good code as it is printed. `plain`: the same without a second look at
#: the order of its instructions, which gains a hundredth of what few kernels take and costs a quarter of the time for
#: long ones. `quick`: scalar code beside which the kernels that it launches take all the time; in a tenth of the time,
#: for any CPU of the kind. `tidied`: the same for code with variables in memory.
#: `baseline`: the same for this CPU, as far as results depend on it.
Effort: TypeAlias = Literal["full", "careful", "plain", "quick", "tidied", "baseline"]


@record
class Module:
    """A module as text, and how it is to be compiled."""

    text: str
    effort: Effort = "careful"


@record
class LlvmText:
    """The modules of one program. Each is complete: it declares what it uses of the others."""

    entry: Module
    kernels: tuple[Module, ...]

    def __str__(self) -> str:
        kernels = "".join(f"\n; ---- kernels\n{module.text}" for module in self.kernels)
        return f"; ---- entry\n{self.entry.text}{kernels}"


def print_program(program: Program, options: LlvmOptions) -> LlvmText:
    """Spell a program for a machine."""
    *kernels, entry = print_modules(program, options)
    return LlvmText(entry, tuple(kernels))


def print_modules(program: Program, options: LlvmOptions, begun: ModulePrinter | None = None) -> Iterator[Module]:
    """The modules of a program one by one, the entry last; without those that `begun` has printed already."""
    printer = begun or ModulePrinter(program.name, program.fastmath, options)
    for kernel in program.kernels[len(printer.kernels) :]:
        yield from printer.kernel(kernel)
    yield from printer.rest(program)


class ModulePrinter:
    """Prints the modules of one program: those of its kernels as these are made, then the others."""

    def __init__(self, name: str, fastmath: bool, options: LlvmOptions) -> None:
        self.options = options
        self.kernels: dict[str, Kernel] = {}  #: those that came
        self._fastmath = fastmath
        self._prefix = re.sub(r"[^A-Za-z0-9_.]", "_", name)
        self._outlined = count()
        self._texts = self._new_texts()
        self._care: Effort = "careful"  #: for short modules, but beside long ones the machine that is there for those
        self._launchers: list[str] = []
        self._declared: set[str] = set()

    def _new_texts(self) -> Texts:
        return Texts(self.options, self._fastmath, self.kernels, self._prefix, self._outlined)

    def kernel(self, kernel: Kernel) -> Iterator[Module]:
        """The next kernel; gives the module that is complete with it, if one is."""
        self.kernels[kernel.name] = kernel
        print_kernel(self._texts, kernel)
        if sum(text.count("\n") for text in self._texts.functions) >= MODULE_LINES:
            self._care = "plain"
            yield self._finished()

    def last_kernels(self) -> Iterator[Module]:
        """The module of the kernels that are in none yet; no more come."""
        if self._texts.functions:
            yield self._finished()

    def _finished(self) -> Module:
        texts, self._texts = self._texts, self._new_texts()
        self._launchers += texts.launchers
        self._declared |= texts.declarations
        return Module(_module(texts, inline=True), self._care)

    def rest(self, program: Program) -> Iterator[Module]:
        """The modules that remain behind the last kernel, of the whole program, the entry last."""
        yield from self.last_kernels()
        launchers, declared = self._launchers + self._texts.launchers, self._declared | self._texts.declarations
        if launchers:
            yield Module(_launching(launchers, declared), "quick")
        entry = self._new_texts()
        entry.scalar = self.options.for_scalar_code(masks=stores_narrow_under_masks(program))
        text = EntryPrinter(entry, program).print_entry()
        entry.functions += [EntryPrinter(entry, program, f).print_function() for f in program.functions]
        entry.functions.append(text)
        is_baseline = bool(self.options.budget)
        passes = gains_by_passes(program) and not is_baseline
        whole = _module(entry, inline=passes)
        effort = "full" if passes else "baseline" if is_baseline else _effort(program, whole, self._care)
        yield Module(whole, effort)


def _effort(program: Program, text: str, care: Effort) -> Effort:
    """How an entry that gains nothing by the optimiser is compiled; `care`: good code of this program."""
    lines = text.count("\n")
    is_short = not loops(program) and lines <= SHORT_ENTRY
    may_compute = lines > LONG_ENTRY or any(map(is_heavy, host_code(program)))
    return care if is_short or not is_quick(text, may_compute=may_compute) else "quick"


def loops(program: Program) -> bool:
    """Whether host code has loops or functions of its own."""
    return any(isinstance(s, For | Invoke) for s in host_code(program))


def gains_by_passes(program: Program) -> bool:
    """Whether host code computes: in functions, or in an innermost loop, instead of handing the work to kernels and
    products, beside which the rest of such a loop takes no time."""
    has_kernels = any(map(is_heavy, host_code(program)))
    for stmt in host_code(program):
        if isinstance(stmt, Invoke):
            return True
        if isinstance(stmt, For) and _computes(stmt) and not (has_kernels and _only_fills(stmt)):
            return True
    return False


def _computes(loop: For) -> bool:
    inner = any(isinstance(s, For) or is_heavy(s) for s in walk(loop.body))
    return not (inner or _only_copies(loop) or _only_hands_on(loop))


def _only_copies(loop: For) -> bool:
    """Whether each trip of a loop copies an array and reads no element of one."""
    return any(map(_copies, loop.body)) and not loaded(loop.body)


def _copies(stmt: Stmt) -> bool:
    """Whether a statement copies an array, or fills one, of a size that only the call knows."""
    if not isinstance(stmt, Call) or stmt.name not in ("copy", "zero", "zero_shared"):
        return False
    return not isinstance(stmt.args[-1], Const)


def _only_hands_on(loop: For) -> bool:
    """Whether a loop does nothing but hand arrays from list to list."""
    return not loop.carried and all(isinstance(s, Call) and _hands_on(s) for s in loop.body)


def _only_fills(loop: For) -> bool:
    """Whether a loop does nothing but append numbers that are known to lists: a call for each takes little beside
    kernels and products."""
    carries_lists = all(isinstance(c.var.type, Pointer) and c.var.type.is_list for c in loop.carried)
    return carries_lists and all(
        isinstance(s, Call) and s.name == "list_push" and isinstance(s.args[1], Const) for s in loop.body
    )


def _hands_on(call: Call) -> bool:
    """Whether a call puts an array into a list or takes one from it."""
    moved = {"list_push": call.args[1:], "list_pop": call.results, "list_push_null": call.args}.get(call.name, ())
    return any(isinstance(x.type, Pointer) for x in moved)


def products_of(program: Program) -> list[str]:
    """The dtypes whose matrix products a program calls."""
    code = chain(host_code(program), *(walk(kernel.body) for kernel in program.kernels))
    called = {stmt.name for stmt in code if isinstance(stmt, Call)}
    return [name for name in PRODUCTS if any(c.startswith(f"gemm_{name}") for c in called)]


def _module(texts: Texts, *, inline: bool) -> str:
    """A whole module; with `inline` it has small support functions of its own instead of calling them."""
    own = INLINE.keys() & {symbol(d) for d in texts.declarations} if inline else set[str]()
    declared = sorted(d for d in texts.declarations if symbol(d) not in own)
    defined = [INLINE[name].replace("nounwind {", "#1 {") for name in sorted(own)]
    head = once("\n".join([*declared, *defined]))
    return "\n".join([head, *texts.functions, _scalar_attributes(texts)]) + FOOTER


def _launching(launchers: Sequence[str], declarations: Iterable[str]) -> str:
    """The module of functions that only say what is to be shared."""
    shared = sorted({name for text in launchers for name in _SHARED.findall(text)})
    whole = "\n".join(launchers)
    declared = sorted(d for d in declarations if f"@{symbol(d)}(" in whole)
    return (
        once("\n".join([*declared, *(f"declare hidden void {name}(ptr, i64, i64)" for name in shared), whole])) + FOOTER
    )


#: What a function says is to be shared.
_SHARED = re.compile(r'call i64 @tj_share\(ptr (@"[^"]*")')


def _scalar_attributes(texts: Texts) -> str:
    """Attributes `#1`, of the entry."""
    features = "" if texts.scalar is texts.options else f' "target-features"="{texts.scalar.features}"'
    return f'attributes #1 = {{ nounwind "no-trapping-math"="true"{features} }}'
