"""Dicts whose keys are known at run time only, and what sets have in common with them.

A dict is a hash table with open addressing, as CPython's: `slots` holds the index of an entry, -1 where there never was
one, -2 where there is none any more; entries stand in the order of insertion, and those that were deleted stay until
`compact`. Keys are numbers, tuples of numbers, or texts of which one of a few is chosen.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from enum import Enum
from typing import Any, NoReturn

import numpy as np

from tracejit.frontend.containers.tables import (
    as_key,
    entry,
    fields_of,
    growing,
    growing_bools,
    growing_ints,
    has_loop,
    is_pooled,
    new_key,
    outlined,
    set_entry,
    shows_as,
    stands_for,
    text_code,
)


def mixed(key: Any) -> Any:
    """A number that is the same for equal keys."""
    key = fields_of(key)
    if not isinstance(key, tuple):
        return mixed_item(key)
    made = np.int64(1)
    for part in key:
        item = fields_of(part)
        made = made * np.int64(1000003) ^ (mixed(item) if isinstance(item, tuple) else mixed_item(item))
    return made


def mixed_item(key: Any) -> Any:
    """The same for what is no tuple."""
    if isinstance(key, (str, Enum)):
        return mixed_number(text_code(key))
    if isinstance(key, (float, np.floating)):
        if not abs(key) < 4.611686018427388e18:
            return np.int64(0)
        whole = np.floor(key)
        return mixed_number(int(whole)) + mixed_number(int((key - whole) * 4503599627370496.0)) - mixed_number(0)
    return mixed_number(key)


def mixed_number(key: Any) -> Any:
    """The same for a whole number."""
    made = np.int64(key) * np.int64(-7046029254386353131)
    return made ^ (made >> np.int64(32))


@outlined
def find(slots: Any, keys: Any, key: Any) -> Any:
    """The place in `slots` that leads to a key; -1 if none does."""
    mask = len(slots) - 1
    i = int(mixed(key) & np.int64(mask))
    e = entry(slots, i)
    while e != -1 and (e == -2 or entry(keys, e) != key):
        i = (i + 1) & mask
        e = entry(slots, i)
    return i if e >= 0 else -1


@outlined
def enter(slots: Any, keys: Any, key: Any) -> None:
    """Append a key that is not there."""
    keys.append(key)
    if 3 * len(keys) > 2 * len(slots):
        spread(slots, keys, 2 * len(slots))
    else:
        lead_to(slots, keys, len(keys) - 1)


def lead_to(slots: Any, keys: Any, e: Any) -> None:
    """Let the slots lead to an entry."""
    mask = len(slots) - 1
    i = int(mixed(entry(keys, e)) & np.int64(mask))
    while entry(slots, i) >= 0:
        i = (i + 1) & mask
    set_entry(slots, i, e)


@outlined
def spread(slots: Any, keys: Any, size: Any) -> None:
    """Let so many slots, a power of two, lead to all entries."""
    slots.clear()
    for _ in range(size):
        slots.append(-1)
    for e in range(len(keys)):
        lead_to(slots, keys, e)


@outlined
def close_gaps(keys: Any, live: Any) -> None:
    """Forget the keys that were deleted."""
    n = 0
    for e in range(len(keys)):
        if entry(live, e):
            set_entry(keys, n, entry(keys, e))
            n += 1
    while len(keys) > n:
        keys.pop()
        live.pop()
    for e in range(n):
        set_entry(live, e, True)


@outlined
def insert(table: Any, key: Any, value: Any) -> None:
    """Add a key that is not there to a dict of a pool."""
    table._put(key, value)


@outlined
def settle(table: Any) -> None:
    """Forget the entries that were deleted from a container of a pool."""
    table._settle()


def no_key(key: Any) -> NoReturn:
    """What looking up a key that is not there does."""
    raise KeyError(key)


class Entries:
    """What dicts and sets have in common."""

    def __init__(self) -> None:
        self._slots = growing_ints()
        self._keys = growing()
        self._live = growing_bools()
        self._gone = 0  #: entries that were deleted
        self._spent = 0  #: slots that led to an entry which is no more there
        self._edits = 0  #: keys that came or went
        spread(self._slots, self._keys, 8)

    def __len__(self) -> Any:
        return len(self._keys) - self._gone

    def __contains__(self, key: Any) -> Any:
        return self._find(key) >= 0

    def _find(self, key: Any) -> Any:
        """The place in the slots that leads to a key; -1 if none does."""
        return find(self._slots, self._keys, as_key(key, self._keys))

    def _entry(self, key: Any) -> Any:
        """The index of a key's entry; -1 if it has none."""
        at = self._find(key)
        return entry(self._slots, at) if at >= 0 else -1

    def _add(self, key: Any) -> None:
        self._edit()
        enter(self._slots, self._keys, new_key(key, self._keys))
        self._live.append(True)

    def _edit(self) -> None:
        """Before a key comes or goes."""
        if has_loop(self._keys):
            raise RuntimeError("dictionary changed size during iteration")
        self._edits += 1

    def _goes_on(self, edits: Any, at: Any, count: Any) -> Any:
        """Whether a loop that began after so many edits has more trips."""
        if self._edits != edits:
            raise RuntimeError("dictionary changed size during iteration")
        return at < count

    def _make_room(self) -> None:
        """Before a key is added: forget what was deleted where that is much, or where the slots run out."""
        many = self._gone > 8 and 2 * self._gone > len(self._keys)
        if many or 3 * (len(self._keys) + self._spent + 1) > 2 * len(self._slots):
            self._compact()

    def _remove(self, at: Any) -> None:
        """Take away the entry that a slot leads to."""
        self._edit()
        set_entry(self._live, entry(self._slots, at), False)
        set_entry(self._slots, at, -2)
        self._gone += 1

    def _compact(self) -> None:
        """Forget the entries that were deleted, where there are any."""
        if self._gone > 0 or self._spent > 0:
            if is_pooled(self):
                settle(self)
            else:
                self._settle()

    def _settle(self) -> None:
        """Forget the entries that were deleted."""
        close_gaps(self._keys, self._live)
        self._gone = 0
        self._spent = 0
        spread(self._slots, self._keys, len(self._slots))


@stands_for(dict)
class Table(Entries):
    """A dict."""

    def __init__(self, items: Any = ()) -> None:
        super().__init__()
        self._values = growing()
        self._fill(items)

    def _fill(self, items: Any) -> None:
        if isinstance(items, dict):
            for key in items:
                self[key] = items[key]
        else:
            for key, value in items:
                self[key] = value

    def __getitem__(self, key: Any) -> Any:
        e = self._entry(key)
        if e < 0:
            raise KeyError(key)
        return entry(self._values, e)

    def __setitem__(self, key: Any, value: Any) -> None:
        e = self._entry(key)
        if e >= 0:
            set_entry(self._values, e, value)
        else:
            self._insert(key, value)

    def _insert(self, key: Any, value: Any) -> None:
        if is_pooled(self):
            insert(self, key, value)
        else:
            self._put(key, value)

    def _edit(self) -> None:
        if has_loop(self._values):
            raise RuntimeError("dictionary changed size during iteration")
        super()._edit()

    def _put(self, key: Any, value: Any) -> None:
        """Add a key that is not there."""
        self._make_room()
        self._add(key)
        self._values.append(value)

    def __delitem__(self, key: Any) -> None:
        at = self._find(key)
        if at < 0:
            raise KeyError(key)
        self._remove(at)

    def _settle(self) -> None:
        if self._gone > 0:
            n = 0
            for e in range(len(self._values)):
                if entry(self._live, e):
                    set_entry(self._values, n, entry(self._values, e))
                    n += 1
            while len(self._values) > n:
                self._values.pop()
        super()._settle()

    def __iter__(self) -> Any:
        return self._listed("keys")

    def _listed(self, what: Any) -> Any:
        """The keys, values or items."""
        self._compact()
        if what == "keys":
            return self._keys
        return self._values if what == "values" else zip(self._keys, self._values)

    def keys(self) -> Any:
        return View(self, "keys") if is_pooled(self) else self._listed("keys")

    def values(self) -> Any:
        return View(self, "values") if is_pooled(self) else self._listed("values")

    def items(self) -> Any:
        return View(self, "items") if is_pooled(self) else self._listed("items")

    def get(self, key: Any, default: Any = None) -> Any:
        e = self._entry(key)
        return entry(self._values, e) if e >= 0 else default

    def setdefault(self, key: Any, default: Any = None) -> Any:
        e = self._entry(key)
        if e < 0:
            self._insert(key, default)
            e = len(self._values) - 1
        return entry(self._values, e)

    def pop(self, key: Any, *default: Any) -> Any:
        at = self._find(key)
        if at < 0:
            if len(default) == 0:
                raise KeyError(key)
            return default[0]
        found = entry(self._values, entry(self._slots, at))
        self._remove(at)
        return found

    def popitem(self) -> Any:
        if len(self) == 0:
            raise KeyError("popitem(): dictionary is empty")
        self._edit()
        self._compact()
        key, value = self._keys[-1], self._values[-1]
        set_entry(self._slots, self._find(key), -2)
        self._spent += 1
        self._keys.pop()
        self._values.pop()
        self._live.pop()
        return key, value

    def clear(self) -> None:
        self._edit()
        self._keys.clear()
        self._values.clear()
        self._live.clear()
        self._gone = 0
        self._spent = 0
        spread(self._slots, self._keys, 8)

    def update(self, items: Any = ()) -> None:
        self._fill(items)

    def copy(self) -> Any:
        return Table(self)

    def __or__(self, other: Any) -> Any:
        made = self.copy()
        made.update(other)
        return made

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def __eq__(self, other: Any) -> Any:
        if not isinstance(other, dict):
            return NotImplemented
        if len(self) != len(other):
            return False
        for key, value in self.items():  # noqa: SIM110
            if key not in other or other[key] != value:
                return False
        return True


@shows_as(type({}.keys()))
class View:
    """The keys, values or items of a dict that a container holds."""

    def __init__(self, owner: Any, what: Any) -> None:
        self.owner = owner
        self.what = what

    def __len__(self) -> Any:
        return len(self.owner)

    def __iter__(self) -> Any:
        return list(self.owner._listed(self.what))

    def __contains__(self, item: Any) -> Any:
        return item in self.owner if self.what == "keys" else item in self.__iter__()

    def __and__(self, other: Any) -> Any:
        return set(self.__iter__()) & set(other)

    def __or__(self, other: Any) -> Any:
        return set(self.__iter__()) | set(other)

    def __sub__(self, other: Any) -> Any:
        return set(self.__iter__()) - set(other)

    def __xor__(self, other: Any) -> Any:
        return set(self.__iter__()) ^ set(other)

    def __eq__(self, other: Any) -> Any:
        return set(self.__iter__()) == set(other)


@stands_for(OrderedDict)
class OrderedTable(Table):
    """An OrderedDict."""

    def __eq__(self, other: Any) -> Any:
        if isinstance(other, OrderedDict) and len(self) == len(other):
            for key, others in zip(self, other):
                if key != others:
                    return False
        return Table.__eq__(self, other)

    def copy(self) -> Any:
        return OrderedTable(self)

    def move_to_end(self, key: Any, last: Any = True) -> None:
        value = self.pop(key)
        if last:
            self[key] = value
        else:
            others = self.copy()
            self.clear()
            self[key] = value
            self.update(others)

    def popitem(self, last: Any = True) -> Any:
        if len(self) == 0:
            raise KeyError("dictionary is empty")
        self._compact()
        key = self._keys[-1] if last else self._keys[0]
        return key, self.pop(key)


@stands_for(defaultdict)
class DefaultTable(Table):
    """A defaultdict."""

    def __init__(self, factory: Any = None, items: Any = ()) -> None:
        self.default_factory = factory
        super().__init__(items)

    def __getitem__(self, key: Any) -> Any:
        e = self._entry(key)
        if e < 0:
            if self.default_factory is None:
                raise KeyError(key)
            self._insert(key, self.default_factory())
            e = len(self._values) - 1
        return entry(self._values, e)

    def copy(self) -> Any:
        return DefaultTable(self.default_factory, self)


@stands_for(Counter)
class CounterTable(Table):
    """A Counter."""

    def _fill(self, items: Any) -> None:
        self.update(items)

    def __getitem__(self, key: Any) -> Any:
        e = self._entry(key)
        return entry(self._values, e) if e >= 0 else 0

    def __delitem__(self, key: Any) -> None:
        at = self._find(key)
        if at >= 0:
            self._remove(at)

    def update(self, items: Any = ()) -> None:
        if isinstance(items, dict):
            for key in items:
                self[key] = self[key] + items[key]
        else:
            for key in items:
                self[key] = self[key] + 1

    def subtract(self, items: Any = ()) -> None:
        if isinstance(items, dict):
            for key in items:
                self[key] = self[key] - items[key]
        else:
            for key in items:
                self[key] = self[key] - 1

    def total(self) -> Any:
        return sum(self.values())

    def most_common(self, n: Any = None) -> Any:
        ordered = sorted(self.items(), key=lambda item: item[1], reverse=True)
        return ordered if n is None else ordered[: max(n, 0)]

    def __add__(self, other: Any) -> Any:
        made = self.copy()
        made.update(other)
        return made._positive()

    def __sub__(self, other: Any) -> Any:
        made = self.copy()
        made.subtract(other)
        return made._positive()

    def __and__(self, other: Any) -> Any:
        made = CounterTable()
        for key, n in self.items():
            made[key] = min(n, other[key])
        return made._positive()

    def __or__(self, other: Any) -> Any:
        made = self.copy()
        for key in other:
            made[key] = max(made[key], other[key])
        return made._positive()

    def _positive(self) -> Any:
        """The keys that are counted more often than not."""
        made = CounterTable()
        for key, n in self.items():
            if n > 0:
                made[key] = n
        return made

    def elements(self) -> Any:
        return [key for key, n in self.items() for _ in range(n)]

    def copy(self) -> Any:
        return CounterTable(self)
