"""Steps and lengths near the ends of what a 64-bit integer holds, and ones that are no number."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from tests.programs.compare import agree, observe
from tracejit import script

INF, NAN = float("inf"), float("nan")


@script
def strided(x: Any, start: int, n: int) -> Any:
    x[start::n] += 1
    return x[::n], x[start::n] * 2, x[::-1][start::n]


@script
def by_constants(x: Any) -> Any:
    return x[::9223372036854775807] + 1, x[3::-9223372036854775808], x[::99999999999999999999999] * 2


@script
def counted(start: float, stop: float, step: float) -> Any:
    return np.arange(start, stop, step)


@pytest.mark.parametrize("step", [sys.maxsize, -sys.maxsize, -sys.maxsize - 1, 2**62, -(2**62), 3, -1])
@pytest.mark.parametrize("start", [0, -1, 2])
def test_steps_beyond_any_size(start: int, step: int) -> None:
    arguments = (np.arange(4.0), start, step)
    agree(observe(strided.__tracejit_function__, arguments), observe(strided, arguments), 0)


def test_constant_steps_beyond_any_size() -> None:
    arguments = (np.arange(4.0),)
    agree(observe(by_constants.__tracejit_function__, arguments), observe(by_constants, arguments), 0)


@pytest.mark.parametrize(
    "bounds",
    [
        (0.0, NAN, 1.0),
        (0.0, INF, 1.0),
        (0.0, -INF, 1.0),
        (INF, INF, 1.0),
        (0.0, 1.0, NAN),
        (0.0, 1e300, 1.0),
        (0.0, 1.0, 1e-300),
        (0.0, 1.0, 0.0),
        (0.0, 1e-300, 1e300),
        (0.0, -1e-300, 1e300),
        (0.0, -1e-300, -1e300),
        (1.0, 3.5, 0.75),
    ],
)
def test_lengths_of_float_ranges(bounds: tuple[float, float, float]) -> None:
    """np.arange refuses lengths that are no number or too large; one that vanishes by rounding is 1."""
    agree(observe(counted.__tracejit_function__, bounds), observe(counted, bounds), 0)


@script
def in_long_steps(start: int, stop: int) -> Any:
    return [np.arange(start, stop, step) for step in (2**61, -(2**61), 1 - 2**62, 2**63 - 1, -(2**63))]


@pytest.mark.parametrize("bounds", [(0, 10), (-5, 5), (5, -5), (2**63 - 1, 1 - 2**63), (-(2**63), 2**63 - 1), (3, 3)])
def test_ends_that_are_further_apart_than_64_bits_count(bounds: tuple[int, int]) -> None:
    agree(observe(in_long_steps.__tracejit_function__, bounds), observe(in_long_steps, bounds), 0)
