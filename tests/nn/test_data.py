"""Datasets and `DataLoader`."""

from __future__ import annotations

import time
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    random_split,
)


class Squares(Dataset):
    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        if index >= self.count:
            raise IndexError(index)
        return {"i": index, "square": np.float32(index) ** 2, "name": str(index)}


class Slow(Squares):
    """Earlier samples take longer: batches are ready in another order than they are due."""

    def __getitem__(self, index: int) -> Any:
        time.sleep(0.002 * (self.count - index))
        return index


class Broken(Squares):
    def __getitem__(self, index: int) -> Any:
        if index == 5:
            raise KeyError("five")
        return index


class Noisy(Squares):
    def __getitem__(self, index: int) -> Any:
        return tj.rand(2)


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[int]:
        yield from range(7)


def places(loader: DataLoader) -> list[list[int]]:
    return [batch.tolist() for batch in loader]


def test_tensor_datasets_and_their_batches() -> None:
    x, y = np.arange(14.0).reshape(7, 2), np.arange(7)
    data = TensorDataset(x, tj.tensor(y))
    assert len(data) == 7 and data[3][0].tolist() == [6, 7] and data[-1][1].item() == 6
    loader = DataLoader(data, batch_size=3)
    assert len(loader) == 3
    batches = list(loader)
    assert [len(b) for b, _ in batches] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([b.numpy() for b, _ in batches]), x)
    assert [t.tolist() for _, t in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(list(DataLoader(data, batch_size=3, drop_last=True))) == len(DataLoader(data, 3, drop_last=True)) == 2
    with pytest.raises(ValueError):
        TensorDataset(x, y[:3])
    with pytest.raises(ValueError):
        TensorDataset()


def test_shuffling_visits_everything_and_depends_on_the_seed() -> None:
    data = TensorDataset(np.arange(20))

    def order(loader: DataLoader) -> list[int]:
        return [i for (batch,) in loader for i in batch.tolist()]

    loader = DataLoader(data, 6, shuffle=True, seed=3)
    first, second = order(loader), order(loader)
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second and first != list(range(20))
    again = DataLoader(data, 6, shuffle=True, seed=3)
    assert order(again) == first and order(again) == second
    tj.manual_seed(1)
    free = order(DataLoader(data, 6, shuffle=True))
    tj.manual_seed(1)
    assert order(DataLoader(data, 6, shuffle=True)) == free
    assert order(DataLoader(data, 6, shuffle=True, seed=3, num_workers=2)) == first


def test_collating() -> None:
    Pair = namedtuple("Pair", "a b")
    batch = default_collate([Pair(1, {"x": tj.ones(2), "s": "u"}), Pair(2, {"x": tj.zeros(2), "s": "v"})])
    assert isinstance(batch, Pair) and batch.a.tolist() == [1, 2]
    assert batch.b["x"].tolist() == [[1, 1], [0, 0]] and batch.b["s"] == ["u", "v"]
    assert default_collate([1.5, 2.0]).dtype == tj.float32
    assert default_collate([np.float64(1), np.float64(2)]).dtype == tj.float64
    assert default_collate([np.arange(2), np.arange(2)]).shape == (2, 2)
    assert default_collate([[1, 2], [3, 4]])[1].tolist() == [2, 4]
    with pytest.raises(ValueError):
        default_collate([[1], [2, 3]])
    with pytest.raises(TypeError, match="collate_fn"):
        default_collate([object()])
    loader = DataLoader(Squares(5), 2, collate_fn=lambda samples: [s["name"] for s in samples])
    assert list(loader) == [["0", "1"], ["2", "3"], ["4"]]


@pytest.mark.parametrize("worker_type", ["thread", "process"])
def test_workers_keep_the_order(worker_type: str) -> None:
    loader = DataLoader(Slow(12), 2, num_workers=3, worker_type=worker_type)
    assert places(loader) == places(DataLoader(Slow(12), 2)) == [[i, i + 1] for i in range(0, 12, 2)]
    assert places(loader)[-1] == [10, 11]
    batch = next(iter(DataLoader(Squares(4), 4, num_workers=1, worker_type=worker_type)))
    assert batch["square"].tolist() == [0, 1, 4, 9] and batch["name"] == list("0123")


@pytest.mark.parametrize("worker_type", ["thread", "process"])
def test_exceptions_of_workers_come_where_their_batch_was_due(worker_type: str) -> None:
    seen = []
    with pytest.raises(KeyError, match="five"):
        for batch in DataLoader(Broken(8), 2, num_workers=2, worker_type=worker_type):
            seen.append(batch.tolist())
    assert seen == [[0, 1], [2, 3]]


def test_leaving_early_stops_the_workers() -> None:
    for _ in DataLoader(Slow(30), 2, num_workers=2):
        break
    for _ in DataLoader(Stream(), 2, num_workers=1):
        break


def test_random_numbers_of_processes_depend_on_the_batch_only() -> None:
    def drawn(workers: int) -> np.ndarray:
        loader = DataLoader(Noisy(6), 2, num_workers=workers, worker_type="process", seed=5)
        return np.concatenate([batch.numpy() for batch in loader])

    one = drawn(1)
    np.testing.assert_array_equal(one, drawn(2))
    assert len(np.unique(one)) == one.size


def test_streams() -> None:
    assert (
        places(DataLoader(Stream(), 3))
        == places(DataLoader(Stream(), 3, num_workers=1))
        == [
            [0, 1, 2],
            [3, 4, 5],
            [6],
        ]
    )
    assert list(DataLoader(Stream(), None)) == list(range(7))
    for options in ({"shuffle": True}, {"num_workers": 1, "worker_type": "process"}):
        with pytest.raises(ValueError):
            DataLoader(Stream(), 3, **options)


def test_samplers() -> None:
    data = Slow(4)
    assert places(DataLoader(data, 2, sampler=[3, 1, 0])) == [[3, 1], [0]]
    loader = DataLoader(data, batch_sampler=[[0, 3], [1]])
    assert places(loader) == [[0, 3], [1]] and len(loader) == 2
    assert list(DataLoader(data, None)) == [0, 1, 2, 3]
    for wrong in (
        {"batch_size": 0},
        {"num_workers": -1},
        {"shuffle": True, "sampler": [0]},
        {"batch_sampler": [[0]], "drop_last": True},
        {"worker_type": "fibre"},
        {"batch_size": None, "drop_last": True},
    ):
        with pytest.raises(ValueError):
            DataLoader(data, **wrong)


def test_parts_and_unions() -> None:
    data = TensorDataset(np.arange(10))
    first, second = random_split(data, [0.7, 0.3], seed=0)
    assert (len(first), len(second)) == (7, 3)
    assert sorted(s.item() for part in (first, second) for (s,) in (part[i] for i in range(len(part)))) == list(
        range(10)
    )
    with pytest.raises(ValueError):
        random_split(data, [5, 6])
    both = Subset(data, [4, 2]) + Subset(data, [0])
    assert isinstance(both, ConcatDataset)
    assert [both[i][0].item() for i in (0, 1, 2, -1)] == [4, 2, 0, 0]
    with pytest.raises(IndexError):
        both[3]


def test_the_order_of_samplers() -> None:
    data = range(7)
    assert list(SequentialSampler(data)) == list(data)
    assert sorted(RandomSampler(data)) == list(data) and len(RandomSampler(data)) == 7
    assert sorted(RandomSampler(data, num_samples=14)) == sorted([*data, *data])
    assert len(list(RandomSampler(data, num_samples=3))) == 3 and list(RandomSampler([])) == []
    drawn = list(RandomSampler(data, replacement=True, num_samples=50))
    assert len(drawn) == 50 and set(drawn) <= set(data)
    assert sorted(SubsetRandomSampler([5, 2, 2])) == [2, 2, 5]
    assert set(WeightedRandomSampler([0.0, 1.0, 0.0, 3.0], 40)) == {1, 3}
    assert sorted(WeightedRandomSampler([0.0, 1.0, 0.0, 3.0], 2, replacement=False)) == [1, 3]
    tj.manual_seed(3)
    first = list(RandomSampler(data))
    assert list(RandomSampler(data)) != first
    tj.manual_seed(3)
    assert list(RandomSampler(data)) == first


def test_samplers_of_batches() -> None:
    for drop_last, batches in ((False, [[0, 1, 2], [3, 4]]), (True, [[0, 1, 2]])):
        sampler = BatchSampler(SequentialSampler(range(5)), 3, drop_last)
        assert list(sampler) == batches and len(sampler) == len(batches)
        loader = DataLoader(tj.arange(5), batch_sampler=sampler, pin_memory=True, persistent_workers=True)
        assert [batch.tolist() for batch in loader] == batches and len(loader) == len(batches)
    loader = DataLoader(tj.arange(5), batch_size=2, sampler=SubsetRandomSampler([1, 3, 4]))
    assert sorted(i for batch in loader for i in batch.tolist()) == [1, 3, 4] and len(loader) == 2


def test_samplers_that_cannot_be() -> None:
    for make in (
        lambda: RandomSampler([1], num_samples=0),
        lambda: WeightedRandomSampler([0.0, 0.0], 1),
        lambda: WeightedRandomSampler([1.0, -1.0], 1),
        lambda: WeightedRandomSampler([1.0, 0.0], 2, replacement=False),
        lambda: BatchSampler([1], 0, False),
    ):
        with pytest.raises(ValueError, match="at least|weights|num_samples"):
            make()
    with pytest.raises(NotImplementedError, match="Sampler defines no __iter__"):
        iter(Sampler())
