"""Value conversions as LLVM instructions, with NumPy's rules; halves are the i16 of their bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracejit.codegen.llvm.values import Value, literal_text, type_text
from tracejit.codegen.scalars import cast_expansion
from tracejit.ir.types import BF16, BOOL, F16, F32, F64, I32, I64, U16, DType

if TYPE_CHECKING:
    from tracejit.codegen.llvm.expressions import ExpressionPrinter

HALVES = (F16, BF16)


def cast(p: ExpressionPrinter, x: Value, to: DType) -> Value:
    """x as a value of another dtype."""
    source = x.dtype
    assert isinstance(source, DType)
    if source == to:
        return x
    if source in HALVES:
        return cast(p, _half(p, x, source, F32), to)
    if to in HALVES:
        narrow = _to_odd(p, x) if source == F64 else cast(p, x, F32)
        return _half(p, narrow, F32, to)
    if to == BOOL:
        zero = Value(literal_text(0, source), source)
        return p.binary("fcmp une" if source.is_float else "icmp ne", x, zero, BOOL)
    if source.is_float:
        return _from_float(p, x, to)
    if to.is_float:
        return p.convert("sitofp" if source.kind == "i" else "uitofp", x, to)
    if source != BOOL and source.bits == to.bits:
        return x.viewed(to)
    if source != BOOL and source.bits > to.bits:
        return p.convert("trunc", x, to)
    return p.convert("sext" if source.kind == "i" else "zext", x, to)


def bitcast(p: ExpressionPrinter, x: Value, to: DType) -> Value:
    """The same bits read as another dtype of the same width."""
    return x.viewed(to) if type_text(x.dtype) == type_text(to) else p.convert("bitcast", x, to)


def _from_float(p: ExpressionPrinter, x: Value, to: DType) -> Value:
    assert isinstance(x.dtype, DType)
    if to.is_float:
        return p.convert("fpext" if to.bits > x.dtype.bits else "fptrunc", x, to)
    if to.bits < 32:
        return p.convert("trunc", _guarded_fptosi(p, x, I32), to)
    if to.bits == 32:
        wide = _guarded_fptosi(p, x, I32 if to.kind == "i" else I64)
        return wide if to.kind == "i" else p.convert("trunc", wide, to)
    low = _guarded_fptosi(p, x, I64)
    if to.kind == "i":
        return low
    limit = Value(literal_text(2.0**63, x.dtype), x.dtype)
    high = _guarded_fptosi(p, p.binary("fsub", x, limit), I64)
    flipped = p.binary("xor", high, Value(str(-(1 << 63)), I64))
    return p.choose(p.binary("fcmp oge", x, limit, BOOL), flipped, low).viewed(to)


def _guarded_fptosi(p: ExpressionPrinter, x: Value, to: DType) -> Value:
    """Truncation to a signed integer; its least value where x does not fit, as x86 does (alone it is poison)."""
    assert isinstance(x.dtype, DType)
    limit = Value(literal_text(2.0 ** (to.bits - 1), x.dtype), x.dtype)
    fits = p.binary("fcmp olt", p.intrinsic("llvm.fabs", x.dtype, x), limit, BOOL)
    return p.choose(fits, p.convert("fptosi", x, to), Value(str(-(1 << to.bits - 1)), to))


def _half(p: ExpressionPrinter, x: Value, source: DType, to: DType) -> Value:
    """f16 or bf16 from or to f32: by F16C instructions where the machine has them, else by integer operations."""
    bits = to if source == F32 else source
    if bits == F16 and p.options.has_f16c:
        half = "half" if x.lanes == 1 else f"<{x.lanes} x half>"
        if source == F32:  # the fence keeps LLVM from merging this with a rounding to f32, for which there is no code
            x = p.intrinsic("llvm.arithmetic.fence", F32, x)
            narrow = p.pure(f"fptrunc {x.typed()} to {half}", F16, x.lanes, x)
            return p.pure(f"bitcast {half} {narrow.text} to {type_text(F16, x.lanes)}", F16, x.lanes, narrow)
        wide = p.pure(f"bitcast {x.typed()} to {half}", F16, x.lanes, x)
        return p.pure(f"fpext {half} {wide.text} to {type_text(F32, x.lanes)}", F32, x.lanes, wide)
    made = p.expand(cast_expansion(source, to), [x if source == F32 else x.viewed(U16)])
    assert isinstance(made, Value)
    return made.viewed(to)


def _to_odd(p: ExpressionPrinter, x: Value) -> Value:
    """f64 to f32 rounded to odd, so that a second rounding to a half is right (Boldo and Melquiond, 2008)."""
    near = p.convert("fptrunc", x, F32)
    back = p.convert("fpext", near, F64)
    bits = bitcast(p, near, I32)
    above = p.binary("fcmp ogt", p.intrinsic("llvm.fabs", F64, back), p.intrinsic("llvm.fabs", F64, x), BOOL)
    toward_zero = p.binary("sub", bits, cast(p, above, I32))
    odd = p.binary("or", toward_zero, Value("1", I32))
    exact = p.binary("fcmp ueq", back, x, BOOL)
    return bitcast(p, p.choose(exact, bits, odd), F32)
