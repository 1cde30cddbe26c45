"""How the caller makes what a function returns and sets: leaves, and the graph results they are made from."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from tracejit.errors import ScriptError, Span
from tracejit.frontend.boundary.array_results import ArrayResults
from tracejit.frontend.boundary.leaves import (
    ArrayLeaf,
    Change,
    ChoiceLeaf,
    ChosenLeaf,
    ConstantLeaf,
    FamilyLeaf,
    InstanceLeaf,
    ItemsLeaf,
    Leaf,
    ListLeaf,
    MadeTextLeaf,
    NumberLeaf,
    ObjectLeaf,
    ObjectsLeaf,
    OptionalLeaf,
    PoolLeaf,
    SharedLeaf,
    SliceLeaf,
    TableLeaf,
    TextLeaf,
    TextsLeaf,
    TreeLeaf,
)
from tracejit.frontend.boundary.signature import Access
from tracejit.frontend.containers import list_arrays, pooled_tables, tables
from tracejit.frontend.containers.key_order import in_order, moved
from tracejit.frontend.containers.merged_lists import owners_of
from tracejit.frontend.containers.ranges import bounds
from tracejit.frontend.containers.resumable import is_resumable
from tracejit.frontend.instances import pooled_objects
from tracejit.frontend.instances.heap import describe_part
from tracejit.frontend.kinds import (
    ArrayKind,
    ChoiceKind,
    ConstantKind,
    InstanceKind,
    NumberKind,
    OptionalKind,
    SharedKind,
    TextKind,
    TupleKind,
)
from tracejit.frontend.syntax.trees import nodes_in
from tracejit.frontend.texts import made_texts
from tracejit.frontend.values import (
    ArrayView,
    ChoiceValue,
    DictValue,
    Family,
    FrontValue,
    GrowingList,
    ListValue,
    MaybeUnbound,
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
    Static,
    TupleValue,
    describe,
    family_of,
    shown_class,
)
from tracejit.ir.core import Value
from tracejit.ir.reached import Truth, any_of
from tracejit.ir.types import BOOL, I64, is_differentiable
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


@record
class LeftGradient:
    """What a script left in `.grad` of an input: graph result `result` (-1: nothing), and what was done
    (`gradients.HAS_ARRAY`, `CLEARED`), or `("result", i)` where graph result i says that."""

    input: int
    result: int
    state: int | tuple[str, int]


@record(eq=False)
class Part:
    """A part of what the caller has that would be other now: its name, what it holds (or what was done to it), and what
    makes the description of it."""

    name: object
    holds: FrontValue | Value | None
    make: Callable[[], Change | LeftGradient]


@record
class History:
    """Graph result `result` asks for gradients, where graph result `holds` (None: always) says so."""

    result: int
    holds: int | None


class Results:
    """The results of the graph of one function; `classes` are the storage classes of its parameters."""

    def __init__(self, calls: Calls, params: Sequence[Value], classes: Sequence[int]) -> None:
        self.c = calls
        self.ctx = calls.ctx
        self.params = params
        self.classes = classes
        self.outputs: list[Value] = []
        self.pools: dict[ObjectValue, PoolLeaf | None] = {}  #: None while its leaf is being made
        self.objects: dict[ObjectValue, ObjectsLeaf | None] = {}
        self.texts: TextsLeaf | None = None
        self.returned: set[Mutable] = set()  #: objects whose leaf is being made

    def span(self) -> Span:
        """The last `return` of the function."""
        source = self.ctx.frame.source
        returns = (n for n in nodes_in(source.node) if isinstance(n, ast.Return))
        return source.span(max(returns, key=lambda n: n.lineno, default=source.node))

    def output(self, value: Value) -> int:
        self.outputs.append(value)
        return len(self.outputs) - 1

    def leaf(self, value: FrontValue, node: ast.AST) -> Leaf:
        """How the caller makes a returned value."""
        match value:
            case Number(v, weak, boxed):
                return ArrayLeaf(self.output(v)) if boxed else NumberLeaf(self.output(v), weak)
            case ArrayView():
                return ArrayResults(self.ctx, self.params, self.classes, self.output).leaf(value)
            case Static(set() as obj):
                return TreeLeaf(set, tuple(range(len(obj))), tuple(map(ConstantLeaf, obj)))
            case Static(obj):
                return ConstantLeaf(obj)
            case TupleValue(items, cls):
                return TreeLeaf(cls or tuple, tuple(range(len(items))), tuple(self.leaf(i, node) for i in items))
            case ListValue() | GrowingList():
                access = self.c.statics.access_of(value)
                tree = self.tree_leaf(value, node)
                return self.chosen(value, tree) if access is None else ObjectLeaf(access, tree)
            case ObjectValue() if tables.is_table(value):
                access = self.c.statics.access_of(value)
                return (
                    self.table_leaf(value, node)
                    if access is None
                    else ObjectLeaf(access, self.given_table(value, node))
                )
            case ObjectValue(cls, access=None) if hasattr(cls, "made_in_scripts"):
                raise ScriptError(
                    f"{cls.__name__} objects made in a script stay there", self.span(), instead="make it outside"
                )
            case DictValue() | ObjectValue():
                return self.object_leaf(value, node)
            case SharedObject(at, pool):
                return InstanceLeaf(self.objects_leaf(pool, node), NumberLeaf(self.output(at), weak=True))
            case SharedVariant(at, pool):
                return InstanceLeaf(self.family_leaf(pool, node), NumberLeaf(self.output(at), weak=True))
            case SharedList(at, pool):
                return SharedLeaf(self.pool_leaf(pool, node), NumberLeaf(self.output(at), weak=True))
            case SharedText(at):
                return MadeTextLeaf(self.texts_leaf(node), NumberLeaf(self.output(at), weak=True))
            case OptionalValue(some, inner):
                return OptionalLeaf(self.output(some), self.leaf(inner, node))
            case MessageValue(template, values, arrays):
                return TextLeaf(template, tuple(map(self.output, values)), tuple(map(self.output, arrays)))
            case ChoiceValue(index, options):
                return ChoiceLeaf(self.output(index), tuple(o.value for o in options))
            case SequenceValue() if value.range is not None:
                return SliceLeaf(tuple(self.leaf(p, node) for p in bounds(self.ctx, value)))
            case MaybeUnbound(_, inner):
                return self.leaf(inner, node)
            case _:
                instead = "return the arrays and numbers it is made of"
                raise ScriptError(f"{describe(value)} cannot be returned", self.span(), instead=instead)

    def chosen(self, lst: FrontValue, tree: Leaf) -> Leaf:
        """A list that is, on some paths, one of the caller's."""
        owners = owners_of(self.ctx, lst)
        certain = next((access for access, flag in owners.items() if flag is True), None)
        if certain is not None:
            return ObjectLeaf(certain, tree)
        shares = tuple((self.output(flag), access) for access, flag in owners.items() if isinstance(flag, Value))
        return ChosenLeaf(shares, tree) if shares else tree

    def changes(self, node: ast.AST) -> Iterator[Change]:
        """What objects of the caller are set to."""
        for access, made in self.c.statics.changed_lists():
            yield self.list_change(access, made, node)
        for o in list(self.ctx.heap.objects.values()):
            if isinstance(o, DictValue) and o.access is not None:
                before = self.before(o)
                for key in moved(before, in_order(self.ctx, o, node)):
                    if key in before:
                        yield Change(o.access, "item", key, None)
                    yield self.part_change(o.access, "item", key, o.contents[key], node)
        for part in self.changed_parts():
            yield self.part_change(*part, node)

    def parts(self, node: ast.AST) -> Iterator[Part]:
        """What objects and gradients of the caller would be other now, one by one."""
        for access, made in self.c.statics.changed_lists():
            yield Part((access, "list", None), made, functools.partial(self.list_change, access, made, node))
        for access, kind, key, value in self.changed_parts():
            make = functools.partial(self.part_change, access, kind, key, value, node)
            yield Part((access, kind, key), value, make)
        for at, storage, state in self.left_gradients():
            yield Part(at, state, functools.partial(self.gradient, at, storage, state))

    def list_change(self, access: Access, made: FrontValue, node: ast.AST) -> Change:
        """What a list or dict of the caller whose items are set as a whole is set to."""
        if isinstance(made, ObjectValue):
            tables.require_plain(self.c, made, node)
            return Change(access, "dict", None, self.given_table(made, node))
        return Change(access, "list", None, self.tree_leaf(made, node))

    def part_change(self, access: Access, kind: str, key: Any, value: FrontValue | None, node: ast.AST) -> Change:
        """What a part of an object or dict of the caller is set to."""
        return Change(access, kind, key, None if value is None else self.leaf(value, node))

    def changed_parts(self) -> Iterator[tuple[Access, str, Any, FrontValue | None]]:
        """The parts of objects and dicts of the caller that hold something else now; None where one is gone."""
        for o in list(self.ctx.heap.objects.values()):
            if o.access is None:
                continue
            before = self.before(o)
            kind = "item" if isinstance(o, DictValue) else "attribute"
            for key in before.keys() - o.contents.keys():
                yield o.access, kind, key, None
            for key, value in o.contents.items():
                if before.get(key) is not value:
                    yield o.access, kind, key, value

    @property
    def are_pending(self) -> bool:
        """Whether objects and gradients of the caller would be other now."""
        found = chain(self.c.statics.changed_lists(), self.left_gradients(), self.changed_parts())
        return next(found, None) is not None

    def before(self, o: Mutable) -> Mapping[Any, FrontValue]:
        """What an object of the caller holds when the function is called."""
        if o in self.c.statics.given:
            return self.c.statics.given[o]
        owner = id(o.access.constant) if o.access is not None else 0
        return self.c.statics.original.get(owner, {})

    def tree_leaf(self, value: FrontValue, node: ast.AST) -> Leaf:
        """How the caller makes a new list."""
        if isinstance(value, SharedList):
            return SharedLeaf(self.pool_leaf(value.pool, node), NumberLeaf(self.output(value.at), weak=True), new=True)
        if isinstance(value, GrowingList):
            return ListLeaf(self.output(self.ctx.list_length(value)), self.items_leaf(value, node))
        assert isinstance(value, ListValue)
        return TreeLeaf(list, tuple(range(len(value.items))), tuple(self.leaf(i, node) for i in value.items))

    def object_leaf(self, value: Mutable, node: ast.AST) -> Leaf:
        """How the caller makes a dict or an object; its own ones are returned themselves."""
        if value in self.returned:
            self.ctx.refuse(node, "a result that holds one object twice, or itself, cannot be returned", "return parts")
        if is_resumable(value):
            self.ctx.refuse(node, "a generator that waits is part of the script", "return list(...) of it")
        if isinstance(value, DictValue):
            in_order(self.ctx, value, node)
        odd = next((k for k, v in value.contents.items() if isinstance(v, MaybeUnbound)), None)
        if odd is not None:
            self.ctx.refuse(node, f"{describe_part(value, odd)} exists on one path only", "set it on every path")
        self.returned.add(value)
        cls = value.cls
        if isinstance(value, DictValue) and value.factory is not None:
            factory = self.c.static(value.factory, node, "what a defaultdict makes its values of")
            cls = functools.partial(cls, factory)
        tree = TreeLeaf(cls, tuple(value.contents), tuple(self.leaf(i, node) for i in value.contents.values()))
        self.returned.discard(value)
        return tree if value.access is None else ObjectLeaf(value.access, tree)

    def table_leaf(self, value: ObjectValue, node: ast.AST) -> Leaf:
        """How the caller makes a container whose items are known at run time only."""
        cls = shown_class(value.cls)
        columns, argument = tables.columns(self.c, value, node)
        items = [self.items_leaf(c, node) for c in columns]
        length = self.output(self.ctx.list_length(columns[0]))
        return TableLeaf(cls, length, *items, argument=None if argument is None else self.leaf(argument, node))

    def given_table(self, value: ObjectValue, node: ast.AST) -> TableLeaf:
        """What a dict of the caller, whose keys are known at run time only, holds now: it may be told in passing."""
        first, *_ = columns = tables.columns_with_gaps(value)
        length = self.output(self.ctx.list_length(first))
        values, keys, live = (self.items_leaf(c, node) for c in columns)
        return TableLeaf(dict, length, keys, values, live=live)

    def pool_leaf(self, pool: ObjectValue, node: ast.AST) -> PoolLeaf:
        """How the caller makes lists of a pool; once for all of them."""
        if pool in self.pools:
            made = self.pools[pool]
            if made is None:
                self.ctx.refuse(
                    node, "a list that may hold itself cannot be returned", "return the lists it is made of"
                )
            return made
        self.pools[pool] = None
        data, start, count = (pool.fields[name] for name in ("data", "start", "count"))
        assert isinstance(data, GrowingList) and isinstance(start, GrowingList) and isinstance(count, GrowingList)
        items = self.items_leaf(data, node)
        starts, counts = (self.numbers_leaf(lst.storages[0], node).index for lst in (start, count))
        made = self.pools[pool] = PoolLeaf(
            self.output(self.ctx.list_length(data)), items, starts, counts, self.c.statics.in_the_pool(pool)
        )
        return made

    def objects_leaf(self, pool: ObjectValue, node: ast.AST) -> ObjectsLeaf:
        """How the caller makes the objects of a pool; once for all of them."""
        if pool in self.objects:
            made = self.objects[pool]
            if made is None:
                self.ctx.refuse(
                    node, "an object that may hold itself, or one like it, cannot be returned", "return lists of parts"
                )
            return made
        self.objects[pool] = None
        count, columns = pooled_objects.columns(pool)
        make, names = pooled_tables.maker(self.c, pool, list(columns), node)
        items = tuple(self.items_leaf(columns[name], node) for name in names)
        made = self.objects[pool] = ObjectsLeaf(make, self.output(self.ctx.list_length(count)), names, items)
        return made

    def family_leaf(self, pool: ObjectValue, node: ast.AST) -> FamilyLeaf:
        """How the caller makes the objects of the classes of a family."""
        family = family_of(pool)
        assert family is not None
        return FamilyLeaf(tuple(self.objects_leaf(self.ctx.pools[cls], node) for cls in family.classes))

    def texts_leaf(self, node: ast.AST) -> TextsLeaf:
        """How the caller makes texts that are made at run time; once for all of them."""
        if self.texts is None:
            lists = made_texts.lists_of(self.ctx)
            places = (self.numbers_leaf(lst.storages[0], node).index for lst in lists)
            self.texts = TextsLeaf(*places, fields=made_texts.words(self.ctx))
        return self.texts

    def numbers_leaf(self, storage: int, node: ast.AST) -> ItemsLeaf:
        """How the caller makes the ints of one slot of a list."""
        numbers = GrowingList((storage,), NumberKind(I64, weak=True), frozenset())
        return ItemsLeaf(self.output(self.ctx.load(list_arrays.stacked(self.c, numbers, node))), weak=True)

    def items_leaf(self, lst: GrowingList, node: ast.AST) -> Leaf:
        """How the caller makes the items of a list."""
        match lst.kind:
            case TupleKind(items, cls):
                parts = tuple(self.items_leaf(c, node) for c in list_arrays.columns(lst))
                return TreeLeaf(cls, tuple(range(len(items))), parts)
            case SharedKind(root):
                return SharedLeaf(self.pool_leaf(self.ctx.pools[root], node), self.numbers_leaf(lst.storages[0], node))
            case InstanceKind(cls) if issubclass(cls, Family):
                members = self.family_leaf(self.ctx.pools[cls], node)
                return InstanceLeaf(members, self.numbers_leaf(lst.storages[0], node))
            case InstanceKind(cls):
                pool = self.objects_leaf(self.ctx.pools[cls], node)
                return InstanceLeaf(pool, self.numbers_leaf(lst.storages[0], node))
            case TextKind():
                return MadeTextLeaf(self.texts_leaf(node), self.numbers_leaf(lst.storages[0], node))
            case OptionalKind(inner):
                some, *rest = lst.storages
                flags = GrowingList((some,), NumberKind(BOOL, weak=True), frozenset())
                given = self.output(self.ctx.load(list_arrays.stacked(self.c, flags, node)))
                return OptionalLeaf(given, self.items_leaf(GrowingList(tuple(rest), inner, frozenset()), node))
            case ConstantKind(obj):
                return ConstantLeaf(obj)
            case ChoiceKind(options):
                return ChoiceLeaf(self.numbers_leaf(lst.storages[0], node).index, options)
            case ArrayKind(_, sizes) if None in sizes:
                flat, counts = list_arrays.flat_items(self.c, lst, node)
                varying = iter([("r", self.output(self.ctx.load(n))) for n in counts])
                fixed = (next(varying) if n is None else self.fixed_size(n) for n in sizes)
                return ItemsLeaf(self.output(self.ctx.load(flat)), sizes=tuple(fixed))
            case NumberKind() | ArrayKind():
                weak = isinstance(lst.kind, NumberKind) and lst.kind.weak
                made = list_arrays.stacked(self.c, lst, node)
                return ItemsLeaf(self.output(self.ctx.load(made)), weak)

    def fixed_size(self, size: int | str) -> Any:
        """A size that all items have."""
        return size if isinstance(size, int) else ("s", self.output(self.ctx.dims[size]))

    def left_gradients(self) -> Iterator[tuple[int, int, Value]]:
        """The inputs whose `.grad` the script did something to, each with its storage and what was done."""
        gradients = self.c.gradients
        for at, storage in enumerate(self.classes):
            if storage not in gradients.inputs:
                continue
            state = gradients.state(storage).value
            if state.known != 0 and (state.known != gradients.entries.get(storage) or gradients.ran):
                yield at, storage, state

    def histories(self, finals: Sequence[Value], is_spent: bool) -> tuple[History, ...]:
        """Which results, and final versions of arguments, ask for gradients, by the path that is taken, and cannot give
        them after the call: what leads to tensors that the script made, and, where it is spent, what leads to
        arguments."""
        gradients, found = self.c.gradients, list[tuple[int, Truth]]()
        if not is_spent and not gradients.made:
            return ()
        given = None if is_spent else gradients.reach(gradients.given())
        every = gradients.reach(gradients.leaves)
        for i, value in enumerate((*self.outputs, *finals)):
            if not is_differentiable(value.type):
                continue
            if gradients.is_made(value):
                reason = "a tensor that the script made, and that asks for gradients, cannot be returned"
                raise ScriptError(reason, self.span(), instead="return x.detach()")
            if given is not None and any_of(self.ctx.b, given.of(value)) is not False:
                continue  # the call has a node for that
            leads = any_of(self.ctx.b, every.of(value))
            if leads is not False:
                found.append((i, leads))
        n = len(self.outputs)
        told = [self.output(leads) if isinstance(leads, Value) else None for _, leads in found]
        more = len(self.outputs) - n
        return tuple(History(i if i < n else i + more, holds) for (i, _), holds in zip(found, told, strict=True))

    def require_apart(self, contents: Iterable[Value]) -> None:
        """Refuse to leave in arguments what leads to tensors that the script made and that ask for gradients."""
        made = self.c.gradients.made
        reach = self.c.gradients.reach(made)
        for value in contents if made else ():
            if is_differentiable(value.type) and any(reach.of(value)):
                reason = "an argument is given what leads to a tensor that the script made, and that asks for gradients"
                raise ScriptError(reason, self.span(), instead="write x.detach() into it")

    def gradients(self) -> tuple[LeftGradient, ...]:
        """What the script did to `.grad` of the inputs."""
        return tuple(self.gradient(*left) for left in self.left_gradients())

    def gradient(self, at: int, storage: int, state: Value) -> LeftGradient:
        """What the script did to `.grad` of one input."""
        known = isinstance(state.known, int)
        holds = storage in self.c.gradients.leaves and (not known or self.c.gradients.is_new(storage))
        result = self.output(self.ctx.load(self.c.gradients.array(storage))) if holds else -1
        left = state.known if isinstance(state.known, int) else ("result", self.output(state))
        return LeftGradient(at, result, left)
