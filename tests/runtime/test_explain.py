"""`fn.explain` and `fn.save_html`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj


@tj.script
def program(x: Any, w: Any, steps: int, mode: str) -> Any:
    total = x * 0
    for _ in range(steps):
        total = tj.tanh(total * w + x)
    old = total
    total[0] = 1.0
    return (total + old).sum()


def test_everything_is_told() -> None:
    x = np.ones((5, 6), np.float32)
    report = program.explain(x, x[0].copy(), 3, "fast")
    for expected in (
        "program (",
        "x: array float32[2.., 2..], on cpu",
        "steps: a Python number, int64",
        "mode is 'fast', compiled in",
        "control flow:",
        "kernels:",
        "tj.tanh(total * w + x)",
        "array(s) allocated",
        "ValueError: operands could not be broadcast",
    ):
        assert expected in report, report
    assert program.compiles == 1


def test_a_copy_is_shown_with_its_reason() -> None:
    @tj.script
    def keeps_the_old(x: Any) -> Any:
        y = x * 2
        z = y.copy()
        z[0] = 1.0
        return y + z

    report = keeps_the_old.explain(np.ones(4))
    copies = report.split("copies:\n", 1)[1].split("\n\n", 1)[0]
    assert "still needed" in copies or "of its own" in copies, report


def test_without_arguments_the_last_call_is_explained() -> None:
    @tj.script
    def double(x: Any) -> Any:
        return x * 2

    with pytest.raises(TypeError):
        double.explain()
    double(np.ones(3))
    assert "x: array float64[2..], on cpu" in double.explain()


def test_modules_and_methods() -> None:
    module = tj.script(tj.nn.Linear(3, 2))
    assert "read from outside at every call" in module.explain(np.ones((4, 3), np.float32))

    class Doubler:
        @tj.script
        def run(self, x: Any) -> Any:
            return x * 2

    assert "x: array float64[2..], on cpu" in Doubler().run.explain(np.ones(3))


def test_the_page_has_every_stage(tmp_path: Path) -> None:
    program(np.ones((2, 3)), np.ones(3), 1, "fast")
    program.save_html(tmp_path / "program.html")
    text = (tmp_path / "program.html").read_text()
    for expected in ("def program(", "graph, frontend", "graph, after fuse", "loop program", "define i32", "assembly"):
        assert expected in text


def test_what_is_not_there_is_said_to_be_so() -> None:
    text = tj.script(lambda x: undefined(x)).explain(2.0)  # type: ignore[name-defined] # noqa: F821
    assert "is not there" in text and "NameError" in text
