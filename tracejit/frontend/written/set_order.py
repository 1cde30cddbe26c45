"""The order in which CPython runs over sets of numbers (`setobject.c`): that of a hash table of its own.

A table holds indices of keys, -1 where there never was one and -2 where one went; it has a power of two of places, and
`fill` counts those that are not -1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.containers.tables import entry, outlined, set_entry
from tracejit.frontend.written.tables import enter, find, spread
from tracejit.frontend.written.whole import hash_of

#: So many places behind the first one are tried, where they are there, before the next one is looked for.
_PROBES = 9


@outlined
def empty(table: Any, least: Any) -> None:
    """Make a table of more places than `least`, and of 8 or more."""
    size = 8
    while size <= least:
        size *= 2
    table.clear()
    for _ in range(size):
        table.append(-1)


@outlined
def place_of(table: Any, keys: Any, wanted: Any, e: Any, takes_gaps: Any) -> Any:
    """The first place for key `e` that holds `wanted`; before it, the last one where a key went, if it may be such."""
    free = -1
    mask = len(table) - 1
    hashed = np.uint64(np.int64(hash_of(entry(keys, e))))
    i = int(hashed & np.uint64(mask))
    perturb = int(hashed >> np.uint64(5))
    while True:
        for j in range(i, i + (_PROBES if i + _PROBES <= mask else 0) + 1):
            held = entry(table, j)
            if held == wanted:
                return j if free < 0 else free
            if held == -2 and takes_gaps:
                free = j
        i = (i * 5 + 1 + perturb) & mask
        perturb >>= 5


def put(table: Any, keys: Any, e: Any) -> None:
    """Put in a key that is not there."""
    set_entry(table, place_of(table, keys, -1, e, False), e)


@outlined
def resize(table: Any, keys: Any, least: Any) -> None:
    """Put all keys into a table of more places than `least`."""
    held = in_order(table)
    empty(table, least)
    for e in held:
        put(table, keys, e)


@outlined
def in_order(table: Any) -> Any:
    """The indices of the keys in the order of the table."""
    return [e for e in table if e >= 0]


@outlined
def renumber(table: Any, live: Any) -> None:
    """Number the keys anew where those that are not alive are forgotten."""
    numbers, n = [], 0
    for alive in live:
        numbers.append(n)
        n += 1 if alive else 0
    for j in range(len(table)):
        e = entry(table, j)
        if e >= 0:
            set_entry(table, j, entry(numbers, e))


@outlined
def put_last(table: Any, keys: Any, fill: Any, used: Any) -> Any:
    """Put in the last of so many keys; the new `fill`."""
    e = len(keys) - 1
    j = place_of(table, keys, -1, e, True)
    held = entry(table, j)
    set_entry(table, j, e)
    if held == -2:
        return fill
    if (fill + 1) * 5 < (len(table) - 1) * 3:
        return fill + 1
    resize(table, keys, used * 2 if used > 50000 else used * 4)
    return used


@outlined
def add(slots: Any, keys: Any, live: Any, table: Any, fill: Any, used: Any, key: Any) -> Any:
    """Add a key if it is not there, to a set without gaps; the new `fill`."""
    if find(slots, keys, key) >= 0:
        return fill
    enter(slots, keys, key)
    live.append(True)
    return put_last(table, keys, fill, used + 1)


@outlined
def expect(table: Any, keys: Any, fill: Any, used: Any, count: Any) -> Any:
    """Make room for so many keys at once; the new `fill`."""
    if (fill + count) * 5 < (len(table) - 1) * 3:
        return fill
    resize(table, keys, (used + count) * 2)
    return used


@outlined
def merge(
    slots: Any, keys: Any, live: Any, table: Any, fill: Any, others: Any, other_table: Any, other_fill: Any
) -> Any:
    """Add the items of another set to one without gaps; the new `fill`."""
    order = in_order(other_table)
    count = len(order)
    if count == 0:
        return fill
    fill = expect(table, keys, fill, len(keys), count)
    if fill > 0:
        for e in order:
            fill = add(slots, keys, live, table, fill, len(keys), entry(others, e))
        return fill
    if len(table) == len(other_table) and other_fill == count:
        become(slots, keys, live, table, others, other_table)
        return count
    for e in order:
        enter(slots, keys, entry(others, e))
        live.append(True)
        put(table, keys, len(keys) - 1)
    return count


@outlined
def become(slots: Any, keys: Any, live: Any, table: Any, others: Any, other_table: Any) -> None:
    """Take over the items of another set, and their places, in an empty one."""
    empty(table, len(other_table) - 1)
    for j in range(len(other_table)):
        e = entry(other_table, j)
        if e >= 0:
            enter(slots, keys, entry(others, e))
            live.append(True)
            e = len(keys) - 1
        set_entry(table, j, e)


@outlined
def select(
    slots: Any,
    keys: Any,
    live: Any,
    table: Any,
    others: Any,
    other_table: Any,
    more_slots: Any,
    more_keys: Any,
    wanted: Any,
) -> Any:
    """Add the items of one set that are in a second one, or are not, to an empty one; its `fill`."""
    fill = 0
    for e in in_order(other_table):
        key = entry(others, e)
        if (find(more_slots, more_keys, key) >= 0) == wanted:
            fill = add(slots, keys, live, table, fill, len(keys), key)
    return fill


@outlined
def take_away(slots: Any, keys: Any, live: Any, table: Any, at: Any) -> None:
    """Take away the key that a slot leads to."""
    e = entry(slots, at)
    set_entry(table, place_of(table, keys, e, e, False), -2)
    set_entry(live, e, False)
    set_entry(slots, at, -2)


@outlined
def take_all(slots: Any, keys: Any, live: Any, table: Any, others: Any, other_table: Any) -> Any:
    """Take away the items of another set; how many went."""
    gone = 0
    for e in in_order(other_table):
        at = find(slots, keys, entry(others, e))
        if at >= 0:
            take_away(slots, keys, live, table, at)
            gone += 1
    return gone


@outlined
def toggle(slots: Any, keys: Any, live: Any, table: Any, fill: Any, others: Any, other_table: Any) -> Any:
    """Take away the items of another set that are there, and add those that are not, in a set without gaps; how many
    went, and the new `fill`."""
    order, gone = in_order(other_table), 0
    size = len(slots)
    while 3 * (len(keys) + len(order)) > 2 * size:
        size *= 2
    spread(slots, keys, size)
    for e in order:
        key = entry(others, e)
        at = find(slots, keys, key)
        if at >= 0:
            take_away(slots, keys, live, table, at)
            gone += 1
        else:
            enter(slots, keys, key)
            live.append(True)
            fill = put_last(table, keys, fill, len(keys) - gone)
    return gone, fill
