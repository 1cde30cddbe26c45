"""Masks over arrays longer than the blocks that are looked at together, of which some are empty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

SIZES = (0, 1, 63, 64, 65, 200, 1000)


def taken(x: Any, m: Any) -> Any:
    return x[m], x[m].sum(), x[~m].size


def put(x: Any, m: Any, values: Any) -> Any:
    x[m] = values
    return x


def changed(x: Any, m: Any) -> Any:
    x[m] *= 2
    x[~m] = -x[~m]
    return x


@pytest.mark.parametrize("kind", ["f8", "c16", "u1"])
@pytest.mark.parametrize("held", ["none", "all", "first", "last", "few", "half"])
def test_masks(held: str, kind: str) -> None:
    rng = np.random.default_rng(5)
    for n in SIZES:
        m = np.zeros(n, bool)
        if held == "all":
            m[:] = True
        elif held in ("few", "half"):
            m[:] = rng.random(n) < (0.01 if held == "few" else 0.5)
        elif held != "none":
            m[:1] = held == "first"
            m[n - 1 :] |= held == "last"
        x = rng.integers(0, 100, n).astype(kind)
        check(taken, x, m)
        check(put, x, m, np.arange(m.sum()).astype(kind))
        check(changed, x, m)


def test_values_that_do_not_fit_a_mask() -> None:
    m = np.arange(100) % 7 == 0
    check(put, np.zeros(100), m, np.ones(3))
    check(put, np.zeros(100), m & ~m, np.ones(0))
    check(put, np.zeros((10, 10)), m.reshape(10, 10), np.arange(15.0))


def scaled(x: Any, m: Any) -> Any:
    x[m] *= 1.5
    return x


def counted(x: Any, at: Any) -> Any:
    x[at] += 1
    return x


@pytest.mark.parametrize("dtype", ["i4", "f4", "?"])
def test_parts_change_within_their_kind_of_dtype(dtype: str) -> None:
    for program, index in ((scaled, np.array([True, False])), (counted, np.array([1]))):
        x = np.array([0, 1], dtype)
        if dtype == "f4" or (dtype == "i4" and program is counted):
            check(program, x, index)
            continue
        for fn in (program, tj.script(program)):
            with pytest.raises(TypeError, match="same_kind"):
                fn(x.copy(), index)
