"""Lists that are, by the path taken, one of several: which of the caller's they may be, and that none changes unseen.

Where two lists meet under one name, that name gets a list of its own with what either holds. As long as neither that
list nor those that it stands for change, nobody can tell. A change of one that others know is refused, or made in a
pool.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from tracejit.frontend.boundary.signature import Access
from tracejit.frontend.instances.heap import led_to
from tracejit.frontend.values import (
    FrontValue,
    GrowingList,
    ListValue,
    list_classes,
)
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, ScalarType
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.context import Context
    from tracejit.frontend.control.loop_plan import Carry, Plan

List: TypeAlias = "ListValue | GrowingList"

_BOOL = ScalarType(BOOL)

#: Whether a list is the caller's own.
Truth: TypeAlias = bool | Value


@record(eq=False)
class Merge:
    """A list that stands for one of several, and when it is which list of the caller."""

    made: List
    sources: tuple[List, ...]
    owners: Mapping[Access, Truth]


@dataclass(slots=True)
class MergedLists:
    """The merges of one lowering, and the lists of the caller."""

    found: list[Merge] = field(default_factory=list["Merge"])
    given: list[tuple[Access, FrontValue]] = field(default_factory=list["tuple[Access, FrontValue]"])


def joined(
    ctx: Context,
    made: List,
    a: FrontValue | None,
    b: FrontValue | None,
    flag: Callable[[Sequence[Truth | None], str], Truth],
) -> None:
    """`a` and `b` of two branches have become one list; `flag` joins truth values of the branches."""
    if any(is_same(m.made, made) for m in ctx.merged_lists.found):
        return
    then, orelse = (None if x is None else owners_of(ctx, x) for x in (a, b))
    accesses = {**(then or {}), **(orelse or {})}
    flags = {
        x: flag([None if side is None else side.get(x, False) for side in (then, orelse)], "own") for x in accesses
    }
    note(ctx, made, (a, b), flags)


def is_given(ctx: Context, c: int) -> bool:
    """Whether a class is that of a list of the caller."""
    return any(c in list_classes(lst) for _, lst in ctx.merged_lists.given)


def note(ctx: Context, made: List, sources: Iterable[FrontValue | None], owners: Mapping[Access, Truth]) -> None:
    """A list has come to stand for one of several."""
    known = tuple(x for x in sources if isinstance(x, ListValue | GrowingList) and not is_same(x, made))
    if known:
        ctx.merged_lists.found.append(Merge(made, known, owners))


def owners_of(ctx: Context, lst: FrontValue | None) -> Mapping[Access, Truth]:
    """The lists of the caller that a list may be, each with when it is."""
    if not isinstance(lst, ListValue | GrowingList):
        return {}
    own = next((access for access, given in ctx.merged_lists.given if is_same(given, lst)), None)
    if own is not None:
        return {own: True}
    return next((m.owners for m in reversed(ctx.merged_lists.found) if is_same(m.made, lst)), {})


def is_same(a: FrontValue, b: FrontValue) -> bool:
    """Whether two values are one list."""
    return a is b or (isinstance(a, GrowingList) and isinstance(b, GrowingList) and a.storages == b.storages)


def others(ctx: Context, lst: List) -> list[List]:
    """The lists that may be this one, by the path taken, and that the caller or a name knows."""
    merges = ctx.merged_lists.found
    below = _closure(lst, lambda x: [s for m in merges if is_same(m.made, x) for s in m.sources])
    above = [
        y
        for x in below
        for y in _closure(x, lambda x: [m.made for m in merges if any(is_same(s, x) for s in m.sources)])
    ]
    found = [x for x in above if not is_same(x, lst)]
    if not found:
        return []
    known = [
        *(given for _, given in ctx.merged_lists.given),
        *lists_in(v for f in ctx.frames() for v in f.env.values()),
    ]
    return [x for x in found if any(is_same(x, y) for y in known)]


def _closure(lst: List, step: Callable[[List], Iterable[List]]) -> list[List]:
    """A list and all that steps lead to."""
    found = [lst]
    for x in found:
        found += [y for y in step(x) if not any(is_same(y, z) for z in found)]
    return found


def may_change(ctx: Context, lst: ListValue) -> bool:
    """Whether a list of known structure can change where it is: in the block that made it, and nobody else knows it."""
    return lst.level == ctx.level and not others(ctx, lst)


def require_own(ctx: Context, lst: GrowingList, node: ast.AST) -> None:
    """A growing list that changes is no list of the caller on some paths only."""
    if others(ctx, lst):
        ctx.require_known(
            node, "a list that changes here is, on one path only, the same as another", "copy the list: list(items)"
        )


def lists_in(values: Iterable[FrontValue | None]) -> Iterator[List]:
    """The lists that values lead to."""
    return (x for x in led_to(values) if isinstance(x, ListValue | GrowingList))


@dataclass(slots=True)
class LoopOwners:
    """What a loop carries beside the lists that its body binds: whether each is a certain list of the caller."""

    ctx: Context
    plan: Plan
    carry: Callable[[Value, ScalarType, str], Carry]
    carried: dict[tuple[str, Access], Carry] = field(default_factory=dict["tuple[str, Access]", "Carry"])
    ends: dict[str, FrontValue | None] = field(default_factory=dict[str, "FrontValue | None"])

    def head(self, name: str, entry: FrontValue, head: FrontValue, outer: Builder) -> None:
        """A name at the start of an iteration; `outer` makes what it is before the loop."""
        if not isinstance(head, ListValue | GrowingList) or is_same(entry, head):
            return
        before = owners_of(self.ctx, entry)
        for access in {**before, **dict.fromkeys(self.plan.owners.get(name, ()))}:
            self.carried[name, access] = self.carry(_value(outer, before.get(access, False)), _BOOL, "own")
        note(self.ctx, head, (entry,), {a: made.param for (n, a), made in self.carried.items() if n == name})

    def end(self, heads: Mapping[str, FrontValue], env: Mapping[str, FrontValue]) -> None:
        """The end of an iteration."""
        self.ends = {name: env.get(name) for name in heads}
        for name in heads:
            known = heads[name]
            if isinstance(known, ListValue | GrowingList) and not is_same(known, self.ends[name] or known):
                for access in owners_of(self.ctx, self.ends[name]):
                    if (name, access) not in self.carried:  # another attempt carries it too
                        self.plan.add(self.plan.owners.setdefault(name, set()), access)
        for (name, access), made in self.carried.items():
            made.next = _value(self.ctx.b, owners_of(self.ctx, env.get(name)).get(access, False))

    def finish(self, name: str, entry: FrontValue | None, made: FrontValue, mapping: Mapping[Value, Value]) -> None:
        """A name after the loop."""
        if isinstance(made, ListValue | GrowingList):
            flags = {a: mapping[c.param] for (n, a), c in self.carried.items() if n == name}
            note(self.ctx, made, (entry, self.ends.get(name)), flags)


def _value(b: Builder, truth: Truth) -> Value:
    return truth if isinstance(truth, Value) else b.constant(truth, _BOOL)
