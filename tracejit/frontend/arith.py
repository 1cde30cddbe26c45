"""Operators on front-end values: Python's rules between Python numbers, NumPy's wherever a typed value takes part.

Python ints raise `OverflowError` beyond 64 bits instead of wrapping, division by zero raises, `//` and `%` round
to minus infinity. Between compile-time numbers Python itself computes the result.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tracejit.errors import ScriptError, error_kind
from tracejit.frontend.containers import odd_keys
from tracejit.frontend.context import Context
from tracejit.frontend.control import optionals
from tracejit.frontend.control.choices import each
from tracejit.frontend.tensors.turned_operands import by_rows, common_axes, laid_out
from tracejit.frontend.texts.python_words import ZERO_TO_NEGATIVE, divided_by_zero
from tracejit.frontend.values import (
    ArrayView,
    BoundMethod,
    ChoiceValue,
    Closure,
    DictValue,
    FrontValue,
    GrowingList,
    ListValue,
    Number,
    ObjectValue,
    OptionalValue,
    SequenceValue,
    Shared,
    Static,
    Transformed,
    TupleValue,
    describe,
    type_name,
)
from tracejit.ir.builder import Handle
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, C128, F64, I64, DType, ScalarType, TensorType
from tracejit.messages import escape
from tracejit.ops import coerce

if TYPE_CHECKING:
    from tracejit.frontend.instances.objects import Objects

#: The kinds of errors known while compiling, the more special ones first; anything else is a TypeError.
_KINDS = (np.exceptions.AxisError, np.linalg.LinAlgError, IndexError, ValueError, OverflowError)

BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
    ast.BitAnd: "bitand",
    ast.BitOr: "bitor",
    ast.BitXor: "bitxor",
    ast.LShift: "shl",
    ast.RShift: "shr",
}
COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
}
_SIGNS = {"neg": "-", "pos": "+", "bitnot": "~"}
PYTHON: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
    "bitand": operator.and_,
    "bitor": operator.or_,
    "bitxor": operator.xor,
    "shl": operator.lshift,
    "shr": operator.rshift,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "neg": operator.neg,
    "abs": abs,
    "bitnot": operator.invert,
    "pos": operator.pos,
}
#: Powers of which a product or a quotient is exact to the last bit.
_EXACT_POWERS = (0.0, 1.0, 2.0, -1.0)
_FRACTIONAL_POWER = "a negative float to a fractional power is complex: use complex(x) ** y"
COMPARISONS = frozenset(COMPARE.values())
_OF_COMPLEX = frozenset(("add", "sub", "mul", "div", "pow", "eq", "ne"))  #: what Python's complex numbers have
_RANK = {"b": 0, "i": 1, "f": 2, "c": 3}
_WIDE = {0: BOOL, 1: I64, 2: F64, 3: C128}


def is_python_number(x: FrontValue) -> bool:
    """Whether x is a Python number, known or not."""
    if isinstance(x, Static):
        return isinstance(x.value, bool | int | float | complex) and not hasattr(x.value, "dtype")
    return isinstance(x, Number) and x.weak


def python_kind(x: FrontValue) -> str:
    """`b i f c` of a Python number."""
    if isinstance(x, Number):
        return x.dtype.kind
    assert isinstance(x, Static)
    return next(kind for kind, of in zip("bifc", (bool, int, float, complex), strict=True) if isinstance(x.value, of))


class Arithmetic:
    """Operators, given the context to emit into."""

    objects: Objects  #: what instances of classes are as conditions

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    # -- operands -----------------------------------------------------------------------------------------

    def scalar(self, x: FrontValue, dtype: DType | None = None) -> Value:
        """A number as a host scalar of the graph, converted to `dtype`."""
        ctx = self.ctx
        if isinstance(x, Static):
            value = x.value
            if dtype is not None and not hasattr(value, "dtype"):
                try:
                    value = _convert(value, dtype)
                except (TypeError, ValueError, OverflowError) as error:
                    ctx.check_false(type(error).__name__, str(error))
                low, high = (-(2**63), 2**63) if dtype.kind == "i" else (0, 2**64)
                if dtype.is_integer and not low <= value < high:
                    ctx.always_raise("OverflowError", f"the int {value} does not fit {dtype.numpy_name}")
                    value = 0
                return ctx.b.constant(value, ScalarType(dtype))
            x = self.number(x)
        if isinstance(x, ArrayView) and x.rank == 0:
            x = ctx.element(x, ())
        assert isinstance(x, Number)
        if dtype is None or x.dtype == dtype:
            return x.value
        return ctx.b.emit("cast", (x.value,), {"dtype": dtype}, names=(x.value.name,))[0]

    def number(self, x: Static) -> Number:
        """A compile-time number (a Python one, or a NumPy scalar) as a host scalar."""
        value = x.value
        if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
            from tracejit.ir.types import BY_NUMPY_NAME

            return Number(self.ctx.b.constant(value.item(), ScalarType(BY_NUMPY_NAME[value.dtype.name])), weak=False)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            self.ctx.always_raise("OverflowError", f"the int {value} does not fit 64 bits")
            value = 0
        return self.ctx.number(value)

    def is_number(self, x: FrontValue) -> bool:
        """Whether x is any scalar number."""
        return isinstance(x, Number) or is_python_number(x) or (isinstance(x, Static) and _is_numpy_scalar(x.value))

    def is_operand(self, x: FrontValue) -> bool:
        """Whether x can take part in NumPy arithmetic."""
        return isinstance(x, ArrayView) or self.is_number(x)

    def operand(self, x: FrontValue, node: ast.AST) -> tuple[Any, bool]:
        """An operand for `coerce.apply`: a handle or a Python number, and whether it is weak."""
        match x:
            case ArrayView():
                return self.ctx.handle(self.ctx.load(x)), False
            case Number():
                return self.ctx.handle(x.value), x.weak
            case Static(value) if is_python_number(x):
                return value, True
            case Static(value) if _is_numpy_scalar(value):
                return self.ctx.handle(self.number(x).value), False
            case _:
                return self.mismatch(TypeError(f"unsupported operand type: '{type_name(x)}'"), node)

    def wrap(self, result: Any) -> FrontValue:
        """A result of `coerce` or of a builder as a front-end value."""
        if isinstance(result, list):
            return ListValue([self.wrap(r) for r in result], level=self.ctx.level)
        if isinstance(result, tuple):
            cls = type(result) if hasattr(result, "_fields") else None
            return TupleValue(tuple(self.wrap(r) for r in result), cls)
        if isinstance(result, Handle | Value):
            return self.wrap_value(result.value if isinstance(result, Handle) else result)
        return Static(result)

    def wrap_value(self, value: Value) -> FrontValue:
        if isinstance(value.type, TensorType):
            return self.ctx.fresh(value)
        return Number(value, weak=False)

    def typed(self, name: str, node: ast.AST, *operands: FrontValue, **attrs: Any) -> FrontValue:
        """An elementwise op under NumPy's promotion and broadcasting. Its result lies as the operands do."""
        self.ctx.at(node)
        try:
            axes = common_axes(self.ctx, node, operands)
            pairs = [self.operand(by_rows(x, axes), node) for x in operands]
            made = coerce.apply(self.ctx.b, name, *(p[0] for p in pairs), weak=tuple(p[1] for p in pairs), **attrs)
        except (TypeError, ValueError, OverflowError) as error:
            self.mismatch(error, node)
        return laid_out(self.ctx, self.wrap(made), axes, operands)

    def mismatch(self, error: Exception, node: ast.AST) -> NoReturn:
        """A shape or dtype error known while compiling is raised when its line is reached, with Python's kind."""
        if isinstance(error, KeyError):  # its text is that of its argument, which may be no text
            assert self.ctx.tries is not None
            self.ctx.tries.raise_(ObjectValue(KeyError, {"args": TupleValue(tuple(map(Static, error.args)))}), node)
        kind = error_kind(next((k for k in _KINDS if isinstance(error, k)), TypeError))
        self.ctx.at(node)
        self.ctx.check_false(kind, escape(getattr(error, "reason", None) or str(error)))

    def unsupported(self, name: str, x: FrontValue, y: FrontValue, node: ast.AST) -> Any:
        """The TypeError of an operator that is not defined between two types."""
        return self.mismatch(TypeError(optionals.undefined(self.ctx, name, x, y, node)), node)

    # -- operators ------------------------------------------------------------------------------------------

    def binary(self, name: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
        """`x op y`."""
        self.ctx.at(node)
        if isinstance(x, Static) and isinstance(y, Static):
            folded = self.fold(name, x, y)
            if folded is not None:
                return folded
        if is_python_number(x):
            if python_kind(x) == "c" and name in _OF_COMPLEX and not self.ctx.tensors:
                y = _as_float(y)
            if is_python_number(y):
                return self.python_binary(name, x, y, node)
        if not (self.is_operand(x) and self.is_operand(y)):
            if name not in ("eq", "ne"):
                return self.unsupported(name, x, y, node)
            if not _are_unlike(x, y):
                reason = f"whether {describe(x)} and {describe(y)} are equal is outside the language"
                self.ctx.refuse(node, reason, "compare what they are made of")
            return Static(name == "ne")
        return self.scalar_of_rank_0(self.typed(name, node, x, y))

    @staticmethod
    def fold(name: str, x: Static, y: Static) -> Static | None:
        """The result Python computes now, unless it raises (then it must raise when the line is reached)."""
        if name not in PYTHON:
            return None
        try:
            made = PYTHON[name](x.value, y.value)
        except Exception:
            return None
        return Static(made)

    def unary(self, name: str, x: FrontValue, node: ast.AST) -> FrontValue:
        """`-x`, `+x`, `~x`, `abs(x)`."""
        self.ctx.at(node)
        if isinstance(x, OptionalValue):
            text = f"bad operand type for unary {_SIGNS.get(name, name)}: 'NoneType'"
            x = optionals.require_value(self.ctx, x, message=text)
        if isinstance(x, Static) and is_python_number(x):
            try:
                return Static(PYTHON[name](x.value))
            except TypeError as error:
                return self.mismatch(error, node)
        if is_python_number(x):
            dtype = I64 if python_kind(x) in "bi" else x.dtype  # type: ignore[union-attr]
            value = self.scalar(x, dtype)
            if name == "pos":
                return Number(value, weak=True)
            if name == "bitnot":
                return Number(self.ctx.b.emit("bitnot", (value,))[0], weak=True)
            checked = f"checked_{name}" if dtype == I64 else name
            return Number(self.ctx.b.emit(checked, (value,))[0], weak=True)
        if not self.is_operand(x):
            sign = _SIGNS.get(name)
            text = f"bad operand type for {'abs()' if sign is None else f'unary {sign}'}: '{type_name(x)}'"
            return self.mismatch(TypeError(text), node)
        if name != "pos":
            return self.scalar_of_rank_0(self.typed(name, node, x))
        if isinstance(x, ArrayView | Number) and x.dtype == BOOL and not self.ctx.tensors:
            return self.mismatch(TypeError("ufunc 'positive' has no loop for bools"), node)
        if not isinstance(x, ArrayView) or self.ctx.tensors:
            return x
        return self.scalar_of_rank_0(self.ctx.fresh(self.ctx.load(x)))

    def scalar_of_rank_0(self, value: FrontValue) -> FrontValue:
        """A result of rank 0 as a NumPy scalar, as NumPy gives it; among Tensors it is one."""
        if isinstance(value, ArrayView) and value.rank == 0 and not self.ctx.tensors:
            return self.ctx.element(value, ())
        return value

    def python_binary(self, name: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
        """Between two Python numbers of which at least one is known at run time only (or that raises)."""
        rank = max(_RANK[python_kind(x)], _RANK[python_kind(y)])
        if name in COMPARISONS:
            dtype = _WIDE[rank]
            if rank <= 1 and any(isinstance(v, Static) and not -(2**63) <= v.value < 2**63 for v in (x, y)):
                return Static(PYTHON[name](*(v.value if isinstance(v, Static) else 0 for v in (x, y))))
            if rank == 1 and (order := self.ctx.sizes.order(x.value, y.value)):  # type: ignore[union-attr]
                return Static(PYTHON[name](order, 0))
            if {python_kind(x), python_kind(y)} == {"i", "f"}:
                return Number(self.compare_exactly(name, x, y), weak=True)
            if dtype == C128 and name not in ("eq", "ne"):
                return self.unsupported(name, x, y, node)
            return Number(self.ctx.b.emit(name, (self.scalar(x, dtype), self.scalar(y, dtype)))[0], weak=True)
        if name in ("bitand", "bitor", "bitxor"):
            dtype = BOOL if rank == 0 else I64
            if rank > 1:
                return self.unsupported(name, x, y, node)
            op = (
                {"bitand": "logical_and", "bitor": "logical_or", "bitxor": "logical_xor"}[name]
                if dtype == BOOL
                else name
            )
            return Number(self.ctx.b.emit(op, (self.scalar(x, dtype), self.scalar(y, dtype)))[0], weak=True)
        if name in ("shl", "shr"):
            return self.shift(name, x, y, node, rank)
        if name == "matmul":
            return self.unsupported(name, x, y, node)
        if rank <= 1:
            return self.int_binary(name, self.scalar(x, I64), self.scalar(y, I64), y, node)
        if rank == 3:
            return self.complex_binary(name, self.scalar(x, C128), self.scalar(y, C128), y, node)
        return self.float_binary(name, x, y)

    def shift(self, name: str, x: FrontValue, y: FrontValue, node: ast.AST, rank: int) -> FrontValue:
        b = self.ctx.b
        if rank > 1:
            return self.unsupported(name, x, y, node)
        left, right = self.scalar(x, I64), self.scalar(y, I64)
        zero = b.constant(0, ScalarType(I64))
        self.ctx.check(b.emit("ge", (right, zero))[0], "ValueError", "negative shift count")
        op = "checked_shl" if name == "shl" else "shr"
        return Number(b.emit(op, (left, right))[0], weak=True)

    def int_binary(self, name: str, x: Value, y: Value, y_front: FrontValue, node: ast.AST) -> FrontValue:
        b = self.ctx.b
        zero = b.constant(0, ScalarType(I64))
        if name in ("add", "sub", "mul"):
            return Number(self.checked(name, x, y), weak=True)
        if name == "pow":
            if isinstance(y_front, Static) and y_front.value < 0:
                return self.float_binary("pow", Number(x, weak=True), y_front)
            whole = b.emit("ge", (y, zero))[0]
            self.ctx.check(
                b.emit("logical_or", (whole, b.emit("ne", (x, zero))[0]))[0], "ZeroDivisionError", ZERO_TO_NEGATIVE
            )
            self.ctx.check(
                whole,
                error_kind(ScriptError),
                "an int to a negative power known at run time only is a float: use float(x) ** y",
            )
            return Number(b.emit("checked_pow", (x, y))[0], weak=True)
        if not self.ctx.sizes.at_least(y, 1):
            self.ctx.check(b.emit("ne", (y, zero))[0], "ZeroDivisionError", divided_by_zero("int", name))
        if name == "div":
            return Number(b.emit("div", (self.to(x, F64), self.to(y, F64)))[0], weak=True)
        if name == "floordiv" and not (self.ctx.sizes.at_least(x, 0) or self.ctx.sizes.at_least(y, 0)):
            self._require_quotient(x, y, y_front)
        made = b.emit(name, (x, y))[0]
        if self.ctx.sizes.at_least(x, 0) and self.ctx.sizes.at_least(y, 0):
            self.ctx.sizes.note_lower(made, 0)
        if name == "mod" and self.ctx.sizes.at_least(y, 1):
            self.ctx.sizes.note_lower(made, 0)
            self.ctx.sizes.note_below(made, y)
        return Number(made, weak=True)

    def _require_quotient(self, x: Value, y: Value, y_front: FrontValue) -> None:
        """`OverflowError` for the one quotient of 64-bit integers that does not fit: the lowest one by -1."""
        if isinstance(y_front, Static) and y_front.value != -1:
            return
        b, type = self.ctx.b, ScalarType(I64)
        operands = ((x, -(2**63)), (y, -1))
        outside = b.emit("logical_and", [b.emit("eq", (v, b.constant(n, type)))[0] for v, n in operands])[0]
        fits = b.emit("logical_not", (outside,))[0]
        self.ctx.check(fits, "OverflowError", "Python int too large to convert to 64 bits")

    def checked(self, name: str, x: Value, y: Value) -> Value:
        """Integer arithmetic that raises `OverflowError`; sizes remember `value + constant`."""
        sizes, b = self.ctx.sizes, self.ctx.b
        made = b.emit(f"checked_{name}", (x, y), names=(x.name if name != "mul" else "mul",))[0]
        (x_root, x_constant), (y_root, y_constant) = sizes.split(x), sizes.split(y)
        if name == "add" and (x_root is None) != (y_root is None):
            sizes.affine[made] = (x_root or y_root, x_constant + y_constant)  # type: ignore[assignment]
        elif name == "sub" and y_root is None and x_root is not None:
            sizes.affine[made] = (x_root, x_constant - y_constant)
        if name != "sub" and sizes.at_least(x, 0) and sizes.at_least(y, 0):
            sizes.note_lower(made, 0)
        return made

    def float_binary(self, name: str, x_front: FrontValue, y_front: FrontValue) -> FrontValue:
        b, x, y = self.ctx.b, self.scalar(x_front, F64), self.scalar(y_front, F64)
        zero = b.constant(0.0, ScalarType(F64))
        if name in ("div", "floordiv", "mod"):
            self.ctx.check(b.emit("ne", (y, zero))[0], "ZeroDivisionError", divided_by_zero("float", name))
        if name != "pow":
            return Number(b.emit(name, (x, y))[0], weak=True)
        negative = b.emit("logical_and", (b.emit("eq", (x, zero))[0], b.emit("lt", (y, zero))[0]))[0]
        self.ctx.check(b.emit("logical_not", (negative,))[0], "ZeroDivisionError", ZERO_TO_NEGATIVE)
        if python_kind(y_front) == "f":  # an int is no fraction
            whole = b.emit("eq", (b.emit("floor", (y,))[0], y))[0]
            allowed = b.emit("logical_or", (b.emit("logical_not", (self.against("lt", x_front, 0),))[0], whole))[0]
            self.ctx.check(allowed, error_kind(ScriptError), _FRACTIONAL_POWER)
        if isinstance(y_front, Static) and y_front.value == 0.5:  # of a finite float it is one
            return Number(b.emit("half_power", (x,))[0], weak=True)
        exact = isinstance(y_front, Static) and y_front.value in _EXACT_POWERS
        made = b.emit("pow" if exact else "library_pow", (x, y))[0]
        self._require_finite(made, x, y)
        return Number(made, weak=True)

    def against(self, comparison: str, x: FrontValue, number: int) -> Value:
        """A Python number compared with a small one: an int as such, for that is easier to decide beforehand."""
        b, dtype = self.ctx.b, I64 if python_kind(x) in "bi" else F64
        return b.emit(comparison, (self.scalar(x, dtype), b.constant(number, ScalarType(dtype))))[0]

    def _require_finite(self, made: Value, *operands: Value) -> None:
        """`OverflowError` for a power of finite floats that is too large."""
        b = self.ctx.b
        fits = b.emit("isfinite", (made,))[0]
        for x in operands:
            if not isinstance(x.known, float):
                fits = b.emit("logical_or", (fits, b.emit("logical_not", (b.emit("isfinite", (x,))[0],))[0]))[0]
        self.ctx.check(fits, "OverflowError", "(34, 'Numerical result out of range')")

    def compare_exactly(self, name: str, x: FrontValue, y: FrontValue) -> Value:
        """A Python int and a float compared by value, as Python does, although not every int is a float.

        The int rounded to a float orders as the int itself, unless both sides are the same float; then that float,
        as an integer, decides. Only 2**63, which no int reaches, does not fit one."""
        b = self.ctx.b
        if python_kind(x) == "f":
            mirrored = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
            return self.compare_exactly(mirrored.get(name, name), y, x)
        whole, real = self.scalar(x, I64), self.scalar(y, F64)
        near = self.to(whole, F64)
        rough = b.emit(name, (near, real))[0]
        if (isinstance(x, Static) and abs(x.value) <= 2**53) or (isinstance(y, Static) and abs(y.value) < 2**53):
            return rough
        limit = b.constant(2.0**63, ScalarType(F64))
        level = b.emit("logical_and", (b.emit("eq", (near, real))[0], b.emit("lt", (real, limit))[0]))[0]
        inside = b.emit("select", (level, real, b.constant(0.0, ScalarType(F64))))[0]
        exact = b.emit(name, (whole, self.to(inside, I64)))[0]
        beyond = b.emit("eq", (real, limit))[0]
        above = b.constant(name in ("lt", "le", "ne"), ScalarType(BOOL))
        return b.emit("select", (beyond, above, b.emit("select", (level, exact, rough))[0]))[0]

    def complex_binary(self, name: str, x: Value, y: Value, y_front: FrontValue, node: ast.AST) -> FrontValue:
        b = self.ctx.b
        if name in ("floordiv", "mod"):
            return self.unsupported(name, Number(x, True), Number(y, True), node)
        if name == "div":
            zero = b.constant(0j, ScalarType(C128))
            self.ctx.check(b.emit("ne", (y, zero))[0], "ZeroDivisionError", divided_by_zero("complex", "div"))
        if name != "pow":
            return Number(b.emit(name, (x, y))[0], weak=True)
        return self.complex_power(x, y, _whole_exponent(y_front))

    def complex_power(self, x: Value, y: Value, whole: int | None) -> Number:
        """As CPython computes it: products for a whole exponent up to 100, where that is known, else by logarithms."""
        b, one = self.ctx.b, self.ctx.b.constant(1 + 0j, ScalarType(C128))
        if whole != 0:
            zero = b.constant(0j, ScalarType(C128))
            lowers = b.emit("lt", (b.emit("real", (y,))[0], b.constant(0.0, ScalarType(F64))))[0]
            turns = b.emit("ne", (b.emit("imag", (y,))[0], b.constant(0.0, ScalarType(F64))))[0]
            pole = b.emit("logical_and", (b.emit("eq", (x, zero))[0], b.emit("logical_or", (lowers, turns))[0]))[0]
            message = "0.0 to a negative or complex power"
            self.ctx.check(b.emit("logical_not", (pole,))[0], "ZeroDivisionError", message)
        if whole is None:
            made = b.emit("pow", (x, y))[0]
        else:
            left, made, power = abs(whole), one, x
            while left:
                made = b.emit("mul", (made, power))[0] if left % 2 else made
                left //= 2
                power = b.emit("mul", (power, power))[0] if left else power
            made = b.emit("div", (one, made))[0] if whole < 0 else made
        finite = b.emit("isfinite", (made,))[0]
        for operand in (x, y):
            infinite = b.emit("logical_not", (b.emit("isfinite", (operand,))[0],))[0]
            finite = b.emit("logical_or", (finite, infinite))[0]
        self.ctx.check(finite, "OverflowError", "complex exponentiation")
        return Number(made, weak=True)

    def to(self, x: Value, dtype: DType) -> Value:
        """A host scalar converted."""
        return x if x.type == ScalarType(dtype) else self.ctx.b.emit("cast", (x,), {"dtype": dtype})[0]

    # -- truth ------------------------------------------------------------------------------------------------

    def truth(self, x: FrontValue, node: ast.AST) -> bool | Value:
        """`bool(x)`: known now, or a bool host scalar."""
        self.ctx.at(node)
        match x:
            case Shared():
                return self.truth(self.objects.truth(x, node), node)
            case OptionalValue():
                return optionals.truth(self.objects.c.expressions, x, node)
            case ChoiceValue():
                every = self.objects.c.expressions
                made = each(every, x, lambda o: Static(bool(o.value)), node)
                return self.truth(made, node)
            case Static(value):
                own = self.objects.truth(x, node) if self.objects.says_truth(x) else x
                return bool(value) if own is x else self.truth(own, node)
            case Number():
                if x.dtype == BOOL:
                    return x.value
                zero = self.ctx.b.constant(_convert(0, x.dtype), x.value.type)
                return self.ctx.b.emit("ne", (x.value, zero))[0]
            case ArrayView():
                return self.array_truth(x, node)
            case DictValue():
                return odd_keys.truth(self.ctx, x)
            case GrowingList():
                return self.ctx.b.emit("gt", (self.ctx.list_length(x), self.ctx.size_value(0)))[0]
            case SequenceValue(length) if x.once is None and x.range is not None:
                return self.ctx.b.emit("gt", (self.ctx.size_value(length), self.ctx.size_value(0)))[0]
            case _:
                if isinstance(x, ObjectValue) or self.objects.says_truth(x):
                    return self.truth(self.objects.truth(x, node), node)
                length = getattr(x, "items", None)
                if length is not None:
                    return len(length) > 0
                if isinstance(x, Closure | BoundMethod | Transformed):
                    return True
                self.ctx.refuse(node, f"{describe(x)} cannot be a condition", "compare it with something")

    def array_truth(self, x: ArrayView, node: ast.AST) -> bool | Value:
        """An array of one element as a condition; others raise ValueError as in NumPy."""
        b = self.ctx.b
        one = b.constant(1, ScalarType(I64))
        text = "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()"
        for length in x.lengths:
            if length != 1:
                self.ctx.check(b.emit("eq", (self.ctx.size_value(length), one))[0], "ValueError", text)
        return self.truth(self.ctx.element(x, (0,) * x.rank), node)


def _is_numpy_scalar(value: Any) -> bool:
    return hasattr(value, "dtype") and getattr(value, "shape", None) == () and hasattr(value, "item")


def _as_float(x: FrontValue) -> FrontValue:
    """NumPy's float64 as the float that it is to Python's complex numbers, which come first on its left."""
    if isinstance(x, Number) and x.dtype == F64:
        return Number(x.value, weak=True)
    return Static(float(x.value)) if isinstance(x, Static) and isinstance(x.value, float) else x


def _convert(value: Any, dtype: DType) -> Any:
    match dtype.kind:
        case "b":
            return bool(value)
        case "i" | "u":
            return int(value)
        case "f":
            return float(value)
        case _:
            return complex(value)


def _whole_exponent(y: FrontValue) -> int | None:
    """A known whole exponent, up to that for which CPython multiplies complex numbers."""
    value = complex(y.value) if isinstance(y, Static) else None
    if value is None or value.imag or not value.real.is_integer() or abs(value.real) > 100:
        return None
    return int(value.real)


def _are_unlike(x: FrontValue, y: FrontValue) -> bool:
    """Whether two values are never equal: of unlike kinds, or one a compile-time object, but for texts and the like.
    Text with run-time values in it is never empty."""
    known = next((v for v in (x, y) if isinstance(v, Static)), None)
    if known is not None:
        return type_name(x) != type_name(y) or type_name(x) not in ("str", "range", "slice") or known.value == ""
    found = [next((k for k in _UNLIKE if isinstance(v, k)), None) for v in (x, y)]
    return None not in found and found[0] is not found[1]


_UNLIKE = (Number, TupleValue, DictValue, ListValue | GrowingList)
