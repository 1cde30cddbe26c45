"""Tensors among other array libraries: NumPy's protocols, DLPack, the CUDA array interface, the Array API.

A NumPy function that has a counterpart here runs as that counterpart and is recorded. Others run on the values alone,
and are refused where that would lose a gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from tracejit import pytree
from tracejit.devices import array_module
from tracejit.eager import creation, selection, shapes
from tracejit.eager.inplace import store_result
from tracejit.eager.library import functions
from tracejit.eager.tape import is_recording
from tracejit.eager.tensor import Tensor, raw, wrap
from tracejit.eager.traceable import traceable
from tracejit.eager.writes import note_write
from tracejit.ir.opdef import REGISTRY
from tracejit.ops.functions import FUNCTIONS
from tracejit.signatures import signature_of


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
    out: tuple[Any, ...] = kwargs.pop("out", ())
    if target is not None and (not out or _varies((*inputs, *out))):
        if method == "__call__" and kwargs.get("dtype") is None and not (set(kwargs) - {"dtype"}):
            return _into(out, target(*inputs), stretched=True)
        if method == "reduce" and _REDUCTIONS.get(ufunc) and not kwargs.get("where"):
            operand, *rest = inputs
            axis = kwargs.get("axis", rest[0] if rest else 0)
            reduced = functions()[_REDUCTIONS[ufunc]](operand, axis=axis, keepdims=kwargs.get("keepdims", False))
            return _into(out, reduced)
    if method == "at":
        return _writing(ufunc.at, inputs, kwargs, f"{ufunc.__name__}.at")
    return _on_values(getattr(ufunc, method), inputs, kwargs | ({"out": out} if out else {}), ufunc.__name__)


_REDUCTIONS = {np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min"}


def _into(out: tuple[Any, ...], result: Any, stretched: bool = False) -> Any:
    """The result, stored where `out=` says."""
    if not out:
        return result
    (target,) = out
    if not isinstance(target, Tensor):
        raise TypeError("a result that requires gradients cannot be written to an ndarray; detach() the operands")
    return store_result(target, result, stretched)


def array_function(self: Tensor, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """NumPy's other functions on tensors."""
    target = counterparts().get(func)
    args, kwargs = _out_by_name(func, args, kwargs)
    out = kwargs.get("out")
    is_recorded = out is None or _varies(pytree.flatten((tuple(args), dict(kwargs)))[0])
    if target is not None and is_recorded and "where" not in kwargs:
        result = target(*args, **{k: v for k, v in kwargs.items() if k != "out"})
        return _into(() if out is None else (out,), result)
    if func in _WRITING:
        return _writing(func, args, kwargs, func.__name__)
    return _on_values(func, args, kwargs, func.__name__)


@functools.cache
def _names_after_axis(func: Any) -> tuple[int, tuple[str, ...]]:
    """Where NumPy's function takes `dtype` or `out` by position, and the names of the arguments from there on."""
    try:
        found = signature_of(func).parameters.values()
    except ValueError:
        found = ()
    names = tuple(p.name for p in found if p.kind is p.POSITIONAL_OR_KEYWORD)
    first = next((i for i, name in enumerate(names) if name in ("dtype", "out")), len(names))
    return first, names[first:] if "out" in names else ()


def _out_by_name(func: Any, args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """The arguments with those by name which the functions here take in another order, or not at all."""
    if len(args) < 3:
        return args, kwargs
    first, names = _names_after_axis(func)
    named = zip(names, args[first:], strict=False)
    return args[: first if names else None], {name: value for name, value in named if value is not None} | kwargs


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


def _varies(leaves: Sequence[Any]) -> bool:
    """Whether a derivative may go through one of the arguments, or what one of them is a view of."""
    return is_recording(leaves) or is_recording([x._root for x in leaves if isinstance(x, Tensor)])


def _on_values(func: Any, args: Any, kwargs: Any, name: str) -> Any:
    """The NumPy function on the arrays, what it writes to `out` counted as a write; refused where a result would
    silently leave the tape."""
    leaves, structure = pytree.flatten((tuple(args), dict(kwargs)))
    varying = _varies(leaves)
    out = kwargs.get("out")
    if varying and out is not None:
        raise TypeError(f"what numpy.{name} writes to out= is not recorded: assign its result, or detach() first")
    plain_args, plain_kwargs = structure.unflatten([raw(x) for x in leaves])
    result = func(*plain_args, **plain_kwargs)
    if out is not None:
        targets = out if isinstance(out, tuple) else (out,)
        for target in targets:
            if isinstance(target, Tensor):
                note_write(target, target._data)
        return targets[0] if len(targets) == 1 else targets
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
