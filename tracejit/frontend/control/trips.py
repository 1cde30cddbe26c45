"""Places that make what grows; in the trips of unrolled loops, what one trip makes, the others make too. Loops that may
be unrolled."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracejit.frontend.kinds import Kind


#: Sequences of more items are lists known at run time only: code for each item would get long.
MAX_UNROLLED = 64
#: So many iterations of unrolled loops inside of unrolled loops are too many. Then lists of so few items are unrolled.
_MANY = 200
_FEW = 8
#: What would be written more often, were the loops over few numbers around it unrolled, is better known at run time
#: only, if it can be: compiling takes as long as the program is.
_MANY_PLACES = 16


class TooMany(Exception):
    """Unrolled loops inside of others are long: lower again with lists of more than a few items known at run time
    only."""


class Trips:
    """The keys of a mapping that only grows, found by those of other trips of an unrolled loop, or of the loop where it
    is unrolled or is no more."""

    def __init__(self, known: Mapping[object, Any]) -> None:
        self.known = known
        self.first: dict[object, object] = {}  #: a key without the numbers of trips -> the first such key
        self.count = 0  #: so many keys are in it

    def like(self, key: object) -> object | None:
        """The first of the keys that is the same in another trip."""
        own = _across_trips(key)
        for k in islice(self.known, self.count, None):
            self.first.setdefault(_across_trips(k), k)
        self.count = len(self.known)
        return self.first.get(own)


class Growing(dict[object, "Kind | None"]):
    """The places that make lists, dicts and sets that grow, with the kind of their items (None: no item). Some are
    guessed, as long as what is found so can be lowered."""

    def __init__(self) -> None:
        super().__init__()
        self.guesses = True
        self.has_guessed = False
        self.trips = Trips(self)
        self.unrolled = MAX_UNROLLED  #: sequences of more items are known at run time only

    def covers(self, key: object) -> bool:
        """Whether what is made at a place grows, because it does or because it does in another trip: lowering would
        begin anew for each trip otherwise."""
        if self.guesses and key not in self and self.trips.like(key) is not None:
            self[key] = None
            self.has_guessed = True
        return key in self

    def shorten(self) -> None:
        """Guess that lists of more than a few items need not be known while compiling."""
        self.unrolled, self.has_guessed = _FEW, True

    def check_count(self, count: int) -> None:
        """Ask whether so many iterations may be written one after the other."""
        if self.guesses and self.unrolled > _FEW and count > _MANY:
            raise TooMany

    def withdraw(self) -> bool:
        """Guess no more, and forget what was found by guesses; whether there were any."""
        found = self.has_guessed
        if found:
            self.clear()
        self.guesses = self.has_guessed = False
        self.unrolled = MAX_UNROLLED
        return found


@dataclass(slots=True)
class Unrolling:
    """The loops that are to be unrolled, `while` loops that cannot be, and those around the present place that may be:
    loops over few numbers, and `while` loops, which are unrolled only where the program were refused otherwise. That
    what loops of many trips make can be known at run time only is guessed."""

    growing: Growing = field(default_factory=Growing)
    unrolled: Set[ast.AST] = frozenset()
    rolled: Set[ast.AST] = frozenset()
    whiles: list[ast.AST] = field(default_factory=list[ast.AST])
    _loops: list[ast.AST] = field(default_factory=list[ast.AST])
    _trips: int = 1  #: so often the present place would stand there

    @property
    def loops(self) -> list[ast.AST]:
        """The loops over few numbers around the present place that are not unrolled, and may be."""
        if self._loops and self._trips > _MANY_PLACES and self.growing.guesses:
            self.growing.has_guessed = True
            return []
        return self._loops

    @contextmanager
    def around(self, loop: ast.AST, trips: int) -> Iterator[None]:
        """Inside a loop over few numbers."""
        mark, before = len(self._loops), self._trips
        self._trips *= max(trips, 1)
        if loop not in self.unrolled:
            self._loops.append(loop)
        try:
            yield
        finally:
            self._trips = before
            del self._loops[mark:]

    @contextmanager
    def of_no_use(self) -> Iterator[None]:
        """What is lowered inside would be no better known were the loops around it unrolled."""
        loops, self._loops = self._loops, []
        try:
            yield
        finally:
            self._loops = loops

    @contextmanager
    def around_while(self, loop: ast.AST) -> Iterator[None]:
        """Inside a `while` loop, which is not unrolled yet."""
        mark = len(self.whiles)
        if loop not in self.rolled:
            self.whiles.append(loop)
        try:
            yield
        finally:
            del self.whiles[mark:]


def _across_trips(key: object) -> object:
    """A key without the numbers of trips."""
    if isinstance(key, tuple):
        return tuple(_across_trips(part) for part in key if type(part) is not int)
    return key
