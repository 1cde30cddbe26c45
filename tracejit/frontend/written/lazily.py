"""Functions over sequences that take the items of a generator one by one."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from typing import Any


def _mapped(fn: Any, items: Any) -> Any:
    for item in items:
        yield fn(item)


def mapped_rows(fn: Any, rows: Any) -> Any:
    """map(fn, ...) of several, zipped."""
    for row in rows:
        yield fn(*row)


def _filtered(test: Any, items: Any) -> Any:
    for item in items:
        if item if test is None else test(item):
            yield item


def _filtered_out(test: Any, items: Any) -> Any:
    for item in items:
        if not (item if test is None else test(item)):
            yield item


def zipped(before: Any, items: Any, after: Any) -> Any:
    """zip() of a generator between what `iter` made: an end leaves those before it one item further."""
    if any(it.at >= len(it.items) for it in before):
        return
    firsts = tuple([it.__next__() for it in before])
    for item in items:
        if any(it.at >= len(it.items) for it in after):
            return
        yield (*firsts, item, *[it.__next__() for it in after])
        if any(it.at >= len(it.items) for it in before):
            return
        firsts = tuple([it.__next__() for it in before])


def _sliced(items: Any, *ends: Any) -> Any:
    if len(ends) == 1:
        ends = (None, *ends)
    start, stop, step = (*ends, None) if len(ends) == 2 else ends
    if stop is not None and stop <= 0:
        return
    for at, item in enumerate(items):
        if at >= (start or 0) and (at - (start or 0)) % (step or 1) == 0:
            yield item
        if stop is not None and at + 1 >= stop:
            return


def _taken(test: Any, items: Any) -> Any:
    for item in items:
        if not test(item):
            return
        yield item


def _dropped(test: Any, items: Any) -> Any:
    begun = False
    for item in items:
        if begun or not test(item):
            begun = True
            yield item


def _accumulated(items: Any, func: Any = None, *, initial: Any = None) -> Any:
    begun = initial is not None
    if begun:
        total = initial
        yield total
    for item in items:
        if not begun:
            total = item
        elif func is None:
            total = total + item  # pyright: ignore[reportPossiblyUnboundVariable]
        else:
            total = func(total, item)  # pyright: ignore[reportPossiblyUnboundVariable]
        begun = True
        yield total


def _chained(*parts: Any) -> Any:
    for part in parts:
        yield from part


def _chained_rows(parts: Any) -> Any:
    for part in parts:
        yield from part


def _any(items: Any) -> Any:
    for item in items:  # noqa: SIM110 - so it is left where that is known
        if item:
            return True
    return False


def _all(items: Any) -> Any:
    for item in items:  # noqa: SIM110
        if not item:
            return False
    return True


def _contains(items: Any, wanted: Any) -> Any:
    for item in items:  # noqa: SIM110
        if item == wanted:
            return True
    return False


def _pairs(items: Any) -> Any:
    begun = False
    for item in items:
        if begun:
            yield before, item  # noqa: F821  # pyright: ignore[reportPossiblyUnboundVariable]
        before = item  # noqa: F841
        begun = True


def _selected(items: Any, selectors: Any) -> Any:
    for item, chosen in zip(items, selectors):
        if chosen:
            yield item


#: What takes the place of a function where an argument is a generator.
LAZY: dict[Any, Callable[..., Any]] = {
    all: _all,
    any: _any,
    operator.contains: _contains,
    map: _mapped,
    filter: _filtered,
    itertools.filterfalse: _filtered_out,
    itertools.islice: _sliced,
    itertools.takewhile: _taken,
    itertools.dropwhile: _dropped,
    itertools.accumulate: _accumulated,
    itertools.chain: _chained,
    itertools.chain.from_iterable: _chained_rows,
    itertools.starmap: mapped_rows,
    itertools.pairwise: _pairs,
    itertools.compress: _selected,
}
