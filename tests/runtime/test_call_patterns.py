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


def test_any_number_of_arguments() -> None:
    @tj.script
    def combine(first: Any, *rest: Any, scale: float = 2.0, **named: Any) -> Any:
        total = first * scale
        for x in rest:
            total = total + x
        for key, x in named.items():
            total = total - x * len(key)
        return total

    x = np.arange(3.0)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((x,), {}),
        ((x, x), {}),
        ((x, x, 3.0), {"scale": 4.0}),
        ((x, x, (x + 1)), {"b": x, "aa": x * 2}),
        ((x,), {"aa": x, "scale": 1.0, "b": x * 2}),
    ]
    for args, kwargs in calls:
        first, second = combine(*args, **kwargs), combine(*args, **kwargs)
        np.testing.assert_array_equal(first, combine.__wrapped__(*args, **kwargs))
        np.testing.assert_array_equal(second, first)
    assert natively(combine) == len(calls)


def test_dicts_by_their_keys_in_order() -> None:
    @tj.script
    def weighted(p: Any) -> Any:
        total = 0.0
        for k, key in enumerate(p):
            total = total + p[key] * (k + 1)
        return total

    x = np.arange(3.0)
    names = [f"w{i}" for i in range(2)]  # strings that are not interned
    dicts: list[Any] = [{"a": x, "b": x + 1}, {"b": x, "a": x + 1}, {n: x * 2 for n in names}, {1: x, 0: 2 * x}]
    for p in dicts:
        first, second = weighted(p), weighted(p)
        np.testing.assert_array_equal(first, weighted.__wrapped__(p))
        np.testing.assert_array_equal(second, first)
    assert natively(weighted) == len(dicts)
    for p in ({}, {"a": x}, {"a": x, "c": x}, {True: x, 0: 2 * x}, {"a": x, "b": x, "c": x}):
        np.testing.assert_array_equal(weighted(p), weighted.__wrapped__(p))
    assert natively(weighted) == len(dicts)


def test_parameters_in_nested_dicts_and_tuples() -> None:
    @tj.script
    def layer(params: Any, x: Any) -> Any:
        weight, bias = params["linear"]
        return x @ weight * params["scale"] + bias

    params = {"linear": (np.ones((3, 2)), np.ones(2)), "scale": 2.0}
    x = np.arange(6.0).reshape(2, 3)
    for _ in range(3):
        np.testing.assert_array_equal(layer(params, x), layer.__wrapped__(params, x))
    assert natively(layer) == 2
    params["linear"] = (np.ones((3, 2)), np.full(2, 5.0))
    np.testing.assert_array_equal(layer(params, x), layer.__wrapped__(params, x))
    assert natively(layer) == 3
