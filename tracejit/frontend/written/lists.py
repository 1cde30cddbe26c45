"""Lists that other lists hold, or that several names may stand for: their items lie in a pool that they share.

A list is a number `at`: its items are `data[start[at]]` and so on, `count[at]` of them; `room[at]` fit there. A list
that needs more room moves to the end of the pool, with room for twice as many.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.containers.tables import (
    entry,
    growing,
    growing_ints,
    holds_ints,
    is_empty,
    is_slice,
    outlined,
    plus,
    set_entry,
    shows_as,
)


class Pool:
    """The memory of lists that hold one kind of items."""

    def __init__(self) -> None:
        self.data = growing()
        self.start = growing_ints()
        self.count = growing_ints()
        self.room = growing_ints()


def new_list(pool: Any, items: Any) -> Any:
    """The number of a new list of these items."""
    start = len(pool.data)
    if not is_empty(items):
        for item in items:
            pool.data.append(item)
    n = len(pool.data) - start
    pool.start.append(start)
    pool.count.append(n)
    pool.room.append(n)
    return len(pool.start) - 1


def widen(pool: Any, at: Any, item: Any) -> None:
    """Make room for one more item, and put it there."""
    data, n, old = pool.data, entry(pool.count, at), entry(pool.start, at)
    if plus(old, n) == len(data):
        data.append(item)
        set_entry(pool.room, at, plus(n, 1))
        return
    set_entry(pool.start, at, len(data))
    for i in range(n):
        data.append(entry(data, plus(old, i)))
    for _ in range(plus(n, 4)):
        data.append(item)
    set_entry(pool.room, at, plus(n, plus(n, 4)))


@outlined
def widen_ints(pool: Any, at: Any, item: Any) -> None:
    """Do so in a pool of ints or bools, which no derivative needs to look at."""
    widen(pool, at, item)


@shows_as(list)
class SharedList:
    """A list: `pool` and `at` are what the front end knows of it."""

    pool: Any
    at: Any

    def __len__(self) -> Any:
        return entry(self.pool.count, self.at)

    def copied(self) -> Any:
        """The items in a list of their own."""
        data, start = self.pool.data, entry(self.pool.start, self.at)
        return [entry(data, plus(start, i)) for i in range(len(self))]

    def replace(self, items: Any) -> None:
        """Hold these items instead."""
        set_entry(self.pool.count, self.at, 0)
        for item in items:
            self.append(item)

    def __iter__(self) -> Any:
        return self.copied()

    def place(self, index: Any, message: Any) -> Any:
        """Where an item lies in the pool."""
        n = len(self)
        if index < -n or index >= n:
            raise IndexError(message)
        return plus(entry(self.pool.start, self.at), index if index >= 0 else plus(index, n))

    def __getitem__(self, index: Any) -> Any:
        if is_slice(index):
            return self.copied()[index]
        return entry(self.pool.data, self.place(index, "list index out of range"))

    def __setitem__(self, index: Any, item: Any) -> None:
        if is_slice(index):
            items = self.copied()
            items[index] = item
            self.replace(items)
        else:
            set_entry(self.pool.data, self.place(index, "list assignment index out of range"), item)

    def __delitem__(self, index: Any) -> None:
        items = self.copied()
        del items[index]
        self.replace(items)

    def append(self, item: Any) -> None:
        pool, at = self.pool, self.at
        n = len(self)
        if n < entry(pool.room, at):
            set_entry(pool.data, plus(entry(pool.start, at), n), item)
        elif holds_ints(pool.data):
            widen_ints(pool, at, item)
        else:
            widen(pool, at, item)
        set_entry(pool.count, at, plus(n, 1))

    def extend(self, items: Any) -> None:
        for item in list(items):
            self.append(item)

    def insert(self, index: Any, item: Any) -> None:
        items = self.copied()
        items.insert(index, item)
        self.replace(items)

    def pop(self, index: Any = -1) -> Any:
        n = len(self)
        if n == 0:
            raise IndexError("pop from empty list")
        at = self.place(index, "pop index out of range")
        data, end = self.pool.data, entry(self.pool.start, self.at) + n - 1
        found = entry(data, at)
        for i in range(at, end):
            set_entry(data, i, entry(data, i + 1))
        set_entry(self.pool.count, self.at, n - 1)
        return found

    def remove(self, item: Any) -> None:
        items = self.copied()
        items.remove(item)
        self.replace(items)

    def clear(self) -> None:
        set_entry(self.pool.count, self.at, 0)

    def reverse(self) -> None:
        items = self.copied()
        items.reverse()
        self.replace(items)

    def sort(self, *, key: Any = None, reverse: Any = False) -> None:
        self.replace(sorted(self.copied(), key=key, reverse=reverse))

    def index(self, item: Any) -> Any:
        return self.copied().index(item)

    def count(self, item: Any) -> Any:
        return self.copied().count(item)

    def copy(self) -> Any:
        return self.copied()

    def __contains__(self, item: Any) -> Any:
        return item in self.copied()

    def __add__(self, other: Any) -> Any:
        return self.copied() + list(other) if isinstance(other, list) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return list(other) + self.copied() if isinstance(other, list) else NotImplemented

    def __imul__(self, n: Any) -> Any:
        items = self * n
        self.clear()
        self.extend(items)
        return self

    def __iadd__(self, other: Any) -> Any:
        self.extend(other)
        return self

    def __mul__(self, times: Any) -> Any:
        return self.copied() * times

    def __rmul__(self, times: Any) -> Any:
        return self.copied() * times

    def __eq__(self, other: Any) -> Any:
        return equal(self, other) if isinstance(other, list) else NotImplemented

    def __lt__(self, other: Any) -> Any:
        return less(self, other) if isinstance(other, list) else NotImplemented

    def __gt__(self, other: Any) -> Any:
        return less(other, self) if isinstance(other, list) else NotImplemented

    def __le__(self, other: Any) -> Any:
        return at_most(self, other) if isinstance(other, list) else NotImplemented

    def __ge__(self, other: Any) -> Any:
        return at_most(other, self) if isinstance(other, list) else NotImplemented


def equal(a: Any, b: Any) -> Any:
    """Whether two lists have the same items."""
    if len(a) != len(b):
        return False
    for i in range(len(a)):  # noqa: SIM110
        if a[i] != b[i]:
            return False
    return True


def less(a: Any, b: Any) -> Any:
    """Whether a list comes before another."""
    for i in range(min(len(a), len(b))):
        if a[i] != b[i]:
            return a[i] < b[i]
    return len(a) < len(b)


def at_most(a: Any, b: Any) -> Any:
    """Whether a list comes before another, or is equal to it."""
    for i in range(min(len(a), len(b))):
        if a[i] != b[i]:
            return a[i] <= b[i]
    return len(a) <= len(b)


def as_rows(rows: Any) -> Any:
    """A list of lists of numbers as a list of arrays."""
    return [np.array(list(row)) for row in rows]


def delete_each(items: Any, start: Any, count: Any, step: Any) -> None:
    """`del items[...]` of `count` items, each `step` behind the one before."""
    if count > 0:
        low, high, by = min(start, start + (count - 1) * step), max(start, start + (count - 1) * step), abs(step)
        kept = [items[i] for i in range(len(items)) if i < low or i > high or (i - low) % by != 0]
        items.clear()
        items.extend(kept)
