"""Which arrays a script takes, and what `hasattr` and `getattr` say of them."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tracejit.scripted import script

MASKED = np.ma.masked_array([1.0, 2.0], mask=[True, False])
MATRIX = np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)


@pytest.mark.parametrize(("value", "name"), [(MASKED, "MaskedArray"), (MATRIX, "matrix")])
def test_arrays_whose_operators_mean_something_else_are_refused(value, name) -> None:
    def double(a):
        return a * 2.0

    def first(pair):
        return pair[0] * 2.0

    def hidden(x):
        return (value * x).sum()

    for fn, argument in ((double, value), (first, (value, 1.0)), (hidden, 2.0)):
        with pytest.raises(tj.ScriptError, match=name):
            script(fn)(argument)
    compiled = script(double)
    compiled(np.asarray(value))
    with pytest.raises(tj.ScriptError, match=name):
        compiled(value)
    outer = [np.ones(2)]
    reading = script(lambda x: outer[0] * x)
    reading(2.0)
    outer[0] = value
    with pytest.raises(tj.ScriptError, match=name):
        reading(2.0)
    np.testing.assert_array_equal(compiled(np.asarray(value).view(np.recarray)), np.asarray(value) * 2.0)


NAMES = ("relu_", "float", "sigmoid_", "requires_grad", "grad", "is_contiguous", "shape", "sum", "nosuch", "tobytes")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [tj.tensor([1.0, 2.0]), np.array([1.0, 2.0])], ids=["tensor", "array"])
def test_hasattr_says_what_the_class_has(name, value) -> None:
    def has(x):
        return (1 if hasattr(x, name) else 2), hasattr(x[0], "nosuch"), hasattr(3, "real"), hasattr([1], "append")

    check(has, value)


def test_an_attribute_that_scripts_lack_is_refused_where_it_is_read() -> None:
    def read(x):
        if hasattr(x, "tobytes"):
            return x.tobytes()
        return x

    def with_default(x):
        return getattr(x, "tobytes", None) is None

    def missing(x):
        return getattr(x, "nosuch", 3) + x

    for fn in (read, with_default):
        with pytest.raises(tj.ScriptError, match="tobytes"):
            script(fn)(np.array([1.0, 2.0]))
    check(missing, np.array([1.0, 2.0]))
