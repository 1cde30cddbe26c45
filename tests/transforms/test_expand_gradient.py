"""`gradient` ops in any block, nested gradients, functions with their own derivative, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tests.transforms.derivatives import check_derive, check_orders, program
from tracejit.errors import NotDifferentiable
from tracejit.ir import interpreter
from tracejit.ir.core import Graph, walk
from tracejit.ir.verifier import verify
from tracejit.transforms.derivatives.vjp import derive
from tracejit.transforms.expand_gradient import expand_gradient, value_and_grad_graph

DESCENT = """
graph @descent(%w: f64[n], %x: f64[n], %steps: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %rate = const() {value = 0.1, type = !f64} : f64
  %one = const() {value = 1, type = !f64} : f64
  %n = dim(%w) {axis = 0} : i64
  %rates = broadcast(%rate, %n) : f64[n]
  %r, %l = loop(%steps, %true, %w, %one) : f64[n], f64 {
    body(%i: i64, %p: f64[n], %before: f64):
      %v = leaf(%p) : f64[n]
      %h = loop(%steps, %true, %v) : f64[n] {
        body(%j: i64, %a: f64[n]):
          %b = mul(%a, %x) : f64[n]
          %c = tanh(%b) : f64[n]
          yield %true, %c
      }
      %hh = mul(%h, %h) : f64[n]
      %s = sum(%hh) {axes = (0,)} : f64[]
      %loss = fetch(%s) : f64
      %g = gradient(%loss, %one, %v) : f64[n]
      %d = mul(%g, %rates) : f64[n]
      %q = sub(%p, %d) : f64[n]
      yield %true, %q, %loss
  }
  yield %l, %r
}
"""

NESTED = """
graph @nested(%x: f64, %w: f64) on cpu {
  %one = const() {value = 1, type = !f64} : f64
  %a = leaf(%x) : f64
  %s = mul(%a, %w) : f64
  %t = sin(%s) : f64
  %u = mul(%t, %a) : f64
  %g = gradient(%u, %one, %a) : f64
  %gg = mul(%g, %g) : f64
  %h, %hw = gradient(%gg, %one, %a, %w) : f64, f64
  yield %g, %h, %hw
}
"""

CUSTOM = """
graph @f(%x: f64, %w: f64) on cpu {
  %y = custom(%x, %w) {name = "clipped"} : f64 {
    primal(%a: f64, %b: f64):
      %p = mul(%a, %b) : f64
      yield %p
    forward(%a: f64, %b: f64):
      %p = mul(%a, %b) : f64
      yield %p, %a
    backward(%a: f64, %g: f64):
      %seven = const() {value = 7, type = !f64} : f64
      %da = mul(%g, %seven) : f64
      %db = mul(%a, %da) : f64
      yield %da, %db
  }
  %z = mul(%y, %y) : f64
  yield %z
}
"""

ACROSS_TRIPS = """
graph @f(%x: f64, %m: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %one = const() {value = 1, type = !f64} : f64
  %h, %g = loop(%m, %true, %x, %one) : f64, f64 {
    body(%i: i64, %a: f64, %before: f64):
      %b = mul(%a, %x) : f64
      %d = gradient(%b, %one, %x) : f64
      yield %true, %b, %d
  }
  yield %g
}
"""

CAPTURED = """
graph @f(%x: f64, %m: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %one = const() {value = 1, type = !f64} : f64
  %sq = mul(%x, %x) : f64
  %g = loop(%m, %true, %one) : f64 {
    body(%i: i64, %before: f64):
      %b = mul(%before, %sq) : f64
      %c = mul(%sq, %sq) : f64
      %d = gradient(%c, %before, %x) : f64
      %e = add(%d, %before) : f64
      yield %true, %e
  }
  yield %g
}
"""

EFFECTS = """
graph @f(%x: f64[n], %m: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %zero = const() {value = 0, type = !f64} : f64
  %y = loop(%m, %true, %zero) : f64 {
    body(%i: i64, %s: f64):
      %n = dim(%x) {axis = 0} : i64
      %ok = lt(%i, %n) : bool
      check(%ok, %i) {kind = "IndexError", message = "index {0}"}
      %v = fetch(%x, %i) : f64
      %vv = mul(%v, %v) : f64
      print(%vv) {template = "{0}\\n"}
      %t = add(%s, %vv) : f64
      yield %true, %t
  }
  yield %y
}
"""

SINGULAR = """
graph @f(%x: f64) on cpu {
  %zero = const() {value = 0, type = !f64} : f64
  %root = sqrt(%x) : f64
  %log = log(%x) : f64
  %both = mul(%root, %log) : f64
  %off = gt(%x, %zero) : bool
  %y = select(%off, %both, %x) : f64
  yield %y
}
"""

WHOLE = """
graph @f(%x: f64[n], %k: i64[n]) on cpu {
  %i = argmax(%x) {axis = 0} : i64
  %y = argsort(%x) {axis = 0} : i64[n]
  yield %i
}
"""


def names(graph: Graph) -> list[str]:
    return [op.name for op in walk(graph.body)]


def test_gradient_in_a_loop_body_trains() -> None:
    graph = program(DESCENT)
    expanded = expand_gradient(graph)
    verify(expanded, "expand-gradient")
    assert not {"gradient", "leaf"} & set(names(expanded))
    w, x = np.array([0.5, -0.4, 0.9]), np.array([1.1, 0.7, -0.6])
    losses = [interpreter.run(expanded, [w, x, steps])[0] for steps in (2, 4, 8)]
    assert losses[0] > losses[1] > losses[2] > 0


def test_training_loop_is_differentiable_itself() -> None:
    graph = expand_gradient(program(DESCENT))
    check_orders(str(graph), np.array([0.5, -0.4, 0.9]), np.array([1.1, 0.7, -0.6]), 3, order=1)


def test_gradient_of_a_gradient() -> None:
    expanded = expand_gradient(program(NESTED))
    verify(expanded, "expand-gradient")
    x, w = 0.8, 1.3
    g, h, hw = interpreter.run(expanded, [x, w])
    s, c = np.sin(x * w), np.cos(x * w)
    slope = x * w * c + s
    assert g == pytest.approx(slope)
    assert h == pytest.approx(2 * slope * (2 * w * c - x * w * w * s))
    assert hw == pytest.approx(2 * slope * (2 * x * c - x * x * w * s))


def test_gradient_by_values_of_an_enclosing_block() -> None:
    expanded = expand_gradient(program(CAPTURED))
    verify(expanded, "expand-gradient")
    (found,) = interpreter.run(expanded, [1.1, 3])
    assert found == pytest.approx((1 + 4 * 1.1**3) ** 3)


def test_gradient_through_earlier_trips() -> None:
    expanded = expand_gradient(program(ACROSS_TRIPS))
    verify(expanded, "expand-gradient")
    (found,) = interpreter.run(expanded, [1.1, 3])
    assert found == pytest.approx(4 * 1.1**3)


def test_custom_function_keeps_its_own_derivative() -> None:
    derivative = derive(program(CUSTOM), [0, 1])
    *_, residuals = [interpreter.run(derivative.forward, [2.0, 3.0])]
    found = interpreter.run(derivative.backward, [*residuals[1:], 1.0])
    assert found == [2 * 6.0 * 7, 2 * 6.0 * 7 * 2.0]


def test_effects_happen_once(capsys: pytest.CaptureFixture[str]) -> None:
    both = value_and_grad_graph(program(EFFECTS), [0])
    value, slope = interpreter.run(both, [np.array([1.0, 2.0, 3.0]), 2])
    assert value == 5.0
    np.testing.assert_array_equal(slope, [2.0, 4.0, 0.0])
    assert capsys.readouterr().out == "1.0\n4.0\n"
    with pytest.raises(IndexError, match="index 3"):
        interpreter.run(both, [np.array([1.0, 2.0, 3.0]), 5])


def test_side_that_was_not_taken_contributes_nothing() -> None:
    both = value_and_grad_graph(program(SINGULAR), [0])
    with np.errstate(all="ignore"):
        assert interpreter.run(both, [-1.0])[1] == 1.0
        assert interpreter.run(both, [0.0])[1] == 1.0


def test_integer_result_has_no_gradient() -> None:
    graph = program("graph @f(%x: f64, %k: i64) on cpu { yield %k, %x }")
    with pytest.raises(NotDifferentiable, match="%k is i64"):
        value_and_grad_graph(graph, [0])
    with pytest.raises(NotDifferentiable, match="%k is i64"):
        value_and_grad_graph(program("graph @f(%x: f64, %k: i64) on cpu { yield %x }"), [1])


def test_array_replaced_in_a_list() -> None:
    text = """
    graph @f(%x: f64, %y: f64[n]) on cpu {
      %l0 = list_new() {element = !f64[?]} : list<f64[?]>
      %l1 = list_push(%l0, %y) : list<f64[?]>
      %zero = const() {value = 0, type = !i64} : i64
      %n = dim(%y) {axis = 0} : i64
      %l2 = list_set(%l1, %zero, %y) : list<f64[?]>
      %v = list_get(%l2, %zero, %n) : f64[n]
      %w = fetch(%v, %zero) : f64
      %z = mul(%x, %x) : f64
      yield %RESULT
    }
    """
    for result in "zw":
        check_derive(text.replace("RESULT", result), 2.0, np.array([3.0, 4.0]))


def test_parameter_that_does_not_matter_has_gradient_zero() -> None:
    graph = program("graph @f(%x: f64, %y: f64[n]) on cpu { %z = mul(%x, %x) : f64 yield %z }")
    value, dx, dy = interpreter.run(value_and_grad_graph(graph, [0, 1]), [3.0, np.ones(4)])
    assert (value, dx) == (9.0, 6.0)
    np.testing.assert_array_equal(dy, np.zeros(4))


def test_final_version_of_a_changed_argument_has_a_cotangent() -> None:
    graph = """
    graph @f(%x: inout f64[n], %v: f64) on cpu {
      %one = const() {value = 1, type = !i64} : i64
      %old = fetch(%x, %one) : f64
      %new = mul(%old, %v) : f64
      %y = index_update(%x, %new, %one) : f64[n]
      %t = sin(%new) : f64
      yield %t, %y
    }
    """
    check_derive(graph, np.array([0.2, 0.4, 0.6]), 1.5)


def test_tangent_of_a_loop_and_of_a_gradient() -> None:
    graph = program(
        """
        graph @f(%x: f64, %t: f64, %m: i64) on cpu {
          %true = const() {value = True, type = !bool} : bool
          %one = const() {value = 1, type = !f64} : f64
          %v = leaf(%x) : f64
          %y = loop(%m, %true, %v) : f64 {
            body(%i: i64, %a: f64):
              %s = sin(%a) : f64
              %b = mul(%s, %v) : f64
              yield %true, %b
          }
          %g = gradient(%y, %one, %v) : f64
          %ty = tangent(%y, %v, %t) : f64
          %tg = tangent(%g, %v, %t) : f64
          yield %y, %g, %ty, %tg
        }
        """
    )
    expanded = expand_gradient(graph)
    verify(expanded, "expand-gradient")
    assert not {"gradient", "tangent", "leaf"} & set(names(expanded))
    x, t, step = 1.3, 0.7, 1e-6
    _, g, ty, tg = interpreter.run(expanded, [x, t, 3])
    above, below = (interpreter.run(expanded, [x + d, t, 3]) for d in (step, -step))
    assert ty == pytest.approx(g * t)
    assert g == pytest.approx((above[0] - below[0]) / (2 * step), rel=1e-6)
    assert tg == pytest.approx((above[1] - below[1]) / (2 * step) * t, rel=1e-6)
