"""What the verifier refuses, and what its message says."""

from __future__ import annotations

import pytest

import tracejit.ops  # noqa: F401
from tracejit.errors import VerifyError
from tracejit.ir.core import Block, Graph, Op, Value
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.parser import parse
from tracejit.ir.types import F32, ScalarType, TensorType
from tracejit.ir.verifier import verify


def reject(text: str, message: str) -> None:
    with pytest.raises(VerifyError) as caught:
        verify(parse(text, "example.tj"), after="fuse")
    assert message in str(caught.value), str(caught.value)


def test_the_message_names_op_line_transform_and_shows_the_graph() -> None:
    text = "graph @f(%x: f32[n]) on cpu {\n  %y = exp(%x) : f32[n]\n  %z = neg(%y) : f64[n]\n  yield %z\n}\n"
    with pytest.raises(VerifyError) as caught:
        verify(parse(text, "example.tj"), after="fuse")
    assert str(caught.value) == (
        "invalid graph after fuse: neg (of %z): the result types are f64[n], the type rule gives f32[n]\n"
        "  at example.tj:3: \n\n"
        "graph @f(%x: f32[n]) on cpu {\n"
        "  %y = exp(%x) : f32[n]  // example.tj:2\n"
        "  %z = neg(%y) : f64[n]  // example.tj:3\n"
        "  yield %z\n"
        "}\n"
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("%y = add(%x, %s) : f32[n] yield %y", "add (of %y)"),
        ("%y = add(%x) : f32[n] yield %y", "add takes 2 operands, got 1"),
        ("%y = exp(%x) : f32[m] yield %y", "the result types are f32[m], the type rule gives f32[n]"),
        ("%y = undef() {type = !f32} : f32[m] yield %y", "the result types are f32[m], the type rule gives f32"),
        ("%y = if(%s) : f32 { then(): yield %s else(): yield %s } yield", "the condition must be one bool scalar"),
        ("%y = if(%p) : f32 { then(): yield %s } yield", "the blocks must be ('then', 'else')"),
        ("%y = if(%p) : f32 { then(): yield %s else(): yield %x } yield", "the value for %y must be f32, got f32[n]"),
        ("%y = if(%p) : f32 { then(): yield %s else(): yield } yield", "block else: 1 values are needed, got 0"),
        ("%y = if(%p) : f32 { then(%k: i64): yield %s else(): yield %s } yield", "block then must not have parameters"),
        ("loop(%i, %i) { body(%k: i64): yield %p } yield", "the first operands must be an i64 limit and a bool"),
        ("loop(%i, %p) { body(): yield %p } yield", "the body's first parameter must be an i64"),
        ("loop(%i, %p) { body(%k: i64): yield %k } yield", "the body must yield a bool first"),
        (
            "%y = loop(%i, %p, %x) : f32[n] { body(%k: i64, %v: f32): yield %p, %v } yield",
            "initial values: the value for %v must be f32, got f32[n]",
        ),
        (
            "%y = loop(%i, %p, %s) : f32 { body(%k: i64, %v: f32): yield %p, %x } yield",
            "block body: the value for %v must be f32, got f32[n]",
        ),
        (
            "%y = loop(%i, %p, %s) : f64 { body(%k: i64, %v: f32): yield %p, %v } yield",
            "results: the value for %y must be f64, got f32",
        ),
        ("%y = fused() : f32 { body(): yield %x } yield", "the value for %y must be f32, got f32[n]"),
        ("call(%x) yield", "the callee must be a graph"),
        ("%l = list_push(%ls, %s) : list<f32> %m = list_push(%ls, %s) : list<f32> yield", "%ls was consumed before"),
        (
            "loop(%i, %p) { body(%k: i64): %l = list_push(%ls, %s) : list<f32> yield %p } yield",
            "the list %ls is consumed in every trip",
        ),
    ],
)
def test_rejected(body: str, message: str) -> None:
    reject(f"graph @f(%x: f32[n], %s: f32, %p: bool, %i: i64, %ls: list<f32>) on cpu {{ {body} }}", message)


@pytest.mark.parametrize(
    "body",
    [
        "%y, %k = if(%p) : f32[%k], i64 { then(): yield %v, %i else(): yield %w, %j } yield %y",
        """%a, %b = loop(%i, %p, %i, %v) : i64, f32[%a] {
             body(%k: i64, %n: i64, %u: f32[%n]): yield %p, %j, %w } yield %b""",
        "%m = if(%p) : list<f32> { then(): %a = list_push(%ls, %s) : list<f32> yield %a else(): yield %ls } yield %m",
        "%n = list_len(%ls) : i64 %m = list_push(%ls, %s) : list<f32> yield %m",
        "%m = loop(%i, %p, %ls) : list<f32> { body(%k: i64, %l: list<f32>): yield %p, %l } yield %m",
    ],
)
def test_accepted(body: str) -> None:
    head = "graph @f(%i: i64, %j: i64, %v: f32[%i], %w: f32[%j], %p: bool, %s: f32, %ls: list<f32>) on cpu"
    verify(parse(f"{head} {{ {body} }}"))


def test_a_size_must_fit_the_branch_that_yields_it() -> None:
    reject(
        """graph @f(%i: i64, %j: i64, %v: f32[%i], %w: f32[%j], %p: bool) on cpu {
          %y, %k = if(%p) : f32[%k], i64 { then(): yield %v, %i else(): yield %w, %i } yield %y }""",
        "block else: the value for %y must be f32[%i], got f32[%j]",
    )


def test_final_versions_of_inout_parameters() -> None:
    verify(parse("graph @f(%x: inout f32[n], %s: f32) on cpu { yield %s, %x }"))
    reject(
        "graph @f(%x: inout f32[n], %s: f32) on cpu { yield %x, %s }", "the final version of inout %x must be f32[n]"
    )
    reject("graph @f(%x: inout f32[n]) on cpu { yield }", "does not fit the parameters and results")


def test_arguments_must_fit_the_called_graph() -> None:
    reject(
        """graph @f(%x: f32[n]) on cpu { %y = call(%x) {callee = @g} : f32 yield %y }
           graph @g(%x: f32[m]) on cpu { yield %x }""",
        "the results do not fit @g",
    )


def test_called_graphs_are_verified() -> None:
    reject(
        """graph @f(%x: f32) on cpu { %y = call(%x) {callee = @g} : f32 yield %y }
           graph @g(%x: f32) on cpu { %y = exp(%x) : f64 %z = cast(%y) {dtype = f32} : f32 yield %z }""",
        "exp (of %y): the result types are f64",
    )


def test_ssa_and_scopes() -> None:
    x, y = Value(ScalarType(F32), "x"), Value(ScalarType(F32), "y")
    neg = Op(REGISTRY["neg"], (x,), {}, (y,))
    with pytest.raises(VerifyError, match="%y is defined twice"):
        verify(Graph("f", Block((x,), (neg, neg), (y,))))
    with pytest.raises(VerifyError, match="%x is not defined"):
        verify(Graph("f", Block((), (neg,), (y,))))
    inner = Op(REGISTRY["fused"], (), {}, (), (Block((), (neg,), (), "body"),))
    with pytest.raises(VerifyError, match="%y is out of scope"):
        verify(Graph("f", Block((x,), (inner,), (y,))))


def test_sizes_must_be_bound() -> None:
    reject(
        """graph @f(%x: f32) on cpu { %y = call(%x) {callee = @g} : f32[n] yield %y }
           graph @g(%x: f32) on cpu { %k = const() {value = 3, type = !i64} : i64
                                      %y = broadcast(%x, %k) : f32[3] yield %y }""",
        "%y: no parameter binds the size 'n'",
    )
    unknown = Value(TensorType(F32, (None,)), "w")
    with pytest.raises(VerifyError, match="%w has an unknown size"):
        verify(Graph("f", Block((unknown,), (), ())))
