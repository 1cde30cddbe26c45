"""How opaque ops are exported: ONNX nodes over whole arrays, made with the translation of `deploy/onnx`.

A rule is `nodes(t, results, *operands, **attrs)`: `results` are the op's result values, operands handles of nodes with
`.dtype` and `.rank`; it returns what stands for each result. `t.model` makes nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracejit.ir.types import BOOL, I32, I64

Translation = Any
Handle = Any


def cat(t: Translation, results: Sequence[Any], _size: Handle, xs: Sequence[Handle], *, axis: int) -> Handle:
    """Arrays joined."""
    return t.model.node("Concat", *xs, axis=axis)


def extremum_place(operator: str) -> Callable[..., Any]:
    """`ArgMax` or `ArgMin`, but the first nan where there is one."""

    def nodes(t: Translation, results: Sequence[Any], x: Handle, *, axis: int) -> Handle:
        m, rank = t.model, x.rank - 1
        options = {"axis": axis, "keepdims": 0, "select_last_index": 0}
        x = m.ordered(x)
        place = m.node(operator, x, dtype=I64, rank=rank, **options)
        if not x.dtype.is_float:
            return place
        marks = m.cast(m.node("IsNaN", x, dtype=BOOL), I32)
        first = m.node("ArgMax", marks, dtype=I64, rank=rank, **options)
        found = m.cast(m.node("ReduceMax", marks, m.ints(axis), rank=rank, keepdims=0), BOOL)
        return m.where(found, first, place)

    return nodes


def cumsum(t: Translation, results: Sequence[Any], x: Handle, *, axis: int) -> Handle:
    """Running sums."""
    m = t.model
    return m.cast(m.node("CumSum", m.summable(x), m.constant(axis, I64)), x.dtype)


def cumprod(t: Translation, results: Sequence[Any], x: Handle, *, axis: int) -> Handle:
    """Running products, one place after the other."""
    m = t.model

    def following(i: Handle, y: Handle) -> Handle:
        return m.node("Mul", y, m.gather(line, i))

    line = _first(m, x, axis)
    return _scanned(t, x, axis, m.constant(1, x.dtype), following, reverse=False)


def linear_scan(
    t: Translation, results: Sequence[Any], a: Handle, c: Handle, *, axis: int, reverse: bool = False
) -> Handle:
    """y[i] = a[i] * y[i-1] + c[i], the first one c[0]: before it y is 0 and a counts as 0 too."""
    m = t.model
    slope, line = _first(m, a, axis), _first(m, c, axis)

    def following(i: Handle, y: Handle) -> Handle:
        at_end = m.node("Sub", m.node("Sub", m.size(line, 0), m.constant(1, I64)), i)
        place = at_end if reverse else i
        term = m.gather(line, place)
        grown = m.node("Add", m.node("Mul", m.gather(slope, place), y), term)
        return m.where(m.node("Equal", i, m.constant(0, I64), dtype=BOOL), term, grown)

    return _scanned(t, c, axis, m.constant(0, c.dtype), following, reverse)


def place_so_far(better: str) -> Callable[..., Any]:
    """Where the best element up to each one is, one place after the other."""
    operator = {"ge": "GreaterOrEqual", "le": "LessOrEqual"}[better]

    def nodes(t: Translation, results: Sequence[Any], x: Handle, *, axis: int) -> Handle:
        m = t.model
        line = _first(m, m.ordered(x), axis)

        def following(i: Handle, place: Handle) -> Handle:
            value = m.gather(line, i)
            index = m.unsqueeze(place, 0)
            best = m.node("GatherElements", line, index, axis=0)
            best = m.node("Squeeze", best, m.ints(0), rank=place.rank)
            wins = m.node(operator, value, best, dtype=BOOL)
            if x.dtype.is_float:
                held = m.node("Not", m.node("IsNaN", best, dtype=BOOL))
                wins = m.node("Or", m.node("IsNaN", value, dtype=BOOL), m.node("And", held, wins))
            return m.where(wins, i, place)

        return _scanned(t, x, axis, m.constant(0, I64), following, reverse=False)

    return nodes


def _first(m: Any, x: Handle, axis: int) -> Handle:
    """x with an axis moved to the front."""
    return m.transpose(x, (axis, *(a for a in range(x.rank) if a != axis)))


def _back(m: Any, x: Handle, axis: int) -> Handle:
    """x with its first axis moved to `axis`."""
    order = (axis, *(a for a in range(x.rank) if a != axis))
    return m.transpose(x, sorted(range(x.rank), key=order.__getitem__))


def _scanned(
    t: Translation, x: Handle, axis: int, start: Handle, following: Callable[[Handle, Handle], Handle], reverse: bool
) -> Handle:
    """Results of a recurrence along an axis, stacked."""
    m = t.model
    line = _first(m, x, axis)
    shape = m.shape_of(line)
    row = m.node("Slice", shape, m.ints(1), m.ints(x.rank))
    first = m.expand(start, row, x.rank - 1)

    def trip(i: Handle, carried: list[Handle]) -> Any:
        y = following(i, carried[0])
        return m.constant(True, BOOL), (y,), (y,)

    _, stack = t.loop(m.size(line, 0), m.constant(True, BOOL), (first,), trip)
    stack = m.reshape(stack, shape, x.rank)
    if reverse:
        stack = m.node("Slice", stack, m.ints(-1), m.ints(-(1 << 62)), m.ints(0), m.ints(-1))
    return _back(m, stack, axis)


# -- writing by integer arrays and masks ------------------------------------------------------------------------


def _in_front(m: Any, x: Handle, index: Handle, value: Handle, axis: int) -> tuple[Handle, Handle, Handle]:
    """x and value with the indexed axes in front, indices as columns of places."""
    k = index.rank
    moved = tuple(range(axis, axis + k))
    rest = tuple(a for a in range(value.rank) if a not in moved)
    places = m.unsqueeze(m.cast(index, I64), k)
    return _first(m, x, axis), places, m.transpose(value, (*moved, *rest))


def scatter_fold(reduction: str) -> Callable[..., Any]:
    """Values combined with what is at places along an axis."""

    def nodes(t: Translation, results: Sequence[Any], x: Handle, index: Handle, value: Handle, *, axis: int) -> Handle:
        m = t.model
        front, places, moved = _in_front(m, x, index, value, axis)
        return _back(m, m.node("ScatterND", front, places, moved, reduction=reduction), axis)

    return nodes


def scatter_set(
    t: Translation, results: Sequence[Any], x: Handle, index: Handle, value: Handle, *, axis: int
) -> Handle:
    """Values written at places along an axis. The order of writes to one place is not defined in ONNX: each place first
    gets the number of the last value for it, and only that one is written."""
    m = t.model
    front, places, moved = _in_front(m, x, index, value, axis)
    flat_places = m.node("Reshape", places, m.ints(-1, 1), rank=2)
    tail = m.node("Slice", m.shape_of(moved), m.ints(index.rank), m.ints(moved.rank))
    rows = m.node("Concat", m.node("Slice", m.shape_of(flat_places), m.ints(0), m.ints(1)), tail, axis=0)
    values = m.reshape(moved, rows, moved.rank - index.rank + 1)
    count = m.size(flat_places, 0)
    numbers = m.node("Range", m.constant(0, I64), count, m.constant(1, I64), rank=1)
    size = m.node("Slice", m.shape_of(front), m.ints(0), m.ints(1))
    nobody = m.expand(m.constant(-1, I64), size, 1)
    last = m.node("ScatterND", nobody, flat_places, numbers, reduction="max")
    winner = m.node("Equal", m.gather(last, m.flat(flat_places)), numbers, dtype=BOOL)
    kept = m.flat(m.node("NonZero", winner, dtype=I64, rank=2))
    written = m.node("ScatterND", front, m.gather(flat_places, kept), m.gather(values, kept))
    return _back(m, written, axis)


def _held(m: Any, mask: Handle) -> Handle:
    """The places where a mask holds, one a row."""
    return m.transpose(m.node("NonZero", mask, dtype=I64, rank=2), (1, 0))


def mask_read(t: Translation, results: Sequence[Any], x: Handle, mask: Handle) -> tuple[Handle, Handle]:
    """How many elements of the mask hold, and what is there."""
    m = t.model
    held = _held(m, mask)
    return m.size(held, 0), m.node("GatherND", x, held, rank=x.rank - mask.rank + 1)


def mask_places(t: Translation, results: Sequence[Any], mask: Handle) -> tuple[Handle, Handle]:
    """How many elements of a vector hold, and where."""
    held = t.model.flat(t.model.node("NonZero", mask, dtype=I64, rank=2))
    return t.model.size(held, 0), held


def mask_write(t: Translation, results: Sequence[Any], x: Handle, mask: Handle, value: Handle) -> Handle:
    """Values written where the mask holds."""
    return t.model.node("ScatterND", x, _held(t.model, mask), value)


# -- lists ------------------------------------------------------------------------------------------------------
# Among the cotangents in a list, one that is not there (see `lists.py`) is an array without elements, or a 0.


def _mark(m: Any, of: Handle) -> Handle:
    """What stands for zeros of unknown sizes."""
    zero = m.constant(0, of.dtype)
    return m.expand(zero, m.ints(*(0,) * of.rank), of.rank) if of.rank else zero


def _is_mark(m: Any, x: Handle) -> Handle:
    return m.node("Equal", m.node("Size", x, dtype=I64, rank=0), m.constant(0, I64), dtype=BOOL)


def _zeros(m: Any, of: Handle, sizes: Sequence[Handle]) -> Handle:
    zero = m.constant(0, of.dtype)
    return m.expand(zero, m.vector(sizes), of.rank) if of.rank else zero


def _there(t: Translation, of: Handle, index: Handle, sizes: Sequence[Handle]) -> Handle:
    """The element, or zeros where a mark stands for it."""
    m = t.model
    found = m.item(of, index)
    return t.branch(_is_mark(m, found), lambda: (_zeros(m, of, sizes),), lambda: (found,))[0] if of.rank else found


def _replaced(t: Translation, of: Handle, index: Handle, value: Handle) -> Handle:
    """The element taken out, and another one put in its place."""
    return t.list_op("SequenceInsert", t.list_op("SequenceErase", of, index), value, index)


def list_set(t: Translation, results: Sequence[Any], of: Handle, index: Handle, value: Handle) -> Handle:
    """The list with an element replaced."""
    return _replaced(t, of, index, value)


def list_clear(t: Translation, results: Sequence[Any], of: Handle, index: Handle) -> Handle:
    """The list with an element that is no longer there."""
    return _replaced(t, of, index, _mark(t.model, of))


def list_get0(t: Translation, results: Sequence[Any], of: Handle, index: Handle, sizes: Sequence[Handle]) -> Handle:
    """An element, zeros where it is not there."""
    return _there(t, of, index, sizes)


def list_pop0(t: Translation, results: Sequence[Any], of: Handle, sizes: Sequence[Handle]) -> tuple[Handle, Handle]:
    """The list without its last element and that element; of an empty list itself and zeros."""
    m, last = t.model, t.model.constant(-1, I64)
    length = m.node("SequenceLength", of, dtype=I64, rank=0)

    def taken() -> tuple[Handle, Handle]:
        return t.list_op("SequenceErase", of, last), _there(t, of, last, sizes)

    some = m.node("Greater", length, m.constant(0, I64), dtype=BOOL)
    rest, value = t.branch(some, taken, lambda: (of, _zeros(m, of, sizes)))
    return rest, value


def list_add(
    t: Translation, results: Sequence[Any], of: Handle, value: Handle, index: Handle, length: Handle
) -> Handle:
    """Marks put in at the bottom until there are `length` elements, and the value added to one; `index` counts from the
    lowest of the upper `length` elements where there are more."""
    m = t.model
    missing = m.node("Sub", length, m.node("SequenceLength", of, dtype=I64, rank=0))

    def trip(i: Handle, carried: list[Handle]) -> Any:
        filled = t.list_op("SequenceInsert", carried[0], _mark(m, of), m.constant(0, I64))
        return m.constant(True, BOOL), (filled,), ()

    (filled,) = t.loop(missing, m.constant(True, BOOL), (of,), trip)
    index = m.node("Sub", index, m.node("Min", missing, m.constant(0, I64)))
    before = m.item(filled, index)
    if of.rank:
        (total,) = t.branch(_is_mark(m, before), lambda: (value,), lambda: (m.node("Add", before, value),))
    else:
        total = m.node("Add", before, value)
    return _replaced(t, filled, index, total)


def list_part(t: Translation, results: Sequence[Any], of: Handle, start: Handle, count: Handle) -> Handle:
    """Numbers of a list, stacked."""
    m = t.model

    def trip(i: Handle, carried: list[Handle]) -> Any:
        return m.constant(True, BOOL), (), (m.item(of, m.node("Add", start, i)),)

    return t.loop(count, m.constant(True, BOOL), (), trip)[0]


def list_part0(t: Translation, results: Sequence[Any], of: Handle, start: Handle, count: Handle) -> Handle:
    """`list_part` behind as many zeros as there are negative places."""
    m = t.model
    first, skipped = _from_zero(m, start, count)
    zeros = m.expand(m.constant(0, of.dtype), m.unsqueeze(skipped, 0), 1)
    return m.node("Concat", zeros, list_part(t, results, of, first, m.node("Sub", count, skipped)), axis=0)


def _from_zero(m: Any, start: Handle, count: Handle) -> tuple[Handle, Handle]:
    """The first place that is not negative, and how many of `count` are in front of it."""
    first = m.node("Max", start, m.constant(0, I64))
    return first, m.node("Min", m.node("Sub", first, start), count)


def _each(
    t: Translation, of: Handle, start: Handle, count: Handle, change: Callable[[Handle, Handle, Handle], Handle]
) -> Handle:
    """A list after `change(list, place, i)` for each i < count whose place, start + i, is not negative."""
    m = t.model
    first, skipped = _from_zero(m, start, count)

    def trip(i: Handle, carried: list[Handle]) -> Any:
        made = change(carried[0], m.node("Add", first, i), m.node("Add", skipped, i))
        return m.constant(True, BOOL), (made,), ()

    return t.loop(m.node("Sub", count, skipped), m.constant(True, BOOL), (of,), trip)[0]


def list_set_part(t: Translation, results: Sequence[Any], of: Handle, start: Handle, value: Handle) -> Handle:
    """The list with numbers replaced."""
    m = t.model
    return _each(t, of, start, m.size(value, 0), lambda x, at, i: _replaced(t, x, at, m.gather(value, i)))


def list_clear_part(t: Translation, results: Sequence[Any], of: Handle, start: Handle, count: Handle) -> Handle:
    """The list with numbers set to zero."""
    return _each(t, of, start, count, lambda x, at, i: _replaced(t, x, at, _mark(t.model, of)))


def list_add_part(
    t: Translation, results: Sequence[Any], of: Handle, value: Handle, start: Handle, length: Handle
) -> Handle:
    """`list_add` of each element of an array."""
    m = t.model
    count = m.size(value, 0)
    return _each(t, of, start, count, lambda x, at, i: list_add(t, results, x, m.gather(value, i), at, length))


# -- sorting ----------------------------------------------------------------------------------------------------


def argsort(t: Translation, results: Sequence[Any], x: Handle, *, axis: int, descending: bool = False) -> Handle:
    """The order along an axis. `TopK` keeps the order of equal elements; nans, as infinities, are moved by a second
    sort behind the infinities (in front of them when descending)."""
    m = t.model
    x = m.ordered(x)

    def order(keys: Handle) -> Handle:
        count = m.unsqueeze(m.size(keys, axis), 0)
        found = [type(keys)(m.unique("top"), keys.dtype, x.rank), type(keys)(m.unique("order"), I64, x.rank)]
        m.emit("TopK", (keys, count), found, axis=axis, largest=int(descending), sorted=1)
        return found[1]

    if not x.dtype.is_float:
        return order(x)
    missing = m.node("IsNaN", x, dtype=BOOL)
    first = order(m.where(missing, m.constant(float("inf"), x.dtype), x))
    second = order(m.node("GatherElements", m.cast(missing, I64), first, axis=axis))
    return m.node("GatherElements", first, second, axis=axis)


def ordered(t: Translation, results: Sequence[Any], x: Handle, *, axis: int, descending: bool = False) -> Handle:
    """The elements along an axis in the order that `argsort` finds."""
    m = t.model
    keys = m.ordered(x)
    places = argsort(t, results, keys, axis=axis, descending=descending)
    return m.unordered(m.node("GatherElements", keys, places, axis=axis), x.dtype)


def parted(t: Translation, results: Sequence[Any], x: Handle, places: Handle, *, axis: int) -> Handle:
    """The elements along an axis in order."""
    return ordered(t, results, x, axis=axis)


def argparted(t: Translation, results: Sequence[Any], x: Handle, places: Handle, *, axis: int) -> Handle:
    """The places of the elements along an axis in order."""
    return argsort(t, results, x, axis=axis)


def ranked(t: Translation, results: Sequence[Any], x: Handle, ranks: Handle) -> Handle:
    """The elements of a vector at places of its order."""
    return t.model.gather(ordered(t, results, x, axis=0), ranks)


def insertion_place(t: Translation, results: Sequence[Any], x: Handle, values: Handle, *, side: str) -> Handle:
    """How many elements of the vector x come before each value; nan comes last."""
    m = t.model
    x, values = m.ordered(x), m.unsqueeze(m.ordered(values), values.rank)

    def less(a: Handle, b: Handle) -> Handle:
        found = m.node("Less", a, b, dtype=BOOL, rank=values.rank)
        if not a.dtype.is_float:
            return found
        real, missing = m.node("Not", m.node("IsNaN", a, dtype=BOOL)), m.node("IsNaN", b, dtype=BOOL)
        return m.node("Or", found, m.node("And", real, missing, rank=values.rank))

    before = less(x, values) if side == "left" else m.node("Not", less(values, x))
    return m.node("ReduceSum", m.cast(before, I64), m.ints(-1), rank=values.rank - 1, keepdims=0)


# -- windows ----------------------------------------------------------------------------------------------------


def window_fold(
    t: Translation, results: Sequence[Any], columns: Handle, sizes: Sequence[Handle], *, stride: Any, dilation: Any
) -> Handle:
    """The columns added to zeros at their places in the flattened result."""
    m, k, space = t.model, t.k, len(stride)
    frame = t.frame_of(columns)
    out = [frame.elements.bind(n) for n in (m.size(columns, space + 1), m.size(columns, 0), *sizes)]
    image, channel = frame.index[space + 1], frame.index[0]
    within, places = frame.index[1 : space + 1], frame.index[space + 2 :]
    at = k.add(k.mul(image, out[1]), channel)
    for i, j, s, d, size in zip(places, within, stride, dilation, out[2:], strict=True):
        at = k.add(k.mul(at, size), k.add(k.mul(i, s), k.mul(j, d)))
    spots = m.flat(m.expand(frame.elements(at), m.shape_of(columns), columns.rank))
    shape = t.shape(results[0].type)
    zeros = m.flat(m.expand(m.constant(0, columns.dtype), shape, space + 2))
    added = m.node("ScatterElements", zeros, spots, m.flat(columns), axis=0, reduction="add")
    return m.reshape(added, shape, space + 2)
