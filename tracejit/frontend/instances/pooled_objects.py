"""Objects that lists of any length hold, or that are one or another by the path taken: numbers of objects in a pool, of
which each class has one.

Which classes have one is found while lowering: where an instance goes into a growing list, or where it is not known
which of several changes, everything is lowered again with all instances of its class in a pool. That has a growing list
for each attribute; an instance moves there when its `__init__` is done. What such a list cannot hold, an attribute
cannot be.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, NoReturn

from tracejit.errors import ScriptError
from tracejit.frontend.boundary.signature import MISSING
from tracejit.frontend.containers.placed_arrays import NotOwn
from tracejit.frontend.containers.tables import is_table
from tracejit.frontend.context import Again, Context
from tracejit.frontend.instances.heap import led_to
from tracejit.frontend.kinds import Kind, list_places, pooled_classes, tuple_places
from tracejit.frontend.restarts import ListGrows
from tracejit.frontend.values import (
    ArrayView,
    Family,
    FrontValue,
    GrowingList,
    MaybeUnbound,
    Number,
    ObjectValue,
    SharedObject,
    Static,
    describe,
)

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


class Objects:
    """The class of the front end's object that stands for a pool."""


#: What makes the missing values of a defaultdict: one for all of a pool.
FACTORY = "default_factory"
#: The list of a pool that has an item for each object.
_COUNT = "count"


def _part(name: str) -> str:
    """The list of an attribute in a pool."""
    return f".{name}"


def pool_if_possible(ctx: Context, objects: Iterable[FrontValue]) -> None:
    """Lower again with the instances of the classes of some objects in pools, if all of them are the script's own."""
    from tracejit.frontend.containers import pooled_tables

    objects = list(objects)
    pooled_tables.pool_if_possible(ctx, objects)
    found = [o for o in objects if isinstance(o, ObjectValue)]
    known = ctx.pools_known.classes
    if found and not ctx.loops_to_unroll() and all(is_own(o) and o.cls not in known for o in found):
        known.update((o.cls, tuple(o.fields)) for o in found)
        raise Again


def is_own(o: ObjectValue) -> bool:
    """Whether an object is one of a user's class that the script made."""
    return o.access is None and not issubclass(o.cls, BaseException) and o.cls.__module__.split(".")[0] != "tracejit"


def pool_instances(ctx: Context, o: ObjectValue, node: ast.AST) -> NoReturn:
    """Lower again with the instances of a class in a pool, since one goes into a growing list."""
    pool_if_possible(ctx, [o])
    title, of_caller = o.cls.__name__, "a list of objects of the caller changes in a loop or branch"
    if o.access is not None:
        ctx.require_known(node, of_caller, "make the objects in the script, or change the list outside")
    if is_own(o) and o.cls in ctx.pools_known.classes:
        reason = f"a {title} that is a copy, or that its own __init__ hands on, goes into a list"
        ctx.require_known(node, reason, f"make it by a call, and put it into the list then: {title}(...)")
    reason = f"a list that changes in a loop or branch holds items of one kind, not {describe(o)}"
    ctx.require_known(node, reason, "use an array, or a list for each kind")


def note_cycle(ctx: Context, o: ObjectValue, value: FrontValue) -> None:
    """Remember an object of the script that holds itself, now that it holds a value: as long as nothing has to be known
    of all that it leads to, it can."""
    if not isinstance(value, Number | ArrayView | Static) and is_own(o) and any(x is o for x in led_to([value])):
        ctx.pools_known.cyclic[o.cls] = tuple(o.fields)


def make_pool(c: Calls, cls: type, node: ast.AST) -> ObjectValue:
    """An empty pool; `c.ctx.path` tells it from others."""
    path, fields = c.ctx.path, dict[str, FrontValue]()
    family = c.ctx.pools_known.family(cls)
    if family is not None:
        fields["family"] = Static(family)
    if issubclass(cls, Family):
        fields.update((f"pool{i}", c.ctx.pools[member]) for i, member in enumerate(cls.classes))
    else:
        for name in (_COUNT, *map(_part, c.ctx.pools_known.classes[cls])):
            c.ctx.path = (*path, name)
            fields[name] = c.lists.empty(node)
        c.ctx.path = path
    return c.ctx.new_object(ObjectValue(Objects, {"root": Static(cls), **fields}), node)


def in_pool(c: Calls, o: ObjectValue, node: ast.AST) -> FrontValue:
    """An object that was just made; in the pool of its class where that has one."""
    ctx = c.ctx
    names = ctx.pools_known.classes.get(o.cls)
    if names is None:
        return o
    if FACTORY in o.fields and is_table(o):
        from tracejit.frontend.containers import pooled_tables

        pooled_tables.set_factory(ctx, o.cls, o.fields[FACTORY], node)
        o.fields = {name: value for name, value in o.fields.items() if name != FACTORY}
    title = o.cls.__name__
    others = [*(v for f in ctx.frames() for v in f.env.values()), *(x for x in ctx.heap.objects.values() if x is not o)]
    if any(x is o for x in led_to([*others, *o.contents.values()])):
        ctx.refuse(
            node, f"a {title}, which goes into a list, is known elsewhere before its __init__ is done", "do so after it"
        )
    if new := tuple(n for n in o.fields if n not in names):
        ctx.pools_known.classes[o.cls] = (*names, *new)
        raise Again
    pool = ctx.pools[o.cls]
    at = ctx.list_length(_list(pool, _COUNT))
    kinds, learned = dict(ctx.growing), False
    for name in names:
        value = o.fields.get(name)
        if value is None:  # an attribute that is set later
            value = Static(c.objects.find(o.cls, name))
        if isinstance(value, MaybeUnbound) or (isinstance(value, Static) and value.value is MISSING):
            refuse_late(ctx, o.cls, name, node)
        try:
            put(c, o.cls, name, value, node, lambda v, name=name: c.lists.push(_list(pool, _part(name)), v, node))
        except Again:  # the other attributes tell too what their lists are to be like
            learned = True
            ctx.growing.update(kinds)
        except Exception:
            if not learned:
                raise
    if learned:
        forget_lists(ctx)
        forget_objects(ctx)
        raise Again
    c.lists.push(_list(pool, _COUNT), Static(True), node)
    return SharedObject(at, pool)


def forget_lists(ctx: Context) -> None:
    """What lists hold that held lists is found anew."""
    _forget(ctx, lambda kind: bool(list_places(kind)))


def forget_objects(ctx: Context) -> None:
    """What lists hold that held objects of pools that are no more is found anew."""
    _forget(ctx, lambda kind: not ctx.pools_known.classes.keys() >= pooled_classes(kind))


def forget_classes(ctx: Context, classes: Collection[type]) -> None:
    """What lists hold that held objects of these classes is found anew."""
    _forget(ctx, lambda kind: not pooled_classes(kind).isdisjoint(classes))


def grow_tuples(ctx: Context, places: Collection[object]) -> NoReturn:
    """Lower again with the tuples that these places make as ones of unknown length."""
    _forget(ctx, lambda kind: not tuple_places(kind).isdisjoint(places))
    raise ListGrows({("tuple", place) for place in places}, None)


def _forget(ctx: Context, is_gone: Callable[[Kind], bool]) -> None:
    ctx.growing.update({place: None for place, kind in ctx.growing.items() if kind is not None and is_gone(kind)})


def put(c: Calls, cls: type, name: str, value: FrontValue, node: ast.AST, into: Callable[[FrontValue], None]) -> None:
    """Put what an attribute is to hold into its list, which may not be able to."""
    try:
        into(value)
    except NotOwn:
        raise
    except ScriptError:
        of = "dicts" if name.startswith("[") else f"{cls.__name__} objects"
        c.ctx.refuse(
            node,
            f"{name.lstrip('[')!r} of {of}, which lists hold or several names stand for, cannot be "
            f"{describe(value)} here",
            "numbers, texts, arrays, lists and such objects can, of one kind for all",
        )


def refuse_late(ctx: Context, cls: type, name: str, node: ast.AST) -> NoReturn:
    """An attribute that not all objects of a pool have from the start."""
    ctx.refuse(
        node,
        f"the attribute {name!r} of {cls.__name__} objects, which are in a list, is not set in each __init__",
        "set it there, to None if need be",
    )


def attribute(c: Calls, o: SharedObject, name: str, node: ast.AST) -> FrontValue | None:
    """What an object holds itself under a name; None if it has no such attribute."""
    lst = o.pool.fields.get(_part(name))
    if lst is None:
        return c.ctx.heap.factories.get(o.cls) if name == FACTORY else None
    assert isinstance(lst, GrowingList)
    c.ctx.at(node)
    return c.lists.get(lst, o.at)


def set_attribute(c: Calls, o: SharedObject, name: str, value: FrontValue, node: ast.AST) -> None:
    """`o.name = value`, past what the class says."""
    known = c.ctx.pools_known.classes
    if name not in known[o.cls]:
        if c.objects.find(o.cls, name) is MISSING:
            refuse_late(c.ctx, o.cls, name, node)
        known[o.cls] = (*known[o.cls], name)
        raise Again
    put(c, o.cls, name, value, node, lambda v: c.lists.replace(_list(o.pool, _part(name)), o.at, v, node))


def has_attribute(o: SharedObject, name: str) -> bool:
    """Whether an object holds something itself under a name."""
    return _part(name) in o.pool.fields


def contents(c: Calls, o: SharedObject, node: ast.AST) -> dict[str, FrontValue]:
    """All that an object holds."""
    c.ctx.at(node)
    return {n: c.lists.get(_list(o.pool, _part(n)), o.at) for n in names_of(o.pool)}


def names_of(pool: ObjectValue) -> list[str]:
    """The attributes of the objects of a pool."""
    return [n[1:] for n in pool.fields if n.startswith(".")]


def columns(pool: ObjectValue) -> tuple[GrowingList, dict[str, GrowingList]]:
    """A list with an item for each object of a pool, and one for each of their attributes."""
    return _list(pool, _COUNT), {n: _list(pool, _part(n)) for n in names_of(pool)}


def copied(c: Calls, o: SharedObject, node: ast.AST) -> FrontValue:
    """A new object of the same class that holds the same."""
    made: ObjectValue = c.ctx.new_object(ObjectValue(o.cls, contents(c, o, node)), node, "copy")
    return in_pool(c, made, node)


def _list(pool: ObjectValue, name: str) -> GrowingList:
    found = pool.fields[name]
    assert isinstance(found, GrowingList)
    return found
