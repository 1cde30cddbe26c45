"""Spelling of expressions in CUDA C: literals, conversions, operations, and the functions they need.

An operation without a C spelling becomes a device function made from its expansion, printed once per dtype. f16 and
bf16 values are their bits in a u16. Integer arithmetic wraps through unsigned types, except in indices.
"""

from __future__ import annotations

import re
from math import isinf, isnan

import numpy as np

from tracejit.codegen.loop_ir import Bitcast, Cast, Const, Expr, Input, Load, Offset, Rare, Scalar, Select, Var
from tracejit.codegen.numeric import RARE_FUNCTIONS, numpy_dtype
from tracejit.codegen.scalars import SCALARS, Expansion, cast_expansion, expansion
from tracejit.ir.types import (
    BF16,
    BOOL,
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    DType,
)

#: C types of values; halves are bits.
TYPES: dict[DType, str] = {
    BOOL: "bool",
    F16: "u16",
    BF16: "u16",
    F32: "float",
    F64: "double",
    **{d: d.name for d in (I8, I16, I32, I64, U8, U16, U32, U64)},
}

_RESERVED = frozenset(
    """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const
    constexpr continue default delete do double else enum explicit export extern false float for friend
    goto if inline int long main mutable namespace new not not_eq operator or or_eq private protected
    public register return short signed sizeof static struct switch template this throw true try typedef
    typeid typename union unsigned using virtual void volatile while xor xor_eq blockIdx threadIdx
    blockDim gridDim warpSize i8 i16 i32 i64 u8 u16 u32 u64 y0 y1 j0 j1
    """.split()
)
_FUNCTIONS = frozenset(RARE_FUNCTIONS).union(
    m.group(1) for row in SCALARS.values() for t in row.c.values() if (m := re.match(r"(\w+)\{f\}", t))
)

_BITCASTS = {
    (F32, I32): "__float_as_int({})",
    (F32, U32): "__float_as_uint({})",
    (I32, F32): "__int_as_float({})",
    (U32, F32): "__uint_as_float({})",
    (F64, I64): "__double_as_longlong({})",
    (I64, F64): "__longlong_as_double({})",
    (F64, U64): "(u64)__double_as_longlong({})",
    (U64, F64): "__longlong_as_double((i64){})",
}

_PLAIN = {"add": "+", "sub": "-", "mul": "*"}


class Names:
    """C identifiers of variables; equal names are numbered apart."""

    def __init__(self) -> None:
        self._of: dict[Var, str] = {}
        self._used: set[str] = set()

    def fresh(self, name: str) -> str:
        """An identifier like `name` that is not in use."""
        base = re.sub(r"\W", "_", name) or "v"
        base = f"_{base}" if base[0].isdigit() else base
        if base in _RESERVED or base.removesuffix("f") in _FUNCTIONS or base in _FUNCTIONS or base.startswith("tj_"):
            base += "_"
        found, number = base, 0
        while found in self._used:
            number += 1
            found = f"{base}_{number}"
        self._used.add(found)
        return found

    def bind(self, var: Var) -> str:
        """Give a variable its identifier."""
        self._of[var] = self.fresh(var.name)
        return self._of[var]

    def share(self, var: Var, other: Var) -> None:
        """Give a variable the identifier of another one."""
        self._of[var] = self._of[other]

    def __getitem__(self, var: Var) -> str:
        return self._of[var]


class Expressions:
    """Prints expressions; functions they need are added to `functions` (name -> definition)."""

    def __init__(self, names: Names, functions: dict[str, str]) -> None:
        self.names = names
        self.functions = functions

    def __call__(self, e: Expr) -> str:
        """The expression, not in parentheses."""
        return self.spell(e)[0]

    def index(self, e: Expr) -> str:
        """An index or extent: such arithmetic does not overflow and is printed plainly."""
        return self.spell(e, plain=True)[0]

    def operand(self, e: Expr, plain: bool = False) -> str:
        """The expression as an operand of any operator."""
        text, is_atom = self.spell(e, plain)
        return text if is_atom else f"({text})"

    def operation(self, name: str, args: tuple[Expr, ...]) -> str:
        """An operation on operands of one dtype."""
        dtype = args[0].type
        assert isinstance(dtype, DType)
        return self.spell(Scalar(name, args, dtype))[0]

    def spell(self, e: Expr, plain: bool = False) -> tuple[str, bool]:
        """The text, and whether it needs no parentheses as an operand."""
        match e:
            case Var():
                return self.names[e], True
            case Const(value, dtype) if plain and dtype == I64 and abs(value) < 1 << 31:  # type: ignore[arg-type]
                return str(value), value >= 0  # type: ignore[operator]
            case Const():
                return literal(e)
            case Load(buffer, index):
                return f"{self.names[buffer]}[{self.index(index)}]", True
            case Scalar():
                return self._scalar(e, plain)
            case Cast(x, dtype):
                return self._cast(x, dtype)
            case Bitcast(x, dtype):
                return self._bitcast(x, dtype)
            case Select(cond, a, b):
                return f"{self.operand(cond)} ? {self.operand(a, plain)} : {self.operand(b, plain)}", False
            case Rare(cond, value, op, args, dtype):
                suffix = "f" if dtype == F32 else ""
                call = f"{op}{suffix}({', '.join(self(a) for a in args)})"
                return f"{self.operand(cond)} ? {call} : {self.operand(value)}", False
            case Input() | Offset():
                raise AssertionError(f"{type(e).__name__} does not belong into a kernel")

    def _scalar(self, e: Scalar, plain: bool) -> tuple[str, bool]:
        dtype = e.args[0].type
        assert isinstance(dtype, DType)
        plain = plain and dtype == I64
        if plain and e.op in _PLAIN:
            return f"{self.operand(e.args[0], True)} {_PLAIN[e.op]} {self.operand(e.args[1], True)}", False
        template = SCALARS[e.op].c.get(dtype.kind)
        if template is None:
            return f"{self._function(e.op, dtype)}({', '.join(self.spell(a, plain)[0] for a in e.args)})", True
        narrow = dtype.is_integer and dtype.bits < 32
        text = template.format(
            *(self.operand(a, plain) for a in e.args),
            f="f" if dtype == F32 else "",
            t=TYPES[dtype],
            n=f"({TYPES[dtype]})" if narrow else "",
            w="(u32)" if narrow else "",
            ut=f"u{dtype.bits}",
            u=f"u{max(dtype.bits, 32)}",
        )
        if template.startswith("{n}") and not narrow:
            return text[1:-1], False
        return text, re.match(r"\w+\{f\}\(", template) is not None

    def _cast(self, x: Expr, dtype: DType) -> tuple[str, bool]:
        source = x.type
        assert isinstance(source, DType)
        value = self.operand(x)
        if source == dtype:
            return value, True
        if source in (F16, BF16) or dtype in (F16, BF16):
            return f"{self._conversion(source, dtype)}({self(x)})", True
        if dtype == BOOL:
            return f"{value} != 0", False
        if source.is_float and dtype == U64:
            return f"{value} < 0 ? (u64)(i64){value} : (u64){value}", False
        if source.is_float and dtype.is_integer and dtype.bits < 64 and dtype != I32:
            return f"({TYPES[dtype]})(i64){value}", False
        return f"({TYPES[dtype]}){value}", False

    def _bitcast(self, x: Expr, dtype: DType) -> tuple[str, bool]:
        source = x.type
        assert isinstance(source, DType)
        if (source, dtype) in _BITCASTS:
            template = _BITCASTS[source, dtype]
            return template.format(self.operand(x) if "(i64){}" in template else self(x)), not template.startswith("(")
        return f"({TYPES[dtype]}){self.operand(x)}", False

    # -- functions --------------------------------------------------------------------------------------------------

    def _function(self, op: str, dtype: DType) -> str:
        """The name of the device function of an operation, which is printed if it is new."""
        name = f"tj_{op}_{dtype}"
        result = BOOL if SCALARS[op].result == "bool" else dtype
        return self._define(name, expansion(op, dtype), result)

    def _conversion(self, source: DType, target: DType) -> str:
        return self._define(f"tj_{target}_of_{source}", cast_expansion(source, target), target)

    def _define(self, name: str, body: Expansion, result: DType) -> str:
        if name in self.functions:
            return name
        names = Names()
        inner = Expressions(names, self.functions)
        parameters = ", ".join(f"const {TYPES[_dtype(p)]} {names.bind(p)}" for p in body.params)
        lines = [f"static __device__ {TYPES[result]} {name}({parameters}) {{"]
        for let in body.lets:
            value = inner(let.expr)
            lines.append(f"    const {TYPES[_dtype(let.var)]} {names.bind(let.var)} = {value};")
        lines.append(f"    return {inner(body.result)};")
        self.functions[name] = "\n".join([*lines, "}\n"])
        return name


def _dtype(var: Var) -> DType:
    assert isinstance(var.type, DType)
    return var.type


def literal(e: Const) -> tuple[str, bool]:
    """A literal, and whether it is an atom."""
    dtype, value = e.type, e.value
    assert not isinstance(value, complex)
    if dtype == BOOL:
        return ("true" if value else "false"), True
    if dtype in (F16, BF16):
        return str(_half_bits(float(value), dtype)), True
    if dtype.is_float:
        return _float_literal(float(value), dtype)
    suffix = {I64: "LL", U64: "ULL", U32: "u"}.get(dtype, "")
    if dtype == I64 and -(1 << 31) < value < 1 << 31:
        return (f"(i64){value}", False) if value < 0 else (f"{value}LL", True)
    if value == -(1 << 63):
        return "(-9223372036854775807LL - 1)", True
    if value == -(1 << 31) and dtype == I32:
        return "(-2147483647 - 1)", True
    return f"{value}{suffix}", value >= 0


def _float_literal(value: float, dtype: DType) -> tuple[str, bool]:
    if isnan(value) or isinf(value):
        if dtype == F32:
            return (
                f"__int_as_float({'0x7fc00000' if isnan(value) else '0x7f800000' if value > 0 else '0xff800000'})",
                True,
            )
        bits = "0x7ff8000000000000" if isnan(value) else "0x7ff0000000000000" if value > 0 else "0xfff0000000000000"
        return f"__longlong_as_double({bits}LL)", True
    text = str(np.float32(value)) + "f" if dtype == F32 else repr(value)
    return text, not text.startswith("-")


def _half_bits(value: float, dtype: DType) -> int:
    return int(np.asarray(value, numpy_dtype(dtype)).view(np.uint16))
