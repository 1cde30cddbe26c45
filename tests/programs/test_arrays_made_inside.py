"""Functions without array arguments make Tensors where tracejit's functions make them, arrays where NumPy's do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check


def ones() -> Any:
    return tj.ones([2])


def in_a_list() -> Any:
    made = [tj.tensor(2), tj.tensor([0.5])]
    return made, {"x": tj.zeros(2, 3).sum()}


def sized(n: int) -> Any:
    return tj.arange(n) * 2 + tj.full((n,), 0.5)


def in_a_branch(n: int) -> Any:
    if n > 0:
        return tj.ones(n).cumsum(0)
    return tj.zeros(2)


def of_numpy(n: int) -> Any:
    return np.ones(n) + np.arange(n)


def recursive(n: int) -> Any:
    return tj.ones(2) if n == 0 else recursive(n - 1) * 2


@pytest.mark.parametrize(
    ("fn", "arguments"),
    [
        (ones, ()),
        (in_a_list, ()),
        (sized, (3,)),
        (in_a_branch, (3,)),
        (in_a_branch, (-3,)),
        (of_numpy, (3,)),
        (recursive, (3,)),
    ],
)
def test_programs(fn: Any, arguments: tuple[Any, ...]) -> None:
    check(fn, *arguments)


@tj.script
class Point:
    """A class given to `script` stays a class."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def moved(self, by: Any) -> Point:
        return Point(self.x + by)


def moved(x: Any) -> Any:
    return Point(x).moved(2.0).x


def test_classes_stay_what_they_are() -> None:
    assert Point(1).moved(2).x == 3
    check(moved, tj.ones(2))
    with pytest.raises(TypeError, match="takes a module, not its class"):
        tj.script(tj.nn.Linear)
