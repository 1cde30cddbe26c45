"""What a call that ends in an error has changed in objects of its caller: told where the error is raised.

Plain Python sets attributes, items and `.grad` when the program says so; a graph sets them at its end. Before an op
that may raise, while something is to be set, the program therefore gets a `report` of the present values, on the path
that raises alone where that can be told. Arrays of the caller need none: they are written in place.

Numbers and arrays that are there anyway are collected by an op `pending` where they first matter; all later reports
name it, and it follows an earlier one of which most still holds. What has to be made of several values (the items of a
growing list) is made on the path that raises.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracejit.frontend.boundary.leaves import (
    ArrayLeaf,
    Change,
    ChoiceLeaf,
    ConstantLeaf,
    InputLeaf,
    NumberLeaf,
    OptionalLeaf,
    TreeLeaf,
    ViewLeaf,
)
from tracejit.frontend.boundary.results import LeftGradient, Part, Results
from tracejit.frontend.values import ArrayView, Number, Static
from tracejit.ir.builder import Builder
from tracejit.ir.core import Op, Value
from tracejit.ir.opdef import OpDef
from tracejit.ir.types import I64, ScalarType
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.function import Lowering

#: Effects after which the call goes on in any case.
_HARMLESS = ("print", "report")


@record
class LeftByError:
    """What a call that ends in an error has changed, made of the arrays that a `report` gives; `scalars` are the
    numbers among them."""

    changes: tuple[Change, ...]
    gradients: tuple[LeftGradient, ...]
    scalars: frozenset[int]

    def values(self, arrays: Sequence[Any]) -> list[Any]:
        """What the arrays of a report stand for."""
        return [_on_host(x)[()] if i in self.scalars else x for i, x in enumerate(arrays)]


def _on_host(array: Any) -> Any:
    return array.get() if hasattr(array, "get") else array


@record(eq=False)
class _Told:
    """A part as it is told: what it holds, its description, and the values that belong to that."""

    part: Part
    made: Change | LeftGradient
    values: tuple[Value, ...]
    content: tuple[Any, ...] | None  #: what these depend on, where that is known

    def is_same(self, other: _Told | None) -> bool:
        """Whether both tell the same."""
        if other is None or self.part.holds is not other.part.holds or len(self.values) != len(other.values):
            return False
        alike = not isinstance(self.made, LeftGradient) or self.made == other.made
        return alike and all(a is b for a, b in zip(self.values, other.values, strict=True))

    @property
    def is_light(self) -> bool:
        """Whether it may be told although it does not hold any more, before what holds: numbers in parts of objects."""
        return isinstance(self.made, Change) and all(isinstance(v.type, ScalarType) for v in self.values)


@record(eq=False)
class _Pending:
    """The result of an op `pending`, the parts it adds, and what it follows."""

    token: Value
    own: dict[object, _Told]
    before: _Pending | None

    def chain(self) -> list[_Pending]:
        """All that it follows, and itself, the oldest first."""
        found: list[_Pending] = [self]
        while found[-1].before is not None:
            found.append(found[-1].before)
        return found[::-1]


@record(eq=False)
class _Place:
    """Where an op `pending` is: in a list of ops, which may be cut off before it. A block that is split has another
    list while its second part is lowered."""

    ops: list[Op]
    at: int
    pending: _Pending


@record(eq=False)
class _Seen:
    """What all that the caller has was made of when something was found to tell all that is pending."""

    pending: _Pending
    objects: list[object]
    arrays: list[tuple[int, object]]
    sharing: tuple[int, int]

    @classmethod
    def of(cls, reports: Reports, pending: _Pending) -> _Seen | None:
        """What it is made of now; None where that cannot be said."""
        told = [t.content for p in pending.chain() for t in p.own.values()]
        if None in told:
            return None
        arrays = [(content[0].storage, content[1]) for content in told if content]
        return cls(pending, reports.objects(), arrays, reports.sharing())

    def is_now(self, reports: Reports, pending: _Pending) -> bool:
        """Whether nothing is other now."""
        bases = reports.lowering.ctx.storage.bases
        return (
            pending is self.pending
            and reports.sharing() == self.sharing
            and _are_same(self.objects, reports.objects())
            and all(bases.get(storage) is base for storage, base in self.arrays)
            and next(reports.lowering.statics.changed_lists(), None) is None
        )


class Reports:
    """The reports of one lowering."""

    def __init__(self, lowering: Lowering) -> None:
        self.lowering = lowering
        self.plans: list[LeftByError] = []
        self.is_reporting = False
        self.may_be_old = False  #: a report may have been made where nothing raised
        self.seen: _Seen | None = None
        self.told: dict[object, _Told] = {}  #: how parts were told last, by name
        self.latest: dict[int, _Place] = {}  #: by the list of ops that it is in

    def before(self, b: Builder, defn: OpDef, operands: Sequence[Value]) -> None:
        """Report, where an op that is about to be emitted raises, what is to be set. Python ints that leave 64 bits are
        no error of plain Python: nothing is reported for them."""
        ctx = self.lowering.ctx
        is_number = defn.effect == "fail" and all(isinstance(v.type, ScalarType) for v in operands)
        if self.is_reporting or is_number or defn.name in _HARMLESS or b in ctx.outer_builders:
            return
        if not self.may_be_old and not self.results().are_pending:
            return
        outer, span = ctx.b, b.span
        ctx.b, self.is_reporting = b, True
        try:
            never = defn.name == "check" and _is_false(b, operands[0])
            cond = None if never else fits(b, defn, operands)
            pending, rest = self.pending([b, outer, *reversed(ctx.outer_builders)])
            if cond is None:
                self.may_be_old = self.may_be_old or defn.name != "check"
                self.report(pending, rest)
                return
            if rest or self.may_be_old:
                with ctx.nested() as failing:
                    self.report(pending, rest)
            else:
                failing = b.nested()
                self.emit(failing, [], pending, -1)
            b.emit("if", (cond,), blocks=(b.nested().block((), (), "then"), failing.block((), (), "else")), types=())
        finally:
            ctx.b, self.is_reporting = outer, False
            b.span = span

    def results(self) -> Results:
        """What the caller would find changed now."""
        lowering = self.lowering
        return Results(lowering.calls, lowering.params, lowering.classes)

    @property
    def node(self) -> ast.AST:
        return self.lowering.source.node

    def pending(self, builders: Sequence[Builder]) -> tuple[_Pending | None, set[object]]:
        """What stands for all that is to be set and needs nothing made; the names of the other parts. `builders` are
        those of the blocks around this place, the innermost first."""
        latest = next(filter(None, map(self.latest_in, builders)), None)
        if latest is not None and self.seen is not None and self.seen.is_now(self, latest):
            return latest, set()
        made, rest = self.pending_now(latest)
        self.seen = None if made is None or rest else _Seen.of(self, made)
        return made, rest

    def pending_now(self, latest: _Pending | None) -> tuple[_Pending | None, set[object]]:
        """The same, where it is not known that nothing has changed since `latest`."""
        found = self.results()
        told: dict[object, _Told] = {}
        unknown: list[Part] = []
        for part in found.parts(self.node):
            known = self.told.get(part.name)
            if known is not None and known.part.holds is part.holds and _are_same(known.content, self.content(part)):
                told[part.name] = known
            else:
                unknown.append(part)
        made = self.made_of_nothing_new(found, unknown) if unknown else {}
        told |= made
        self.told |= made
        rest = {part.name for part in unknown} - made.keys()
        if not told:
            return None, rest
        before, own = self.following(latest, told)
        if before is not None and not own:
            return before, rest
        b = self.lowering.ctx.b
        found = self.results()
        plan = self.plan(found, [p.make() for p in found.parts(self.node) if p.name in own])
        (token,) = self.emit(b, found.outputs, before, plan, "pending")
        made = _Pending(token, own, before)
        self.latest[id(b.ops)] = _Place(b.ops, len(b.ops) - 1, made)
        return made, rest

    def latest_in(self, b: Builder) -> _Pending | None:
        """What was collected last in a block, unless that part of it is being lowered again."""
        place = self.latest.get(id(b.ops))
        if place is None or place.at >= len(b.ops) or place.pending.token not in b.ops[place.at].results:
            return None
        return place.pending

    def objects(self) -> list[object]:
        """What objects of the caller hold, and what was done to gradients; a write replaces it."""
        holder = self.lowering.gradients.holder
        objects = self.lowering.ctx.heap.objects.values()
        return [o.contents for o in objects if o.access is not None or o is holder]

    def sharing(self) -> tuple[int, int]:
        """How many arrays may share memory with others."""
        ctx = self.lowering.ctx
        return len(ctx.storage.aliases), len(ctx.maybe_views)

    def made_of_nothing_new(self, found: Results, parts: Sequence[Part]) -> dict[object, _Told]:
        """Those of the parts that can be told by values that are there."""
        told: dict[object, _Told] = {}
        with self.lowering.ctx.nested() as trial:
            for part in parts:
                known, found.outputs = len(trial.ops), []
                made = part.make()
                if _is_plain(made) and len(trial.ops) == known:
                    told[part.name] = _Told(part, made, tuple(found.outputs), self.content(part))
            made_here = {v for op in trial.ops for v in op.results}
        return {name: t for name, t in told.items() if made_here.isdisjoint(t.values)}

    def content(self, part: Part) -> tuple[Any, ...] | None:
        """What the description of a part depends on besides what it holds; None: more than can be said."""
        ctx, holds = self.lowering.ctx, part.holds
        if isinstance(holds, Number | Static | None):
            return ()
        if isinstance(part.name, int):
            holder = self.lowering.gradients.holder
            assert holder is not None
            holds = holder.contents.get(("grad", self.lowering.classes[part.name]))
            if holds is None:
                return ()
        if not isinstance(holds, ArrayView):
            return None
        if holds.storage in ctx.maybe_views:
            return None
        for _, is_same in ctx.storage.partners(holds.storage):
            if is_same is not True:  # else its content follows what is written there
                return None
        return holds, ctx.storage.bases.get(holds.storage)

    def following(
        self, latest: _Pending | None, told: dict[object, _Told]
    ) -> tuple[_Pending | None, dict[object, _Told]]:
        """The longest part of what is known to be pending that still holds, but for what may be told before what holds;
        and what is to be added to it. Where that is long for what it tells, all is told anew."""
        before, missing, size = None, dict(told), 0
        for pending in latest.chain() if latest is not None else ():
            if not all(name in told and (t.is_light or t.is_same(told[name])) for name, t in pending.own.items()):
                break
            before = pending
            size += len(pending.own)
            for name, t in pending.own.items():
                if t.is_same(told[name]):
                    missing.pop(name, None)
                else:
                    missing[name] = told[name]
        return (before, missing) if size + len(missing) <= 2 * len(told) else (None, told)

    def report(self, pending: _Pending | None, rest: set[object]) -> None:
        """Emit a report here, of the parts `rest` and what is pending."""
        found = self.results()
        made = [part.make() for part in found.parts(self.node) if part.name in rest]
        self.emit(self.lowering.ctx.b, found.outputs, pending, self.plan(found, made))

    def plan(self, found: Results, made: Sequence[Change | LeftGradient]) -> int:
        """The number of the plan that makes these parts."""
        changes = tuple(m for m in made if isinstance(m, Change))
        gradients = tuple(m for m in made if isinstance(m, LeftGradient))
        scalars = frozenset(i for i, v in enumerate(found.outputs) if isinstance(v.type, ScalarType))
        self.plans.append(LeftByError(changes, gradients, scalars))
        return len(self.plans) - 1

    def emit(
        self, b: Builder, values: Sequence[Value], before: _Pending | None, plan: int, name: str = "report"
    ) -> tuple[Value, ...]:
        """Emit an op that tells values by a plan."""
        arrays = [b.emit("broadcast", (v,))[0] if _is_wide(v, name) else v for v in values]
        tokens = () if before is None else (before.token,)
        return b.emit(name, (*tokens, *arrays), {"plan": plan, "follows": before is not None})


def _are_same(content: Sequence[object] | None, other: Sequence[object] | None) -> bool:
    if content is None or other is None:
        return False
    return len(content) == len(other) and all(map(operator.is_, content, other))


def _is_wide(value: Value, name: str) -> bool:
    """Whether a value has to be an array to be told."""
    return isinstance(value.type, ScalarType) and (name == "report" or value.type.dtype.is_complex)


def _is_plain(made: Change | LeftGradient) -> bool:
    """Whether a part is told by numbers and arrays that it may hold itself."""
    return isinstance(made, LeftGradient) or made.value is None or _is_plain_leaf(made.value)


def _is_plain_leaf(leaf: Any) -> bool:
    match leaf:
        case NumberLeaf() | InputLeaf() | ViewLeaf() | ConstantLeaf() | ChoiceLeaf():
            return True
        case ArrayLeaf(_, shares):
            return not shares
        case OptionalLeaf(_, value):
            return _is_plain_leaf(value)
        case TreeLeaf(kind, _, children):
            return kind is tuple and all(map(_is_plain_leaf, children))
        case _:
            return False


def fits(b: Builder, defn: OpDef, operands: Sequence[Value]) -> Value | None:
    """Whether an op does not raise; None where nothing simpler than the op itself tells."""
    match defn.name:
        case "check":
            return operands[0]
        case "check_eq":
            return b.emit("eq", operands[:2])[0]
        case "broadcast_dim":
            one = b.constant(1, ScalarType(I64))
            total = b.emit("eq", operands)[0]
            for v in operands:
                total = b.emit("logical_or", (total, b.emit("eq", (v, one))[0]))[0]
            return total
        case _:
            return None


def _is_false(b: Builder, cond: Value) -> bool:
    """Whether a condition is the constant that a `raise` checks."""
    maker = next((op for op in reversed(b.ops) if cond in op.results), None)
    return maker is not None and maker.name == "const" and maker.attrs["value"] is False
