"""The examples of the README, the demonstration and the benchmarks: eager, compiled, and derivatives in every way."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from benchmarks import compile_programs, loop_programs, models, pointwise, recurrent, reductions
from tracejit.demo import programs

README = Path(__file__).parents[2] / "README.md"
RNG = np.random.default_rng(5)


def normal(*shape: int, scale: float = 1.0) -> Any:
    return RNG.normal(size=shape) * scale


def square(*rest: int) -> Any:
    """Matrices that shrink what they multiply."""
    return normal(*rest, scale=0.3)


def tensors(*arrays: Any) -> tuple[Any, ...]:
    return tuple(tj.from_numpy(x) if isinstance(x, np.ndarray) else x for x in arrays)


def transformer_parameters() -> tuple[Any, ...]:
    width, inner = 8, 12
    shapes = [(width, width)] * 4 + [(width, inner), (inner,), (inner, width), *([(width,)] * 5)]
    return normal(2, 3, width), *(normal(*shape, scale=0.4) for shape in shapes)


NETWORK = (normal(4, 5), normal(4, 2), normal(5, 3), normal(3, 2), normal(3, 2))
EXAMPLES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "conditional, one side": (programs.conditional, tensors(*NETWORK, 1.0)),
    "conditional, the other": (programs.conditional, tensors(*NETWORK, 9.0)),
    "recurrent": (programs.recurrent, tensors(normal(5, 2, 3), normal(3, 4), square(4, 4))),
    "chain": (programs.chain, (normal(6), normal(6), normal(6))),
    "chain of tensors": (programs.chain, tensors(normal(6), normal(6), normal(6))),
    "layer norm": (compile_programs.layer_norm, (normal(3, 5), normal(5), normal(5))),
    "lstm": (
        recurrent.lstm,
        (normal(3, 2, 4), normal(2, 3), normal(2, 3), normal(4, 12), square(3, 12), normal(12)),
    ),
    "jacobi": (loop_programs.jacobi, (normal(5, 6), 3)),
    "transformer": (models.block, tensors(*transformer_parameters())),
    "five loops": (compile_programs.five_loops, (normal(4, 4), normal(4, 4), 4)),
    "heavy": (pointwise.heavy, (normal(6), normal(6), normal(6))),
    "light": (pointwise.light, (normal(6), normal(6), normal(6))),
    "softmax": (reductions.softmax, (normal(3, 4),)),
    "normalise": (reductions.normalise, (normal(3, 4),)),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_way_agrees(name: str) -> None:
    fn, arguments = EXAMPLES[name]
    report = tj.check(fn, *arguments)
    assert report.ok, report
    assert "reverse mode and central differences" in report.compared


def test_the_first_example_of_the_readme(tmp_path: Path) -> None:
    block = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    (tmp_path / "first.py").write_text(block[1])
    settle = runpy.run_path(str(tmp_path / "first.py"))["settle"]
    report = tj.check(lambda x, w: settle(x, w, 1e-10), np.full(7, 0.8), np.linspace(0.5, 0.9, 7))
    assert report.ok, report


def test_the_fixed_point_of_the_demonstration() -> None:
    report = tj.check(lambda w, b: programs.fixed_point(w, b, 1e-12), *tensors(square(4, 4), normal(4)))
    assert report.ok, report
