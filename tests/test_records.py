"""Records: fields, equality, hashes, and what the standard library knows of them."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from tracejit.records import record


@record
class Point:
    x: int
    y: float = 0.0
    note: str = dataclasses.field(default="", compare=False, repr=False)


@record(eq=False)
class Node:
    name: str


@record
class Nothing: ...


@record
class Even:
    number: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Even) and self.number % 2 == other.number % 2

    def __hash__(self) -> int:
        return self.number % 2

    def __repr__(self) -> str:
        return f"even({self.number})"


def test_equal_fields_make_equal_records() -> None:
    assert Point(1, 2.0, "a") == Point(1, 2.0, "b")
    assert hash(Point(1, 2.0, "a")) == hash(Point(1, 2.0, "b"))
    assert Point(1, 2.0) != Point(2, 2.0)
    assert Point(1) != (1, 0.0)
    assert {Nothing(): 1}[Nothing()] == 1


def test_records_without_equality_are_themselves_only() -> None:
    node = Node("a")
    assert node != Node("a")
    assert len({node, Node("a"), node}) == 2


def test_a_class_may_say_itself_what_is_equal() -> None:
    assert Even(2) == Even(4)
    assert hash(Even(2)) == hash(Even(4))
    assert repr(Even(2)) == "even(2)"


def test_fields_are_slots_that_the_standard_library_knows() -> None:
    point = Point(1, y=2.5)
    assert repr(point) == "Point(x=1, y=2.5)"
    assert dataclasses.replace(point, x=3) == Point(3, 2.5)
    assert [f.name for f in dataclasses.fields(point)] == ["x", "y", "note"]
    assert pickle.loads(pickle.dumps(point)) == copy.deepcopy(point) == point
    with pytest.raises(AttributeError):
        point.z = 1  # type: ignore[attr-defined]
    match point:
        case Point(x, y):
            assert (x, y) == (1, 2.5)
