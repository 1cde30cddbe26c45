"""Samples to batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import tracejit as tj


def default_collate(samples: Sequence[Any]) -> Any:
    """Samples of one structure as one batch: tensors and arrays are stacked along a new first axis, numbers become a
    tensor, strings a list; tuples, NamedTuples, lists and dicts are collated item by item."""
    first = samples[0]
    if isinstance(first, tj.Tensor):
        return tj.stack(list(samples))
    if isinstance(first, np.ndarray):
        return tj.asarray(np.stack(samples))
    if isinstance(first, np.generic):
        return tj.asarray(np.array(samples))
    if isinstance(first, bool | int | float | complex):
        return tj.tensor(list(samples))
    if isinstance(first, str | bytes):
        return list(samples)
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, tuple | list):
        if any(len(sample) != len(first) for sample in samples):
            raise ValueError("samples of one batch have the same number of items")
        columns = [default_collate(column) for column in zip(*samples, strict=True)]
        if hasattr(first, "_fields"):
            return type(first)(*columns)
        return tuple(columns) if isinstance(first, tuple) else columns
    raise TypeError(f"samples of type {type(first).__name__} cannot be made a batch: give collate_fn")
