"""Programs beside the arguments they are called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tracejit as tj
from tests.programs.compare import check
from tracejit import Tensor

Program = Callable[..., Any]


class Cases:
    """The programs of a module, in order."""

    def __init__(self) -> None:
        self.programs: list[tuple[Program, tuple[tuple[Any, ...], ...]]] = []

    def __call__(self, *calls: tuple[Any, ...]) -> Callable[[Program], Program]:
        """Run the function with each of these arguments."""

        def note(fn: Program) -> Program:
            self.programs.append((fn, calls))
            return fn

        return note

    @property
    def ids(self) -> list[str]:
        return [fn.__name__ for fn, _ in self.programs]


def run(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    """Assert that compiled is plain Python for each call."""
    scripted = None
    for arguments in calls:
        scripted = check(fn, *arguments, tolerance=1e-6, scripted=scripted)


def T(*sizes: int) -> Tensor:
    """A float32 Tensor of 1, 2, 3, ..."""
    return tj.tensor(np.arange(1, 1 + int(np.prod(sizes)), dtype=np.float32).reshape(sizes))


def A(*sizes: int) -> np.ndarray:
    """A float64 array of 1, 2, 3, ..."""
    return np.arange(1.0, 1 + int(np.prod(sizes))).reshape(sizes)
