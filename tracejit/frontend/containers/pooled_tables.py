"""Dicts, sets and deques that lists, dicts or objects hold, or that are one or another by the path taken: objects in
pools, like instances of the user's classes (`pooled_objects.py`).

Which places in the program make such is found while lowering. Those whose containers meet are made in one pool: they
have a class of their own, which the pool belongs to. A dict display whose keys are all texts is a record, with an
attribute for each key, as long as no other keys are set in it.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard

from tracejit.frontend.containers.key_order import in_order
from tracejit.frontend.containers.object_keys import is_object_key
from tracejit.frontend.containers.tables import HAS_KNOWN_KEYS, grow_late, is_long_tuple, is_table, new_table, standing
from tracejit.frontend.context import Again, Context, Frame
from tracejit.frontend.instances import pooled_objects
from tracejit.frontend.instances.heap import led_to, parts_of
from tracejit.frontend.instances.pooled_objects import forget_objects
from tracejit.frontend.kinds import InstanceKind, Kind, NoKind, join_kinds, kind_of, number_type
from tracejit.frontend.values import (
    STANDS_FOR,
    Closure,
    DictValue,
    FrontValue,
    GrowingList,
    ObjectValue,
    SharedObject,
    Static,
    TupleValue,
    list_classes,
    shown_class,
)

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: The attribute of a pool's own class that holds what stands for all places whose containers lie in it.
_ROOT = "tracejit_root"


# -- which containers lie in pools ------------------------------------------------------------------------------


def pool_if_possible(ctx: Context, values: Iterable[FrontValue | None]) -> None:
    """Lower again with containers in one pool, if all of them are the script's own. Nothing is done where an unrolled
    loop may tell them apart."""
    if not ctx.loops_to_unroll():
        _pool(ctx, list(values))


def pool_key(ctx: Context, key: FrontValue, keys: FrontValue, node: ast.AST) -> None:
    """Lower again with the objects and the tuples of unknown length that a key consists of in pools, and with a tuple
    that is to be found among such, or among those of other lengths, as one."""
    if isinstance(key, TupleValue) and isinstance(keys, GrowingList) and not ctx.loops_to_unroll():
        try:
            for place in keys.keys:
                join_kinds(ctx.growing[place], kind_of(key, ctx.argument_dims))
        except NoKind as error:
            if error.tuples:
                pooled_objects.grow_tuples(ctx, error.tuples)
    _pool_parts(ctx, key, node)


def _pool_parts(ctx: Context, key: FrontValue, node: ast.AST) -> None:
    for part in key.items if isinstance(key, TupleValue) else ():
        _pool_parts(ctx, part, node)
    if isinstance(key, ObjectValue) and is_long_tuple(key):
        _pool(ctx, [key])
    elif is_object_key(key) and isinstance(key, ObjectValue):
        pooled_objects.pool_instances(ctx, key, node)


def _pool(ctx: Context, values: Sequence[FrontValue | None]) -> None:
    if put_together(ctx, values):
        raise Again


def put_together(ctx: Context, values: Sequence[FrontValue | None]) -> bool:
    """Let containers lie in one pool, if all of them are the script's own; whether that is new."""
    found = [_places(ctx, v) for v in values]
    if not found or not all(found):
        return False
    places = {p: cls for f in found for p, cls in f.items()}
    bases = set(places.values())
    if len(bases) > 1 and not all(_base(b) is _dict() or _is_record(b) for b in bases):
        return False
    base = _dict() if len(bases) > 1 else bases.pop()
    known = ctx.pools_known
    if not known.put_together(places, base):
        return False
    first = next((v for v in values if isinstance(v, DictValue)), None)
    if first is not None and _is_record(base):
        cls = known.container_class(next(iter(first.keys)))
        assert cls is not None
        known.classes[cls] = tuple(map(_field, first.items))
    forget_objects(ctx)
    return True


def lies_in_pool(ctx: Context, value: FrontValue) -> bool:
    """Whether a container lies in a pool, or will when everything is lowered again."""
    return any(ctx.pools_known.container_class(place) is not None for place in _places(ctx, value))


def pool_beside(ctx: Context, value: FrontValue, kinds: Iterable[Kind | None]) -> None:
    """Lower again with a container that goes into lists of these kinds in the pool of what they hold, or in one of its
    own."""
    pools = {k.cls for k in kinds if isinstance(k, InstanceKind) and _ROOT in vars(k.cls) and not _is_record(k.cls)}
    if {_base(cls) for cls in pools} == {*_places(ctx, value).values()}:
        pool_if_possible(ctx, [value, *(ObjectValue(cls, {}) for cls in pools)])
    pool_if_possible(ctx, [value])


def meet(ctx: Context, a: FrontValue, b: FrontValue) -> None:
    """Lower again with two containers that come to be one, by the path taken, as tables or in one pool."""
    _grow_tuples(ctx, (a, b))
    if not (_places(ctx, a) and _places(ctx, b)):
        return
    for value in (a, b):
        if isinstance(value, DictValue):
            grow_late(ctx, value, value.items)
    pool_if_possible(ctx, (a, b))


def _grow_tuples(ctx: Context, values: Sequence[FrontValue]) -> None:
    """Lower again with tuples that come to be one as tuples of unknown length, where their items are of one type."""
    known = [x for x in values if isinstance(x, TupleValue) and x.cls is None and x.keys]
    if ctx.loops_to_unroll() or len(known) + sum(map(is_long_tuple, values)) < len(values):
        return
    if known and len({number_type(i) for x in known for i in x.items}) <= 1:
        pooled_objects.grow_tuples(ctx, {k for x in known for k in x.keys})


def pool_owners(ctx: Context, lists: Iterable[FrontValue | None]) -> None:
    """Lower again with the containers in one pool that are made of some of these lists."""
    classes = set[int]().union(*map(list_classes, lists))
    tables = (o for o in ctx.heap.objects.values() if isinstance(o, ObjectValue) and is_table(o))
    pool_if_possible(ctx, [o for o in tables if classes & list_classes(o)])


def merge(ctx: Context, classes: Iterable[type]) -> None:
    """Lower again with the containers of some pools in one, if these are pools of containers of one kind."""
    pool_if_possible(ctx, [ObjectValue(cls, {}) for cls in classes])


def _dict() -> type:
    found = standing(dict)
    assert found is not None
    return found


def _record_class() -> type:
    from tracejit.frontend.written.records import Record

    return Record


def _is_record(cls: type) -> bool:
    return hasattr(cls, HAS_KNOWN_KEYS)


def _base(cls: type) -> type:
    """The class of the definitions that a pool's own class stands for."""
    return cls.__mro__[1] if _ROOT in vars(cls) else cls


def _places(ctx: Context, value: FrontValue | None) -> Mapping[object, type]:
    """The places that may have made a container, with what each makes; none for what cannot lie in a pool."""
    match value:
        case ObjectValue(cls) | SharedObject(cls=cls) if _ROOT in vars(cls):
            return {vars(cls)[_ROOT]: _base(cls)}
        case ObjectValue(cls) if is_table(value):
            return dict.fromkeys(value.keys, cls)
        case DictValue(items, access=None):
            has_texts = value.cls is dict and items and all(isinstance(k, str) for k in items)
            cls = _record_class() if has_texts else standing(value.cls)
            return {} if cls is None else dict.fromkeys(value.keys, cls)
        case Static(set() as known):
            own, cls = ctx.sets.get(id(known)), standing(set)
            return {} if own is None or cls is None else {own[1]: cls}
        case _:
            return {}


def own_class(cls: type, root: object) -> type:
    """The class of the containers of one pool."""
    return type(cls.__name__, (cls,), {STANDS_FOR: vars(cls)[STANDS_FOR], _ROOT: root, "__module__": cls.__module__})


@contextmanager
def at_part(ctx: Context, name: str) -> Iterator[None]:
    """What is lowered inside is a part of what a node of the program makes, with places of its own."""
    path, ctx.path = ctx.path, (*ctx.path, name)
    try:
        yield
    finally:
        ctx.path = path


def class_at(ctx: Context, node: ast.AST, cls: type) -> type:
    """The class that what a node makes is of: `cls`, or that of the pool in which it lies."""
    found = ctx.pools_known.container_class(ctx.place(node)) if STANDS_FOR in vars(cls) else None
    if found is None:
        return cls
    if not issubclass(found, cls):  # some of what was taken for records has other keys
        ctx.pools_known.put_together({ctx.place(node): cls}, cls)
        forget_objects(ctx)
        raise Again
    return found


# -- records ----------------------------------------------------------------------------------------------------


def is_record(value: FrontValue) -> TypeGuard[SharedObject]:
    """Whether a value is a record of a pool."""
    return isinstance(value, SharedObject) and _is_record(value.cls)


def record_at(c: Calls, cls: type, items: Mapping[Any, FrontValue], node: ast.AST) -> FrontValue:
    """The record of these items that a node makes. Where others of its pool have more keys, it lies in none until it
    has them too (`finished`)."""
    if not all(isinstance(k, str) for k in items):
        _as_tables(c.ctx, cls, items.values(), node)
    fields, known = {_field(k): v for k, v in items.items()}, c.ctx.pools_known.classes[cls]
    if len(fields) < len(known) and tuple(fields) == known[: len(fields)]:
        return c.ctx.new_object(DictValue(items, None, frozenset((c.ctx.place(node),))), node)
    return _in_pool(c, cls, fields, node)


def _in_pool(c: Calls, cls: type, fields: Mapping[str, FrontValue], node: ast.AST) -> FrontValue:
    """A new record of a pool."""
    if c.ctx.pools_known.classes[cls] not in ((), tuple(fields)):
        _as_tables(c.ctx, cls, fields.values(), node)
    made: ObjectValue = c.ctx.new_object(ObjectValue(cls, dict(fields)), node, "record")
    return pooled_objects.in_pool(c, made, node)


def finished(c: Calls, value: FrontValue, node: ast.AST) -> FrontValue:
    """What goes into a container: a dict that has the keys of a record only now moves to its pool, and so do the names
    that stand for it."""
    if not isinstance(value, DictValue) or value.access is not None:
        return value
    cls = next(filter(None, map(c.ctx.pools_known.container_class, value.keys)), None)
    frames = [f for frame in c.ctx.frames() for f in _around(frame)]
    if cls is None or not _is_record(cls) or _is_held(c.ctx, value, frames):
        return value
    made = _in_pool(c, cls, {_field(k): v for k, v in in_order(c.ctx, value, node).items()}, node)
    for frame in frames:
        frame.env.update({name: made for name, known in frame.env.items() if known is value})
    return made


def _around(frame: Frame | None) -> Iterator[Frame]:
    while frame is not None:
        yield frame
        frame = frame.enclosing


def _is_held(ctx: Context, value: DictValue, frames: Iterable[Frame]) -> bool:
    """Whether something else than names holds a dict."""
    known = [*(v for f in frames for v in f.env.values()), *ctx.heap.objects.values()]
    holders = (v for v in led_to(known) if v is not value)
    return any(part is value for v in holders for part in parts_of(v))


def _as_tables(ctx: Context, cls: type, values: Iterable[FrontValue], node: ast.AST) -> NoReturn:
    """Lower again with the dicts of a pool, of which one is to hold these values, as such whose keys are known at run
    time only."""
    require_one_type(ctx, values, node)
    ctx.pools_known.put_together({vars(cls)[_ROOT]: _dict()}, _dict())
    forget_objects(ctx)
    raise Again


def require_one_type(ctx: Context, values: Iterable[FrontValue], node: ast.AST) -> None:
    """Dicts whose keys are known at run time only hold values of one kind: an int would become a float."""
    if len({number_type(v) for v in values}) > 1:
        reason = (
            "dicts of text in a container have different keys, or an order of their own, and values of several kinds"
        )
        ctx.refuse(node, reason, "give all of them the same keys in the same order, or values of one type")


def contents(c: Calls, value: FrontValue, node: ast.AST) -> FrontValue:
    """A record as a dict of what it holds now; other values unchanged."""
    if not is_record(value):
        return value
    held = {name[1:]: part for name, part in pooled_objects.contents(c, value, node).items()}
    return c.ctx.new_object(DictValue(held, None, frozenset((c.ctx.place(node),))), node, "contents")


def own_copy(c: Calls, value: SharedObject, node: ast.AST) -> FrontValue:
    """What a container of a pool holds now, in one that lies in none."""
    if is_long_tuple(value):
        return new_table(c, tuple, [value], node)
    return (
        contents(c, value, node) if is_record(value) else c.call_value(c.attribute(value, "copy", node), [], {}, node)
    )


def _field(key: str) -> str:
    """The attribute for a key, which no method hides."""
    return f"[{key}"


def item(c: Calls, node: ast.AST, record: FrontValue, key: FrontValue) -> FrontValue:
    """`record[key]`."""
    assert isinstance(record, SharedObject)
    if isinstance(key, Static) and isinstance(key.value, str):
        found = pooled_objects.attribute(c, record, _field(key.value), node)
        if found is not None:
            return found
    return c.expressions.subscript_by(contents(c, record, node), key, node)


def set_item(c: Calls, node: ast.AST, record: FrontValue, key: FrontValue, value: FrontValue) -> FrontValue:
    """`record[key] = value`."""
    assert isinstance(record, SharedObject)
    name = _field(key.value) if isinstance(key, Static) and isinstance(key.value, str) else ""
    if not pooled_objects.has_attribute(record, name):
        held = pooled_objects.contents(c, record, node)
        _as_tables(c.ctx, record.cls, [*held.values(), value], node)
    pooled_objects.set_attribute(c, record, name, value, node)
    return Static(None)


# -- what the caller gets ---------------------------------------------------------------------------------------


def maker(
    c: Calls, pool: ObjectValue, names: Sequence[str], node: ast.AST
) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """What makes the caller's objects of those of a pool, and the attributes that it needs."""
    root = pool.fields["root"]
    assert isinstance(root, Static)
    cls: type = root.value
    if _ROOT not in vars(cls):
        return cls, tuple(names)
    if _is_record(cls):
        return _of_fields, tuple(names)
    made_of = c.ctx.heap.factories.get(cls)
    factory = None if made_of is None else c.static(made_of, node, "what a defaultdict makes its values of")
    return functools.partial(_of_columns, shown_class(cls), factory), tuple(n for n in names if n in _TOLD)


#: What tells all of a container.
_TOLD = ("_keys", "_values", "_live", "_data", "_head", "maxlen")


def _of_fields(parts: Iterable[tuple[str, Any]]) -> Any:
    return {name[1:]: value for name, value in parts}


def _of_columns(cls: type, factory: Any, parts: Iterable[tuple[str, Any]]) -> Any:
    held = dict(parts)
    if "_data" in held:
        return cls(held["_data"][held["_head"] :], held["maxlen"]) if "_head" in held else cls(held["_data"])
    rows = zip(held["_keys"], held.get("_values", held["_keys"]), held["_live"], strict=True)
    items = {key: value for key, value, is_there in rows if is_there}
    if "_values" not in held:
        return cls(items)
    return cls(items) if factory is None else cls(factory, items)


# -- what missing values are made of ----------------------------------------------------------------------------


def set_factory(ctx: Context, cls: type, value: FrontValue, node: ast.AST) -> None:
    """What makes the missing values of a dict of a pool: the same for all."""
    known = ctx.heap.factories.setdefault(cls, value)
    if isinstance(value, Static) and isinstance(known, Static) and value.value is known.value:
        return
    if isinstance(value, Closure) and isinstance(known, Closure) and value.source.node is known.source.node:
        read = {n.id for n in ast.walk(value.source.node) if isinstance(n, ast.Name)}
        frame = value.frame
        while frame is not None and not read & frame.env.keys():
            frame = frame.enclosing
        if frame is None and not value.defaults and not value.kw_defaults:
            ctx.heap.factories[cls] = value
            return
    ctx.refuse(
        node,
        "dicts that a container holds make their missing values in different ways",
        "a class or a function of the module for all",
    )
