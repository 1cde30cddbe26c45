"""The reference evaluator: control flow, calls, effects, and what it checks."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit.ops  # noqa: F401
from tracejit.ir.interpreter import run
from tracejit.ir.parser import parse

COLLATZ = """
graph @collatz(%n: i64) on cpu {
  %one = const() {value = 1, type = !i64} : i64
  %two = const() {value = 2, type = !i64} : i64
  %three = const() {value = 3, type = !i64} : i64
  %zero = const() {value = 0, type = !i64} : i64
  %max = const() {value = 9223372036854775807, type = !i64} : i64
  %go = ne(%n, %one) : bool
  %last, %steps = loop(%max, %go, %n, %zero) : i64, i64 {
    body(%i: i64, %m: i64, %s: i64):
      %r = mod(%m, %two) : i64
      %even = eq(%r, %zero) : bool
      %next = if(%even) : i64 {
        then():
          %h = floordiv(%m, %two) : i64
          yield %h
        else():
          %t = mul(%m, %three) : i64
          %u = add(%t, %one) : i64
          yield %u
      }
      %more = ne(%next, %one) : bool
      %s.1 = add(%s, %one) : i64
      yield %more, %next, %s.1
  }
  yield %last, %steps
}
"""


def test_while_and_if() -> None:
    assert run(parse(COLLATZ), [27]) == [1, 111]
    assert run(parse(COLLATZ), [1]) == [1, 0]


def test_recursion() -> None:
    graph = parse(
        """graph @fib(%n: i64) on cpu {
          %one = const() {value = 1, type = !i64} : i64
          %two = const() {value = 2, type = !i64} : i64
          %small = le(%n, %one) : bool
          %f = if(%small) : i64 {
            then(): yield %n
            else():
              %a = sub(%n, %one) : i64
              %b = sub(%n, %two) : i64
              %c = call(%a) {callee = @fib} : i64
              %d = call(%b) {callee = @fib} : i64
              %e = add(%c, %d) : i64
              yield %e
          }
          yield %f }"""
    )
    assert run(graph, [12]) == [144]


def test_inputs_are_not_changed_and_sizes_may_be_computed() -> None:
    graph = parse(
        """graph @f(%x: inout f64[n], %k: i64) on cpu {
          %zero = const() {value = 0, type = !i64} : i64
          %one = const() {value = 1, type = !i64} : i64
          %half = const() {value = 0.5, type = !f64} : f64
          %y = index_update(%x, %half, %zero) : f64[n]
          %v = vread(%y, %zero, %one, %k) : f64[%k]
          yield %v, %y }"""
    )
    x = np.array([1.0, 2.0, 3.0])
    v, y = run(graph, [x, 2])
    np.testing.assert_array_equal(x, [1, 2, 3])
    np.testing.assert_array_equal(v, [0.5, 2])
    np.testing.assert_array_equal(y, [0.5, 2, 3])


def test_host_scalars_keep_their_dtype_and_wrap() -> None:
    graph = parse("graph @f(%a: i8, %b: f32) on cpu { %c = add(%a, %a) : i8 %d = mul(%b, %b) : f32 yield %c, %d }")
    c, d = run(graph, [100, 0.1])
    assert (c, c.dtype) == (-56, np.int8)
    assert (d, d.dtype) == (np.float32(0.1) * np.float32(0.1), np.float32)


def test_checks_raise_what_python_would() -> None:
    graph = parse(
        """graph @f(%p: bool, %i: i64) on cpu {
          check(%p, %i) {kind = "IndexError", message = "index {0} is out of bounds"}
          yield }"""
    )
    assert run(graph, [True, 3]) == []
    with pytest.raises(IndexError, match="^index 3 is out of bounds$"):
        run(graph, [False, 3])


def test_print_goes_to_standard_output_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    graph = parse(
        """graph @f(%n: i64) on cpu {
          %true = const() {value = True, type = !bool} : bool
          loop(%n, %true) { body(%i: i64): print(%i) {template = "{0};"} yield %true }
          yield }"""
    )
    run(graph, [3])
    assert capsys.readouterr().out == "0;1;2;"


def test_lists_grow_and_shrink() -> None:
    graph = parse(
        """graph @f(%n: i64) on cpu {
          %true = const() {value = True, type = !bool} : bool
          %l = list_new() {element = !i64} : list<i64>
          %m = loop(%n, %true, %l) : list<i64> {
            body(%i: i64, %k: list<i64>):
              %k1 = list_push(%k, %i) : list<i64>
              yield %true, %k1
          }
          %size = list_len(%m) : i64
          %rest, %last = list_pop(%m) : list<i64>, i64
          yield %size, %last, %rest }"""
    )
    assert run(graph, [4]) == [4, 3, [0, 1, 2]]


def test_custom_runs_its_primal_block_and_fused_its_body() -> None:
    graph = parse(
        """graph @f(%x: f64) on cpu {
          %y = custom(%x) {name = "twice"} : f64 {
            primal(%a: f64): %b = add(%a, %a) : f64 yield %b
            forward(%a: f64): %b = add(%a, %a) : f64 yield %b
            backward(%g: f64): yield %g
          }
          %z = fused() : f64 { body(): %n = neg(%y) : f64 yield %n }
          yield %z }"""
    )
    assert run(graph, [3.0]) == [-6.0]


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ([np.zeros(3)], TypeError, "takes 2 inputs, got 1"),
        ([np.zeros(3), np.zeros(4)], ValueError, r"input %y: shape \(4,\) is not that of f64\[n\]"),
        ([np.zeros(3, "f4"), np.zeros(3)], TypeError, r"input %x: float32\[3\] is not f64\[n\]"),
        ([np.zeros((3, 1)), np.zeros(3)], TypeError, r"input %x: float64\[3, 1\] is not f64\[n\]"),
    ],
)
def test_inputs_are_checked(inputs: list[object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(parse("graph @f(%x: f64[n], %y: f64[n]) on cpu { yield %x }"), inputs)
