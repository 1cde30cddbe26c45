"""What is pending when a program fails is told, group by group, by every way of running it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tracejit.ops  # noqa: F401
from tracejit.codegen.evaluate import evaluate
from tracejit.codegen.kernel_walk import walk
from tracejit.codegen.loop_ir import Fail, Way
from tracejit.codegen.lowering.entry import lower
from tracejit.codegen.text import print_program
from tracejit.codegen.walk import ProgramFailure
from tracejit.ir import interpreter
from tracejit.ir.parser import parse
from tracejit.ops.effects import REPORTED
from tracejit.runtime.cpu import NativeFailure, compile_program

#: Fails at the first check where k is 0, at the second where it is 1, at the third where it is 2.
GRAPH = parse(
    """
graph @f(%x: f32[n], %a: f64, %k: i64) on cpu {
  %zero = const() {value = 0, type = !i64} : i64
  %two = const() {value = 2, type = !i64} : i64
  %first = pending(%x, %a) {plan = 0, follows = False} : i64[]
  %some = gt(%k, %zero) : bool
  if(%some) {
    then():
      yield
    else():
      report(%first) {plan = -1, follows = True}
      yield
  }
  check(%some) {kind = "ValueError", message = "none"}
  %y = add(%x, %x) : f32[n]
  %second = pending(%first, %k, %y) {plan = 1, follows = True} : i64[]
  %more = ge(%k, %two) : bool
  if(%more) {
    then():
      yield
    else():
      report(%second) {plan = -1, follows = True}
      yield
  }
  check(%more, %k) {kind = "ValueError", message = "{0} is one"}
  %equal = eq(%k, %two) : bool
  %z = mul(%y, %y) : f32[n]
  if(%equal) {
    then():
      report(%second, %z) {plan = 2, follows = True}
      yield
    else():
      yield
  }
  %other = ne(%k, %two) : bool
  check(%other, %k) {kind = "ValueError", message = "{0} is two"}
  %sum = sum(%z) {axes = (0,)} : f32[]
  yield %sum
}
"""
)
PROGRAM = lower(GRAPH)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    REPORTED.clear()
    yield
    REPORTED.clear()


def interpreted(*inputs: Any) -> None:
    interpreter.run(GRAPH, inputs)


def compiled(*inputs: Any) -> None:
    compile_program(PROGRAM, keep=False).call(inputs)


@pytest.mark.parametrize("run", [interpreted, compiled])
@pytest.mark.parametrize("k", range(4))
def test_what_is_pending_is_told_the_newest_first(run: Callable[..., None], k: int) -> None:
    x = np.arange(3, dtype=np.float32)
    if k < 3:
        with pytest.raises((ValueError, NativeFailure)):
            run(x, 0.5, k)
    else:
        run(x, 0.5, k)
    first, second, third = (0, [x, 0.5]), (1, [k, x + x]), (2, [4 * x * x])
    expected = {0: [first], 1: [second, first], 2: [third, second, first], 3: []}[k]
    assert [plan for plan, _ in REPORTED.notes] == [plan for plan, _ in expected]
    for (_, told), (_, wanted) in zip(REPORTED.notes, expected, strict=True):
        for value, right in zip(told, wanted, strict=True):
            np.testing.assert_array_equal(value, right)


@pytest.mark.parametrize("k", range(4))
def test_ways_out_give_back_what_the_program_owns(k: int) -> None:
    if k < 3:
        with pytest.raises(ProgramFailure):
            evaluate(PROGRAM, [np.ones(3, np.float32), 0.5, k])
    else:
        evaluate(PROGRAM, [np.ones(3, np.float32), 0.5, k])


def test_checks_share_ways_out() -> None:
    stmts = list(walk(PROGRAM.entry.body))
    assert [(s.number, s.then) for s in stmts if isinstance(s, Way)] == [(0, None), (1, 0)]
    assert [s.way for s in stmts if isinstance(s, Fail)] == [0, 1, None]
    text = print_program(PROGRAM)
    assert "way 1 to 0 {" in text and "by 1" in text and "and more" in text
