"""Names that stand for another leaf in each iteration of a loop: `w = w.detach() - lr * w.grad; w.requires_grad_()`.

What such a name stands for at the start of an iteration is a leaf of its own: the one that was there before the loop in
the first iteration, which is one memory with it then, and later what the iteration before has made. Its `.grad` is
handed on beside its content.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tracejit.frontend.containers.array_memory import same_memory
from tracejit.frontend.control.loop_plan import Carry, Path, replace
from tracejit.frontend.derivatives.accumulation import GradientState
from tracejit.frontend.derivatives.gradients import Gradients, NeedsEntry
from tracejit.frontend.instances.heap import place_key
from tracejit.frontend.values import ArrayView, FrontValue, Number, ObjectValue
from tracejit.ir.core import Value
from tracejit.ir.reached import any_of
from tracejit.ir.types import BOOL, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.control.loops import LoopLowering

#: What leads to the parts of a leaf's `.grad` behind the path of its name.
_STATE, _ARRAY = "$state", "$grad"


class CarriedLeaves:
    """The leaves that one attempt at a loop hands from iteration to iteration."""

    def __init__(self, loop: LoopLowering) -> None:
        self.loop = loop
        self.ctx = loop.ctx
        self.plan = loop.plan
        self.gradients: Gradients = loop.gradients
        self.place = self.ctx.place(loop.node)
        #: their classes in the body and before the loop, and `.grad`
        self.heads: dict[Path, tuple[int, int, FrontValue, FrontValue]] = {}
        self.ends: dict[Path, int] = {}  #: their classes at the end of an iteration
        self.twins: dict[tuple[Path, object], Carry] = {}  #: whether one is another, or one from outside

    def note(self, path: Path, head: ArrayView, end: ArrayView) -> None:
        """Of a name that is found to stand for other memory at the end of an iteration: whether it is a leaf there, as
        it was at the start."""
        if self.gradients.is_wanted(self.place):
            for x in (head, end):
                if x.is_whole and x.storage not in self.gradients.leaves:
                    self.gradients.want_leaves(same_memory(self.ctx, x.storage))
            if self.is_leaf(head) and self.is_leaf(end):
                self.plan.leaves.add(path)
                self.plan.split.add((*path, _ARRAY))

    def is_leaf(self, x: ArrayView) -> bool:
        return x.is_whole and x.storage in self.gradients.leaves and x.storage in self.ctx.storage.bases

    def asks(self, x: ArrayView) -> bool:
        """Whether an array may lead to leaves."""
        return any_of(self.ctx.b, self.gradients.reach().of(self.ctx.load(x))) is not False

    def head(self, path: Path, storage: int, entry: ArrayView) -> None:
        """Hand on the `.grad` of a class that is a leaf in each iteration, where the name was one before the loop."""
        known = self.gradients
        known.joined[storage] = self.place
        if path not in self.plan.leaves or entry.storage not in known.leaves or not entry.is_whole:
            return
        if entry.storage not in known.entries:
            raise NeedsEntry(known.inputs[entry.storage])
        holder = known.holder_of(entry.storage)
        before = self.ctx.heap.saved[-1].get(holder, holder.contents)
        state = self.loop.head((*path, _STATE), before["state", entry.storage])
        held = before["grad", entry.storage]
        assert isinstance(held, ArrayView)
        if self.loop.outside(lambda: self.asks(held)):
            self.plan.attached.add(path)
        array = self.loop.head((*path, _ARRAY), held)
        self.heads[path] = storage, entry.storage, state, array

    def enter(self) -> None:
        """From the start of an iteration on these classes are leaves."""
        for path, (storage, entry, _, _) in self.heads.items():
            for name, other, before in self.others(path):
                same = self.gradients.same(entry, before)
                if same is not False or (path, name) in self.plan.twins:
                    init = same if isinstance(same, Value) else self.loop.outer.constant(same, ScalarType(BOOL))
                    made = self.twins[path, name] = self.loop.carry(init, ScalarType(BOOL), "same")
                    self.pair(storage, other, made.param)
        for path, (storage, _, state, array) in self.heads.items():
            self.become(storage, state, array, "head", path)

    def others(self, path: Path) -> Iterator[tuple[object, int, int]]:
        """The leaves from outside and, of those that are handed on, those before this one: each for the plan, in the
        body and before the loop."""
        for q in self.loop.entry_storage.bases:
            if q in self.gradients.leaves:
                yield q, q, q
        for name, (other, before, _, _) in self.heads.items():
            if name == path:
                return
            yield name, other, before

    def pair(self, storage: int, other: int, same: Value) -> None:
        """Two classes are one tensor where a truth holds. What is written to one is no history of the other."""
        memory = self.ctx.storage
        self.gradients.twins[frozenset((storage, other))] = same
        memory.set_alias(storage, other, memory.alias(storage, other), True)

    def become(self, storage: int, state: FrontValue, array: FrontValue, *place: Any) -> None:
        """From here on a class is a leaf with this `.grad`."""
        bases = self.ctx.storage.bases
        content = bases[storage]
        if place[-1] not in self.plan.attached:
            array = self.gradients.detach(array)
        bases[storage] = self.ctx.b.emit("leaf", (content,), {"made": True}, names=(content.name,))[0]
        parts: dict[Any, FrontValue] = {("state", storage): state, ("grad", storage): array}
        holder = self.ctx.heap.add(
            ObjectValue(GradientState, parts), place_key(self.loop.node, self.ctx.path, "leaf", *place)
        )
        self.gradients.add_leaf(storage, bases[storage], holder)

    def end(self, path: Path, end: ArrayView, ends: dict[int, int]) -> None:
        """What the leaf is at the end of an iteration."""
        if path not in self.heads:
            return
        if not self.is_leaf(end):
            reason = "whether this tensor is a leaf, with a '.grad', depends on the path taken"
            self.ctx.refuse(self.loop.node, reason, "x = x.detach().clone().requires_grad_() on each path")
        _, _, state, array = self.heads[path]
        self.ends[path] = end.storage
        if path not in self.plan.attached and self.asks(self.gradients.array(end.storage)):
            self.plan.add(self.plan.attached, path)
        self.loop.end((*path, _STATE), state, self.gradients.state(end.storage), ends)
        self.loop.end((*path, _ARRAY), array, self.gradients.array(end.storage), ends)

    def leave(self) -> None:
        """Which of the leaves are one tensor at the end of an iteration."""
        for path, end in self.ends.items():
            for name, other, _ in self.others(path):
                same = self.gradients.same(end, self.ends[name] if isinstance(name, tuple) else other)
                made = self.twins.get((path, name))
                if made is not None:
                    made.next = same if isinstance(same, Value) else self.ctx.b.constant(same, ScalarType(BOOL))
                elif same is not False:
                    self.plan.add(self.plan.twins, (path, name))

    def finish(self, mapping: dict[Value, Value]) -> None:
        """After the loop, the names are leaves still; what was made of them in the body leads to none of these."""
        for path, (storage, *_) in self.heads.items():
            for name, other, _ in self.others(path):
                if (made := self.twins.get((path, name))) is not None:
                    self.pair(storage, other, mapping[made.param])
        for path, (storage, _, state, array) in self.heads.items():
            self.gradients.end(storage)
            after = [replace(part, mapping, lambda o: o) for part in (state, array)]
            assert isinstance(after[0], Number) and isinstance(after[1], ArrayView)
            self.become(storage, after[0], after[1], "after", path)
