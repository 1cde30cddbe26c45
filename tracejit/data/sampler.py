"""Samplers: the places of a dataset in the order in which a `DataLoader` takes them, with PyTorch's names."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from tracejit.data.dataset import random_order
from tracejit.eager.random import generator


class Sampler:
    """An iterable of places; each iteration is one epoch. Subclasses define `__iter__` and, for the length of a
    loader, `__len__`."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__")


class SequentialSampler(Sampler):
    """All places in order."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """Places in random order: each once, or with replacement; `num_samples` of them (default: as many as there are)."""

    def __init__(self, data_source: Sized, replacement: bool = False, num_samples: int | None = None) -> None:
        if num_samples is not None and num_samples < 1:
            raise ValueError(f"num_samples is at least 1, got {num_samples}")
        self.data_source = data_source
        self.replacement = replacement
        self.num_samples = num_samples

    def __iter__(self) -> Iterator[int]:
        total, count = len(self.data_source), len(self)
        if self.replacement:
            return iter(generator().integers(total, size=count).tolist())
        orders = (place for _ in range(-(-count // total) if total else 0) for place in random_order(total, None))
        return itertools.islice(orders, count)

    def __len__(self) -> int:
        return len(self.data_source) if self.num_samples is None else self.num_samples


class SubsetRandomSampler(Sampler):
    """These places, in random order."""

    def __init__(self, indices: Sequence[int]) -> None:
        self.indices = indices

    def __iter__(self) -> Iterator[int]:
        return (self.indices[k] for k in random_order(len(self.indices), None))

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """`num_samples` places, each as likely as its weight; without replacement each at most once."""

    def __init__(self, weights: Iterable[float], num_samples: int, replacement: bool = True) -> None:
        found = np.asarray([float(w) for w in weights])
        if found.size == 0 or not np.all(found >= 0) or not 0 < found.sum() < np.inf:
            raise ValueError("weights are finite numbers from 0 up, not all 0")
        if num_samples < 1 or (not replacement and num_samples > np.count_nonzero(found)):
            raise ValueError(f"num_samples {num_samples} is below 1, or above the number of places that can be drawn")
        self.weights = found
        self.num_samples = num_samples
        self.replacement = replacement

    def __iter__(self) -> Iterator[int]:
        shares = self.weights / self.weights.sum()
        drawn = generator().choice(len(shares), self.num_samples, replace=self.replacement, p=shares)
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


def grouped(items: Iterable[Any], size: int, drop_last: bool) -> Iterator[list[Any]]:
    """Items as lists of `size`; the last may be shorter, or is left out."""
    rest = iter(items)
    while group := list(itertools.islice(rest, size)):
        if len(group) == size or not drop_last:
            yield group


def count_of_groups(count: int, size: int, drop_last: bool) -> int:
    """How many lists `grouped` makes of so many items."""
    return count // size if drop_last else -(-count // size)


class BatchSampler(Sampler):
    """The places of another sampler as lists of `batch_size`; the last may be shorter, or is left out."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is at least 1, got {batch_size}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        return grouped(self.sampler, self.batch_size, self.drop_last)

    def __len__(self) -> int:
        return count_of_groups(len(self.sampler), self.batch_size, self.drop_last)  # type: ignore[arg-type]
