"""Sets whose items are known at run time only."""

from __future__ import annotations

from typing import Any

from tracejit.frontend.containers.set_order import has_order, require_no_loop, require_order, run_over
from tracejit.frontend.containers.tables import entry, growing, growing_ints, same_kind, stands_for
from tracejit.frontend.written.set_order import (
    become,
    empty,
    expect,
    in_order,
    merge,
    put_last,
    renumber,
    resize,
    select,
    take_all,
    take_away,
    toggle,
)
from tracejit.frontend.written.tables import Entries, spread


class Members(Entries):
    """What sets and frozensets have in common."""

    def __init__(self, items: Any = ()) -> None:
        super().__init__()
        self._table = growing_ints()  #: the places of the keys in Python's table, where a program asks for their order
        self._fill = 0
        self._finger = 0
        if has_order(self._keys):
            empty(self._table, 0)
        self._extend(items)

    def _insert(self, item: Any) -> None:
        if self._find(item) < 0:
            self._make_room()
            self._add(item)
            if has_order(self._keys):
                self._fill = put_last(self._table, self._keys, self._fill, len(self))

    def _edit(self) -> None:
        require_no_loop(self._keys)
        self._edits += 1

    def _settle(self) -> None:
        if has_order(self._keys):
            renumber(self._table, self._live)
        super()._settle()

    def _items(self) -> Any:
        """The items, in an order that is not that of Python."""
        self._compact()
        return self._keys

    def _ordered(self) -> Any:
        """The items in the order in which Python runs over them, in a list."""
        require_order(self._keys)
        return [entry(self._keys, e) for e in in_order(self._table)]

    def __iter__(self) -> Any:
        edits, items = self._edits, self._ordered()
        return run_over(self._keys, map(lambda item: self._same(edits, item), items))  # noqa: C417 - it has a length

    def _same(self, edits: Any, item: Any) -> Any:
        """An item of a loop that began after so many edits."""
        if self._edits != edits:
            raise RuntimeError("Set changed size during iteration")
        return item

    def _extend(self, items: Any) -> None:
        if not has_order(self._keys):
            for item in members(items):
                self._insert(item)
        elif same_kind(items, Members):
            self._merge(items)
        elif isinstance(items, dict):
            self._fill = expect(self._table, self._keys, self._fill, len(self), len(items))
            for item in items:
                self._insert(item)
        else:
            given = growing()
            given.extend(items)
            for item in given:
                self._insert(item)

    def _merge(self, other: Any) -> None:
        """Add the items of a set, as Python does."""
        if other is self:
            return
        self._edit()
        self._compact()
        lists = self._slots, self._keys, self._live, self._table
        self._fill = merge(*lists, self._fill, other._keys, other._table, other._fill)

    def _become(self, other: Any) -> None:
        """Take over the items of a set, and their places: this one is empty."""
        become(self._slots, self._keys, self._live, self._table, other._keys, other._table)
        self._fill = other._fill

    def _result(self, made: Any) -> Any:
        """A new set as one of this one's class."""
        return made

    def copy(self) -> Any:
        return self._result(HashSet(self))

    def union(self, *others: Any) -> Any:
        made = HashSet(self)
        made.update(*others)
        return self._result(made)

    def _selected(self, other: Any, more: Any, wanted: Any) -> Any:
        """The items of one set that are in a second one, or are not."""
        made = HashSet()
        lists = made._slots, made._keys, made._live, made._table
        made._fill = select(*lists, other._keys, other._table, more._slots, more._keys, wanted)
        return self._result(made)

    def intersection(self, other: Any) -> Any:
        if has_order(self._keys) and same_kind(other, Members):
            if other is self:
                return self.copy()
            if len(other) > len(self):
                return self._selected(self, other, True)
            return self._selected(other, self, True)
        made = HashSet()
        for item in members(other):
            if item in self:
                made.add(item)
        return self._result(made)

    def difference(self, other: Any) -> Any:
        if has_order(self._keys) and same_kind(other, Members) and len(self) >> 2 <= len(other):
            return self._selected(self, other, False)
        made = HashSet(self)
        made.difference_update(other)
        return self._result(made)

    def symmetric_difference(self, other: Any) -> Any:
        if has_order(self._keys):
            made = HashSet(other)
            made.symmetric_difference_update(self)
            return self._result(made)
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
        require_order(self._keys)
        if len(self) == 0:
            raise KeyError("pop from an empty set")
        mask = len(self._table) - 1
        j = self._finger & mask
        while entry(self._table, j) < 0:
            j = (j + 1) & mask
        item = entry(self._keys, entry(self._table, j))
        self.remove(item)
        self._finger = j + 1
        return item

    def discard(self, item: Any) -> None:
        at = self._find(item)
        if at >= 0:
            self._take_away(at)

    def remove(self, item: Any) -> None:
        at = self._find(item)
        if at < 0:
            raise KeyError(item)
        self._take_away(at)

    def _take_away(self, at: Any) -> None:
        """Take away the item that a slot leads to."""
        if has_order(self._keys):
            self._edit()
            take_away(self._slots, self._keys, self._live, self._table, at)
            self._gone += 1
        else:
            self._remove(at)

    def clear(self) -> None:
        if has_order(self._keys):
            empty(self._table, 0)
            self._fill = 0
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
        if not has_order(self._keys):
            for item in members(HashSet(other)):  # which may be this one
                self.discard(item)
            return
        given = HashSet(other)
        self._edit()
        lists = self._slots, self._keys, self._live, self._table
        self._gone += take_all(*lists, given._keys, given._table)
        used = len(self)
        if self._fill - used > (len(self._table) - 1) // 4:
            resize(self._table, self._keys, used * 2 if used > 50000 else used * 4)
            self._fill = used

    def intersection_update(self, other: Any) -> None:
        kept = self.intersection(other)
        self.clear()
        if has_order(self._keys):
            self._become(kept)
        else:
            self.update(kept)

    def symmetric_difference_update(self, other: Any) -> None:
        if has_order(self._keys):
            given = other if same_kind(other, Members) and other is not self else HashSet(other)
            self._edit()
            self._compact()
            lists = self._slots, self._keys, self._live, self._table
            gone, self._fill = toggle(*lists, self._fill, given._keys, given._table)
            self._gone += gone
            return
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

    def __ixor__(self, other: Any) -> Any:
        self.symmetric_difference_update(other)
        return self


@stands_for(frozenset)
class FrozenHashSet(Members):
    """A frozenset."""

    def _result(self, made: Any) -> Any:
        if not has_order(made._keys):
            return FrozenHashSet(made)
        found = FrozenHashSet()
        found._become(made)
        return found


def members(items: Any) -> Any:
    """What can be looped over where the order does not matter."""
    return items._items() if same_kind(items, Members) else items


def as_set(items: Any) -> Any:
    """A set of items; that of a frozenset known when compiling is one too."""
    if same_kind(items, Members):
        return items
    return FrozenHashSet(items) if isinstance(items, frozenset) else HashSet(items)
