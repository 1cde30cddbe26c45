"""The canonical text of graphs, on ops made up for the purpose."""

from __future__ import annotations

import math

import pytest

from tracejit.errors import Span
from tracejit.ir.core import Block, Graph, Op, Value
from tracejit.ir.opdef import Opaque, OpDef
from tracejit.ir.printer import number_text, print_graph
from tracejit.ir.types import BOOL, F32, I64, ListType, ScalarType, TensorType


def fake(name: str) -> OpDef:
    return OpDef(name, ("*xs",), lambda xs, **attrs: (), None, "made up", Opaque())


def relax() -> Graph:
    """A vector relaxed until it no longer changes."""
    vector = TensorType(F32, ("n",))
    scalar, flag, i64 = ScalarType(F32), ScalarType(BOOL), ScalarType(I64)
    x, w, tol = Value(vector, "x"), Value(vector, "w"), Value(scalar, "tol")

    def op(name: str, operands: tuple[Value, ...], result: Value, **attrs: object) -> Op:
        return Op(fake(name), operands, attrs, (result,), span=Span("relax.py", 7))

    limit, go = Value(i64, "max"), Value(flag, "go")
    i, x1, err1, tanh, err2, go2 = (
        Value(i64, "i"),
        Value(vector, "x"),
        Value(scalar, "err"),
        Value(vector, "t"),
        Value(scalar, "f"),
        Value(flag, "g"),
    )
    body = Block(
        (i, x1, err1),
        (
            op("tanh", (x1,), tanh),
            op("norm", (tanh, w), err2, axes=(0,)),
            op("gt", (err2, tol), go2),
        ),
        (go2, tanh, err2),
        "body",
    )
    y, e = Value(vector, "y"), Value(scalar, "e")
    ops = (
        op("const", (), limit, value=2**63 - 1, type=i64),
        op("const", (), go, value=True, type=flag),
        Op(fake("loop"), (limit, go, x, tol), {}, (y, e), (body,)),
    )
    return Graph("relax", Block((x, w, tol), ops, (y,)), inout=(1,))


def test_the_format_is_that_of_the_design() -> None:
    expected = """\
graph @relax(%x: f32[n], %w: inout f32[n], %tol: f32) on cpu {
  %max = const() {value = 9223372036854775807, type = !i64} : i64
  %go = const() {value = True, type = !bool} : bool
  %y, %e = loop(%max, %go, %x, %tol) : f32[n], f32 {
    body(%i: i64, %x.1: f32[n], %err: f32):
      %t = tanh(%x.1) : f32[n]
      %f = norm(%t, %w) {axes = (0,)} : f32
      %g = gt(%f, %tol) : bool
      yield %g, %t, %f
  }
  yield %y
}
"""
    assert print_graph(relax()) == expected


def test_spans_are_comments() -> None:
    assert "%t = tanh(%x.1) : f32[n]  // relax.py:7\n" in print_graph(relax(), spans=True)


def test_numbers_only_break_ties_and_old_numbers_are_dropped() -> None:
    values = [Value(ScalarType(F32), name) for name in ("x.3", "x", "x.1.2", "f.T", "2 b")]
    text = print_graph(Graph("f", Block(tuple(values), (), ())))
    assert text.startswith("graph @f(%x: f32, %x.1: f32, %x.2: f32, %f.T: f32, %v2_b: f32) on cpu {\n  yield\n}")


def test_a_size_that_is_a_value_prints_under_its_unique_name() -> None:
    first, second = Value(ScalarType(I64), "k"), Value(ScalarType(I64), "k")
    x = Value(TensorType(F32, (second, 3, "n")), "x")
    lists = Value(ListType(TensorType(F32, (None,))), "l")
    text = print_graph(Graph("f", Block((first, x, second, lists), (), (x,))))
    assert text.startswith("graph @f(%k: i64, %x: f32[%k.1, 3, n], %k.1: i64, %l: list<f32[?]>) on cpu {")


def test_literals_and_policy() -> None:
    attrs = {
        "a": 'q"\n',
        "b": (),
        "c": (1, (2.5,)),
        "d": None,
        "e": F32,
        "f": ScalarType(F32),
        "g": -0.0,
        "h": complex(1, -0.0),
    }
    op = Op(fake("thing"), (), attrs, ())
    text = print_graph(Graph("f", Block((), (op,), ()), policy={"any_size": True}))
    assert "on cpu {any_size = True} {\n" in text
    assert (
        r'thing() {a = "q\"\n", b = (), c = (1, (2.5,)), d = None, e = f32, f = !f32, g = -0.0, h = 1.0-0.0j}' in text
    )


def test_called_graphs_follow_even_when_recursive() -> None:
    attrs: dict[str, object] = {}
    inner = Graph("f", Block((), (Op(fake("call"), (), attrs, ()),), ()))
    attrs["callee"] = inner
    outer = Graph("f", Block((), (Op(fake("call"), (), {"callee": inner}, ()),), ()))
    expected = """\
graph @f() on cpu {
  call() {callee = @f.1}
  yield
}

graph @f.1() on cpu {
  call() {callee = @f.1}
  yield
}
"""
    assert print_graph(outer) == expected


def test_an_attribute_without_spelling_is_refused() -> None:
    with pytest.raises(TypeError, match="no literal for list"):
        print_graph(Graph("f", Block((), (Op(fake("thing"), (), {"a": [1]}, ()),), ())))


@pytest.mark.parametrize("number", [0.1, 1e-300, math.inf, -math.inf, 5e-324, -0.0, 10**30, 3])
def test_real_numbers_read_back_exactly(number: float) -> None:
    assert repr(type(number)(number_text(number))) == repr(number)
