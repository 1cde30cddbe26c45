"""Lists: eager rules, types, and cotangents aligned at the top."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.ops.op_graphs import EAGER
from tracejit.ir import interpreter, verifier
from tracejit.ir.builder import Builder
from tracejit.ir.core import Graph, Value
from tracejit.ir.opdef import Update
from tracejit.ir.types import F32, F64, ListType, ScalarType, TensorType
from tracejit.ops import REGISTRY
from tracejit.ops.lists import EagerList

VECTOR = TensorType(F32, (None,))


def vector_list(*items: Any) -> EagerList:
    return EagerList(VECTOR, [np.asarray(x, "float32") for x in items])


def test_push_and_pop_of_tensors_with_their_own_sizes() -> None:
    b = Builder()
    x = Value(TensorType(F64, ("n",)), "x")
    empty = b.list_new(element=TensorType(F64, (None,)))
    filled = b.list_push(empty, b.wrap(x))
    rest, value = b.list_pop(filled, b.shape(b.wrap(x)))
    graph = Graph("g", b.block((x,), (value.value, b.list_len(rest).value)))
    verifier.verify(graph)
    assert filled.type == ListType(TensorType(F64, (None,)))
    assert value.type == x.type
    out, count = interpreter.run(graph, [np.array([1.0, 2.0])], np)
    assert out.tolist() == [1, 2]
    assert count == 0


def test_an_element_of_another_type_is_refused() -> None:
    b = Builder()
    empty = b.list_new(element=ScalarType(F64))
    with pytest.raises(TypeError, match="is not an element of"):
        b.list_push(empty, b.wrap(b.constant(1, ScalarType(F32))))


def test_pop0_of_an_empty_list_gives_zeros() -> None:
    rest, value = EAGER.list_pop0(vector_list(), (3,))
    assert len(rest) == 0
    assert value.dtype == np.float32
    assert value.tolist() == [0, 0, 0]
    _, number = EAGER.list_pop0(EagerList(ScalarType(F32)), ())
    assert number == 0
    assert number.dtype == np.float32
    _, inner = EAGER.list_pop0(EagerList(ListType(VECTOR)), ())
    assert inner == []
    assert inner.element == VECTOR


def test_the_cotangent_of_push_is_popped() -> None:
    rule = REGISTRY["list_push"].vjp
    assert callable(rule)
    value = np.zeros(2, "float32")
    rest, g = rule(EAGER, vector_list([1, 2], [3, 4]), vector_list([0, 0]), value, None)
    assert [x.tolist() for x in rest] == [[1, 2]]
    assert g.tolist() == [3, 4]
    rest, g = rule(EAGER, vector_list(), vector_list(), value, None)
    assert len(rest) == 0
    assert g.tolist() == [0, 0]


def test_the_cotangent_of_pop_is_pushed() -> None:
    rule = REGISTRY["list_pop"].vjp
    assert callable(rule)
    out = (vector_list(), np.zeros(2, "float32"))
    (made, _) = rule(EAGER, (vector_list([1, 2]), np.array([3, 4], "float32")), None, (2,), out)
    assert [x.tolist() for x in made] == [[1, 2], [3, 4]]
    (made, _) = rule(EAGER, (None, None), None, (2,), out)
    assert [x.tolist() for x in made] == [[0, 0]]


def test_the_cotangent_of_get_is_added_at_its_place() -> None:
    rule = REGISTRY["list_get"].vjp
    assert callable(rule)
    primal = vector_list([0, 0], [0, 0], [0, 0])
    entry, *_ = rule(EAGER, np.array([1, 2], "float32"), primal, 1, (2,), primal[1])
    assert isinstance(entry, Update)
    shown = [
        [None if x is None else x.tolist() for x in entry.apply(vector_list(*have))]
        for have in ([[5, 5]], [[5, 5], [6, 6]])
    ]
    assert shown == [[None, [1, 2], [5, 5]], [None, [6, 7], [6, 6]]]


def test_values_never_change() -> None:
    before = vector_list([1], [2])
    after = EAGER.list_set(before, 0, np.array([9], "float32"))
    assert [x.tolist() for x in before] == [[1], [2]]
    assert [x.tolist() for x in after] == [[9], [2]]
    assert EAGER.list_get(after, 0, (1,)).tolist() == [9]
    assert EAGER.list_len(after) == 2
