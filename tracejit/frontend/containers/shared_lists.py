"""Lists that are items of growing lists, or that several names may stand for: numbers of lists in a pool.

Which places in the program make such lists is found while lowering: where a list goes into another, or two lists become
one name, everything is lowered again with both made in one pool (`Pools.share`).
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from tracejit.frontend.containers import placed_arrays, pooled_tables, tables
from tracejit.frontend.context import Again, Context
from tracejit.frontend.control.trips import Trips
from tracejit.frontend.instances.pooled_objects import forget_lists, make_pool
from tracejit.frontend.kinds import SharedKind
from tracejit.frontend.syntax.desugar import ForLoop, WhileLoop
from tracejit.frontend.texts import made_texts
from tracejit.frontend.values import (
    ArrayView,
    Family,
    FrontValue,
    GrowingList,
    ListValue,
    Number,
    ObjectValue,
    Shared,
    SharedList,
    SharedObject,
    SharedText,
    Static,
    root_of,
)
from tracejit.ir.core import Value
from tracejit.ir.types import DType, Type

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def _root(parents: Mapping[object, object], place: object) -> object:
    """What stands for all places that were united with one."""
    while parents[place] != place:
        place = parents[place]
    return place


def _unite(parents: dict[object, object], places: Collection[object]) -> tuple[object, list[object]]:
    """Let one of some places stand for all; with what is new, or stood for others."""
    new = [p for p in places if p not in parents]
    known = [*(p for p in places if p in parents), *new]
    parents.update((p, p) for p in new)
    first, *rest = dict.fromkeys(_root(parents, p) for p in known)
    parents.update(dict.fromkeys(rest, first))
    return first, [*new, *rest]


class Parts:
    """The lists that containers of a pool consist of: what one container makes in a pool, the others of its pool make
    there too, so that lowering does not begin anew for the parts of each."""

    def __init__(self, pools: Pools) -> None:
        self.pools = pools
        self.first: dict[object, object] = {}  #: a part of the containers of a pool -> the first place that made one
        self.seen = -1  #: the changes of the pools that were seen

    def like(self, place: object) -> object | None:
        """The first place that makes shared lists and is the same part of a container of the same pool."""
        part = self._of_pool(place)
        if part is None:
            return None
        if self.seen != self.pools.changes:
            self.first = {}
            for known in self.pools.parents:
                if (own := self._of_pool(known)) is not None:
                    self.first.setdefault(own, known)
            self.seen = self.pools.changes
        return self.first.get(part)

    def _of_pool(self, place: object) -> object | None:
        """A place as a part of any container of its pool; None for what is in no such container."""
        if not isinstance(place, tuple) or not self.pools.containers:
            return None
        node, *path = place
        for i, maker in enumerate(path):
            container = (maker, *path[:i])
            if container in self.pools.containers:
                return (node, _root(self.pools.containers, container), *path[i + 1 :])
        return None


@dataclass(slots=True)
class Pools:
    """The places that make shared lists; lists of places with one root lie in one pool."""

    parents: dict[object, object] = field(default_factory=dict[object, object])
    #: classes whose instances lie in a pool, with the names of their attributes
    classes: dict[type, tuple[str, ...]] = field(default_factory=dict[type, tuple[str, ...]])
    #: classes whose objects meet (`variants.py`), those of a family under one root
    relatives: dict[object, object] = field(default_factory=dict[object, object])
    families: dict[object, type[Family]] = field(default_factory=dict[object, type[Family]])  #: by root
    #: what instances of a class have from the start, since the class has it and a path, or a loop, sets it
    from_classes: dict[type, frozenset[str]] = field(default_factory=dict[type, frozenset[str]])
    #: classes of objects that came to hold themselves, with the names of their attributes
    cyclic: dict[type, tuple[str, ...]] = field(default_factory=dict[type, tuple[str, ...]])
    #: places that make arrays that change in place and that lists hold, or such lists, with the dtype of the arrays
    placed: dict[object, DType] = field(default_factory=dict[object, "DType"])
    #: places that make dicts, sets and deques which lie in pools (`pooled_tables.py`), those of one under one root
    containers: dict[object, object] = field(default_factory=dict[object, object])
    container_classes: dict[object, type] = field(default_factory=dict[object, type])  #: of the pools, by root
    #: numbers of the texts that are known when compiling, where others are made (`made_texts.py`); the fields of these
    #: that Python alone can write, with the types of what they show; whether letters are made of their codes
    texts: dict[str, int] | None = None
    fields: dict[tuple[str, tuple[Type, ...]], int] = field(default_factory=dict[tuple[str, "tuple[Type, ...]"], int])
    has_codes: bool = False
    orders_sets: bool = False  #: whether sets of numbers keep the order in which Python runs over them
    changes: int = 0  #: so often places were united
    trips: Trips = field(init=False)
    parts: Parts = field(init=False)
    placed_trips: Trips = field(init=False)
    container_trips: Trips = field(init=False)

    def __post_init__(self) -> None:
        self.trips = Trips(self.parents)
        self.parts = Parts(self)
        self.placed_trips = Trips(self.placed)
        self.container_trips = Trips(self.containers)

    def root(self, place: object) -> object:
        """What stands for all places whose lists lie in a pool."""
        return _root(self.parents, place)

    def covers(self, place: object) -> bool:
        """Whether a place makes shared lists, because it does or because it does in another trip, or in another
        container of a pool."""
        if place not in self.parents:
            other = self.trips.like(place) or self.parts.like(place)
            if other is not None:
                self.parents[place] = self.root(other)
        return place in self.parents

    def dtype_at(self, place: object) -> DType | None:
        """The dtype of the arrays that lie in memory and that a place makes, or puts into a list."""
        if place not in self.placed and (other := self.placed_trips.like(place)) is not None:
            self.placed[place] = self.placed[other]
        return self.placed.get(place)

    def roots(self) -> list[object]:
        """The pools there are."""
        memories = dict.fromkeys((*self.placed.values(), *(() if self.texts is None else (str, made_texts.Open))))
        return [*(p for p in self.parents if self.parents[p] == p), *self.classes, *memories]

    def family(self, cls: type) -> type[Family] | None:
        """The family that a class belongs to, or is; None where it is in none."""
        if issubclass(cls, Family):
            return cls
        return self.families[_root(self.relatives, cls)] if cls in self.relatives else None

    def make_family(self, classes: Mapping[type, tuple[str, ...]]) -> bool:
        """Let objects of these classes, which have such attributes, be of one family; whether that is new."""
        root, changed = _unite(self.relatives, classes)
        if not changed:
            return False
        for old in (root, *changed):
            if (family := self.families.pop(old, None)) is not None:
                del self.classes[family]
        for cls, names in classes.items():
            self.classes.setdefault(cls, names)
        found = (cls for cls in self.relatives if isinstance(cls, type) and _root(self.relatives, cls) is root)
        members = tuple(sorted(found, key=lambda cls: (cls.__module__, cls.__qualname__)))
        made = type("Family", (Family,), {"classes": members})
        self.families[root] = made
        self.classes[made] = ()
        return True

    def without_cycles(self) -> bool:
        """Put objects that hold themselves into pools; whether there were any that were in none."""
        new = {cls: names for cls, names in self.cyclic.items() if cls not in self.classes}
        self.classes.update(new)
        return bool(new)

    def share(self, places: Collection[object]) -> bool:
        """Let places make lists in one pool; whether that is new."""
        self.changes += 1
        return bool(_unite(self.parents, places)[1])

    def container_class(self, place: object) -> type | None:
        """The class of the containers of a pool that a place makes; None where what it makes lies in none."""
        known = self.containers
        if place not in known and (other := self.container_trips.like(place)) is not None:
            known[place] = _root(known, other)
        return self.container_classes[_root(known, place)] if place in known else None

    def put_together(self, places: Collection[object], base: type) -> bool:
        """Let places make containers in one pool, of a class that is made of `base`; whether that is new."""
        from tracejit.frontend.containers.pooled_tables import own_class
        from tracejit.frontend.containers.tables import HAS_KNOWN_KEYS

        root, changed = _unite(self.containers, places)
        self.changes += 1
        found = [cls for old in (root, *changed) if (cls := self.container_classes.pop(old, None)) is not None]
        fits = [cls for cls in found if issubclass(cls, base)]
        made = fits[0] if fits else own_class(base, root)
        self.container_classes[root] = made
        if not changed and fits:
            return False
        names = dict.fromkeys(name for cls in found for name in self.classes.pop(cls) if cls in fits)
        self.classes[made] = () if hasattr(made, HAS_KNOWN_KEYS) else tuple(names)
        return True


def share(ctx: Context, places: Collection[object], node: ast.AST) -> NoReturn:
    """Lower again with lists of these places in one pool."""
    if not ctx.pools_known.share(places):
        ctx.refuse(node, "this list cannot be an item of a list here", "use an array of two axes")
    forget_lists(ctx)
    raise Again


def at_its_place(c: Calls, value: FrontValue, node: ast.AST) -> FrontValue:
    """A value that an expression gives; a new list or array lies in a pool or memory where its place makes such."""
    if isinstance(value, ListValue | GrowingList):
        return in_pool(c, value, node)
    return placed_arrays.in_memory(c.ctx, value, node) if isinstance(value, ArrayView) else value


def in_pool(c: Calls, lst: FrontValue, node: ast.AST) -> FrontValue:
    """A list that was just made; in a pool where its place makes such."""
    assert isinstance(lst, ListValue | GrowingList)
    place = next(filter(c.ctx.pools_known.covers, lst.keys), None)
    if place is None:
        return lst
    from tracejit.frontend.written.lists import new_list

    pool = c.ctx.pools[c.ctx.pools_known.root(place)]
    at = c.call_object(new_list, [pool, lst], {}, node)
    return SharedList(c.arith.scalar(at), pool)


def shared_class(value: SharedList | SharedText) -> type:
    """The class that has the methods of a list or text."""
    from tracejit.frontend.written import lists, texts

    return lists.SharedList if isinstance(value, SharedList) else texts.Text


def make_pools(c: Calls, node: ast.AST) -> None:
    """Make the pools at the start of a function."""
    from tracejit.frontend.written.lists import Pool

    path = c.ctx.path
    for root in c.ctx.pools_known.roots():
        c.ctx.path = (*path, "pool", root)
        if root is str or root is made_texts.Open:
            c.ctx.pools[root] = made_texts.make_memory(c, node) if root is str else made_texts.for_open_texts(c, node)
            continue
        if isinstance(root, type):
            c.ctx.pools[root] = make_pool(c, root, node)
            continue
        if isinstance(root, DType):
            c.ctx.pools[root] = placed_arrays.make_memory(c.ctx, root)
            continue
        made = c.objects.construct(Pool, [], {}, node)
        assert isinstance(made, ObjectValue)
        made.fields = {**made.fields, "root": Static(root)}
        c.ctx.pools[root] = made
    c.ctx.path = path


def is_beside(a: Shared, b: FrontValue) -> bool:
    """Whether a value lies in the same pool."""
    return isinstance(b, Shared) and a.pool is b.pool


def require_one_pool(ctx: Context, a: Shared, b: FrontValue | None, node: ast.AST) -> None:
    """Two lists that meet lie in one pool."""
    if b is None:
        return
    if isinstance(a, SharedObject) and not is_beside(a, b):
        pooled_tables.pool_if_possible(ctx, (a, b))
    if not isinstance(a, SharedList):
        return
    if isinstance(b, SharedList):
        if b.pool is not a.pool:
            share(ctx, (root_of(a), root_of(b)), node)
        return
    if isinstance(b, ListValue | GrowingList) and b.keys:
        share(ctx, (root_of(a), *b.keys), node)


def item_of_shared(ctx: Context, kind: SharedKind, at: Value) -> SharedList:
    """An item of that kind."""
    return SharedList(at, ctx.pools[kind.root])


def attribute(c: Calls, x: SharedList | SharedText, name: str, node: ast.AST) -> FrontValue:
    """What the definitions read of a list or text, or a method of it."""
    match name:
        case "pool":
            return x.pool
        case "at":
            return Number(x.at, weak=True)
        case _:
            return c.objects.member(x, shared_class(x), name, node)


def change_length(ctx: Context, loops: Collection[ast.AST]) -> None:
    """Lower again with loops over a list as ones that look at its length each time, if they do not all yet."""
    assert ctx.recursion is not None
    known = ctx.recursion.known.changing
    if not known.issuperset(loops):
        known.update(loops)
        raise Again


def over_list(s: ForLoop, lst: SharedList | GrowingList, env: dict[str, FrontValue]) -> WhileLoop:
    """A loop over a list, which may change meanwhile: the items by number, as long as there are such."""
    names = f"$list{id(s.node)}", f"$at{id(s.node)}"
    env[names[0]], env[names[1]] = lst, Static(0)
    items, at = (ast.Name(n, ast.Load()) for n in names)
    test = ast.Compare(at, [ast.Lt()], [ast.Call(ast.Constant(len), [items], [])])  # type: ignore[arg-type]
    step = ast.Assign([ast.Name(names[1], ast.Store())], ast.BinOp(at, ast.Add(), ast.Constant(1)))
    return _while(s, names, test, [ast.Assign([s.target], ast.Subscript(items, at, ast.Load())), step])


def over_container(c: Calls, s: ForLoop, over: FrontValue, is_changing: bool) -> WhileLoop | None:
    """A loop over a dict or deque, or over the keys, values or items of one, which looks each time whether that
    changed: where it lies in a pool, or the body changes it. None for other loops."""
    owner = over.fields["owner"] if tables.is_view(over) else over
    if is_changing and not isinstance(owner, SharedObject):
        owner = tables.owner_of(c.ctx, over)
    if not (isinstance(owner, ObjectValue | SharedObject) and tables.is_table(owner) and tables.counts_edits(owner)):
        return None
    if isinstance(owner, ObjectValue) and not is_changing:
        return None
    items = c.call_object(list, [over], {}, s.iter)
    names = f"$owner{id(s.node)}", f"$edits{id(s.node)}", f"$items{id(s.node)}", f"$place{id(s.node)}"
    c.ctx.frame.env.update(zip(names, (owner, c.attribute(owner, "_edits", s.iter), items, Static(0)), strict=True))
    own, edits, listed, at = (ast.Name(n, ast.Load()) for n in names)
    length = ast.Call(ast.Constant(len), [listed], [])  # type: ignore[arg-type]
    test = ast.Call(ast.Attribute(own, "_goes_on", ast.Load()), [edits, at, length], [])
    step = ast.Assign([ast.Name(names[3], ast.Store())], ast.BinOp(at, ast.Add(), ast.Constant(1)))
    return _while(s, names, test, [ast.Assign([s.target], ast.Subscript(listed, at, ast.Load())), step])


def over_iterator(s: ForLoop, iterator: FrontValue, env: dict[str, FrontValue]) -> WhileLoop:
    """A loop over an iterator, which goes on from where it is."""
    name = f"$iterator{id(s.node)}"
    env[name] = iterator

    def own(attribute: str) -> ast.expr:
        return ast.Attribute(ast.Name(name, ast.Load()), attribute, ast.Load())

    length = ast.Call(ast.Constant(len), [own("items")], [])  # type: ignore[arg-type]
    test = ast.Compare(own("at"), [ast.Lt()], [length])
    return _while(s, (name,), test, [ast.Assign([s.target], ast.Call(own("__next__"), [], []))])


def _while(s: ForLoop, names: tuple[str, ...], test: ast.expr, begin: list[ast.stmt]) -> WhileLoop:
    """A loop as a `while` that begins an iteration with these statements: the same ones each time."""
    known = s.node.__dict__.setdefault("_tracejit_while", {}).setdefault(names, (test, begin))
    if known[0] is test:
        for part in (test, *begin):
            ast.fix_missing_locations(ast.copy_location(part, s.iter))
    test, begin = known
    return WhileLoop(test, [*begin, *s.body], s.exits, s.node, s.live, s.live_head | {*names})
