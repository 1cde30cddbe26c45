"""Which identities hold exactly: the definitions' algebra, tried out with their eager rules.

An identity is applied only if it gives the same bits on numbers chosen to break it: both zeros, subnormals,
numbers that round, infinities and NaN for floats; the ends of the range for integers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tracejit.ir.interpreter import array_dtype
from tracejit.ir.opdef import OpDef
from tracejit.ir.types import DType, ListType, Type

_REAL_PROBES = (0.0, -0.0, 1.0, -1.0, 0.1, -2.5, 1e-42, 3e38, 7e-310, 1e308, math.inf, -math.inf, math.nan)

Range: TypeAlias = "tuple[int, int]"

#: What each comparison says of numbers in two ranges (first and last included), where the ranges decide it.
_DECISIONS: dict[str, Callable[[Range, Range], bool | None]] = {
    "operator __lt__": lambda x, y: True if x[1] < y[0] else False if x[0] >= y[1] else None,
    "operator __le__": lambda x, y: True if x[1] <= y[0] else False if x[0] > y[1] else None,
    "operator __gt__": lambda x, y: True if x[0] > y[1] else False if x[1] <= y[0] else None,
    "operator __ge__": lambda x, y: True if x[0] >= y[1] else False if x[1] < y[0] else None,
    "operator __eq__": lambda x, y: False if x[1] < y[0] or x[0] > y[1] else None,
    "operator __ne__": lambda x, y: True if x[1] < y[0] or x[0] > y[1] else None,
}


def is_neutral(defn: OpDef, number: Any, type: Type, right: bool) -> bool:
    """Whether the op leaves every x of the type unchanged when the other (`right`) operand is `number`."""
    if defn.neutral is None or isinstance(type, ListType) or number != defn.neutral:
        return False
    if not right and not defn.commutative:
        return False
    return _is_neutral(defn, repr(number), number, type.dtype, right)


@functools.cache
def _is_neutral(defn: OpDef, _spelling: str, number: Any, dtype: DType, right: bool) -> bool:
    probes = _probes(dtype)
    other = probes[0].dtype.type(number)
    return all(_same(_applied(defn, *((x, other) if right else (other, x))), x) for x in probes)


@functools.cache
def _is_idempotent(defn: OpDef, dtype: DType) -> bool:
    once = [_applied(defn, x) for x in _probes(dtype)]
    return all(y is not None and _same(_applied(defn, y), y) for y in once)


def is_idempotent(defn: OpDef, type: Type) -> bool:
    """Whether applying the declared op of one operand twice gives the same bits as once."""
    return not isinstance(type, ListType) and _is_idempotent(defn, type.dtype)


@functools.cache
def _with_itself(defn: OpDef, dtype: DType) -> Any:
    found = [_applied(defn, x, x) for x in _probes(dtype)]
    if found[0] is None or not all(_same(y, found[0]) for y in found):
        return None
    return found[0].item()


def value_with_itself(defn: OpDef, type: Type) -> Any:
    """The one number an op of two operands gives for every integer of the type with itself, else None."""
    if isinstance(type, ListType) or type.rank or not type.dtype.is_integer or defn.effect:
        return None
    return _with_itself(defn, type.dtype)


def decide_comparison(defn: OpDef, x: Range | None, y: Range | None) -> bool | None:
    """What a comparison of integers in two ranges gives, if the ranges decide it."""
    if x is None or y is None:
        return None
    decisions = (_DECISIONS[name](x, y) for name in defn.names if name in _DECISIONS)
    return next(decisions, None)


def _applied(defn: OpDef, *operands: Any) -> Any:
    """The eager rule's scalar; None where it refuses the operands."""
    assert defn.eager is not None
    try:
        return np.asarray(defn.eager(np, *operands))[()]
    except (TypeError, ValueError, ArithmeticError):
        return None


def _same(a: Any, b: Any) -> bool:
    """Equal to the bit; all NaNs are one."""
    if a is None or a.dtype != b.dtype:
        return False
    if a.dtype.kind in "fc" and np.isnan(a):
        return bool(np.isnan(b))
    return a.tobytes() == b.tobytes()


@functools.cache
def _probes(dtype: DType) -> tuple[Any, ...]:
    """Numbers of the dtype on which identities tend to break."""
    make = array_dtype(dtype, np).type
    if dtype.kind == "b":
        return (make(False), make(True))
    if dtype.is_integer:
        low = 0 if dtype.kind == "u" else -(1 << (dtype.bits - 1))
        high = (1 << (dtype.bits - (dtype.kind != "u"))) - 1
        return tuple(make(n) for n in (low, low + 1, 0, 1, 2, 7, 100, high - 1, high))
    parts = [(a, b) for a in _REAL_PROBES for b in (_REAL_PROBES if dtype.is_complex else (0.0,))]
    with np.errstate(all="ignore"):
        return tuple(make(complex(a, b) if dtype.is_complex else a) for a, b in parts)
