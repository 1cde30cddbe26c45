"""Loops: what each iteration hands to the next, found as a fixed point.

The body is lowered under assumptions (a `Plan`): which names and memory are carried, as which types. Where its end
contradicts the plan, the plan widens and the body is lowered again; it only ever grows, so this ends. The plan of a
loop is remembered, and lowering the same loop again (inside an outer one) starts from it.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from tracejit.frontend.arith import Arithmetic
from tracejit.frontend.containers import pooled_tables
from tracejit.frontend.containers.array_memory import lies_in_memory
from tracejit.frontend.containers.lists import refuse_shared, require_one_kind, require_unshared
from tracejit.frontend.containers.merged_lists import LoopOwners, is_given
from tracejit.frontend.containers.shared_lists import is_beside, require_one_pool
from tracejit.frontend.context import Context
from tracejit.frontend.control.choices import join_options, option_index, options_of
from tracejit.frontend.control.joined_numbers import meeting, unread
from tracejit.frontend.control.loop_aliases import alias_pairs
from tracejit.frontend.control.loop_objects import LoopObjects
from tracejit.frontend.control.loop_plan import CELL, Carry, Path, Plan, label, rank_of
from tracejit.frontend.control.loop_views import LoopViews
from tracejit.frontend.control.optionals import bound_array, is_none
from tracejit.frontend.control.rotation import Rotation, candidates, put_back
from tracejit.frontend.derivatives.gradients import Gradients
from tracejit.frontend.instances import variants
from tracejit.frontend.kinds import join_number_types, number_type, slots
from tracejit.frontend.syntax.definitions import binding_before, binding_within
from tracejit.frontend.tensors.elements import LoopElements, in_settled
from tracejit.frontend.tensors.rank_0 import as_scalar, meets_number
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
    MessageValue,
    Number,
    ObjectValue,
    OptionalValue,
    Shared,
    SharedObject,
    SharedText,
    Static,
    TupleValue,
    describe,
    one_kind,
    shown,
    spread,
    spread_beside,
)
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, I64, ListType, ScalarType, TensorType, Type, unsized

_T = TypeVar("_T")


class LoopLowering:
    """One attempt at a loop."""

    def __init__(
        self,
        ctx: Context,
        arith: Arithmetic,
        gradients: Gradients,
        plan: Plan,
        names: Sequence[str],
        live: frozenset[str],
        node: ast.AST,
    ) -> None:
        self.ctx = ctx
        self.arith = arith
        self.gradients = gradients
        self.plan = plan
        self.names = names
        self.live = live
        self.node = node
        self.carries: list[Carry] = []
        self.entry_storage: Storage = ctx.storage
        self.entry_sizes = ctx.sizes.nested()  # of this attempt: it may be given up
        self.entry_env = dict(ctx.frame.env)
        self.head_env: dict[str, FrontValue] = {}
        self.classes: dict[Path, int] = {}  #: class of a split view inside the body
        self.entry_class: dict[int, int] = {}  #: split class -> class at entry
        self.base_carry: dict[int, Carry] = {}
        self.number_carry: dict[Path, Carry] = {}
        self.text_carry: dict[Path, list[Carry]] = {}
        self.bound_carry: dict[Path, Carry] = {}
        self.objects = LoopObjects(self)
        self.views = LoopViews(self)
        self.elements = LoopElements(self)
        self.some_carry: dict[Path, Carry] = {}
        self.alias_carry: dict[tuple[int, int], Carry] = {}
        self.lists: dict[Path, tuple[int, ...]] = {}  #: classes of split lists inside the body
        self.entry_lists: dict[Path, tuple[int, ...]] = {}
        self.list_ends: list[int] = []
        self.unset: dict[int, Value] = {}  #: memory of what the body binds first, as it is before
        self.never_set: set[int] = set()  #: the part of it that no end of an iteration replaces
        self.owners = LoopOwners(ctx, plan, self.carry)
        self.rotation = Rotation()

    # -- the head -------------------------------------------------------------------------------------------

    def carry(self, init: Value, type: Type, name: str) -> Carry:
        made = Carry(init, Value(type, name))
        self.carries.append(made)
        return made

    def enter(self, outer: Builder) -> None:
        """Bind the carried names and memory to block parameters; `outer` makes the initial values."""
        self.outer = outer
        for name in sorted(self.plan.late):
            if name not in self.entry_env:
                self.late_name(name)
        for name in self.names:
            if name in self.entry_env:
                self.head_env[name] = self.head((name,), self.entry_env[name])
                self.owners.head(name, self.entry_env[name], self.head_env[name], outer)
        self.objects.head_cells()
        self.head_rotation()
        written = set(self.plan.written)
        for name in self.plan.written_names:
            found = self.entry_env.get(name)
            if isinstance(found, ArrayView):
                written.add(found.storage)
        moved = {c for path in self.lists for c in self.entry_lists[path]}  # no other name knows these lists
        for c in moved:
            self.ctx.storage.bases.pop(c, None)
        for c in sorted(written - moved - set(self.rotation.memory)):
            if c in self.entry_storage.bases:
                base = self.entry_storage.bases[c]
                made = self.carry(base, base.type, base.name)
                self.base_carry[c] = made
                self.ctx.storage.bases[c] = made.param
        self.ctx.frame.env.update(self.head_env)
        self.head_aliases()
        self.views.leaves.enter()
        self.ctx.storage.held |= {c for c in self.ctx.storage.bases if c in self.plan.held}
        self.head_lists()
        self.elements.enter()

    def head_rotation(self) -> None:
        """Memory that only names that change places know is theirs alone in the loop."""
        if not self.plan.rotates:
            return
        self.rotation = candidates(self.ctx, self.classes, self.entry_class, self.entry_storage, self.live)
        for m in self.rotation.memory:
            del self.ctx.storage.bases[m]
            for c in self.rotation.classes:
                here = self.outer.constant(self.entry_class[c] == m, ScalarType(BOOL))
                self.rotation.places[c, m] = self.carry(here, ScalarType(BOOL), "place")
        if self.ctx.arguments & set(self.rotation.memory):
            self.ctx.arguments.update(self.rotation.classes)
            self.ctx.settled.update(self.rotation.classes)

    def head_lists(self) -> None:
        """Growing lists that the body rebinds go from one iteration to the next: no other name may know them."""
        sources = [c for path in self.lists for c in self.entry_lists[path]]
        require_unshared(self.ctx, set(sources), self.live, self.node)
        if len(sources) != len(set(sources)):
            refuse_shared(self.ctx, self.node)

    def late_name(self, name: str) -> None:
        """A name the body binds first: unbound before, perhaps bound afterwards."""
        self.head_env[name] = self.head_late((name,), self.plan.late_like[name])

    def head_late(self, path: Path, like: FrontValue) -> MaybeUnbound:
        """What is not there before the loop, and perhaps afterwards."""
        false = self.outer.constant(False, ScalarType(BOOL))
        flag = self.bound_carry[path] = self.carry(false, ScalarType(BOOL), f"{label(path)}.bound")
        return MaybeUnbound(flag.param, self.head(path, self.nothing(like)))

    def nothing(self, like: FrontValue) -> FrontValue:
        """An unspecified value of the same kind, made before the loop."""
        zero = self.outer.constant(0, ScalarType(I64))
        match like:
            case ArrayView() if like.storage in self.entry_storage.bases and lies_in_memory(self.ctx, like):
                none = (0,) * like.rank
                return dataclasses.replace(like, offset=0, strides=none, lengths=none, via=(), readonly=False)
            case ArrayView():
                rank = self.plan.late_ranks.get(like.storage, like.rank)
                content = unsized(TensorType(like.dtype, (0,) * rank))
                storage = self.new_unset(self.outer.emit("undef", (zero,) * rank, {"type": content})[0])
                none = (0,) * like.rank
                return ArrayView(storage, like.dtype, 0, none, none, (), plain=rank == like.rank)
            case GrowingList(_, kind, keys):
                empty = (self.outer.emit("list_new", (), {"element": t})[0] for t in slots(kind))
                return GrowingList(tuple(map(self.new_unset, empty)), kind, keys)
            case Shared():
                return type(like)(zero, like.pool)
            case MaybeUnbound(_, inner):
                return self.nothing(inner)
            case OptionalValue(_, inner):
                return OptionalValue(self.outer.constant(False, ScalarType(BOOL)), self.nothing(inner))
            case ChoiceValue(_, options):
                return ChoiceValue(zero, options)
            case MessageValue(template, values, ()):
                return MessageValue(template, tuple(unread(self.outer, v.type) for v in values))
            case MessageValue():
                return Static("")
            case TupleValue(items, cls):
                return TupleValue(tuple(self.nothing(i) for i in items), cls)
            case ListValue(items, _, keys):
                return ListValue([self.nothing(i) for i in items], self.ctx.level - 1, keys)
            case DictValue(items):
                return like.like({k: self.nothing(v) for k, v in items.items()})
            case ObjectValue(cls, fields):
                return ObjectValue(cls, {k: self.nothing(v) for k, v in fields.items()})
            case _ if (found := number_type(like)) is not None:
                dtype, weak = found
                return Number(unread(self.outer, ScalarType(dtype)), weak)
            case _:
                return like

    def new_unset(self, base: Value) -> int:
        """Memory that holds nothing of meaning."""
        made = self.ctx.storage.new(base)
        self.unset[made] = base
        return made

    def unmoved(self, value: FrontValue, *memory: int) -> FrontValue:
        """A value that lies in the same memory in all iterations."""
        self.never_set.update(self.unset.keys() & memory)
        return value

    def head(self, path: Path, value: FrontValue) -> FrontValue:
        """What a carried name stands for at the start of an iteration."""
        if isinstance(value, MaybeUnbound):
            flag = self.bound_carry[path] = self.carry(value.bound, ScalarType(BOOL), f"{label(path)}.bound")
            return MaybeUnbound(flag.param, self.head(path, value.value))
        if path in self.plan.spread:
            value = spread(value)
        if isinstance(value, OptionalValue) or path in self.plan.optional:
            return self.head_optional(path, value)
        if path in self.plan.kept_texts:
            value = made_texts.before_loop(self, path, value)
        if isinstance(value, MessageValue) or (path in self.plan.texts and path not in self.plan.kept_texts):
            return joined_texts.head(self, path, value)
        if isinstance(value, ChoiceValue) or (path in self.plan.choices and not isinstance(value, SharedText)):
            options = self.plan.choices.setdefault(path, options_of(value) or ())
            index = self.outside(lambda: option_index(self.outer, value, options))
            self.number_carry[path] = self.carry(index, ScalarType(I64), label(path))
            return ChoiceValue(self.number_carry[path].param, options)
        if path in self.plan.variants:
            value = self.outside(lambda: variants.widened(self.ctx, value))
        if isinstance(value, Shared):
            self.number_carry[path] = self.carry(value.at, ScalarType(I64), label(path))
            return type(value)(self.number_carry[path].param, value.pool)
        if path in self.plan.scalars and isinstance(value, ArrayView):
            value = self.outside(lambda v=value: as_scalar(self.ctx, v))
        found = number_type(value)
        if found is not None:
            value = self.outside(lambda v=value: in_settled(self.ctx, v))
            if self.elements.is_fixed(path, value):
                return value
            dtype, weak = self.plan.types.setdefault(path, found)
            self.ctx.types_met |= found[0] != dtype
            init = self.outside(lambda: meeting(self.arith, value, dtype, shown(label(path)), self.node))
            made = self.number_carry[path] = self.carry(init, ScalarType(dtype), label(path))
            return self.elements.head(path, value, Number(made.param, weak))
        match value:
            case ArrayView():
                return self.views.head(path, value) if path in self.plan.split else self.unmoved(value, value.storage)
            case GrowingList():
                return self.head_list(path, value) if path in self.plan.split else self.unmoved(value, *value.storages)
            case TupleValue(items, cls, keys):
                return TupleValue(tuple(self.head((*path, i), x) for i, x in enumerate(items)), cls, keys)
            case ListValue(items, level, keys):
                return ListValue([self.head((*path, i), x) for i, x in enumerate(items)], level, keys)
            case DictValue() | ObjectValue():
                return self.objects.head_object(path, value)
            case MaybeNumber():
                return self.head(path, self.outside(lambda: bound_array(self.ctx, value)))
            case _:
                return value

    def head_optional(self, path: Path, value: FrontValue) -> OptionalValue:
        """A name that may be None."""
        inner: FrontValue
        if isinstance(value, OptionalValue):
            some, inner = value.some, value.value
        else:
            some = self.outer.constant(not is_none(value), ScalarType(BOOL))
            inner = self.nothing(self.plan.optional[path]) if is_none(value) else value
        flag = self.some_carry[path] = self.carry(some, ScalarType(BOOL), f"{label(path)}.some")
        return OptionalValue(flag.param, self.head((*path, "some"), inner))

    def outside(self, make: Callable[[], _T]) -> _T:
        """Emit before the loop."""
        with self.ctx.within(self.outer, self.entry_storage, self.entry_sizes):
            return make()

    def head_list(self, path: Path, value: GrowingList) -> GrowingList:
        """A growing list that the body rebinds: slots of its own, carried."""
        storage = self.ctx.storage
        if any(is_given(self.ctx, c) for c in value.storages):
            value = self.outside(lambda: self.arith.objects.c.lists.duplicate(value, self.node))
        own: list[int] = []
        for c in value.storages:
            base = self.entry_storage.bases.get(c) or storage.bases[c]
            made = self.carry(base, base.type, label(path))
            own.append(storage.new(made.param))
            self.base_carry[own[-1]] = made
        self.lists[path], self.entry_lists[path] = tuple(own), value.storages
        return GrowingList(tuple(own), value.kind, value.keys)

    # -- aliases --------------------------------------------------------------------------------------------

    def head_aliases(self) -> None:
        storage = self.ctx.storage
        for c, q, entry, name in alias_pairs(self):
            apart = self.apart(c, q, entry, name)
            if isinstance(entry, bool) and name not in self.plan.dynamic_alias:
                storage.set_alias(c, q, entry, apart)
                continue
            init = entry if isinstance(entry, Value) else self.outer.constant(entry, ScalarType(BOOL))
            made = self.alias_carry[c, q] = self.carry(init, ScalarType(BOOL), "alias")
            storage.set_alias(c, q, made.param, apart)

    def apart(self, c: int, q: int, entry: Alias, name: tuple[object, object]) -> bool | None:
        """Whether a pair has histories of its own where it is one memory, before the loop or after an iteration."""
        entered = (self.entry_class.get(c, c), self.entry_class.get(q, q))
        found = [] if entry is False else [self.entry_storage.apart(*entered)]
        if name in self.plan.apart:
            found.append(self.plan.apart[name])
        return joined_history(found)

    # -- the end of the body ------------------------------------------------------------------------------------

    def leave(self, alive: bool) -> None:
        """Compare the end of the body with the plan; fill `next` of every carried value."""
        env, storage = self.ctx.frame.env, self.ctx.storage
        if not alive:
            self.leave_never()
            return
        ends: dict[int, int] = {}
        self.owners.end(self.head_env, env)
        for name, head in self.head_env.items():
            self.end((name,), head, env.get(name), ends)
        self.objects.end_cells(ends)
        self.plan.rotates &= self.views.may_rotate()
        if not self.rotation.follow(ends) or not self.writes_rotated():
            self.plan.rotates, self.plan.changed = False, True
        for c, before in self.entry_storage.bases.items():
            if c in self.rotation.memory or c not in storage.bases:
                continue
            now = storage.bases[c]
            if c in self.base_carry:
                self.base_carry[c].next = now
            elif now is not before:
                self.plan.add(self.plan.written, c)
                self.plan.written_names |= {
                    n for n, v in self.entry_env.items() if isinstance(v, ArrayView) and v.storage == c
                }
            if c in storage.held and c not in self.entry_storage.held:
                self.plan.add(self.plan.held, c)
        for path, c in self.classes.items():
            if ends.get(c) in storage.held:
                self.plan.add(self.plan.held, path)
        if len(self.list_ends) != len(set(self.list_ends)) or set(self.list_ends) & self.entry_storage.bases.keys():
            refuse_shared(self.ctx, self.node)
        for c, q, entry, name in alias_pairs(self, ends):
            self.end_alias(c, q, entry, name, ends)
        self.views.leaves.leave()
        self.elements.leave(ends)

    def writes_rotated(self) -> bool:
        """Whether the body writes memory of names that change places; else it has nothing to put back."""
        bases, params = self.ctx.storage.bases, {made.param for made in self.carries}
        return not self.rotation.classes or any(bases[c] not in params for c in self.rotation.classes)

    def leave_never(self) -> None:
        """The end is not reached: what is carried does not matter, but a list that changed is no more what it was, and
        what was written into arguments stays."""
        bases = self.ctx.storage.bases
        for made in self.carries:
            made.next = made.param
        lasting = self.ctx.arguments.union(self.rotation.classes)
        for c, made in self.base_carry.items():
            if isinstance(made.param.type, ListType) or c in lasting:
                made.next = bases[c]
        for c, before in self.entry_storage.bases.items():
            lasts = isinstance(before.type, ListType) or c in lasting
            if lasts and c not in self.base_carry and bases.get(c, before) is not before:
                self.plan.add(self.plan.written, c)

    def note_late(self, env: dict[str, FrontValue], late: Sequence[str]) -> None:
        """Names bound in the body and read later become carried."""
        for name in late:
            if name in env and name not in self.head_env and name not in self.entry_env:
                self.plan.late_like[name] = env[name]
                self.note_ranks()
                self.plan.add(self.plan.late, name)

    def note_ranks(self) -> None:
        """Remember the ranks of memory that something bound late may be a view of."""
        self.plan.late_ranks.update({c: rank_of(base) for c, base in self.ctx.storage.bases.items()})

    def end(self, path: Path, head: FrontValue, end: FrontValue | None, ends: dict[int, int]) -> None:
        """One name at the end of an iteration."""
        if end is None:
            self.ctx.refuse(
                self.node, f"{label(path)!r} is deleted inside a loop that reads it again", "do not delete it"
            )
        if isinstance(end, MaybeNumber):
            end = bound_array(self.ctx, end)
        if isinstance(head, MaybeUnbound):
            bound = end.bound if isinstance(end, MaybeUnbound) else self.ctx.b.constant(True, ScalarType(BOOL))
            self.bound_carry[path].next = bound
            self.end(path, head.value, end.value if isinstance(end, MaybeUnbound) else end, ends)
            return
        if isinstance(end, MaybeUnbound):
            end = end.value
        if isinstance(head, OptionalValue) or isinstance(end, OptionalValue) or is_none(head) is not is_none(end):
            self.end_optional(path, head, end, ends)
            return
        if SharedText in (type(head), type(end)) and made_texts.is_text(head) and made_texts.is_text(end):
            made_texts.behind_trip(self, path, head, end)
            return
        if MessageValue in (type(head), type(end)) and joined_texts.end(self, path, head, end):
            return
        if (options := join_options(head, end)) is not None and (isinstance(head, ChoiceValue) or len(options) > 1):
            if not isinstance(head, ChoiceValue) or options != head.options:
                self.plan.choices[path], self.plan.changed = options, True
                return
            self.number_carry[path].next = option_index(self.ctx.b, end, options)
            return
        if isinstance(head, ChoiceValue) and made_texts.are_texts(head, end) and options is None:
            made_texts.behind_trip(self, path, head, end)
            return
        if isinstance(head, Shared) or isinstance(end, Shared):
            first, other = (head, end) if isinstance(head, Shared) else (end, head)
            assert isinstance(first, Shared)
            require_one_pool(self.ctx, first, other, self.node)
            if variants.are_relatives(head, end):
                if isinstance(head, SharedObject):
                    self.plan.add(self.plan.variants, path)
                    return
                end = variants.widened(self.ctx, end)
            if not is_beside(first, other):
                self.refuse(path, head, end)
            assert isinstance(end, Shared)
            self.number_carry[path].next = end.at
            return
        if isinstance(end, Number):
            end = in_settled(self.ctx, end)
        if self.elements.end(path, head, end):
            return
        if meets_number(head, end):
            self.plan.add(self.plan.scalars, path)
            return
        if isinstance(head, Number):
            end = as_scalar(self.ctx, end) if meets_number(end, head) else end
            found = number_type(end)
            if found is None:
                self.refuse(path, head, end)
            joined = join_number_types(self.plan.types[path], found)
            if joined != self.plan.types[path]:
                self.plan.types[path] = joined
                self.plan.changed = True
                return
            self.number_carry[path].next = meeting(self.arith, end, joined[0], shown(label(path)), self.node)
            return
        if isinstance(head, ArrayView):
            if not isinstance(end, ArrayView) or head.rank != end.rank:
                self.refuse(path, head, end)
            self.views.end(path, head, end, ends)
            return
        if isinstance(head, GrowingList) or isinstance(end, GrowingList):
            self.end_list(path, head, end)
            return
        self.end_container(path, head, end, ends)

    def end_optional(self, path: Path, head: FrontValue, end: FrontValue, ends: dict[int, int]) -> None:
        """A name that may be None at the end of an iteration."""
        if not isinstance(head, OptionalValue):
            self.plan.optional[path] = end.value if isinstance(end, OptionalValue) else head if is_none(end) else end
            self.plan.late_ranks.update({c: rank_of(base) for c, base in self.ctx.storage.bases.items()})
            self.plan.changed = True
            return
        some = end.some if isinstance(end, OptionalValue) else self.ctx.b.constant(not is_none(end), ScalarType(BOOL))
        self.some_carry[path].next = some
        inner = end.value if isinstance(end, OptionalValue) else head.value if is_none(end) else end
        self.end((*path, "some"), head.value, inner, ends)

    def end_container(self, path: Path, head: FrontValue, end: FrontValue, ends: dict[int, int]) -> None:
        pairs: list[tuple[object, FrontValue, FrontValue]] = []
        if spread_beside(head, end) is not head:
            return self.plan.add(self.plan.spread, path)
        end = spread_beside(end, head)
        match head, end:
            case TupleValue(xs, cls), TupleValue(ys, other) if len(xs) == len(ys) and cls is other:
                pairs = [(i, x, y) for i, (x, y) in enumerate(zip(xs, ys, strict=True))]
            case ListValue(xs), ListValue(ys) if len(xs) != len(ys) and (head.keys or end.keys):
                require_one_kind(self.ctx, (head, end), self.node)
            case ListValue(xs), ListValue(ys) if len(xs) == len(ys):
                pairs = [(i, x, y) for i, (x, y) in enumerate(zip(xs, ys, strict=True))]
            case DictValue(), DictValue():
                return self.objects.end_object(path, head, end, ends)
            case ObjectValue(cls), ObjectValue(other) if cls is other:
                return self.objects.end_object(path, head, end, ends)
            case Static(x), Static(y) if x is y or (type(x) is type(y) and x == y):
                return None
            case Closure(), Closure() if head.is_same(end) and head.frame in self.ctx.frames():
                return None
            case _ if head is end:
                return None
            case _:
                self.refuse(path, head, end)
        for k, x, y in pairs:
            self.end((*path, k), x, y, ends)

    def end_list(self, path: Path, head: FrontValue, end: FrontValue) -> None:
        """A growing list at the end of an iteration."""
        if not (isinstance(head, GrowingList | ListValue) and isinstance(end, GrowingList | ListValue)):
            self.refuse(path, head, end)
        require_one_kind(self.ctx, (head, end), self.node)
        assert isinstance(head, GrowingList) and isinstance(end, GrowingList)
        if path not in self.plan.split:
            if head.storages != end.storages:
                self.plan.add(self.plan.split, path)
            return
        self.list_ends.extend(end.storages)
        for c, d in zip(head.storages, end.storages, strict=True):
            self.base_carry[c].next = self.ctx.storage.bases[d]

    def refuse(self, path: Path, head: FrontValue, end: FrontValue) -> NoReturn:
        pooled_tables.meet(self.ctx, head, end)
        variants.meet(self.ctx, (head, end))
        name, source = label(path) if path[0] == CELL else str(path[0]), self.ctx.frame.source
        before = binding_before(source, name, getattr(self.node, "lineno", 0)) or source.node
        after = binding_within(getattr(self.node, "body", []), name)
        self.ctx.require_known(
            self.node,
            f"{shown(name)} is {describe(head)} before the loop and {describe(end)} after an iteration",
            one_kind(name, head, end),
            self.ctx.notes((before, head), (after, end)),
        )

    def end_alias(self, c: int, q: int, entry: Alias, name: tuple[object, object], ends: dict[int, int]) -> None:
        storage = self.ctx.storage
        pair = (ends.get(c, c), ends.get(q, q))
        now = storage.alias(*pair)
        apart = False if pair[0] == pair[1] else storage.apart(*pair)
        assumed = self.apart(c, q, entry, name)
        if now is not False:
            is_first = entry is False and name not in self.plan.apart
            joined = joined_history([apart] if is_first else [assumed, apart])
            if joined is not assumed:
                self.plan.apart[name], self.plan.changed = joined, True
        made = self.alias_carry.get((c, q))
        if made is None:
            if now is not entry:
                self.plan.add(self.plan.dynamic_alias, name)
            return
        made.next = now if isinstance(now, Value) else self.ctx.b.constant(now, ScalarType(BOOL))

    # -- after the loop -----------------------------------------------------------------------------------------

    def finish(self, limit: Value, go: Value, index: Value, body: Builder, go_next: Value) -> None:
        """Append the loop and bind names and memory to its results."""
        params = [c.param for c in self.carries]
        nexts = [c.next if c.next is not None else c.param for c in self.carries]
        block = body.block((index, *params), (go_next, *nexts), "body")
        inits = [c.init for c in self.carries]
        results = self.ctx.b.emit("loop", (limit, go, *inits), blocks=(block,), like=params)
        mapping = dict(zip(params, results, strict=True))
        storage = self.ctx.storage
        storage.held |= {c for c in storage.bases if c in self.plan.held}
        storage.held |= {c for path, c in self.classes.items() if path in self.plan.held}
        storage.bases.update({c: self.unset[c] for c in self.never_set})
        for c, made in self.base_carry.items():
            storage.bases[c] = mapping[made.param]
        for c, q, entry, name in alias_pairs(self):
            made = self.alias_carry.get((c, q))
            alias = entry if made is None else mapping[made.param]
            storage.set_alias(c, q, alias, self.apart(c, q, entry, name))
        self.views.finish(mapping)
        self.elements.finish(mapping)
        if self.rotation.classes:
            contents = {c: storage.bases[c] for c in self.rotation.classes}
            storage.bases.update(put_back(self.ctx.b, self.rotation, self.entry_storage, contents, mapping))
        for (c, m), made in self.rotation.places.items():
            storage.set_alias(c, m, mapping[made.param])
        for name, head in self.head_env.items():
            made = self.ctx.frame.env[name] = self.objects.result(name, head, mapping)
            self.owners.finish(name, self.entry_env.get(name), made, mapping)
        self.objects.finish(mapping)
