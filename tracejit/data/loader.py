"""`DataLoader`: a dataset as batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tracejit.data import workers
from tracejit.data.collate import default_collate
from tracejit.data.dataset import IterableDataset, random_order
from tracejit.data.sampler import count_of_groups, grouped
from tracejit.eager.random import generator


class DataLoader:
    """An iterable over the batches of a dataset; each iteration is one epoch.

    dataset:         anything with `__getitem__` and `__len__`, or an `IterableDataset`
    batch_size:      samples per batch; None gives single samples, not collated
    shuffle:         a new random order every epoch
    sampler:         instead: an iterable of places; `batch_sampler`: an iterable of lists of places
    num_workers:     how many threads or processes make batches ahead; 0 makes them when asked
    worker_type:     "thread" or "process"
    collate_fn:      samples -> batch
    drop_last:       leave out an incomplete last batch
    prefetch_factor: batches made ahead per worker
    seed:            order of the first epoch (the next ones count up); without it orders follow `manual_seed`
    worker_init_fn:  called with the worker's number in each process; `multiprocessing_context` starts them
    pin_memory:      no difference: memory for transfers to a GPU is the array library's; likewise `persistent_workers`

    Batches come in order, whatever worker made them; an exception in a worker is raised where its batch was due. Worker
    processes draw random numbers that depend on seed, epoch and batch only.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool = False,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        drop_last: bool = False,
        *,
        worker_type: str = "thread",
        prefetch_factor: int = 2,
        seed: int | None = None,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        pin_memory: bool = False,
        persistent_workers: bool = False,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size is at least 1, got {batch_size}")
        if batch_size is None and drop_last:
            raise ValueError("drop_last needs a batch_size")
        if num_workers < 0 or prefetch_factor < 1:
            raise ValueError("num_workers is at least 0 and prefetch_factor at least 1")
        if worker_type not in ("thread", "process"):
            raise ValueError(f"worker_type is 'thread' or 'process', not {worker_type!r}")
        if sampler is not None and shuffle:
            raise ValueError("a sampler decides the order: shuffle is for datasets without one")
        if batch_sampler is not None and (batch_size not in (None, 1) or shuffle or sampler is not None or drop_last):
            raise ValueError("batch_sampler stands instead of batch_size, shuffle, sampler and drop_last")
        self.is_iterable = isinstance(dataset, IterableDataset)
        if self.is_iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError("an IterableDataset has an order of its own: no shuffle, sampler or batch_sampler")
        if self.is_iterable and num_workers and worker_type == "process":
            raise ValueError("an IterableDataset is read by a thread: worker_type='thread'")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.worker_type = worker_type
        self.prefetch_factor = prefetch_factor
        self.seed = seed
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.pin_memory = pin_memory
        self.persistent_workers = persistent_workers
        self.epoch = 0

    def __iter__(self) -> Iterator[Any]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        if self.is_iterable:
            made = self._from_iterable()
            return workers.by_one_thread(made, self._ahead) if self.num_workers else made
        batches = self._batches(None if self.seed is None else self.seed + epoch)
        make = self._make()
        if not self.num_workers:
            return map(make, batches)
        if self.worker_type == "thread":
            return workers.by_threads(make, batches, self.num_workers, self._ahead)
        first = int(generator().integers(1 << 40)) if self.seed is None else (self.seed + epoch) << 32
        return workers.by_processes(
            make,
            batches,
            self.num_workers,
            self._ahead,
            first,
            self.worker_init_fn,
            self.multiprocessing_context,
        )

    def __len__(self) -> int:
        """The number of batches."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)  # type: ignore[arg-type]
        count = len(self.dataset if self.sampler is None else self.sampler)  # type: ignore[arg-type]
        if self.batch_size is None:
            return count
        return count_of_groups(count, self.batch_size, self.drop_last)

    @property
    def _ahead(self) -> int:
        return self.num_workers * self.prefetch_factor

    def _batches(self, seed: int | None) -> Iterator[Any]:
        """Places of every batch of an epoch: lists, or single places where samples are not batched."""
        if self.batch_sampler is not None:
            return iter(self.batch_sampler)
        places: Iterable[int]
        if self.sampler is not None:
            places = self.sampler
        elif self.shuffle:
            places = random_order(len(self.dataset), seed)
        else:
            places = range(len(self.dataset))
        return iter(places) if self.batch_size is None else grouped(places, self.batch_size, self.drop_last)

    def _make(self) -> Callable[[Any], Any]:
        """What makes a batch from places."""
        if self.batch_size is None and self.batch_sampler is None:
            return functools.partial(_sample, self.dataset, self.collate_fn)
        if self.collate_fn is None and hasattr(self.dataset, "batch"):
            return self.dataset.batch
        return functools.partial(_batch, self.dataset, self.collate_fn or default_collate)

    def _from_iterable(self) -> Iterator[Any]:
        if self.batch_size is None:
            return iter(self.dataset) if self.collate_fn is None else map(self.collate_fn, self.dataset)
        return map(self.collate_fn or default_collate, grouped(self.dataset, self.batch_size, self.drop_last))


def _sample(dataset: Any, convert: Callable[[Any], Any] | None, place: int) -> Any:
    sample = dataset[place]
    return sample if convert is None else convert(sample)


def _batch(dataset: Any, collate: Callable[[Any], Any], places: Sequence[int]) -> Any:
    return collate([dataset[place] for place in places])
