"""Iterators, and functions of `operator`."""

from __future__ import annotations

import operator
from typing import Any

from tracejit.frontend.written import each, written


class Iterator:
    """What `iter` makes: items, and which is the next."""

    def __init__(self, items: Any) -> None:
        self.items = items
        self.at = 0

    def __iter__(self) -> Any:
        found = [self.items[i] for i in range(self.at, len(self.items))]
        self.at = len(self.items)
        return found

    def __next__(self) -> Any:
        if self.at >= len(self.items):
            raise StopIteration
        self.at += 1
        return self.items[self.at - 1]


def zipped(iterators: Any) -> Any:
    """zip() of what `iter` made: the first one that ends leaves those before it one item further."""
    n = min([len(it.items) - it.at for it in iterators])
    found = []
    if iterators[0] is iterators[-1] and len(iterators) > 1:
        return _grouped(iterators)
    for i in range(n):
        found.append(tuple([it.items[it.at + i] for it in iterators]))
    ended = False
    for it in iterators:
        ended = ended or len(it.items) - it.at == n
        it.at += n if ended else n + 1
    return found


def _grouped(iterators: Any) -> Any:
    """zip() of one iterator, several times: its items in groups."""
    it = iterators[0]
    k = len(iterators)
    found = []
    for i in range((len(it.items) - it.at) // k):
        found.append(tuple([it.items[it.at + i * k + j] for j in each(k)]))
    it.at = len(it.items)
    return found


def columns(rows: Any) -> Any:
    """zip(*rows) of any number of lists, texts or arrays."""
    n = min([len(row) for row in rows]) if len(rows) > 0 else 0
    return [tuple([row[i] for row in rows]) for i in range(n)]


def first(items: Iterator, default: Any) -> Any:
    """next(items, default)."""
    if items.at >= len(items.items):
        return default
    return items.__next__()


def first_made(items: Any, *default: Any) -> Any:
    """next(items, *default) of a generator, which makes no more."""
    for item in items:
        return item
    if default:
        return default[0]
    raise StopIteration


def item_of(key: Any, items: Any) -> Any:
    """What `operator.itemgetter(key)` gives."""
    return items[key]


def items_of(keys: Any, items: Any) -> Any:
    """What `operator.itemgetter(*keys)` gives."""
    return tuple([items[key] for key in keys])


def attribute_of(name: Any, thing: Any) -> Any:
    """What `operator.attrgetter(name)` gives."""
    return getattr(thing, name)


@written(operator.neg)
def neg(a: Any) -> Any:
    """-a."""
    return -a


@written(operator.pos)
def pos(a: Any) -> Any:
    """+a."""
    return +a


@written(operator.invert)
def invert(a: Any) -> Any:
    """~a."""
    return ~a


@written(operator.not_)
def not_(a: Any) -> Any:
    """Not a."""
    return not a


@written(operator.truth)
def truth(a: Any) -> Any:
    """bool(a)."""
    return bool(a)


@written(operator.abs)
def absolute(a: Any) -> Any:
    """abs(a)."""
    return abs(a)


@written(operator.getitem)
def getitem(a: Any, b: Any) -> Any:
    """a[b]."""
    return a[b]


@written(operator.setitem)
def setitem(a: Any, b: Any, c: Any) -> None:
    """a[b] = c."""
    a[b] = c


@written(operator.delitem)
def delitem(a: Any, b: Any) -> None:
    """Del a[b]."""
    del a[b]


@written(operator.contains)
def contains(a: Any, b: Any) -> Any:
    """B in a."""
    return b in a


@written(operator.concat)
def concat(a: Any, b: Any) -> Any:
    """A + b."""
    return a + b


@written(operator.countOf)
def count_of(a: Any, b: Any) -> Any:
    """How many items of a equal b."""
    return sum([1 for x in a if x == b])


@written(operator.index)
def index(a: Any) -> Any:
    """A as a Python int."""
    if isinstance(a, float):
        raise TypeError("'float' object cannot be interpreted as an integer")
    return int(a)


@written(operator.is_)
def is_(a: Any, b: Any) -> Any:
    """Whether a is b."""
    return a is b


@written(operator.is_not)
def is_not(a: Any, b: Any) -> Any:
    """Whether a is not b."""
    return a is not b


def numbered(items: Any, start: Any) -> Any:
    """enumerate(items, start) of a generator."""
    i = start
    for item in items:
        yield i, item
        i += 1


def stepped(iterator: Any) -> Any:
    """The items of an object with `__next__`."""
    while True:
        try:
            item = iterator.__next__()
        except StopIteration:
            return
        yield item


def indexed(items: Any) -> Any:
    """The items of an object that has `__getitem__` but no `__iter__`."""
    at = 0
    while True:
        try:
            item = items[at]
        except IndexError:
            return
        yield item
        at += 1
