"""Functions of `builtins`, `functools`, `itertools`, `heapq` and `bisect` over sequences of any length.

What Python makes lazily is a list here, where the difference cannot be seen. `heapq` moves items as CPython's does, so
that the lists are the same.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import sys
from typing import Any

import numpy as np

from tracejit.frontend.containers.tables import not_none
from tracejit.frontend.written import each, written

_NOTHING = object()


def compared_by(key: Any, item: Any) -> Any:
    """`key(item)` of a function that may give None, which cannot be compared (`d.get`)."""
    return not_none(key(item))


@written(dict.fromkeys)
def from_keys(keys: Any, value: Any = None) -> Any:
    """dict.fromkeys."""
    made = {}
    for key in keys:
        made[key] = value
    return made


def extreme(items: Any, key: Any, greatest: Any, default: Any, name: Any) -> Any:
    """The first of the items with the least or greatest key; `key` None: itself."""
    found = list(items)
    if len(found) == 0:
        if default is _NOTHING:
            raise ValueError(f"{name}() iterable argument is empty")
        return default
    best = found[0]
    best_key = best if key is None else key(best)
    for item in found:
        item_key = item if key is None else key(item)
        if item_key > best_key if greatest else item_key < best_key:
            best = item
            best_key = item_key
    return best


def extreme_of_floats(items: Any, greatest: Any) -> Any:
    """min() or max() of a vector: a nan is the result where it comes first, and is passed over elsewhere."""
    missing = np.isnan(items)
    best = np.argmax(np.where(missing, -np.inf, items)) if greatest else np.argmin(np.where(missing, np.inf, items))
    return items[0] if missing[0] else items[best]


def least(items: Any, *, key: Any = None, default: Any = _NOTHING) -> Any:
    """min(items, key=..., default=...)."""
    return extreme(items, key, False, default, "min")


def greatest(items: Any, *, key: Any = None, default: Any = _NOTHING) -> Any:
    """max(items, key=..., default=...)."""
    return extreme(items, key, True, default, "max")


def filtered(test: Any, items: Any) -> Any:
    """filter(test, items)."""
    return [x for x in items if (x if test is None else test(x))]


def reduced(fn: Any, items: Any, initial: Any = _NOTHING) -> Any:
    """functools.reduce."""
    found = list(items)
    if initial is _NOTHING:
        if len(found) == 0:
            raise TypeError("reduce() of empty iterable with no initial value")
        total = found[0]
        for i in range(1, len(found)):
            total = fn(total, found[i])
        return total
    total = initial
    for item in found:
        total = fn(total, item)
    return total


def chained(*parts: Any) -> Any:
    """itertools.chain."""
    made = []
    for part in parts:
        made.extend(part)
    return made


@written(itertools.chain.from_iterable)
def chain_from_iterable(parts: Any) -> Any:
    """itertools.chain.from_iterable."""
    return [item for part in parts for item in part]


@written(itertools.accumulate)
def accumulate(items: Any, func: Any = None, *, initial: Any = None) -> Any:
    """itertools.accumulate."""
    found = list(items)
    if initial is not None:
        found.insert(0, initial)
    if len(found) == 0:
        return found
    total = found[0]
    made = [total]
    for i in range(1, len(found)):
        total = total + found[i] if func is None else func(total, found[i])
        made.append(total)
    return made


def product(*parts: Any, repeat: Any = 1) -> Any:
    """itertools.product."""
    made = [()]
    for _ in each(repeat):
        for part in parts:
            made = _product(made, list(part))
    return made


def _product(heads: Any, part: Any) -> Any:
    return [(*head, item) for head in heads for item in part]


def combinations(items: Any, r: Any) -> Any:
    """itertools.combinations; r is known when the function is compiled."""
    return _in_order(list(items), r, 1)


def combinations_with_replacement(items: Any, r: Any) -> Any:
    """itertools.combinations_with_replacement; r is known when the function is compiled."""
    return _in_order(list(items), r, 0)


def _in_order(found: Any, r: Any, step: Any) -> Any:
    """r items each, the place of one at least so many steps behind the place before."""
    n = len(found)
    chosen: Any = [()] if r == 0 else [(i,) for i in range(n)]
    for _ in each(r - 1):
        chosen = [(*places, i) for places in chosen for i in range(places[-1] + step, n)]
    return [tuple([found[i] for i in places]) for places in chosen]


def permutations(items: Any, r: Any = None) -> Any:
    """itertools.permutations; r, or the number of items, is known when the function is compiled."""
    found = list(items)
    n = len(found)
    if r is None:  # what decides the length of a range can be compiled in
        r = len(items) if isinstance(items, range) else n
    r = len(each(r, "how many items a permutation has"))
    chosen: Any = [()] if r == 0 else [(i,) for i in range(n)]
    for _ in each(r - 1):
        chosen = [(*places, i) for places in chosen for i in range(n) if i not in places]
    return [tuple([found[i] for i in places]) for places in chosen]


@written(itertools.pairwise)
def pairwise(items: Any) -> Any:
    """itertools.pairwise."""
    found = list(items)
    return [(found[i], found[i + 1]) for i in range(len(found) - 1)]


@written(itertools.zip_longest)
def zip_longest(first: Any, second: Any, *, fillvalue: Any = None) -> Any:
    """itertools.zip_longest."""
    a, b = list(first), list(second)
    n = max(len(a), len(b))
    return [(a[i] if i < len(a) else fillvalue, b[i] if i < len(b) else fillvalue) for i in range(n)]


@written(itertools.takewhile)
def takewhile(test: Any, items: Any) -> Any:
    """itertools.takewhile."""
    made = []
    for item in items:
        if not test(item):
            break
        made.append(item)
    return made


@written(itertools.dropwhile)
def dropwhile(test: Any, items: Any) -> Any:
    """itertools.dropwhile."""
    made = []
    begun = False
    for item in items:
        if begun or not test(item):
            begun = True
            made.append(item)
    return made


@written(itertools.filterfalse)
def filterfalse(test: Any, items: Any) -> Any:
    """itertools.filterfalse."""
    return [x for x in items if not (x if test is None else test(x))]


@written(itertools.starmap)
def starmap(fn: Any, items: Any) -> Any:
    """itertools.starmap."""
    return [fn(*item) for item in items]


@written(itertools.groupby)
def groupby(iterable: Any, key: Any = None) -> Any:
    """itertools.groupby."""
    found = list(iterable)
    keys = found if key is None else [key(item) for item in found]
    start = 0
    while start < len(found):
        end = start + 1
        while end < len(found) and keys[end] == keys[start]:
            end += 1
        yield keys[start], map(_itself, found[start:end])
        start = end


def _itself(x: Any) -> Any:
    return x


@written(itertools.compress)
def compress(items: Any, selectors: Any) -> Any:
    """itertools.compress."""
    return [item for item, chosen in zip(items, selectors) if chosen]


if sys.version_info >= (3, 12):

    @written(itertools.batched)
    def batched(iterable: Any, n: Any, *, strict: Any = False) -> Any:
        """itertools.batched; `strict` is there from Python 3.13 on."""
        if n < 1:
            raise ValueError("n must be at least one")
        found = list(iterable)
        for start in range(0, len(found), n):
            if strict and start + n > len(found):
                raise ValueError("batched(): incomplete batch")
            yield tuple(found[start : start + n])


# -- heapq --------------------------------------------------------------------------------------------------------


def _sift_down(heap: Any, start: Any, pos: Any) -> None:
    """Move an item towards the root until its parent is not greater."""
    item = heap[pos]
    while pos > start:
        parent = (pos - 1) >> 1
        if not item < heap[parent]:
            break
        heap[pos] = heap[parent]
        pos = parent
    heap[pos] = item


def _sift_up(heap: Any, pos: Any) -> None:
    """Move the smaller child up until a leaf is reached, then the item to its place."""
    end, start = len(heap), pos
    item = heap[pos]
    child = 2 * pos + 1
    while child < end:
        if child + 1 < end and not heap[child] < heap[child + 1]:
            child += 1
        heap[pos] = heap[child]
        pos = child
        child = 2 * pos + 1
    heap[pos] = item
    _sift_down(heap, start, pos)


@written(heapq.heappush)
def heappush(heap: Any, item: Any) -> None:
    """heapq.heappush."""
    heap.append(item)
    _sift_down(heap, 0, len(heap) - 1)


@written(heapq.heappop)
def heappop(heap: Any) -> Any:
    """heapq.heappop."""
    if len(heap) == 0:
        raise IndexError("index out of range")
    last = heap.pop()
    if len(heap) == 0:
        return last
    found = heap[0]
    heap[0] = last
    _sift_up(heap, 0)
    return found


@written(heapq.heapreplace)
def heapreplace(heap: Any, item: Any) -> Any:
    """heapq.heapreplace."""
    if len(heap) == 0:
        raise IndexError("index out of range")
    found = heap[0]
    heap[0] = item
    _sift_up(heap, 0)
    return found


@written(heapq.heappushpop)
def heappushpop(heap: Any, item: Any) -> Any:
    """heapq.heappushpop."""
    if len(heap) > 0 and heap[0] < item:
        found = heap[0]
        heap[0] = item
        _sift_up(heap, 0)
        return found
    return item


@written(heapq.heapify)
def heapify(heap: Any) -> None:
    """heapq.heapify."""
    for i in range(len(heap) // 2 - 1, -1, -1):
        _sift_up(heap, i)


@written(heapq.merge)
def merge(*iterables: Any, key: Any = None, reverse: Any = False) -> Any:
    """heapq.merge."""
    made = []
    for items in iterables:
        made = _merged(made, list(items), key, reverse)
    return made


def _merged(first: Any, second: Any, key: Any, reverse: Any) -> Any:
    """Two lists merged: of equal items that of the first list comes first."""
    made = []
    i, j = 0, 0
    while i < len(first) and j < len(second):
        a, b = (first[i], second[j]) if key is None else (key(first[i]), key(second[j]))
        is_second = a < b if reverse else b < a
        if is_second:
            made.append(second[j])
            j += 1
        else:
            made.append(first[i])
            i += 1
    return made + first[i:] + second[j:]


@written(heapq.nsmallest)
def nsmallest(n: Any, iterable: Any, key: Any = None) -> Any:
    """heapq.nsmallest."""
    return sorted(iterable, key=key)[: max(n, 0)]


@written(heapq.nlargest)
def nlargest(n: Any, iterable: Any, key: Any = None) -> Any:
    """heapq.nlargest."""
    return sorted(iterable, key=key, reverse=True)[: max(n, 0)]


# -- bisect ---------------------------------------------------------------------------------------------------------


@written(bisect.bisect_right)
def bisect_right(a: Any, x: Any, lo: Any = 0, hi: Any = None, *, key: Any = None) -> Any:
    """bisect.bisect_right."""
    if lo < 0:
        raise ValueError("lo must be non-negative")
    high = len(a) if hi is None else hi
    while lo < high:
        mid = (lo + high) // 2
        if x < (a[mid] if key is None else key(a[mid])):
            high = mid
        else:
            lo = mid + 1
    return lo


@written(bisect.bisect_left)
def bisect_left(a: Any, x: Any, lo: Any = 0, hi: Any = None, *, key: Any = None) -> Any:
    """bisect.bisect_left."""
    if lo < 0:
        raise ValueError("lo must be non-negative")
    high = len(a) if hi is None else hi
    while lo < high:
        mid = (lo + high) // 2
        if (a[mid] if key is None else key(a[mid])) < x:
            lo = mid + 1
        else:
            high = mid
    return lo


@written(bisect.insort_right)
def insort_right(a: Any, x: Any, lo: Any = 0, hi: Any = None, *, key: Any = None) -> None:
    """bisect.insort_right."""
    a.insert(bisect_right(a, x if key is None else key(x), lo, hi, key=key), x)


@written(bisect.insort_left)
def insort_left(a: Any, x: Any, lo: Any = 0, hi: Any = None, *, key: Any = None) -> None:
    """bisect.insort_left."""
    a.insert(bisect_left(a, x if key is None else key(x), lo, hi, key=key), x)


REPLACED = {
    "min": least,
    "max": greatest,
    "filter": filtered,
    "reduce": reduced,
    "chain": chained,
    "product": product,
    "combinations": combinations,
    "combinations_with_replacement": combinations_with_replacement,
    "permutations": permutations,
}


def places_in_order(items: Any, descending: Any) -> Any:
    """The places of items in their order, by `<` alone: a merge sort, in which equal ones stay in order."""
    n = len(items)
    places = list(range(n))
    width = 1
    while width < n:
        merged: list[Any] = []
        for low in range(0, n, 2 * width):
            middle, high = min(low + width, n), min(low + 2 * width, n)
            i, j = low, middle
            for _ in range(low, high):
                if i < middle and (
                    j >= high
                    or not (items[places[i]] < items[places[j]] if descending else items[places[j]] < items[places[i]])
                ):
                    merged.append(places[i])
                    i += 1
                else:
                    merged.append(places[j])
                    j += 1
        places = merged
        width *= 2
    return places


def place_of(items: Any, item: Any, start: Any, stop: Any, message: Any) -> Any:
    """The first place of an item in items[start:stop]. `message` says that there is none; without one, Python does."""
    n = len(items)
    if start < 0:
        start = max(start + n, 0)
    if stop < 0:
        stop += n
    for i in range(start, min(stop, n)):
        if items[i] == item:
            return i
    raise ValueError(message if message is not None else f"{item!r} is not in list")


def rows_1(x: Any) -> Any:
    """x.tolist() of an array of one axis."""
    return [v.item() for v in x]


def rows_2(x: Any) -> Any:
    """x.tolist() of an array of two axes."""
    return [[v.item() for v in row] for row in x]


def rows_3(x: Any) -> Any:
    """x.tolist() of an array of three axes."""
    return [[[v.item() for v in row] for row in part] for part in x]


def rows_4(x: Any) -> Any:
    """x.tolist() of an array of four axes."""
    return [[[[v.item() for v in row] for row in part] for part in whole] for whole in x]


ROWS = (rows_1, rows_2, rows_3, rows_4)
