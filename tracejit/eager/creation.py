"""Making tensors: from data, filled, ranges.

Python floats become float32 and ints int64; arrays and NumPy scalars keep their dtype. Filled tensors are float32
unless the fill value or `dtype` says otherwise.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tracejit.devices import Device, array_module, as_device, device_of, is_array, to_device
from tracejit.eager.arguments import spelled
from tracejit.eager.dtypes import as_dtype, complex64, float32, int64
from tracejit.eager.dtypes import bool as bool_
from tracejit.eager.tensor import Tensor, ir_dtype, wrap
from tracejit.eager.traceable import traceable

DeviceLike = str | Device | None


def array_of(data: Any, dtype: Any = None, device: DeviceLike = None) -> Any:
    """A new array holding the data: see `tensor`."""
    if isinstance(data, Tensor):
        data = data._data
    if is_array(data) or isinstance(data, np.generic):
        found = data
    elif hasattr(data, "__cuda_array_interface__"):
        found = array_module("cuda").asarray(data)
    else:
        found = _from_python(data, dtype)
    target = native(found.dtype) if dtype is None else as_dtype(dtype)
    ir_dtype(target)
    if target.kind in "iu" and isinstance(data, int | float | list | tuple) and not isinstance(data, np.generic):
        found = np.array(_without_tensors(data), dtype=target)  # numbers of Python must fit
    made = np.array(found, dtype=target) if isinstance(found, np.generic) else found.astype(target)
    return made if device is None else to_device(made, as_device(device))


def data_or_sizes(name: str, given: tuple[Any, ...], dtype: Any = None, device: DeviceLike = None) -> Any:
    """A new array of a dtype (else float32): of the data, or of unspecified values in a shape given as integers."""
    target = float32 if dtype is None else dtype
    if all(isinstance(n, int | np.integer) for n in given):
        return array_module(device).empty(given or (0,), dtype=as_dtype(target))
    if len(given) != 1:
        raise TypeError(f"{name} takes data, or sizes")
    return array_of(given[0], target, device)


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in the machine's byte order."""
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def _from_python(data: Any, dtype: Any) -> np.ndarray[Any, Any]:
    """An array of numbers, nested lists of them, or an object that converts itself."""
    if isinstance(data, list | tuple):
        data = _without_tensors(data)
    array = np.array(data)
    if array.dtype == object and _holds_big_ints(data):
        raise OverflowError("Python int too large to convert to 64 bits")
    if array.dtype.kind not in "biufcV":
        raise TypeError(f"a tensor cannot be made from {type(data).__name__} (its elements would be {array.dtype})")
    if dtype is not None or _typed(data):
        return array
    if array.dtype == np.uint64:
        raise OverflowError("Python int too large to convert to int64; give dtype=tj.uint64")
    return array.astype({"f": float32, "c": complex64, "i": int64, "b": bool_}.get(array.dtype.kind, array.dtype))


def _without_tensors(data: Any) -> Any:
    """Nested lists with tensors replaced by their arrays."""
    if isinstance(data, Tensor):
        return data.numpy()
    return [_without_tensors(item) for item in data] if isinstance(data, list | tuple) else data


def _leaves(data: Any) -> Iterator[Any]:
    if isinstance(data, list | tuple):
        for item in data:
            yield from _leaves(item)
    else:
        yield data


def _typed(data: Any) -> bool:
    """Whether the data carries a dtype of its own."""
    return any(hasattr(leaf, "dtype") or hasattr(leaf, "__array__") for leaf in _leaves(data))


def _holds_big_ints(data: Any) -> bool:
    return all(isinstance(leaf, int | float) for leaf in _leaves(data))


def finished(array: Any, requires_grad: bool) -> Tensor:
    """A new leaf around the array."""
    made = wrap(array)
    return made.requires_grad_() if requires_grad else made


def with_history(made: Tensor, value: Any) -> Tensor:
    """What has been filled with a value, and follows it where that is recorded."""
    follows = isinstance(value, Tensor) and value._requires_grad and not made._requires_grad
    return made.copy_(value) if follows else made  # type: ignore[attr-defined]


def _along(made: Tensor, *shares: tuple[Any, Any]) -> Tensor:
    """Numbers that were computed as sums of bounds times shares, and follow the bounds that are recorded."""
    for bound, share in () if made._requires_grad else shares:
        if isinstance(bound, Tensor) and bound._requires_grad:
            made = made + (share * (bound - bound.detach())).astype(made.dtype)  # type: ignore[operator, attr-defined]
    return made


@traceable
def tensor(data: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """A new tensor holding a copy of the data: numbers, nested lists, arrays, tensors, whose history it leaves."""
    return finished(array_of(data, dtype, device), requires_grad)


@traceable
def asarray(data: Any, dtype: Any = None, device: DeviceLike = None, copy: bool | None = None) -> Tensor:
    """The data as a tensor; a tensor itself, or an array's memory, where dtype and device fit and no copy is asked for.
    `copy=False` refuses to copy (ValueError)."""
    target = None if dtype is None else as_dtype(dtype)
    source = data._data if isinstance(data, Tensor) else data
    fits = is_array(source) and target in (None, source.dtype) and source.dtype.isnative
    if fits and device is not None:
        fits = device_of(source) == as_device(device)
    if fits and not copy:
        return data if isinstance(data, Tensor) else _shared(source)
    if copy is False:
        raise ValueError("this data cannot become a tensor without a copy")
    if isinstance(data, Tensor):
        moved = data if device is None else data.to(device)
        return moved.astype(target) if target is not None else moved.clone()
    made = wrap(array_of(data, dtype, device))
    for place, item in _places(data):
        if isinstance(item, Tensor) and item._requires_grad:
            made[place] = item  # type: ignore[index]
    return made


def _places(data: Any, place: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Any]]:
    """The items of nested lists with their places."""
    if isinstance(data, list | tuple):
        for i, item in enumerate(data):
            yield from _places(item, (*place, i))
    else:
        yield place, data


def _shared(array: Any) -> Tensor:
    ir_dtype(array.dtype)
    return wrap(array)


@traceable
def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the array's memory."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy takes a numpy.ndarray, got {type(array).__name__}")
    if not array.dtype.isnative:
        raise ValueError("from_numpy takes arrays in the machine's byte order")
    return _shared(array.view(np.ndarray))


def sizes(shape: Sequence[Any], size: Any = None) -> tuple[int, ...]:
    """A shape given as separate sizes or as one tuple, or by the keyword `size`; negative sizes are refused."""
    if size is not None:
        shape = (size,)
    if len(shape) == 1 and not hasattr(shape[0], "__index__"):
        shape = tuple(shape[0])
    found = tuple([operator.index(n) for n in shape])
    if any(n < 0 for n in found):
        raise ValueError(f"negative sizes are not allowed: {found}")
    return found


def _filled(maker: str, shape: tuple[int, ...], dtype: Any, device: DeviceLike, requires_grad: bool) -> Tensor:
    xp = array_module(device)
    return finished(getattr(xp, maker)(shape, as_dtype(float32 if dtype is None else dtype)), requires_grad)


@traceable
def zeros(
    *shape: Any, size: Any = None, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Zeros, float32 by default. The shape is a tuple or separate sizes."""
    return _filled("zeros", sizes(shape, size), dtype, device, requires_grad)


@traceable
def ones(
    *shape: Any, size: Any = None, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Ones, float32 by default."""
    return _filled("ones", sizes(shape, size), dtype, device, requires_grad)


@traceable
def empty(
    *shape: Any, size: Any = None, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Unspecified values, float32 by default."""
    return _filled("empty", sizes(shape, size), dtype, device, requires_grad)


@traceable
@spelled
def full(
    shape: Any, fill_value: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of one value, whose dtype is that of `tensor(fill_value)` by default."""
    value = array_of(fill_value, dtype)
    shape = sizes((shape,)) if not hasattr(shape, "__index__") else (int(shape),)
    made = finished(array_module(device).full(shape, value, dtype=value.dtype), requires_grad)
    return with_history(made, fill_value)


@traceable
def eye(
    n: int,
    m: int | None = None,
    k: int = 0,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """An n by m matrix (m is n by default) of 0 with ones on the k-th diagonal: above the main one, or below where k is
    negative."""
    xp = array_module(device)
    return finished(xp.eye(n, m, k, dtype=as_dtype(float32 if dtype is None else dtype)), requires_grad)


@traceable
@spelled
def arange(
    start: Any,
    stop: Any = None,
    step: Any = 1,
    dtype: Any = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from start (0 when only `stop` is given) up to but not including stop; int64, or float32 for floats."""
    if stop is None:
        start, stop = 0, start
    bounds = [x.item() if hasattr(x, "item") else x for x in (start, stop, step)]
    if dtype is None:
        dtype = float32 if any(isinstance(x, float) for x in bounds) else int64
    count = max(math.ceil((bounds[1] - bounds[0]) / bounds[2]), 0) if bounds[2] else None
    if count is None:
        raise ValueError("arange: the step is zero")
    xp = array_module(device)
    if as_dtype(dtype).kind in "iu":
        return finished(xp.arange(*bounds, dtype=as_dtype(dtype)), requires_grad)
    steps = xp.arange(count)
    made = finished((bounds[0] + steps * bounds[2]).astype(as_dtype(dtype)), requires_grad)
    return _along(made, (start, 1), (step, steps))


@traceable
@spelled
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    dtype: Any = None,
    device: DeviceLike = None,
    endpoint: bool = True,
    requires_grad: bool = False,
) -> Tensor:
    """`num` evenly spaced numbers from start to stop, both included (`endpoint=False`: without stop)."""
    bounds = [x.item() if hasattr(x, "item") else x for x in (start, stop)]
    xp = array_module(device)
    line, share = (xp.linspace(*ends, operator.index(num), endpoint=endpoint) for ends in (bounds, (0, 1)))
    made = finished(line.astype(as_dtype(float32 if dtype is None else dtype)), requires_grad)
    return _along(made, (start, 1 - share), (stop, share))


def _like(maker: str, x: Any, dtype: Any, device: DeviceLike, requires_grad: bool, *value: Any) -> Tensor:
    array = x._data if isinstance(x, Tensor) else np.asarray(x)
    made = getattr(array_module(device or device_of(array)), maker)(
        array.shape, *value, dtype=array.dtype if dtype is None else as_dtype(dtype)
    )
    return finished(made, requires_grad)


@traceable
def zeros_like(x: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape, dtype and device of x."""
    return _like("zeros", x, dtype, device, requires_grad)


@traceable
def ones_like(x: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Ones of the shape, dtype and device of x."""
    return _like("ones", x, dtype, device, requires_grad)


@traceable
def empty_like(x: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Unspecified values of the shape, dtype and device of x."""
    return _like("empty", x, dtype, device, requires_grad)


@traceable
def full_like(
    x: Any, fill_value: Any, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of one value, of the shape, dtype and device of x."""
    value = fill_value._data if isinstance(fill_value, Tensor) else fill_value
    return with_history(_like("full", x, dtype, device, requires_grad, value), fill_value)
