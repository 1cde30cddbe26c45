"""Trees of containers: flattening, rebuilding, mapping."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from tracejit import pytree


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass(frozen=True)
class Box:
    content: Any
    label: Any = "box"

    def __post_init__(self) -> None:
        if self.content == "refused":
            raise ValueError


TREES: list[Any] = [
    1,
    None,
    (),
    [1, (2, 3), {"a": 4, "b": [5]}],
    Pair(1, Pair([2], None)),
    Box((1, 2), Box(3)),
    OrderedDict(b=1, a=2),
]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_round_trip(tree: Any) -> None:
    leaves, structure = pytree.flatten(tree)
    rebuilt = structure.unflatten(leaves)
    assert rebuilt == tree and type(rebuilt) is type(tree)
    assert structure.leaf_count == len(leaves) and pytree.leaves(tree) == leaves


def test_leaves_come_in_order() -> None:
    assert pytree.leaves([1, (2, {"b": 3, "a": 4}), Pair(5, Box(6, 7))]) == [1, 2, 3, 4, 5, 6, 7]


def test_structures_compare_by_containers_and_keys() -> None:
    first, second = pytree.flatten({"a": 1, "b": 2})[1], pytree.flatten({"a": 3, "b": 4})[1]
    assert first == second
    assert hash(first) == hash(second)
    assert first != pytree.flatten({"a": 1, "c": 2})[1]
    assert pytree.flatten([1])[1] != pytree.flatten((1,))[1]


def test_a_dataclass_is_rebuilt_without_its_checks() -> None:
    assert pytree.flatten(Box(1, 2))[1].unflatten(["refused", 2]).content == "refused"


def test_stopping_at_what_counts_as_a_leaf() -> None:
    leaves, structure = pytree.flatten([(1, 2), (3, 4)], is_leaf=lambda x: isinstance(x, tuple))
    assert leaves == [(1, 2), (3, 4)] and structure.leaf_count == 2


def test_map_over_trees_of_one_structure() -> None:
    assert pytree.map(lambda a, b: a + b, {"x": 1, "y": [2]}, {"x": 10, "y": [20]}) == {"x": 11, "y": [22]}
    with pytest.raises(ValueError):
        pytree.map(lambda a, b: a, [1], [1, 2])


def test_the_number_of_leaves_must_fit() -> None:
    structure = pytree.flatten([1, 2])[1]
    for leaves in ([1], [1, 2, 3]):
        with pytest.raises(ValueError):
            structure.unflatten(leaves)
