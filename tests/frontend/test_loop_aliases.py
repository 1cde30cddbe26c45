"""Of the arrays that a loop carries, only those are compared that may be one memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit.frontend.control import loop_aliases, loops

MANY = 20


def rings() -> list[str]:
    """Each of the arrays is made anew from itself and the next in each trip."""
    arrays = [f"a{i}" for i in range(MANY)]
    made = [f"    {name} = x * {i}.0" for i, name in enumerate(arrays)]
    body = [f"        {name} = {name} * 0.5 + {arrays[(i + 1) % MANY]}" for i, name in enumerate(arrays)]
    return ["def f(x, n):", *made, "    for t in range(n):", *body, f"    return {', '.join(arrays)}"]


def function(tmp_path: Any) -> Any:
    path = tmp_path / "rings.py"
    path.write_text("\n".join([*rings(), ""]))
    names: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names["f"]


def test_arrays_that_meet_no_other_are_compared_with_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    found: list[int] = []

    def counted(loop: Any, ends: Mapping[int, int] = loop_aliases._SAME) -> Any:
        made = loop_aliases.alias_pairs(loop, ends)
        found.append(len(made))
        return made

    monkeypatch.setattr(loops, "alias_pairs", counted)
    fn = function(tmp_path)
    x = np.arange(3.0)
    for have, want in zip(tj.script(fn)(x, 3), fn(x, 3), strict=True):
        np.testing.assert_array_equal(have, want)
    assert found
    assert max(found) <= 2 * MANY


def one_of_two(x: Any, n: int) -> Any:
    a, b, c = x * 1.0, x * 2.0, x * 3.0
    for t in range(n):
        if t == 1:
            b = a
        a[t] += 10.0
        c = b
        c[0] -= 1.0
    return a, b, c


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_arrays_that_become_one_in_some_trip(n: int) -> None:
    x = np.arange(1.0, 5.0)
    for have, want in zip(tj.script(one_of_two)(x, n), one_of_two(x, n), strict=True):
        np.testing.assert_array_equal(have, want)
