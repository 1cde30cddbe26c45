"""Printer of the host part of a CUDA program: its entry as the text of a Python function, compiled once.

    def entry(run, inputs):
        in0 = inputs[0]
        ...
        launch_0(run, blocks, threads, rows, v3_x.ptr, v4_n)
        ...
        return outputs

`run` is one call (`runtime/executor.py`): it allocates, reads elements and calls the library. Buffers are what it
allocates, with their address as `ptr`; scalars are Python numbers (`host_numbers.py`). `launch_<i>` runs kernel i.
Launch sizes are computed before the loops that they do not depend on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracejit.codegen import kernel_walk as facts
from tracejit.codegen.cuda.host_expressions import HostExpressions
from tracejit.codegen.cuda.host_numbers import FUNCTIONS, given
from tracejit.codegen.cuda.schedule import CudaProgram, Geometry
from tracejit.codegen.loop_ir import (
    Alloc,
    Call,
    Const,
    Expr,
    Fail,
    For,
    Free,
    If,
    Input,
    Invoke,
    Kernel,
    Launch,
    Let,
    Load,
    Offset,
    Output,
    Pointer,
    Stmt,
    Store,
    Var,
    Way,
)
from tracejit.codegen.lowering.elements import ZERO, variables
from tracejit.codegen.numeric import numpy_dtype
from tracejit.codegen.walk import ProgramFailure
from tracejit.ir.types import F32, DType, ScalarType
from tracejit.records import record


@record
class HostText:
    """A Python module with the function `entry(run, inputs)`.

    constants: the objects it names, beside `launch_<i>` and `call_<name>`.
    kernels:   the kernel that `launch_<i>` runs.
    calls:     the support functions it calls.
    """

    source: str
    constants: dict[str, Any]
    kernels: tuple[Kernel, ...]
    calls: tuple[str, ...]


@dataclass(eq=False, slots=True)
class _Block:
    """Lines of the function, or of a loop or branch in it; `temporaries` are names of texts that are known there."""

    is_loop: bool
    lines: list[str] = field(default_factory=list[str])
    temporaries: dict[str, str] = field(default_factory=dict[str, str])


def print_host(scheduled: CudaProgram) -> HostText:
    """The entry of a scheduled program."""
    return _Printer(scheduled).text()


class _Printer:
    """Prints one entry."""

    def __init__(self, scheduled: CudaProgram) -> None:
        self.program = scheduled.program
        self.geometries = scheduled.geometries
        self.kernels = {kernel.name: i for i, kernel in enumerate(scheduled.program.kernels)}
        self.blocks: list[_Block] = []
        self.names: dict[Var, str] = {}
        self.homes: dict[Var, int] = {}  #: which of the blocks around binds a variable
        self.parts: set[Var] = set()  #: scalars of the caller in parts, on the host
        self.expressions = HostExpressions(self.names, self.temporary, self.leaf)
        self.sizes = HostExpressions(self.names, self.temporary, self.leaf, wraps=False)
        self.calls: dict[str, None] = {}
        self._count = 0

    def text(self) -> HostText:
        self.blocks.append(_Block(False))
        for i in range(len(self.program.inputs)):
            self.line(f"in{i} = inputs[{i}]")
        self.line(f"outputs = [None] * {len(self.program.outputs)}")
        self.body(self.program.entry.body)
        self.line("return outputs")
        lines = ["def entry(run, inputs):", *_indented(self.blocks.pop().lines)]
        constants = FUNCTIONS | {"ProgramFailure": ProgramFailure} | self.expressions.constants | self.sizes.constants
        return HostText("\n".join(lines) + "\n", constants, self.program.kernels, tuple(self.calls))

    # -- lines and names ------------------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        self.blocks[-1].lines.append(text)

    def bind(self, var: Var) -> str:
        """A name for a variable that the innermost block binds."""
        self._count += 1
        base = re.sub(r"\W", "_", var.name)
        self.names[var] = f"v{self._count}_{base}"
        self.homes[var] = len(self.blocks) - 1
        return self.names[var]

    def home(self, e: Expr) -> int:
        """The block that a value is computed in: outside of all loops that it does not depend on."""
        here = len(self.blocks) - 1
        if any(facts.loads(e)):
            return here
        outermost = max((self.homes[v] for v in variables(e)), default=0)
        return outermost if any(b.is_loop for b in self.blocks[outermost + 1 :]) else here

    def temporary(self, text: str, e: Expr) -> str:
        """A name for the value of an expression; the same one where it is known already."""
        if re.fullmatch(r"\w+", text):
            return text
        has_loads = any(facts.loads(e))
        if not has_loads:
            for block in self.blocks:
                if text in block.temporaries:
                    return block.temporaries[text]
        home = self.blocks[self.home(e)]
        self._count += 1
        name = f"t{self._count}"
        home.lines.append(f"{name} = {text}")
        if not has_loads:
            home.temporaries[text] = name
        return name

    def leaf(self, e: Expr, spell: Callable[[Expr], str]) -> str:
        """A load, an input, or a place in a buffer."""
        match e:
            case Load(buffer, index) if buffer in self.parts:
                return f"{self.names[buffer]}[{spell(index)}]"
            case Load(buffer, index):
                return f"run.read({self.names[buffer]}, {spell(index)}, {self.element(buffer)})"
            case Offset(buffer, index):
                return f"inside({self.names[buffer]}, {spell(index)} * {_element(buffer).itemsize})"
            case Input():
                return self.input(e)
            case _:
                raise AssertionError(f"{type(e).__name__} is no leaf")

    def input(self, e: Input) -> str:
        """What the caller passed."""
        name = f"in{e.index}"
        match e.kind:
            case "data":
                return f"run.data({name})"
            case "dim":
                return f"{self.fact(f'{name}.shape')}[{e.axis}]"
            case "stride":
                return f"{self.fact(f'{name}.strides')}[{e.axis}] // {name}.itemsize"
            case "scalar":
                assert isinstance(e.type, DType)
                return f"{self.expressions.constant(f'scalar_{e.type}', given(e.type))}({name})"

    def fact(self, text: str) -> str:
        """An attribute of an input, read once."""
        return self.temporary(text, ZERO)

    # -- statements -----------------------------------------------------------------------------------------------

    def body(self, stmts: Sequence[Stmt]) -> None:
        for stmt in _late(stmts):
            self.stmt(stmt)

    def stmt(self, stmt: Stmt) -> None:
        match stmt:
            case Let(var, expr):
                self.let(var, expr)
            case Launch():
                self.launch(stmt)
            case For():
                self.loop(stmt)
            case If():
                self.branch(stmt)
            case Alloc(var, count):
                size = self.bytes_of(count, _element(var).itemsize)
                self.line(f"{self.bind(var)} = run.allocate({size})")
            case Free(var):
                self.line(f"run.free({self.names[var]})")
            case Call():
                self.call(stmt)
            case Fail(error, payload):
                words = "".join(f"{self.expressions(p)}, " for p in payload)
                self.line(f"raise ProgramFailure({error}, ({words}))")
            case Output():
                self.output(stmt)
            case Store() | Invoke() | Way():
                raise AssertionError("the schedule leaves no stores, no functions and no ways out to the host")

    def bytes_of(self, count: Expr, itemsize: int) -> str:
        return self.temporary(f"{self.expressions.atom(count)} * {itemsize}", count)

    def let(self, var: Var, expr: Expr) -> None:
        if self.is_number(expr):
            assert isinstance(expr, Input)
            self.parts.add(var)
            part = "rounded(float({}))" if _element(var) == F32 else "float({})"
            text = f"({', '.join(part.format(f'in{expr.index}.{name}') for name in ('real', 'imag'))})"
        else:
            text = self.expressions(expr)
        self.line(f"{self.bind(var)} = {text}")

    def is_number(self, e: Expr) -> bool:
        """Whether an expression is the memory of a complex number, which the host has in parts."""
        return isinstance(e, Input) and e.kind == "data" and isinstance(self.program.inputs[e.index].type, ScalarType)

    def launch(self, stmt: Launch) -> None:
        """A launch, with its sizes from the arguments."""
        geometry = self.geometries[stmt.kernel]
        passed = [self.argument(a) for a in stmt.args]
        homes = [self.home(a) for a in stmt.args]
        lets = _needed(geometry)
        inner = [*geometry.params, *(let.var for let in lets)]
        outer = {v: (self.names[v], self.homes[v]) for v in inner if v in self.names}  # a variable of the entry too
        self.names.update(zip(geometry.params, passed, strict=True))
        self.homes.update(zip(geometry.params, homes, strict=True))
        for let in lets:
            text = self.temporary(self.sizes(let.expr), let.expr)
            self.names[let.var], self.homes[let.var] = text, self.home(let.expr)
        sizes = [geometry.blocks, geometry.threads, geometry.rows]
        texts = self.sizes.spell_all(sizes)
        shown = [self.at_least_one(text, e) for text, e in zip(texts, sizes, strict=True)]
        for v, (name, home) in outer.items():
            self.names[v], self.homes[v] = name, home
        words = [f"{t}.ptr" if isinstance(p.type, Pointer) else t for p, t in zip(geometry.params, passed, strict=True)]
        self.line(f"launch_{self.kernels[stmt.kernel]}({', '.join(('run', *shown, *words))})")

    def argument(self, e: Expr) -> str:
        """An argument as a name or a literal."""
        text = self.expressions(e)
        if re.fullmatch(r"-?[\w.]+", text) or isinstance(e, Const):
            return text
        return self.temporary(text, e)

    def at_least_one(self, text: str, e: Expr) -> str:
        if text.isdigit():
            return str(max(int(text), 1))
        return self.temporary(f"max({text}, 1)", e)

    def loop(self, loop: For) -> None:
        """Carried values are assigned together at the end of the body."""
        carried = loop.carried
        extent = self.argument(loop.extent)
        starts = [self.expressions(c.init) for c in carried]
        go = None if loop.go is None else self.expressions(loop.go[1])
        outer = [self.bind(c.var) for c in carried]
        self.assign(outer, starts)
        if loop.go is not None:
            running = self.bind(loop.go[0])
            self.line(f"{running} = {go}")
        self.blocks.append(_Block(True))
        counter = self.bind(loop.var)
        for c in carried:
            self.homes[c.var] = len(self.blocks) - 1
        if loop.go is not None:
            self.homes[loop.go[0]] = len(self.blocks) - 1
        self.body(loop.body)
        nexts = [self.expressions(c.next) for c in carried]
        targets = list(outer)
        if loop.go is not None:
            targets.append(self.names[loop.go[0]])
            nexts.append(self.expressions(loop.go[2]))
            self.assign([*targets, counter], [*nexts, f"{counter} + 1"])
            head, first = f"while {self.names[loop.go[0]]} and {counter} < {extent}:", f"{counter} = 0"
        else:
            self.assign(targets, nexts)
            head, first = f"for {counter} in range({extent}):", ""
        lines = self.blocks.pop().lines
        if first:
            self.line(first)
        self.line(head)
        self.blocks[-1].lines += _indented(lines)
        for c, name in zip(carried, outer, strict=True):
            self.names[c.result], self.homes[c.result] = name, len(self.blocks) - 1

    def assign(self, names: Sequence[str], texts: Sequence[str]) -> None:
        if names:
            self.line(f"{', '.join(names)} = {', '.join(texts)}")

    def branch(self, stmt: If) -> None:
        results = [self.bind(r) for r in stmt.results]
        cond = self.expressions(stmt.cond)
        sides: list[list[str]] = []
        for body, values in ((stmt.then, stmt.then_values), (stmt.orelse, stmt.else_values)):
            self.blocks.append(_Block(False))
            self.body(body)
            self.assign(results, [self.expressions(v) for v in values])
            sides.append(self.blocks.pop().lines)
        self.line(f"if {cond}:")  # behind what was computed ahead of loops in the branches
        self.blocks[-1].lines += _indented(sides[0])
        if sides[1]:
            self.line("else:")
            self.blocks[-1].lines += _indented(sides[1])

    def call(self, stmt: Call) -> None:
        """A support function gets the statement, for its types, and the arguments."""
        self.calls[stmt.name] = None
        site = self.expressions.constant(f"site_{len(self.expressions.constants)}", stmt)
        passed = ", ".join(("run", site, *(self.expressions(a) for a in stmt.args)))
        text = f"call_{stmt.name}({passed})"
        assert len(stmt.results) <= 1, f"{stmt.name} has several results"
        self.line(f"{self.bind(stmt.results[0])} = {text}" if stmt.results else text)

    def output(self, stmt: Output) -> None:
        expected = self.program.outputs[stmt.index].type
        dtype, value = expected.dtype, self.argument(stmt.value)
        kind = self.expressions.constant(f"numpy_{dtype}", numpy_dtype(dtype))
        if isinstance(stmt.value.type, DType):
            self.line(f"outputs[{stmt.index}] = {kind}.type({value})")
        elif isinstance(expected, ScalarType):
            self.line(f"outputs[{stmt.index}] = {kind}.type(run.complex({value}, {self.element(stmt.value)}))")
            self.line(f"run.free({value})")
        else:
            assert stmt.owned, "results of a GPU program own their memory"
            shape = "".join(f"{self.expressions(d)}, " for d in stmt.dims)
            self.line(f"outputs[{stmt.index}] = run.array({value}, ({shape}), {kind})")

    def element(self, buffer: Expr) -> str:
        """The name of the dtype of a buffer's elements."""
        dtype = _element(buffer)
        return self.expressions.constant(f"element_{dtype}", dtype)


def _needed(geometry: Geometry) -> list[Let]:
    """The definitions that the launch sizes depend on, in order."""
    needed = {v for e in (geometry.blocks, geometry.threads, geometry.rows) for v in variables(e)}
    found: list[Let] = []
    for let in reversed(geometry.lets):
        if let.var in needed:
            found.append(let)
            needed.update(variables(let.expr))
    return found[::-1]


def _late(stmts: Sequence[Stmt]) -> list[Stmt]:
    """Statements with reads of the device put off until their value is needed: a read waits for all work before it,
    and work that is queued first runs meanwhile."""
    made = list(stmts)
    for read in [s for s in stmts if isinstance(s, Let) and isinstance(s.expr, Load)]:
        at = made.index(read)
        free = _last_use(made, at)
        if free is None:
            continue
        used = [i for i in range(at + 1, len(made)) if read.var in facts.read((made[i],))]
        until = min(used, default=len(made))
        if until > free:
            pair = [read, made[free]]
            made[at:until] = [*(s for s in made[at:until] if s is not pair[0] and s is not pair[1]), *pair]
    return made


def _last_use(stmts: Sequence[Stmt], at: int) -> int | None:
    """Where the cell that statement `at` reads is freed, if kernels and calls write it before and nothing uses it
    after."""
    read = stmts[at]
    assert isinstance(read, Let) and isinstance(read.expr, Load)
    cell = read.expr.buffer
    uses = [i for i, s in enumerate(stmts) if i != at and cell in facts.read((s,))]
    if not any(isinstance(s, Alloc) and s.var is cell and isinstance(s.count, Const) for s in stmts[:at]):
        return None
    if not uses or uses[-1] < at or not isinstance(stmts[uses[-1]], Free):
        return None
    return uses[-1] if all(i < at and isinstance(stmts[i], Launch | Call) for i in uses[:-1]) else None


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines or ("pass",)]


def _element(buffer: Expr) -> DType:
    assert isinstance(buffer.type, Pointer)
    return buffer.type.element
