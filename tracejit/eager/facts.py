"""Facts about tensors and dtypes as functions and methods, constants, and the array API's description of itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracejit.devices import as_device, module_of
from tracejit.eager.arguments import as_tensor
from tracejit.eager.conversions import astype as _astype
from tracejit.eager.creation import finished, sizes, tensor, with_history
from tracejit.eager.dtypes import as_dtype, float32
from tracejit.eager.library import functions
from tracejit.eager.tensor import Tensor, raw
from tracejit.eager.traceable import traceable
from tracejit.ir.types import BY_NUMPY_NAME

e, pi, inf, nan, newaxis = math.e, math.pi, math.inf, math.nan, None


def is_tensor(x: Any) -> bool:
    """Whether x is a Tensor."""
    return isinstance(x, Tensor)


@traceable
def numel(x: Any) -> int:
    """The number of elements."""
    return as_tensor(x).size


@traceable
def astype(x: Any, dtype: Any, copy: bool = True, device: Any = None) -> Tensor:
    """The values in another dtype; a copy also where x has it, unless `copy=False`."""
    made = _astype(as_tensor(x), dtype, copy)
    return made if device is None else made.to(device)  # type: ignore[attr-defined]


def finfo(dtype: Any) -> Any:
    """Limits of a float dtype (that of a tensor, or of the parts of complex numbers): `bits eps max min tiny ...`."""
    found = as_dtype(getattr(dtype, "dtype", dtype))
    if found.name == "bfloat16":
        import ml_dtypes

        return ml_dtypes.finfo(found)
    if found.kind not in "fc":
        raise TypeError(f"finfo takes a dtype of floats, not {found}")
    return np.finfo(found)


def iinfo(dtype: Any) -> np.iinfo[Any]:
    """Limits of an integer dtype: `bits max min`."""
    found = as_dtype(getattr(dtype, "dtype", dtype))
    if found.kind not in "iu":
        raise TypeError(f"iinfo takes a dtype of integers, not {found}")
    return np.iinfo(found)


_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: `"bool"`, `"signed integer"`, `"unsigned integer"`, `"integral"`, `"numeric"`,
    `"real floating"`, `"complex floating"`, another dtype, or one of several in a tuple."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    found = as_dtype(dtype)
    if isinstance(kind, str) and kind in _KINDS:
        return BY_NUMPY_NAME[found.name].kind in _KINDS[kind]
    if isinstance(kind, str):
        raise ValueError(f"isdtype knows no kind {kind!r}; there are {', '.join(_KINDS)}")
    return found == as_dtype(kind)


class NamespaceInfo:
    """What the array API may ask of the module."""

    def capabilities(self) -> dict[str, Any]:
        """Which optional features exist."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 16}

    def default_device(self) -> str:
        """Where tensors are made."""
        return "cpu"

    def devices(self) -> list[str]:
        """The devices of this process."""
        return ["cpu"]

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype[Any]]:
        """Dtypes of tensors made of Python numbers."""
        kinds = {"real floating": 0.0, "complex floating": 0j, "integral": 0, "indexing": 0}
        return {kind: tensor(value).dtype for kind, value in kinds.items()}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, np.dtype[Any]]:
        """The standard's dtypes, all or those of a kind."""
        names = [n for n in BY_NUMPY_NAME if n not in ("bfloat16", "float16")]
        return {n: np.dtype(n) for n in names if kind is None or isdtype(np.dtype(n), kind)}


def namespace_info() -> NamespaceInfo:
    """The array API's `__array_namespace_info__`."""
    return NamespaceInfo()


# -- methods ----------------------------------------------------------------------------------------------------------


def element_size(self: Tensor) -> int:
    """Bytes of one element."""
    return self.itemsize


def stride(self: Tensor, dim: int | None = None) -> Any:
    """Steps in elements along each axis, as PyTorch counts them (`strides` are NumPy's, in bytes)."""
    found = tuple(s // self.itemsize for s in self.strides)
    return found if dim is None else found[dim]


def data_ptr(self: Tensor) -> int:
    """The address of the first element."""
    interface = getattr(self._data, "__array_interface__", None) or self._data.__cuda_array_interface__
    return int(interface["data"][0])


@traceable
def is_floating_point(x: Tensor) -> bool:
    """Whether the elements are floats."""
    return BY_NUMPY_NAME[x.dtype.name].is_float


@traceable
def is_complex(x: Tensor) -> bool:
    """Whether the elements are complex numbers."""
    return x.dtype.kind == "c"


@traceable
def is_nonzero(x: Tensor) -> bool:
    """Whether the one element of a tensor is not 0."""
    return bool(x)


def get_default_dtype() -> np.dtype[Any]:
    """The dtype of tensors made of Python floats."""
    return float32


def set_default_dtype(d: Any) -> None:
    """Does nothing for float32, the only default: ValueError for any other."""
    if as_dtype(d) != float32:
        raise ValueError("tensors of Python floats are float32: give dtype=, or convert a model with model.double()")


def detach_(self: Tensor) -> Tensor:
    """Leave the tape: the tensor itself becomes a leaf that does not require gradients."""
    if self._root is not None:
        raise RuntimeError("a view cannot be detached in place; use detach()")
    self._grad_fn, self._requires_grad = None, False
    return self


def _new(maker: str, doc: str) -> Callable[..., Tensor]:
    def method(
        self: Tensor,
        *shape: Any,
        size: Any = None,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:
        lengths = sizes(shape, size)
        made = getattr(module_of(self._data), maker)(lengths, self.dtype if dtype is None else as_dtype(dtype))
        found = finished(made, requires_grad)
        return found if device is None else found.to(device)  # type: ignore[attr-defined]

    method.__doc__ = f"{doc} of this tensor's dtype and device, by default."
    return method


def new_full(self: Tensor, size: Any, fill_value: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of one value, of this tensor's dtype and device by default."""
    xp = module_of(self._data)
    made = xp.full(sizes((size,)), raw(fill_value), self.dtype if dtype is None else as_dtype(dtype))
    return with_history(finished(made, requires_grad), fill_value)


def new_tensor(self: Tensor, data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor holding a copy of the data, of this tensor's dtype and device by default."""
    made = module_of(self._data).array(raw(data), self.dtype if dtype is None else as_dtype(dtype))
    return finished(made, requires_grad)


METHODS: dict[str, Any] = {
    **{f.__name__: f for f in (element_size, stride, data_ptr, is_floating_point, is_complex, detach_)},
    "new_zeros": _new("zeros", "Zeros"),
    "new_ones": _new("ones", "Ones"),
    "new_empty": _new("empty", "Unspecified values"),
    "new_full": new_full,
    "new_tensor": new_tensor,
    "is_nonzero": is_nonzero,
    "is_same_size": lambda self, other: self.shape == other.shape,
    "ndimension": lambda self: self.ndim,
    "get_device": lambda self: as_device(self.device).index or 0 if self.is_cuda else -1,
    "is_cpu": property(lambda self: isinstance(self._data, np.ndarray)),
    "__round__": lambda self, digits=0: functions()["round"](self, digits),
    "is_cuda": property(lambda self: not isinstance(self._data, np.ndarray)),
    "nelement": Tensor.numel,
    "to_device": lambda self, device, stream=None: self.to(device),
}
