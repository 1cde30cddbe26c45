"""Algebraic simplification of scalar operations: what `KernelBuilder` does before it makes a node.

Every rule is exact: integer rules hold modulo 2**bits, and a floating-point rule is used only where it gives
the same bits for every operand (so `x * 1` but not `x + 0`, which turns -0 into 0).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Const, Expr, Scalar
from tracejit.ir.types import BOOL

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder

Rule = Callable[["KernelBuilder", Expr, Expr], "Expr | None"]


def is_const(x: Expr, value: float | bool) -> bool:
    """Whether x is the literal `value` (0 stands for +0 and -0 alike)."""
    return isinstance(x, Const) and x.value == value


def _add(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    if not k.dtype(a).is_integer:
        return None
    if is_const(a, 0):
        return b
    if is_const(b, 0):
        return a
    if isinstance(a, Const):
        a, b = b, a
    if isinstance(b, Const) and isinstance(a, Scalar) and a.op == "add" and isinstance(a.args[1], Const):
        return k.add(a.args[0], k.add(a.args[1], b))
    return None


def _sub(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    if not k.dtype(a).is_integer:
        return a if isinstance(b, Const) and str(b.value) == "0.0" else None
    if is_const(b, 0):
        return a
    if a is b:
        return k.const(0, k.dtype(a))
    if isinstance(b, Const):
        return k.add(a, k.sub(k.const(0, b.type), b))
    if isinstance(a, Scalar) and a.op == "add" and b in a.args:
        return a.args[0] if a.args[1] == b else a.args[1]
    return None


def _mul(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    if is_const(a, 1):
        return b
    if is_const(b, 1):
        return a
    if not k.dtype(a).is_integer:
        return None
    if is_const(a, 0) or is_const(b, 0):
        return k.const(0, k.dtype(a))
    if isinstance(a, Const):
        a, b = b, a
    if isinstance(b, Const) and isinstance(a, Scalar) and a.op == "mul" and isinstance(a.args[1], Const):
        return k.mul(a.args[0], k.mul(a.args[1], b))
    return None


def _divide_by_one(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    return a if is_const(b, 1) else None


def _floordiv(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    dtype = k.dtype(a)
    if not dtype.is_integer:
        return None
    if is_const(b, 1):
        return a
    if dtype.kind == "u" and isinstance(b, Const) and b.value:
        return k.quotient(a, b)
    power = _power_of_two(b)
    return k.asr(a, power) if power else None


def _mod(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    dtype = k.dtype(a)
    if not dtype.is_integer:
        return None
    if is_const(b, 1):
        return k.const(0, dtype)
    if dtype.kind == "u" and isinstance(b, Const) and b.value:
        return k.remainder(a, b)
    power = _power_of_two(b)
    return k.bitand(a, (1 << power) - 1) if power else None


def _power_of_two(x: Expr) -> int:
    """The exponent of a constant power of two; 0 for anything else."""
    found = x.value if isinstance(x, Const) else 0
    return found.bit_length() - 1 if isinstance(found, int) and found > 0 and not found & (found - 1) else 0


def _remainder(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    return k.const(0, k.dtype(a)) if is_const(b, 1) else None


def _pow(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    """Exponents for which a product or quotient is as accurate as `pow`."""
    if not isinstance(b, Const):
        return None
    if b.value == 0:
        return k.const(1, k.dtype(a))
    if b.value == 1:
        return a
    if b.value in (2, 3, 4):
        x = k.let(a)
        square = k.mul(x, x)
        if b.value == 4:
            x = square = k.let(square)
        return square if b.value == 2 else k.mul(square, x)
    is_short = b.value in (-2, -1.5, -1, -0.5, 0.5, 1.5) and k.dtype(a).is_float
    return _float_power(k, k.let(a), b.value) if is_short else None


def _float_power(k: KernelBuilder, x: Expr, exponent: complex) -> Expr:
    """Quotients and roots, which lose less than 2 ULP. Powers of -inf are those of inf, and those of -0.0 of 0.0."""
    if exponent == -1:
        return k.div(1, x)
    if exponent == -2:
        inverse = k.let(k.div(1, x))
        return k.mul(inverse, inverse)
    if exponent == 1.5:
        usual, at_infinity = k.mul(x, k.sqrt(x)), float("inf")
    else:
        x = k.let(k.select(k.eq(x, 0), k.const(0, k.dtype(x)), x))
        if exponent == -1.5:
            return k.div(k.sqrt(k.div(1, x)), x)
        usual, at_infinity = (k.sqrt(x), float("inf")) if exponent == 0.5 else (k.div(1, k.sqrt(x)), 0.0)
    return k.select(k.eq(x, float("-inf")), k.const(at_infinity, k.dtype(x)), usual)


def _shl(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    if not isinstance(b, Const):
        return None
    return k.lsl(a, b) if 0 <= b.value < k.dtype(a).bits else k.const(0, k.dtype(a))  # type: ignore[operator]


def _shr(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    if not isinstance(b, Const):
        return None
    dtype = k.dtype(a)
    in_range = 0 <= b.value < dtype.bits  # type: ignore[operator]
    if dtype.kind == "u":
        return k.lsr(a, b) if in_range else k.const(0, dtype)
    return k.asr(a, b if in_range else k.const(dtype.bits - 1, dtype))


def _shift_by_zero(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    return a if is_const(b, 0) else None


def _and(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Const) and x.type == BOOL:
            return y if x.value else x
    return a if a is b else None


def _or(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Const) and x.type == BOOL:
            return x if x.value else y
    return a if a is b else None


def _xor(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Const) and x.type == BOOL:
            return k.logical_not(y) if x.value else y
    return None


def _same(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
    return a if a is b else None


def _comparison(equal: bool) -> Rule:
    def rule(k: KernelBuilder, a: Expr, b: Expr) -> Expr | None:
        return k.const(equal, BOOL) if a is b and not k.dtype(a).is_float else None

    return rule


#: Rules of two-operand operations; both operands are expressions of one dtype, not both constant.
RULES: dict[str, Rule] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _divide_by_one,
    "quotient": _divide_by_one,
    "remainder": _remainder,
    "floordiv": _floordiv,
    "mod": _mod,
    "pow": _pow,
    "shl": _shl,
    "shr": _shr,
    "lsl": _shift_by_zero,
    "lsr": _shift_by_zero,
    "asr": _shift_by_zero,
    "logical_and": _and,
    "logical_or": _or,
    "logical_xor": _xor,
    "bitand": _and,
    "bitor": _or,
    "bitxor": _xor,
    "minimum": _same,
    "maximum": _same,
    "eq": _comparison(True),
    "le": _comparison(True),
    "ge": _comparison(True),
    "ne": _comparison(False),
    "lt": _comparison(False),
    "gt": _comparison(False),
}

_NEGATED = {"eq": "ne", "ne": "eq"}
_NEGATED_ORDER = {"lt": "ge", "ge": "lt", "le": "gt", "gt": "le"}


def negated(k: KernelBuilder, x: Expr) -> Expr | None:
    """A simpler form of `not x`; order comparisons of floats stay, because NaN is neither less nor not less."""
    if not isinstance(x, Scalar):
        return None
    if x.op == "logical_not":
        return x.args[0]
    if x.op in _NEGATED:
        return Scalar(_NEGATED[x.op], x.args, BOOL)
    if x.op in _NEGATED_ORDER and not k.dtype(x.args[0]).is_float:
        return Scalar(_NEGATED_ORDER[x.op], x.args, BOOL)
    return None
