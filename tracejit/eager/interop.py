"""Tensors among other array libraries: NumPy's protocols, DLPack, the CUDA array interface, the Array API.

A NumPy function that has a counterpart here runs as that counterpart and is recorded. Others run on the values alone,
and are refused where that would lose a gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from tracejit import pytree
from tracejit.devices import array_module
from tracejit.eager import creation, selection, shapes
from tracejit.eager.library import functions
from tracejit.eager.modes import MODE
from tracejit.eager.tensor import Tensor, raw, wrap
from tracejit.eager.traceable import traceable
from tracejit.eager.writes import note_write
from tracejit.ir.opdef import REGISTRY
from tracejit.ops.functions import FUNCTIONS


@functools.cache
def counterparts() -> dict[Any, Callable[..., Any]]:
    """NumPy function -> the function here that does the same."""
    found: dict[Any, Callable[..., Any]] = {}
    public = functions()
    by_name = {defn.name: defn.names for defn in REGISTRY} | {d.name: d.names for d in FUNCTIONS.values()}
    for own, spellings in by_name.items():
        made = public.get(own) or next((public[n] for n in _names(spellings, "function") if n in public), None)
        for name in _names(spellings, "numpy"):
            target = _numpy_function(name)
            if made is not None and target is not None:
                found[target] = made
    for room in (shapes, selection):
        found.update({getattr(np, name): room.FUNCTIONS[name] for name in room.NUMPY_NAMES})
    for name in ("zeros_like", "ones_like", "empty_like", "full_like"):
        found[getattr(np, name)] = getattr(creation, name)
    return found


def _names(spellings: tuple[str, ...], kind: str) -> list[str]:
    return [s.removeprefix(f"{kind} ") for s in spellings if s.startswith(f"{kind} ")]


def _numpy_function(path: str) -> Any:
    found: Any = np
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def array_protocol(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
    """`numpy.asarray(x)`: the values, sharing memory where the dtype allows."""
    values = self.numpy()
    return np.array(values, dtype=dtype, copy=copy)


def array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """NumPy's ufuncs on tensors."""
    target = counterparts().get(ufunc)
    out: Any = kwargs.pop("out", None)
    if method == "__call__" and target is not None and not (set(kwargs) - {"dtype"}) and kwargs.get("dtype") is None:
        result = target(*inputs)
        return result if out is None else _into(out[0], result)
    if method == "reduce" and target is not None and _REDUCTIONS.get(ufunc) and not kwargs.get("where"):
        operand, *rest = inputs
        axis = kwargs.get("axis", rest[0] if rest else 0)
        reduced = functions()[_REDUCTIONS[ufunc]](operand, axis=axis, keepdims=kwargs.get("keepdims", False))
        return reduced if out is None else _into(out[0], reduced)
    if out is not None:
        kwargs["out"] = tuple(raw(o) for o in out)
    if method == "at":
        return _writing(ufunc.at, inputs, kwargs, f"{ufunc.__name__}.at")
    result = _on_values(getattr(ufunc, method), inputs, kwargs, ufunc.__name__)
    for target in out or ():
        if isinstance(target, Tensor):
            note_write(target, target._data)
    return out[0] if out is not None and len(out) == 1 else result


_REDUCTIONS = {np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min"}


def _into(out: Any, result: Any) -> Any:
    """Store a result where `out=` says."""
    if isinstance(out, Tensor):
        return out.copy_(result)  # type: ignore[attr-defined]
    if MODE.enabled and result._requires_grad:
        raise TypeError("a result that requires gradients cannot be written to an ndarray; detach() the operands")
    out[...] = result._data
    return out


def array_function(self: Tensor, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """NumPy's other functions on tensors."""
    target = counterparts().get(func)
    if target is not None and "out" not in kwargs and "where" not in kwargs:
        return target(*args, **kwargs)
    if func in _WRITING:
        return _writing(func, args, kwargs, func.__name__)
    return _on_values(func, args, kwargs, func.__name__)


#: NumPy's functions that write their first argument.
_WRITING = (np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis)


def _writing(func: Any, args: Any, kwargs: Any, name: str) -> Any:
    """A NumPy function that writes its first argument, counted as a write; refused where it would be recorded."""
    leaves, _ = pytree.flatten((tuple(args), dict(kwargs)))
    if _varies(leaves):
        raise TypeError(f"what numpy.{name} writes is not recorded: assign to x[...], or use a method of the tensor")
    result = _on_values(func, args, kwargs, name)
    target = args[0] if args else next(kwargs[name] for name in ("dst", "a", "arr") if name in kwargs)
    if isinstance(target, Tensor):
        note_write(target, target._data)
    return result


def _varies(leaves: list[Any]) -> bool:
    """Whether a derivative may go through one of the arguments."""
    return MODE.enabled and any(isinstance(x, Tensor) and x._requires_grad for x in leaves)


def _on_values(func: Any, args: Any, kwargs: Any, name: str) -> Any:
    """The NumPy function on the arrays; refused where a result would silently leave the tape."""
    leaves, structure = pytree.flatten((tuple(args), dict(kwargs)))
    varying = _varies(leaves)
    plain_args, plain_kwargs = structure.unflatten([raw(x) for x in leaves])
    result = func(*plain_args, **plain_kwargs)
    found, shape = pytree.flatten(result)
    if varying and any(isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fc" for x in found):
        raise TypeError(f"numpy.{name} has no recorded counterpart: its result would lose the gradient; detach() first")
    return shape.unflatten([wrap(x) if isinstance(x, np.ndarray) and x.dtype.kind in "biufc" else x for x in found])


def dlpack(self: Tensor, **options: Any) -> Any:
    """The DLPack capsule of the values."""
    return self._data.__dlpack__(**options)


def dlpack_device(self: Tensor) -> tuple[int, int]:
    """DLPack's device type and number."""
    return self._data.__dlpack_device__()


@traceable
def from_dlpack(x: Any, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor that shares the memory of any object with `__dlpack__`."""
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"{type(x).__name__} has no __dlpack__")
    on_gpu = int(x.__dlpack_device__()[0]) == 2
    shared = wrap(array_module("cuda" if on_gpu else "cpu").from_dlpack(x))
    moved = shared if device is None else shared.to(device)
    return moved.clone() if copy and moved is shared else moved  # type: ignore[attr-defined]


def cuda_array_interface(self: Tensor) -> dict[str, Any]:
    """The CUDA array interface of a tensor on a GPU."""
    if isinstance(self._data, np.ndarray):
        raise AttributeError("a tensor on the CPU has no __cuda_array_interface__")
    return self._data.__cuda_array_interface__


def array_namespace(self: Tensor, api_version: str | None = None) -> ModuleType:
    """The module with the Array API's functions."""
    import tracejit

    return tracejit


METHODS: dict[str, Any] = {
    "__array__": array_protocol,
    "__array_ufunc__": array_ufunc,
    "__array_function__": array_function,
    "__dlpack__": dlpack,
    "__dlpack_device__": dlpack_device,
    "__cuda_array_interface__": property(cuda_array_interface),
    "__array_namespace__": array_namespace,
}
