"""Joining the two sides of a branch: which values an `if` yields, and what names mean afterwards.

Where a name stands for one storage class on one path and for another on the other, it gets a new class of its
own (the pair), whose alias flags say on which paths it is the same memory as others.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tracejit.frontend.arith import Arithmetic
from tracejit.frontend.containers import merged_lists, odd_keys, pooled_tables, ranges
from tracejit.frontend.containers.key_order import is_mixed, mix, note_order
from tracejit.frontend.containers.lists import refuse_shared, require_one_kind
from tracejit.frontend.containers.placed_arrays import note_joined, require_one_memory
from tracejit.frontend.containers.shared_lists import is_beside, require_one_pool
from tracejit.frontend.context import Context
from tracejit.frontend.control.choices import join_options, option_index, same_static
from tracejit.frontend.control.joined_numbers import meeting, unread
from tracejit.frontend.control.loop_plan import rank_of
from tracejit.frontend.control.optionals import is_none
from tracejit.frontend.control.sides import Side
from tracejit.frontend.derivatives.joined_leaves import JoinedLeaves
from tracejit.frontend.instances import class_values, variants
from tracejit.frontend.instances.heap import Contents, describe_part, may_lack, same_class
from tracejit.frontend.kinds import join_number_types, number_type
from tracejit.frontend.sizes import key
from tracejit.frontend.syntax.definitions import bindings_of_branch
from tracejit.frontend.tensors import elements
from tracejit.frontend.tensors.rank_0 import scalar_beside
from tracejit.frontend.tensors.ranks import rebased
from tracejit.frontend.tensors.storage import Alias, Storage, joined_history
from tracejit.frontend.texts import joined_texts, made_texts
from tracejit.frontend.values import (
    ArrayView,
    ChoiceValue,
    Closure,
    DictValue,
    FrontValue,
    GrowingList,
    ListValue,
    MaybeNumber,
    MaybeUnbound,
    Mutable,
    Number,
    ObjectValue,
    OptionalValue,
    SequenceValue,
    Shared,
    Size,
    Static,
    TupleValue,
    describe,
    one_kind,
    shown,
    spread_beside,
)
from tracejit.ir.builder import Builder
from tracejit.ir.core import Op, Value
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import BOOL, I64, Dim, DType, ListType, ScalarType, TensorType, Type, promote, unsized


@dataclass(slots=True, eq=False)
class Join:
    """Collects what an `if` must yield and builds the joined values afterwards."""

    ctx: Context
    arith: Arithmetic
    then: Side
    orelse: Side
    outer: Storage
    node: ast.AST
    then_values: list[Value] = field(default_factory=list[Value])
    else_values: list[Value] = field(default_factory=list[Value])
    results: list[Value] = field(default_factory=list[Value])
    pairs: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    converted: dict[int, int] = field(default_factory=dict[int, int])  #: converted copies, and what they copy
    sizes: dict[tuple[object, object], Value] = field(default_factory=dict[tuple[object, object], Value])
    sources: set[int] = field(default_factory=set[int])  #: classes of lists that went into others
    known_lists: dict[tuple[int, int], ListValue] = field(default_factory=dict[tuple[int, int], "ListValue"])
    merged: dict[tuple[int, int], Mutable] = field(default_factory=dict[tuple[int, int], "Mutable"])
    elements: dict[Value, Any] = field(default_factory=dict[Value, Any])  #: for `elements.py`
    leaves: JoinedLeaves = field(init=False)

    def __post_init__(self) -> None:
        self.leaves = JoinedLeaves(self)
        for side in (self.then, self.orelse):  # one may not know an input that the other met first
            for c, base in self.outer.bases.items():
                side.storage.bases.setdefault(c, base)

    # -- yields -------------------------------------------------------------------------------------------

    def yield_pair(self, a: Value | None, b: Value | None, type: Type, name: str) -> Value:
        """One result of the `if`; a side without a value yields an unspecified one."""
        for i, (x, y) in enumerate(zip(self.then_values, self.else_values, strict=True)):
            if x is a and y is b:
                return self.results[i]
        result = Value(type, name)
        self.then_values.append(self.undefined(self.then.b, type) if a is None else a)
        self.else_values.append(self.undefined(self.orelse.b, type) if b is None else b)
        self.results.append(result)
        return result

    def undefined(self, b: Builder, type: Type) -> Value:
        """A value nobody reads, of that type; tensors of an unspecified value have size 0 along varying dims."""
        if not isinstance(type, TensorType):
            return unread(b, type)
        sizes = [self.dim_value(b, d) for d in type.shape]
        return b.emit("undef", sizes, {"type": unsized(type)})[0]

    def dim_value(self, b: Builder, dim: Dim | None) -> Value:
        if isinstance(dim, Value):
            return b.constant(0, ScalarType(I64)) if dim in self.results else dim
        return self.ctx.dims[dim] if isinstance(dim, str) else b.constant(dim or 0, ScalarType(I64))

    def size(self, a: Size | None, b: Size | None) -> Size:
        """A size that may differ between the sides."""
        if a is not None and b is not None and key(a) == key(b):
            return a
        known = a if a is not None else b
        if known is not None and (a is None or b is None) and not self.is_made(known):
            return known
        at = None if a is None else key(a), None if b is None else key(b)
        if at in self.sizes:
            return self.sizes[at]
        then = None if a is None else a if isinstance(a, Value) else self.then.b.constant(a, ScalarType(I64))
        orelse = None if b is None else b if isinstance(b, Value) else self.orelse.b.constant(b, ScalarType(I64))
        made = self.sizes[at] = self.yield_pair(then, orelse, ScalarType(I64), "n")
        for bound in (2, 1, 0):
            if all(s is None or self.ctx.sizes.at_least(s, bound) for s in (a, b)):
                self.ctx.sizes.note_lower(made, bound)
                break
        return made

    def flag(self, flags: Sequence[bool | Value | None], name: str) -> bool | Value:
        """A truth value that may differ between the sides."""
        a, b = flags
        if a is b or ((a is None or b is None) and not isinstance(a or b, Value)):
            return bool(a or b) if not isinstance(a, Value) else a
        sides = ((self.then, a), (self.orelse, b))
        then, orelse = (s.b.constant(x, ScalarType(BOOL)) if isinstance(x, bool) else x for s, x in sides)
        return self.yield_pair(then, orelse, ScalarType(BOOL), name)

    # -- values ---------------------------------------------------------------------------------------------

    def value(self, name: str, a: FrontValue | None, b: FrontValue | None) -> FrontValue:
        """What a name means after the branch."""
        if not self.then.alive or not self.orelse.alive:
            found = a if self.then.alive else b
            assert found is not None
            return self.one_sided(name, found)
        if a is None or b is None or isinstance(a, MaybeUnbound) or isinstance(b, MaybeUnbound):
            return self.maybe_unbound(name, a, b)
        return self.both(name, a, b)

    def one_sided(self, name: str, found: FrontValue) -> FrontValue:
        """The other side never arrives: its value is unspecified."""
        join = self.maybe_unbound if isinstance(found, MaybeUnbound) else self.both
        return join(name, found, None) if self.then.alive else join(name, None, found)

    def maybe_unbound(self, name: str, a: FrontValue | None, b: FrontValue | None) -> FrontValue:
        def parts(side: Side, x: FrontValue | None) -> tuple[Value, FrontValue | None]:
            if isinstance(x, MaybeUnbound):
                return x.bound, x.value
            return side.b.constant(x is not None, ScalarType(BOOL)), x

        a_bound, a_value = parts(self.then, a)
        b_bound, b_value = parts(self.orelse, b)
        bound = self.yield_pair(a_bound, b_bound, ScalarType(BOOL), "bound")
        value = self.both(name, a_value, b_value)
        if any(x is None or type(x) is MaybeUnbound for x in (a, b)):
            return MaybeUnbound(bound, value)
        then, orelse = (x.number if isinstance(x, MaybeNumber) else None for x in (a, b))
        made = next(x for x in (a, b) if isinstance(x, MaybeNumber))
        return MaybeNumber(bound, value, self.both(name, then, orelse), made.node)

    def both(self, name: str, a: FrontValue | None, b: FrontValue | None) -> FrontValue:
        """Join two values; None stands for an unspecified one."""
        if a is b and a is not None and not isinstance(a, ArrayView):
            return a
        if isinstance(a, ArrayView | None) and isinstance(b, ArrayView | None):
            return self.views(name, a, b)
        if a is not None and b is not None:
            a, b = spread_beside(a, b), spread_beside(b, a)
        known = a if a is not None else b
        assert known is not None
        if isinstance(known, Static) and (a is None or b is None):
            return known
        if any(isinstance(x, OptionalValue) for x in (a, b)) or (
            a is not None and b is not None and is_none(a) is not is_none(b)
        ):
            return self.optional(name, a, b)
        if isinstance(known, Shared) or isinstance(b, Shared):
            return self.shared(name, *variants.that_meet(self, *made_texts.that_meet(self, a, b)))
        if isinstance(known, GrowingList) or isinstance(b, GrowingList):
            return self.lists(name, a, b)
        a, b = scalar_beside(self.ctx, self.then, a, b), scalar_beside(self.ctx, self.orelse, b, a)
        options = None if a is None or b is None else join_options(a, b)
        if a is not None and b is not None and options is not None and len(options) > 1:
            return self.choice(name, a, b, options)
        types = [t for t in (number_type(x) for x in (a, b) if x is not None) if t is not None]
        if len(types) == sum(x is not None for x in (a, b)) and types:
            if isinstance(a, Static) and isinstance(b, Static) and same_static(a, b):
                return a
            joined = join_number_types(types[0], types[-1])
            self.ctx.types_met |= types[0][0] != types[-1][0]
            return self.numbers(name, a, b, *joined)
        if isinstance(known, DictValue | ObjectValue):
            return self.object(name, known, a, b)
        if isinstance(known, TupleValue | ListValue):
            return self.containers(name, known, a, b)
        if isinstance(known, Closure) and known.frame not in self.ctx.frames():
            self.refuse_closure(name)
        if isinstance(known, ChoiceValue) and (a is None or b is None):
            then, orelse = (x.index if isinstance(x, ChoiceValue) else None for x in (a, b))
            return ChoiceValue(self.yield_pair(then, orelse, ScalarType(I64), name.lstrip("$")), known.options)
        if (text := joined_texts.joined(self, name, a, b)) is not None:
            return text
        if isinstance(known, SequenceValue) and (found := ranges.joined(self, a, b)) is not None:
            return found
        if a is None or b is None:
            return known
        if isinstance(a, Static) and isinstance(b, Static) and same_static(a, b):
            return a
        if isinstance(a, Closure) and isinstance(b, Closure) and a.is_same(b):
            return a
        self.refuse(name, a, b)

    def optional(self, name: str, a: FrontValue | None, b: FrontValue | None) -> OptionalValue:
        """Join values of which one may be None."""

        def parts(side: Side, x: FrontValue | None) -> tuple[Value | None, FrontValue | None]:
            if isinstance(x, OptionalValue) and is_none(x.value):
                x = x.value
            if isinstance(x, OptionalValue | None):
                return (None, None) if x is None else (x.some, x.value)
            return side.b.constant(not is_none(x), ScalarType(BOOL)), None if is_none(x) else x

        (a_some, a_value), (b_some, b_value) = parts(self.then, a), parts(self.orelse, b)
        checked = all(x.checked if isinstance(x, OptionalValue) else not is_none(x) for x in (a, b))
        some = self.yield_pair(a_some, b_some, ScalarType(BOOL), "some")
        return OptionalValue(some, self.both(name, a_value, b_value), checked)

    def choice(self, name: str, a: FrontValue, b: FrontValue, options: tuple[Static, ...]) -> ChoiceValue:
        """Join compile-time objects."""
        then, orelse = (option_index(s.b, x, options) for s, x in ((self.then, a), (self.orelse, b)))
        return ChoiceValue(self.yield_pair(then, orelse, ScalarType(I64), name.lstrip("$")), options)

    def refuse_closure(self, name: str) -> NoReturn:
        self.ctx.refuse(
            self.node,
            f"{shown(name)} is a function that differs by the path taken",
            "call it inside the branch, or choose between its results",
        )

    def refuse(self, name: str, a: FrontValue, b: FrontValue) -> NoReturn:
        if isinstance(a, Closure) or isinstance(b, Closure):
            self.refuse_closure(name)
        pooled_tables.meet(self.ctx, a, b)
        variants.meet(self.ctx, (a, b))
        then, orelse = bindings_of_branch(self.ctx.frame.source, self.node, name)
        self.ctx.require_known(
            self.node,
            f"{shown(name)} is {describe(a)} on one path and {describe(b)} on the other",
            one_kind(name, a, b),
            self.ctx.notes((then, a), (orelse, b)),
        )

    def numbers(self, name: str, a: FrontValue | None, b: FrontValue | None, dtype: DType, weak: bool) -> FrontValue:
        then, orelse = (self.in_side(name, side, x, dtype) for side, x in ((self.then, a), (self.orelse, b)))
        made = self.yield_pair(then, orelse, ScalarType(dtype), name.lstrip("$"))
        return elements.joined(self, Number(made, weak), a, b)

    def in_side(self, name: str, side: Side, x: FrontValue | None, dtype: DType) -> Value | None:
        """A number converted inside its branch."""
        if x is None:
            return None
        with self.ctx.within(side.b, side.storage, side.sizes):
            return meeting(self.arith, elements.in_settled(self.ctx, x), dtype, shown(name), self.node)

    def containers(self, name: str, known: FrontValue, a: FrontValue | None, b: FrontValue | None) -> FrontValue:
        if a is not None and b is not None and type(a) is not type(b):
            self.refuse(name, a, b)
        match known:
            case TupleValue(items, cls):
                lists = [x.items if isinstance(x, TupleValue) else (None,) * len(items) for x in (a, b)]
                classes = {x.cls for x in (a, b) if isinstance(x, TupleValue)}
                if len(lists[0]) != len(lists[1]) or len(classes) > 1:
                    self.refuse(name, a or known, b or known)
                keys = frozenset[object]().union(*(x.keys for x in (a, b) if isinstance(x, TupleValue)))
                return TupleValue(tuple(self.both(name, x, y) for x, y in zip(*lists, strict=True)), cls, keys)
            case ListValue():
                lists = [x.items if isinstance(x, ListValue) else [None] * len(known.items) for x in (a, b)]
                if len(lists[0]) != len(lists[1]):
                    require_one_kind(self.ctx, (a, b), self.node)
                keys = frozenset[object]().union(*(x.keys for x in (a, b) if isinstance(x, ListValue)))
                made = self.known_lists.get((id(a), id(b)))
                if made is None and (a is None or b is None) and 0 <= known.level <= self.ctx.level:
                    return known  # it was there before
                if made is None:
                    items = [self.both(name, x, y) for x, y in zip(*lists, strict=True)]
                    made = self.known_lists[id(a), id(b)] = ListValue(items, self.ctx.level, keys)
                    merged_lists.joined(self.ctx, made, a, b, self.flag)
                return made
            case _:
                raise AssertionError(known)

    # -- objects ----------------------------------------------------------------------------------------------

    def object(self, name: str, known: Mutable, a: FrontValue | None, b: FrontValue | None) -> Mutable:
        """Join two objects: the one they both are, or a new one that holds what either does."""
        heap = self.ctx.heap
        outer = frozenset(x for x in (a, b) if isinstance(x, DictValue | ObjectValue) and heap.contains(x))
        if (a is None or b is None) and known in outer:
            return known
        at = (id(a), id(b))
        if at in self.merged:
            return self.merged[at]
        if a is not None and b is not None and not same_class(a, b):
            self.refuse(name, a, b)
        places = frozenset[object]().union(*(x.keys for x in (a, b) if isinstance(x, DictValue | ObjectValue)))
        made = known.like({}, places) if isinstance(known, DictValue) else ObjectValue(known.cls, {}, keys=places)
        self.merged[at] = self.ctx.new_object(made, self.node, "join", len(self.merged))
        sides = ((self.then, a), (self.orelse, b))
        first, second = (s.held(x) if isinstance(x, DictValue | ObjectValue) else None for s, x in sides)
        odd = first.keys() ^ second.keys() if first is not None and second is not None else ()
        every = {**(first or {}), **(second or {})}
        if odd and not may_lack(known, odd) and not odd_keys.may_differ(self.ctx, made, every, (a, b)):
            self.refuse(name, a or known, b or known)
        made.contents = {k: self.value(name, _part(first, k), _part(second, k)) for k in every}
        mix(made, is_mixed(a) or is_mixed(b))
        note_order(made, first, second)
        if sources := outer.union(x for x in (a, b) if x in heap.merged):
            heap.merged[made] = sources  # type: ignore[assignment]
        return made

    def contents(self) -> None:
        """What objects from before the branch hold now."""
        for o in list(self.ctx.heap.objects.values()):
            if o in self.merged.values():
                continue
            first, second = (s.held(o) if s.alive else None for s in (self.then, self.orelse))
            if all(x is None or x is o.contents for x in (first, second)):
                continue
            every = {**(first or {}), **(second or {})}
            odd = first.keys() ^ second.keys() if first is not None and second is not None else ()
            if odd and not may_lack(o, odd):
                odd_keys.grow_unless_arrays(self.ctx, o, every)
                class_values.take(self.ctx, o, odd)
                if not odd_keys.has_odd_keys(self.ctx, o):
                    reason = f"{describe_part(o, next(iter(odd)))} exists on one path only"
                    self.ctx.require_known(self.node, reason, "set it before, or on both paths")
            made: dict[Any, FrontValue] = {}
            for k in every:
                x, y = _part(first, k), _part(second, k)
                made[k] = x if x is y and x is not None else self.value(str(k), x, y)
            o.contents = made
            note_order(o, first, second)

    def shared(self, name: str, a: FrontValue | None, b: FrontValue | None) -> FrontValue:
        """Join lists, or objects, of a pool."""
        first, other = (a, b) if isinstance(a, Shared) else (b, a)
        assert isinstance(first, Shared)
        require_one_pool(self.ctx, first, other, self.node)
        if other is not None and not is_beside(first, other):
            self.refuse(name, first, other)
        then, orelse = (x.at if isinstance(x, Shared) else None for x in (a, b))
        return type(first)(self.yield_pair(then, orelse, ScalarType(I64), name.lstrip("$")), first.pool)

    # -- growing lists ----------------------------------------------------------------------------------------

    def lists(self, name: str, a: FrontValue | None, b: FrontValue | None) -> FrontValue:
        """Join growing lists; those that go into a new one are known by no other name (`sources`)."""
        known = [x for x in (a, b) if x is not None]
        if not all(isinstance(x, GrowingList | ListValue) for x in known):
            self.refuse(name, known[0], known[-1])
        require_one_kind(self.ctx, known, self.node)
        before = a, b
        first, *rest = (x for x in known if isinstance(x, GrowingList))
        own = [x.storages for x in (first, *rest)]
        if all(c == own[0] for c in own) and own[0][0] in self.outer.bases:
            return first
        a, b = self.own_list(self.then, a), self.own_list(self.orelse, b)
        own = [x.storages for x in (a, b) if isinstance(x, GrowingList)]
        self.sources.update(c for x in own for c in x if c in self.outer.bases)
        sides = [x.storages if isinstance(x, GrowingList) else (None,) * len(own[0]) for x in (a, b)]
        pairs = list(zip(*sides, strict=True))
        if any((p == x) != (q == y) for x, y in pairs for p, q in self.pairs):
            refuse_shared(self.ctx, self.node, known)
        storages = tuple(self.pair(x, y, name) for x, y in pairs)
        made = GrowingList(storages, first.kind, first.keys.union(*(x.keys for x in rest)))
        merged_lists.joined(self.ctx, made, *before, self.flag)
        return made

    def own_list(self, side: Side, x: FrontValue | None) -> FrontValue | None:
        """A list that may go into another: of one of the caller, its items."""
        if not isinstance(x, GrowingList) or not any(merged_lists.is_given(self.ctx, c) for c in x.storages):
            return x
        return self.inside(side, lambda: self.arith.objects.c.lists.duplicate(x, self.node))

    # -- arrays ---------------------------------------------------------------------------------------------

    def views(self, name: str, a: ArrayView | None, b: ArrayView | None) -> FrontValue:
        known = a or b
        assert known is not None
        if a is not None and b is not None:
            if a.storage == b.storage and _same_view(a, b) and a.storage in self.outer.bases:
                return a
            if a.rank != b.rank:
                self.refuse(name, a, b)
            require_one_memory(self.ctx, (self.then.storage, a), (self.orelse.storage, b))
            if a.dtype != b.dtype:
                dtype = promote(a.dtype, b.dtype)
                a, b = self.cast(self.then, a, dtype), self.cast(self.orelse, b, dtype)
            if self.base_rank(self.then, a) != self.base_rank(self.orelse, b):
                a, b = self.one_rank(a, b)
        elif known.storage in self.outer.bases:
            return self.brought_out(known, self.orelse if a is None else self.then)
        storage = self.pair(None if a is None else a.storage, None if b is None else b.storage, name)
        for side in (a, b):
            if side is not None and side.storage in self.converted:
                self.ctx.converted[storage] = self.converted[side.storage]
        sizes = [self.size(x, y) for x, y in zip(_numbers(a, known), _numbers(b, known), strict=True)]
        both_plain = all(v is None or v.plain for v in (a, b))
        same_prefix = a is None or b is None or tuple(map(key, a.prefix)) == tuple(map(key, b.prefix))
        plain = both_plain and same_prefix and (known.prefix == () or (a is not None and b is not None))
        offset, strides, lengths = sizes[0], sizes[1 : 1 + known.rank], sizes[1 + known.rank :]
        made = ArrayView(
            storage,
            (a or b or known).dtype,
            offset,
            tuple(strides),
            tuple(lengths),
            known.prefix if plain else (),
            plain,
            readonly=self.flag([None if v is None else v.readonly for v in (a, b)], "readonly"),
        )
        self.leaves.note(made, a, b)
        return made

    def brought_out(self, view: ArrayView, side: Side) -> ArrayView:
        """A view of outer memory by numbers that may belong to the only side that arrives."""

        def number(n: Size) -> Size:
            if not isinstance(n, Value) or not self.is_inside(side, n):
                return n
            return self.size(n, None) if side is self.then else self.size(None, n)

        parts = (tuple(map(number, part)) for part in (view.strides, view.lengths, view.prefix))
        strides, lengths, prefix = parts
        readonly = view.readonly
        if isinstance(readonly, Value) and self.is_inside(side, readonly):
            readonly = self.flag((readonly, None) if side is self.then else (None, readonly), "readonly")
        offset = number(view.offset)
        return dataclasses.replace(
            view, offset=offset, strides=strides, lengths=lengths, prefix=prefix, readonly=readonly
        )

    def is_inside(self, side: Side, value: Value) -> bool:
        """Whether a branch makes a value itself."""
        return any(value is r for op in side.b.ops for r in op.results)

    def base_rank(self, side: Side, view: ArrayView) -> int:
        return rank_of(side.storage.bases[view.storage])

    def cast(self, side: Side, view: ArrayView, dtype: DType) -> ArrayView:
        """A converted copy, made inside the branch."""
        if view.dtype == dtype:
            return view
        cast = self.inside(
            side, lambda: self.ctx.fresh(side.b.emit("cast", (self.ctx.load(view),), {"dtype": dtype})[0])
        )
        self.converted[cast.storage] = view.storage
        return cast

    def one_rank(self, a: ArrayView, b: ArrayView) -> tuple[ArrayView, ArrayView]:
        """Bases of different rank: one view becomes that of a class with the other's rank and the same elements."""
        known = a.storage in self.outer.bases or self.base_rank(self.orelse, b) == 0
        if known and self.base_rank(self.then, a) > 0:
            return a, self.rebased(self.orelse, b, self.base_rank(self.then, a))
        return self.rebased(self.then, a, self.base_rank(self.orelse, b)), b

    def rebased(self, side: Side, view: ArrayView, rank: int) -> ArrayView:
        """The view, in its branch, as one of a class of another rank."""
        return self.inside(side, lambda: rebased(self.ctx, view, rank))

    def inside(self, side: Side, make: Callable[[], Any]) -> Any:
        """Run `make` in the block and memory of a branch."""
        with self.ctx.within(side.b, side.storage, side.sizes):
            return make()

    def pair(self, a: int | None, b: int | None, name: str) -> int:
        """The storage class after the branch of a name whose class is `a` here and `b` there."""
        if a is not None and a == b and a in self.outer.bases:
            return a
        at = (-1 if a is None else a, -1 if b is None else b)
        if at not in self.pairs:
            then = None if a is None else self.then.storage.bases[a]
            orelse = None if b is None else self.orelse.storage.bases[b]
            self.pairs[at] = self.ctx.storage.new(self.base(then, orelse, name))
            note_joined(self.ctx, self.pairs[at], [c for c in (a, b) if c is not None])
            if a in self.then.storage.held or b in self.orelse.storage.held:
                self.ctx.storage.held.add(self.pairs[at])
        return self.pairs[at]

    def base(self, a: Value | None, b: Value | None, name: str) -> Value:
        """Join two base contents; sizes that differ are yielded beside."""
        known = a if a is not None else b
        assert known is not None
        if isinstance(known.type, ListType):
            return self.yield_pair(a, b, known.type, name.lstrip("$"))
        assert isinstance(known.type, TensorType)
        shapes = [v.type.shape if v is not None else (None,) * known.type.rank for v in (a, b)]  # type: ignore[union-attr]
        dims = tuple(self.dim(x, y) for x, y in zip(*shapes, strict=True))
        return self.yield_pair(a, b, TensorType(known.type.dtype, dims), name.lstrip("$"))

    def dim(self, a: Dim | None, b: Dim | None) -> Dim:
        known = a if a is not None else b
        if a == b or ((a is None or b is None) and not self.is_made(known)):
            return known if known is not None else 0
        made = self.size(*(self.as_size(d) for d in (a, b)))
        return made.dim if isinstance(made, Value) else made

    def is_made(self, dim: Dim | None) -> bool:
        """Whether a dim is a size that one of the branches computes."""
        return isinstance(dim, Value) and any(self.is_inside(side, dim) for side in (self.then, self.orelse))

    def as_size(self, dim: Dim | None) -> Size | None:
        return self.ctx.dims[dim] if isinstance(dim, str) else dim

    # -- finishing --------------------------------------------------------------------------------------------

    def memory(self) -> None:
        """Yield the new contents of memory that either side wrote, and the alias flags of new classes. What a side that
        does not arrive wrote nobody reads, but it is what becomes of the memory of arguments."""
        self.contents()
        storage = self.ctx.storage
        storage.held.update(*(s.storage.held for s in (self.then, self.orelse) if s.alive))
        for c, before in self.outer.bases.items():
            if c in self.sources:
                continue
            a, b = (side.storage.bases.get(c, before) for side in (self.then, self.orelse))  # one may not know an input
            is_taken = isinstance(before.type, ListType) and (a is not before or b is not before)
            if (self.then.alive or self.orelse.alive) and c not in self.ctx.arguments:
                a, b = (a if self.then.alive else None), (b if self.orelse.alive else None)
            if is_taken or any(x is not None and x is not before for x in (a, b)):
                storage.bases[c] = self.base(a, b, before.name)
        for (a, b), made in self.pairs.items():
            if isinstance(storage.bases[made].type, ListType):
                continue
            for c in self.outer.bases:
                self.join_alias(made, c, (a, c), (b, c))
            for (p, q), other in self.pairs.items():
                if other < made:
                    self.join_alias(made, other, (a, p), (b, q))
        elements.behind_join(self)

    def join_alias(self, x: int, y: int, then: tuple[int, int], orelse: tuple[int, int]) -> None:
        a: Alias | None = self.then.storage.alias(*then) if -1 not in then else None
        b: Alias | None = self.orelse.storage.alias(*orelse) if -1 not in orelse else None
        sides = ((self.then.storage, then, a), (self.orelse.storage, orelse, b))
        apart = joined_history([s.apart(*pair) for s, pair, flag in sides if flag is not None and flag is not False])
        if a is None or b is None or (isinstance(a, bool) and a is b):
            side, known = (self.orelse, b) if a is None else (self.then, a)
            if isinstance(known, Value) and self.is_inside(side, known):
                known = self.yield_pair(None if a is None else known, None if b is None else known, known.type, "alias")
            self.ctx.storage.set_alias(x, y, known is not None and known, apart)
            return
        self.ctx.storage.set_alias(x, y, self.flag((a, b), "alias"), apart)

    def emit(self, cond: Value) -> None:
        """Append the `if`."""
        same = self.leaves.pair()
        blocks = (self.then.b.block((), self.then_values, "then"), self.orelse.b.block((), self.else_values, "else"))
        self.ctx.at(self.node)
        self.ctx.b.ops.append(Op(REGISTRY["if"], (cond,), {}, tuple(self.results), blocks, self.ctx.b.span))
        self.leaves.become(same)


def _part(contents: Contents | None, key: Any) -> FrontValue | None:
    return None if contents is None else contents.get(key)


def _same_view(a: ArrayView, b: ArrayView) -> bool:
    first, second = ((v.offset, *v.strides, *v.lengths) for v in (a, b))
    return a.plain == b.plain and tuple(map(key, first)) == tuple(map(key, second))


def _numbers(view: ArrayView | None, like: ArrayView) -> list[Size] | list[None]:
    """Offset, strides and lengths in one list (Nones where the side has no view)."""
    return [None] * (1 + 2 * like.rank) if view is None else [view.offset, *view.strides, *view.lengths]
