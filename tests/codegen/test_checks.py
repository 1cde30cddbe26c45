"""Floats as indices and whole numbers: as in Python, with its errors, by one comparison for nan and size."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tracejit import script
from tracejit.codegen.loop_ir import Fail, If, Stmt
from tracejit.codegen.lowering.entry import lower
from tracejit.ir.parser import parse

SIZES = (0.0, -0.0, 0.5, -0.5, 1.9, -1.9, 1e300, -1e300, 2.0**63, -(2.0**63), 9.2e18, -9.2e18, 5e-324)
NUMBERS = (*SIZES, math.nan, math.inf, -math.inf, math.nextafter(2.0**63, 0), math.nextafter(-(2.0**63), 0))

GRAPH = """graph @f(%x: f64, %y: f64) on cpu {
  %limit = const() {value = 9.223372036854776e+18, type = !f64} : f64
  %isnan = isnan(%x) : bool
  %fine = logical_not(%isnan) : bool
  check(%fine) {kind = "ValueError", message = "nan"}
  %size = abs(%OF) : f64
  %inside = lt(%size, %limit) : bool
  check(%inside, %x) {kind = "OverflowError", message = "{0} is too large"}
  %i = cast(%x) {dtype = i64} : i64
  yield %i
}"""


@script
def whole(x: float) -> int:
    return int(x)


@script
def rounded(x: float) -> tuple[int, int, int]:
    return math.floor(x), math.ceil(x), math.trunc(x)


@script
def counted(x: Any, h: Any) -> Any:
    for i in range(x.shape[0]):
        h[int(x[i] * 4)] += 1
    return h


def outcome(run: Callable[[], Any]) -> Any:
    """What a call gives, or the kind of error that it raises; a size that 64 bits do not hold is our OverflowError."""
    try:
        found = run()
    except (ValueError, OverflowError, IndexError) as error:
        return type(error)
    sizes = found if isinstance(found, tuple) else (found,)
    return OverflowError if any(isinstance(n, int) and abs(n) >= 2**63 for n in sizes) else found


@pytest.mark.parametrize("x", NUMBERS)
def test_floats_become_whole_numbers_as_in_python(x: float) -> None:
    for fn in (whole, rounded):
        assert outcome(lambda: fn(x)) == outcome(lambda: fn.__wrapped__(x))  # noqa: B023


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1e300, 7.0])
def test_what_was_written_before_an_error_stays(bad: float) -> None:
    x = np.array([0.1, 0.6, bad, 0.3])
    ours, pythons = np.zeros(4, int), np.zeros(4, int)
    expected = outcome(lambda: counted.__wrapped__(x, pythons))
    assert outcome(lambda: counted(x, ours)) == (OverflowError if bad == -1e300 else expected)
    np.testing.assert_array_equal(ours, pythons)


@pytest.mark.parametrize(("of", "together"), [("x", True), ("y", False)])
def test_nan_and_size_of_one_number_are_one_comparison(of: str, together: bool) -> None:
    program = lower(parse(GRAPH.replace("%OF", f"%{of}")))
    branches = [stmt for stmt in program.entry.body if isinstance(stmt, If)]
    assert len(branches) == (1 if together else 2)
    assert all(isinstance(branch.then[-1], Fail) for branch in branches)
    assert _failures(program.entry.body) == 2


def _failures(body: tuple[Stmt, ...]) -> int:
    return sum(isinstance(s, Fail) + (_failures(s.then) if isinstance(s, If) else 0) for s in body)


@script
def asserted(x: float) -> float:
    assert not math.isnan(x), "no number"
    assert abs(x) < 5.0, "too large"
    return x


@pytest.mark.compiled
@pytest.mark.parametrize(("x", "statement"), [(math.nan, '"no number"'), (7.0, '"too large"')])
def test_each_check_is_at_its_own_line(x: float, statement: str) -> None:
    with pytest.raises(AssertionError) as caught:
        asserted(x)
    assert str(caught.traceback[-1].statement).endswith(statement)
