"""What adds to an element leaves its cotangent where it is; all other writes take it away."""

from __future__ import annotations

import numpy as np
import pytest

from tests.transforms import random_places
from tests.transforms.derivatives import check_derive, check_orders, gradient_graph, program
from tracejit.ir import interpreter
from tracejit.ir.core import walk
from tracejit.transforms.derivatives.accumulations import Accumulations
from tracejit.transforms.expand_gradient import value_and_grad_graph

#: A loop over a vector that reads `%x` at `{read}`, and writes `%z` at `%i` into the version `{into}`.
LOOP = """
graph @f(%P: f64[7], %c: f64[7], %w: f64) on cpu {{
  %true = const() {{value = True, type = !bool}} : bool
  %one = const() {{value = 1, type = !i64}} : i64
  %six = const() {{value = 6, type = !i64}} : i64
  %Q, %last = loop(%six, %true, %P, %w) : f64[7], f64 {{
    body(%k: i64, %p: f64[7], %t: f64):
      %i = add(%k, %one) : i64
      %j = add(%k, %one) : i64
      %old = fetch(%p, {read}) : f64
      %b = fetch(%c, %k) : f64
      {value}
      %q = index_update(%p, %z, %i) : f64[7]
      yield %true, %q, {carried}
  }}
  %two = mul(%Q, %Q) : f64[7]
  %s = sum(%two) {{axes = (0,)}} : f64[]
  %s1 = fetch(%s) : f64
  %r = mul(%s1, %last) : f64
  yield %r
}}
"""
PLUS = "%z = add(%old, %b) : f64"
BEHIND = "%y = sin(%b) : f64  %z = add(%y, %old) : f64"
MINUS = "%z = sub(%old, %b) : f64"
FROM = "%z = sub(%b, %old) : f64"
TWICE = "%y = mul(%b, %w) : f64  %u = sub(%old, %y) : f64  %z = add(%u, %b) : f64"
SQUARE = "%y = mul(%old, %b) : f64  %z = add(%old, %y) : f64"
DOUBLE = "%z = add(%old, %old) : f64"
INPUTS = (np.linspace(-1.0, 0.8, 7), np.linspace(0.3, 1.1, 7), 0.7)


@pytest.mark.parametrize(
    ("read", "value", "carried", "kept"),
    [
        pytest.param("%i", PLUS, "%b", True, id="plus"),
        pytest.param("%j", PLUS, "%b", True, id="an index made alike"),
        pytest.param("%i", BEHIND, "%b", True, id="behind the plus"),
        pytest.param("%i", MINUS, "%b", True, id="minus"),
        pytest.param("%i", TWICE, "%b", True, id="twice"),
        pytest.param("%i", FROM, "%b", False, id="with another sign"),
        pytest.param("%k", PLUS, "%b", False, id="another element"),
        pytest.param("%i", PLUS, "%z", False, id="the sum is used elsewhere"),
        pytest.param("%i", PLUS, "%old", False, id="what was read is used elsewhere"),
        pytest.param("%i", SQUARE, "%b", False, id="what was read is added too"),
        pytest.param("%i", DOUBLE, "%b", False, id="added to itself"),
    ],
)
def test_what_adds_to_an_element(read: str, value: str, carried: str, kept: bool) -> None:
    text = LOOP.format(read=read, value=value, carried=carried)
    both = gradient_graph(program(text), [0, 1, 2])
    writes = [op for op in walk(both.body) if op.name == "index_update"]
    assert len(writes) == (1 if kept else 2)  # the backward writes zeros for those that replace an element
    check_derive(text, *INPUTS)
    check_orders(text, *INPUTS, order=2, rtol=1e-4)


@pytest.mark.parametrize("seed", range(100, 140))
def test_random_places(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients are those that the rules of the parts give."""
    graph, inputs = program(random_places.program(seed)), random_places.inputs(seed)
    found = interpreter.run(value_and_grad_graph(graph, [0, 1, 2]), inputs)
    monkeypatch.setattr(Accumulations, "adds", lambda *_: False)
    expected = interpreter.run(value_and_grad_graph(graph, [0, 1, 2]), inputs)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


INTEGERS = """
graph @f(%p: f64[5], %x: u64[5], %m: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %three = const() {value = 3, type = !u64} : u64
  %y, %q = loop(%m, %true, %x, %p) : u64[5], f64[5] {
    body(%i: i64, %x1: u64[5], %p1: f64[5]):
      %a = fetch(%x1, %i) : u64
      %b = mul(%a, %three) : u64
      %x2 = index_update(%x1, %b, %i) : u64[5]
      %c = fetch(%p1, %i) : f64
      %d = mul(%c, %c) : f64
      %p2 = index_update(%p1, %d, %i) : f64[5]
      yield %true, %x2, %p2
  }
  %s = sum(%q) {axes = (0,)} : f64[]
  yield %s
}
"""


def test_integers_are_not_differentiated() -> None:
    check_derive(INTEGERS, INPUTS[0][:5], np.arange(5, dtype="uint64"), 4)
