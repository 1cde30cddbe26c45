"""Casts that lose nothing, against NumPy's own conversions."""

from __future__ import annotations

from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np
import pytest

from tracejit.ir.types import DTYPES, DType
from tracejit.ops.simplify import holds


def extremes(dtype: DType) -> Any:
    """Numbers at the ends of what the dtype can hold, and at the end of its precision."""
    make = np.dtype(dtype.numpy_name)
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.is_integer:
        low = 0 if dtype.kind == "u" else -(1 << (dtype.bits - 1))
        high = (1 << (dtype.bits - (dtype.kind == "i"))) - 1
        return np.array([low, low + 1, 0, 1, high - 1, high], make)
    part = np.dtype({"complex64": "float32", "complex128": "float64"}.get(make.name, make.name))
    info = ml_dtypes.finfo(part)
    reals = np.array([info.max, info.tiny, 1, -1], part) * np.array([1, 1, 1 + info.eps, 1], part)
    return reals.astype(make) + (1j * reals[::-1].astype(make)).astype(make) if dtype.is_complex else reals


@pytest.mark.parametrize("narrow", DTYPES, ids=str)
@pytest.mark.parametrize("wide", DTYPES, ids=str)
def test_a_dtype_holds_another_where_a_round_trip_keeps_every_number(wide: DType, narrow: DType) -> None:
    x = extremes(narrow)
    if narrow.is_complex and not wide.is_complex:
        assert not holds(wide, narrow)
        return
    with np.errstate(all="ignore"):
        there = x.astype(wide.numpy_name)
        back = there.real.astype(x.dtype) if wide.is_complex and not narrow.is_complex else there.astype(x.dtype)
    same_sign = narrow.is_inexact or (there.real.astype("float64") < 0).tolist() == (x.astype("float64") < 0).tolist()
    assert holds(wide, narrow) == (bool(np.array_equal(back, x)) and same_sign)
