"""Reverse mode through `if` and `loop`, against central differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.transforms.derivatives import check_derive, check_orders, element_operations, gradient_graph, program
from tracejit.ir.core import Graph, walk
from tracejit.ir.types import TensorType
from tracejit.transforms.derivatives.vjp import derive

P = np.array([0.3, 0.2, 0.1, 0.5, -0.4])
W = np.array([1.3, -0.7, 0.4])
M = np.array([[0.2, -0.3, 0.5], [0.7, 0.1, -0.2], [-0.4, 0.6, 0.3]])

STRAIGHT = """
graph @f(%x: f64[n], %w: f64[n]) on cpu {
  %y = mul(%x, %w) : f64[n]
  %t = tanh(%y) : f64[n]
  %z = mul(%t, %t) : f64[n]
  %s = sum(%z) {axes = (0,)} : f64[]
  %r = fetch(%s) : f64
  yield %r, %y
}
"""

MATRICES = """
graph @f(%x: f64[n, 3], %a: f64[3, 3], %b: f64[3]) on cpu {
  %n = dim(%x) {axis = 0} : i64
  %k = const() {value = 3, type = !i64} : i64
  %h = matmul(%x, %a) : f64[n, 3]
  %bb = broadcast(%b, %n, %k) : f64[n, 3]
  %u = add(%h, %bb) : f64[n, 3]
  %t = sigmoid(%u) : f64[n, 3]
  %y = matmul(%t, %a) : f64[n, 3]
  %m = max(%y) {axes = (1,)} : f64[n]
  %s = sum(%m) {axes = (0,)} : f64[]
  %p = prod(%b) {axes = (0,)} : f64[]
  %q = mul(%s, %p) : f64[]
  yield %q
}
"""

BRANCHES = """
graph @f(%x: f64, %y: f64[n], %flag: bool) on cpu {
  %zero = const() {value = 0, type = !f64} : f64
  %up = gt(%x, %zero) : bool
  %a, %b = if(%up) : f64, f64[n] {
    then():
      %e = exp(%x) : f64
      %n = dim(%y) {axis = 0} : i64
      %eb = broadcast(%e, %n) : f64[n]
      %v = mul(%y, %eb) : f64[n]
      %c, %d = if(%flag) : f64, f64[n] {
        then():
          %s = sin(%e) : f64
          yield %s, %y
        else():
          %sq = sin(%v) : f64[n]
          yield %x, %sq
      }
      yield %c, %d
    else():
      %t = tanh(%y) : f64[n]
      %sx = mul(%x, %x) : f64
      yield %sx, %t
  }
  %m = mul(%b, %y) : f64[n]
  %s1 = sum(%m) {axes = (0,)} : f64[]
  %s2 = fetch(%s1) : f64
  %r = mul(%s2, %a) : f64
  yield %r
}
"""

RECURRENCE = """
graph @recurrence(%P: f64[n], %w: f64, %m: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %one = const() {value = 1, type = !i64} : i64
  %Q = loop(%m, %true, %P) : f64[n] {
    body(%i: i64, %p: f64[n]):
      %a = fetch(%p, %i) : f64
      %b = mul(%a, %w) : f64
      %h = tanh(%b) : f64
      %j = add(%i, %one) : i64
      %q = index_update(%p, %h, %j) : f64[n]
      yield %true, %q
  }
  %s = sum(%Q) {axes = (0,)} : f64[]
  yield %s, %Q
}
"""

WHILE = """
graph @f(%x: f64, %w: f64, %limit: i64) on cpu {
  %max = const() {value = 9223372036854775807, type = !i64} : i64
  %bound = cast(%limit) {dtype = !f64} : f64
  %go0 = lt(%x, %bound) : bool
  %y, %z = loop(%max, %go0, %x, %w) : f64, f64 {
    body(%i: i64, %a: f64, %b: f64):
      %c = mul(%a, %w) : f64
      %s = sin(%b) : f64
      %d = add(%c, %s) : f64
      %small = lt(%d, %w) : bool
      %e, %f = if(%small) : f64, f64 {
        then():
          %u = mul(%d, %d) : f64
          %v = tanh(%u) : f64
          yield %v, %c
        else():
          %k = sqrt(%d) : f64
          %kk = mul(%k, %w) : f64
          yield %d, %kk
      }
      %n = add(%e, %d) : f64
      %go = lt(%n, %bound) : bool
      yield %go, %n, %f
  }
  %r = mul(%y, %z) : f64
  %q = mul(%r, %w) : f64
  yield %q
}
"""

TRIANGLE = """
graph @f(%A: f64[n, n], %x: f64[n], %m: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %one = const() {value = 1, type = !i64} : i64
  %zero = const() {value = 0, type = !f64} : f64
  %y = loop(%m, %true, %x) : f64[n] {
    body(%i: i64, %p: f64[n]):
      %limit = add(%i, %one) : i64
      %acc = loop(%limit, %true, %zero) : f64 {
        body(%j: i64, %s: f64):
          %a = fetch(%A, %i, %j) : f64
          %v = fetch(%p, %j) : f64
          %av = mul(%a, %v) : f64
          %t = sin(%av) : f64
          %u = mul(%t, %a) : f64
          %big = gt(%u, %zero) : bool
          %k = if(%big) : f64 {
            then():
              %e = exp(%u) : f64
              yield %e
            else():
              %c = mul(%s, %u) : f64
              yield %c
          }
          %s2 = add(%s, %k) : f64
          yield %true, %s2
      }
      %r = tanh(%acc) : f64
      %q = index_update(%p, %r, %i) : f64[n]
      yield %true, %q
  }
  %ss = sum(%y) {axes = (0,)} : f64[]
  yield %ss, %y
}
"""

MATRIX_POWER = """
graph @f(%A: f64[3, 3], %x: f64[3], %m: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %k = const() {value = 3, type = !i64} : i64
  %one = const() {value = 1, type = !i64} : i64
  %col = reshape(%x, %k, %one) : f64[3, 1]
  %y = loop(%m, %true, %col) : f64[3, 1] {
    body(%i: i64, %h: f64[3, 1]):
      %p = matmul(%A, %h) : f64[3, 1]
      %t = tanh(%p) : f64[3, 1]
      yield %true, %t
  }
  %h2 = mul(%y, %col) : f64[3, 1]
  %s = sum(%h2) {axes = (0, 1)} : f64[]
  yield %s
}
"""

GROWING = """
graph @f(%x: f64[n], %m: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %one = const() {value = 1, type = !i64} : i64
  %n = dim(%x) {axis = 0} : i64
  %k, %y = loop(%m, %true, %n, %x) : i64, f64[%k] {
    body(%i: i64, %size: i64, %v: f64[%size]):
      %last = fetch(%v, %i) : f64
      %b = broadcast(%last, %one) : f64[1]
      %next = add(%size, %one) : i64
      %more = cat(%next, %v, %b) {axis = 0} : f64[%next]
      %s = sin(%more) : f64[%next]
      %sq = mul(%s, %more) : f64[%next]
      yield %true, %next, %sq
  }
  %s0 = sum(%y) {axes = (0,)} : f64[]
  yield %s0
}
"""

ROWS = """
graph @f(%A: f64[3, n], %w: f64[n], %m: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %one = const() {value = 1, type = !i64} : i64
  %n = dim(%w) {axis = 0} : i64
  %B = loop(%m, %true, %A) : f64[3, n] {
    body(%i: i64, %p: f64[3, n]):
      %at = mul(%i, %n) : i64
      %row = vread(%p, %at, %one, %n) : f64[n]
      %u = mul(%row, %w) : f64[n]
      %v = sin(%u) : f64[n]
      %next = add(%at, %n) : i64
      %q = vwrite(%p, %v, %next, %one) : f64[3, n]
      yield %true, %q
  }
  %s = sum(%B) {axes = (0, 1)} : f64[]
  yield %s, %B
}
"""

LISTS = """
graph @f(%x: f64, %w: f64, %m: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %l0 = list_new() {element = !f64} : list<f64>
  %one = const() {value = 1, type = !i64} : i64
  %l1 = list_push(%l0, %x) : list<f64>
  %l2, %h = loop(%m, %true, %l1, %x) : list<f64>, f64 {
    body(%i: i64, %l: list<f64>, %a: f64):
      %g = list_get(%l, %i) : f64
      %b = mul(%a, %w) : f64
      %c = mul(%b, %g) : f64
      %d = sin(%c) : f64
      %lp = list_push(%l, %d) : list<f64>
      yield %true, %lp, %d
  }
  %len = list_len(%l2) : i64
  %zero = const() {value = 0, type = !f64} : f64
  %l3, %t = loop(%len, %true, %l2, %zero) : list<f64>, f64 {
    body(%i: i64, %l: list<f64>, %acc: f64):
      %lr, %v = list_pop(%l) : list<f64>, f64
      %vv = mul(%v, %v) : f64
      %acc1 = mul(%acc, %w) : f64
      %acc2 = add(%acc1, %vv) : f64
      yield %true, %lr, %acc2
  }
  yield %t
}
"""

REPLACED = """
graph @f(%x: f64, %w: f64, %m: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %zero = const() {value = 0, type = !i64} : i64
  %l0 = list_new() {element = !f64} : list<f64>
  %l1 = list_push(%l0, %x) : list<f64>
  %l2 = list_push(%l1, %w) : list<f64>
  %l3, %h = loop(%m, %true, %l2, %x) : list<f64>, f64 {
    body(%i: i64, %l: list<f64>, %a: f64):
      %old = list_get(%l, %zero) : f64
      %b = mul(%old, %a) : f64
      %c = sin(%b) : f64
      %ls = list_set(%l, %zero, %c) : list<f64>
      %lp = list_push(%ls, %b) : list<f64>
      yield %true, %lp, %c
  }
  %r, %v = list_pop(%l3) : list<f64>, f64
  %u = list_get(%r, %zero) : f64
  %p = mul(%u, %v) : f64
  %q = mul(%p, %h) : f64
  yield %q
}
"""

OVERWRITTEN = """
graph @f(%x: f64[n], %w: f64, %m: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %n = dim(%x) {axis = 0} : i64
  %last, %kept = loop(%m, %true, %x, %w) : f64[n], f64 {
    body(%i: i64, %p: f64[n], %q: f64):
      %f = cast(%i) {dtype = !f64} : f64
      %g = mul(%f, %w) : f64
      %h = mul(%g, %w) : f64
      %b = broadcast(%h, %n) : f64[n]
      %r = mul(%b, %x) : f64[n]
      yield %true, %r, %w
  }
  %s = sum(%last) {axes = (0,)} : f64[]
  %s1 = fetch(%s) : f64
  %t = mul(%s1, %kept) : f64
  yield %t
}
"""

TWICE = """
graph @f(%x: f64[n], %m: i64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %y, %z = loop(%m, %true, %x, %x) : f64[n], f64[n] {
    body(%i: i64, %a: f64[n], %b: f64[n]):
      %c = mul(%a, %b) : f64[n]
      yield %true, %b, %c
  }
  %p = mul(%y, %y) : f64[n]
  %q = mul(%p, %z) : f64[n]
  %s = sum(%q) {axes = (0,)} : f64[]
  yield %s
}
"""

#: Rows of a matrix beside a vector, whose sizes were found equal in the loop.
RENAMED = """
graph @f(%x: f64[n, m], %a: f64[l]) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %one = const() {value = 1, type = !i64} : i64
  %n = dim(%x) {axis = 0} : i64
  %l = dim(%a) {axis = 0} : i64
  %b = loop(%n, %true, %a) : f64[l] {
    body(%i: i64, %p: f64[l]):
      %y = broadcast(%x, %n, %l) {exact = True} : f64[n, l]
      %at = mul(%i, %l) : i64
      %row = vread(%y, %at, %one, %l) : f64[l]
      %q = mul(%p, %row) : f64[l]
      yield %true, %q
  }
  %s = sum(%b) {axes = (0,)} : f64[]
  %r = fetch(%s) : f64
  yield %r
}
"""

GATHERED = """
graph @f(%x: f64[n, m], %a: f64[l], %numbers: i64[k]) on cpu {
  %n = dim(%x) {axis = 0} : i64
  %l = dim(%a) {axis = 0} : i64
  %k = dim(%numbers) {axis = 0} : i64
  %y = broadcast(%x, %n, %l) {exact = True} : f64[n, l]
  %rows = gather(%y, %numbers) {axis = 0} : f64[k, l]
  %b = broadcast(%a, %k, %l) : f64[k, l]
  %q = mul(%rows, %b) : f64[k, l]
  %r = mul(%q, %rows) : f64[k, l]
  %s = sum(%r) {axes = (0, 1)} : f64[]
  %t = fetch(%s) : f64
  yield %t
}
"""


@pytest.mark.parametrize("order", [1, 2, 3])
def test_straight_line_program(order: int) -> None:
    check_orders(STRAIGHT, W, W[::-1].copy(), order=order, rtol=1e-4)


def test_several_results_have_cotangents() -> None:
    check_derive(STRAIGHT, W, W[::-1].copy())
    check_derive(STRAIGHT, W, W[::-1].copy(), results=[1])


def test_products_of_matrices_and_reductions() -> None:
    check_derive(MATRICES, M[:2] * 2, M, W)
    check_orders(MATRICES, M[:2] * 2, M, W, order=2)


@pytest.mark.parametrize("x", [0.7, -0.8])
@pytest.mark.parametrize("flag", [True, False])
def test_nested_branches(x: float, flag: bool) -> None:
    check_derive(BRANCHES, x, W, flag)
    check_orders(BRANCHES, x, W, flag, order=3, atol=1e-5)


@pytest.mark.parametrize("trips", [0, 1, 2, 4])
def test_element_writes_in_a_loop(trips: int) -> None:
    check_derive(RECURRENCE, P, 1.3, trips)
    check_orders(RECURRENCE, P, 1.3, trips, order=3, atol=1e-5)


@pytest.mark.parametrize("limit", [0, 1, 3, 6, 10, 20])
def test_while_with_a_branch(limit: int) -> None:
    check_derive(WHILE, 0.7, 1.3, limit)
    check_orders(WHILE, 0.7, 1.3, limit, order=2, atol=1e-4)


@pytest.mark.parametrize("trips", [0, 1, 2, 3])
def test_triangular_nest(trips: int) -> None:
    check_derive(TRIANGLE, M, W, trips)
    check_orders(TRIANGLE, M, W, trips, order=2, atol=1e-5)


@pytest.mark.parametrize("trips", [0, 1, 3])
def test_carried_matrices(trips: int) -> None:
    check_derive(MATRIX_POWER, M, W, trips)
    check_orders(MATRIX_POWER, M, W, trips, order=2)


@pytest.mark.parametrize("trips", [0, 1, 3])
def test_carried_array_that_grows(trips: int) -> None:
    check_derive(GROWING, P[:3], trips)
    check_orders(GROWING, P[:3], trips, order=2)


@pytest.mark.parametrize("trips", [0, 1, 2])
def test_views_read_and_written(trips: int) -> None:
    check_derive(ROWS, M, W, trips)
    check_orders(ROWS, M, W, trips, order=2)


@pytest.mark.parametrize("trips", [0, 1, 3])
def test_user_lists(trips: int) -> None:
    check_derive(LISTS, 0.7, 1.2, trips)
    check_orders(LISTS, 0.7, 1.2, trips, order=3, atol=1e-4)


@pytest.mark.parametrize("trips", [0, 1, 3])
def test_list_elements_replaced(trips: int) -> None:
    check_derive(REPLACED, 0.7, 1.2, trips)
    check_orders(REPLACED, 0.7, 1.2, trips, order=2)


@pytest.mark.parametrize("trips", [0, 1, 3])
def test_carried_values_overwritten_and_replaced_by_captures(trips: int) -> None:
    check_derive(OVERWRITTEN, W, 0.8, trips)
    check_orders(OVERWRITTEN, W, 0.8, trips)


@pytest.mark.parametrize("trips", [0, 1, 2, 3])
def test_same_value_carried_twice(trips: int) -> None:
    check_derive(TWICE, W, trips)
    check_orders(TWICE, W, trips, order=2)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_element_writes_cost_linear_time_at_every_order(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = program(RECURRENCE)
    for _ in range(order):
        graph = first_slope_summed(gradient_graph(graph, [0, 1]))
    costs = [element_operations(graph, [np.linspace(0.1, 0.5, n + 1), 1.1, n], monkeypatch) for n in (100, 200, 400)]
    per_trip = (costs[1] - costs[0]) / 100
    assert costs[2] - costs[1] == 200 * per_trip
    assert per_trip < (10, 40, 120)[order]


def test_rows_under_another_name_for_their_size_cost_rows() -> None:
    check_derive(RENAMED, M, W)
    check_orders(RENAMED, M, W, order=2)
    ops = ops_in_loops(derive(program(RENAMED), [0, 1]).backward)
    made = {op.name for op in ops for r in op.results if isinstance(r.type, TensorType) and r.type.rank == 2}
    assert made == {"broadcast", "vadd"}
    assert not [op for op in ops if op.name == "broadcast" and op.operands[0].type.rank != 2]


def test_rows_by_numbers_under_another_name_for_their_size() -> None:
    check_derive(GATHERED, M, W, np.array([2, 0, 2, 1]))


def first_slope_summed(graph: Graph) -> Graph:
    from tracejit.ir.builder import Builder
    from tracejit.ir.core import Block

    b = Builder()
    total = b.sum(b.wrap(graph.results[-2]), axes=(0,))
    return Graph("slope", Block(graph.params, (*graph.body.ops, *b.ops), (total.value,)))


def ops_in_loops(graph: Graph) -> list[Any]:
    return [op for outer in walk(graph.body) if outer.name == "loop" for block in outer.blocks for op in walk(block)]


def test_no_array_is_filled_in_the_backward_loop() -> None:
    backward = derive(program(RECURRENCE), [0, 1]).backward
    assert not [op for op in ops_in_loops(backward) if op.name == "broadcast"]
