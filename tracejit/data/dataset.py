"""Datasets: collections of samples, by place (`Dataset`) or one after the other (`IterableDataset`)."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import tracejit as tj
from tracejit.eager.random import generator


class Dataset:
    """Samples by place: subclasses define `__getitem__(index)` and `__len__()`."""

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__()")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define __len__()")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset:
    """Samples in one order: subclasses define `__iter__()`."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__()")


class TensorDataset(Dataset):
    """Tensors (or arrays) of one first size; sample i is the tuple of their i-th entries."""

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ValueError("a TensorDataset needs at least one tensor")
        self.tensors = tuple(t if isinstance(t, tj.Tensor) else tj.asarray(t) for t in tensors)
        sizes = [len(t) for t in self.tensors]
        if len(set(sizes)) != 1:
            raise ValueError(f"the tensors of a TensorDataset have one first size, got {sizes}")

    def __getitem__(self, index: Any) -> tuple[tj.Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def batch(self, places: Sequence[int]) -> tuple[tj.Tensor, ...]:
        """The collated samples of these places, gathered at once."""
        return self[list(places)]

    def __len__(self) -> int:
        return len(self.tensors[0])


class Subset(Dataset):
    """The samples of a dataset at some places."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset):
    """Datasets one after the other."""

    def __init__(self, datasets: Sequence[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("a ConcatDataset needs at least one dataset")
        self.ends = list(itertools.accumulate(len(d) for d in self.datasets))

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} samples")
        index %= len(self)
        number = bisect.bisect_right(self.ends, index)
        return self.datasets[number][index - (self.ends[number - 1] if number else 0)]

    def __len__(self) -> int:
        return self.ends[-1]


def random_split(dataset: Any, lengths: Sequence[float], seed: int | None = None) -> list[Subset]:
    """A dataset as parts of these lengths (or shares that add up to 1), its samples in random order."""
    total = len(dataset)
    if all(0 <= n <= 1 for n in lengths) and math.isclose(sum(lengths), 1):
        counts = [math.floor(total * share) for share in lengths]
        for extra in range(total - sum(counts)):
            counts[extra % len(counts)] += 1
    else:
        counts = [int(n) for n in lengths]
    if sum(counts) != total:
        raise ValueError(f"the lengths {list(lengths)} do not add up to the {total} samples of the dataset")
    order = random_order(total, seed)
    ends = list(itertools.accumulate(counts))
    return [Subset(dataset, order[end - n : end]) for n, end in zip(counts, ends, strict=True)]


def random_order(count: int, seed: int | None) -> list[int]:
    """The places below `count` in random order: that of the seed, or the next of `manual_seed`."""
    import numpy as np

    source = generator() if seed is None else np.random.default_rng(seed)
    return source.permutation(count).tolist()
