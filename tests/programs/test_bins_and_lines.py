"""`digitize` with decreasing bounds; `interp` in 64 bits, of complex values, and beside infinities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.programs.compare import check

X = np.array([0.0, 0.5, 1.0, 2.5, 9.0, -1.0, np.nan])
XP, FP = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0, 2.0])


def binned(x: Any, bins: Any, right: bool) -> Any:
    return np.digitize(x, bins, right=right)


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("bins", [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0], [3.0], [3.0, 2.0], []])
def test_digitize(bins: list[float], right: bool) -> None:
    check(binned, X, np.array(bins), right)


def between(x: Any, xp: Any, fp: Any) -> Any:
    return np.interp(x, xp, fp)


@pytest.mark.parametrize(
    ("x", "xp", "fp"),
    [
        (X, XP, FP),
        (np.array([0.5, 1.5], np.float32), XP.astype(np.float32), FP.astype(np.float32)),
        (X[:4], XP, FP * 1j),
        (1.5, XP, FP),
        (np.array([0.5, 2.5]), XP, np.array([np.inf, 1, np.nan, 2])),
        (np.array([1, 2]), np.array([0, 4]), np.array([5, 9])),
        (np.array([0.5, 1.0]), np.array([-np.inf, 1.0]), np.array([2.0, 3.0])),
        (np.array([0.5, -0.5]), np.array([0.0, np.inf]), np.array([2.0, 2.0])),
    ],
)
def test_interp(x: Any, xp: Any, fp: Any) -> None:
    check(between, x, xp, fp)
