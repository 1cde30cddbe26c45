"""Promotion and broadcasting agree with NumPy 2, eagerly and as graphs."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

from tracejit.ir import interpreter, verifier
from tracejit.ir.builder import Builder, EagerBuilder
from tracejit.ir.core import Graph, Value
from tracejit.ir.types import BY_NUMPY_NAME, F64, I64, ScalarType, TensorType
from tracejit.ops import coerce

EAGER = EagerBuilder(np)

DTYPES = ("bool", "int8", "int32", "int64", "uint8", "uint64", "float16", "float32", "float64", "complex64")
OPERATORS = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
    "lt": operator.lt,
    "eq": operator.eq,
    "maximum": np.maximum,
    "atan2": np.arctan2,
    "logical_and": np.logical_and,
    "bitand": np.bitwise_and,
    "shl": np.left_shift,
}
#: NumPy orders complex numbers by their parts; here they have no order.
UNORDERED = ("lt", "maximum")


def outcome(fn: Any) -> Any:
    """The result, or the kind of error."""
    try:
        with np.errstate(all="ignore"):
            return fn()
    except TypeError:
        return TypeError
    except (ValueError, OverflowError) as error:
        return type(error).__mro__[-4] if isinstance(error, SyntaxError) else type(error)


def through_graph(name: str, *operands: Any, weak: tuple[bool, ...] = ()) -> Any:
    """The op on these arrays as a verified graph, interpreted."""
    b = Builder()
    params: list[Value] = []
    handles: list[Any] = []
    for x in operands:
        if coerce.is_number(x):
            handles.append(x)
            continue
        dtype = BY_NUMPY_NAME[x.dtype.name]
        scalar = isinstance(x, np.generic)
        shape = tuple(n if n < 2 else f"n{n}" for n in x.shape)
        params.append(Value(ScalarType(dtype) if scalar else TensorType(dtype, shape), "x"))
        handles.append(b.wrap(params[-1]))
    made = coerce.apply(b, name, *handles, weak=weak)
    graph = Graph("g", b.block(params, (made.value,)))
    verifier.verify(graph)
    return interpreter.run(graph, [x for x in operands if not coerce.is_number(x)], np)[0]


def assert_like_numpy(found: Any, expected: Any) -> None:
    if isinstance(expected, type):
        assert isinstance(found, type) and issubclass(found, expected), (found, expected)
        return
    assert not isinstance(found, type), (found, expected)
    assert np.asarray(found).dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(
        np.asarray(found).astype("complex128"), np.asarray(expected).astype("complex128"), rtol=1e-6
    )


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("left", DTYPES)
def test_two_arrays_promote_as_numpy(name: str, left: str) -> None:
    for right in DTYPES:
        if {left, right} == {"int64", "uint64"} and name in ("lt", "eq"):
            continue
        if "complex64" in (left, right) and name in UNORDERED:
            continue
        x, y = np.array([1, 0, 2]).astype(left), np.array([1, 1, 1]).astype(right)
        expected = outcome(lambda x=x, y=y: OPERATORS[name](x, y))
        assert_like_numpy(outcome(lambda x=x, y=y: coerce.apply(EAGER, name, x, y)), expected)
        assert_like_numpy(outcome(lambda x=x, y=y: through_graph(name, x, y)), expected)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("number", [True, 2, 2.5, 1 + 2j, 300], ids=repr)
def test_python_numbers_are_weak(name: str, number: Any) -> None:
    for dtype in DTYPES:
        if name in UNORDERED and (dtype == "complex64" or isinstance(number, complex)):
            continue
        if (name, dtype, number) == ("pow", "bool", 2):
            continue
        x = np.array([1, 0, 2]).astype(dtype)
        expected = outcome(lambda x=x: OPERATORS[name](x, number))
        assert_like_numpy(outcome(lambda x=x: coerce.apply(EAGER, name, x, number)), expected)
        assert_like_numpy(outcome(lambda x=x: through_graph(name, x, number)), expected)


@pytest.mark.parametrize(
    "name", ["sqrt", "exp", "neg", "abs", "floor", "square", "sign", "bitnot", "isnan", "logical_not"]
)
def test_unary_functions_promote_as_numpy(name: str) -> None:
    numpy_name = {"neg": "negative", "bitnot": "invert"}.get(name, name)
    for dtype in DTYPES:
        if (name, dtype) in {("floor", "bool"), ("sign", "complex64"), ("isnan", "complex64")}:
            continue
        x = np.array([1, 0, 2]).astype(dtype)
        expected = outcome(lambda x=x: getattr(np, numpy_name)(x))
        assert_like_numpy(outcome(lambda x=x: coerce.apply(EAGER, name, x)), expected)
        assert_like_numpy(outcome(lambda x=x: through_graph(name, x)), expected)


def test_numbers_known_at_run_time_are_weak_when_flagged() -> None:
    x = np.array([1.5, 2.5], "float32")
    assert through_graph("mul", x, np.float64(2.0)).dtype == np.float64
    assert through_graph("mul", x, np.float64(2.0), weak=(False, True)).dtype == np.float32
    assert through_graph("add", np.array([1], "int8"), np.int64(5), weak=(False, True)).dtype == np.int8
    with pytest.raises(OverflowError, match="Python integer 300 out of bounds for int8"):
        through_graph("add", np.array([1], "int8"), np.int64(300), weak=(False, True))


@pytest.mark.parametrize("left", [(3,), (1,), (2, 3), (2, 1), (1, 3), (), (0,), (4, 2, 3)])
@pytest.mark.parametrize("right", [(3,), (1,), (2, 3), (), (4,), (0,), (4, 1, 1)])
def test_shapes_broadcast_as_numpy(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    x, y = np.random.default_rng(0).normal(size=left), np.random.default_rng(1).normal(size=right)
    x, y = np.asarray(x), np.asarray(y)
    try:
        expected = x + y
    except ValueError as error:
        message = str(error).strip()
        for run in (lambda: coerce.apply(EAGER, "add", x, y), lambda: through_graph("add", x, y)):
            with pytest.raises(ValueError) as info:
                run()
            assert message in str(info.value)
        return
    np.testing.assert_array_equal(coerce.apply(EAGER, "add", x, y), expected)
    np.testing.assert_array_equal(through_graph("add", x, y), expected)


@pytest.mark.parametrize(("n", "m"), [(1, 4), (4, 1), (1, 1), (4, 4), (0, 1), (0, 0), (3, 4), (0, 4)])
@pytest.mark.parametrize("named", [True, False])
def test_sizes_known_at_run_time_only_broadcast(n: int, m: int, named: bool) -> None:
    """Two computed sizes, either of which may be 1; with `named` one cannot be."""
    b = Builder()
    size, other = Value(ScalarType(I64), "k"), Value(ScalarType(I64), "l")
    x = Value(TensorType(F64, ("n",) if named else (size,)), "x")
    y = Value(TensorType(F64, (other,)), "y")
    made = coerce.apply(b, "add", b.wrap(x), b.wrap(y))
    graph = Graph("g", b.block((size, other, x, y), (made.value,)))
    verifier.verify(graph)
    if named and n < 2:
        return
    inputs = [n, m, np.arange(float(n)), np.arange(float(m))]
    if n != m and 1 not in (n, m):
        with pytest.raises(ValueError, match="could not be broadcast"):
            interpreter.run(graph, inputs, np)
    else:
        np.testing.assert_array_equal(interpreter.run(graph, inputs, np)[0], inputs[2] + inputs[3])


def test_negative_integer_powers_are_refused() -> None:
    for run in (
        lambda: coerce.apply(EAGER, "pow", np.array([2]), -1),
        lambda: through_graph("pow", np.array([2]), -1),
        lambda: through_graph("pow", np.array([2]), np.array([-1])),
    ):
        with pytest.raises(ValueError, match="Integers to negative integer powers"):
            run()


def test_clamp_takes_one_bound() -> None:
    x = np.array([-2.0, 0.5, 9.0], "float32")
    np.testing.assert_array_equal(coerce.apply(EAGER, "clamp", x, 0, None), np.maximum(x, 0))
    np.testing.assert_array_equal(through_graph("clamp", x, np.float32(-1), 1), np.clip(x, -1, 1))
