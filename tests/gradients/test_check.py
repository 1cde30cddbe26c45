"""`tj.check` on test programs: eager, compiled, reverse mode, forward mode and differences agree."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.gradients.programs import PROGRAMS
from tests.wrong_gradients.programs import REGISTRY

#: A third of the programs, the same ones every time: `test_programs.py` and `wrong_gradients` look at all of them.
CASES = [
    pytest.param(fn, args, id=f"{fn.__name__}-{i}")
    for i, (fn, args) in enumerate([*PROGRAMS, *REGISTRY.programs])
    if i % 3 == 0
]


@pytest.mark.parametrize(("fn", "args"), CASES)
def test_all_ways_agree(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    with np.errstate(all="ignore"):
        report = tj.check(fn, *copy.deepcopy(args))
    assert report.ok, str(report)
    assert not report.skipped, str(report)
    assert len(report.compared) == 3


def test_the_eager_tape_is_compared_where_all_floats_are_tensors() -> None:
    fn, args = next((f, a) for f, a in PROGRAMS if f.__name__ == "elementwise")
    report = tj.check(fn, *(tj.tensor(x) for x in args))
    assert report.ok and "the eager tape and central differences" in report.compared, str(report)
