"""Copies, dtypes and devices of tensors, recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracejit.devices import Device, as_device, device_of, to_device
from tracejit.eager.apply import TENSORS
from tracejit.eager.dtypes import as_dtype
from tracejit.eager.tape import Node, attach, is_recording
from tracejit.eager.tensor import Tensor, ir_dtype, wrap


def clone(self: Tensor) -> Tensor:
    """A copy in memory of its own; gradients flow back."""
    return TENSORS.fresh(self)


def contiguous(self: Tensor) -> Tensor:
    """The tensor itself if its elements lie in C order, else a copy that does."""
    return self if self.is_contiguous() else clone(self)


def astype(self: Tensor, dtype: Any, copy: bool = True) -> Tensor:
    """The values in another dtype, by NumPy's rules; a copy also where it has the dtype, unless `copy=False`."""
    target = as_dtype(dtype)
    if target == self.dtype:
        return clone(self) if copy else self
    return TENSORS.cast(self, dtype=ir_dtype(target))


class _TransferNode(Node):
    """A copy to another device; cotangents are copied back."""

    __slots__ = ("device",)

    def __init__(self, source: Tensor) -> None:
        super().__init__((source,))
        self.device = source.device

    @property
    def name(self) -> str:
        return "to node"

    def pull(self, cotangents: list[Any], create_graph: bool) -> Sequence[Any]:
        (g,) = cotangents
        return [on_device(g, self.device) if create_graph else to_device(g, self.device)]


def on_device(x: Tensor, device: Device) -> Tensor:
    """The tensor on a device; itself if it is there."""
    array = to_device(x._data, device)
    if array is x._data:
        return x
    moved = wrap(array)
    return attach(moved, _TransferNode(x)) if is_recording((x,)) else moved


def to(
    self: Tensor, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False, copy: bool = False
) -> Tensor:
    """The tensor in another dtype or on another device (or both, or as another tensor has them); itself if it is so
    already, unless `copy`. `non_blocking` changes nothing: work on a device is done in order."""
    for arg in args:
        if isinstance(arg, Tensor):
            dtype, device = arg.dtype, device_of(arg._data)
        elif isinstance(arg, str) and arg.partition(":")[0] in ("cpu", "cuda"):
            device = arg
        elif arg is not None and not isinstance(arg, bool):
            dtype = _named(arg) if isinstance(arg, str) else arg
    result = self if dtype is None else astype(self, dtype, copy=False)
    if device is not None:
        result = on_device(result, as_device(device))
    return clone(result) if copy and result is self else result


def _named(name: str) -> Any:
    try:
        return as_dtype(name)
    except TypeError:
        raise TypeError(f"{name!r} is neither a dtype nor a device") from None


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in the dtype of another."""
    return astype(self, other.dtype, copy=False)


def transposed(self: Tensor) -> Tensor:
    """All axes in reverse order, as a view."""
    return TENSORS.transpose(self, perm=tuple(range(self.ndim))[::-1])


def matrix_transposed(self: Tensor) -> Tensor:
    """The last two axes exchanged, as a view."""
    if self.ndim < 2:
        raise ValueError(f"mT needs two axes or more, got shape {self.shape}")
    rank = self.ndim
    return TENSORS.transpose(self, perm=(*range(rank - 2), rank - 1, rank - 2))


def _to_dtype(name: str) -> Callable[[Tensor], Tensor]:
    def method(self: Tensor) -> Tensor:
        return astype(self, name, copy=False)

    method.__doc__ = f"The tensor in dtype {name}; itself if it has it."
    return method


#: Methods that give another dtype.
DTYPE_METHODS = {
    "bool": "bool",
    "byte": "uint8",
    "char": "int8",
    "short": "int16",
    "int": "int32",
    "long": "int64",
    "half": "float16",
    "bfloat16": "bfloat16",
    "float": "float32",
    "double": "float64",
    "cfloat": "complex64",
    "cdouble": "complex128",
}
METHODS: dict[str, Any] = {
    "clone": clone,
    "copy": clone,
    "contiguous": contiguous,
    "astype": astype,
    "to": to,
    "type_as": type_as,
    "T": property(transposed),
    "mT": property(matrix_transposed),
    **{name: _to_dtype(dtype) for name, dtype in DTYPE_METHODS.items()},
}


def can_cast(source: Any, target: Any) -> bool:
    """Whether NumPy's rules allow the conversion without loss of kind."""
    return np.can_cast(as_dtype(getattr(source, "dtype", source)), as_dtype(target))


def result_type(*operands: Any) -> np.dtype[Any]:
    """The dtype that operands promote to: tensors, dtypes, and (weak) Python numbers."""
    plain = [x._data if isinstance(x, Tensor) else x for x in operands]
    return np.result_type(*[x.dtype if hasattr(x, "dtype") and hasattr(x, "shape") else x for x in plain])
