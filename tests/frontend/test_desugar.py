"""Desugaring keeps what a function does; liveness never calls a name dead that is read."""

from __future__ import annotations

import ast
import contextlib
import random
from collections.abc import Iterator
from typing import Any

import pytest
from jump_programs import Dead, desugared_text, jump_program

from tracejit.frontend.syntax.desugar import Branch, ForLoop, SetFlag, SetReturn, desugar
from tracejit.frontend.syntax.scopes import annotate


class Endless(Exception):
    """A run took too many decisions."""


def decisions(seed: int) -> Iterator[bool]:
    rng = random.Random(seed)
    for _ in range(200):
        yield rng.random() < 0.5
    raise Endless


def outcome(text: str, seed: int) -> Any:
    """What a run of the function did: its log, and its result or exception."""
    namespace: dict[str, Any] = {"manager": contextlib.nullcontext, "Dead": Dead}
    exec(text, namespace)
    log: list[Any] = []
    try:
        result = namespace["f"](decisions(seed), log, 100, 200, 300)
    except (ValueError, RuntimeError, Endless) as error:
        return log, type(error), error.args
    return log, result


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_random_programs_do_the_same(first: int):
    for seed in range(first, first + 50):
        source = jump_program(seed)
        text, forgetful = desugared_text(source, forget=False), desugared_text(source, forget=True)
        for run in range(5):
            expected = outcome(source, run)
            assert outcome(text, run) == expected, source
            assert outcome(forgetful, run) == expected, source


def statements(source: str) -> Any:
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    made = desugar(node.body, node)
    annotate(made)
    return made


def flags_of(made: Any) -> set[str]:
    return {s.name for s in made if isinstance(s, SetFlag)}


def test_early_return_needs_no_flag_of_its_own():
    made = statements("def f(x):\n    if x:\n        return 1\n    y = 2\n    return y\n")
    assert [type(s) for s in made] == [SetFlag, Branch]
    branch = made[1]
    assert isinstance(branch.then[0], SetReturn)
    assert len(branch.orelse) == 3  # y = 2, the result, the flag


def test_what_follows_a_raise_stays_where_it_is():
    made = statements("def f(x):\n    if x:\n        raise ValueError\n    return 1\n")
    assert made[1].orelse == [] and isinstance(made[2], SetReturn)
    made = statements("def f(x):\n    if x:\n        return 2\n    else:\n        raise ValueError\n")
    assert [type(s) for s in made] == [SetFlag, Branch]


def test_loop_without_jumps_has_no_exits():
    made = statements("def f(n):\n    for i in range(n):\n        print(i)\n")
    loop = next(s for s in made if isinstance(s, ForLoop))
    assert loop.exits == ()


def test_inner_break_does_not_leave_the_outer_loop():
    made = statements("def f(n):\n    for i in n:\n        for j in n:\n            break\n")
    outer = next(s for s in made if isinstance(s, ForLoop))
    inner = next(s for s in outer.body if isinstance(s, ForLoop))
    assert outer.exits == ()
    assert len(inner.exits) == 1


def test_only_names_read_later_are_live():
    made = statements(
        "def f(x):\n    if x:\n        y = 1\n        z = 2\n    else:\n        y = 3\n        z = 4\n    return y\n"
    )
    branch = next(s for s in made if isinstance(s, Branch))
    assert "y" in branch.live
    assert "z" not in branch.live


def test_loop_carries_what_the_next_iteration_reads():
    made = statements("def f(n):\n    s = 0\n    for i in range(n):\n        t = i\n        s = s + t\n    return 1\n")
    loop = next(s for s in made if isinstance(s, ForLoop))
    assert "s" in loop.live_head
    assert "t" not in loop.live_head
    assert "s" not in loop.live


def test_names_of_a_nested_function_are_always_live():
    made = statements(
        "def f(x):\n    g = lambda: y\n    if x:\n        y = 1\n    else:\n        y = 2\n    return g()\n"
    )
    branch = next(s for s in made if isinstance(s, Branch))
    assert "y" in branch.live


def test_subscript_stores_read_their_base():
    made = statements("def f(x):\n    if x:\n        y = x\n    else:\n        y = x[1:]\n    y[0] = 1\n")
    branch = next(s for s in made if isinstance(s, Branch))
    assert "y" in branch.live


def test_walrus_in_a_condition_binds():
    made = statements("def f(x):\n    while (y := x) > 0:\n        x = x - 1\n    return y\n")
    loop = made[-3]
    assert "y" in loop.live
