"""Places that make what grows; in the trips of unrolled loops, what one trip makes, the others make too."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from tracejit.frontend.restarts import ListGrows
from tracejit.frontend.syntax.trees import nodes_in
from tracejit.frontend.values import GrowingList, ListValue

if TYPE_CHECKING:
    from tracejit.frontend.context import Context
    from tracejit.frontend.kinds import Kind


#: Sequences of more items are lists known at run time only: code for each item would get long.
MAX_UNROLLED = 64
#: So many iterations of unrolled loops inside of unrolled loops are too many. Then lists of so few items are unrolled.
_MANY = 200
_FEW = 8
#: Guessing what grows costs a whole lowering, by which the kinds of items are found.
_SEVERAL = 2


class TooMany(Exception):
    """Unrolled loops inside of others are long: lower again with lists of more than a few items known at run time
    only."""


class Trips:
    """The keys of a mapping that only grows, found by those of other trips of an unrolled loop."""

    def __init__(self, known: Mapping[object, Any]) -> None:
        self.known = known
        self.first: dict[object, object] = {}  #: a key with one number for all trips -> the first such key
        self.count = 0  #: so many keys are in it

    def like(self, key: object) -> object | None:
        """The first of the keys that is the same in another trip."""
        own = _across_trips(key)
        if own == key:
            return None
        for k in islice(self.known, self.count, None):
            self.first.setdefault(_across_trips(k), k)
        self.count = len(self.known)
        return self.first.get(own)


@dataclass(slots=True)
class Unrolling:
    """The loops that are to be unrolled, `while` loops that cannot be, and those around the present place that may be:
    loops over few numbers, and `while` loops, which are unrolled only where the program were refused otherwise."""

    unrolled: Set[ast.AST] = frozenset()
    rolled: Set[ast.AST] = frozenset()
    loops: list[ast.AST] = field(default_factory=list[ast.AST])
    whiles: list[ast.AST] = field(default_factory=list[ast.AST])

    @contextmanager
    def around(self, loop: ast.AST, is_while: bool = False) -> Iterator[None]:
        """Inside such a loop, which is not unrolled yet."""
        places = self.whiles if is_while else self.loops
        mark = len(places)
        if loop not in self.rolled:
            places.append(loop)
        try:
            yield
        finally:
            del places[mark:]


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


@contextmanager
def growing_together(ctx: Context, loop: ast.AST) -> Iterator[None]:
    """The body of a loop: where a list is found to grow in it, guess that several others do to which it appends
    something, so that lowering does not begin anew for each."""
    env = ctx.frame.env
    try:
        yield
    except ListGrows as found:
        lists, holders = ([env.get(name) for name in names] for names in _appended_to(loop))
        keys = {key for x in lists if isinstance(x, ListValue) for key in x.keys}
        items = _lists_in(ctx, holders)
        known = ctx.growing.keys() | found.kinds.keys()
        if ctx.growing.guesses and (len(keys - known) >= _SEVERAL or items - known):
            ctx.growing.update(dict.fromkeys((keys | items) - known))
            ctx.growing.has_guessed = True
            _share(ctx, items)
        raise


def _appended_to(loop: ast.AST) -> tuple[set[str], set[str]]:
    """The names of what is appended to in a loop, and of what has items that are."""
    methods = (node.func for node in nodes_in(loop) if isinstance(node, ast.Call))
    appends = [m.value for m in methods if isinstance(m, ast.Attribute) and m.attr in ("append", "extend", "insert")]
    holders = (of.value for of in appends if isinstance(of, ast.Subscript))
    return {of.id for of in appends if isinstance(of, ast.Name)}, {of.id for of in holders if isinstance(of, ast.Name)}


def _lists_in(ctx: Context, lists: Iterable[object]) -> set[object]:
    """The places that make the lists which growing lists hold."""
    from tracejit.frontend.kinds import TupleKind

    kinds = [ctx.growing.get(key) for x in lists if isinstance(x, GrowingList) for key in x.keys]
    return {key for kind in kinds if isinstance(kind, TupleKind) and kind.cls is list for key in kind.keys}


def _share(ctx: Context, items: Iterable[object]) -> None:
    """Put the lists of these places, which growing lists hold, into pools, those of each place into one."""
    from tracejit.frontend.instances.pooled_objects import forget_lists

    new = [place for place in items if not ctx.pools_known.covers(place)]
    for place in new:
        ctx.pools_known.share((place,))
    if new:
        forget_lists(ctx)


def _across_trips(key: object) -> object:
    """A key with one number for all trips."""
    if isinstance(key, tuple):
        return tuple(map(_across_trips, key))
    return -1 if type(key) is int else key
