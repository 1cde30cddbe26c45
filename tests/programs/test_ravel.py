"""`ravel` is a copy where elements lie a step apart, though `reshape(-1)` is a view there: writes tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj

ARRAYS: dict[str, Callable[[], Any]] = {
    "neighbours": lambda: np.arange(9.0),
    "apart": lambda: np.arange(24.0)[::2],
    "backwards": lambda: np.arange(6.0)[::-1],
    "one": lambda: np.arange(4.0)[:1],
    "two apart": lambda: np.arange(4.0)[::2],
}


def whole(a: Any, k: int) -> Any:
    v = a.ravel()
    v[:] = 5
    return a.sum()


def element(a: Any, k: int) -> Any:
    a.ravel()[0] = 7
    return a.sum()


def every_second(a: Any, k: int) -> Any:
    v = a[::2].ravel()
    v[0] = 100
    return a.sum()


def reversed_(a: Any, k: int) -> Any:
    v = a[::-1].ravel()
    v[0] = 100
    return a.sum()


def every_kth(a: Any, k: int) -> Any:
    v = np.ravel(a[::k])
    v += 1
    return a.sum()


def written_behind(a: Any, k: int) -> Any:
    v = a[::2].ravel()
    a[0] = 100
    return v.sum()


def reshaped(a: Any, k: int) -> Any:
    v = a[::2].reshape(-1)
    v[0] = 100
    return a.sum()


def read(a: Any, k: int) -> Any:
    return a[::2].ravel() * 2 + a[::-2].ravel()


FUNCTIONS = (whole, element, every_second, reversed_, every_kth, written_behind, reshaped, read)
#: Refused for arguments of unknown steps: a part of these may be neighbours again.
REFUSED = (every_second, reversed_, every_kth, written_behind)


def error_of(function: Any, name: str, k: int) -> type[Exception] | None:
    """What is raised where Python's `ravel` may be a view."""
    if function in REFUSED and ("apart" in name or name == "backwards"):
        return tj.ScriptError
    return RuntimeError if function is every_kth and (k == 1 or name == "one") else None


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", ARRAYS)
def test_as_numpy_or_refused(function: Any, name: str) -> None:
    for k in (1, 2, 3):
        found, expected = ARRAYS[name](), ARRAYS[name]()
        result, error = function(expected, k), error_of(function, name, k)
        if error is not None:
            with pytest.raises(error):
                tj.script(function)(found, k)
            continue
        np.testing.assert_array_equal(tj.script(function)(found, k), result)
        np.testing.assert_array_equal(found, expected)
