"""Whether two accesses of elements, each in trips of loops of its own, can never be of one element.

The trips of both are numbers between 0 and their loops' limits. Loops may be *shared*: then both accesses are in the
same trip of them, and what is computed outside of all other loops is one number for both. Index tuples are apart where
one index is always below the other's, by facts about linear expressions (`linear.py`), or where these facts contradict
that all indices are equal (`elimination.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

from tracejit.ir.core import Block, Op, Value
from tracejit.ir.types import BOOL, I64, Dim, ScalarType, TensorType
from tracejit.records import record
from tracejit.transforms.numbers.elimination import contradict
from tracejit.transforms.numbers.linear import Linear, number
from tracejit.transforms.numbers.meanings import meaning
from tracejit.transforms.numbers.rules import UNKNOWN, Between, Condition, Extreme, Outcome, Rules, facts_of, limits

SIZE = ScalarType(I64)

#: The loops and branches around a place, with the block that it is in, outermost first.
Path = tuple[tuple[Op, Block], ...]


def loops_of(path: Path) -> list[Op]:
    """The loops around a place, outermost first."""
    return [op for op, _ in path if op.name == "loop"]


class Program:
    """Where the values of some ops are defined, and how. `time`: how much of the text has run when a value is there.
    Sizes with a name are `least_size` or more."""

    def __init__(self, ops: Sequence[Op], least_size: int = 0) -> None:
        self.ops = tuple(ops)
        self.least_size = least_size
        self.made: dict[Value, Op] = {}
        self.places: dict[Op, Path] = {}
        self.paths: dict[Value, Path] = {}
        self.time: dict[Value, int] = {}
        #: Carried whole numbers that each trip moves by the same number: the start, the loop's trip, the step.
        self.inductions: dict[Value, tuple[Value, Value, int]] = {}
        self._clock = 0
        self._enter(ops, ())

    def _enter(self, ops: Sequence[Op], path: Path) -> None:
        for op in ops:
            self.places[op] = path
            for block in op.blocks:
                inside = (*path, (op, block))
                self._define(block.params, inside)
                self._enter(block.ops, inside)
            self._define(op.results, path)
            self.made.update((r, op) for r in op.results)
            if op.name == "loop":
                self._note_inductions(op)

    def _define(self, values: Sequence[Value], path: Path) -> None:
        self._clock += 1
        for value in values:
            self.paths[value] = path
            self.time[value] = self._clock

    def _note_inductions(self, loop: Op) -> None:
        body = loop.block("body")
        trip, *params = body.params
        for init, param, following in zip(loop.operands[2:], params, body.results[1:], strict=True):
            if param.type == SIZE and following is not param:
                form = meaning(self.made.get(following))
                if isinstance(form, Linear) and form.terms == {param: 1}:
                    self.inductions[param] = init, trip, form.constant


#: A sum of sizes and whole numbers, each with its factor.
Terms: TypeAlias = "tuple[tuple[Dim | None, int], ...]"


@record(eq=False)
class Access:
    """The indices of an element, and the loops and branches around them.

    Of several elements: None for an index that may be any, and for others how many there are from it on (`lengths`, by
    default one each). An index may be a sum, each number with its factor."""

    indices: Sequence[Value | int | Terms | None]
    path: Path
    lengths: Sequence[Dim | None] = ()


def are_apart(program: Program, one: Access, other: Access, shared: Sequence[Op], behind: Op | None) -> bool:
    """Whether two accesses are never of one element, in the same trip of the loops `shared`, and the other in a later
    trip of the loop `behind` (None: in any trips)."""
    outside = _Side(program, None, set(shared))
    facts = outside.facts
    sides = [_Side(program, outside, set(shared)) for _ in range(2)]
    indices: list[list[Linear | None]] = []
    for side, access in zip(sides, (one, other), strict=True):
        side.enter(access.path)
    if behind is not None:
        trips = [side.form(behind.block("body").params[0]) for side in sides]
        assert trips[0] is not None and trips[1] is not None
        facts.learn(trips[0].minus(trips[1]).shifted(1))
    for side, access in zip(sides, (one, other), strict=True):
        indices.append([side.index(access, axis) for axis in range(len(access.indices))])
    differences = [a.minus(b) for a, b in zip(*indices, strict=True) if a is not None and b is not None]
    if any(facts.holds(d.shifted(1)) or facts.holds(number(1).minus(d)) for d in differences):
        return True
    return contradict([*facts.all(), *differences, *(d.times(-1) for d in differences)])


def is_at_most(program: Program, path: Path, terms: Sequence[Dim | None], more: Dim | None, most: Dim | None) -> bool:
    """Whether a sum of whole numbers is at most another one, in all trips that come to a place."""
    return is_not_negative(program, path, ((most, 1), *((term, -1) for term in (*terms, more))))


def is_not_negative(program: Program, path: Path, terms: Terms) -> bool:
    """Whether a sum of whole numbers is 0 or more, in all trips that come to a place."""
    side = _Side(program, None, ())
    side.enter(path)
    total = side.total(terms)
    return total is not None and side.facts.holds(total.times(-1))


def is_element(program: Program, path: Path, array: Value, indices: Sequence[Value]) -> bool:
    """Whether an array has the element, in all trips that come to a place."""
    assert isinstance(array.type, TensorType)
    return all(
        is_not_negative(program, path, terms)
        for index, size in zip(indices, array.type.shape, strict=True)
        for terms in (((index, 1),), ((size, 1), (index, -1), (1, -1)))
    )


class _Side(Rules):
    """Whole numbers as expressions, as one of the accesses sees them. `outside` has what both see alike."""

    def __init__(self, program: Program, outside: _Side | None, shared: Collection[Op]) -> None:
        super().__init__(program.least_size)
        self.program = program
        self.outside = outside
        self.shared = shared
        if outside is not None:
            self.facts, self._sizes = outside.facts, outside._sizes

    def enter(self, path: Path) -> None:
        """Learn what holds where a path leads."""
        for op, block in path:
            if op.name == "loop":
                self.form(block.params[0])
            elif op.name == "if":
                self.assume(op.operands[0], block.label == "then")

    def of_size(self, dim: Dim | None) -> Linear | None:
        """A size, or another whole number."""
        if isinstance(dim, str) and dim not in self._sizes:
            self._sizes[dim] = self._atom(Value(SIZE, dim), self.program.least_size)
        return self.form(dim) if isinstance(dim, Value) else self.dim(dim)

    def total(self, terms: Terms) -> Linear | None:
        """A sum of whole numbers."""
        total = number(0)
        for term, factor in terms:
            form = self.of_size(term)
            if form is None:
                return None
            total = total.plus(form, factor)
        return total

    def index(self, access: Access, axis: int) -> Linear | None:
        """An index of an access, any of those that it has along the axis."""
        found = access.indices[axis]
        form = self.total(found) if isinstance(found, tuple) else None if found is None else self.of_size(found)
        if form is None or not access.lengths:
            return form
        length = self.of_size(access.lengths[axis])
        if length is None:
            return None
        beyond = self._atom(Value(SIZE, "beyond"), 0)
        self.facts.learn(beyond.minus(length).shifted(1))
        return form.plus(beyond)

    def owner(self, x: Value) -> _Side:
        """Who knows a value: this side, or what both see."""
        if self.outside is None:
            return self
        around = loops_of(self.program.paths.get(x, ()))
        return self.outside if all(loop in self.shared for loop in around) else self

    def form(self, x: Value) -> Linear | None:
        owner = self.owner(x)
        if owner is not self:
            return owner.form(x)
        if x in self.forms or isinstance(x.known, int | str):
            return super().form(x)
        if not isinstance(x.type, ScalarType) or not x.type.dtype.is_integer:
            return None
        op = self.program.made.get(x)
        found = self._of_param(x) if op is None else self._of_result(op, x)
        self.forms[x] = self._atom(x) if found is None else found
        return self.forms[x]

    def _atom(self, x: Value, low: int | None = None, high: int | None = None) -> Linear:
        """A number of which nothing but bounds is known."""
        least, most = limits(x.type.dtype)  # type: ignore[union-attr]
        low = least if low is None else max(low, least)
        return self.facts.define(Value(x.type, x.name), low, most if high is None else min(high, most))

    def _of_param(self, x: Value) -> Linear | None:
        """The trip of a loop, or what is carried and moves by a step in each."""
        path = self.program.paths.get(x, ())
        if path and path[-1][1].params[0] is x:
            limit = self.form(path[-1][0].operands[0])
            trip = self._atom(x, 0)
            if limit is not None:
                self.facts.learn(trip.minus(limit).shifted(1))
            return trip
        if x not in self.program.inductions:
            return None
        init, trip, step = self.program.inductions[x]
        forms = self.form(init), self.form(trip)
        assert forms[0] is not None and forms[1] is not None
        body = path[-1][1]
        return self._exact(self.program.made[body.results[body.params.index(x)]], forms[0].plus(forms[1], step))

    def _exact(self, op: Op, x: Linear) -> Linear | None:
        """What an op gives in exact arithmetic, if that is what it gives; a checked one raises where it is not."""
        low, high = limits(op.results[0].type.dtype)  # type: ignore[union-attr]
        if op.defn.unchecked:
            if x.terms:
                self.facts.learn(x.shifted(-high))
                self.facts.learn(number(low).minus(x))
            return x
        return x if self.facts.fits(x, low, high) else None

    def _of_result(self, op: Op, x: Value) -> Linear | None:
        if op.name == "const":
            return number(op.attrs["value"])
        outcome = self._outcome(op)
        if isinstance(outcome, Value):
            return self.form(outcome) if outcome.type == x.type else None
        if isinstance(outcome, Linear):
            return self._exact(op, outcome)
        if not isinstance(outcome, Between):
            return None
        low, high = limits(x.type.dtype)  # type: ignore[union-attr]
        if not op.defn.unchecked and not low <= outcome.low <= outcome.high <= high:
            return None
        made = self._atom(x, outcome.low, outcome.high)
        for fact in facts_of(outcome, made):
            self.facts.learn(fact)
        if isinstance(outcome, Extreme):
            (value,) = made.terms
            self.facts.define_least(value, 1 if outcome.below else -1, outcome.below or outcome.above)
        return made

    def _outcome(self, op: Op) -> Outcome:
        rule = op.defn.ranges
        return None if rule is None else rule(self, *op.defn.group(op.operands), **op.attrs)

    def condition(self, x: Value) -> Condition | bool:
        owner = self.owner(x)
        if owner is not self:
            return owner.condition(x)
        if x not in self.conditions:
            op = self.program.made.get(x)
            found: Outcome = None
            if op is not None and x.type == ScalarType(BOOL):
                found = bool(op.attrs["value"]) if op.name == "const" else self._outcome(op)
            if isinstance(found, Condition):
                decided = self.decide(found)
                found = found if decided is None else decided
            self.conditions[x] = found if isinstance(found, Condition | bool) else UNKNOWN
        return self.conditions[x]
