"""Functions of the `math` module: Python floats in, Python numbers out, with math's own exceptions."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING

from tracejit.frontend.arith import is_python_number
from tracejit.frontend.control.choices import as_number
from tracejit.frontend.control.optionals import as_real
from tracejit.frontend.syntax.source import function_source
from tracejit.frontend.texts.python_words import OUTSIDE_DOMAIN, outside_domain
from tracejit.frontend.values import ArrayView, FrontValue, Number, Static, describe
from tracejit.frontend.written import extension
from tracejit.ir.core import Value
from tracejit.ir.types import C128, F64, I64, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: Functions that are the op of the same name, with the condition under which Python raises "math domain error".
_UNARY = {
    name: name
    for name in (
        "sqrt exp exp2 expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf"
    ).split()
} | {"fabs": "abs", "erfc": "erfc", "lgamma": "lgamma", "gamma": "tgamma"}
_BINARY = frozenset(("atan2", "hypot", "copysign", "pow", "fmod", "nextafter"))
_OVERFLOWING = frozenset(("exp", "expm1", "sinh", "cosh", "exp2", "pow", "lgamma", "gamma"))
#: The largest arguments (of the last two: sizes of arguments) that have finite results, as in C's library.
_LARGEST = {
    "exp": 709.782712893384,
    "expm1": 709.782712893384,
    "exp2": 1023.9999999999999,
    "sinh": 710.4758600739439,
    "cosh": 710.4758600739439,
}
_PREDICATES = frozenset(("isnan", "isinf", "isfinite"))
_WHOLE = frozenset(("floor", "ceil", "trunc"))


def math_call(
    calls: Calls, name: str, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """`math.name(*args)`."""
    if all(isinstance(a, Static) for a in (*args, *kwargs.values())):
        return calls.call_now(getattr(math, name), args, kwargs, node)
    if args and name in ("floor", "ceil", "trunc"):
        own = calls.objects.special(args[0], f"__{name}__", [], node)
        if own is not None:
            return own
    definition = extension(f"math.{name}")
    if definition is not None and not (name in _BINARY and len(args) == 2):
        return calls.inline(function_source(definition), args, kwargs, node, None)
    args = [as_number(calls.ctx.b, as_real(calls.ctx, a)) for a in args]
    for a in args:
        is_number = calls.arith.is_number(a) or (isinstance(a, ArrayView) and a.rank == 0)
        if not is_number or (isinstance(a, Number) and a.weak and a.dtype == C128):
            text = f"must be real number, not {describe(a)}"
            return calls.arith.mismatch(TypeError(text), node)
    if name == "ulp":
        return _ulp(calls, calls.arith.scalar(args[0], F64))
    if name == "log" and len(args) == 2:
        top, base = (math_call(calls, "log", [a], {}, node) for a in args)
        return calls.arith.binary("div", top, base, node)
    if name in ("degrees", "radians"):
        factor = 180.0 / math.pi if name == "degrees" else math.pi / 180.0
        return Number(
            calls.ctx.b.emit("mul", (calls.arith.scalar(args[0], F64), _constant(calls, factor)))[0], weak=True
        )
    if name in _WHOLE and isinstance(args[0], Number) and args[0].dtype.is_integer:
        return Number(calls.ctx.signed(args[0].value), weak=True)
    values = [calls.arith.scalar(a, F64) for a in args]
    b = calls.ctx.b
    if name in _PREDICATES:
        return Number(b.emit(name, values)[0], weak=True)
    if name in _WHOLE:
        return whole(calls, b.emit(name, values)[0])
    if name in _UNARY:
        _check_domain(calls, name, args[0], values[0])
        made = b.emit(_UNARY[name], values)[0]
    elif name in _BINARY:
        if name == "pow":
            _check_power(calls, *values)
        made = b.emit("library_pow" if name == "pow" else name, values)[0]
    else:
        calls.ctx.refuse(node, f"math.{name} is not available in a script", "write it with available functions")
    if name == "fmod":
        _check_invalid(calls, values, made)
    if name in _OVERFLOWING:
        calls.ctx.check(_fits(calls, name, values, made), "OverflowError", "math range error")
    return Number(made, weak=True)


def _ulp(calls: Calls, x: Value) -> Number:
    """The distance to the next float away from zero; of the largest one, to the one before it."""
    b = calls.ctx.b
    size = b.emit("abs", (x,))[0]
    above = b.emit("nextafter", (size, _constant(calls, math.inf)))[0]
    below = b.emit("nextafter", (size, _constant(calls, 0.0)))[0]
    last = b.emit("logical_and", (b.emit("isinf", (above,))[0], b.emit("isfinite", (size,))[0]))[0]
    apart = (b.emit("sub", pair)[0] for pair in ((size, below), (above, size)))
    found = b.emit("select", (last, *apart))[0]
    return Number(b.emit("select", (b.emit("isinf", (x,))[0], size, found))[0], weak=True)


def whole(calls: Calls, x: Value) -> Number:
    """A float that is a whole number as a Python int; raises as `int()` does."""
    b = calls.ctx.b
    calls.ctx.check(
        b.emit("logical_not", (b.emit("isnan", (x,))[0],))[0], "ValueError", "cannot convert float NaN to integer"
    )
    inside = b.emit("lt", (b.emit("abs", (x,))[0], _constant(calls, 2.0**63)))[0]
    calls.ctx.check(inside, "OverflowError", "cannot convert the float {0} to a 64-bit integer", x)
    return Number(b.emit("cast", (x,), {"dtype": I64})[0], weak=True)


def _constant(calls: Calls, value: float) -> Value:
    return calls.ctx.b.constant(value, ScalarType(F64))


def _check_domain(calls: Calls, name: str, given: FrontValue, x: Value) -> None:
    """NaN passes; what Python calls a domain error raises ValueError."""
    b = calls.ctx.b
    is_int = isinstance(given, Number) and given.dtype.kind in "bi"
    number = given if is_int else Number(x, weak=True)
    outside: Value | None = None
    zero, one = 0.0, 1.0
    if name == "sqrt":
        outside = calls.arith.against("lt", number, 0)
    elif name in ("log", "log2", "log10"):
        outside = calls.arith.against("le", number, 0)
    elif name == "log1p":
        outside = calls.arith.against("le", number, -1)
    elif name in ("asin", "acos"):
        outside = b.emit("gt", (b.emit("abs", (x,))[0], _constant(calls, one)))[0]
    elif name == "acosh":
        outside = b.emit("lt", (x, _constant(calls, one)))[0]
    elif name == "atanh":
        outside = b.emit("ge", (b.emit("abs", (x,))[0], _constant(calls, one)))[0]
    elif name in ("sin", "cos", "tan"):
        outside = b.emit("isinf", (x,))[0]
    elif name in ("gamma", "lgamma"):
        pole = b.emit("eq", (b.emit("floor", (x,))[0], x))[0]
        outside = b.emit("logical_and", (b.emit("le", (x, _constant(calls, zero)))[0], pole))[0]
        if name == "lgamma":
            outside = b.emit("logical_and", (outside, b.emit("isfinite", (x,))[0]))[0]
    if outside is not None:
        text = outside_domain(name, is_int=is_int and is_python_number(given))
        calls.ctx.check(b.emit("logical_not", (outside,))[0], "ValueError", text, *([x] if "{0}" in text else []))


def _check_power(calls: Calls, x: Value, y: Value) -> None:
    """A finite negative base to a finite power that is no whole number, and zero to a finite negative one, raise
    ValueError."""
    b = calls.ctx.b
    zero = _constant(calls, 0.0)
    whole = b.emit("eq", (b.emit("floor", (y,))[0], y))[0]
    root = b.emit("logical_and", (b.emit("lt", (x, zero))[0], b.emit("logical_not", (whole,))[0]))[0]
    pole = b.emit("logical_and", (b.emit("eq", (x, zero))[0], b.emit("lt", (y, zero))[0]))[0]
    outside = b.emit("logical_or", (root, pole))[0]
    for operand in (x, y):
        outside = b.emit("logical_and", (outside, b.emit("isfinite", (operand,))[0]))[0]
    calls.ctx.check(b.emit("logical_not", (outside,))[0], "ValueError", OUTSIDE_DOMAIN)


def _check_invalid(calls: Calls, operands: list[Value], made: Value) -> None:
    """A nan that comes of no nan raises ValueError."""
    b = calls.ctx.b
    valid = b.emit("logical_not", (b.emit("isnan", (made,))[0],))[0]
    for x in operands:
        valid = b.emit("logical_or", (valid, b.emit("isnan", (x,))[0]))[0]
    calls.ctx.check(valid, "ValueError", OUTSIDE_DOMAIN)


def _fits(calls: Calls, name: str, operands: list[Value], made: Value) -> Value:
    """Whether it is not so that finite arguments have an infinite result."""
    b = calls.ctx.b
    if name in _LARGEST:
        (x,) = operands
        size = b.emit("abs", (x,))[0] if name in ("sinh", "cosh") else x
        large = b.emit("gt", (size, _constant(calls, _LARGEST[name])))[0]
        finite = b.emit("lt", (size, _constant(calls, math.inf)))[0]
        return b.emit("logical_not", (b.emit("logical_and", (large, finite))[0],))[0]
    fits = b.emit("isfinite", (made,))[0]
    for x in operands:
        fits = b.emit("logical_or", (fits, b.emit("logical_not", (b.emit("isfinite", (x,))[0],))[0]))[0]
    return fits
