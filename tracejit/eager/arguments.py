"""Arguments of the Python-level functions: axes under both spellings, shapes, operands."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracejit.eager.elementwise import as_operand
from tracejit.eager.tensor import Tensor, wrap

#: PyTorch's keyword -> the one used here.
KEYWORDS = {
    "dim": "axis",
    "keepdim": "keepdims",
    "dims": "axis",
    "input": "x",
    "a": "x",
    "end": "stop",
    "size": "shape",
    "sizes": "shape",
    "split_size": "split_size_or_sections",
    "steps": "num",
    "diagonal": "k",
}


def spelled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function take PyTorch's keywords too (`dim` for `axis`, `keepdim`, `input`)."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = {KEYWORDS.get(key, key): value for key, value in kwargs.items()}
        return function(*args, **kwargs)

    return call


def as_tensor(x: Any) -> Tensor:
    """An operand as a tensor."""
    x = as_operand(x)
    if isinstance(x, Tensor):
        return x
    if x is None:
        raise TypeError("None is not a tensor")
    return wrap(np.asarray(x))


def axis_of(axis: Any, rank: int) -> int:
    """One axis counted from the front; IndexError (NumPy's AxisError is one too) where there is none."""
    found = operator.index(axis)
    if not -rank <= found < rank:
        raise np.exceptions.AxisError(found, rank)
    return found % rank if rank else 0


def axes_of(axis: Any, rank: int) -> tuple[int, ...]:
    """Sorted axes: None is all, an int is one."""
    if axis is None:
        return tuple(range(rank))
    if not isinstance(axis, tuple | list):
        return (axis_of(axis, rank),)
    found = sorted(axis_of(a, rank) for a in axis)
    if len(set(found)) != len(found):
        raise ValueError(f"an axis is named twice in {tuple(axis)}")
    return tuple(found)


def sizes_of(shape: Sequence[Any], count: int) -> tuple[int, ...]:
    """A shape given as separate sizes or one tuple, in which one -1 stands for what is left of `count` elements."""
    if len(shape) == 1 and not hasattr(shape[0], "__index__"):
        shape = tuple(shape[0])
    sizes = [operator.index(n) for n in shape]
    if sizes.count(-1) > 1 or any(n < -1 for n in sizes):
        raise ValueError(f"at most one size may be -1, and none smaller: {tuple(sizes)}")
    if -1 in sizes:
        known = 1
        for n in sizes:
            known *= n if n != -1 else 1
        if known == 0 or count % known:
            raise ValueError(f"cannot reshape {count} elements into shape {tuple(sizes)}")
        sizes[sizes.index(-1)] = count // known
    return tuple(sizes)
