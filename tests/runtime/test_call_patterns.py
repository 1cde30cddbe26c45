"""Calls by position, by keyword and with defaults are served natively once each way was seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit.runtime import dispatch

pytestmark = pytest.mark.skipif(not dispatch.is_available(), reason="no native call path on this interpreter")


def natively(fn: Any) -> int:
    """How many calls the native path has served."""
    return sum(s.hits for s in fn._specialisations)


def test_keywords_and_defaults() -> None:
    @tj.script
    def scale(x: Any, factor: float = 2.0, *, shift: float = 1.0) -> Any:
        return x * factor + shift

    x = np.arange(3.0)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((x,), {}),
        ((x, 3.0), {}),
        ((x,), {"factor": 4.0}),
        ((x,), {"shift": 0.5, "factor": 4.0}),
        ((x, 5.0), {"shift": 2.0}),
    ]
    for args, kwargs in calls:
        first, second = scale(*args, **kwargs), scale(*args, **kwargs)
        np.testing.assert_array_equal(first, scale.__wrapped__(*args, **kwargs))
        np.testing.assert_array_equal(second, first)
    assert scale.compiles == 1
    assert natively(scale) == len(calls)


def test_wrong_calls_stay_errors() -> None:
    @tj.script
    def add(x: Any, y: Any) -> Any:
        return x + y

    x = np.ones(2)
    add(x, x + 1), add(x, y=x + 1)
    with pytest.raises(TypeError, match="missing"):
        add(x)
    with pytest.raises(TypeError, match="unexpected"):
        add(x, x, z=x)


def test_methods_by_keyword() -> None:
    class Model:
        def __init__(self) -> None:
            self.weight = np.arange(4.0)

        @tj.script
        def run(self, x: Any, bias: float = 0.0) -> Any:
            return x * self.weight + bias

    model, x = Model(), np.ones(4)
    for _ in range(3):
        assert model.run(x, bias=1.0).tolist() == [1.0, 2.0, 3.0, 4.0]
    assert natively(Model.run) == 2
