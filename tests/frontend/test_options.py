"""The keywords of `@script`, and what a scripted function is to Python."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import tracejit as tj


@tj.script
def scaled(x: Any, factor: float) -> Any:
    return x * factor


def test_options_are_checked() -> None:
    for options in ({"parallel": "yes"}, {"fallback": 1}, {"cache": None}):
        with pytest.raises(TypeError, match="is True or False"):
            tj.script(**options)(scaled.__tracejit_function__)
    with pytest.raises(TypeError, match="no option 'paralel'"):
        tj.script(paralel=True)
    with pytest.raises(TypeError, match="no parameter 'n'"):
        tj.script(static=("n",))(scaled.__tracejit_function__)


def test_one_static_name_may_stand_alone() -> None:
    made = tj.script(static="factor")(scaled.__tracejit_function__)
    assert made(np.ones(2), 2.0).tolist() == [2.0, 2.0]
    assert made(np.ones(2), 3.0).tolist() == [3.0, 3.0]
    assert made.compiles == 2


def test_options_of_a_scripted_function_are_not_lost() -> None:
    again = tj.script(scaled, fastmath=True)
    assert again is not scaled and again.options.fastmath
    assert tj.script(scaled) is scaled


def test_a_bound_script_stays_bound() -> None:
    class Model:
        factor = 3.0

        @tj.script
        def call(self, x: Any) -> Any:
            return x * self.factor

    assert tj.script(Model().call)(np.ones(1)).tolist() == [3.0]


def test_fallback_warns_once_at_the_users_line() -> None:
    def program(x: Any) -> Any:
        return x + eval("1")

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        made = tj.script(fallback=True)(program)
        assert made(1) == 2
        assert made(2) == 3
    assert [w.category for w in found] == [RuntimeWarning]
    assert found[0].filename == __file__


def test_scripted_functions_are_pickled_by_name() -> None:
    assert pickle.loads(pickle.dumps(scaled)) is scaled
    assert copy.deepcopy([scaled])[0] is scaled
    assert copy.copy(scaled) is scaled


class Gain:
    def __init__(self, factor: float) -> None:
        self.factor = factor

    @tj.script
    def of(self, x: Any) -> Any:
        return x * self.factor


def test_scripted_methods_are_pickled_and_compared_as_methods_are() -> None:
    scale = Gain(3.0)
    for made in (pickle.loads(pickle.dumps(scale.of)), copy.copy(scale.of), copy.deepcopy(scale.of)):
        assert made(2.0) == 6.0
    assert scale.of == scale.of
    assert len({scale.of, scale.of}) == 1
    assert scale.of != Gain(3.0).of


def _plus_one(fn: Any) -> Any:
    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs) + 1

    return wrapper


def test_decorators_that_keep_the_name() -> None:
    @tj.script
    @_plus_one
    def inner(x: Any, *, by: float = 2.0) -> Any:
        return x * by

    assert inner(np.ones(2)).tolist() == [3, 3] and inner(1.0, by=5.0) == 6.0
    assert inner.__name__ == "inner" and str(inspect.signature(inner)).startswith("(x")
    assert tj.grad(_plus_one(lambda x: x * x))(3.0) == 6.0


class Scale:
    def __init__(self, by: Any) -> None:
        self.by = by

    def __call__(self, x: Any, shift: float = 0.0) -> Any:
        return x * self.by + shift


def test_what_calls_a_function_is_compiled() -> None:
    scale = Scale(2.0)
    for fn in (scale, functools.partial(scale, shift=0.0), functools.cache(lambda x: x * 2)):
        assert tj.script(fn)(3.0) == 6.0 and tj.script(fn, fastmath=True)(3.0) == 6.0
    called = tj.script(scale)
    scale.by = np.array([1.0, 2.0])
    assert called(2.0, shift=1.0).tolist() == [3, 5]
    assert tj.script(functools.partial(lambda a, b, c: a * b + c, 2.0, c=5))(np.ones(2)).tolist() == [7, 7]


def test_a_function_with_its_own_derivative_is_compiled() -> None:
    rule = tj.custom_vjp(lambda x: x * 2)
    rule.defvjp(lambda x: (x * 2, None), lambda _, g: (g * 7,))
    assert tj.script(rule)(3.0) == 6.0 and tj.grad(tj.script(rule))(3.0) == 7.0
    assert tj.script(tj.checkpoint(lambda x: x * 2))(3.0) == 6.0


class Anything:
    """It has every attribute one asks for, as mocks have."""

    def __getattr__(self, name: str) -> Any:
        return 42.0


def test_objects_that_have_every_attribute() -> None:
    assert tj.script(lambda o, x: o.answer + x)(Anything(), 1.0) == 43.0


def _raised(fn: Any, *args: Any) -> BaseException:
    with pytest.raises((SyntaxError, RuntimeError, ValueError)) as caught:
        fn(*args)
    return caught.value


def test_errors_are_pickled() -> None:
    """A pool of processes hands them on so."""
    for error in (
        _raised(tj.script(lambda x: eval(x)), np.ones(2)),
        _raised(tj.script(lambda x: x @ x), np.ones((2, 3))),
        _raised(tj.grad(lambda x: x.argmax()), np.ones(3)),
        tj.errors.ParseError("what is this", 2, 3),
    ):
        error.add_note("a note")
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert (str(again), again.__notes__) == (str(error), ["a note"])
        assert getattr(again, "lineno", None) == getattr(error, "lineno", None)
        assert copy.copy(again).args == error.args


def test_wrong_calls_name_the_function() -> None:
    for args, kwargs in (((np.ones(2),), {}), ((1, 2, 3), {}), ((1,), {"q": 1})):
        with pytest.raises(TypeError, match=r"scaled\(\) "):
            scaled(*args, **kwargs)


def test_what_containers_do_not_have_is_an_attribute_error() -> None:
    @tj.script
    def size(x: Any) -> Any:
        return x.shape[0]

    for value, kind in (([1.0], "list"), ((1.0,), "tuple"), ({"a": 1.0}, "dict")):
        with pytest.raises(AttributeError, match=f"'{kind}' object has no attribute 'shape'"):
            size(value)
