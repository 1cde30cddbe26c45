"""Golden tests of transforms: `golden/<transform>/*.tj`, compared as text and by executing both graphs.

    // what the file shows
    // run: canonicalize, dce
    // with: n = 3, tol = 0.5          (optional: values of sizes and host scalars, which are random otherwise)
    graph @f(...) ...
    // expect:
    graph @f(...) ...

`pytest --update-golden` rewrites the part after `// expect:`; read the difference before you commit it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit.ops  # noqa: F401
from tracejit.ir.core import Graph, Value, walk
from tracejit.ir.interpreter import run
from tracejit.ir.parser import parse
from tracejit.ir.printer import print_graph
from tracejit.ir.types import DType, ListType, ScalarType, TensorType, Type
from tracejit.ir.verifier import verify
from tracejit.transforms import pipeline
from tracejit.transforms.__main__ import split_golden

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*/*.tj"))
TRIALS = 4


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_golden(path: Path, update_golden: bool, capsys: pytest.CaptureFixture[str]) -> None:
    text = path.read_text(encoding="utf-8")
    names, before, expected = split_golden(text)
    assert path.parent.name in names, "a golden file is in the folder of a transform it runs"
    graph = parse(before, path.name)
    verify(graph)
    result = pipeline.run(graph, names, verify=True)
    if update_golden:
        path.write_text(f"{before}// expect:\n{print_graph(result)}", encoding="utf-8")
    else:
        assert print_graph(result) == expected
    assert print_graph(parse(print_graph(result))) == print_graph(result)
    if any(op.name == "gradient" for op in walk(graph.body)):
        return  # its expansion is its meaning
    for seed in range(TRIALS):
        inputs = Inputs(graph, fixed_values(before), seed)
        before_run, after_run = (observed(g, inputs.draw(), capsys) for g in (graph, result))
        assert_same(before_run, after_run)


def test_every_transform_here_has_a_golden_file() -> None:
    assert {p.parent.name for p in FILES} >= {"canonicalize", "cse", "dce", "licm"}


def fixed_values(text: str) -> dict[str, Any]:
    """What the `// with:` line says."""
    line = re.search(r"^// with:(.*)$", text, re.MULTILINE)
    pairs = (pair.split("=") for pair in line.group(1).split(",")) if line else ()
    return {name.strip(): ast.literal_eval(value.strip()) for name, value in pairs}


class Inputs:
    """Random inputs for a graph's parameters; the same ones on every `draw`."""

    def __init__(self, graph: Graph, fixed: dict[str, Any], seed: int) -> None:
        self.params = graph.params
        self.fixed = fixed
        self.seed = seed
        self.least = 0 if graph.policy.get("any_size") else 2

    def draw(self) -> list[Any]:
        self.rng = np.random.default_rng(self.seed)
        self.sizes: dict[str, int] = {}
        self.values: dict[Value, Any] = {}
        for param in sorted(self.params, key=lambda p: not isinstance(p.type, ScalarType)):
            self.values[param] = self.fixed.get(param.name, self.of_type(param.type))
        return [self.values[p] for p in self.params]

    def of_type(self, type: Type) -> Any:
        match type:
            case ScalarType(dtype):
                return self.numbers(dtype, ())[()]
            case TensorType(dtype, shape):
                return self.numbers(dtype, tuple(self.size(d) for d in shape))
            case ListType(element):
                return [self.of_type(element) for _ in range(3)]

    def size(self, dim: int | str | Value | None) -> int:
        if isinstance(dim, int):
            return dim
        if isinstance(dim, Value):
            return int(self.values[dim])
        if dim is None:
            return 2
        size = self.fixed.get(dim, int(self.rng.integers(self.least, 6)))
        return self.sizes.setdefault(dim, size)

    def numbers(self, dtype: DType, shape: tuple[int, ...]) -> Any:
        if dtype.kind == "b":
            return self.rng.integers(0, 2, shape).astype(bool)
        if dtype.is_integer:
            return self.rng.integers(0, 6, shape).astype(dtype.numpy_name)
        numbers = self.rng.uniform(-2, 2, shape)
        special = self.rng.choice([0.0, -0.0, np.inf, np.nan, 1.0], shape)
        return np.where(self.rng.random(shape) < 0.2, special, numbers).astype(dtype.numpy_name)


def observed(graph: Graph, inputs: list[Any], capsys: pytest.CaptureFixture[str]) -> tuple[Any, ...]:
    """Everything a run shows: results or exception, what was printed, and the inputs afterwards."""
    capsys.readouterr()
    try:
        results: Any = run(graph, inputs, np)
    except Exception as error:
        results = (type(error), str(error))
    return results, capsys.readouterr().out, inputs


def assert_same(a: Any, b: Any) -> None:
    """Equal to the bit, whatever the NaN."""
    if isinstance(a, list | tuple):
        assert type(a) is type(b) and len(a) == len(b), f"{a} is not {b}"
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, np.ndarray | np.generic):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_array_equal(a, b)
        if a.dtype.kind in "fc":
            np.testing.assert_array_equal(np.signbit(a.real)[~np.isnan(a)], np.signbit(b.real)[~np.isnan(b)])
    else:
        assert a == b
