"""Random tensors from one generator, which `manual_seed` restarts."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from tracejit.device import Device, as_device, to_device
from tracejit.eager.creation import DeviceLike, finished, sizes
from tracejit.eager.dtypes import as_dtype, float32, float64, int64
from tracejit.eager.tensor import Tensor, raw, wrap

_lock = threading.Lock()
_generator = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Restart the generator: equal seeds give equal numbers."""
    global _generator
    with _lock:
        _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The generator of this process."""
    return _generator


def _placed(array: Any, dtype: Any, device: DeviceLike, requires_grad: bool) -> Tensor:
    array = np.asarray(array).astype(as_dtype(dtype), copy=False)
    return finished(to_device(array, as_device(device)), requires_grad)


def _drawing_dtype(dtype: Any) -> Any:
    """The dtype the generator draws in: float64 for float64 and complex, float32 for all smaller ones."""
    return float64 if as_dtype(dtype) == float64 else float32


def rand(*shape: Any, dtype: Any = float32, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Uniform numbers from [0, 1)."""
    return _placed(_generator.random(sizes(shape), _drawing_dtype(dtype)), dtype, device, requires_grad)


def randn(*shape: Any, dtype: Any = float32, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Numbers of the standard normal distribution."""
    return _placed(_generator.standard_normal(sizes(shape), _drawing_dtype(dtype)), dtype, device, requires_grad)


def rand_like(x: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Uniform numbers of the shape, dtype and device of x."""
    return rand(x.shape, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad)


def randn_like(x: Tensor, dtype: Any = None, device: DeviceLike = None, requires_grad: bool = False) -> Tensor:
    """Standard normal numbers of the shape, dtype and device of x."""
    return randn(x.shape, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad)


def randint(low: int, high: Any = None, size: Any = None, *, dtype: Any = int64, device: DeviceLike = None) -> Tensor:
    """Integers from low up to but not including high, of shape `size`: `randint(high, size)` starts from 0."""
    if high is None or isinstance(high, tuple | list):
        low, high, size = 0, low, high if size is None else size
    shape = () if size is None else sizes(size if isinstance(size, tuple | list) else (size,))
    return _placed(_generator.integers(int(low), int(high), shape), dtype, device, False)


def randperm(n: int, *, dtype: Any = int64, device: DeviceLike = None) -> Tensor:
    """The integers below n in random order."""
    return _placed(_generator.permutation(n), dtype, device, False)


def normal(
    mean: float = 0.0, std: float = 1.0, size: Any = (), *, dtype: Any = float32, device: Device | None = None
) -> Tensor:
    """Numbers of a normal distribution."""
    drawn = _generator.standard_normal(sizes((size,)), _drawing_dtype(dtype))
    return _placed(drawn * drawn.dtype.type(std) + drawn.dtype.type(mean), dtype, device, False)


def bernoulli(p: Any, size: Any = None) -> Tensor:
    """1 with probability p, else 0. A tensor of probabilities gives its own shape and dtype; a number needs `size`."""
    probabilities = np.asarray(raw(p) if not isinstance(p, float | int) else np.float32(p))
    if ((probabilities < 0) | (probabilities > 1)).any():
        raise ValueError("probabilities lie between 0 and 1")
    shape = probabilities.shape if size is None else sizes(size if isinstance(size, tuple | list) else (size,))
    return wrap((_generator.random(shape) < probabilities).astype(probabilities.dtype))
