"""What host scalars of a graph can be, found by walking it.

A loop is walked under assumptions about what it carries (a counter grows by a known step, a number is not below where
it started, the condition of a `while` holds at the start of a trip). Those that its end does not confirm are given up
and the loop is walked again, so that the last walk rests only on what holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TypeAlias

from tracejit.ir.core import Block, Graph, Op, Value, type_values, walk
from tracejit.ir.types import BOOL, ScalarType
from tracejit.records import record
from tracejit.transforms.numbers.fits import is_few, is_nest
from tracejit.transforms.numbers.growth import Growth
from tracejit.transforms.numbers.lengths import TRIPS, Lengths
from tracejit.transforms.numbers.limits import SIZE, Stops
from tracejit.transforms.numbers.linear import HIGH, LOW, Limit, Linear, number
from tracejit.transforms.numbers.rules import (
    UNKNOWN,
    Between,
    Condition,
    Extreme,
    Outcome,
    Part,
    Rules,
    facts_of,
    least_size,
    limits,
)
from tracejit.transforms.numbers.separate_windows import Windows

TRUTH = ScalarType(BOOL)

#: A number that grows by more in a trip is not followed.
_STEP = 1 << 32
#: A loop of at most so many trips is a part of the trip around it.
_SOON = 1 << 10


@record
class _Counter:
    """Carried value `place` is `init + step * trip`."""

    place: int
    step: int


@record
class _Bound:
    """`sign * (carried value) <= limit + step * trip`; `limit` None: `sign` times what it was before the loop."""

    place: int
    sign: int
    limit: int | None = None
    step: int = 0


@record
class _Going:
    """A part of the loop's condition, about carried values (by place) and values from outside."""

    x: int | Value
    y: int | Value
    slack: int


Assumption: TypeAlias = _Counter | _Bound | _Going


class Analysis:
    """Walks a graph; what the last visit of an op found out is what stands."""

    def __init__(self, graph: Graph) -> None:
        self.r = Rules(least_size(graph))
        self.facts = self.r.facts
        self.windows = Windows(self.r, graph.body)
        self.replaced: dict[Op, bool | Value | str] = {}  #: a truth value, an operand, or the name of another op
        self.undecided: dict[Value, int] = {}  #: truth values, and how much was known when they were not decided
        self.stops: dict[Op, Stops] = {}  #: loops, with the checks that may stop them
        self.needs: dict[Op, list[Limit] | None] = {}  #: what must hold ahead of a loop for checks in it to hold
        self.outside: int | None = None  #: the clock ahead of the loop that is walked
        self.nests: set[Op] = set()  #: loops over elements with loops in them, and no loop around
        self.ahead_of_nest: int | None = None  #: the clock ahead of the one that is walked
        self.nest_needs: dict[Op, list[Limit] | None] = {}  #: the same as `needs`, ahead of nests
        self.assumed: dict[Op, list[Assumption]] = {}
        self.followed: dict[Op, set[tuple[int, int]]] = {}  #: places and signs for which `new_bounds` were tried
        made = {r: op for op in walk(graph.body) for r in op.results}
        self.growth = Growth(made)
        self.lengths = Lengths(self.r, made)
        self.dims = {d for op in walk(graph.body) for v in _bound(op) for d in type_values(v.type)}
        for param in graph.params:
            self.r.form(param)
        self.block(graph.body)

    def block(self, block: Block) -> None:
        """Learn from ops in order; the caller opens the scope."""
        for op in block.ops:
            match op.name:
                case "loop":
                    self.loop(op)
                case "if":
                    self.branch(op)
                case "const":
                    self.constant(op)
                case "check":
                    self.check(op)
                case "vadd":
                    self.windows.add(op)
                case _:
                    self.windows.fill(op)
                    self.plain(op)

    # -- straight-line code -------------------------------------------------------------------------------------------

    def constant(self, op: Op) -> None:
        (result,) = op.results
        if _is_whole(result):
            self.r.forms[result] = number(op.attrs["value"])
        elif result.type == TRUTH:
            self.r.conditions[result] = bool(op.attrs["value"])
        elif op.attrs["value"] == 0:
            self.windows.zeros.add(result)

    def check(self, op: Op) -> None:
        known = asked = self.r.condition(op.operands[0])
        if isinstance(known, Condition) and self.undecided.get(op.operands[0]) != self.facts.learned:
            known = self.r.decide(known) is True
        self.note(op, True if known is True else None)
        for needs, outside in self.places_to_ask():
            if known is not True and outside is not None:
                needs[op] = self.needed(asked, outside) if isinstance(asked, Condition) else None
            else:
                needs.pop(op, None)
        self.r.assume(op.operands[0], True)

    def places_to_ask(self) -> tuple[tuple[dict[Op, list[Limit] | None], int | None], ...]:
        """Ahead of the loop that is walked, and of the nest that it is in, if there are such."""
        return (self.needs, self.outside), (self.nest_needs, self.ahead_of_nest)

    def needed(self, asked: Condition, outside: int) -> list[Limit] | None:
        """What must hold ahead of a loop for a condition to hold in each of its trips."""
        return self.ahead([self.r.expression(part) for part in asked.then], outside) if asked.exact else None

    def ahead(self, goals: Iterable[Linear], outside: int) -> list[Limit] | None:
        """What must hold ahead of a loop for expressions to be at most 0 in each of its trips."""
        found: list[Limit] = []
        for goal in goals:
            if self.facts.most(goal) <= 0:
                continue
            most = self.facts.most_outside(goal, outside)
            limits = None if most is None else self.facts.compared(most)
            if limits is not None:
                found += limits
            elif not self.facts.holds(goal):
                return None
        return found

    def plain(self, op: Op) -> None:
        for nested in op.blocks:
            with self.facts.scope():
                self.block(nested)
        rule = op.defn.ranges
        if rule is None or not isinstance(op.results[0].type, ScalarType):
            self.unknown(op.results)
            return
        (result,) = op.results
        outcome: Outcome = rule(self.r, *op.defn.group(op.operands), **op.attrs)
        if isinstance(outcome, Value) and (outcome.type != result.type or result in self.dims):
            outcome = self.r.form(outcome)
        if isinstance(outcome, Value):
            self.note(op, outcome)
            self.known_as(result, outcome)
        elif isinstance(outcome, Linear | Between | None) and _is_whole(result):
            self.whole(op, result, outcome)
        else:
            self.truth(op, result, outcome)

    def known_as(self, result: Value, other: Value) -> None:
        """A result that is another value."""
        self.unknown((result,))
        form = self.r.form(other)
        if form is not None:
            self.r.forms[result] = form
        if other in self.r.conditions:
            self.r.conditions[result] = self.r.conditions[other]

    def whole(self, op: Op, result: Value, outcome: Linear | Between | None) -> None:
        """A result that is a whole number."""
        low, high = limits(result.type.dtype)  # type: ignore[union-attr]
        fits = outcome is not None and self.fits(outcome, low, high)
        self.note(op, self.simpler(op, fits) or None)
        self.unknown((result,))
        if isinstance(outcome, Linear) and not fits and result.type == SIZE:
            self.r.exact[result] = outcome
            for needs, outside in self.places_to_ask() if op.defn.unchecked else ():
                if outside is not None:
                    needs[op] = self.ahead((outcome.shifted(-HIGH), number(LOW).minus(outcome)), outside)
        else:
            self.r.exact.pop(result, None)
            self.needs.pop(op, None)
            self.nest_needs.pop(op, None)
        if outcome is None or result.known is not None or not (fits or op.defn.unchecked):
            return
        if isinstance(outcome, Linear):
            self.r.forms[result] = outcome
        else:
            self.between(result, outcome, low, high)

    def simpler(self, op: Op, fits: bool) -> str:
        """The op that gives the same here at less cost, if there is one."""
        if fits and op.defn.unchecked:
            return op.defn.unchecked
        cheaper = op.defn.cheaper if op.results[0].type == SIZE else None
        return "" if cheaper is None else cheaper(self.r, *op.operands)

    def fits(self, outcome: Linear | Between, low: int, high: int) -> bool:
        """Whether exact arithmetic gives what the machine's does."""
        if isinstance(outcome, Between):
            return low <= outcome.low and outcome.high <= high
        return self.facts.fits(outcome, low, high)

    def between(self, result: Value, outcome: Between, low: int, high: int) -> None:
        """A result of which bounds are known."""
        made = self.facts.define(result, max(outcome.low, low), min(outcome.high, high))
        self.r.forms[result] = made
        for fact in facts_of(outcome, made):
            self.facts.learn(fact)
        if isinstance(outcome, Extreme):
            self.facts.define_least(result, 1 if outcome.below else -1, outcome.below or outcome.above)

    def truth(self, op: Op, result: Value, outcome: Outcome) -> None:
        """A result that is a truth value."""
        if isinstance(outcome, Condition):
            decided = self.r.decide(outcome)
            outcome = outcome if decided is None else decided
            self.undecided[result] = self.facts.learned
        if isinstance(outcome, Condition | bool):
            self.r.conditions[result] = outcome
        else:
            self.r.conditions.pop(result, None)
        self.note(op, outcome if isinstance(outcome, bool) else None)

    def unknown(self, results: Sequence[Value]) -> None:
        """Results about which nothing is known but their dtype."""
        for result in results:
            self.r.forms.pop(result, None)
            self.r.conditions.pop(result, None)
            self.r.form(result)

    def note(self, op: Op, replacement: bool | Value | str | None) -> None:
        """Keep what this visit found, instead of what an earlier one did."""
        if replacement is None:
            self.replaced.pop(op, None)
        else:
            self.replaced[op] = replacement

    # -- branches -----------------------------------------------------------------------------------------------------

    def branch(self, op: Op) -> None:
        outside = self.facts.clock
        ends: list[list[Between | None]] = []
        truths: list[list[Condition | bool]] = []
        for block in op.blocks:
            with self.facts.scope():
                self.r.assume(op.operands[0], block.label == "then")
                self.block(block)
                ends.append([self.end(v, outside) for v in block.results])
                truths.append([self.r.condition(v) for v in block.results])
        for i, result in enumerate(op.results):
            self.unknown((result,))
            then, orelse = (end[i] for end in ends)
            if then is not None and orelse is not None:
                self.between(result, self.r.joined(then, orelse), *limits(result.type.dtype))  # type: ignore[union-attr]
            never = truths[1][i] is False or op.block("else").results[i] is op.operands[0]
            if never and isinstance(truths[0][i], Condition):
                self.r.conditions[result] = self.and_then(op.operands[0], truths[0][i])

    def end(self, value: Value, outside: int) -> Between | None:
        form = self.r.form(value)
        return None if form is None else self.r.seen_from(outside, form)

    def and_then(self, condition: Value, second: Condition | bool) -> Condition:
        """`condition and second`, the second computed only where the first holds."""
        first = self.r.condition(condition)
        if not isinstance(first, Condition) or not isinstance(second, Condition):
            return second if isinstance(second, Condition) else UNKNOWN
        return Condition(first.then + second.then)

    # -- loops --------------------------------------------------------------------------------------------------------

    def loop(self, op: Op) -> None:
        body = op.block("body")
        self.assumed[op] = list(self.at_start(op)) if op in self.assumed else self.candidates(op, body)
        few = is_few(op)
        begins_nest = not few and self.outside is None and is_nest(op)
        if begins_nest:
            self.nests.add(op)
        while True:
            outside = self.facts.clock
            with self.facts.scope():
                self.head(op, body, self.assumed[op])
                around = self.outside, self.ahead_of_nest
                self.outside = self.outside if few else outside
                self.ahead_of_nest = outside if begins_nest else self.ahead_of_nest
                checks = self.trip(body)
                self.outside, self.ahead_of_nest = around
                kept = [a for a in self.assumed[op] if self.is_kept(a, op, body)]
                found = [*self.new_counters(op, body), *self.new_bounds(op, body, kept)]
                if self.lengths.changes(op, body):
                    continue
            if kept == self.assumed[op] and not found:
                break
            if found:  # what inner loops gave up may hold now
                for inner in walk(body):
                    self.assumed.pop(inner, None)
                    self.followed.pop(inner, None)
            self.assumed[op] = kept + found
        if self.outside is not None and few:  # it is unrolled
            self.stops.pop(op, None)
        else:
            self.stopping(op, body, checks, outside)
        self.unknown(op.results)
        for assumption in self.assumed[op]:
            self.learn_result(assumption, op)

    def candidates(self, op: Op, body: Block) -> list[Assumption]:
        """What may hold at the start of every trip."""
        going = self.going(op, body)
        bounded = {v for a in going for v in (a.x, a.y)}  # by the condition, however much they grow
        found: list[Assumption] = []
        for place, init in enumerate(op.operands[2:]):
            form = self.r.form(init)
            if form is None:
                continue
            low, high = self.facts.least(form), self.facts.most(form)
            rise = self.growth.of(op, place, 1)
            for sign, end, grown in ((-1, -low, self.growth.of(op, place, -1)), (1, high, rise)):
                if grown <= 0:
                    found.append(_Bound(place, sign))
                if abs(end) < TRIPS and form.terms and (grown <= 0 or place in bounded):
                    found.append(_Bound(place, sign, end))
            if rise <= 1:
                found.append(_Bound(place, 1, None, 1))
            if low > 0:
                found.append(_Bound(place, -1, 0))
        return [*found, *going]

    def at_start(self, op: Op) -> Iterator[Assumption]:
        """Those assumptions of an earlier walk that hold where the loop starts: what they came from may be given up."""
        for assumption in self.assumed[op]:
            if isinstance(assumption, _Counter) or (isinstance(assumption, _Bound) and assumption.limit is None):
                yield assumption
                continue
            with self.facts.scope():
                if isinstance(assumption, _Going):  # a bound is to hold after no trip at all too
                    self.r.assume(op.operands[1], True)
                if self.facts.holds(self.fact(assumption, op, op.operands[2:], number(0))):
                    yield assumption
                    continue
            if isinstance(assumption, _Bound):
                form = self.r.form(op.operands[2 + assumption.place])
                assert form is not None
                end = self.facts.most(form.times(assumption.sign))
                if abs(end) < TRIPS:
                    yield replace(assumption, limit=end)

    def head(self, op: Op, body: Block, assumptions: Sequence[Assumption]) -> None:
        """The start of a trip."""
        limit = self.r.form(op.operands[0])
        assert limit is not None
        self.r.assume(op.operands[1], True)  # it held once: true of values from outside
        trip = self.facts.define(body.params[0], 0, max(self.lengths.most(op) - 1, 0))
        self.r.forms[body.params[0]] = trip
        self.lengths.index(op, body)
        if limit.terms:
            self.facts.learn(trip.minus(limit).shifted(1))
        counters = {a.place: a for a in assumptions if isinstance(a, _Counter)}
        for place, (param, init) in enumerate(zip(body.params[1:], op.operands[2:], strict=True)):
            self.unknown((param,))
            if place in counters:
                start = self.r.form(init)
                assert start is not None
                self.r.forms[param] = start.plus(trip, counters[place].step)
        for assumption in assumptions:
            if not isinstance(assumption, _Counter):
                self.facts.learn(self.fact(assumption, op, body.params[1:], trip))

    def trip(self, body: Block) -> list[Op]:
        """Walk a body; the checks in it (not in nested blocks) that may fail."""
        self.block(body)
        return [op for op in body.ops if op.name == "check" and op not in self.replaced]

    def fact(self, assumption: _Bound | _Going, op: Op, carried: Sequence[Value], trip: Linear) -> Linear:
        """An assumption as an expression that is at most 0, of these carried values."""
        if isinstance(assumption, _Going):
            x, y = (carried[v] if isinstance(v, int) else v for v in (assumption.x, assumption.y))
            return self.r.expression(Part(x, y, assumption.slack))
        now, before = self.r.form(carried[assumption.place]), self.r.form(op.operands[2 + assumption.place])
        assert now is not None and before is not None
        limit = before.times(assumption.sign) if assumption.limit is None else number(assumption.limit)
        return now.times(assumption.sign).minus(limit).plus(trip, -assumption.step)

    def is_kept(self, assumption: Assumption, op: Op, body: Block) -> bool:
        """Whether an assumption still holds at the end of a trip."""
        if isinstance(assumption, _Going):
            return True
        after = body.results[1:]
        trip = self.r.forms[body.params[0]]
        if isinstance(assumption, _Counter):
            return self.step(assumption.place, body) == assumption.step
        return self.facts.holds(self.fact(assumption, op, after, trip.shifted(1)))

    def step(self, place: int, body: Block) -> int | None:
        """By how much a carried number grows in every trip, if that is one number."""
        now, after = self.r.form(body.params[1 + place]), self.r.form(body.results[1 + place])
        if now is None or after is None or (difference := after.minus(now)).terms:
            return None
        return difference.constant

    def new_counters(self, op: Op, body: Block) -> list[Assumption]:
        """Counters that no assumption names yet."""
        known = {a.place for a in self.assumed[op] if isinstance(a, _Counter)}
        steps = ((place, self.step(place, body)) for place in range(len(op.results)) if place not in known)
        return [_Counter(place, step) for place, step in steps if step and abs(step) < _STEP]

    def new_bounds(self, op: Op, body: Block, kept: Sequence[Assumption]) -> Iterator[Assumption]:
        """Bounds that move with the trip, of numbers that grow by a few in each."""
        counters = {a.place for a in self.assumed[op] if isinstance(a, _Counter)}
        tried = self.followed.setdefault(op, set())
        known = {(a.place, a.sign) for a in kept if isinstance(a, _Bound)} | tried
        for place, sign in product(range(len(op.results)), (1, -1)):
            step = None if place in counters or (place, sign) in known else self.most_grown(place, sign, body)
            if step is not None and 0 < step < _STEP:
                tried.add((place, sign))
                yield _Bound(place, sign, None, step)

    def most_grown(self, place: int, sign: int, body: Block) -> int | None:
        """The most by which `sign` times a carried number grows in a trip, as far as that is a number."""
        now, after = self.r.form(body.params[1 + place]), self.r.form(body.results[1 + place])
        if now is None or after is None:
            return None
        found = (x.minus(now.times(sign)) for x in self.facts.at_most(after.times(sign), self.facts.clock))
        return min((self.facts.most(grown) for grown in found), default=None)

    def going(self, op: Op, body: Block) -> list[_Going]:
        """Parts of the condition that hold before the loop too; they hold at the start of every trip."""
        made = {r: inner for inner in walk(body) for r in inner.results}
        inside = set(made) | set(body.params)
        places = {v: i for i, v in reversed(list(enumerate(body.results[1:])))}

        def outer(value: Value) -> int | Value | None:
            return places.get(value, None if value in inside else value)

        found: list[_Going] = []
        with self.facts.scope():
            self.r.assume(op.operands[1], True)
            for part in self.compared(body.results[0], made):
                x, y = outer(part.x), outer(part.y)
                if x is None or y is None or not (isinstance(x, int) or isinstance(y, int)):
                    continue
                candidate = _Going(x, y, part.slack)
                if self.facts.holds(self.fact(candidate, op, op.operands[2:], number(0))):
                    found.append(candidate)
        return found

    def compared(self, truth: Value, made: Mapping[Value, Op]) -> tuple[Part, ...]:
        """Comparisons that hold where a value of a body that was not walked yet is true."""
        op = made.get(truth)
        if op is None:
            return ()
        if op.name == "if":
            then, orelse = op.block("then"), op.block("else")
            if len(op.results) != 1 or not self.is_false(orelse.results[0], op.operands[0], made):
                return ()  # not `condition and second`
            return self.compared(op.operands[0], made) + self.compared(then.results[0], made)
        for operand in op.operands:
            if operand.type == TRUTH and (parts := self.compared(operand, made)):
                self.r.conditions[operand] = Condition(parts)
        outcome = None if op.defn.ranges is None else op.defn.ranges(self.r, *op.defn.group(op.operands), **op.attrs)
        return outcome.then if isinstance(outcome, Condition) else ()

    def is_false(self, x: Value, condition: Value, made: Mapping[Value, Op]) -> bool:
        """Whether a truth value that is given where a condition does not hold is false."""
        op = made.get(x)
        if op is None:
            return x is condition or self.r.condition(x) is False
        return x is condition or (op.name == "const" and op.attrs["value"] is False)

    def learn_result(self, assumption: Assumption, op: Op) -> None:
        """What holds before and after every trip holds after the loop."""
        most = self.lengths.most(op)
        if isinstance(assumption, _Bound) and (not assumption.step or most <= _SOON):
            self.facts.learn(self.fact(assumption, op, op.results, number(most)))

    # -- checks that stop a loop ---------------------------------------------------------------------------------------

    def stopping(self, op: Op, body: Block, checks: Sequence[Op], outside: int) -> None:
        """Note which of a body's checks fail from some trip on that is known before the loop."""
        self.stops.pop(op, None)
        trip = body.params[0]
        parts: dict[Op, list[tuple[int, Linear]] | None] = {}
        inside = {*body.params, *(r for inner in body.ops for r in inner.results)}
        for check in checks:
            if check.operands[0] not in inside:
                parts[check] = None
                continue
            condition = self.r.condition(check.operands[0])
            if not isinstance(condition, Condition) or not condition.exact:
                continue
            forms = [self.r.expression(part) for part in condition.then]
            split = [(f.terms.get(trip, 0), f.plus(Linear({trip: -1}), f.terms.get(trip, 0))) for f in forms]
            if all(abs(n) <= 1 and self.is_outer(rest, outside) for n, rest in split):
                parts[check] = split
        if parts:
            goes = self.r.condition(op.operands[1]) is True and self.r.condition(body.results[0]) is True
            self.stops[op] = Stops(parts, goes)

    def is_outer(self, x: Linear, outside: int) -> bool:
        """Whether an expression is of values from before a loop, and can be computed and negated there."""
        return all(self.facts.order[v] < outside for v in x.terms) and self.facts.fits(x, LOW + 2, HIGH - 1)


def _is_whole(x: Value) -> bool:
    return isinstance(x.type, ScalarType) and x.type.dtype.is_integer


def _bound(op: Op) -> Iterator[Value]:
    """The values an op and its blocks define."""
    yield from op.results
    for block in op.blocks:
        yield from block.params
