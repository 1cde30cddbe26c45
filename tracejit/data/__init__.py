"""Datasets and their batches."""

from tracejit.data.collate import default_collate
from tracejit.data.dataset import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset, random_split
from tracejit.data.loader import DataLoader
from tracejit.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

__all__ = [
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "random_split",
]
