"""Containers whose keys or items are known at run time only: which class of `written/tables.py` stands for which of
Python's, and when.

A dict display or a set is known when the function is compiled as long as its keys are. Where that ends, lowering starts
again (`ListGrows`) with the place that made it marked as making a table.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from tracejit.frontend.containers.object_keys import hash_of, is_object_key
from tracejit.frontend.control.choices import MAX_OPTIONS, code
from tracejit.frontend.control.optionals import require_value
from tracejit.frontend.kinds import (
    ChoiceKind,
    ConstantKind,
    Kind,
    NoKind,
    NumberKind,
    OptionalKind,
    TupleKind,
    are_of_one_kind,
    have_one_form,
    kind_of_items,
)
from tracejit.frontend.restarts import ListGrows
from tracejit.frontend.values import (
    STANDS_FOR,
    VIEWS,
    ChoiceValue,
    DictValue,
    DictView,
    FrontValue,
    GrowingList,
    ListValue,
    MessageValue,
    Mutable,
    Number,
    ObjectValue,
    OptionalValue,
    SequenceValue,
    SharedList,
    SharedObject,
    SharedText,
    SharedVariant,
    SliceValue,
    Static,
    TupleValue,
    describe,
    list_classes,
    shown_class,
    type_name,
)
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, F64, I64

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.context import Context

T = TypeVar("T")

#: Python's class -> the class whose instances stand for its instances.
STANDING: dict[type, type] = {}
#: Functions that are native functions of their own, not inlined.
OUTLINED: set[Callable[..., Any]] = set()

HAS_KNOWN_KEYS = "tracejit_known_keys"
_SET_CHANGES = frozenset(
    "add discard remove pop clear update difference_update intersection_update symmetric_difference_update".split()
)


def stands_for(cls: type) -> Callable[[type[T]], type[T]]:
    """Let instances of a class written in the language stand for those of Python's `cls`."""

    def register(own: type[T]) -> type[T]:
        setattr(own, STANDS_FOR, cls)
        STANDING[cls] = own
        return own

    return register


def shows_as(cls: type) -> Callable[[type[T]], type[T]]:
    """Let a class written in the language show as Python's `cls`."""

    def register(own: type[T]) -> type[T]:
        setattr(own, STANDS_FOR, cls)
        return own

    return register


def outlined(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function a native function of its own."""
    OUTLINED.add(fn)
    return fn


def standing(name: type) -> type | None:
    """The class whose instances stand for those of a class of Python's."""
    from tracejit.frontend.written import queues, sets, tables, tuples

    assert queues and sets and tables and tuples
    return STANDING.get(name)


def is_table(value: FrontValue) -> bool:
    """Whether a value stands for a container of Python's."""
    if not isinstance(value, ObjectValue | SharedObject):
        return False
    return STANDS_FOR in vars(value.cls) and not hasattr(value.cls, HAS_KNOWN_KEYS)


def is_iterator(value: FrontValue) -> bool:
    """Whether a value is what `iter` makes."""
    from tracejit.frontend.written.iterators import Iterator

    return isinstance(value, ObjectValue) and value.cls is Iterator


def is_view(value: FrontValue) -> TypeGuard[ObjectValue]:
    """Whether a value is the keys, values or items of a dict of a pool."""
    from tracejit.frontend.written.tables import View

    return isinstance(value, ObjectValue) and value.cls is View


def owner_of(ctx: Context, value: FrontValue) -> FrontValue:
    """The container that a value is, or whose keys, values or items it is."""
    if isinstance(value, ObjectValue):
        return value
    classes = value.sources if isinstance(value, SequenceValue) else list_classes(value)
    known = (o for o in ctx.heap.objects.values() if isinstance(o, ObjectValue) and is_table(o))
    return next((o for o in known if classes & list_classes(o)), value)


def is_long_tuple(value: FrontValue) -> TypeGuard[ObjectValue | SharedObject]:
    """Whether a value is a tuple whose length is known at run time only."""
    return isinstance(value, ObjectValue | SharedObject) and shown_class(value.cls) is tuple


def counts_edits(value: ObjectValue | SharedObject) -> bool:
    """Whether a container knows how often items came or went."""
    return hasattr(value.cls, "_goes_on")


# -- functions that the definitions call ------------------------------------------------------------------------


class Special:
    """A function of definitions in the language that is lowered here."""

    def __init__(self, lower: Callable[..., FrontValue]) -> None:
        self.lower = lower

    def __tracejit_lower__(self, calls: Calls, args: Any, kwargs: Any, node: ast.AST) -> FrontValue:
        return self.lower(calls, node, *args)

    def __call__(self, *args: Any) -> Any:
        raise TypeError("for definitions in the language only")


def _made(calls: Calls, node: ast.AST, kind: Kind | None) -> GrowingList:
    calls.ctx.growing.setdefault(calls.ctx.place(node), kind)  # type: ignore[attr-defined]
    return calls.lists.empty(node)


def _has_loop(calls: Calls, node: ast.AST, lst: FrontValue) -> FrontValue:
    classes = set(lst.storages) if isinstance(lst, GrowingList) else set[int]()
    if not calls.ctx.iterated & classes:
        return Static(False)
    from tracejit.frontend.containers.shared_lists import change_length

    change_length(calls.ctx, [loop for loop, sources in calls.ctx.list_loops if classes & set(sources)])
    return Static(True)


def _same_kind(calls: Calls, node: ast.AST, value: FrontValue, cls: FrontValue) -> FrontValue:
    return Static(
        isinstance(value, ObjectValue | SharedObject) and isinstance(cls, Static) and issubclass(value.cls, cls.value)
    )


def _not_none(calls: Calls, node: ast.AST, value: FrontValue) -> FrontValue:
    if not isinstance(value, OptionalValue):
        return value
    calls.ctx.at(node)
    return require_value(calls.ctx, dataclasses.replace(value, checked=True))


def _entry(calls: Calls, node: ast.AST, lst: FrontValue, index: FrontValue) -> FrontValue:
    found, at = _in_memory(calls, lst, index, node)
    return calls.lists.get(found, at)


def _set_entry(calls: Calls, node: ast.AST, lst: FrontValue, index: FrontValue, item: FrontValue) -> FrontValue:
    found, at = _in_memory(calls, lst, index, node)
    calls.lists.replace(found, at, item, node)
    return Static(None)


def _fields_of(calls: Calls, node: ast.AST, key: FrontValue) -> FrontValue:
    from tracejit.frontend.instances.named_tuples import require_tuples_key

    require_hashable(calls, key, node)
    require_tuples_key(calls.ctx, key, node)
    if is_object_key(key):
        return hash_of(calls, key, node)
    return calls.objects.as_tuple(key, node) if hashes_fields(key) else key


def _as_key(calls: Calls, node: ast.AST, key: FrontValue, keys: FrontValue) -> FrontValue:
    from tracejit.frontend.containers.pooled_tables import pool_key

    pool_key(calls.ctx, key, keys.pool.fields["data"] if isinstance(keys, SharedList) else keys, node)
    return key


def _new_key(calls: Calls, node: ast.AST, key: FrontValue, keys: FrontValue) -> FrontValue:
    if isinstance(key, TupleValue) and isinstance(keys, GrowingList):
        growing = calls.ctx.growing
        with suppress(NoKind):
            kind = kind_of_items([key], calls.ctx.argument_dims)
            growing.update({place: kind for place in keys.keys if growing[place] in (None, kind)})
    return key


def _is_empty(calls: Calls, node: ast.AST, items: FrontValue) -> FrontValue:
    if isinstance(items, ListValue):
        return Static(not items.items)
    if not isinstance(items, GrowingList):
        return Static(False)
    base = calls.ctx.storage.bases[items.storages[0]]
    made_by = next((op for op in reversed(calls.ctx.b.ops) if base in op.results), None)
    return Static(made_by is not None and made_by.name == "list_new")


def _holds_ints(calls: Calls, node: ast.AST, items: FrontValue) -> FrontValue:
    kind = items.kind if isinstance(items, GrowingList) else None
    return Static(isinstance(kind, NumberKind) and kind.weak and (kind.dtype.is_integer or kind.dtype == BOOL))


def _text_code(calls: Calls, node: ast.AST, text: FrontValue) -> FrontValue:
    if isinstance(text, SharedText | MessageValue):
        from tracejit.frontend.texts.made_texts import hash_of

        return hash_of(calls, text, node)
    return code(calls, text)


def _plus(calls: Calls, node: ast.AST, x: FrontValue, y: FrontValue) -> FrontValue:
    calls.ctx.at(node)
    parts = calls.arith.scalar(x, I64), calls.arith.scalar(y, I64)
    return Number(calls.ctx.b.emit("add", parts)[0], weak=True)


def _in_memory(calls: Calls, lst: FrontValue, index: FrontValue, node: ast.AST) -> tuple[GrowingList, Value]:
    """The growing list that holds an item of a list, and where."""
    ctx = calls.ctx
    ctx.at(node)
    at = calls.arith.scalar(index, I64)
    if isinstance(lst, SharedList):
        start, data = lst.pool.fields["start"], lst.pool.fields["data"]
        assert isinstance(start, GrowingList)
        first = calls.lists.get(start, lst.at)
        lst, at = data, ctx.b.emit("add", (calls.arith.scalar(first), at))[0]
    assert isinstance(lst, GrowingList)
    return lst, at


#: An empty list that grows; one of ints; one of bools; whether a loop runs over a list;
#: whether a value is an instance of a class of the definitions; whether it is a slice; a number of a
#: text, the same in each process; a value that is not None, which is checked where it may be; an item of a list by an
#: index that is known to be in range; puts another one there; whether a value lies in a pool; the fields of a key that
#: is an instance of a frozen dataclass, the hash of another object; a key, of which every long tuple lies in a pool,
#: as the others of its dict or set are; a key that is put there; whether a list is known to be empty; whether one
#: holds ints or bools only; the sum of two ints that are known to be small.
growing = Special(lambda calls, node: _made(calls, node, None))
growing_ints = Special(lambda calls, node: _made(calls, node, NumberKind(I64, weak=True)))
growing_floats = Special(lambda calls, node: _made(calls, node, NumberKind(F64, weak=True)))
growing_bools = Special(lambda calls, node: _made(calls, node, NumberKind(BOOL, weak=True)))
has_loop = Special(_has_loop)
same_kind = Special(_same_kind)
is_slice = Special(lambda calls, node, value: Static(isinstance(value, SliceValue)))
text_code = Special(_text_code)
not_none = Special(_not_none)
is_pooled = Special(lambda calls, node, value: Static(isinstance(value, SharedObject)))
entry = Special(_entry)
fields_of = Special(_fields_of)
as_key = Special(_as_key)
new_key = Special(_new_key)
is_empty = Special(_is_empty)
holds_ints = Special(_holds_ints)
plus = Special(_plus)
set_entry = Special(_set_entry)


#: A dict of more items is filled by a loop, and looked up as a table; one of the caller by branches otherwise.
FEW_KEYS = 8

# -- when a container is a table --------------------------------------------------------------------------------


def is_run_time_key(key: FrontValue) -> bool:
    """Whether a key is a number, a text, a tuple with one, or an instance of a frozen dataclass, known at run time
    only."""
    if isinstance(key, TupleValue) and not isinstance(key, DictView):
        return any(map(is_run_time_key, key.items)) and all(
            isinstance(k, Static) or is_run_time_key(k) for k in key.items
        )
    if isinstance(key, SharedText | MessageValue) or is_long_tuple(key) or is_object_key(key):
        return True
    return hashes_fields(key) or (isinstance(key, Number) and not key.dtype.is_complex)


def hashes_fields(key: FrontValue) -> bool:
    """Whether a value is an instance of a dataclass that is a key by its fields, as `dataclass` writes it."""
    cls = key.cls if isinstance(key, ObjectValue | SharedObject) else None
    params = getattr(cls, "__dataclass_params__", None)
    if cls is None or params is None or not (params.frozen and params.eq):
        return False
    return all(fn.__code__.co_filename in ("<string>", dataclasses.__file__) for fn in (cls.__eq__, cls.__hash__))


def grow_dict(value: DictValue, with_texts: bool = False) -> None:
    """Lower again with the dict as a table, where it can be one; one with texts as keys too, where others come."""
    if value.keys and all(_can_be_key(k) or (with_texts and isinstance(k, str)) for k in value.items):
        raise ListGrows({("dict", k) for k in value.keys}, None)


def places(ctx: Context, value: FrontValue) -> set[object]:
    """The places that may have made a dict or set which the script made and which can be a table."""
    if isinstance(value, DictValue) and value.access is None and all(map(_can_be_key, value.items)):
        return {("dict", k) for k in value.keys}
    made = ctx.sets.get(id(value.value)) if isinstance(value, Static) else None
    return {("set", made[1])} if made is not None and all(map(_can_be_key, made[0])) else set()


def grow_unless_given(value: DictValue) -> None:
    """Lower again with the dict as a table, where it can be one; one of the caller with few keys stays what it is."""
    if value.access is None or len(value.items) > FEW_KEYS:
        grow_dict(value)


def container_class(value: TupleValue | ListValue | GrowingList | DictValue) -> type:
    """The class whose attributes a container has."""
    match value:
        case DictView(kind=kind):
            return VIEWS[kind]
        case TupleValue():
            return tuple
        case DictValue(cls=kind):
            return kind
        case _:
            return list


def require_hashable(c: Calls, key: FrontValue, node: ast.AST) -> None:
    """Lists, dicts, and their keys and items are no keys of dicts and no items of sets."""
    match key:
        case DictView(kind="dict_values" | "odict_values"):
            c.ctx.refuse(node, "the values of a dict as a key are outside the language", "tuple(d.values())")
        case ListValue() | GrowingList() | SharedList() | DictValue() | DictView():
            c.arith.mismatch(TypeError(f"unhashable type: '{type_name(key)}'"), node)
        case ObjectValue(cls) | SharedObject(cls=cls) if shown_class(cls).__hash__ is None:
            c.arith.mismatch(TypeError(f"unhashable type: '{type_name(key)}'"), node)
        case SharedVariant():
            c.ctx.refuse(node, f"{describe(key)} is a key, or an item of a set", "a number that each has")
        case TupleValue(items):
            for item in items:
                require_hashable(c, item, node)
        case _:
            pass


def key_of(c: Calls, key: FrontValue, node: ast.AST) -> Any:
    """A key of a dict that is known when the function is compiled."""
    require_hashable(c, key, node)
    return c.static(key, node, "a dict key")


def grow_for_many(c: Calls, value: FrontValue, key: ChoiceValue) -> None:
    """Lower again with a dict or set as a table, where one of many texts is its key."""
    if len(key.options) <= MAX_OPTIONS:
        return
    if isinstance(value, DictValue):
        grow_late(c.ctx, value, value.items)
    elif isinstance(value, Static) and isinstance(value.value, set):
        grow_set(c, value.value)


def grow_late(ctx: Context, value: Mutable, items: Mapping[Any, FrontValue]) -> None:
    """Lower again with a dict as a table, where it can be one: it has some of these items on one path only."""
    if isinstance(value, DictValue) and value.keys and not ctx.loops_to_unroll() and fit_a_table(ctx, items):
        raise ListGrows({("dict", k) for k in value.keys}, None)


def fit_a_table(ctx: Context, items: Mapping[Any, FrontValue]) -> bool:
    """Whether keys are of one kind, and values too."""
    return all(are_of_one_kind(x, ctx.argument_dims) for x in (map(constant, items), items.values()))


def _can_be_key(key: object) -> bool:
    return isinstance(key, int | float) or (isinstance(key, tuple) and all(map(_can_be_key, key)))


def made_dict(
    c: Calls, items: dict[Any, FrontValue], node: ast.AST, cls: type = dict, factory: FrontValue | None = None
) -> FrontValue:
    """The dict of these items that a node of the program makes."""
    from tracejit.frontend.containers.pooled_tables import record_at, require_one_type

    place = c.ctx.place(node)
    pooled = c.ctx.pools_known.container_class(place)
    if pooled is not None and hasattr(pooled, HAS_KNOWN_KEYS):
        return record_at(c, pooled, items, node)
    if pooled is not None and any(isinstance(k, str) for k in items):
        require_one_type(c.ctx, items.values(), node)
    if pooled is not None or c.ctx.growing.covers(("dict", place)):
        return table_of(c, items, node, cls, factory)
    return c.ctx.new_object(DictValue(items, None, frozenset((place,)), cls, factory), node)


def table_of(
    c: Calls, items: Mapping[Any, FrontValue], node: ast.AST, cls: type = dict, factory: FrontValue | None = None
) -> ObjectValue | SharedObject:
    """A dict of these items with keys that are known at run time only."""
    from tracejit.frontend.containers import long_tuples
    from tracejit.frontend.containers.pooled_tables import at_part

    table = new_table(c, cls, [] if factory is None else [factory], node)
    pairs = [TupleValue((constant(key), value)) for key, value in items.items()]
    if len(pairs) > FEW_KEYS and have_one_form(pairs):
        place = ("pairs", *c.ctx.place(node), tuple(items))
        c.ctx.growing[place] = kind_of_items(pairs, c.ctx.argument_dims)
        c.call_value(c.attribute(table, "update", node), [c.lists.of_outside(pairs, place)], {}, node)
        return table
    for key, value in items.items():
        with at_part(c.ctx, "key"):
            made = long_tuples.made(c, map(constant, key), node) if isinstance(key, tuple) else constant(key)
        c.objects.special(table, "__setitem__", [made, value], node)
    return table


def can_be_of_outside(value: DictValue) -> bool:
    """Whether a dict of the caller can have keys that are known at run time only: of plain numbers, and values of
    plain numbers or texts, which are made anew when the call returns."""
    keys, values = list(map(constant, value.items)), list(value.items.values())
    plain = value.cls is dict and all(_can_be_key(k) for k in value.items)
    return plain and all(not parts or have_one_form(parts) for parts in (keys, values))


def require_plain(c: Calls, value: ObjectValue, node: ast.AST) -> None:
    """What a dict of the caller holds when the call returns is made anew: nothing that the caller could have."""
    kinds = (x.kind for x in (value.fields["_keys"], value.fields["_values"]) if isinstance(x, GrowingList))
    if not all(map(_is_plain, kinds)):
        c.ctx.refuse(
            node,
            "arrays, lists or objects are put into a dict of the caller",
            "return a dict that is made in the script",
        )


def _is_plain(kind: Kind) -> bool:
    match kind:
        case TupleKind(items):
            return all(map(_is_plain, items))
        case OptionalKind(item):
            return _is_plain(item)
        case _:
            return isinstance(kind, NumberKind | ConstantKind | ChoiceKind)


def made_set(c: Calls, items: Iterable[FrontValue], node: ast.AST, cls: type = set) -> FrontValue:
    """The set (or frozenset) of these items that a node of the program makes."""
    items = list(items)
    for item in items:
        require_hashable(c, item, node)
    place = c.ctx.place(node)
    is_known = not c.ctx.growing.covers(("set", place)) and not any(map(is_run_time_key, items))
    if is_known and c.ctx.pools_known.container_class(place) is None:
        made: Any = c.call_now(cls, [Static(tuple(c.static(i, node, "an item of a set") for i in items))], {}, node)
        c.ctx.sets[id(made.value)] = made.value, place
        return made
    table = new_table(c, cls, [], node)
    for item in items:
        c.call_value(c.attribute(table, "_insert", node), [item], {}, node)
    return table


def grow_set(c: Calls, value: set[Any]) -> None:
    """Lower again with the set as a table, where the script made it."""
    found = c.ctx.sets.get(id(value))
    if found is not None and all(_can_be_key(v) or isinstance(v, str) for v in value):
        raise ListGrows({("set", found[1])}, None)


def grow_beside(c: Calls, x: FrontValue, y: FrontValue) -> None:
    """A container that meets a table in an operator is a table too, where it can be."""
    for value, other in ((x, y), (y, x)):
        if not is_table(other):
            continue
        if isinstance(value, DictValue):
            grow_dict(value)
        elif isinstance(value, Static) and isinstance(value.value, set):
            grow_set(c, value.value)


def unordered(c: Calls, value: FrontValue, node: ast.AST) -> FrontValue:
    """The items of a set for what does not depend on their order; other values unchanged."""
    if isinstance(value, ObjectValue | SharedObject) and is_table(value) and shown_class(value.cls) in (set, frozenset):
        return c.call_value(c.attribute(value, "_items", node), [], {}, node)
    return value


def columns(c: Calls, value: FrontValue, node: ast.AST) -> tuple[list[GrowingList], FrontValue | None]:
    """The keys, and the values of a dict, without gaps; and what else makes the container."""
    assert isinstance(value, ObjectValue)
    if "_data" in value.fields:
        lists = [c.objects.special(value, "__iter__", [], node)]
        return _growing(lists), value.fields.get("maxlen")
    c.call_value(c.attribute(value, "_compact", node), [], {}, node)
    lists = [value.fields[name] for name in ("_keys", "_values") if name in value.fields]
    return _growing(lists), value.fields.get("default_factory")


def columns_with_gaps(value: ObjectValue) -> list[GrowingList]:
    """The values and keys of a dict, and whether each is still there: the dict stays as it is."""
    return _growing(value.fields[name] for name in ("_values", "_keys", "_live"))


def _growing(lists: Iterable[FrontValue | None]) -> list[GrowingList]:
    return [x for x in lists if isinstance(x, GrowingList)]


def raise_key_error() -> Any:
    """The function of the definitions that raises a KeyError."""
    from tracejit.frontend.written import tables

    return tables.no_key


def set_method(
    c: Calls, value: set[Any], name: str, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """`value.name(...)` of a set that is known when the function is compiled."""
    is_known = all(isinstance(a, Static) for a in args) and not kwargs
    if name not in _SET_CHANGES and is_known:
        return c.call_now(getattr(value, name), args, kwargs, node)
    grow_set(c, value)
    c.ctx.refuse(
        node, "a set from outside, or of other things than numbers, cannot change in a script", "make a new one"
    )


def constant(key: Any) -> FrontValue:
    """A key as a front-end value."""
    return TupleValue(tuple(map(constant, key))) if isinstance(key, tuple) else Static(key)


def new_table(c: Calls, cls: type, args: list[FrontValue], node: ast.AST) -> ObjectValue | SharedObject:
    """An instance of what stands for a class of Python's."""
    own = standing(cls)
    assert own is not None
    made = c.objects.construct(own, args, {}, node)
    assert isinstance(made, ObjectValue | SharedObject)
    return made


def missing(c: Calls, value: DictValue, key: Any, node: ast.AST) -> FrontValue:
    """`value[key]` of a key that it has not: what a defaultdict makes, else a KeyError."""
    if value.factory is None:
        c.arith.mismatch(KeyError(key), node)
    made = c.call_value(value.factory, [], {}, node)
    c.ctx.write_object(value, {**value.items, key: made}, node)
    return made


def chosen(c: Calls, items: DictValue, key: FrontValue, missing: Callable[[], FrontValue], node: ast.AST) -> FrontValue:
    """`items[key]` of a dict of the caller, by comparing the key with each."""
    from tracejit.frontend.containers.key_order import certain

    known = list(certain(c.ctx, items, node).items())

    def among(i: int) -> FrontValue:
        if i == len(known):
            return missing()
        same = c.arith.truth(c.expressions.binary("eq", constant(known[i][0]), key, node), node)
        if isinstance(same, bool):
            return known[i][1] if same else among(i + 1)
        return c.expressions.choose(node, same, lambda: known[i][1], lambda: among(i + 1))

    return among(0)
