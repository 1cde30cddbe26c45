"""Text to graph: round trips, and errors with line and column."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import tracejit.ops  # noqa: F401
from tracejit.errors import ParseError
from tracejit.ir.core import Graph
from tracejit.ir.interpreter import run
from tracejit.ir.parser import parse, parse_all
from tracejit.ir.printer import print_graph
from tracejit.ir.types import F32, I64, ListType, ScalarType, TensorType
from tracejit.ir.verifier import verify

RELAX = """\
graph @relax(%x: f32[n], %w: inout f32[n], %tol: f32) on cpu {
  %xw = mul(%x, %w) : f32[n]
  %s = sum(%xw) {axes = (0,)} : f32[]
  %err = fetch(%s) : f32
  %go = gt(%err, %tol) : bool
  %max = const() {value = 9223372036854775807, type = !i64} : i64
  %y, %e = loop(%max, %go, %x, %err) : f32[n], f32 {
    body(%i: i64, %x.1: f32[n], %err.1: f32):
      %m = mul(%x.1, %w) : f32[n]
      %t = tanh(%m) : f32[n]
      %n = mul(%t, %w) : f32[n]
      %s.1 = sum(%n) {axes = (0,)} : f32[]
      %f = fetch(%s.1) : f32
      %g = gt(%f, %tol) : bool
      yield %g, %t, %f
  }
  yield %y, %w
}
"""

SIZES = """\
graph @sizes(%x: f64[%k, 3, n], %k: i64, %p: bool, %l: list<f64[?, ?]>) on cuda {any_size = True, fastmath = False} {
  %y, %m = if(%p) : f64[%m], i64 {
    then():
      %zero = const() {value = 0, type = !i64} : i64
      %one = const() {value = 1, type = !i64} : i64
      %v = vread(%x, %zero, %one, %k) : f64[%k]
      yield %v, %k
    else():
      %zero.1 = const() {value = 0, type = !i64} : i64
      %two = const() {value = 2, type = !i64} : i64
      %v.1 = vread(%x, %zero.1, %two, %two) : f64[2]
      yield %v.1, %two
  }
  %l.1, %e = list_pop(%l, %k, %m) : list<f64[?, ?]>, f64[%k, %m]
  print(%m) {template = "{0} \\"quoted\\" \\u00e9\\n"}
  yield %y, %e, %l.1
}
"""

CALLS = """\
graph @main(%x: f64) on cpu {
  %y = call(%x) {callee = @down} : f64
  yield %y
}

graph @down(%x: f64) on cpu {
  %one = const() {value = 1.0, type = !f64} : f64
  %p = gt(%x, %one) : bool
  %y = if(%p) : f64 {
    then():
      %z = sub(%x, %one) : f64
      %r = call(%z) {callee = @down} : f64
      yield %r
    else():
      yield %x
  }
  yield %y
}
"""


@pytest.mark.parametrize("text", [RELAX, SIZES, CALLS])
def test_text_round_trip(text: str) -> None:
    graph = parse(text)
    verify(graph)
    assert print_graph(graph) == text
    assert print_graph(parse(print_graph(graph))) == text


def test_layout_comments_and_numbers_do_not_matter() -> None:
    messy = (
        RELAX.replace("\n", "  // a comment\n").replace(", ", " ,\n\t").replace("%s.1", "%s.77").replace("%t", "%tt")
    )
    assert print_graph(parse(messy)) == RELAX.replace("%t)", "%tt)").replace("%t,", "%tt,").replace(
        "%t ", "%tt "
    ).replace("%tol", "%ttol")


def test_recursive_calls_are_tied() -> None:
    main, down = parse_all(CALLS)
    assert main.body.ops[0].attrs["callee"] is down
    assert down.body.ops[2].blocks[0].ops[1].attrs["callee"] is down


def test_types_of_parameters() -> None:
    graph = parse(
        "graph @f(%a: f32, %b: f32[], %c: f32[?], %d: list<list<f32[?]>>, %e: i64[%a.1], %a.1: i64) on cpu { yield }"
    )
    types = [p.type for p in graph.params]
    assert types == [
        ScalarType(F32),
        TensorType(F32, ()),
        TensorType(F32, (None,)),
        ListType(ListType(TensorType(F32, (None,)))),
        TensorType(I64, (graph.params[5],)),
        ScalarType(I64),
    ]


def test_a_size_that_is_a_constant_is_its_number() -> None:
    graph = parse(
        """graph @f(%s: f32) on cpu {
          %k = const() {value = 4, type = !i64} : i64
          %x = broadcast(%s, %k) : f32[%k]
          yield %x }"""
    )
    assert graph.results[0].type == TensorType(F32, (4,))


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("True", True),
        ("-12", -12),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("inf", math.inf),
        ("-inf", -math.inf),
        ("()", ()),
        ("(1,)", (1,)),
        ("(1, (2.5, False),)", (1, (2.5, False))),
        ('"a\\n\\"b\\""', 'a\n"b"'),
        ("1.0-2.5j", 1 - 2.5j),
        ("None", None),
        ("f32", F32),
        ("!f32[2, n]", TensorType(F32, (2, "n"))),
    ],
)
def test_literals(literal: str, value: object) -> None:
    found = parse(f"graph @f() on cpu {{ print() {{template = {literal}}} yield }}").body.ops[0].attrs["template"]
    assert found == value and type(found) is type(value)


def test_nan_and_signed_zeros_survive() -> None:
    graph = parse("graph @f() on cpu { print() {a = nan, b = -0.0, c = -0.0-nanj} yield }")
    attrs = graph.body.ops[0].attrs
    assert math.isnan(attrs["a"])
    assert math.copysign(1, attrs["b"]) == -1
    assert math.copysign(1, attrs["c"].real) == -1 and math.isnan(attrs["c"].imag)
    assert "a = nan, b = -0.0, c = -0.0+nanj" in print_graph(graph)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("graph @f() on cpu {\n  %a = nothing() : f32\n  yield }", "line 2, column 8: there is no op 'nothing'"),
        ("graph @f() on cpu {\n  yield %a }", "line 2, column 9: %a is not defined here"),
        ("graph @f(%a: f32, %a: f32) on cpu { yield }", "line 1, column 19: %a is defined twice"),
        ("graph @f(%a: g32) on cpu { yield }", "line 1, column 14: there is no type 'g32'"),
        ("graph @f(%a: f32[%k]) on cpu { yield }", "line 1, column 10: the size %k of %a is not defined here"),
        ("graph @f(%a: f32[-1]) on cpu { yield }", "line 1, column 18: expected a size, found '-1'"),
        ("graph @f(%a: f32) on cpu { %b = neg(%a) yield }", "line 1, column 33: neg has 1 results and 0 types"),
        ("graph @f(%a: f32) on cpu {\n\n  ?", "line 3, column 3: expected an op or 'yield', found '?'"),
        ("graph @f() on cpu { print() {a = os} yield }", "line 1, column 34: expected a literal, found 'os'"),
        ("graph @f() on cpu { print() {a = 1 + 1} yield }", "line 1, column 36: unexpected character '+'"),
        ('graph @f() on cpu { print() {a = "\\q"} yield }', "this string is not spelled as in JSON"),
        ("graph @f() on cpu { call() {callee = @g} yield }", "line 1, column 38: there is no graph @g"),
        ("graph @f() on cpu { yield } graph @f() on cpu { yield }", "line 1, column 35: graph @f is defined twice"),
        ("graph @f() on cpu { yield", "line 1, column 26: expected '}', found the end"),
        ("", "line 1, column 1: expected 'graph', found the end"),
    ],
)
def test_errors_name_line_and_column(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(text)
    assert message in str(caught.value)


def test_blocks_do_not_see_each_others_values() -> None:
    with pytest.raises(ParseError, match="line 6, column 13: %b is not defined here"):
        parse(
            """graph @f(%p: bool, %a: f32) on cpu {
  %y = if(%p) : f32 {
    then(): %b = neg(%a) : f32
            yield %b
    else():
      yield %b
  }
  yield %y }"""
        )


def test_graphs_of_one_text_have_one_hash() -> None:
    def hash_of(graph: Graph) -> str:
        return graph.content_hash()

    assert hash_of(parse(RELAX)) == hash_of(parse(RELAX.replace("\n", "\n\n")))
    assert hash_of(parse(RELAX)) != hash_of(parse(RELAX.replace("gt", "lt")))


def test_the_example_of_the_readme_is_canonical_and_runs() -> None:
    readme = (Path(tracejit.ops.__file__).parents[1] / "ir" / "README.md").read_text(encoding="utf-8")
    text = readme.split("```\ngraph @relax")[1].split("```")[0]
    graph = parse(f"graph @relax{text}")
    verify(graph)
    assert str(graph) == f"graph @relax{text}"
    (y,) = run(graph, [np.ones(3, "f4"), np.full(3, 0.9, "f4"), 0.5])
    np.testing.assert_allclose(y, [0.18445033] * 3, rtol=1e-6)
