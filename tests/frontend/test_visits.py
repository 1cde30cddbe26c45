"""How often lowering goes through the syntax of a function: not anew for each of its statements."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit.frontend.syntax import trees

pytestmark = pytest.mark.compiled

CALL = "    {name} = np.sin({before})"
PAIR = "    {name}, other = np.sin({before}), 2.0"
METHOD = "    {name} = {before}.clip(0.0, 1.0)"


def visited(statement: str, count: int, monkeypatch: pytest.MonkeyPatch, folder: Any) -> int:
    """The syntax nodes that are gone through while a function of so many statements is lowered."""
    lines = [statement.format(name=f"t{i}", before=f"t{i - 1}" if i else "x") for i in range(count)]
    file = folder / f"made_{count}.py"
    file.write_text("\n".join(["import numpy as np", "def f(x):", *lines, f"    return t{count - 1}"]) + "\n")
    made: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), made)
    seen = 0
    append_parts = trees._append_parts

    def counted(node: ast.AST, found: list[ast.AST]) -> None:
        nonlocal seen
        seen += 1
        append_parts(node, found)

    with monkeypatch.context() as patched:
        patched.setattr(trees, "_append_parts", counted)
        tj.script(made["f"])(np.ones(3))
    return seen


@pytest.mark.parametrize("statement", [CALL, PAIR, METHOD])
def test_twice_the_statements_are_twice_the_visits(
    statement: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    few, many = (visited(statement, count, monkeypatch, tmp_path) for count in (40, 80))
    assert 0 < many <= 2.3 * few
