"""Running ops on tensors, with recording: `apply` and `TensorBuilder`.

`TENSORS` is the third builder beside `Builder` and `EagerBuilder`: composites run on it and are recorded op by op,
and so are derivative rules when the derivative is differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from tracejit.devices import device_of, module_of
from tracejit.eager.alias import note_alias, past
from tracejit.eager.modes import MODE
from tracejit.eager.tape import OpNode, attach
from tracejit.eager.tensor import Tensor, ir_dtype, raw, wrap
from tracejit.ir.builder import COMPOSITES
from tracejit.ir.opdef import REGISTRY, OpDef
from tracejit.ir.types import BOOL, DType
from tracejit.ops import coerce


def apply(defn: OpDef, operands: Sequence[Any], attrs: dict[str, Any], xp: Any = np) -> Any:
    """Run one op; a Tensor, or a tuple of them. `operands` are grouped as the signature says and already fit each
    other: tensors, arrays or Python numbers. `xp` is the array module where there is no tensor among them."""
    eager = defn.eager
    if eager is None:
        raise TypeError(f"{defn.name} cannot run eagerly by itself")
    arrays: list[Any] = []
    tensors: list[Tensor] = []
    recording = False
    for x in operands:
        if isinstance(x, Tensor):
            tensors.append(x)
            arrays.append(x._data)
            recording = recording or x._requires_grad
        elif isinstance(x, tuple | list):
            arrays.append(tuple([y._data if isinstance(y, Tensor) else y for y in x]))
            tensors.extend([y for y in x if isinstance(y, Tensor)])
            recording = recording or any(isinstance(y, Tensor) and y._requires_grad for y in x)
        else:
            arrays.append(x)
    result = eager(array_module_of(tensors) if tensors else xp, *arrays, **attrs)
    outs = tuple([wrap(r) for r in result]) if isinstance(result, tuple) else (wrap(result),)
    is_view = False
    for out in outs:
        if out._data.base is not None or _is_one_of(out._data, tensors):
            is_view = note_alias(out, tensors) or is_view
    if recording and MODE.enabled:
        kept = [past(x) if isinstance(x, Tensor) else x for x in operands] if is_view else operands
        _record(defn, kept, attrs, outs)
    return outs if isinstance(result, tuple) else outs[0]


def _is_one_of(array: Any, tensors: Sequence[Tensor]) -> bool:
    """Whether the array is a tensor's own."""
    return any(tensor._data is array for tensor in tensors)


def _record(defn: OpDef, operands: Sequence[Any], attrs: dict[str, Any], outs: tuple[Tensor, ...]) -> None:
    """Put the op on the tape, unless all its results are integers or truth values."""
    if not any(is_inexact(out) for out in outs):
        return
    node = OpNode(defn, operands, attrs, tuple([out._data for out in outs]))
    for port, out in enumerate(outs):
        if is_inexact(out):
            attach(out, node, port)


def is_inexact(tensor: Tensor) -> bool:
    """Whether the dtype is a float or complex one (bfloat16 shows up as kind V)."""
    return tensor._data.dtype.kind in "fcV"


def array_module_of(tensors: Sequence[Tensor]) -> ModuleType:
    """The array module of tensors, which must share a device; numpy where there are none."""
    for tensor in tensors:
        if type(tensor._data) is not np.ndarray:
            break
    else:
        return np
    if len({device_of(t._data) for t in tensors}) > 1:
        found = ", ".join(str(device_of(t._data)) for t in tensors)
        raise RuntimeError(f"operands are on different devices ({found}); move them with .to(...)")
    return module_of(tensors[0]._data)


def typed_numbers(operands: Sequence[Any]) -> Sequence[Any]:
    """Elementwise operands with Python numbers as 0-d arrays of the tensors' dtype, so that rules see typed values."""
    tensors = [x for x in operands if isinstance(x, Tensor)]
    if len(tensors) == len(operands) or not tensors:
        return operands
    dtype = next((t.dtype for t in tensors if t._data.dtype.kind != "b"), tensors[0].dtype)
    xp = array_module_of(tensors)
    return tuple([xp.asarray(x, dtype) if _is_python_number(x, dtype) else x for x in operands])


def _is_python_number(x: Any, dtype: np.dtype[Any]) -> bool:
    """Whether x is a Python number that the dtype can hold (a comparison may have a larger integer)."""
    if not coerce.is_number(x):
        return False
    return dtype.kind not in "iu" or not isinstance(x, int) or np.iinfo(dtype).min <= x <= np.iinfo(dtype).max


class TensorBuilder:
    """The builder protocol (`ir/builder.py`) on recorded tensors; Python numbers stand for themselves. `xp` makes the
    tensors that no operand places."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def dtype(self, x: Any) -> DType:
        if isinstance(x, bool):
            return BOOL
        return ir_dtype(x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype)

    def rank(self, x: Any) -> int:
        return int(getattr(x, "ndim", 0))

    def is_scalar(self, x: Any) -> bool:
        return not hasattr(x, "ndim") or isinstance(x, np.generic)

    def shape(self, x: Any) -> tuple[int, ...]:
        return tuple(getattr(x, "shape", ()))

    def full(self, number: Any, shape: Sequence[int], dtype: DType) -> Tensor:
        made = wrap(self.xp.full(tuple(shape), raw(number), dtype=numpy_dtype(dtype)))
        return made.copy_(number) if isinstance(number, Tensor) else made  # type: ignore[attr-defined]

    def number(self, number: Any, like: Any) -> Tensor:
        array = like._data if isinstance(like, Tensor) else np.asarray(like)
        return wrap(module_of(array).full_like(array, number))

    def zeros_like(self, x: Any) -> Tensor:
        return self.number(0, x)

    def same_size(self, a: int, b: int) -> bool:
        return a == b

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in COMPOSITES:
            fn = COMPOSITES[name]
            return lambda *operands, **attrs: fn(self, *operands, **attrs)
        if name not in REGISTRY:
            raise AttributeError(f"there is no op {name!r}")
        defn = REGISTRY[name]
        if getattr(defn.lower, "own_index", False):
            return lambda *operands, **attrs: apply(defn, typed_numbers(operands), attrs)
        return lambda *operands, **attrs: apply(defn, operands, attrs, self.xp)


def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """The NumPy dtype of an IR dtype; bfloat16 needs the package ml_dtypes."""
    if dtype.name != "bf16":
        return np.dtype(dtype.numpy_name)
    from tracejit.eager.dtypes import bfloat16

    return bfloat16()


TENSORS = TensorBuilder(np)


def builder_for(operands: Iterable[Any]) -> TensorBuilder:
    """The recording builder for the device of the operands (or of sequences of them)."""
    for x in operands:
        found = builder_for(x) if isinstance(x, tuple | list) else _builder_of(x)
        if found is not TENSORS:
            return found
    return TENSORS


def _builder_of(x: Any) -> TensorBuilder:
    if not isinstance(x, Tensor) or isinstance(x._data, np.ndarray):
        return TENSORS
    return TensorBuilder(module_of(x._data))
