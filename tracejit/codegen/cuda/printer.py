"""Printer of kernels as CUDA C.

What runs where is decided by `schedule.py`; here every axis has one spelling:

    grid.x                      blockIdx.x, then every gridDim.x-th trip; threads of a block agree on all that is in it
    thread.x inside grid.x      threadIdx.x, then every blockDim.x-th trip; carried folds are finished over the block
    thread.y                    a row of threads per trip over the whole grid; thread.x inside as above, no folds
    thread.x outside, folding   the same: every block computes the fold
    thread.x outside            one trip per thread of the whole grid

Code that all threads of a block run alike (`uniform`) computes values in every thread, but stores in one only.
A barrier separates stores from loads of the same buffer. Buffers that are written are never `restrict`: an
output may be the memory of an operand. Compile with fused multiply-add off (`OPTIONS`): `fma` is spelt out.

The text names nothing of the CUDA headers beyond built-in functions, so it needs no include path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tracejit.codegen import kernel_walk as facts
from tracejit.codegen.cuda.expressions import TYPES, Expressions, Names
from tracejit.codegen.loop_ir import (
    Alloc,
    Const,
    Expr,
    Fail,
    For,
    If,
    Kernel,
    Let,
    Pointer,
    Program,
    Stmt,
    Store,
    Var,
)
from tracejit.codegen.lowering.elements import ElementBuilder, variables
from tracejit.ir.types import I64, DType
from tracejit.records import record

_k = ElementBuilder(lambda e, _name: e)

#: Compiler options that the numerical contract needs.
OPTIONS = ("--fmad=false", "--std=c++17")

PREAMBLE = """\
typedef signed char i8; typedef short i16; typedef int i32; typedef long long i64;
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
"""

_FOLD = """\
// `{combine}` of x over the threads of the block, as a fixed tree; every thread gets the result
static __device__ {t} {name}({t} x, const {t} identity) {{
    __shared__ {w} slots[32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = (blockDim.x + 31) >> 5;
    for (int offset = 16; offset > 0; offset >>= 1) {{
        const {t} other = __shfl_down_sync(0xffffffffu, {wide}x, offset);
        x = {combined};
    }}
    if (lane == 0) slots[warp] = x;
    __syncthreads();
    if (warp == 0) {{
        x = lane < warps ? {narrow}slots[lane] : identity;
        for (int offset = 16; offset > 0; offset >>= 1) {{
            const {t} other = __shfl_down_sync(0xffffffffu, {wide}x, offset);
            x = {combined};
        }}
        if (lane == 0) slots[0] = x;
    }}
    __syncthreads();
    x = slots[0];
    __syncthreads();
    return x;
}}
"""


@dataclass(slots=True)
class Module:
    """Function definitions that kernels need, each once, in the order of need."""

    functions: dict[str, str] = field(default_factory=dict[str, str])

    def fold(self, combine: str, dtype: DType) -> str:
        """The name of the function that folds over a block."""
        name = f"tj_fold_{combine}_{dtype}"
        if name not in self.functions:
            x, other = Var("x", dtype), Var("other", dtype)
            expressions = Expressions(Names(), self.functions)
            expressions.names.bind(x)
            expressions.names.bind(other)
            text = _FOLD.format(
                name=name,
                combine=combine,
                t=TYPES[dtype],
                w=TYPES[dtype] if dtype.bits >= 32 else "int",
                wide="" if dtype.bits >= 32 else "(int)",
                narrow="" if dtype.bits >= 32 else f"({TYPES[dtype]})",
                combined=expressions.operation(combine, (x, other)),
            )
            self.functions[name] = text
        return name


# -- places -------------------------------------------------------------------------------------------------------


@record
class Place:
    """Who runs the code at hand.

    guard:      the condition under which it stores, "" where every thread does.
    is_uniform: whether all threads of a block run it in step, so that it may hold barriers.
    """

    guard: str
    is_uniform: bool


GRID = Place("blockIdx.x == 0 && threadIdx.x == 0", True)
BLOCK = Place("threadIdx.x == 0", True)
ROW = Place("threadIdx.x == 0", False)
THREAD = Place("", False)

_SERIAL = "for (i64 {i} = 0; {condition}{i} < {n}; ++{i}) {{"
_SPREAD = "for (i64 {i} = {first}; {i} < {n}; {i} += {step}) {{"
#: First index and step of spread loops.
_STRIDES = {
    "grid": ("blockIdx.x", "gridDim.x"),
    "block": ("threadIdx.x", "blockDim.x"),
    "rows": ("blockIdx.x * (i64)blockDim.y + threadIdx.y", "gridDim.x * (i64)blockDim.y"),
    "global": ("blockIdx.x * (i64)blockDim.x + threadIdx.x", "gridDim.x * (i64)blockDim.x"),
}


class KernelPrinter:
    """Prints one kernel."""

    def __init__(self, kernel: Kernel, module: Module) -> None:
        self.kernel = kernel
        self.module = module
        self.lines: list[str] = []
        self.indent = 1
        self.names = Names()
        self.expressions = Expressions(self.names, module.functions)
        self.indices = facts.indices(kernel.body)
        self.shared = facts.loaded(kernel.body) & facts.stored(kernel.body)

    def text(self) -> str:
        """The kernel's definition."""
        parameters = ", ".join(self._parameter(p) for p in self.kernel.params)
        self.body(self.kernel.body, GRID)
        comments = "".join(f"// {line}\n" for line in source_lines(self.kernel))
        name = identifier(self.kernel.name)
        head = f'extern "C" __global__ void __launch_bounds__(256) {name}({parameters}) {{'
        return comments + "\n".join([head, *self.lines, "}"]) + "\n"

    def _parameter(self, var: Var) -> str:
        name = self.names.bind(var)
        if not isinstance(var.type, Pointer):
            return f"const {TYPES[var.type]} {name}"
        const = "" if var in self.kernel.outputs else "const "
        return f"{const}{TYPES[var.type.element]}* {name}"

    def line(self, text: str) -> None:
        """Append a line at the current depth."""
        self.lines.append("    " * self.indent + text)

    # -- statements -----------------------------------------------------------------------------------------------

    def body(self, stmts: Sequence[Stmt], place: Place) -> None:
        """Print statements."""
        for stmt in stmts:
            self.stmt(stmt, place)

    def stmt(self, stmt: Stmt, place: Place) -> None:
        """Print one statement."""
        match stmt:
            case Let(var, expr):
                value = self.expressions.spell(expr, plain=var in self.indices)[0]
                self.line(f"const {self._type(var)} {self.names.bind(var)} = {value};")
            case Store(buffer, index, value):
                self._store(buffer, index, value, place)
            case For():
                self._loop(stmt, place)
            case If():
                self._branch(stmt, place)
            case Alloc(var, Const(value=count), stack=True):
                assert isinstance(var.type, Pointer) and place != ROW
                storage = "__shared__ " if place.is_uniform else ""
                self.line(f"{storage}{TYPES[var.type.element]} {self.names.bind(var)}[{count}];")
            case Fail(error, payload):
                self._fail(error, payload)
            case _:
                raise AssertionError(f"{type(stmt).__name__} does not belong into a kernel")

    def _type(self, var: Var) -> str:
        if isinstance(var.type, Pointer):
            return f"{TYPES[var.type.element]}*"
        return TYPES[var.type]

    def _store(self, buffer: Var, index: Expr, value: Expr, place: Place) -> None:
        assignment = f"{self.names[buffer]}[{self.expressions.index(index)}] = {self.expressions(value)};"
        synchronised = place.is_uniform and buffer in self.shared
        if synchronised:
            self._barrier()
        self.line(f"if ({place.guard}) {assignment}" if place.guard else assignment)
        if synchronised:
            self._barrier()

    def _fail(self, error: int, payload: Sequence[Expr]) -> None:
        """Report through the last parameter and leave; only one thread runs such kernels."""
        status = self.names[self.kernel.params[-1]]
        for i, e in enumerate(payload):
            self.line(f"{status}[{i + 1}] = {self.expressions(_k.bitcast(e, I64))};")
        self.line(f"{status}[0] = {error + 1};")
        self.line("return;")

    def _branch(self, stmt: If, place: Place) -> None:
        for var in stmt.results:
            self.line(f"{self._type(var)} {self.names.bind(var)};")
        self.line(f"if ({self.expressions(stmt.cond)}) {{")
        self._arm(stmt.then, stmt.results, stmt.then_values, place)
        if stmt.orelse or stmt.results:
            self.line("} else {")
            self._arm(stmt.orelse, stmt.results, stmt.else_values, place)
        self.line("}")

    def _arm(self, stmts: Sequence[Stmt], results: Sequence[Var], values: Sequence[Expr], place: Place) -> None:
        self.indent += 1
        self.body(stmts, place)
        self._assign(results, values)
        self.indent -= 1

    # -- loops ------------------------------------------------------------------------------------------------------

    def _loop(self, loop: For, place: Place) -> None:
        kind, inside = self._spelling(loop, place)
        extent = self._extent(loop)
        state = [self.names.bind(c.var) for c in loop.carried]
        for c, name in zip(loop.carried, state, strict=True):
            self.line(f"{self._type(c.var)} {name} = {self.expressions(c.init)};")
        condition = ""
        if loop.go is not None:
            condition = f"{self.names.bind(loop.go[0])} && "
            self.line(f"bool {self.names[loop.go[0]]} = {self.expressions(loop.go[1])};")
        if inside == THREAD and place == BLOCK:
            self._barrier_for(loop)
        first, step = _STRIDES.get(kind, ("0", "1"))
        header = _SERIAL if kind == "serial" else _SPREAD
        self.line(header.format(i=self.names.bind(loop.var), n=extent, condition=condition, first=first, step=step))
        self.indent += 1
        self.body(loop.body, inside)
        following = [c.next for c in loop.carried] + ([loop.go[2]] if loop.go is not None else [])
        self._assign([c.var for c in loop.carried] + ([loop.go[0]] if loop.go is not None else []), following)
        self.indent -= 1
        self.line("}")
        if kind == "block":
            self._finish_folds(loop)
        if inside == THREAD and place == BLOCK:
            self._barrier_for(loop)
        for c in loop.carried:
            self.names.share(c.result, c.var)

    def _spelling(self, loop: For, place: Place) -> tuple[str, Place]:
        """How the loop is spelt, and who runs its body."""
        match loop.axis:
            case "grid.x":
                return "grid", BLOCK
            case "thread.y":
                return "rows", ROW
            case "thread.x" if place == GRID and not loop.carried:
                return "global", THREAD
            case "thread.x":
                return "block", THREAD
            case _:
                return "serial", place

    def _extent(self, loop: For) -> str:
        text, is_atom = self.expressions.spell(loop.extent, plain=True)
        return text if is_atom else f"({text})"

    def _finish_folds(self, loop: For) -> None:
        """Combine what the threads of the block have folded."""
        for c in loop.carried:
            assert c.combine is not None and isinstance(c.var.type, DType), "only folds run over threads"
            fold = self.module.fold(c.combine, c.var.type)
            self.line(f"{self.names[c.var]} = {fold}({self.names[c.var]}, {self.expressions(c.init)});")

    def _barrier_for(self, loop: For) -> None:
        """Threads enter or leave code in which one stores what another loads."""
        if self.shared & (facts.stored(loop.body) | facts.loaded(loop.body)):
            self._barrier()

    def _barrier(self) -> None:
        """A barrier, unless there is one already: folds over a block end with one."""
        last = self.lines[-1].strip() if self.lines else ""
        if last != "__syncthreads();" and " = tj_fold_" not in last:
            self.line("__syncthreads();")

    def _assign(self, targets: Sequence[Var], values: Sequence[Expr]) -> None:
        """Assign at once: a value may read another target."""
        texts = [self.expressions(v) for v in values]
        names = [self.names[t] for t in targets]
        if len(targets) > 1 and any(t in set(variables(v)) for t in targets for v in values):
            temporaries = [self.names.fresh(f"{name}_next") for name in names]
            for target, temporary, text in zip(targets, temporaries, texts, strict=True):
                self.line(f"const {self._type(target)} {temporary} = {text};")
            texts = temporaries
        for name, text in zip(names, texts, strict=True):
            if name != text:
                self.line(f"{name} = {text};")


def source_lines(kernel: Kernel) -> list[str]:
    """The user's lines a kernel comes from, each once."""
    return list(dict.fromkeys(f"{span.line}: {text}" for span in kernel.spans if (text := span.text().strip())))


def identifier(name: str) -> str:
    """A kernel's name in C."""
    return "".join(c if c.isalnum() else "_" for c in name)


def print_kernels(program: Program) -> str:
    """CUDA C of all kernels of a scheduled program."""
    module = Module()
    kernels = [KernelPrinter(kernel, module).text() for kernel in program.kernels]
    return "\n".join([PREAMBLE, *module.functions.values(), *kernels])
