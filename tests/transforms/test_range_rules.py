"""What is known about a number that one of two paths gives."""

from __future__ import annotations

from tracejit.ir.core import Value
from tracejit.ir.types import I64, ScalarType
from tracejit.transforms.numbers.rules import Between, Rules


def test_what_bounds_both_sides_is_kept_once() -> None:
    """Facts about facts would multiply from branch to branch: a search of paths with dicts took minutes to compile."""
    rules = Rules(2)
    n = rules.facts.define(Value(ScalarType(I64), "n"), 0, 100)
    side = Between(0, 9, (n, n.shifted(1)), (n, n.shifted(-1)))
    made = rules.joined(side, side)
    assert set(made.above) == {n, n.shifted(1)} and len(made.above) == 2
    assert set(made.below) == {n, n.shifted(-1)} and len(made.below) == 2
