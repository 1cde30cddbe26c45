"""Running user functions eagerly and as graphs, for comparison with NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracejit.ir import interpreter, verifier
from tracejit.ir.builder import Builder, EagerBuilder, Handle
from tracejit.ir.core import Graph, Value
from tracejit.ir.types import BY_NUMPY_NAME, ScalarType, TensorType
from tracejit.ops.functions import FUNCTIONS

EAGER = EagerBuilder(np)


def eager(name: str, *arguments: Any, **options: Any) -> Any:
    """The function on arrays."""
    with np.errstate(all="ignore"):
        return FUNCTIONS[name].fn(EAGER, *arguments, **options)


def graph_of(name: str, arguments: Sequence[Any], options: dict[str, Any], exact: bool) -> tuple[Graph, list[Any]]:
    """The function as a graph whose parameters are the arrays among the arguments, and these arrays. Sizes are named,
    or literal with `exact`."""
    b = Builder()
    params: list[Value] = []
    inputs: list[Any] = []

    def convert(x: Any) -> Any:
        if isinstance(x, list):
            return [convert(y) for y in x]
        if not isinstance(x, np.ndarray | np.generic):
            return x
        dtype = BY_NUMPY_NAME[x.dtype.name]
        shape = tuple(n if exact or n < 2 else f"n{n}" for n in x.shape)
        value = Value(ScalarType(dtype) if isinstance(x, np.generic) else TensorType(dtype, shape), "x")
        params.append(value)
        inputs.append(x)
        return b.wrap(value)

    made = FUNCTIONS[name].fn(b, *(convert(x) for x in arguments), **{k: convert(x) for k, x in options.items()})
    results = made if isinstance(made, tuple | list) else (made,)
    graph = Graph("g", b.block(params, [r.value for r in results if isinstance(r, Handle)]))
    verifier.verify(graph)
    return graph, inputs


def interpreted(name: str, *arguments: Any, exact: bool = False, **options: Any) -> list[Any]:
    """The function's results through a verified graph."""
    graph, inputs = graph_of(name, arguments, options, exact)
    return interpreter.run(graph, inputs, np)


def assert_close(found: Any, expected: Any, what: str = "") -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.dtype == expected.dtype, f"{what}: {found.dtype}, expected {expected.dtype}"
    assert found.shape == expected.shape, f"{what}: {found.shape}, expected {expected.shape}"
    tolerance = {"float32": 1e-5, "float16": 2e-3, "complex64": 1e-5}.get(found.dtype.name, 1e-12)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=what)


def check(name: str, expected: Any, *arguments: Any, **options: Any) -> None:
    """The function equals `expected` (an array or a tuple of arrays) eagerly and as a graph, sizes named or literal."""
    wanted = expected if isinstance(expected, tuple | list) else (expected,)
    made = eager(name, *arguments, **options)
    runs = {"eager": made if isinstance(made, tuple | list) else (made,)}
    for exact in (False, True):
        runs[f"graph, exact={exact}"] = interpreted(name, *arguments, exact=exact, **options)
    for how, results in runs.items():
        assert len(results) == len(wanted), f"{name} {how}"
        for found, want in zip(results, wanted, strict=True):
            assert_close(found, want, f"{name} {how}")
