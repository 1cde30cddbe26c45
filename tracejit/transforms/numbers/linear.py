"""Linear expressions over the integers of a graph, and what is known about them.

Everything here is exact arithmetic on whole numbers of any size. A fact is an expression that is at most 0. A goal is
proved by adding facts to bounds of single values: `i + 1 < n` from `i - j <= 0` and `j - n + 2 <= 0`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import TypeAlias

from tracejit.ir.core import Value

Bounds: TypeAlias = tuple[int, int]

LOW, HIGH = -(1 << 63), (1 << 63) - 1

#: How many facts one proof may add up, and how many combinations it may try.
_DEPTH, _STEPS = 5, 60
#: Of more facts about a value a proof looks at the first and the last ones only.
_FACTS = 256


#: How many expressions around another are taken into account.
_SOME = 5
#: Bounds so close to one another say nearly all there is to say of a value.
_TIGHT = 1 << 6
#: A bound that is farther away says nothing about sizes.
_NEAR = 1 << 20
#: No array in memory has so many elements, so that loops need not be fast beyond.
_FAR = 1 << 50


class Linear:
    """A sum of multiples of values, and a constant."""

    __slots__ = ("constant", "terms")

    def __init__(self, terms: dict[Value, int], constant: int = 0) -> None:
        self.terms = terms
        self.constant = constant

    def plus(self, other: Linear, factor: int = 1) -> Linear:
        """The sum with a multiple of another expression."""
        terms = dict(self.terms)
        for value, n in other.terms.items():
            total = terms.get(value, 0) + factor * n
            if total:
                terms[value] = total
            else:
                terms.pop(value, None)
        return Linear(terms, self.constant + factor * other.constant)

    def minus(self, other: Linear) -> Linear:
        """The difference."""
        return self.plus(other, -1)

    def shifted(self, n: int) -> Linear:
        """The sum with a number."""
        return Linear(self.terms, self.constant + n)

    def times(self, n: int) -> Linear:
        """A multiple."""
        return Linear({v: n * c for v, c in self.terms.items()} if n else {}, n * self.constant)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Linear) and self.terms == other.terms and self.constant == other.constant

    def __hash__(self) -> int:
        return hash((frozenset(self.terms.items()), self.constant))

    def __repr__(self) -> str:
        return " + ".join([*(f"{c}*%{v.name}" for v, c in self.terms.items()), str(self.constant)])


#: The first expression is at most the second; both fit 64 bits.
Limit: TypeAlias = tuple[Linear, Linear]


def number(n: int) -> Linear:
    """A number as an expression."""
    return Linear({}, n)


def _some(facts: list[Linear]) -> list[Linear]:
    return facts if len(facts) <= _FACTS else facts[: _FACTS // 2] + facts[-_FACTS // 2 :]


class Facts:
    """Bounds of values and expressions known to be at most 0; what a scope learns is forgotten at its end."""

    def __init__(self) -> None:
        self.bounds: dict[Value, Bounds] = {}
        self.order: dict[Value, int] = {}
        self._about: dict[Value, tuple[list[Linear], list[Linear]]] = {}  #: facts with a negative factor, and positive
        self._least_of: dict[Value, tuple[int, Sequence[Linear]]] = {}
        self._replacing: set[Value] = set()  #: values that occur in place of those
        self.learned = 0  #: how much was learned so far
        self.clock = 0  #: later than the order of everything defined so far
        self._trail: list[tuple[Value, Bounds] | Linear] = []
        self._steps = 0
        #: Terms that a proof failed with, the least constant beside them, and the depth it was tried to.
        self._failed: dict[frozenset[tuple[Value, int]], tuple[int, int]] = {}

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Forget at the end what is learned inside."""
        mark = len(self._trail)
        try:
            yield
        finally:
            while len(self._trail) > mark:
                last = self._trail.pop()
                if isinstance(last, Linear):
                    for value, factor in last.terms.items():
                        self._about[value][factor > 0].pop()
                else:
                    self.bounds[last[0]] = last[1]

    def define(self, value: Value, low: int = LOW, high: int = HIGH) -> Linear:
        """A value of which nothing but bounds is known; as an expression."""
        self.order[value] = self.clock
        self.clock += 1
        self.bounds[value] = low, high
        self._about[value] = [], []
        self._least_of.pop(value, None)
        return Linear({value: 1})

    def define_least(self, value: Value, sign: int, of: Sequence[Linear]) -> None:
        """`sign` times a value is the least of `sign` times each of some expressions: what holds for each of them holds
        for it."""
        self._least_of[value] = sign, of
        self._replacing.add(value)
        self._replacing.update(*(x.terms for x in of))

    def learn(self, fact: Linear) -> None:
        """Remember that an expression is at most 0."""
        self.learned += 1
        for value, factor in fact.terms.items():
            low, high = self.bounds[value]
            rest = factor * (low if factor > 0 else high) - self.least(fact)  # what the others leave for this term
            if factor > 0:
                high = min(high, rest // factor)
            else:
                low = max(low, -(rest // -factor))
            if (low, high) != self.bounds[value]:
                self._trail.append((value, self.bounds[value]))
                self.bounds[value] = low, high
        if len(fact.terms) > 1:
            for value, factor in fact.terms.items():
                self._about[value][factor > 0].append(fact)
            self._trail.append(fact)

    def around(self, x: Linear, outside: int) -> tuple[tuple[Linear, ...], tuple[Linear, ...]]:
        """Expressions that x is at least, and at most, of values that were defined before `outside`."""
        inner = [v for v in x.terms if self.order[v] >= outside]
        if not inner:
            return (x,), (x,)
        above: list[Linear] = []
        below: list[Linear] = []
        for fact in chain(*self._about[inner[0]]) if len(inner) == 1 else ():
            times, rest = divmod(x.terms[inner[0]], fact.terms[inner[0]])
            left = x.plus(fact, -times)
            if rest == 0 and all(self.order[v] < outside for v in left.terms):
                (below if times > 0 else above).append(left)
        return tuple(above), tuple(below)

    def at_most(self, x: Linear, outside: int) -> list[Linear]:
        """Some expressions of values that were defined before `outside`, as those of x, that x is at most, itself
        first."""
        found = (y for y in self._near(x) if all(self.order[v] < outside for v in y.terms))
        return list(islice(found, _SOME))

    def _near(self, x: Linear) -> Iterator[Linear]:
        """Expressions that x is at most, itself first."""
        yield x
        for value, factor in x.terms.items():
            bound = self.bounds[value][factor > 0]
            if abs(bound) < _NEAR:
                yield x.plus(Linear({value: -1}, bound), factor)
            for fact in self._about[value][factor > 0]:
                times, rest = divmod(factor, fact.terms[value])
                if rest == 0:
                    yield x.plus(fact, -times)

    def most_outside(self, x: Linear, outside: int) -> Linear | None:
        """An expression of values that were defined before `outside` that x is at most, if one is known."""
        while inner := [v for v in x.terms if self.order[v] >= outside]:
            found = self._without(x, max(inner, key=self.order.__getitem__))
            if found is None:
                return None
            x = found
        return x

    def compared(self, x: Linear) -> list[Limit] | None:
        """`x <= 0` as comparisons that can be computed, if there are such."""
        if self.fits(x):
            return [(x, number(0))]
        for value, factor in x.terms.items():
            if abs(factor) == 1:
                alone, rest = Linear({value: 1}), x.plus(Linear({value: -factor}))
                if self.fits(rest.times(-factor)):
                    return [(alone, rest.times(-1)) if factor > 0 else (rest, alone)]
        near = [v for v, factor in x.terms.items() if abs(factor) > 1 and self.bounds[v][1] > _FAR]
        with self.scope():
            for value in near:
                self.learn(Linear({value: 1}, -_FAR))
            fits = self.most(x) <= HIGH and self.least(x) >= LOW
        return [*((Linear({v: 1}), number(_FAR)) for v in near), (x, number(0))] if fits else None

    def _without(self, x: Linear, value: Value) -> Linear | None:
        """An expression without a value that x is at most: the least of those that can be compared with the first."""
        factor, found = x.terms[value], list[Linear]()
        for fact in self._about[value][factor > 0]:
            times, rest = divmod(factor, fact.terms[value])
            if rest == 0 and self.order[value] == max(map(self.order.__getitem__, fact.terms)):
                found.append(x.plus(fact, -times))
        bound = self.bounds[value][factor > 0]
        if abs(bound) < _NEAR:
            found.append(x.plus(Linear({value: -1}, bound), factor))
        alike = (y for y in found if not y.minus(found[0]).terms)
        return min(alike, key=lambda y: y.constant, default=None)

    def all(self) -> Iterator[Linear]:
        """Every fact, bounds beyond those of 64 bits included."""
        for value, (low, high) in self.bounds.items():
            if low > LOW:
                yield Linear({value: -1}, low)
            if high < HIGH:
                yield Linear({value: 1}, -high)
        for negative, positive in self._about.values():
            yield from negative
            yield from positive

    # -- questions ------------------------------------------------------------------------------------------------

    def most(self, x: Linear) -> int:
        """An upper bound, from the bounds of single values."""
        total, bounds = x.constant, self.bounds
        for value, factor in x.terms.items():
            total += factor * bounds[value][factor > 0]
        return total

    def least(self, x: Linear) -> int:
        """A lower bound, from the bounds of single values."""
        total, bounds = x.constant, self.bounds
        for value, factor in x.terms.items():
            total += factor * bounds[value][factor < 0]
        return total

    def holds(self, goal: Linear) -> bool:
        """Whether an expression is proved to be at most 0."""
        self._steps = _STEPS
        self._failed.clear()
        return self._prove(goal, _DEPTH)

    def fits(self, x: Linear, low: int = LOW, high: int = HIGH) -> bool:
        """Whether an expression is proved to lie between two numbers."""
        above = self.most(x) <= high or self.holds(x.shifted(-high))
        return above and (self.least(x) >= low or self.holds(number(low).minus(x)))

    def _prove(self, goal: Linear, depth: int) -> bool:
        terms, bounds, about = goal.terms, self.bounds, self._about
        most, unbounded = goal.constant, 0
        for value, factor in terms.items():
            bound = bounds[value][factor > 0]
            most += factor * bound
            if not LOW < bound < HIGH and not about[value][factor > 0] and value not in self._replacing:
                unbounded += 1  # nothing bounds this term but its type
        if most <= 0:
            return True
        self._steps -= 1
        if not terms or depth == 0 or self._steps < 0 or unbounded > (goal.constant < LOW // 2):
            return False
        key = frozenset(terms.items())
        least, deepest = self._failed.get(key, (HIGH, 0))
        if least <= goal.constant and depth <= deepest:  # facts were added in another order
            return False
        if self._combined(goal, depth):
            return True
        self._failed[key] = goal.constant, depth
        return False

    def _combined(self, goal: Linear, depth: int) -> bool:
        """Whether a goal is proved by what is known about its latest value."""
        terms, bounds, about = goal.terms, self.bounds, self._about
        value = max(terms, key=self.order.__getitem__)
        factor = terms[value]
        low, high = bounds[value]
        others = terms.copy()
        del others[value]
        rest = Linear(others, goal.constant)
        if high - low < _TIGHT and self._prove(rest.shifted(factor * (high if factor > 0 else low)), depth - 1):
            return True
        for fact in _some(about[value][factor > 0]):
            other = fact.terms[value]
            if factor % other == 0:
                left = goal.plus(fact, -(factor // other))
            else:  # a whole number is at most 0 if m times it is at most m - 1
                m = abs(other)
                left = goal.times(m).shifted(1 - m).plus(fact, -(m * factor // other))
            if self._prove(left, depth - 1):
                return True
        bound = bounds[value][factor > 0]
        if LOW < bound < HIGH and self._prove(rest.shifted(factor * bound), depth - 1):
            return True
        sign, of = self._least_of.get(value, (0, ()))
        return sign * factor < 0 and all(self._prove(rest.plus(x, factor), depth - 1) for x in of)
