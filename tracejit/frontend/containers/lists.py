"""Growing lists: lists whose length is known at run time only.

A list display is a `ListValue`, whose structure the compiler knows, as long as it changes only in the block that
made it. Where it changes in a branch or loop, lowering starts again (`ListGrows`) with the place that made it marked
as making a `GrowingList`: one or more `list<T>` values (`kinds.slots`) that are kept like the content of arrays, as
the bases of storage classes, so that branches and loops carry them. Two names of one list have the same classes.

Arrays are copied into a list; where one that is an item, or was read as one (`Storage.held`), is changed in place,
the list holds where its arrays lie instead (`placed_arrays.py`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING, NoReturn

from tracejit.frontend.arith import Arithmetic
from tracejit.frontend.containers import pooled_tables
from tracejit.frontend.containers.array_memory import same_memory
from tracejit.frontend.containers.merged_lists import require_own
from tracejit.frontend.containers.placed_arrays import at_place, kind_in_memory, note_holders, placed
from tracejit.frontend.containers.shared_lists import change_length, item_of_shared, share
from tracejit.frontend.containers.tables import is_table
from tracejit.frontend.context import Context
from tracejit.frontend.control.choices import option_index
from tracejit.frontend.control.joined_numbers import meeting
from tracejit.frontend.control.optionals import as_index, is_none
from tracejit.frontend.instances import variants
from tracejit.frontend.instances.pooled_objects import grow_tuples, pool_instances
from tracejit.frontend.kinds import (
    NOTHING,
    ArrayKind,
    ChoiceKind,
    ConstantKind,
    InstanceKind,
    Kind,
    NoKind,
    NumberKind,
    OptionalKind,
    SharedKind,
    TextKind,
    TupleKind,
    have_one_form,
    join_kinds,
    kind_of_items,
    list_places,
    may_be_none,
    slots,
)
from tracejit.frontend.restarts import LengthVaries, ListGrows
from tracejit.frontend.syntax.desugar import ForLoop
from tracejit.frontend.tensors import elements
from tracejit.frontend.tensors.indexing import Indexing
from tracejit.frontend.tensors.rank_0 import as_scalar
from tracejit.frontend.tensors.slices import slice_bounds
from tracejit.frontend.texts.made_texts import at_number, number
from tracejit.frontend.values import (
    ArrayView,
    ChoiceValue,
    DictValue,
    FrontValue,
    GrowingList,
    ListValue,
    Number,
    ObjectValue,
    OptionalValue,
    SequenceValue,
    SharedList,
    SharedObject,
    SharedVariant,
    Size,
    SliceValue,
    Static,
    TupleValue,
    list_classes,
    type_name,
)
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, I64, DType, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.statements import Statements

#: What reads one slot of an item: the class of the slot, and the sizes of an array.
Read = Callable[[int, "tuple[Value, ...]"], Value]


# -- which lists grow, and what they hold -----------------------------------------------------------------------


def require_one_kind(
    ctx: Context,
    lists: Iterable[FrontValue | None],
    node: ast.AST,
    items: Iterable[FrontValue] = (),
    keeps_length: bool = False,
) -> None:
    """Lists that become one, and items that are put into it, need growing lists of one kind. Raises `ListGrows` where
    the lists are not such yet, and refuses items that no such list can hold."""
    found, items = [x for x in lists if isinstance(x, GrowingList | ListValue)], list(items)
    grown = [x for x in found if isinstance(x, GrowingList)]
    known: list[Kind | None] = []
    try:
        known.extend(known_kind(ctx, x) for x in found)
        kind = join_kinds(reduce(join_kinds, known), kind_of_items(items, ctx.argument_dims))
        kind = kind_in_memory(ctx, kind, (k for x in found for k in x.keys))
    except NoKind as error:
        if error.lists:
            is_item = any(isinstance(x, GrowingList) and x.keys == error.lists for x in items)
            beside = [k.root for k in known if is_item and isinstance(k, SharedKind)]
            share(ctx, (*beside, *error.lists), node)
        if error.tuples and not ctx.loops_to_unroll():
            grow_tuples(ctx, error.tuples)
        if error.classes:
            pooled_tables.merge(ctx, error.classes)
            variants.merge(ctx, error.classes)
        if isinstance(error.instance, ObjectValue) and not is_table(error.instance):
            pool_instances(ctx, error.instance, node)
        elif error.instance is not None:
            is_item = any(x is error.instance for x in items)
            pooled_tables.pool_beside(ctx, error.instance, known if is_item else ())
        ctx.require_known(
            node,
            f"a list that changes in a loop or branch holds items of one kind, not {error}",
            "use an array, or a list for each kind",
        )
    if kind is not None and may_be_none(kind) and ctx.loops_to_unroll():
        ctx.require_known(node, "a list holds values that may be None", "use an array")
    places = {k for x in found for k in x.keys}
    if len(grown) == len(found) and all(x.kind == (kind or NOTHING) for x in grown) and not places & ctx.read_early:
        if kind is not None and list_places(kind) - frozenset[object]().union(*(list_places(x.kind) for x in grown)):
            ctx.growing.update(dict.fromkeys(places, kind))  # the same kind, of lists that are made elsewhere too
            ctx.stale |= places
            return
        ctx.growing.update({k: kind for k in places if ctx.growing[k] is None})
        return
    if len(grown) == len(found) and all(x.keys for x in found):  # the next lowering makes them of that kind
        ctx.growing.update(dict.fromkeys(places, kind))
        ctx.stale |= places
        return
    if not all(x.keys for x in found):
        ctx.refuse(
            node, "this list cannot change here: it is an argument or an item of a list", "change a copy: list(items)"
        )
    raise ListGrows(places, kind, keeps_length)


def known_kind(ctx: Context, lst: GrowingList | ListValue) -> Kind | None:
    """The kind of a list's items as far as it is known; None if it never had one."""
    if isinstance(lst, ListValue):
        return kind_in_memory(ctx, kind_of_items(lst.items, ctx.argument_dims), lst.keys)
    return kind_in_memory(ctx, reduce(join_kinds, (ctx.growing[k] for k in lst.keys)), lst.keys)


def refuse_shared(ctx: Context, node: ast.AST, lists: Iterable[FrontValue | None] = ()) -> NoReturn:
    """Two names that are one list on some paths only: one of these, where they can be in one pool."""
    lists = list(lists)
    pooled_tables.pool_owners(ctx, lists)
    places = [x.keys if isinstance(x, GrowingList | ListValue) else () for x in lists]
    is_given = any(isinstance(k, tuple) and k[0] == "outside" for keys in places for k in keys)
    if places and all(places) and not is_given:
        share(ctx, [k for keys in places for k in keys], node)
    ctx.require_known(
        node, "two names stand for one list on one path and for two lists on another", "copy the list: list(items)"
    )


def require_unshared(ctx: Context, classes: set[int], live: frozenset[str] | None, node: ast.AST) -> None:
    """Lists that went into another where paths meet must be known by no other name (of the `live` ones; None: any)."""
    if not classes:
        return
    names = [(f, n, v) for f in ctx.frames() for n, v in f.env.items()]
    seen = [v for f, n, v in names if f is not ctx.frame or live is None or n in live]
    if classes & ctx.iterated or any(classes & list_classes(v) for v in seen):
        refuse_shared(ctx, node, [v for _, _, v in names if classes & list_classes(v)])


def _sequence(parts: list[FrontValue], kind: TupleKind) -> FrontValue:
    """An item of several parts."""
    cls = kind.cls
    return (
        ListValue(parts, -1, kind.keys)
        if cls is list
        else TupleValue(tuple(parts), None if cls is tuple else cls, kind.keys)
    )


class Lists:
    """What scripts do with growing lists."""

    statements: Statements

    def __init__(self, ctx: Context, arith: Arithmetic, indexing: Indexing) -> None:
        self.ctx = ctx
        self.arith = arith
        self.indexing = indexing

    # -- making lists ---------------------------------------------------------------------------------------

    def made(self, items: Iterable[FrontValue], node: ast.AST) -> FrontValue:
        """The list of these items that a node of the program makes."""
        place = self.ctx.place(node)
        if not self.ctx.growing.covers(place):
            return ListValue(list(items), self.ctx.level, frozenset((place,)))
        return self.growing(items, node)

    def growing(self, items: Iterable[FrontValue], node: ast.AST) -> GrowingList:
        """A growing list of these items."""
        made = self.empty(node)
        self.fill(made, items, node)
        return made

    def fill(self, made: GrowingList, items: Iterable[FrontValue], node: ast.AST) -> None:
        """Put the first items into a new list; that is all it ever holds where its length stays."""
        count = 0
        for item in items:
            self.push(made, item, node)
            count += 1
        if made.keys & self.ctx.steady:
            self.ctx.list_lengths[made.storages] = count

    def empty(self, node: ast.AST) -> GrowingList:
        """An empty growing list."""
        place = self.ctx.place(node)
        kind = self.ctx.growing.setdefault(place, None) or NOTHING
        self.ctx.at(node)
        return GrowingList(tuple(map(self.ctx.storage.new, self.no_items(kind))), kind, frozenset((place,)))

    def of_outside(self, items: Sequence[FrontValue] | SequenceValue, key: object) -> GrowingList:
        """The items of a list that the caller has."""
        node = self.ctx.frame.source.node
        kind = self.ctx.growing[key] or NOTHING
        made = GrowingList(tuple(map(self.ctx.storage.new, self.no_items(kind))), kind, frozenset((key,)))
        if isinstance(items, SequenceValue):
            self.extend(made, items, node)
        else:
            self.fill(made, items, node)
        return made

    def many(self, value: FrontValue, items: Sequence[FrontValue], node: ast.AST) -> SequenceValue | None:
        """What a loop runs over instead of many known numbers of one type, texts, or tuples of such: a list that lies
        in memory. None of others, and where something was found to need each item."""
        growing, key = self.ctx.growing, (*self.ctx.place(node), "items")
        if isinstance(value, DictValue) or not growing.guesses or len(items) <= growing.unrolled:
            return None
        if not have_one_form(items):
            return None
        growing.has_guessed = True
        kind = growing[key] = kind_of_items(items, self.ctx.argument_dims)
        assert kind is not None
        made = GrowingList(tuple(map(self.ctx.storage.new, self.no_items(kind))), kind, frozenset((key,)))
        self.fill(made, items, node)
        return self.items(made)

    def no_items(self, kind: Kind) -> list[Value]:
        """Empty slots."""
        return [self.ctx.b.emit("list_new", (), {"element": t}, names=("list",))[0] for t in slots(kind)]

    def copied(self, sequence: SequenceValue, node: ast.AST) -> GrowingList:
        """The items of a sequence in a new list."""
        made = self.empty(node)
        self.extend(made, sequence, node)
        return made

    def duplicate(self, lst: GrowingList, node: ast.AST) -> GrowingList:
        """The items of a list in slots of their own: what stands for it where the list itself stays as well."""
        own = tuple(map(self.ctx.storage.new, self.no_items(lst.kind)))
        made = GrowingList(own, lst.kind, lst.keys)
        self.extend(made, self.items(lst), node)
        return made

    def grown(
        self, lst: ListValue, node: ast.AST, items: Iterable[FrontValue] = (), keeps_length: bool = False
    ) -> NoReturn:
        """A list of known structure that changes away from where it was made, or in a way known at run time only."""
        items = [pooled_tables.finished(self.statements.calls, item, node) for item in items]
        require_one_kind(self.ctx, (lst,), node, items, keeps_length)
        raise AssertionError(lst)

    def require_length(self, known: Iterable[tuple[ListValue, int]], node: ast.AST) -> None:
        """Lists of known length that something ran over are as long as before: else there are other trips."""
        for lst, count in known:
            if len(lst.items) != count:
                self.grown(lst, node)

    # -- items ----------------------------------------------------------------------------------------------

    def length(self, lst: GrowingList) -> Value:
        """The number of items."""
        return self.ctx.list_length(lst)

    def get(self, lst: GrowingList, index: Size) -> FrontValue:
        """An item by an index that is in range."""
        at = self.ctx.size_value(index)
        bases = self.ctx.storage.bases
        if not bases.keys() >= set(lst.storages):  # a loop hands it on by another name
            refuse_shared(self.ctx, self.ctx.frame.here or self.ctx.frame.source.node)
        return self.read(lst, lambda c, sizes: self.ctx.b.emit("list_get", (bases[c], at, *sizes), names=("item",))[0])

    def read(self, lst: GrowingList, take: Read) -> FrontValue:
        """An item of which `take` gives each slot. A list that nothing is known to be put into has none."""
        if lst.keys and all(self.ctx.growing[k] is None for k in lst.keys):
            self.ctx.read_early |= lst.keys
            self.ctx.check_false("IndexError", "list index out of range")
        if lst.keys & self.ctx.stale and lst.kind != (known := known_kind(self.ctx, lst)):
            return self.placeholder(known)
        item = self.item_of(lst.kind, iter(lst.storages), take)
        note_holders(self.ctx, item, lst.keys, is_put=False)
        return item

    def placeholder(self, kind: Kind | None) -> FrontValue:
        """What stands for an item of a list whose slots are of another kind: everything is lowered once more."""
        match kind:
            case NumberKind(dtype, weak):
                return Number(self.arith.scalar(Static(0), dtype), weak)
            case TupleKind(items):
                parts = [self.placeholder(k) for k in items]
                return _sequence(parts, kind)
            case ConstantKind(value):
                return Static(value)
            case ChoiceKind(options):
                return ChoiceValue(self.ctx.size_value(0), tuple(map(Static, options)))
            case ArrayKind(dtype, sizes):
                lengths = list(map(self.any_size, sizes))
                if kind.placed:
                    return at_place(self.ctx, dtype, 0, lengths)
                return self.any_array(dtype, lengths)
            case SharedKind(root):
                return SharedList(self.ctx.size_value(0), self.ctx.pools[root])
            case InstanceKind(cls):
                return variants.at_number(self.ctx, cls, self.ctx.size_value(0))
            case TextKind():
                return at_number(self.ctx, self.ctx.size_value(0), kind.is_open)
            case OptionalKind(inner):
                never = self.ctx.b.constant(False, ScalarType(BOOL))
                return OptionalValue(never, self.placeholder(inner), checked=True)
            case _:
                self.ctx.check_false("IndexError", "list index out of range")

    def any_size(self, size: int | str | None) -> Value:
        """A size of an array that stands for another: one of which nothing is known, where the kind does not say it."""
        if size is None:
            return self.ctx.b.emit("list_len", self.no_items(NumberKind(I64, weak=True)))[0]
        return self.ctx.size_value(size if isinstance(size, int) else self.ctx.dims[size])

    def any_array(self, dtype: DType, lengths: Sequence[Value], number: FrontValue | None = None) -> ArrayView:
        """An array of one number (None: 0), which stands for another array."""
        element = self.arith.scalar(Static(0) if number is None else number, dtype)
        return self.ctx.fresh(self.ctx.b.emit("broadcast", (element, *lengths))[0])

    def item_of(self, kind: Kind, classes: Iterator[int], take: Read) -> FrontValue:
        match kind:
            case NumberKind(_, weak):
                return elements.of_list(self.ctx, Number(take(next(classes), ()), weak))
            case ArrayKind(dtype, sizes, True):
                at = take(next(classes), ())
                return at_place(self.ctx, dtype, at, [self.size(n, classes, take) for n in sizes])
            case ArrayKind(_, sizes):
                own = next(classes)
                lengths = tuple(self.size(n, classes, take) for n in sizes)
                view = self.ctx.fresh(take(own, lengths))
                self.ctx.storage.held.add(view.storage)
                return view
            case TupleKind(items):
                parts = [self.item_of(k, classes, take) for k in items]
                if not parts:
                    take(next(classes), ())
                return _sequence(parts, kind)
            case SharedKind():
                return item_of_shared(self.ctx, kind, take(next(classes), ()))
            case InstanceKind(cls):
                return variants.at_number(self.ctx, cls, take(next(classes), ()))
            case TextKind():
                return at_number(self.ctx, take(next(classes), ()), kind.is_open)
            case OptionalKind(inner):
                return OptionalValue(take(next(classes), ()), self.item_of(inner, classes, take), checked=True)
            case ConstantKind(value):
                take(next(classes), ())
                return Static(value)
            case ChoiceKind(options):
                return ChoiceValue(take(next(classes), ()), tuple(map(Static, options)))

    def size(self, size: int | str | None, classes: Iterator[int], take: Read) -> Value:
        """A size of an array item: fixed, or in a slot of its own."""
        if size is not None:
            return self.ctx.size_value(size if isinstance(size, int) else self.ctx.dims[size])
        found = take(next(classes), ())
        self.ctx.sizes.note_lower(found, 0)
        return found

    def parts(self, kind: Kind, item: FrontValue) -> Iterator[Value]:
        """What goes into the slots for an item of that kind."""
        match kind, item:
            case NumberKind(), ArrayView():
                self.ctx.storage.held.update(same_memory(self.ctx, item.storage))
                yield from self.parts(kind, as_scalar(self.ctx, item))
            case NumberKind(dtype), _:
                node = self.ctx.frame.here or self.ctx.frame.source.node
                yield self.ctx.recorded(meeting(self.arith, item, dtype, "an item of the list", node))
            case ArrayKind(_, sizes, True), ArrayView():
                at = placed(self.ctx, item)
                yield self.ctx.size_value(at.offset)
                yield from (self.ctx.size_value(n) for n, size in zip(at.lengths, sizes, strict=True) if size is None)
            case ArrayKind(dtype, sizes), ArrayView():
                content = self.ctx.load(item)
                if dtype != item.dtype:
                    content = self.ctx.b.emit("cast", (content,), {"dtype": dtype})[0]
                self.ctx.storage.held.update(same_memory(self.ctx, item.storage))
                yield self.ctx.recorded(content)
                yield from (self.ctx.size_value(n) for n, size in zip(item.lengths, sizes, strict=True) if size is None)
            case SharedKind(), SharedList():
                yield item.at
            case InstanceKind(cls), SharedObject() | SharedVariant():
                yield variants.number(self.ctx, item, cls)
            case TextKind(), _:
                yield number(self.statements.calls, item, self.ctx.frame.here or self.ctx.frame.source.node)
            case OptionalKind(inner), OptionalValue(some, value):
                yield some
                yield from self.parts(inner, value)
            case OptionalKind(inner), _:
                yield self.ctx.b.constant(not is_none(item), ScalarType(BOOL))
                yield from self.parts(inner, self.placeholder(inner) if is_none(item) else item)
            case ChoiceKind(options), _:
                yield option_index(self.ctx.b, item, tuple(map(Static, options)))
            case TupleKind(kinds), TupleValue() | ListValue():
                if isinstance(item, ListValue):
                    item.level = -1
                for k, part in zip(kinds, item.items, strict=True):
                    yield from self.parts(k, part)
                if not kinds:
                    yield self.ctx.b.constant(False, ScalarType(BOOL))
            case _:
                yield self.ctx.b.constant(False, ScalarType(BOOL))

    def change(self, lst: GrowingList, op: str, *operands: Value | tuple[Value, ...]) -> None:
        """Apply an op to every slot; a tuple has an operand for each."""
        for k, c in enumerate(lst.storages):
            own = [x[k] if isinstance(x, tuple) else x for x in operands]
            self.ctx.storage.bases[c] = self.ctx.b.emit(op, (self.ctx.storage.bases[c], *own), names=("list",))[0]

    def push(self, lst: GrowingList, item: FrontValue, node: ast.AST) -> None:
        """Put an item at the end."""
        self.require_still(lst, node)
        item = pooled_tables.finished(self.statements.calls, item, node)
        require_one_kind(self.ctx, (lst,), node, (item,))
        if self.is_stale(lst):
            return
        self.ctx.at(node)
        note_holders(self.ctx, item, lst.keys)
        self.change(lst, "list_push", tuple(self.parts(lst.kind, item)))

    def is_stale(self, lst: GrowingList) -> bool:
        """Whether the slots of a list are of another kind than its items turned out to be."""
        return bool(lst.keys & self.ctx.stale) and lst.kind != known_kind(self.ctx, lst)

    def pop(self, lst: GrowingList, node: ast.AST) -> FrontValue:
        """Take the last item away."""
        self.require_still(lst, node)
        self.require_filled(lst, "IndexError", "pop from empty list")
        storage, b = self.ctx.storage, self.ctx.b

        def take(c: int, sizes: tuple[Value, ...]) -> Value:
            storage.bases[c], found = b.emit("list_pop", (storage.bases[c], *sizes), names=("list", "item"))
            return found

        return self.read(lst, take)

    def require_filled(self, lst: GrowingList, error: str, message: str) -> None:
        """Raise at run time if the list is empty."""
        n = self.length(lst)
        if not self.ctx.sizes.at_least(n, 1):
            self.ctx.check(self.ctx.b.emit("gt", (n, self.ctx.size_value(0)))[0], error, message)

    def require_still(self, lst: GrowingList, node: ast.AST) -> None:
        """A list must not get longer or shorter while a loop runs over it, nor where its length was taken to stay."""
        require_own(self.ctx, lst, node)
        if lst.storages in self.ctx.list_lengths:
            raise LengthVaries(lst.keys)
        if self.ctx.iterated & set(lst.storages):
            change_length(self.ctx, [loop for loop, classes in self.ctx.list_loops if classes == lst.storages])
            self.ctx.refuse(
                node,
                "this list changes its length while a loop runs over it",
                "run over a copy: for item in list(items)",
            )

    def place(self, lst: GrowingList, at: FrontValue, node: ast.AST, message: str = "list index out of range") -> Size:
        """A checked, non-negative index."""
        at = as_index(self.ctx, at, "list")
        is_number = isinstance(at, Number) and (at.dtype.is_integer or at.dtype == BOOL)
        if not is_number and not (isinstance(at, Static) and hasattr(at.value, "__index__")):
            self.arith.mismatch(TypeError(f"list indices must be integers or slices, not {type_name(at)}"), node)
        if isinstance(at, Number) and at.dtype == BOOL:
            at = Number(self.arith.scalar(at, I64), weak=True)
        return self.indexing.checked_index(at, self.length(lst), 0, node, message)

    def item(self, lst: GrowingList, at: FrontValue, node: ast.AST) -> FrontValue:
        """`lst[at]`: an item, or a copy of a slice."""
        if isinstance(at, SliceValue):
            return self.copied(self.slice(lst, at, node), node)
        return self.get(lst, self.place(lst, at, node))

    def slice(self, lst: GrowingList, at: SliceValue, node: ast.AST) -> SequenceValue:
        """The items of a slice."""
        start, count, step = slice_bounds(self.ctx, at, self.length(lst), node)

        def item(i: Size) -> FrontValue:
            sizes, b = self.ctx.sizes, self.ctx.b
            return self.get(lst, sizes.add(b, start, sizes.mul(b, i, step)))

        return SequenceValue(count, item, sources=frozenset(lst.storages))

    def set_item(self, lst: GrowingList, at: FrontValue, item: FrontValue, node: ast.AST) -> None:
        """`lst[at] = item`."""
        require_own(self.ctx, lst, node)
        self.replace(lst, self.place(lst, at, node, "list assignment index out of range"), item, node)

    def replace(self, lst: GrowingList, index: Size, item: FrontValue, node: ast.AST) -> None:
        """Put an item at a valid index."""
        item = pooled_tables.finished(self.statements.calls, item, node)
        require_one_kind(self.ctx, (lst,), node, (item,))
        if self.is_stale(lst):
            return
        note_holders(self.ctx, item, lst.keys)
        self.change(lst, "list_set", self.ctx.size_value(index), tuple(self.parts(lst.kind, item)))

    # -- loops over lists -----------------------------------------------------------------------------------

    def items(self, lst: GrowingList) -> SequenceValue:
        """The items in order."""
        return SequenceValue(self.length(lst), lambda i: self.get(lst, i), sources=frozenset(lst.storages))

    def part(self, lst: GrowingList, start: Size, stop: Size) -> SequenceValue:
        """The items of a range of valid indices."""
        count = self.ctx.sizes.sub(self.ctx.b, stop, start)
        return SequenceValue(
            count, lambda i: self.get(lst, self.ctx.sizes.add(self.ctx.b, start, i)), sources=frozenset(lst.storages)
        )

    def extend(self, lst: GrowingList, sequence: SequenceValue, node: ast.AST) -> None:
        """Put the items of a sequence at the end."""
        if sequence.static is not None:
            for i in range(sequence.static):
                self.push(lst, sequence.item(i), node)
            return
        self.each(sequence, lambda _, item: self.push(lst, item, node), node)

    def rebuild(self, lst: GrowingList, fill: Callable[[GrowingList], None], node: ast.AST) -> None:
        """Put the items of a new list, which `fill` makes of the present ones, in the place of a list's items."""
        self.require_still(lst, node)
        storage = self.ctx.storage
        own = tuple(storage.new(base) for base in self.no_items(lst.kind))
        made = GrowingList(own, lst.kind, lst.keys)
        repeated = set(self.ctx.elements.repeated)
        fill(made)
        self.ctx.elements.repeated = repeated
        storage = self.ctx.storage
        for c, d in zip(lst.storages, own, strict=True):
            storage.bases[c] = storage.bases.pop(d)

    def each(
        self,
        sequence: SequenceValue,
        do: Callable[[Value, FrontValue], None],
        node: ast.AST,
        *carried: str,
    ) -> None:
        """A loop that does something with each index and item; `carried` are internal names that it binds."""
        names: list[ast.expr] = [ast.Name(name, ast.Store()) for name in carried]
        own = ast.copy_location(ast.Pass(), node)  # type: ignore[type-var]
        loop = ForLoop(ast.Tuple(names, ast.Store()), ast.Tuple([], ast.Load()), [], (), own)
        loop.live_head = frozenset(carried)
        self.ctx.at(node)
        self.statements.counted(loop, sequence, lambda i: do(i, sequence.item(i)))

    def folded(
        self,
        sequence: SequenceValue,
        start: FrontValue,
        step: Callable[[FrontValue, Value, FrontValue], FrontValue],
        node: ast.AST,
    ) -> FrontValue:
        """`step(total, index, item)` over all items."""
        name = "$total"
        while name in self.ctx.frame.env:  # within the step of another
            name += "'"
        self.ctx.frame.env[name] = start

        def do(index: Value, item: FrontValue) -> None:
            total = step(self.ctx.frame.env[name], index, item)
            self.ctx.frame.env[name] = total

        self.each(sequence, do, node, name)
        return self.ctx.frame.env.pop(name)
