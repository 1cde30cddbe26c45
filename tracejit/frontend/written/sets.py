"""Sets whose items are known at run time only."""

from __future__ import annotations

from typing import Any

from tracejit.frontend.containers.tables import refuse_order, same_kind, stands_for
from tracejit.frontend.written.tables import Entries, spread


class Members(Entries):
    """What sets and frozensets have in common."""

    def __init__(self, items: Any = ()) -> None:
        super().__init__()
        self._extend(items)

    def _insert(self, item: Any) -> None:
        if self._find(item) < 0:
            self._make_room()
            self._add(item)

    def _items(self) -> Any:
        """The items, in an order that is not that of Python."""
        self._compact()
        return self._keys

    def __iter__(self) -> Any:
        return refuse_order()

    def _extend(self, items: Any) -> None:
        for item in members(items):
            self._insert(item)

    def _result(self, made: Any) -> Any:
        """A new set as one of this one's class."""
        return made

    def copy(self) -> Any:
        return self._result(HashSet(self))

    def union(self, *others: Any) -> Any:
        made = HashSet(self)
        made.update(*others)
        return self._result(made)

    def intersection(self, other: Any) -> Any:
        made = HashSet()
        for item in members(other):
            if item in self:
                made.add(item)
        return self._result(made)

    def difference(self, other: Any) -> Any:
        made = HashSet(self)
        made.difference_update(other)
        return self._result(made)

    def symmetric_difference(self, other: Any) -> Any:
        made = HashSet(self)
        for item in members(HashSet(other)):
            if item in self:
                made.discard(item)
            else:
                made.add(item)
        return self._result(made)

    def issubset(self, other: Any) -> Any:
        other = as_set(other)
        for item in self._items():  # noqa: SIM110
            if item not in other:
                return False
        return True

    def issuperset(self, other: Any) -> Any:
        for item in members(other):  # noqa: SIM110
            if item not in self:
                return False
        return True

    def isdisjoint(self, other: Any) -> Any:
        for item in members(other):  # noqa: SIM110
            if item in self:
                return False
        return True

    def __or__(self, other: Any) -> Any:
        return self.union(other) if isinstance(other, (set, frozenset)) else NotImplemented

    def __and__(self, other: Any) -> Any:
        return self.intersection(other) if isinstance(other, (set, frozenset)) else NotImplemented

    def __sub__(self, other: Any) -> Any:
        return self.difference(other) if isinstance(other, (set, frozenset)) else NotImplemented

    def __xor__(self, other: Any) -> Any:
        return self.symmetric_difference(other) if isinstance(other, (set, frozenset)) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return as_set(other).union(self)

    def __rand__(self, other: Any) -> Any:
        return as_set(other).intersection(self)

    def __rsub__(self, other: Any) -> Any:
        return as_set(other).difference(self)

    def __rxor__(self, other: Any) -> Any:
        return as_set(other).symmetric_difference(self)

    def __le__(self, other: Any) -> Any:
        return self.issubset(other)

    def __ge__(self, other: Any) -> Any:
        return self.issuperset(other)

    def __lt__(self, other: Any) -> Any:
        return len(self) < len(other) and self.issubset(other)

    def __gt__(self, other: Any) -> Any:
        return len(self) > len(other) and self.issuperset(other)

    def __eq__(self, other: Any) -> Any:
        if not isinstance(other, (set, frozenset)):
            return NotImplemented
        return len(self) == len(other) and self.issuperset(other)


@stands_for(set)
class HashSet(Members):
    """A set."""

    def add(self, item: Any) -> None:
        self._insert(item)

    def pop(self) -> Any:
        return refuse_order()

    def discard(self, item: Any) -> None:
        at = self._find(item)
        if at >= 0:
            self._remove(at)

    def remove(self, item: Any) -> None:
        at = self._find(item)
        if at < 0:
            raise KeyError(item)
        self._remove(at)

    def clear(self) -> None:
        self._edit()
        self._keys.clear()
        self._live.clear()
        self._gone = 0
        self._spent = 0
        spread(self._slots, self._keys, 8)

    def update(self, *others: Any) -> None:
        for other in others:
            self._extend(other)

    def difference_update(self, other: Any) -> None:
        for item in members(HashSet(other)):  # which may be this one
            self.discard(item)

    def intersection_update(self, other: Any) -> None:
        kept = self.intersection(other)
        self.clear()
        self.update(kept)

    def symmetric_difference_update(self, other: Any) -> None:
        for item in members(HashSet(other)):
            if item in self:
                self.discard(item)
            else:
                self.add(item)

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def __iand__(self, other: Any) -> Any:
        self.intersection_update(other)
        return self

    def __isub__(self, other: Any) -> Any:
        self.difference_update(other)
        return self


@stands_for(frozenset)
class FrozenHashSet(Members):
    """A frozenset."""

    def _result(self, made: Any) -> Any:
        return FrozenHashSet(made)


def members(items: Any) -> Any:
    """What can be looped over where the order does not matter."""
    return items._items() if same_kind(items, Members) else items


def as_set(items: Any) -> Any:
    """A set of items; that of a frozenset known when compiling is one too."""
    if same_kind(items, Members):
        return items
    return FrozenHashSet(items) if isinstance(items, frozenset) else HashSet(items)
