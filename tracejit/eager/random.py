"""Random tensors. Draws in eager calls and in scripts take their numbers from one count under one key (`STATE`), which
`manual_seed` restarts; permutations and initial values from a NumPy generator that it restarts too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tracejit.devices import Device, as_device, to_device
from tracejit.eager.apply import TENSORS
from tracejit.eager.arguments import as_tensor
from tracejit.eager.creation import DeviceLike, finished, sizes
from tracejit.eager.dtypes import as_dtype, float32, int64
from tracejit.eager.elementwise import as_operand
from tracejit.eager.inplace import store
from tracejit.eager.tensor import Tensor, raw, wrap
from tracejit.eager.traceable import traceable
from tracejit.ir.builder import EagerBuilder
from tracejit.ir.types import BY_NUMPY_NAME, DType
from tracejit.locks import Lock
from tracejit.ops.random import FILLS, Fill, drawing_dtype, drawn_places, filled, limit_of

_lock = Lock()
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
    restore(state)
    try:
        yield
    finally:
        restore(outer)


def restore(state: tuple[Any, Any]) -> None:
    """Let the next random numbers be made of what `random_state` gave."""
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
def rand(
    *shape: Any, size: Any = None, dtype: Any = float32, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Uniform numbers from [0, 1)."""
    return _placed(_uniform(sizes(shape, size), dtype), dtype, device, requires_grad)


@traceable
def randn(
    *shape: Any, size: Any = None, dtype: Any = float32, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """Numbers of the standard normal distribution."""
    return _placed(_normal(sizes(shape, size), dtype), dtype, device, requires_grad)


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


@traceable
def randint_like(
    x: Tensor, low: int, high: int | None = None, *, dtype: Any = None, device: DeviceLike = None
) -> Tensor:
    """Integers from low up to but not including high, of the shape, dtype and device of x: `randint_like(x, high)`
    starts from 0."""
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, x.shape, dtype=dtype or x.dtype, device=device or x.device)


@traceable
def multinomial(p: Any, num_samples: int, replacement: bool = False) -> Tensor:
    """`num_samples` places along the last axis of p, a vector or matrix of weights that are not negative, drawn with
    probabilities in proportion to them: again and again with `replacement`, else each at most once.

    ValueError where weights are negative, infinite or nan, or fewer places can be drawn than are asked for."""
    p = as_tensor(p)
    weights = np.asarray(raw(p.to("cpu")))  # type: ignore[attr-defined]
    if weights.ndim not in (1, 2) or weights.dtype.kind == "c":
        raise ValueError(f"multinomial takes a vector or matrix of weights, not {weights.ndim}-d {weights.dtype}")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError("multinomial: weights are finite and not negative")
    most = weights.shape[-1] if replacement else (weights > 0).sum(-1, initial=0).min(initial=weights.shape[-1])
    if num_samples < 1 or (num_samples > most and not replacement) or (weights <= 0).all(-1).any():
        raise ValueError(f"multinomial: {num_samples} places cannot be drawn")
    shape = (*weights.shape[:-1], num_samples) if replacement else weights.shape
    drawn = _uniform(shape, np.float64 if weights.dtype == np.float64 else float32)
    places = drawn_places(_NUMPY, np.asarray(weights), drawn, num_samples, replacement)
    return wrap(to_device(np.ascontiguousarray(places), p.device))


# -- methods ----------------------------------------------------------------------------------------------------


def _filling(name: str, fill: Fill) -> Callable[..., Tensor]:
    names = list(fill.defaults)

    def method(self: Tensor, *args: Any, **named: Any) -> Tensor:
        unknown = [k for k in named if k not in names[len(args) :]]
        if len(args) > len(names) or unknown:
            raise TypeError(f"{name}() takes {', '.join(names)}")
        given = {**fill.defaults, **dict(zip(names, args, strict=False)), **named}
        drawn = wrap(to_device((_normal if fill.is_normal else _uniform)(self.shape, self.dtype), self.device))
        return store(self, filled(TENSORS, fill, drawn, *map(as_operand, given.values())))

    method.__name__ = name
    method.__doc__ = f"Fill the tensor with random numbers, given {', '.join(names)}."
    return method


def random_(self: Tensor, low: int = 0, high: int | None = None) -> Tensor:
    """Fill the tensor with integers from low up to but not including high: by default all that the dtype has from 0 on
    (of floats, those below which every integer is one of its numbers). `random_(high)` starts from 0."""
    if high is None:
        low, high = (0, low) if low else (0, limit_of(BY_NUMPY_NAME[self.dtype.name]))
    return store(self, randint(low, high, self.shape, dtype=self.dtype, device=self.device))


def _bernoulli_method(self: Tensor, p: float | None = None) -> Tensor:
    """1 with the probability that each element is (or with p), else 0; of the tensor's shape and dtype."""
    if p is None:
        return bernoulli(self)
    return wrap(np.empty_like(self._data)).bernoulli_(p)  # type: ignore[attr-defined]


METHODS: dict[str, Any] = {
    **{name: _filling(name, fill) for name, fill in FILLS.items()},
    "random_": random_,
    "bernoulli": _bernoulli_method,
    "multinomial": multinomial,
}
