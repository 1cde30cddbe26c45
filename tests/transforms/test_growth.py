"""By how much loops are seen to move what they carry, and what is known of it all the same."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

import tracejit as tj
from tracejit.ir.core import walk
from tracejit.ir.parser import parse
from tracejit.transforms.numbers.growth import Growth

GRAPH = """
graph @f(%n: i64, %t: f64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %zero = const() {value = 0, type = !i64} : i64
  %one = const() {value = 1, type = !i64} : i64
  %two = const() {value = 2, type = !i64} : i64
  %half = const() {value = 0.5, type = !f64} : f64
  %above = gt(%t, %half) : bool
  %a, %b, %c, %d = loop(%n, %true, %zero, %n, %zero, %n) : i64, i64, i64, i64 {
    body(%i: i64, %a.1: i64, %b.1: i64, %c.1: i64, %d.1: i64):
      %a.2 = loop(%n, %true, %a.1) : i64 {
        body(%j: i64, %a.3: i64):
          %a.4 = if(%above) : i64 {
            then():
              %a.5 = checked_add(%a.3, %one) : i64
              yield %a.5
            else():
              yield %a.3
          }
          yield %true, %a.4
      }
      %b.2 = sub(%b.1, %two) : i64
      %small = lt(%c.1, %n) : bool
      %c.2 = if(%small) : i64 {
        then():
          %c.3 = add(%c.1, %one) : i64
          yield %c.3
        else():
          yield %c.1
      }
      yield %true, %a.2, %b.2, %c.2, %d.1
  }
  yield %a, %b, %c, %d
}
"""


def test_what_grows_in_inner_loops_falls_is_held_by_a_comparison_or_stays() -> None:
    graph = parse(GRAPH)
    growth = Growth({r: op for op in walk(graph.body) for r in op.results})
    loop = next(op for op in graph.body.ops if op.name == "loop")
    assert [(growth.of(loop, place, 1), growth.of(loop, place, -1)) for place in range(4)] == [
        (inf, 0),
        (-2, 2),
        (-inf, -inf),
        (0, 0),
    ]


def stack(x: Any) -> Any:
    """A stack in an array: its top rises and falls, but not below 0."""
    kept, top = np.zeros(x.size), 0
    for i in range(x.size):
        while top > 0 and kept[top - 1] > x[i]:
            top -= 1
        kept[top] = x[i]
        top += 1
    return kept, top


def test_places_that_rise_and_fall_are_still_in_bounds() -> None:
    x = np.random.default_rng(0).normal(size=200)
    made = tj.script(stack)
    kept, top = made(x)
    expected, height = stack(x)
    np.testing.assert_array_equal(kept, expected)
    assert top == height
