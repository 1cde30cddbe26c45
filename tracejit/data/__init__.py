"""Datasets and their batches."""

from tracejit.data.collate import default_collate
from tracejit.data.dataset import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset, random_split
from tracejit.data.loader import DataLoader

__all__ = [
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "Subset",
    "TensorDataset",
    "default_collate",
    "random_split",
]
