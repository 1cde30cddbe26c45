"""Elementwise functions, methods and operators, made from the registry.

`call(defn, *operands)` promotes and broadcasts (`ops/coerce.py`); operands that already fit go straight to the op.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tracejit.devices import is_array
from tracejit.eager.apply import apply, array_module_of, builder_for, numpy_dtype
from tracejit.eager.inplace import store_result
from tracejit.eager.tensor import Tensor, ir_dtype, wrap
from tracejit.errors import ScriptError, ShapeMismatch
from tracejit.ir.opdef import REGISTRY, OpDef
from tracejit.ops import coerce
from tracejit.ops.define import allowed_dtypes


@functools.cache
def _direct_dtypes(defn: OpDef) -> frozenset[np.dtype[Any]]:
    """The dtypes that the op takes as they are."""
    return frozenset(numpy_dtype(d) for d in allowed_dtypes(defn) or () if d.name != "bf16")


def call(defn: OpDef, *operands: Any) -> Any:
    """The op on tensors, arrays and numbers of any dtypes and shapes that fit."""
    if len(operands) == 1:
        (x,) = operands
        if isinstance(x, Tensor) and x._data.dtype in _direct_dtypes(defn):
            return apply(defn, operands, {})
    elif len(operands) == 2:
        fitted = _fitted_pair(defn, *operands)
        if fitted is not None:
            return apply(defn, fitted, {})
    return coerced(defn.name, *operands)


def _fitted_pair(defn: OpDef, x: Any, y: Any) -> tuple[Any, Any] | None:
    """Two operands that promotion would leave as they are, in one shape; None for all other pairs."""
    if isinstance(x, Tensor):
        dtype = x._data.dtype
        if dtype not in _direct_dtypes(defn):
            return None
        if isinstance(y, Tensor):
            a, b = x._data, y._data
            if b.dtype != dtype:
                return None
            return (x, y) if a.shape == b.shape else _broadcast_pair(x, y)
        number = _weak_number(defn, y, x)
        return None if number is None else (x, number)
    if isinstance(y, Tensor) and y._data.dtype in _direct_dtypes(defn):
        number = _weak_number(defn, x, y)
        return None if number is None else (number, y)
    return None


def _weak_number(defn: OpDef, x: Any, tensor: Tensor) -> Any:
    """A Python number as a 0-d array of the tensor's dtype, where that is its promotion; else None."""
    dtype = tensor._data.dtype
    kind = dtype.kind
    if defn.name in coerce.SPECIAL or not ((type(x) is float and kind in "fc") or (type(x) is int and kind in "iufc")):
        return None
    if kind in "iu" and not _LOW <= x < _HIGH:
        return None
    return array_module_of((tensor,)).asarray(x, dtype)


#: Integers that every integer dtype holds.
_LOW, _HIGH = 0, 128


def _broadcast_pair(x: Tensor, y: Tensor) -> tuple[Any, Any] | None:
    try:
        shape = np.broadcast_shapes(x._data.shape, y._data.shape)
    except ValueError:
        return None
    stretch = REGISTRY["broadcast"]
    return tuple(t if t._data.shape == shape else apply(stretch, (t, shape), {}) for t in (x, y))  # type: ignore[return-value]


def coerced(name: str, *operands: Any, **attrs: Any) -> Any:
    """`coerce.apply` on tensors."""
    given = [as_operand(x) for x in operands]
    with plain_errors:
        return coerce.apply(builder_for(given), name, *given, **attrs)


class _PlainErrors:
    """Turns mismatches, which scripts report with a caret, into the plain ValueError and TypeError of eager calls."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ScriptError):
            plain = ValueError if isinstance(error, ShapeMismatch) else TypeError
            raise plain(error.reason) from None


plain_errors = _PlainErrors()


def as_operand(x: Any) -> Any:
    """A tensor, a Python number, None, or anything array-like as a tensor."""
    if isinstance(x, Tensor) or x is None or coerce.is_number(x):
        return x
    if is_array(x):
        ir_dtype(x.dtype)
        return wrap(x)
    if isinstance(x, np.generic):
        return wrap(np.asarray(x))
    if isinstance(x, list | tuple):
        from tracejit.eager.creation import array_of

        return wrap(array_of(x))
    raise TypeError(f"{type(x).__name__} cannot take part in tensor arithmetic")


def function_of(defn: OpDef) -> Callable[..., Any]:
    """The op as a function of its operands, by position or by name."""
    names = defn.signature

    def function(*operands: Any, **by_name: Any) -> Any:
        out = factor = None
        if by_name:
            out, factor = by_name.pop("out", None), by_name.pop(defn.factor, None)
            operands = (*operands, *operands_by_name(names[len(operands) :], by_name, defn.name))
        if len(operands) != len(names):
            raise TypeError(f"{defn.name}() takes {len(names)} operands ({', '.join(names)}), got {len(operands)}")
        if factor is not None:
            operands = (*operands[:-1], operands[-1] * factor)
        made = call(defn, *operands)
        return made if out is None else store_result(out, made)

    return _named(function, defn.name, defn.doc)


_ALIASES = {"x": ("input", "x1", "self"), "y": ("other", "x2", "exponent")}


def operands_by_name(names: tuple[str, ...], given: dict[str, Any], op: str) -> list[Any]:
    """Operands given by name, in order; PyTorch's and the Array API's names count too. Others are a `TypeError`."""
    found: list[Any] = []
    for name in names:
        key = next((k for k in (name, *_ALIASES.get(name, ())) if k in given), None)
        if key is None:
            break
        found.append(given.pop(key))
    if given:
        raise TypeError(f"{op}() got an unexpected argument '{next(iter(given))}'")
    return found


def operator_of(function: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`x op y` and its reflected form `y op x`; NotImplemented for what is no operand."""

    def forward(self: Tensor, *others: Any) -> Any:
        if others and not isinstance(others[0], _OPERANDS) and not is_array(others[0]):
            return NotImplemented
        return function(self, *others)

    def reflected(self: Tensor, other: Any) -> Any:
        if not isinstance(other, _OPERANDS) and not is_array(other):
            return NotImplemented
        return function(other, self)

    return forward, reflected


_OPERANDS = (Tensor, bool, int, float, complex, np.generic, np.ndarray, list)


def _named(function: Callable[..., Any], name: str, doc: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = "tracejit"
    return function
