"""What single ops compute on whole numbers, by the rules of their definitions (`OpDef.ranges`), without facts about
operands. That is exact arithmetic: whether the machine does that too (smaller integers wrap) is for the caller to know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracejit.ir.core import Op, Value
from tracejit.transforms.numbers.rules import Outcome, Rules


def meaning(op: Op | None) -> Outcome:
    """What an op gives, in exact arithmetic on its operands."""
    rule = None if op is None else op.defn.ranges
    return None if op is None or rule is None else rule(Rules(0), *op.defn.group(op.operands), **op.attrs)


def told(op: Op | None, rule: str) -> tuple[Value, ...]:
    """The operands of an op that computes what a rule of `Rules` says (`product`, `larger`); none for others."""
    if op is None or op.defn.ranges is None:
        return ()
    found = op.defn.ranges(_Asked(rule), *op.defn.group(op.operands), **op.attrs)
    return found if isinstance(found, tuple) else ()


class _Asked:
    """Stands in for `Rules`: one rule gives its operands, the others nothing."""

    def __init__(self, rule: str) -> None:
        self._rule = rule

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *operands, **_: operands if name == self._rule else None
