"""How many trips loops make: numbers that it cannot be more, and what follows for the indices of a `range`."""

from __future__ import annotations

from collections.abc import Mapping

from tracejit.ir.core import Block, Op, Value
from tracejit.transforms.numbers.linear import Linear, number
from tracejit.transforms.numbers.meanings import meaning
from tracejit.transforms.numbers.rules import Condition, Masked, Quotient, Rules

#: No loop makes more trips than this: it would take years.
TRIPS = 1 << 56
#: So many trips take the bits of a number one by one.
_BITS = 64


class Lengths:
    """`made`: the op that gives a value."""

    def __init__(self, r: Rules, made: Mapping[Value, Op]) -> None:
        self.r = r
        self.made = made
        self.dwindling: set[Op] = set()  #: loops at each trip of which an integer loses a bit
        self.others: set[Op] = set()  #: those that were taken for such by what does not hold

    def most(self, op: Op) -> int:
        """A number that a loop makes no more trips than."""
        limit = self.r.form(op.operands[0])
        assert limit is not None
        return max(min(self.r.facts.most(limit), _BITS if op in self.dwindling else TRIPS), 0)

    def changes(self, op: Op, body: Block) -> bool:
        """Whether it is seen, at the end of a trip, that a loop is not as it was taken to be."""
        dwindles = body.results[0] is not op.operands[1] and (self._loses_a_bit(body) or self._halves(body))
        if dwindles == (op in self.dwindling) or op in self.others:
            return False
        if dwindles:
            self.dwindling.add(op)
        else:
            self.dwindling.remove(op)
            self.others.add(op)
        return True

    def _halves(self, body: Block) -> bool:
        """Whether a loop goes on while an integer is positive, of which each trip leaves at most half."""
        facts = self.r.facts
        with facts.scope():
            self.r.assume(body.results[0], True)
            for now, after in zip(map(self.r.form, body.params[1:]), map(self.r.form, body.results[1:]), strict=True):
                if now is None or after is None or not facts.holds(number(1).minus(after)):
                    continue
                if facts.holds(after.times(2).minus(now)):
                    return True
        return False

    def _loses_a_bit(self, body: Block) -> bool:
        """Whether a loop is `while v: v &= v - 1`, in any integer dtype."""
        goes = meaning(self.made.get(body.results[0]))
        if not isinstance(goes, Condition) or goes.apart is None or self.r.form(goes.apart[1]) != number(0):
            return False
        after = goes.apart[0]
        shared, now = (
            meaning(self.made.get(after)),
            dict(zip(body.results[1:], body.params[1:], strict=True)).get(after),
        )
        if now is None or not isinstance(shared, Masked) or shared.of is None or now not in shared.of:
            return False
        less = meaning(self.made.get(shared.of[shared.of[0] is now]))
        return less == Linear({now: 1}, -1)

    def index(self, op: Op, body: Block) -> None:
        """Note what the trip of `range(start, stop, step)` times the step cannot be beyond."""
        trip, length = body.params[0], self.made.get(op.operands[0])
        self.r.strides.pop(trip, None)
        rule = None if length is None else length.defn.ranges
        found = (
            None
            if length is None or rule is None
            else rule(self.r, *length.defn.group(length.operands), **length.attrs)
        )
        if isinstance(found, Quotient) and found.of is not None:
            dividend, step = map(self.r.form, found.of)
            if dividend is not None and step is not None and self.r.facts.least(step) > 0:
                self.r.strides[trip] = found.of[1], dividend.minus(step)
