"""Reverse mode of `if` and `loop`: the two ops whose derivative is derived from their blocks.

`if`    The backward is an `if` on the same condition. Its branches go on with the running cotangents of what the
        forward branches captured and yield them. Outside loops the forward `if` yields the residuals of its branches
        (the branch that does not have one yields a neutral value); inside loops each branch pushes its own.
`loop`  The backward is a counted loop over the trips made. It carries the cotangents of the carried values and the
        running cotangents of the captured ones, pops the residuals, and updates. The loop index is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tracejit.ir.builder import Builder, Rebuilder
from tracejit.ir.core import Block, Op, Value, captures, type_values
from tracejit.ir.types import BOOL, ScalarType, TensorType, substitute_dims
from tracejit.records import record
from tracejit.transforms.checkpoint_loops import is_checkpointed
from tracejit.transforms.derivatives.cotangents import zero
from tracejit.transforms.derivatives.effects import without_effects
from tracejit.transforms.derivatives.frames import SIZE, ArmFrame, BranchFrame, Edit, Frame, LoopFrame, Stream, Walk
from tracejit.transforms.derivatives.residuals import Draft, fit, neutral, pop, push, renamed

# -- if -----------------------------------------------------------------------------------------------------------


def reverse_if(frame: Frame, op: Op, walk: Walk) -> None:
    """Emit the backward of an `if` and extend the forward one."""
    streams: list[Stream] = []
    branches = [_Branch(frame, op, block, streams, walk) for block in op.blocks]
    captured = [c for c in _captured(op, frame) if any(branch.changes(c) for branch in branches)]
    for branch in branches:
        branch.finish(captured)
    if frame.in_loop:
        for branch in branches:
            push(branch.frame, branch.saved)
        slots: list[_Slot] = []
    else:
        slots = _share_slots(branches)
    for stream in streams:
        frame.close_stream(stream, Value(stream.type, "residuals"))
    results = (*op.results, *(slot.value for slot in slots), *(s.forward_out for s in streams))
    blocks = tuple(branch.forward(slots, streams) for branch in branches)
    frame.replace(op, Op(op.defn, op.operands, op.attrs, results, blocks, op.span))
    _emit_backward_if(frame, op, branches, captured, streams)


def _emit_backward_if(
    frame: Frame, op: Op, branches: Sequence[_Branch], captured: Sequence[Value], streams: Sequence[Stream]
) -> None:
    if not captured and not streams:
        return
    found = frame.b.emit(
        "if",
        op.operands,
        blocks=[branch.backward(captured, streams) for branch in branches],
        types=[*(c.type for c in captured), *(s.type for s in streams)],
        names=[*(f"d{c.name}" for c in captured), *("residuals" for _ in streams)],
    )
    for c, total in zip(captured, found, strict=False):
        frame.cotangents.replace(c, total)
    for stream, rest in zip(streams, found[len(captured) :], strict=True):
        stream.backward_out = rest


def _captured(op: Op, frame: Frame) -> list[Value]:
    found = dict.fromkeys(v for block in op.blocks for v in captures(block))
    return [v for v in found if v in frame.region.active]


@dataclass(slots=True)
class _Slot:
    """A result of the forward `if` that carries a residual of some of its branches."""

    value: Value
    given: dict[_Branch, Value]


class _Branch:
    """One branch: its frame, then its residuals, then its two blocks."""

    def __init__(self, frame: Frame, op: Op, block: Block, streams: list[Stream], walk: Walk) -> None:
        self.outer = frame
        self.op = op
        self.block = block
        edit = Edit((), list(block.ops))
        if frame.in_loop:
            self.frame: ArmFrame = BranchFrame(frame.region, [edit], frame, shared=streams, op=op)
        else:
            self.frame = ArmFrame(frame.region, [edit], frame, shared=streams, op=op)
        self.seeds: dict[Value, Value] = {}
        self.saved: list[Value] = []
        self._start(walk)

    def _start(self, walk: Walk) -> None:
        """The backward of the branch in the forward's names."""
        inner, outer = self.frame.cotangents, self.outer.cotangents
        for c in captures(self.block):
            running = outer.running(c)
            if running is not None:
                inner.replace(c, running)
        for result, value in zip(self.op.results, self.block.results, strict=True):
            if result in self.outer.region.active and value in self.outer.region.active and result in outer:
                total = outer.total_or_zero(result)
                if total.type != value.type:
                    seed = Value(value.type, total.name)
                    self.seeds[seed] = total
                    total = seed
                inner.add(value, total)
        walk(self.frame, self.block.ops)
        self.frame.seal()

    def changes(self, c: Value) -> bool:
        return c in self.frame.cotangents and self.frame.cotangents.total(c) is not self.outer.cotangents.running(c)

    def finish(self, captured: Sequence[Value]) -> None:
        """Settle the residuals."""
        totals = [self._total(c) for c in captured]
        self.draft = Draft(self.frame, totals)
        self.mapping = {
            value: result
            for result, value in zip(self.op.results, self.block.results, strict=True)
            if self.frame.defines(value)
        }
        seed_sizes = [v for seed in self.seeds for v in type_values(seed.type) if self.frame.defines(v)]
        typed = not self.outer.in_loop
        self.saved, self.repeated = self.draft.residuals(self.mapping, seed_sizes, typed=typed)

    def _total(self, c: Value) -> Value:
        running = self.outer.cotangents.running(c)
        if c not in self.frame.cotangents and running is not None:
            return running
        return self.frame.cotangents.total_or_zero(c)

    def forward(self, slots: Sequence[_Slot], streams: Sequence[Stream]) -> Block:
        """The forward branch that also yields the residuals in slots and the lists it pushed to."""
        b = Builder(self.op.span)
        inside = dict(zip(self.op.results, self.block.results, strict=True))
        for slot in slots:
            given = slot.given.get(self)
            inside[slot.value] = neutral(b, slot.value.type, self.outer.region, inside) if given is None else given
        self.frame.append(*b.ops)
        lists = self._own_versions(streams, "forward_in", "forward_out")
        results = (*self.block.results, *(inside[slot.value] for slot in slots), *lists)
        return Block((), tuple(self.frame.edits[0].ops), results, self.block.label)

    def backward(self, captured: Sequence[Value], streams: Sequence[Stream]) -> Block:
        """The backward branch: pops or reads its residuals, yields the running cotangents of captured values."""
        b = Rebuilder(None, dict(self.mapping), self.op.span)
        for value, result in self.mapping.items():
            if isinstance(value.type, TensorType) and self._is_yielded(value):
                b.mapping[value] = fit(b, result, value.type, self.outer.region)
        take = partial(pop, self.frame, b) if self.outer.in_loop else None
        self.draft.restore(b, self.saved, self.repeated, take)
        for seed, total in self.seeds.items():
            b.mapping[seed] = fit(b, total, seed.type, self.outer.region)
        totals = self.draft.rebuild(b)
        lists = [b.value(v) for v in self._own_versions(streams, "backward_in", "backward_out")]
        return b.block((), (*totals, *lists), self.block.label)

    def _is_yielded(self, value: Value) -> bool:
        """Whether a value stands for a result of the `if`, whose sizes may have other names."""
        return self.mapping[value] in self.op.results

    def _own_versions(self, streams: Sequence[Stream], before: str, after: str) -> list[Value]:
        """The lists at the end of this branch: as it leaves them, or untouched."""
        own = {getattr(s, before): getattr(s, after) for s in self.frame.streams}
        return [own.get(getattr(s, before), getattr(s, before)) for s in streams]


def _share_slots(branches: Sequence[_Branch]) -> list[_Slot]:
    """Results for the residuals of all branches; residuals of one type in different branches share a result."""
    slots: list[_Slot] = []
    for branch in branches:
        for value in branch.saved:
            type = renamed(value.type, branch.mapping)
            slot = next((s for s in slots if s.value.type == type and branch not in s.given), None)
            if slot is None:
                slot = _Slot(Value(type, value.name), {})
                slots.append(slot)
            slot.given[branch] = value
            branch.mapping[value] = slot.value
    return slots


# -- loop -----------------------------------------------------------------------------------------------------------


@record
class _Carried:
    """One carried value of a loop, at its four places."""

    init: Value
    param: Value
    following: Value
    result: Value


class _Loop:
    """The reverse of one loop, step by step."""

    def __init__(self, frame: Frame, op: Op) -> None:
        self.outer = frame
        self.op = op
        self.body = op.block("body")
        self.frame = LoopFrame(frame.region, [Edit(self.body.params, list(self.body.ops))], frame)
        every = zip(op.operands[2:], self.body.params[1:], self.body.results[1:], op.results, strict=True)
        self.every = [_Carried(*places) for places in every]
        active = frame.region.active
        self.carried = [x for x in self.every if x.param in active or x.result in active]
        size_params = {v for x in self.carried for v in type_values(x.param.type)}
        self.sizes = [x for x in self.every if x.param in size_params]

    def start(self, walk: Walk) -> None:
        """The backward of the body in the forward's names."""
        frame = self.frame
        if is_checkpointed(self.op):  # its ops run again in the backward, so their residuals stay there
            frame = Frame(frame.region, [Edit(self.body.params, list(self.body.ops))], self.outer)
        inner, active = frame.cotangents, frame.region.active
        self.captured = {c: Value(c.type, f"d{c.name}") for c in captures(self.body) if c in active}
        for c, seed in self.captured.items():
            inner.replace(c, seed)
        self.seeds = [Value(x.following.type, f"d{x.param.name}") for x in self.carried]
        for x, seed in zip(self.carried, self.seeds, strict=True):
            if x.following in active:
                inner.add(x.following, seed)
        walk(frame, self.body.ops)
        self.frame.seal()
        back = [inner.total_or_zero(x.param) for x in self.carried]
        self.captured = {c: seed for c, seed in self.captured.items() if inner.total(c) is not seed}
        totals = [inner.total_or_zero(c) for c in self.captured]
        results = [*back, *totals]
        self.draft = Draft(self.frame, results if frame is self.frame else self._repeat(frame, results))

    def _repeat(self, frame: Frame, results: Sequence[Value]) -> list[Value]:
        """Take the forward ops of a frame and its backward as the backward, with values of their own, since they run a
        second time; gives its results."""
        b = Rebuilder(without_effects, {})
        for op in frame.edits[0].ops:
            b.step(op)
        b.mapping.update((seed, fit(b, seed, seed.type, frame.region)) for seed in self.seeds)
        b.visit = None
        for op in frame.b.ops:
            b.step(op)
        self.frame.b.ops[:] = b.ops
        return [b.value(v) for v in results]

    def settle(self) -> None:
        """The residuals of the body: what is saved, and what stands for a forward value without being saved."""
        self.size_now = [Value(SIZE, x.param.name) for x in self.sizes]
        self.mapping = {
            x.following: size
            for x, size in zip(self.sizes, self.size_now, strict=True)
            if self.frame.defines(x.following) and x.following.known is None
        }
        index = self.body.params[0]
        more = [x.param for x in self.sizes] + [v for seed in self.seeds for v in type_values(seed.type)]
        saved, self.repeated = self.draft.residuals({**self.mapping, index: index}, more)
        self.kept = [x for x in self.every if self._is_kept(x, saved)]
        self.saved = [v for v in saved if v not in {x.following for x in self.kept}]
        push(self.frame, self.saved)

    def _is_kept(self, x: _Carried, saved: Sequence[Value]) -> bool:
        """Whether the value for the next trip need not be saved: the backward has it as that trip's own value."""
        is_fixed = not any(self.frame.defines(v) for v in type_values(x.param.type))
        return is_fixed and x.following in saved and x.param in saved and x.following is not x.param

    def extend_forward(self) -> None:
        """Put the loop that counts its trips and saves its residuals in the place of the forward loop."""
        op, edit = self.op, self.frame.edits[0]
        self.streams = [self.outer.open_stream(op, s.type, s.element, s.tape) for s in self.frame.streams]
        counter_in, counter_param, counter_next, counter_out = self._counter()
        for stream in self.streams:
            self.outer.close_stream(stream, Value(stream.type, "residuals"))
        results = (*op.results, *counter_out, *(s.forward_out for s in self.streams))
        body = Block(
            (*self.body.params, *counter_param, *(s.forward_in for s in self.frame.streams)),
            tuple(edit.ops),
            (*self.body.results, *counter_next, *(s.forward_out for s in self.frame.streams)),
            self.body.label,
        )
        operands = (*op.operands, *counter_in, *(s.forward_in for s in self.streams))
        self.outer.replace(op, Op(op.defn, operands, op.attrs, results, (body,), op.span))

    def _counter(self) -> tuple[tuple[Value, ...], ...]:
        """A carried trip counter (before, parameter, next, after); none where the limit is the number of trips."""
        if self._is_true(self.op.operands[1]) and self._is_true(self.body.results[0]):
            self.trips = self.op.operands[0]
            return (), (), (), ()
        before, inside = Builder(self.op.span), Builder(self.op.span)
        start = before.constant(0, SIZE)
        following = (inside.wrap(self.body.params[0]) + 1).value
        self.outer.insert_before(self.op, *before.ops)
        self.frame.append(*inside.ops)
        self.trips = Value(SIZE, "trips")
        return (start,), (Value(SIZE, "trips"),), (following,), (self.trips,)

    def _is_true(self, value: Value) -> bool:
        made_by = self.frame.region.definitions.get(value)
        return made_by is not None and made_by.name == "const" and made_by.attrs["value"] is True

    def backward(self) -> None:
        """Emit the backward loop and take its results as the running cotangents."""
        b, outer = self.outer.b, self.outer.cotangents
        last = b.wrap(self.trips) - 1
        go = b.constant(True, ScalarType(BOOL))
        captured = [running if (running := outer.running(c)) is not None else zero(b, c) for c in self.captured]
        inits = (
            *(x.result for x in self.sizes),
            *(x.result for x in self.kept),
            *(outer.total_or_zero(x.result) for x in self.carried),
            *captured,
            *(s.backward_in for s in self.streams),
        )
        body = self._backward_body(last.value, go)
        found = iter(b.emit("loop", (self.trips, go, *inits), blocks=[body], like=body.params[1:], mapping={}))
        for _ in (*self.sizes, *self.kept):
            next(found)
        back = [next(found) for _ in self.carried]
        for c in self.captured:
            outer.replace(c, next(found))
        for x, value in zip(self.carried, back, strict=True):
            if x.init in self.frame.region.active:
                outer.add(x.init, value)
        for stream in self.streams:
            stream.backward_out = next(found)

    def _backward_body(self, last: Value, go: Value) -> Block:
        k = Value(SIZE, "k")
        b = Rebuilder(None, dict(self.mapping), self.op.span)
        b.mapping[self.body.params[0]] = (b.wrap(last) - b.wrap(k)).value
        size_now = {x.param: now.dim for x, now in zip(self.sizes, self.size_now, strict=True)}
        cotangents = [Value(substitute_dims(x.param.type, size_now), f"d{x.param.name}") for x in self.carried]
        kept = [Value(x.param.type, x.param.name) for x in self.kept]
        b.mapping.update((x.following, value) for x, value in zip(self.kept, kept, strict=True))
        self.draft.restore(b, self.saved, self.repeated, partial(pop, self.frame, b))
        for seed, value in zip(self.seeds, cotangents, strict=True):
            b.mapping[seed] = fit(b, value, seed.type, self.outer.region)
        totals = self.draft.rebuild(b)
        params = (k, *self.size_now, *kept, *cotangents, *self.captured.values())
        lists = self.frame.streams
        return b.block(
            (*params, *(s.backward_in for s in lists)),
            (
                go,
                *(b.value(x.param) for x in self.sizes),
                *(b.value(x.param) for x in self.kept),
                *totals,
                *(b.value(s.backward_out) for s in lists),
            ),
            "body",
        )


def reverse_loop(frame: Frame, op: Op, walk: Walk) -> None:
    """Emit the backward of a loop and extend the forward one."""
    loop = _Loop(frame, op)
    loop.start(walk)
    loop.settle()
    loop.extend_forward()
    loop.backward()
