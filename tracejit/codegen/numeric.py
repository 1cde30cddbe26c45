"""NumPy evaluation of scalar operations and of whole expressions.

This is the meaning of the loop IR: `evaluate.py` runs programs with it, constant folding uses it, and the
tests of the mathematical library compare expansions with it. Floating-point warnings are silenced here,
because IEEE results are the specified ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracejit.codegen.loop_ir import Bitcast, Cast, Const, Expr, Input, Load, Offset, Rare, Scalar, Select, Var
from tracejit.ir.c_library import BY_C_NAME
from tracejit.ir.types import BF16, DType

Array = NDArray[Any]


@cache
def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """The NumPy dtype of an element type; bfloat16 comes from ml_dtypes."""
    if dtype == BF16:
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(dtype.numpy_name)


# -- functions NumPy lacks ------------------------------------------------------------------------------------


def through_f64(fn: Callable[..., Any]) -> Callable[..., Array]:
    """A float function evaluated in f64 and rounded to the operands' dtype."""

    def evaluate(*args: Array) -> Array:
        wide = fn(*(np.asarray(a, np.float64) for a in args))
        return np.asarray(wide).astype(np.asarray(args[0]).dtype)

    return evaluate


erf = through_f64(np.vectorize(math.erf, otypes=[np.float64]))


@through_f64
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow on either side."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


@through_f64
def rsqrt(x: Array) -> Array:
    """1 / sqrt(x)."""
    return 1 / np.sqrt(x)


def fma(a: Array, b: Array, c: Array) -> Array:
    """a * b + c with two roundings: what `fmuladd` gives where the hardware does not fuse."""
    return a * b + c


def ldexp(a: Array, n: Array) -> Array:
    """a * 2**n, n a float that is a whole number; any float for a NaN as n."""
    return np.ldexp(a, np.nan_to_num(n).astype(np.int32))


def exponent(a: Array) -> Array:
    """The e of |a| = 2**e * m with m in [1, 2); -inf at 0, inf at infinities."""
    whole = np.frexp(a)[1] - 1.0
    return np.where(np.isfinite(a) & (a != 0), whole, np.where(a == 0, -np.inf, np.abs(a))).astype(np.asarray(a).dtype)


def significand(a: Array) -> Array:
    """The m in [3/4, 3/2) of a = 2**e * m; 1 at zeros and infinity, NaN for negative numbers."""
    half = np.frexp(a)[0]
    usual = np.where(half < 0.75, 2 * half, half)
    return np.where(np.isin(a, (0, np.inf)), 1, np.where(a > 0, usual, np.nan)).astype(np.asarray(a).dtype)


def half_power(x: Array) -> Array:
    """x ** 0.5 by the C library's `pow`; NumPy takes the root where 0.5 is a number."""
    return np.power(x, np.full_like(x, 0.5))


def power(a: Array, b: Array) -> Array:
    """a to the b; integers wrap, and of a negative integer exponent only the bits below the sign count."""
    dtype = np.asarray(a).dtype
    if dtype.kind == "i":
        b = b & np.array(np.iinfo(dtype).max, dtype)
    return np.power(a, b)


def quotient(a: Array, b: Array) -> Array:
    """Integer division that truncates, as in C; 0 where b is 0."""
    return ((a - remainder(a, b)) // np.where(b == 0, np.array(1, b.dtype), b)) * (b != 0).astype(a.dtype)


def remainder(a: Array, b: Array) -> Array:
    """The remainder of `quotient`, with the sign of a; 0 where b is 0."""
    return np.fmod(a, b)


def logical_shift_right(a: Array, amount: Array) -> Array:
    """Shift that fills with zeros, whatever the sign."""
    dtype = np.asarray(a).dtype
    unsigned = np.dtype(f"u{dtype.itemsize}")
    return (np.asarray(a).view(unsigned) >> np.asarray(amount).astype(unsigned)).view(dtype)


def add_overflows(a: Array, b: Array) -> Array:
    """Whether a + b leaves the range of their signed integer dtype."""
    total = a + b
    return ((a ^ total) & (b ^ total)) < 0


def sub_overflows(a: Array, b: Array) -> Array:
    """Whether a - b leaves the range of their signed integer dtype."""
    return ((a ^ b) & (a ^ (a - b))) < 0


def mul_overflows(a: Array, b: Array) -> Array:
    """Whether a * b leaves the range of their signed integer dtype."""
    limits = np.iinfo(np.asarray(a).dtype)
    exact = np.multiply(np.asarray(a, object), np.asarray(b, object))
    return np.asarray((exact < int(limits.min)) | (exact > int(limits.max)), np.bool_)


#: Library functions that a `Rare` expression may name.
RARE_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "fmod": np.fmod,
    "pow": np.power,
    "nextafter": np.nextafter,
    **BY_C_NAME,
}


# -- expressions ----------------------------------------------------------------------------------------------


def convert(x: Any, dtype: DType) -> Array:
    """A value conversion with NumPy's rules."""
    with np.errstate(all="ignore"):
        return np.asarray(x).astype(numpy_dtype(dtype))


class Evaluation:
    """Evaluates expressions over NumPy arrays (or scalars) bound to variables.

    `load(buffer, index)` and `read_input(input)` give what the surroundings know. With `expand` the named
    operations are computed by their expansion instead of by NumPy: that is how expansions are tested.
    """

    def __init__(
        self,
        values: dict[Var, Any],
        load: Callable[[Var, Array], Array] | None = None,
        read_input: Callable[[Input], Any] | None = None,
        expand: frozenset[str] = frozenset(),
    ) -> None:
        self.values = values
        self.load = load
        self.read_input = read_input
        self.expand = expand
        from tracejit.codegen.scalars import SCALARS  # whose rows are made of the functions above

        self.rows = SCALARS

    def __call__(self, expr: Expr) -> Any:
        with np.errstate(all="ignore"):
            return self.value(expr)

    def value(self, expr: Expr) -> Any:
        """The same for who has silenced the warnings: a program does once for all its expressions."""
        return self._visit(expr, {})

    def _visit(self, expr: Expr, seen: dict[int, Any]) -> Any:
        if type(expr) is Var:
            return self.values[expr]
        if id(expr) not in seen:
            seen[id(expr)] = self._compute(expr, seen)
        return seen[id(expr)]

    def _compute(self, expr: Expr, seen: dict[int, Any]) -> Any:
        match expr:
            case Scalar():
                return self._scalar(expr, [self._visit(a, seen) for a in expr.args])
            case Const(value, dtype):
                return np.asarray(value, numpy_dtype(dtype))
            case Load(buffer, index):
                assert self.load is not None, "no buffers are bound"
                return self.load(buffer, self._visit(index, seen))
            case Cast(x, dtype):
                return np.asarray(self._visit(x, seen)).astype(numpy_dtype(dtype))
            case Bitcast(x, dtype):
                bits = np.asarray(self._visit(x, seen))
                return np.ascontiguousarray(bits).view(numpy_dtype(dtype)).reshape(bits.shape)
            case Select(cond, a, b, dtype):
                chosen = np.where(self._visit(cond, seen), self._visit(a, seen), self._visit(b, seen))
                return chosen.astype(numpy_dtype(dtype), copy=False)
            case Rare(cond, value, op, args):
                usual = self._visit(value, seen)
                library = RARE_FUNCTIONS[op](*(self._visit(a, seen) for a in args))
                return np.where(self._visit(cond, seen), library, usual).astype(np.asarray(usual).dtype)
            case Input():
                assert self.read_input is not None, "no inputs are bound"
                return self.read_input(expr)
            case Var():
                return self.values[expr]
            case Offset():
                raise AssertionError("pointers are evaluated by programs, not by expressions")

    def _scalar(self, expr: Scalar, args: list[Any]) -> Any:
        if expr.op not in self.expand:
            return self.rows[expr.op].evaluate(*[a if type(a) is np.ndarray else np.asarray(a) for a in args])
        from tracejit.codegen.scalars import expansion

        body = expansion(expr.op, expr.args[0].type)
        inner = Evaluation(dict(zip(body.params, args, strict=True)), expand=self.expand)
        for let in body.lets:
            inner.values[let.var] = inner(let.expr)
        return inner(body.result)
