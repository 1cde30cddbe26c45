"""Numbers that tell whether two results are the same, small enough to pass between processes. Imports NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def fingerprint(value: Any) -> list[float]:
    """For each array of a result (a number, an array, or a sequence of them): its mean size, and a projection.

    The projection weighs the elements by cos(0), cos(1), ..., so that a permutation changes it.
    """
    if isinstance(value, tuple | list):
        return [number for item in value for number in fingerprint(item)]  # pyright: ignore[reportUnknownVariableType]
    array = np.asarray(getattr(value, "detach", lambda: value)(), np.float64).ravel()
    if array.size == 0:
        return [0.0, 0.0]
    return [float(np.abs(array).mean()), float(array @ np.cos(np.arange(array.size)) / array.size)]


def distance(found: Sequence[float], expected: Sequence[float]) -> float:
    """The greatest difference, relative to the mean size of the array it belongs to; infinite where shapes differ."""
    if len(found) != len(expected):
        return float("inf")
    worst = 0.0
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        difference = abs(a - b) / max(abs(expected[k - k % 2]), 1e-30)
        worst = max(worst, difference if difference == difference else float("inf"))
    return worst
