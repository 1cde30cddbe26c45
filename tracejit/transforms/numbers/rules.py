"""What ops say about whole numbers: the protocol `r` of `OpDef.ranges`.

A rule gets the op's operands as values and says what its result is in exact arithmetic: an expression, a number
between others, a condition, or None. Whether exact arithmetic is what the machine does, is asked afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import TypeAlias

from tracejit.ir.core import Graph, Value
from tracejit.ir.types import Dim, DType, ScalarType
from tracejit.records import record
from tracejit.transforms.numbers.linear import HIGH, LOW, Bounds, Facts, Linear, number


@record
class Between:
    """A number between bounds, of which some are expressions."""

    low: int = LOW
    high: int = HIGH
    above: tuple[Linear, ...] = ()  #: it is at least each of these
    below: tuple[Linear, ...] = ()  #: it is at most each of these


@record
class Extreme(Between):
    """The least of the expressions below, or the greatest of those above."""


@record
class Part:
    """`x - y + slack` is at most 0."""

    x: Value
    y: Value
    slack: int


@record
class Condition:
    """What holds where a truth value is true and where it is false; `exact`: and only there. Two numbers are `apart`
    where it is true, `apart_else` where false."""

    then: tuple[Part, ...] = ()
    orelse: tuple[Part, ...] = ()
    exact: bool = False
    exact_else: bool = False
    apart: tuple[Value, Value] | None = None
    apart_else: tuple[Value, Value] | None = None

    def opposite(self) -> Condition:
        """The negation."""
        return Condition(self.orelse, self.then, self.exact_else, self.exact, self.apart_else, self.apart)


UNKNOWN = Condition()
Outcome: TypeAlias = "Linear | Between | Condition | bool | Value | None"


def limits(dtype: DType) -> Bounds:
    """The least and the greatest number of an integer dtype."""
    if dtype.kind == "u":
        return 0, (1 << dtype.bits) - 1
    return -(1 << (dtype.bits - 1)), (1 << (dtype.bits - 1)) - 1


def least_size(graph: Graph) -> int:
    """What sizes with a name are at least: programs for smaller ones have them as numbers."""
    return 0 if graph.policy.get("any_size") else 2


class Rules:
    """Facts about the values of a graph, and the meaning of operations on them."""

    def __init__(self, least_size: int) -> None:
        self.facts = Facts()
        self.forms: dict[Value, Linear] = {}
        self.conditions: dict[Value, Condition | bool] = {}
        self.exact: dict[Value, Linear] = {}  #: what i64 sums that may wrap are where they do not
        #: trips: a step, and what the trip times the step is at most
        self.strides: dict[Value, tuple[Value, Linear]] = {}
        self._sizes: dict[str, Linear] = {}
        self._least_size = least_size

    # -- operands -------------------------------------------------------------------------------------------------

    def form(self, x: Value) -> Linear | None:
        """An integer host scalar as an expression; None for anything else."""
        found = self.forms.get(x)
        if found is not None:
            return found
        if not isinstance(x.type, ScalarType) or not x.type.dtype.is_integer:
            return None
        if isinstance(x.known, int):
            made = number(x.known)
        elif isinstance(x.known, str):
            made = self._sizes.get(x.known) or self.facts.define(x, self._least_size)
            self._sizes[x.known] = made
        else:
            made = self.facts.define(x, *limits(x.type.dtype))
        self.forms[x] = made
        return made

    def condition(self, x: Value) -> Condition | bool:
        """What is known about a truth value."""
        return self.conditions.get(x, UNKNOWN)

    def expression(self, part: Part) -> Linear:
        """The expression that a part says is at most 0."""
        x, y = self.form(part.x), self.form(part.y)
        assert x is not None and y is not None
        return x.minus(y).shifted(part.slack)

    def assume(self, x: Value, truth: bool) -> None:
        """Learn that a truth value is this one."""
        known = self.condition(x)
        if not isinstance(known, Condition):
            return
        for part in known.then if truth else known.orelse:
            self.facts.learn(self.expression(part))
        apart = known.apart if truth else known.apart_else
        for one, other in (apart, apart[::-1]) if apart else ():
            if self._all((Part(one, other, 0),)):
                self.facts.learn(self.expression(Part(one, other, 1)))

    def decide(self, condition: Condition) -> bool | None:
        """The truth of a condition, where it can be proved."""
        if condition.exact and self._all(condition.then):
            return True
        return False if condition.exact_else and self._all(condition.orelse) else None

    def _all(self, parts: Sequence[Part]) -> bool:
        return all(self.facts.holds(self.expression(p)) for p in parts)

    def _forms(self, *values: Value) -> list[Linear] | None:
        found = [self.form(v) for v in values]
        return None if any(f is None for f in found) else [f for f in found if f is not None]

    def _bounds(self, x: Linear) -> Bounds:
        return self.facts.least(x), self.facts.most(x)

    # -- arithmetic -------------------------------------------------------------------------------------------------

    def sum(self, x: Value, y: Value) -> Outcome:
        """x + y."""
        forms = self._forms(x, y)
        return None if forms is None else forms[0].plus(forms[1])

    def difference(self, x: Value, y: Value) -> Outcome:
        """x - y."""
        forms = self._forms(x, y)
        return None if forms is None else forms[0].minus(forms[1])

    def product(self, x: Value, y: Value) -> Outcome:
        """x * y."""
        forms = self._forms(x, y)
        if forms is None:
            return None
        for one, other in (forms, forms[::-1]):
            if not one.terms:
                return other.times(one.constant)
        corners = [a * b for a in self._bounds(forms[0]) for b in self._bounds(forms[1])]
        above = (forms[0], forms[0].times(-1)) if x is y else ()  # a square is not nearer to 0
        if x is y:
            corners = [max(c, 0) for c in corners]
        below = [self.strides[a][1] for a, b in ((x, y), (y, x)) if a in self.strides and self.strides[a][0] is b]
        return Between(min(corners), min([max(corners), *map(self.facts.most, below)]), above, tuple(below))

    def negation(self, x: Value) -> Outcome:
        """-x."""
        form = self.form(x)
        return None if form is None else form.times(-1)

    def magnitude(self, x: Value) -> Outcome:
        """abs(x)."""
        form = self.form(x)
        if form is None:
            return None
        low, high = self._bounds(form)
        if low >= 0:
            return x
        return Between(0, max(-low, high), (form, form.times(-1)))

    def quotient(self, x: Value, y: Value) -> Outcome:
        """The floor of x / y."""
        forms = self._forms(x, y)
        if forms is None:
            return None
        (low, high), (least, most) = map(self._bounds, forms)
        if least < 1:
            return None
        corners = [low // least, low // most, high // least, high // most]
        if least == most:
            return Quotient(min(corners), max(corners), of=(x, y), dividend=forms[0], divisor=least)
        return Quotient(min(corners), max(corners), (), (forms[0],) if low >= 0 else (), of=(x, y))

    def remainder(self, x: Value, y: Value) -> Outcome:
        """The remainder of x / y with the sign of y."""
        forms = self._forms(x, y)
        if forms is None or self.facts.least(forms[1]) < 1:
            return None
        below = (forms[1].shifted(-1), forms[0]) if self.facts.least(forms[0]) >= 0 else (forms[1].shifted(-1),)
        return Between(0, self.facts.most(forms[1]) - 1, (), below)

    def is_natural(self, *values: Value) -> bool:
        """Whether no number is negative."""
        forms = self._forms(*values)
        return forms is not None and all(self.facts.least(form) >= 0 for form in forms)

    def is_near(self, x: Value, y: Value) -> bool:
        """Whether x lies between -y and 2 * y - 1, for a y that is more than a number: then it is cheap to divide."""
        forms = self._forms(x, y)
        if forms is None or not forms[1].terms or self.facts.least(forms[1]) < 1:
            return False
        return self.facts.holds(forms[0].plus(forms[1], -2).shifted(1)) and self.facts.holds(
            forms[0].plus(forms[1]).times(-1)
        )

    def masked(self, x: Value, y: Value) -> Outcome:
        """The bits that x and y share."""
        forms = self._forms(x, y)
        if forms is None:
            return None
        below = tuple(f for f in forms if self.facts.least(f) >= 0)
        return Masked(0, min(map(self.facts.most, below)), (), below, of=(x, y)) if below else Masked(of=(x, y))

    def shifted_right(self, x: Value, y: Value) -> Outcome:
        """x by y bits to the right."""
        forms = self._forms(x, y)
        if forms is None:
            return None
        (low, high), (least, most) = map(self._bounds, forms)
        below = (forms[0],) if low >= 0 else ()
        if 0 <= least == most < 63:
            return Quotient(low >> least, high >> least, (), below, dividend=forms[0], divisor=1 << least)
        return Between(low >> 63, high >> max(0, min(least, 64)), (), below) if below else None

    def smaller(self, x: Value, y: Value) -> Outcome:
        """The smaller one."""
        forms = self._forms(x, y)
        if forms is None:
            return None
        difference = forms[0].minus(forms[1])
        if self.facts.holds(difference):
            return x
        if self.facts.holds(difference.times(-1)):
            return y
        return Extreme(min(map(self.facts.least, forms)), min(map(self.facts.most, forms)), (), tuple(forms))

    def larger(self, x: Value, y: Value) -> Outcome:
        """The larger one."""
        forms = self._forms(x, y)
        if forms is None:
            return None
        difference = forms[0].minus(forms[1])
        if self.facts.holds(difference):
            return y
        if self.facts.holds(difference.times(-1)):
            return x
        return Extreme(max(map(self.facts.least, forms)), max(map(self.facts.most, forms)), tuple(forms), ())

    def chosen(self, condition: Value, x: Value, y: Value) -> Outcome:
        """x where the condition holds, else y."""
        known = self.condition(condition)
        truth = known if isinstance(known, bool) else self.decide(known)
        if truth is not None:
            return x if truth else y
        forms = self._forms(x, y)
        if forms is None:
            return None
        sides: list[Between] = []
        for value, form, truth in zip((x, y), forms, (True, False), strict=True):
            with self.facts.scope():
                self.assume(condition, truth)
                exact = self.exact.get(value)
                if exact is not None and self.facts.fits(exact):
                    form = exact
                sides.append(self.seen_from(self.facts.clock, form))
        return self.joined(*sides)

    def seen_from(self, outside: int, x: Linear) -> Between:
        """What x is between, in terms of values that were defined before `outside`."""
        if any(self.facts.order[v] >= outside for v in x.terms):
            return Between(*self._bounds(x), *self.facts.around(x, outside))
        above = tuple(y.times(-1) for y in self.facts.at_most(x.times(-1), outside))
        return Between(*self._bounds(x), above, tuple(self.facts.at_most(x, outside)))

    def joined(self, x: Between, y: Between) -> Between:
        """One of two numbers."""
        above = [a if a.minus(b).constant <= 0 else b for a, b in _comparable(x.above, y.above)]
        below = [b if a.minus(b).constant <= 0 else a for a, b in _comparable(x.below, y.below)]
        for one, other in ((x, y), (y, x)):  # what bounds one side, and that is beyond the other in any case
            above += [form for form in one.above if form.terms and self._is_at_most(form, other.low)]
            below += [form for form in one.below if form.terms and self._is_at_most(form.times(-1), -other.high)]
        return Between(min(x.low, y.low), max(x.high, y.high), _once(above), _once(below))

    def _is_at_most(self, x: Linear, most: int) -> bool:
        return LOW < most < HIGH and (self.facts.most(x) <= most or self.facts.holds(x.shifted(-most)))

    def same(self, x: Value) -> Outcome:
        """x as another integer dtype."""
        return self.form(x)

    def size(self) -> Outcome:
        """A number of elements."""
        return Between(0)

    def dim(self, dim: Dim | None) -> Linear | None:
        """A size of a type; None where nothing is known of it."""
        if isinstance(dim, int):
            return number(dim)
        return self.form(dim) if isinstance(dim, Value) else self._sizes.get(dim or "")

    # -- conditions -----------------------------------------------------------------------------------------------

    def less(self, x: Value, y: Value) -> Outcome:
        """x < y."""
        if self._forms(x, y) is None:
            return None
        return Condition((Part(x, y, 1),), (Part(y, x, 0),), True, True)

    def at_most(self, x: Value, y: Value) -> Outcome:
        """x <= y."""
        found = self.less(y, x)
        return found.opposite() if isinstance(found, Condition) else None

    def equal(self, x: Value, y: Value) -> Outcome:
        """x == y."""
        if self._forms(x, y) is None:
            return None
        if self._all((Part(x, y, 1),)) or self._all((Part(y, x, 1),)):
            return False
        return Condition((Part(x, y, 0), Part(y, x, 0)), (), True, apart_else=(x, y))

    def unequal(self, x: Value, y: Value) -> Outcome:
        """x != y."""
        found = self.equal(x, y)
        return found.opposite() if isinstance(found, Condition) else None if found is None else not found

    def opposite(self, x: Value) -> Outcome:
        """not x."""
        known = self.condition(x)
        return not known if isinstance(known, bool) else known.opposite()

    def both(self, x: Value, y: Value) -> Outcome:
        """x and y."""
        a, b = self.condition(x), self.condition(y)
        if a is False or b is False:
            return False
        if a is True or b is True:
            return b if a is True else a
        assert isinstance(a, Condition) and isinstance(b, Condition)
        return Condition(a.then + b.then, (), a.exact and b.exact)

    def either(self, x: Value, y: Value) -> Outcome:
        """x or y."""
        a, b = self.condition(x), self.condition(y)
        if isinstance(a, bool) or isinstance(b, bool):
            return True if a is True or b is True else b if a is False else a
        return replace(UNKNOWN, orelse=a.orelse + b.orelse, exact_else=a.exact_else and b.exact_else)


@record
class Masked(Between):
    """The bits that two numbers share."""

    of: tuple[Value, Value] | None = None


@record
class Quotient(Between):
    """The floor of a quotient, of these two values or by a known number."""

    of: tuple[Value, Value] | None = None
    dividend: Linear = field(default_factory=lambda: number(0))
    divisor: int = 0  #: 0 if it is not known

    def facts(self, made: Linear) -> list[Linear]:
        """What follows for the quotient: `divisor * made <= dividend < divisor * (made + 1)`."""
        if not self.divisor:
            return []
        multiple = made.times(self.divisor)
        return [multiple.minus(self.dividend), self.dividend.minus(multiple).shifted(1 - self.divisor)]


def _comparable(xs: Sequence[Linear], ys: Sequence[Linear]) -> list[tuple[Linear, Linear]]:
    """The pairs of expressions that differ by a known number."""
    return [(x, y) for x in xs for y in ys if not x.minus(y).terms]


def _once(found: Sequence[Linear]) -> tuple[Linear, ...]:
    """Each of the expressions once: else facts about facts multiply from branch to branch."""
    return tuple(dict.fromkeys(found))


def facts_of(outcome: Between, made: Linear) -> list[Linear]:
    """What a rule says about a number beside its bounds."""
    found = [form.minus(made) for form in outcome.above] + [made.minus(form) for form in outcome.below]
    return found + (outcome.facts(made) if isinstance(outcome, Quotient) else [])
