"""Writes to a tensor's memory, recorded so that derivatives stay right.

A write first computes the new value out of place (recorded like any op), then stores it, counts the write, and hands
the value's history to the tensor, its root and the views (`alias.py`). Without recording it is NumPy's own update.
A leaf that requires gradients cannot be written while recording: its old value would have no gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.devices import module_of
from tracejit.eager.alias import past, write_history
from tracejit.eager.apply import TENSORS, is_inexact
from tracejit.eager.modes import MODE
from tracejit.eager.tape import attach, is_recording
from tracejit.eager.tensor import Tensor, ir_dtype, raw, wrap
from tracejit.eager.writes import note_write

#: What an error says of a leaf that is written while recording.
LEAF_WRITTEN = "a leaf tensor that requires gradients cannot be changed in place; do it inside tj.no_grad()"


def check_writable(target: Tensor) -> None:
    """Refuse a recorded write to a leaf that requires gradients, or to a view of one."""
    if not MODE.enabled:
        return
    root = target._root
    if target._requires_grad and target._grad_fn is None:
        raise RuntimeError(LEAF_WRITTEN)
    if root is not None and root._requires_grad and root._grad_fn is None:
        raise RuntimeError(
            "a view of a leaf tensor that requires gradients cannot be changed in place; do it inside tj.no_grad()"
        )


def snapshot(x: Tensor) -> Tensor:
    """The tensor as it is now: a copy of the values with the same history."""
    if x._requires_grad and x._grad_fn is None:
        return TENSORS.fresh(x)
    copied = wrap(x._data.copy())
    return attach(copied, x._grad_fn, x._port) if x._grad_fn is not None else copied


def _overlaps(x: Any, target: Tensor) -> bool:
    """Whether an operand's values change with the target's memory."""
    return isinstance(x, Tensor) and type(x._data) is type(target._data) and may_share_memory(x._data, target._data)


def may_share_memory(a: Any, b: Any) -> bool:
    """Whether the address ranges of two arrays overlap."""
    return bool(module_of(a).may_share_memory(a, b))


def fitted(value: Any, target: Tensor) -> Tensor:
    """A value as a recorded tensor of the target's dtype, shape and device, stretched as NumPy assigns."""
    xp = module_of(target._data)
    tensor = (
        value
        if isinstance(value, Tensor)
        else wrap(xp.asarray(value, dtype=None if hasattr(value, "dtype") else _weak(value, target)))
    )
    if tensor.dtype != target.dtype:
        tensor = TENSORS.cast(tensor, dtype=ir_dtype(target.dtype))
    if tensor.shape == target.shape:
        return tensor
    while tensor.ndim > target.ndim and tensor.shape[0] == 1:
        tensor = TENSORS.reshape(tensor, tensor.shape[1:])
    return TENSORS.broadcast(tensor, target.shape)


def _weak(value: Any, target: Tensor) -> Any:
    """Python numbers take the target's dtype where it can hold them."""
    return target.dtype if isinstance(value, bool | int | float) and is_inexact(target) else None


def store(target: Tensor, value: Any) -> Tensor:
    """`target[...] = value` for all of the target."""
    check_writable(target)
    if not is_recording((target, value, target._root)):
        target._data[...] = raw(value)
        note_write(target, target._data)
        return target
    new = fitted(value, target)
    if new._requires_grad and new._grad_fn is None:
        new = TENSORS.fresh(new)
    target._data[...] = new._data
    adopt(target, new)
    return target


def adopt(target: Tensor, value: Tensor) -> None:
    """Count a write that made the target's memory equal to `value`, and take over the history of `value` (which is no
    leaf): the target, its root and all views follow."""
    note_write(target, target._data)
    write_history(target, value)


def update(
    target: Tensor, compute: Any, ufunc: str | None, reads_target: bool, /, *operands: Any, **named: Any
) -> Tensor:
    """`target = compute(target, *operands, **named)`, in place. `ufunc` names the array function that does it
    unrecorded; `reads_target` says that the derivative needs the old value, which is then kept."""
    check_writable(target)
    if not is_recording((target, target._root, *operands, *named.values())):
        _update_unrecorded(target, compute, ufunc, operands, named)
        note_write(target, target._data)
        return target
    held = [snapshot(x) if _overlaps(x, target) else x for x in (*operands, *named.values())]
    old = snapshot(target) if reads_target else past(target)
    new = compute(old, *held[: len(operands)], **dict(zip(named, held[len(operands) :], strict=True)))
    check_result(target, new._data)
    return store(target, new)


def store_result(out: Tensor, result: Tensor, stretched: bool = True) -> Tensor:
    """`out[...] = result`, as `out=` of a function does: of the result's shape, or one that it stretches to with
    `stretched`, and of a dtype that holds it."""
    fits = np.broadcast_shapes(out.shape, result.shape) == out.shape if stretched else out.shape == result.shape
    if not fits:
        raise ValueError(f"out= has shape {out.shape}, the result {result.shape}")
    check_dtype(out, result.dtype)
    return store(out, result)


#: The kind of bfloat16, which ml_dtypes lets any number be cast to.
_OF_A_PACKAGE = "V"


def _update_unrecorded(
    target: Tensor, compute: Any, ufunc: str | None, operands: tuple[Any, ...], named: dict[str, Any]
) -> None:
    data = target._data
    if ufunc is not None and not named and data.dtype.kind != _OF_A_PACKAGE:
        with np.errstate(all="ignore"):
            getattr(module_of(data), ufunc)(data, *map(raw, operands), out=data, casting="same_kind")
        return
    new = compute(target, *operands, **named)._data
    check_result(target, new)
    data[...] = new


def check_result(target: Tensor, new: Any) -> None:
    """Refuse a result that the target cannot hold, with NumPy's kinds of error."""
    if new.shape != target.shape:
        raise ValueError(f"an in-place operation on shape {target.shape} gives shape {new.shape}")
    check_dtype(target, new.dtype)


def check_dtype(target: Tensor, dtype: np.dtype[Any]) -> None:
    """Refuse a result of a dtype that the target cannot hold."""
    loses_part = dtype.kind == "c" and target.dtype.kind == _OF_A_PACKAGE
    if loses_part or not np.can_cast(dtype, target.dtype, "same_kind"):
        raise TypeError(f"an in-place operation on {target.dtype} gives {dtype}, which it cannot hold")


def zero_(self: Tensor) -> Tensor:
    """Set every element to 0."""
    return store(self, 0)


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set every element to `value`."""
    return store(self, value)


def copy_(self: Tensor, source: Any) -> Tensor:
    """Take over the values of `source`, stretched and converted as an assignment does."""
    return store(self, source if isinstance(source, Tensor) else module_of(self._data).asarray(source))
