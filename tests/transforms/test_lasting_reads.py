"""Elements that a backward finds in the array as the loop left it are not saved; all others are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.transforms import random_places, random_windows
from tests.transforms.derivatives import check_derive, check_orders, gradient_graph, program
from tracejit.ir import interpreter
from tracejit.ir.core import Graph, walk
from tracejit.transforms.derivatives.lasting_reads import LastingReads
from tracejit.transforms.derivatives.vjp import derive
from tracejit.transforms.expand_gradient import value_and_grad_graph

#: A loop over a vector: `{at}` are ops that make the index `%r` to read and `%i` to write, `{body}` ops from `%x` read
#: to `%y` written and the version `%q` behind it.
VECTOR = """
graph @f(%P: f64[7], %w: f64, %n: i64) on cpu {{
  %true = const() {{value = True, type = !bool}} : bool
  %one = const() {{value = 1, type = !i64}} : i64
  %six = const() {{value = 6, type = !i64}} : i64
  %Q = loop(%n, %true, %P) : f64[7] {{
    body(%k: i64, %p: f64[7]):
      {at}
      %x = fetch(%p, %r) : f64
      {body}
      yield %true, %q
  }}
  %two = mul(%Q, %Q) : f64[7]
  %s = sum(%two) {{axes = (0,)}} : f64[]
  yield %s
}}
"""
RISING = "%i = add(%k, %one) : i64  %r = sub(%i, %one) : i64"
FALLING = "%i = sub(%six, %k) : i64  %r = sub(%i, %one) : i64"
SAME = "%i = add(%k, %one) : i64  %r = add(%k, %one) : i64"
TANH = "%m = mul(%x, %w) : f64  %y = tanh(%m) : f64  %q = index_update(%p, %y, %i) : f64[7]"
SINE = "%m = mul(%x, %w) : f64  %y = sin(%m) : f64  %q = index_update(%p, %y, %i) : f64[7]"
TWICE = """
      %m = mul(%x, %w) : f64
      %y = tanh(%m) : f64
      %p1 = index_update(%p, %y, %i) : f64[7]
      %z = mul(%y, %w) : f64
      %t = tanh(%z) : f64
      %q = index_update(%p1, %t, %i) : f64[7]
"""
MATRIX = """
graph @f(%A: f64[5, 5]) on cpu {{
  %true = const() {{value = True, type = !bool}} : bool
  %one = const() {{value = 1, type = !i64}} : i64
  %five = const() {{value = 5, type = !i64}} : i64
  %L = loop(%five, %true, %A) : f64[5, 5] {{
    {rows}
  }}
  %two = mul(%L, %L) : f64[5, 5]
  %s = sum(%two) {{axes = (0, 1)}} : f64[]
  yield %s
}}
"""
LU = MATRIX.format(
    rows="""
    body(%k: i64, %A1: f64[5, 5]):
      %k1 = add(%k, %one) : i64
      %rest = sub(%five, %k1) : i64
      %A2 = loop(%rest, %true, %A1) : f64[5, 5] {
        body(%di: i64, %A3: f64[5, 5]):
          %i = add(%k1, %di) : i64
          %a = fetch(%A3, %i, %k) : f64
          %pivot = fetch(%A3, %k, %k) : f64
          %factor = div(%a, %pivot) : f64
          %A4 = index_update(%A3, %factor, %i, %k) : f64[5, 5]
          %A5 = loop(%rest, %true, %A4) : f64[5, 5] {
            body(%dj: i64, %A6: f64[5, 5]):
              %j = add(%k1, %dj) : i64
              %x = fetch(%A6, %i, %j) : f64
              %f = fetch(%A6, %i, %k) : f64
              %y = fetch(%A6, %k, %j) : f64
              %m = mul(%f, %y) : f64
              %d = sub(%x, %m) : f64
              %A7 = index_update(%A6, %d, %i, %j) : f64[5, 5]
              yield %true, %A7
          }
          yield %true, %A5
      }
      yield %true, %A2
"""
)
CHOLESKY = MATRIX.format(
    rows="""
    body(%i: i64, %A1: f64[5, 5]):
      %i1 = add(%i, %one) : i64
      %A2 = loop(%i1, %true, %A1) : f64[5, 5] {
        body(%j: i64, %A3: f64[5, 5]):
          %a = fetch(%A3, %i, %j) : f64
          %s = loop(%j, %true, %a) : f64 {
            body(%k: i64, %t: f64):
              %x = fetch(%A3, %i, %k) : f64
              %y = fetch(%A3, %j, %k) : f64
              %m = mul(%x, %y) : f64
              %d = sub(%t, %m) : f64
              yield %true, %d
          }
          %is_pivot = eq(%i, %j) : bool
          %A4 = if(%is_pivot) : f64[5, 5] {
            then():
              %root = sqrt(%s) : f64
              %A5 = index_update(%A3, %root, %i, %j) : f64[5, 5]
              yield %A5
            else():
              %pivot = fetch(%A3, %j, %j) : f64
              %q = div(%s, %pivot) : f64
              %A6 = index_update(%A3, %q, %i, %j) : f64[5, 5]
              yield %A6
          }
          yield %true, %A4
      }
      yield %true, %A2
"""
)
DIAGONALS = """
graph @f(%D: f64[9, 9], %w: f64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %one = const() {value = 1, type = !i64} : i64
  %eight = const() {value = 8, type = !i64} : i64
  %E = loop(%eight, %true, %D) : f64[9, 9] {
    body(%d: i64, %D1: f64[9, 9]):
      %n = add(%d, %one) : i64
      %D2 = loop(%n, %true, %D1) : f64[9, 9] {
        body(%k: i64, %D3: f64[9, 9]):
          %i = add(%k, %one) : i64
          %down = sub(%d, %k) : i64
          %j = add(%down, %one) : i64
          %above = fetch(%D3, %k, %j) : f64
          %left = fetch(%D3, %i, %down) : f64
          %m = mul(%above, %left) : f64
          %mw = mul(%m, %w) : f64
          %t = tanh(%mw) : f64
          %D4 = index_update(%D3, %t, %i, %j) : f64[9, 9]
          yield %true, %D4
      }
      yield %true, %D2
  }
  %s = sum(%E) {axes = (0, 1)} : f64[]
  yield %s
}
"""
MOVED = """
graph @f(%P: f64[9], %w: f64) on cpu {
  %true = const() {value = True, type = !bool} : bool
  %one = const() {value = 1, type = !i64} : i64
  %two = const() {value = 2, type = !i64} : i64
  %limit = const() {value = 9223372036854775807, type = !i64} : i64
  %end = const() {value = 7, type = !i64} : i64
  %i0, %Q = loop(%limit, %true, %one, %P) : i64, f64[9] {
    body(%k: i64, %i: i64, %p: f64[9]):
      %r = sub(%i, %one) : i64
      %x = fetch(%p, %r) : f64
      %m = mul(%x, %w) : f64
      %y = tanh(%m) : f64
      %q = index_update(%p, %y, %i) : f64[9]
      %next = checked_add(%i, %two) : i64
      %go = le(%next, %end) : bool
      yield %go, %next, %q
  }
  %s = sum(%Q) {axes = (0,)} : f64[]
  yield %s
}
"""
RNG = np.random.default_rng(5)
SQUARE = RNG.normal(size=(5, 5))
A = SQUARE @ SQUARE.T + 3 * np.eye(5)
P = np.array([0.3, -0.2, 0.6, 0.5, -0.4, 0.9, 0.7])
VECTORS = (P, 1.3, 6)


def saved(graph: Graph) -> int:
    """How many lists residuals are pushed to."""
    return sum(op.name == "list_push" for op in walk(graph.body))


def saved_by(text: str, wanted: list[int]) -> int:
    return saved(gradient_graph(program(text), wanted))


@pytest.mark.parametrize(
    ("text", "inputs", "lists"),
    [
        pytest.param(VECTOR.format(at=RISING, body=TANH), VECTORS, 0, id="what was written, behind"),
        pytest.param(VECTOR.format(at=RISING, body=SINE), VECTORS, 0, id="what was read, behind"),
        pytest.param(VECTOR.format(at=FALLING, body=SINE), VECTORS, 1, id="read before it is written"),
        pytest.param(VECTOR.format(at=FALLING, body=TANH), VECTORS, 1, id="the result lasts, what was read does not"),
        pytest.param(VECTOR.format(at=SAME, body=SINE), VECTORS, 1, id="what was read is written"),
        pytest.param(VECTOR.format(at=RISING, body=TWICE), VECTORS, 1, id="written twice: the first is saved"),
        pytest.param(LU, (A,), 0, id="lu"),
        pytest.param(CHOLESKY, (A,), 0, id="cholesky"),
        pytest.param(DIAGONALS, (RNG.normal(size=(9, 9)), 0.8), 0, id="diagonals"),
        pytest.param(MOVED, (RNG.normal(size=9), 0.8), 0, id="a number that each trip moves"),
    ],
)
def test_only_what_does_not_last_is_saved(text: str, inputs: tuple[Any, ...], lists: int) -> None:
    assert saved_by(text, [i for i, x in enumerate(inputs) if not isinstance(x, int)]) == lists
    check_derive(text, *inputs)
    check_orders(text, *inputs, order=2, rtol=1e-4)


def test_what_a_later_loop_writes_does_not_last() -> None:
    text = VECTOR.format(at=RISING, body=SINE).replace(
        "%two = mul(%Q, %Q)",
        """%R = loop(%n, %true, %Q) : f64[7] {
             body(%k2: i64, %p2: f64[7]):
               %x2 = fetch(%p2, %k2) : f64
               %x3 = mul(%x2, %w) : f64
               %q2 = index_update(%p2, %x3, %k2) : f64[7]
               yield %true, %q2
           }
           %two = mul(%R, %R)""",
    )
    assert saved_by(text, [0, 1]) == 2
    check_derive(text, *VECTORS)


def test_elements_that_a_later_loop_leaves_last() -> None:
    text = VECTOR.format(at=RISING, body=SINE).replace(
        "%two = mul(%Q, %Q)",
        """%R = loop(%n, %true, %Q) : f64[7] {
             body(%k2: i64, %p2: f64[7]):
               %q2 = index_update(%p2, %w, %six) : f64[7]
               yield %true, %q2
           }
           %two = mul(%R, %R)""",
    )
    limited = text.replace("loop(%n, %true, %P)", "loop(%five, %true, %P)").replace(
        "%one = const", "%five = const() {value = 5, type = !i64} : i64  %one = const"
    )
    assert saved_by(text, [0, 1]) == 1
    assert saved_by(limited, [0, 1]) == 0
    check_derive(limited, *VECTORS)


def test_an_array_of_the_caller_is_not_kept() -> None:
    """The caller may change it before the backward, so that it would have to be copied."""
    graph = program(
        VECTOR.format(at=RISING, body=SINE).replace("%P: f64[7]", "%P: inout f64[7]").replace("%s\n", "%s, %Q\n")
    )
    assert saved(derive(graph, [0, 1]).forward) == 1
    assert saved(value_and_grad_graph(graph, [0, 1])) == 0


@pytest.mark.parametrize("seed", range(60))
def test_random_places(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients are, to the bit, those that saved values give."""
    graph, inputs = program(random_places.program(seed)), random_places.inputs(seed)
    found = interpreter.run(value_and_grad_graph(graph, [0, 1, 2]), inputs)
    monkeypatch.setattr(LastingReads, "anew", lambda *_: [])
    expected = interpreter.run(value_and_grad_graph(graph, [0, 1, 2]), inputs)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_random_places_are_partly_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = [program(random_places.program(seed)) for seed in range(20)]
    fewer = [saved(value_and_grad_graph(graph, [0, 1, 2])) for graph in graphs]
    monkeypatch.setattr(LastingReads, "anew", lambda *_: [])
    all_of_them = [saved(value_and_grad_graph(graph, [0, 1, 2])) for graph in graphs]
    assert 0 < sum(fewer) < sum(all_of_them)


WINDOWS = [
    pytest.param("h[i + 1] = np.tanh(m @ h[i])", 0, id="rows of which products are made"),
    pytest.param("h[i + 1] = np.tanh(h[i] * w)", 0, id="rows"),
    pytest.param("h[:, i + 1] = np.tanh(h[:, i] * w)", 0, id="columns"),
    pytest.param("h.T[i + 1] = np.sin(h.T[i] * w)", 0, id="rows of the transposed"),
    pytest.param("h[i + 1, 1:-1] = np.tanh(h[i, 2:] * h[i, :-2])", 0, id="inner parts of rows"),
    pytest.param("t[i + 1] = np.tanh(t[i] * w)", 0, id="matrices"),
    pytest.param("h[i + 1, ::-1] = np.sin(h[i, ::-1] * w)", 0, id="reversed rows"),
    pytest.param("h[i + 1] = np.sin(h[i][::-1] * w)", 0, id="rows of which reversed ones are made"),
    pytest.param("t[i + 1, 1] = np.sin(t[i, 1] * w)", 0, id="rows of matrices"),
    pytest.param("t[i + 1, 0] = np.sin(t[i + 1, 1] * w)", 0, id="rows beside one another"),
    pytest.param("for j in range(t.shape[1]): t[i + 1, j] = np.sin(t[i, j] * w)", 0, id="all rows of matrices"),
    pytest.param("for j in range(t.shape[2]): t[i + 1, ::-1, j] = np.sin(t[i, :, j] * w)", 0, id="columns of matrices"),
    pytest.param("t[i + 1, 0, 1:-1] = np.sin(t[i, 0, 2:] * t[i, 0, :-2])", 0, id="inner parts of rows of matrices"),
    pytest.param("t[i + 1, :, 1:-1] = np.sin(t[i, :, 2:] * w)", 0, id="inner parts of matrices"),
    pytest.param("t[i, 0] = np.sin(t[i + 1, 0] * w); t[i + 1, 0] = t[i, 0]", 1, id="rows of matrices written later"),
    pytest.param("t[i + 1, 0] = np.sin(t[i, 0] * w); t.ravel()[i + 2] = w", 1, id="an element in a row of a matrix"),
    pytest.param("t[i + 1, 1] = np.sin(t[i, 1] * w); t[:, 1, 2] = w", 1, id="a line across rows of matrices"),
    pytest.param("v[3 * i + 3:3 * i + 6] = np.sin(v[3 * i:3 * i + 3] * w)", 0, id="slices of a vector"),
    pytest.param("v[2 * i + 2:2 * i + 4] = np.sin(v[2 * i + 1:2 * i + 3] * w)", 1, id="slices that overlap"),
    pytest.param("h[i] = np.sin(h[i + 1] * w); h[i + 2] = h[i] * w", 1, id="rows that later trips write"),
    pytest.param("h[0] = np.sin(h[i] * w)", 1, id="one row in all trips"),
    pytest.param("h[i + 1] = np.sin(h[i]); h[i + 1] *= np.tanh(h[i + 1])", 1, id="rows written twice"),
    pytest.param("h[i + 1] = np.sin(h[i] * w); h[:, 2] = h[0, 0]", 1, id="rows that a column crosses"),
    pytest.param("h[i + 1] = np.sin(h[i] * w); h.ravel()[i + 6] = w", 1, id="an element by its place in the buffer"),
    pytest.param("h.reshape(-1, 3)[i + 1] = np.sin(h.reshape(-1, 3)[i] * w)", 1, id="rows of another length"),
    pytest.param("h[-i - 1] = np.sin(h[i] * w)", 1, id="rows from the end"),
]


@pytest.mark.parametrize(("line", "least"), WINDOWS)
def test_only_windows_that_do_not_last_are_saved(line: str, least: int) -> None:
    """`least`: 0 where nothing is saved, else how many lists there are at least."""
    fn = random_windows.defined(f"    for i in range(n):\n        {line}\n", "<windows>")
    lists = random_windows.saved(fn)
    assert lists >= least and (least > 0 or lists == 0)
    random_windows.compare(fn)


@pytest.mark.parametrize("seed", range(40))
def test_random_windows(seed: int) -> None:
    """Gradients are, to the bit, those that saved values give."""
    random_windows.check(seed)
