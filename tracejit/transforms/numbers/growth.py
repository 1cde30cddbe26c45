"""By how much a trip moves what a loop carries, as far as that is plain to see: an assumption that it does not move so
far need not be tried, and a loop is walked again less often.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from tracejit.ir.core import Op, Value
from tracejit.transforms.numbers.linear import Linear
from tracejit.transforms.numbers.meanings import meaning


class Growth:
    """`made`: the op that gives a value."""

    def __init__(self, made: Mapping[Value, Op]) -> None:
        self.made = made

    def of(self, loop: Op, place: int, sign: int) -> float:
        """At least so much `sign` times a carried number grows in some trip, on a way that no comparison of whole
        numbers leads to; `-inf` where no such way is seen."""
        body = loop.block("body")
        return self._grown(body.results[1 + place], sign, {body.params[1 + place]: 0})

    def _grown(self, value: Value, sign: int, known: dict[Value, float]) -> float:
        if value not in known:
            known[value] = -inf
            op = self.made.get(value)
            known[value] = -inf if op is None else self._through(op, op.results.index(value), sign, known)
        return known[value]

    def _through(self, op: Op, place: int, sign: int, known: dict[Value, float]) -> float:
        if op.name == "if":
            condition = self.made.get(op.operands[0])
            if condition is None or condition.name == "if" or meaning(condition) is not None:
                return -inf
            return max(self._grown(block.results[place], sign, known) for block in op.blocks)
        if op.name == "loop":
            grown = self.of(op, place, sign)
            return inf if grown > 0 else self._grown(op.operands[2 + place], sign, known) if grown == 0 else -inf
        form = meaning(op)
        if not isinstance(form, Linear) or len(form.terms) != 1:
            return -inf
        ((value, factor),) = form.terms.items()
        return sign * form.constant + self._grown(value, sign, known) if factor == 1 else -inf
