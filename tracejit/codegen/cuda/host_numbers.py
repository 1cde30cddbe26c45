"""What printed host code computes with: scalars are Python numbers, and a value of a dtype is one that the dtype holds.

Booleans are bools, integers ints, floats of any width floats. Results are those of `codegen/numeric.py`: what has no
exact form over Python numbers is computed there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from ctypes import c_float
from functools import cache
from typing import Any

import numpy as np

from tracejit.codegen.numeric import RARE_FUNCTIONS, convert, numpy_dtype
from tracejit.codegen.scalars import SCALARS
from tracejit.ir.types import BOOL, F32, F64, DType

_EXACT = 1 << 53  #: doubles hold every integer up to here


def wrapped(x: int, bits: int) -> int:
    """An integer as a signed one of so many bits."""
    half = 1 << bits - 1
    return (x + half & (1 << bits) - 1) - half


def limits(dtype: DType) -> tuple[int, int]:
    """The least and the largest integer of a dtype."""
    if dtype.kind == "i":
        return -(1 << dtype.bits - 1), (1 << dtype.bits - 1) - 1
    return 0, (1 << dtype.bits) - 1


def rounded(x: float) -> float:
    """A double as the f32 next to it."""
    return c_float(x).value


def quotient(a: int, b: int) -> int:
    """a / b, cut off; 0 where b is 0."""
    if a >= 0 and b > 0:
        return a // b
    if b == 0:
        return 0
    return a // b if (a < 0) == (b < 0) else -(-a // b)


def remainder(a: int, b: int) -> int:
    """The remainder of `quotient`; 0 where b is 0."""
    if a >= 0 and b > 0:
        return a % b
    if b == 0:
        return 0
    return a % abs(b) if a >= 0 else -(-a % abs(b))


def floordiv(a: int, b: int) -> int:
    """a / b rounded down; 0 where b is 0."""
    return a // b if b else 0


def modulo(a: int, b: int) -> int:
    """The remainder with the sign of b; 0 where b is 0."""
    return a % b if b else 0


def divided(a: float, b: float) -> float:
    """a / b as IEEE has it."""
    if b:
        return a / b
    if a == 0 or a != a or b != b:
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def float_of(x: int) -> float:
    """The f32 next to an integer."""
    return c_float(x).value if -_EXACT <= x <= _EXACT else float(np.float32(np.asarray(x)))


@cache
def operation(name: str, dtype: DType) -> Callable[..., Any]:
    """An operation on Python numbers that are values of a dtype, by its reference."""
    evaluate, kind = SCALARS[name].evaluate, numpy_dtype(dtype)

    def call(*operands: Any) -> Any:
        with np.errstate(all="ignore"):
            return number(evaluate(*(np.asarray(x, kind) for x in operands)))

    return call


@cache
def library(name: str, dtype: DType) -> Callable[..., Any]:
    """A function that `Rare` names."""
    function, kind = RARE_FUNCTIONS[name], numpy_dtype(dtype)

    def call(*operands: Any) -> Any:
        with np.errstate(all="ignore"):
            return number(np.asarray(function(*(np.asarray(x, kind) for x in operands)), kind))

    return call


@cache
def conversion(source: DType, target: DType) -> Callable[[Any], Any]:
    """The conversion of a value, by its reference."""
    kind = numpy_dtype(source)
    return lambda x: number(convert(np.asarray(x, kind), target))


@cache
def same_bits(source: DType, target: DType) -> Callable[[Any], Any]:
    """The value that has the same bits in another dtype."""
    kinds = numpy_dtype(source), numpy_dtype(target)
    return lambda x: number(np.asarray([x], kinds[0]).view(kinds[1])[0])


@cache
def given(dtype: DType) -> Callable[[Any], Any]:
    """What a caller passes for a scalar as a value of its dtype. Raises `OverflowError` for integers out of range."""
    kind = numpy_dtype(dtype).type
    low, high = limits(dtype) if dtype.is_integer else (0, 0)

    def scalar(x: Any) -> Any:
        if type(x) is kind:
            return number(x)
        if type(x) is int and low <= x <= high and dtype.is_integer:
            return x
        if type(x) is float and dtype == F64:
            return x
        with np.errstate(all="ignore"):
            return number(kind(x))

    return scalar


def number(x: Any) -> Any:
    """A NumPy scalar as a Python number."""
    found = x.item()
    return found if isinstance(found, bool | int | float) else float(found)  # bfloat16 has no item of its own


def inside(memory: Any, offset: int) -> Any:
    """Memory from some bytes on; that of no elements has no address to begin with."""
    return memory + offset if memory.ptr else memory


#: The functions that printed code may call by name.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        *(wrapped, rounded, quotient, remainder, floordiv, modulo, divided, float_of, inside),
        *(math.isnan, min, max, abs),
    )
} | {"int": int, "float": float, "range": range}

#: How a value becomes one of another dtype, where a Python expression says it: by (kind of source, name of target).
CASTS: dict[tuple[str, str], str] = {
    **{(kind, BOOL.name): "{0} != 0" for kind in "iuf"},
    ("f", F64.name): "{0}",
    ("b", F64.name): "float({0})",
    ("i", F64.name): "float({0})",
    ("u", F64.name): "float({0})",
    ("b", F32.name): "float({0})",
    ("i", F32.name): "float_of({0})",
    ("u", F32.name): "float_of({0})",
    ("f", F32.name): "rounded({0})",
}
