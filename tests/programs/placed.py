"""Arguments of random programs on a GPU, and what came of them as NumPy has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracejit.devices import cupy


def on_gpu(arguments: Sequence[Any]) -> list[Any]:
    """The arguments with arrays on the GPU: of the same layout, and one array where they are one array."""
    made: dict[int, Any] = {}
    return [made.setdefault(id(x), _placed(x)) if isinstance(x, np.ndarray) else x for x in arguments]


def _placed(x: np.ndarray[Any, Any]) -> Any:
    stretch = x.strides[-1] // x.itemsize if x.size else 1
    base = cupy().zeros((*x.shape[:-1], x.shape[-1] * stretch), x.dtype)[..., ::stretch]
    base[...] = cupy().asarray(x)
    return base


def host(x: Any) -> Any:
    """A value with arrays of the GPU as ndarrays."""
    if isinstance(x, tuple | list):
        return type(x)(map(host, x))
    return x.get() if hasattr(x, "get") and hasattr(x, "__cuda_array_interface__") else x
