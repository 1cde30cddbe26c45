"""Names that stand for one leaf or another behind a branch: where one is asked for its `.grad`, they are leaves of
their own there, with the `.grad` of the side that was taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracejit.frontend.derivatives.accumulation import GradientState
from tracejit.frontend.instances.heap import place_key
from tracejit.frontend.values import ArrayView, FrontValue, ObjectValue
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.control.joins import Join
    from tracejit.frontend.derivatives.gradients import Gradients


@dataclass(frozen=True, slots=True)
class _Joined:
    """What a class of the join is: the classes on the sides, and the parts of the `.grad`."""

    sides: tuple[int | None, int | None]
    state: FrontValue
    array: FrontValue


class JoinedLeaves:
    """The leaves of one join."""

    def __init__(self, join: Join) -> None:
        self.join = join
        self.ctx = join.ctx
        self.gradients: Gradients = join.arith.objects.c.gradients
        self.place = self.ctx.place(join.node)
        self.found: dict[int, _Joined] = {}

    def note(self, made: ArrayView, a: ArrayView | None, b: ArrayView | None) -> None:
        """Of an array that is one or another: whether it is a leaf on both sides, and wanted as such."""
        if not made.is_whole or made.storage in self.found:
            return
        known = self.gradients
        known.joined[made.storage] = self.place
        if not known.is_wanted(self.place):
            return
        contents: list[dict[Any, FrontValue]] = []
        for side, x in ((self.join.then, a), (self.join.orelse, b)):
            if x is None:
                contents.append({})
                continue
            if x.storage not in known.leaves:
                known.want_leaves([x.storage, *(c for c, _ in side.storage.partners(x.storage))])
                return
            held = side.held(known.holder_of(x.storage))
            contents.append({part: held[part, x.storage] for part in ("state", "grad")})
        state, array = (self.join.value(part, *(c.get(part) for c in contents)) for part in ("state", "grad"))
        sides = tuple(None if x is None else x.storage for x in (a, b))
        self.found[made.storage] = _Joined(sides, state, array)  # type: ignore[arg-type]

    def same(self, one: _Joined, others: tuple[int | None, int | None]) -> bool | Value:
        """Whether this is another leaf, or one from outside."""
        pairs = zip(one.sides, others, strict=True)
        flags = [None if a is None or b is None else self.gradients.same(a, b) for a, b in pairs]
        return self.join.flag(flags, "same")

    def pair(self) -> dict[frozenset[int], Value]:
        """Yield which of the leaves are one tensor."""
        outside = [q for q in self.join.outer.bases if q in self.gradients.leaves]
        found: dict[frozenset[int], bool | Value] = {}
        for i, (storage, one) in enumerate(self.found.items()):
            for q in outside:
                found[frozenset((storage, q))] = self.same(one, (q, q))
            for other, two in list(self.found.items())[:i]:
                found[frozenset((storage, other))] = self.same(one, two.sides)
        return {pair: self.as_value(same) for pair, same in found.items() if same is not False}

    def as_value(self, same: bool | Value) -> Value:
        return same if isinstance(same, Value) else self.ctx.b.constant(same, ScalarType(BOOL))

    def become(self, pairs: dict[frozenset[int], Value]) -> None:
        """Behind the branch, these classes are leaves."""
        known, memory = self.gradients, self.ctx.storage
        known.twins.update(pairs)
        for a, b in pairs:
            memory.set_alias(a, b, memory.alias(a, b), True)  # what is written to one is no history of the other
        for storage, one in self.found.items():
            content = memory.bases[storage]
            leaf = memory.bases[storage] = self.ctx.b.emit("leaf", (content,), {"made": True}, names=(content.name,))[0]
            parts: dict[Any, FrontValue] = {("state", storage): one.state, ("grad", storage): one.array}
            key = place_key(self.join.node, self.ctx.path, "leaf", storage)
            known.add_leaf(storage, leaf, self.ctx.heap.add(ObjectValue(GradientState, parts), key))
