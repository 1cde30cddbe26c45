"""Random tensors. Draws in eager calls and in scripts take their numbers from one count under one key (`STATE`), which
`manual_seed` restarts; permutations and initial values from a NumPy generator that it restarts too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tracejit.devices import Device, as_device, to_device
from tracejit.eager.creation import DeviceLike, finished, sizes
from tracejit.eager.dtypes import as_dtype, float32, int64
from tracejit.eager.tensor import Tensor, raw, wrap
from tracejit.eager.traceable import traceable
from tracejit.ir.builder import EagerBuilder
from tracejit.ir.types import BY_NUMPY_NAME, DType
from tracejit.ops.random import drawing_dtype

_lock = threading.Lock()
_generator = np.random.default_rng()
_NUMPY = EagerBuilder(np)

#: The key of the numbers and how many have been taken. Scripts that draw have it as a hidden input.
STATE = np.zeros(2, np.uint64)


@traceable
def manual_seed(seed: int) -> None:
    """Restart all random numbers: equal seeds give equal numbers, in eager calls as in scripts."""
    global _generator
    with _lock:
        _generator = np.random.default_rng(seed)
        STATE[0], STATE[1] = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0], 0


manual_seed(int(_generator.integers(1 << 62)))


def generator() -> np.random.Generator:
    """The NumPy generator of this process."""
    return _generator


def random_state() -> tuple[Any, Any]:
    """What the next random numbers are made of."""
    with _lock:
        return STATE.copy(), _generator.bit_generator.state


@contextmanager
def drawing_from(state: tuple[Any, Any]) -> Iterator[None]:
    """Draw the numbers again that followed a state; afterwards go on as if nothing had been drawn."""
    outer = random_state()
    _restore(state)
    try:
        yield
    finally:
        _restore(outer)


def _restore(state: tuple[Any, Any]) -> None:
    with _lock:
        STATE[:], _generator.bit_generator.state = state


def _take(shape: tuple[int, ...], numbers: int) -> tuple[Any, Any, Any]:
    """The key, the first number and the number of elements of a draw, each element of which takes `numbers`."""
    count = np.uint64(np.prod(shape, dtype=np.int64))
    with _lock, np.errstate(over="ignore"):
        key, start = STATE
        STATE[1] = start + np.uint64(numbers) * count
    return key, start, count


def _placed(array: Any, dtype: Any, device: DeviceLike, requires_grad: bool) -> Tensor:
    array = np.asarray(array).astype(as_dtype(dtype), copy=False)
    return finished(to_device(array, as_device(device)), requires_grad)


def _drawing_dtype(dtype: Any) -> DType:
    return drawing_dtype(BY_NUMPY_NAME[as_dtype(dtype).name])


def _uniform(shape: tuple[int, ...], dtype: Any) -> Any:
    key, start, _ = _take(shape, 1)
    return _NUMPY.random_uniform(key, start, shape, _drawing_dtype(dtype))


def _normal(shape: tuple[int, ...], dtype: Any) -> Any:
    key, start, count = _take(shape, 2)
    with np.errstate(over="ignore"):
        return _NUMPY.random_normal(key, start, shape, _drawing_dtype(dtype), count)


@traceable
def rand(*shape: Any, dtype: Any = float32, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Uniform numbers from [0, 1)."""
    return _placed(_uniform(sizes(shape), dtype), dtype, device, requires_grad)


@traceable
def randn(*shape: Any, dtype: Any = float32, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Numbers of the standard normal distribution."""
    return _placed(_normal(sizes(shape), dtype), dtype, device, requires_grad)


@traceable
def rand_like(x: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Uniform numbers of the shape, dtype and device of x."""
    return rand(x.shape, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad)


@traceable
def randn_like(x: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Standard normal numbers of the shape, dtype and device of x."""
    return randn(x.shape, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad)


@traceable
def randint(low: int, high: Any = None, size: Any = None, *, dtype: Any = int64, device: DeviceLike = None) -> Tensor:
    """Integers from low up to but not including high, of shape `size`: `randint(high, size)` starts from 0."""
    if high is None or isinstance(high, tuple | list):
        low, high, size = 0, low, high if size is None else size
    shape = () if size is None else sizes(size if isinstance(size, tuple | list) else (size,))
    if int(low) >= int(high):
        raise ValueError("low >= high")
    key, start, _ = _take(shape, 1)
    return _placed(_NUMPY.random_integers(key, start, shape, int(low), int(high)), dtype, device, False)


@traceable
def randperm(n: int, *, dtype: Any = int64, device: DeviceLike = None) -> Tensor:
    """The integers below n in random order."""
    return _placed(_generator.permutation(n), dtype, device, False)


@traceable
def normal(
    mean: float = 0.0, std: float = 1.0, size: Any = (), *, dtype: Any = float32, device: Device | None = None
) -> Tensor:
    """Numbers of a normal distribution."""
    drawn = _normal(sizes((size,)), dtype)
    return _placed(drawn * drawn.dtype.type(std) + drawn.dtype.type(mean), dtype, device, False)


@traceable
def bernoulli(p: Any, size: Any = None) -> Tensor:
    """1 with probability p, else 0. A tensor of probabilities gives its own shape and dtype; a number needs `size`."""
    probabilities = np.asarray(raw(p) if not isinstance(p, float | int) else np.float32(p))
    if ((probabilities < 0) | (probabilities > 1)).any():
        raise ValueError("probabilities lie between 0 and 1")
    shape = probabilities.shape if size is None else sizes(size if isinstance(size, tuple | list) else (size,))
    return wrap((_uniform(shape, probabilities.dtype) < probabilities).astype(probabilities.dtype))
