"""`TRACEJIT_DISABLE=1`: the test programs, with every script run as plain Python and derivatives still compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn

HERE = Path(__file__).parent
FILES = [p for p in sorted(HERE.glob("test_*.py")) if p != Path(__file__)]
TRANSFORMATIONS = HERE.parent / "gradients" / "test_transformations.py"

#: In names of tests of derivatives, which are compiled all the same: those of `TRANSFORMATIONS` stand for all.
DERIVED = ("derivative", "gradient", "slope", "budget")


@pytest.mark.parametrize(
    ("files", "left_out"),
    [(FILES[::2], DERIVED), (FILES[1::2], DERIVED), ([TRANSFORMATIONS], ())],
    ids=["even", "odd", "transformations"],
)
def test_the_programs_pass_when_disabled(files: list[Path], left_out: tuple[str, ...]) -> None:
    chosen = ["-m", "not compiled", "-k", f"not ({' or '.join(('refused', *left_out))})"]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *chosen, *map(str, files)]
    environment = {**os.environ, "TRACEJIT_DISABLE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout


def test_disabled_scripts_are_plain_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEJIT_DISABLE", "1")
    seen: list[object] = []

    @tj.script
    def program(x: np.ndarray) -> np.ndarray:
        seen.append(type(x))
        return x * 2

    class Doubled(nn.Module):
        @tj.script
        def forward(self, x: tj.Tensor) -> tj.Tensor:
            seen.append(type(x))
            return x * 2

    assert program(np.ones(2)).tolist() == [2.0, 2.0]
    x = tj.ones(2, requires_grad=True)
    for module in (Doubled(), tj.script(Doubled())):
        module(x).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [4.0, 4.0]
    assert seen == [np.ndarray, tj.Tensor, tj.Tensor]
    assert program.compiles == 0


def test_derivatives_are_compiled_when_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEJIT_DISABLE", "1")

    def cube(x: float) -> float:
        total = 1.0
        for _ in range(3):
            total *= x
        return total

    assert tj.grad(tj.script(cube))(2.0) == pytest.approx(12.0)
    assert tj.grad(tj.grad(cube))(2.0) == pytest.approx(12.0)
    assert tj.jvp(cube, (2.0,), (1.0,))[1] == pytest.approx(12.0)
    assert tj.vmap(cube)(np.array([1.0, 2.0])).tolist() == [1.0, 8.0]


def test_nothing_is_refused_when_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEJIT_DISABLE", "1")

    def quotient(a: float, b: float) -> float:
        global seen_last
        seen_last = a
        return a / b if b else -1.0

    def counted() -> int:
        count = 0

        def step() -> None:
            nonlocal count
            count += 1

        step()
        return count

    def items() -> Iterator[int]:
        yield 1

    unread: dict[str, Any] = {}
    exec("def twice(x):\n    return 2 * x", unread)
    plain = tj.script(quotient)
    assert plain(1.0, 0.0) == -1.0 and tj.script(counted)() == 1 and list(tj.script(items)()) == [1]
    assert tj.script(unread["twice"])(4) == 8 and tj.script(len)([1, 2]) == 2
    with pytest.raises(tj.ScriptError, match="global"):
        tj.grad(plain)
    monkeypatch.delenv("TRACEJIT_DISABLE")
    with pytest.raises(tj.ScriptError, match="global"):
        plain(1.0, 0.0)
