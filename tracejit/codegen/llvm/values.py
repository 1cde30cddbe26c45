"""LLVM text at the level of single instructions: types, literals, operands, and where an instruction is placed.

`Emitter` keeps a stack of scopes (function prologue, function body, loop preheaders, loop bodies, branches).
A pure instruction goes to the outermost scope that has all its operands, and is emitted once per scope: common
subexpressions and loop invariants are thereby gone before LLVM sees the text, so kernels need no passes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from tracejit.codegen.loop_ir import Pointer
from tracejit.ir.types import BF16, BOOL, F16, F32, F64, I64, DType

_FLOATS = {F32: "float", F64: "double", F16: "i16", BF16: "i16"}


@cache
def type_text(dtype: DType | Pointer, lanes: int = 1) -> str:
    """The LLVM type of a value in registers: booleans are i1, halves are the i16 of their bits."""
    if isinstance(dtype, Pointer):
        scalar = "ptr"
    elif dtype == BOOL:
        scalar = "i1"
    else:
        scalar = _FLOATS.get(dtype) or f"i{dtype.bits}"
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def memory_type_text(dtype: DType | Pointer, lanes: int = 1) -> str:
    """The LLVM type of a value in memory: as in registers, but a boolean takes a byte."""
    if dtype == BOOL:
        return "i8" if lanes == 1 else f"<{lanes} x i8>"
    return type_text(dtype, lanes)


def suffix_text(dtype: DType, lanes: int = 1) -> str:
    """The type as intrinsic names end: `f32`, `v16f64`."""
    scalar = f"f{dtype.bits}" if dtype in (F32, F64) else type_text(dtype)
    return scalar if lanes == 1 else f"v{lanes}{scalar}"


@lru_cache(maxsize=4096)
def literal_text(value: bool | int | float, dtype: DType, negative_zero: bool = False) -> str:
    """A literal operand without its type. `negative_zero` keeps -0.0 and 0.0 apart in the memo."""
    if dtype == BOOL:
        return "true" if value else "false"
    if dtype.is_float:
        number = -0.0 if negative_zero else float(value)
        if dtype == F32:
            number = struct.unpack("f", struct.pack("f", number))[0]
        return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
    return str(int(value))


def lane_indices(values: range | list[int]) -> str:
    """A shuffle mask."""
    return f"<{len(values)} x i32> <{', '.join(f'i32 {v}' for v in values)}>"


class Value:
    """An SSA operand: its text, dtype, number of lanes, and the depth of the scope that defines it."""

    __slots__ = ("text", "dtype", "lanes", "depth")

    def __init__(self, text: str, dtype: DType | Pointer, lanes: int = 1, depth: int = 0) -> None:
        self.text = text
        self.dtype = dtype
        self.lanes = lanes
        self.depth = depth

    @property
    def is_literal(self) -> bool:
        """Whether it is a constant, not a register."""
        return self.text[0] != "%"

    def viewed(self, dtype: DType | Pointer) -> Value:
        """The same register as another dtype of the same LLVM type."""
        return Value(self.text, dtype, self.lanes, self.depth)

    def typed(self) -> str:
        """Type and text, as operands are spelled."""
        return f"{type_text(self.dtype, self.lanes)} {self.text}"


class Ramp:
    """An i64 that grows by `step` per lane of a vector loop: `offset + constant + step * (first index + lane)`."""

    __slots__ = ("offset", "constant", "step")
    dtype = I64

    def __init__(self, offset: Value, constant: int, step: Value) -> None:
        self.offset = offset
        self.constant = constant
        self.step = step


ZERO = Value("0", I64)
ONE = Value("1", I64)


@dataclass(slots=True)
class Scope:
    """A region of straight-line or already structured text. `label` is the block its next line falls into.

    The scope around a loop body is the loop's preheader: code that runs once, but only if the body runs.
    """

    depth: int
    label: str
    is_loop_body: bool = False
    lines: list[str] = field(default_factory=list[str])
    instructions: dict[str, Value] = field(default_factory=dict[str, Value])
    expressions: dict[int, tuple[Value | Ramp, int, object]] = field(default_factory=dict[int, Any])


class Emitter:
    """Instructions of one function. `declarations` collects what the module must declare."""

    def __init__(self, declarations: set[str]) -> None:
        self.declarations = declarations
        self.allocas: list[str] = []
        self.scopes: list[Scope] = [Scope(0, "prologue"), Scope(1, "start")]
        self.floor = 1  #: instructions are not hoisted above this depth (a branch raises it)
        self._count = 0

    @property
    def scope(self) -> Scope:
        """The innermost scope."""
        return self.scopes[-1]

    def name(self, hint: str = "") -> str:
        """A new register name."""
        self._count += 1
        return f"%{hint}{self._count}" if hint else f"%v{self._count}"

    def new_label(self, hint: str) -> str:
        """A new block name, without `%`."""
        self._count += 1
        return f"{hint}{self._count}"

    def line(self, text: str) -> None:
        """Append to the innermost scope."""
        self.scope.lines.append("  " + text)

    def begin(self, label: str) -> None:
        """Start a block in the innermost scope."""
        self.scope.lines.append(f"{label}:")
        self.scope.label = label

    def push(self, label: str, is_loop_body: bool = False) -> Scope:
        """Open a nested scope that starts in block `label`."""
        scope = Scope(len(self.scopes), label, is_loop_body)
        self.scopes.append(scope)
        return scope

    def pop(self) -> Scope:
        """Close the innermost scope; the caller places its lines."""
        return self.scopes.pop()

    def define(self, text: str, dtype: DType | Pointer, lanes: int = 1) -> Value:
        """An instruction that stays where it is (it reads memory or has effects)."""
        name = self.name()
        self.line(f"{name} = {text}")
        return Value(name, dtype, lanes, self.scope.depth)

    def pure(self, text: str, dtype: DType | Pointer, lanes: int, *operands: Value, lowest: int = 0) -> Value:
        """An instruction without effects, placed as far out as its operands (and `lowest`) allow."""
        natural = lowest
        for operand in operands:
            if operand.depth > natural:
                natural = operand.depth
        depth = natural if natural > self.floor else self.floor
        for scope in self.scopes[natural : depth + 1]:
            found = scope.instructions.get(text)
            if found is not None:
                return found if found.dtype == dtype else found.viewed(dtype)
        name = self.name()
        scope = self.scopes[depth]
        scope.lines.append(f"  {name} = {text}")
        value = scope.instructions[text] = Value(name, dtype, lanes, depth)
        return value

    def prologue(self, text: str, dtype: DType | Pointer, *operands: Value) -> Value:
        """An instruction of the function's first block (reads of the call's arguments)."""
        scope = self.scopes[0]
        found = scope.instructions.get(text)
        if found is None:
            name = self.name()
            scope.lines.append(f"  {name} = {text}")
            found = scope.instructions[text] = Value(name, dtype, 1, 0)
        return found

    def alloca(self, type: str, align: int = 8) -> Value:
        """Stack memory of the whole call."""
        name = self.name("stack")
        self.allocas.append(f"  {name} = alloca {type}, align {align}")
        return Value(name, Pointer(I64), 1, 0)

    def declare(self, text: str) -> None:
        """Make the module declare a function."""
        self.declarations.add(text)

    def splat(self, value: Value, lanes: int) -> Value:
        """The value in every lane."""
        if value.lanes == lanes:
            return value
        scalar, vector = type_text(value.dtype), type_text(value.dtype, lanes)
        if value.is_literal:
            return Value(f"splat ({scalar} {value.text})", value.dtype, lanes)
        first = self.pure(f"insertelement {vector} poison, {scalar} {value.text}, i64 0", value.dtype, lanes, value)
        mask = f"<{lanes} x i32> zeroinitializer"
        return self.pure(f"shufflevector {vector} {first.text}, {vector} poison, {mask}", value.dtype, lanes, first)

    def binary(self, opcode: str, a: Value, b: Value, dtype: DType | None = None) -> Value:
        """A two-operand instruction; scalar operands beside vectors are splat."""
        lanes = max(a.lanes, b.lanes)
        a, b = self.splat(a, lanes), self.splat(b, lanes)
        return self.pure(f"{opcode} {a.typed()}, {b.text}", dtype or a.dtype, lanes, a, b)

    def convert(self, opcode: str, x: Value, dtype: DType) -> Value:
        """A conversion instruction."""
        return self.pure(f"{opcode} {x.typed()} to {type_text(dtype, x.lanes)}", dtype, x.lanes, x)

    def choose(self, cond: Value, a: Value, b: Value) -> Value:
        """`select`."""
        lanes = max(cond.lanes, a.lanes, b.lanes)
        cond, a, b = self.splat(cond, lanes), self.splat(a, lanes), self.splat(b, lanes)
        return self.pure(f"select {cond.typed()}, {a.typed()}, {b.typed()}", a.dtype, lanes, cond, a, b)

    def intrinsic(self, name: str, result: DType, *args: Value, flags: str = "") -> Value:
        """A call of an overloaded intrinsic on operands of one dtype."""
        lanes = max(a.lanes for a in args)
        args = tuple(self.splat(a, lanes) for a in args)
        assert isinstance(args[0].dtype, DType)
        full = f"@{name}.{suffix_text(args[0].dtype, lanes)}"
        type, returned = type_text(args[0].dtype, lanes), type_text(result, lanes)
        self.declare(f"declare {returned} {full}({', '.join([type] * len(args))})")
        return self.pure(f"call{flags} {returned} {full}({', '.join(a.typed() for a in args)})", result, lanes, *args)
